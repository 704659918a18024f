"""What `explain` has to say, as data (``to_json``) and as text (``to_lines``). Pure.

Both come from one ``Explanation``, so a script and a person are told the same.
"""

from dataclasses import dataclass
from typing import Any

from dashboard.catalogue import Translate, category_title
from filters.domain_index import DomainIndex
from filters.special_names import Special, special
from gateway.cli.durations import show_time
from policies.decide import Allow, Block, Policy, Reason, Rewrite, Rung, Step, Verdict, decide, ladder


@dataclass(frozen=True, slots=True)
class Explanation:
    name: str
    rtype: str
    client: str
    at: float
    timezone: str
    policy: Policy
    verdict: Verdict
    steps: tuple[Step, ...]
    special: Special | None
    """what a standard says of the name before the ladder is asked"""

    @property
    def deciding(self) -> Step | None:
        """The first rung that speaks."""
        return next((step for step in self.steps if step.verdict is not None), None)


@dataclass(frozen=True, slots=True)
class Asked:
    """The question to explain: a canonical name, a type by number and by word, who asks, and when (Unix seconds)."""

    name: str
    qtype: int
    rtype: str
    client: str
    at: float


def explain(asked: Asked, policy: Policy, index: DomainIndex, timezone: str) -> Explanation:
    return Explanation(
        name=asked.name,
        rtype=asked.rtype,
        client=asked.client,
        at=asked.at,
        timezone=timezone,
        policy=policy,
        verdict=decide(asked.name, asked.qtype, policy, index),
        steps=ladder(asked.name, asked.qtype, policy, index),
        special=special(asked.name),
    )


def word(verdict: Verdict | None) -> str:
    """``allow``, ``block`` or ``rewrite``; ``silent`` for a rung that says nothing."""
    match verdict:
        case Allow():
            return "allow"
        case Block():
            return "block"
        case Rewrite():
            return "rewrite"
        case None:
            return "silent"


def to_json(found: Explanation, language: str) -> dict[str, Any]:
    policy = found.policy
    rewritten = found.verdict if isinstance(found.verdict, Rewrite) else None
    return {
        "name": found.name,
        "type": found.rtype,
        "client": found.client,
        "at": found.at,
        "group": policy.group,
        "tier": policy.tier,
        "mode": {"name": policy.mode, "reason": policy.mode_reason, "by": policy.mode_by, "until": policy.mode_until},
        "special": {"answer": found.special.answer.value, "why": found.special.why} if found.special else None,
        "verdict": word(found.verdict),
        **_reason_json(found.verdict.reason, language),
        "safe_search": {"engine": rewritten.engine, "target": rewritten.target} if rewritten else None,
        "enforcement": {
            "safe_search": policy.safe_search,
            "youtube": policy.youtube.value,
            "strip_ech": policy.strip_ech,
            "ttl_limit": policy.ttl_limit,
            "block_answer": policy.block_answer.value,
        },
        "ladder": [_step_json(step, language, decides=step is found.deciding) for step in found.steps],
    }


def _reason_json(reason: Reason, language: str) -> dict[str, Any]:
    return {
        "rung": reason.rung.value,
        "rung_name": reason.rung.name.lower(),
        "rule": reason.rule,
        "list": reason.list,
        "category": reason.category,
        "category_title": category_title(reason.category, language) if reason.category else "",
        "by": reason.by,
        "document": reason.document,
        "until": reason.until,
        "note": reason.note,
    }


def _step_json(step: Step, language: str, *, decides: bool) -> dict[str, Any]:
    said = _reason_json(step.verdict.reason, language) if step.verdict else {}
    said |= {"rung": step.rung.value, "rung_name": step.rung.name.lower(), "verdict": word(step.verdict), "decides": decides}
    return said | ({"not_liftable": list(step.unliftable)} if step.unliftable else {})


def to_lines(found: Explanation, language: str, _: Translate) -> list[str]:
    policy = found.policy
    who = _("{name} {rtype}, asked by {client}: group {group}, tier {tier}, mode {mode}")
    lines = [
        who.format(name=found.name, rtype=found.rtype, client=found.client, group=policy.group, tier=policy.tier, mode=_mode(found, _)),
    ]
    if found.special is not None:
        lines.append(_("This network answers this name itself: {why}").format(why=found.special.why))
        lines.append(_("Were it not so:"))
    lines.append(_headline(found, _))
    lines += [f"  {line}" for line in (*_reason_lines(found.verdict.reason, found.timezone, language, _), *_enforcement(found, _))]
    return [*lines, _("The whole ladder:"), *(_step_line(step, found, language, _) for step in found.steps)]


def _mode(found: Explanation, _: Translate) -> str:
    """The mode and how it came about: ``exam (by Lan, until 10:15: Kiểm tra)``."""
    policy = found.policy
    said = [
        _("by {who}").format(who=policy.mode_by) if policy.mode_by else "",
        _("by the timetable") if policy.mode_reason == "timetable" and not policy.mode_by else "",
        _("until {time}").format(time=show_time(policy.mode_until, found.timezone)) if policy.mode_until else "",
    ]
    about = ", ".join(part for part in said if part)
    return f"{policy.mode} ({about})" if about else policy.mode


def _headline(found: Explanation, _: Translate) -> str:
    rung = found.verdict.reason.rung
    text = {
        "allow": _("ALLOWED on rung {number}, {rung}"),
        "block": _("BLOCKED on rung {number}, {rung}"),
        "rewrite": _("ALLOWED, WITH A SAFE ANSWER, on rung {number}, {rung}"),
    }[word(found.verdict)]
    return text.format(number=rung.value, rung=rung_title(rung, _))


def rung_title(rung: Rung, _: Translate) -> str:
    return {
        Rung.SPECIAL: _("special names"),
        Rung.LOCKED_BLOCK: _("locked block"),
        Rung.LOCKED_ALLOW: _("locked allow"),
        Rung.CLASS_MODE: _("class mode"),
        Rung.LESSON_UNBLOCK: _("lesson unblock"),
        Rung.SCHOOL_BLOCK: _("school block"),
        Rung.SCHOOL_ALLOW: _("school allow"),
        Rung.CATEGORY: _("categories of mode and tier"),
        Rung.DEFAULT: _("default"),
    }[rung]


def _reason_lines(reason: Reason, timezone: str, language: str, _: Translate) -> list[str]:
    rows = (
        (_("Rule"), reason.rule),
        (_("List"), reason.list),
        (_("Category"), f"{category_title(reason.category, language)} ({reason.category})" if reason.category else ""),
        (_("Behind it"), reason.by),
        (_("Document"), reason.document),
        (_("Reason given"), reason.note),
        (_("Until"), show_time(reason.until, timezone) if reason.until else ""),
    )
    return [f"{label}: {value}" for label, value in rows if value]


def _enforcement(found: Explanation, _: Translate) -> list[str]:
    """What becomes of the answer."""
    policy = found.policy
    if isinstance(found.verdict, Block):
        return [_("Block answer: {answer}").format(answer=policy.block_answer.value)]
    lines = [_("Remembered by the device for {seconds} s at most").format(seconds=policy.ttl_limit)]
    if isinstance(found.verdict, Rewrite):
        text = _("Answered as {target} ({engine}: safe search, or YouTube's restricted mode)")
        lines.append(text.format(target=found.verdict.target, engine=found.verdict.engine))
    if policy.strip_ech:
        lines.append(_("Encrypted Client Hello (ech) is taken out of HTTPS answers"))
    lines.append(
        _("Safe search: {safe}; YouTube: {youtube}").format(safe=_("on") if policy.safe_search else _("off"), youtube=policy.youtube.value)
    )
    return lines


def _step_line(step: Step, found: Explanation, language: str, _: Translate) -> str:
    mark = ">" if step is found.deciding else " "
    title = rung_title(step.rung, _)
    if step.verdict is None:
        said = _("silent")
        if step.unliftable:
            titles = ", ".join(category_title(category, language) for category in step.unliftable)
            said += _("; a teacher may not lift: {categories}").format(categories=titles)
    else:
        reason = step.verdict.reason
        detail = "  ".join(part for part in (reason.rule, reason.list, reason.category, reason.by, reason.document) if part)
        said = f"{_('block') if isinstance(step.verdict, Block) else _('allow')}  {detail}"
    return f"{mark} {step.rung.value} {title:<36} {said}"

"""What `explain` prints: an Explanation (dashboard/insight/explanation.py) as lines of text. Pure."""

from dashboard.catalogue import Translate, category_title
from dashboard.insight.explanation import Explanation, word
from dashboard.insight.rungs import rung_title
from gateway.cli.durations import show_time
from policies.decide import Block, Reason, Rewrite, Step


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

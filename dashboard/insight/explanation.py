"""What is to be said of one name asked by one group: the verdict, the ladder, the lists that have it. Pure.

`manglanh explain`, the *Why?* page and the API all say what one ``Explanation`` has, so everybody is told the same.
"""

from dataclasses import dataclass
from typing import Any

from dashboard.catalogue import category_title
from filters.domain_index import DomainIndex, Match
from filters.special_names import Special, special
from policies.decide import Allow, Block, Policy, Reason, Rewrite, Step, Verdict, decide, ladder


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
    lists: tuple[Match, ...]
    """every list that has the name or a name above it"""

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
        lists=index.lookup(asked.name, asked.qtype),
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
        "lists": [
            {"list": match.source.name, "category": match.source.category, "rule": match.rule, "by": match.source.authority}
            for match in found.lists
        ],
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

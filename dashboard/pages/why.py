"""*Why?*: the ladder for one name and one class or device, and the buttons that change it."""

from collections.abc import Mapping

from starlette.responses import Response

from dashboard.access import Access
from dashboard.catalogue import Translate, category_title
from dashboard.insight.explanation import Explanation, word
from dashboard.insight.rungs import rung_title
from dashboard.insight.why import QTYPES, Question, answer
from dashboard.refusal import Refused
from dashboard.settings.tiers import youtube_titles
from dashboard.web import Page, Visit
from filters.message import said
from policies.decide import Block, Reason, Rewrite, Rung


async def ask(visit: Visit) -> Response:
    """The form, and the answer below it once something was asked."""
    asked = visit.request.query_params
    question = Question(asked.get("name", "")[:300], asked.get("group", "")[:64], asked.get("device", "")[:64], asked.get("type", "A")[:8])
    wrong, field, found = "", "", None
    if question.name:
        try:
            found = answer(question, visit.view, visit.site.box, visit.now)
        except Refused as error:
            wrong, field = said(error.message, visit.translate), error.field
    groups = [(name, group.title or name) for name, group in visit.view.snapshot.groups.items()]
    values = {} if found is None else answer_values(found, dict(groups), visit.language, visit.translate)
    return visit.page(
        "why/why.html",
        422 if wrong else 200,
        question=question,
        groups=groups,
        type_options=[(word, word) for word in QTYPES],
        wrong=wrong,
        wrong_field=field,
        found=found,
        **values,
    )


def answer_values(found: Explanation, groups: Mapping[str, str], language: str, _: Translate) -> dict[str, object]:
    """What the page says of an Explanation, in words."""
    reason = found.verdict.reason
    policy = found.policy
    return {
        "verdict": word(found.verdict),
        "group_title": groups.get(policy.group, policy.group),
        "youtube": dict(youtube_titles(_))[policy.youtube],
        "reason": reason_facts(reason, language, _),
        "rung": rung_title(reason.rung, _),
        "steps": [
            {
                "number": step.rung.value,
                "title": rung_title(step.rung, _),
                "verdict": word(step.verdict),
                "decides": step is found.deciding,
                "facts": reason_facts(step.verdict.reason, language, _) if step.verdict else [],
                "unliftable": [category_title(category, language) for category in step.unliftable],
            }
            for step in found.steps
        ],
        "rewritten": found.verdict if isinstance(found.verdict, Rewrite) else None,
        "can_unblock": isinstance(found.verdict, Block) and reason.rung in (Rung.CATEGORY, Rung.DEFAULT),
        "can_rule": reason.rung is not Rung.LOCKED_BLOCK and reason.rung is not Rung.LOCKED_ALLOW,
        "liftable": reason.category in policy.liftable,
    }


def reason_facts(reason: Reason, language: str, _: Translate) -> list[tuple[str, str]]:
    rows = (
        (_("Rule"), reason.rule if reason.rung is not Rung.DEFAULT else ""),
        (_("List"), reason.list),
        (_("Category"), category_title(reason.category, language) if reason.category else ""),
        (_("Behind it"), reason.by),
        (_("Document"), reason.document),
        (_("Reason given"), reason.note),
    )
    return [(label, value) for label, value in rows if value]


PAGES = (Page("GET", "/why", ask, Access.ADMIN),)

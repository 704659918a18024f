"""Pupils' requests: the open ones of a teacher's own classes (of all classes for IT staff and the principal), and what was answered."""

from starlette.responses import Response

from dashboard.access import Access, Role
from dashboard.catalogue import category_title
from dashboard.insight.rungs import rung_title
from dashboard.lessons import requests
from dashboard.lessons.classes import lesson_end, name_of, title_of, trusted
from dashboard.refusal import Refused
from dashboard.store import requests as store
from dashboard.store.engine import StoreTrouble
from dashboard.store.requests import open_counts
from dashboard.web import Page, Visit
from filters.message import Message, said
from policies.decide import Rung

LARGEST_ID = 2**63 - 1
SHOWN_OPEN, SHOWN_ANSWERED = 20, 30
"""on one page, which stays below 100 kB"""


async def index(visit: Visit) -> Response:
    return await _index(visit)


async def _index(visit: Visit, wrong: str = "", wrong_id: int = 0, status: int = 200) -> Response:
    groups = requests.groups_of(visit.person)
    async with visit.site.store.read() as connection:
        waiting = await store.listed(connection, groups, (store.OPEN,), limit=SHOWN_OPEN)
        answered = await store.listed(connection, groups, (store.GRANTED, store.REFUSED), limit=SHOWN_ANSWERED)
        counts = await open_counts(connection, groups)
        usual = await requests.usual_wait(connection)
    return visit.page(
        "requests/index.html",
        status,
        waiting=[_shown(visit, request) for request in waiting],
        answered=[_shown(visit, request) for request in answered],
        more=max(0, sum(counts.values()) - len(waiting)),
        usual=usual,
        may_answer=visit.person.role is not Role.VIEWER,
        is_admin=visit.person.role is Role.ADMIN,
        wrong=wrong,
        wrong_id=wrong_id,
        answer_limit=requests.ANSWER,
    )


def _shown(visit: Visit, request: store.Request) -> dict[str, object]:
    """A request with the words that the page puts around it."""
    group = visit.view.snapshot.groups.get(request.group)
    clock_trusted = trusted(visit.site.box.workers())
    return {
        "request": request,
        "class_title": title_of(group) if group is not None else request.group,
        "why": category_title(request.category, visit.language) if request.category else _why(visit, request.rung),
        "bell": None if group is None else lesson_end(visit.view, request.group, visit.now, clock_trusted),
        "who": name_of(request.answered_by),
        "took": None if request.answered_at is None else max(0.0, request.answered_at - request.at),
    }


def _why(visit: Visit, rung: int) -> str:
    return rung_title(Rung(rung), visit.translate) if rung in set(Rung) else ""


async def grant(visit: Visit) -> Response:
    return await _answered(visit, granted=True)


async def refuse(visit: Visit) -> Response:
    return await _answered(visit, granted=False)


async def _answered(visit: Visit, *, granted: bool) -> Response:
    answering = requests.Answering(visit.site, visit.view, visit.person, visit.group, _id(visit), visit.now)
    _ = visit.translate
    try:
        if granted:
            everybody = visit.text("everybody", 1) == "1"
            request = await requests.grant(answering, visit.text("length", 10), visit.text("answer"), everybody=everybody)
            done = _("{site} is open for the class now.").format(site=request.name)
        else:
            request = await requests.refuse(answering, visit.text("answer"))
            done = _("{site} stays closed; whoever opens the page again reads your answer.").format(site=request.name)
    except StoreTrouble as error:
        return await _index(visit, said(error, _), answering.request_id, 503)
    except Refused as error:
        if error.status == 404:
            raise
        return await _index(visit, said(error.message, _), answering.request_id, error.status)
    return visit.back("/requests", done)


def _id(visit: Visit) -> int:
    request_id = int(visit.request.path_params["id"])
    if request_id > LARGEST_ID:
        raise Refused(Message("There is no such request."), status=404)
    return request_id


PAGES = (
    Page("GET", "/requests", index, Access.SIGNED_IN),
    Page("POST", "/classes/{group}/requests/{id:int}/grant", grant, Access.OWN_CLASS),
    Page("POST", "/classes/{group}/requests/{id:int}/refuse", refuse, Access.OWN_CLASS),
)

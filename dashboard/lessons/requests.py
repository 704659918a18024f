"""Pupils' requests for sites: taken from the block page, answered by the class's teachers or IT staff. What pages and the API carry out alike.

An answer is given once: whoever is second is told who was quicker. A request that was granted is one whose site was opened by the same act; where
it cannot be opened the request stays open and the refusal says which rung forbids it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import AsyncConnection

from dashboard.access import Person, Role
from dashboard.lessons.classes import lesson_end, name_of, trusted
from dashboard.lessons.switching import Caller, unblock
from dashboard.refusal import Refused
from dashboard.school import View
from dashboard.store import audit
from dashboard.store import requests as store
from dashboard.store.requests import Request
from dashboard.tables.one_line import one_line
from filters.message import Message
from policies.decide import Block, Policy, Rung, decide
from policies.model import LocalRule, State
from policies.school_time import DAY
from policies.snapshot import Snapshot

if TYPE_CHECKING:
    from dashboard.site import Site

LENGTHS = ("lesson", "45", "today", "always")
"""for how long a site is opened; ``always`` is a rule of the school's, and IT staff's to make"""
ANSWER = 200
"""characters of an answer to a pupil"""
NOTE, SIGNED = 300, 60
"""characters of what a pupil writes"""
SHOWN_FOR = 86400.0
"""seconds for which a pupil is shown the answer"""
FEW = 3
"""answers below which nothing is said of how long they take"""


def site_of(name: str) -> str:
    """What a pupil means who asks for ``www.example.vn``: the site without the name of its web server."""
    rest = name.removeprefix("www.")
    return rest if "." in rest else name


def groups_of(person: Person) -> frozenset[str] | None:
    """Whose requests a person sees; None: every group's."""
    return person.classes if person.role is Role.TEACHER else None


async def usual_wait(connection: AsyncConnection) -> float | None:
    """Seconds in which half of the school's last 30 answers came; None: too few to say."""
    times = await store.answer_times(connection)
    return median(times) if len(times) >= FEW else None


@dataclass(frozen=True, slots=True)
class Answering:
    """Who answers which request, and when."""

    site: "Site"
    view: View
    person: Person
    group: str
    request_id: int
    now: float

    @property
    def caller(self) -> Caller:
        return Caller(self.site, self.view, self.person, self.group, self.now)


async def grant(answering: Answering, length: str, answer: str = "", *, everybody: bool = False) -> Request:
    """Open the site of an open request for the class; ``everybody``: with ``always``, for the whole school. Raises Refused, StoreTrouble."""
    answer = one_line(answer, "answer", ANSWER, required=False)
    if length not in LENGTHS:
        raise Refused(Message("Choose how long."), status=422, field="length")
    if length == "always" and answering.person.role is not Role.ADMIN:
        raise Refused(Message("Only IT staff open a site for good."), status=403, field="length")
    until = _end(answering, length)
    request = await _claim(answering, store.GRANTED, answer, {"length": length} | ({} if until is None else {"until": until}))
    try:
        await _open(answering, request, until, everybody=everybody)
    except BaseException:
        async with answering.site.store.write() as connection:
            await store.reopen(connection, request.id, answering.now)
            await audit.settle(connection, request.audit, "failed")
        raise
    return request.request


async def refuse(answering: Answering, answer: str) -> Request:
    """Say no, with a reason that the pupil reads. Raises Refused, StoreTrouble."""
    return (await _claim(answering, store.REFUSED, one_line(answer, "answer", ANSWER, required=False), {})).request


@dataclass(frozen=True, slots=True)
class _Claimed:
    request: Request
    audit: Sequence[int]

    @property
    def id(self) -> int:
        return self.request.id


async def _claim(answering: Answering, state: str, answer: str, detail: dict[str, object]) -> _Claimed:
    """Answer in the store first, so that of two who answer at once one is told."""
    person, now = answering.person, answering.now
    async with answering.site.store.write() as connection:
        settled = await store.settle(connection, answering.group, answering.request_id, now, state, person.shown, answer)
        request = await store.find(connection, answering.group, answering.request_id)
        if request is None:
            raise Refused(Message("There is no such request."), status=404)
        if not settled:
            raise Refused(Message("{who} has answered this already. Nothing was changed.", who=name_of(request.answered_by)))
        action = "request.granted" if state == store.GRANTED else "request.refused"
        entry = audit.Entry(action, answering.group, {"name": request.name, **detail}, answer)
        return _Claimed(request, await audit.add(connection, now, person, [entry]))


def _end(answering: Answering, length: str) -> float | None:
    """Until when; None: for good. Raises Refused."""
    view, now = answering.view, answering.now
    if length == "always":
        return None
    if length == "45":
        return now + 45 * 60.0
    clock_trusted = trusted(answering.site.box.workers())
    if length == "lesson":
        end = lesson_end(view, answering.group, now, clock_trusted)
        if end is None:
            raise Refused(Message("No lesson is on now; please choose 45 minutes or today."), field="length")
        return end
    calendar = view.snapshot.timetables.calendar
    return calendar.instant(calendar.local(now).date(), DAY)


async def _open(answering: Answering, claimed: _Claimed, until: float | None, *, everybody: bool) -> None:
    name = claimed.request.name
    if until is None:
        await _open_for_good(answering, name, everybody=everybody)
        return
    verdict = decide(name, 1, _policy(answering, answering.view.snapshot), answering.view.index)
    if isinstance(verdict, Block) or verdict.reason.rung is Rung.LESSON_UNBLOCK:
        await unblock(answering.caller, name, until, claimed.request.answer)


async def _open_for_good(answering: Answering, name: str, *, everybody: bool) -> None:
    groups = () if everybody else (answering.group,)
    rule = LocalRule(action="allow", name=name, groups=groups, by=answering.person.shown)

    def change(state: State) -> State:
        """In place of an earlier rule that says the same for the same groups."""
        kept = tuple(other for other in state.rules if (other.action, other.name, other.groups) != (rule.action, rule.name, rule.groups))
        return state.model_copy(update={"rules": (*kept, rule)})

    view = answering.view
    after = _policy(answering, Snapshot(view.file, change(view.state), view.index))
    verdict = decide(name, 1, after, view.index)
    if isinstance(verdict, Block) and verdict.reason.rung in (Rung.LOCKED_BLOCK, Rung.SCHOOL_BLOCK):
        if verdict.reason.rung is Rung.LOCKED_BLOCK:
            raise Refused(
                Message("{name} stays blocked: it is on the authorities' list, which nobody in the school can lift (rung 1).", name=name)
            )
        raise Refused(Message("{name} stays blocked by a rule of the school's; please change that rule instead.", name=name))
    detail = {"action": "allow", "name": name, "groups": list(groups)}
    await answering.site.changes.make(answering.person, audit.Entry("rule.added", name, detail), change)


def _policy(answering: Answering, snapshot: Snapshot) -> Policy:
    if answering.group not in snapshot.groups:
        raise Refused(Message("There is no such class."), status=404)
    return snapshot.policy(answering.group, answering.now, trusted(answering.site.box.workers()))

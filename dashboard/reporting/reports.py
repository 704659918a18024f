"""Reports of harmful content, from the pupil to the province: taken, worked on in the four states of vn-cop.vn, handed on. What pages, API and block page share.

A report that was taken is in the store before anybody is told its number, and stays there. Nothing is kept of the sender but what the sender wrote: no address, no
device, no account. The same said again within an hour, without a word of one's own, counts with the first; whatever says something is a report of its own.
"""

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from dashboard.access import Person
from dashboard.block_page.forms import clean
from dashboard.refusal import Refused
from dashboard.reporting.forwarding import categories, document
from dashboard.reporting.words import ABUSE, KINDS, MISTAKE
from dashboard.school import View
from dashboard.store import audit, outbox
from dashboard.store import reports as store
from dashboard.store.outbox import Item
from dashboard.store.reports import AGAIN, CLOSED, QUEUED, STATES, Report, Step
from dashboard.tables.one_line import one_line
from filters.message import Message

if TYPE_CHECKING:
    from dashboard.site import Site

NOTE, TARGET, SIGNED = 2000, 500, 200
"""characters"""
STEP_NOTE = 1000
SAME_FOR = 3600.0
"""seconds within which the same counts with the first"""
LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Base32 without those that look alike (Crockford's)"""
GENTLE = frozenset(("self-harm", "child-abuse"))
"""categories in which a child may be in danger"""
LARGEST_ID = 2**63 - 1


# ---- taking ----


def new_number() -> str:
    """``K7QM-2XTD``: 40 random bits, so that nobody finds another's by counting."""
    letters = "".join(secrets.choice(LETTERS) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"


async def take(site: "Site", kind: str, target: str, note: str, signed: str, group: str, now: float) -> str:
    """The number of a report that is stored now. ``group``: the sender's class, or empty. Raises Refused, StoreTrouble; then nothing is stored."""
    return (await taken(site, kind, target, note, signed, group, now)).number


async def taken(site: "Site", kind: str, target: str, note: str, signed: str, group: str, now: float) -> Report:
    """``take``, for whoever may see the report."""
    if kind not in KINDS:
        raise Refused(Message("Please choose what it is."), status=422, field="kind")
    target = one_line(clean(target).replace("\n", " "), "target", TARGET)
    note = _bounded(clean(note), "note", NOTE)
    signed = _bounded(" ".join(clean(signed).split()), "signed", SIGNED)
    view = await site.school.now()
    async with site.store.write() as connection:
        if not note and not signed:
            twin = await store.twin(connection, now - SAME_FOR, kind, target, group)
            if twin is not None:
                await store.add_step(connection, twin.id, now, "", AGAIN)
                return twin
        report = await store.add(connection, await _free_number(connection), now, kind, target, note, signed, group)
        if kind != MISTAKE and view.province is not None and view.province.recipient is not None and view.province.recipient.automatic:
            await _put(connection, view, report, now, "")
    site.outbox.set()
    return report


def _bounded(text: str, field: str, limit: int) -> str:
    if len(text) > limit:
        raise Refused(Message("This is too long: at most {limit} characters.", limit=limit), status=422, field=field)
    return text


async def _free_number(connection: AsyncConnection) -> str:
    while True:
        number = new_number()
        if not await store.is_taken(connection, number):
            return number


# ---- working on it ----


def moves(report: Report) -> tuple[str, ...]:
    """The statuses that a report may have next: one state on, one back, closed; a closed one is taken up again where it was."""
    if report.closed_at is not None:
        return (report.state,)
    at = STATES.index(report.state)
    return (*STATES[at + 1 : at + 2], *STATES[max(at - 1, 0) : at], CLOSED)


async def move(site: "Site", person: Person, report_id: int, seen: str, to: str, note: str, now: float) -> Report:
    """Give the report the status ``to``; ``seen`` is the one that whoever decides this has read. Raises Refused, StoreTrouble."""
    note = _bounded(clean(note), "note", STEP_NOTE)
    async with site.store.write() as connection:
        report = await _found(connection, report_id)
        if report.status != seen:
            raise Refused(Message("Somebody was quicker: this report has another state now. Nothing was changed."))
        if to not in moves(report):
            raise Refused(Message("A report cannot go from this state to that one."), status=422, field="to")
        if to == CLOSED and not note:
            raise Refused(Message("Please write what came of it."), status=422, field="note")
        state, closed_at = (report.state, now) if to == CLOSED else (to, None)
        if not await store.move(connection, report, state, closed_at):
            raise Refused(Message("Somebody was quicker: this report has another state now. Nothing was changed."))
        await store.add_step(connection, report.id, now, person.shown, to, note)
        await audit.add(connection, now, person, [audit.Entry("report.step", report.number, {"from": seen, "to": to}, note)])
        return await _found(connection, report_id)


async def _found(connection: AsyncConnection, report_id: int) -> Report:
    report = await store.find(connection, report_id) if 0 < report_id <= LARGEST_ID else None
    if report is None:
        raise Refused(Message("There is no such report."), status=404)
    return report


# ---- handing on ----


class Way(NamedTuple):
    kind: str
    """webhook or mail"""
    target: str


def ways(view: View) -> tuple[Way, ...]:
    """How this school's reports reach the province: by webhook, and by mail where the school can send mail or there is nothing else."""
    recipient = view.province.recipient if view.province is not None else None
    if recipient is None:
        return ()
    found = [Way("webhook", recipient.webhook)] if recipient.webhook is not None else []
    if recipient.mail is not None and (view.file.dashboard.mail is not None or not found):
        found.append(Way("mail", recipient.mail))
    return tuple(found)


async def forward(site: "Site", view: View, person: Person, report_id: int, now: float) -> Report:
    """Put the report into the outbox as it is now. Raises Refused, StoreTrouble."""
    async with site.store.write() as connection:
        report = await _found(connection, report_id)
        if not ways(view):
            raise Refused(Message("The province's file names nobody who takes reports."))
        items = (await outbox.of_reports(connection, (report.id,))).get(report.id, [])
        if any(item.accepted_at is None for item in items):
            raise Refused(Message("This report is on its way to the province already."))
        await _put(connection, view, report, now, person.shown)
        detail = {"ways": [way.kind for way in ways(view)]}
        await audit.add(connection, now, person, [audit.Entry("report.forwarded", report.number, detail)])
    site.outbox.set()
    return report


async def _put(connection: AsyncConnection, view: View, report: Report, now: float, by: str) -> None:
    frozen = document(view, report, province_steps(await store.steps(connection, report.id)))
    for way in ways(view):
        await outbox.put(connection, report.id, way.kind, way.target, frozen, now)
    await store.add_step(connection, report.id, now, by, QUEUED)


def province_steps(steps: list[Step]) -> list[Step]:
    """Those that are states; who took them and what they noted stays at the school."""
    return [step for step in steps if step.state in (*STATES, CLOSED)]


# ---- looking ----


@dataclass(frozen=True, slots=True)
class Known:
    """All that there is to know of a report."""

    report: Report
    steps: list[Step]
    again: int
    items: list[Item]
    categories: list[str]

    @property
    def is_grave(self) -> bool:
        """Whether a child may be in danger."""
        return self.report.kind == ABUSE or not GENTLE.isdisjoint(self.categories)


async def know(site: "Site", view: View, report_id: int) -> Known:
    """Raises Refused (404), StoreTrouble."""
    async with site.store.read() as connection:
        report = await _found(connection, report_id)
        steps = await store.steps(connection, report.id)
        again = (await store.times_again(connection, (report.id,))).get(report.id, 0)
        items = (await outbox.of_reports(connection, (report.id,))).get(report.id, [])
    return Known(report, steps, again, items, categories(view.index, report.target))


def progress(items: list[Item], now: float) -> str:
    """How handing on stands: nothing, accepted, waiting or overdue."""
    if not items:
        return ""
    if any(item.is_overdue(now) for item in items):
        return "overdue"
    return "waiting" if any(item.accepted_at is None for item in items) else "accepted"

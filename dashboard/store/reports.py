"""Reports of harmful content, in the store: the report, and every step that was taken with it. No address and no device is ever here.

A report has one of the four states of vn-cop.vn and is open or closed; a closed one keeps the state in which it was closed, so that it can be taken up again.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dashboard.store.tables import report_steps, reports

RECEIVED, COLLECTING, VERIFYING, COORDINATING = STATES = ("received", "collecting", "verifying", "coordinating")
"""Tiếp nhận, Thu thập, Xác minh và đánh giá, Điều phối xử lý"""
CLOSED = "closed"
AGAIN, QUEUED, FORWARDED = "again", "queued", "forwarded"
"""what steps say besides states: the same was reported once more; put into the outbox; taken by the province"""


@dataclass(frozen=True, slots=True)
class Report:
    id: int
    number: str
    at: float
    kind: str
    target: str
    note: str
    signed: str
    group: str
    state: str
    closed_at: float | None

    @property
    def status(self) -> str:
        """One of STATES, or CLOSED."""
        return self.state if self.closed_at is None else CLOSED


@dataclass(frozen=True, slots=True)
class Step:
    at: float
    by: str
    """empty: the box, or a sender who is not named"""
    state: str
    note: str


_COLUMNS = (
    reports.c.id, reports.c.number, reports.c.at, reports.c.kind, reports.c.target, reports.c.note, reports.c.signed, reports.c.group_name,
    reports.c.state, reports.c.closed_at,
)  # fmt: skip


def _report(row: Any) -> Report:
    return Report(*row)


async def is_taken(connection: AsyncConnection, number: str) -> bool:
    """Whether a report has this number."""
    return (await connection.execute(select(reports.c.id).where(reports.c.number == number))).one_or_none() is not None


async def add(connection: AsyncConnection, number: str, now: float, kind: str, target: str, note: str, signed: str, group: str) -> Report:
    """A new report, received now."""
    values = {"number": number, "at": now, "kind": kind, "target": target, "note": note, "signed": signed, "group_name": group}
    report = _report((await connection.execute(insert(reports).values(**values).returning(*_COLUMNS))).one())
    await add_step(connection, report.id, now, "", RECEIVED)
    return report


async def add_step(connection: AsyncConnection, report_id: int, now: float, by: str, state: str, note: str = "") -> None:
    await connection.execute(insert(report_steps).values(report_id=report_id, at=now, by=by, state=state, note=note))


async def twin(connection: AsyncConnection, since: float, kind: str, target: str, group: str) -> Report | None:
    """An open report that says the same of the same for the same group, and is not older."""
    same = (reports.c.kind == kind) & (reports.c.target == target) & (reports.c.group_name == group)
    query = (
        select(*_COLUMNS).where(same, reports.c.at >= since, reports.c.closed_at.is_(None)).order_by(reports.c.at, reports.c.id).limit(1)
    )
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _report(row)


async def find(connection: AsyncConnection, report_id: int) -> Report | None:
    row = (await connection.execute(select(*_COLUMNS).where(reports.c.id == report_id))).one_or_none()
    return None if row is None else _report(row)


async def steps(connection: AsyncConnection, report_id: int) -> list[Step]:
    """All steps but AGAIN, in the order in which they were taken."""
    columns = report_steps.c.at, report_steps.c.by, report_steps.c.state, report_steps.c.note
    query = select(*columns).where(report_steps.c.report_id == report_id, report_steps.c.state != AGAIN)
    return [Step(*row) for row in await connection.execute(query.order_by(report_steps.c.at, report_steps.c.id))]


async def times_again(connection: AsyncConnection, report_ids: Collection[int]) -> dict[int, int]:
    """How often these were reported once more; those that were not are missing."""
    query = select(report_steps.c.report_id, func.count()).where(report_steps.c.report_id.in_(report_ids), report_steps.c.state == AGAIN)
    return {report_id: int(count) for report_id, count in await connection.execute(query.group_by(report_steps.c.report_id))}


async def closing_notes(connection: AsyncConnection, report_ids: Collection[int]) -> dict[int, str]:
    """What was written when these were closed, for the last time."""
    query = select(report_steps.c.report_id, report_steps.c.note).where(
        report_steps.c.report_id.in_(report_ids), report_steps.c.state == CLOSED
    )
    rows = await connection.execute(query.order_by(report_steps.c.id))
    return {row.report_id: row.note for row in rows}


async def move(connection: AsyncConnection, report: Report, state: str, closed_at: float | None) -> bool:
    """False: somebody has moved it meanwhile; nothing was changed."""
    as_seen = (reports.c.id == report.id) & (reports.c.state == report.state)
    as_seen &= reports.c.closed_at.is_(None) if report.closed_at is None else reports.c.closed_at == report.closed_at
    moved = await connection.execute(update(reports).where(as_seen).values(state=state, closed_at=closed_at).returning(reports.c.id))
    return moved.scalar_one_or_none() is not None


async def counts(connection: AsyncConnection) -> dict[str, int]:
    """How many reports there are of each status, none left out."""
    is_closed = reports.c.closed_at.is_not(None)
    found = dict.fromkeys((*STATES, CLOSED), 0)
    for state, closed, count in await connection.execute(
        select(reports.c.state, is_closed, func.count()).group_by(reports.c.state, is_closed)
    ):
        found[CLOSED if closed else state] += int(count)
    return found


async def listed(connection: AsyncConnection, status: str | None, limit: int, offset: int = 0) -> list[Report]:
    """Reports of one status (None: of every): open ones the oldest first, so that none is forgotten; otherwise the newest first."""
    query = select(*_COLUMNS)
    if status == CLOSED:
        query = query.where(reports.c.closed_at.is_not(None)).order_by(reports.c.closed_at.desc(), reports.c.id.desc())
    elif status is not None:
        query = query.where(reports.c.state == status, reports.c.closed_at.is_(None)).order_by(reports.c.at, reports.c.id)
    else:
        query = query.order_by(reports.c.at.desc(), reports.c.id.desc())
    return [_report(row) for row in await connection.execute(query.limit(limit).offset(offset))]


async def between(connection: AsyncConnection, since: float, until: float) -> list[Report]:
    """Reports that came within that time, in the order in which they came."""
    query = select(*_COLUMNS).where(reports.c.at >= since, reports.c.at < until).order_by(reports.c.at, reports.c.id)
    return [_report(row) for row in await connection.execute(query)]

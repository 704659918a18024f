"""The outbox, in the store: what must reach the province, one row for each way (webhook, mail). A row waits until it was accepted, for ever if need be."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dashboard.store.tables import outbox, reports

OVERDUE = 24 * 3600.0
"""seconds after which a row that was not accepted is an alarm"""


@dataclass(frozen=True, slots=True)
class Item:
    id: int
    report_id: int
    number: str
    """the report's"""
    way: str
    """webhook or mail"""
    target: str
    """where it went last, or was to go when it was put in; where it goes now the province's file says"""
    document: bytes
    created_at: float
    attempts: int
    """that failed"""
    next_at: float
    trouble: str
    """why it has not been accepted, as dashboard/reporting/outbox.py writes and says it"""
    accepted_at: float | None

    @property
    def key(self) -> str:
        """The same for every attempt, and no other's: what the recipient knows doubles by."""
        return f"{self.number}-{self.id}"

    def is_overdue(self, now: float) -> bool:
        return self.accepted_at is None and self.created_at < now - OVERDUE


_COLUMNS = (
    outbox.c.id, outbox.c.report_id, reports.c.number, outbox.c.kind, outbox.c.target, outbox.c.body, outbox.c.created_at, outbox.c.attempts,
    outbox.c.next_at, outbox.c.trouble, outbox.c.accepted_at,
)  # fmt: skip
_ITEMS = select(*_COLUMNS).join(reports, reports.c.id == outbox.c.report_id)
_WAITING = outbox.c.accepted_at.is_(None)


def _item(row: Any) -> Item:
    return Item(*row)


async def put(connection: AsyncConnection, report_id: int, way: str, target: str, document: bytes, now: float) -> None:
    """In the caller's transaction: it will be sent, or the report was not handed on."""
    values = {"report_id": report_id, "kind": way, "target": target, "body": document, "created_at": now, "next_at": now}
    await connection.execute(insert(outbox).values(**values))


async def of_reports(connection: AsyncConnection, report_ids: Collection[int]) -> dict[int, list[Item]]:
    """Report -> its rows, the oldest first; reports without any are missing."""
    found: dict[int, list[Item]] = {}
    for row in await connection.execute(_ITEMS.where(outbox.c.report_id.in_(report_ids)).order_by(outbox.c.id)):
        item = _item(row)
        found.setdefault(item.report_id, []).append(item)
    return found


async def due(connection: AsyncConnection, now: float, longest: float, limit: int) -> list[Item]:
    """Rows whose time has come; one that is due later than ``longest`` seconds from now was put off by a clock that has been set back since."""
    time_has_come = or_(outbox.c.next_at <= now, outbox.c.next_at > now + longest)
    return [_item(row) for row in await connection.execute(_ITEMS.where(_WAITING, time_has_come).order_by(outbox.c.next_at).limit(limit))]


async def next_due(connection: AsyncConnection) -> float | None:
    """When the next row is due; None: nothing waits."""
    at: float | None = (await connection.execute(select(func.min(outbox.c.next_at)).where(_WAITING))).scalar_one_or_none()
    return at


async def accept(connection: AsyncConnection, item_id: int, target: str, at: float) -> bool:
    """It was taken; False: that was known."""
    taken = update(outbox).where(outbox.c.id == item_id, _WAITING).values(accepted_at=at, target=target, trouble="").returning(outbox.c.id)
    return (await connection.execute(taken)).scalar_one_or_none() is not None


async def put_off(connection: AsyncConnection, item_id: int, *, attempts: int, next_at: float, trouble: str) -> None:
    """It was not taken."""
    values = {"attempts": attempts, "next_at": next_at, "trouble": trouble}
    await connection.execute(update(outbox).where(outbox.c.id == item_id, _WAITING).values(**values))


async def count_overdue(connection: AsyncConnection, now: float) -> int:
    """Reports that have waited for the province for longer than a day."""
    query = select(func.count(func.distinct(outbox.c.report_id))).where(_WAITING, outbox.c.created_at < now - OVERDUE)
    return int((await connection.execute(query)).scalar_one())

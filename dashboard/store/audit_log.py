"""The audit log, read: the newest first, a page at a time, by whatever is asked for."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from dashboard.store.tables import audit, people


@dataclass(frozen=True, slots=True)
class Question:
    """What to show; everything that is empty is not asked."""

    person: str = ""
    """a part of a name or a login"""
    action: str = ""
    text: str = ""
    """a part of what was changed, or of the reason"""
    since: float | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    id: int
    at: float
    by: str
    action: str
    object: str
    detail: dict[str, Any]
    reason: str
    outcome: str


async def read(connection: AsyncConnection, question: Question, limit: int, before: int | None = None) -> list[Row]:
    """At most ``limit`` rows; ``before``: the id of the last row of the page before, which begins where that one ended."""
    fields = (audit.c.id, audit.c.at, audit.c.by, audit.c.action, audit.c.object, audit.c.detail, audit.c.reason, audit.c.outcome)
    query: Select[Any] = select(*fields).order_by(audit.c.at.desc(), audit.c.id.desc()).limit(limit)
    if question.person:
        found = await _people(connection, question.person)
        query = query.where(or_(audit.c.by.contains(question.person, autoescape=True), audit.c.person_id.in_(found)))
    if question.action:
        query = query.where(audit.c.action == question.action)
    if question.text:
        query = query.where(
            or_(audit.c.object.contains(question.text, autoescape=True), audit.c.reason.contains(question.text, autoescape=True))
        )
    if question.since is not None:
        query = query.where(audit.c.at >= question.since)
    if question.until is not None:
        query = query.where(audit.c.at < question.until)
    if before is not None:
        at = (await connection.execute(select(audit.c.at).where(audit.c.id == before))).scalar()
        if at is None:
            return []
        query = query.where(and_(audit.c.at <= at, tuple_(audit.c.at, audit.c.id) < (at, before)))
    return [Row(*row) for row in await connection.execute(query)]


async def _people(connection: AsyncConnection, part: str) -> Collection[int]:
    """Whose name or login has this part, whatever its capitals: SQLite knows only those of ASCII."""
    part = part.casefold()
    rows = await connection.execute(select(people.c.id, people.c.name, people.c.login))
    return [row.id for row in rows if part in f"{row.name} ({row.login})".casefold()]

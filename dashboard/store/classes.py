"""What the store knows of classes: open requests, and who changed what lately."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dashboard.store.tables import assignments, audit, people, requests, sessions

CHANGES = ("class.mode", "class.end", "class.extend", "class.undo", "class.unblock", "class.unblock-end")
"""the audit log's words for what is done with a class"""


async def latest_requests(connection: AsyncConnection, group: str, limit: int) -> Sequence[Row[Any]]:
    """The newest open ones, with the name that is asked for and the note."""
    query = select(requests).where(requests.c.group_name == group, requests.c.state == "open").order_by(requests.c.at.desc()).limit(limit)
    return (await connection.execute(query)).all()


async def last_changes(connection: AsyncConnection, group: str, limit: int) -> Sequence[Row[Any]]:
    """The newest first; a change that did not come about is left out."""
    query = (
        select(audit)
        .where(audit.c.action.in_(CHANGES), audit.c.object == group, audit.c.outcome != "failed")
        .order_by(audit.c.at.desc(), audit.c.id.desc())
        .limit(limit)
    )
    return (await connection.execute(query)).all()


async def still_signed_in(
    connection: AsyncConnection, session_ids: Collection[int], now: float
) -> dict[int, tuple[str, str, frozenset[str]]]:
    """Session -> role, language and classes of whoever is signed in with it; a session that has ended is left out."""
    query = (
        select(sessions.c.id, people.c.id.label("person_id"), people.c.role, people.c.language)
        .join(people, sessions.c.person_id == people.c.id)
        .where(sessions.c.id.in_(session_ids), sessions.c.expires_at > now, people.c.active)
    )
    rows = (await connection.execute(query)).all()
    held = select(assignments.c.person_id, assignments.c.group_name).where(
        assignments.c.person_id.in_({row.person_id for row in rows}),
        func.coalesce(assignments.c.since, now) <= now,
        func.coalesce(assignments.c.until, now + 1) > now,
    )
    classes: dict[int, set[str]] = {}
    for person_id, group in await connection.execute(held):
        classes.setdefault(person_id, set()).add(group)
    return {row.id: (row.role, row.language, frozenset(classes.get(row.person_id, ()))) for row in rows}

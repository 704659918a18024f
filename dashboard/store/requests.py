"""Pupils' requests for sites, in the store. Who asked is what a pupil wrote as a name, or nobody; no address is ever here."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dashboard.access import Role
from dashboard.store.tables import assignments, people, requests

OPEN, GRANTED, REFUSED = STATES = ("open", "granted", "refused")
MOST_OPEN = 200
"""of one group; more than that nobody answers"""


@dataclass(frozen=True, slots=True)
class Request:
    id: int
    at: float
    group: str
    name: str
    note: str
    signed: str
    category: str
    rung: int
    count: int
    """how often it was asked for while it was open"""
    state: str
    answered_at: float | None
    answered_by: str
    answer: str


_COLUMNS = (
    requests.c.id, requests.c.at, requests.c.group_name, requests.c.name, requests.c.note, requests.c.signed, requests.c.category,
    requests.c.rung, requests.c.count, requests.c.state, requests.c.answered_at, requests.c.answered_by, requests.c.answer,
)  # fmt: skip


def _request(row: Any) -> Request:
    return Request(*row)


async def ask(
    connection: AsyncConnection, now: float, group: str, name: str, note: str, signed: str, category: str, rung: int
) -> int | None:
    """The request's id: a new one, or the open one for this name, which then counts one more. None: the group has too many open ones."""
    known = (requests.c.group_name == group) & (requests.c.name == name) & (requests.c.state == OPEN)
    row = (await connection.execute(select(requests.c.id, requests.c.note, requests.c.signed).where(known).limit(1))).one_or_none()
    if row is not None:
        said = {} if row.note or row.signed else {"note": note, "signed": signed}  # nobody's note under another's name
        values = {"count": requests.c.count + 1, **said}
        await connection.execute(update(requests).where(requests.c.id == row.id).values(**values))
        return int(row.id)
    if (await open_counts(connection, (group,))).get(group, 0) >= MOST_OPEN:
        return None
    new = {"at": now, "group_name": group, "name": name, "note": note, "signed": signed, "category": category, "rung": rung}
    return int((await connection.execute(insert(requests).values(**new).returning(requests.c.id))).scalar_one())


async def open_counts(connection: AsyncConnection, groups: Collection[str] | None = None) -> dict[str, int]:
    """How many open requests each of these groups has (None: every group); a group without any is missing."""
    query = select(requests.c.group_name, func.count()).where(requests.c.state == OPEN).group_by(requests.c.group_name)
    if groups is not None:
        query = query.where(requests.c.group_name.in_(groups))
    return {group: int(count) for group, count in (await connection.execute(query)).all()}


async def listed(
    connection: AsyncConnection, groups: Collection[str] | None, states: Collection[str], limit: int = 100, offset: int = 0
) -> list[Request]:
    """Requests of these groups (None: every group) in these states: the one that was asked for first, or answered last, comes first."""
    query = select(*_COLUMNS).where(requests.c.state.in_(states))
    if groups is not None:
        query = query.where(requests.c.group_name.in_(groups))
    order = (
        (requests.c.at, requests.c.id)
        if tuple(states) == (OPEN,)
        else (func.coalesce(requests.c.answered_at, requests.c.at).desc(), requests.c.id.desc())
    )
    return [_request(row) for row in (await connection.execute(query.order_by(*order).limit(limit).offset(offset))).all()]


async def find(connection: AsyncConnection, group: str, request_id: int) -> Request | None:
    """A request of this group; one of another group is not found."""
    query = select(*_COLUMNS).where(requests.c.id == request_id, requests.c.group_name == group)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _request(row)


async def settle(connection: AsyncConnection, group: str, request_id: int, now: float, state: str, by: str, answer: str) -> bool:
    """Answer an open request; False: there is none with this id, or somebody was quicker."""
    open_one = (requests.c.id == request_id) & (requests.c.group_name == group) & (requests.c.state == OPEN)
    values = {"state": state, "answered_at": now, "answered_by": by, "answer": answer}
    result = await connection.execute(update(requests).where(open_one).values(**values).returning(requests.c.id))
    return result.scalar_one_or_none() is not None


async def reopen(connection: AsyncConnection, request_id: int, answered_at: float) -> None:
    """Take an answer back that could not be carried out."""
    answered = (requests.c.id == request_id) & (requests.c.answered_at == answered_at)
    await connection.execute(update(requests).where(answered).values(state=OPEN, answered_at=None, answered_by="", answer=""))


async def last_answer(connection: AsyncConnection, group: str, name: str, since: float) -> Request | None:
    """The newest request of this group for this name, if it is open or was answered since then."""
    mine = (requests.c.group_name == group) & (requests.c.name == name)
    lately = or_(requests.c.state == OPEN, requests.c.answered_at >= since)
    query = select(*_COLUMNS).where(mine, lately).order_by(requests.c.at.desc(), requests.c.id.desc()).limit(1)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _request(row)


async def answer_times(connection: AsyncConnection, last: int = 30) -> list[float]:
    """Seconds from question to answer of the requests that were answered last."""
    query = select(requests.c.answered_at - requests.c.at).where(requests.c.answered_at.is_not(None))
    rows = (await connection.execute(query.order_by(requests.c.answered_at.desc()).limit(last))).scalars()
    return [max(0.0, float(seconds)) for seconds in rows]


async def has_teacher(connection: AsyncConnection, group: str, now: float) -> bool:
    """Whether anybody can answer for this group besides IT staff."""
    held = (
        select(assignments.c.id)
        .join(people, people.c.id == assignments.c.person_id)
        .where(
            assignments.c.group_name == group,
            people.c.active,
            people.c.role == Role.TEACHER,
            or_(assignments.c.since.is_(None), assignments.c.since <= now),
            or_(assignments.c.until.is_(None), assignments.c.until > now),
        )
    )
    return (await connection.execute(held.limit(1))).one_or_none() is not None

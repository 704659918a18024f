"""The people of the school as IT staff sees and changes them, in the store. Every function takes a connection; the caller says what is one transaction."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Row, and_, delete, func, insert, not_, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dashboard.access import Role
from dashboard.store.people import count_admins
from dashboard.store.tables import assignments, people, recovery_codes, sessions

PAGE = 50


class Substitute(NamedTuple):
    """A class that somebody has for some days."""

    id: int
    group: str
    since: float
    until: float
    given_by: str


class Found(NamedTuple):
    rows: Sequence[Row[tuple[object, ...]]]
    total: int
    page: int
    pages: int


def _matching(q: str, role: str, group: str, now: float) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    for word in q.lower().split()[:8]:
        pattern = f"%{word.replace('!', '!!').replace('%', '!%').replace('_', '!_')}%"
        wanted.append(
            or_(
                func.lower(people.c.name).like(pattern, escape="!"),
                people.c.login.like(pattern, escape="!"),
                people.c.email.like(pattern, escape="!"),
            )
        )
    if role:
        wanted.append(people.c.role == role)
    if group:
        held = select(assignments.c.person_id).where(
            assignments.c.group_name == group, or_(assignments.c.until.is_(None), assignments.c.until > now)
        )
        wanted.append(people.c.id.in_(held))
    return wanted


async def search(connection: AsyncConnection, q: str, role: str, group: str, page: int, now: float) -> Found:
    """A page of people by name; ``q`` words that name, login or e-mail contain. A page that does not exist is the nearest."""
    where = and_(true(), *_matching(q, role, group, now))
    total = int((await connection.execute(select(func.count()).select_from(people).where(where))).scalar_one())
    pages = max(1, -(-total // PAGE))
    page = min(max(1, page), pages)
    query = select(people).where(where).order_by(func.lower(people.c.name), people.c.id).limit(PAGE).offset((page - 1) * PAGE)
    return Found((await connection.execute(query)).all(), total, page, pages)


async def everybody(connection: AsyncConnection) -> Sequence[Row[tuple[object, ...]]]:
    return (await connection.execute(select(people).order_by(people.c.login))).all()


async def by_id(connection: AsyncConnection, person_id: int) -> Row[tuple[object, ...]] | None:
    return (await connection.execute(select(people).where(people.c.id == person_id))).one_or_none()


async def lock_admins(connection: AsyncConnection) -> None:
    """So that of two who take away each other's role at once the second sees what the first did. (SQLite: the transaction has the only lock already.)"""
    await connection.execute(select(people.c.id).where(people.c.role == Role.ADMIN).order_by(people.c.id).with_for_update())


async def has_admin(connection: AsyncConnection) -> bool:
    return await count_admins(connection) > 0


async def insert_people(
    connection: AsyncConnection, rows: Sequence[Mapping[str, object]], classes: Sequence[Iterable[str]], given_by: str
) -> list[int]:
    """The ids, in order. Raises IntegrityError for a login that somebody has."""
    made = insert(people).returning(people.c.id, sort_by_parameter_order=True)
    ids = list((await connection.execute(made, list(rows))).scalars())
    held = [
        {"person_id": person_id, "group_name": group, "given_by": given_by}
        for person_id, groups in zip(ids, classes, strict=True)
        for group in sorted(groups)
    ]
    if held:
        await connection.execute(insert(assignments), held)
    return ids


async def update_person(connection: AsyncConnection, person_id: int, values: Mapping[str, object]) -> None:
    if values:
        await connection.execute(update(people).where(people.c.id == person_id).values(**values))


async def delete_person(connection: AsyncConnection, person_id: int) -> None:
    await connection.execute(delete(people).where(people.c.id == person_id))


async def email_taken(connection: AsyncConnection, email: str, besides: int = 0) -> bool:
    query = select(people.c.id).where(func.lower(people.c.email) == email, people.c.id != besides).limit(1)
    return (await connection.execute(query)).one_or_none() is not None


async def own_classes(connection: AsyncConnection, ids: Iterable[int] | None = None) -> dict[int, frozenset[str]]:
    """Person's id -> the classes without an end; of everybody, or of ``ids``."""
    query = select(assignments.c.person_id, assignments.c.group_name).where(assignments.c.until.is_(None))
    if ids is not None:
        query = query.where(assignments.c.person_id.in_(list(ids)))
    held: dict[int, set[str]] = {}
    for person_id, group in await connection.execute(query):
        held.setdefault(person_id, set()).add(group)
    return {person_id: frozenset(groups) for person_id, groups in held.items()}


async def set_classes(connection: AsyncConnection, person_id: int, old: frozenset[str], new: frozenset[str], given_by: str) -> None:
    """Of the classes without an end; what a substitute has stays."""
    gone = sorted(old - new)
    if gone:
        await connection.execute(
            delete(assignments).where(
                assignments.c.person_id == person_id, assignments.c.until.is_(None), assignments.c.group_name.in_(gone)
            )
        )
    rows = [{"person_id": person_id, "group_name": group, "given_by": given_by} for group in sorted(new - old)]
    if rows:
        await connection.execute(insert(assignments), rows)


async def substitutes(connection: AsyncConnection, person_id: int, now: float) -> list[Substitute]:
    """What this person has or will have for some days."""
    query = select(assignments).where(assignments.c.person_id == person_id, assignments.c.until > now).order_by(assignments.c.since)
    return [Substitute(row.id, row.group_name, row.since or 0.0, row.until, row.given_by) for row in await connection.execute(query)]


async def give_for_days(connection: AsyncConnection, person_id: int, group: str, since: float, until: float, given_by: str) -> int:
    """Replaces what overlaps, so that a class is not held twice."""
    same = and_(assignments.c.person_id == person_id, assignments.c.group_name == group)
    await connection.execute(delete(assignments).where(same, assignments.c.since < until, assignments.c.until > since))
    values = {"person_id": person_id, "group_name": group, "since": since, "until": until, "given_by": given_by}
    return int((await connection.execute(insert(assignments).values(**values).returning(assignments.c.id))).scalar_one())


async def end_substitute(connection: AsyncConnection, person_id: int, assignment_id: int) -> str | None:
    """The class that is taken back; None: there is no such assignment of this person."""
    taken = (
        delete(assignments)
        .where(assignments.c.id == assignment_id, assignments.c.person_id == person_id, not_(assignments.c.until.is_(None)))
        .returning(assignments.c.group_name)
    )
    return (await connection.execute(taken)).scalar_one_or_none()


async def end_sessions(connection: AsyncConnection, person_id: int, besides: int = 0) -> int:
    """How many there were; ``besides``: a session that goes on."""
    ended = delete(sessions).where(sessions.c.person_id == person_id, sessions.c.id != besides).returning(sessions.c.id)
    return len((await connection.execute(ended)).all())


async def count_sessions(connection: AsyncConnection, person_id: int, now: float) -> int:
    query = select(func.count()).select_from(sessions).where(sessions.c.person_id == person_id, sessions.c.expires_at > now)
    return int((await connection.execute(query)).scalar_one())


async def reset_totp(connection: AsyncConnection, person_id: int) -> None:
    await connection.execute(update(people).where(people.c.id == person_id).values(totp_secret=None, totp_step=0))
    await connection.execute(delete(recovery_codes).where(recovery_codes.c.person_id == person_id))


async def teachers_of(connection: AsyncConnection, group: str, now: float) -> list[str]:
    """The logins of those who have the class, now or later."""
    query = (
        select(people.c.login)
        .join(assignments, assignments.c.person_id == people.c.id)
        .where(assignments.c.group_name == group, or_(assignments.c.until.is_(None), assignments.c.until > now))
    )
    return sorted(set((await connection.execute(query)).scalars()))

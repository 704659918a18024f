"""People, their classes and their sessions, in the store. Every function takes a connection, so that the caller says what is one transaction."""

from hashlib import sha256
from typing import Any

from sqlalchemy import ColumnElement, Float, Row, and_, bindparam, case, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dashboard.access import Person, Role, Scope
from dashboard.store.tables import assignments, people, sessions, tokens

SEEN_EVERY = 300.0
"""seconds between two notes of when a session was last seen, or a token used: an SD card is not written for every page"""
EVERYTHING = frozenset(Scope)
AHEAD = 86400.0
"""seconds by which a session may be of the future: one that began while the clock ran years ahead must not live for years"""


def fingerprint(token: str) -> str:
    """What the store keeps of a token: nobody who reads the store can use it."""
    return sha256(token.encode()).hexdigest()


async def classes_of(connection: AsyncConnection, person_id: int, now: float) -> frozenset[str]:
    """The groups that are this person's now, as a substitute included."""
    held = select(assignments.c.group_name).where(assignments.c.person_id == person_id, _holds_now())
    return frozenset((await connection.execute(held, {"now": now})).scalars())


def _holds_now() -> ColumnElement[bool]:
    """Of a row of ``assignments`` at the parameter ``now``."""
    since, until, now = assignments.c.since, assignments.c.until, bindparam("now", type_=Float)
    return and_(or_(since.is_(None), since <= now), or_(until.is_(None), until > now))


# One question for both, since every page asks it; put together once, which takes longer than asking.
_BY_SESSION = (
    select(
        people.c.id,
        people.c.login,
        people.c.name,
        people.c.role,
        people.c.language,
        sessions.c.id.label("session"),
        assignments.c.group_name,
    )
    .join(sessions, sessions.c.person_id == people.c.id)
    .outerjoin(assignments, and_(assignments.c.person_id == people.c.id, _holds_now()))
    .where(sessions.c.token == bindparam("token"), sessions.c.expires_at > bindparam("now", type_=Float), people.c.active)
    .where(sessions.c.created_at < bindparam("now", type_=Float) + AHEAD)
)


async def by_session(connection: AsyncConnection, token: str, now: float) -> Person | None:
    """Who is signed in with this token; None: nobody, or no longer."""
    rows = (await connection.execute(_BY_SESSION, {"token": fingerprint(token), "now": now})).all()
    if not rows:
        return None
    return _person(rows[0], frozenset(row.group_name for row in rows if row.group_name is not None), session=rows[0].session)


async def by_token(connection: AsyncConnection, token: str, now: float) -> Person | None:
    """Whose program calls with this token."""
    query = (
        select(people, tokens.c.scopes)
        .join(tokens, tokens.c.person_id == people.c.id)
        .where(tokens.c.token == fingerprint(token), or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > now), people.c.active)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    scopes = frozenset(scope for scope in Scope if scope in row.scopes)
    return _person(row, await classes_of(connection, row.id, now), scopes=scopes)


def _person(row: Row[*tuple[Any, ...]], classes: frozenset[str], *, session: int = 0, scopes: frozenset[Scope] = EVERYTHING) -> Person:
    return Person(row.id, row.login, row.name, Role(row.role), row.language, classes, session, scopes)


async def begin_session(
    connection: AsyncConnection, person_id: int, token: str, now: float, expires_at: float, device: str, address: str
) -> None:
    values = {"token": fingerprint(token), "person_id": person_id, "created_at": now, "seen_at": now, "expires_at": expires_at}
    await connection.execute(insert(sessions).values(**values, device=device[:200], address=address[:64]))


async def end_session(connection: AsyncConnection, session_id: int) -> None:
    await connection.execute(delete(sessions).where(sessions.c.id == session_id))


async def note_seen(connection: AsyncConnection, session_id: int, now: float, expires_at: float, longest: float) -> None:
    """It lives until ``expires_at`` from now on, but never longer than ``longest`` seconds in all."""
    end = sessions.c.created_at + longest
    until = case((end < expires_at, end), else_=expires_at)
    # A clock that is behind for a moment, as of a box that has just started, must not end the session.
    noted = update(sessions).where(sessions.c.id == session_id, sessions.c.seen_at <= now)
    await connection.execute(noted.values(seen_at=now, expires_at=until))


async def note_used(connection: AsyncConnection, token: str, now: float) -> None:
    """A program has called with this token."""
    await connection.execute(update(tokens).where(tokens.c.token == fingerprint(token)).values(used_at=now))


async def count_admins(connection: AsyncConnection) -> int:
    """Active administrators who can sign in; 0: the box is still to be set up."""
    query = select(func.count()).select_from(people).where(people.c.role == Role.ADMIN, people.c.active, people.c.password.is_not(None))
    return int((await connection.execute(query)).scalar_one())

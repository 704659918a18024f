"""One-time links with which a person sets a password. The store keeps their SHA-256; a new link makes the earlier ones of that person void."""

from collections.abc import Sequence

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dashboard.store.people import fingerprint
from dashboard.store.tables import invitations, people

LASTS = 7 * 86400.0
"""seconds"""


async def make(connection: AsyncConnection, tokens: Sequence[tuple[int, str]], now: float, given_by: str) -> None:
    """A link for each (person's id, token)."""
    await connection.execute(
        delete(invitations).where(invitations.c.person_id.in_([person_id for person_id, _ in tokens]), invitations.c.used_at.is_(None))
    )
    rows = [
        {"token": fingerprint(token), "person_id": person_id, "created_at": now, "expires_at": now + LASTS, "given_by": given_by}
        for person_id, token in tokens
    ]
    if rows:
        await connection.execute(insert(invitations), rows)


async def find(connection: AsyncConnection, token: str, now: float) -> Row[tuple[object, ...]] | None:
    """The person (a row of people) whom this link lets in; None: it was used, it has expired, it never was, or the account is closed."""
    query = (
        select(people)
        .join(invitations, invitations.c.person_id == people.c.id)
        .where(invitations.c.token == fingerprint(token), invitations.c.used_at.is_(None), invitations.c.expires_at > now, people.c.active)
    )
    return (await connection.execute(query)).one_or_none()


async def use(connection: AsyncConnection, token: str, now: float) -> bool:
    """Use the link up; of two who try at once one gets True."""
    taken = (
        update(invitations)
        .where(invitations.c.token == fingerprint(token), invitations.c.used_at.is_(None), invitations.c.expires_at > now)
        .values(used_at=now)
        .returning(invitations.c.id)
    )
    return (await connection.execute(taken)).one_or_none() is not None


async def revoke(connection: AsyncConnection, person_id: int) -> None:
    await connection.execute(delete(invitations).where(invitations.c.person_id == person_id, invitations.c.used_at.is_(None)))


async def pending(connection: AsyncConnection, person_id: int, now: float) -> float | None:
    """Until when the person's open link lasts; None: there is none."""
    query = select(invitations.c.expires_at).where(
        invitations.c.person_id == person_id, invitations.c.used_at.is_(None), invitations.c.expires_at > now
    )
    return (await connection.execute(query.order_by(invitations.c.expires_at.desc()).limit(1))).scalar_one_or_none()

"""Accounts as their owners use them: how a person proves who it is, its sessions, its programs' tokens. Every function takes a connection.

What belongs to a person is only ever found together with that person's id, so nobody reaches another's by guessing a number.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dashboard.access import Role, Scope
from dashboard.store.people import fingerprint
from dashboard.store.tables import people, recovery_codes, sessions, tokens


@dataclass(frozen=True, slots=True)
class Account:
    """What signing in must know of a person."""

    id: int
    login: str
    name: str
    role: Role
    language: str
    active: bool
    password: str | None
    totp_secret: str | None
    totp_step: int

    @property
    def shown(self) -> str:
        return f"{self.name} ({self.login})"


def login_form(login: str) -> str:
    """A login as the store has it: without blanks around it, lower case, NFC."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", login).strip().lower())


async def by_login(connection: AsyncConnection, login: str) -> Account | None:
    return _account((await connection.execute(select(people).where(people.c.login == login_form(login)))).one_or_none())


async def by_id(connection: AsyncConnection, person_id: int) -> Account | None:
    return _account((await connection.execute(select(people).where(people.c.id == person_id))).one_or_none())


async def by_email(connection: AsyncConnection, email: str) -> Account | None:
    """Whose address this is, however its letters are written; an address that two accounts have is nobody's."""
    rows = (await connection.execute(select(people).where(func.lower(people.c.email) == email.lower()).limit(2))).all()
    return _account(rows[0]) if len(rows) == 1 else None


def _account(row: Row[tuple[object, ...]] | None) -> Account | None:
    if row is None:
        return None
    return Account(
        id=row.id,
        login=row.login,
        name=row.name,
        role=Role(row.role),
        language=row.language,
        active=row.active,
        password=row.password,
        totp_secret=row.totp_secret,
        totp_step=row.totp_step,
    )


async def add_first_admin(connection: AsyncConnection, login: str, name: str, language: str, password: str, now: float) -> int:
    """The administrator that the set-up makes; the id."""
    row = {"login": login_form(login), "name": name, "role": Role.ADMIN, "language": language, "password": password}
    made = await connection.execute(insert(people).values(**row, password_at=now, created_at=now).returning(people.c.id))
    return int(made.scalar_one())


async def set_password(connection: AsyncConnection, person_id: int, password: str, now: float) -> None:
    """``password`` is what dashboard/signing_in/passwords.py made of it."""
    await connection.execute(update(people).where(people.c.id == person_id).values(password=password, password_at=now))


async def keep_anew(connection: AsyncConnection, person_id: int, old: str, password: str) -> None:
    """The same password, reckoned with other parameters; nothing where it was changed meanwhile."""
    await connection.execute(update(people).where(people.c.id == person_id, people.c.password == old).values(password=password))


async def set_profile(connection: AsyncConnection, person_id: int, name: str, language: str) -> None:
    await connection.execute(update(people).where(people.c.id == person_id).values(name=name, language=language))


async def use_step(connection: AsyncConnection, person_id: int, step: int) -> bool:
    """Note the step of a second factor's code; False: it was used already, perhaps a moment ago by somebody else."""
    used = await connection.execute(update(people).where(people.c.id == person_id, people.c.totp_step < step).values(totp_step=step))
    return used.rowcount == 1


async def use_recovery_code(connection: AsyncConnection, person_id: int, digest: str) -> bool:
    """Use up a recovery code; False: there is no such one, or no longer."""
    where = recovery_codes.c.person_id == person_id, recovery_codes.c.code == digest
    return (await connection.execute(delete(recovery_codes).where(*where))).rowcount == 1


async def count_recovery_codes(connection: AsyncConnection, person_id: int) -> int:
    query = select(func.count()).select_from(recovery_codes).where(recovery_codes.c.person_id == person_id)
    return int((await connection.execute(query)).scalar_one())


async def set_totp(connection: AsyncConnection, person_id: int, secret: str, step: int, digests: Sequence[str]) -> None:
    """The second step is asked for from now on; ``step``: whose code has just confirmed it."""
    await connection.execute(update(people).where(people.c.id == person_id).values(totp_secret=secret, totp_step=step))
    await set_recovery_codes(connection, person_id, digests)


async def set_recovery_codes(connection: AsyncConnection, person_id: int, digests: Sequence[str]) -> None:
    """These instead of those that there were."""
    await connection.execute(delete(recovery_codes).where(recovery_codes.c.person_id == person_id))
    if digests:
        await connection.execute(insert(recovery_codes), [{"person_id": person_id, "code": digest} for digest in digests])


async def end_totp(connection: AsyncConnection, person_id: int) -> None:
    await connection.execute(update(people).where(people.c.id == person_id).values(totp_secret=None, totp_step=0))
    await set_recovery_codes(connection, person_id, ())


async def sessions_of(connection: AsyncConnection, person_id: int, now: float) -> Sequence[Row[tuple[object, ...]]]:
    """Those that go on, the last used first."""
    query = select(sessions).where(sessions.c.person_id == person_id, sessions.c.expires_at > now).order_by(sessions.c.seen_at.desc())
    return (await connection.execute(query)).all()


async def end_session(connection: AsyncConnection, person_id: int, session_id: int) -> str | None:
    """End one of this person's sessions; its device, or None where there is no such session."""
    where = sessions.c.id == session_id, sessions.c.person_id == person_id
    device: str | None = (await connection.execute(delete(sessions).where(*where).returning(sessions.c.device))).scalar_one_or_none()
    return device


async def end_other_sessions(connection: AsyncConnection, person_id: int, kept: int) -> int:
    """End all sessions of this person but ``kept``; how many."""
    return (await connection.execute(delete(sessions).where(sessions.c.person_id == person_id, sessions.c.id != kept))).rowcount


async def forget_sessions(connection: AsyncConnection, now: float) -> None:
    """Those that are over."""
    await connection.execute(delete(sessions).where(sessions.c.expires_at <= now))


async def tokens_of(connection: AsyncConnection, person_id: int) -> Sequence[Row[tuple[object, ...]]]:
    return (await connection.execute(select(tokens).where(tokens.c.person_id == person_id).order_by(tokens.c.created_at.desc()))).all()


async def add_token(
    connection: AsyncConnection, person_id: int, secret: str, name: str, scopes: Sequence[Scope], now: float, expires_at: float
) -> None:
    row = {"token": fingerprint(secret), "person_id": person_id, "name": name, "scopes": [str(scope) for scope in scopes]}
    await connection.execute(insert(tokens).values(**row, created_at=now, expires_at=expires_at))


async def end_token(connection: AsyncConnection, person_id: int, token_id: int) -> str | None:
    """End one of this person's tokens; its name, or None where there is no such token."""
    where = tokens.c.id == token_id, tokens.c.person_id == person_id
    name: str | None = (await connection.execute(delete(tokens).where(*where).returning(tokens.c.name))).scalar_one_or_none()
    return name

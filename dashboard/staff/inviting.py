"""Invitations: one-time links with which a person chooses a password, handed out by IT staff and taken up without being signed in.

Promises: a link works once and for seven days; looking at it uses nothing up; the link itself is never stored, and shown again for ten minutes at most, to the
session that made it. A second factor that is set up stays asked for: a link sets a password, it does not replace the telephone.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import Row

from dashboard.access import Person
from dashboard.refusal import Refused
from dashboard.signing_in.passwords import hash_password, wrong
from dashboard.store import accounts, audit, invitations, staff
from dashboard.store.accounts import Account
from filters.message import Message

if TYPE_CHECKING:
    from dashboard.school import View
    from dashboard.site import Site

SHOWN_FOR = 600.0
"""seconds"""
AT_ONCE = 2000
_KEPT = 8


@dataclass(frozen=True, slots=True)
class Invitation:
    """A link that somebody is to be given."""

    person_id: int
    name: str
    login: str
    token: str
    until: float


@dataclass(slots=True)
class HandedOut:
    """The links that sessions have just made; gone after ten minutes, and with the process."""

    kept: dict[str, tuple[float, tuple[Invitation, ...]]] = field(default_factory=dict)

    def keep(self, secret: str, made: Sequence[Invitation], now: float) -> None:
        self.kept.pop(secret, None)
        self.kept[secret] = now, tuple(made)
        while len(self.kept) > _KEPT:
            del self.kept[next(iter(self.kept))]

    def get(self, secret: str, now: float) -> tuple[Invitation, ...]:
        at, made = self.kept.get(secret, (0.0, ()))
        if now - at < SHOWN_FOR:
            return made
        self.kept.pop(secret, None)
        return ()


async def invite(site: "Site", by: Person, ids: Sequence[int], now: float) -> list[Invitation]:
    """New links for people; their earlier ones are void. Raises Refused for somebody who is not there or whose account is closed."""
    if not ids:
        raise Refused(Message("Nobody was chosen."), status=422)
    if len(ids) > AT_ONCE:
        raise Refused(Message("These are too many at once: at most {limit}.", limit=AT_ONCE), status=422)
    async with site.store.write() as connection:
        known = {int(row.id): row for row in await staff.everybody(connection)}
        made = []
        for person_id in dict.fromkeys(ids):
            row = known.get(person_id)
            if row is None:
                raise Refused(Message("There is nobody by this number (any more)."), status=404)
            if not row.active:
                raise Refused(Message("{name}'s account is closed; open it first.", name=row.name))
            made.append(Invitation(person_id, row.name, row.login, secrets.token_urlsafe(32), now + invitations.LASTS))
        await invitations.make(connection, [(each.person_id, each.token) for each in made], now, by.shown)
        await audit.add(connection, now, by, [audit.Entry("person.invited", f"{each.name} ({each.login})") for each in made])
    return made


async def look(site: "Site", token: str, now: float) -> Row[tuple[object, ...]] | None:
    """Whom a link lets in; None: nobody, or no longer."""
    async with site.store.read() as connection:
        return await invitations.find(connection, token, now)


async def accept(site: "Site", view: "View", token: str, password: str, again: str, now: float) -> Account | None:
    """Set the password, which uses the link up and ends every session of the account; whose it is. None: the link is not good (any more).

    Raises Refused for a password that breaks the rules; the link is then still good.
    """
    row = await look(site, token, now)
    if row is None:
        return None
    if password != again:
        raise Refused(Message("The two passwords are not the same."), status=422, field="again")
    objection = wrong(password, str(row.login), view.file.school.name)
    if objection is not None:
        raise Refused(objection, status=422, field="password")
    hashed = await hash_password(password)
    async with site.store.write() as connection:
        if not await invitations.use(connection, token, now):
            return None
        account = await accounts.by_id(connection, int(row.id))
        if account is None or not account.active:
            return None
        await accounts.set_password(connection, account.id, hashed, now)
        await staff.end_sessions(connection, account.id)
        await invitations.revoke(connection, account.id)
        person = Person(account.id, account.login, account.name, account.role, account.language, frozenset())
        await audit.add(connection, now, person, [audit.Entry("password.changed", person.shown, {"by": "invitation"})])
    return account

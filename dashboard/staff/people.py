"""The people of the school, as IT staff keeps them: who may sign in, as what, and whose class is whose. Shared by pages, API and import.

Promises: one administrator who can sign in always remains; an account that is closed, or whose role changes, loses its sessions in the same transaction; every
change has its rows in the audit log in the same transaction. Rights are read at every request, so a change holds at once.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Row
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dashboard.access import Person, Role
from dashboard.refusal import Refused
from dashboard.school import View
from dashboard.site import Site
from dashboard.store import audit, invitations, staff
from dashboard.store.accounts import login_form
from dashboard.tables.one_line import one_line
from filters.message import Message
from policies.suggest import unknown

LONGEST_SUBSTITUTE = 366
"""days"""
_LOGIN = re.compile(r"[\w.@+-]{1,64}\Z")
_EMAIL = re.compile(r"[^@\s<>\"',;:\\()\[\]]{1,64}@[^@\s<>\"',;:\\()\[\]]+\.[^@\s<>\"',;:\\()\[\].]+\Z")
_NOBODY = Message("There is nobody by this number (any more).")


def _(message: str) -> str:
    """Marks a message for the catalogue."""
    return message


ROLES = {Role.ADMIN: _("IT staff"), Role.TEACHER: _("Teacher"), Role.VIEWER: _("Principal (looks, changes nothing)")}


@dataclass(frozen=True, slots=True)
class Details:
    """What is said of a person, checked."""

    login: str
    name: str
    email: str
    role: Role
    classes: frozenset[str]
    active: bool = True


def details(
    login: str,
    name: str,
    email: str,
    role: str,
    classes: Iterable[str],
    view: View,
    *,
    active: bool = True,
    held: frozenset[str] = frozenset(),
) -> Details:
    """Raises Refused (422) naming the field. ``held``: classes that the person has and may keep though the school's file no longer names them."""
    groups = {group.name for group in view.file.groups} | held
    wanted = frozenset(classes)
    strange = sorted(wanted - groups)
    if strange:
        raise Refused(Message("{why}.", why=unknown(Message("class"), strange[0], groups)), status=422, field="classes")
    return Details(login_of(login), one_line(name, "name", 200), email_of(email), role_of(role), wanted, active)


def login_of(text: str) -> str:
    login = login_form(one_line(text, "login", 64))
    if not _LOGIN.match(login):
        raise Refused(Message("A login has letters, digits and . _ - + @ and no blanks, for example co-lan."), status=422, field="login")
    return login


def email_of(text: str) -> str:
    email = one_line(text, "email", 254, required=False).lower()
    if email and not _EMAIL.match(email):
        raise Refused(Message("This is no e-mail address; one is written co.lan@truong.edu.vn."), status=422, field="email")
    return email


def role_of(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise Refused(
            Message("{why}.", why=unknown(Message("role"), text, [role.value for role in Role])), status=422, field="role"
        ) from None


async def add(site: Site, by: Person, new: Details, now: float) -> int:
    """A new person, who cannot sign in before taking up an invitation; the id. Raises Refused."""
    view = await site.school.now()
    async with site.store.write() as connection:
        await _free_email(connection, new.email)
        try:
            return (await add_in(connection, by, [new], now, view.file.school.language))[0]
        except IntegrityError:
            raise Refused(Message("Somebody has the login {login} already.", login=new.login), field="login") from None


async def add_in(connection: AsyncConnection, by: Person, new: Sequence[Details], now: float, language: str) -> list[int]:
    """New people, in few statements; their ids. Raises IntegrityError for a login that somebody has; whose e-mail addresses are free, the caller knows."""
    rows = [
        {"login": each.login, "name": each.name, "email": each.email, "role": each.role.value, "active": each.active}
        | {"created_at": now, "language": language}
        for each in new
    ]
    ids = await staff.insert_people(connection, rows, [each.classes for each in new], by.shown)
    entries = []
    for each in new:
        who = f"{each.name} ({each.login})"
        detail = {"role": each.role.value, "email": each.email, "classes": sorted(each.classes), "new": True}
        entries += [audit.Entry("person.changed", who, detail), *_class_entries(who, frozenset(), each.classes)]
    await audit.add(connection, now, by, entries)
    return ids


async def change(site: Site, by: Person, person_id: int, new: Details, now: float) -> list[str]:
    """Make the person what ``new`` says (the login stays); the fields that have changed. Raises Refused."""
    async with site.store.write() as connection:
        return await change_in(connection, by, person_id, new, now)


async def change_in(connection: AsyncConnection, by: Person, person_id: int, new: Details, now: float) -> list[str]:
    await staff.lock_admins(connection)
    row = await _found(connection, person_id)
    classes = (await staff.own_classes(connection, [person_id])).get(person_id, frozenset())
    old = described(row, classes)
    new = replace(new, login=old.login)
    fields = [name for name in ("name", "email", "role", "active") if getattr(old, name) != getattr(new, name)]
    if "email" in fields:
        await _free_email(connection, new.email, person_id)
    await staff.update_person(connection, person_id, {name: getattr(new, name) for name in fields})
    await staff.set_classes(connection, person_id, classes, new.classes, by.shown)
    if {"role", "active"} & set(fields):
        await _keep_an_admin(connection)
        await staff.end_sessions(connection, person_id)
        if not new.active:
            await invitations.revoke(connection, person_id)
    entries = []
    if fields:
        detail = {name: [_plain(getattr(old, name)), _plain(getattr(new, name))] for name in fields}
        entries.append(audit.Entry("person.changed", shown(row), detail))
    entries += _class_entries(shown(row), classes, new.classes)
    await audit.add(connection, now, by, entries)
    return fields + (["classes"] if classes != new.classes else [])


async def remove(site: Site, by: Person, person_id: int, now: float) -> str:
    """Remove the account with everything that is its own; whom. What the audit log says of this person stays. Raises Refused."""
    async with site.store.write() as connection:
        await staff.lock_admins(connection)
        row = await _found(connection, person_id)
        await audit.add(connection, now, by, [audit.Entry("person.removed", shown(row), {"role": row.role})])
        await staff.delete_person(connection, person_id)
        await _keep_an_admin(connection)
    return shown(row)


async def reset_totp(site: Site, by: Person, person_id: int, now: float) -> str:
    async with site.store.write() as connection:
        row = await _found(connection, person_id)
        if row.totp_secret is None:
            raise Refused(Message("{name} has no second factor.", name=row.name))
        await staff.reset_totp(connection, person_id)
        await audit.add(connection, now, by, [audit.Entry("totp.off", shown(row), {"reset": True})])
    return shown(row)


async def end_sessions(site: Site, by: Person, person_id: int, now: float) -> int:
    """How many there were; one's own session of this moment goes on."""
    async with site.store.write() as connection:
        row = await _found(connection, person_id)
        count = await staff.end_sessions(connection, person_id, besides=by.session)
        await audit.add(connection, now, by, [audit.Entry("session.ended", shown(row), {"count": count})])
    return count


async def give_for_days(site: Site, by: Person, person_id: int, group: str, first: date, last: date, now: float) -> int:
    """The class for some days, both ends included; ends by itself. Raises Refused."""
    view = await site.school.now()
    if group not in {each.name for each in view.file.groups}:
        raise Refused(
            Message("{why}.", why=unknown(Message("class"), group, [each.name for each in view.file.groups])), status=422, field="group"
        )
    since, until = span(first, last, view.file.school.timezone)
    if last < first:
        raise Refused(Message("The last day is before the first."), status=422, field="until")
    if until <= now:
        raise Refused(Message("These days are over."), status=422, field="until")
    if (last - first).days >= LONGEST_SUBSTITUTE:
        raise Refused(Message("A substitute has a class for a year at most; otherwise give the class for good."), status=422, field="until")
    async with site.store.write() as connection:
        row = await _found(connection, person_id)
        if row.role != Role.TEACHER or not row.active:
            raise Refused(Message("{name} is no teacher, or the account is closed.", name=row.name))
        if group in (await staff.own_classes(connection, [person_id])).get(person_id, frozenset()):
            raise Refused(Message("{name} has this class already.", name=row.name), field="group")
        given = await staff.give_for_days(connection, person_id, group, since, until, by.shown)
        detail = {"class": group, "from": first.isoformat(), "until": last.isoformat()}
        await audit.add(connection, now, by, [audit.Entry("substitute.given", shown(row), detail)])
    return given


async def end_substitute(site: Site, by: Person, person_id: int, assignment_id: int, now: float) -> str:
    """The class that is taken back. Raises Refused."""
    async with site.store.write() as connection:
        row = await _found(connection, person_id)
        group = await staff.end_substitute(connection, person_id, assignment_id)
        if group is None:
            raise Refused(Message("This has ended already."), status=404)
        await audit.add(connection, now, by, [audit.Entry("class.unassigned", shown(row), {"class": group, "substitute": True})])
    return group


def span(first: date, last: date, zone: ZoneInfo | str) -> tuple[float, float]:
    """Unix seconds from the first midnight to the one after the last day."""
    place = ZoneInfo(zone) if isinstance(zone, str) else zone
    begin = datetime.combine(first, time(), place)
    end = datetime.combine(last + timedelta(days=1), time(), place) if last < date.max else datetime.combine(last, time.max, place)
    return begin.timestamp(), end.timestamp()


def today(now: float, zone: ZoneInfo | str) -> date:
    return datetime.fromtimestamp(now, ZoneInfo(zone) if isinstance(zone, str) else zone).date()


def day_of(text: str, field: str) -> date:
    """``2027-01-15`` as browsers send it, or ``15/1/2027`` as people write it. Raises Refused (422)."""
    written = re.fullmatch(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})", text.strip(), re.ASCII)
    iso = re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})", text.strip(), re.ASCII)
    try:
        if written:
            day, month, year = map(int, written.groups())
        elif iso:
            year, month, day = map(int, iso.groups())
        else:
            raise ValueError  # noqa: TRY301 - one message for both
        if not 1970 <= year <= 2200:
            raise ValueError  # noqa: TRY301 - a year that no calendar on a desk has
        return date(year, month, day)
    except ValueError:
        raise Refused(Message("This is no date; one is written 2027-01-15 or 15/01/2027."), status=422, field=field) from None


def described(row: Row[tuple[object, ...]], classes: frozenset[str]) -> Details:
    return Details(row.login, row.name, row.email, Role(row.role), classes, row.active)


def shown(row: Row[tuple[object, ...]]) -> str:
    return f"{row.name} ({row.login})"


async def _found(connection: AsyncConnection, person_id: int) -> Row[tuple[object, ...]]:
    row = await staff.by_id(connection, person_id)
    if row is None:
        raise Refused(_NOBODY, status=404)
    return row


async def _free_email(connection: AsyncConnection, email: str, besides: int = 0) -> None:
    """Signing in with Google or Microsoft finds a person by this address, so it is one person's."""
    if email and await staff.email_taken(connection, email, besides):
        raise Refused(Message("Somebody has the e-mail address {email} already.", email=email), field="email")


async def _keep_an_admin(connection: AsyncConnection) -> None:
    if not await staff.has_admin(connection):
        raise Refused(
            Message("This is the last administrator who can sign in; make somebody else one first. Nothing was changed."), field="role"
        )


def _class_entries(who: str, old: frozenset[str], new: frozenset[str]) -> Sequence[audit.Entry]:
    given = [audit.Entry("class.assigned", who, {"class": group}) for group in sorted(new - old)]
    return given + [audit.Entry("class.unassigned", who, {"class": group}) for group in sorted(old - new)]


def _plain(value: object) -> object:
    return value.value if isinstance(value, Role) else value

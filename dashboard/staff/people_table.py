"""A table of the staff: what it would change, and carrying that out. Pure, but for ``carry_out`` and ``export``, which use the store.

One row a person, found by login. A column that the table lacks changes nothing; a person whom it lacks stays as is.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from sqlalchemy import Row as StoreRow
from sqlalchemy.exc import IntegrityError

from dashboard.access import Person, Role
from dashboard.catalogue import Translate
from dashboard.refusal import Refused
from dashboard.school import View
from dashboard.site import Site
from dashboard.staff.inviting import Invitation
from dashboard.staff.people import ROLES, Details, add_in, change_in, described, email_of, login_of
from dashboard.store import audit, staff
from dashboard.tables import csv_tables
from dashboard.tables.csv_tables import Column, Row
from dashboard.tables.importing import Plan, Planned, Status, change_note, wrong_row
from dashboard.tables.one_line import one_line
from filters.message import Message
from policies.model import Group
from policies.suggest import did_you_mean

COLUMNS = (
    Column("login", ("tên đăng nhập", "đăng nhập", "tài khoản", "username"), required=True),
    Column("name", ("họ tên", "họ và tên", "tên", "full name"), required=True),
    Column("email", ("e-mail", "thư điện tử", "mail")),
    Column("role", ("vai trò", "quyền")),
    Column("classes", ("lớp", "các lớp", "class")),
)
HEADS = {
    "vi": ("tên đăng nhập", "họ tên", "email", "vai trò", "lớp"),
    "en": ("login", "name", "email", "role", "classes"),
}
_ROLE_WORDS = {
    Role.ADMIN: ("admin", "quản trị", "cntt", "cán bộ cntt", "it", "it staff"),
    Role.TEACHER: ("teacher", "giáo viên", "gv"),
    Role.VIEWER: ("viewer", "hiệu trưởng", "phó hiệu trưởng", "ban giám hiệu", "xem", "principal"),
}
_ROLE_OF = {csv_tables.plain(word): role for role, words in _ROLE_WORDS.items() for word in words}

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class _Step:
    """One row that is right, and whom it concerns."""

    planned: Planned
    person_id: int | None
    details: Details


class _Reading:
    """One row; what is wrong with it is collected, not raised."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.problems: list[Message] = []

    def take(self, column: str, check: Callable[[str], _Value], missing: _Value) -> _Value:
        if column not in self.row.cells:
            return missing
        try:
            return check(self.row.cells[column])
        except Refused as error:
            self.problems.append(Message("Column “{column}”: {why}", column=Message(column), why=error.message))
            return missing


def plan(
    data: bytes, known: Sequence[StoreRow[tuple[object, ...]]], classes: Mapping[int, frozenset[str]], view: View
) -> tuple[Plan, list[_Step]]:
    """What the table would do. ``known``: everybody; ``classes``: person's id -> own classes. Raises Refused for a table that cannot be read."""
    people = {row.login: (int(row.id), described(row, classes.get(row.id, frozenset()))) for row in known}
    emails = {row.email.lower(): row.login for row in known if row.email}
    logins_seen: dict[str, int] = {}
    planned: list[Planned] = []
    steps: list[_Step] = []
    for row in csv_tables.read(data, COLUMNS):
        reading = _Reading(row)
        if row.surplus:
            reading.problems.append(Message("There are more cells than columns."))
        login = reading.take("login", login_of, "")
        if login and logins_seen.setdefault(login, row.line) != row.line:
            reading.problems.append(
                Message("Column “{column}”: line {line} has the same.", column=Message("login"), line=logins_seen[login])
            )
        person_id, old = people.get(login, (None, Details(login, "", "", Role.TEACHER, frozenset())))
        new = replace(
            old,
            name=reading.take("name", lambda text: one_line(text, "name", 200), old.name),
            email=reading.take("email", email_of, old.email),
            role=reading.take("role", partial(_role_or, old.role), old.role),
            classes=reading.take("classes", lambda text: classes_in_words(text, view.file.groups), old.classes),
        )
        if new.email and emails.setdefault(new.email, login) != login:
            reading.problems.append(
                Message("Column “{column}”: {login} has this address.", column=Message("email"), login=emails[new.email])
            )
        if reading.problems:
            planned.append(wrong_row(row.line, login or row.cells["login"] or row.cells["name"], reading.problems))
            continue
        step = _Step(_planned(row.line, person_id, old, new), person_id, new)
        planned.append(step.planned)
        steps.append(step)
    return Plan(tuple(planned)), steps


def _planned(line: int, person_id: int | None, old: Details, new: Details) -> Planned:
    title = f"{new.name} ({new.login})"
    if person_id is None:
        notes = [Message("{role}", role=Message(ROLES[new.role]))]
        notes += [Message("{text}", text=new.email)] if new.email else []
        notes += [Message("classes: {classes}", classes=", ".join(sorted(new.classes)))] if new.classes else []
        return Planned(line, Status.NEW, title, tuple(notes))
    pairs = (
        ("name", old.name, new.name),
        ("email", old.email, new.email),
        ("role", Message(ROLES[old.role]), Message(ROLES[new.role])),
        ("classes", ", ".join(sorted(old.classes)), ", ".join(sorted(new.classes))),
    )
    notes = [change_note(what, before, after) for what, before, after in pairs if before != after]
    return Planned(line, Status.CHANGED if notes else Status.UNCHANGED, title, tuple(notes))


def _role_or(held: Role, text: str) -> Role:
    return role_in_words(text) if text else held


def role_in_words(text: str) -> Role:
    """``Giáo viên`` -> teacher. Raises Refused."""
    word = csv_tables.plain(text)
    if word in _ROLE_OF:
        return _ROLE_OF[word]
    raise Refused(Message("“{text}” is no role{hint}", text=text[:40], hint=did_you_mean(word, _ROLE_OF) or "."), status=422, field="role")


def classes_in_words(text: str, groups: Sequence[Group]) -> frozenset[str]:
    """``6a1; Lớp 6A2`` -> ids. By id or title, separated by commas, semicolons or strokes; ids also by blanks. Raises Refused."""
    named = {group.name: group.name for group in groups} | {
        " ".join(group.title.casefold().split()): group.name for group in groups if group.title
    }
    found: set[str] = set()
    for part in re.split(r"[,;|/\n]", text):
        word = " ".join(part.casefold().split())
        words = [word] if word in named else word.split()
        strange = [each for each in words if each not in named]
        if strange:
            hint = did_you_mean(strange[0], named)
            raise Refused(
                Message("“{text}” is no class of this school{hint}", text=(word if len(words) > 1 else strange[0])[:40], hint=hint or "."),
                status=422,
            )
        found.update(named[each] for each in words)
    return frozenset(found)


async def preview(site: Site, view: View, data: bytes) -> Plan:
    async with site.store.read() as connection:
        return plan(data, await staff.everybody(connection), await staff.own_classes(connection), view)[0]


async def carry_out(site: Site, view: View, by: Person, data: bytes, seen: str, now: float) -> tuple[Plan, list[int]]:
    """Everything in one transaction, if it is what was seen; the plan, and the ids of the new people. Raises Refused: then nothing was changed."""
    try:
        async with site.store.write() as connection:
            made, steps = plan(data, await staff.everybody(connection), await staff.own_classes(connection), view)
            made.confirm(seen)
            new = [step.details for step in steps if step.person_id is None]
            ids = await add_in(connection, by, new, now, view.file.school.language) if new else []
            for step in steps:
                if step.person_id is not None and step.planned.status is Status.CHANGED:
                    await change_in(connection, by, step.person_id, step.details, now)
            counts = {status.value: count for status, count in made.counts.items()}
            await audit.add(connection, now, by, [audit.Entry("person.imported", "", counts)])
    except IntegrityError:
        raise Refused(Message("Something has changed since the preview; nothing was done. Please look at it again.")) from None
    return made, ids


async def export(site: Site, language: str) -> bytes:
    """Everybody, as ``plan`` reads it."""
    async with site.store.read() as connection:
        known, classes = await staff.everybody(connection), await staff.own_classes(connection)
    rows = [(row.login, row.name, row.email, row.role, ", ".join(sorted(classes.get(row.id, ())))) for row in known]
    return csv_tables.write(HEADS[language], rows)


def template(groups: Sequence[Group], language: str) -> bytes:
    """A table with an example to write over."""
    words = {
        "vi": ("co-lan", "Nguyễn Thị Lan", "co.lan@truong.edu.vn", "giáo viên"),
        "en": ("ms-lan", "Nguyen Thi Lan", "lan@school.edu.vn", "teacher"),
    }
    return csv_tables.write(HEADS[language], [(*words[language], ", ".join(group.name for group in groups[:2]))])


def links_as_rows(made: Iterable[Invitation], base: str, _: Translate) -> bytes:
    """The links as a table, for a mail merge."""
    return csv_tables.write(
        (_("Name"), _("Login"), _("Link")), [(each.name, each.login, f"{base}/invitation/{each.token}") for each in made]
    )

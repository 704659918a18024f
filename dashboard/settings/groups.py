"""Groups of the school's file: added, changed and removed there (dashboard/settings/school_file.py keeps comments and order). Shared by pages and API.

An id stays for good, since rules, devices, timetable and teachers name it; a title may change. A group that anything still names is not removed.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError
from ruamel.yaml.comments import CommentedMap

from dashboard.access import Person
from dashboard.refusal import Refused
from dashboard.school import View
from dashboard.settings import school_file
from dashboard.settings.school_text import add_item, item, remove_item, set_in
from dashboard.site import Site
from dashboard.store import staff
from dashboard.store.audit import Entry
from dashboard.tables.one_line import one_line
from filters.category import CATEGORIES, LOCKED
from filters.message import Message, joined
from policies.fields import Client
from policies.identify import default_group
from policies.model import Group
from policies.suggest import unknown

TITLE = 100
MOST_CLIENTS = 2000
LIFTABLE = tuple(category.id for category in CATEGORIES.values() if category.id not in LOCKED and not category.open)
_CLIENT: TypeAdapter[object] = TypeAdapter(Client)
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A group as a form describes it, checked as far as it speaks for itself."""

    name: str
    title: str
    tier: str
    clients: tuple[str, ...]
    break_allows: tuple[str, ...]


def wanted(name: str, title: str, tier: str, clients: Iterable[str], break_allows: Iterable[str], view: View) -> Wanted:
    """Raises Refused (422) naming the field."""
    if not _ID.match(name):
        raise Refused(Message("An id has lower-case letters a-z, digits and hyphens, for example 6a1."), status=422, field="name")
    if tier not in view.snapshot.tiers:
        raise Refused(Message("{why}.", why=unknown(Message("tier"), tier, view.snapshot.tiers)), status=422, field="tier")
    opened = tuple(category for category in LIFTABLE if category in set(break_allows))
    strange = sorted(set(break_allows) - set(LIFTABLE))
    if strange:
        raise Refused(Message("{why}.", why=unknown(Message("category"), strange[0], LIFTABLE)), status=422, field="break_allows")
    return Wanted(name, one_line(title, "title", TITLE, required=False), tier, _clients(clients), opened)


def id_for(title: str) -> str:
    """``Lớp 6A1`` -> ``lop-6a1``; empty where nothing is left."""
    plain = unicodedata.normalize("NFD", title.lower().replace("đ", "d"))
    return re.sub(r"[^a-z0-9]+", "-", "".join(letter for letter in plain if not unicodedata.combining(letter))).strip("-")[:63]


def _clients(texts: Iterable[str]) -> tuple[str, ...]:
    clients: dict[str, None] = {}
    wrong: list[Message] = []
    for text in texts:
        try:
            clients[str(_CLIENT.validate_python(text))] = None
        except ValidationError as error:
            why = str(error.errors(include_url=False)[0].get("ctx", {}).get("error", ""))
            wrong.append(Message("“{text}” is no network, address or MAC: {why}.", text=text[:60], why=why))
    if wrong:
        raise Refused(joined(wrong[:5], " "), status=422, field="clients")
    if len(clients) > MOST_CLIENTS:
        raise Refused(Message("These are too many: at most {limit}.", limit=MOST_CLIENTS), status=422, field="clients")
    return tuple(clients)


def split(text: str) -> list[str]:
    """Networks as they are typed: on lines of their own, or with commas or blanks between them."""
    return [part for part in re.split(r"[\s,;]+", text) if part]


def find(view: View, name: str) -> Group:
    """Raises Refused (404)."""
    group = next((each for each in view.file.groups if each.name == name), None)
    if group is None:
        raise Refused(Message("There is no group with the id {name} in the school's file.", name=name[:63]), status=404)
    return group


async def add(site: Site, by: Person, new: Wanted, seen: str) -> str:
    """The file's new digest. Raises Refused."""

    def change(document: CommentedMap) -> None:
        if item(document, ["groups"], "name", new.name) is not None:
            raise Refused(Message("There is a group with the id {name} already.", name=new.name), field="name")
        values: dict[str, object] = {"name": new.name, "title": new.title or None, "tier": new.tier}
        add_item(document, ["groups"], values | {"clients": list(new.clients) or None, "break_allows": list(new.break_allows) or None})

    return await school_file.edit(site, by, Entry("group.changed", new.name, _detail(new) | {"added": True}), seen, change)


async def edit(site: Site, by: Person, view: View, new: Wanted, seen: str) -> str:
    """Title, tier, clients and what a break opens. Raises Refused."""
    old = find(view, new.name)

    def change(document: CommentedMap) -> None:
        node = _node(document, new.name)
        set_in(node, ["title"], new.title or None)
        set_in(node, ["tier"], new.tier)
        if set(new.clients) != {str(client) for client in old.clients}:
            set_in(node, ["clients"], list(new.clients) or None)
        if set(new.break_allows) != set(old.break_allows):
            set_in(node, ["break_allows"], list(new.break_allows) or None)

    before = Wanted(old.name, old.title, old.tier, tuple(str(client) for client in old.clients), old.break_allows)
    return await school_file.edit(site, by, Entry("group.changed", new.name, _detail(new) | {"before": _detail(before)}), seen, change)


async def remove(site: Site, by: Person, view: View, name: str, seen: str, now: float) -> str:
    """Raises Refused for a group that something names."""
    find(view, name)
    users = await uses(site, view, name, now)
    if users:
        raise Refused(Message("This group is still in use: {users}.", users=joined(users, "; ")))

    def change(document: CommentedMap) -> None:
        remove_item(document, ["groups"], _node(document, name))

    return await school_file.edit(site, by, Entry("group.changed", name, {"removed": True}), seen, change)


async def uses(site: Site, view: View, name: str, now: float) -> list[Message]:
    """What names the group, in words; empty: nothing does."""
    found = []
    if default_group(view.file).name == name:
        found.append(Message("it is the group of unknown devices"))
    if len(view.file.groups) == 1:
        found.append(Message("it is the only one"))
    devices = sum(group == name for group in view.state.devices.values())
    if devices:
        found.append(Message("{count} devices", count=devices))
    rules = sum(name in rule.groups for rule in (*view.file.rules, *view.state.rules))
    if rules:
        found.append(Message("{count} rules", count=rules))
    if any(name in rule.groups for rule in view.file.timetable.rules):
        found.append(Message("the timetable"))
    if any(override.group == name and override.until > now for override in view.state.overrides):
        found.append(Message("a mode that is on now"))
    async with site.store.read() as connection:
        teachers = await staff.teachers_of(connection, name, now)
    if teachers:
        found.append(Message("teachers: {logins}", logins=", ".join(teachers[:5])))
    return found


def counts(view: View) -> Mapping[str, int]:
    """Group -> devices that it has in the live state."""
    counted: dict[str, int] = {}
    for group in view.state.devices.values():
        counted[group] = counted.get(group, 0) + 1
    return counted


def _node(document: CommentedMap, name: str) -> CommentedMap:
    node = item(document, ["groups"], "name", name)
    if node is None:
        raise Refused(Message("There is no group with the id {name} in the school's file.", name=name), status=404)
    return node


def _detail(each: Wanted) -> dict[str, object]:
    return {"title": each.title, "tier": each.tier, "clients": list(each.clients), "break_allows": list(each.break_allows)}

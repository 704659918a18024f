"""The entries that authorities write and sign: a table of text <-> ``ListEntry``, and what changed between two lists. Pure.

Promises: ``parse_entries(format_entries(entries)) == sorted(entries)``; ``apply_changes(list, changes(list, wanted))`` is
``wanted`` sorted; the canonical text depends on the entries alone. Refuses, with every problem at once: a name that is
none, a category that is not the channel's, an entry without its authority (and, where the channel orders, its document),
a date that is none, a name listed twice in one category.

What stands in the table is text for people, who sign it, and is never interpreted: a field that starts with ``=`` stays one.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from blocklists.channels import Channel, changes_path
from blocklists.entry_table import BadEntries, EntryProblem, Row, did_you_mean, read_table, write_table
from blocklists.guards import OTHERS_BELOW, is_public_suffix, objection
from blocklists.rule import Shape
from filters.bundle import Source
from filters.category import CATEGORIES
from filters.message import Message
from filters.name import InvalidName, normalise

__all__ = [
    "ACTION",
    "BLOCK",
    "COLUMNS",
    "OP",
    "TIMEZONE",
    "UNLIST",
    "BadEntries",
    "Difference",
    "EntryProblem",
    "ListEntry",
    "apply_changes",
    "changes",
    "difference",
    "expires_at",
    "format_entries",
    "in_force",
    "objections",
    "parse_entries",
    "sources_of",
]

COLUMNS = ("name", "category", "authority", "document", "reason", "added", "expires")
ACTION, OP = "action", "op"
BLOCK, UNLIST = "block", "unlist"
TIMEZONE = "Asia/Ho_Chi_Minh"
"""where a day of an order begins and ends"""
MAX_PROBLEMS = 1000
_ISO_DATE = re.compile(r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)\Z", re.ASCII)
_VIETNAMESE_DATE = re.compile(r"(?P<day>\d\d?)/(?P<month>\d\d?)/(?P<year>\d{4})\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class ListEntry:
    """One order of one authority about one name and everything below it."""

    name: str
    """canonical (filters/name.py)"""
    category: str
    """one of its channel's; empty where ``unlist``"""
    authority: str
    document: str
    """the order's number, as the authority writes it"""
    reason: str
    added: date
    """when it was put on the list, for people; it is in force from its release on"""
    expires: date | None
    """the last day in force; None: until it is removed"""
    unlist: bool = False
    """True: the name leaves every list of the base and the overlay, so there is no category to say"""

    @property
    def key(self) -> tuple[str, str, bool]:
        """What a list has at most once."""
        return self.name, self.category, self.unlist

    def __lt__(self, other: "ListEntry") -> bool:
        return self._order() < other._order()

    def _order(self) -> tuple[tuple[str, str, bool], str, str, str, date, date]:
        return self.key, self.authority, self.document, self.reason, self.added, self.expires or date.max

    def row(self) -> tuple[str, ...]:
        """The fields of COLUMNS, as text."""
        expires = self.expires.isoformat() if self.expires else ""
        return self.name, self.category, self.authority, self.document, self.reason, self.added.isoformat(), expires


class Difference(NamedTuple):
    added: tuple[ListEntry, ...]
    removed: tuple[ListEntry, ...]
    changed: tuple[tuple[ListEntry, ListEntry], ...]
    """before and after, of the same name: recategorised, or another document, reason or date"""


def parse_entries(data: bytes, channel: Channel, file: str) -> tuple[ListEntry, ...]:
    """The entries of a list, sorted. ``file`` is for messages. Raises BadEntries."""
    rows, problems = read_table(data, file, COLUMNS, (ACTION,))
    entries: dict[tuple[str, str, bool], tuple[int, ListEntry]] = {}
    for row, entry in _read(rows, channel, problems):
        line, first = entries.setdefault(entry.key, (row.line, entry))
        if first is not entry:
            why = Message("{name} stands on line {line} already{kind}", name=entry.name, line=line, kind=_as(entry))
            problems.append(EntryProblem(row.line, "name", why))
    if problems:
        raise BadEntries(file, problems)
    return tuple(sorted(entry for _, entry in entries.values()))


def format_entries(entries: Iterable[ListEntry]) -> bytes:
    """The canonical table. The column ``action`` is there only if an entry needs it."""
    ordered = sorted(entries)
    if any(entry.unlist for entry in ordered):
        return write_table((*COLUMNS, ACTION), [(*entry.row(), _action(entry)) for entry in ordered])
    return write_table(COLUMNS, [entry.row() for entry in ordered])


def changes(released_list: Sequence[ListEntry], wanted: Sequence[ListEntry]) -> bytes:
    """What makes ``wanted`` out of ``released_list``: rows that go (``-``) and rows that come (``+``), by name."""
    listed, goal = set(released_list), set(wanted)
    rows = sorted([(entry.key, False, entry) for entry in listed - goal] + [(entry.key, True, entry) for entry in goal - listed])
    if any(entry.unlist for _, _, entry in rows):
        return write_table((OP, *COLUMNS, ACTION), [("-+"[comes], *entry.row(), _action(entry)) for _, comes, entry in rows])
    return write_table((OP, *COLUMNS), [("-+"[comes], *entry.row()) for _, comes, entry in rows])


def apply_changes(listed: Sequence[ListEntry], data: bytes, channel: Channel) -> tuple[ListEntry, ...]:
    """``listed`` with the changes of ``data``, sorted. Raises BadEntries, also where a row that goes is not in the list."""
    file = changes_path(channel)
    rows, problems = read_table(data, file, (OP, *COLUMNS), (ACTION,))
    entries = {entry.key: entry for entry in listed}
    # What goes goes first: a row that is only reworded goes and comes under the same name.
    for op in ("-", "+"):
        for row, entry in _read([row for row in rows if row.fields[OP] == op], channel, problems):
            problems += _apply(entries, op, entry, row.line)
    problems += [
        EntryProblem(row.line, OP, Message('"{text}" is neither + nor -', text=row.fields[OP]))
        for row in rows
        if row.fields[OP] not in {"-", "+"}
    ]
    if problems:
        raise BadEntries(file, problems)
    return tuple(sorted(entries.values()))


def _apply(entries: dict[tuple[str, str, bool], ListEntry], op: str, entry: ListEntry, line: int) -> list[EntryProblem]:
    if op == "-":
        if entries.get(entry.key) != entry:
            return [EntryProblem(line, "name", Message("{name} goes, but is not in the list in these words", name=entry.name))]
        del entries[entry.key]
    elif entries.setdefault(entry.key, entry) is not entry:
        return [EntryProblem(line, "name", Message("{name} comes, but is in the list already{kind}", name=entry.name, kind=_as(entry)))]
    return []


def objections(entries: Iterable[ListEntry], channel: Channel, may_name: frozenset[str] = frozenset()) -> list[Message]:
    """Why entries must not be published, one line each: public suffixes, critical names (filters/critical.py).

    ``may_name``: critical names that are meant. No ``may_name`` lets a whole public suffix through.
    """
    found: list[Message] = []
    for entry in entries:
        if entry.unlist:
            why = OTHERS_BELOW if is_public_suffix(entry.name) else ""
        else:
            why = objection(entry.name, Shape.SUBTREE, entry.category, may_name)
        if why:
            found.append(Message("{list}: {name}: {why}", list=channel.id, name=entry.name, why=why))
    return found


def difference(before: Iterable[ListEntry], after: Iterable[ListEntry]) -> Difference:
    """What a release changes. A name that left one category and came into another counts as changed, not as both."""
    old, new = set(before), set(after)
    gone, come = _by_name(old - new), _by_name(new - old)
    added: list[ListEntry] = []
    removed: list[ListEntry] = []
    changed: list[tuple[ListEntry, ListEntry]] = []
    for name in gone.keys() | come.keys():
        left, right = gone[name], come[name]
        same = {entry.key for entry in left} & {entry.key for entry in right}
        # The same category on both sides is a pair before any other is made.
        left.sort(key=lambda entry: (entry.key not in same, entry))
        right.sort(key=lambda entry: (entry.key not in same, entry))
        pairs = min(len(left), len(right))
        changed += zip(left, right, strict=False)
        removed += left[pairs:]
        added += right[pairs:]
    return Difference(tuple(sorted(added)), tuple(sorted(removed)), tuple(sorted(changed, key=lambda pair: pair[1])))


def _by_name(entries: Iterable[ListEntry]) -> defaultdict[tuple[str, bool], list[ListEntry]]:
    found: defaultdict[tuple[str, bool], list[ListEntry]] = defaultdict(list)
    for entry in entries:
        found[entry.name, entry.unlist].append(entry)
    return found


def expires_at(entry: ListEntry, timezone: str = TIMEZONE) -> float:
    """The Unix second at which the entry's last day is over; 0: never. As ``Source.expires`` has it."""
    return _end_of(entry.expires, timezone) if entry.expires else 0.0


@lru_cache(4096)
def _end_of(day: date, timezone: str) -> float:
    following = day if day == date.max else day + timedelta(days=1)
    return datetime.combine(following, time(), ZoneInfo(timezone)).timestamp()


def in_force(entries: Iterable[ListEntry], now: float, timezone: str = TIMEZONE) -> tuple[ListEntry, ...]:
    """Those whose last day is not over at ``now`` (Unix seconds)."""
    return tuple(entry for entry in entries if entry.expires is None or now < expires_at(entry, timezone))


def sources_of(entries: Iterable[ListEntry], channel: Channel) -> Iterator[tuple[str, Source]]:
    """Name and source of each entry that lists something, for blocklists/overlay.py; equal sources are one object."""
    made: dict[Source, Source] = {}
    for entry in entries:
        if entry.unlist:
            continue
        source = Source(
            channel.id,
            entry.category,
            authority=entry.authority,
            document=entry.document,
            reason=entry.reason,
            expires=expires_at(entry),
        )
        yield entry.name, made.setdefault(source, source)


# ---- one row ----


def _read(rows: Iterable[Row], channel: Channel, problems: list[EntryProblem]) -> Iterator[tuple[Row, ListEntry]]:
    """The entries of the rows that have no problem; after very many problems no more is read, since each takes its time."""
    for row in rows:
        if len(problems) > MAX_PROBLEMS:
            return
        entry = _entry(row, channel, problems)
        if entry is not None:
            yield row, entry


def _action(entry: ListEntry) -> str:
    return UNLIST if entry.unlist else BLOCK


def _as(entry: ListEntry) -> Message:
    return Message(", also to be unlisted") if entry.unlist else Message(" as {category}", category=entry.category)


def _entry(row: Row, channel: Channel, problems: list[EntryProblem]) -> ListEntry | None:
    """The entry of this row, or None and why among the problems."""
    fields = row.fields
    before = len(problems)

    def refuse(column: str, why: Message) -> None:
        problems.append(EntryProblem(row.line, column, why))

    unlist = fields.get(ACTION, "").lower() == UNLIST
    if fields.get(ACTION, "").lower() not in {"", BLOCK, UNLIST}:
        refuse(ACTION, Message('unknown action "{text}"{hint}', text=fields[ACTION], hint=did_you_mean(fields[ACTION], (BLOCK, UNLIST))))
    elif unlist and not channel.may_unlist:
        refuse(ACTION, Message("the {list} channel may not take names out of other lists", list=channel.id))
    elif why := _no_category(fields["category"], channel, unlist=unlist):
        refuse("category", why)
    name, why = _name(fields["name"])
    if why:
        refuse("name", why)
    if not fields["authority"]:
        refuse("authority", Message("missing: who ordered it?"))
    if channel.needs_document and not fields["document"]:
        refuse("document", Message("missing: an entry of this list needs the number of the order"))
    added, expires = _date(fields["added"]), _date(fields["expires"])
    if added is None:
        refuse("added", _no_date(fields["added"]) if fields["added"] else Message("missing"))
    if expires is None and fields["expires"]:
        refuse("expires", _no_date(fields["expires"]))
    if added and expires and expires < added:
        refuse("expires", Message("{expires} is before the entry was added, {added}", expires=expires, added=added))
    if added is None or len(problems) > before:
        return None
    return ListEntry(name, fields["category"], fields["authority"], fields["document"], fields["reason"], added, expires, unlist)


def _no_category(category: str, channel: Channel, *, unlist: bool) -> Message | None:
    if unlist:
        return Message("leave it empty: a name that is unlisted leaves every category") if category else None
    if category in channel.categories:
        return None
    if category in CATEGORIES:
        known = _listed(channel.categories)
        return Message("the {list} channel may only carry {known}, not {category}", list=channel.id, known=known, category=category)
    if not category:
        return Message("missing")
    return Message('unknown category "{text}"{hint}', text=category, hint=did_you_mean(category, sorted(channel.categories)))


def _listed(categories: frozenset[str]) -> str:
    few = sorted(categories)
    return ", ".join(few) if len(few) <= 5 else Message("the categories that are not locked")


def _name(text: str) -> tuple[str, Message | None]:
    """The canonical name, and why the text is none, with a hint where it is nearly one."""
    try:
        return normalise(text), None
    except InvalidName as error:
        meant = _meant(text)
        if not meant or meant == text:
            return "", Message("{why}", why=error)
    if "/" in text:
        return "", Message('the address of a page, not a name; "{name}" would list the whole site', name=meant)
    if "@" in text:
        return "", Message('an e-mail address, not a name; "{name}" would list the whole site', name=meant)
    return "", Message('not a name; write "{name}", which covers the name and everything below it', name=meant)


def _meant(text: str) -> str:
    """The name in a web address, an e-mail address, ``*.name`` or ``||name^``; empty where there is none."""
    bare = text.removeprefix("||").removesuffix("^").removeprefix("*").removeprefix(".")
    try:
        return normalise(urlsplit(bare if "://" in bare else f"//{bare}").hostname or "")
    except ValueError:
        return ""


@lru_cache(4096)
def _date(text: str) -> date | None:
    """``2026-11-22``, or ``22/11/2026`` as Vietnamese spreadsheets write it."""
    match = _ISO_DATE.match(text) or _VIETNAMESE_DATE.match(text)
    if match is None:
        return None
    try:
        return date(int(match["year"]), int(match["month"]), int(match["day"]))
    except ValueError:
        return None


def _no_date(text: str) -> Message:
    return Message('"{text}" is not a date; write 2026-11-22 or 22/11/2026', text=text)

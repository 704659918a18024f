"""The channels' own entries on the publisher's side: ``lists/CHANNEL.csv`` -> the targets ``list.csv`` and ``changes.csv``. [shell: disk]

People edit one table per channel; what travels is split in two, by this module and never by a person: the list as it was
when it was last written whole, and the rows that came and went since, so that one urgent entry costs a few hundred bytes.
Refused whatever the limits: a table that is none, an entry that its channel may not carry, a critical name, a public suffix.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from blocklists.channels import CHANNELS, Channel, changes_path, list_path
from blocklists.entries import (
    ACTION,
    COLUMNS,
    UNLIST,
    BadEntries,
    ListEntry,
    apply_changes,
    changes,
    format_entries,
    objections,
    parse_entries,
)
from blocklists.entry_table import write_table
from blocklists.publisher.errors import PublishError
from blocklists.publisher.limits import ListLimits
from blocklists.publisher.workspace import write_file
from filters.message import Message, joined

TEXT_CHANNELS = tuple(channel for channel in CHANNELS.values() if channel.text)
_GROWTH_LIMIT, _GROWTH_FLOOR = 10, 1000
"""a list that grew tenfold, and beyond this many entries, is somebody else's list"""


@dataclass(frozen=True, slots=True)
class Carried:
    """What a channel's two targets say."""

    listed: tuple[ListEntry, ...] = ()
    """what stands in list.csv"""
    entries: tuple[ListEntry, ...] = ()
    """that with changes.csv applied"""
    targets: Mapping[str, bytes] = field(default_factory=dict)
    """target path -> bytes, for those that there are"""


def carried(channel: Channel, list_data: bytes | None, changes_data: bytes | None) -> Carried:
    """What targets with these bytes say; None: the target is absent. Raises BadEntries."""
    given = {list_path(channel): list_data, changes_path(channel): changes_data}
    listed = parse_entries(list_data, channel, list_path(channel)) if list_data is not None else ()
    entries = apply_changes(listed, changes_data, channel) if changes_data is not None else listed
    return Carried(listed, entries, {path: data for path, data in given.items() if data is not None})


def split(
    channel: Channel, wanted: tuple[ListEntry, ...], released: Carried, limits: ListLimits, *, urgent: bool
) -> dict[str, bytes | None]:
    """The channel's targets that carry ``wanted``; None: the target is absent.

    An urgent release never rewrites the list, however long the changes get: what every school fetches must be small.
    """
    path, changing = list_path(channel), changes_path(channel)
    if wanted == released.entries:
        return {path: released.targets.get(path), changing: released.targets.get(changing)}
    before = released.targets.get(path)
    rows = len(set(released.listed) ^ set(wanted))
    many = rows > limits.fold_rows or rows > limits.fold_share * len(released.listed)
    if before is None or (many and not urgent):
        return {path: format_entries(wanted), changing: None}
    return {path: before, changing: changes(released.listed, wanted) if rows else None}


def list_file(folder: Path, channel: Channel) -> Path:
    """The table that people edit."""
    return folder / "lists" / f"{channel.id}.csv"


def read_list(folder: Path, channel: Channel) -> tuple[ListEntry, ...] | None:
    """The entries of the table that people edit; None if there is no such file. Raises BadEntries."""
    path = list_file(folder, channel)
    try:
        return parse_entries(path.read_bytes(), channel, str(path.relative_to(folder)))
    except FileNotFoundError:
        return None


def faults(channel: Channel, wanted: tuple[ListEntry, ...] | None, released: Carried, limits: ListLimits) -> list[Message]:
    """Why the entries must not be published, whatever a person says."""
    if wanted is not None:
        return objections(wanted, channel, limits.may_name)
    if released.entries:
        text = Message(
            "lists/{list}.csv: missing, and {count} entries are published; to take all out, leave its first line",
            list=channel.id,
            count=len(released.entries),
        )
        return [text]
    return []


def excesses(channel: Channel, wanted: tuple[ListEntry, ...], released: Carried, limits: ListLimits) -> Iterator[Message]:
    """Changes beyond belief: most of a list gone, or somebody else's list in its place."""
    before, after = len(released.entries), len(wanted)
    names = {(entry.name, entry.unlist) for entry in wanted}
    gone = sum((entry.name, entry.unlist) not in names for entry in released.entries)
    if gone > 1 and gone > limits.max_lost_share * before:
        yield Message("{list}: {gone} of {before} entries are gone (--force accepts it)", list=channel.id, gone=gone, before=before)
    if before and after > max(before * _GROWTH_LIMIT, _GROWTH_FLOOR):
        yield Message("{list}: grew from {before} entries to {now} (--force accepts it)", list=channel.id, before=before, now=after)


# ---- one entry ----


@dataclass(frozen=True, slots=True)
class Order:
    """What a person types to have a name listed, not checked yet."""

    name: str
    category: str = ""
    authority: str = ""
    document: str = ""
    reason: str = ""
    expires: str = ""
    unlist: bool = False


def channel_of(order: Order) -> Channel:
    """The channel that an entry of this category belongs to, where the person names none."""
    if order.unlist:
        return CHANNELS["categories"]
    return next(
        (channel for channel in (CHANNELS["mandatory"], CHANNELS["learning"]) if order.category in channel.categories),
        CHANNELS["categories"],
    )


def add(folder: Path, channel: Channel, order: Order, today: date, limits: ListLimits) -> ListEntry:
    """Write the order into the channel's table. Raises PublishError, BadEntries (the table itself is bad) and OSError."""
    present = read_list(folder, channel) or ()
    entry = _checked(channel, order, today)
    twin = next((other for other in present if other.key == entry.key), None)
    if twin is not None:
        by = " ".join(filter(None, (twin.authority, twin.document)))
        raise PublishError(
            "{name}: stands in {list} already, by {by}, since {day}", name=entry.name, list=channel.id, by=by, day=twin.added
        )
    refused = objections([entry], channel, limits.may_name)
    if refused:
        raise PublishError(joined(refused))
    write_file(list_file(folder, channel), format_entries((*present, entry)))
    return entry


def remove(folder: Path, channel: Channel, name: str, category: str = "") -> tuple[ListEntry, ...]:
    """Take the rows of ``name`` (of one category, if one is given) out of the channel's table. Raises as ``add`` does."""
    present = read_list(folder, channel) or ()
    gone = tuple(entry for entry in present if entry.name == name and category in {"", entry.category})
    if not gone:
        raise PublishError("{name}: does not stand in lists/{list}.csv", name=name, list=channel.id)
    write_file(list_file(folder, channel), format_entries(entry for entry in present if entry not in gone))
    return gone


def _checked(channel: Channel, order: Order, today: date) -> ListEntry:
    """The order as the entry that a table with this one row would give, so that both ways check the same."""
    if order.unlist and not channel.may_unlist:
        raise PublishError("{list}: its entries cannot take names out of other lists", list=channel.id)
    row = (order.name, order.category, order.authority, order.document, order.reason, today.isoformat(), order.expires)
    if any("\n" in field or "\r" in field for field in row):
        raise PublishError("a field of an entry is one line")
    table = write_table((*COLUMNS, ACTION), [(*row, UNLIST)]) if order.unlist else write_table(COLUMNS, [row])
    try:
        (entry,) = parse_entries(table, channel, channel.id)
    except BadEntries as error:
        flaws = (Message("{column}: {what}", column=problem.column or channel.id, what=problem.message) for problem in error.problems)
        raise PublishError(joined(flaws)) from None
    return entry

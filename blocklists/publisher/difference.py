"""What a release changes, for the people who sign it: per channel, name by name; for compiled lists in numbers and examples. Pure.

Two ``Contents`` -> a ``ReleaseDifference`` -> lines or JSON. The lines say what they can by signs and by the entries' own words
(``+`` added, ``-`` removed, ``~`` changed, ``!`` popular); the rest is a ``Message`` (filters/message.py).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from difflib import unified_diff
from typing import Any

from blocklists.channels import CHANNELS
from blocklists.compare import Change, compare
from blocklists.entries import Difference, ListEntry, difference
from filters.bundle import Source
from filters.category import CATEGORIES
from filters.critical import CRITICAL
from filters.domain_index import EMPTY, DomainIndex
from filters.message import Message
from filters.name import parents

MOVERS = 10
"""lists that changed most and are named"""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a release says."""

    texts: Mapping[str, tuple[ListEntry, ...]] = field(default_factory=dict)
    """channel id -> its entries"""
    lists: DomainIndex | None = None
    """base and overlay, as the boxes read them before any entry"""
    contacts: bytes = b""


@dataclass(frozen=True, slots=True)
class Mover:
    """A list that has more or fewer names than before."""

    name: str
    category: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class PopularHit:
    """A popular name that becomes listed, by itself or with what stands above it."""

    name: str
    categories: tuple[str, ...]
    lists: tuple[str, ...]
    """channels, and lists of the bundle"""


@dataclass(frozen=True, slots=True)
class ListsDifference:
    before: int
    """names"""
    after: int
    added: int
    removed: int
    recategorised: int
    first: tuple[Change, ...]
    movers: tuple[Mover, ...]
    new_base: bool
    """whether every school fetches the whole again, not just an overlay"""

    @property
    def share(self) -> float:
        """Part of the names before that is changed."""
        return (self.added + self.removed + self.recategorised) / max(1, self.before)


@dataclass(frozen=True, slots=True)
class ReleaseDifference:
    texts: Mapping[str, Difference]
    """channel id -> what changes, for the channels where something does"""
    lists: ListsDifference | None
    """None: the very same bundle"""
    contacts: tuple[str, ...]
    """changed lines, with their sign"""
    popular: tuple[PopularHit, ...]

    def __bool__(self) -> bool:
        return bool(self.texts or self.lists or self.contacts)


def release_difference(before: Contents, after: Contents, popular: Sequence[str], first: int = 20) -> ReleaseDifference:
    """What ``after`` says otherwise. ``popular``: names to watch, besides the critical ones. ``first``: changes of each kind that are named."""
    texts = {channel: difference(before.texts.get(channel, ()), after.texts.get(channel, ())) for channel in CHANNELS}
    old, new = before.contacts.decode("utf-8", "replace"), after.contacts.decode("utf-8", "replace")
    changed = list(unified_diff(old.splitlines(), new.splitlines(), n=0, lineterm=""))[2:]
    return ReleaseDifference(
        {channel: changes for channel, changes in texts.items() if any(changes)},
        _lists_difference(before.lists, after.lists, first),
        tuple(line for line in changed if not line.startswith("@@")),
        tuple(_popular_hits(before, after, [*popular, *CRITICAL])),
    )


def _lists_difference(before: DomainIndex | None, after: DomainIndex | None, first: int) -> ListsDifference | None:
    old, new = before or EMPTY, after or EMPTY
    if old.identity == new.identity:
        return None
    found = compare(old, new, first)
    new_base = (old.base or old).identity != (new.base or new).identity
    return ListsDifference(old.names, new.names, found.added, found.removed, found.recategorised, found.first, _movers(old, new), new_base)


def _movers(old: DomainIndex, new: DomainIndex) -> tuple[Mover, ...]:
    before, after = _names_per_list(old), _names_per_list(new)
    movers = [Mover(*source, before.get(source, 0), after.get(source, 0)) for source in before.keys() | after.keys()]
    moved = [mover for mover in movers if mover.before != mover.after]
    return tuple(sorted(moved, key=lambda mover: (-abs(mover.after - mover.before), mover.name, mover.category))[:MOVERS])


def _names_per_list(index: DomainIndex) -> dict[tuple[str, str], int]:
    return {(source.name, source.category): count for source, count in zip(index.sources, index.counts, strict=True)}


# ---- popular names ----


def _popular_hits(before: Contents, after: Contents, popular: Iterable[str]) -> Iterator[PopularHit]:
    old, new = _Listed(before), _Listed(after)
    for name in dict.fromkeys(popular):
        known = {category for category, _ in old.of(name)}
        sources = {(category, by) for category, by in new.of(name) if category not in known}
        if sources:
            yield PopularHit(name, tuple(sorted({category for category, _ in sources})), tuple(sorted({by for _, by in sources})))


class _Listed:
    """Which lists and channels of a release block a name, but for those whose subject it is."""

    def __init__(self, contents: Contents) -> None:
        self._lists = contents.lists or EMPTY
        self._entries: dict[str, set[tuple[str, str]]] = {}
        for channel, entries in contents.texts.items():
            for entry in entries:
                if not entry.unlist:
                    self._entries.setdefault(entry.name, set()).add((entry.category, channel))

    def of(self, name: str) -> set[tuple[str, str]]:
        """(category, list or channel)"""
        found = {_pair(match.source) for match in self._lists.lookup(name)}
        for above in parents(name):
            found |= self._entries.get(above, set())
        meant = CRITICAL[name].subject_of if name in CRITICAL else frozenset()
        return {(category, by) for category, by in found if not CATEGORIES[category].open and category not in meant}


def _pair(source: Source) -> tuple[str, str]:
    return source.category, source.name


# ---- as text and as data ----


def lines(found: ReleaseDifference, channel: str) -> list[str]:
    """What changes in one channel, a line each; empty: nothing."""
    texts = found.texts.get(channel)
    result = list(_entry_lines(texts)) if texts else []
    if channel == "categories" and found.lists:
        result += _lists_lines(found.lists)
    if channel == "province":
        result += found.contacts
    listed = found.lists is not None and channel == "categories"
    hits = (hit for hit in found.popular if channel in hit.lists or (listed and not set(hit.lists) <= CHANNELS.keys()))
    return result + [f"! {hit.name}  {' '.join(hit.categories)}  {', '.join(hit.lists)}" for hit in hits]


def _entry_lines(texts: Difference) -> Iterator[str]:
    yield from (f"+ {in_words(entry)}" for entry in texts.added)
    yield from (f"- {in_words(entry)}" for entry in texts.removed)
    for before, after in texts.changed:
        yield f"~ {in_words(before)}"
        yield f"  -> {in_words(after)}"


def in_words(entry: ListEntry) -> str:
    """``xoso.example  unlawful  Công an tỉnh, 123/QĐ: cờ bạc  2026-11-22..2026-12-31``"""
    order = ", ".join(part for part in (entry.authority, entry.document) if part)
    dates = f"{entry.added}..{entry.expires or ''}"
    return "  ".join(
        (entry.name, "unlist" if entry.unlist else entry.category, f"{order}: {entry.reason}" if entry.reason else order, dates)
    )


def _lists_lines(found: ListsDifference) -> Iterator[str]:
    kind = Message("base") if found.new_base else Message("overlay")
    share = f", {found.share:.1%}" if found.before else ""  # of nothing, anything would be an absurd share
    counts = f"+{found.added} -{found.removed} ~{found.recategorised}{share}"
    yield Message("{kind}: {before} -> {after}  ({counts})", kind=kind, before=found.before, after=found.after, counts=counts)
    for mover in found.movers:
        yield f"  {mover.name} ({mover.category}): {mover.before} -> {mover.after}"
    for change in found.first:
        sign = "~" if change.before and change.after else "+" if change.after else "-"
        yield f"{sign} {change.name}  {' -> '.join(' '.join(side) for side in (change.before, change.after) if side)}"


def as_data(found: ReleaseDifference) -> dict[str, Any]:
    """The same for a script, as JSON knows it."""
    texts = {
        channel: {
            "added": [_fields(entry) for entry in changes.added],
            "removed": [_fields(entry) for entry in changes.removed],
            "changed": [{"before": _fields(before), "after": _fields(after)} for before, after in changes.changed],
        }
        for channel, changes in found.texts.items()
    }
    lists = asdict(found.lists) | {"share": found.lists.share if found.lists.before else None} if found.lists else None
    return {"texts": texts, "lists": lists, "contacts": list(found.contacts), "popular": [asdict(hit) for hit in found.popular]}


def _fields(entry: ListEntry) -> dict[str, Any]:
    return asdict(entry) | {"added": entry.added.isoformat(), "expires": entry.expires.isoformat() if entry.expires else None}

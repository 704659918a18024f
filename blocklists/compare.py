"""Two bundles -> what changed between them: names added, removed, and moved to other categories. Pure."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import nsmallest

from filters.bundle import SUBTREE
from filters.domain_index import DomainIndex

Entries = Iterable[tuple[str, tuple[tuple[int, int], ...]]]


@dataclass(frozen=True, slots=True)
class Change:
    """One name with its categories before and after; a name that is not listed has none."""

    name: str
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    added: int
    removed: int
    recategorised: int
    first: tuple[Change, ...]
    """some of each kind, by name"""


def compare(
    old: DomainIndex, new: DomainIndex, first: int = 20, watch: Callable[[Entries], Entries] = lambda entries: entries
) -> Difference:
    """What ``new`` lists otherwise than ``old``; ``first`` changes of each kind are named.

    ``watch`` sees each of the two walks over a bundle's entries (a progress bar). No set of all names is built.
    """
    counts = dict.fromkeys(("added", "removed", "recategorised"), 0)
    named: dict[str, list[Change]] = {kind: [] for kind in counts}
    for kind, change in _changes(old, new, watch):
        counts[kind] += 1
        named[kind].append(change)
        if len(named[kind]) > max(1000, 2 * first):
            named[kind] = nsmallest(first, named[kind], key=_name)
    listed = [change for kind in named for change in nsmallest(first, named[kind], key=_name)]
    return Difference(**counts, first=tuple(listed))


def _name(change: Change) -> str:
    return change.name


def _changes(old: DomainIndex, new: DomainIndex, watch: Callable[[Entries], Entries]) -> Iterator[tuple[str, Change]]:
    for name, entry in watch(old.entries()):
        before, after = _categories(old, entry), _categories(new, new.entry(name))
        if before and not after:
            yield "removed", Change(name, before, after)
        elif before and before != after:
            yield "recategorised", Change(name, before, after)
    for name, entry in watch(new.entries()):
        after = _categories(new, entry)
        if after and not _categories(old, old.entry(name)):
            yield "added", Change(name, (), after)


def _categories(index: DomainIndex, entry: Iterable[tuple[int, int]]) -> tuple[str, ...]:
    """The categories that the entries of one name put it into; exceptions put it into none."""
    return tuple(sorted({index.sources[source].category for source, flags in entry if flags & SUBTREE}))

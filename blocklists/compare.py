"""Two bundles -> what changed between them: names added, removed, and moved to other categories. Pure."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from heapq import nsmallest

from filters.bundle import SUBTREE, LabelSet, name_of
from filters.domain_index import DomainIndex

Entries = Iterable[tuple[str, LabelSet]]
_Found = tuple[str, tuple[str, ...], tuple[str, ...]]
"""the fields of a ``Change``, of which there may be millions"""


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

    ``watch`` sees each of the two walks over a bundle's keys (a progress bar). No set of all names is built.
    """
    counts = dict.fromkeys(("added", "removed", "recategorised"), 0)
    named: dict[str, list[_Found]] = {kind: [] for kind in counts}
    for kind, found in _changes(old, new, watch):
        counts[kind] += 1
        named[kind].append(found)
        if len(named[kind]) > max(1000, 2 * first):
            named[kind] = nsmallest(first, named[kind])
    return Difference(**counts, first=tuple(Change(*found) for kind in named for found in nsmallest(first, named[kind])))


def _changes(old: DomainIndex, new: DomainIndex, watch: Callable[[Entries], Entries]) -> Iterator[tuple[str, _Found]]:
    if _below(old) == _below(new):
        yield from _changes_above(old, new)
        return
    old_categories, new_categories = _categories(old), _categories(new)
    for key, label_set in watch(old.table.items()):
        before, after = old_categories(label_set), new_categories(new.table.get(key))
        if before and before != after:
            yield "recategorised" if after else "removed", (name_of(key), before, after)
    for key, label_set in watch(new.table.items()):
        after = new_categories(label_set)
        if after and not old_categories(old.table.get(key)):
            yield "added", (name_of(key), (), after)


def _below(index: DomainIndex) -> str:
    """The identity of the base; of a bundle that is none's overlay, its own."""
    return (index.base or index).identity


def _changes_above(old: DomainIndex, new: DomainIndex) -> Iterator[tuple[str, _Found]]:
    """The same where one base lies below both: only what an overlay speaks of can differ."""
    old_categories, new_categories = _categories(old), _categories(new)
    for name in {name for index in (old, new) if index.base for name in index.changed_names()}:
        before, after = old_categories(old.entry(name)), new_categories(new.entry(name))
        if before != after:
            yield "recategorised" if before and after else "removed" if before else "added", (name, before, after)


def _categories(index: DomainIndex) -> Callable[[LabelSet], tuple[str, ...]]:
    """The categories that the entries of one name put it into; exceptions put it into none. There are few label sets."""

    @cache
    def of(label_set: LabelSet) -> tuple[str, ...]:
        return tuple(sorted({index.sources[source].category for source, flags in label_set if flags & SUBTREE}))

    return of

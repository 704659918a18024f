"""Keys -> label sets: the mapped files of a bundle, and those of an overlay laid over those of its base.  [shell]

A key is a name's reversed labels with a closing dot (filters/bundle.py). Both tables answer alike, so filters/domain_index.py
need not know which of them it reads. Nothing of a listed name is a Python object before somebody asks for it.
"""

import mmap
from bisect import bisect_left
from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import marisa_trie

from filters.bundle import LABELS, NAMES, RULES, BadBundle, LabelSet, Manifest, verified

_PIECE = 16384
"""labels that are checked in one go"""


class NameTable(Protocol):
    def prefixes(self, key: str) -> list[str]:
        """The keys here that are prefixes of ``key``, the shortest first."""

    def label_set(self, key: str) -> LabelSet:
        """The label set of a ``key`` that ``prefixes`` gave."""

    def get(self, key: str) -> LabelSet:
        """The label set of ``key``; empty: it is not listed."""

    def items(self) -> Iterator[tuple[str, LabelSet]]:
        """Every listed key, one at a time, in no order worth a promise."""

    def below(self, key: str) -> Iterator[str]:
        """The listed keys below ``key``, itself not among them."""

    def of_sources(self, sources: Container[int]) -> Iterator[str]:
        """The keys that any of ``sources`` lists, found without walking all of them."""

    def changes(self) -> Iterator[tuple[str, LabelSet]]:
        """The keys that this bundle itself speaks of; no label set: an overlay takes the key out of its base."""


class MappedNames:
    """One bundle's trie and labels."""

    def __init__(self) -> None:
        self._trie: Any = marisa_trie.Trie()
        self._labels: Sequence[int] | memoryview = ()
        self._sets: tuple[LabelSet, ...] = ()
        self._bind()

    def _bind(self) -> None:
        """The trie's own functions, without a step in between: every query goes through the first."""
        self.prefixes, self.key_id, self.key_of_id = self._trie.prefixes, self._trie.key_id, self._trie.restore_key

    @classmethod
    def map(cls, directory: Path, manifest: Manifest, sets: tuple[LabelSet, ...]) -> "MappedNames":
        """Check and map the files in ``directory``. Raises BadBundle."""
        names = cls()
        names._trie = _map_trie(verified(directory, NAMES, manifest.files), manifest.names)
        names._labels = _map_labels(verified(directory, LABELS, manifest.files), manifest, len(sets))
        names._sets = sets
        names._bind()
        return names

    def __len__(self) -> int:
        return len(self._trie)

    def __contains__(self, key: str) -> bool:
        return key in self._trie

    def __iter__(self) -> Iterator[str]:
        keys: Iterator[str] = self._trie.iterkeys()
        return keys

    def label_set(self, key: str) -> LabelSet:
        return self._sets[self._labels[self.key_id(key)]]

    def get(self, key: str) -> LabelSet:
        number = self._trie.get(key)
        return () if number is None else self._sets[self._labels[number]]

    def items(self) -> Iterator[tuple[str, LabelSet]]:
        sets, labels = self._sets, self._labels
        for key, number in self._trie.iteritems():
            yield key, sets[labels[number]]

    def below(self, key: str) -> Iterator[str]:
        return (found for found in self._trie.iterkeys(key) if found != key)

    def of_sources(self, sources: Container[int]) -> Iterator[str]:
        wanted = {number for number, label_set in enumerate(self._sets) if any(source in sources for source, _ in label_set)}
        if not wanted:
            return iter(())
        return (self.key_of_id(place) for place, number in enumerate(self._labels) if number in wanted)

    def unlike(self, others: Iterable[tuple[str, LabelSet]]) -> Iterator[tuple[str, LabelSet]]:
        """What of ``others``, each key once, is not said here; and, without a label set, the keys here that are not among them."""
        known, sets, labels = self._trie.get, self._sets, self._labels
        found = bytearray(len(self))
        for key, label_set in others:
            number = known(key)
            if number is not None:
                found[number] = True
                if sets[labels[number]] == label_set:
                    continue
            yield key, label_set
        yield from ((self.key_of_id(number), ()) for number, there in enumerate(found) if not there)

    changes = items


class OverlaidNames:
    """An overlay's table over its base's: where it has a key, its label set counts and the base's does not.

    ``gone``: the numbers of the base's keys that are not listed any more, in order.
    """

    def __init__(self, base: MappedNames, own: MappedNames, gone: Sequence[int]) -> None:
        self._base = base
        self._own = own
        self._gone = gone

    def _is_gone(self, key: str) -> bool:
        number = self._base.key_id(key)
        at = bisect_left(self._gone, number)
        return at < len(self._gone) and self._gone[at] == number

    def _is_out(self, key: str) -> bool:
        """Whether the base's entry for its ``key`` counts no more."""
        return key in self._own or self._is_gone(key)

    def prefixes(self, key: str) -> list[str]:
        own: list[str] = self._own.prefixes(key)
        below: list[str] = self._base.prefixes(key)
        if below:
            below = [found for found in below if found not in own and not self._is_gone(found)]
        return sorted(own + below, key=len) if own and below else own or below

    def label_set(self, key: str) -> LabelSet:
        return self._own.label_set(key) if key in self._own else self._base.label_set(key)

    def get(self, key: str) -> LabelSet:
        return self._own.get(key) or (self._base.get(key) if key in self._base and not self._is_out(key) else ())

    def items(self) -> Iterator[tuple[str, LabelSet]]:
        yield from (item for item in self._base.items() if not self._is_out(item[0]))
        yield from self._own.items()

    def below(self, key: str) -> Iterator[str]:
        yield from (found for found in self._base.below(key) if not self._is_out(found))
        yield from self._own.below(key)

    def of_sources(self, sources: Container[int]) -> Iterator[str]:
        yield from (found for found in self._base.of_sources(sources) if not self._is_out(found))
        yield from self._own.of_sources(sources)

    def changes(self) -> Iterator[tuple[str, LabelSet]]:
        yield from self._own.items()
        yield from ((self._base.key_of_id(number), ()) for number in self._gone)


def _map_trie(path: Path, names: int) -> Any:
    trie = marisa_trie.Trie()
    try:
        trie.mmap(str(path))  # not map(): that one keeps a pointer into a buffer it does not own
    except (RuntimeError, OSError) as error:
        raise BadBundle(f"{NAMES}: {error}") from None
    if len(trie) != names:
        raise BadBundle(f"{NAMES}: {len(trie)} names instead of {names}")
    return trie


def _map_labels(path: Path, manifest: Manifest, sets: int) -> Sequence[int] | memoryview:
    if path.stat().st_size != manifest.names * manifest.label_bytes:
        raise BadBundle(f"{LABELS}: not {manifest.label_bytes} bytes for each of {manifest.names} names")
    if not manifest.names:
        return ()
    with path.open("rb") as file:
        labels = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)).cast("H" if manifest.label_bytes == 2 else "I")
    # In pieces: one call holds the interpreter's lock for all of it, and the loop that answers queries waits for that.
    if any(max(labels[at : at + _PIECE]) >= sets for at in range(0, len(labels), _PIECE)):
        raise BadBundle(f"{LABELS}: a label set that {RULES} does not have")
    return labels

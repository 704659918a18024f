"""Which lists speak of a name: the validating, memory-mapped reader of a bundle (filters/bundle.py).

``lookup`` costs about a microsecond for a name that no list knows and no Python object per listed name. Per source the
most specific entry decides; an exception there silences that source alone. ``open`` checks every byte first and
raises nothing but ``BadBundle``.
"""

import mmap
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import marisa_trie

from filters.bundle import (
    ALLOW_BELOW,
    ALLOW_SELF,
    BLOCK_BELOW,
    BLOCK_SELF,
    CONDITIONAL,
    FIRM_SELF,
    LABELS,
    MAX_CONDITIONAL,
    MAX_PATTERNS,
    NAMES,
    RULES,
    SUBTREE,
    BadBundle,
    Conditional,
    Entry,
    Manifest,
    Rules,
    Source,
    key_of,
    name_of,
    read_manifest,
    verified,
    write,
)
from filters.name import is_within

__all__ = ["EMPTY", "SUBTREE", "BadBundle", "Conditional", "DomainIndex", "Entry", "Match", "Source", "write"]

_ESCAPED_LABELS = re.compile(r"(?:\\.|[^.\\])+", re.DOTALL)
_ALLOW_SHIFT = 2
"""from BLOCK_SELF and BLOCK_BELOW to ALLOW_SELF and ALLOW_BELOW"""
_FIRM_SHIFT = 4
_BLOCK, _ALLOW, _FIRM = 1, 2, 2
"""strengths, as Adblock orders them: block 1 < exception 2 < important block 3 < important exception 4"""


class Match(NamedTuple):
    """One list that blocks (or, for an open category, names) a name."""

    rule: str
    """as a person reads it: ``example.com`` (and all below), ``=example.com``, ``*.example.com``, ``/regex/``"""
    labels: int
    """number of labels of the listed name, which is how specific it is; 0 for a regex"""
    source: Source


class _Opinion(NamedTuple):
    strength: int
    match: Match


class _Patterns:
    """The regular expressions of a bundle, behind one that finds out whether any of them matters."""

    def __init__(self, rules: Iterable[Conditional]) -> None:
        self._rules = [(rule, re.compile(rule.pattern)) for rule in rules]
        self._any = re.compile("|".join(f"(?:{rule.pattern})" for rule, _ in self._rules))

    def matching(self, name: str) -> list[Conditional]:
        if self._any.search(name) is None:
            return []
        return [rule for rule, pattern in self._rules if pattern.search(name)]


class DomainIndex:
    """The names of a bundle, mapped. Immutable but for ``close``, which must not run beside a lookup."""

    def __init__(self, sources: Sequence[Source] = (), identity: str = "", built_at: float = 0.0) -> None:
        self.sources = tuple(sources)
        self.identity = identity
        self.built_at = built_at
        self.names = 0
        self.counts: tuple[int, ...] = ()
        """names per source"""
        self._trie: Any = marisa_trie.Trie()
        self._prefixes = self._trie.prefixes
        self._labels: Sequence[int] | memoryview = ()
        self._sets: tuple[tuple[tuple[int, int], ...], ...] = ()
        self._named: dict[tuple[str, int], list[Conditional]] = {}
        self._patterns: _Patterns | None = None

    @classmethod
    def open(cls, directory: Path) -> "DomainIndex":
        """Map the bundle in ``directory`` (a link is followed once). Raises BadBundle, whatever is wrong with it."""
        directory = directory.resolve()
        manifest = read_manifest(directory)
        rules = Rules.read(verified(directory, RULES, manifest.files).read_bytes(), RULES)
        index = cls(manifest.sources, manifest.identity, manifest.built_at)
        index.names, index.counts = manifest.names, manifest.counts
        index._trie = _map_names(verified(directory, NAMES, manifest.files), manifest.names)
        index._prefixes = index._trie.prefixes
        index._labels = _map_labels(verified(directory, LABELS, manifest.files), manifest, len(rules.sets))
        index._use(rules)
        return index

    def _use(self, rules: Rules) -> None:
        sources = len(self.sources)
        numbers = {source for label_set in rules.sets for source, _ in label_set} | {rule.source for rule in rules.conditional}
        if any(not 0 <= source < sources for source in numbers):
            raise BadBundle(f"{RULES}: a rule of a source that the manifest does not name")
        self._sets = rules.sets
        patterns = [rule for rule in rules.conditional if rule.pattern]
        if len(patterns) > MAX_PATTERNS or len(rules.conditional) > MAX_CONDITIONAL:
            raise BadBundle(f"{RULES}: more than {MAX_PATTERNS} regular expressions, or {MAX_CONDITIONAL} rules with conditions")
        try:
            self._patterns = _Patterns(patterns) if patterns else None
        except re.error as error:
            raise BadBundle(f"{RULES}: {error}") from None
        for rule in rules.conditional:
            if not rule.pattern:
                self._named.setdefault((key_of(rule.name), rule.source), []).append(rule)

    def lookup(self, name: str, qtype: int = 1) -> tuple[Match, ...]:
        """The lists that speak of ``name`` (canonical, see filters/name.py), the most specific first.

        ``qtype`` matters only to rules with ``$dnstype``. A list whose exception covers the name is not there.
        """
        keys = self._prefixes(".".join(name.split(".")[::-1]) + ".")
        if not keys and self._patterns is None:
            return ()
        return self._matches(name, qtype, keys)

    def _matches(self, name: str, qtype: int, keys: list[str]) -> tuple[Match, ...]:
        escaped = "\\" in name
        full = key_of(name)
        if escaped:  # a dot inside a label is not a boundary: such a name has none of the parents that split() sees
            full = ".".join(_ESCAPED_LABELS.findall(name)[::-1]) + "."
            keys = [key for key in keys if full.startswith(key)]
        decided: dict[int, _Opinion] = {}
        conditional: list[Conditional] = []
        for key in reversed(keys):
            here = BLOCK_SELF if len(key) == len(full) else BLOCK_BELOW
            for source, flags in self._sets[self._labels[self._trie.key_id(key)]]:
                if flags & CONDITIONAL:
                    conditional += self._named.get((key, source), ())
                if flags & (here | here << _ALLOW_SHIFT) and source not in decided:
                    strength = _BLOCK if flags & here else _ALLOW
                    strength += _FIRM if flags & here << _FIRM_SHIFT else 0
                    decided[source] = _Opinion(strength, Match(_rule_text(key, flags), key.count("."), self.sources[source]))
        if self._patterns is not None and not escaped:
            conditional += self._patterns.matching(name)
        if conditional:
            self._weigh(decided, conditional, name, qtype)
        matches = [opinion.match for opinion in decided.values() if opinion.strength % 2 == _BLOCK]
        if len(matches) > 1:
            matches.sort(key=_specific_first)
        return tuple(matches)

    def _weigh(self, decided: dict[int, _Opinion], rules: Iterable[Conditional], name: str, qtype: int) -> None:
        """Let the rules that apply outweigh what the trie said for their source."""
        for rule in rules:
            if not _applies(rule, name, qtype):
                continue
            strength = (_ALLOW if rule.allow else _BLOCK) + (_FIRM if rule.firm else 0)
            text = f"/{rule.pattern}/" if rule.pattern else _rule_text(key_of(rule.name), rule.covers)
            opinion = _Opinion(strength, Match(text, rule.name.count(".") + 1 if rule.name else 0, self.sources[rule.source]))
            other = decided.get(rule.source)
            if other is None or (opinion.strength, opinion.match.labels) > (other.strength, other.match.labels):
                decided[rule.source] = opinion

    def entries(self) -> Iterator[tuple[str, tuple[tuple[int, int], ...]]]:
        """Every listed name with its (position in ``sources``, flags); in the trie's own order, one at a time."""
        for key, number in self._trie.iteritems():
            yield name_of(key), self._sets[self._labels[number]]

    def entry(self, name: str) -> tuple[tuple[int, int], ...]:
        """What is listed under exactly ``name``: (position in ``sources``, flags)."""
        number = self._trie.get(key_of(name))
        return () if number is None else self._sets[self._labels[number]]

    def close(self) -> None:
        """Give the mapping back; afterwards no name is listed. An index that is merely dropped does so by itself."""
        self._trie = marisa_trie.Trie()
        self._prefixes = self._trie.prefixes
        self._patterns, self.names = None, 0
        labels, self._labels = self._labels, ()
        if isinstance(labels, memoryview):
            labels.release()


def _map_names(path: Path, names: int) -> Any:
    trie = marisa_trie.Trie()
    try:
        trie.mmap(str(path))  # not map(): that one keeps a pointer into a buffer it does not own
    except (RuntimeError, OSError) as error:
        raise BadBundle(f"{NAMES}: {error}") from None
    if len(trie) != names:
        raise BadBundle(f"{NAMES}: {len(trie)} names instead of {names}")
    return trie


_PIECE = 16384
"""labels that are checked in one go"""


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


def _rule_text(key: str, flags: int) -> str:
    name = name_of(key)
    if flags & (BLOCK_SELF | ALLOW_SELF) and flags & (BLOCK_BELOW | ALLOW_BELOW):
        return name
    return "=" + name if flags & (BLOCK_SELF | ALLOW_SELF | FIRM_SELF) else "*." + name


def _specific_first(match: Match) -> int:
    return -match.labels


def _applies(rule: Conditional, name: str, qtype: int) -> bool:
    if rule.types and (qtype in rule.types) == rule.other_types:
        return False
    if rule.name and not rule.covers & (BLOCK_SELF if name == rule.name else BLOCK_BELOW):
        return False
    return not any(is_within(name, spared) for spared in rule.denyallow)


EMPTY = DomainIndex()
"""No names: for tests, and as the last resort."""

"""Which lists speak of a name: the validating, memory-mapped reader of a bundle (filters/bundle.py).

``lookup`` costs about a microsecond for a name that no list knows and no Python object per listed name. Per source the
most specific entry decides; an exception there silences that source alone. ``open`` checks every byte first and
raises nothing but ``BadBundle``.

An overlay answers for itself and its base together: what it says of a listed name replaces what the base says of that
name, and its rules with conditions replace the base's.
"""

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from filters.bundle import (
    ALLOW_BELOW,
    ALLOW_SELF,
    BLOCK_BELOW,
    BLOCK_SELF,
    CONDITIONAL,
    FIRM_SELF,
    MANIFEST,
    MAX_CONDITIONAL,
    MAX_PATTERNS,
    RULES,
    SUBTREE,
    BadBundle,
    Conditional,
    Entry,
    LabelSet,
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
from filters.name_table import MappedNames, NameTable, OverlaidNames

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
        self.base: DomainIndex | None = None
        """of an overlay: the bundle that it changes"""
        self.names = 0
        """how many names are listed, in base and overlay together"""
        self.counts: tuple[int, ...] = ()
        """names per source, likewise"""
        self.conditional: tuple[Conditional, ...] = ()
        """the rules that a trie cannot hold; an overlay's replace its base's"""
        self.own = MappedNames()
        """the keys of this bundle alone"""
        self.table: NameTable = self.own
        """what is in force: ``own``, of an overlay over the base's"""
        self._prefixes, self._label_set = self.table.prefixes, self.table.label_set
        self._named: dict[tuple[str, int], list[Conditional]] = {}
        self._patterns: _Patterns | None = None

    @classmethod
    def open(cls, directory: Path, previous: "DomainIndex | None" = None) -> "DomainIndex":
        """Map the bundle in ``directory`` (a link is followed once). Raises BadBundle, whatever is wrong with it.

        An overlay's base lies beside it under its identity; where ``previous`` is that base, or lies over it, the base is neither
        read nor mapped again.
        """
        directory = directory.resolve()
        manifest = read_manifest(directory)
        rules = Rules.read(verified(directory, RULES, manifest.files).read_bytes(), RULES)
        index = cls(manifest.sources, manifest.identity, manifest.built_at)
        index.names, index.counts = manifest.listed, manifest.counts
        own = MappedNames.map(directory, manifest, rules.sets)
        base = _base(directory, manifest, previous) if manifest.base else None
        index._see(own, base, _numbers(rules.gone, base))
        index._use(rules)
        return index

    def _see(self, own: MappedNames, base: "DomainIndex | None", gone: Sequence[int]) -> None:
        self.own, self.base = own, base
        self.table = own if base is None else OverlaidNames(base.own, own, gone)
        self._prefixes, self._label_set = self.table.prefixes, self.table.label_set

    def _use(self, rules: Rules) -> None:
        sources = len(self.sources)
        numbers = {source for label_set in rules.sets for source, _ in label_set} | {rule.source for rule in rules.conditional}
        if any(not 0 <= source < sources for source in numbers):
            raise BadBundle(f"{RULES}: a rule of a source that the manifest does not name")
        self.conditional = rules.conditional
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
        full = ".".join(name.split(".")[::-1]) + "."
        keys = self._prefixes(full)
        if not keys and self._patterns is None:
            return ()
        return self._matches(name, qtype, keys, full)

    def _matches(self, name: str, qtype: int, keys: list[str], full: str) -> tuple[Match, ...]:
        escaped = "\\" in name
        if escaped:  # a dot inside a label is not a boundary: such a name has none of the parents that split() sees
            full = ".".join(_ESCAPED_LABELS.findall(name)[::-1]) + "."
            keys = [key for key in keys if full.startswith(key)]
        decided: dict[int, _Opinion] = {}
        conditional: list[Conditional] = []
        for key in reversed(keys):
            here = BLOCK_SELF if len(key) == len(full) else BLOCK_BELOW
            for source, flags in self._label_set(key):
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

    def entries(self) -> Iterator[tuple[str, LabelSet]]:
        """Every listed name with its (position in ``sources``, flags); in the trie's own order, one at a time."""
        return ((name_of(key), label_set) for key, label_set in self.table.items())

    def entry(self, name: str) -> LabelSet:
        """What is listed under exactly ``name``: (position in ``sources``, flags)."""
        return self.table.get(key_of(name))

    def changed_names(self) -> Iterator[str]:
        """The names that this bundle itself speaks of: of an overlay those that it adds, changes or takes out of the base."""
        return (name_of(key) for key, _ in self.table.changes())

    def close(self) -> None:
        """Give the mapping back; afterwards no name is listed. An index that is merely dropped does so by itself.

        A base stays mapped as long as another index lies over it.
        """
        self._see(MappedNames(), None, ())
        self._patterns, self.names = None, 0


def _base(directory: Path, manifest: Manifest, previous: DomainIndex | None) -> DomainIndex:
    """The base of the overlay in ``directory``. Raises BadBundle if it is missing, damaged, another, or an overlay itself."""
    known = [index for index in (previous, previous and previous.base) if index and index.identity == manifest.base and not index.base]
    base = known[0] if known else _opened_base(directory.parent / manifest.base, manifest.base)
    if [_which(source) for source in base.sources] != [_which(source) for source in manifest.sources[: len(base.sources)]]:
        raise BadBundle(f"{MANIFEST}: its sources do not begin with its base's")
    if not 0 <= manifest.listed <= base.names + manifest.names:
        raise BadBundle(f"{MANIFEST}: contradicts itself")
    return base


def _numbers(gaps: Sequence[int], base: DomainIndex | None) -> "array[int]":
    """The numbers of the keys that are gone, in order (Rules.gone). Raises BadBundle for what the base does not have."""
    numbers = list(accumulate(gaps))
    if numbers and (base is None or numbers[0] < 0 or min(gaps[1:], default=1) < 1 or numbers[-1] >= len(base.own)):
        raise BadBundle(f"{RULES}: takes out what the base does not have")
    return array("I", numbers)


def _opened_base(directory: Path, identity: str) -> DomainIndex:
    try:
        manifest = read_manifest(directory)
        if manifest.identity != identity or manifest.base:
            raise BadBundle("another bundle, or an overlay itself")  # noqa: TRY301 - the same words around it as around the others
        return DomainIndex.open(directory)
    except BadBundle as error:
        raise BadBundle(f"its base {identity[:12]}: {error}") from None


def _which(source: Source) -> tuple[str, str]:
    """What of a source may not change between a base and its overlay."""
    return source.name, source.category


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

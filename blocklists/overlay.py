"""Two bundles -> the small one that turns the first into the second; and a bundle with text entries on top. Pure but for the folder.

An overlay has every key whose label set is another than in its base, with the whole of the new one, and which of the base's
keys are not listed any more. Promises: the same input gives the same bytes, whatever order the additions come in; no set of all names is built;
``compose`` costs what the overlay has, not what the base has.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import cache
from itertools import islice
from operator import attrgetter
from pathlib import Path

from blocklists.sources import TEST_SOURCE
from filters.bundle import (
    ALLOW_BELOW,
    ALLOW_SELF,
    CONDITIONAL,
    FIRM_BELOW,
    FIRM_SELF,
    SUBTREE,
    LabelSet,
    Over,
    Source,
    key_of,
    name_of,
    write,
    write_changes,
)
from filters.category import CATEGORIES, LOCKED
from filters.domain_index import DomainIndex

_LIFTED = ALLOW_SELF | ALLOW_BELOW | FIRM_SELF | FIRM_BELOW
"""an exception that no other entry of its list outweighs, patterns included"""


def write_overlay(directory: Path, base: DomainIndex, full: DomainIndex, most: int | None = None) -> str:
    """Write the overlay upon ``base`` that answers as ``full`` does, and return its identity.

    If it would have more than ``most`` keys nothing is written, and there is no identity. ``base`` is no overlay itself. A source of the
    base that ``full`` has no more stays, with no names. Of several lists that say the same of a name, the order may be another than in ``full``.
    """
    sources, positions = _joined(base.sources, full.sources)
    changes = _differences(base, full, positions)
    if most is not None:
        few = list(islice(changes, most + 1))
        if len(few) > most:
            return ""
        changes = iter(few)
    counts = [0] * len(sources)
    for position, count in zip(positions, full.counts, strict=True):
        counts[position] = count
    conditional = [replace(rule, source=positions[rule.source]) for rule in full.conditional]
    over = Over(base.identity, base.own.key_id, full.names, tuple(counts))
    return write_changes(directory, changes, sources, conditional, over, full.built_at)


def _joined(base: Sequence[Source], full: Sequence[Source]) -> tuple[list[Source], list[int]]:
    """The sources of an overlay, and for each source of ``full`` its position among them.

    The base's places are taken by the same sources, where there are none by ones of the same name and category (whatever else
    is said of them now is newer); the rest follows.
    """
    sources = list(base)
    free = set(range(len(base)))
    positions: dict[int, int] = {}
    for same in (_itself, _name_and_category):
        places: dict[object, list[int]] = {}
        for place in sorted(free, reverse=True):
            places.setdefault(same(base[place]), []).append(place)
        for number, source in enumerate(full):
            if number not in positions and places.get(same(source)):
                positions[number] = place = places[same(source)].pop()
                sources[place] = source
                free.remove(place)
    for number, source in enumerate(full):
        if number not in positions:
            positions[number] = len(sources)
            sources.append(source)
    return sources, [positions[number] for number in range(len(full))]


def _itself(source: Source) -> object:
    return source


def _name_and_category(source: Source) -> object:
    return source.name, source.category


def _differences(base: DomainIndex, full: DomainIndex, positions: Sequence[int]) -> Iterator[tuple[str, LabelSet]]:
    """Every key of which ``full`` says something else than ``base``, with what it says in the overlay's numbers."""

    @cache
    def numbered(label_set: LabelSet) -> LabelSet:
        return tuple(sorted((positions[source], flags) for source, flags in label_set))

    return base.own.unlike((key, numbered(label_set)) for key, label_set in full.table.items())


def compose(
    directory: Path,
    under: DomainIndex | None,
    additions: Iterable[tuple[str, Source]],
    unlisted: Iterable[str] = (),
    built_at: float = 0.0,
) -> str:
    """Write a bundle that says what ``under`` says and the ``additions`` (name and source, each with everything below it) too.

    No list of ``under`` says anything any more of the ``unlisted`` names and what is below them; additions do. Where ``under``
    is a base or an overlay, this is an overlay upon that base; without it, a bundle of the additions and the categories' test
    names. Returns the identity.
    """
    added = list(additions)
    if under is None:
        return _write_alone(directory, added, built_at)
    base = under.base or under
    sources = [*under.sources, *_new_sources(under.sources, added)]
    touched = _lifted(under, unlisted)
    numbers = {source: number for number, source in reversed(list(enumerate(sources)))}
    for name, source in added:
        entry = touched.setdefault(key_of(name), dict(under.table.get(key_of(name))))
        entry[numbers[source]] = SUBTREE | entry.get(numbers[source], 0) & CONDITIONAL
    settled = {key: tuple(sorted(entry.items())) for key, entry in touched.items()}
    over = _over(base, under, settled, len(sources))
    return write_changes(directory, _upon(base, under, settled), sources, under.conditional, over, built_at)


def _write_alone(directory: Path, added: Sequence[tuple[str, Source]], built_at: float) -> str:
    tests = [(category.test_name, Source(TEST_SOURCE, category.id)) for category in CATEGORIES.values()]
    sources = [source for _, source in tests]
    sources += _new_sources(sources, added)
    numbers = {source: number for number, source in enumerate(sources)}
    entries = ((name, numbers[source], SUBTREE) for name, source in (*tests, *added))
    return write(directory, entries, sources, built_at=built_at)


def _new_sources(known: Iterable[Source], added: Iterable[tuple[str, Source]]) -> list[Source]:
    return sorted({source for _, source in added}.difference(known), key=attrgetter(*(field.name for field in fields(Source))))


def _lifted(under: DomainIndex, unlisted: Iterable[str]) -> dict[str, dict[int, int]]:
    """What becomes of the keys of unlisted names and of what is listed below them: key -> source -> flags."""
    keys = {key_of(name) for name in unlisted}
    patterns = {rule.source for rule in under.conditional if rule.pattern}
    lifted: dict[str, dict[int, int]] = {below: {} for key in keys for below in under.table.below(key)}
    for key in keys:
        speaking = {source for above in under.table.prefixes(key) for source, _ in under.table.get(above)}
        lifted[key] = dict.fromkeys(speaking | patterns, _LIFTED)
    return lifted


def _over(base: DomainIndex, under: DomainIndex, settled: Mapping[str, LabelSet], sources: int) -> Over:
    """What is listed when ``settled`` takes the place of what ``under`` says of the same keys."""
    counts: Counter[int] = Counter(dict(enumerate(under.counts)))
    listed = under.names
    for key, after in settled.items():
        before = under.table.get(key)
        listed += bool(after) - bool(before)
        counts.update(source for source, _ in after)
        counts.subtract(source for source, _ in before)
    return Over(base.identity, base.own.key_id, listed, tuple(counts[source] for source in range(sources)))


def _upon(base: DomainIndex, under: DomainIndex, settled: Mapping[str, LabelSet]) -> Iterator[tuple[str, LabelSet]]:
    """The keys of the new overlay: what the old one says and ``settled`` does not replace, and ``settled``."""
    if under.base is not None:
        yield from ((key, label_set) for key, label_set in under.table.changes() if key not in settled)
    before = base.table.get
    yield from ((key, label_set) for key, label_set in settled.items() if before(key) != label_set)


def locked_names(index: DomainIndex) -> Iterator[str]:
    """What ``index`` lists in locked categories, other than their test names; of a pattern its text. Quick on a million names."""
    locked = {number: CATEGORIES[source.category] for number, source in enumerate(index.sources) if source.category in LOCKED}
    for key in index.table.of_sources(locked):
        name = name_of(key)
        if any(source in locked and locked[source].test_name != name for source, _ in index.table.get(key)):
            yield name
    yield from (f"/{rule.pattern}/" for rule in index.conditional if rule.pattern and rule.source in locked)

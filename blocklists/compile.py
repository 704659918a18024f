"""Lists -> a bundle and its report: parse, guard, settle, write. Pure but for the folder that it writes.

The same lists in any order, with their lines in any order, give the same bytes (the report has line numbers and is not
part of the bundle). Every category's test name is always in. A list that is no list, is empty, or changed its size beyond
belief stops the build with ``CompileRefused``, which names every such list at once; ``force`` lets the last two pass.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from blocklists.collect import Collected, collect, settle
from blocklists.parse import parse, ut1
from blocklists.report import BuildReport, SourceReport
from blocklists.rule import Conditions, ListRefused, Shape
from blocklists.sources import PACKAGED, TEST_SOURCE, ListSource, load
from filters.bundle import BLOCK_BELOW, BLOCK_SELF, MAX_CONDITIONAL, MAX_PATTERNS, Conditional, Source, key_of, read_manifest, write_keys
from filters.category import CATEGORIES
from filters.message import Message, joined

REPORT = "report.json"
SHRINK_LIMIT = 0.5
"""a list with fewer than this part of its previous names is refused"""
GROWTH_LIMIT = 10.0
GROWTH_FLOOR = 5000
"""names below which a list may grow as it likes"""
_COVERS = {Shape.SELF: BLOCK_SELF, Shape.BELOW: BLOCK_BELOW, Shape.SUBTREE: BLOCK_SELF | BLOCK_BELOW}


@dataclass(frozen=True, slots=True)
class ListInput:
    """A source and the way to its bytes, which are read when its turn comes and let go afterwards."""

    source: ListSource
    read: Callable[[], Mapping[str, bytes]]
    """file name -> bytes (one file named ``""``, but for ut1). Raises ListRefused."""
    notes: tuple[str, ...] = ()


class CompileRefused(Exception):
    """No bundle: ``reasons`` has a line for each list that must not be used as it is."""

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__(joined(reasons))


def compile_lists(
    directory: Path,
    inputs: Iterable[ListInput],
    *,
    previous: Mapping[str, int] | None = None,
    built_at: float = 0.0,
    notes: Sequence[str] = (),
    force: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> BuildReport:
    """Write a bundle of ``inputs`` with its report into ``directory``.

    ``previous``: names per list in the bundle that this one follows (``previous_counts``). ``built_at``: Unix seconds that
    the bundle carries. ``notes`` go into the report. ``progress`` hears each list's name before its turn. Raises CompileRefused, with ``directory`` in
    an unfinished state.
    """
    ordered = sorted(inputs, key=lambda given: given.source.name)
    tests = [Source(TEST_SOURCE, category) for category in CATEGORIES]
    build = _Build(ordered, len(tests), force=force, progress=progress)
    # the generator fills build.conditional, which write_keys() reads only when the generator is at its end
    identity = write_keys(
        directory, build.entries(), [*tests, *(given.source.in_bundle() for given in ordered)], build.conditional, built_at
    )
    manifest = read_manifest(directory)
    counts = {
        given.source.name: manifest.counts[len(tests) + number]
        for number, given in enumerate(ordered)
        if given.source.name not in build.refused
    }
    refusals = [*build.refusals, *([] if force else _changed_beyond_belief(counts, previous or {}))]
    if refusals:
        raise CompileRefused(refusals)
    report = BuildReport(identity, manifest.names, tuple(build.reports), tuple(notes))
    (directory / REPORT).write_text(report.to_json(), encoding="utf-8")
    return report


class _Build:
    """One run over the lists: yields their entries and keeps what else comes up."""

    def __init__(self, inputs: Sequence[ListInput], first: int, *, force: bool, progress: Callable[[str], None]) -> None:
        self._inputs = inputs
        self._first = first
        self._force = force
        self._progress = progress
        self.reports: list[SourceReport] = []
        self.refusals: list[Message] = []
        self.refused: set[str] = set()
        """lists of which nothing could be read, so that their size says nothing"""
        self.conditional: list[Conditional] = []

    def entries(self) -> Iterator[tuple[str, int, int]]:
        for number, category in enumerate(CATEGORIES.values()):
            yield key_of(category.test_name), number, BLOCK_SELF | BLOCK_BELOW
        for number, given in enumerate(self._inputs, self._first):
            self._progress(given.source.name)
            for key, flags in self._settled(number, given):
                yield key, number, flags

    def _settled(self, number: int, given: ListInput) -> Iterator[tuple[str, int]]:
        source = given.source
        report = SourceReport(source.name, source.category, source.format, notes=list(given.notes))
        report.licence, report.attribution, report.url = source.licence, source.attribution, source.url
        self.reports.append(report)
        try:
            collected = collect(parse(source.format, given.read()), report, source.may_name)
        except ListRefused as error:
            self.refusals.append(Message("{list}: {why}", list=source.name, why=error))
            self.refused.add(source.name)
            return
        if not (collected.names or collected.conditions or report.for_proxy) and not self._force:
            self.refused.add(source.name)
            self.refusals.append(
                Message("{list}: an empty list ({lines} lines, none of them usable)", list=source.name, lines=report.rejected)
            )
        self._keep_conditions(number, collected, source)
        yield from settle(collected, report, exceptions_win=source.format == "adblock")

    def _keep_conditions(self, number: int, collected: Collected, source: ListSource) -> None:
        """Refuses as a whole a list that has too many: to keep some of them would depend on their order."""
        self.conditional += [_conditional(number, rule) for rule in collected.conditions]
        if sum(bool(rule.pattern) for rule in self.conditional) > MAX_PATTERNS:
            text = Message("{list}: with it there are more than {count} regular expressions", list=source.name, count=MAX_PATTERNS)
            self.refusals.append(text)
        if len(self.conditional) > MAX_CONDITIONAL:
            text = Message("{list}: with it there are more than {count} rules with conditions", list=source.name, count=MAX_CONDITIONAL)
            self.refusals.append(text)


def _conditional(number: int, rule: Conditions) -> Conditional:
    return Conditional(
        source=number,
        name=rule.name,
        covers=_COVERS[rule.shape],
        pattern=rule.pattern,
        allow=rule.kind.allows,
        firm=rule.kind.firm,
        types=rule.types,
        other_types=rule.other_types,
        denyallow=rule.denyallow,
    )


def _changed_beyond_belief(counts: Mapping[str, int], previous: Mapping[str, int]) -> Iterator[Message]:
    """Lists that shrank by more than half or grew tenfold: half a download, or somebody else's list at that address."""
    for name, before in previous.items():
        now = counts.get(name)
        if now is None:
            continue  # taken out of sources.yaml on purpose
        if now < before * SHRINK_LIMIT:
            yield Message("{list}: shrank from {before} names to {now} (--force accepts it)", list=name, before=before, now=now)
        elif now > max(before * GROWTH_LIMIT, GROWTH_FLOOR):
            yield Message("{list}: grew from {before} names to {now} (--force accepts it)", list=name, before=before, now=now)


def previous_counts(bundle: Path) -> dict[str, int]:
    """Names per list of the bundle in ``bundle``. Raises BadBundle."""
    manifest = read_manifest(bundle)
    return {source.name: count for source, count in zip(manifest.sources, manifest.counts, strict=True) if source.name != TEST_SOURCE}


def read_path(path: Path, list_format: str) -> Mapping[str, bytes]:
    """The bytes of a list on disk: a file, or for ``ut1`` a folder. Raises ListRefused."""
    try:
        if list_format == "ut1":
            return {name: (path / name).read_bytes() for name in ut1.FILES if (path / name).is_file()}
        return {"": path.read_bytes()}
    except OSError as error:
        raise ListRefused(Message("{file}: {why}", file=path, why=error.strerror)) from None


def starter_inputs() -> list[ListInput]:
    """The lists that ship with the package."""
    return [ListInput(source, partial(read_path, source.path, source.format)) for source in load(PACKAGED) if source.path]


def compile_starter(directory: Path) -> Path:
    """Compile the packaged starter lists alone into ``directory``, without a network, and return it.

    What a box serves before its first update. A bundle that is there already is replaced by renaming, never rewritten, so
    that a process that has it mapped keeps it. Raises CompileRefused if the package is damaged.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".starter-", dir=directory.parent) as folder:
        fresh = Path(folder) / "bundle"
        compile_lists(fresh, starter_inputs())
        if directory.exists():
            directory.rename(Path(folder) / "replaced")
        fresh.rename(directory)
    return directory

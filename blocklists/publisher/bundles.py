"""The category lists on the publisher's side: ``lists/sources.yaml`` -> a base bundle, or an overlay on the released base. [shell: disk]

No network here: what `manglanh publish fetch` kept is compiled. A new base is cut when there is none, or when the overlay
would change more than a set share of the base's names; every school fetches it whole, and the overlay starts empty again.

Promises: the same lists and the same released base give the same bytes. A bundle carries its build report, with each list's
licence and attribution; the rejected lines stay here (``work/report.json``). Refused, whatever a person says: a list in a locked
category, since those entries need an authority and a document and so belong in the mandatory channel. A critical name or a
public suffix is never compiled: in a list from elsewhere such a line is left out and counted, since somebody else's slip must
not stop every other update; in a list that lies in the publisher's own folder it is a mistake to mend, and refused.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from blocklists.build import gather
from blocklists.compile import REPORT, CompileRefused, compile_lists
from blocklists.fetch import Fetched
from blocklists.overlay import locked_names, write_overlay
from blocklists.pack import pack, unpack
from blocklists.publisher.errors import PublishError
from blocklists.report import BuildReport
from blocklists.sources import TEST_SOURCE, ListSource
from filters.bundle import read_manifest
from filters.category import LOCKED
from filters.domain_index import DomainIndex
from filters.message import Message, joined

STARTER = "starter-"
"""how the names of the packaged lists begin; those in a locked category hold its test name only"""
_NOT_OURS_TO_BLOCK = ("a public suffix", "a critical name", "a critical name is below it")
"""kinds of reasons that blocklists/guards.py gives"""
_NAMED = 5
"""names that a refusal repeats"""


@dataclass(frozen=True, slots=True)
class Built:
    """What the category lists come to: two archives, and the bundle that a box makes of them."""

    index: DomainIndex
    base: Path
    """the archive; the released one where no new base was cut"""
    overlay: Path | None
    """the archive; None: the base says it all"""
    report: BuildReport


def open_archives(base: Path | None, overlay: Path | None, into: Path) -> DomainIndex | None:
    """Unpack into ``into`` and open what a box with these two archives has; None without a base. Raises BadBundle."""
    if base is None:
        return None
    directory = _unpacked(base, into)
    return DomainIndex.open(_unpacked(overlay, into) if overlay else directory)


def _unpacked(archive: Path, into: Path) -> Path:
    """The bundle's folder, under its identity's name, where its overlay looks for it."""
    fresh = into / "unpacked"
    unpack(archive, fresh)
    return _named(fresh)


def _named(directory: Path) -> Path:
    target = directory.with_name(read_manifest(directory).identity)
    if target.exists():
        shutil.rmtree(directory)
        return target
    return directory.rename(target)


def locked_sources(sources: Sequence[ListSource]) -> list[Message]:
    """Why lists of locked categories must not be compiled, one line each."""
    return [
        Message(
            "lists/sources.yaml: {list}: a list in {category} belongs in lists/mandatory.csv, where each entry has its authority and document",
            list=source.name,
            category=source.category,
        )
        for source in sources
        if source.category in LOCKED and not source.name.startswith(STARTER)
    ]


def build(
    sources: Sequence[ListSource],
    fetch: Callable[[str], Fetched],
    released: DomainIndex | None,
    base_archive: Path | None,
    into: Path,
    *,
    ours: Path,
    new_base_share: float,
    force: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Built:
    """Compile ``sources`` and pack what has to travel into ``into``, a folder for this purpose.

    ``fetch``: a list's URL -> its kept copy. ``released``: the bundle of ``base_archive`` and the released overlay, opened in
    ``into``. ``ours``: the publisher's folder. ``force`` overrules limits: a list that is empty, that cannot be had, or that
    changed its size beyond belief; and it leaves guarded names out of our own lists too. Raises PublishError.
    """
    refused = locked_sources(sources)
    if refused:
        raise PublishError(joined(refused))
    full, report = _compiled(sources, fetch, released, into, force=force, progress=progress)
    slips = [] if force else list(_slips([source for source in sources if _lies_in(ours, source)], report))
    if slips:
        raise PublishError(joined(slips))
    base = (released.base or released) if released else None
    if base is not None and base_archive is not None:
        if full.identity == base.identity:
            return Built(base, base_archive, None, report)
        if write_overlay(into / "overlay", base, full, most=int(new_base_share * base.names)):
            overlay = _named(into / "overlay")
            return Built(DomainIndex.open(overlay, base), base_archive, _packed(overlay, report, into / "overlay.tar.xz"), report)
    return Built(full, _packed(into / full.identity, report, into / "base.tar.xz"), None, report)


def _compiled(
    sources: Sequence[ListSource],
    fetch: Callable[[str], Fetched],
    released: DomainIndex | None,
    into: Path,
    *,
    force: bool,
    progress: Callable[[str], None],
) -> tuple[DomainIndex, BuildReport]:
    # A file's own date is when it was copied here; it would make the same lists different bytes on another computer.
    inputs, missing, changed_at = gather(sources, fetch, dated=lambda _: 0.0)
    previous = _counts(released)
    lost = [reason for name, reason in missing.items() if name in previous]
    if lost and not force:
        raise PublishError(joined(lost))
    fresh = into / "full"
    try:
        report = compile_lists(
            fresh, inputs, previous=previous, built_at=changed_at, notes=tuple(missing.values()), force=force, progress=progress
        )
    except CompileRefused as error:
        raise PublishError("{why}", why=error) from None
    full = DomainIndex.open(_named(fresh))
    _refuse_locked(full)
    return full, report


def _counts(released: DomainIndex | None) -> dict[str, int]:
    """Names per list of the released bundle."""
    if released is None:
        return {}
    return {source.name: count for source, count in zip(released.sources, released.counts, strict=True) if source.name != TEST_SOURCE}


def _lies_in(folder: Path, source: ListSource) -> bool:
    return source.path is not None and source.path.resolve().is_relative_to(folder.resolve())


def _slips(sources: Sequence[ListSource], report: BuildReport) -> Iterator[Message]:
    """Guarded names in these lists, a line each."""
    reports = {source.name: source for source in report.sources}
    for source in sources:
        found = reports[source.name]
        slips = [line for line in found.lines if line.reason.partition(":")[0] in _NOT_OURS_TO_BLOCK]
        for line in slips[:_NAMED]:
            yield Message(
                "{list}:{line}: {name}: {why} (take it out, or --force leaves it out)",
                list=source.name,
                line=line.line,
                name=line.text,
                why=line.reason,
            )
        more = sum(found.reasons.get(kind, 0) for kind in _NOT_OURS_TO_BLOCK) - len(slips[:_NAMED])
        if more > 0:
            yield Message("{list}: and {count} more such lines", list=source.name, count=more)


def _refuse_locked(full: DomainIndex) -> None:
    names = list(islice(locked_names(full), _NAMED))
    if names:
        raise PublishError(
            "names in a locked category: {names}; they belong in lists/mandatory.csv, where each has its authority and document",
            names=", ".join(names),
        )


def _packed(bundle: Path, report: BuildReport, archive: Path) -> Path:
    """The bundle with its report, but for the rejected lines: every school fetches it, and they help nobody there."""
    sources = tuple(replace(source, lines=[]) for source in report.sources)
    identity = read_manifest(bundle).identity
    (bundle / REPORT).write_text(replace(report, identity=identity, sources=sources).to_json(), encoding="utf-8")
    pack(bundle, archive)
    return archive

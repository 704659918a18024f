"""sources.yaml -> a bundle in force: fetch, compile, install, in that order. [shell: network and disk through its parts]

Nothing is in force until all of it is known to be good: a list that cannot be had (and no kept copy either) is left out
with a note on a first build, and stops the build when the bundle in force has it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from blocklists.compile import CompileRefused, ListInput, compile_lists, previous_counts, read_path
from blocklists.fetch import Fetched, Fetcher, Unavailable
from blocklists.install import current, install
from blocklists.report import BuildReport
from blocklists.sources import ListSource
from filters.bundle import BadBundle
from filters.message import Message

CACHE = ".cache"
"""the folder of kept downloads, within the lists' directory"""


def build(
    sources: Sequence[ListSource],
    directory: Path,
    fetcher: Fetcher,
    *,
    force: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> BuildReport:
    """Build a bundle of ``sources`` and put it in force in ``directory``.

    ``progress`` hears a list's name twice: before it is fetched and before it is compiled. ``force`` overrules what
    ``compile_lists`` lets it overrule, and builds without lists that cannot be had. Raises CompileRefused, Busy, OSError.
    """
    previous, notes = _previous(directory)
    inputs, missing, changed_at = gather(sources, fetcher.fetch, progress)
    lost = [reason for name, reason in missing.items() if name in previous]
    if lost and not force:
        raise CompileRefused(lost)
    reports: list[BuildReport] = []

    def write(fresh: Path) -> str:
        report = compile_lists(
            fresh, inputs, previous=previous, built_at=changed_at, notes=(*notes, *missing.values()), force=force, progress=progress
        )
        reports.append(report)
        return report.identity

    install(directory, write)
    return reports[-1]


def _previous(directory: Path) -> tuple[Mapping[str, int], tuple[str, ...]]:
    bundle = current(directory)
    if bundle is None:
        return {}, ()
    try:
        return previous_counts(bundle), ()
    except BadBundle as error:
        return {}, (Message("the bundle in force is damaged ({why}); nothing was compared with it", why=error),)


def _changed_at(path: Path) -> float:
    """Unix seconds of the last change of a file, or of the newest file in a folder; 0 if there is none."""
    files = [path, *path.iterdir()] if path.is_dir() else [path]
    return max((file.stat().st_mtime for file in files if file.is_file()), default=0.0)


def gather(
    sources: Iterable[ListSource],
    fetch: Callable[[str], Fetched],
    progress: Callable[[str], None] = lambda _: None,
    dated: Callable[[Path], float] = _changed_at,
) -> tuple[list[ListInput], dict[str, str], float]:
    """What can be compiled, why the rest cannot (by name), and the last change among the former.

    ``fetch``: a list's URL -> its bytes; raises Unavailable. ``dated``: the path of a list on disk -> when it changed.
    """
    inputs: list[ListInput] = []
    missing: dict[str, str] = {}
    changed_at = 0.0
    for source in sources:
        progress(source.name)
        if source.path is not None:
            inputs.append(ListInput(source, partial(read_path, source.path, source.format)))
            changed_at = max(changed_at, dated(source.path))
            continue
        try:
            fetched = fetch(source.url)
        except Unavailable as error:
            missing[source.name] = Message("{list}: left out: {why}", list=source.name, why=error)
            continue
        inputs.append(ListInput(source, fetched.read, fetched.notes))
        changed_at = max(changed_at, fetched.changed_at)
    return inputs, missing, float(int(changed_at))


def examine(source: ListSource) -> BuildReport:
    """The report of one list on disk, as if it were compiled alone; nothing is kept. Raises CompileRefused."""
    if source.path is None:
        raise CompileRefused([Message("{list}: not a file", list=source.name)])
    with TemporaryDirectory() as folder:
        return compile_lists(Path(folder), [ListInput(source, partial(read_path, source.path, source.format))])

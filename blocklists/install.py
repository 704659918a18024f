"""A bundle's way into the lists' directory: ``<identity>/`` beside its predecessor, and the link ``current`` swapped.

Promises: whoever follows ``current`` at any moment finds a whole bundle; a crash or a full disk leaves the old one in
force and at most a ``.new-`` folder, which the next run removes. The bundle before the current one is kept, under the link
``previous``, and so are the bases that the two lie over.
"""

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filters.bundle import BadBundle, read_manifest
from filters.domain_index import DomainIndex

CURRENT, PREVIOUS = "current", "previous"
_IDENTITY = re.compile(r"[0-9a-f]{64}")


class Busy(Exception):
    """Another process is installing into the same directory."""


def install(directory: Path, build: Callable[[Path], str], under: DomainIndex | None = None) -> Path:
    """Let ``build`` write a bundle into an empty folder and return its identity; then put it in force.

    ``under``: an opened bundle that the new one may lie over, which is then not read again. Returns the bundle's folder. What
    ``build`` raises passes through and changes nothing; so do OSError, and BadBundle when what was written does not open (a
    failing disk, an overlay without its base). Raises Busy.
    """
    with _lock(directory):
        target = _placed(directory, build, under)
        _put_in_force(directory, target)
    return target


def place(directory: Path, build: Callable[[Path], str]) -> Path:
    """The same, but not in force: a base, before the overlay that lies over it. The next ``install`` removes what nothing needs."""
    with _lock(directory):
        return _placed(directory, build)


def current(directory: Path) -> Path | None:
    """The folder of the bundle in force, if there is one."""
    return _followed(directory / CURRENT)


def previous(directory: Path) -> Path | None:
    """The folder of the bundle that was in force before it, if there is one."""
    before = _followed(directory / PREVIOUS)
    return None if before == current(directory) else before


def _followed(link: Path) -> Path | None:
    return link.resolve() if link.is_dir() else None


@contextmanager
def _lock(directory: Path) -> Iterator[None]:
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Busy(f"{directory}: another process is installing lists") from None
        yield


def _placed(directory: Path, build: Callable[[Path], str], under: DomainIndex | None = None) -> Path:
    for leftover in directory.glob(".new-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=directory))
    try:
        target = directory / build(fresh)
        DomainIndex.open(fresh, under).close()
        fresh.chmod(0o755)
        sync_tree(fresh)
        _rename_into_place(fresh, target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    _sync(directory)
    return target


def _rename_into_place(fresh: Path, target: Path) -> None:
    """Rename, unless the same bundle is there already and whole; a damaged one of that name makes room."""
    if target.exists():
        try:
            DomainIndex.open(target).close()
        except BadBundle:
            shutil.rmtree(target)
        else:
            return
    fresh.rename(target)


def _put_in_force(directory: Path, target: Path) -> None:
    before = current(directory)
    if before is not None and before != target:
        # First: a power cut between the two leaves a previous bundle that is the current one, which is to say none.
        _point(directory, PREVIOUS, before.name)
    _point(directory, CURRENT, target.name)
    _prune(directory)


def _point(directory: Path, name: str, identity: str) -> None:
    link = directory / f".new-{name}"
    link.unlink(missing_ok=True)
    link.symlink_to(identity)
    link.replace(directory / name)
    _sync(directory)


def _prune(directory: Path) -> None:
    """Remove every bundle but the current and the previous one and their bases."""
    kept = {bundle for bundle in (current(directory), previous(directory)) if bundle}
    names = {bundle.name for bundle in kept} | {_base(bundle) for bundle in kept}
    for path in directory.iterdir():
        if _IDENTITY.fullmatch(path.name) and path.name not in names:
            shutil.rmtree(path, ignore_errors=True)


def _base(bundle: Path) -> str:
    """The identity of its base; empty: it has none, or is damaged."""
    try:
        return read_manifest(bundle).base
    except BadBundle:
        return ""


def sync_tree(folder: Path) -> None:
    """Force a folder's files and its own entries to the disk, so that a rename cannot outlive its contents."""
    for path in folder.iterdir():
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

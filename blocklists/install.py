"""A bundle's way into the lists' directory: ``<identity>/`` beside its predecessor, and the link ``current`` swapped.

Promises: whoever follows ``current`` at any moment finds a whole bundle; a crash or a full disk leaves the old one in
force and at most a ``.new-`` folder, which the next run removes. The bundle before the current one is kept.
"""

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filters.bundle import BadBundle
from filters.domain_index import DomainIndex

CURRENT = "current"
_IDENTITY = re.compile(r"[0-9a-f]{64}")


class Busy(Exception):
    """Another process is installing into the same directory."""


def install(directory: Path, build: Callable[[Path], str]) -> Path:
    """Let ``build`` write a bundle into an empty folder and return its identity; then put it in force.

    Returns the bundle's folder. What ``build`` raises passes through and changes nothing; so do OSError, and BadBundle when
    what was written does not open (a failing disk). Raises Busy.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with _lock(directory):
        for leftover in directory.glob(".new-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=directory))
        try:
            identity = build(fresh)
            DomainIndex.open(fresh).close()
            fresh.chmod(0o755)
            sync_tree(fresh)
            target = directory / identity
            _rename_into_place(fresh, target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        previous = current(directory)
        _point(directory, identity)
        _prune(directory, {identity, previous.name if previous else identity})
    return target


def current(directory: Path) -> Path | None:
    """The folder of the bundle in force, if there is one."""
    link = directory / CURRENT
    return link.resolve() if link.is_dir() else None


@contextmanager
def _lock(directory: Path) -> Iterator[None]:
    with (directory / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Busy(f"{directory}: another process is installing lists") from None
        yield


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


def _point(directory: Path, identity: str) -> None:
    link = directory / f".new-{CURRENT}"
    link.unlink(missing_ok=True)
    link.symlink_to(identity)
    link.replace(directory / CURRENT)
    _sync(directory)


def _prune(directory: Path, kept: set[str]) -> None:
    for path in directory.iterdir():
        if _IDENTITY.fullmatch(path.name) and path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)


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

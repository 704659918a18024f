"""Target files on a box: fetched from whichever mirror has them, checked, kept under their hash. [shell: disk, network]

Promises: a file stands under its hash only after its length and hashes were found right; what a slow or broken link has brought is gone on with at
the next try, also at another mirror. Bytes of two different files cannot be joined unnoticed: the hash of the whole decides, and then all is thrown away.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tuf.api.exceptions import DownloadError, LengthOrHashMismatchError, RepositoryError, SlowRetrievalError
from tuf.api.metadata import TargetFile

from blocklists.box.download import Downloader, TryLater
from blocklists.box.release_record import Kept
from blocklists.box.repository import sha256_of
from blocklists.durable import replace_file, sync_folder

FOLDER = "tuf/targets"
SMALL = 256 * 1024
"""bytes up to which a file is fetched at once, compressed where the server can, and not in parts"""
LARGEST = 512 * 1024 * 1024
RESERVE = 8 * 1024 * 1024
"""bytes that stay free on the disk"""
TRIES = 20
"""times that a mirror which brings something each time is asked to go on"""

Progress = Callable[[str, int, int], None]
"""hears a target's path, the bytes that are there, and how many there will be"""


def path_of(directory: Path, kept: Kept) -> Path:
    return directory / FOLDER / kept.sha256


def verified(directory: Path, kept: Kept) -> Path:
    """The kept file, after its hash was found right. Raises OSError, also for a file that the disk has damaged."""
    path = path_of(directory, kept)
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != kept.sha256:
            raise OSError(errno.EIO, "damaged on this disk", str(path))
    return path


def bring(directory: Path, target: TargetFile, urls: Sequence[str], downloader: Downloader, progress: Progress) -> Kept:
    """The file of ``target`` kept, fetched if it is not. ``urls``: of mirrors, the best first.

    Raises DownloadError or RepositoryError as the last mirror gave cause, OSError.
    """
    kept = Kept(sha256=sha256_of(target), length=target.length)
    path = path_of(directory, kept)
    path.parent.mkdir(parents=True, exist_ok=True)
    if _is_right(path, target):
        return kept
    if target.length > LARGEST:
        raise RepositoryError(f"{target.path}: {target.length} bytes, more than {LARGEST}")
    if shutil.disk_usage(path.parent).free < target.length + RESERVE:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path.parent))
    folder, _, name = target.path.rpartition("/")
    fetch = _fetch_small if target.length <= SMALL else _fetch_large
    failure: DownloadError | RepositoryError = DownloadError(f"{target.path}: no mirror")
    for url in urls:
        try:
            fetch(f"{url}/targets/{folder}/{kept.sha256}.{name}", target, path, downloader, progress)
        except (DownloadError, RepositoryError) as error:
            failure = error
        else:
            return kept
    raise failure


def prune(directory: Path, kept: Iterable[Kept]) -> None:
    """Remove every file but these, half-fetched ones too."""
    names = {one.sha256 for one in kept}
    for path in (directory / FOLDER).glob("*"):
        if path.name not in names:
            path.unlink(missing_ok=True)


def _fetch_small(url: str, target: TargetFile, path: Path, downloader: Downloader, progress: Progress) -> None:
    data = downloader.small(url, target.length)
    target.verify_length_and_hashes(data)
    replace_file(path, data)
    progress(target.path, target.length, target.length)


def _fetch_large(url: str, target: TargetFile, path: Path, downloader: Downloader, progress: Progress) -> None:
    partial = path.with_name(f"{path.name}.partial")
    for tries_left in reversed(range(TRIES)):
        had = partial.stat().st_size if partial.exists() else 0
        try:
            downloader.resume(url, partial, target.length, lambda there: progress(target.path, there, target.length))
        except (SlowRetrievalError, TryLater):
            raise
        except DownloadError:
            came = partial.exists() and partial.stat().st_size > had
            if came and tries_left:
                continue
            raise
        if _is_right(partial, target):
            break
        partial.unlink()
        if not had:
            raise LengthOrHashMismatchError(f"{url}: not the file that was signed")
    else:
        raise LengthOrHashMismatchError(f"{url}: not the file that was signed")
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)


def _is_right(path: Path, target: TargetFile) -> bool:
    try:
        with path.open("rb") as file:
            target.verify_length_and_hashes(file)
    except (FileNotFoundError, LengthOrHashMismatchError):
        return False
    return True

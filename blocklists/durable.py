"""Files that a power cut leaves whole, and one process at a time. [shell: disk, clock]"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from blocklists.install import Busy

_LOOK_AGAIN = 0.1


def replace_file(path: Path, data: bytes) -> None:
    """Write the file whole or not at all: aside, forced to the disk, renamed. Raises OSError, and what was there stays."""
    aside = path.with_name(f".{path.name}.new")
    try:
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def append_line(path: Path, line: str) -> None:
    """Add a line; one that a power cut left unfinished stays a line of its own. Raises OSError."""
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            line = line if file.read(1) == b"\n" else f"\n{line}"
        file.write(f"{line}\n".encode())
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Force a folder's entries to the disk: renames that came before cannot be lost after."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def alone(lock: Path, wait: float = 0.0) -> Iterator[None]:
    """Only one process at a time gets past the same ``lock``; it is let go of however the process ends (flock(2)).

    Waits up to so many seconds for it. Raises Busy, OSError.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + wait
    with lock.open("w") as file:
        while not _locked(file.fileno()):
            if time.monotonic() >= deadline:
                raise Busy(f"{lock.parent}: another process is updating the lists")
            time.sleep(_LOOK_AGAIN)
        yield


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

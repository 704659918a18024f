"""Work that is cut off before its n-th change to the disk, as ``kill -9`` or a power cut would.

``cut(work, n)`` runs ``work`` in a copy of this process, which kills itself before the n-th step: a file opened for writing, right after that
(when it is there and empty), a file forced to the disk, a name made, changed or removed. Python's audit events name them all, whoever calls.

With ``lose`` the bytes that were not forced to the disk (fsync(2)) are gone as well, though the names are there: what a file system
may leave of a file that was renamed into place too early. The disk itself is spared: nothing is really forced to it.
"""

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

RENAMING = "os.rename"
CHANGING = frozenset({RENAMING, "os.remove", "os.rmdir", "os.mkdir", "os.symlink", "os.link", "os.truncate", "os.chmod", "os.utime"})


def cut(work: Callable[[], object], step: int, *, lose: bool = False) -> bool:
    """Whether ``work`` was cut off; False: it was done before. Raises AssertionError if it failed by itself."""
    sys.stdout.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads: none of them is needed in there
        child = os.fork()
    if not child:
        _run(work, step, lose=lose)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in {0, -signal.SIGKILL}, f"it failed before step {step}: {status}"
    return status != 0


def _run(work: Callable[[], object], step: int, *, lose: bool) -> None:
    try:
        steps = _Steps(step, lose=lose)
        os.fsync = steps.fsync
        sys.addaudithook(steps.hear)
        work()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(3)


class _Steps:
    def __init__(self, left: int, *, lose: bool) -> None:
        self._left = left
        self._lose = lose
        self._unsynced: set[str] = set()
        self._deaf = False

    def hear(self, event: str, facts: tuple) -> None:
        if self._deaf:
            return
        if event == "open":
            path, _, flags = facts
            if (
                flags & (os.O_WRONLY | os.O_RDWR) and not isinstance(path, int) and not Path(os.fsdecode(path)).is_dir()
            ):  # as tempfile says it
                self._written(_absolute(path), flags)
        elif event in CHANGING:
            self._count()
            if event == RENAMING:
                self._renamed(*map(_absolute, facts[:2]))

    def fsync(self, descriptor: int) -> None:
        self._count()
        self._unsynced.discard(str(Path(f"/proc/self/fd/{descriptor}").readlink()))

    def _written(self, path: str, flags: int) -> None:
        self._count()
        self._left -= 1
        if not self._left:
            self._deaf = True
            os.close(os.open(path, flags & ~os.O_EXCL, 0o600))
            self._die()
        self._unsynced.add(path)

    def _renamed(self, old: str, new: str) -> None:
        self._unsynced = {new + path.removeprefix(old) if f"{path}/".startswith(f"{old}/") else path for path in self._unsynced - {new}}

    def _count(self) -> None:
        self._left -= 1
        if not self._left:
            self._die()

    def _die(self) -> None:
        self._deaf = True
        for path in self._unsynced if self._lose else ():
            if Path(path).is_file():
                os.truncate(path, 0)
        os.kill(os.getpid(), signal.SIGKILL)


def _absolute(path: str | bytes | os.PathLike) -> str:
    return str(Path(os.fsdecode(path)).absolute())

"""``state.json``, what people changed while the school runs: read, written whole, and changed by one at a time.  [shell]

Promises: a reader sees the old file or the new one, never a mixture and never half of one, also when the power goes; of
two processes that change it at once neither loses its change; every change has a new generation. Refuses to guess: a
damaged file raises StateError, and a worker keeps what it had (an override that it already knows still ends by itself).
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import ValidationError

from policies.model import State

MAX_BYTES = 16 * 1024 * 1024
"""far above any school's state; a larger file is not ours"""


class StateError(Exception):
    """The file is there and cannot be read or understood; the message names it and says why."""


def read_state(path: Path) -> State:
    """The state; a missing file is an empty one. Raises StateError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return State()
    except OSError as error:
        raise StateError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise StateError(f"{path}: larger than {MAX_BYTES} bytes")
    try:
        return State.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise StateError(f"{path}: damaged: {where}{': ' if where else ''}{first['msg']}") from None


def write_state(path: Path, state: State) -> None:
    """Replace the file: written aside, synced, renamed, the directory synced. Raises OSError; the old file then stands."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with aside.open("wb") as file:
            file.write(state.model_dump_json(indent=1).encode())
            file.write(b"\n")
            file.flush()
            _give_to_owner(file.fileno(), path.parent)
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        with suppress(OSError):
            aside.unlink()
        raise
    _sync_directory(path.parent)


def update_state(path: Path, change: Callable[[State], State], now: float) -> State:
    """Read, ``change``, write, with a lock on a file beside it held throughout; the new state, one generation on.

    ``change`` need not touch ``generation`` and ``written_at``. Raises StateError for a damaged file, which is left as
    it is, OSError where it cannot be written, and whatever ``change`` raises; then nothing has changed.
    """
    with _locked(path.with_name(f".{path.name}.lock")):
        old = read_state(path)
        new = change(old).model_copy(update={"generation": old.generation + 1, "written_at": now})
        write_state(path, new)
    return new


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """The lock file stays: removing it would let two holders each lock a file of that name."""
    with path.open("ab") as file:
        _give_to_owner(file.fileno(), path.parent)
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _give_to_owner(descriptor: int, directory: Path) -> None:
    """What root writes belongs to whom the directory belongs to: a command typed as root must not lock the service out."""
    if os.geteuid() == 0:
        owner = directory.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

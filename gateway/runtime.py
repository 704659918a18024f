"""Where a running box keeps what must not outlive it: tail sockets, metric files, minutes of statistics. [shell: looks at directories]

systemd names the directory (``RuntimeDirectory=``); otherwise it is ``/run/manglanh`` where that can be written, and ``run``
beside the state file where it cannot, as for a trial without root.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from policies.model import SchoolFile

SYSTEM = Path("/run/manglanh")
LOCK = "lock"
STATISTICS = "statistics"
MINUTES = 120
"""files of one worker that wait for the control process; the oldest go"""
MINUTES_BYTES = 8 * 1024 * 1024
"""octets of them"""
SALT_BYTES = 32


def beside_state(file: SchoolFile) -> Path:
    return file.state.parent / "run"


def runtime_directory(file: SchoolFile, environ: Mapping[str, str] = os.environ) -> Path:
    """The directory for a box that starts now, made if it is not there and this process's own until it ends.

    A second box on the machine does not get the first one's, or each would remove the other's sockets. Raises OSError when
    none can be had.
    """
    preferred = _given(environ) or SYSTEM
    try:
        return claim(preferred)
    except OSError:
        return claim(beside_state(file))


def claim(directory: Path) -> Path:
    """Make ``directory`` this process's own. Raises OSError where it cannot be written or another process has it.

    The descriptor stays open on purpose: the kernel lets go of the lock when the process ends, however it ends (flock(2)).
    """
    directory.mkdir(mode=0o750, parents=True, exist_ok=True)
    descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise FileExistsError(error.errno, "another resolver runs here", str(directory)) from None
    return directory


def tail_sockets(file: SchoolFile, environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """The sockets of the box that runs with this school file, one per worker; empty when none runs.

    Beside the state file comes first: a trial on a machine where the real box runs too must find itself.
    """
    for directory in (beside_state(file), _given(environ) or SYSTEM):
        sockets = tuple(sorted(directory.glob("tail-*.sock")))
        if sockets:
            return sockets
    return ()


def _given(environ: Mapping[str, str]) -> Path | None:
    """What systemd made for us; the first where a unit names several."""
    first = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(first) if first else None


def write_report(directory: Path, index: int, content: Mapping[str, object]) -> None:
    """A worker's ``worker-N.json``, replaced whole. Raises OSError."""
    path = directory / f"worker-{index}.json"
    aside = path.with_suffix(".new")
    aside.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    aside.replace(path)


def read_report(directory: Path, index: int) -> dict[str, object]:
    """What worker ``index`` said last, empty where it never did."""
    try:
        report: dict[str, object] = json.loads((directory / f"worker-{index}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return report


def read_reports(directory: Path) -> list[dict[str, object]]:
    """The reports of all workers that run with this directory, in their order. A report that outlived its process is left out."""
    reports = []
    for path in sorted(directory.glob("worker-*.json")):
        report = read_report(directory, int(path.stem.removeprefix("worker-")))
        if report and is_worker(report.get("pid"), directory):
            reports.append(report)
    return reports


def reports_of(file: SchoolFile, environ: Mapping[str, str] = os.environ) -> list[dict[str, object]]:
    """The reports of the box that runs with this school file; empty when none runs."""
    for directory in (beside_state(file), _given(environ) or SYSTEM):
        reports = read_reports(directory)
        if reports:
            return reports
    return []


def directory_of(file: SchoolFile, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The runtime directory of the box that runs with this school file; None when none runs."""
    places = (beside_state(file), _given(environ) or SYSTEM)
    return next((directory for directory in places if read_reports(directory)), None)


def is_worker(pid: object, directory: Path) -> bool:
    """Whether ``pid`` is a worker that was started with this runtime directory (and not whoever got its number later)."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"gateway.worker" in arguments and os.fsencode(directory) in arguments


def write_minute(directory: Path, index: int, minute: int, data: bytes) -> None:
    """One minute's statistics of worker ``index``, whole or not at all, in a file whose name no other has. Raises OSError.

    Nothing is synced: the directory does not outlive the machine's run, and what a crash takes is a minute's counts.
    """
    folder = directory / STATISTICS
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{index}-{minute}-{secrets.token_hex(4)}.json"
    aside = path.with_suffix(".new")
    try:
        _create(aside, data)
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
    _forget_minutes(folder, index, minute)


def _forget_minutes(folder: Path, index: int, minute: int) -> None:
    """Keep what may be kept of a worker's minutes when nobody fetches them; what was left half-written goes too."""
    size = 0
    for kept, path in enumerate(sorted(folder.glob(f"{index}-*"), key=_minute_of, reverse=True)):
        with suppress(OSError):  # fetched by the control process meanwhile
            size += path.stat().st_size
        if kept >= MINUTES or size > MINUTES_BYTES or (path.suffix == ".new" and _minute_of(path) < minute - 1):
            path.unlink(missing_ok=True)


def _minute_of(path: Path) -> int:
    minute = path.name.split("-")[1]
    return int(minute) if minute.isdecimal() else 0


def salt_of_day(directory: Path, day: str) -> bytes:
    """The salt of this day that all workers here share; whoever comes first makes it, and removes those of other days. Raises OSError."""
    path = directory / f"salt-{day}"
    if not path.exists():
        aside = directory / f".{secrets.token_hex(8)}.new"
        try:
            _create(aside, secrets.token_bytes(SALT_BYTES))
            with suppress(FileExistsError):
                path.hardlink_to(aside)  # unlike a rename this refuses when another worker was quicker
        finally:
            aside.unlink(missing_ok=True)
    for other in directory.glob("salt-*"):
        if other != path:
            other.unlink(missing_ok=True)
    salt = path.read_bytes()
    if len(salt) != SALT_BYTES:
        raise OSError(f"{path}: not a salt")
    return salt


def _create(path: Path, data: bytes) -> None:
    """A new file for this user alone. Raises OSError."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(data)


def forget_reports(directory: Path) -> None:
    """Remove what an earlier run left."""
    for path in (*directory.glob("worker-*.json"), *directory.glob("worker-*.new"), *directory.glob("tail-*.sock")):
        path.unlink(missing_ok=True)

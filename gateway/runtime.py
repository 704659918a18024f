"""Where a running box keeps what must not outlive it: tail sockets and metric files. [shell: looks at directories]

systemd names the directory (``RuntimeDirectory=``); otherwise it is ``/run/manglanh`` where that can be written, and ``run``
beside the state file where it cannot, as for a trial without root.
"""

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path

from policies.model import SchoolFile

SYSTEM = Path("/run/manglanh")
LOCK = "lock"


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


def is_worker(pid: object, directory: Path) -> bool:
    """Whether ``pid`` is a worker that was started with this runtime directory (and not whoever got its number later)."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"gateway.worker" in arguments and os.fsencode(directory) in arguments


def forget_reports(directory: Path) -> None:
    """Remove what an earlier run left."""
    for path in (*directory.glob("worker-*.json"), *directory.glob("worker-*.new"), *directory.glob("tail-*.sock")):
        path.unlink(missing_ok=True)

"""Where a running demo is found: a note in ``$XDG_RUNTIME_DIR/manglanh-demo-UID`` or ``/tmp/manglanh-demo-UID``. [shell]

Other commands read the note to find the demo's school file without a long path. In a directory that everybody may write
to, somebody else could have made the note's directory first, so one that is not our own is not believed.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path


def place(environ: Mapping[str, str] = os.environ) -> Path:
    return Path(environ.get("XDG_RUNTIME_DIR") or "/tmp") / f"manglanh-demo-{os.getuid()}"  # noqa: S108 - see the docstring


def running_demo(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The school file of a demo that runs now, as this user."""
    directory = place(environ)
    if not _is_ours(directory):
        return None
    try:
        pid, _, config = (directory / "demo").read_text(encoding="utf-8").partition("\n")
    except OSError:
        return None
    path = Path(config.strip())
    return path if pid.isdecimal() and Path("/proc", pid).exists() and path.is_file() else None


@contextmanager
def noted(config: Path, environ: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Other commands find ``config`` while this lasts. Raises OSError where the note cannot be made."""
    directory = place(environ)
    directory.mkdir(mode=0o700, exist_ok=True)
    if not _is_ours(directory):
        raise PermissionError(f"{directory} belongs to somebody else")
    note = directory / "demo"
    note.write_text(f"{os.getpid()}\n{config}\n", encoding="utf-8")
    try:
        yield
    finally:
        note.unlink(missing_ok=True)
        with suppress(OSError):
            directory.rmdir()


def _is_ours(directory: Path) -> bool:
    """A real directory, of this user, that nobody else can write to."""
    try:
        status = directory.lstat()
    except OSError:
        return False
    return directory.is_dir() and not directory.is_symlink() and status.st_uid == os.getuid() and not status.st_mode & 0o022

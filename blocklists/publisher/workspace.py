"""A publisher's folder, and how files get into it. [shell]

::

    publisher.yaml            settings
    lists/                    what people edit
    keys/NAME.pub.json        public keys; NAME.pem or NAME.uri: the private ones of this computer
    staged/metadata/ROLE.json what waits for signatures, and has no effect
    staged/targets/PATH       its files
    repository/               metadata/ and targets/: what a web server serves
    work/                     a cache; may be deleted

Promises: a file is either the old one or the new one, whole and on the disk, whatever stops the machine; one writer at a time.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from blocklists.publisher.errors import PublishError
from blocklists.publisher.settings import Settings, parse_settings, settings_text

SETTINGS = "publisher.yaml"
UNFINISHED = ".new-"
"""how the name of a file begins that is still being written"""
_IGNORED = "# What does not belong in a shared copy\nkeys/*.pem\nkeys/*.uri\nwork/\n.lock\n.new-*\n"


_BYTES = "# Signatures are over bytes: git must not change line ends\n* -text\n"


@dataclass(frozen=True, slots=True)
class Workspace:
    folder: Path
    settings: Settings

    @property
    def lists(self) -> Path:
        return self.folder / "lists"

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def staged_metadata(self) -> Path:
        return self.folder / "staged" / "metadata"

    @property
    def staged_targets(self) -> Path:
        return self.folder / "staged" / "targets"

    @property
    def metadata(self) -> Path:
        return self.folder / "repository" / "metadata"

    @property
    def targets(self) -> Path:
        return self.folder / "repository" / "targets"

    @property
    def root_file(self) -> Path:
        """A copy of the newest root, which a school's province file names."""
        return self.folder / "root.json"


def open_workspace(folder: Path) -> Workspace:
    """The publisher's folder. Raises PublishError if it is none, or its settings are wrong."""
    path = folder / SETTINGS
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise PublishError("{folder} is not a publisher's folder: there is no publisher.yaml in it", folder=folder) from None
    except (OSError, UnicodeDecodeError) as error:
        raise PublishError("{file} cannot be read: {why}", file=path, why=error) from None
    return Workspace(folder, parse_settings(text, str(path)))


def create_workspace(folder: Path, settings: Settings) -> Workspace:
    """Make an empty one. Raises PublishError if there is one already, OSError."""
    if (folder / SETTINGS).exists():
        raise PublishError("{folder} is a publisher's folder already; nothing was changed", folder=folder)
    workspace = Workspace(folder, settings)
    for path in (
        workspace.lists,
        workspace.keys,
        workspace.staged_metadata,
        workspace.staged_targets,
        workspace.metadata,
        workspace.targets,
    ):
        path.mkdir(parents=True, exist_ok=True)
    write_file(folder / ".gitignore", _IGNORED.encode())
    write_file(folder / ".gitattributes", _BYTES.encode())
    write_file(folder / SETTINGS, settings_text(settings).encode())
    return workspace


@contextmanager
def locked(workspace: Workspace) -> Iterator[None]:
    """Be the only writer. Raises PublishError when there is another one."""
    with (workspace.folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise PublishError("{folder}: another command is writing here; try again when it is done", folder=workspace.folder) from None
        yield


def write_file(path: Path, content: bytes | Path, at: float | None = None) -> int:
    """Put ``content``, or a copy of the file that it names, into place by one rename; the number of bytes. Raises OSError.

    The bytes are on the disk before the rename, and the rename before this returns. ``at``: the file's time, Unix seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{UNFINISHED}{path.name}")
    with aside.open("wb") as file:
        if isinstance(content, Path):
            with content.open("rb") as source:
                shutil.copyfileobj(source, file)
        else:
            file.write(content)
        size = file.tell()
        file.flush()
        os.fsync(file.fileno())
    if at is not None:
        os.utime(aside, (at, at))
    aside.replace(path)
    sync_folder(path.parent)
    return size


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

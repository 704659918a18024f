"""A copy of the publisher's folder for a signer's computer: what is needed to look at what waits and to sign it. [shell: disk]

Taken along: settings, lists, what is staged, and of ``repository/`` the metadata with the files that the released version names.
Never: private keys, wherever somebody put them in these folders, and ``work/``. The settings are written last, so that a copy that was
cut off is no publisher's folder. Refused: a folder that holds anything already, since that may be signatures that nobody collected yet.
"""

from collections.abc import Iterator
from pathlib import Path

from blocklists.publisher.errors import PublishError
from blocklists.publisher.keys import ELSEWHERE, PRIVATE
from blocklists.publisher.state import load_state
from blocklists.publisher.workspace import SETTINGS, UNFINISHED, Workspace, locked, write_file


def copy(workspace: Workspace, to: Path) -> int:
    """Make the copy in the folder ``to``; its size in bytes. Raises PublishError, OSError."""
    if to.exists() and any(to.iterdir()):
        raise PublishError("{folder} is not empty: first collect the signatures in it, then take it away", folder=to)
    with locked(workspace):
        files = [path.relative_to(workspace.folder) for path in _files(workspace)]
        return sum(write_file(to / path, workspace.folder / path) for path in (*files, Path(SETTINGS)))


def _files(workspace: Workspace) -> Iterator[Path]:
    for folder in (workspace.lists, workspace.staged_metadata, workspace.staged_targets, workspace.metadata):
        yield from (path for path in sorted(folder.rglob("*")) if path.is_file() and _may_travel(path))
    for metadata in load_state(workspace).roles.values():
        for target in metadata.signed.targets.values():
            yield workspace.targets / target.get_prefixed_paths()[0]
    popular = workspace.settings.lists.popular
    if popular is not None:
        yield _inside(workspace, popular)


def _may_travel(path: Path) -> bool:
    return path.suffix not in {PRIVATE, ELSEWHERE} and not path.name.startswith(UNFINISHED)


def _inside(workspace: Workspace, popular: Path) -> Path:
    """The file of popular names, without which the changes cannot be shown."""
    path = workspace.folder / popular
    if not path.resolve().is_relative_to(workspace.folder.resolve()) or not _may_travel(path):
        raise PublishError("lists.popular: {file} lies outside of the publisher's folder, so a signer would not have it", file=popular)
    return path

"""The next version of a role, put aside until it is signed. [shell]

What is staged has no effect. Staging the same again keeps the signatures that are there; any difference drops them, since they were
given for something else. Refused: a path that is not the role's.
"""

import hashlib
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path

from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from blocklists.channels import CHANNELS
from blocklists.publisher.errors import PublishError
from blocklists.publisher.roles import accepts, expiry
from blocklists.publisher.state import State, load_state
from blocklists.publisher.workspace import Workspace, locked, write_file

RENEW_SHARE = 6
"""a role is renewed with its next change, or when a sixth of its time is left"""


def stage_targets(workspace: Workspace, role: str, files: Mapping[str, Path | bytes | None], now: float) -> bool:
    """Stage a version of ``role`` with these targets: path -> content, or None to take it out; others stay as they are released.

    Returns whether something waits for release: False if nothing differs from what is released, and then what was staged before is
    gone. Raises PublishError: the role has no keys, a path is not the role's, another command is writing. Raises OSError.
    """
    with locked(workspace):
        state = load_state(workspace)
        if not state.keys(role).keys:
            raise PublishError("{role} has no keys yet: manglanh publish key add {role} FILE", role=role)
        for path in files:
            if not _owns(role, path):
                raise PublishError("{path} is not a file of {role}", path=path, role=role)
        targets = dict(state.roles[role].signed.targets) if role in state.roles else {}
        for path, content in files.items():
            if content is None:
                targets.pop(path, None)
            else:
                targets[path] = (
                    TargetFile.from_data(path, content) if isinstance(content, bytes) else TargetFile.from_file(path, str(content))
                )
        if not _needed(state, role, targets, workspace.settings.valid_days[role], now):
            drop(workspace, role)
            return False
        for path, content in files.items():
            if content is not None and (state.version(role) == 0 or state.roles[role].signed.targets.get(path) != targets[path]):
                write_file(workspace.staged_targets / path, content)
        _put_targets(workspace, state, role, targets, now)
        _drop_files(workspace, role, load_state(workspace))
        return True


def _needed(state: State, role: str, targets: Mapping[str, TargetFile], days: int, now: float) -> bool:
    """Whether a release of these targets would change anything for a client."""
    released = state.roles.get(role)
    if released is None or released.signed.targets != targets:
        return True
    if released.signed.expires.timestamp() - now < days * 86_400 / RENEW_SHARE:
        return True
    return not _accepted(state, role, released)


def _put_targets(workspace: Workspace, state: State, role: str, targets: Mapping[str, TargetFile], now: float) -> None:
    """Write the metadata, unless the same waits already with a date that still serves."""
    days = workspace.settings.valid_days[role]
    waiting = state.staged.get(role)
    if waiting is not None and waiting.signed.targets == targets and waiting.signed.expires.timestamp() - now > days * 86_400 / 2:
        return
    put(workspace, role, Targets(state.version(role) + 1, expires=expiry(now, days), targets=dict(targets)))


def put(workspace: Workspace, role: str, signed: Root | Targets) -> None:
    """Write staged metadata; signatures stay if they are for exactly this."""
    metadata = Metadata[Root](signed) if isinstance(signed, Root) else Metadata[Targets](signed)
    before = load_state(workspace).waiting(role)
    if before is not None and before.signed_bytes == metadata.signed_bytes:
        return
    write_metadata(workspace, role, metadata)


def write_metadata(workspace: Workspace, role: str, metadata: Metadata[Root] | Metadata[Targets]) -> None:
    """Staged metadata as a file: signatures in the order of their keys, so that the same signatures give the same bytes."""
    metadata.signatures = dict(sorted(metadata.signatures.items()))
    write_file(workspace.staged_metadata / f"{role}.json", metadata.to_bytes())


def renew(workspace: Workspace, role: str, now: float) -> None:
    """Stage the released content of a role (root and targets too) again, with a new date. Raises PublishError."""
    with locked(workspace):
        state = load_state(workspace)
        if state.waiting(role) is None:
            renewed(workspace, state, role, now)


def renewed(workspace: Workspace, state: State, role: str, now: float) -> None:
    """The same for a caller that holds the lock."""
    released = state.root if role == "root" else state.roles.get(role)
    if released is None:
        raise PublishError("{role} was never released", role=role)
    signed = deepcopy(released.signed)
    signed.version += 1
    signed.expires = expiry(now, workspace.settings.valid_days[role])
    put(workspace, role, signed)


def discard(workspace: Workspace, role: str) -> None:
    """Throw away what waits for ``role``. Raises PublishError if nothing does."""
    with locked(workspace):
        state = load_state(workspace)
        if state.waiting(role) is None and role not in state.outdated:
            raise PublishError("{role}: nothing is waiting", role=role)
        drop(workspace, role)


def drop(workspace: Workspace, role: str) -> None:
    """Remove a role's staged metadata, and then its files."""
    (workspace.staged_metadata / f"{role}.json").unlink(missing_ok=True)
    _drop_files(workspace, role, None)


def _drop_files(workspace: Workspace, role: str, state: State | None) -> None:
    """Remove staged files that the staged metadata does not name, or that are no different from the released ones."""
    waiting = state.staged.get(role) if state is not None else None
    released = state.roles.get(role) if state is not None else None
    for file in (workspace.staged_targets / role).glob("*"):
        path = f"{role}/{file.name}"
        listed = waiting.signed.targets.get(path) if waiting is not None else None
        if listed is None or (released is not None and released.signed.targets.get(path) == listed):
            file.unlink()


def released_target(workspace: Workspace, path: str) -> Path | None:
    """The file that clients get for this target path now; None: it is not released."""
    return _served(workspace, load_state(workspace).roles.get(path.partition("/")[0]), path)


def staged_target(workspace: Workspace, path: str) -> Path | None:
    """The file that clients will get when the role's staged version is released; None: it will be absent, or nothing is staged."""
    waiting = load_state(workspace).staged.get(path.partition("/")[0])
    found = target_file(workspace, waiting, path) if waiting is not None else None
    return found if found is not None and found.is_file() else None


def target_file(workspace: Workspace, metadata: Metadata[Targets], path: str) -> Path | None:
    """Where the bytes of a target are: among the staged files, or, where a release did not change them, among the released ones."""
    listed = metadata.signed.targets.get(path)
    if listed is None:
        return None
    staged = workspace.staged_targets / path
    return staged if staged.is_file() else workspace.targets / listed.get_prefixed_paths()[0]


def _served(workspace: Workspace, metadata: Metadata[Targets] | None, path: str) -> Path | None:
    listed = metadata.signed.targets.get(path) if metadata is not None else None
    found = workspace.targets / listed.get_prefixed_paths()[0] if listed is not None else None
    return found if found is not None and found.is_file() else None


def check_files(workspace: Workspace, role: str, metadata: Metadata[Targets]) -> None:
    """Refuse metadata whose files are missing, are not those that it names, or are not the role's. Raises PublishError."""
    for path, listed in metadata.signed.targets.items():
        if not _owns(role, path):
            raise PublishError("{path} is not a file of {role}", path=path, role=role)
        found = target_file(workspace, metadata, path)
        if found is None or not found.is_file():
            raise PublishError("{role}: the file {path} is missing; stage it again", role=role, path=path)
        with found.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != listed.hashes.get("sha256") or found.stat().st_size != listed.length:
            raise PublishError("{role}: {path} was changed after it was staged; stage it again, and sign it again", role=role, path=path)


def _owns(role: str, path: str) -> bool:
    """Whether a target path lies in the role's folder, and nowhere else on a disk; root and targets have no files."""
    folder, _, name = path.partition("/")
    return role in CHANNELS and folder == role and "/" not in name and name not in {"", ".", ".."}


def needs_new_signatures(state: State) -> list[str]:
    """Released roles that a client will refuse once the staged keys are in force, and of which no next version waits."""
    return [role for role, released in state.roles.items() if role not in state.staged and not _accepted(state, role, released)]


def _accepted(state: State, role: str, released: Metadata[Targets]) -> bool:
    delegator = state.delegator(role)
    return delegator is not None and accepts(delegator, role, released)

"""What a publisher's folder holds: the metadata that is released and the metadata that waits, read and not changed. [shell]

Released is what a client sees: the newest root of an unbroken chain, and what the timestamp leads to. A file in ``repository/`` to
which the timestamp does not lead (a release that was cut off) is not released. Staged is a role's next version and no other; one
that was staged upon an older release is named as outdated and never used.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tuf.api.metadata import Metadata, Root, Snapshot, T, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from blocklists.publisher.errors import PublishError
from blocklists.publisher.roles import PEOPLES, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, RoleKeys, Standing, keys_of, root_standing, standing
from blocklists.publisher.workspace import Workspace

LARGEST = 5_000_000
"""bytes of one metadata file; what python-tuf's client accepts"""


@dataclass(frozen=True, slots=True)
class State:
    """Of ``roles`` and ``staged`` the keys are "targets" and the channels."""

    root: Metadata[Root] | None
    timestamp: Metadata[Timestamp] | None
    snapshot: Metadata[Snapshot] | None
    roles: Mapping[str, Metadata[Targets]]
    staged_root: Metadata[Root] | None
    staged: Mapping[str, Metadata[Targets]]
    outdated: tuple[str, ...] = ()

    @property
    def next_root(self) -> Root | None:
        """The root as it will be when what waits is released."""
        found = self.staged_root or self.root
        return found.signed if found is not None else None

    @property
    def next_targets(self) -> Targets | None:
        found = self.staged.get(TARGETS) or self.roles.get(TARGETS)
        return found.signed if found is not None else None

    def waiting(self, role: str) -> Metadata[Root] | Metadata[Targets] | None:
        """What is staged for one of ``PEOPLES``."""
        return self.staged_root if role == ROOT else self.staged.get(role)

    def version(self, role: str) -> int:
        """The released version; 0: none."""
        found = self.root if role == ROOT else self.roles.get(role)
        return found.signed.version if found is not None else 0

    def delegator(self, role: str) -> Root | Targets | None:
        """Who says which keys sign ``role``, when what waits is released."""
        return self.next_root if role in {ROOT, TARGETS, SNAPSHOT, TIMESTAMP} else self.next_targets

    def keys(self, role: str) -> RoleKeys:
        return keys_of(self.delegator(role), role)

    def standing(self, role: str) -> Standing:
        """How far the signatures of what waits for ``role`` are."""
        if role == ROOT and self.staged_root is not None:
            return root_standing(self.staged_root, self.root)
        return standing(self.delegator(role), role, self.staged[role])


def load_state(workspace: Workspace) -> State:
    """Read the folder. Raises PublishError for a file that is damaged or is not what its name says."""
    root = _newest_root(workspace)
    timestamp = _read(workspace.metadata / "timestamp.json", Timestamp)
    snapshot = None
    roles: dict[str, Metadata[Targets]] = {}
    if timestamp is not None:
        snapshot = _needed(workspace.metadata / f"{timestamp.signed.snapshot_meta.version}.{SNAPSHOT}.json", Snapshot)
        for file, listed in snapshot.signed.meta.items():
            roles[file.removesuffix(".json")] = _needed(workspace.metadata / f"{listed.version}.{file}", Targets)
    staged_root = _read(workspace.staged_metadata / f"{ROOT}.json", Root)
    waiting = {role: _read(workspace.staged_metadata / f"{role}.json", Targets) for role in PEOPLES if role != ROOT}
    found: dict[str, Metadata[Root] | Metadata[Targets] | None] = {ROOT: staged_root, **waiting}
    released: dict[str, Metadata[Root] | Metadata[Targets] | None] = {ROOT: root, **roles}
    outdated = tuple(
        role for role, metadata in found.items() if metadata is not None and metadata.signed.version != _next(released.get(role))
    )
    return State(
        root,
        timestamp,
        snapshot,
        roles,
        None if ROOT in outdated else staged_root,
        {role: metadata for role, metadata in waiting.items() if metadata is not None and role not in outdated},
        outdated,
    )


def _next(released: Metadata[Root] | Metadata[Targets] | None) -> int:
    return released.signed.version + 1 if released is not None else 1


def _newest_root(workspace: Workspace) -> Metadata[Root] | None:
    """As a client finds it: one version after the other, until there is no next."""
    version = 0
    while (workspace.metadata / f"{version + 1}.{ROOT}.json").exists():
        version += 1
    return _needed(workspace.metadata / f"{version}.{ROOT}.json", Root) if version else None


def _needed(path: Path, kind: type[T]) -> Metadata[T]:
    found = _read(path, kind)
    if found is None:
        raise PublishError("{file} is missing: copy it back from the web server or a backup", file=path)
    return found


def _read(path: Path, kind: type[T]) -> Metadata[T] | None:
    """The metadata in a file; None if there is no file. Raises PublishError."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        metadata = Metadata[T].from_bytes(data)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PublishError("{file} cannot be read: {why}", file=path, why=error.strerror) from None
    except DeserializationError:
        raise PublishError("{file} is damaged: copy it again", file=path) from None
    if metadata.signed.type != kind.type or len(data) > LARGEST:
        raise PublishError("{file} is damaged: copy it again", file=path)
    return metadata

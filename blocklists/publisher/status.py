"""Who has signed what, what is missing, what expires when: for people and for scripts. Pure, but for ``status``, which reads the folder."""

from collections.abc import Iterator
from dataclasses import dataclass

from securesystemslib.signer import Key

from blocklists.channels import CHANNELS
from blocklists.publisher.keys import key_name
from blocklists.publisher.roles import PEOPLES, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, keys_of
from blocklists.publisher.staging import RENEW_SHARE
from blocklists.publisher.state import State, load_state
from blocklists.publisher.workspace import Workspace

_LATE_SHARE = 1 / 3
"""a snapshot or timestamp with less of its time left than this was not refreshed when it should have been"""


@dataclass(frozen=True, slots=True)
class Staged:
    """A version that waits."""

    version: int
    signed: tuple[str, ...]
    unsigned: tuple[str, ...]
    """who could still sign"""
    missing: int
    """how many of them must"""
    expires: float


@dataclass(frozen=True, slots=True)
class RoleStatus:
    role: str
    version: int
    """the released one; 0: none"""
    expires: float
    """of the released version, Unix seconds; 0: none"""
    keys: tuple[str, ...]
    threshold: int
    """by the released keys; before the first release by the staged ones"""
    staged: Staged | None = None
    outdated: bool = False
    """what was staged here belongs to an older release and will not go out"""


@dataclass(frozen=True, slots=True)
class Concern:
    role: str
    kind: str
    """``expired``, ``soon``, or ``no-spare``: as many keys as signatures, so that one lost key stops the role"""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Status:
    name: str
    version: int
    """of the timestamp; 0: nothing was released"""
    roles: tuple[RoleStatus, ...]
    concerns: tuple[Concern, ...]


def status(workspace: Workspace, now: float) -> Status:
    """Raises PublishError for a folder that is damaged."""
    state = load_state(workspace)
    roles = tuple(_status(state, role) for role in (*PEOPLES, SNAPSHOT, TIMESTAMP))
    version = state.timestamp.signed.version if state.timestamp is not None else 0
    return Status(workspace.settings.name, version, roles, tuple(_concerns(workspace, state, roles, now)))


def _status(state: State, role: str) -> RoleStatus:
    online = {SNAPSHOT: state.snapshot, TIMESTAMP: state.timestamp}
    released = online[role] if role in online else state.root if role == ROOT else state.roles.get(role)
    delegator = state.root if role in {ROOT, TARGETS, *online} else state.roles.get(TARGETS)
    keys = keys_of(delegator.signed if delegator is not None else state.delegator(role), role)
    return RoleStatus(
        role,
        released.signed.version if released is not None else 0,
        released.signed.expires.timestamp() if released is not None else 0.0,
        _names(keys.keys),
        keys.threshold,
        _staged(state, role) if role not in online else None,
        role in state.outdated,
    )


def _staged(state: State, role: str) -> Staged | None:
    metadata = state.waiting(role)
    if metadata is None:
        return None
    found = state.standing(role)
    return Staged(metadata.signed.version, _names(found.signed), _names(found.unsigned), found.missing, metadata.signed.expires.timestamp())


def _concerns(workspace: Workspace, state: State, roles: tuple[RoleStatus, ...], now: float) -> Iterator[Concern]:
    for role in roles:
        share = _LATE_SHARE if role.role in {SNAPSHOT, TIMESTAMP} else 1 / RENEW_SHARE
        left = role.expires - now
        if role.version and left < workspace.settings.valid_days[role.role] * 86_400 * share:
            yield Concern(role.role, "expired" if left <= 0 else "soon", role.expires)
    # The root's keys are those of targets too. The machine's two roles have no spare key by design: the root replaces it.
    for name in (ROOT, *CHANNELS):
        keys = state.keys(name)
        if keys.keys and len(keys.keys) == keys.threshold:
            yield Concern(name, "no-spare")


def _names(keys: tuple[Key, ...]) -> tuple[str, ...]:
    return tuple(map(key_name, keys))

"""Who may sign what, as TUF says it: roles, their keys and thresholds, and whether a signature is enough. Pure.

The root's keys belong to people and are kept offline. The same people sign ``targets``, which holds nothing but the delegations
to the channels and so changes as seldom. Snapshot and timestamp are signed by the machine that publishes. Every channel is a
terminating delegation over ``<channel>/*`` (TUF specification 1.0, sections 2.1, 4.3 and 4.5).

Refused: fewer keys than a role needs signatures, which nobody could ever repair; one key twice under two ids.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from securesystemslib.signer import Key
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, Root, Targets

from blocklists.channels import CHANNELS
from blocklists.publisher.errors import PublishError
from blocklists.publisher.keys import key_name

ROOT, TARGETS, SNAPSHOT, TIMESTAMP = "root", "targets", "snapshot", "timestamp"
ONLINE = "online"
"""what people call snapshot and timestamp together"""
PEOPLES = (ROOT, TARGETS, *CHANNELS)
"""the roles that wait for people's signatures, in the order in which they are shown"""
IN_ROOT: Mapping[str, tuple[str, ...]] = {
    ROOT: (ROOT, TARGETS),
    SNAPSHOT: (SNAPSHOT,),
    TIMESTAMP: (TIMESTAMP,),
    ONLINE: (SNAPSHOT, TIMESTAMP),
}
"""a word of the command line -> the roles in the root metadata whose keys it means"""
KEY_ROLES = (*IN_ROOT, *CHANNELS)
D = TypeVar("D", Root, Targets)


@dataclass(frozen=True, slots=True)
class RoleKeys:
    """The keys that may sign a role, and how many of them must."""

    keys: tuple[Key, ...]
    threshold: int


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A key more, a key less, another threshold; a rotation is the first two."""

    add: Key | None = None
    remove: str = ""
    """the id of a key"""
    threshold: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the signatures of one role's metadata are."""

    signed: tuple[Key, ...]
    unsigned: tuple[Key, ...]
    missing: int
    """the fewest further signatures with which it is complete"""

    @property
    def complete(self) -> bool:
        return self.missing == 0


def expiry(now: float, days: int) -> datetime:
    return datetime.fromtimestamp(int(now), UTC) + timedelta(days=days)


def first_root(people: RoleKeys, online: RoleKeys, expires: datetime) -> Root:
    """Version 1 of the root. Raises PublishError."""
    root = Root(expires=expires)
    for role in (ROOT, TARGETS):
        _fill(root, role, people)
    for role in (SNAPSHOT, TIMESTAMP):
        _fill(root, role, online)
    return root


def first_targets(channels: Mapping[str, RoleKeys], expires: datetime) -> Targets:
    """Version 1 of targets: the delegations to those channels that have keys. Raises PublishError."""
    targets = Targets(expires=expires, delegations=Delegations({}, {}))
    for channel, keys in channels.items():
        _delegate(targets, channel)
        _fill(targets, channel, keys)
    return targets


def changed(delegator: D, roles: Sequence[str], change: KeyChange) -> D:
    """The delegator with the change in all of ``roles``. Raises PublishError."""
    result = deepcopy(delegator)
    for role in roles:
        if isinstance(result, Targets):
            _delegate(result, role)
        if change.add is not None:
            _refuse_twin(result, role, change.add)
            result.add_key(change.add, role)
        if change.remove:
            result.revoke_key(change.remove, role)
        if change.threshold is not None:
            result.get_delegated_role(role).threshold = change.threshold
        _check_threshold(result, role)
    return result


def keys_of(delegator: Root | Targets | None, role: str) -> RoleKeys:
    """Who may sign ``role``; nobody, if it is not delegated."""
    try:
        held = delegator.get_delegated_role(role) if delegator is not None else None
    except ValueError:
        held = None
    if held is None or delegator is None:
        return RoleKeys((), 0)
    return RoleKeys(tuple(delegator.get_key(keyid) for keyid in held.keyids), held.threshold)


def delegated(targets: Targets | None) -> tuple[str, ...]:
    """The channels that have keys."""
    if targets is None or targets.delegations is None:
        return ()
    return tuple(targets.delegations.roles or ())


def standing(delegator: Root | Targets | None, role: str, metadata: Metadata[Targets]) -> Standing:
    """Whose signatures ``metadata`` has, of those that count for ``role``."""
    if delegator is None or not keys_of(delegator, role).keys:
        return Standing((), (), 1)
    result = delegator.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
    return Standing(tuple(result.signed.values()), tuple(result.unsigned.values()), result.missing)


def root_standing(root: Metadata[Root], before: Metadata[Root] | None) -> Standing:
    """The same for a root, which its own keys and those of the version before must sign (TUF specification 1.0, section 5.3)."""
    previous = before.signed if before is not None else None
    result = root.signed.get_root_verification_result(previous, root.signed_bytes, root.signatures)
    both = result.first.unsigned.keys() & result.second.unsigned.keys()
    shared = min(len(both), result.first.missing, result.second.missing)
    missing = result.first.missing + result.second.missing - shared
    return Standing(tuple(result.signed.values()), tuple(result.unsigned.values()), missing)


def accepts(delegator: Root | Targets, role: str, metadata: Metadata[Targets] | Metadata) -> bool:  # type: ignore[type-arg]
    """Whether a client that trusts ``delegator`` takes ``metadata`` for ``role``."""
    try:
        return delegator.get_verification_result(role, metadata.signed_bytes, metadata.signatures).verified
    except ValueError:
        return False


def find_key(keys: Sequence[Key], text: str) -> Key:
    """The key that a person means by a name, or by the beginning of an id. Raises PublishError."""
    compact = text.replace(" ", "").lower()
    found = [key for key in keys if text == key_name(key)] or [key for key in keys if len(compact) >= 8 and key.keyid.startswith(compact)]
    if len(found) != 1:
        known = ", ".join(sorted(key_name(key) for key in keys)) or "-"
        raise PublishError("{key} is not a key of this role; there is: {known}", key=text, known=known)
    return found[0]


def _fill(delegator: Root | Targets, role: str, keys: RoleKeys) -> None:
    for key in keys.keys:
        _refuse_twin(delegator, role, key)
        delegator.add_key(key, role)
    delegator.get_delegated_role(role).threshold = keys.threshold
    _check_threshold(delegator, role)


def _delegate(targets: Targets, channel: str) -> None:
    """Make the delegation if there is none; in the channels' order, so that the same keys give the same bytes."""
    delegations = targets.delegations
    if delegations is None or delegations.roles is None or channel in delegations.roles:
        return
    made = {**delegations.roles, channel: DelegatedRole(channel, [], 1, terminating=True, paths=[f"{channel}/*"])}
    delegations.roles = {name: made[name] for name in CHANNELS if name in made}


def _refuse_twin(delegator: Root | Targets, role: str, key: Key) -> None:
    for other in keys_of(delegator, role).keys:
        if other.keyid == key.keyid or other.keyval == key.keyval:
            raise PublishError("{role}: the key {key} may sign this already", role=role, key=key_name(other))
        if key_name(other) == key_name(key):
            raise PublishError("{role}: another key is called {key} already; a new key needs a new name", role=role, key=key_name(key))


def _check_threshold(delegator: Root | Targets, role: str) -> None:
    keys = keys_of(delegator, role)
    if keys.threshold < 1:
        raise PublishError("{role}: at least one signature is needed", role=role)
    if len(keys.keys) < keys.threshold:
        raise PublishError(
            "{role}: {count} keys would be left and {threshold} signatures are needed, so nobody could ever sign again; add a key first",
            role=role,
            count=len(keys.keys),
            threshold=keys.threshold,
        )

"""What a release may let out: of everything that waits, the newest whole set that every client will accept. Pure.

A set is whole if the root is signed by its own keys and the released root's, targets by the root's keys, and every channel that was
ever released by the keys that targets name. So a change of keys goes out together with the metadata that needs it, or waits for it.
What is not signed, has expired, or does not fit the set waits, and nothing else waits for it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tuf.api.metadata import Metadata, Root, Targets

from blocklists.publisher.errors import PublishError
from blocklists.publisher.keys import key_name
from blocklists.publisher.roles import PEOPLES, ROOT, TARGETS, accepts, delegated, root_standing
from blocklists.publisher.state import State


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a role's staged version does not go out."""

    role: str
    reason: str
    """``signatures``, ``expired``, ``later`` (not urgent), or ``together`` (it fits only with something else that waits)"""
    missing: int = 0
    names: tuple[str, ...] = ()
    """who could still sign"""


@dataclass(frozen=True, slots=True)
class Plan:
    root: Metadata[Root]
    roles: Mapping[str, Metadata[Targets]]
    """targets, and every channel that clients will find"""
    new: tuple[str, ...]
    """the roles whose staged version goes out, of ``PEOPLES``"""
    waiting: tuple[Waiting, ...]


def plan(state: State, now: float, *, urgent: bool) -> Plan:
    """The best whole set; without anything that waits, it is what is released. ``urgent``: channels only, keys another time.

    Raises PublishError if there is no whole set: before the first release, or after the folder was damaged.
    """
    wait = urgent and state.root is not None
    for root in _roots(state, now, wait=wait):
        for targets in _targets(state, root.signed, now, wait=wait):
            channels = _channels(state, targets.signed, now)
            if channels is not None:
                roles = {TARGETS: targets, **channels}
                chosen: dict[str, object] = {ROOT: root, **roles}
                new = tuple(role for role in PEOPLES if role in chosen and chosen[role] is state.waiting(role))
                return Plan(root, roles, new, tuple(_waiting(state, new, now, later=wait)))
    raise PublishError("Nothing can be released yet: root and targets must be signed first; see: manglanh publish status")


def _roots(state: State, now: float, *, wait: bool) -> Iterator[Metadata[Root]]:
    staged = state.staged_root
    if staged is not None and not wait and _lasts(staged, now) and root_standing(staged, state.root).complete:
        yield staged
    if state.root is not None:
        yield state.root


def _targets(state: State, root: Root, now: float, *, wait: bool) -> Iterator[Metadata[Targets]]:
    staged, released = state.staged.get(TARGETS), state.roles.get(TARGETS)
    if staged is not None and not wait and _lasts(staged, now) and accepts(root, TARGETS, staged):
        yield staged
    if released is not None and accepts(root, TARGETS, released):
        yield released


def _channels(state: State, targets: Targets, now: float) -> dict[str, Metadata[Targets]] | None:
    """The newest acceptable version of every channel; None if one that is released has none."""
    found: dict[str, Metadata[Targets]] = {}
    for role in (*delegated(targets), *(role for role in state.roles if role != TARGETS)):
        staged, released = state.staged.get(role), state.roles.get(role)
        if staged is not None and _lasts(staged, now) and accepts(targets, role, staged):
            found[role] = staged
        elif released is not None and accepts(targets, role, released):
            found[role] = released
        elif released is not None:
            return None
    return found


def _lasts(metadata: Metadata[Root] | Metadata[Targets], now: float) -> bool:
    return metadata.signed.expires.timestamp() > now


def _waiting(state: State, new: tuple[str, ...], now: float, *, later: bool) -> Iterator[Waiting]:
    for role in PEOPLES:
        metadata = state.waiting(role)
        if metadata is None or role in new:
            continue
        standing = state.standing(role)
        if not _lasts(metadata, now):
            yield Waiting(role, "expired")
        elif not standing.complete:
            yield Waiting(role, "signatures", standing.missing, tuple(map(key_name, standing.unsigned)))
        else:
            yield Waiting(role, "later" if later and role in {ROOT, TARGETS} else "together")

"""Letting a release out: files, then metadata, then the timestamp, which makes all of it a release at once.

Promises: a client finds at any moment a whole release, the old one or the new one, and so does one that comes after a crash; the
same command again finishes what was cut off. Every file is new under its own name (a hash or a version in front); the timestamp
alone is replaced, by one rename (TUF specification 1.0, section 6.2, consistent snapshots). A new root is a second file that a
client sees at once, so it goes out on the side of the timestamp where the half-way state is whole too (``_root_first``).

Refused: staged files that are not what was signed; a release that the keys of this machine may not sign.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from securesystemslib.signer import Signer
from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp

from blocklists.publisher.errors import PublishError
from blocklists.publisher.keys import key_name, refusal
from blocklists.publisher.plan import Plan, Waiting, plan
from blocklists.publisher.pruning import prune
from blocklists.publisher.roles import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, accepts, expiry, keys_of
from blocklists.publisher.staging import check_files, drop, needs_new_signatures, renewed
from blocklists.publisher.state import State, load_state
from blocklists.publisher.workspace import Workspace, locked, write_file

FRESH_SHARE = 2 / 3
"""what a machine signs is signed again when less than this part of its time is left: a timestamp of three days once a day"""


@dataclass(frozen=True, slots=True)
class Released:
    version: int
    """of the timestamp"""
    roles: Mapping[str, int]
    """role -> version, for what is new; snapshot and timestamp too"""
    bytes: int
    """what was written that a client may fetch"""
    waiting: tuple[Waiting, ...] = ()
    """what was staged and did not go out"""


@dataclass(frozen=True, slots=True)
class _Online:
    snapshot: Metadata[Snapshot]
    timestamp: Metadata[Timestamp]


def release(workspace: Workspace, signers: Sequence[Signer], now: float, urgent: bool = False) -> Released:
    """Release everything that is completely signed. ``signers``: the keys of snapshot and timestamp; in a change of these, the old too.

    Raises PublishError: nothing is completely signed, files were changed after signing, a signer is missing; nothing was
    changed then. Raises OSError (a full disk): the old release is in force, or the new one; release again.
    """
    with locked(workspace):
        state = load_state(workspace)
        planned = plan(state, now, urgent=urgent)
        cut_off = ROOT in state.outdated  # its root went out, and perhaps nothing after it
        if not planned.new and _current(state, planned) and not cut_off:
            if planned.waiting:
                raise PublishError("Nothing is completely signed; see: manglanh publish status")
            raise PublishError("Nothing waits for release.")
        return _publish(workspace, state, planned, signers, now)


def refresh(workspace: Workspace, signers: Sequence[Signer], now: float) -> Released | None:
    """Sign timestamp and snapshot again where their time runs out, and change nothing else; None: it was not needed yet."""
    with locked(workspace):
        state = load_state(workspace)
        if state.root is None or state.timestamp is None or state.snapshot is None:
            raise PublishError("Nothing was released yet.")
        planned = Plan(state.root, state.roles, (), ())
        days = workspace.settings.valid_days
        if _current(state, planned) and _fresh(state.timestamp, days[TIMESTAMP], now) and _fresh(state.snapshot, days[SNAPSHOT], now):
            return None
        return _publish(workspace, state, planned, signers, now)


def _current(state: State, planned: Plan) -> bool:
    """Whether clients that take the planned root accept the released snapshot and timestamp."""
    root, snapshot, timestamp = planned.root.signed, state.snapshot, state.timestamp
    return snapshot is not None and timestamp is not None and accepts(root, SNAPSHOT, snapshot) and accepts(root, TIMESTAMP, timestamp)


def _fresh(metadata: Metadata[Snapshot] | Metadata[Timestamp], days: int, now: float) -> bool:
    return metadata.signed.expires.timestamp() - now > days * 86_400 * FRESH_SHARE


def _publish(workspace: Workspace, state: State, planned: Plan, signers: Sequence[Signer], now: float) -> Released:
    new = {role: planned.roles[role] for role in planned.new if role != ROOT}
    for role, metadata in new.items():
        check_files(workspace, role, metadata)
    online = _signed_online(workspace, state, planned, signers, now)
    size = sum(_write_files(workspace, metadata, now) for metadata in new.values())
    for role, metadata in new.items():
        size += write_file(workspace.metadata / f"{metadata.signed.version}.{role}.json", metadata.to_bytes(), now)
    versions = {role: metadata.signed.version for role, metadata in new.items()}
    if online.snapshot is not state.snapshot:
        versions[SNAPSHOT] = online.snapshot.signed.version
        size += write_file(workspace.metadata / f"{versions[SNAPSHOT]}.{SNAPSHOT}.json", online.snapshot.to_bytes(), now)
    steps = [TIMESTAMP]
    if ROOT in planned.new:
        versions[ROOT] = planned.root.signed.version
        steps = [ROOT, TIMESTAMP] if _root_first(state, planned, online) else [TIMESTAMP, ROOT]
    versions[TIMESTAMP] = online.timestamp.signed.version
    for step in steps:
        name, content = (
            (f"{versions[ROOT]}.root.json", planned.root.to_bytes()) if step == ROOT else ("timestamp.json", online.timestamp.to_bytes())
        )
        size += write_file(workspace.metadata / name, content, now)
    _tidy(workspace, planned, now)
    return Released(versions[TIMESTAMP], versions, size, planned.waiting)


def _write_files(workspace: Workspace, metadata: Metadata[Targets], now: float) -> int:
    """Copy a role's staged files under the names that begin with their hash; the bytes of those that were not there."""
    size = 0
    for path, listed in metadata.signed.targets.items():
        place, staged = workspace.targets / listed.get_prefixed_paths()[0], workspace.staged_targets / path
        if staged.is_file():
            size += 0 if place.exists() else listed.length
            write_file(place, staged, now)
    return size


def _signed_online(workspace: Workspace, state: State, planned: Plan, signers: Sequence[Signer], now: float) -> _Online:
    """The snapshot and the timestamp of this release; the snapshot that is there, if it says the same and is fresh."""
    days = workspace.settings.valid_days
    snapshot = state.snapshot
    meta = {f"{role}.json": _listed(metadata) for role, metadata in planned.roles.items()}
    if snapshot is not None:  # what is out has the bytes that it has, whoever wrote it
        kept = {f"{role}.json" for role, metadata in planned.roles.items() if metadata is state.roles.get(role)}
        meta |= {file: listed for file, listed in snapshot.signed.meta.items() if file in kept}
    root = planned.root.signed
    if (
        snapshot is None
        or snapshot.signed.meta != meta
        or not _fresh(snapshot, days[SNAPSHOT], now)
        or not accepts(root, SNAPSHOT, snapshot)
    ):
        version = snapshot.signed.version + 1 if snapshot is not None else 1
        snapshot = Metadata(Snapshot(version, expires=expiry(now, days[SNAPSHOT]), meta=meta))
        _sign_online(snapshot, SNAPSHOT, state, planned, signers)
    version = state.timestamp.signed.version + 1 if state.timestamp is not None else 1
    known = state.timestamp.signed.snapshot_meta if state.timestamp is not None and snapshot is state.snapshot else _listed(snapshot)
    timestamp = Metadata(Timestamp(version, expires=expiry(now, days[TIMESTAMP]), snapshot_meta=known))
    _sign_online(timestamp, TIMESTAMP, state, planned, signers)
    return _Online(snapshot, timestamp)


def _listed(metadata: Metadata[Targets] | Metadata[Snapshot]) -> MetaFile:
    """Version, length and hash, so that a client knows how much to read, and that it read this."""
    return MetaFile.from_data(metadata.signed.version, metadata.to_bytes(), ["sha256"])


def _sign_online(
    metadata: Metadata[Snapshot] | Metadata[Timestamp], role: str, state: State, planned: Plan, signers: Sequence[Signer]
) -> None:
    """Sign with every key here that clients with the old root or the new one know. Raises PublishError if that is not enough."""
    roots = [planned.root.signed] + ([state.root.signed] if state.root is not None else [])
    known = {key.keyid for root in roots for key in keys_of(root, role).keys}
    for signer in sorted(signers, key=lambda signer: signer.public_key.keyid):
        if signer.public_key.keyid in known:
            try:
                metadata.sign(signer, append=True)
            except UnsignedMetadataError as error:
                raise refusal(error, key_name(signer.public_key)) from None
    if not accepts(planned.root.signed, role, metadata):
        keys = ", ".join(map(key_name, keys_of(planned.root.signed, role).keys))
        raise PublishError(
            "{role} must be signed on this computer, by the key of: {keys}; its private file is not here", role=role, keys=keys
        )


def _root_first(state: State, planned: Plan, online: _Online) -> bool:
    """Whether the new root goes out before the timestamp.

    First, if clients that have it accept what is released; else last, if those that do not have it accept what comes. In
    neither case (a key was lost, and cannot sign for the old root's sake) first: for the moment between two renames clients
    keep what they have.
    """
    root, released = planned.root.signed, state.roles.get(TARGETS)
    if state.root is None or released is None:
        return True
    if _current(state, planned) and accepts(root, TARGETS, released):
        return True
    return not _all_accepted(state.root.signed, planned, online)


def _all_accepted(root: Root, planned: Plan, online: _Online) -> bool:
    return (
        accepts(root, TIMESTAMP, online.timestamp)
        and accepts(root, SNAPSHOT, online.snapshot)
        and accepts(root, TARGETS, planned.roles[TARGETS])
    )


def _tidy(workspace: Workspace, planned: Plan, now: float) -> None:
    """After the release: the root for new schools, nothing staged that is out, no files that nobody needs.

    A role that just went out with its old keys, while a change of them waits, must be signed once more for that change.
    """
    write_file(workspace.root_file, planned.root.to_bytes(), now)
    for role in (*planned.new, *load_state(workspace).outdated):
        drop(workspace, role)
    for role in needs_new_signatures(load_state(workspace)):
        renewed(workspace, load_state(workspace), role, now)
    prune(workspace, now)

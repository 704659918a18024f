"""People's signatures: given on their own computers, gathered on one.

A signature is given only for metadata whose files are there and are the ones that it names, so that what a person was shown is
what is signed; and only upon a release that is itself validly signed. A key that may not sign a role is refused. Gathering takes
over a signature only if it is over the very same bytes and verifies; nothing else of a copy is trusted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Key, Signer
from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import Metadata, Root, Targets

from blocklists.publisher.errors import PublishError
from blocklists.publisher.keys import key_name, refusal
from blocklists.publisher.roles import PEOPLES, ROOT, TARGETS, accepts, keys_of
from blocklists.publisher.staging import check_files, write_metadata
from blocklists.publisher.state import State, load_state
from blocklists.publisher.workspace import Workspace, locked, open_workspace, write_file


@dataclass(frozen=True, slots=True)
class Collected:
    """What became of one role's staged version in another folder."""

    role: str
    outcome: str
    """``merged``, ``same`` (no new signature), ``taken`` (nothing waited here), ``differs``, ``unrelated`` (staged upon another release)"""
    version: int
    names: tuple[str, ...] = ()
    """whose signatures are new"""


def signers_of(state: State, role: str) -> dict[str, Key]:
    """Key id -> key, for every key whose signature under what waits for ``role`` can count: by the released keys or the staged ones."""
    if role == ROOT:
        delegators: list[Root | Targets | None] = [state.root.signed if state.root else None, state.next_root]
    elif role == TARGETS:
        delegators = [state.root.signed if state.root else None, state.next_root]
    else:
        delegators = [state.roles[TARGETS].signed if TARGETS in state.roles else None, state.next_targets]
    return {key.keyid: key for delegator in delegators for key in keys_of(delegator, role).keys}


def to_sign(state: State, keyid: str) -> list[str]:
    """The roles of which something waits that this key may sign and has not signed."""
    waiting = ((role, state.waiting(role)) for role in PEOPLES)
    return [
        role
        for role, metadata in waiting
        if metadata is not None and keyid in signers_of(state, role) and not _signed(metadata, signers_of(state, role)[keyid])
    ]


def sign(
    workspace: Workspace, signer: Signer, roles: Sequence[str] | None, now: float, shown: Mapping[str, bytes] | None = None
) -> list[str]:
    """Sign what waits, in these roles or in all that the key may sign; the roles that were signed.

    ``shown``: role -> the bytes whose meaning a person was shown; anything else that waits by now is not signed.

    Raises PublishError: nothing waits, the key may not sign the role, files do not match, the version has expired; OSError.
    """
    with locked(workspace):
        state = load_state(workspace)
        check_released(state)
        wanted = to_sign(state, signer.public_key.keyid) if roles is None else list(roles)
        for role in wanted:
            _check(workspace, state, role, signer.public_key, now)
            if shown is not None and shown.get(role) != _bytes(state, role):
                raise PublishError("{role}: what waits was changed meanwhile; look at it again", role=role)
        for role in wanted:
            metadata = state.waiting(role)
            if metadata is not None:
                _sign(metadata, signer)
                write_metadata(workspace, role, metadata)
        return wanted


def waiting_bytes(state: State) -> dict[str, bytes]:
    """Role -> what a signature under what waits for it is made over."""
    return {role: found for role in PEOPLES if (found := _bytes(state, role))}


def _bytes(state: State, role: str) -> bytes:
    metadata = state.waiting(role)
    return metadata.signed_bytes if metadata is not None else b""


def _check(workspace: Workspace, state: State, role: str, key: Key, now: float) -> None:
    metadata = state.waiting(role)
    if metadata is None:
        raise PublishError("{role}: nothing is waiting", role=role)
    may = signers_of(state, role)
    if key.keyid not in may:
        known = ", ".join(sorted(map(key_name, may.values()))) or "-"
        raise PublishError("{role}: the key {key} may not sign this; these may: {known}", role=role, key=key_name(key), known=known)
    if metadata.signed.expires.timestamp() <= now:
        raise PublishError("{role}: what waits here has expired; stage it again", role=role)
    if role in state.staged:
        check_files(workspace, role, state.staged[role])


def _sign(metadata: Metadata[Root] | Metadata[Targets], signer: Signer) -> None:
    name = key_name(signer.public_key)
    try:
        signature = metadata.sign(signer, append=True)
        signer.public_key.verify_signature(signature, metadata.signed_bytes)
    except UnsignedMetadataError as error:
        raise refusal(error, name) from None
    except UnverifiedSignatureError:
        raise PublishError("{name}: the key's signature is wrong; is it the private half of {name}.pub.json?", name=name) from None


def check_released(state: State) -> None:
    """Refuse to build upon a release that clients would not accept: a folder that came damaged, or from a stranger.

    Raises PublishError.
    """
    if state.root is None:
        return
    trusted = accepts(state.root.signed, ROOT, state.root)
    targets = state.roles.get(TARGETS)
    for role, metadata in state.roles.items():
        delegator = state.root if role == TARGETS else targets
        trusted = trusted and delegator is not None and accepts(delegator.signed, role, metadata)
    if not trusted:
        raise PublishError(
            "The release in repository/ is not validly signed: finish an interrupted release (manglanh publish release), or copy the folder again."
        )


def collect(workspace: Workspace, other: Path) -> list[Collected]:
    """Take over what was signed in a copy of this folder. Raises PublishError, OSError."""
    copy = open_workspace(other)
    with locked(workspace):
        state, theirs = load_state(workspace), load_state(copy)
        found = [_collected(workspace, state, copy, theirs, role) for role in PEOPLES if theirs.waiting(role) is not None]
        return found + [Collected(role, "unrelated", 0) for role in theirs.outdated]


def _collected(workspace: Workspace, state: State, copy: Workspace, theirs: State, role: str) -> Collected:
    ours, given = state.waiting(role), theirs.waiting(role)
    if given is None or given.signed.version != state.version(role) + 1:
        return Collected(role, "unrelated", given.signed.version if given else 0)
    version = given.signed.version
    if ours is None:
        return _taken(workspace, copy, role, given, signers_of(theirs, role))
    if ours.signed_bytes != given.signed_bytes:
        return Collected(role, "differs", version)
    fresh = [key for key in signers_of(state, role).values() if _signed(given, key) and not _signed(ours, key)]
    for key in fresh:
        ours.signatures[key.keyid] = given.signatures[key.keyid]
    if fresh:
        write_metadata(workspace, role, ours)
    return Collected(role, "merged" if fresh else "same", version, tuple(map(key_name, fresh)))


def _taken(workspace: Workspace, copy: Workspace, role: str, given: Metadata[Root] | Metadata[Targets], may: dict[str, Key]) -> Collected:
    """A change that was staged in the copy, with the signatures that verify."""
    signed = [key for key in may.values() if _signed(given, key)]
    given.signatures = {key.keyid: given.signatures[key.keyid] for key in signed}
    if isinstance(given.signed, Targets):
        staged = Metadata[Targets](given.signed)
        check_files(copy, role, staged)
        for path in staged.signed.targets:
            if (copy.staged_targets / path).is_file():
                write_file(workspace.staged_targets / path, copy.staged_targets / path)
    write_metadata(workspace, role, given)
    return Collected(role, "taken", given.signed.version, tuple(map(key_name, signed)))


def _signed(metadata: Metadata[Root] | Metadata[Targets], key: Key) -> bool:
    """Whether the key's signature is there and right."""
    signature = metadata.signatures.get(key.keyid)
    if signature is None:
        return False
    try:
        key.verify_signature(signature, metadata.signed_bytes)
    except UnverifiedSignatureError:
        return False
    return True

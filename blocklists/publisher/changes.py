"""What a staged version changes in keys and files, against the released one: for whoever is about to sign it. Pure."""

from dataclasses import dataclass

from securesystemslib.signer import Key
from tuf.api.metadata import Root, Targets

from blocklists.publisher.roles import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, delegated, keys_of
from blocklists.publisher.state import State


@dataclass(frozen=True, slots=True)
class KeyDifference:
    """What becomes of one role's keys."""

    role: str
    added: tuple[Key, ...]
    removed: tuple[Key, ...]
    threshold: int
    before: int
    """the threshold until now; 0: the role is new"""


@dataclass(frozen=True, slots=True)
class FileDifference:
    path: str
    size: int | None
    """bytes; None: the file goes"""
    before: int | None
    """bytes; None: the file is new"""


def key_differences(state: State, role: str) -> list[KeyDifference]:
    """Who may sign what, after the staged root or targets; only what changes."""
    after = state.waiting(role)
    before = state.root if role == ROOT else state.roles.get(role)
    if after is None:
        return []
    new, old = after.signed, before.signed if before is not None else None
    roles = (ROOT, TARGETS, SNAPSHOT, TIMESTAMP) if isinstance(new, Root) else delegated(new)
    found = (_difference(name, old, new) for name in roles)
    return [change for change in found if change.added or change.removed or change.threshold != change.before]


def _difference(role: str, old: Root | Targets | None, new: Root | Targets) -> KeyDifference:
    before, after = keys_of(old, role), keys_of(new, role)
    kept = {key.keyid for key in before.keys} & {key.keyid for key in after.keys}
    added = tuple(key for key in after.keys if key.keyid not in kept)
    return KeyDifference(role, added, tuple(key for key in before.keys if key.keyid not in kept), after.threshold, before.threshold)


def file_differences(state: State, role: str) -> list[FileDifference]:
    """The files of a channel that its staged version adds, changes or takes out."""
    after, before = state.staged.get(role), state.roles.get(role)
    new = after.signed.targets if after is not None else {}
    old = before.signed.targets if before is not None else {}
    return [
        FileDifference(path, new[path].length if path in new else None, old[path].length if path in old else None)
        for path in sorted(new.keys() | old.keys())
        if new.get(path) != old.get(path)
    ]

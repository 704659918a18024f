"""Removing what no client needs any more from the folder that is served. [shell]

A school on a poor link may be hours into a release when the next one comes out. So kept are the current and the previous snapshot,
every one that was replaced within the grace period, and all that these name; and every root, for schools that come back
after years (TUF specification 1.0, section 5.3).
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tuf.api.metadata import Metadata, Signed, Snapshot, Targets
from tuf.api.serialization import DeserializationError

from blocklists.publisher.workspace import UNFINISHED, Workspace

_VERSIONED = re.compile(r"([0-9]+)\.(.+)\.json")


def prune(workspace: Workspace, now: float) -> None:
    """Remove replaced metadata and target files. Raises OSError."""
    kept = set(_kept(workspace, now))
    for path in workspace.metadata.glob("*.json"):
        match = _VERSIONED.fullmatch(path.name)
        if match is not None and match[2] != "root" and path not in kept:
            path.unlink()
    for path in workspace.targets.glob("*/*"):
        if path.is_file() and path not in kept:
            path.unlink()
    for path in workspace.metadata.glob(f"{UNFINISHED}*"):
        path.unlink()


def _kept(workspace: Workspace, now: float) -> Iterator[Path]:
    for path in _snapshots(workspace, now):
        yield path
        snapshot = _read(path)
        listed = snapshot.meta.items() if isinstance(snapshot, Snapshot) else ()
        for file, meta in listed:
            role = workspace.metadata / f"{meta.version}.{file}"
            yield role
            targets = _read(role)
            files = targets.targets.values() if isinstance(targets, Targets) else ()
            yield from (workspace.targets / target.get_prefixed_paths()[0] for target in files)


def _snapshots(workspace: Workspace, now: float) -> Iterator[Path]:
    """The snapshots that a client may be at. One is replaced when the next is written, which that file's time tells."""
    found = {int(path.name.partition(".")[0]): path for path in workspace.metadata.glob("[0-9]*.snapshot.json")}
    versions = sorted(found, reverse=True)
    grace = workspace.settings.keep_days * 86_400
    for place, version in enumerate(versions):
        if place <= 1 or found[versions[place - 1]].stat().st_mtime > now - grace:
            yield found[version]


def _read(path: Path) -> Signed | None:
    """What a file says; None for one that is gone or damaged: it is old, and no reason to fail."""
    try:
        signed: Signed = Metadata[Any].from_bytes(path.read_bytes()).signed
    except (OSError, DeserializationError):
        return None
    return signed

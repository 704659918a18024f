"""What the channels say, out of their kept files, put together into the one bundle that serves. [shell: disk through its parts]

Signatures say whose a file is; here is checked that it says nothing but what its channel may (blocklists/channels.py): an entry of another
authority's category is refused, and so is a base or an overlay that fills a locked category, which only the mandatory channel may. A
file that is refused is refused with its whole channel: half of a list is not a list.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from itertools import islice
from pathlib import Path
from shutil import copytree

from blocklists.box.kept_targets import verified
from blocklists.box.release_record import Content, Kept, Record
from blocklists.channels import BASE, CHANNELS, OVERLAY, Channel, changes_path, list_path
from blocklists.compile import CompileRefused, compile_lists, starter_inputs
from blocklists.entries import BadEntries, ListEntry, apply_changes, expires_at, in_force, parse_entries, sources_of
from blocklists.install import current, install, place
from blocklists.overlay import compose, locked_names
from blocklists.pack import unpack
from filters.bundle import BadBundle, Source, read_manifest
from filters.domain_index import DomainIndex

OWN = ".own"
"""where a box compiles public sources itself, to lie under what a province publishes that has no base: a lists' directory of its own"""
_NAMED = 5
"""locked names that a refusal names"""


class BadContent(Exception):
    """What a channel signed cannot be used; the message says why."""


@dataclass(slots=True)
class Composed:
    """A bundle in force, and for how long it says what the entries say (``Record`` explains the moments)."""

    bundle: str = ""
    own: str = ""
    valid_from: float = 0.0
    valid_until: float = 0.0
    newest_date: float = 0.0
    entries: dict[str, int] = field(default_factory=dict)
    """in force, per channel"""


Parsed = dict[tuple[str, Kept | None, Kept | None], tuple[ListEntry, ...]]
"""what was parsed already: by the channel and its two kept files"""


def entries_of(directory: Path, channel: Channel, content: Content, parsed: Parsed) -> tuple[ListEntry, ...]:
    """A channel's text entries, those that have expired too. Raises BadContent, OSError."""
    if not channel.text:
        return ()
    listed, changed = (content.files.get(path) for path in (list_path(channel), changes_path(channel)))
    known = channel.id, listed, changed
    if known not in parsed:
        parsed[known] = _parsed(directory, channel, listed, changed)
    return parsed[known]


def _parsed(directory: Path, channel: Channel, listed: Kept | None, changed: Kept | None) -> tuple[ListEntry, ...]:
    try:
        entries = parse_entries(verified(directory, listed).read_bytes(), channel, list_path(channel)) if listed else ()
        return apply_changes(entries, verified(directory, changed).read_bytes(), channel) if changed else entries
    except BadEntries as error:
        raise BadContent(str(error)) from None


def check(directory: Path, channel: Channel, content: Content, unpacked: dict[str, str], parsed: Parsed) -> None:
    """Whether the channel's files may be used; archives are unpacked and their bundles placed. Raises BadContent, OSError, Busy."""
    entries_of(directory, channel, content, parsed)
    index = _under(directory, content, unpacked)
    if index is None:
        return
    try:
        locked = list(islice(locked_names(index), _NAMED))
    finally:
        index.close()
    if locked:
        raise BadContent(f"{channel.id}: names in categories that only the mandatory list may fill: {', '.join(locked)}")


def put_in_force(
    directory: Path, channels: Mapping[str, Content], moment: float, unpacked: dict[str, str], parsed: Parsed | None = None
) -> Composed:
    """Make one bundle of the channels' kept files and swap ``current`` to it; the same files give the same bundle.

    ``moment`` (Unix seconds): entries whose last day is over then are left out; 0 leaves out none. Raises BadContent, OSError, Busy, and changes
    nothing then.
    """
    composed = Composed(own=own_bundle(directory))
    parsed = {} if parsed is None else parsed
    additions: list[tuple[str, Source]] = []
    unlisted: list[str] = []
    for channel in CHANNELS.values():
        everything = entries_of(directory, channel, channels.get(channel.id, Content()), parsed)
        entries = in_force(everything, moment)
        composed.entries[channel.id] = len(entries)
        _note_moments(composed, everything, moment)
        additions += sources_of(entries, channel)
        unlisted += [entry.name for entry in entries if entry.unlist]
    under = _under(directory, channels.get("categories", Content()), unpacked) or _own_base(directory)
    try:
        composed.newest_date = max(composed.newest_date, under.built_at)
        installed = install(directory, lambda fresh: compose(fresh, under, additions, unlisted, composed.newest_date), under)
    except BadBundle as error:
        raise BadContent(str(error)) from None
    finally:
        under.close()
    composed.bundle = installed.name
    return composed


def recorded(record: Record, composed: Composed) -> Record:
    """``record`` for the bundle that was made of its channels."""
    moments = {"valid_from": composed.valid_from, "valid_until": composed.valid_until, "newest_date": composed.newest_date}
    used = {kept.sha256 for kept in record.kept()}
    unpacked = {sha256: identity for sha256, identity in record.unpacked.items() if sha256 in used}
    return record.model_copy(update={"found": True, "bundle": composed.bundle, "own": composed.own, "unpacked": unpacked, **moments})


def own_bundle(directory: Path) -> str:
    """The identity of what this box last compiled to lie under a province's entries; empty: nothing."""
    own = current(directory / OWN)
    return own.name if own else ""


def is_composed(directory: Path) -> bool:
    """Whether the bundle in force was made here of what a province publishes."""
    folder = current(directory)
    try:
        manifest = read_manifest(folder) if folder else None
    except BadBundle:
        return False
    return manifest is not None and (bool(manifest.base) or any(source.name in CHANNELS for source in manifest.sources))


def _note_moments(composed: Composed, entries: Iterable[ListEntry], moment: float) -> None:
    for entry in entries:
        added = datetime.combine(entry.added, time(), UTC).timestamp()
        composed.newest_date = max(composed.newest_date, added)
        end = expires_at(entry)
        if end and end <= moment:
            composed.valid_from = max(composed.valid_from, end)
        elif end:
            composed.valid_until = min(composed.valid_until or end, end)


def _under(directory: Path, content: Content, unpacked: dict[str, str]) -> DomainIndex | None:
    """The overlay, or the base where there is no overlay; None where the content has no bundle. Raises BadContent, OSError, Busy."""
    base = _unpacked(directory, content, BASE, unpacked)
    overlay = _unpacked(directory, content, OVERLAY, unpacked, base)
    if overlay is not None and (base is None or overlay.base is None or overlay.base.identity != base.identity):
        raise BadContent(f"{OVERLAY}: lies over another base than {BASE}")
    return overlay or base


def _unpacked(
    directory: Path, content: Content, path: str, unpacked: dict[str, str], base: DomainIndex | None = None
) -> DomainIndex | None:
    kept = content.files.get(path)
    if kept is None:
        return None
    known = _opened(directory / unpacked.get(kept.sha256, "none"), base)
    if known is not None:
        return known

    def build(fresh: Path) -> str:
        unpack(verified(directory, kept), fresh)
        return read_manifest(fresh).identity

    try:
        folder = place(directory, build)
        unpacked[kept.sha256] = folder.name
        return DomainIndex.open(folder, base)
    except BadBundle as error:
        raise BadContent(f"{path}: {error}") from None


def _opened(folder: Path, base: DomainIndex | None = None) -> DomainIndex | None:
    try:
        return DomainIndex.open(folder, base)
    except BadBundle:
        return None


def _own_base(directory: Path) -> DomainIndex:
    """What lies under a province's entries where it publishes no base: the box's own lists, or those that come with the program."""
    own = current(directory / OWN)
    known = _opened(directory / own.name) if own is not None else None
    if known is not None:
        return known

    def build(fresh: Path) -> str:
        if own is None or _opened(own) is None:
            return compile_lists(fresh, starter_inputs()).identity
        copytree(own, fresh, copy_function=os.link, dirs_exist_ok=True)
        return own.name

    try:
        return DomainIndex.open(place(directory, build))
    except (BadBundle, CompileRefused) as error:
        raise BadContent(str(error)) from None

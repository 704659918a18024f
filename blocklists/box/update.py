"""A school's side of the lists: look whether the publisher has something new, check it, put it in force. [shell: disk, network]

``poll`` is the whole sequence, readable top to bottom. Promises: nothing is in force that the keys of its channel did not sign (blocklists/box/repository.py)
and that its channel may not say (blocklists/box/contents.py). A channel that is wrong keeps what it last said well, and the others go on. Whatever goes
wrong, and wherever a power cut falls, one whole bundle is in force, and the next poll goes on from there. Nothing expires because a clock is wrong.

Refuses to undo a rollback (blocklists/box/rolling_back.py) until the publisher has something else.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

from blocklists.box.asking import Findings, Place, ask, doubt_clock, turn
from blocklists.box.contents import BadContent, Composed, is_composed, own_bundle, put_in_force, recorded
from blocklists.box.kept_targets import prune, verified
from blocklists.box.release_record import (
    Content,
    Record,
    Status,
    Trouble,
    read_record,
    read_status,
    since,
    tell_history,
    write_record,
    write_status,
)
from blocklists.box.rolling_back import CHANGING, LOCK_WAIT, ROLLED_BACK
from blocklists.box.update_status import save, status_after
from blocklists.channels import BASE, CHANNELS, CONTACTS
from blocklists.durable import alone, replace_file
from blocklists.install import current
from filters.bundle import BadBundle
from filters.domain_index import DomainIndex

log = logging.getLogger("manglanh.update")

POLLING = ".polling.lock"
"""held as long as a poll takes, slow downloads included"""
PROVINCE = "province.yaml"


@dataclass(frozen=True, slots=True)
class Outcome:
    status: Status
    changed: bool = False
    """whether another bundle is in force than before"""


def poll(place: Place, now: float, *, clock_trusted: bool = True) -> Outcome:
    """Ask once. ``now`` in Unix seconds; ``clock_trusted``: whether that is known to be the time.

    Everything that can go wrong on the way is in the outcome's troubles. Raises Busy where another process does the same.
    """
    with alone(place.directory / POLLING):
        before = read_status(place.directory)
        known = read_record(place.directory)
        found = Findings(in_force=known.channels, unpacked=dict(known.unpacked))
        for mirror in place.mirrors.to_ask(place.monotonic(), turn(place, before, now)):
            ask(place, mirror, before, found, now)
            if found.unchanged or (found.versions and not found.troubles):
                break
        with alone(place.directory / CHANGING, LOCK_WAIT):
            record = read_record(place.directory)
            doubt_clock(found, record, now, trusted=clock_trusted)
            trusted = not any(trouble.kind == "clock" for trouble in found.troubles)
            wanted = _adopt(record, found)
            in_force, composed = _put_in_force(place.directory, record, wanted, found, now, trusted=trusted)
            _serve_contacts(place.directory, in_force, found)
            status = status_after(place, before, found, in_force, composed, now)
            save(place, before, status, now)
        return Outcome(status, changed=in_force.bundle != record.bundle)


def note_compiled(directory: Path, now: float, trouble: str, *, publisher: bool) -> Status:
    """Say how compiling the public sources on this box went; ``trouble`` empty: well. Raises Busy, OSError."""
    with alone(directory / CHANGING, LOCK_WAIT):
        before = read_status(directory)
        troubles = [kept for kept in before.troubles if publisher and kept.kind != "compile"]
        if trouble:
            troubles.append(Trouble(kind="compile", what=trouble))
        changed: dict[str, object] = {
            "compiled_at": now,
            "troubles": since(now, troubles, before.troubles),
            "publisher": publisher,
            "written_at": now,
        }
        if not publisher:
            folder = current(directory)
            changed |= {"checked_at": now, "bundle": folder.name if folder else "", "success_at": before.success_at if trouble else now}
            changed["rollback"] = before.rollback if trouble else None
        status = before.model_copy(update=changed)
        write_status(directory, status)
        return status


# ---- putting in force ----


def _adopt(record: Record, found: Findings) -> Record:
    """The record with what was found, but for what somebody here went back from. Pure."""
    channels = dict(record.channels)
    away_from = dict(record.rollback.away_from) if record.rollback else {}
    for name, content in found.contents.items():
        if name in away_from and content.files == away_from[name]:
            continue
        away_from.pop(name, None)
        channels[name] = content
    rollback = record.rollback.model_copy(update={"away_from": away_from}) if record.rollback and away_from else None
    before = record.before
    changed = any(record.files(name) != channels.get(name, Content()).files for name in ROLLED_BACK)
    if record.channels and changed:
        before = {name: record.channels[name] for name in ROLLED_BACK if name in record.channels}
    return record.model_copy(update={"channels": channels, "before": before, "rollback": rollback, "unpacked": found.unpacked})


def _put_in_force(
    directory: Path, record: Record, wanted: Record, found: Findings, now: float, *, trusted: bool
) -> tuple[Record, Composed | None]:
    """Compose and swap where something says another thing than the bundle in force. -> what is in force now, and what was composed for it."""
    moment = now if trusted else 0.0
    same = record.found and all(record.files(name) == wanted.files(name) for name in CHANNELS)
    try:
        if same and _holds(directory, record, moment) and (found.versions is None or _is_whole(directory)):
            if wanted != record:
                write_record(directory, wanted)
            _tidy(directory, wanted, found)
            return wanted, None
        if not any(content.files for content in wanted.channels.values()) or _would_forget(directory, record, found):
            return record, None
        composed = put_in_force(directory, wanted.channels, moment, wanted.unpacked, found.parsed)
        after = recorded(wanted, composed)
        if after.bundle != record.bundle:
            log.info("bundle %s is in force", after.bundle[:12])
            tell_history(directory, now, "installed", after, {})  # before the record: a power cut between the two tells it twice, not never
        write_record(directory, after)
        _tidy(directory, after, found)
    except (BadContent, OSError) as error:
        found.note(error)
        log.error("the bundle in force stays: %s", error)
        return record, None
    return after, composed


def _tidy(directory: Path, record: Record, found: Findings) -> None:
    """Also where nothing is new: after a power cut there may be something left. What a poll with troubles brought may be needed yet."""
    if found.versions and all(trouble.kind == "clock" for trouble in found.troubles):
        prune(directory, record.kept())


def _would_forget(directory: Path, record: Record, found: Findings) -> bool:
    """Without a record (a damaged disk), a channel that cannot be had now would say nothing: what is in force says more."""
    missing = sorted(CHANNELS.keys() - found.contents.keys())
    if record.found or not missing or not is_composed(directory):
        return False
    found.troubles.append(Trouble(kind="content", what=f"what these said before is not known, so nothing changes: {', '.join(missing)}"))
    return True


def _holds(directory: Path, record: Record, moment: float) -> bool:
    """Whether the bundle in force is the recorded one and says what the entries say at ``moment``."""
    folder = current(directory)
    timely = not moment or (record.valid_from <= moment and not 0 < record.valid_until <= moment)
    under = BASE in record.files("categories") or record.own == own_bundle(directory)
    return folder is not None and folder.name == record.bundle and under and timely


def _is_whole(directory: Path) -> bool:
    """Whether the disk has damaged nothing of the bundle in force. Files that were checked once are not unpacked again to find out."""
    folder = current(directory)
    try:
        DomainIndex.open(folder).close() if folder else None
    except BadBundle:
        return False
    return True


def _serve_contacts(directory: Path, record: Record, found: Findings) -> None:
    """The province's contacts as a file, where they are not there yet in these words."""
    kept = record.files("province").get(CONTACTS)
    path = directory / PROVINCE
    try:
        data = verified(directory, kept).read_bytes() if kept else None
        if data is None:
            path.unlink(missing_ok=True)
        elif not path.is_file() or path.read_bytes() != data:
            replace_file(path, data)
    except OSError as error:
        found.note(error)

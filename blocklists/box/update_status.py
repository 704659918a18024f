"""What a box says of its lists: ``update.json``, from what a poll found. What is to be written is worked out here, purely; the record writes it.

Promises: a trouble is said from when it began until it is known to be over; the file is written when it says something new, and
otherwise every ten minutes at most, since an SD card wears out.
"""

import logging
from collections.abc import Mapping

from blocklists.box.asking import Findings, Place
from blocklists.box.contents import Composed
from blocklists.box.download import Traffic
from blocklists.box.release_record import ChannelStatus, Record, Status, Trouble, since, write_status
from blocklists.box.repository import known_timestamp

log = logging.getLogger("manglanh.update")

WRITE_STATUS = 600.0
"""seconds after which a status is written that only says that nothing is new"""
SETTLED = frozenset({"expired", "content", "clock", "compile"})
"""troubles that asking again does not mend before the publisher changes something (or the hour is over); what was refused may be the doing of
somebody in between, who is gone the next time"""


def status_after(place: Place, before: Status, found: Findings, record: Record, composed: Composed | None, now: float) -> Status:
    answered = found.unchanged or found.versions is not None
    troubles = [*found.troubles, *_alarms(place, found), *_lasting(before, found)]
    well = answered and all(trouble.kind == "clock" for trouble in troubles)
    entries = composed.entries if composed else {name: channel.entries for name, channel in before.channels.items()}
    settled = (answered or (not found.asked and bool(before.settled_on))) and all(trouble.kind in SETTLED for trouble in troubles)
    traffic = place.downloader.traffic
    return before.model_copy(
        update={
            "publisher": True,
            "checked_at": now if found.asked else before.checked_at,
            "success_at": now if well else before.success_at,
            "release": found.versions or before.release,
            "expires_at": _first_expiry(found, record) if found.versions else before.expires_at,
            "channels": channels_of(record, entries),
            "bundle": record.bundle,
            "rollback": record.rollback,
            "troubles": since(now, troubles, before.troubles),
            "received": before.received + traffic.received,
            "sent": before.sent + traffic.sent,
            "requests": before.requests + traffic.requests,
            "refreshed_at": now if found.versions else before.refreshed_at,
            "settled_on": known_timestamp(place.directory) if settled else "",
            "seen": before.seen | place.seen,
        }
    )


def _alarms(place: Place, found: Findings) -> list[Trouble]:
    known = {(trouble.kind, trouble.channel) for trouble in found.troubles}
    return [alarm for alarm in place.mirrors.alarms() if (alarm.kind, alarm.channel) not in known]


def _lasting(before: Status, found: Findings) -> list[Trouble]:
    """What was wrong before and was not looked at again."""
    if not found.asked:
        return [trouble for trouble in before.troubles if trouble.kind != "clock"]
    return [trouble for trouble in before.troubles if trouble.kind == "compile" or (found.unchanged and trouble.channel)]


def _first_expiry(found: Findings, record: Record) -> float:
    return min([found.expires_at, *(content.expires for content in record.channels.values() if content.expires)])


def channels_of(record: Record, entries: Mapping[str, int]) -> dict[str, ChannelStatus]:
    return {
        name: ChannelStatus(version=content.version, expires=content.expires, entries=entries.get(name, 0))
        for name, content in record.channels.items()
    }


def save(place: Place, before: Status, status: Status, now: float) -> None:
    """Write the status where it says something new, or was not written for a while. One that cannot be written harms nothing else."""
    quiet = {"checked_at": 0.0, "success_at": 0.0, "received": 0, "sent": 0, "requests": 0, "seen": {}, "written_at": 0.0}
    news = before.model_copy(update=quiet) != status.model_copy(update=quiet)
    if not news and before.written_at <= now < before.written_at + WRITE_STATUS:
        return
    try:
        write_status(place.directory, status.model_copy(update={"written_at": now}))
        place.downloader.traffic = Traffic()
    except OSError as error:
        log.error("the status cannot be written: %s", error)

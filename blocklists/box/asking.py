"""Asking a publisher, mirror by mirror: is something new, what does each channel say, and is it all to be trusted? [shell: network, disk]

Nothing is put in force here. What goes wrong is kept as a trouble: of one channel where it is that channel's alone, of all where a mirror's metadata
cannot be trusted or had. A mirror that fails is left alone for a while (blocklists/box/mirrors.py), and the next one may have what it kept back.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from tuf.api.exceptions import DownloadError, DownloadLengthMismatchError, ExpiredMetadataError, RepositoryError, SlowRetrievalError

from blocklists.box.contents import BadContent, Parsed, check
from blocklists.box.download import Downloader, MetadataFetcher, TryLater, Validators
from blocklists.box.kept_targets import Progress, bring, verified
from blocklists.box.mirrors import Mirror, Mirrors
from blocklists.box.release_record import Content, Kind, Record, Seen, Status, Trouble, Versions
from blocklists.box.repository import CONFIG, TIMESTAMP, Repository, known_timestamp
from blocklists.channels import CHANNELS, CONTACTS, Channel

log = logging.getLogger("manglanh.update")

LOOK_AT_ALL = 3600.0
"""seconds after which everything is asked for, although the timestamp stands still: a new root, the next mirror"""
SLACK = 2 * 86400.0
"""seconds by which a date that people write may be ahead of the clock"""
ALARMS = frozenset({"refused", "slow"})
"""what no honest mirror does by itself: said even if another mirror has everything"""


@dataclass(slots=True)
class Place:
    """A box's directory of lists, and its way to the publisher."""

    directory: Path
    root: bytes
    """the metadata that trust starts from"""
    mirrors: Mirrors
    downloader: Downloader
    monotonic: Callable[[], float]
    accept_contacts: Callable[[bytes], None] = lambda _: None
    """raises ValueError for a province's contacts that cannot be read"""
    progress: Progress = lambda _path, _there, _all: None
    seen: dict[str, Seen] = field(default_factory=dict)
    """by its address: a mirror's timestamp as this process last saw and believed it"""


@dataclass(slots=True)
class Findings:
    """What one poll found out, mirror by mirror."""

    troubles: list[Trouble] = field(default_factory=list)
    contents: dict[str, Content] = field(default_factory=dict)
    """what is new or confirmed, per channel"""
    in_force: Mapping[str, Content] = field(default_factory=dict)
    """per channel; what has the same files was checked before"""
    unpacked: dict[str, str] = field(default_factory=dict)
    parsed: Parsed = field(default_factory=dict)
    versions: Versions | None = None
    """None: no mirror's metadata was good"""
    expires_at: float = 0.0
    unchanged: bool = False
    """a mirror says that nothing is new, and all of it is here"""
    asked: bool = False

    def note(self, error: Exception, channel: str = "") -> None:
        self.troubles.append(Trouble(kind=_kind(error), what=str(error) or type(error).__name__, channel=channel))


def turn(place: Place, before: Status, now: float) -> int:
    """With which mirror to begin."""
    return int(now // LOOK_AT_ALL) if _look_at_all(place, before, now) else 0


def _look_at_all(place: Place, before: Status, now: float) -> bool:
    """Whether the timestamp alone cannot say that all is here: not all was, an hour is over, something expires."""
    settled = before.settled_on and before.settled_on == known_timestamp(place.directory)
    return not (settled and before.refreshed_at <= now < before.refreshed_at + LOOK_AT_ALL and now < before.expires_at)


def ask(place: Place, mirror: Mirror, before: Status, found: Findings, now: float) -> None:
    """One mirror: is the timestamp another one? If so, all metadata, and each channel's files."""
    found.asked = True
    found.troubles.clear()  # those of an earlier mirror: what it kept from us, this one may have
    try:
        fetcher = MetadataFetcher(place.downloader)
        url = f"{mirror.url}/metadata/{TIMESTAMP}"
        news = _news(place, url, before, fetcher)
        if news is None and not _look_at_all(place, before, now):
            found.unchanged = True
            place.mirrors.answered(mirror)
            return
        repository = Repository(place.directory, mirror.url, place.root, fetcher, now)
        repository.refresh()
        if news is not None:
            place.seen[url] = news  # now, and not before: of a timestamp that was refused nothing is remembered
        for channel in CHANNELS.values():
            _ask_channel(place, mirror, repository, channel, found)
        repository.keep()
        found.versions = repository.versions()
        found.expires_at = min(repository.role(name)[1] for name in ("root", "timestamp", "snapshot", "targets"))
    except OSError as error:
        found.note(error)
        log.error("%s", error)
        return
    except (DownloadError, RepositoryError) as error:
        found.note(error)
        log.warning("%s: %s", mirror.url, error)
        _failed(place, mirror, found, error.seconds if isinstance(error, TryLater) else 0.0)
        return
    if any(trouble.kind in ALARMS | {"network"} for trouble in found.troubles):
        _failed(place, mirror, found)
    else:
        place.mirrors.answered(mirror)


def _failed(place: Place, mirror: Mirror, found: Findings, asked: float = 0.0) -> None:
    place.mirrors.failed(mirror, place.monotonic(), asked)
    mirror.alarms = tuple(trouble for trouble in found.troubles if trouble.kind in ALARMS)


def _news(place: Place, url: str, before: Status, fetcher: MetadataFetcher) -> Seen | None:
    """The mirror's timestamp, ready for the refresh, where it is not the one that is here; None: it is, for a few hundred bytes. Raises DownloadError.

    Only of the very timestamp that is here it is asked whether that has changed (RFC 9110 section 13): of an older one "no" would say nothing.
    """
    here = known_timestamp(place.directory)
    known = place.seen.get(url) or before.seen.get(url) or Seen()
    answer = place.downloader.changed(
        url, Validators(known.etag, known.modified) if here == known.sha256 else Validators(), CONFIG.timestamp_max_length
    )
    if answer is None:
        return None
    data, (etag, modified) = answer
    found = Seen(etag=etag, modified=modified, sha256=sha256(data).hexdigest())
    if found.sha256 == here:
        place.seen[url] = found
        return None
    fetcher.ready[url] = data
    return found


def _ask_channel(place: Place, mirror: Mirror, repository: Repository, channel: Channel, found: Findings) -> None:
    """The channel's files, kept and checked; what is wrong with them is this channel's trouble alone. Raises OSError."""
    try:
        urls = place.mirrors.others(mirror)
        files = {
            path: bring(place.directory, target, urls, place.downloader, place.progress)
            for path, target in repository.targets(channel).items()
        }
        version, expires = repository.role(channel.id)
        content = Content(version=version, expires=expires, files=files)
        if channel.id not in found.in_force or files != found.in_force[channel.id].files:
            check(place.directory, channel, content, found.unpacked, found.parsed)
        if CONTACTS in files:
            place.accept_contacts(verified(place.directory, files[CONTACTS]).read_bytes())
    except (DownloadError, RepositoryError, BadContent, ValueError) as error:
        found.note(error, channel.id)
        log.error("%s: %s: %s", mirror.url, channel.id, error)
    else:
        found.contents[channel.id] = content


def _kind(error: Exception) -> Kind:
    match error:
        case SlowRetrievalError():
            return "slow"
        case DownloadLengthMismatchError():
            return "refused"  # more than was signed, or than metadata may have: no link makes bytes by itself
        case DownloadError():
            return "network"
        case ExpiredMetadataError():
            return "expired"
        case RepositoryError():
            return "refused"
        case OSError():
            return "disk"
        case _:
            return "content"


def doubt_clock(found: Findings, record: Record, now: float, *, trusted: bool) -> None:
    """Whatever seems to have expired by a clock that may be wrong may not have."""
    if is_behind(record, now):
        why = "the clock is behind the date of lists that are here"
    elif trusted:
        return
    else:
        why = "the clock is not known to be right"
    found.troubles = [
        trouble.model_copy(update={"kind": "clock", "what": f"{why}; {trouble.what}"}) if trouble.kind == "expired" else trouble
        for trouble in found.troubles
    ]
    if not any(trouble.kind == "clock" for trouble in found.troubles):
        found.troubles.append(Trouble(kind="clock", what=why))


def is_behind(record: Record, now: float) -> bool:
    """Whether it must be later than ``now``, since lists that are here were signed later."""
    return now + SLACK < record.newest_date

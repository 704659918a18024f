"""What is in force on a box: which files of which channel, what they followed, and how fresh it is. [shell: disk]

``tuf/release.json`` (``Record``) is what an update and a rollback work from; it is written only when what is in force changes.
``update.json`` (``Status``) is for people and metrics; losing it loses nothing. Both are written whole or not at all.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from blocklists.durable import append_line, replace_file

RECORD = "tuf/release.json"
STATUS = "update.json"
HISTORY = "history.jsonl"
TROUBLES = ("network", "slow", "refused", "expired", "content", "clock", "disk", "compile")
"""nobody answers; too slowly; not signed as it must be, or older than what is known; expired; signed, but not to be used; the box's clock;
the box's disk; a box without a publisher cannot compile"""
Kind = Literal["network", "slow", "refused", "expired", "content", "clock", "disk", "compile"]
MOST = 4 * 1024 * 1024
"""bytes of either file"""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Kept(_Frozen):
    """One target file, which lies in ``tuf/targets`` under its hash."""

    sha256: str
    length: int


class Content(_Frozen):
    """What a channel says: the files of one version of its role. None: it says nothing."""

    version: int = 0
    expires: float = 0.0
    """Unix seconds; when the role's signatures lapse"""
    files: dict[str, Kept] = {}


class Rollback(_Frozen):
    """Somebody here went back, and from what: it holds for a channel until the publisher has other files there."""

    by: str
    reason: str
    at: float
    away_from: dict[str, dict[str, Kept]]


class Record(_Frozen):
    found: bool = True
    """False: there is no record, so what was in force before is not known"""
    bundle: str = ""
    channels: dict[str, Content] = {}
    before: dict[str, Content] = {}
    """what a rollback goes back to"""
    rollback: Rollback | None = None
    unpacked: dict[str, str] = {}
    """hash of a kept archive -> identity of the bundle in it"""
    own: str = ""
    """the bundle that this box compiled itself, which lies under it where nobody publishes a base"""
    valid_from: float = 0.0
    valid_until: float = 0.0
    """between these moments (Unix seconds) no entry expires, so the bundle says what the entries say; 0: for ever"""
    newest_date: float = 0.0
    """the latest date that something signed carries: it cannot be earlier than this now"""

    def files(self, channel: str) -> Mapping[str, Kept]:
        return self.channels.get(channel, Content()).files

    def kept(self) -> Iterator[Kept]:
        """Every file that is in force, that a rollback needs, or that it went back from and is looked at again and again."""
        away_from = self.rollback.away_from.values() if self.rollback else ()
        for files in (*(content.files for content in (*self.channels.values(), *self.before.values())), *away_from):
            yield from files.values()


class Trouble(_Frozen):
    kind: Kind
    what: str
    channel: str = ""
    since: float = 0.0


class ChannelStatus(_Frozen):
    version: int = 0
    expires: float = 0.0
    entries: int = 0


class Seen(_Frozen):
    """A mirror's timestamp, and what the mirror knows it by (RFC 9110 section 8.8)."""

    etag: str = ""
    modified: str = ""
    sha256: str = ""


class Versions(_Frozen):
    root: int = 0
    timestamp: int = 0
    snapshot: int = 0


class Status(_Frozen):
    """Times are Unix seconds, 0: never."""

    publisher: bool = False
    checked_at: float = 0.0
    success_at: float = 0.0
    """when the publisher last answered and all of what it publishes was in force"""
    compiled_at: float = 0.0
    """when this box last tried to compile the public sources itself"""
    release: Versions = Versions()
    expires_at: float = 0.0
    """when the first of all signatures lapses"""
    channels: dict[str, ChannelStatus] = {}
    bundle: str = ""
    rollback: Rollback | None = None
    troubles: tuple[Trouble, ...] = ()
    received: int = 0
    sent: int = 0
    requests: int = 0
    """totals since the directory was made (blocklists/box/download.py says what is counted)"""
    refreshed_at: float = 0.0
    """when all metadata was last looked at, not the timestamp alone"""
    settled_on: str = ""
    """the hash of the timestamp of which all is here that can be had; empty: something is still to come"""
    seen: dict[str, Seen] = {}
    """by its address"""
    written_at: float = 0.0

    def trouble(self, kind: Kind) -> Trouble | None:
        return next((trouble for trouble in self.troubles if trouble.kind == kind), None)

    @property
    def well(self) -> bool:
        """Whether nothing went wrong. A clock that is not known to be right is said, but by itself keeps nothing from being updated."""
        return all(trouble.kind == "clock" for trouble in self.troubles)


_T = TypeVar("_T", Record, Status)


def read_record(directory: Path) -> Record:
    return _read(directory / RECORD, Record(found=False))


def read_status(directory: Path) -> Status:
    return _read(directory / STATUS, Status())


def write_record(directory: Path, record: Record) -> None:
    """Raises OSError."""
    replace_file(directory / RECORD, record.model_dump_json(indent=1).encode())


def write_status(directory: Path, status: Status) -> None:
    """Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    replace_file(directory / STATUS, status.model_dump_json(indent=1).encode())


def tell_history(directory: Path, now: float, event: str, record: Record, more: Mapping[str, str]) -> None:
    """A line for whoever asks later what was in force since when, and who went back and why. Raises OSError."""
    versions = {name: content.version for name, content in record.channels.items()}
    line = {"at": now, "event": event, "bundle": record.bundle, "channels": versions, **more}
    append_line(directory / HISTORY, json.dumps(line, ensure_ascii=False))


def since(now: float, troubles: Iterable[Trouble], before: Iterable[Trouble]) -> tuple[Trouble, ...]:
    """The troubles, each once, and each since when it is there."""
    known = {(trouble.kind, trouble.channel): trouble.since for trouble in before}
    found: dict[tuple[str, str], Trouble] = {}
    for trouble in troubles:
        key = trouble.kind, trouble.channel
        found.setdefault(key, trouble.model_copy(update={"since": known.get(key, now)}))
    return tuple(found.values())


def _read(path: Path, otherwise: _T) -> _T:
    """A file that is none (an unknown version, a damaged disk) counts as absent."""
    try:
        with path.open("rb") as file:
            return type(otherwise).model_validate_json(file.read(MOST))
    except (OSError, ValidationError):
        return otherwise

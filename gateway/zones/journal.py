"""A served zone's versions on the disk: the serial that only grows, and the differences between the last versions.  [shell]

``versions.json`` names the versions, the oldest first; ``SERIAL.changes`` is what made the one before it that version, a line
``+owner target`` or ``-owner target`` for each record. Both are replaced by renaming, the differences first, so that a crash
leaves the version before. A journal that cannot be read is an empty one: whoever follows the zone fetches it whole.
"""

import json
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

from gateway.zones.records import Change, Record
from gateway.zones.wire import SERIALS, next_serial

log = logging.getLogger("manglanh.zone")

KEPT = 30
"""versions; an urgent one every few minutes for an afternoon"""
MOST_CHANGES = 200_000
"""records that one difference may have; above that, transferring the whole zone is no dearer, and this much is written to an SD card"""
_INDEX = "versions.json"


@dataclass(frozen=True, slots=True)
class Version:
    serial: int
    bundle: str
    """the identity of the lists"""
    policy: str
    """gateway/zones/records.py, ``fingerprint``"""


@dataclass(frozen=True, slots=True)
class Step:
    """From one version to the next. Read when it is sent: a file that is gone by then is an OSError there."""

    before: int
    after: int
    path: Path

    def records(self, *, added: bool) -> Iterator[Record]:
        sign = "+" if added else "-"
        with self.path.open(encoding="ascii") as lines:
            for line in lines:
                if line[0] == sign:
                    owner, _, target = line[1:-1].partition(" ")
                    yield Record(owner, target)


class Journal:
    """One zone's. Only one process writes it; ``since`` may be asked from any thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._versions = _read(directory)

    @property
    def current(self) -> Version | None:
        return self._versions[-1] if self._versions else None

    def since(self, serial: int) -> tuple[Step, ...] | None:
        """What leads from ``serial`` to the current version; None: that is not known any more."""
        versions = self._versions
        for at, version in enumerate(versions):
            if version.serial == serial:
                pairs = zip(versions[at:], versions[at + 1 :], strict=False)
                return tuple(Step(one.serial, two.serial, self._path(two.serial)) for one, two in pairs)
        return None

    def advance(self, bundle: str, policy: str, changes: Iterable[Change] | None, now: float) -> int:
        """Note the version made of these lists and this policy; its serial. Without a change in any record it is the old serial.

        ``changes`` lead here from the current version; None: they are not known. ``now`` is Unix seconds. What cannot be written
        is not kept: the new version serves all the same.
        """
        last = self.current
        serial = next_serial(last.serial if last else None, now)
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            written = None if changes is None or last is None else self._write_changes(serial, changes)
            if written == 0 and last is not None:
                self._save((*self._versions[:-1], Version(last.serial, bundle, policy)))
                return last.serial
            version = Version(serial, bundle, policy)
            self._save((*self._versions, version)[-KEPT:] if written else (version,))
        except OSError as error:
            log.error("the zone's journal cannot be written, its followers will fetch it whole: %s", error)
            self._versions = (Version(serial, bundle, policy),)
        return serial

    def _write_changes(self, serial: int, changes: Iterable[Change]) -> int | None:
        """How many there are; None: too many."""
        path, aside, count = self._path(serial), self._directory / ".new-changes", 0
        with aside.open("w", encoding="ascii") as file:
            for added, record in islice(changes, MOST_CHANGES + 1):
                file.write(f"{'+' if added else '-'}{record.owner} {record.target}\n")
                count += 1
            _sync(file)
        if 0 < count <= MOST_CHANGES:
            aside.replace(path)
            return count
        aside.unlink()
        return 0 if count == 0 else None

    def _save(self, versions: tuple[Version, ...]) -> None:
        aside = self._directory / f".new-{_INDEX}"
        with aside.open("w", encoding="ascii") as file:
            json.dump({"versions": [asdict(version) for version in versions]}, file, indent=1)
            _sync(file)
        aside.replace(self._directory / _INDEX)
        self._versions = versions
        needed = {self._path(version.serial).name for version in versions[1:]}
        for path in self._directory.glob("*.changes"):
            if path.name not in needed:
                path.unlink(missing_ok=True)

    def _path(self, serial: int) -> Path:
        return self._directory / f"{serial}.changes"


def _sync(file: TextIO) -> None:
    """Onto the disk, so that the rename that follows cannot outlive what is in the file."""
    file.flush()
    os.fsync(file.fileno())


def _read(directory: Path) -> tuple[Version, ...]:
    try:
        versions = tuple(Version(**fields) for fields in json.loads((directory / _INDEX).read_bytes())["versions"])
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError, KeyError) as error:
        log.error("the zone's journal cannot be read, its followers will fetch it whole: %s", error)
        return ()
    if not all(isinstance(version.serial, int) and 0 <= version.serial < SERIALS for version in versions):
        return ()
    return versions

"""Keeping a box's lists up to date as its school file says: what `update` does once and `control` does for ever. [shell: clock, disk, network]

The school's file, the province's and the root are read again whenever they change; a bad one keeps the old. A box whose province publishes no base, or
that has no publisher at all, compiles the public sources by itself at night.
"""

import logging
import random
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from blocklists.box.asking import Place
from blocklists.box.contents import OWN
from blocklists.box.download import Downloader
from blocklists.box.kept_targets import Progress
from blocklists.box.mirrors import Mirrors
from blocklists.box.night import last_planned, own_moment
from blocklists.box.release_record import Content, Status, read_record, read_status
from blocklists.box.update import Outcome, note_compiled, poll
from blocklists.channels import BASE
from blocklists.install import CURRENT, Busy, current
from gateway.cli.compilation import Compilation
from gateway.clock import Clock, newest
from policies.load import ConfigError, load
from policies.model import SchoolFile
from policies.province import load_province, parse_contacts, province_path
from policies.school_time import parse_clock

log = logging.getLogger("manglanh.update")

TRY_AGAIN = 900.0
"""seconds after which a box that has no lists at all tries once more to compile them"""
TRY_AGAIN_WITH_LISTS = 3600.0
MACHINE = Path("/etc/machine-id")


@dataclass(frozen=True, slots=True)
class Setting:
    """What the files say."""

    file: SchoolFile
    urls: tuple[str, ...]
    """of the publisher's mirrors; none: there is no publisher"""
    root: bytes
    read: tuple[tuple[Path, int], ...]
    """the files that were read, and when each was last changed (nanoseconds)"""


def read_setting(config: Path) -> Setting:
    """Raises ConfigError, OSError (the root or the certificates cannot be read)."""
    file = load(config)
    read = [config]
    urls: tuple[str, ...] = ()
    root = b""
    if file.school.province is not None:
        path = province_path(config, file.school.province)
        read.append(path)
        publisher = load_province(path).publisher
        if publisher is not None:
            urls, root = publisher.urls, publisher.root.read_bytes()
            read.append(publisher.root)
    return Setting(file, urls, root, tuple((path, path.stat().st_mtime_ns) for path in read))


class Follower:
    """``source``: take the lists from there instead of the province's mirrors, with the same trust. ``progress`` hears downloads."""

    def __init__(self, config: Path, source: str = "", progress: Progress = lambda _path, _there, _all: None) -> None:
        """Raises ConfigError, OSError."""
        self._config = config
        self._source = source
        self._progress = progress
        self._clock = Clock()
        self._compilation: Compilation | None = None
        self._place: Place | None = None
        self._take(read_setting(config))

    @property
    def setting(self) -> Setting:
        return self._setting

    def _take(self, setting: Setting) -> None:
        lists = setting.file.lists
        place = None
        if setting.urls:
            urls = (self._source,) if self._source else setting.urls
            place = Place(
                lists.directory,
                setting.root,
                Mirrors(urls, random.random),
                Downloader(lists.ca, lists.proxy),
                time.monotonic,
                accept_contacts=_accept_contacts,
                progress=self._progress,
            )
        self.close()
        self._setting, self._place = setting, place
        self._clock.set_floor(newest([*(path for path, _ in setting.read), lists.directory / CURRENT]))

    def close(self) -> None:
        if self._place is not None:
            self._place.downloader.close()
            self._place = None

    def run(self, stop: Event, every: float | None = None) -> None:
        """Follow until ``stop`` is set, asking every so many seconds (None: as the school's file says)."""
        try:
            while not stop.is_set():
                self.follow_files()
                try:
                    self.once()
                except (Busy, OSError) as error:
                    log.warning("later: %s", error)
                pause = every or self._setting.file.lists.poll
                stop.wait(pause * random.uniform(0.9, 1.1))  # noqa: S311 - so that schools do not ask in step; no secret
        finally:
            if self._compilation is not None:
                self._compilation.stop()
            self.close()

    def follow_files(self) -> None:
        """Take up a changed file; a bad one keeps the old."""
        if all(_changed_at(path) == changed for path, changed in self._setting.read):
            return
        try:
            self._take(read_setting(self._config))
        except (ConfigError, OSError) as error:
            log.error("a file that says where lists come from is refused, the old one stays:\n%s", error)

    def once(self) -> Outcome:
        """Ask the publisher, where there is one; begin or end compiling where that is due. Raises Busy, OSError."""
        outcome = self.poll_once() if self._place is not None else None
        self._clock.check()
        status = self._compile(self._clock.now())
        return outcome or Outcome(status or read_status(self._setting.file.lists.directory))

    def poll_once(self) -> Outcome:
        """Ask the publisher, which there must be. Raises Busy, OSError."""
        assert self._place is not None
        self._clock.check()
        return poll(self._place, self._clock.now(), clock_trusted=self._clock.trusted)

    def compile_now(self) -> Outcome:
        """Compile and wait for the end. Raises Busy, OSError."""
        directory = self._setting.file.lists.directory
        before = current(directory)
        why = self._begin().result()
        return Outcome(note_compiled(directory, self._clock.now(), why, publisher=False), changed=current(directory) != before)

    def _compile(self, now: float) -> Status | None:
        directory, has_publisher = self._setting.file.lists.directory, bool(self._setting.urls)
        if self._compilation is None:
            if self._is_due(now):
                log.info("the public lists are compiled")
                self._compilation = self._begin()
        elif self._compilation.ended():
            why = self._compilation.result()
            self._compilation = None
            if why:
                log.error("the public lists could not be compiled: %s", why)
            return note_compiled(directory, now, why, publisher=has_publisher)
        return None

    def _begin(self) -> Compilation:
        lists = self._setting.file.lists
        return Compilation(lists.directory / OWN if self._setting.urls else lists.directory, lists.sources)

    def _is_due(self, now: float) -> bool:
        lists = self._setting.file.lists
        directory = lists.directory
        if self._setting.urls:
            record = read_record(directory)
            if not record.found or BASE in record.channels.get("categories", Content()).files:
                return False
            directory /= OWN
        status = read_status(lists.directory)
        folder = current(directory)
        tried = max(status.compiled_at, folder.stat().st_mtime if folder else 0.0)
        failed = status.trouble("compile") is not None or folder is None
        if failed and now - tried >= (TRY_AGAIN_WITH_LISTS if folder else TRY_AGAIN):
            return True
        return tried < last_planned(now, parse_clock(lists.compile_at), self._setting.file.school.timezone, own_moment(_machine()))


def _accept_contacts(data: bytes) -> None:
    try:
        parse_contacts(data)
    except ConfigError as error:
        raise ValueError(str(error)) from None


def _changed_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _machine() -> bytes:
    """What tells this box from the others (machine-id(5))."""
    try:
        return MACHINE.read_bytes()
    except OSError:
        return str(Path.cwd()).encode()

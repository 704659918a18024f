"""A school's box as an attacker meets it: the real update code over real HTTP, and what the installed bundle says afterwards."""

from pathlib import Path

from blocklists.box.asking import Place
from blocklists.box.download import Downloader, Limits
from blocklists.box.mirrors import Mirrors
from blocklists.box.release_record import Status, read_status
from blocklists.box.update import poll
from filters.category import CATEGORIES
from filters.domain_index import DomainIndex
from policies.load import ConfigError
from policies.province import parse_contacts

HOUR = 3600.0
PATIENT = Limits()
TEST_NAMES = frozenset(category.test_name for category in CATEGORIES.values())


class Ticks:
    """A clock that does not jump by itself: ``now`` is moved by the test, and by ``step`` with each look."""

    def __init__(self, step: float = 0.0) -> None:
        self.now = 0.0
        self.step = step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


class School:
    """``urls``: of the province's mirrors, the first first. ``step``: seconds that seem to pass between two pieces of a download."""

    def __init__(self, folder: Path, root: bytes, *urls: str, limits: Limits = PATIENT, step: float = 0.0) -> None:
        self._ticks = Ticks()
        downloader = Downloader(limits=limits, monotonic=Ticks(step))
        self.place = Place(folder, root, Mirrors(urls, lambda: 0.0), downloader, self._ticks, accept_contacts=_accept)

    def poll(self, now: float, *, trusted: bool = True) -> Status:
        """Ask once, after every pause that a mirror was left alone for; what update.json says then."""
        self._ticks.now += 24 * HOUR
        poll(self.place, now, clock_trusted=trusted)
        return self.status

    def close(self) -> None:
        self.place.downloader.close()

    @property
    def status(self) -> Status:
        return read_status(self.place.directory)

    @property
    def troubles(self) -> set[tuple[str, str]]:
        """Kind and channel of what update.json complains of."""
        return {(trouble.kind, trouble.channel) for trouble in self.status.troubles}

    def serves(self, *probes: str) -> dict[str, str]:
        """Every listed name (and of ``probes`` those that some list covers) -> the category that a lookup in ``current`` gives.

        Empty: there is no bundle. The categories' own test names are left out.
        """
        current = self.place.directory / "current"
        if not current.exists():
            return {}
        index = DomainIndex.open(current)
        try:
            return said_by(index, *probes)
        finally:
            index.close()


def said_by(index: DomainIndex, *probes: str) -> dict[str, str]:
    """Every listed name, and of ``probes`` those that some list covers -> the category that a lookup gives."""
    names = {name for name, labels in index.entries() if labels} | set(probes)
    found = {name: index.lookup(name) for name in names - TEST_NAMES}
    return {name: matches[0].source.category for name, matches in found.items() if matches}


def _accept(data: bytes) -> None:
    try:
        parse_contacts(data)
    except ConfigError as error:
        raise ValueError(str(error)) from None

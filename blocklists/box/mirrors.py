"""The places where one repository can be had: which to ask next, and which to leave alone for a while. Pure.

A mirror that fails is left alone for longer and longer, at least as long as it asked for, and never for ever. Times are seconds of a clock that
does not jump; ``chance`` gives numbers from 0 to 1, so that a province's schools do not all come back at the same moment.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from blocklists.box.release_record import Trouble

FIRST_PAUSE = 15.0
LONGEST_PAUSE = 900.0
LONGEST_ASKED = 86400.0
"""seconds of Retry-After that are believed: a mirror may not withhold for ever"""


@dataclass(slots=True)
class Mirror:
    url: str
    """without a slash at the end"""
    failures: int = 0
    not_before: float = 0.0
    alarms: tuple[Trouble, ...] = ()
    """what it did that no honest mirror does, until it answers well"""


class Mirrors:
    def __init__(self, urls: Sequence[str], chance: Callable[[], float]) -> None:
        self._mirrors = [Mirror(url.rstrip("/")) for url in urls]
        self._chance = chance

    def to_ask(self, now: float, turn: int = 0) -> list[Mirror]:
        """Those that may be asked now, in the province's order; ``turn`` begins with another one than the first.

        Turns are for the hourly look: a mirror that stands still is found out by the next one long before its metadata expires.
        """
        first = turn % len(self._mirrors) if self._mirrors else 0
        return [mirror for mirror in self._mirrors[first:] + self._mirrors[:first] if mirror.not_before <= now]

    def others(self, mirror: Mirror) -> list[str]:
        """The addresses of all, that of ``mirror`` first."""
        return [mirror.url, *(other.url for other in self._mirrors if other is not mirror)]

    def answered(self, mirror: Mirror) -> None:
        mirror.failures, mirror.not_before, mirror.alarms = 0, 0.0, ()

    def failed(self, mirror: Mirror, now: float, asked: float = 0.0) -> None:
        """``asked``: seconds for which it wants to be left alone."""
        pause = min(FIRST_PAUSE * 2.0 ** min(mirror.failures, 16), LONGEST_PAUSE)
        mirror.failures += 1
        mirror.not_before = now + max(pause, min(asked, LONGEST_ASKED)) * (1.0 + 0.2 * self._chance())

    def alarms(self) -> list[Trouble]:
        return [alarm for mirror in self._mirrors for alarm in mirror.alarms]

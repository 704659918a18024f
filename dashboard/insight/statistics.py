"""The workers' minutes, folded into hours for the store and into the last minutes for a lesson, and what of it may be shown. Pure.

A file holds one minute of one worker (gateway/statistics.py writes it): refusals by group and name with a bitmap of the devices that
asked, everything else by kind only. Here a name becomes its registered domain, and a bitmap a number of devices.

Promises:

- ``devices`` is never more than the number of devices that asked. Bitmaps are put together by OR, those of one salt only; of several salts the
  largest number counts. So the devices of two rows, hours or groups must not be added up: of several the largest is the lower bound.
- Counts add up. ``due`` is what the store has not got yet, so nothing is counted twice or lost when this process ends in mid-hour: its files
  are still there and are folded again (dashboard/insight/statistics_folder.py). Bitmaps of what was stored before are lost then, and the
  hour's number of devices begins anew: the store keeps the larger one.
- Order does not matter, nor how minutes are spread over files, as long as the bounds below are not reached. Beyond them names become "".
- ``visible`` shows no row of fewer devices than the threshold, and nothing from which one could be worked out.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from ipaddress import ip_address
from typing import Any, NamedTuple, Protocol, TypeVar

from publicsuffixlist import PublicSuffixList

VERSION = 1
MAX_NAME = 253
MINUTE = 60
HOUR = 3600
DAY = 86400
LESSONS = 4 * HOUR
"""seconds for which minutes are kept apart"""
HOUR_DOMAINS = 200
"""domains that a group's hour keeps apart"""
MINUTE_DOMAINS = 200
"""domains that a group's minute keeps apart"""
MINUTE_CELLS = 40_000
"""cells of all minutes; the oldest minutes go first"""
STRANGERS = 2000
VISIBLE_FROM = 5
"""devices: what fewer did is shown to nobody"""

Marks = Mapping[str, int]
"""salt -> bitmap of devices"""
NO_MARKS: Marks = {}


class Blocked(NamedTuple):
    group: str
    category: str
    rung: str
    name: str
    count: int  # type: ignore[assignment]  # a field, where a tuple has a method that nobody needs
    bits: int


class Answered(NamedTuple):
    group: str
    category: str
    rung: str
    verdict: str
    count: int  # type: ignore[assignment]  # a field, where a tuple has a method that nobody needs


class Minute(NamedTuple):
    """What one worker counted in one minute."""

    at: int
    """Unix seconds at which it began"""
    salt: str
    blocked: tuple[Blocked, ...]
    answers: tuple[Answered, ...]
    strangers: tuple[str, ...]
    """addresses of clients that no group names"""


def parse(data: bytes) -> Minute:
    """A worker's file. Raises ValueError, which says what is wrong with it."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("not JSON, or cut off") from None
    if not isinstance(content, dict):
        raise ValueError("not an object")  # noqa: TRY004 - whatever is wrong with a file is one kind of error
    if content.get("version") != VERSION:
        raise ValueError(f"of version {content.get('version')!r}, not {VERSION}")
    minute = _number(content.get("minute"), "minute", 1 << 40)
    return Minute(
        minute * MINUTE,
        _word(content.get("salt"), "salt"),
        tuple(_blocked(row) for row in _list(content, "blocked")),
        tuple(_answered(row) for row in _list(content, "answers")),
        tuple(_address(text) for text in _list(content, "strangers")),
    )


def _list(content: Mapping[str, Any], key: str) -> list[Any]:
    value = content.get(key)
    if not isinstance(value, list):
        raise ValueError(f"{key}: not a list")  # noqa: TRY004
    return value


def _blocked(row: Any) -> Blocked:
    if not isinstance(row, list) or len(row) != 6:
        raise ValueError("blocked: a row that has not six fields")
    *words, name, count, bits = row
    group, category, rung = (_word(word, "blocked") for word in words)
    if not isinstance(name, str) or len(name) > 4 * MAX_NAME:  # an escaped octet takes four characters
        raise ValueError("blocked: not a name")
    return Blocked(group, category, rung, name, _number(count, "blocked", 1 << 53, least=1), _number(bits, "blocked", (1 << 64) - 1))


def _answered(row: Any) -> Answered:
    if not isinstance(row, list) or len(row) != 5:
        raise ValueError("answers: a row that has not five fields")
    group, category, rung, verdict = (_word(word, "answers") for word in row[:4])
    if verdict not in {"allow", "rewrite"}:
        raise ValueError(f"answers: not a verdict: {verdict!r}")
    return Answered(group, category, rung, verdict, _number(row[4], "answers", 1 << 53, least=1))


def _word(value: Any, where: str) -> str:
    if not isinstance(value, str) or len(value) > 63 or not value.isprintable():
        raise ValueError(f"{where}: not a short text")
    return value


def _number(value: Any, where: str, most: int, least: int = 0) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{where}: not a number from {least} to {most}")
    return value


def _address(text: Any) -> str:
    if not isinstance(text, str):
        raise ValueError("strangers: not an address")  # noqa: TRY004
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError("strangers: not an address") from None


class Suffixes(Protocol):
    """What is needed of publicsuffixlist.PublicSuffixList."""

    def privatesuffix(self, domain: str, accept_unknown: bool | None = None) -> str | None: ...
    def publicsuffix(self, domain: str, accept_unknown: bool | None = None) -> str | None: ...


_PLAIN = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_FOR_DOCUMENTS = frozenset({"example", "test", "invalid"})
"""top-level names that no device has (RFC 2606); below them the demonstration's and the tests' sites are"""


def registered_domain(name: str, suffixes: Suffixes) -> str:
    """``www.casino.com.vn`` -> ``casino.com.vn``; a public suffix itself stays as it is.

    What is below no public suffix is a name of the local network, such as a phone's with its owner's name: only its last label is kept,
    and of a single label, or of what is no host name, nothing.
    """
    if len(name) > MAX_NAME or not _PLAIN.fullmatch(name):
        return ""
    registered = suffixes.privatesuffix(name, accept_unknown=False)
    if registered is not None:
        return registered
    if suffixes.publicsuffix(name, accept_unknown=False) is not None:
        return name
    above, _, last = name.rpartition(".")
    if last in _FOR_DOCUMENTS and above:
        return f"{above.rpartition('.')[2]}.{last}"
    return last if above else ""


class Cell(NamedTuple):
    """One hour of one group. A store adds ``count`` to what it has, and keeps the larger ``devices``."""

    hour: int
    """Unix seconds at which it began"""
    group: str
    category: str
    rung: str
    verdict: str
    domain: str
    """the registered domain of a name that was blocked; empty otherwise, and for blocked names beyond the bounds"""
    count: int  # type: ignore[assignment]  # a field, where a tuple has a method that nobody needs
    """queries that the store has not got yet"""
    devices: int
    """at least so many asked in this hour; 0 where the verdict is not ``block``"""


class Row(NamedTuple):
    """What a group was refused. ``marks`` stay in this process; a row from the store, or one to be shown, has none."""

    domain: str
    category: str
    count: int  # type: ignore[assignment]  # a field, where a tuple has a method that nobody needs
    devices: int
    marks: Marks = NO_MARKS


class Visible(NamedTuple):
    rows: tuple[Row, ...]
    """the most frequent first"""
    rest: Row | None
    """the others together, without their names; None: they may not be shown even so"""


def visible(rows: Iterable[Row], threshold: int = VISIBLE_FROM) -> Visible:
    """What may be shown: rows of at least ``threshold`` devices; the others only together, and only where they together have as many.

    One hidden row is never "the others", since it has too few devices; and of several, whose bitmaps prove that together enough devices asked,
    neither a name nor a single count can be told. Rows from the store have no bitmaps, so their rest is never shown: what is
    known of its devices is at most what the largest hidden row has. For the same reason whoever shows a total adds up what is visible: a total of
    everything would give the hidden count away by subtraction.
    """
    shown: list[Row] = []
    hidden: list[Row] = []
    for row in rows:
        (shown if row.devices >= threshold else hidden).append(row)
    shown.sort(key=lambda row: (-row.count, row.domain, row.category))
    marks: dict[str, int] = {}
    for row in hidden:
        _join(marks, row.marks)
    together = devices(marks)
    rest = Row("", "", sum(row.count for row in hidden), together) if together >= threshold else None
    return Visible(tuple(row._replace(marks=NO_MARKS) for row in shown), rest)


def devices(marks: Marks) -> int:
    """A lower bound of how many devices asked: one device has one bit under one salt, but may have another one under another."""
    return max((bits.bit_count() for bits in marks.values()), default=0)


def _join(marks: dict[str, int], others: Marks) -> None:
    for salt, bits in others.items():
        marks[salt] = marks.get(salt, 0) | bits


@dataclass(slots=True)
class _Kept:
    """A cell that grows. ``due``: the part of ``count`` that is not in the store."""

    count: int = 0
    due: int = 0
    marks: dict[str, int] = field(default_factory=dict)

    def add(self, count: int, marks: Marks) -> None:
        self.count += count
        self.due += count
        _join(self.marks, marks)


class _Key(NamedTuple):
    category: str
    rung: str
    verdict: str
    domain: str


_Hour = dict[str, dict[_Key, _Kept]]
"""by group"""
_Minute = dict[str, dict[tuple[str, str], _Kept]]
"""by group, domain and category"""
_K = TypeVar("_K")


@cache
def public_suffixes() -> PublicSuffixList:
    """The list that the package carries: read once, for everybody in this process. It takes 2 MB and up to 0.1 s."""
    return PublicSuffixList()


class Fold:
    """What the workers told in the last hours. Not for several threads."""

    def __init__(self, suffixes: Callable[[], Suffixes] = public_suffixes) -> None:
        """``suffixes`` is called once, when the first name is met or by ``prepare``: the public suffix list takes 2 MB and up to 0.1 s."""
        self._suffixes = lru_cache(1)(suffixes)
        self._domain = lru_cache(4096)(lambda name: registered_domain(name, self._suffixes()))
        self._hours: dict[int, _Hour] = {}
        self._minutes: dict[int, _Minute] = {}
        self._minute_cells = 0
        self._strangers: dict[str, float] = {}

    def prepare(self) -> None:
        """Read the public suffix list, in a thread perhaps."""
        self._suffixes()

    def add(self, minute: Minute, now: float) -> None:
        """Count one file. A minute that the worker's clock put into the future counts as the present one."""
        at = min(minute.at, int(now) // MINUTE * MINUTE)
        hour = self._hours.setdefault(at - at % HOUR, {})
        recent = self._minutes.setdefault(at, {})
        for row in minute.blocked:
            marks = {minute.salt: row.bits} if row.bits else NO_MARKS
            domain = self._domain(row.name)
            key = _Key(row.category, row.rung, "block", domain)
            _cell(hour.setdefault(row.group, {}), key, key._replace(domain=""), HOUR_DOMAINS).add(row.count, marks)
            cells = recent.setdefault(row.group, {})
            before = len(cells)
            _cell(cells, (domain, row.category), ("", row.category), MINUTE_DOMAINS).add(row.count, marks)
            self._minute_cells += len(cells) - before
        for answer in minute.answers:
            key = _Key(answer.category, answer.rung, answer.verdict, "")
            hour.setdefault(answer.group, {}).setdefault(key, _Kept()).add(answer.count, NO_MARKS)
        for address in minute.strangers:
            self._strangers[address] = max(self._strangers.get(address, 0.0), float(at))
        self._forget(now)

    def due(self) -> list[Cell]:
        """The hours' cells that have something which the store has not got. Say ``stored`` when it has."""
        return [
            Cell(hour, group, key.category, key.rung, key.verdict, key.domain, kept.due, devices(kept.marks))
            for hour, groups in sorted(self._hours.items())
            for group, cells in groups.items()
            for key, kept in cells.items()
            if kept.due
        ]

    def stored(self, cells: Iterable[Cell]) -> None:
        """The store has these, as ``due`` gave them; what was counted since is still due."""
        for cell in cells:
            kept = self._hours[cell.hour][cell.group][_Key(cell.category, cell.rung, cell.verdict, cell.domain)]
            kept.due -= cell.count

    def blocked_since(self, group: str, since: float) -> list[Row]:
        """What a group was refused in the minutes that began at ``since`` (Unix seconds) or later, of the last four hours.

        For the eyes of a program: pass it through ``visible``.
        """
        joined: dict[tuple[str, str], _Kept] = {}
        for at, groups in self._minutes.items():
            if at >= since:
                for key, kept in groups.get(group, {}).items():
                    joined.setdefault(key, _Kept()).add(kept.count, kept.marks)
        return [Row(*key, kept.count, devices(kept.marks), kept.marks) for key, kept in joined.items()]

    def strangers(self, now: float) -> dict[str, float]:
        """Addresses that asked within the last day and that no group named then -> the minute (Unix seconds) of their last query."""
        return {address: seen for address, seen in self._strangers.items() if seen > now - DAY}

    def _forget(self, now: float) -> None:
        for at in [at for at in self._minutes if at < now - LESSONS]:
            self._forget_minute(at)
        while self._minute_cells > MINUTE_CELLS and len(self._minutes) > 1:
            self._forget_minute(min(self._minutes))
        for hour in [hour for hour in self._hours if hour + HOUR < now - LESSONS]:
            if not any(kept.due for cells in self._hours[hour].values() for kept in cells.values()):
                del self._hours[hour]
        if len(self._strangers) > STRANGERS or any(seen <= now - DAY for seen in self._strangers.values()):
            latest = sorted(self.strangers(now).items(), key=lambda each: (-each[1], each[0]))
            self._strangers = dict(latest[:STRANGERS])

    def _forget_minute(self, at: int) -> None:
        self._minute_cells -= sum(map(len, self._minutes.pop(at).values()))


def _cell(cells: dict[_K, _Kept], key: _K, nameless: _K, most: int) -> _Kept:
    kept = cells.get(key)
    if kept is None:
        kept = cells.setdefault(key if len(cells) < most else nameless, _Kept())
    return kept

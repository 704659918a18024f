"""Which mode the timetable puts a group in at ``now``, and until exactly when. Pure; knows nothing of overrides.

Promises: what ``at(now)`` says holds in all of ``[now, until)`` and changes at ``until``, also across a change of summer time,
because every range is turned into instants first and only instants are compared. A boundary that the wall clock shows twice is its first
showing; one that it skips is taken as if the clock had not yet been put forward (PEP 495, ``fold=0``). A range that
crosses midnight belongs to the day on which it starts: its weekday and whether that day is a holiday decide.

Where two rules hold, the one that stands first in the file wins.
"""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from math import inf
from typing import NamedTuple
from zoneinfo import ZoneInfo

from policies.model import Timetable, TimetableRule
from policies.school_time import DAY, TimeRange, parse_dates, parse_range

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EPOCH = date(1970, 1, 1)
_FIRST_DAY, _LAST_DAY = 400, (date(9990, 1, 1) - _EPOCH).days
"""Days since 1970 on which a timetable is looked at; a clock outside of them is broken, and no timetable holds."""
_HORIZON = 400
"""Days: how far a next change is looked for, so that a whole summer's holiday is seen through."""
_PATIENCE = 64
"""Starts and ends of ranges that may pass without a change; a class that is offline all year is asked again after them."""


class Moment(NamedTuple):
    """What holds from ``now`` until ``until`` (Unix seconds; infinity: for ever)."""

    mode: str | None
    """None: no rule holds"""
    sites: tuple[str, ...]
    until: float
    changes: bool = True
    """whether it changes at ``until``; False: nobody looked further, or there is no end"""


class _Span(NamedTuple):
    start: float
    end: float
    rule: int


@dataclass(frozen=True, slots=True)
class _DatedRange:
    range: TimeRange
    rule: int
    holidays: bool


class Calendar:
    """The school's days: its time zone and its holidays."""

    def __init__(self, zone: str, holidays: tuple[str, ...] = ()) -> None:
        self.zone = ZoneInfo(zone)
        spans = sorted((first.toordinal(), last.toordinal()) for first, last in map(parse_dates, holidays))
        self._starts = [first for first, _ in spans]
        self._ends: list[int] = []
        for _, last in spans:
            self._ends.append(max(last, self._ends[-1]) if self._ends else last)

    def is_holiday(self, day: date) -> bool:
        at = bisect_right(self._starts, day.toordinal())
        return at > 0 and day.toordinal() <= self._ends[at - 1]

    def instant(self, day: date, seconds: int) -> float:
        """Unix seconds at which the wall clock has shown ``seconds`` since midnight of ``day`` for the first time."""
        whole_days, rest = divmod(seconds, DAY)
        wall = datetime(day.year, day.month, day.day) + timedelta(days=whole_days, seconds=rest)  # noqa: DTZ001 - the zone follows
        return wall.replace(tzinfo=self.zone).timestamp()

    def local(self, now: float) -> datetime:
        return datetime.fromtimestamp(now, self.zone)


class GroupTimetable:
    """The rules that concern one group, compiled; groups with the same rules may share one."""

    def __init__(self, rules: tuple[TimetableRule, ...], lessons: dict[str, str], calendar: Calendar) -> None:
        self._rules = rules
        self._calendar = calendar
        self._by_weekday: tuple[tuple[_DatedRange, ...], ...] = _compile(rules, lessons)
        self._empty = not any(self._by_weekday)
        self._spans = lru_cache(maxsize=16)(self._day_spans)
        self._last: tuple[float, Moment] = (inf, Moment(None, (), inf, changes=False))

    def at(self, now: float) -> Moment:
        since, moment = self._last
        if not since <= now < moment.until:
            moment = self._moment(now)
            self._last = (now, moment)
        return moment

    def _moment(self, now: float) -> Moment:
        if self._empty:
            return Moment(None, (), inf, changes=False)
        if not _FIRST_DAY * DAY <= now < (_LAST_DAY - _HORIZON) * DAY:
            return Moment(None, (), _FIRST_DAY * DAY if now < _FIRST_DAY * DAY else inf, changes=False)
        mode, sites = self._active(now)
        today = int(now // DAY)
        patience = _PATIENCE
        for day in range(today, today + _HORIZON):
            for boundary in self._boundaries(day):
                if boundary <= now:
                    continue
                if self._active(boundary) != (mode, sites):
                    return Moment(mode, sites, boundary)
                patience -= 1
                if not patience:
                    return Moment(mode, sites, boundary, changes=False)
        return Moment(mode, sites, float((today + _HORIZON) * DAY), changes=False)

    def _active(self, now: float) -> tuple[str | None, tuple[str, ...]]:
        holding = [span.rule for day in _days_around(int(now // DAY)) for span in self._spans(day) if span.start <= now < span.end]
        if not holding:
            return None, ()
        rule = self._rules[min(holding)]
        return rule.mode, rule.sites

    def _boundaries(self, utc_day: int) -> list[float]:
        """Every start and end of a span within one UTC day, in order."""
        spans = (span for day in _days_around(utc_day) for span in self._spans(day))
        return sorted({edge for span in spans for edge in (span.start, span.end) if edge // DAY == utc_day})

    def _day_spans(self, day: int) -> tuple[_Span, ...]:
        """The spans that belong to a local day, as instants."""
        local = _EPOCH + timedelta(days=day)
        ranges = self._by_weekday[local.weekday()]
        if not ranges:
            return ()
        holiday = self._calendar.is_holiday(local)
        instant = self._calendar.instant
        return tuple(
            _Span(instant(local, dated.range.start), instant(local, dated.range.end), dated.rule)
            for dated in ranges
            if dated.holidays or not holiday
        )


def _days_around(utc_day: int) -> range:
    """The local days whose spans can touch a UTC day.

    A span lies within 48 hours of its day's midnight by the wall clock, and no wall clock is a day away from UTC.
    """
    return range(utc_day - 2, utc_day + 2)


def _compile(rules: tuple[TimetableRule, ...], lessons: dict[str, str]) -> tuple[tuple[_DatedRange, ...], ...]:
    by_weekday: list[list[_DatedRange]] = [[] for _ in _WEEKDAYS]
    for index, rule in enumerate(rules):
        ranges = [parse_range(text) for text in (*(lessons[name] for name in rule.lessons), *rule.at)]
        for day in rule.days:
            by_weekday[_WEEKDAYS.index(day)].extend(_DatedRange(each, index, rule.holidays) for each in ranges)
    return tuple(tuple(ranges) for ranges in by_weekday)


class Timetables:
    """The whole school's timetable: one compiled GroupTimetable for all groups that the same rules concern."""

    def __init__(self, timetable: Timetable, zone: str) -> None:
        self._timetable = timetable
        self.calendar = Calendar(zone, timetable.holidays)
        self._everybody = tuple(index for index, rule in enumerate(timetable.rules) if not rule.groups)
        self._named: dict[str, list[int]] = {}
        for index, rule in enumerate(timetable.rules):
            for group in dict.fromkeys(rule.groups):
                self._named.setdefault(group, []).append(index)
        self._compiled: dict[tuple[int, ...], GroupTimetable] = {}

    def of(self, group: str) -> GroupTimetable:
        named = self._named.get(group)
        concerned = tuple(sorted((*self._everybody, *named))) if named else self._everybody
        compiled = self._compiled.get(concerned)
        if compiled is None:
            rules = tuple(self._timetable.rules[index] for index in concerned)
            compiled = self._compiled[concerned] = GroupTimetable(rules, self._timetable.lessons, self.calendar)
        return compiled

    def lesson_end(self, now: float, group: str | None = None) -> float | None:
        """When the lesson ends in which ``now`` is, by the wall clock on any day; None: no lesson is on.

        A school with 35 and 45 minute lessons names both: those that rules name for ``group`` count where there are any,
        else all of them, and of several that are on, the one that ends last.
        """
        ranges = [parse_range(self._timetable.lessons[name]) for name in self._lessons_of(group)]
        today = self.calendar.local(now).date()
        ends = []
        for day in (today - timedelta(days=1), today):
            for each in ranges:
                start, end = self.calendar.instant(day, each.start), self.calendar.instant(day, each.end)
                if start <= now < end:
                    ends.append(end)
        return max(ends, default=None)

    def _lessons_of(self, group: str | None) -> tuple[str, ...]:
        named = self._named.get(group, ()) if group is not None else ()
        lessons = dict.fromkeys(lesson for index in named for lesson in self._timetable.rules[index].lessons)
        return tuple(lessons) or tuple(self._timetable.lessons)

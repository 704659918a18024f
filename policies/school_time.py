"""Times of day and dates as the school's file writes them: ``07:00-07:45``, ``2027-02-15..2027-02-21``.

Seconds count from local midnight by the wall clock. A range that ends at or before its start ends on the next day.
"""

import re
from dataclasses import dataclass
from datetime import date

from filters.message import Message

DAY = 86400
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})\Z", re.ASCII)
_RANGE = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class TimeRange:
    start: int
    """seconds from midnight of the day to which the range belongs: 0 <= start < 86400"""
    end: int
    """exclusive; above 86400 where the range crosses midnight"""


def parse_range(text: str) -> TimeRange:
    """``22:00-05:30`` crosses midnight; ``00:00-24:00`` is a whole day. Raises ValueError."""
    match = _RANGE.match(text.strip())
    if match is None:
        raise ValueError(Message("{text!r} is not a range of times such as 07:00-07:45", text=text))
    start_hour, start_minute, end_hour, end_minute = map(int, match.groups())
    if start_hour > 23 or start_minute > 59 or end_hour > 24 or end_minute > 59 or (end_hour == 24 and end_minute):
        raise ValueError(Message("{text!r} has a time that no clock shows", text=text))
    start, end = start_hour * 3600 + start_minute * 60, end_hour * 3600 + end_minute * 60
    if start == end:
        raise ValueError(Message("{text!r} starts and ends at the same time; a whole day is 00:00-24:00", text=text))
    return TimeRange(start, end if end > start else end + DAY)


def parse_clock(text: str) -> int:
    """``02:30`` -> seconds from midnight. Raises ValueError."""
    match = _CLOCK.match(text.strip())
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        raise ValueError(Message("{text!r} is not a time of day such as 02:30", text=text))
    return int(match[1]) * 3600 + int(match[2]) * 60


def parse_dates(text: str) -> tuple[date, date]:
    """``2027-02-15`` or ``2027-02-15..2027-02-21`` -> first and last day, both included. Raises ValueError."""
    first, separator, last = text.partition("..")
    start = _date(first)
    end = _date(last) if separator else start
    if end < start:
        raise ValueError(Message("{text!r} ends before it starts", text=text))
    return start, end


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(Message("{text!r} is not a date such as 2027-02-15", text=text.strip())) from None

"""Lengths of time and times of day as a person types them, and how they are shown again."""

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

LONGEST = 24 * 3600
"""seconds; an exception that lasts longer than a day belongs into the school's file"""

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:\d+[dhms])+\Z", re.ASCII)
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\Z", re.ASCII)


def parse_duration(text: str) -> int:
    """``45m``, ``1h30m``, ``90s`` -> seconds. Raises ValueError for anything else, and for nothing or more than a day."""
    compact = text.replace(" ", "").lower()
    if not _DURATION.match(compact):
        raise ValueError(text)
    seconds = sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([dhms])", compact))
    if not 0 < seconds <= LONGEST:
        raise ValueError(text)
    return seconds


def next_time(text: str, now: float, timezone: str) -> float:
    """``11:15`` -> the next moment at which a clock in ``timezone`` shows it, as Unix seconds. Raises ValueError."""
    match = _CLOCK.match(text.strip())
    if match is None:
        raise ValueError(text)
    local = datetime.fromtimestamp(now, ZoneInfo(timezone))
    today = local.replace(hour=int(match[1]), minute=int(match[2]), second=0, microsecond=0)
    moment = today if today.timestamp() > now else today + timedelta(days=1)
    return moment.timestamp()


def parse_moment(text: str, now: float, timezone: str) -> float:
    """For ``--at``: ``10:30`` (today), ``2027-01-31 10:30`` or ISO 8601, in the school's time zone. Raises ValueError."""
    match = _CLOCK.match(text.strip())
    zone = ZoneInfo(timezone)
    if match:
        local = datetime.fromtimestamp(now, zone)
        return local.replace(hour=int(match[1]), minute=int(match[2]), second=0, microsecond=0).timestamp()
    moment = datetime.fromisoformat(text.strip())
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()


def show_time(moment: float, timezone: str) -> str:
    """``2027-01-31 10:30``, by the school's clock."""
    return datetime.fromtimestamp(moment, ZoneInfo(timezone)).strftime("%Y-%m-%d %H:%M")

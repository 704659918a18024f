"""When a box without a publisher compiles its lists: once a night, each at a moment of its own. Pure."""

from datetime import date, datetime, time, timedelta
from hashlib import sha256
from zoneinfo import ZoneInfo

SPREAD = 7200.0
"""seconds over which a province's schools are spread, so that they do not all ask at once"""


def own_moment(identity: bytes) -> float:
    """Seconds after the common moment for the box of this identity: always the same for one box."""
    return int.from_bytes(sha256(identity).digest()[:4]) / 2**32 * SPREAD


def last_planned(now: float, time_of_day: int, timezone: str, later: float) -> float:
    """The latest planned moment that is not after ``now`` (Unix seconds). ``time_of_day``: seconds from midnight; ``later``: ``own_moment``.

    What was last done before it is due, however long the box was off.
    """
    zone = ZoneInfo(timezone)
    day = datetime.fromtimestamp(now, zone).date()
    clock = time(time_of_day // 3600, time_of_day // 60 % 60, time_of_day % 60)
    moments = (_moment(day - timedelta(days=back), clock, zone) + later for back in range(3))
    return next(moment for moment in moments if moment <= now)


def _moment(day: date, clock: time, zone: ZoneInfo) -> float:
    return datetime.combine(day, clock, zone).timestamp()

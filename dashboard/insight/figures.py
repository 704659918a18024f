"""Figures that people may see: refusals by category and by site, of a class or of the whole school. Pure, but for reading the store.

The threshold (dashboard/insight/statistics.py) holds for everybody, the principal too: who is allowed to see more of a school is not thereby allowed to see one child.
What is allowed is shown as one number for the school and never by category for a class: that somebody asked for help is nobody's business.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from dashboard.insight.statistics import VISIBLE_FROM, Row, visible
from dashboard.store import statistics

DAYS = (1, 7, 30, 365)
"""spans that pages offer"""
SITES = 30


@dataclass(frozen=True, slots=True)
class Figures:
    since: float
    until: float
    by_category: tuple[Row, ...]
    """``domain`` is empty"""
    sites: tuple[Row, ...]
    by_day: tuple[tuple[float, int], ...]
    """the day's beginning (Unix seconds) and how many visible refusals it had; empty for less than a week"""
    allowed: int
    """of the whole school; 0 for a class"""

    @property
    def blocked(self) -> int:
        """What is visible: a total of everything would tell what is hidden by subtraction."""
        return sum(row.count for row in self.by_category)


async def figures(connection: AsyncConnection, group: str | None, days: int, now: float, zone: str) -> Figures:
    """The last ``days`` days, today included. ``group`` None: the whole school."""
    since = _midnight(now, zone, days - 1)
    until = now + 1
    kinds = await statistics.by_category(connection, group, since, until)
    joined: dict[str, Row] = {}
    for kind in kinds:
        if kind.verdict == "block":
            row = joined.get(kind.category, Row("", kind.category, 0, 0))
            joined[kind.category] = row._replace(count=row.count + kind.count, devices=max(row.devices, kind.devices))
    domains = await statistics.top_domains(connection, group, since, until, 4 * SITES)
    rows = [Row(each.domain, each.category, each.count, each.devices) for each in domains]
    by_day = await _by_day(connection, group, since, until, zone) if days >= DAYS[1] else ()
    allowed = sum(kind.count for kind in kinds if kind.verdict != "block") if group is None else 0
    return Figures(since, until, visible(joined.values()).rows, visible(rows).rows[:SITES], by_day, allowed)


async def _by_day(connection: AsyncConnection, group: str | None, since: float, until: float, zone: str) -> tuple[tuple[float, int], ...]:
    days: dict[float, int] = {}
    for hour in await statistics.hours(connection, group, since, until):
        if hour.verdict == "block" and hour.devices >= VISIBLE_FROM:
            day = _midnight(hour.hour, zone, 0)
            days[day] = days.get(day, 0) + hour.count
    return tuple(sorted(days.items()))


def _midnight(at: float, zone: str, days_before: int) -> float:
    local = datetime.fromtimestamp(at, ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    return (local - timedelta(days=days_before)).timestamp()

"""What was asked for and blocked, counted by group: folded in hour by hour, put together to days, read for pages.

Promises: every file of a worker is counted once, however often it is offered; a year of a hundred classes is read in a few milliseconds, because everything
is counted for the school as well (group ``SCHOOL``) and whole days are put together when they are over; the names of an hour, of a day and of a group
are bounded, and what is beyond is counted without its name. ``devices`` is a lower bound of how many different devices asked, wherever cells are put
together: the most that any of them had (dashboard/insight/statistics.py). Hours and days are the Unix seconds at which they begin; spans go from ``since`` until
before ``until``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, and_, delete, func, insert, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from dashboard.insight.statistics import HOUR, Cell, Row
from dashboard.store.engine import upsert
from dashboard.store.tables import folded_files, statistics, statistics_days

HOURS_KEPT = 14 * 24 * HOUR
"""hours are seen one by one for two weeks; after that a day is fine enough, and 26 million rows a year are not for an SD card"""
NAMES_OF_RUNNING_HOUR = 200
"""of one group: names beyond are counted without their name, so that one device cannot fill the disk"""
NAMES_OF_HOUR = 20
"""of one group, once the hour is over"""
NAMES_OF_DAY = 20
"""of one group, and of the school"""
DAY = 24 * HOUR
BATCH = 500
"""names to a question"""
SCHOOL = ""
"""the group name under which the whole school is counted"""


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of ``by_category``."""

    category: str
    rung: str
    verdict: str
    count: int
    devices: int


@dataclass(frozen=True, slots=True)
class Hour:
    """One row of ``hours``."""

    hour: int
    verdict: str
    count: int
    devices: int


async def folded(connection: AsyncConnection, files: Iterable[str]) -> set[str]:
    """Which of these files are in the statistics already."""
    names = list(files)
    found: set[str] = set()
    for part in _parts(names):
        found.update((await connection.execute(select(folded_files.c.name).where(folded_files.c.name.in_(part)))).scalars())
    return found


async def fold_in(connection: AsyncConnection, cells: Sequence[Cell], files: Iterable[str], now: float) -> None:
    """Add counts; of devices the larger bound stays. ``files``: where they come from. Raises IntegrityError if one of those was folded in before."""
    rows = [{"name": name, "at": now} for name in files]
    if rows:
        await connection.execute(insert(folded_files), rows)
    known = await _running_names(connection, cells)
    added: dict[tuple[Any, ...], tuple[int, int]] = {}
    for cell in cells:
        for group in (cell.group, SCHOOL):
            domain = cell.domain
            if domain:
                names = known.setdefault((cell.hour, group), set())
                if domain in names or len(names) < NAMES_OF_RUNNING_HOUR:
                    names.add(domain)
                else:
                    domain = ""
            key = cell.hour, group, cell.category, cell.rung, cell.verdict, domain
            count, devices = added.get(key, (0, 0))
            added[key] = count + cell.count, max(devices, cell.devices)
    columns = [column.name for column in statistics.columns]
    values = [dict(zip(columns, (*key, *figures), strict=True)) for key, figures in added.items()]
    if values:
        await connection.execute(_adding(connection, statistics), values)
    await _add_late(connection, values)


async def _add_late(connection: AsyncConnection, values: list[dict[str, Any]]) -> None:
    """What comes when its day was put together already (a box that was off over midnight) is added there as well."""
    border = await _border(connection)
    late = []
    for value in values:
        hour = value["hour"]
        if hour < border:
            day = border - -(-(border - hour) // DAY) * DAY
            late.append({name: figure for name, figure in value.items() if name != "hour"} | {"day": day})
    if late:
        await connection.execute(_adding(connection, statistics_days), late)


async def _running_names(connection: AsyncConnection, cells: Sequence[Cell]) -> dict[tuple[int, str], set[str]]:
    """The names that stand in the store already for the hours and groups of ``cells``."""
    known: dict[tuple[int, str], set[str]] = {}
    hours = sorted({cell.hour for cell in cells if cell.domain})
    if hours:
        query = select(statistics.c.hour, statistics.c.group_name, statistics.c.domain).where(
            statistics.c.hour.between(hours[0], hours[-1]), statistics.c.domain != ""
        )
        for hour, group, domain in await connection.execute(query):
            known.setdefault((hour, group), set()).add(domain)
    return known


def _adding(connection: AsyncConnection, table: Table) -> Any:
    """INSERT that adds to what is there."""
    statement = upsert(connection, table)
    more = statement.excluded
    larger = func.max if connection.dialect.name == "sqlite" else func.greatest
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={"count": table.c.count + more.count, "devices": larger(table.c.devices, more.devices)},
    )


async def by_category(connection: AsyncConnection, group: str | None, since: float, until: float) -> list[Kind]:
    """What came, by category, rung and verdict, the most frequent first. ``group`` None: the whole school."""
    cells = (await _cells(connection, group, since, until)).subquery()
    count = func.sum(cells.c.count).label("count")
    query = select(cells.c.category, cells.c.rung, cells.c.verdict, count, func.max(cells.c.devices)).group_by(
        cells.c.category, cells.c.rung, cells.c.verdict
    )
    rows = await connection.execute(query.order_by(count.desc(), cells.c.category, cells.c.rung))
    return [Kind(category, rung, verdict, int(total), int(devices)) for category, rung, verdict, total, devices in rows]


async def top_domains(connection: AsyncConnection, group: str | None, since: float, until: float, limit: int = 20) -> list[Row]:
    """The blocked names that were asked for most. Not for everybody's eyes: see ``visible`` in dashboard/insight/statistics.py."""
    cells = (await _cells(connection, group, since, until, named=True)).subquery()
    count = func.sum(cells.c.count).label("count")
    query = select(cells.c.domain, cells.c.category, count, func.max(cells.c.devices)).group_by(cells.c.domain, cells.c.category)
    rows = await connection.execute(query.order_by(count.desc(), cells.c.domain, cells.c.category).limit(limit))
    return [Row(domain, category, int(total), int(devices)) for domain, category, total, devices in rows]


async def hours(connection: AsyncConnection, group: str | None, since: float, until: float) -> list[Hour]:
    """By hour and verdict, in order; for days whose hours are gone: by the hour in which the day begins."""
    cells = (await _cells(connection, group, since, until)).subquery()
    query = select(cells.c.hour, cells.c.verdict, func.sum(cells.c.count), func.max(cells.c.devices)).group_by(
        cells.c.hour, cells.c.verdict
    )
    rows = await connection.execute(query.order_by(cells.c.hour, cells.c.verdict))
    return [Hour(int(hour), verdict, int(total), int(devices)) for hour, verdict, total, devices in rows]


FINE = 48 * HOUR
"""what is not longer is read hour by hour, as long as its hours are kept"""


async def _cells(connection: AsyncConnection, group: str | None, since: float, until: float, *, named: bool = False) -> Select[Any]:
    """The cells of a span: days that are over as such, the rest by the hour."""
    of_group = SCHOOL if group is None else group
    of_hours = [statistics.c.hour < until, statistics.c.group_name == of_group]
    of_days = [statistics_days.c.day >= since, statistics_days.c.day < until, statistics_days.c.group_name == of_group]
    if named:
        of_hours.append(statistics.c.domain != "")
        of_days.append(statistics_days.c.domain != "")
    fields = ("category", "rung", "verdict", "domain", "count", "devices")
    first = (await connection.execute(select(func.min(statistics.c.hour)))).scalar()
    if first is not None and since >= first and until - since <= FINE:
        return select(statistics.c.hour, *(statistics.c[name] for name in fields)).where(statistics.c.hour >= since, *of_hours)
    border = await _border(connection)
    return select(
        union_all(
            select(statistics_days.c.day.label("hour"), *(statistics_days.c[name] for name in fields)).where(*of_days),
            select(statistics.c.hour, *(statistics.c[name] for name in fields)).where(statistics.c.hour >= max(since, border), *of_hours),
        ).subquery()
    )


async def _border(connection: AsyncConnection) -> int:
    """The hour from which on days are not yet put together; it stands as the one row of no group's and no kind."""
    found = (await connection.execute(select(statistics_days.c.count).where(_is_border()))).scalar()
    return int(found or 0)


def _is_border() -> ColumnElement[bool]:
    return and_(statistics_days.c.group_name == "*", statistics_days.c.day == 0)


async def close_days(connection: AsyncConnection, now: float, zone: tzinfo) -> None:
    """Put the days together that are over at the school."""
    border = await _border(connection)
    today = day_of(now, zone)
    first = (await connection.execute(select(func.min(statistics.c.hour)).where(statistics.c.hour >= border))).scalar()
    if first is None or first >= today:
        return
    day = day_of(first, zone)
    while day < today:
        following = day_of(day + 36 * HOUR, zone)  # from within the next day, also where clocks are changed
        await _close_day(connection, day, max(day, border), following)
        day = following
    values = {"group_name": "*", "day": 0, "category": "", "rung": "", "verdict": "", "domain": "", "devices": 0}
    await connection.execute(delete(statistics_days).where(_is_border()))
    await connection.execute(insert(statistics_days).values(**values, count=today))


async def _close_day(connection: AsyncConnection, day: int, since: int, until: int) -> None:
    kind = [statistics.c[name] for name in ("category", "rung", "verdict", "domain")]
    cells = select(statistics.c.group_name, literal(day), *kind, func.sum(statistics.c.count), func.max(statistics.c.devices))
    cells = cells.where(statistics.c.hour >= since, statistics.c.hour < until).group_by(statistics.c.group_name, *kind)
    columns = ["group_name", "day", "category", "rung", "verdict", "domain", "count", "devices"]
    await connection.execute(_adding(connection, statistics_days).from_select(columns, cells))
    await _trim(connection, statistics_days, ("day", "group_name"), statistics_days.c.day == day, NAMES_OF_DAY)


async def trim_hours(connection: AsyncConnection, now: float, places: int = 1_000_000) -> bool:
    """Take the rarest names out of the hours that are over, of so many hours of groups; whether there are more."""
    return await _trim(connection, statistics, ("hour", "group_name"), statistics.c.hour + HOUR <= now, NAMES_OF_HOUR, places)


async def _trim(
    connection: AsyncConnection, table: Table, place: tuple[str, str], where: ColumnElement[bool], keep: int, places: int = 1_000_000
) -> bool:
    """Count the rarest names of each place without their names; whether there are more places than these."""
    keys = [table.c[name] for name in place]
    crowded = select(*keys).where(where, table.c.domain != "").group_by(*keys).having(func.count(table.c.domain.distinct()) > keep)
    found = (await connection.execute(crowded.limit(places))).all()
    for values in found:
        here = and_(*(key == value for key, value in zip(keys, values, strict=True)), table.c.domain != "")
        often = (
            select(table.c.domain).where(here).group_by(table.c.domain).order_by(func.sum(table.c.count).desc(), table.c.domain).limit(keep)
        )
        kept = list((await connection.execute(often)).scalars())
        rare = and_(here, table.c.domain.not_in(kept))
        rows = [dict(row) | {"domain": ""} for row in (await connection.execute(select(table).where(rare))).mappings()]
        await connection.execute(delete(table).where(rare))
        await connection.execute(_adding(connection, table), rows)
    return len(found) == places


def day_of(at: float, zone: tzinfo) -> int:
    """When the school's day of ``at`` began."""
    midnight = datetime.fromtimestamp(at, zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return int(midnight.timestamp())


def _parts(rows: list[Any]) -> list[list[Any]]:
    return [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]

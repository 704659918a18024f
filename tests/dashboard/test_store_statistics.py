"""Counts: each file once, days put together from hours, names bounded, and what is read is what was folded in."""

from collections import Counter
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from dashboard.insight.statistics import Cell
from dashboard.store import statistics as counts
from dashboard.store.engine import Store
from dashboard.store.retention import forget_old
from dashboard.store.statistics import close_days, day_of, fold_in, folded, trim_hours
from dashboard.store.tables import metadata, statistics, statistics_days
from tests.dashboard.stores import *  # noqa: F403

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
NOW = 1_800_001_200.0
"""Friday 2027-01-15, 15:20 in Vietnam"""
H = 3600
HOUR = int(NOW) // H * H
TODAY = day_of(NOW, ZONE)


def cell(hour=HOUR, group="6a1", domain="tiktok.com", count=3, devices=2, category="social", verdict="block"):
    return Cell(hour, group, category, "category", verdict, domain, count, devices)


async def fold(store, cells, *files):
    async with store.write() as connection:
        await fold_in(connection, cells, files, NOW)


async def ask(store, question, *arguments, **options):
    async with store.read() as connection:
        return await question(connection, *arguments, **options)


async def trim(store):
    async with store.write() as connection:
        return await trim_hours(connection, NOW, 1)


def test_hours_are_trimmed_in_parts(store, loop):
    loop(fold(store, [cell(HOUR - H, group, f"n{number}.example") for number in range(30) for group in ("6a1", "6a2")]))
    assert [loop(trim(store)) for _ in range(4)] == [True, True, True, False]  # two groups and the school


async def close(store, now=NOW):
    async with store.write() as connection:
        await close_days(connection, now, ZONE)


def test_counts_add_up_and_the_larger_bound_of_devices_stays(store, loop):
    loop(fold(store, [cell(count=3, devices=2), cell(count=1, devices=5), cell(domain="", count=7, verdict="allow", category="")], "a"))
    loop(fold(store, [cell(count=4, devices=3)], "b"))
    found = loop(ask(store, counts.by_category, "6a1", HOUR, HOUR + H))
    assert [(kind.category, kind.verdict, kind.count, kind.devices) for kind in found] == [("social", "block", 8, 5), ("", "allow", 7, 2)]


def test_a_file_is_counted_once(store, loop):
    loop(fold(store, [cell()], "worker-0.1", "worker-1.1"))
    with pytest.raises(IntegrityError):
        loop(fold(store, [cell()], "worker-0.2", "worker-1.1"))
    assert loop(ask(store, folded, ["worker-0.1", "worker-0.2", "worker-1.1"])) == {"worker-0.1", "worker-1.1"}
    assert loop(ask(store, counts.by_category, None, HOUR, HOUR + H))[0].count == 3


def test_a_flood_of_names_is_counted_without_them(store, loop):
    many = counts.NAMES_OF_RUNNING_HOUR
    loop(fold(store, [cell(domain=f"n{number}.example", count=1) for number in range(many // 2)]))
    loop(fold(store, [cell(domain=f"n{number}.example", count=1) for number in range(many + 50)] + [cell(group="6a2", domain="x.vn")]))
    rows = loop(ask(store, counts.top_domains, "6a1", HOUR, HOUR + H, limit=1000))
    assert len(rows) == many
    assert loop(ask(store, counts.by_category, "6a1", HOUR, HOUR + H))[0].count == many // 2 + many + 50
    assert [row.domain for row in loop(ask(store, counts.top_domains, "6a2", HOUR, HOUR + H))] == ["x.vn"]


def test_an_hour_that_is_over_keeps_its_most_frequent_names(store, loop):
    loop(fold(store, [cell(HOUR - H, domain=f"n{number}.example", count=number + 1, devices=number) for number in range(60)]))
    while loop(trim(store)):
        pass
    found = loop(ask(store, counts.top_domains, "6a1", HOUR - H, HOUR, limit=100))
    assert [row.domain for row in found] == [f"n{number}.example" for number in range(59, 59 - counts.NAMES_OF_HOUR, -1)]
    assert loop(ask(store, counts.by_category, "6a1", HOUR - H, HOUR))[0].count == sum(range(61))


def test_days_are_put_together_once_and_read_as_one_with_today(store, loop):
    yesterday = TODAY - 24 * H
    loop(
        fold(
            store,
            [cell(yesterday + 8 * H), cell(yesterday + 9 * H, group="6a2"), cell(TODAY + H, count=10), cell(TODAY - 48 * H, count=100)],
        )
    )
    loop(close(store))
    loop(close(store))
    assert loop(ask(store, counts.by_category, None, TODAY - 72 * H, TODAY + 24 * H))[0].count == 116
    assert loop(ask(store, counts.by_category, "6a1", TODAY - 72 * H, TODAY + 24 * H))[0].count == 113
    assert loop(ask(store, counts.by_category, None, TODAY - 72 * H, TODAY))[0].count == 106
    hours = loop(ask(store, counts.hours, "6a1", TODAY - 72 * H, TODAY + 24 * H))
    assert [(hour.hour, hour.count) for hour in hours] == [(TODAY - 48 * H, 100), (yesterday, 3), (TODAY + H, 10)]
    fine = loop(ask(store, counts.hours, "6a1", yesterday, TODAY + 24 * H))
    assert [(hour.hour, hour.count) for hour in fine] == [(yesterday + 8 * H, 3), (TODAY + H, 10)]


def test_what_comes_after_its_day_is_over_is_not_lost(store, loop):
    loop(fold(store, [cell(TODAY - 20 * H), cell(TODAY + H)], "a"))
    loop(close(store))
    loop(fold(store, [cell(TODAY - H, count=50), cell(TODAY - 25 * H, count=7), cell(TODAY - 24 * H, count=1)], "b"))
    assert loop(ask(store, counts.by_category, "6a1", TODAY - 240 * H, TODAY + 24 * H))[0].count == 64
    assert loop(ask(store, counts.by_category, None, TODAY - 240 * H, TODAY + 24 * H))[0].count == 64
    assert loop(ask(store, counts.by_category, "6a1", TODAY - 48 * H, TODAY - 24 * H))[0].count == 7


def test_hours_are_forgotten_after_two_weeks_and_days_after_a_year(store, loop):
    old, older = TODAY - 24 * 30 * H, TODAY - 24 * 410 * H
    loop(fold(store, [cell(old + 8 * H), cell(older + 8 * H), cell(TODAY - 24 * H)]))
    loop(forget_old(store, NOW, ZONE))
    assert loop(ask(store, counts.by_category, "6a1", older, TODAY))[0].count == 6
    assert [hour.hour for hour in loop(ask(store, counts.hours, "6a1", old, old + 24 * H))] == [old]

    async def rows():
        async with store.read() as connection:
            return [(await connection.execute(select(func.count()).select_from(table))).scalar() for table in (statistics, statistics_days)]

    assert loop(rows()) == [2, 5]  # of the group and of the school; and where the days end


@pytest.mark.parametrize(
    ("zone", "at", "begins"),
    [
        ("Asia/Ho_Chi_Minh", datetime(2027, 1, 15, 3, tzinfo=UTC), datetime(2027, 1, 14, 17, tzinfo=UTC)),
        ("Asia/Ho_Chi_Minh", datetime(2027, 1, 14, 16, 59, tzinfo=UTC), datetime(2027, 1, 13, 17, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2027, 3, 28, 20, tzinfo=UTC), datetime(2027, 3, 27, 23, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2027, 3, 29, 20, tzinfo=UTC), datetime(2027, 3, 28, 22, tzinfo=UTC)),
    ],
)
def test_a_day_begins_at_the_schools_midnight(zone, at, begins):
    assert day_of(at.timestamp(), ZoneInfo(zone)) == begins.timestamp()


cells_of_days = st.lists(
    st.builds(
        cell,
        hour=st.integers(-24 * 5, 15).map(lambda hour: TODAY + hour * H),
        group=st.sampled_from(["6a1", "6a2"]),
        domain=st.sampled_from(["a.vn", "b.vn", ""]),
        count=st.integers(1, 9),
        devices=st.integers(1, 9),
        category=st.sampled_from(["social", "games"]),
    ),
    max_size=30,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.tuples(cells_of_days, st.booleans()), max_size=4), days=st.integers(0, 5), group=st.sampled_from(["6a1", None]))
def test_whatever_is_folded_in_whenever_is_read_as_if_it_were_naively_summed(tmp_path_factory, loop, batches, days, group):
    path = tmp_path_factory.mktemp("statistics") / "store.db"
    store, since = Store(f"sqlite:///{path}"), TODAY - days * 24 * H

    async def everything():
        async with store.write() as connection:
            await connection.run_sync(metadata.create_all)
        for cells, closing in batches:
            await fold(store, cells)
            if closing:
                await close(store)
        found = await ask(store, counts.by_category, group, since, TODAY + 24 * H)
        named = await ask(store, counts.top_domains, group, since, TODAY + 24 * H)
        await store.close()
        sums: dict[str, tuple[int, int]] = {}
        for kind in found:
            count, devices = sums.get(kind.category, (0, 0))
            sums[kind.category] = count + kind.count, max(devices, kind.devices)
        return sums, {(name.domain, name.category): name.count for name in named}

    wanted = [each for cells, _ in batches for each in cells if each.hour >= since and group in (None, each.group)]
    kinds, names, most = Counter(), Counter(), Counter()
    for each in wanted:
        kinds[each.category] += each.count
        most[each.category] = max(most[each.category], each.devices)
        if each.domain:
            names[each.domain, each.category] += each.count
    assert loop(everything()) == ({category: (kinds[category], most[category]) for category in kinds}, dict(names))

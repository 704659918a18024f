"""From the workers' files to what may be shown: nothing counted twice or lost, never more devices than there were, nothing below the threshold."""

import asyncio
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from publicsuffixlist import PublicSuffixList

from dashboard.insight import statistics
from dashboard.insight.statistics import (
    VISIBLE_FROM,
    Answered,
    Blocked,
    Cell,
    Fold,
    Minute,
    Row,
    devices,
    parse,
    registered_domain,
    visible,
)
from dashboard.insight.statistics_folder import FOLDER, Folder, pending

HOUR = 1_790_002_800
NOW = float(HOUR + 1800)
SUFFIXES = PublicSuffixList()
GOOD = {
    "version": 1,
    "minute": HOUR // 60,
    "salt": "ab",
    "blocked": [["6a1", "gambling", "category", "www.casino.com.vn", 3, 5]],
    "answers": [["6a1", "", "default", "allow", 10]],
    "strangers": ["10.0.0.5"],
}


def fold():
    return Fold(lambda: SUFFIXES)


def blocked(bits=1, count=1, name="casino.example", group="6a1", category="gambling", rung="category"):
    return Blocked(group, category, rung, name, count, bits)


def minute(*rows, at=HOUR, salt="ab", answers=(), strangers=()):
    return Minute(at, salt, rows, tuple(answers), tuple(strangers))


def test_a_file_is_read():
    assert parse(json.dumps(GOOD).encode()) == Minute(
        HOUR,
        "ab",
        (Blocked("6a1", "gambling", "category", "www.casino.com.vn", 3, 5),),
        (Answered("6a1", "", "default", "allow", 10),),
        ("10.0.0.5",),
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version 2"),
        ({"minute": "1"}, "minute: not a number"),
        ({"minute": True}, "minute: not a number"),
        ({"salt": None}, "salt: not a short text"),
        ({"blocked": {}}, "blocked: not a list"),
        ({"blocked": [["6a1", "gambling", "category", "x.vn", 3]]}, "six fields"),
        ({"blocked": [["6a1", "gambling", "category", "x.vn", 0, 5]]}, "blocked: not a number"),
        ({"blocked": [["6a1", "gambling", "category", "x.vn", 1, 1 << 64]]}, "blocked: not a number"),
        ({"blocked": [["6a1", "gambling", "category", "x" * 2000, 1, 1]]}, "not a name"),
        ({"blocked": [["a" * 64, "gambling", "category", "x.vn", 1, 1]]}, "not a short text"),
        ({"answers": [["6a1", "", "default", "block", 10]]}, "not a verdict"),
        ({"answers": [7]}, "five fields"),
        ({"strangers": ["casino.example"]}, "not an address"),
        ({"strangers": [5]}, "not an address"),
    ],
)
def test_a_damaged_file_is_refused_in_words(change, message):
    with pytest.raises(ValueError, match=message):
        parse(json.dumps(GOOD | change).encode())


@given(st.binary(max_size=200) | st.integers(0, 300).map(lambda cut: json.dumps(GOOD).encode()[:cut]) | st.just(b"[" * 100_000))
def test_nothing_but_value_error_is_raised(data):
    with suppress(ValueError):
        assert isinstance(parse(data), Minute)


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("www.casino.com.vn", "casino.com.vn"),
        ("a.b.c.blogspot.com", "c.blogspot.com"),
        ("com.vn", "com.vn"),
        ("casino.example", "casino.example"),
        ("www.casino.example", "casino.example"),
        ("iphone-cua-an.lan", "lan"),
        ("iphone-cua-an", ""),
        ("", ""),
        (r"a\.b.com", ""),
        (r"\000.com", ""),
        ("x" * 64 + ".com", ""),
    ],
)
def test_a_name_becomes_its_registered_domain(name, domain):
    """A name of the local network may be a child's: only where it belongs is kept."""
    assert registered_domain(name, SUFFIXES) == domain


def test_an_hour_is_added_up_by_registered_domain():
    folded = fold()
    folded.add(minute(blocked(0b011, 2, "www.casino.example"), answers=[Answered("6a1", "", "default", "allow", 10)]), NOW)
    folded.add(minute(blocked(0b110, 3, "casino.example"), at=HOUR + 60), NOW)
    folded.add(minute(blocked(0b1, 1), at=HOUR - 60), NOW)
    assert folded.due() == [
        Cell(HOUR - 3600, "6a1", "gambling", "category", "block", "casino.example", 1, 1),
        Cell(HOUR, "6a1", "gambling", "category", "block", "casino.example", 5, 3),
        Cell(HOUR, "6a1", "", "default", "allow", "", 10, 0),
    ]


def test_what_is_stored_is_due_no_more_and_devices_go_on_growing():
    folded = fold()
    folded.add(minute(blocked(0b1, 2)), NOW)
    cells = folded.due()
    folded.add(minute(blocked(0b10, 1), at=HOUR + 60), NOW)
    folded.stored(cells)
    assert [(cell.count, cell.devices) for cell in folded.due()] == [(1, 2)]
    folded.stored(folded.due())
    assert folded.due() == []


def test_bitmaps_of_two_salts_are_not_put_together():
    """One device may have another bit under another salt: at midnight five would have become ten."""
    folded = fold()
    folded.add(minute(blocked(0b11111), salt="yesterday"), NOW)
    folded.add(minute(blocked(0b1111100000), salt="today"), NOW)
    assert folded.due()[0].devices == 5


def test_the_minutes_of_a_lesson_are_joined_for_its_group_alone():
    folded = fold()
    folded.add(minute(blocked(0b1, 5), at=HOUR), NOW)
    folded.add(minute(blocked(0b10, 2), blocked(0b1, 9, group="6a2"), at=HOUR + 60), NOW)
    folded.add(minute(blocked(0b110, 1, rung="school-block"), at=HOUR + 120), NOW)
    [row] = folded.blocked_since("6a1", HOUR + 60)
    assert row[:4] == ("casino.example", "gambling", 3, 2)
    assert folded.blocked_since("6a1", HOUR + 180) == []


def test_minutes_are_forgotten_and_hours_that_are_stored():
    folded = fold()
    folded.add(minute(blocked(0b1, 5)), NOW)
    later = NOW + 5 * 3600
    folded.add(minute(at=int(later)), later)
    assert folded.blocked_since("6a1", 0) == []
    assert folded.due()[0].count == 5
    folded.stored(folded.due())
    folded.add(minute(at=int(later)), later)
    assert HOUR not in folded._hours


def test_a_minute_of_a_clock_that_ran_ahead_counts_now():
    folded = fold()
    folded.add(minute(blocked(), at=HOUR + 10 * 86400, strangers=["10.0.0.5"]), NOW)
    assert folded.due()[0].hour == HOUR
    assert folded.strangers(NOW) == {"10.0.0.5": NOW}


def test_a_scan_of_many_names_is_counted_without_them():
    folded = fold()
    rows = [blocked(1 << number % 64, 1, f"n{number}.example") for number in range(1000)]
    folded.add(minute(*rows, blocked(group="6a2")), NOW)
    cells = folded.due()
    assert sum(cell.count for cell in cells) == 1001
    assert len(cells) <= statistics.HOUR_DOMAINS + 2
    assert ("6a2", "casino.example", 1) in {(cell.group, cell.domain, cell.count) for cell in cells}
    recent = folded.blocked_since("6a1", 0)
    assert sum(row.count for row in recent) == 1000
    assert len(recent) == statistics.MINUTE_DOMAINS + 1


def test_the_oldest_minutes_go_when_there_is_too_much(monkeypatch):
    monkeypatch.setattr(statistics, "MINUTE_CELLS", 10)
    folded = fold()
    for number in range(6):
        folded.add(minute(*[blocked(name=f"n{name}.example") for name in range(3)], at=HOUR + 60 * number), NOW)
    assert sorted(folded._minutes) == [HOUR + 180, HOUR + 240, HOUR + 300]
    assert sum(cell.count for cell in folded.due()) == 18


def test_strangers_are_known_for_a_day_and_bounded():
    folded = fold()
    folded.add(minute(strangers=["10.0.0.1", "10.0.0.2"]), NOW)
    folded.add(minute(strangers=["10.0.0.2"], at=HOUR + 600), NOW)
    assert folded.strangers(NOW) == {"10.0.0.1": HOUR, "10.0.0.2": HOUR + 600}
    assert folded.strangers(HOUR + 86400 + 1) == {"10.0.0.2": HOUR + 600}
    many = [f"10.1.{number // 256}.{number % 256}" for number in range(statistics.STRANGERS)]
    folded.add(minute(strangers=many, at=HOUR + 1200), NOW)
    assert set(folded.strangers(NOW)) == set(many)
    assert folded.due() == []


asked = st.tuples(
    st.integers(0, 9), st.sampled_from(["6a1", "6a2"]), st.sampled_from(["a.example", "w.a.example", "b.example"]), st.integers(0, 119)
)
"""device, group, name, minute"""


def bit(device):
    return 1 << device * 7 % 64


def by_minute(queries, worker_of):
    """As workers would tell it."""
    cells = {}
    for number, (device, group, name, at) in enumerate(queries):
        key = worker_of(number), at, group, name
        count, bits = cells.get(key, (0, 0))
        cells[key] = count + 1, bits | bit(device)
    files = {}
    for (worker, at, group, name), (count, bits) in cells.items():
        files.setdefault((worker, at), []).append(blocked(bits, count, name, group))
    return [minute(*rows, at=HOUR + 60 * at) for (_, at), rows in files.items()]


def folded_all(files, now=NOW + 7200):
    result = fold()
    for each in files:
        result.add(each, now)
    return set(result.due()), {row[:4] for row in result.blocked_since("6a1", 0)}


@given(st.lists(asked, max_size=60), st.randoms(use_true_random=False))
def test_neither_the_order_nor_the_number_of_workers_matters(queries, dice):
    once = folded_all(by_minute(queries, lambda number: 0))
    many = by_minute(queries, lambda number: dice.randrange(4))
    dice.shuffle(many)
    assert folded_all(many) == once


@given(st.lists(asked, max_size=60))
def test_nothing_is_lost_and_there_are_never_more_devices_than_asked(queries):
    cells, _ = folded_all(by_minute(queries, lambda number: number % 3))
    assert sum(cell.count for cell in cells) == len(queries)
    for cell in cells:
        true = {
            d
            for d, group, name, at in queries
            if group == cell.group and name.endswith(cell.domain) and at // 60 * 3600 + HOUR == cell.hour
        }
        assert 1 <= cell.devices <= len(true)


def row(domain, count, *who):
    marks = {"ab": sum(1 << device for device in set(who))}
    return Row(domain, "gambling", count, devices(marks), marks)


def test_few_devices_are_not_shown_nor_their_bits():
    shown = visible([row("a", 9, *range(5)), row("b", 10, *range(6)), row("c", 99, 1, 2, 3, 4)])
    assert [(each.domain, each.count, each.marks) for each in shown.rows] == [("b", 10, {}), ("a", 9, {})]
    assert shown.rest is None


def test_the_others_are_shown_together_where_they_are_enough():
    shown = visible([row("a", 9, 1, 2, 3), row("b", 5, 3, 4, 5)])
    assert shown == ((), Row("", "", 14, 5))
    assert visible([row("a", 9, 1, 2, 3), row("b", 5, 3, 4)]).rest is None


def test_rows_from_the_store_have_no_rest():
    """Their numbers of devices must not be added up: three and three may be the same three."""
    assert visible([Row("a", "gambling", 9, 3), Row("b", "gambling", 9, 3)]) == ((), None)


rows_of_few = st.lists(st.tuples(st.integers(1, 50), st.sets(st.integers(0, 20), max_size=9)), max_size=6)


@given(rows_of_few, st.integers(2, 6))
def test_all_that_is_shown_is_of_enough_devices_and_the_rest_is_never_one_row(rows, threshold):
    given_rows = [row(f"d{number}", count, *who) for number, (count, who) in enumerate(rows)]
    shown = visible(given_rows, threshold)
    names = {each.domain for each in shown.rows}
    hidden = [each for each in given_rows if each.domain not in names]
    assert all(each.devices >= threshold for each in (*shown.rows, *filter(None, [shown.rest])))
    if shown.rest is not None:
        assert len(hidden) >= 2
        assert shown.rest.count == sum(each.count for each in hidden)
        assert len(set().union(*(who for _, who in rows))) >= threshold


def test_the_threshold_is_five():
    assert VISIBLE_FROM == 5


# The way into the store.


class Store:
    """What the store must do, in one transaction. ``crash`` says where it fails."""

    def __init__(self):
        self.cells = {}
        self.names = set()
        self.crash = None

    async def save(self, cells, names):
        if self.crash == "before":
            raise OSError("database is locked")
        assert not self.names & set(names)
        for cell in cells:
            count, most = self.cells.get(cell[:6], (0, 0))
            self.cells[cell[:6]] = count + cell.count, max(most, cell.devices)
        self.names |= set(names)
        if self.crash == "after":
            raise KeyboardInterrupt


@pytest.fixture
def runtime(tmp_path):
    (tmp_path / FOLDER).mkdir()
    return tmp_path


def leave(runtime, worker, at, bits, count=1):
    content = GOOD | {"minute": HOUR // 60 + at, "blocked": [["6a1", "gambling", "category", "casino.example", count, bits]], "answers": []}
    path = runtime / FOLDER / f"{worker}-{HOUR // 60 + at}-0{at}.json"
    path.write_text(json.dumps(content))
    return path


def run(folder, runtime, store=None):
    async def both():
        await folder.read(runtime, NOW)
        if store is not None:
            await folder.store(store.save)

    asyncio.run(both())


KEY = (HOUR, "6a1", "gambling", "category", "block", "casino.example")


def test_files_stay_until_they_are_stored_and_are_counted_once(runtime):
    store, folder = Store(), Folder(fold(), ())
    leave(runtime, 0, 1, 0b1)
    leave(runtime, 1, 1, 0b10, 2)
    run(folder, runtime)
    run(folder, runtime)
    assert len(pending(runtime)) == 2
    assert folder.fold.blocked_since("6a1", 0)[0][2:4] == (3, 2)
    run(folder, runtime, store)
    assert pending(runtime) == []
    leave(runtime, 0, 2, 0b100)
    run(folder, runtime, store)
    assert store.cells == {KEY: (4, 3)}


def test_a_store_that_fails_loses_nothing(runtime):
    store, folder = Store(), Folder(fold(), ())
    leave(runtime, 0, 1, 0b1)
    store.crash = "before"
    with pytest.raises(OSError, match="locked"):
        run(folder, runtime, store)
    assert len(pending(runtime)) == 1
    leave(runtime, 0, 2, 0b10)
    store.crash = None
    run(folder, runtime, store)
    assert store.cells == {KEY: (2, 2)}


@pytest.mark.parametrize("crash", ["before", "after"])
def test_a_crash_around_the_transaction_counts_nothing_twice(runtime, crash):
    """Stored and not deleted: the next process knows the names."""
    store = Store()
    leave(runtime, 0, 1, 0b1, 3)
    store.crash = crash
    with pytest.raises((OSError, KeyboardInterrupt)):
        run(Folder(fold(), store.names), runtime, store)
    store.crash = None
    again = Folder(fold(), set(store.names))
    leave(runtime, 0, 2, 0b10)
    run(again, runtime, store)
    assert store.cells == {KEY: (4, {"before": 2, "after": 1}[crash])}
    assert pending(runtime) == []


def test_names_that_are_known_stay_known_until_their_files_are_gone(runtime):
    """Storing before the first reading must not forget them."""
    store, path = Store(), leave(runtime, 0, 1, 0b1)
    folder = Folder(fold(), {path.name})
    asyncio.run(folder.store(store.save))
    run(folder, runtime, store)
    assert (store.cells, pending(runtime)) == ({}, [])


def test_a_damaged_file_is_named_and_deleted(runtime, caplog):
    folder = Folder(fold(), ())
    leave(runtime, 0, 1, 0b1).write_text("{half")
    good = leave(runtime, 0, 2, 0b1)
    run(folder, runtime)
    assert pending(runtime) == [good]
    assert "0-" in caplog.text
    assert "cut off" in caplog.text


def test_what_is_no_minute_is_left_alone(runtime):
    for name in ("0-5-ab.new", "notes.json", "0-x-ab.json"):
        (runtime / FOLDER / name).write_text("{}")
    assert pending(runtime) == []
    assert pending(runtime / "nowhere") == []

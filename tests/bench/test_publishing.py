"""The arithmetic and the judgements about a province's lists, and the pieces that measure them."""

import json
import random
import sys
from dataclasses import asdict

import pytest

from tests.bench import command, nginx, origin, publisher, report, transfer
from tests.bench.delay import Blocked, NotBlocked, Watch
from tests.bench.setting import Result

DETAIL = {"requests": 5, "connections": 1, "counted": 900, "base": 100_000}
TRANSFER = [
    Result("transfer", "box", value, "bytes", 1, case, DETAIL)
    for case, value in {
        transfer.FIRST: 150_000.0,
        transfer.CHURNED: 1_900.0,
        transfer.MUCH_CHURNED: 3_800.0,
        transfer.URGENT: 4_000.0,
        transfer.NOTHING: 400.0,
        transfer.HOURLY: 1_000.0,
        transfer.TIMESTAMP: 900.0,
    }.items()
]
QUIET = {"requests": 150, "connections": 30, "poll": 60.0, "schools": 200, "seconds": 45.0, "peak_requests_s": 9, "cpu_s": 0.009}
ORIGIN = Result("origin", "nginx", 400.0, "bytes", 1, "a poll when nothing is new", QUIET)
RAW = {"p50": 9.0, "p99": 12.0, "max": 13.0}
DELAYS = [
    Result(
        "delay",
        "ours",
        p99,
        "s",
        round_,
        case,
        {"p50": 1.5, "max": p99, "raw": RAW, "command_s": 0.6, "resolvers": [1.2, 2.0], "origin": QUIET},
    )
    for case, p99, round_ in (("200 schools, --poll 1", 2.5, 1), ("200 schools, --poll 1", 2.9, 2), ("200 schools, --poll 60", 76.0, 1))
]
LISTS = [
    Result("lists", "publisher", 14.0, "s", 1, "`publish stage`", {"peak_mb": 440.0, "cpu_s": 13.0, "names": 1_300_000}),
    Result("lists", "box", 14.0, "s", 1, "`lists compile`", {"peak_mb": 301.0, "cpu_s": 13.0, "names": 1_300_000}),
]
RESULTS = [*TRANSFER, ORIGIN, *DELAYS, *LISTS]


def test_the_page_says_which_targets_of_publishing_are_met():
    lines = [json.dumps({"machine": {"cpu": "one"}}), *(json.dumps(asdict(result)) for result in RESULTS)]
    page = report.markdown(*report.read(lines), {})
    assert "<= 2% of the base | 1.90% | yes |" in page
    assert "<= 20,000 bytes | 4,000 bytes | yes |" in page
    assert "p99 <= 3 s | p50 1.50 s, p99 2.70 s | yes |" in page
    assert "p99 <= 75 s | p50 1.50 s, p99 76.00 s | **no** |" in page
    assert "<= 15 s, <= 450 MB | 14.0 s, 440 MB | yes |" in page
    assert "<= 15 s, <= 300 MB | 14.0 s, 301 MB | **no** |" in page
    assert "| 200 schools, --poll 60, release 1 | 1.50 | 76.0 | 76.0 | 9.00 | 12.0 | 0.60 | 1.20 2.00 |" in page


def test_a_day_is_polls_and_looks_and_releases():
    costs = origin.costs(RESULTS)
    day = costs.day(urgent=2)
    assert day.bytes == pytest.approx(1416 * 400 + 24 * 1000 + 900 + 1900 + 2 * 4000 + 100_000 / 30)
    assert day.requests == 1416 + 24 * 5 + 5 + 5 + 2 * 5
    assert day.connections == pytest.approx(1416 * 0.2 + 24 + 1 + 1 + 2)


def test_the_sums_for_many_schools():
    text = origin.measured(RESULTS)
    assert "1,416 x 400 + 24 x 1,000 + 900 + 1,900 + 100,000 / 30" in text
    province = text.partition("| 1,000 schools")[2].partition("| 26,000 schools")[0]
    assert "| requests a second, the minute after an urgent release | 83.3 |" in province
    assert "| GB, a new base to every school | 0.10 |" in province


def test_a_run_that_lacks_a_measure_makes_no_sums():
    with pytest.raises(origin.NotMeasured, match="hourly"):
        origin.costs([result for result in RESULTS if result.case != transfer.HOURLY])


def test_only_the_measured_part_of_the_page_is_written_anew():
    page = f"before\n{origin.BEGIN}old\n{origin.END}after\n"
    assert origin.rewritten(page, "new") == f"before\n{origin.BEGIN}\nnew\n{origin.END}after\n"
    assert origin.rewritten(origin.rewritten(page, "other"), "new") == origin.rewritten(page, "new")


def test_schools_do_not_come_back_all_at_once():
    back = origin.returns(300, away=3600, poll=60, dice=random.Random(1))
    assert len(back) == 300
    assert back == sorted(back)
    assert back[0] >= 0
    assert back[-1] <= 900 * 1.2 + 66
    assert sum(moment < 60 for moment in back) < 60


def test_a_short_absence_costs_seconds():
    assert origin.returns(100, away=20, poll=60, dice=random.Random(1))[-1] < 2 * 66 + 30


def test_the_log_of_nginx():
    text = "1795327305.402 1 200 157 714 /repository/metadata/timestamp.json\n1795327305.409 2 404 154 311 /a b.json\n"
    first, second = nginx.read_log(text)
    assert (first.at, first.on_connection, first.status, first.received, first.sent, first.path) == (
        1795327305.402,
        1,
        200,
        157,
        714,
        "/repository/metadata/timestamp.json",
    )
    assert second.path == "/a b.json"
    assert nginx.new_connections([first, second]) == 1
    assert nginx.total([first, second]) == 157 + 714 + 154 + 311


def test_churn_is_as_large_as_it_says():
    names = publisher.Population(tuple(f"n{number}.example" for number in range(1000)), tuple(f"s{number}.example" for number in range(10)))
    changed = set(names.churned(5))
    assert len(changed) == 1000
    assert len(set(names.listed) - changed) == len(changed - set(names.listed)) == 5


def test_every_name_is_in_one_list_or_two():
    counts = [len(set(publisher.categories_of(f"n{number}.example"))) for number in range(2000)]
    assert set(counts) == {1, 2}
    assert 0.03 < counts.count(2) / len(counts) < 0.07


def test_a_school_has_blocked_a_name_when_both_its_processes_say_so():
    watch = Watch(["first.example", "second.example"])
    said = [
        {"ready": 1},
        {"changed": 1, "school": 7, "queued": 0.5},
        {"name": "second.example", "school": 7, "at": 20.0, "queued": 0.25},
        {"name": "first.example", "school": 7, "at": 10.0, "queued": 0.25},
    ]
    watch.read(iter([json.dumps(line).encode() for line in said]))
    watch.await_ready(1, 0)
    assert watch.await_all("first.example", 1, 0, 0) == {"7": Blocked(10.0, 0.75)}
    with pytest.raises(NotBlocked, match="second"):
        watch.await_all("second.example", 1, 0, 0)


def test_a_command_is_measured_alone():
    ballast = bytearray(200_000_000)
    ballast[::4096] = b"x" * len(ballast[::4096])
    taken = command.run([sys.executable, "-c", "print('done')"])
    assert taken.output == "done\n"
    assert 1_000_000 < taken.peak < 100_000_000
    assert 0 < taken.cpu <= taken.seconds * 2


def test_a_command_that_fails_says_why():
    with pytest.raises(command.CommandFailed, match="no such thing"):
        command.run([sys.executable, "-c", "import sys; sys.exit('no such thing')"])

"""When a box without a publisher compiles its lists: once a night, at a moment of its own, and late rather than not at all."""

from datetime import datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from blocklists.box.night import SPREAD, last_planned, own_moment

HANOI = "Asia/Ho_Chi_Minh"
HALF_PAST_TWO = 2 * 3600 + 30 * 60


def at(text: str, zone: str = HANOI) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def test_the_last_planned_moment_is_tonight_s_or_last_night_s():
    assert last_planned(at("2026-11-22 12:00"), HALF_PAST_TWO, HANOI, 0.0) == at("2026-11-22 02:30")
    assert last_planned(at("2026-11-22 02:30"), HALF_PAST_TWO, HANOI, 0.0) == at("2026-11-22 02:30")
    assert last_planned(at("2026-11-22 02:29"), HALF_PAST_TWO, HANOI, 0.0) == at("2026-11-21 02:30")
    assert last_planned(at("2026-11-22 02:59"), HALF_PAST_TWO, HANOI, 1800.0) == at("2026-11-21 03:00")


def test_a_box_that_must_wait_past_midnight_does():
    late = 23 * 3600 + 30 * 60
    assert last_planned(at("2026-11-22 00:59"), late, HANOI, SPREAD - 1) == at("2026-11-20 23:30") + SPREAD - 1


@given(st.floats(0, 4e9), st.integers(0, 86399), st.floats(0, SPREAD), st.sampled_from([HANOI, "Europe/Berlin", "America/New_York"]))
def test_it_is_never_in_the_future_and_never_two_days_ago(now, time_of_day, later, zone):
    planned = last_planned(now, time_of_day, zone, later)
    assert now - 86400 - 3601 <= planned <= now, "a day, and an hour where clocks are put back"


def test_every_box_has_its_own_moment_and_keeps_it():
    moments = [own_moment(str(number).encode()) for number in range(1000)]
    assert moments == [own_moment(str(number).encode()) for number in range(1000)]
    assert all(0 <= moment < SPREAD for moment in moments)
    assert max(moments) - min(moments) > 0.95 * SPREAD
    assert 0.45 * SPREAD < sum(moments) / 1000 < 0.55 * SPREAD

"""Which mode the timetable says, and until exactly when."""

from datetime import datetime
from math import inf
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from policies.model import Timetable
from policies.school_time import TimeRange, parse_dates, parse_range
from policies.timetable import Timetables

VIETNAM = "Asia/Ho_Chi_Minh"
LESSONS = {"1": "07:00-07:45", "2": "07:50-08:35", "th1": "07:00-07:35"}


def at(text: str, zone: str = VIETNAM, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def timetables(*rules: dict, zone: str = VIETNAM, holidays: tuple[str, ...] = ()) -> Timetables:
    return Timetables(Timetable.model_validate({"lessons": LESSONS, "rules": rules, "holidays": holidays}), zone)


STUDY = {"mode": "study", "lessons": ["1", "2"]}
NIGHT = {"mode": "offline", "at": ["22:00-05:30"], "days": ["fri"]}


@pytest.mark.parametrize(
    ("now", "mode", "until"),
    [
        ("2027-01-15T06:59:59", None, "2027-01-15T07:00"),
        ("2027-01-15T07:00:00", "study", "2027-01-15T07:45"),
        ("2027-01-15T07:44:59", "study", "2027-01-15T07:45"),
        ("2027-01-15T07:45:00", None, "2027-01-15T07:50"),
        ("2027-01-15T08:35:00", None, "2027-01-16T07:00"),
        ("2027-01-16T09:00:00", None, "2027-01-18T07:00"),  # Saturday to Monday
        ("2027-01-17T07:10:00", None, "2027-01-18T07:00"),  # Sunday
        ("2027-02-11T09:00:00", None, "2027-02-22T07:00"),  # Tết is seen through
        ("2027-02-15T07:10:00", None, "2027-02-22T07:00"),
    ],
)
def test_lessons(now, mode, until):
    moment = timetables(STUDY, holidays=("2027-02-12..2027-02-20",)).of("6a1").at(at(now))
    assert (moment.mode, moment.until) == (mode, at(until))


@pytest.mark.parametrize(
    ("now", "mode", "until"),
    [
        ("2027-01-15T21:59:59", None, "2027-01-15T22:00"),
        ("2027-01-15T22:00:00", "offline", "2027-01-16T05:30"),
        ("2027-01-16T00:00:00", "offline", "2027-01-16T05:30"),
        ("2027-01-16T05:30:00", None, "2027-01-22T22:00"),
        ("2027-01-15T03:00:00", None, "2027-01-15T22:00"),  # Thursday's night is nobody's
    ],
)
def test_a_range_over_midnight_belongs_to_the_day_on_which_it_starts(now, mode, until):
    moment = timetables(NIGHT).of("6a1").at(at(now))
    assert (moment.mode, moment.until) == (mode, at(until))


def test_a_night_that_starts_on_a_holiday_is_off_and_one_that_starts_before_it_runs_on():
    over = timetables({**NIGHT, "days": ["thu", "fri"]}, holidays=("2027-01-15",)).of("6a1")
    assert over.at(at("2027-01-15T04:00")).mode == "offline"
    assert over.at(at("2027-01-15T23:00")).mode is None
    assert over.at(at("2027-01-16T04:00")).mode is None
    both = timetables({**NIGHT, "holidays": True}, holidays=("2027-01-15",)).of("6a1")
    assert both.at(at("2027-01-15T23:00")).mode == "offline"


def test_the_first_rule_that_holds_wins_and_brings_its_sites():
    exam = {"mode": "exam", "at": ["07:10-07:20"], "sites": ["azota.example"]}
    both = timetables(exam, STUDY).of("6a1")
    assert both.at(at("2027-01-15T07:05"))[:3] == ("study", (), at("2027-01-15T07:10"))
    assert both.at(at("2027-01-15T07:10"))[:3] == ("exam", ("azota.example",), at("2027-01-15T07:20"))
    assert timetables(STUDY, exam).of("6a1").at(at("2027-01-15T07:12")).mode == "study"


def test_lessons_without_a_break_are_one_stretch():
    table = timetables({"mode": "study", "at": ["07:00-07:45", "07:45-08:30"]}).of("6a1")
    assert table.at(at("2027-01-15T07:00")).until == at("2027-01-15T08:30")


def test_rules_for_groups():
    table = timetables({**STUDY, "groups": ["6a1"]}, {"mode": "exam", "lessons": ["2"]})
    assert table.of("6a1").at(at("2027-01-15T07:00")).mode == "study"
    assert table.of("6a2").at(at("2027-01-15T07:00")).mode is None
    assert table.of("6a2").at(at("2027-01-15T08:00")).mode == "exam"
    assert table.of("6a2") is table.of("6a3")


def test_no_rules_never_change():
    assert timetables().of("6a1").at(at("2027-01-15T07:00")) == (None, (), inf, False)


def test_a_class_that_is_offline_all_year_is_looked_at_again_after_a_while():
    """Looking for a change on each of 400 days took a tenth of a second."""
    always = {"mode": "offline", "at": ["00:00-24:00"], "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "holidays": True}
    moment = timetables(always).of("6a1").at(at("2027-01-15T07:00"))
    assert (moment.mode, moment.changes) == ("offline", False)
    assert moment.until > at("2027-02-15T07:00")


@pytest.mark.parametrize("now", [-1e18, -1.0, 0.0, 1e12, 1e18])
def test_a_clock_outside_of_the_calendar_has_no_timetable(now):
    moment = timetables(STUDY).of("6a1").at(now)
    assert moment.mode is None
    assert moment.until > now


@pytest.mark.parametrize(
    ("now", "fold", "mode"),
    [
        ("2027-10-31T01:59", 0, None),
        ("2027-10-31T02:00", 0, "exam"),  # the first showing of 02:00
        ("2027-10-31T02:29", 0, "exam"),
        ("2027-10-31T02:30", 0, None),
        ("2027-10-31T02:10", 1, None),  # the second
        ("2027-03-28T01:59", 0, None),
        ("2027-03-28T03:10", 0, "exam"),  # 02:00-02:30 is skipped: as if the clock had not been put forward
        ("2027-03-28T03:30", 0, None),
    ],
)
def test_summer_time(now, fold, mode):
    table = timetables({"mode": "exam", "at": ["02:00-02:30"], "days": ["sun"]}, zone="Europe/Berlin")
    assert table.of("6a1").at(at(now, "Europe/Berlin", fold)).mode == mode


TIMES = st.tuples(st.integers(0, 23), st.integers(0, 59)).map(lambda time: f"{time[0]:02}:{time[1]:02}")
RANGES = st.tuples(TIMES, TIMES).filter(lambda pair: pair[0] != pair[1]).map("-".join)
DAYS = st.lists(st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), min_size=1, max_size=7, unique=True)
RULES = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(["study", "exam"]),
        "at": st.lists(RANGES, min_size=1, max_size=3),
        "days": DAYS,
        "holidays": st.booleans(),
        "sites": st.sampled_from([[], ["a.example"]]),
    }
)
ZONES = st.sampled_from([VIETNAM, "Europe/Berlin", "America/St_Johns", "Pacific/Apia", "Australia/Lord_Howe", "Africa/Cairo"])
NOWS = st.one_of(st.integers(at("2026-09-01T00:00"), at("2027-12-31T00:00")), st.integers(1325100000, 1325500000)).map(float)


@example([{"mode": "exam", "at": ["22:00-21:59"], "days": ["fri"], "holidays": True, "sites": []}], "Pacific/Apia", 1325250000.0, 3600.0)
@settings(deadline=None)
@given(st.lists(RULES, max_size=3), ZONES, NOWS, st.floats(0, 3 * 86400))
def test_what_is_said_holds_until_the_next_change_and_not_beyond(rules, zone, now, later):
    """Also over Samoa's missing 30 December 2011 and Lord Howe's half hour of summer time."""
    holidays = ("2027-02-12..2027-02-20",)
    moment = timetables(*rules, zone=zone, holidays=holidays).of("6a1").at(now)
    assert moment.until > now
    fresh = timetables(*rules, zone=zone, holidays=holidays).of("6a1").at(min(now + later, (now + moment.until) / 2))
    assert (fresh.mode, fresh.sites) == (moment.mode, moment.sites)
    if moment.changes:
        assert fresh.until == moment.until
        after = timetables(*rules, zone=zone, holidays=holidays).of("6a1").at(moment.until)
        assert (after.mode, after.sites) != (moment.mode, moment.sites)


@settings(deadline=None)
@given(st.lists(RULES, max_size=3), ZONES, st.lists(NOWS, min_size=2, max_size=6))
def test_what_is_remembered_never_shows(rules, zone, nows):
    table = timetables(*rules, zone=zone).of("6a1")
    for now in nows:
        assert table.at(now)[:2] == timetables(*rules, zone=zone).of("6a1").at(now)[:2]


@pytest.mark.parametrize(
    ("now", "group", "end"),
    [
        ("2027-01-15T07:00", None, "2027-01-15T07:45"),
        ("2027-01-15T07:40", None, "2027-01-15T07:45"),
        ("2027-01-15T07:47", None, None),
        ("2027-01-17T07:10", None, "2027-01-17T07:45"),
        ("2027-01-15T07:10", "lop-2", "2027-01-15T07:35"),
        ("2027-01-15T07:40", "lop-2", None),
    ],
)
def test_lesson_end(now, group, end):
    table = timetables({"mode": "study", "lessons": ["th1"], "groups": ["lop-2"]})
    assert table.lesson_end(at(now), group) == (None if end is None else at(end))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("07:00-07:45", TimeRange(25200, 27900)),
        ("7:00 - 7:45", TimeRange(25200, 27900)),
        ("00:00-24:00", TimeRange(0, 86400)),
        ("22:00-05:30", TimeRange(79200, 106200)),
        ("22:00-00:00", TimeRange(79200, 86400)),
    ],
)
def test_ranges(text, expected):
    assert parse_range(text) == expected


@pytest.mark.parametrize(
    "text", ["", "7h-8h", "07:00", "07:00-24:01", "24:00-01:00", "07:60-08:00", "07:00-07:00", "٠٧:٠٠-٠٨:٠٠", "07:00-08:00\n9"]
)
def test_ranges_that_are_refused(text):
    with pytest.raises(ValueError, match=r"."):
        parse_range(text)


@pytest.mark.parametrize("text", ["", "..", "2027-02-30", "2027-02-21..2027-02-15", "2027-02-15..", "15/02/2027"])
def test_dates_that_are_refused(text):
    with pytest.raises(ValueError, match=r"."):
        parse_dates(text)

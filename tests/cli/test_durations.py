"""Lengths and times of day as people type them."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.durations import LONGEST, next_time, parse_duration, parse_moment, show_time

HANOI = "Asia/Ho_Chi_Minh"
NOW = datetime(2027, 1, 31, 10, 0, tzinfo=ZoneInfo(HANOI)).timestamp()


@pytest.mark.parametrize(("text", "seconds"), [("45m", 2700), ("1h30m", 5400), ("90s", 90), ("1H 5M", 3900), ("24h", 86400), ("1d", 86400)])
def test_lengths(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "45", "m", "-5m", "0m", "25h", "1d1s", "1.5h", "4٥m", "an hour"])
def test_what_is_no_length_of_at_most_a_day_is_refused(text):
    with pytest.raises(ValueError, match=r".*"):
        parse_duration(text)


@given(st.text(max_size=12))
def test_a_length_is_refused_or_between_a_second_and_a_day(text):
    try:
        seconds = parse_duration(text)
    except ValueError:
        return
    assert 0 < seconds <= LONGEST


@pytest.mark.parametrize(("text", "shown"), [("11:15", "2027-01-31 11:15"), ("9:59", "2027-02-01 09:59"), ("10:00", "2027-02-01 10:00")])
def test_a_time_of_day_is_the_next_one_by_the_schools_clock(text, shown):
    assert show_time(next_time(text, NOW, HANOI), HANOI) == shown


@pytest.mark.parametrize("text", ["24:00", "7:60", "7", "", "7:5"])
def test_what_no_clock_shows_is_refused(text):
    with pytest.raises(ValueError, match=r".*"):
        next_time(text, NOW, HANOI)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("07:30", "2027-01-31 07:30"),
        ("2027-03-01 13:30", "2027-03-01 13:30"),
        ("2027-03-01T13:30:00+00:00", "2027-03-01 20:30"),
    ],
)
def test_moments(text, shown):
    assert show_time(parse_moment(text, NOW, HANOI), HANOI) == shown

"""A box whose wall clock is wrong: before its own files, set back, put right. The clock is a test's own (wall_clock.c)."""

import os
import time

import pytest

from tests.end_to_end.box import ALLOWED, Box, override
from tests.end_to_end.school import CHILD
from tests.end_to_end.wall_clock import WallClock

HOUR = 3600
YEARS = 6 * 365 * 24 * HOUR
ALWAYS_OFFLINE = {
    "timetable": {"rules": [{"mode": "offline", "at": ["00:00-24:00"], "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}]}
}


def test_a_synchronised_box_follows_its_timetable(school, internet, start, clock: WallClock):
    school.write([f"127.0.0.1:{internet.port}"], ALWAYS_OFFLINE)
    box = start(school, environment=clock.environment)
    box.await_metric("manglanh_clock_trusted", 1)
    assert box.rcode(ALLOWED) == "NXDOMAIN"


def test_a_clock_before_the_box_s_own_files_is_not_trusted_and_the_plain_tier_holds(school, internet, start, clock: WallClock):
    school.write([f"127.0.0.1:{internet.port}"], ALWAYS_OFFLINE)
    clock.set(-YEARS)
    box = start(school, environment=clock.environment)
    box.await_metric("manglanh_clock_trusted", 0)
    assert box.rcode(ALLOWED) == "NOERROR"
    assert box.rcode("casino.example") == "NXDOMAIN"
    clock.set(0, synchronised=True)
    box.await_metric("manglanh_clock_trusted", 1)
    box.await_rcode(ALLOWED, "NXDOMAIN")


def test_time_servers_always_resolve_so_that_a_wrong_clock_can_be_put_right(school, start, clock: WallClock):
    clock.set(-YEARS)
    box = start(school, environment=clock.environment)
    assert box.rcode("0.debian.pool.ntp.org", source=CHILD) == "NOERROR"
    assert box.rcode(ALLOWED, source=CHILD) == "NXDOMAIN"  # everything else is closed to a kindergarten by default


def test_an_override_that_has_ended_stays_ended_when_the_clock_is_set_back(box_with_clock: Box, clock: WallClock):
    box, now = box_with_clock, time.time()
    box.write_state(overrides=[override("6a1", "offline", since=now - 2 * HOUR, until=now + 1)])
    box.await_rcode(ALLOWED, "NXDOMAIN")
    box.await_rcode(ALLOWED, "NOERROR")
    clock.set(-HOUR)
    box.await_metric("manglanh_clock_trusted", 0)
    assert box.rcode(ALLOWED) == "NOERROR"


def test_a_clock_that_runs_ahead_and_is_put_right_ends_no_override_for_good(box_with_clock: Box, clock: WallClock):
    box, now = box_with_clock, time.time()
    box.write_state(overrides=[override("6a1", "offline", since=now - HOUR, until=now + HOUR)])
    box.await_rcode(ALLOWED, "NXDOMAIN")
    clock.set(2 * HOUR, synchronised=True)
    box.await_rcode(ALLOWED, "NOERROR")
    clock.set(0, synchronised=True)
    box.await_rcode(ALLOWED, "NXDOMAIN")


@pytest.fixture
def box_with_clock(school, start, clock: WallClock) -> Box:
    assert os.environ.get("LD_PRELOAD") is None, "this test preloads a library of its own"
    return start(school, environment=clock.environment)

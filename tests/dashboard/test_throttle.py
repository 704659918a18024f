"""How often somebody may try: tables, and what must hold whatever strangers do."""

from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.signing_in.throttle import (
    ADDRESS,
    DEVICE,
    PAIR,
    SET_UP,
    STRANGERS,
    Limit,
    Throttle,
    code_limits,
    neighbourhood,
    password_limits,
)

NOW = 1_800_000_000.0
ALONE = ((("only",), Limit(3, 60)),)


@pytest.mark.parametrize(
    ("attempts", "waits"),
    [
        ([0, 0, 0], [0, 0, 0]),
        ([0, 0, 0, 0], [0, 0, 0, 60]),
        ([0, 0, 0, 59], [0, 0, 0, 1]),
        ([0, 0, 0, 60], [0, 0, 0, 0]),
        ([0, 0, 0, 60, 60], [0, 0, 0, 0, 60]),
        ([0, 0, 0, 0, 0, 0, 60], [0, 0, 0, 60, 60, 60, 0]),
        ([0, 0, 0, 180, 180, 180, 180], [0, 0, 0, 0, 0, 0, 60]),
        ([0, 100, 200, 300, 400], [0, 0, 0, 0, 0]),
        ([0, 0, 0, -3600], [0, 0, 0, 60]),
    ],
)
def test_the_wait_for_one_limit(attempts, waits):
    throttle = Throttle()
    assert [throttle.attempt(ALONE, NOW + at) for at in attempts] == waits


def test_what_was_refused_is_not_counted_anywhere():
    throttle = Throttle()
    other = (("other",), Limit(2, 60))
    for _ in range(3):
        throttle.attempt(ALONE, NOW)
    for _ in range(5):
        assert throttle.attempt((*ALONE, other), NOW) == 60
    assert [throttle.attempt((other,), NOW) for _ in range(3)] == [0, 0, 60]


def test_success_gives_back_its_own_attempt_and_no_other():
    throttle = Throttle()
    throttle.attempt(ALONE, NOW)
    throttle.attempt(ALONE, NOW)
    for _ in range(100):
        assert throttle.attempt(ALONE, NOW) == 0
        throttle.give_back(ALONE, NOW)
    assert throttle.attempt(ALONE, NOW) == 0
    assert throttle.attempt(ALONE, NOW) == 60


def test_many_attempts_at_once_find_no_gap():
    """Each is counted when it begins, not when its password was found wrong."""
    throttle = Throttle()
    limits = password_limits("co-lan", "10.0.0.9", "")
    assert [throttle.attempt(limits, NOW) for _ in range(50)].count(0) == PAIR.burst


def test_a_school_behind_one_address_gets_in_when_the_bell_rings():
    """200 teachers within a minute, each with a typing mistake first, none on a device that is known."""
    throttle = Throttle()
    for number in range(200):
        limits, now = password_limits(f"teacher-{number}", "203.0.113.7", ""), NOW + number * 0.3
        assert throttle.attempt(limits, now) == 0
        assert throttle.attempt(limits, now) == 0
        throttle.give_back(limits, now)


def test_one_login_is_not_guessed_from_many_addresses():
    throttle = Throttle()
    tried = sum(throttle.attempt(password_limits("co-lan", f"198.51.{at % 256}.{at // 256}", ""), NOW + at) == 0 for at in range(3600))
    assert tried <= STRANGERS.burst + 3600 / STRANGERS.every


def test_many_logins_are_not_guessed_from_one_address():
    throttle = Throttle()
    tried = sum(throttle.attempt(password_limits(f"login-{at}", "198.51.100.1", ""), NOW + at / 10) == 0 for at in range(36_000))
    assert tried <= ADDRESS.burst + 3600 / ADDRESS.every


def test_a_stolen_device_guesses_slowly_too():
    throttle = Throttle()
    tried = sum(throttle.attempt(password_limits("co-lan", "10.0.0.9", "nonce"), NOW + at) == 0 for at in range(3600))
    assert tried <= DEVICE.burst + 3600 / DEVICE.every


def test_the_second_step_is_not_guessed():
    """Three of a million codes are right at a time: less than one chance in a thousand in a day."""
    throttle = Throttle()
    tried = sum(throttle.attempt(code_limits("co-lan", ""), NOW + at) == 0 for at in range(0, 86_400, 10))
    assert tried * 3 / 1_000_000 < 0.001


def test_the_code_of_the_set_up_is_tried_ten_times_in_a_quarter_of_an_hour():
    throttle = Throttle()
    assert sum(throttle.attempt(((("set-up",), SET_UP),), NOW + at) == 0 for at in range(900)) == 10


strangers = st.lists(
    st.tuples(
        st.sampled_from(["co-lan", "thay-minh", "quan-tri"]), st.sampled_from(["10.0.0.1", "203.0.113.7", "2001:db8::1"]), st.floats(0, 30)
    ),
    max_size=400,
)


@given(strangers, st.integers(0, DEVICE.burst - 1))
@settings(max_examples=60, deadline=None)
def test_a_known_device_with_the_right_password_always_gets_in_whatever_strangers_do(attempts, own_mistakes):
    throttle, now = Throttle(remembered=50), NOW
    own = password_limits("co-lan", "10.0.0.1", "her-phone")
    for _ in range(own_mistakes):
        assert throttle.attempt(own, now) == 0
    for login, address, pause in attempts:
        now += pause
        throttle.attempt(password_limits(login, address, ""), now)
        throttle.attempt(code_limits(login, ""), now)
    assert throttle.attempt(own, now) == 0
    throttle.give_back(own, now)
    assert throttle.attempt(code_limits("co-lan", "her-phone"), now) == 0


@given(st.lists(st.tuples(st.integers(0, 500), st.floats(0, 5)), max_size=300), st.integers(1, 40))
@settings(max_examples=50, deadline=None)
def test_the_memory_is_bounded(attempts, remembered):
    throttle, now = Throttle(remembered=remembered), NOW
    for number, pause in attempts:
        now += pause
        throttle.attempt(password_limits(f"login-{number}", str(ip_address(number)), ""), now)
        assert len(throttle._until) <= remembered


def test_whoever_tries_most_is_not_forgotten_in_a_flood():
    throttle = Throttle(remembered=100)
    guessing = ((("login", "co-lan"), STRANGERS),)
    for _ in range(STRANGERS.burst):
        assert throttle.attempt(guessing, NOW) == 0
    for number in range(5000):
        throttle.attempt(((("pair", f"x{number}"), PAIR),), NOW)
    assert throttle.attempt(guessing, NOW) > 0


@pytest.mark.parametrize(
    ("address", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("10.0.0.1", "::ffff:10.0.0.1", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("testclient", "testclient", True),
        ("", "", True),
    ],
)
def test_what_counts_as_one_address(address, other, same):
    assert (neighbourhood(address) == neighbourhood(other)) is same

"""What is remembered of an upstream, and what follows from it."""

import pytest

from gateway.upstream_health import DOWN_AFTER, PROBE_EVERY, PROBE_RARELY, PROBE_SOON, Upstream, by_preference
from policies.upstream_address import parse


def upstreams(*texts):
    return tuple(Upstream(parse(text)) for text in texts)


def test_order_is_working_then_measured_then_fast():
    slow, fast, unknown, down = upstreams("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4")
    slow.answered(0.2)
    fast.answered(0.02)
    down.answered(0.001)
    down.failed("certificate", "certificate: expired", 0.0)
    assert by_preference([down, unknown, slow, fast]) == (fast, slow, unknown, down)
    assert by_preference([unknown, *upstreams("192.0.2.9")])[0] is unknown, "the file's order otherwise"


def test_patience_follows_the_round_trip_time_within_bounds():
    (upstream,) = upstreams("192.0.2.1")
    for seconds, patience in ((0.001, 0.05), (0.05, 0.15), (1.0, 0.4)):
        upstream.srtt = None
        upstream.answered(seconds)
        assert upstream.patience == pytest.approx(patience)


def test_failures_in_a_row_take_it_down_and_one_answer_brings_it_back():
    (upstream,) = upstreams("192.0.2.1")
    for _ in range(DOWN_AFTER):
        assert upstream.healthy
        upstream.failed("timeout", "no answer in time", 0.0)
    assert not upstream.healthy
    assert upstream.statistics().trouble == "no answer in time"
    upstream.answered(0.01)
    assert upstream.healthy
    assert upstream.statistics().trouble == ""
    assert (upstream.statistics().timeouts, upstream.statistics().errors) == (DOWN_AFTER, 0)


def test_a_bad_certificate_takes_it_down_at_once():
    (upstream,) = upstreams("tls://192.0.2.1")
    upstream.failed("certificate", "certificate: self-signed", 0.0)
    assert not upstream.healthy


def test_probes_of_a_dead_upstream_become_rare_but_never_end():
    (upstream,) = upstreams("192.0.2.1")
    upstream.probed(0.0)
    assert upstream.probe_at == PROBE_EVERY
    for _ in range(DOWN_AFTER):
        upstream.failed("timeout", "no answer in time", 5.0)
    assert upstream.probe_at == 5.0 + PROBE_SOON, "soon, to know"
    pauses = []
    for _ in range(9):
        now = upstream.probe_at
        upstream.probed(now)
        upstream.failed("timeout", "no answer in time", now)
        pauses.append(upstream.probe_at - now)
    assert pauses == [1, 2, 4, 8, 16, 32, PROBE_RARELY, PROBE_RARELY, PROBE_RARELY]
    upstream.answered(0.01)
    upstream.probed(1000.0)
    assert upstream.probe_at == 1000.0 + PROBE_EVERY

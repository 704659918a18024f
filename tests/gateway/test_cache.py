import gc
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.cache import FAILURE_TTL, Cache, cost, is_negative, negative_ttl
from gateway.response import STALE_TTL, forwarded
from gateway.wire import TC, decode_message
from tests.gateway.test_wire_response import query, ttls, upstream
from tests.gateway.wire_messages import responses

KEY = ("www.example.com", 1, False, False)
NOW = 1000.0
SOA = "example.com. {} SOA ns.example.com. nobody.example.com. 1 2 3 4 {}"


def answered(ttl=300, **more):
    return upstream(f"www.example.com. {ttl} A 192.0.2.1", **more)


def absent(ttl=300, minimum=300, rcode=3):
    return upstream(rcode=rcode, authority=[SOA.format(ttl, minimum)])


def failed():
    return upstream(rcode=2)


def test_an_answer_lives_as_long_as_its_ttl():
    cache = Cache(100_000)
    assert cache.get(KEY, NOW) is None
    kept = cache.put(KEY, answered(), NOW)
    assert cache.get(KEY, NOW + 299.9) is kept
    assert (kept.expires, kept.age(NOW + 299.9), kept.hits) == (NOW + 300, 299, 1)
    assert cache.get(KEY, NOW + 300) is None


def test_keys_differ_by_type_do_and_cd():
    cache = Cache(100_000)
    cache.put(KEY, answered(), NOW)
    for key in (("www.example.com", 28, False, False), ("www.example.com", 1, True, False), ("www.example.com", 1, False, True)):
        assert cache.get(key, NOW) is None


def test_the_smallest_ttl_of_a_chain_counts():
    cache = Cache(100_000)
    message = upstream("www.example.com. 300 CNAME a.example.com.", "a.example.com. 20 A 192.0.2.1")
    assert cache.put(KEY, message, NOW).expires == NOW + 20


@pytest.mark.parametrize(
    ("message", "bounds", "life", "sent"),
    [
        (answered(5), {"min_ttl": 60}, 60, [60]),
        (answered(0), {"min_ttl": 60}, 60, [60]),
        (answered(0), {}, None, None),
        (answered(90000), {"max_ttl": 3600}, 3600, [3600]),
        (absent(300, 60), {}, 60, [60]),
        (absent(60, 300), {}, 60, [60]),
        (absent(300, 300), {"max_negative_ttl": 30}, 30, [30]),
        (absent(300, 300), {"max_negative_ttl": 0}, None, None),
        (absent(300, 0), {}, None, None),
        (absent(300, 0), {"min_ttl": 10}, None, None),
        (absent(300, 60, rcode=0), {}, 60, [60]),
        (absent(300, 5), {"min_ttl": 10}, 10, [10]),
        (upstream(rcode=3), {}, None, None),
        (upstream(rcode=0), {}, None, None),
        (upstream("www.example.com. 9 CNAME a.example.com."), {}, None, None),
        (upstream("www.example.com. 9 CNAME a.example.com.", authority=[SOA.format(300, 60)]), {}, 9, [9, 9]),
        (upstream("www.example.com. 99 CNAME a.example.com.", authority=[SOA.format(300, 60)]), {}, 60, [60, 60]),
        (upstream("www.example.com. 9 A 192.0.2.1", rtype="ANY"), {}, 9, [9]),
        (failed(), {}, FAILURE_TTL, []),
        (upstream(rcode=5), {"min_ttl": 60}, FAILURE_TTL, []),
    ],
)
def test_how_long_an_answer_is_kept(message, bounds, life, sent):
    kept = Cache(100_000, **bounds).put(KEY, message, NOW)
    assert (kept and kept.expires - kept.stored_at) == life
    if kept is not None:
        assert [record.ttl for record in kept.message.records] == sent


def test_raised_and_lowered_ttls_are_what_is_sent():
    kept = Cache(100_000, min_ttl=60, max_ttl=100).put(
        KEY, upstream("www.example.com. 5 CNAME a.example.com.", "a.example.com. 500 A 192.0.2.1"), NOW
    )
    assert ttls(forwarded(query(), kept.message, age=kept.age(NOW + 10))) == [50, 90]


def test_a_truncated_answer_is_never_kept():
    message = answered()
    truncated = decode_message(message.data[:2] + (message.flags | TC).to_bytes(2) + message.data[4:])
    assert Cache(100_000).put(KEY, truncated, NOW) is None


def test_stale_answers_wait_for_a_failure():
    cache = Cache(100_000, stale=3600)
    kept = cache.put(KEY, answered(), NOW)
    assert cache.get(KEY, NOW + 301) is None
    assert cache.get_stale(KEY, NOW + 301) is kept
    assert ttls(forwarded(query(), kept.message, ttl=STALE_TTL)) == [STALE_TTL]
    assert cache.get_stale(KEY, NOW + 300 + 3600) is None
    assert cache.get(KEY, NOW + 300 + 3600) is None
    assert (len(cache), cache.size) == (0, 0)


def test_without_a_stale_window_nothing_is_stale():
    cache = Cache(100_000, stale=0)
    cache.put(KEY, answered(), NOW)
    assert cache.get_stale(KEY, NOW + 300) is None


def test_a_failure_does_not_push_out_what_can_be_served_stale():
    """RFC 8767, section 4: else the first SERVFAIL of a dying upstream would end serve-stale."""
    cache = Cache(100_000)
    kept = cache.put(KEY, answered(), NOW)
    assert cache.put(KEY, failed(), NOW + 301) is None
    assert cache.get_stale(KEY, NOW + 301) is kept
    assert kept.retry_at == NOW + 301 + FAILURE_TTL
    cache.put(KEY, answered(), NOW + 310)
    assert cache.get(KEY, NOW + 311).retry_at == 0


def test_an_answer_that_may_not_be_kept_leaves_what_was_there():
    cache = Cache(100_000)
    kept = cache.put(KEY, answered(), NOW)
    assert cache.put(KEY, answered(0), NOW + 301) is None
    assert cache.get_stale(KEY, NOW + 301) is kept


def test_failures_are_not_served_stale():
    cache = Cache(100_000)
    cache.put(KEY, failed(), NOW)
    assert cache.get(KEY, NOW + 4).message.rcode == 2
    assert cache.get(KEY, NOW + FAILURE_TTL) is None
    assert cache.get_stale(KEY, NOW + FAILURE_TTL) is None


def test_an_entry_from_the_future_is_dropped():
    cache = Cache(100_000)
    cache.put(KEY, answered(), NOW)
    assert cache.get_stale(KEY, NOW - 1) is None
    assert cache.get(KEY, NOW - 1) is None
    assert len(cache) == 0


def test_popular_answers_ask_to_be_renewed_near_their_end():
    cache = Cache(100_000)
    kept = cache.put(KEY, answered(100), NOW)
    cache.get(KEY, NOW)
    cache.get(KEY, NOW)
    assert not kept.wants_refresh(NOW + 95)
    cache.get(KEY, NOW)
    assert not kept.wants_refresh(NOW + 89)
    assert kept.wants_refresh(NOW + 91)
    cache.put(KEY, failed(), NOW + 92)
    assert not kept.wants_refresh(NOW + 93)
    assert kept.wants_refresh(NOW + 98)


def test_the_least_recently_used_goes_first():
    one = cost(answered())
    cache = Cache(3 * one)
    keys = [(f"{name}.example", 1, False, False) for name in "abcd"]
    for key in keys[:3]:
        cache.put(key, answered(), NOW)
    cache.get(keys[0], NOW)
    cache.put(keys[3], answered(), NOW)
    assert [cache.get(key, NOW) is not None for key in keys] == [True, False, True, True]
    assert (cache.size, cache.evicted) == (3 * one, 1)


def test_what_is_larger_than_the_whole_cache_is_not_kept():
    cache = Cache(1000)
    assert cache.put(KEY, answered(), NOW) is None
    assert cache.size == 0


def test_clear_and_drop():
    cache = Cache(100_000)
    cache.put(KEY, answered(), NOW)
    cache.drop(("other", 1, False, False))
    cache.drop(KEY)
    assert (len(cache), cache.size) == (0, 0)
    cache.put(KEY, answered(), NOW)
    cache.clear()
    assert (len(cache), cache.size) == (0, 0)


MESSAGES = [
    answered(),
    answered(0),
    answered(1),
    absent(),
    absent(300, 0),
    failed(),
    upstream("www.example.com. 60 TXT " + "x" * 250, rtype="TXT"),
]
KEYS = [(f"{name}.example", 1, False, False) for name in "abcdefgh"]


class Accounting(RuleBasedStateMachine):
    """After any sequence of operations the sum is right, the limit holds and no answer outlives its time."""

    def __init__(self):
        super().__init__()
        self.cache = Cache(6000, stale=50)
        self.now = NOW

    @rule(key=st.sampled_from(KEYS), message=st.sampled_from(MESSAGES))
    def put(self, key, message):
        kept = self.cache.put(key, message, self.now)
        assert kept is None or self.cache.get(key, self.now) is kept

    @rule(key=st.sampled_from(KEYS))
    def get(self, key):
        found = self.cache.get(key, self.now)
        assert found is None or found.stored_at <= self.now < found.expires

    @rule(key=st.sampled_from(KEYS))
    def get_stale(self, key):
        found = self.cache.get_stale(key, self.now)
        assert found is None or self.now < found.stale_until

    @rule(seconds=st.floats(-20, 400))
    def wait(self, seconds):
        self.now += seconds

    @rule(key=st.sampled_from(KEYS))
    def drop(self, key):
        self.cache.drop(key)

    @precondition(lambda self: len(self.cache) > 3)
    @rule()
    def clear(self):
        self.cache.clear()

    @invariant()
    def the_sum_is_right(self):
        assert self.cache.size == sum(entry.cost for entry in self.cache._entries.values()) <= self.cache.limit


TestAccounting = Accounting.TestCase
TestAccounting.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize(
    "records",
    [
        ("www.example.com. 300 A 192.0.2.1",),
        tuple(f"www.example.com. 3000 A 192.0.2.{n}" for n in range(9)),
        ("www.example.com. 300 CNAME a.example.net.", "a.example.net. 600 CNAME b.example.org.", "b.example.org. 900 A 192.0.2.1"),
        ("www.example.com. 300 HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.1,192.0.2.2 ech=AAj+DQAEAAAAAA== ipv6hint=2001:db8::1",),
    ],
)
def test_the_claimed_size_is_the_real_one(records):
    octets = upstream(*records, rtype=records[-1].split()[2]).data
    count = 500
    cache = Cache(10**9)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(count):
            message = decode_message(octets[:12] + bytes(octets[12:]))
            cache.put((f"www{number}.example.com", 1, False, False), message, NOW + number)
        del message
        gc.collect()
        real = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert 0.65 * cache.size <= real <= cache.size


@given(st.integers(0, 2**31 - 1), st.integers(0, 2**32 - 1))
def test_negative_answers_take_the_smaller_of_two_numbers(ttl, minimum):
    message = absent(ttl, minimum)
    assert is_negative(message)
    assert negative_ttl(message) == min(ttl, minimum)


def test_an_opt_between_records_is_moved_once_and_not_for_every_client():
    octets = answered().data
    behind = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x09\x00\x04\xc0\x00\x02\x07"
    message = decode_message(octets[:11] + bytes([octets[11] + 1]) + octets[12:] + behind)
    kept = Cache(100_000).put(KEY, message, NOW)
    assert (message.opt_is_last, kept.message.opt_is_last) == (False, True)
    assert [record.ttl for record in kept.message.records] == [300, 9]


@given(responses(), st.integers(0, 100), st.integers(1, 1000))
def test_bounding_the_ttls_changes_nothing_else(made, lowest, highest):
    message = decode_message(made.to_wire(max_size=65535))
    kept = Cache(10**7, min_ttl=lowest, max_ttl=highest, max_negative_ttl=highest).put(KEY, message, NOW)
    if kept is not None:
        again = decode_message(kept.message.data)
        again.forget_records()
        assert kept.message == again
        assert [record[:4] for record in kept.message.records] == [record[:4] for record in message.records]
        if kept.message.rcode in {0, 3}:
            assert all(record.ttl <= max(lowest, highest) for record in kept.message.records)

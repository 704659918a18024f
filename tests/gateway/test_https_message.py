"""RFC 8484 as rules on values: which requests carry a query, and how long HTTP may keep an answer."""

from base64 import urlsafe_b64encode

import dnslib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.https_message import Request, Status, freshness, query_in, response_with
from gateway.stream import MAX_MESSAGE

PATH = "/dns-query"
TYPE = b"application/dns-message"
SHORTEST = bytes(12)

messages = st.binary(min_size=12, max_size=200).filter(lambda message: not message[2] & 0x80)


def get(message):
    return Request(b"GET", b"/dns-query?dns=" + urlsafe_b64encode(message).rstrip(b"="), b"", b"")


@given(messages)
def test_get_and_post_carry_the_same(message):
    assert query_in(get(message), PATH) == message
    assert query_in(Request(b"POST", b"/dns-query", TYPE, message), PATH) == message


@pytest.mark.parametrize(
    ("target", "content_type", "expected"),
    [
        (b"/dns-query?anything=1", b"Application/DNS-Message", SHORTEST),
        (b"/dns-query", b"application/dns-message; charset=x", SHORTEST),
        (b"/dns-query", b"application/dns-messages", Status.UNSUPPORTED_MEDIA_TYPE),
        (b"/DNS-QUERY", TYPE, Status.NOT_FOUND),
        (b"https://box/dns-query", TYPE, Status.NOT_FOUND),
        (b"", TYPE, Status.NOT_FOUND),
    ],
)
def test_what_a_post_must_say(target, content_type, expected):
    assert query_in(Request(b"POST", target, content_type, SHORTEST), PATH) == expected


def test_the_longest_query_and_one_octet_more():
    longest = bytes(MAX_MESSAGE)
    assert query_in(get(longest), PATH) == longest
    assert query_in(get(longest + b"\0"), PATH) == Status.URI_TOO_LONG
    assert query_in(Request(b"POST", b"/dns-query", TYPE, longest), PATH) == longest
    assert query_in(Request(b"POST", b"/dns-query", TYPE, longest + b"\0"), PATH) == Status.TOO_LARGE


def test_the_first_dns_parameter_counts():
    first = get(SHORTEST).target
    assert query_in(Request(b"GET", first.replace(b"?", b"?x=1&") + b"&dns=!", b"", b""), PATH) == SHORTEST


texts = st.binary(max_size=60)


@given(st.sampled_from([b"GET", b"POST", b"PUT", b""]), st.sampled_from([b"", b"?dns=", b"?x&dns="]), texts, texts, texts)
def test_every_request_has_a_query_or_a_status(method, parameter, value, content_type, body):
    found = query_in(Request(method, b"/dns-query" + parameter + value, content_type, body), PATH)
    assert isinstance(found, Status) or 12 <= len(found) <= MAX_MESSAGE


def answer(*ttls, authority=()):
    message = dnslib.DNSRecord.question("www.example.vn").reply()
    for ttl in ttls:
        message.add_answer(dnslib.RR("www.example.vn", rdata=dnslib.A("192.0.2.1"), ttl=ttl))
    for ttl in authority:
        message.add_auth(dnslib.RR("example.vn", dnslib.QTYPE.NS, rdata=dnslib.NS("ns.example.vn"), ttl=ttl))
    return bytes(message.pack())


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        (answer(60), 60),
        (answer(300, 20), 20),
        (answer(300, authority=(20,)), 20),
        (answer(authority=(20,)), 0),
        (answer(), 0),
        (b"\0" * 12, 0),
        (b"", 0),
    ],
    ids=["one", "the smallest", "of any section", "no answer section", "empty", "a query", "nothing"],
)
def test_http_keeps_an_answer_no_longer_than_its_smallest_ttl(message, seconds):
    """RFC 8484 section 5.1."""
    assert freshness(message) == seconds


def test_no_answer_is_a_refusal():
    assert response_with(b"").status == Status.FORBIDDEN
    assert response_with(answer(60)).headers[1] == (b"cache-control", b"max-age=60")

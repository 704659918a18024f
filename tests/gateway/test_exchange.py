"""The exchange: what ends the wait and what does not, without a socket."""

from itertools import count

import pytest
from dnslib import EDNS0, QTYPE, RCODE, RR, A, DNSRecord, EDNSOption
from hypothesis import given
from hypothesis import strategies as st

from gateway.exchange import DEADLINE, FORGERIES, HOPELESS_DEADLINE, Attempt, Exchange, Failure, Question
from gateway.upstream_health import DOWN_AFTER, UNKNOWN_PATIENCE, Upstream
from gateway.wire import FormatError, Message
from policies.upstream_address import parse

QUESTION = Question("www.example.vn", QTYPE.A)


def upstreams(*texts: str) -> tuple[Upstream, ...]:
    return tuple(Upstream(parse(text)) for text in texts)


ONE = ("192.0.2.1",)
TWO = ("192.0.2.1", "192.0.2.2")


def begun(*texts, question=QUESTION, now=0.0):
    exchange = Exchange(question, upstreams(*texts), count(0x1000))
    return exchange, exchange.begin(now)


def reply(attempt, *, rcode=0, truncated=False, ede=None, answer=True):
    message = DNSRecord.parse(attempt.packet).reply(ra=1, aa=0)
    if answer:
        message.add_answer(RR(message.q.qname, QTYPE.A, rdata=A("192.0.2.80"), ttl=60))
    message.header.rcode = rcode
    message.header.tc = int(truncated)
    if ede is not None:
        message.add_ar(EDNS0(opts=[EDNSOption(15, ede.to_bytes(2))]))
    return bytes(message.pack())


def error(attempt, rcode, ede=None):
    return reply(attempt, rcode=rcode, ede=ede, answer=False)


def changed(data, at, value):
    return data[:at] + bytes([value]) + data[at + 1 :]


def test_the_first_packet_asks_for_recursion_authenticity_and_1232_bytes():
    _, attempt = begun(*ONE)
    sent = DNSRecord.parse(attempt.packet)
    assert (sent.header.id, sent.header.rd, sent.header.ad, sent.header.cd) == (0x1000, 1, 1, 0)
    assert (str(sent.q.qname), sent.q.qtype, sent.q.qclass) == ("www.example.vn.", QTYPE.A, 1)
    assert (sent.ar[0].rtype, sent.ar[0].rclass, sent.ar[0].ttl) == (QTYPE.OPT, 1232, 0)
    assert not attempt.stream


@pytest.mark.parametrize(("do", "cd"), [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("upstream", ["192.0.2.1", "tls://192.0.2.1"])
def test_do_and_cd_are_carried(do, cd, upstream):
    _, attempt = begun(upstream, question=Question("example.vn", QTYPE.A, do, cd))
    sent = DNSRecord.parse(attempt.packet)
    assert (bool(sent.ar[0].ttl & 0x8000), bool(sent.header.cd)) == (do, cd)


@pytest.mark.parametrize("labels", range(1, 12))
def test_encrypted_queries_are_padded_to_128_bytes(labels):
    _, attempt = begun("tls://192.0.2.1", question=Question(".".join(["abcdefghi"] * labels), QTYPE.A))
    assert len(attempt.packet) % 128 == 0
    assert attempt.stream
    assert DNSRecord.parse(attempt.packet).ar[0].rtype == QTYPE.OPT


def test_a_name_that_is_none_is_refused():
    with pytest.raises(FormatError):
        Exchange(Question("a" * 64, QTYPE.A), upstreams(*ONE), count())


def test_an_answer_ends_the_exchange_and_is_credited():
    exchange, attempt = begun(*ONE)
    result = exchange.receive(attempt, reply(attempt), 0.030)
    assert isinstance(result, Message)
    upstream = attempt.upstream
    assert (upstream.queries, upstream.answers, upstream.srtt, upstream.failures) == (1, 1, 0.030, {})


@pytest.mark.parametrize("rcode", [RCODE.NXDOMAIN, RCODE.NOERROR, RCODE.YXDOMAIN])
def test_negative_answers_are_answers(rcode):
    exchange, attempt = begun(*TWO)
    result = exchange.receive(attempt, error(attempt, rcode), 0.01)
    assert isinstance(result, Message)
    assert result.rcode == rcode


def test_a_reply_in_another_case_is_accepted():
    exchange, attempt = begun(*ONE)
    data = reply(attempt)
    assert isinstance(exchange.receive(attempt, data.replace(b"example", b"eXaMpLe", 1), 0.01), Message)


def other_question(attempt, qname, qtype=QTYPE.A, qclass=1):
    message = DNSRecord.parse(reply(attempt))
    message.q.qname, message.q.qtype, message.q.qclass = qname, qtype, qclass
    return bytes(message.pack())


FORGED = {
    "id": lambda attempt: changed(reply(attempt), 1, 0xEE),
    "name": lambda attempt: other_question(attempt, "www.example.com"),
    "longer name": lambda attempt: other_question(attempt, "x.www.example.vn"),
    "type": lambda attempt: other_question(attempt, "www.example.vn", QTYPE.AAAA),
    "type that differs like case does": lambda attempt: other_question(attempt, "www.example.vn", 0x21),
    "class": lambda attempt: other_question(attempt, "www.example.vn", QTYPE.A, 3),
    "a query": lambda attempt: attempt.packet,
    "opcode": lambda attempt: changed(reply(attempt), 2, 0x90),
    "no question": lambda attempt: reply(attempt)[:4] + b"\0\0" + b"\0" * 6,
    "two questions": lambda attempt: changed(reply(attempt), 5, 2),
    "empty": lambda _: b"",
    "short": lambda attempt: reply(attempt)[:11],
    "TC, id": lambda attempt: changed(reply(attempt, truncated=True), 0, 0xEE),
    "TC, question": lambda attempt: changed(other_question(attempt, "www.example.com"), 2, 0x83),
    "TC, header only": lambda attempt: changed(reply(attempt), 2, 0x83)[:12],
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_cve_2023_29483_a_forged_reply_does_not_end_the_wait(forge):
    exchange, attempt = begun(*ONE)
    assert exchange.receive(attempt, forge(attempt), 0.001) is None
    assert attempt.upstream.mismatches == 1
    assert attempt.upstream.truncated == 0
    assert isinstance(exchange.receive(attempt, reply(attempt), 0.002), Message)


def test_a_type_is_not_compared_in_lower_case():
    """Type 65 (HTTPS) is an ``A`` to ``bytes.lower``, type 97 an ``a``."""
    exchange, attempt = begun(*ONE, question=Question("www.example.vn", 65))
    assert exchange.receive(attempt, other_question(attempt, "www.example.vn", 97), 0.001) is None


@pytest.mark.parametrize("cut", [0, 1, 5, 20])
def test_dnspython_2_6_1_truncation_is_not_swallowed(cut):
    """The first mend of CVE-2023-29483 threw truncated replies away with the forged ones. However mangled, they lead to a stream."""
    exchange, attempt = begun(*TWO)
    data = reply(attempt, truncated=True)
    over = exchange.receive(attempt, data[: len(data) - cut] if cut < 20 else data[: 12 + 20], 0.01)
    assert isinstance(over, Attempt)
    assert (over.stream, over.upstream, exchange.waiting) == (True, attempt.upstream, [over])
    assert attempt.upstream.truncated == 1
    assert isinstance(exchange.receive(over, reply(over), 0.03), Message)


def test_a_truncated_reply_over_a_stream_is_what_it_is():
    exchange, attempt = begun("tcp://192.0.2.1")
    result = exchange.receive(attempt, reply(attempt, truncated=True), 0.01)
    assert isinstance(result, Message)
    assert result.truncated


def test_many_forgeries_move_the_question_to_a_stream():
    exchange, attempt = begun(*ONE)
    forged = changed(reply(attempt), 1, 0xEE)
    for _ in range(FORGERIES - 1):
        assert exchange.receive(attempt, forged, 0.001) is None
    over = exchange.receive(attempt, forged, 0.002)
    assert isinstance(over, Attempt)
    assert over.stream
    assert exchange.receive(attempt, reply(attempt), 0.003) is None, "the port is burnt"


def test_a_mismatch_on_a_stream_is_a_broken_server():
    exchange, attempt = begun("tcp://192.0.2.1", "192.0.2.2")
    following = exchange.receive(attempt, other_question(attempt, "www.example.com"), 0.01)
    assert isinstance(following, Attempt)
    assert following.upstream is not attempt.upstream
    assert attempt.upstream.failures == {"malformed": 1}


@pytest.mark.parametrize("rcode", [RCODE.FORMERR, RCODE.NOTIMP, 16])
def test_an_upstream_without_edns_is_asked_without(rcode):
    exchange, attempt = begun(*TWO, question=Question("example.vn", QTYPE.A, True, True))
    plain = exchange.receive(attempt, _with_rcode(attempt, rcode), 0.01)
    assert isinstance(plain, Attempt)
    assert plain.upstream is attempt.upstream
    sent = DNSRecord.parse(plain.packet)
    assert (sent.ar, sent.header.cd) == ([], 1)
    assert isinstance(exchange.receive(plain, reply(plain), 0.02), Message)
    later = Exchange(QUESTION, (attempt.upstream,), count())
    assert not DNSRecord.parse(later.begin(1.0).packet).ar, "it is remembered"
    again = Exchange(QUESTION, (attempt.upstream,), count())
    assert DNSRecord.parse(again.begin(10_000.0).packet).ar, "and tried again in time"


def _with_rcode(attempt, rcode):
    message = DNSRecord.parse(error(attempt, rcode & 15))
    if rcode > 15:
        message.add_ar(EDNS0(ext_rcode=rcode >> 4))
    return bytes(message.pack())


@pytest.mark.parametrize("rcode", [RCODE.FORMERR, RCODE.NOTIMP])
def test_a_header_alone_may_refuse_edns(rcode):
    exchange, attempt = begun(*ONE)
    data = error(attempt, rcode)[:4] + b"\0" * 8
    plain = exchange.receive(attempt, data, 0.01)
    assert isinstance(plain, Attempt)
    assert not DNSRecord.parse(plain.packet).ar


def test_formerr_without_edns_is_an_error_like_others():
    exchange, attempt = begun(*TWO)
    plain = exchange.receive(attempt, error(attempt, RCODE.FORMERR), 0.01)
    following = exchange.receive(plain, error(plain, RCODE.FORMERR), 0.02)
    assert following.upstream is not attempt.upstream
    assert attempt.upstream.no_edns_until == 0.0, "that did not help, so it is not remembered"


@pytest.mark.parametrize("rcode", [RCODE.SERVFAIL, RCODE.REFUSED])
def test_an_error_leads_to_the_next_upstream_and_is_debited_when_that_does_better(rcode):
    exchange, attempt = begun(*TWO)
    following = exchange.receive(attempt, error(attempt, rcode), 0.01)
    assert following.upstream is not attempt.upstream
    assert isinstance(exchange.receive(following, reply(following), 0.02), Message)
    assert attempt.upstream.failures == {"servfail": 1}


def test_an_error_of_all_upstreams_is_the_answer_and_nobodys_fault():
    exchange, attempt = begun(*TWO)
    following = exchange.receive(attempt, error(attempt, RCODE.SERVFAIL), 0.01)
    result = exchange.receive(following, error(following, RCODE.SERVFAIL), 0.02)
    assert isinstance(result, Message)
    assert result.rcode == RCODE.SERVFAIL
    assert attempt.upstream.failures == following.upstream.failures == {}


def test_an_upstream_that_always_refuses_is_down_even_if_it_is_the_only_one():
    (upstream,) = upstreams(*ONE)
    for at in range(DOWN_AFTER):
        exchange = Exchange(QUESTION, (upstream,), count())
        attempt = exchange.begin(float(at))
        assert isinstance(exchange.receive(attempt, error(attempt, RCODE.REFUSED), at + 0.01), Message)
    assert (upstream.healthy, upstream.trouble) == (False, "refuses to answer")


def test_an_error_without_its_question_is_a_failure():
    exchange, attempt = begun(*ONE)
    assert exchange.receive(attempt, error(attempt, RCODE.REFUSED)[:4] + b"\0" * 8, 0.01) == Failure("192.0.2.1: answered with rcode 5")


@pytest.mark.parametrize(("ede", "final"), [(6, True), (7, True), (9, True), (12, True), (22, False), (23, False)])
def test_bogus_dnssec_is_final_since_another_upstream_may_not_validate(ede, final):
    exchange, attempt = begun(*TWO)
    result = exchange.receive(attempt, error(attempt, RCODE.SERVFAIL, ede), 0.01)
    assert isinstance(result, Message if final else Attempt)


def test_an_unreadable_answer_leads_to_the_next_upstream():
    exchange, attempt = begun(*TWO)
    following = exchange.receive(attempt, reply(attempt)[:-3], 0.01)
    assert following.upstream is not attempt.upstream
    assert attempt.upstream.failures == {"malformed": 1}


def test_a_late_upstream_is_not_waited_for():
    exchange, attempt = begun(*TWO)
    assert exchange.due == UNKNOWN_PATIENCE
    hedge = exchange.handle_timer(exchange.due)
    assert hedge.upstream is not attempt.upstream
    assert isinstance(exchange.receive(hedge, reply(hedge), 0.25), Message)
    assert attempt.upstream.failures == {"timeout": 1}
    assert attempt.upstream.srtt == 0.25
    assert attempt.upstream.healthy, "late, not dead: a probe will tell"


def test_the_late_upstream_may_still_win():
    exchange, attempt = begun(*TWO)
    hedge = exchange.handle_timer(exchange.due)
    assert isinstance(exchange.receive(attempt, reply(attempt), 0.21), Message)
    assert hedge.upstream.failures == {}, "it had no time to be late"


def test_the_others_error_does_not_end_the_wait_for_the_late_one():
    exchange, attempt = begun(*TWO)
    hedge = exchange.handle_timer(exchange.due)
    assert exchange.receive(hedge, error(hedge, RCODE.SERVFAIL), 0.21) is None
    assert isinstance(exchange.receive(attempt, reply(attempt), 0.5), Message)


def run_out(exchange):
    """The packets that silence leads to, and the end."""
    asked = []
    while True:
        now = exchange.due
        command = exchange.handle_timer(now)
        if isinstance(command, Attempt):
            asked.append((round(now, 3), command))
        elif command is not None:
            return asked, command, now


def test_silence_is_met_with_a_few_repetitions_then_failure():
    exchange, attempt = begun(*ONE)
    asked, result, now = run_out(exchange)
    assert [at for at, _ in asked] == [0.2, 0.6, 1.4]
    assert len({again.packet for _, again in asked} | {attempt.packet}) == 4, "an id of its own each"
    assert result == Failure("192.0.2.1: no answer in time")
    assert now == DEADLINE
    assert attempt.upstream.failures == {"timeout": 1}


def test_a_stream_repeats_by_itself():
    exchange, _ = begun("tls://192.0.2.1")
    asked, result, _ = run_out(exchange)
    assert asked == []
    assert isinstance(result, Failure)


def test_hopeless_upstreams_are_waited_for_only_briefly_except_by_a_probe():
    (upstream,) = upstreams(*ONE)
    for at in range(DOWN_AFTER):
        upstream.failed("timeout", "no answer in time", float(at))
    exchange = Exchange(QUESTION, (upstream,), count())
    exchange.begin(10.0)
    assert exchange.deadline == 10.0 + HOPELESS_DEADLINE
    exchange.begin(10.0, patient=True)
    assert exchange.deadline == 10.0 + DEADLINE


def test_failures_of_all_upstreams_are_named():
    exchange, attempt = begun(*TWO)
    following = exchange.fail(attempt, "network", "connection refused", 0.01)
    result = exchange.fail(following, None, "too many open files", 0.02)
    assert result == Failure("192.0.2.1: connection refused; 192.0.2.2: too many open files")
    assert (attempt.upstream.failures, following.upstream.failures) == ({"network": 1}, {})


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["answer", "forged", "truncated", "servfail", "formerr", "garbage", "failed", "ours", "timer"]),
        st.integers(0, 9),
        st.floats(0, 0.3),
    ),
    max_size=40,
)


@given(EVENTS, st.lists(st.sampled_from(["192.0.2.1", "192.0.2.2", "tcp://192.0.2.3", "tls://192.0.2.4"]), min_size=1, max_size=4))
def test_any_events_in_any_order_end_it_once_within_the_deadline(events, addresses):
    exchange = Exchange(QUESTION, upstreams(*addresses), count())
    attempts = [exchange.begin(0.0)]
    now = 0.0
    for kind, which, pause in events:
        now = min(now + pause, exchange.due)
        command = _happen(exchange, kind, attempts[which % len(attempts)], now)
        if isinstance(command, Attempt):
            assert command in exchange.waiting
            attempts.append(command)
        elif command is not None:
            break
        assert exchange.waiting
        assert now <= exchange.due <= exchange.deadline
    else:
        _, command, now = run_out(exchange)
    assert isinstance(command, Message | Failure)
    assert now <= DEADLINE
    assert len(attempts) < 40


def _happen(exchange, kind, attempt, now):
    if kind == "timer":
        return exchange.handle_timer(exchange.due)
    if kind in {"failed", "ours"}:
        return exchange.fail(attempt, "network" if kind == "failed" else None, "broken", now)
    data = {
        "answer": lambda: reply(attempt),
        "forged": lambda: changed(reply(attempt), 1, attempt.packet[1] ^ 1),
        "truncated": lambda: reply(attempt, truncated=True),
        "servfail": lambda: error(attempt, RCODE.SERVFAIL),
        "formerr": lambda: error(attempt, RCODE.FORMERR),
        "garbage": lambda: reply(attempt)[:-2],
    }[kind]()
    return exchange.receive(attempt, data, now)


@given(st.binary(max_size=80))
def test_any_bytes_are_survived(data):
    exchange, attempt = begun(*ONE)
    exchange.receive(attempt, data, 0.01)
    exchange, attempt = begun(*ONE)
    exchange.receive(attempt, attempt.packet[:2] + b"\x81\x80\0\1" + attempt.packet[6:-11] + data, 0.01)

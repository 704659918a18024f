import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import dnslib
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.edns import Edns, ede
from gateway.numbers import Ede, Rcode, Type, type_name
from gateway.response import (
    LocalRecord,
    addressed,
    age,
    answer,
    blocked,
    forwarded,
    minimal_any,
    name_record,
    nodata,
    nxdomain,
    truncated,
    udp_limit,
)
from gateway.wire import FormatError, addresses, decode_message, decode_query
from policies.model import BlockAnswer
from tests.gateway.wire_messages import HOSTS, NAMES, queries, rdata, responses

PAGE = (b"\x0a\0\0\1", bytes(15) + b"\1")


def query(name="www.Example.com.", rtype="A", *, do=False, edns=True, flags=dns.flags.RD):
    made = dns.message.make_query(name, rtype, use_edns=False)
    made.flags = flags
    if edns:
        made.use_edns(0, 0x8000 if do else 0, 1232)
    return decode_query(made.to_wire())


def packet(reply, ident=4711):
    return ident.to_bytes(2) + bytes(reply.body)


def parsed(reply):
    return dns.message.from_wire(packet(reply), one_rr_per_rrset=True)


def upstream(*records, name="www.example.com.", rtype="A", flags=0, rcode=0, authority=(), additional=(), options=(), opt=True):
    """An upstream's answer, decoded."""
    made = dns.message.make_response(dns.message.make_query(name, rtype, use_edns=0 if opt else None))
    made.flags |= flags | dns.flags.RA
    if opt:
        made.use_edns(0, 0, 1232, options=list(options))
    made.set_rcode(rcode)
    for section, texts in ((made.answer, records), (made.authority, authority), (made.additional, additional)):
        for text in texts:
            owner, ttl, kind, data = text.split(maxsplit=3)
            section.append(dns.rrset.from_text(owner, int(ttl), "IN", kind, data))
    return decode_message(made.to_wire())


def ttls(reply):
    return [int.from_bytes(reply.body[at : at + 4]) for at in reply.ttl_offsets]


EXAMPLE = ("www.example.com. 300 CNAME cdn.example.net.", "cdn.example.net. 60 A 192.0.2.1")


def test_forwarded_keeps_the_clients_spelling_and_the_upstreams_records():
    asked = query("wWw.eXample.com.")
    reply = forwarded(asked, upstream(*EXAMPLE))
    assert bytes(reply.body).count(asked.question) == 1
    read = parsed(reply)
    assert [rrset.to_text() for rrset in read.answer] == [
        "wWw.eXample.com. 300 IN CNAME cdn.example.net.",
        "cdn.example.net. 60 IN A 192.0.2.1",
    ]
    assert (reply.ttl, ttls(reply)) == (60, [300, 60])
    assert (read.edns, read.payload) == (0, 1232)


@pytest.mark.parametrize(
    ("arguments", "expected", "lowest"),
    [
        ({}, [300, 60], 60),
        ({"age": 59}, [241, 1], 1),
        ({"age": 61}, [239, 0], 0),
        ({"ttl_limit": 100}, [100, 60], 60),
        ({"age": 10, "ttl_limit": 40}, [40, 40], 40),
        ({"age": 100, "ttl": 30}, [30, 30], 30),
        ({"ttl_limit": 0}, [0, 0], 0),
    ],
)
def test_ttls_are_aged_and_limited(arguments, expected, lowest):
    reply = forwarded(query(), upstream(*EXAMPLE), **arguments)
    assert ttls(reply) == expected == [rrset.ttl for rrset in parsed(reply).answer]
    assert reply.ttl == lowest


def test_a_ready_made_answer_ages_in_place():
    reply = forwarded(query(), upstream(*EXAMPLE))
    before = bytes(reply.body)
    age(reply.body, reply.ttl_offsets, 50)
    assert ttls(reply) == [250, 10]
    age(reply.body, reply.ttl_offsets, 50)
    assert ttls(reply) == [200, 0]
    assert len(before) == len(reply.body)


FLAGS = dns.flags
AD_CASES = [  # client's flags, DO, upstream says AD, client sees AD
    (FLAGS.RD, False, True, False),
    (FLAGS.RD | FLAGS.AD, False, True, True),
    (FLAGS.RD, True, True, True),
    (FLAGS.RD | FLAGS.AD, True, False, False),
]


@pytest.mark.parametrize(("flags", "do", "upstream_ad", "expected"), AD_CASES)
def test_ad_only_for_who_asked_and_only_from_the_upstream(flags, do, upstream_ad, expected):
    reply = parsed(forwarded(query(flags=flags, do=do), upstream(*EXAMPLE, flags=FLAGS.AD if upstream_ad else 0)))
    assert bool(reply.flags & FLAGS.AD) == expected
    assert bool(reply.ednsflags & 0x8000) == do


@pytest.mark.parametrize("flags", [0, FLAGS.RD, FLAGS.CD, FLAGS.RD | FLAGS.CD])
def test_rd_and_cd_are_copied_and_ra_is_set(flags):
    for reply in (forwarded(query(flags=flags), upstream(*EXAMPLE, flags=FLAGS.AA)), nxdomain(query(flags=flags), 10)):
        assert parsed(reply).flags & 0xFFF0 == FLAGS.QR | FLAGS.RA | flags


def test_edns_only_for_who_used_it():
    assert parsed(forwarded(query(edns=False), upstream(*EXAMPLE))).edns == -1
    assert parsed(forwarded(query(), upstream(*EXAMPLE, opt=False))).edns == 0
    assert parsed(blocked(query(edns=False), BlockAnswer.NXDOMAIN, 10, options=ede(15, "x"))).edns == -1


def test_the_upstreams_extended_error_is_passed_on_and_nothing_else_of_its_options():
    options = [dns.edns.EDEOption(6, "bogus"), dns.edns.GenericOption(10, b"c" * 16)]
    read = parsed(forwarded(query(), upstream(rcode=2, options=options), options=ede(Ede.STALE_ANSWER)))
    assert [(option.code, option.text) for option in read.options] == [(3, None), (6, "bogus")]
    assert read.rcode() == 2


def test_an_opt_between_other_records_is_put_last():
    message = upstream(*EXAMPLE, additional=["ns.example.net. 5 A 192.0.2.53"])
    opt = b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"
    swapped = message.data.replace(opt, b"")
    at = decode_message(swapped[:11] + b"\x01" + swapped[12:]).records[1].rdata_end
    message = decode_message(swapped[:11] + b"\x02" + swapped[12:at] + opt + swapped[at:])
    assert not message.opt_is_last
    read = parsed(forwarded(query(), message))
    assert [rrset.to_text() for rrset in read.additional] == ["ns.example.net. 5 IN A 192.0.2.53"]
    assert len(read.answer) == 2
    assert read.edns == 0


def test_an_answer_to_another_question_is_never_sent():
    for other in ({"name": "www.example.org."}, {"rtype": "AAAA"}, {"name": "wwww.example.com."}):
        with pytest.raises(FormatError) as caught:
            forwarded(query(), upstream(**other))
        assert caught.value.rcode == Rcode.SERVFAIL


@pytest.mark.parametrize(("rcode", "sent"), [(2, 2), (5, 5), (1, 2), (4, 2), (0, 2)])
def test_an_upstreams_error_without_question(rcode, sent):
    message = decode_message(b"\0\0\x81\x80"[:3] + bytes([0x80 | rcode]) + bytes(8))
    reply = forwarded(query(), message)
    assert (parsed(reply).rcode(), len(parsed(reply).question), reply.ttl) == (sent, 1, 0)


def test_an_extended_rcode_of_the_upstream_is_between_it_and_us():
    message = upstream(rcode=dns.rcode.BADVERS)
    assert message.rcode == 16
    assert parsed(forwarded(query(), message)).rcode() == 2


@given(queries(), st.data())
def test_any_answer_forwarded_is_what_the_upstream_said(made, data):
    asked = decode_query(made.to_wire())
    response = data.draw(responses())
    response.question = made.question
    sent = response.to_wire(max_size=65535)
    reply = forwarded(asked, decode_message(sent))
    before, after = (dns.message.from_wire(octets, one_rr_per_rrset=True) for octets in (sent, packet(reply, made.id)))
    for name in ("question", "answer", "authority", "additional"):
        assert [str(rrset) for rrset in getattr(before, name)] == [str(rrset) for rrset in getattr(after, name)]
    assert bytes(reply.body).count(asked.question) >= 1
    assert dns.message.from_wire(made.to_wire()).is_response(after)
    assert reply.ttl == min(ttls(reply), default=0)
    assert (reply.opt_at == len(reply.body)) == (asked.edns is None)


@given(queries(HOSTS), st.sampled_from(BlockAnswer), st.integers(0, 86400), st.text(max_size=60))
def test_every_block_answer_is_read_by_both_oracles(made, how, ttl, text):
    asked = decode_query(made.to_wire())
    reply = blocked(asked, how, ttl, page=PAGE, options=ede(Ede.BLOCKED, text))
    read, other = parsed(reply), dnslib.DNSRecord.parse(packet(reply))
    assert read.rcode() == other.header.rcode == {"nxdomain": 3, "refused": 5}.get(how.value, 0)
    assert (len(read.answer), len(read.authority)) == (len(other.rr), len(other.auth))
    assert set(ttls(reply)) <= {ttl}
    if asked.edns is not None:
        assert [(option.code, option.text or "") for option in read.options] == [(15, text.rstrip("\0"))] or "\0" in text
    for rrset in (*read.answer, *read.authority):
        assert rrset.name == made.question[0].name


@pytest.mark.parametrize(
    ("how", "rtype", "rcode", "answers", "negative"),
    [
        ("nxdomain", "A", 3, [], True),
        ("nodata", "A", 0, [], True),
        ("refused", "A", 5, [], False),
        ("null", "A", 0, ["0.0.0.0"], False),
        ("null", "AAAA", 0, ["::"], False),
        ("null", "HTTPS", 0, [], True),
        ("page", "A", 0, ["10.0.0.1"], False),
        ("page", "AAAA", 0, ["::1"], False),
        ("page", "MX", 0, [], True),
    ],
)
def test_block_answers(how, rtype, rcode, answers, negative):
    read = parsed(blocked(query(rtype=rtype), BlockAnswer(how), 10, page=PAGE, options=ede(Ede.CENSORED, "Điều 33")))
    assert (read.rcode(), [rrset[0].to_text() for rrset in read.answer]) == (rcode, answers)
    assert bool(read.authority) == negative
    if negative:
        assert (read.authority[0].ttl, read.authority[0][0].minimum) == (10, 10)
    assert [(option.code, option.text) for option in read.options] == [(16, "Điều 33")]


def test_a_block_page_without_addresses_of_a_family_is_no_data():
    assert parsed(blocked(query(rtype="AAAA"), BlockAnswer.PAGE, 10, page=PAGE[:1])).authority
    assert parsed(blocked(query(), BlockAnswer.PAGE, 10)).authority


def test_local_answers():
    asked = query("1.0.0.10.in-addr.arpa.", "PTR")
    reply = answer(asked, 0, [name_record(Type.PTR, "may-in.truong.local", 60)], authoritative=True)
    assert str(parsed(reply).answer[0]) == "1.0.0.10.in-addr.arpa. 60 IN PTR may-in.truong.local."
    assert parsed(reply).flags & FLAGS.AA
    alias = answer(query(), 0, [name_record(Type.CNAME, "a.example", 30), LocalRecord(1, b"\1\2\3\4", 20, b"\1a\7example\0")])
    assert [str(rrset) for rrset in parsed(alias).answer] == ["www.Example.com. 30 IN CNAME a.example.", "a.example. 20 IN A 1.2.3.4"]
    assert (alias.ttl, ttls(alias)) == (20, [30, 20])
    assert [str(rrset[0]) for rrset in parsed(addressed(query(), [b"\1\2\3\4", b"\1\2\3\5", bytes(16)], 5)).answer] == [
        "1.2.3.4",
        "1.2.3.5",
    ]


def test_any_gets_one_small_record():
    read = parsed(minimal_any(query(rtype="ANY")))
    assert str(read.answer[0]) == 'www.Example.com. 3600 IN HINFO "RFC8482" ""'


def test_an_extended_rcode_of_ours_fills_the_opt():
    assert parsed(answer(query(), Rcode.BADVERS)).rcode() == 16


@pytest.mark.parametrize(("edns", "limit"), [(None, 512), (Edns(size=0), 512), (Edns(size=700), 700), (Edns(size=4096), 1232)])
def test_how_much_a_client_takes(edns, limit):
    assert udp_limit(edns) == limit


def test_truncation_leaves_question_and_opt():
    asked = query()
    reply = answer(asked, 0, [LocalRecord(16, b"\xff" + b"x" * 255, 60)] * 3, options=ede(15, "why"))
    assert truncated(reply, len(reply.body) + 2) is reply
    short = truncated(reply, len(reply.body) + 1)
    read = parsed(short)
    assert read.flags & FLAGS.TC
    assert (len(read.question), len(read.answer), read.options[0].text) == (1, 0, "why")
    assert (short.ttl_offsets, short.ttl) == ((), 0)
    assert bytes(short.body[short.opt_at :]).startswith(b"\0\0\x29")
    long = answer(asked, 0, [LocalRecord(16, b"\xff" + b"x" * 255, 60)] * 3, options=ede(15, "why " * 150))
    assert len(truncated(long, 512).body) <= 510
    assert parsed(truncated(long, 512)).options == ()


@given(queries(NAMES), st.integers(512, 1232), st.integers(0, 5))
def test_what_is_truncated_fits_and_is_read(made, limit, count):
    asked = decode_query(made.to_wire())
    assume(asked.qtype != 255)
    reply = truncated(answer(asked, 0, [LocalRecord(16, b"\xff" + b"x" * 255, 60)] * count), limit)
    assert len(reply.body) + 2 <= limit
    assert parsed(reply).question == made.question


def test_addresses_of_a_forwarded_reply_are_the_upstreams():
    reply = forwarded(query(), upstream(*EXAMPLE))
    assert [data for _, data in addresses(decode_message(packet(reply)))] == [b"\xc0\0\2\1"]


def test_nodata_says_how_long():
    reply = nodata(query(rtype="AAAA"), 77)
    assert (reply.ttl, parsed(reply).rcode(), parsed(reply).authority[0][0].minimum) == (77, 0, 77)


def test_types_have_names():
    assert (type_name(1), type_name(65), type_name(65280)) == ("A", "HTTPS", "TYPE65280")
    assert rdata("A", "192.0.2.1").rdtype == Type.A

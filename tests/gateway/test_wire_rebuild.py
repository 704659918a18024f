import dns.message
import pytest
from hypothesis import given

from gateway.numbers import Rcode
from gateway.rebuild import aliased, rebuilt, without_parameters, without_records
from gateway.response import forwarded
from gateway.wire import AD, FormatError, addresses, cname_targets, decode_message, decode_query
from tests.gateway.test_wire_response import query, upstream
from tests.gateway.wire_messages import responses

HINTS_AND_ECH = {4, 5, 6}
BINDING = "1 . alpn=h3 ipv4hint=192.0.2.1 ech=AAj+DQAEAAAAAA== ipv6hint=2001:db8::1"
SIGNATURE = "{} 13 2 300 20300101000000 20200101000000 12345 example.com. " + "A" * 88


def lines(message):
    read = dns.message.from_wire(message.data, one_rr_per_rrset=True)
    return [str(rrset).lower() for section in (read.answer, read.authority, read.additional) for rrset in section]


@given(responses())
def test_rebuilding_without_change_says_the_same(made):
    message = decode_message(made.to_wire(max_size=65535))
    again = rebuilt(message)
    assert lines(again) == lines(message)
    assert (again.flags, again.rcode, again.edns, again.opt_is_last) == (message.flags, message.rcode, message.edns, True)
    assert [(r.name, r.ttl) for r in again.records] == [(r.name, r.ttl) for r in message.records]


def test_ech_and_hints_are_taken_out_of_every_binding():
    message = upstream(
        "www.example.com. 300 CNAME a.example.com.",
        f"a.example.com. 60 HTTPS {BINDING}",
        f"a.example.com. 60 HTTPS {BINDING.replace('1 .', '2 b.example.com.')}",
        f"a.example.com. 60 RRSIG {SIGNATURE.format('HTTPS')}",
        f"www.example.com. 300 RRSIG {SIGNATURE.format('CNAME')}",
        rtype="HTTPS",
        flags=AD,
        authority=["example.com. 9 NS ns.example.com."],
        additional=["ns.example.com. 8 A 192.0.2.53"],
    )
    stripped = without_parameters(message, HINTS_AND_ECH)
    assert lines(stripped) == [
        "www.example.com. 300 in cname a.example.com.",
        'a.example.com. 60 in https 1 . alpn="h3"',
        'a.example.com. 60 in https 2 b.example.com. alpn="h3"',
        lines(message)[4],
        "example.com. 9 in ns ns.example.com.",
        "ns.example.com. 8 in a 192.0.2.53",
    ]
    assert not stripped.flags & AD
    assert stripped.ttl_offsets != message.ttl_offsets
    forwarded(query(rtype="HTTPS"), stripped)


def test_what_has_nothing_to_strip_is_the_very_same():
    message = upstream("www.example.com. 60 HTTPS 1 . alpn=h2", rtype="HTTPS", flags=AD)
    assert without_parameters(message, HINTS_AND_ECH) is message


def test_records_can_be_left_out():
    message = upstream("www.example.com. 60 A 192.0.2.1", "www.example.com. 60 A 10.0.0.1")
    private = [record for record, packed in addresses(message) if packed[0] == 10]
    assert [packed for _, packed in addresses(without_records(message, private))] == [b"\xc0\0\2\1"]


def test_an_alias_is_put_in_front():
    target = upstream("forcesafesearch.google.com. 300 A 216.239.38.120", name="forcesafesearch.google.com.", flags=AD)
    message = aliased("www.google.com", 1, "forcesafesearch.google.com", 60, target)
    assert lines(message) == [
        "www.google.com. 60 in cname forcesafesearch.google.com.",
        "forcesafesearch.google.com. 300 in a 216.239.38.120",
    ]
    assert cname_targets(message) == ("forcesafesearch.google.com",)
    assert not message.flags & AD
    reply = forwarded(query("wWw.google.com."), message, ttl_limit=60)
    assert (
        dns.message.from_wire(b"\0\0" + bytes(reply.body)).answer[0].to_text() == "wWw.google.com. 60 IN CNAME forcesafesearch.google.com."
    )


def test_an_alias_of_what_is_not_there_says_so():
    nothing = upstream(name="strict.bing.com.", rtype="AAAA", authority=["bing.com. 300 SOA a. b. 1 2 3 4 5"])
    message = aliased("www.bing.com", 28, "strict.bing.com", 60, nothing)
    assert lines(message) == ["www.bing.com. 60 in cname strict.bing.com.", "bing.com. 300 in soa a. b. 1 2 3 4 5"]
    assert aliased("www.bing.com", 28, "strict.bing.com", 60, upstream(rcode=3)).rcode == Rcode.NXDOMAIN
    assert lines(aliased("www.bing.com", 1, "strict.bing.com", 60, None)) == ["www.bing.com. 60 in cname strict.bing.com."]


def test_a_message_without_question_cannot_be_rebuilt():
    with pytest.raises(FormatError):
        rebuilt(decode_message(b"\0\0\x81\x82" + bytes(8)))


def test_what_outgrows_a_message_is_refused():
    """Compressed names of 250 octets, 500 times: a small answer that decompresses beyond 64 KiB."""
    name = b"\x3f" + b"a" * 63 + b"\x3f" + b"b" * 63 + b"\x3f" + b"c" * 63 + b"\x00"
    question = name + b"\x00\x02\x00\x01"
    record = b"\xc0\x0c\x00\x02\x00\x01\x00\x00\x00\x05\x00\x02\xc0\x0c"
    message = decode_message(b"\0\0\x81\x80\0\1\x01\xf4\0\0\0\0" + question + record * 500)
    with pytest.raises(FormatError, match="too large"):
        rebuilt(message)


def test_the_client_gets_its_own_question_after_a_rebuild():
    asked = decode_query(b"\0\1\1\0\0\1\0\0\0\0\0\0\3wWw\7example\3com\0\0\x41\0\1")
    message = without_parameters(upstream(f"www.example.com. 60 HTTPS {BINDING}", rtype="HTTPS"), {5})
    assert bytes(forwarded(asked, message).body[10 : 10 + len(asked.question)]) == asked.question

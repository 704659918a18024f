import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dnslib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.numbers import Rcode
from gateway.rebuild import expanded_rdata
from gateway.service_binding import without
from gateway.wire import FormatError, addresses, cname_targets, decode_message, encode_name, svcb_targets
from tests.gateway.wire_messages import HOSTS, rdata, responses

QUESTION = b"\x07example\x03com\x00\x00\x01\x00\x01"
A = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\xc0\x00\x02\x01"
OPT = b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"


def head(answers=0, authorities=0, additionals=0, flags=0x8180, questions=1):
    return b"\xab\xcd" + b"".join(number.to_bytes(2) for number in (flags, questions, answers, authorities, additionals))


def record(rtype, data, owner=b"\xc0\x0c", ttl=300, rclass=1):
    return owner + rtype.to_bytes(2) + rclass.to_bytes(2) + ttl.to_bytes(4) + len(data).to_bytes(2) + data


def response(question, *lines, rcode=0):
    """dnspython's octets for an answer section written as in a zone file."""
    made = dns.message.make_response(dns.message.make_query(*question))
    made.set_rcode(rcode)
    text = made.to_text().replace(";ANSWER\n", ";ANSWER\n" + "\n".join(lines) + "\n")
    return dns.message.from_text(text).to_wire()


def test_an_ordinary_answer():
    message = decode_message(head(2, 0, 1) + QUESTION + A + A[:-1] + b"\x02" + OPT)
    assert (message.id, message.rcode, message.qname, message.qtype, message.qclass) == (0xABCD, 0, "example.com", 1, 1)
    assert message.question == QUESTION
    assert [(r.section, r.name, r.rtype, r.rclass, r.ttl) for r in message.records] == [(1, "example.com", 1, 1, 300)] * 2
    assert [packed for _, packed in addresses(message)] == [b"\xc0\x00\x02\x01", b"\xc0\x00\x02\x02"]
    assert (message.ttl, message.counts, message.opt_is_last, message.truncated) == (300, (2, 0, 0), True, False)
    assert message.data[message.end :] == OPT
    assert message.edns.size == 1232


def test_the_extended_rcode_is_put_together():
    badvers = OPT[:5] + b"\x01" + OPT[6:]
    assert decode_message(head(0, 0, 1) + QUESTION + badvers).rcode == Rcode.BADVERS


def test_an_error_without_question():
    message = decode_message(head(flags=0x8182, questions=0))
    assert (message.rcode, message.question, message.qname, message.qtype, message.ttl) == (2, b"", "", 0, 0)


def test_a_ttl_with_the_top_bit_is_zero_in_the_octets_too():
    """RFC 2181, section 8: else it would be passed on, and live for 68 years."""
    message = decode_message(head(1) + QUESTION + record(1, bytes(4), ttl=0x80000001))
    assert message.records[0].ttl == message.ttl == 0
    assert message.data[message.records[0].ttl_at :][:4] == bytes(4)


def test_alias_targets_in_order_and_only_of_the_answer():
    data = response(("example.com", "A"), "example.com. 60 IN CNAME a.Example.NET.", "a.example.net. 60 IN CNAME b.example.org.")
    assert cname_targets(decode_message(data)) == ("a.example.net", "b.example.org")
    authority = head(0, 1) + QUESTION + record(5, b"\x01x\xc0\x0c")
    assert cname_targets(decode_message(authority)) == ()
    dname = head(1) + QUESTION + record(39, b"\x03org\0")
    assert cname_targets(decode_message(dname)) == ("org",)


def test_service_bindings():
    data = response(
        ("example.com", "HTTPS"),
        "example.com. 60 IN HTTPS 1 . alpn=h3 ipv4hint=192.0.2.1,192.0.2.2 ech=AAj+DQAEAAAAAA== ipv6hint=2001:db8::1",
        "example.com. 60 IN HTTPS 2 CDN.example.net. alpn=h2",
    )
    message = decode_message(data)
    assert svcb_targets(message) == ("cdn.example.net",)
    assert sorted(packed.hex() for _, packed in addresses(message)) == ["20010db8000000000000000000000001", "c0000201", "c0000202"]
    first, second = sorted(binding for _, binding in message.bindings)  # dnspython shuffles them
    assert (first.priority, first.target, list(first.params)) == (1, "", [1, 4, 5, 6])
    assert second.params == {1: b"\x02h2"}


BINDING = b"\x00\x01\x00"
REFUSED = {
    "empty": b"",
    "a query": head(flags=0x0100) + QUESTION,
    "another opcode": head(flags=0x8980) + QUESTION,
    "two questions": head(questions=2) + QUESTION + QUESTION,
    "a compressed question": head() + b"\xc0\x0c\x00\x01\x00\x01",
    "octets behind": head(1) + QUESTION + A + b"\x00",
    "more records counted than there are": head(2) + QUESTION + A,
    "fewer records counted than there are": head(0) + QUESTION + A,
    "a record cut short": head(1) + QUESTION + A[:-1],
    "an owner that points at itself": head(1) + QUESTION + record(16, b"\x00", owner=b"\xc0\x1d"),
    "an owner that points forward": head(1) + QUESTION + record(16, b"\x01a\x00", owner=b"\xc0\x29"),
    "an owner that points into the header": head(1) + QUESTION + record(1, bytes(4), owner=b"\xc0\x04"),
    "an A of three octets": head(1) + QUESTION + record(1, bytes(3)),
    "an AAAA of four octets": head(1) + QUESTION + record(28, bytes(4)),
    "a CNAME with something behind": head(1) + QUESTION + record(5, b"\xc0\x0c\x00"),
    "a CNAME that ends outside its record": head(1) + QUESTION + record(5, b"\x03com")[:-4] + b"\x03com\x00",
    "a CNAME that points at itself": head(1) + QUESTION + record(5, b"\xc0\x29"),
    "an MX without a name": head(1) + QUESTION + record(15, b"\x00\x0a"),
    "an MX of one octet": head(1) + QUESTION + record(15, b"\x00"),
    "a SOA without its numbers": head(1) + QUESTION + record(6, b"\x00\x00" + bytes(19)),
    "two OPTs": head(0, 0, 2) + QUESTION + OPT + OPT,
    "an OPT among the answers": head(1) + QUESTION + OPT,
    "an OPT of a name": head(0, 0, 1) + QUESTION + b"\xc0\x0c" + OPT[1:],
    "options that do not add up": head(0, 0, 1) + QUESTION + OPT[:-1] + b"\x02\x00\x0a",
    "a binding without a target": head(1) + QUESTION + record(65, b"\x00\x01"),
    "a binding with a compressed target": head(1) + QUESTION + record(65, b"\x00\x01\xc0\x0c"),
    "parameters out of order": head(1) + QUESTION + record(65, BINDING + b"\x00\x04\x00\x00\x00\x01\x00\x00"),
    "a parameter twice": head(1) + QUESTION + record(65, BINDING + b"\x00\x01\x00\x00\x00\x01\x00\x00"),
    "a parameter too long": head(1) + QUESTION + record(65, BINDING + b"\x00\x01\x00\x05abc"),
    "half a parameter": head(1) + QUESTION + record(65, BINDING + b"\x00\x01\x00"),
    "a hint of five octets": head(1) + QUESTION + record(64, BINDING + b"\x00\x04\x00\x05abcde"),
    "an IPv6 hint of four octets": head(1) + QUESTION + record(64, BINDING + b"\x00\x06\x00\x04abcd"),
    "half a mandatory key": head(1) + QUESTION + record(64, BINDING + b"\x00\x00\x00\x01a"),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_refused(data):
    with pytest.raises(FormatError) as caught:
        decode_message(data)
    assert caught.value.rcode == Rcode.SERVFAIL


def test_a_message_of_many_names_is_refused_in_little_time():
    """64 KiB of owner names that each walk through a long one would otherwise cost a tenth of a second each."""
    owners = b"".join(record(16, b"", owner=b"\x01a" * 120 + b"\x00") for _ in range(2)) + record(16, b"", owner=b"\x01b\xc0\x1d") * 3000
    with pytest.raises(FormatError, match="too many names"):
        decode_message(head(3002) + QUESTION + owners)


def test_thousands_of_records_of_one_name_are_read():
    message = decode_message(head(4000) + QUESTION + A * 4000)
    assert len(addresses(message)) == 4000


def canonical(records):
    return sorted((r[0], r[1], r[2], r[3], r[4], r[5]) for r in records)


@given(responses())
def test_reads_what_dnspython_writes(made):
    data = made.to_wire(max_size=65535)
    message = decode_message(data)
    assert (message.id, message.rcode, message.flags & 0x0FB0) == (made.id, made.rcode(), made.flags & 0x0FB0)
    assert encode_name(message.qname) == made.question[0].name.canonicalize().to_wire()
    theirs = [
        (section, rrset.name.canonicalize().to_wire(), int(rrset.rdtype), int(rrset.rdclass), rrset.ttl, data.to_digestable())
        for section, rrsets in enumerate((made.answer, made.authority, made.additional), 1)
        for rrset in rrsets
        for data in rrset
    ]
    ours = [(r.section, encode_name(r.name), r.rtype, r.rclass, r.ttl, digestable(message, r)) for r in message.records]
    assert canonical(ours) == canonical(theirs)
    assert (message.edns is not None) == (made.edns >= 0)
    if message.edns is not None:
        assert message.edns.do == bool(made.ednsflags & 0x8000)
        assert message.edns.options == tuple((int(option.otype), option.to_wire()) for option in made.options)


def digestable(message, record):
    """dnspython's canonical form of the record data that we cut out and decompressed."""
    data = expanded_rdata(message, record)
    return dns.rdata.from_wire(record.rclass, record.rtype, data, 0, len(data)).to_digestable()


@given(responses(HOSTS))
def test_reads_what_dnslib_reads(made):
    made.authority.clear()
    made.additional.clear()
    hosts = [rrset for rrset in made.answer if rrset.rdtype in {dns.rdatatype.A, dns.rdatatype.AAAA, dns.rdatatype.TXT}]
    for rrset in hosts:
        rrset.name = made.question[0].name
    made.answer[:] = hosts
    data = made.to_wire()
    theirs, ours = dnslib.DNSRecord.parse(data), decode_message(data)
    assert [(rr.rtype, rr.rclass, rr.ttl) for rr in theirs.rr] == [(r.rtype, r.rclass, r.ttl) for r in ours.records]
    assert theirs.header.rcode == ours.rcode & 15
    assert [bytes(rr.rdata.data) for rr in theirs.rr if rr.rtype in {1, 28}] == [packed for _, packed in addresses(ours)]


@given(responses())
def test_ttl_offsets_point_at_the_ttls(made):
    message = decode_message(made.to_wire(max_size=65535))
    body = message.data[2:]
    assert [int.from_bytes(body[at : at + 4]) for at in message.ttl_offsets] == [record.ttl for record in message.records]
    assert message.ttl == min((record.ttl for record in message.records), default=0)


@given(responses(), st.data())
def test_a_damaged_response_raises_nothing_but_format_errors(made, data):
    octets = bytearray(made.to_wire(max_size=65535))
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    octets = bytes(octets[: data.draw(st.integers(0, len(octets)))]) if data.draw(st.booleans()) else bytes(octets)
    try:
        message = decode_message(octets)
    except FormatError:
        return
    assert len(message.data) == len(octets)
    for _, packed in addresses(message):
        assert len(packed) in {4, 16}
    for target in (*cname_targets(message), *svcb_targets(message)):
        encode_name(target)


@given(st.binary(max_size=400))
def test_arbitrary_octets_raise_nothing_but_format_errors(data):
    for packet in (
        data,
        head(1) + data,
        head(1, 1, 1) + QUESTION + data,
        head(1) + QUESTION + record(65, data),
        head(2) + QUESTION + A + data,
    ):
        try:
            decode_message(packet)
        except FormatError:
            continue


def https(text):
    return rdata("HTTPS", text).to_wire()


@pytest.mark.parametrize(
    ("before", "keys", "after"),
    [
        ("1 . alpn=h2 ech=AAj+DQAEAAAAAA==", {5}, "1 . alpn=h2"),
        ("1 . alpn=h2 ipv4hint=192.0.2.1 ech=AAj+DQAEAAAAAA== ipv6hint=::1", {4, 5, 6}, "1 . alpn=h2"),
        ("1 . alpn=h2 ipv4hint=192.0.2.1 ech=AAj+DQAEAAAAAA== ipv6hint=::1", {5}, "1 . alpn=h2 ipv4hint=192.0.2.1 ipv6hint=::1"),
        ("1 . mandatory=ech alpn=h2 ech=AAj+DQAEAAAAAA==", {5}, "1 . alpn=h2"),
        ("1 . mandatory=alpn,ech alpn=h2 ech=AAj+DQAEAAAAAA==", {5}, "1 . mandatory=alpn alpn=h2"),
        ("1 a.example. ech=AAj+DQAEAAAAAA==", {5}, "1 a.example."),
        ("1 a.example. port=8443", {5}, "1 a.example. port=8443"),
        ("0 a.example.", {4, 5, 6}, "0 a.example."),
    ],
)
def test_parameters_are_taken_out_of_record_data(before, keys, after):
    assert without(https(before), keys) == https(after)


def test_a_name_that_lies_in_a_ttl_is_refused():
    """Found by fuzzing: it was checked as one name, and became another when the answer aged."""
    first = record(1, bytes(4), ttl=0x01610000)  # the octets of the name "a"
    at = 12 + len(QUESTION) + 6
    alias = record(5, b"\xc0" + bytes([at]))
    with pytest.raises(FormatError, match="no name"):
        decode_message(head(2) + QUESTION + first + alias)
    with pytest.raises(FormatError, match="no name"):
        decode_message(head(2) + QUESTION + first + record(1, bytes(4), owner=b"\xc0" + bytes([at])))


def test_a_name_that_runs_into_itself_is_refused():
    """Found by fuzzing: its pointer went back, to a label that ran forward over it and over its own record's TTL."""
    alias = record(2, b"\x02ns\xc0\x14")
    at = 12 + len(QUESTION) + len(alias) - 1  # the 0x14 of the pointer to "com", read as a label of 20 octets
    covered = record(16, bytes(8), owner=b"\xc0" + bytes([at]))
    with pytest.raises(FormatError, match="no name"):
        decode_message(head(3) + QUESTION + alias + covered + record(16, b"", owner=b"\x00"))

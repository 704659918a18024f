import dns.flags
import dns.message
import dnslib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.numbers import Rcode
from gateway.response import error
from gateway.wire import Edns, FormatError, decode_query, encode_name, encode_query, encode_question, mixed_case
from tests.gateway.wire_messages import HOSTS, queries

QUESTION = b"\x03WwW\x07example\x03com\x00\x00\x01\x00\x01"
HEAD = b"\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
HEAD_1 = b"\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01"
OPT = b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"
OPT_DO = b"\x00\x00\x29\x10\x00\x00\x00\x80\x00\x00\x00"
TSIG = b"\x03key\x00\x00\xfa\x00\xff\x00\x00\x00\x00\x00\x03abc"


def head(flags=0x0100, questions=1, answers=0, authorities=0, additionals=0):
    return b"\xab\xcd" + b"".join(number.to_bytes(2) for number in (flags, questions, answers, authorities, additionals))


def opt(options=b"", version=0, length=None):
    return b"\x00\x00\x29\x04\xd0\x00" + bytes([version]) + b"\x00\x00" + (len(options) if length is None else length).to_bytes(2) + options


def test_a_plain_query():
    query = decode_query(HEAD + QUESTION)
    assert (query.id, query.question, query.qname, query.qtype, query.qclass) == (0xABCD, QUESTION, "www.example.com", 1, 1)
    assert (query.rd, query.ad, query.cd, query.do, query.edns, query.opcode) == (True, False, False, False, None, 0)


def test_a_query_with_edns_and_a_cookie():
    query = decode_query(HEAD_1 + QUESTION + opt(b"\x00\x0a\x00\x0812345678"))
    assert query.edns == Edns(size=1232, version=0, do=False, options=((10, b"12345678"),))
    assert query.edns.option(10) == b"12345678"
    assert query.edns.option(15) is None
    assert decode_query(HEAD_1 + QUESTION + OPT_DO).do


def test_a_signed_query_is_read_past_its_signature():
    assert decode_query(head(additionals=2) + QUESTION + OPT + TSIG).edns is not None
    assert decode_query(head(additionals=1) + QUESTION + TSIG).edns is None


def test_ixfr_has_its_authority_record():
    soa = b"\xc0\x0c\x00\x06\x00\x01\x00\x00\x00\x00\x00\x16\x00\x00" + bytes(20)
    query = decode_query(head(authorities=1) + QUESTION[:-4] + b"\x00\xfb\x00\x01" + soa)
    assert query.qtype == 251


DROPPED = {
    "nothing": b"",
    "eleven octets": HEAD[:11],
    "a response": head(0x8180) + QUESTION,
    "a response of another opcode": head(0xA980),
}


@pytest.mark.parametrize("data", DROPPED.values(), ids=DROPPED)
def test_dropped_in_silence(data):
    with pytest.raises(FormatError) as caught:
        decode_query(data)
    assert caught.value.rcode is None
    assert error(caught.value) is None


FORMERR = {
    "no question": (head(questions=0), False),
    "two questions": (head(questions=2) + QUESTION + QUESTION, False),
    "an answer": (head(answers=1) + QUESTION + b"\xc0\x0c\x00\x01\x00\x01\0\0\0\0\0\x04\1\2\3\4", True),
    "an authority record": (head(authorities=1) + QUESTION + b"\xc0\x0c\x00\x01\x00\x01\0\0\0\0\0\x04\1\2\3\4", True),
    "a compressed question": (HEAD + b"\x03www\xc0\x0c\x00\x01\x00\x01", False),
    "a label type of old": (HEAD + b"\x43www\x00\x00\x01\x00\x01", False),
    "a name of 256 octets": (HEAD + b"\x3f" * 64 * 3 + b"\x3e" + b"a" * 62 + b"\x00\x00\x01\x00\x01", False),
    "a question cut in its name": (HEAD + QUESTION[:9], False),
    "a question without a class": (HEAD + QUESTION[:-2], False),
    "octets behind the question": (HEAD + QUESTION + b"\x00", True),
    "octets behind the OPT": (HEAD_1 + QUESTION + OPT + b"\x00", True),
    "no OPT where one was counted": (HEAD_1 + QUESTION, True),
    "an OPT cut short": (HEAD_1 + QUESTION + OPT[:-1], True),
    "two OPTs": (head(additionals=2) + QUESTION + OPT + OPT, True),
    "an OPT of a name": (HEAD_1 + QUESTION + b"\x01a" + OPT, True),
    "an OPT in the authority section": (head(authorities=1) + QUESTION[:-4] + b"\x00\xfb\x00\x01" + OPT, True),
    "options longer than the OPT": (HEAD_1 + QUESTION + opt(b"\x00\x0a\x00\x09123"), True),
    "an OPT longer than the packet": (HEAD_1 + QUESTION + opt(b"\x00\x0a", length=40), True),
    "an option without a length": (HEAD_1 + QUESTION + opt(b"\x00\x0a\x00"), True),
    "a cookie of seven octets": (HEAD_1 + QUESTION + opt(b"\x00\x0a\x00\x071234567"), True),
    "a cookie of fifteen octets": (HEAD_1 + QUESTION + opt(b"\x00\x0a\x00\x0f" + b"x" * 15), True),
    "a cookie of 41 octets": (HEAD_1 + QUESTION + opt(b"\x00\x0a\x00\x29" + b"x" * 41), True),
}


@pytest.mark.parametrize(("data", "echoes"), FORMERR.values(), ids=FORMERR)
def test_formerr(data, echoes):
    with pytest.raises(FormatError) as caught:
        decode_query(data)
    assert caught.value.rcode == Rcode.FORMERR
    reply = dns.message.from_wire(error(caught.value))
    assert (reply.id, reply.rcode(), len(reply.question)) == (0xABCD, 1, int(echoes))
    assert reply.flags & dns.flags.QR
    assert reply.flags & dns.flags.RD
    assert QUESTION[:-4] in error(caught.value) or not echoes


def test_another_opcode_is_not_implemented():
    for opcode in (1, 2, 4, 5, 6, 15):
        with pytest.raises(FormatError) as caught:
            decode_query(head(opcode << 11) + QUESTION)
        assert caught.value.rcode == Rcode.NOTIMP
        assert error(caught.value) == head(0x8084 | opcode << 11) + QUESTION


def test_an_edns_version_of_the_future_gets_badvers():
    with pytest.raises(FormatError) as caught:
        decode_query(HEAD_1 + QUESTION + opt(version=1))
    assert caught.value.rcode == Rcode.BADVERS
    reply = dns.message.from_wire(error(caught.value))
    assert (reply.rcode(), reply.edns, reply.payload) == (16, 0, 1232)
    assert error(caught.value)[12:].startswith(QUESTION)


@given(queries())
def test_reads_what_dnspython_writes(made):
    data = made.to_wire()
    query = decode_query(data)
    question = made.question[0]
    assert encode_name(query.qname) == question.name.canonicalize().to_wire()
    assert (query.id, query.qtype, query.qclass) == (made.id, question.rdtype, question.rdclass)
    assert (query.rd, query.ad, query.cd) == tuple(bool(made.flags & bit) for bit in (dns.flags.RD, dns.flags.AD, dns.flags.CD))
    assert data[12 : 12 + len(query.question)] == query.question
    assert (query.edns is not None) == (made.edns >= 0)
    if query.edns is not None:
        assert (query.edns.size, query.edns.do) == (made.payload, bool(made.ednsflags & 0x8000))
        assert query.edns.options == tuple((int(option.otype), option.to_wire()) for option in made.options)


@given(queries(HOSTS))
def test_reads_what_dnslib_reads(made):
    data = made.to_wire()
    theirs, ours = dnslib.DNSRecord.parse(data), decode_query(data)
    assert (theirs.header.id, theirs.q.qtype, theirs.q.qclass) == (ours.id, ours.qtype, ours.qclass)
    assert tuple(label.lower() for label in theirs.q.qname.label) == tuple(label.lower() for label in made.question[0].name.labels[:-1])


@given(queries(HOSTS), st.integers(0, 2**2048 - 1), st.booleans(), st.booleans())
def test_our_queries_are_read_by_all_three(made, bits, do, cd):
    name = decode_query(made.to_wire())
    question = mixed_case(encode_question(name.qname, name.qtype), bits)
    data = encode_query(4711, question, do=do, cd=cd)
    again = decode_query(data)
    assert (again.id, again.question, again.qname, again.qtype) == (4711, question, name.qname, name.qtype)
    assert (again.do, again.cd, again.rd, again.ad, again.edns.size) == (do, cd, True, True, 1232)
    theirs = dns.message.from_wire(data)
    assert theirs.question[0].name == made.question[0].name
    assert dnslib.DNSRecord.parse(data).q.qtype == name.qtype


def test_a_query_of_ours_without_edns():
    assert encode_query(0xABCD, QUESTION, edns_size=None, ad=False) == HEAD + QUESTION
    assert encode_query(0xABCD, QUESTION, ad=False) == HEAD_1 + QUESTION + OPT


def test_mixed_case_changes_letters_of_the_name_and_nothing_else():
    question = encode_question("a-1.example", 65)  # type 65 is the letter A
    everything = mixed_case(question, 2**512 - 1)
    assert everything == b"\x03A-1\x07EXAMPLE\x00\x00\x41\x00\x01"
    assert mixed_case(question, 0) == question
    assert mixed_case(everything, 2**512 - 1) == question


def test_types_65_and_97_stay_apart():
    """Their octets are "A" and "a": lowering a whole question would make them one."""
    https, other = (decode_query(HEAD + QUESTION[:-4] + bytes((0, number, 0, 1))) for number in (65, 97))
    assert (https.qtype, other.qtype) == (65, 97)


@given(st.binary(max_size=300))
def test_arbitrary_octets_raise_nothing_but_format_errors(data):
    for packet in (data, HEAD + data, HEAD + QUESTION + data, HEAD_1 + QUESTION + data, HEAD_1 + QUESTION + opt(data)):
        try:
            decode_query(packet)
        except FormatError as problem:
            reply = error(problem)
            assert reply is None or len(reply) <= max(len(packet), 12) + 11

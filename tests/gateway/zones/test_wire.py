"""The bytes of a transfer are what dnspython reads."""

import dns.message
import dns.name
import dns.rdatatype
import pytest

from gateway.zones.records import EXPIRE, Record
from gateway.zones.wire import MESSAGE_BYTES, encode, fits, is_newer, message, messages, name_server, next_serial, opt, soa

ORIGIN = dns.name.from_text("rpz.thcs")
QUESTION = ORIGIN.to_wire() + b"\0\xfc\0\1"


def read(wire: bytes) -> dns.message.Message:
    return dns.message.from_wire(wire, xfr=True, one_rr_per_rrset=True)


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (Record("casino.example", "."), "casino.example.rpz.thcs. 60 IN CNAME ."),
        (Record("*.casino.example", "."), "*.casino.example.rpz.thcs. 60 IN CNAME ."),
        (Record("*", "."), "*.rpz.thcs. 60 IN CNAME ."),
        (Record("hoc.example", "rpz-passthru."), "hoc.example.rpz.thcs. 60 IN CNAME rpz-passthru."),
        (
            Record("www.google.com", "forcesafesearch.google.com."),
            "www.google.com.rpz.thcs. 60 IN CNAME forcesafesearch.google.com.",
        ),
    ],
)
def test_a_record(record, text):
    (wire,) = messages(7, QUESTION, [encode(record)])
    found = read(wire)
    assert [rrset.to_text() for rrset in found.answer] == [text]
    assert (found.id, found.flags, found.question[0].name) == (7, dns.flags.QR | dns.flags.AA, ORIGIN)


def test_the_zones_own_records():
    (wire,) = messages(7, QUESTION, [soa(4_000_000_000), name_server()], opt())
    found = read(wire)
    start, server = (rrset[0] for rrset in found.answer)
    assert (start.serial, start.expire, start.minimum) == (4_000_000_000, EXPIRE, 60)
    assert server.target == dns.name.from_text("localhost")
    assert found.edns == 0


def test_a_long_answer_is_split_and_every_message_can_be_read_by_itself():
    said = [Record(f"ten-so-{number}.example", ".") for number in range(5000)]
    found = list(messages(7, QUESTION, map(encode, said), opt()))
    assert len(found) > 1
    assert all(MESSAGE_BYTES < len(wire) < 65_000 for wire in found[:-1])
    owners = [rrset.name.relativize(ORIGIN).to_text() for wire in found for rrset in read(wire).answer]
    assert owners == [record.owner for record in said]
    assert [read(wire).edns for wire in found] == [0] + [-1] * (len(found) - 1)


def test_an_error_has_no_records():
    found = read(message(7, QUESTION, [], flags=dns.rcode.REFUSED))
    assert (found.rcode(), found.answer, found.question[0].rdtype) == (dns.rcode.REFUSED, [], dns.rdatatype.AXFR)


def test_the_longest_owner_that_fits_is_one_that_dns_takes():
    label = "a" * 63
    owner = ".".join([label, label, label, "b" * 52])
    assert fits(owner, len(ORIGIN.to_wire()))
    assert not fits(owner + "b", len(ORIGIN.to_wire()))
    (wire,) = messages(7, QUESTION, [encode(Record(owner, "."))])
    assert len(read(wire).answer[0].name.to_wire()) == 255


@pytest.mark.parametrize(
    ("last", "now", "serial"),
    [
        (None, 1_800_000_000.9, 1_800_000_000),
        (1_700_000_000, 1_800_000_000.0, 1_800_000_000),
        (1_800_000_000, 1_800_000_000.5, 1_800_000_001),
        (1_800_000_000, 0.0, 1_800_000_001),
        (0xFFFFFFFF, 3_000_000_000.0, 0),
        (0xFFFFFFF0, float(1 << 32) + 5, 5),
    ],
)
def test_serials_only_grow(last, now, serial):
    assert next_serial(last, now) == serial
    assert last is None or is_newer(serial, last)


@pytest.mark.parametrize(
    ("one", "other", "newer"),
    [(1, 0, True), (0, 1, False), (0, 0, False), (0, 0xFFFFFFFF, True), (0x7FFFFFFF, 0, True), (0x80000001, 0, False)],
)
def test_serial_arithmetic(one, other, newer):
    assert is_newer(one, other) == newer

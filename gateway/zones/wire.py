"""The messages of a zone transfer, as bytes: for millions of records, so without a message library. Pure.

Every message repeats the question (RFC 5936, section 2.2, allows it), so that an owner's last two octets always point to the
zone's name there, and a record is the same few bytes in whichever message it lands.
"""

import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache

from gateway.zones.records import EXPIRE, NAME_SERVER, REFRESH, RETRY, TTL, Record

MESSAGE_BYTES = 60_000
"""where a message ends; with one more record and a signature it is still below the 65535 of TCP"""
SERIALS = 1 << 32
_HEADER = struct.Struct("!6H")
_RESPONSE, _AUTHORITATIVE = 0x8000, 0x0400
_TO_ORIGIN = b"\xc0\x0c"
_SOA, _NS, _CNAME, _OPT, _IN = 6, 2, 5, 41, 1
_FIXED = struct.Struct("!HHIH")
_LONGEST_NAME = 255
UDP_PAYLOAD = 1232


def is_newer(serial: int, than: int) -> bool:
    """RFC 1982, section 3.2, for 32 bits."""
    return serial != than and (serial - than) % SERIALS < SERIALS // 2


def next_serial(last: int | None, now: float) -> int:
    """Unix time where that is newer, so that a zone goes on growing even when its last serial was lost."""
    clock = int(now) % SERIALS
    if last is None or is_newer(clock, last):
        return clock
    return (last + 1) % SERIALS


@lru_cache(4096)
def _absolute(name: str) -> bytes:
    """An absolute name, with its final dot."""
    return b"".join(bytes((len(label),)) + label.encode("ascii") for label in name.split("."))


def encode(record: Record) -> bytes:
    labels = record.owner.split(".")
    target = _absolute(record.target) if record.target != "." else b"\0"
    owner = "".join([chr(len(label)) + label for label in labels]).encode("ascii")
    return owner + _TO_ORIGIN + _FIXED.pack(_CNAME, _IN, TTL, len(target)) + target


def fits(owner: str, origin: int) -> bool:
    """Whether ``owner`` below a zone whose own name has ``origin`` octets is no longer than a name may be (RFC 1035, section 2.3.4)."""
    return len(owner) + 1 + origin <= _LONGEST_NAME


def soa(serial: int) -> bytes:
    names = _absolute(NAME_SERVER) * 2
    numbers = struct.pack("!5I", serial, REFRESH, RETRY, EXPIRE, TTL)
    return _TO_ORIGIN + _FIXED.pack(_SOA, _IN, TTL, len(names) + len(numbers)) + names + numbers


def name_server() -> bytes:
    target = _absolute(NAME_SERVER)
    return _TO_ORIGIN + _FIXED.pack(_NS, _IN, TTL, len(target)) + target


def opt() -> bytes:
    """An OPT record without options (RFC 6891)."""
    return b"\0" + _FIXED.pack(_OPT, UDP_PAYLOAD, 0, 0)


def messages(query_id: int, question: bytes, records: Iterable[bytes], additional: bytes = b"") -> Iterator[bytes]:
    """The answer's messages; ``additional`` is one record for the first of them, or nothing."""
    body: list[bytes] = []
    size = 0
    for record in records:
        body.append(record)
        size += len(record)
        if size > MESSAGE_BYTES:
            yield message(query_id, question, body, additional)
            body, size, additional = [], 0, b""
    if body:
        yield message(query_id, question, body, additional)


def message(query_id: int, question: bytes, body: list[bytes], additional: bytes = b"", flags: int = _AUTHORITATIVE) -> bytes:
    header = _HEADER.pack(query_id, _RESPONSE | flags, 1 if question else 0, len(body), 0, 1 if additional else 0)
    return b"".join((header, question, *body, additional))

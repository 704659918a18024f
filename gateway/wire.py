"""Messages as they arrive: bytes -> ``Query`` or ``Message``, and the queries that we send ourselves.

- Whatever the bytes are, ``decode_query`` and ``decode_message`` return or raise FormatError, nothing else, in bounded time.
- A query is read strictly: one question, no compression in it, at most one OPT, nothing behind the last record.
- A decoded ``Message`` is safe to look into and to pass on as it is: every embedded name that may be compressed has been
  followed to its end, addresses have their size, service bindings are well-formed. So no accessor raises.

Refused on purpose: a query with no question, which RFC 7873 section 5.4 allows for fetching a cookie (any query does).
"""

import struct
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.edns import SIZE, Edns, opt_record, read_options
from gateway.numbers import IN, Option, Rcode
from gateway.service_binding import ServiceBinding, read_service_binding
from gateway.wire_names import FormatError, encode_name, name_text, read_name, read_plain_name

__all__ = [
    "AA", "AD", "CD", "QR", "RA", "RD", "TC",
    "Edns", "FormatError", "Message", "Query", "Record", "ServiceBinding",
    "addresses", "cname_targets", "decode_message", "decode_query", "encode_name", "encode_query", "encode_question",
    "mixed_case", "name_text", "svcb_targets",
]  # fmt: skip

QR, AA, TC, RD, RA, AD, CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0020, 0x0010
ANSWER, AUTHORITY, ADDITIONAL = 1, 2, 3

_HEADER = struct.Struct("!HHHHHH")
_QUESTION = struct.Struct("!HH")
_RECORD = struct.Struct("!HHIH")
_MAX_NAMES = 2048
"""names that are read one by one in a message (pointers to a name that was read before cost nothing)"""
_OPT, _IXFR = 41, 251
_FIXED_SIZE = {1: 4, 28: 16}
_ALIASES = frozenset((5, 39))
_BINDINGS = frozenset((64, 65))
NAMES_IN_RDATA = {
    2: (0, 1), 3: (0, 1), 4: (0, 1), 5: (0, 1), 6: (0, 2), 7: (0, 1), 8: (0, 1), 9: (0, 1), 12: (0, 1), 14: (0, 2),
    15: (2, 1), 17: (0, 2), 18: (2, 1), 21: (2, 1), 26: (2, 2), 33: (6, 1), 36: (2, 1), 39: (0, 1),
}  # fmt: skip
"""type -> (octets before, number of names): types whose names some sender compresses (RFC 1035, RFC 3597 section 4)"""
_OCTETS_AFTER = {6: 20}
_CASE_BIT = bytes(0x20 if chr(byte).isalpha() and byte < 0x80 else 0 for byte in range(256))
_new_record = tuple.__new__


@dataclass(slots=True)
class Query:
    """A well-formed query of opcode QUERY. ``question`` is as sent: name with its case, type and class."""

    id: int
    flags: int
    question: bytes
    qname: str
    qtype: int
    qclass: int
    edns: Edns | None

    @property
    def opcode(self) -> int:
        return self.flags >> 11 & 15

    @property
    def rd(self) -> bool:
        return self.flags & RD != 0

    @property
    def ad(self) -> bool:
        return self.flags & AD != 0

    @property
    def cd(self) -> bool:
        return self.flags & CD != 0

    @property
    def do(self) -> bool:
        return self.edns is not None and self.edns.do


class Record(NamedTuple):
    """One record of a message; the offsets are into ``Message.data``. The OPT record is not among them."""

    section: int
    """1 answer, 2 authority, 3 additional"""
    name: str
    rtype: int
    rclass: int
    ttl: int
    """seconds; 0 where the sender set the top bit (RFC 2181, section 8)"""
    ttl_at: int
    rdata_at: int
    rdata_end: int


@dataclass(slots=True)
class Message:
    """A response. ``data`` is the whole of it; ``rcode`` includes the extended bits."""

    id: int
    flags: int
    rcode: int
    question: bytes
    """as received; empty where the sender left it out (some errors)"""
    qname: str
    qtype: int
    qclass: int
    records: tuple[Record, ...]
    edns: Edns | None
    data: bytes
    counts: tuple[int, int, int]
    """records in answer, authority and additional section, without the OPT"""
    end: int
    """offset after the last record, or of the OPT where that comes last"""
    opt_is_last: bool
    """True also where there is none; False: the OPT stands between other records"""
    ttl: int
    """the smallest TTL; 0 where there is no record"""
    ttl_offsets: tuple[int, ...]
    """where the TTLs stand, counted from behind the id"""
    targets: tuple[str, ...]
    """CNAME and DNAME targets in the answer section"""
    bindings: tuple[tuple[Record, ServiceBinding], ...]
    """SVCB and HTTPS records, of any section"""

    def rdata(self, record: Record) -> bytes:
        return self.data[record.rdata_at : record.rdata_end]

    @property
    def truncated(self) -> bool:
        return self.flags & TC != 0


def decode_query(data: bytes) -> Query:
    """A client's query.

    Raises FormatError with rcode None for what must be dropped (shorter than a header, or a response: answering those makes
    loops), FORMERR, NOTIMP for another opcode than QUERY, or BADVERS for an EDNS version above 0 (RFC 6891, section 6.1.3).
    """
    if len(data) < 12:
        raise FormatError("shorter than a header", None)
    header = _HEADER.unpack_from(data)
    ident, flags, questions = header[:3]
    if flags & QR:
        raise FormatError("a response", None)
    try:
        return _query(data, header)
    except FormatError as problem:
        raise FormatError(problem.reason, problem.rcode, ident, flags, _readable_question(data, questions)) from None
    except (IndexError, struct.error):
        raise FormatError("cut short", Rcode.FORMERR, ident, flags, _readable_question(data, questions)) from None


def _query(data: bytes, header: tuple[int, ...]) -> Query:
    ident, flags, questions, answers, authorities, additionals = header
    if flags & 0x7800:
        raise FormatError("opcode other than QUERY", Rcode.NOTIMP)
    if questions != 1 or answers:
        raise FormatError("not exactly one question")
    qname, at = read_plain_name(data, 12)
    qtype, qclass = _QUESTION.unpack_from(data, at)
    at += 4
    question = data[12:at]
    edns = None
    if authorities or additionals:
        edns, at = _query_records(data, at, qtype, authorities, additionals)
    if at != len(data):
        raise FormatError("octets behind the last record")
    return Query(ident, flags, question, qname, qtype, qclass, edns)


def _readable_question(data: bytes, questions: int) -> bytes:
    """The question to echo in an error, or nothing."""
    if questions != 1:
        return b""
    try:
        _, at = read_plain_name(data, 12)
    except (FormatError, IndexError):
        return b""
    return data[12 : at + 4] if at + 4 <= len(data) else b""


def _query_records(data: bytes, at: int, qtype: int, authorities: int, additionals: int) -> tuple[Edns | None, int]:
    """The OPT of a query, and where its records end. Other additional records (TSIG) are passed over."""
    if authorities and qtype != _IXFR:
        raise FormatError("authority records in a query")
    edns = None
    for index in range(authorities + additionals):
        is_root = not data[at]
        if is_root:
            at += 1
        else:
            _, at = read_name(data, at)
        rtype, size, ttl, length = _RECORD.unpack_from(data, at)
        at += 10 + length
        if at > len(data):
            raise FormatError("record longer than the message")
        if rtype != _OPT:
            continue
        if edns is not None or not is_root or index < authorities:
            raise FormatError("a second OPT record, or one in the wrong place")
        edns = _edns(data, size, ttl, at - length, at)
    if edns is not None:
        if edns.version:
            raise FormatError("EDNS version above 0", Rcode.BADVERS)
        cookie = edns.option(Option.COOKIE) if edns.options else None
        if cookie is not None and len(cookie) != 8 and not 16 <= len(cookie) <= 40:
            raise FormatError("cookie of a wrong length")
    return edns, at


def _edns(data: bytes, size: int, ttl: int, start: int, end: int) -> Edns:
    return Edns(size, ttl >> 16 & 0xFF, ttl & 0x8000 != 0, read_options(data, start, end) if start != end else (), ttl >> 24)


def decode_message(data: bytes) -> Message:
    """A response. Raises FormatError (rcode SERVFAIL: what a client would be told of it)."""
    if len(data) < 12:
        raise FormatError("shorter than a header", Rcode.SERVFAIL)
    ident, flags, *counts = _HEADER.unpack_from(data)
    try:
        return _message(data, ident, flags, counts)
    except FormatError as problem:
        raise FormatError(problem.reason, Rcode.SERVFAIL, ident, flags) from None
    except (IndexError, struct.error):
        raise FormatError("cut short", Rcode.SERVFAIL, ident, flags) from None


def _message(data: bytes, ident: int, flags: int, counts: list[int]) -> Message:
    questions = counts.pop(0)
    if not flags & QR or flags & 0x7800 or questions > 1:
        raise FormatError("not a response to a query")
    at, qname, qtype, qclass = 12, "", 0, 0
    names = {}
    if questions:
        qname, at = read_plain_name(data, 12)
        qtype, qclass = _QUESTION.unpack_from(data, at)
        at += 4
        names[12] = qname
    question = data[12:at]
    found = _Found()
    end = _read_records(data, at, counts, names, found)
    if end != len(data):
        raise FormatError("octets behind the last record")
    records = found.records
    edns = found.edns
    rcode = flags & 15
    opt_is_last = True
    if edns is not None:
        rcode |= edns.rcode << 4
        counts[2] -= 1
        opt_is_last = found.opt_end == end
        end = found.opt_at if opt_is_last else end
    return Message(
        id=ident,
        flags=flags,
        rcode=rcode,
        question=question,
        qname=qname,
        qtype=qtype,
        qclass=qclass,
        records=tuple(records),
        edns=edns,
        data=_with_zeroes(data, found.overlong) if found.overlong else data,
        counts=(counts[0], counts[1], counts[2]),
        end=end,
        opt_is_last=opt_is_last,
        ttl=min([record.ttl for record in records]) if records else 0,
        ttl_offsets=tuple([at - 2 for at in found.ttls]),
        targets=tuple(found.targets),
        bindings=tuple(found.bindings),
    )


@dataclass(slots=True)
class _Found:
    """What one pass over the records gathers."""

    records: list[Record] = field(default_factory=list)
    ttls: list[int] = field(default_factory=list)
    """offsets of their TTLs, for ``read_name``: they change when an answer ages"""
    targets: list[str] = field(default_factory=list)
    bindings: list[tuple[Record, ServiceBinding]] = field(default_factory=list)
    edns: Edns | None = None
    opt_at: int = 0
    opt_end: int = 0
    overlong: list[int] = field(default_factory=list)
    """offsets of TTLs with the top bit set"""


def _read_records(data: bytes, at: int, counts: list[int], names: dict[int, str], found: _Found) -> int:
    """Reads all sections into ``found``; returns the offset behind them. ``names``: offset -> name that starts there."""
    size = len(data)
    append = found.records.append
    ttls = found.ttls
    for section in (ANSWER, AUTHORITY, ADDITIONAL):
        for _ in range(counts[section - 1]):
            start = at
            pointer = (data[at] << 8 | data[at + 1]) & 0x3FFF if data[at] >= 0xC0 else at
            owner = names.get(pointer)
            if owner is None:
                owner, at = read_name(data, at, ttls)
                names[pointer] = owner
                if len(names) > _MAX_NAMES:
                    raise FormatError("too many names")
            else:
                at += 2
            rtype, rclass, ttl, length = _RECORD.unpack_from(data, at)
            ttl_at = at + 4
            rdata_at = at + 10
            at = rdata_at + length
            if at > size:
                raise FormatError("record longer than the message")
            if rtype == _OPT:
                if section != ADDITIONAL or found.edns is not None or data[start]:
                    raise FormatError("a second OPT record, or one in the wrong place")
                found.edns = _edns(data, rclass, ttl, rdata_at, at)
                found.opt_at, found.opt_end = start, at
                continue
            if ttl > 0x7FFFFFFF:
                found.overlong.append(ttl_at)
                ttl = 0
            record = _new_record(Record, (section, owner, rtype, rclass, ttl, ttl_at, rdata_at, at))
            append(record)
            ttls.append(ttl_at)
            if rtype in _FIXED_SIZE:
                if length != _FIXED_SIZE[rtype] and rclass == IN:
                    raise FormatError("address of a wrong size")
            elif rtype in NAMES_IN_RDATA:
                _read_names(data, record, names, found)
            elif rtype in _BINDINGS and rclass == IN:
                found.bindings.append((record, read_service_binding(data, rdata_at, at)))
    return at


def _read_names(data: bytes, record: Record, names: dict[int, str], found: _Found) -> None:
    """Follows the names in the record's data, and requires that they and what else belongs there fill it exactly."""
    octets_before, count = NAMES_IN_RDATA[record.rtype]
    at = record.rdata_at + octets_before
    for _ in range(count):
        start = at
        name, at = read_name(data, at, found.ttls)
        names[start] = name
    if len(names) > _MAX_NAMES:
        raise FormatError("too many names")
    if at + _OCTETS_AFTER.get(record.rtype, 0) != record.rdata_end:
        raise FormatError("names do not fill the record")
    if record.rtype in _ALIASES and record.section == ANSWER:
        found.targets.append(name)


def _with_zeroes(data: bytes, offsets: list[int]) -> bytes:
    changed = bytearray(data)
    for at in offsets:
        changed[at : at + 4] = b"\0\0\0\0"
    return bytes(changed)


def cname_targets(message: Message) -> tuple[str, ...]:
    """The names that CNAME and DNAME records of the answer section lead to, in their order."""
    return message.targets


def svcb_targets(message: Message) -> tuple[str, ...]:
    """The names that SVCB and HTTPS records lead to; a target that means the owner itself is left out."""
    return tuple([binding.target for _, binding in message.bindings if binding.target])


def addresses(message: Message) -> list[tuple[Record, bytes]]:
    """Every address in a message, packed (4 or 16 octets), with its record: A, AAAA and the hints of service bindings."""
    data = message.data
    found = [
        (record, data[record.rdata_at : record.rdata_end])
        for record in message.records
        if record.rtype in _FIXED_SIZE and record.rclass == IN
    ]
    for record, binding in message.bindings:
        found += [(record, address) for address in binding.addresses()]
    return found


def encode_question(qname: str, qtype: int, qclass: int = IN) -> bytes:
    """Raises FormatError where ``qname`` is no name (see ``encode_name``)."""
    return encode_name(qname) + _QUESTION.pack(qtype, qclass)


def encode_query(
    ident: int, question: bytes, *, do: bool = False, cd: bool = False, rd: bool = True, ad: bool = True, edns_size: int | None = SIZE
) -> bytes:
    """A query of our own. AD asks for the AD bit in the answer (RFC 6840, section 5.7); ``edns_size`` None: without EDNS."""
    flags = (RD if rd else 0) | (AD if ad else 0) | (CD if cd else 0)
    if edns_size is None:
        return _HEADER.pack(ident, flags, 1, 0, 0, 0) + question
    return _HEADER.pack(ident, flags, 1, 0, 0, 1) + question + opt_record(do=do, size=edns_size)


def mixed_case(question: bytes, bits: int) -> bytes:
    """The question with the case of its letters chosen by random ``bits`` (8 for every octet of the name are used).

    An answer that repeats it exactly is that much harder to forge (draft-vixie-dnsext-dns0x20). Type and class stay.
    """
    name = question[:-4]
    letters = int.from_bytes(name.translate(_CASE_BIT))
    mixed = int.from_bytes(name) ^ (letters & bits)
    return mixed.to_bytes(len(name)) + question[-4:]

"""Messages as they arrive: bytes -> ``Query`` or ``Message``, and the queries that we send ourselves.

- Whatever the bytes are, ``decode_query`` and ``decode_message`` return or raise FormatError, nothing else, in bounded time.
- A query is read strictly: one question, no compression in it, at most one OPT, nothing behind the last record.
- A decoded ``Message`` is safe to look into and to pass on as it is: every embedded name that may be compressed has been
  followed to its end, addresses have their size, service bindings are well-formed. So no accessor raises.

Refused on purpose: a query with no question, which RFC 7873 section 5.4 allows for fetching a cookie (any query does).
"""

import struct
from dataclasses import dataclass

from gateway.edns import PLAIN, PLAIN_DO, SIZE, Edns, opt_record
from gateway.numbers import IN, Option, Rcode
from gateway.private_address import is_private
from gateway.service_binding import ServiceBinding
from gateway.wire_names import FormatError, encode_name, name_text, read_name, read_plain_name
from gateway.wire_records import (
    ADDITIONAL,
    ADDRESS_SIZE,
    ANSWER,
    AUTHORITY,
    NAMES_IN_RDATA,
    OPT,
    RECORD,
    Found,
    Record,
    read_edns,
    read_records,
)

__all__ = [
    "AA", "AD", "ADDITIONAL", "ANSWER", "AUTHORITY", "CD", "NAMES_IN_RDATA", "QR", "RA", "RD", "TC",
    "Edns", "FormatError", "Message", "Query", "Record", "ServiceBinding",
    "addresses", "cname_targets", "decode_message", "decode_query", "encode_name", "encode_query", "encode_question",
    "mixed_case", "name_text", "svcb_targets",
]  # fmt: skip

QR, AA, TC, RD, RA, AD, CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0020, 0x0010

_HEADER = struct.Struct("!HHHHHH")
_QUESTION = struct.Struct("!HH")
_IXFR, _ANY = 251, 255
_A_IN, _AAAA_IN = b"\0\1\0\1", b"\0\x1c\0\1"
_CASE_BIT = bytes(0x20 if chr(byte).isalpha() and byte < 0x80 else 0 for byte in range(256))


@dataclass
class Query:
    """A well-formed query of opcode QUERY. ``question`` is as sent: name with its case, type and class."""

    __slots__ = ("edns", "flags", "id", "qclass", "qname", "qtype", "question")

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


@dataclass
class Message:
    """A response. ``data`` is the whole of it; ``rcode`` includes the extended bits."""

    __slots__ = (
        "answered", "bindings", "counts", "data", "edns", "end", "flags", "highest_ttl", "id", "kept_records", "opt_is_last", "private",
        "qclass", "qname", "qtype", "question", "rcode", "targets", "ttl", "ttl_offsets",
    )  # fmt: skip

    id: int
    flags: int
    rcode: int
    question: bytes
    """as received; empty where the sender left it out (some errors)"""
    qname: str
    qtype: int
    qclass: int
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
    highest_ttl: int
    ttl_offsets: tuple[int, ...]
    """where the TTLs stand, counted from behind the id"""
    targets: tuple[str, ...]
    """CNAME and DNAME targets in the answer section"""
    bindings: tuple[tuple[Record, ServiceBinding], ...]
    """SVCB and HTTPS records, of any section"""
    answered: bool
    """a record of the type that was asked for is in the answer section"""
    private: bool
    """an address in it, hints of service bindings included, means something only inside a network"""
    kept_records: tuple[Record, ...] | None
    """None: made again from ``data`` when somebody asks"""

    @property
    def records(self) -> tuple[Record, ...]:
        """All but the OPT. Made again from ``data`` each time where they are not kept: of plain answers mostly nobody asks."""
        if self.kept_records is not None:
            return self.kept_records
        found = Found()
        read_records(self.data, 12 + len(self.question), self.counts, {12: self.qname}, found)
        return tuple(found.records)

    def forget_records(self) -> None:
        """Do not keep them: several times the size of the message, for what the cache's readers hardly ever need."""
        if self.opt_is_last:
            self.kept_records = None

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
    flags = data[2] << 8 | data[3]
    if flags & QR:
        raise FormatError("a response", None)
    try:
        return _query(data, flags)
    except FormatError as problem:
        raise FormatError(problem.reason, problem.rcode, int.from_bytes(data[:2]), flags, _readable_question(data)) from None
    except (IndexError, struct.error):
        raise FormatError("cut short", Rcode.FORMERR, int.from_bytes(data[:2]), flags, _readable_question(data)) from None


def _query(data: bytes, flags: int) -> Query:
    if flags & 0x7800:
        raise FormatError("opcode other than QUERY", Rcode.NOTIMP)
    if data[4] or data[5] != 1 or data[6] or data[7]:
        raise FormatError("not exactly one question")
    qname, at = read_plain_name(data, 12)
    end = at + 4
    query = Query.__new__(Query)
    query.id = data[0] << 8 | data[1]
    query.flags = flags
    query.qname = qname
    query.qtype = data[at] << 8 | data[at + 1]
    query.qclass = data[at + 2] << 8 | data[at + 3]
    query.question = data[12:end]
    query.edns = None
    authorities = data[8] << 8 | data[9]
    additionals = data[10] << 8 | data[11]
    if authorities or additionals:
        query.edns, end = _query_records(data, end, query.qtype, authorities, additionals)
    if end != len(data):
        raise FormatError("octets behind the last record")
    return query


def _readable_question(data: bytes) -> bytes:
    """The question to echo in an error, or nothing."""
    if data[4:6] != b"\0\1":
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
        rtype, size, ttl, length = RECORD.unpack_from(data, at)
        at += 10 + length
        if at > len(data):
            raise FormatError("record longer than the message")
        if rtype != OPT:
            continue
        if edns is not None or not is_root or index < authorities:
            raise FormatError("a second OPT record, or one in the wrong place")
        edns = read_edns(data, size, ttl, at - length, at)
    if edns is not None:
        if edns.version:
            raise FormatError("EDNS version above 0", Rcode.BADVERS)
        cookie = edns.option(Option.COOKIE) if edns.options else None
        if cookie is not None and len(cookie) != 8 and not 16 <= len(cookie) <= 40:
            raise FormatError("cookie of a wrong length")
    return edns, at


def decode_message(data: bytes, asked: int = 0, qname: str = "") -> Message:
    """A response. Raises FormatError (rcode SERVFAIL: what a client would be told of it).

    ``asked``: length of the question, where the caller has compared it with what was asked, for ``qname``; 0: read it.
    """
    if len(data) < 12:
        raise FormatError("shorter than a header", Rcode.SERVFAIL)
    ident, flags, *counts = _HEADER.unpack_from(data)
    try:
        return (_plain_message(data, asked, qname) if asked else None) or _message(data, ident, flags, counts)
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
    found = Found()
    end = read_records(data, at, counts, names, found)
    if end != len(data):
        raise FormatError("octets behind the last record")
    edns = found.edns
    rcode = flags & 15
    opt_is_last = True
    if edns is not None:
        rcode |= edns.rcode << 4
        counts[2] -= 1
        opt_is_last = found.opt_end == end
        end = found.opt_at if opt_is_last else end
    ttls = [record.ttl for record in found.records]
    message = Message.__new__(Message)
    message.id = ident
    message.flags = flags
    message.rcode = rcode
    message.question = question
    message.qname = qname
    message.qtype = qtype
    message.qclass = qclass
    message.edns = edns
    message.data = _with_zeroes(data, found.overlong) if found.overlong else data
    message.counts = (counts[0], counts[1], counts[2])
    message.end = end
    message.opt_is_last = opt_is_last
    message.ttl = min(ttls, default=0)
    message.highest_ttl = max(ttls, default=0)
    message.ttl_offsets = tuple([at - 2 for at in found.ttls])
    message.targets = tuple(found.targets)
    message.bindings = tuple(found.bindings)
    message.answered = False
    for record in found.records:
        if record.section == ANSWER and qtype in {record.rtype, _ANY}:
            message.answered = True
            break
    message.private = found.private
    message.kept_records = tuple(found.records)
    return message


def _plain_message(data: bytes, asked: int, qname: str) -> Message | None:
    """The usual answer, in one pass that makes no object for a record: addresses of the very name that was asked for, then at the
    most an OPT without options. None for every other message, the malformed ones too: ``_message`` knows what they are.
    """
    at = 12 + asked
    flags = data[2] << 8 | data[3]
    answers = data[6] << 8 | data[7]
    start = data[at - 4 : at]
    length = 4 if start == _A_IN else 16 if start == _AAAA_IN else 0
    if flags & 0xF80F != QR or data[4:6] != b"\0\1" or not answers or data[8:11] != b"\0\0\0" or data[11] > 1 or not length:
        return None
    start = b"\xc0\x0c" + start
    lowest, highest = 0x7FFFFFFF, 0
    private = False
    ttl_offsets = []
    for _ in range(answers):
        rdata_at = at + 12
        if data[at : at + 6] != start or data[at + 6] & 0x80 or data[at + 10] or data[at + 11] != length:
            return None
        ttl = data[at + 6] << 24 | data[at + 7] << 16 | data[at + 8] << 8 | data[at + 9]
        lowest = min(lowest, ttl)
        highest = max(highest, ttl)
        ttl_offsets.append(at + 4)
        at = rdata_at + length
        if at > len(data):
            return None
        private = private or is_private(data[rdata_at:at])
    end = at
    edns = None
    if data[11]:
        # A root owner, the type; no extended rcode, no options.
        if data[at : at + 3] != b"\0\0\x29" or data[at + 5] or data[at + 9 : at + 11] != b"\0\0":
            return None
        edns = read_edns(data, data[at + 3] << 8 | data[at + 4], data[at + 6] << 16 | data[at + 7] << 8 | data[at + 8], at, at)
        at += 11
    if at != len(data):
        return None
    message = Message.__new__(Message)
    message.id = data[0] << 8 | data[1]
    message.flags = flags
    message.rcode = 0
    message.question = data[12 : 12 + asked]
    message.qname = qname
    message.qtype = 1 if length == 4 else 28
    message.qclass = IN
    message.edns = edns
    message.data = data
    message.counts = (answers, 0, 0)
    message.end = end
    message.opt_is_last = True
    message.ttl = lowest
    message.highest_ttl = highest
    message.ttl_offsets = tuple(ttl_offsets)
    message.targets = ()
    message.bindings = ()
    message.answered = True
    message.private = private
    message.kept_records = None
    return message


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
        if record.rtype in ADDRESS_SIZE and record.rclass == IN
    ]
    for record, binding in message.bindings:
        found += [(record, address) for address in binding.addresses()]
    return found


def encode_question(qname: str, qtype: int, qclass: int = IN) -> bytes:
    """Raises FormatError where ``qname`` is no name (see ``encode_name``)."""
    return encode_name(qname) + _QUESTION.pack(qtype, qclass)


def encode_query(
    ident: int, question: bytes, do: bool = False, cd: bool = False, rd: bool = True, ad: bool = True, edns_size: int | None = SIZE
) -> bytes:
    """A query of our own. AD asks for the AD bit in the answer (RFC 6840, section 5.7); ``edns_size`` None: without EDNS."""
    flags = (RD if rd else 0) | (AD if ad else 0) | (CD if cd else 0)
    start = (ident << 16 | flags).to_bytes(4)
    if edns_size is None:
        return b"".join((start, b"\0\1\0\0\0\0\0\0", question))
    opt = opt_record(do=do, size=edns_size) if edns_size != SIZE else PLAIN_DO if do else PLAIN
    return b"".join((start, b"\0\1\0\0\0\0\0\1", question, opt))


def mixed_case(question: bytes, bits: int) -> bytes:
    """The question with the case of its letters chosen by random ``bits`` (8 for every octet of the name are used).

    An answer that repeats it exactly is that much harder to forge (draft-vixie-dnsext-dns0x20). Type and class stay.
    """
    name = question[:-4]
    letters = int.from_bytes(name.translate(_CASE_BIT))
    mixed = int.from_bytes(name) ^ (letters & bits)
    return mixed.to_bytes(len(name)) + question[-4:]

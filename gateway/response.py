"""What is sent to a client: from an upstream's message, or made here.

Every function returns a ``Reply``: the message without its id (so that one body serves every client that asks the same
octets), where its TTLs stand, and the smallest of them. The question is repeated octet by octet, with the client's own case.
EDNS is answered if and only if the client used it (RFC 6891, section 6.1.1), always as the last record.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gateway.edns import MINIMUM_SIZE, PLAIN, PLAIN_DO, SIZE, Edns, encode_options, opt_record
from gateway.numbers import IN, Option, Rcode, Type
from gateway.rebuild import rebuilt
from gateway.wire import AA, AD, CD, QR, RA, RD, TC, FormatError, Message, Query
from gateway.wire_names import encode_name, read_plain_name
from policies.model import BlockAnswer

MAX_TTL = 0x7FFFFFFF
STALE_TTL = 30
"""seconds on an answer past its time (RFC 8767, section 4)"""
ANY_TTL = 3600
OWNER = b"\xc0\x0c"
"""the question's own name, as a compression pointer"""

_HEAD = struct.Struct("!HHHHH")
_RECORD = struct.Struct("!HHIH")
_SOA_NUMBERS = struct.Struct("!IIIII")
_TTL = struct.Struct("!I")
_SOA_NAMES = encode_name("manglanh.invalid") + encode_name("nobody.manglanh.invalid")
_HINFO_8482 = b"\x07RFC8482\x00"
_HEAD_SIZE = 10
_new_tuple = tuple.__new__  # a NamedTuple without the Python function that it is called through
"""octets of the header behind the id"""


class Reply(NamedTuple):
    body: bytearray
    """the message without its two octets of id"""
    ttl_offsets: tuple[int, ...]
    """where the TTLs stand in ``body``"""
    ttl: int
    """the smallest TTL; 0 where there is no record"""
    opt_at: int
    """where our OPT record stands in ``body``; its length where there is none"""


class LocalRecord(NamedTuple):
    """A record of our own; ``owner`` is a name as on the wire."""

    rtype: int
    rdata: bytes
    ttl: int
    owner: bytes = OWNER


def forwarded(
    query: Query, message: Message, *, age: int = 0, ttl_limit: int = MAX_TTL, ttl: int | None = None, options: bytes = b""
) -> Reply:
    """The upstream's answer for this client.

    The sections are copied as they are: the question is as long as the upstream's, so compression pointers stay right. Only the
    OPT record is replaced. TTLs become ``min(TTL - age, ttl_limit)``, at least 0, or all ``ttl`` where that is given (stale
    answers). AD is set only where the upstream set it and the client asked, by AD or DO (RFC 6840, section 5.8). An extended
    error of the upstream is passed on behind ``options``. Raises FormatError (SERVFAIL) for an answer to another question.
    """
    if not message.opt_is_last and message.question:
        message = rebuilt(message)
    question = query.question
    if not message.question:
        return answer(query, message.rcode if message.rcode in _ERRORS_PASSED_ON else Rcode.SERVFAIL, options=options)
    if message.qname != query.qname or message.qtype != query.qtype or message.qclass != query.qclass:
        raise FormatError("an answer to another question", Rcode.SERVFAIL)
    flags = QR | RA | query.flags & (RD | CD) | message.flags & TC | (message.rcode if message.rcode < 16 else Rcode.SERVFAIL)
    edns = query.edns
    if message.flags & AD and (query.flags & AD or (edns is not None and edns.do)):
        flags |= AD
    answers, authorities, additionals = message.counts
    sections = message.data[12 + len(question) : message.end]
    opt = b""
    if edns is not None:
        additionals += 1
        if message.edns is not None and message.edns.options:
            options += encode_options(tuple([option for option in message.edns.options if option[0] == Option.EDE]))
        opt = opt_record(do=edns.do, options=options) if options else PLAIN_DO if edns.do else PLAIN
    body = bytearray(b"".join((_HEAD.pack(flags, 1, answers, authorities, additionals), question, sections, opt)))
    lowest = _write_ttls(body, message, age, ttl_limit, ttl)
    return _new_tuple(Reply, (body, message.ttl_offsets, lowest, len(body) - len(opt)))


_ERRORS_PASSED_ON = frozenset((Rcode.SERVFAIL, Rcode.REFUSED))


def _write_ttls(body: bytearray, message: Message, age: int, limit: int, fixed: int | None) -> int:
    """Writes the TTLs that differ from the upstream's; returns the smallest."""
    if fixed is not None:
        age, limit = -MAX_TTL, fixed
    elif not age and message.highest_ttl <= limit:
        return message.ttl
    for at in message.ttl_offsets:
        ttl = body[at] << 24 | body[at + 1] << 16 | body[at + 2] << 8 | body[at + 3]
        _TTL.pack_into(body, at, max(min(ttl - age, limit), 0))
    return max(min(message.ttl - age, limit), 0) if message.ttl_offsets else 0


def age(body: bytearray, ttl_offsets: Iterable[int], seconds: int) -> None:
    """Lowers every TTL in place, to 0 at the least."""
    for at in ttl_offsets:
        ttl = _TTL.unpack_from(body, at)[0]
        _TTL.pack_into(body, at, ttl - seconds if ttl > seconds else 0)


def answer(
    query: Query,
    rcode: int = Rcode.NOERROR,
    answers: Sequence[LocalRecord] = (),
    authority: Sequence[LocalRecord] = (),
    *,
    options: bytes = b"",
    authoritative: bool = False,
) -> Reply:
    """An answer of our own making, of class IN. ``options``: encoded EDNS options (``ede``), sent if the client used EDNS."""
    flags = QR | RA | query.flags & (RD | CD) | (AA if authoritative else 0) | rcode & 15
    opt = b"" if query.edns is None else opt_record(do=query.edns.do, options=options, rcode=rcode)
    body = bytearray(_HEAD.pack(flags, 1, len(answers), len(authority), 1 if opt else 0))
    body += query.question
    offsets = []
    for record in (*answers, *authority):
        body += record.owner
        offsets.append(len(body) + 4)
        body += _RECORD.pack(record.rtype, IN, record.ttl, len(record.rdata))
        body += record.rdata
    lowest = min([record.ttl for record in (*answers, *authority)], default=0)
    opt_at = len(body)
    body += opt
    return Reply(body, tuple(offsets), lowest, opt_at)


def address_record(packed: bytes, ttl: int) -> LocalRecord:
    """A for 4 octets, AAAA for 16."""
    return LocalRecord(Type.A if len(packed) == 4 else Type.AAAA, packed, ttl)


def name_record(rtype: int, target: str, ttl: int) -> LocalRecord:
    """CNAME, PTR or NS. Raises FormatError where ``target`` is no name."""
    return LocalRecord(rtype, encode_name(target), ttl)


def soa_record(ttl: int, owner: bytes = OWNER) -> LocalRecord:
    """What lets a resolver keep "there is none" for ``ttl`` seconds (RFC 2308). The name itself is the owner."""
    return LocalRecord(Type.SOA, _SOA_NAMES + _SOA_NUMBERS.pack(1, 3600, 600, 86400, ttl), ttl, owner)


def nodata(query: Query, ttl: int, *, options: bytes = b"", authoritative: bool = False) -> Reply:
    """The name exists, the type does not."""
    return answer(query, Rcode.NOERROR, (), (soa_record(ttl),), options=options, authoritative=authoritative)


def nxdomain(query: Query, ttl: int, *, options: bytes = b"", authoritative: bool = False) -> Reply:
    return answer(query, Rcode.NXDOMAIN, (), (soa_record(ttl),), options=options, authoritative=authoritative)


def addressed(query: Query, addresses: Sequence[bytes], ttl: int, *, options: bytes = b"", authoritative: bool = False) -> Reply:
    """The addresses (packed) of the family that is asked for; NODATA where none is, or another type is asked."""
    size = 4 if query.qtype == Type.A else 16 if query.qtype == Type.AAAA else 0
    records = [address_record(packed, ttl) for packed in addresses if len(packed) == size]
    if not records:
        return nodata(query, ttl, options=options, authoritative=authoritative)
    return answer(query, Rcode.NOERROR, records, options=options, authoritative=authoritative)


def blocked(query: Query, how: BlockAnswer, ttl: int, *, page: Sequence[bytes] = (), options: bytes = b"") -> Reply:
    """A blocked name, as the school wants it told. ``page``: the block page's addresses, packed."""
    if how == BlockAnswer.NXDOMAIN:
        return nxdomain(query, ttl, options=options)
    if how == BlockAnswer.REFUSED:
        return answer(query, Rcode.REFUSED, options=options)
    if how == BlockAnswer.NODATA:
        return nodata(query, ttl, options=options)
    return addressed(query, page if how == BlockAnswer.PAGE else (bytes(4), bytes(16)), ttl, options=options)


def minimal_any(query: Query, *, options: bytes = b"") -> Reply:
    """ANY is answered with one synthesised HINFO record (RFC 8482, section 4.2)."""
    return answer(query, Rcode.NOERROR, (LocalRecord(Type.HINFO, _HINFO_8482, ANY_TTL),), options=options)


def error(problem: FormatError) -> bytes | None:
    """The whole packet, id included, that tells a client about its malformed query; None: nothing is to be sent."""
    if problem.rcode is None:
        return None
    flags = QR | RA | problem.flags & (0x7800 | RD | CD) | problem.rcode & 15
    opt = opt_record(rcode=problem.rcode) if problem.rcode > 15 else b""
    head = _HEAD.pack(flags, 1 if problem.question else 0, 0, 0, 1 if opt else 0)
    return b"".join((problem.id.to_bytes(2), head, problem.question, opt))


def udp_limit(edns: Edns | None, maximum: int = SIZE) -> int:
    """How many octets a client takes over UDP; never more than ``maximum``, since larger ones are fragmented and lost."""
    return MINIMUM_SIZE if edns is None else min(max(edns.size, MINIMUM_SIZE), maximum)


def truncated(reply: Reply, limit: int) -> Reply:
    """The reply if it fits ``limit`` octets; else its header with TC, the question and our OPT: the client asks again by TCP."""
    body = reply.body
    if len(body) + 2 <= limit:
        return reply
    _, end = read_plain_name(bytes(body), _HEAD_SIZE)
    opt = bytes(body[reply.opt_at :])
    flags = int.from_bytes(body[:2]) | TC
    if end + 4 + len(opt) + 2 > limit:
        opt = opt_record(do=bool(opt[7] & 0x80)) if opt else b""
    kept = bytearray(_HEAD.pack(flags, 1, 0, 0, 1 if opt else 0) + body[_HEAD_SIZE : end + 4] + opt)
    return Reply(kept, (), 0, len(kept) - len(opt))

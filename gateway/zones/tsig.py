"""Transaction signatures (TSIG, RFC 8945) around messages that are bytes: queries are verified, answers signed. Pure.

The cryptography is dnspython's. What is ours: ``now`` is an argument, an answer may have any number of messages, of which each is
signed over the one before it (section 5.3.1), and what is wrong with a query becomes the answer that the RFC asks for.
"""

import struct
from collections.abc import Callable
from enum import IntEnum
from typing import Any

import dns.exception
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.tsig
import dns.wire
from dns.rdtypes.ANY.TSIG import TSIG

_sign: Callable[..., tuple[TSIG, Any]] = dns.tsig.sign
_validate: Callable[..., Any] = dns.tsig.validate
_tsig: Callable[..., TSIG] = TSIG  # dnspython has no types here
FUDGE = 300
"""seconds that two clocks may differ (section 10)"""


class TsigError(IntEnum):
    FORMERR = 1
    BADSIG = 16
    BADKEY = 17
    BADTIME = 18


class BadTsig(Exception):
    """A query whose signature does not hold."""

    def __init__(
        self, code: TsigError, why: str, signed: "tuple[dns.name.Name, TSIG] | None" = None, key: dns.tsig.Key | None = None
    ) -> None:
        super().__init__(why)
        self.code = code
        self.signed = signed
        """the query's own TSIG record"""
        self.key = key
        """for BADTIME: the key that made a good signature at another time"""


class Signer:
    """Signs the messages of one answer, in their order."""

    def __init__(self, key: dns.tsig.Key, request_mac: bytes, now: float) -> None:
        self._key = key
        self._mac = request_mac
        self._now = int(now)
        self._chain: Any = None

    def sign(self, message: bytes) -> bytes:
        template = _rdata(self._key.algorithm, self._now, b"", int.from_bytes(message[:2], "big"), 0, b"")
        rdata, self._chain = _sign(message, self._key, template, self._now, self._mac, self._chain, multi=True)
        return _with(message, self._key.name, rdata)


def verify(wire: bytes, query: dns.message.Message, key: dns.tsig.Key | None, now: float) -> Signer | None:
    """The signer of the answer; None: the query is not signed. ``query`` is ``wire``, parsed. Raises BadTsig."""
    if query.tsig is None:
        return None
    owner, rdata = query.tsig.name, query.tsig[0]
    if rdata.error or rdata.original_id != query.id:
        raise BadTsig(TsigError.FORMERR, "a query with an error in its TSIG")
    signed = owner, rdata
    if key is None or owner != key.name or rdata.algorithm != key.algorithm:
        raise BadTsig(TsigError.BADKEY, f"signed with a key that is not ours: {owner}", signed)
    try:
        _validate(wire, key, owner, rdata, int(now), b"", _last_record(wire))
    except dns.tsig.BadTime:
        raise BadTsig(TsigError.BADTIME, "signed at another time: is a clock wrong?", signed, key) from None
    except dns.exception.DNSException:
        raise BadTsig(TsigError.BADSIG, "the signature is wrong", signed) from None
    return Signer(key, rdata.mac, now)


def refusal(message: bytes, error: BadTsig, now: float) -> bytes:
    """``message``, an error's answer, with the TSIG record that says why (section 5.3.2)."""
    if error.signed is None:
        return message
    owner, asked = error.signed
    at = asked.time_signed if error.code == TsigError.BADTIME else int(now)
    other = int(now).to_bytes(6, "big") if error.code == TsigError.BADTIME else b""
    rdata = _rdata(asked.algorithm, at, b"", int.from_bytes(message[:2], "big"), error.code, other)
    if error.key is not None:
        rdata, _ = _sign(message, error.key, rdata, at, asked.mac)
    return _with(message, owner, rdata)


def _rdata(algorithm: dns.name.Name, at: int, mac: bytes, original_id: int, error: int, other: bytes) -> TSIG:
    return _tsig(dns.rdataclass.ANY, dns.rdatatype.TSIG, algorithm, at, FUDGE, mac, original_id, error, other)


def _last_record(wire: bytes) -> int:
    """Where the last record of a message begins, which a TSIG record has to be."""
    parser = dns.wire.Parser(wire)
    _, _, questions, *counts = parser.get_struct("!6H")
    for _ in range(questions):
        dns.name.from_wire_parser(parser)
        parser.get_bytes(4)
    for _ in range(sum(counts) - 1):
        dns.name.from_wire_parser(parser)
        parser.get_bytes(parser.get_struct("!HHIH")[-1])
    return parser.current


def _record(owner: dns.name.Name, rdata: TSIG) -> bytes:
    data = rdata.to_wire() or b""
    return (owner.to_wire() or b"") + struct.pack("!HHIH", dns.rdatatype.TSIG, dns.rdataclass.ANY, 0, len(data)) + data


def _with(message: bytes, owner: dns.name.Name, rdata: TSIG) -> bytes:
    """``message`` with the record at its end, and counted."""
    records = int.from_bytes(message[10:12], "big") + 1
    return message[:10] + records.to_bytes(2, "big") + message[12:] + _record(owner, rdata)

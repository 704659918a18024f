"""A very small DNS client: one question, the answer in words. [shell: sockets]

It is what `ask`, `selftest` and `doctor` put their questions with, so that nobody needs dig. ``describe`` reads the reason out
of a blocked answer: Extended DNS Errors (RFC 8914), whose text is JSON as in draft-ietf-dnsop-structured-dns-error.
"""

import json
import socket
import struct
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from dnslib import EDNS0, QTYPE, RCODE, DNSError, DNSRecord

BLOCKED_CODES = {15: "Blocked", 16: "Censored", 17: "Filtered"}
_EXTENDED_ERROR = 15
_SIZE = 1232
_TRUNCATED = 0x02
"""TC, in the third octet of a header (RFC 1035 section 4.1.1)"""


class NoAnswer(Exception):
    """Nothing that can be read came back in time."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a person wants to know of a response."""

    rcode: str
    records: tuple[str, ...]
    """each answer record as ``TYPE value``"""
    error: int | None
    """the extended error's number"""
    reason: dict[str, Any]
    """the extended error's text: the JSON's members, or ``{"j": text}`` where it is plain"""

    @property
    def blocked(self) -> bool:
        return self.error in BLOCKED_CODES


def ask(server: str, port: int, name: str, rtype: str = "A", *, source: str = "", tcp: bool = False, seconds: float = 3.0) -> Reply:
    """Put one question: over UDP, and over TCP where the answer is cut, or at once with ``tcp``. ``source`` asks from an address.

    Raises NoAnswer, and ValueError for a name or type that cannot be asked.
    """
    query = build(name, rtype)
    try:
        response = b"" if tcp else _over_udp(server, port, query, source, seconds)
        if tcp or response[2] & _TRUNCATED:
            response = _over_tcp(server, port, query, source, seconds)
    except OSError as error:
        raise NoAnswer(error.strerror or str(error)) from None
    return read(response)


def build(name: str, rtype: str) -> bytes:
    """A recursive query with EDNS, without which no extended error may come back (RFC 8914 section 3). Raises ValueError."""
    number = QTYPE.reverse.get(rtype.upper())
    if number is None:
        raise ValueError(rtype)
    try:
        query = DNSRecord.question(name, rtype.upper())
        query.add_ar(EDNS0(udp_len=_SIZE))
        return bytes(query.pack())
    except (DNSError, UnicodeError):
        raise ValueError(name) from None


def read(response: bytes) -> Reply:
    """Raises NoAnswer for bytes that are no response."""
    try:
        record = DNSRecord.parse(response)
    except (DNSError, struct.error, UnicodeDecodeError, ValueError, IndexError):
        raise NoAnswer("damaged response") from None
    code, text = _extended_error(record)
    return Reply(
        rcode=str(RCODE.get(record.header.rcode)),
        records=tuple(f"{QTYPE.get(answer.rtype)} {answer.rdata}" for answer in record.rr),
        error=code,
        reason=_reason(text),
    )


def _extended_error(record: Any) -> tuple[int | None, str]:
    for extra in record.ar:
        if extra.rtype != QTYPE.OPT:
            continue
        for option in extra.rdata:
            if option.code == _EXTENDED_ERROR and len(option.data) >= 2:
                return int.from_bytes(option.data[:2]), bytes(option.data[2:]).decode("utf-8", "replace")
    return None, ""


def _reason(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, dict):
        return value
    return {"j": text} if text else {}


def _family(server: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ip_address(server).version == 6 else socket.AF_INET


def _over_udp(server: str, port: int, query: bytes, source: str, seconds: float) -> bytes:
    """A connected socket takes datagrams from the asked address only; another id is waited past, as long as there is time."""
    with socket.socket(_family(server), socket.SOCK_DGRAM) as sock:
        sock.settimeout(seconds)
        if source:
            sock.bind((source, 0))
        sock.connect((server, port))
        sock.send(query)
        for _ in range(16):
            response = sock.recv(65535)
            if len(response) >= 12 and response[:2] == query[:2]:
                return response
    raise NoAnswer("only responses to other questions")


def _over_tcp(server: str, port: int, query: bytes, source: str, seconds: float) -> bytes:
    with socket.create_connection((server, port), seconds, (source, 0) if source else None) as sock:
        return exchange_stream(sock, query)


def exchange_stream(sock: socket.socket, query: bytes) -> bytes:
    """Send and receive one length-prefixed message, over TCP or TLS. Raises OSError, NoAnswer."""
    sock.sendall(len(query).to_bytes(2) + query)
    with sock.makefile("rb") as stream:
        response = stream.read(int.from_bytes(stream.read(2)))
    if len(response) < 12:
        raise NoAnswer("the connection was closed")
    return response

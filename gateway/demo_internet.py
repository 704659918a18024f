"""A pretend internet for `manglanh demo`: a DNS upstream on loopback that knows every name. [shell: one UDP and one TCP socket]

Promises: ``answer`` is a pure function of the query's bytes. A name has the same addresses on every run, derived from its
hash and always from the ranges set aside for documentation (RFC 5737, RFC 3849), so nothing that believes them can reach
anybody. A few names play what happens in the wild: see ``PARTS``.

Refuses: to be a real upstream. It answers whoever asks it, so it binds only the address that is given, loopback by default.
"""

import socketserver
import struct
import threading
from collections.abc import Callable
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from dnslib import AAAA, CNAME, EDNS0, HTTPS, MX, NS, PTR, QTYPE, RCODE, RD, RR, SOA, TXT, A, DNSError, DNSHeader, DNSRecord

TTL = 300
MISSING = "does-not-exist"
"""A name with this text in it does not exist."""

PARTS = {
    "cloaked.example": "a site's own name that is an alias of a tracker",
    "rebind.example": "a public name that points into the private network",
    "long.example": "a TXT answer that does not fit into one datagram",
}
_CLOAKED_TARGET = "tracking.manglanh.test"
_PRIVATE = "192.168.1.1"
_NETWORKS = tuple(int(IPv4Address(first)) for first in ("192.0.2.0", "198.51.100.0", "203.0.113.0"))
_DOCUMENTATION6 = int(IPv6Address("2001:db8::"))
_ALPN, _IPV4_HINT, _ECH = 1, 4, 5
"""SvcParamKeys (RFC 9460 section 14.3.2, RFC 9848)."""
_ENOUGH = 65535


def address4(name: str) -> str:
    """The pretend IPv4 address of ``name``."""
    digest = sha256(name.encode()).digest()
    return str(IPv4Address(_NETWORKS[digest[0] % len(_NETWORKS)] + 1 + digest[1] % 254))


def address6(name: str) -> str:
    """The pretend IPv6 address of ``name``."""
    return str(IPv6Address(_DOCUMENTATION6 + int.from_bytes(sha256(name.encode()).digest()[:8])))


def answer(query: bytes, limit: int = _ENOUGH) -> bytes | None:
    """The response to ``query`` in at most ``limit`` bytes, cut with TC set where it is longer (RFC 2181 section 9).

    None for what is not a query with one question, or cannot be answered in DNS; nobody is told off here.
    """
    asked = _parse(query)
    if asked is None or asked.header.qr or len(asked.questions) != 1:
        return None
    try:
        reply = _reply(asked)
        packed = bytes(reply.pack())
    except (DNSError, ValueError, struct.error):  # a made-up name that became too long
        return None
    if len(packed) <= limit:
        return packed
    header = DNSHeader(id=reply.header.id, bitmap=reply.header.bitmap, tc=1)
    return bytes(DNSRecord(header, questions=reply.questions, ar=reply.ar).pack())


def datagram_limit(query: bytes) -> int:
    """How long a datagram the asker takes: its EDNS size, 512 bytes without (RFC 6891 section 6.2.3)."""
    asked = _parse(query)
    return next((max(512, record.edns_len) for record in asked.ar if record.rtype == QTYPE.OPT), 512) if asked else 512


def _parse(query: bytes) -> Any:
    """The query as dnslib sees it, None for what it cannot read."""
    try:
        return DNSRecord.parse(query)
    except (DNSError, struct.error, UnicodeDecodeError, ValueError, IndexError):
        return None


def _reply(asked: Any) -> Any:
    name = str(asked.q.qname).rstrip(".").lower()
    reply = asked.reply(aa=0, ra=1)
    exists = MISSING not in name
    records = _records(name, asked.q.qtype) if exists else ()
    for owner, rtype, data in records:
        reply.add_answer(RR(owner, rtype, ttl=TTL, rdata=data))
    if not records:
        reply.header.rcode = RCODE.NOERROR if exists else RCODE.NXDOMAIN
        reply.add_auth(_start_of_authority(name))
    if any(record.rtype == QTYPE.OPT for record in asked.ar):
        reply.add_ar(EDNS0(udp_len=1232))
    return reply


def _records(name: str, qtype: int) -> tuple[tuple[str, int, RD], ...]:
    """Owner, type and data of each answer record."""
    if name == "cloaked.example" and qtype in {QTYPE.A, QTYPE.AAAA, QTYPE.HTTPS}:
        return (name, QTYPE.CNAME, CNAME(_CLOAKED_TARGET)), *_records(_CLOAKED_TARGET, qtype)
    make = _MAKERS.get(qtype)
    return ((name, qtype, make(name)),) if make else ()


def _txt(name: str) -> TXT:
    if name == "long.example":
        return TXT([b"a text that is too long for one datagram. " * 5] * 10)
    return TXT(b"the pretend internet of manglanh demo")


def _https(name: str) -> HTTPS:
    """Service mode, with Encrypted Client Hello and an address hint: what a filter has to take out (RFC 9460)."""
    hint = ip_address(address4(name)).packed
    return HTTPS(1, [], [(_ALPN, b"\x02h2\x02h3"), (_IPV4_HINT, hint), (_ECH, _ech_configs(name))])


def _ech_configs(name: str) -> bytes:
    """An ECHConfigList in form (RFC 9849 section 4): one configuration of version 0xfe0d, with bytes that open nothing."""
    config = _with_length(sha256(name.encode()).digest())
    return _with_length(b"\xfe\x0d" + config)


def _with_length(data: bytes) -> bytes:
    return len(data).to_bytes(2) + data


_MAKERS: dict[int, Callable[[str], RD]] = {
    QTYPE.A: lambda name: A(_PRIVATE if name == "rebind.example" else address4(name)),
    QTYPE.AAAA: lambda name: AAAA(address6(name)),
    QTYPE.HTTPS: _https,
    QTYPE.MX: lambda name: MX(f"mail.{name}", 10),
    QTYPE.NS: lambda name: NS(f"ns1.{name}"),
    QTYPE.PTR: lambda _: PTR("host.example"),
    QTYPE.TXT: _txt,
}


def _start_of_authority(name: str) -> RR:
    """The negative answer's SOA; its last field bounds how long the answer is remembered (RFC 2308 section 5)."""
    zone = name.rpartition(".")[2] or "."
    return RR(zone, QTYPE.SOA, ttl=60, rdata=SOA("ns1.example", "hostmaster.example", (1, 3600, 600, 86400, 60)))


class _Datagrams(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        query, sock = self.request
        response = answer(query, datagram_limit(query))
        if response is not None:
            sock.sendto(response, self.client_address)


class _Stream(socketserver.StreamRequestHandler):
    timeout = 10

    def handle(self) -> None:
        """Two bytes of length before each message, several on one connection (RFC 7766)."""
        try:
            while len(length := self.rfile.read(2)) == 2:
                response = answer(self.rfile.read(int.from_bytes(length)))
                if response is None:
                    return
                self.wfile.write(len(response).to_bytes(2) + response)
        except OSError:  # the asker went away, or said nothing for too long
            return


class _UdpServer(socketserver.UDPServer):
    max_packet_size = _ENOUGH


class _TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class DemoInternet:
    """The running upstream: listens as soon as it is made, ``close`` ends it. Raises OSError when the port is taken."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._udp = _UdpServer((host, port), _Datagrams)
        try:
            self._tcp = _TcpServer((host, self._udp.server_address[1]), _Stream)
        except OSError:
            self._udp.server_close()
            raise
        self.address = f"{host}:{self._udp.server_address[1]}"
        """as ``dns.upstreams`` takes it"""
        self._threads = tuple(threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True) for server in (self._udp, self._tcp))
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        for server, thread in zip((self._udp, self._tcp), self._threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()

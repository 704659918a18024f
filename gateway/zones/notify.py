"""Telling a zone's secondaries that it has a new version: NOTIFY (RFC 1996), signed where the zone is, until it is acknowledged.  [shell]

A secondary that stays silent is told again a few times at growing intervals; after that it finds out by itself, since the zone's SOA
says how often to look.
"""

import asyncio
import logging
import secrets
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.tsig

from gateway.zones.records import EXPIRE, NAME_SERVER, REFRESH, RETRY, TTL
from gateway.zones.transfer import ServedZone

log = logging.getLogger("manglanh.zone")

WAITS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
"""seconds for an acknowledgement, each time it is said"""


@dataclass(frozen=True, slots=True)
class Follower:
    """A secondary: where it listens, and the address of ours that it knows (None: whichever the system takes)."""

    host: str
    port: int
    ours: str | None


def notification(zone: ServedZone, key: dns.tsig.Key | None) -> dns.message.Message:
    """The message: the zone's name, and its new SOA as a hint."""
    message = dns.message.make_query(zone.origin, dns.rdatatype.SOA)
    message.id = secrets.randbelow(1 << 16)
    message.flags = dns.flags.AA
    message.set_opcode(dns.opcode.NOTIFY)
    soa = f"{NAME_SERVER} {NAME_SERVER} {zone.serial} {REFRESH} {RETRY} {EXPIRE} {TTL}"
    message.answer.append(dns.rrset.from_text(zone.origin, TTL, dns.rdataclass.IN, dns.rdatatype.SOA, soa))
    if key is not None and zone.sign:
        message.use_tsig(key)
    return message


def is_acknowledged(wire: bytes, sent: dns.message.Message) -> bool:
    """Whether ``wire`` is the answer to ``sent``: to its id and name, and signed if that was."""
    try:
        reply = dns.message.from_wire(wire, keyring=sent.keyring or False, request_mac=sent.mac or b"")
    except dns.exception.DNSException:
        return False
    return sent.is_response(reply) and reply.rcode() == dns.rcode.NOERROR


async def notify(zone: ServedZone, follower: Follower, key: dns.tsig.Key | None, waits: tuple[float, ...] = WAITS) -> bool:
    """Say it until the secondary acknowledges it; False: it never did. Raises nothing but OSError where there is no way to it."""
    sent = notification(zone, key)
    wire = sent.to_wire()
    loop = asyncio.get_running_loop()
    acknowledged = asyncio.Event()
    local = None if follower.ours is None else (follower.ours, 0)
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Replies(sent, acknowledged), local_addr=local, remote_addr=(follower.host, follower.port)
    )
    try:
        for seconds in waits:
            transport.sendto(wire)
            try:
                async with asyncio.timeout(seconds):
                    await acknowledged.wait()
            except TimeoutError:
                continue
            return True
    finally:
        transport.close()
    log.warning("zone %s: the secondary %s did not acknowledge serial %d", zone.origin, follower.host, zone.serial)
    return False


class _Replies(asyncio.DatagramProtocol):
    def __init__(self, sent: dns.message.Message, acknowledged: asyncio.Event) -> None:
        self._sent = sent
        self._acknowledged = acknowledged

    def datagram_received(self, data: bytes, _address: object) -> None:
        if is_acknowledged(data, self._sent):
            self._acknowledged.set()

    def error_received(self, _error: Exception) -> None:
        """Nobody listens there yet: it is said again."""

"""From a query for a served zone to the messages that answer it: SOA, AXFR (RFC 5936), IXFR (RFC 1995), TSIG (RFC 8945).

Pure, but that the steps of an IXFR are read from the journal as they are sent.

Who may ask: whoever signs with the key; for a zone that need not be signed also its secondaries, by address. Everybody else gets
REFUSED, and no query makes this raise. The messages come from an iterator, one by one, so that a large zone is never in memory and
each follower goes at its own pace.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.tsig

from gateway.effect import Effect
from gateway.zones.journal import Step
from gateway.zones.records import Record, records
from gateway.zones.tsig import BadTsig, Signer, TsigError, refusal, verify
from gateway.zones.wire import encode, fits, message, messages, name_server, opt, soa

_QUESTION_AT = 12


@dataclass(frozen=True, slots=True)
class ServedZone:
    """One version of a zone, and how to get there from those before it."""

    origin: dns.name.Name
    serial: int
    effect: Effect
    secondaries: frozenset[str]
    """addresses"""
    sign: bool
    since: Callable[[int], tuple[Step, ...] | None]


@dataclass(frozen=True, slots=True)
class Desk:
    zones: Mapping[dns.name.Name, ServedZone]
    key: dns.tsig.Key | None


class Answer(NamedTuple):
    messages: Iterator[bytes]
    """none: no answer at all"""
    what: str
    """for the log: ``AXFR``, ``IXFR``, ``SOA`` or why it is refused"""
    zone: ServedZone | None = None


NOTHING = Answer(iter(()), "not a query")


def respond(wire: bytes, peer: str, *, stream: bool, desk: Desk, now: float) -> Answer:
    """``peer`` is the asking address, ``stream`` whether it asks over TCP, ``now`` Unix seconds. Raises nothing."""
    if len(wire) < _QUESTION_AT or wire[2] & 0x80:
        return NOTHING
    try:
        query = dns.message.from_wire(wire, keyring=False)
        question = _question(wire, query)
    except dns.exception.DNSException:
        return _error(wire, b"", dns.rcode.FORMERR, "malformed")
    if query.opcode() != dns.opcode.QUERY:
        return _error(wire, question, dns.rcode.NOTIMP, "not a query")
    try:
        signer = verify(wire, query, desk.key, now)
    except BadTsig as error:
        return _bad_tsig(wire, question, error, now)
    return _answer(wire, query, question, peer, stream=stream, desk=desk, signer=signer)


def _answer(
    wire: bytes, query: dns.message.Message, question: bytes, peer: str, *, stream: bool, desk: Desk, signer: Signer | None
) -> Answer:
    asked = query.question[0]
    zone = desk.zones.get(asked.name) if asked.rdclass == dns.rdataclass.IN else None
    if zone is None:
        return _error(wire, question, dns.rcode.NOTAUTH, f"{asked.name}: no such zone", signer)
    if signer is None and (zone.sign or peer not in zone.secondaries):
        return _error(wire, question, dns.rcode.REFUSED, f"{asked.name}: not for {peer}" + (" without a signature" if zone.sign else ""))
    match asked.rdtype:
        case dns.rdatatype.SOA:
            found: tuple[str, Iterable[bytes]] | None = "SOA", (soa(zone.serial),)
        case dns.rdatatype.AXFR:
            found = ("AXFR", _whole(zone)) if stream else None
        case dns.rdatatype.IXFR:
            found = _since(zone, query, stream=stream)
        case _:
            return _error(wire, question, dns.rcode.REFUSED, "neither a transfer nor SOA", signer)
    if found is None:
        return _error(wire, question, dns.rcode.FORMERR, "malformed transfer", signer)
    what, body = found
    additional = opt() if query.edns >= 0 else b""
    plain = messages(query.id, question, body, additional)
    return Answer(plain if signer is None else map(signer.sign, plain), what, zone)


def _whole(zone: ServedZone) -> Iterator[bytes]:
    """RFC 5936, section 2.2: the zone between two copies of its SOA."""
    edge = soa(zone.serial)
    effect = zone.effect
    return chain((edge, name_server()), _encoded(records(effect.nodes(), effect), zone), (edge,))


def _since(zone: ServedZone, query: dns.message.Message, *, stream: bool) -> tuple[str, Iterable[bytes]] | None:
    """RFC 1995, section 4: nothing new is the SOA alone; over UDP that says *come over TCP*; what is not known any more is AXFR."""
    held = next((rrset[0].serial for rrset in query.authority if rrset.rdtype == dns.rdatatype.SOA and len(rrset)), None)
    if held is None:
        return None
    if held == zone.serial or not stream:
        return "SOA", (soa(zone.serial),)
    steps = zone.since(held)
    if not steps or steps[-1].after != zone.serial:
        return "AXFR", _whole(zone)
    return "IXFR", _steps(zone, steps)


def _steps(zone: ServedZone, steps: tuple[Step, ...]) -> Iterator[bytes]:
    """Each step: the SOA before, what went, the SOA after, what came."""
    yield soa(zone.serial)
    for step in steps:
        yield soa(step.before)
        yield from _encoded(step.records(added=False), zone)
        yield soa(step.after)
        yield from _encoded(step.records(added=True), zone)
    yield soa(zone.serial)


def _encoded(each: Iterable[Record], zone: ServedZone) -> Iterator[bytes]:
    """A listed name so long that it cannot stand below the zone's name is left out: nobody could transfer the zone with it."""
    origin = len(zone.origin.to_wire() or b"")
    return (encode(record) for record in each if fits(record.owner, origin))


def _question(wire: bytes, query: dns.message.Message) -> bytes:
    """The question as it was asked. Raises FormError unless there is exactly one, spelled out (its name may not be compressed)."""
    if len(query.question) != 1:
        raise dns.exception.FormError
    name = query.question[0].name.to_wire() or b""
    end = _QUESTION_AT + len(name)
    if wire[_QUESTION_AT:end] != name or wire[4:6] != b"\0\1":
        raise dns.exception.FormError
    return wire[_QUESTION_AT : end + 4]


def _error(wire: bytes, question: bytes, rcode: int, why: str, signer: Signer | None = None) -> Answer:
    plain = message(int.from_bytes(wire[:2], "big"), question, [], flags=(wire[2] & 0x79) << 8 | rcode)
    return Answer(iter((plain if signer is None else signer.sign(plain),)), why)


def _bad_tsig(wire: bytes, question: bytes, error: BadTsig, now: float) -> Answer:
    """RFC 8945, section 5.3.2: NOTAUTH, unsigned but for the wrong time."""
    if error.code == TsigError.FORMERR:
        return _error(wire, question, dns.rcode.FORMERR, str(error))
    plain = message(int.from_bytes(wire[:2], "big"), question, [], flags=dns.rcode.NOTAUTH)
    return Answer(iter((refusal(plain, error, now),)), str(error))

"""What the fuzzer runs each packet through, and what must hold whatever the packet is.

A *target* takes a packet and returns a word for the statistics. Anything it raises is a finding: FormatError is handled inside,
and an invariant that does not hold raises ``Broken``. What costs several times the decoding itself is only done to one packet in
sixteen (and to all of the corpus), so that there is time for more packets.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.cache import Cache
from gateway.edns import Edns, ede
from gateway.rebuild import aliased, rebuilt, without_parameters, without_records
from gateway.response import Reply, blocked, error, forwarded, truncated, udp_limit
from gateway.wire import FormatError, Message, Query, addresses, cname_targets, decode_message, decode_query, encode_name, svcb_targets
from policies.model import BlockAnswer
from tests.fuzz import seeds, whole_path
from tests.fuzz.mutate import Mutator

Target = Callable[[bytes, bool], str]
"""packet, thorough -> outcome"""
_THOROUGH = 16
"""one packet in so many gets the costly checks as well"""
_BLOCKS = tuple(BlockAnswer)
_PAGE = (b"\x0a\0\0\1", bytes(15) + b"\1")
_EXPLANATION = ede(15, "why")
_HIDDEN = frozenset((4, 5, 6))
_EDNS = Edns(do=True)


class Broken(AssertionError):
    """An invariant does not hold."""


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise Broken(what)


def query(packet: bytes, thorough: bool = True) -> str:
    """A client's packet: refused with a small answer or none; else every local answer to it can be read again."""
    try:
        asked = decode_query(packet)
    except FormatError as problem:
        reply = error(problem)
        if reply is None:
            return "query dropped"
        _require(len(reply) <= len(packet) + 11, "an error is hardly longer than what caused it")
        return f"query rcode {problem.rcode}"
    _require(packet[12 : 12 + len(asked.question)] == asked.question, "the question is as sent")
    if not thorough:
        return "query answered"
    local = blocked(asked, _BLOCKS[len(packet) % len(_BLOCKS)], 10, page=_PAGE, options=_EXPLANATION)
    short = truncated(local, udp_limit(asked.edns))
    _require(len(short.body) + 2 <= 512 or asked.edns is not None, "fits the client")
    _require(decode_message(b"\0\0" + local.body).qname == asked.qname, "the same name")
    return "query answered"


def response(packet: bytes, thorough: bool = True) -> str:
    """An upstream's packet: refused, or forwarded, inspected, kept and rebuilt with nothing left to raise."""
    try:
        message = decode_message(packet)
    except FormatError:
        return "response refused"
    for target in (*cname_targets(message), *svcb_targets(message)):
        encode_name(target)
    found = addresses(message)
    _require(all(len(packed) in {4, 16} for _, packed in found), "addresses have a size")
    if not message.question:
        return "response without question"
    asked = Query(1, 0x0120, message.question, message.qname, message.qtype, message.qclass, _EDNS)
    try:
        reply = forwarded(asked, message, age=7, ttl_limit=60)
    except FormatError:
        _require(not message.opt_is_last, "only a rebuilt answer can be refused")
        return "response outgrown"
    if thorough:
        _sent_as_meant(message, reply)
        _rare(message, [record for record, _ in found])
    return "response forwarded"


def _sent_as_meant(message: Message, reply: Reply) -> None:
    """What the client decodes is what we decoded."""
    again = decode_message(b"\0\0" + reply.body)
    _require(again.ttl_offsets == reply.ttl_offsets, "TTLs are where the reply says")
    _require(again.ttl == reply.ttl <= 60, "the smallest TTL is the smallest")
    _require([record[:4] for record in again.records] == [record[:4] for record in message.records], "every record has its name")
    _require(again.targets == message.targets, "aliases lead where they led")


def _rare(message: Message, unwanted: list) -> None:
    """What is done to few answers, and costs more."""
    cache = Cache(20_000, min_ttl=1)
    key = (message.qname, message.qtype, False, False)
    try:
        kept = cache.put(key, message, 10.0)
        _require(kept is None or cache.get(key, 10.5) is kept, "what is kept is found")
        again = rebuilt(message)
        bare = without_parameters(message, _HIDDEN)
        fewer = without_records(message, unwanted)
        alias = aliased("a.example", message.qtype, message.qname, 60, message)
    except FormatError:
        return
    _require([record[1:5] for record in again.records] == [record[1:5] for record in message.records], "rebuilt alike")
    _require(not any(_HIDDEN & binding.params.keys() for _, binding in bare.bindings), "nothing hidden is left")
    _require(not addresses(fewer), "unwanted records are gone")
    _require(alias.records[0].rtype == 5, "the alias stands first")


TARGETS: dict[str, tuple[Target, Callable[[], list[bytes]]]] = {
    "query": (query, seeds.queries),
    "response": (response, seeds.responses),
    "path": (whole_path.whole_path, whole_path.seeds),
}
"""name -> what to run and the valid packets to damage"""


@dataclass
class Outcome:
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[tuple[str, bytes, str]] = field(default_factory=list)
    """target, packet, what it raised"""

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(self.counts + other.counts, self.findings + other.findings)


def run(packets: int, seed: int, *, most_findings: int = 50) -> Outcome:
    """So many damaged packets, shared among the targets; ends early after ``most_findings``."""
    outcome = Outcome()
    for index, (name, (target, valid)) in enumerate(TARGETS.items()):
        mutator = Mutator(valid(), seed * len(TARGETS) + index)
        share = packets // len(TARGETS) + (index < packets % len(TARGETS))
        words: dict[str, int] = {}
        for number in range(share):
            packet = mutator.next()
            try:
                word = target(packet, number % _THOROUGH == 0)
            except Exception as problem:
                outcome.findings.append((name, packet, f"{type(problem).__name__}: {problem}"))
                word = f"{name} FINDING"
                if len(outcome.findings) >= most_findings:
                    break
            words[word] = words.get(word, 0) + 1
        outcome.counts.update(words)
    return outcome

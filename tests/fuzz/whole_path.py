"""The fuzz target that takes a client's packet through the whole pipeline: decode, decide, and an upstream that says anything."""

import tempfile
from functools import cache
from pathlib import Path

from filters.bundle import Source, write
from filters.domain_index import DomainIndex
from gateway.cache import Cache
from gateway.exchange import Failure
from gateway.explanation import Explainer
from gateway.local_zone import LocalZone
from gateway.pipeline import Desk, Forward, Outcome, begin, finish
from gateway.rebuild import aliased
from gateway.wire import FormatError, Message, decode_message, decode_query, encode_question
from policies.decide import Block, Policy
from policies.model import Group, School, SchoolFile, State
from policies.snapshot import Snapshot

NOW = 50_000.0
BLOCKED = "casino.example"
NAMES = (
    BLOCKED,
    "www." + BLOCKED,
    "www.google.com",
    "www.youtube.com",
    "help.example",
    "www.example.com",
    "printer.local",
    "10.in-addr.arpa",
)


@cache
def surroundings() -> tuple[Desk, tuple[Policy, ...]]:
    """A school with a list of two names, and the policy of one group in each tier."""
    with tempfile.TemporaryDirectory() as directory:
        write(Path(directory), [(BLOCKED, 0, 15), ("help.example", 1, 15)], [Source("list", "gambling"), Source("help", "help")])
        index = DomainIndex.open(Path(directory))
    tiers = ("mam-non", "thcs", "staff")
    file = SchoolFile.model_validate(
        {"school": School(name="x"), "dns": {"upstreams": ("192.0.2.1",)}, "groups": tuple(Group(name=tier, tier=tier) for tier in tiers)}
    )
    snapshot = Snapshot(file, State(), index)
    desk = Desk(index, LocalZone(file.dns, []), Explainer({}, "x", "vi"), Cache(200_000), (), 10, ())
    return desk, tuple(snapshot.policy(tier, 1_790_000_000.0) for tier in tiers)


def seeds() -> list[bytes]:
    """Queries for names that each rung has something to say of, with and without EDNS."""
    found = []
    for name in NAMES:
        for qtype in (1, 28, 65, 255):
            head = b"\0\1\1\0\0\1\0\0\0\0"
            question = encode_question(name, qtype)
            found += [head + b"\0\0" + question, head + b"\0\1" + question + b"\0\0\x29\x04\xd0\0\0\x80\0\0\0"]
    return found


def whole_path(packet: bytes, thorough: bool = True) -> str:
    """Whatever is asked and whatever the upstream says, the answer can be read, and a block never carries an address."""
    try:
        query = decode_query(packet)
    except FormatError:
        return "path refused"
    desk, policies = surroundings()
    policy = policies[len(packet) % len(policies)]
    step = begin(query, policy, float("inf"), desk, NOW)
    if isinstance(step, Forward):
        step = finish(step, _upstream_says(step, packet), desk, NOW)
    _judge(step, query.qname)
    return f"path {type(step.verdict).__name__.lower()}"


def _upstream_says(step: Forward, packet: bytes) -> Message | Failure:
    """By the packet's last octet: nothing, an alias of a blocked name, an alias of itself, or a private address."""
    qname, qtype = step.question.qname, step.question.qtype
    kind = packet[-1] % 4
    if kind == 0:
        return Failure("no answer in time")
    if kind < 3:
        return aliased(qname, qtype, BLOCKED if kind == 1 else qname, 60, None)
    question = encode_question(qname, qtype)
    record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\0\0\1"
    return decode_message(b"\0\0\x81\x80\0\1\0\1\0\0\0\0" + question + record)


def _judge(outcome: Outcome, qname: str) -> None:
    body = bytes(outcome.reply.body)
    again = decode_message(b"\0\0" + body)
    if again.question and again.qname != qname:
        raise AssertionError("an answer to another question")
    if isinstance(outcome.verdict, Block) and any(record.rtype in {1, 28} for record in again.records):
        raise AssertionError("an address in a blocked answer")

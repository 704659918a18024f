"""The whole path of a query, in order, top to bottom: ``begin`` until the answer or the upstream, ``finish`` from there. Pure.

What is *not* here stands around it: reading packets, ready-made answers, who may ask and how often (gateway/server.py).
Each step says why it stands where it does. A policy is held from ``begin`` to ``finish``, so a switch in the middle of an
exchange never shows two of them in one answer.
"""

from dataclasses import dataclass

from filters.domain_index import DomainIndex
from filters.special_names import Answer as SpecialAnswer
from filters.special_names import special
from gateway.cache import ANSWERS, FAILURE_TTL, Cache, Cached
from gateway.edns import ede
from gateway.exchange import Failure, Question
from gateway.explanation import Explainer
from gateway.local_zone import LocalZone
from gateway.numbers import IN, Ede, Rcode, SvcParam, Type
from gateway.rebuild import aliased, without_parameters
from gateway.response import (
    STALE_TTL,
    LocalRecord,
    Reply,
    addressed,
    answer,
    blocked,
    forwarded,
    minimal_any,
    nodata,
    nxdomain,
)
from gateway.wire import Message, Query, svcb_targets
from policies.decide import Allow, Block, Policy, Reason, Rewrite, Rung, Verdict, decide, decide_target

FOREVER = float("inf")
LOCAL_TTL = 60
NEGATIVE_TTL = 300
ALIAS_TTL = 300
NO_LIMIT = 0x7FFFFFFF
HIDDEN_PARAMETERS = (SvcParam.ECH, SvcParam.IPV4HINT, SvcParam.IPV6HINT)
"""ECH would hide the site's name from the firewall and the proxy; hints would lead around this resolver (RFC 9460)"""
TRANSFERS = frozenset((Type.AXFR, Type.IXFR))
REWRITTEN_ADDRESS = Type.A
_new_tuple = tuple.__new__  # a NamedTuple without the Python function that it is called through


@dataclass(frozen=True, slots=True)
class Desk:
    """What every query is answered with, besides its group's policy. Replaced whole when the school's file or the lists change."""

    index: DomainIndex
    zone: LocalZone
    explainer: Explainer
    cache: Cache
    private_names: tuple[str, ...]
    block_ttl: int
    page: tuple[bytes, ...]
    """packed addresses of the block page"""


@dataclass
class Outcome:
    """An answer, and for how long the same question may be answered with it again (monotonic seconds)."""

    reply: Reply
    verdict: Verdict
    source: str
    """``local``, ``blocked``, ``cache``, ``stale``, ``upstream`` or ``failure``"""
    keep_until: float = 0.0
    question: Question | None = None
    """what its upstream answer is cached under, where it is"""


@dataclass
class Forward:
    """The question that an upstream must answer before ``finish`` can."""

    query: Query
    policy: Policy
    until: float
    verdict: Allow | Rewrite
    question: Question
    asked: bytes
    """``question`` as on the wire, where the client's own says it; empty: it is still to be encoded"""


def begin(query: Query, policy: Policy, until: float, desk: Desk, now: float) -> Outcome | Forward:
    """From a decoded query of a client in the policy's group to its answer, as far as that needs no upstream.

    ``until``: when time alone changes the policy; ``now``: both in monotonic seconds.
    """
    # Refused first: nobody gets a zone or a class that we do not serve, whatever the name.
    if query.qclass != IN or query.qtype in TRANSFERS:
        return _local(answer(query, Rcode.REFUSED, options=ede(Ede.NOT_SUPPORTED)), "not served", keep=0.0)
    # The school's own names before the standards' ones (home.arpa, reverse zones), and both before the policy: a pupil must
    # reach the school's server, and a canary must not depend on a list.
    own = _own_names(query, desk)
    if own is not None:
        return own
    # The policy decides on the name for every type, so that no type is a way around it.
    verdict = decide(query.qname, query.qtype, policy, desk.index)
    if isinstance(verdict, Block):
        return _blocked(query, policy, until, verdict, desk, now)
    if query.qtype == Type.ANY:
        return Outcome(minimal_any(query), verdict, "local", min(until, now + NEGATIVE_TTL))
    if isinstance(verdict, Rewrite):
        if query.qtype != REWRITTEN_ADDRESS:
            # AAAA and HTTPS too: an address of the engine itself would lead around its safe name.
            return Outcome(nodata(query, _clamp(ALIAS_TTL, policy, until, now)), verdict, "local", min(until, now + ALIAS_TTL))
        question = Question(verdict.target, query.qtype)
        asked = b""
    else:
        question = _new_tuple(Question, (query.qname, query.qtype, query.do, query.cd))
        asked = query.question[:-4].lower() + query.question[-4:]
    forward = Forward(query, policy, until, verdict, question, asked)
    cached = desk.cache.get(question, now)
    if cached is not None:
        return _from_message(forward, cached.message, cached, "cache", desk, now)
    # The upstreams failed to renew it a moment ago: not asked again at once (RFC 8767, section 5).
    stale = desk.cache.get_stale(question, now)
    if stale is not None and now < stale.retry_at:
        return _from_message(forward, stale.message, stale, "stale", desk, now)
    return forward


def finish(forward: Forward, result: Message | Failure, desk: Desk, now: float) -> Outcome:
    """From what the upstreams said to the answer. A failure is covered by a stale answer where there is one (RFC 8767)."""
    if isinstance(result, Message):
        cached = desk.cache.put(forward.question, result, now)
        if result.rcode in ANSWERS:
            return _from_message(forward, result if cached is None else cached.message, cached, "upstream", desk, now)
    stale = desk.cache.get_stale(forward.question, now)
    if stale is not None:
        stale.retry_at = now + FAILURE_TTL
    if stale is not None and stale.message.rcode in ANSWERS:
        return _from_message(forward, stale.message, stale, "stale", desk, now)
    if isinstance(result, Message):
        return _from_message(forward, result, None, "upstream", desk, now)
    options = ede(Ede.NO_REACHABLE_AUTHORITY, result.reason)
    return Outcome(answer(forward.query, Rcode.SERVFAIL, options=options), forward.verdict, "failure")


def _own_names(query: Query, desk: Desk) -> Outcome | None:
    """The school's own records, then special names, unless the school forwards them to a server of its own."""
    records = desk.zone.records(query.qname, query.qtype)
    if records is not None:
        if not records:
            return _local(nodata(query, LOCAL_TTL, authoritative=True), "local record")
        answers = [LocalRecord(rtype, rdata, LOCAL_TTL) for rtype, rdata in records]
        return _local(answer(query, Rcode.NOERROR, answers, authoritative=True), "local record")
    found = special(query.qname)
    if found is None or desk.zone.is_forwarded(query.qname):
        return None
    if found.answer == SpecialAnswer.NXDOMAIN:
        return _local(nxdomain(query, NEGATIVE_TTL), found.why)
    if found.answer == SpecialAnswer.NODATA:
        return _local(nodata(query, NEGATIVE_TTL), found.why)
    return _local(addressed(query, [address.packed for address in found.addresses], NEGATIVE_TTL), found.why)


def _local(reply: Reply, rule: str, keep: float = FOREVER) -> Outcome:
    return Outcome(reply, Allow(Reason(Rung.SPECIAL, rule)), "local", keep)


def _blocked(query: Query, policy: Policy, until: float, verdict: Block, desk: Desk, now: float) -> Outcome:
    """A block's TTL is constant while the policy lasts, and never reaches past its end."""
    options = desk.explainer.block(verdict.reason) if query.edns is not None else b""
    ttl = int(min(desk.block_ttl, max(until - now, 0)))
    reply = blocked(query, policy.block_answer, ttl, page=desk.page, options=options)
    keep = until - desk.block_ttl if until - now > desk.block_ttl else min(until, now + 1.0)
    return Outcome(reply._replace(ttl_offsets=()), verdict, "blocked", keep)


def _from_message(forward: Forward, message: Message, cached: Cached | None, source: str, desk: Desk, now: float) -> Outcome:
    """An upstream's message, looked through for what the policy does not let pass, as an answer for this client."""
    query, policy, verdict = forward.query, forward.policy, forward.verdict
    # Where does the answer lead? A chain ends at another name, and that name has a policy too.
    if isinstance(verdict, Allow):
        for target in message.targets + svcb_targets(message) if message.bindings else message.targets:
            block = decide_target(verdict, target, query.qtype, policy, desk.index)
            if block is not None:
                return _blocked(query, policy, forward.until, block, desk, now)
    # Rebinding: a public name must not lead into the school's network.
    if _is_rebinding(message, query.qname, desk):
        reply = nodata(query, NEGATIVE_TTL, options=desk.explainer.rebinding() if query.edns is not None else b"")
        block = Block(Reason(Rung.SPECIAL, "rebinding"))
        return Outcome(reply, block, "blocked", min(forward.until, now + NEGATIVE_TTL))
    if message.bindings and policy.strip_ech:
        message = without_parameters(message, HIDDEN_PARAMETERS)
    if isinstance(verdict, Rewrite):
        message = aliased(query.qname, query.qtype, verdict.target, ALIAS_TTL, message)
    limit = _clamp(policy.ttl_limit or NO_LIMIT, policy, forward.until, now)
    if source == "stale":
        reply = forwarded(query, message, ttl=min(STALE_TTL, limit), options=ede(Ede.STALE_ANSWER))
        return Outcome(reply, verdict, source, min(now + 1.0, forward.until))
    age = 0 if cached is None else cached.age(now)
    reply = forwarded(query, message, age=age, ttl_limit=limit)
    keep = 0.0 if cached is None else min(now + reply.ttl, cached.expires, forward.until)
    return Outcome(reply, verdict, source, keep, None if cached is None else forward.question)


def _clamp(ttl: int, policy: Policy, until: float, now: float) -> int:
    """No answer is remembered past the policy's next change, nor longer than the tier says."""
    limit = min(ttl, policy.ttl_limit) if policy.ttl_limit else ttl
    return int(min(limit, max(until - now, 0)))


def _is_rebinding(message: Message, qname: str, desk: Desk) -> bool:
    return message.private and not desk.zone.is_private_allowed(qname, desk.private_names)

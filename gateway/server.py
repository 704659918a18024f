"""A worker's resolver: sockets on one side, the pipeline on the other, and who may ask how often between them.  [shell]

The order: a ready-made answer leaves from the hot loop; the rest comes to ``_ask``: who is it, may it ask, decode, ``begin``,
perhaps upstreams, ``finish``, send, count, keep. Whatever goes wrong in there, the answer is SERVFAIL and a counter, never an
unfiltered one.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from gateway import netlink
from gateway.answers import Shelf
from gateway.cache import FAILURE_TTL, Cache
from gateway.clients import Clients
from gateway.clock import Clock
from gateway.cookies import cookie_option
from gateway.exchange import Failure, Question
from gateway.explanation import Explainer, contacts
from gateway.hot import LABELS, Batch, Cell, Client, Entry, Subject, View, refill
from gateway.live import Live
from gateway.local_zone import LocalZone
from gateway.metrics import AnswerKey, Counts, Latencies
from gateway.numbers import Option, Rcode, type_name
from gateway.pipeline import Desk, Forward, Outcome, begin, finish
from gateway.response import Reply, answer, error, truncated, udp_limit
from gateway.statistics import Statistics, Taken
from gateway.stream import Respond
from gateway.tail import Tail
from gateway.upstream import Upstreams
from gateway.wire import FormatError, Message, decode_query
from policies.decide import Allow, Block, Rung, Verdict

log = logging.getLogger("manglanh.server")

ROUNDS = 8
"""batches of one wake-up, so that a flood on one socket cannot keep the others waiting"""
NO_CLIENTS: dict[bytes, Client] = {}
UDP, STREAM = "udp", "tcp"
BLOCK = "block"


class Label(NamedTuple):
    """A kind of answer that is counted apart; its number is where it stands in every view's tally."""

    number: int
    category: str
    rung: str
    verdict: str
    rcode: str


class Listener:
    """One UDP socket and its batch of buffers."""

    def __init__(self, sock: socket.socket, touch: Callable[[Entry], None], note: Callable[[View, Subject], Cell]) -> None:
        self.sock = sock
        family = 4 if sock.family == socket.AF_INET else 6
        wildcard = sock.getsockname()[0] in {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound
        self.batch = Batch(sock.fileno(), family, wildcard, touch, note)
        self.flush_due = False


class Resolver:
    """One instance per worker; every method runs on the worker's event loop."""

    def __init__(self, live: Live, upstreams: Upstreams, cache: Cache, texts: dict[str, str], tail: Tail) -> None:
        self.live = live
        self.upstreams = upstreams
        self.cache = cache
        self.tail = tail
        self.clients = Clients(live, os.urandom(16))
        self.statistics = Statistics()
        self.counts = Counts()
        self._texts = texts
        self._secret = os.urandom(16)
        self._touched: list[Entry] = []
        self._labels: dict[tuple[type[Verdict], Rung, str, int], Label] = {}
        self._listeners: list[Listener] = []
        self.pending = 0
        self._datagrams = 0
        self._forwards: list[Job] = []
        self._latest: tuple[Verdict, int, Label] | None = None
        self._shelf = Shelf(live.file.dns.cache.bytes)
        self.desk = self.make_desk()

    def make_desk(self) -> Desk:
        """What the pipeline reads, from what is live now."""
        file = self.live.file
        own = netlink.own_addresses() if not file.dns.block_page else []
        return Desk(
            index=self.live.index,
            zone=LocalZone(file.dns, own),
            explainer=Explainer(self._texts, file.school.name, file.school.language, contacts(file.school.contact)),
            cache=self.cache,
            private_names=file.dns.private_names,
            block_ttl=file.dns.block_ttl,
            page=tuple(address.packed for address in file.dns.block_page),
        )

    def changed(self, *, identities: bool) -> None:
        """The school's file, the lists or the state changed (gateway/live.py calls this)."""
        self.desk = self.make_desk()
        if identities:
            self.clients.forget()

    # Datagrams.

    def listen(self, sock: socket.socket) -> None:
        """Answer on a bound, non-blocking UDP socket."""
        listener = Listener(sock, self._touched.append, self.statistics.note)
        self._listeners.append(listener)
        asyncio.get_running_loop().add_reader(sock.fileno(), self._readable, listener)

    def _readable(self, listener: Listener) -> None:
        batch = listener.batch
        for _ in range(ROUNDS):
            now = time.monotonic()
            clients = NO_CLIENTS if self.tail else self.clients.by_address
            count, misses = batch.serve(clients, now)
            for data, peer, client in misses:
                self._datagram(listener, data, peer, client, now)
            self._forward()
            batch.flush()
            self._count_ready(count - len(misses), now)
            if not count:
                break

    def _datagram(self, listener: Listener, data: bytes, peer: tuple[bytes, bytes], client: Any, now: float) -> None:
        address = peer[0][listener.batch.first : listener.batch.last]
        if client is None:
            client = self._charge(address, now)
            if client is None:
                return
        self._datagrams += 1
        self._ask(Job(self, data, address, client.view, now, listener, peer, None))

    def _send(self, job: "Job", body: bytes) -> None:
        """``body`` to whoever asked; an empty one: there is no answer."""
        listener = job.listener
        if listener is None:
            job.respond(job.data[:2] + body if body else b"")
        elif body:
            listener.batch.queue(job.data[:2] + body, job.peer)
            if not listener.flush_due:
                listener.flush_due = True
                asyncio.get_running_loop().call_soon(self._flush, listener)

    def _flush(self, listener: Listener) -> None:
        listener.flush_due = False
        listener.batch.flush()

    # Streams.

    def handle_stream(self, data: bytes, peer: tuple[str, int], respond: Respond, transport: str = STREAM) -> None:
        """A query from a TCP, TLS or HTTPS connection (gateway/stream.py). ``transport``: what it is counted as."""
        now = time.monotonic()
        host = peer[0].partition("%")[0]
        address = socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
        client = self._charge(address, now)
        if client is None:
            respond(b"")
            return
        self.counts.queries[transport] = self.counts.queries.get(transport, 0) + 1
        self._ask(Job(self, data, address, client.view, now, None, (b"", b""), respond))  # type: ignore[arg-type]  # a token, so a view
        self._forward()

    # Who asks.

    def _charge(self, address: bytes, now: float) -> Client | None:
        """The client behind ``address``, one token poorer; None: it may not ask, or not now."""
        client = self.clients.find(address, now)
        if client.tokens < 1.0 and not refill(client, now):
            self._drop("limited" if client.rate else "not-allowed")
            return None
        client.tokens -= 1.0
        return client

    # The path of a query that has no ready-made answer.

    def _ask(self, job: "Job") -> None:
        try:
            job.query = decode_query(job.data)
        except FormatError as problem:
            packet = error(problem)
            self._drop("malformed")
            self._send(job, b"" if packet is None else packet[2:])
            return
        self._advance(job, None)

    def _forward(self) -> None:
        """Ask the upstreams what the latest batch needs, all at once: thinking and system calls by turns would slow both."""
        forwards, self._forwards = self._forwards, []
        for job in forwards:
            self._advance(job, None)

    def answered(self, job: "Job", result: Message | Failure) -> None:
        """The upstreams answered, or failed to."""
        self.pending -= 1
        self._advance(job, result)

    def _advance(self, job: "Job", result: Message | Failure | None) -> None:
        """One step of a query: it begins, is asked upstream, or is answered. A bug there: SERVFAIL, a counter, a trace without names."""
        try:
            if job.forward is None:
                self._begin(job)
            elif result is None:
                self.upstreams.ask(job.forward.question, job, job.forward.asked)
                self.pending += 1
            else:
                now = time.monotonic()
                self._deliver(job, finish(job.forward, result, self.desk, now), now)
        except Exception:
            log.exception("a query of type %d failed", job.query.qtype)
            self.counts.errors += 1
            self._send(job, bytes(answer(job.query, Rcode.SERVFAIL).body))

    def _begin(self, job: "Job") -> None:
        view = job.view
        if view.until <= job.began:  # the policy has just run out, and nobody has looked since
            self.live.tick(job.began)
            job.answers = view.answers
        step = begin(job.query, view.policy, view.until, self.desk, job.began)
        if isinstance(step, Forward):
            job.forward = step
            self._forwards.append(job)
        else:
            self._deliver(job, step, job.began)

    def _deliver(self, job: "Job", outcome: Outcome, now: float) -> None:
        query, reply = job.query, outcome.reply
        options = query.edns.options if query.edns is not None else ()
        if options:
            reply = self._with_cookie(job, reply)
        full = reply
        if job.listener is not None:
            reply = truncated(reply, udp_limit(query.edns))
        self._send(job, bytes(reply.body))
        label = self._label(outcome)
        job.view.tally[label.number] += 1
        subject = None
        if label.verdict == BLOCK:
            subject = Subject(label.category, label.rung, query.qname)
            cell = self.statistics.cell(job.view.policy.group, subject)
            cell.count += 1
            cell.bits |= self.clients.find(job.address, now).bit
        self._count_path(outcome.source, now - job.began)
        if self.tail:
            self.tail.emit(_decision(job, outcome, label, self.live.clock, now))
        elif (
            reply is full
            and not options
            and job.listener is not None
            and self._is_worth_keeping(outcome, now)
            and job.answers is job.view.answers
        ):
            self._shelf.put(job.answers, job.data[2:], outcome, label.number, subject, now)

    def _is_worth_keeping(self, outcome: Outcome, now: float) -> bool:
        """What came from upstream just now only while there is room: most names are asked once. The cache makes the others ready."""
        return outcome.keep_until > now and (outcome.source != "upstream" or self._shelf.has_room())

    def _with_cookie(self, job: "Job", reply: Reply) -> Reply:
        """The reply with our cookie, if the client sent one (RFC 7873): it goes to this client alone."""
        assert job.query.edns is not None
        received = job.query.edns.option(Option.COOKIE)
        if received is None:
            return reply
        option = cookie_option(received, job.address, self._secret, self.live.clock.now())
        body = reply.body + option
        at = reply.opt_at + 9
        length = int.from_bytes(body[at : at + 2]) + len(option)
        body[at : at + 2] = length.to_bytes(2)
        return reply._replace(body=body)

    # Counting.

    def _label(self, outcome: Outcome) -> Label:
        verdict = outcome.verdict
        rcode = outcome.reply.body[1] & 15
        latest = self._latest
        if latest is not None and latest[0] is verdict and latest[1] == rcode:
            return latest[2]  # most names are allowed by no rule at all, and share one verdict
        reason = verdict.reason
        key = (type(verdict), reason.rung, reason.category, rcode)
        label = self._labels.get(key)
        if label is None:
            word = "allow" if isinstance(verdict, Allow) else BLOCK if isinstance(verdict, Block) else "rewrite"
            number = min(len(self._labels), LABELS - 1)
            label = Label(number, reason.category, reason.rung.name.lower().replace("_", "-"), word, _RCODES.get(rcode, str(rcode)))
            self._labels[key] = label
        self._latest = (verdict, rcode, label)
        return label

    def _drop(self, reason: str, count: int = 1) -> None:
        self.counts.dropped[reason] = self.counts.dropped.get(reason, 0) + count

    def _count_path(self, source: str, seconds: float) -> None:
        latencies = self.counts.latency.get(source)
        if latencies is None:
            latencies = self.counts.latency[source] = Latencies()
        latencies.add(seconds)
        result = _CACHE_RESULTS.get(source)
        if result is not None:
            self.counts.cache[result] = self.counts.cache.get(result, 0) + 1

    def _count_ready(self, count: int, began: float) -> None:
        if count > 0:
            latencies = self.counts.latency.get("ready")
            if latencies is None:
                latencies = self.counts.latency["ready"] = Latencies()
            latencies.add(time.monotonic() - began, count)

    def collect(self) -> Counts:
        """What was counted since the last call, the ready-made answers' hits included; and popular answers are renewed in time."""
        now = time.monotonic()
        touched = self._touched[:]
        self._touched.clear()
        counts = self.counts
        if self._datagrams:
            counts.queries[UDP] = counts.queries.get(UDP, 0) + self._datagrams
            self._datagrams = 0
        for entry in touched:
            hits = entry.hits
            entry.hits = 0
            counts.queries[UDP] = counts.queries.get(UDP, 0) + hits
            if entry.question is not None:
                self._note_use(entry.question, hits, now)
        for view in self.live.views.values():
            self._collect_view(view, counts)
        self.statistics.answered(counts.answers)
        for listener in self._listeners:
            batch = listener.batch
            for reason, count in (("limited", batch.limited), ("malformed", batch.runts), ("unsent", batch.unsent)):
                if count:
                    self._drop(reason, count)
            batch.limited = batch.runts = batch.unsent = 0
        self.counts = Counts()
        return counts

    def end_minute(self) -> Taken:
        """What was counted since the last call and belongs into the statistics; ``collect`` comes first, for what was not blocked."""
        return self.statistics.take(self.clients.active_strangers())

    def _note_use(self, question: Question, hits: int, now: float) -> None:
        """Ready-made answers were sent ``hits`` times: what they were made from is that popular, and is renewed in time."""
        cached = self.cache.get_stale(question, now)
        if cached is None:
            return
        cached.hits += hits
        if cached.wants_refresh(now):
            cached.retry_at = now + FAILURE_TTL
            self.counts.cache["prefetch"] = self.counts.cache.get("prefetch", 0) + 1
            self.upstreams.ask(question, partial(self._renewed, question))

    def _collect_view(self, view: View, counts: Counts) -> None:
        """What was sent under one group's policy, by kind. The kinds beyond the last number share it."""
        tally, policy = view.tally, view.policy
        for label in self._labels.values():
            number = tally[label.number]
            if number:
                tally[label.number] = 0
                key = AnswerKey(policy.group, policy.tier, label.category, label.rung, label.verdict)
                counts.answers[key] = counts.answers.get(key, 0) + number
                counts.responses[label.rcode] = counts.responses.get(label.rcode, 0) + number

    def _renewed(self, question: Question, result: Message | Failure) -> None:
        """A popular answer was asked for again before its end. A failure changes nothing: the old one still has some life."""
        if isinstance(result, Message):
            self.cache.put(question, result, time.monotonic())

    def stop_listening(self) -> None:
        """Read what is in the sockets' buffers, answer it, and take no more."""
        for listener in self._listeners:
            asyncio.get_running_loop().remove_reader(listener.sock.fileno())
            self._readable(listener)

    def close(self) -> None:
        for listener in self._listeners:
            listener.batch.flush()
            listener.sock.close()


class Job:
    """A query under way: whose it is, how to answer it, and under which policy it began. Called with what the upstreams say.

    ``listener`` and ``peer`` are for a datagram, ``respond`` is for a stream.
    """

    __slots__ = ("address", "answers", "began", "data", "forward", "listener", "peer", "query", "resolver", "respond", "view")

    def __init__(
        self,
        resolver: Resolver,
        data: bytes,
        address: bytes,
        view: View,
        began: float,
        listener: Listener | None,
        peer: tuple[bytes, bytes],
        respond: Any,
    ) -> None:
        self.resolver = resolver
        self.data = data
        self.address = address
        self.view = view
        self.answers = view.answers
        self.began = began
        self.listener = listener
        self.peer = peer
        self.respond = respond
        self.query: Any = None
        self.forward: Any = None

    def __call__(self, result: Message | Failure) -> None:
        self.resolver.answered(self, result)


_CACHE_RESULTS = {"cache": "hit", "upstream": "miss", "failure": "miss", "stale": "stale"}
_RCODES = {int(rcode): rcode.name for rcode in Rcode}


def _decision(job: Job, outcome: Outcome, label: Label, clock: Clock, now: float) -> dict[str, object]:
    """One line for ``manglanh tail``."""
    family = socket.AF_INET if len(job.address) == 4 else socket.AF_INET6
    reason = outcome.verdict.reason
    return {
        "at": clock.now(),
        "group": job.view.policy.group,
        "address": socket.inet_ntop(family, job.address),
        "name": job.query.qname,
        "type": type_name(job.query.qtype),
        "verdict": label.verdict,
        "rung": int(reason.rung),
        "rule": reason.rule,
        "list": reason.list,
        "category": reason.category,
        "rcode": label.rcode,
        "cached": outcome.source == "cache",
        "us": round((now - job.began) * 1e6),
    }

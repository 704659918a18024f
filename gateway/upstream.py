"""The way out: every question that no policy and no cache answers. One ``Upstreams`` per worker. [shell: clock, event loop]

Promises:

- Identical questions that are under way share one exchange.
- At most ``pending`` exchanges; one more fails at once.
- The longest forwarded subtree decides who is asked, then health and speed.
- A callback, never a Task, per question: this path is measured (docs/adr). One sweep looks after all time-outs.
- What each upstream did and why it is down is visible (``statistics``).

Refuses to fall back: from an encrypted upstream to a plain one, or from a forwarded subtree to the default upstreams.
"""

import asyncio
import math
import resource
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final

from filters.name import parents
from gateway.exchange import Attempt, Command, Exchange, Failure, Question
from gateway.transport import TooBusyError, Transport, diagnose
from gateway.transport_stream import StreamTransport, tls_context
from gateway.transport_udp import UdpTransport, random_16_bits
from gateway.upstream_health import Upstream, UpstreamStatistics, by_preference
from gateway.wire import FormatError, Message
from policies.upstream_address import UpstreamAddress

if TYPE_CHECKING:
    from gateway.transport_https import HttpsTransport

__all__ = ["Done", "Failure", "Message", "Question", "UpstreamStatistics", "Upstreams"]

SWEEP_EVERY: Final = 0.02
"""seconds between two looks at what is overdue, while anything is pending"""
MOST_SOCKETS: Final = 16384
"""UDP sockets at the same time, where the process may open that many"""

Done = Callable[[Message | Failure], None]


class Upstreams:
    """Construct it in the process and event loop that will use it, after any fork.

    ``defaults`` and the values of ``forward`` (by subtree) are upstreams in the school file's order; ``pending``: exchanges
    under way at most; ``sockets``: UDP sockets at most, by default half of what the process may open, since each attempt has
    one and the clients' connections need some too; ``cafile``: certificate authorities other than the system's.
    """

    def __init__(
        self,
        defaults: Sequence[UpstreamAddress],
        forward: Mapping[str, Sequence[UpstreamAddress]] | None = None,
        *,
        pending: int = 4096,
        sockets: int | None = None,
        cafile: Path | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit = pending
        self._cafile = None if cafile is None else str(cafile)
        self._random = random_16_bits()
        most = sockets or _fair_share_of_descriptors()
        self._udp = UdpTransport(self._loop, self._random, most, self._received, self._failed)
        self._streams: dict[Upstream, StreamTransport] = {}
        self._https: dict[Upstream, HttpsTransport] = {}
        self._default = _Zone("", defaults)
        self._forward = {name: _Zone(name, addresses) for name, addresses in (forward or {}).items()}
        self._by_question: dict[Question, Exchange] = {}
        self._waiting: dict[Exchange, list[Done]] = {}
        self._sweep_timer: asyncio.TimerHandle | None = None
        self.coalesced = 0
        """questions that joined an exchange under way"""
        self.refused = 0
        """questions that failed because of ``pending``"""

    @property
    def pending(self) -> int:
        """Exchanges under way, probes included."""
        return len(self._waiting)

    def ask(self, question: Question, done: Done, asked: bytes = b"") -> None:
        """``done`` is called once, with the answer or with the reason why there is none; it may be before ``ask`` returns.

        ``asked``: see ``Exchange``.
        """
        exchange = self._by_question.get(question)
        if exchange is not None:
            self.coalesced += 1
            self._waiting[exchange].append(done)
            return
        if len(self._waiting) >= self._limit:
            self.refused += 1
            done(Failure("too many pending"))
            return
        zone = self._zone(question.qname) if self._forward else self._default
        try:
            exchange = Exchange(question, zone.order, self._random, asked)
        except FormatError as error:
            done(Failure(error.reason))
            return
        now = monotonic()
        self._by_question[question] = exchange
        self._waiting[exchange] = [done]
        if self._sweep_timer is None:
            self._sweep_timer = self._loop.call_later(SWEEP_EVERY, self._sweep)
        self._obey(exchange, exchange.begin(now), now)
        if now >= zone.probe_at:
            self._probe(zone, question, now)

    def statistics(self) -> list[UpstreamStatistics]:
        """Every upstream, the default ones first."""
        return [upstream.statistics() for zone in self._zones() for upstream in zone.upstreams]

    def healthy(self, qname: str) -> bool:
        """Whether any upstream that ``qname`` would go to works: if not, a stale answer need not wait for the failure."""
        return any(upstream.healthy for upstream in self._zone(qname).upstreams)

    async def close(self) -> None:
        """Fails what is pending and whatever is still asked, and closes all sockets."""
        self._limit = 0
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
            self._sweep_timer = None
        for exchange in list(self._waiting):
            self._finish(exchange, Failure("shutting down"))
        self._udp.close()
        for stream in self._streams.values():
            await stream.close()
        for https in self._https.values():
            await https.close()

    # What happens to an exchange.

    def _obey(self, exchange: Exchange, command: Command, now: float) -> None:
        while isinstance(command, Attempt):
            try:
                self._transport(command).send(command)
            except (OSError, TooBusyError) as error:
                kind, trouble = diagnose(error)
                command = exchange.fail(command, kind, trouble, now)
            else:
                return
        if command is not None:
            self._finish(exchange, command)

    def _received(self, attempt: Attempt, data: bytes) -> None:
        exchange = attempt.exchange
        now = monotonic()
        command = exchange.receive(attempt, data, now)
        if isinstance(command, Message):
            self._finish(exchange, command)
            return
        if attempt not in exchange.waiting:
            self._transport(attempt).drop(attempt)
        if command is not None:
            self._obey(exchange, command, now)

    def _failed(self, attempt: Attempt, error: BaseException) -> None:
        now = monotonic()
        kind, trouble = diagnose(error)
        self._obey(attempt.exchange, attempt.exchange.fail(attempt, kind, trouble, now), now)

    def _finish(self, exchange: Exchange, result: Message | Failure) -> None:
        """The first caller is told now, the others each in a turn of their own: one that raises harms nobody else."""
        for attempt in exchange.waiting:
            self._transport(attempt).drop(attempt)
        exchange.waiting.clear()
        question = exchange.question
        if self._by_question.get(question) is exchange:
            del self._by_question[question]
        first, *others = self._waiting.pop(exchange)
        for done in others:
            self._loop.call_soon(done, result)
        first(result)

    def _sweep(self) -> None:
        now = monotonic()
        for zone in self._zones():
            zone.reorder()
        for exchange in [exchange for exchange in self._waiting if exchange.due <= now]:
            if exchange in self._waiting:
                self._obey(exchange, exchange.handle_timer(now), now)
        self._sweep_timer = self._loop.call_later(SWEEP_EVERY, self._sweep) if self._waiting else None

    def _probe(self, zone: "_Zone", question: Question, now: float) -> None:
        """Sends a real question to an upstream that is not the first choice as well, to see how it does. The answer is not used."""
        upstream = zone.due_for_probe(now)
        if upstream is not None and len(self._waiting) < self._limit:
            exchange = Exchange(question, (upstream,), self._random)
            self._waiting[exchange] = [_ignore]
            self._obey(exchange, exchange.begin(now, patient=True), now)

    # Who is asked, and how.

    def _zone(self, qname: str) -> "_Zone":
        for name in parents(qname):
            if name in self._forward:
                return self._forward[name]
        return self._default

    def _zones(self) -> list["_Zone"]:
        return [self._default, *self._forward.values()]

    def _transport(self, attempt: Attempt) -> Transport:
        if not attempt.stream:
            return self._udp
        upstream = attempt.upstream
        transport = self._streams.get(upstream) or self._https.get(upstream)
        return transport or self._open_transport(upstream)

    def _open_transport(self, upstream: Upstream) -> Transport:
        address = upstream.address
        if address.scheme == "https":
            from gateway.transport_https import HttpsTransport  # noqa: PLC0415 - httpx is heavy, and few schools need it

            self._https[upstream] = https = HttpsTransport(address, tls_context(self._cafile), self._received, self._failed)
            return https
        tls = tls_context(self._cafile) if address.scheme == "tls" else None
        self._streams[upstream] = stream = StreamTransport(address, tls, self._received, self._failed)
        return stream


class _Zone:
    """The upstreams of one subtree. ``order`` is who to ask first, as of the latest sweep; ``probe_at``: when to measure one."""

    def __init__(self, name: str, addresses: Sequence[UpstreamAddress]) -> None:
        self.upstreams = tuple(Upstream(address, name) for address in addresses)
        self.order = self.upstreams
        self.probe_at = 0.0

    def reorder(self) -> None:
        self.order = by_preference(self.upstreams)
        self.probe_at = min([upstream.probe_at for upstream in self._unobserved()], default=math.inf)

    def due_for_probe(self, now: float) -> Upstream | None:
        """The one whose measurement is due, noted as measured."""
        for upstream in self._unobserved():
            if now >= upstream.probe_at:
                upstream.probed(now)
                return upstream
        return None

    def _unobserved(self) -> tuple[Upstream, ...]:
        """All but the first choice, which is measured by being used; unless it is down, when questions end too early to tell."""
        return self.order[1:] if self.order[0].healthy else self.order


def _fair_share_of_descriptors() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_SOCKETS if soft == resource.RLIM_INFINITY else min(soft // 2, MOST_SOCKETS)


def _ignore(_: Message | Failure) -> None:
    """A probe's answer: what it tells about the upstream is noted already."""

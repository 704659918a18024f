"""One question at its upstreams, as a state object: no socket, no clock, no loop.

Events go in with the time they happened; at most one ``Command`` comes out of each:

- ``Attempt``: send this packet to this upstream, over a stream if it says so; keep listening to the earlier ones;
- ``Message`` or ``Failure``: the exchange is over; whatever is still in ``waiting`` is to be dropped;
- ``None``: wait on. ``due`` says when ``handle_timer`` wants to be called.

Promises:

- A reply counts only with the attempt's own id and question (RFC 5452 section 9.1; the socket sees to address and
  port). Anything else never ends the wait (CVE-2023-29483), truncated or not; many of them move the question to a
  stream, where guessing does not work.
- A matching truncated reply leads to a stream at the same upstream (RFC 7766), however mangled its rest is.
- A late upstream is not waited for: the next one is asked too, and the first good answer wins.
- SERVFAIL, REFUSED and unreadable answers lead to the next upstream. A validator's statement that the name is bogus
  (RFC 8914 codes) does not, since another upstream may not validate.
- FORMERR, NOTIMP or BADVERS to a query with EDNS is asked again without (RFC 6891 section 7).
- It ends within ``DEADLINE`` seconds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from gateway.edns import opt_record, option
from gateway.numbers import Option, Rcode
from gateway.upstream_health import LONGEST_PATIENCE, NO_EDNS_FOR, Trouble, Upstream
from gateway.wire import FormatError, Message, decode_message, encode_query, encode_question

DEADLINE: Final = 2.0
"""seconds until an exchange gives up"""
HOPELESS_DEADLINE: Final = 0.5
"""the same while every upstream is known to be down: the caller has stale answers, and probes look for a recovery"""
FORGERIES: Final = 8
"""mismatching replies to one attempt after which UDP is not trusted with it any more"""
PADDING: Final = 128
"""queries over encrypted transports are padded to a multiple of this many bytes (RFC 8467)"""

_RESPONSE_AND_OPCODE: Final = 0xF8
_RESPONSE: Final = 0x80
_TRUNCATED: Final = 0x02
_ONE_QUESTION: Final = b"\x00\x01"
_NO_QUESTION: Final = b"\x00\x00"
_ERRORS: Final = frozenset({Rcode.FORMERR, Rcode.SERVFAIL, Rcode.NOTIMP, Rcode.REFUSED})
_EXTENDED: Final = 16
"""error codes from here on need EDNS, and mean that something is wrong with ours"""
_NO_EDNS: Final = frozenset({Rcode.FORMERR, Rcode.NOTIMP, Rcode.BADVERS})
_BOGUS: Final = frozenset(range(6, 13))
"""RFC 8914: DNSSEC bogus, signature expired or not yet valid, DNSKEY, RRSIG, zone key bit or NSEC missing"""


class Question(NamedTuple):
    """What is asked of an upstream; class IN. ``qname`` is lower case, as ``Query.qname`` is."""

    qname: str
    qtype: int
    do: bool = False
    cd: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """No upstream gave an answer; ``reason`` is for logs and extended errors."""

    reason: str


class Attempt:
    """One packet to one upstream. ``handle`` is the transport's own note; ``forged`` counts replies that did not match."""

    __slots__ = ("exchange", "forged", "handle", "packet", "sent_at", "stream", "upstream")

    def __init__(self, exchange: "Exchange", upstream: Upstream, packet: bytes, sent_at: float, stream: bool) -> None:
        self.exchange = exchange
        self.upstream = upstream
        self.packet = packet
        self.sent_at = sent_at
        self.stream = stream
        self.forged = 0
        self.handle = -1


Command = Attempt | Message | Failure | None


class Exchange:
    """See the module. ``order``: upstreams by preference, at least one; ``identifiers``: unpredictable 16-bit numbers;
    ``asked``: the question as on the wire, its name in lower case, where the caller has it.

    Raises FormatError where the question's name is none.
    """

    __slots__ = (
        "_asked",
        "_fallback",
        "_identifiers",
        "_interval",
        "_next",
        "_order",
        "_refusers",
        "_troubles",
        "deadline",
        "due",
        "question",
        "waiting",
    )

    def __init__(self, question: Question, order: Sequence[Upstream], identifiers: Iterator[int], asked: bytes = b"") -> None:
        self.question = question
        self.waiting: list[Attempt] = []
        """attempts that may still be answered"""
        self.due = self.deadline = 0.0
        self._order = order
        self._identifiers = identifiers
        self._asked = asked or encode_question(question.qname, question.qtype)
        self._next = 1
        self._interval = 0.0
        self._fallback: Message | None = None
        self._refusers: tuple[Upstream, ...] = ()
        self._troubles: tuple[str, ...] = ()

    def begin(self, now: float, patient: bool = False) -> Attempt:
        """The first attempt. ``patient``: wait for the whole ``DEADLINE`` even where there is no hope (a probe)."""
        first = self._order[0]
        self.deadline = now + (DEADLINE if patient or first.healthy else HOPELESS_DEADLINE)
        self._interval = first.patience
        self.due = now + first.patience
        return self._ask(first, now, first.only_streams)

    def receive(self, attempt: Attempt, data: bytes, now: float) -> Command:
        """A datagram or framed message came back where ``attempt`` was sent."""
        if attempt not in self.waiting:
            return None
        if not self._matches(attempt.packet, data):
            return self._mismatch(attempt, now)
        if data[2] & _TRUNCATED and not attempt.stream:
            attempt.upstream.truncated += 1
            attempt.upstream.answered(now - attempt.sent_at)
            return self._over_stream(attempt, now)
        try:
            message = decode_message(data, len(self._asked) if data[5] else 0, self.question.qname)
        except FormatError:
            if data[4:6] == _NO_QUESTION:
                return self._error_answer(attempt, data[3] & 0x0F, None, now)
            return self.fail(attempt, "malformed", "unreadable answer", now)
        if message.rcode in _ERRORS or message.rcode >= _EXTENDED:
            return self._error_answer(attempt, message.rcode, message, now)
        self._settle(attempt, now)
        return message

    def fail(self, attempt: Attempt, kind: Trouble | None, trouble: str, now: float) -> Command:
        """``attempt`` cannot be answered any more. ``kind`` None: that was not its upstream's fault."""
        if attempt not in self.waiting:
            return None
        if kind is not None:
            attempt.upstream.failed(kind, trouble, now)
        return self._go_on(attempt, trouble, now)

    def handle_timer(self, now: float) -> Command:
        """``due`` has come: ask one more upstream, or give up."""
        if now >= self.deadline:
            return self._give_up(now)
        upstream = self._next_when_late()
        if upstream is None:
            self.due = self.deadline
            return None
        self._interval *= 2
        self.due = min(now + self._interval, self.deadline)
        return self._ask(upstream, now, upstream.only_streams)

    # What a reply is worth.

    def _matches(self, packet: bytes, data: bytes) -> bool:
        """Whether ``data`` answers ``packet``: id, QR, opcode QUERY, the question (its name in any case).

        An error may come without its question: some servers copy the header and nothing else.
        """
        if data[:2] != packet[:2] or len(data) < 12 or data[2] & _RESPONSE_AND_OPCODE != _RESPONSE:
            return False
        if data[4:6] != _ONE_QUESTION:
            return data[4:6] == _NO_QUESTION and data[3] & 0x0F in _ERRORS
        asked = self._asked
        received = data[12 : 12 + len(asked)]
        return received == asked or (received[:-4].lower() == asked[:-4] and received[-4:] == asked[-4:])

    def _mismatch(self, attempt: Attempt, now: float) -> Command:
        attempt.upstream.mismatches += 1
        if attempt.stream:
            return self.fail(attempt, "malformed", "answer to another question", now)
        attempt.forged += 1
        return self._over_stream(attempt, now) if attempt.forged >= FORGERIES else None

    def _error_answer(self, attempt: Attempt, rcode: int, message: Message | None, now: float) -> Command:
        """Again without EDNS, or the last word, or on to the next upstream (if that one does better, it was this one's failure)."""
        upstream = attempt.upstream
        if rcode in _NO_EDNS and _has_edns(attempt.packet):
            self.waiting.remove(attempt)
            return self._ask(upstream, now, attempt.stream, edns=False)
        if message is not None and _is_bogus(message):
            self._settle(attempt, now)
            return message
        if message is not None and message.question:
            self._fallback = message
        if rcode == Rcode.REFUSED:
            upstream.failed("servfail", "refuses to answer", now)
        else:
            self._refusers += (upstream,)
        return self._go_on(attempt, f"answered with rcode {rcode}", now)

    def _settle(self, winner: Attempt, now: float) -> None:
        """An answer to keep: credit its upstream, debit those that kept us waiting or answered with an error."""
        upstream = winner.upstream
        if len(self.waiting) > 1 or self._refusers:
            self._blame_losers(upstream, now)
        if winner.stream and not upstream.only_streams:
            upstream.answers += 1
        else:
            upstream.answered(now - winner.sent_at)
        if not _has_edns(winner.packet) and now >= upstream.no_edns_until:
            upstream.no_edns_until = now + NO_EDNS_FOR

    def _blame_losers(self, winner: Upstream, now: float) -> None:
        for attempt in self.waiting:
            waited = now - attempt.sent_at
            if attempt.upstream is not winner and waited > attempt.upstream.patience:
                attempt.upstream.late(waited, now)
        for upstream in self._refusers:
            if upstream is not winner:
                upstream.failed("servfail", "an error where another upstream had an answer", now)

    # What to do next.

    def _ask(self, upstream: Upstream, now: float, stream: bool, edns: bool = True) -> Attempt:
        question = self.question
        identifier = next(self._identifiers)
        if edns and now >= upstream.no_edns_until:
            packet = encode_query(identifier, self._asked, question.do, question.cd)
            if upstream.encrypted:
                packet = _padded(packet, do=question.do)
        else:
            packet = encode_query(identifier, self._asked, cd=question.cd, edns_size=None)
        attempt = Attempt(self, upstream, packet, now, stream)
        self.waiting.append(attempt)
        upstream.queries += 1
        return attempt

    def _over_stream(self, attempt: Attempt, now: float) -> Command:
        """The same question to the same upstream, where neither size nor guessing is a problem. Datagrams are not listened to any more."""
        self.waiting.remove(attempt)
        self.due = min(now + LONGEST_PATIENCE, self.deadline)
        return self._ask(attempt.upstream, now, stream=True)

    def _go_on(self, attempt: Attempt, trouble: str, now: float) -> Command:
        """One attempt is out: ask an upstream that was not asked yet, else wait for those under way, else end."""
        self._note(attempt, trouble)
        self.waiting.remove(attempt)
        if self._next < len(self._order):
            upstream = self._order[self._next]
            self._next += 1
            self.due = min(now + upstream.patience, self.deadline)
            return self._ask(upstream, now, upstream.only_streams)
        return None if self.waiting else self._end()

    def _next_when_late(self) -> Upstream | None:
        """One that was not asked yet; then again those asked by datagram, since datagrams get lost. Streams repeat by themselves."""
        order = self._order
        for _ in order:
            upstream = order[self._next % len(order)]
            self._next += 1
            if self._next <= len(order) or any(attempt.upstream is upstream and not attempt.stream for attempt in self.waiting):
                return upstream
        return None

    def _give_up(self, now: float) -> Message | Failure:
        silent = {attempt.upstream: attempt for attempt in reversed(self.waiting)}
        for upstream, attempt in silent.items():
            if now - attempt.sent_at > upstream.patience:
                upstream.failed("timeout", "no answer in time", now)
            self._note(attempt, "no answer in time")
        return self._end()

    def _end(self) -> Message | Failure:
        """An error answer if there was one: it may say why (RFC 8914)."""
        return self._fallback or Failure("; ".join(self._troubles))

    def _note(self, attempt: Attempt, trouble: str) -> None:
        self._troubles += (f"{attempt.upstream.address}: {trouble}",)


def _has_edns(packet: bytes) -> bool:
    return packet[11] != 0


def _padded(packet: bytes, *, do: bool) -> bytes:
    """The query with its empty OPT record replaced by one that pads the message (RFC 7830, RFC 8467 section 4.1)."""
    plain = packet[: -len(opt_record())]
    overhead = len(opt_record(options=option(Option.PADDING, b"")))
    return plain + opt_record(do=do, options=option(Option.PADDING, bytes(-(len(plain) + overhead) % PADDING)))


def _is_bogus(message: Message) -> bool:
    """A validating upstream says that the name fails DNSSEC: final, since another upstream may not look."""
    if message.rcode != Rcode.SERVFAIL or message.edns is None:
        return False
    return any(code == Option.EDE and int.from_bytes(value[:2]) in _BOGUS for code, value in message.edns.options)

"""Upstream answers kept in memory: how long each may be used, and which one goes when there is no more room.

- Policy never enters: the key is the question with its DO and CD bits, and what is kept is what the upstream said.
- Positive answers live as long as their smallest TTL, raised to ``min_ttl`` and cut to ``max_ttl``. Negative ones live as long as
  the SOA record says (RFC 2308); without a SOA they are not kept. Failures are kept a few seconds (RFC 9520) and never push out
  an answer that could still be served stale (RFC 8767). Truncated answers and those of TTL 0 are not kept.
- ``size`` is the sum of what is held and never above ``limit``; the least recently used answer goes first; every operation is O(1).

``now`` is any clock that does not jump (the monotonic one); an entry from the future is dropped.
"""

from collections import OrderedDict

from gateway.numbers import Rcode, Type
from gateway.rebuild import rebuilt
from gateway.wire import AUTHORITY, Message, decode_message

Key = tuple[str, int, bool, bool]
"""qname, qtype, DO, CD: ``exchange.Question`` is one"""

ANSWERS = frozenset((0, 3))
"""rcodes that answer the question: NOERROR and NXDOMAIN"""
FAILURE_TTL = 5
"""seconds for which a failure is remembered (RFC 9520, section 3.2: 1 s to 5 min)"""
POPULAR = 3
"""uses that make an answer worth fetching again before it expires"""
_OVERHEAD = 1100
_PER_RECORD = 40
_PER_NAME = 110
_PER_BINDING = 800
"""octets of memory, measured (tests/gateway/test_cache.py holds them to the truth)"""


class Cached:
    """``message`` is as received, but for TTLs brought within the cache's bounds; ``stale_until`` is not before ``expires``.

    ``retry_at``: the upstreams failed to renew it, and are not to be asked again before (RFC 8767, section 5).
    """

    __slots__ = ("cost", "expires", "hits", "message", "retry_at", "stale_until", "stored_at")

    def __init__(self, message: Message, stored_at: float, expires: float, stale_until: float, cost: int) -> None:
        self.message = message
        self.stored_at = stored_at
        self.expires = expires
        self.stale_until = stale_until
        self.cost = cost
        self.hits = 0
        self.retry_at = 0.0

    def age(self, now: float) -> int:
        """Whole seconds since it was stored: what its TTLs are lowered by."""
        return max(int(now - self.stored_at), 0)

    def wants_refresh(self, now: float) -> bool:
        """Popular, less than a tenth of its life left, and no attempt failed just now."""
        return self.hits >= POPULAR and (self.expires - now) * 10 < self.expires - self.stored_at and now >= self.retry_at


class Cache:
    def __init__(self, limit: int, *, min_ttl: int = 0, max_ttl: int = 86400, max_negative_ttl: int = 3600, stale: float = 86400) -> None:
        """``limit`` in octets, all else in seconds; ``stale``: how long an answer may serve past its time, 0 for never."""
        self.limit = limit
        self.size = 0
        self.evicted = 0
        self._min_ttl = min_ttl
        self._max_ttl = max_ttl
        self._max_negative_ttl = max_negative_ttl
        self._stale = stale
        self._entries: OrderedDict[Key, Cached] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key, now: float) -> Cached | None:
        """The answer, if it is still good. One that is only good as a stale answer stays for ``get_stale``."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if not entry.stored_at <= now < entry.expires:
            if not entry.stored_at <= now < entry.stale_until:
                self.drop(key)
            return None
        entry.hits += 1
        self._entries.move_to_end(key)
        return entry

    def get_stale(self, key: Key, now: float) -> Cached | None:
        """The answer even if its time has passed, for when no upstream answers; to be sent with ``response.STALE_TTL``."""
        entry = self._entries.get(key)
        if entry is None or not entry.stored_at <= now < entry.stale_until:
            return None
        return entry

    def put(self, key: Key, message: Message, now: float) -> Cached | None:
        """Keeps an answer; returns what is kept (its message has the bounded TTLs), or None where it may not be kept.

        Raises FormatError (SERVFAIL) where its OPT record must move and it would outgrow a message by that.
        An answer that may not be kept leaves what was there, to be served stale. Of a failure it notes when to ask again.
        """
        if message.truncated:
            return None
        held = self._entries.get(key)
        is_failure = message.rcode not in ANSWERS
        if is_failure and held is not None and held.message.rcode in ANSWERS and now < held.stale_until:
            held.retry_at = now + FAILURE_TTL
            return None
        if is_failure:
            return self._keep(key, Cached(message, now, now + FAILURE_TTL, now + FAILURE_TTL, cost(message)))
        negative = is_negative(message)
        highest = min(self._max_negative_ttl, negative_ttl(message)) if negative else self._max_ttl
        life = max(min(message.ttl, highest), self._min_ttl)
        if life <= 0 or (negative and not highest):
            return None
        if not message.opt_is_last:
            message = rebuilt(message)  # once here, not for every client
        message = _with_ttls_between(message, min(self._min_ttl, highest), life if negative else highest)
        return self._keep(key, Cached(message, now, now + life, now + life + self._stale, cost(message)))

    def drop(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.size -= entry.cost

    def clear(self) -> None:
        self._entries.clear()
        self.size = 0

    def _keep(self, key: Key, entry: Cached) -> Cached | None:
        if entry.cost > self.limit:
            return None
        entry.message.forget_records()
        self.drop(key)
        while self.size + entry.cost > self.limit:
            _, oldest = self._entries.popitem(last=False)
            self.size -= oldest.cost
            self.evicted += 1
        self._entries[key] = entry
        self.size += entry.cost
        return entry


def cost(message: Message) -> int:
    """Octets of memory that keeping it takes, its place in the cache included."""
    octets = _OVERHEAD + len(message.data) + len(message.ttl_offsets) * _PER_RECORD + len(message.targets) * _PER_NAME
    for record, _ in message.bindings:
        octets += _PER_BINDING + record.rdata_end - record.rdata_at
    return octets


def is_negative(message: Message) -> bool:
    """Whether it says "no such name" or "no such type" (RFC 2308, section 2), at the end of an alias chain too."""
    if message.rcode == Rcode.NXDOMAIN:
        return True
    return not message.answered


def negative_ttl(message: Message) -> int:
    """Seconds for which a negative answer holds: the smaller of the SOA record's TTL and its MINIMUM; 0 without one."""
    for record in message.records:
        if record.section == AUTHORITY and record.rtype == Type.SOA:
            minimum = int.from_bytes(message.data[record.rdata_end - 4 : record.rdata_end])
            return min(record.ttl, minimum)
    return 0


def _with_ttls_between(message: Message, lowest: int, highest: int) -> Message:
    """The same message where nothing needs changing."""
    if lowest <= message.ttl and message.highest_ttl <= highest:
        return message
    data = bytearray(message.data)
    for record in message.records:
        data[record.ttl_at : record.ttl_at + 4] = max(min(record.ttl, highest), lowest).to_bytes(4)
    return decode_message(bytes(data))

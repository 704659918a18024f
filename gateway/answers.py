"""Ready-made answers: what the hot loop sends without thinking, bounded in bytes over all groups. Pure.

An answer belongs to a view (one group's policy) and to the exact octets of a question. The oldest go first; since every answer
ends within its TTL and is then made anew, the oldest are also the least used.
"""

from collections import deque
from types import ModuleType
from typing import Any

from gateway.live import View
from gateway.pipeline import Outcome

OVERHEAD = 560
"""octets of an entry besides its question and its answer: objects, dictionary slots and the queue (measured)"""


class Shelf:
    """``loop`` is gateway.hot or its compiled twin, whose Entry is kept."""

    def __init__(self, limit: int, loop: ModuleType) -> None:
        self.limit = limit
        self.size = 0
        self._entry = loop.Entry
        self._queue: deque[tuple[dict[bytes, Any], bytes, Any]] = deque()

    def put(self, view: View, key: bytes, outcome: Outcome, label: object, now: float) -> None:
        """Keep ``outcome`` for whoever of the group asks the same octets; ``key`` is the query without its id."""
        reply = outcome.reply
        cached = None if outcome.cached is None else (outcome.question, outcome.cached)
        entry = self._entry(reply.body, reply.ttl_offsets, now, outcome.keep_until, label, cached)
        view.answers[key] = entry
        self._queue.append((view.answers, key, entry))
        self.size += _size(key, entry)
        while self.size > self.limit:
            answers, old_key, old = self._queue.popleft()
            if answers.get(old_key) is old:
                del answers[old_key]
            self.size -= _size(old_key, old)


def _size(key: bytes, entry: Any) -> int:
    return OVERHEAD + len(key) + int(entry.length)

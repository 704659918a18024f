"""Ready-made answers: what the hot loop sends without thinking, bounded in bytes over all groups. Pure.

An answer belongs to a policy, shared by the groups whose policies are alike, and to the exact octets of a question. The oldest go first; since every answer
ends within its TTL and is then made anew, the oldest are also the least used.
"""

from collections import deque

from gateway.hot import Entry, Subject
from gateway.pipeline import Outcome

Answers = dict[bytes, Entry]

OVERHEAD = 560
"""octets of an entry besides its question and its answer: objects, dictionary slots and the queue (measured)"""
SUBJECT = 140
"""octets more for what an answer refuses: its record and the name"""


class Shelf:
    """``limit``: octets of memory over all groups."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self._queue: deque[tuple[Answers, bytes, Entry]] = deque()

    def has_room(self) -> bool:
        """Whether an answer that may never be asked for again would push out none that is."""
        return self.size < self.limit // 4 * 3

    def put(self, answers: Answers, key: bytes, outcome: Outcome, label: int, subject: Subject | None, now: float) -> None:
        """Keep ``outcome`` for whoever of these groups asks the same octets; ``key`` is the query without its id."""
        reply = outcome.reply
        entry = Entry(reply.body, reply.ttl_offsets, now, outcome.keep_until, label, outcome.question, subject)
        answers[key] = entry
        self._queue.append((answers, key, entry))
        self.size += _size(key, entry)
        while self.size > self.limit:
            shelf, old_key, old = self._queue.popleft()
            if shelf.get(old_key) is old:
                del shelf[old_key]
            self.size -= _size(old_key, old)


def _size(key: bytes, entry: Entry) -> int:
    return OVERHEAD + len(key) + entry.length + (0 if entry.subject is None else SUBJECT)

"""What a table would change, row by row, before anything is changed. Pure, but for ``Uploads``, which keeps a table until it is confirmed.

A table is carried out whole or not at all: one wrong row and nothing is done. Whoever confirms sends the plan's digest along, so that what is done is what was
seen, whatever happened in between.
"""

from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256

from dashboard.refusal import Refused
from filters.message import Message

KEPT_UPLOADS = 4
KEEP = 1800.0
"""seconds for which a table waits to be confirmed"""


class Status(StrEnum):
    WRONG = "wrong"
    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


ORDER = tuple(Status)
"""as a preview shows them: what has to be looked at first"""


@dataclass(frozen=True, slots=True)
class Planned:
    """One row and what becomes of it."""

    line: int
    status: Status
    title: str
    """whom or what it is about"""
    notes: tuple[Message, ...] = ()
    """what is wrong, or what changes"""


@dataclass(frozen=True, slots=True)
class Plan:
    rows: tuple[Planned, ...]

    @property
    def digest(self) -> str:
        return sha256(
            repr([(row.line, row.status.value, row.title, [str(note) for note in row.notes]) for row in self.rows]).encode()
        ).hexdigest()[:32]

    @property
    def counts(self) -> dict[Status, int]:
        counted = Counter(row.status for row in self.rows)
        return {status: counted[status] for status in ORDER}

    def in_order(self) -> list[Planned]:
        return sorted(self.rows, key=lambda row: ORDER.index(row.status))

    def confirm(self, seen: str) -> None:
        """Raises Refused unless this is the plan that was seen, and there is something to do in it and nothing wrong."""
        counts = self.counts
        if counts[Status.WRONG]:
            raise Refused(
                Message("{count} rows are wrong; nothing was changed. Mend them and send the table again.", count=counts[Status.WRONG]),
                status=422,
                field="csv",
            )
        if seen != self.digest:
            raise Refused(
                Message("Something has changed since the preview; nothing was done. Please look at it again."), status=409, field="seen"
            )
        if not counts[Status.NEW] and not counts[Status.CHANGED]:
            raise Refused(Message("Everything in the table is so already; there is nothing to do."), status=409, field="csv")


@dataclass(slots=True)
class Uploads:
    """Tables that wait to be confirmed, each for the session that sent it; the oldest goes when there are too many, and all with the process."""

    kept: "OrderedDict[tuple[str, str], tuple[float, bytes]]" = field(default_factory=OrderedDict)

    def keep(self, secret: str, area: str, data: bytes, now: float) -> None:
        self.kept[secret, area] = now, data
        self.kept.move_to_end((secret, area))
        while len(self.kept) > KEPT_UPLOADS:
            self.kept.popitem(last=False)

    def get(self, secret: str, area: str, now: float) -> bytes | None:
        at, data = self.kept.get((secret, area), (0.0, b""))
        return data if data and now - at < KEEP else None

    def drop(self, secret: str, area: str) -> None:
        self.kept.pop((secret, area), None)


def change_note(what: str, old: str, new: str) -> Message:
    return Message("{what}: {old} → {new}", what=Message(what), old=old or "—", new=new or "—")


def wrong_row(line: int, title: str, problems: Sequence[Message]) -> Planned:
    return Planned(line, Status.WRONG, title[:100], tuple(problems))

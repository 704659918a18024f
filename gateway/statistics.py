"""What one worker counts in a minute: refusals by group and name, with a bitmap of the devices that asked; the rest by kind. Pure.

Promises: of an allowed name nothing is noted, and of a device no more than one of 64 bits, under a salt that the school forgets every day. The number of bits
that are set is at most the number of devices that asked, however the bitmaps of workers and minutes are put together (by OR). Memory is bounded:
beyond ``GROUP_CELLS`` names of a group, or ``CELLS`` in all, refusals are counted without their names, so that one device's flood
hides the names of its own group at most.

A minute leaves the worker as one JSON object, which dashboard/insight/statistics.py reads:
``{"version": 1, "minute": Unix minute, "salt": which salt, "blocked": [[group, category, rung, name, count, bitmap], ...],
"answers": [[group, category, rung, verdict, count], ...], "strangers": [address, ...]}``.
"""

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from gateway.hot import Cell, Subject, View

if TYPE_CHECKING:
    from gateway.metrics import AnswerKey

VERSION = 1
CELLS = 20_000
"""names of all groups in one minute"""
GROUP_CELLS = 4_000
"""names of one group in one minute, and ready-made refusals that a view remembers the cell of"""
STRANGERS = 500
"""addresses in one minute's file"""
BITS = 64

BlockedKey = tuple[str, str, str]
"""category, rung, qname"""
AnsweredKey = tuple[str, str, str, str]
"""group, category, rung, verdict"""


def mark(salt: bytes, address: bytes) -> int:
    """The bit of the device behind a packed address; ``salt`` has 1 to 64 octets."""
    return 1 << blake2b(address, digest_size=1, key=salt).digest()[0] % BITS


def salt_id(salt: bytes) -> str:
    """Tells salts apart without telling them: bitmaps of different ones cannot be put together."""
    return blake2b(key=salt, digest_size=8, person=b"salt id").hexdigest()


class Taken(NamedTuple):
    """A minute's counts, which nobody changes any more."""

    cells: Mapping[str, Mapping[BlockedKey, Cell]]
    """by group"""
    answers: Mapping[AnsweredKey, int]
    """what was not blocked"""
    strangers: Sequence[bytes]
    """packed addresses of clients that no group names"""

    def __bool__(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.cells or self.answers or self.strangers)


class Statistics:
    """The minute that is being counted."""

    def __init__(self) -> None:
        self._cells: dict[str, dict[BlockedKey, Cell]] = {}
        self._count = 0
        self._views: list[View] = []
        self._answers: dict[AnsweredKey, int] = {}

    def cell(self, group: str, subject: Subject) -> Cell:
        """Where a refusal is counted until ``take``."""
        of_group = self._cells.setdefault(group, {})
        key = subject.category, subject.rung, subject.qname
        cell = of_group.get(key)
        if cell is None and (len(of_group) >= GROUP_CELLS or self._count >= CELLS):
            key = subject.category, subject.rung, ""
            cell = of_group.get(key)
        if cell is None:
            cell = of_group[key] = Cell()
            self._count += 1
        return cell

    def note(self, view: View, subject: Subject) -> Cell:
        """``cell`` for the hot loop, which from then on finds it in the view by itself."""
        cell = self.cell(view.policy.group, subject)
        if not view.cells:
            self._views.append(view)
        if len(view.cells) < GROUP_CELLS:
            view.cells[subject] = cell
        return cell

    def answered(self, answers: "Mapping[AnswerKey, int]") -> None:
        """Add what was sent by kind; refusals are left out, since they are in the cells."""
        for key, count in answers.items():
            if key.verdict != "block":
                kind = key.group, key.category, key.rung, key.verdict
                self._answers[kind] = self._answers.get(kind, 0) + count

    def take(self, strangers: Sequence[bytes]) -> Taken:
        """End the minute: what was counted since the last call. Quick, so that the rest can be done beside the event loop."""
        for view in self._views:
            view.cells = {}
        taken = Taken(self._cells, self._answers, strangers[:STRANGERS])
        self._cells, self._count, self._views, self._answers = {}, 0, [], {}
        return taken


def encode(taken: Taken, minute: int, salt: str) -> bytes:
    """One minute's file. ``minute``: Unix minutes; ``salt``: see ``salt_id``."""
    content = {
        "version": VERSION,
        "minute": minute,
        "salt": salt,
        "blocked": [[group, *key, cell.count, cell.bits] for group, cells in taken.cells.items() for key, cell in cells.items()],
        "answers": [[*key, count] for key, count in taken.answers.items()],
        "strangers": [str(ip_address(address)) for address in taken.strangers],
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()

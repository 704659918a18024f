"""What every page and every API call works with, put together once when the process starts."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dashboard.box import Box
from dashboard.changes import Changes
from dashboard.insight.decisions import Watch
from dashboard.insight.looking import Health
from dashboard.insight.statistics import Fold
from dashboard.lessons.classes import Recent
from dashboard.school import School
from dashboard.signing_in.pending import Pending
from dashboard.signing_in.throttle import Throttle
from dashboard.staff.inviting import HandedOut
from dashboard.store.engine import Store
from dashboard.tables.importing import Uploads

if TYPE_CHECKING:
    from dashboard.web import Once

Flash = tuple[str, str]
"""``done`` or ``wrong``, and the text"""
REMEMBERED_FLASHES = 1000


@dataclass(slots=True)
class Site:
    config: Path
    """the school's file"""
    store: Store
    school: School
    changes: Changes
    box: Box
    clock: Callable[[], float]
    once: "Once"
    fold: Fold
    """the statistics of the last hours"""
    classes: Recent = field(default_factory=Recent)
    """what is remembered of the classes: who switched last"""
    setup_code: str = ""
    """printed on the console while there is no administrator"""
    is_set_up: bool = False
    flashes: dict[str, tuple[Flash, ...]] = field(default_factory=dict)
    """what the next page of a session says; lost with the process, as a spoken word is"""
    seen: dict[int, float] = field(default_factory=dict)
    """when each session's last use was noted"""
    used: dict[str, float] = field(default_factory=dict)
    """when each token's last use was noted, by the token's fingerprint"""
    watches: dict[int, Watch] = field(default_factory=dict)
    """session -> the live view that was begun in it"""
    handed_out: HandedOut = field(default_factory=HandedOut)
    """invitation links that were just made, for whoever made them"""
    uploads: Uploads = field(default_factory=Uploads)
    """tables whose preview waits to be confirmed"""
    health: Health = field(default_factory=Health)
    """how the box was at the last look"""
    throttle: Throttle = field(default_factory=Throttle)
    """how often who may try to sign in"""
    pending: Pending = field(default_factory=Pending)
    """what visitors have begun and not finished"""

    outbox: asyncio.Event = field(default_factory=asyncio.Event)
    """set when a report for the province was put into the outbox, so that it goes at once"""

    def flash(self, secret: str, kind: str, text: str) -> None:
        self.flashes[secret] = (*self.flashes.get(secret, ()), (kind, text))
        while len(self.flashes) > REMEMBERED_FLASHES:
            del self.flashes[next(iter(self.flashes))]

"""Cards of classes, kept up to date in open pages by server-sent events.  [shell: tasks]

One task looks at the school four times a second for everybody who listens, and only while somebody does. A listener is sent what has changed for
them and nothing else; what a slow one has not fetched yet is overtaken by what is newer, so nothing piles up. A stream ends when its session does,
when its person's role, classes or language change, and when the process stops; the page then asks again and gets what it may have now.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dashboard.access import Person
from dashboard.box import WorkerReport
from dashboard.lessons.classes import ClassNow, Shown, class_now, shown_to, trusted
from dashboard.refusal import Refused
from dashboard.rendering import render
from dashboard.school import View
from dashboard.store.classes import still_signed_in
from dashboard.store.engine import StoreTrouble
from dashboard.store.requests import open_counts
from filters.message import Message
from policies.model import Group

if TYPE_CHECKING:
    from dashboard.site import Site

log = logging.getLogger("manglanh.web")

LISTENERS = 200
PER_SESSION = 8
"""pages of one person that are kept up to date at once"""
HEARTBEAT = 15.0
"""seconds; a proxy between would close a connection that says nothing"""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two looks."""

    look: float = 0.25
    requests: float = 1.0
    sessions: float = 2.0


@dataclass(eq=False, slots=True)
class Listener:
    person: Person
    rows: bool
    """short rows instead of cards"""
    groups: frozenset[str] | None
    """None: all that are this person's"""
    shown: dict[str, tuple[object, ...]] = field(default_factory=dict)
    """what was sent of each class, without the words"""
    pending: dict[str, str] = field(default_factory=dict)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False

    def end(self) -> None:
        self.ended = True
        self.wake.set()

    def wants(self, groups: Sequence[Group], person_classes: frozenset[str], *, everything: bool) -> list[Group]:
        chosen = groups if everything else [group for group in groups if group.name in person_classes]
        return [group for group in chosen if self.groups is None or group.name in self.groups]


class Live:
    def __init__(self, site: "Site", pace: Pace | None = None) -> None:
        self._site = site
        self._pace = pace or Pace()
        self._listeners: list[Listener] = []
        self._task: asyncio.Task[None] | None = None

    def listen(self, person: Person, *, rows: bool, groups: frozenset[str] | None) -> Listener:
        """Somebody to be kept up to date by ``stream``. Raises Refused where there are too many."""
        mine = sum(listener.person.session == person.session for listener in self._listeners)
        if len(self._listeners) >= LISTENERS or mine >= PER_SESSION:
            raise Refused(
                Message("Too many pages are kept up to date at once; this one shows what is new when it is reloaded."), status=503
            )
        return Listener(person, rows, groups)

    async def stream(self, listener: Listener) -> AsyncIterator[bytes]:
        """Events (WHATWG HTML, server-sent events), until the listener ends or goes away."""
        self._listeners.append(listener)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
        try:
            yield b": cards of classes\n\n"
            while not listener.ended:
                try:
                    await asyncio.wait_for(listener.wake.wait(), HEARTBEAT)
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                listener.wake.clear()
                pending, listener.pending = listener.pending, {}
                if pending:
                    yield f"data: {json.dumps(pending, ensure_ascii=False)}\n\n".encode()
        finally:
            self._listeners.remove(listener)

    def close(self) -> None:
        """End every stream: the process stops."""
        for listener in self._listeners:
            listener.end()

    async def _look(self) -> None:
        """While somebody listens: what is new, four times a second."""
        loop = asyncio.get_running_loop()
        requests: Mapping[str, int] = {}
        requests_at = sessions_at = -1.0
        while self._listeners:
            try:
                if loop.time() >= requests_at:
                    requests = await self._requests()
                    requests_at = loop.time() + self._pace.requests
                if loop.time() >= sessions_at:
                    await self._end_strangers()
                    sessions_at = loop.time() + self._pace.sessions
                self._tell(await self._site.school.now(), self._site.box.workers(), requests)
            except StoreTrouble as error:
                log.warning("live cards: %s", error)
            except Exception:
                # A card that cannot be made must not stop the others for good; nothing was sent of it.
                log.exception("live cards could not be made")
            await asyncio.sleep(self._pace.look)

    async def _requests(self) -> Mapping[str, int]:
        async with self._site.store.read() as connection:
            return await open_counts(connection)

    async def _end_strangers(self) -> None:
        """End the streams of those who are no longer who they were."""
        asked = list(self._listeners)  # whoever comes while the store is read is looked at the next time
        async with self._site.store.read() as connection:
            known = await still_signed_in(connection, {listener.person.session for listener in asked}, self._site.clock())
        for listener in asked:
            person = listener.person
            if known.get(person.session) != (person.role, person.language, person.classes):
                listener.end()

    def _tell(self, view: View, workers: Sequence[WorkerReport], requests: Mapping[str, int]) -> None:
        now, recent = self._site.clock(), self._site.classes
        groups = list(view.snapshot.groups.values())
        states: dict[str, ClassNow] = {}
        words: dict[tuple[object, ...], dict[str, str]] = {}
        for listener in self._listeners:
            person = listener.person
            everything = person.role != "teacher"
            for group in listener.wants(groups, person.classes, everything=everything):
                state = states.get(group.name)
                if state is None:
                    state = states[group.name] = class_now(view, recent, group, now, workers, requests)
                shown = shown_to(person, state, recent, now)
                key = (state, shown.mine, shown.undo, shown.may_switch, trusted(workers))
                if listener.shown.get(group.name) == key:
                    continue
                listener.shown[group.name] = key
                made = (person.language, listener.rows, *key)
                if made not in words:
                    words[made] = fragments(shown, view, now, person.language, rows=listener.rows)
                listener.pending.update(words[made])
                listener.wake.set()


def fragments(shown: Shown, view: View, now: float, language: str, *, rows: bool) -> dict[str, str]:
    """From the id of an element to its new inside; the same templates make the page."""
    values = {"now": now, "zone": view.file.school.timezone, "shown": shown, "modes": modes_of(view, language)}
    group = shown.now.group
    if rows:
        return {f"class-{group}": render("classes/row_status.html", language, **values)}
    made = {f"class-{group}": render("classes/status.html", language, **values)}
    if shown.may_switch:
        made[f"modes-{group}"] = render("classes/modes.html", language, **values)
    return made


def modes_of(view: View, language: str) -> list[tuple[str, str]]:
    """(id, title) of every mode, the built-in ones first."""
    return [(mode, titles.title.vi if language == "vi" else titles.title.en) for mode, titles in view.snapshot.modes.items()]

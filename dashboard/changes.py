"""Changes of the live state from the web: first in the audit log, then in state.json, then in force on every worker.  [shell: tasks, clock]

Forty teachers tap when the bell rings. So changes that wait together are made together: one transaction for their audit rows, one new state.json, one
generation; each is carried out or refused by itself. Promises: no change without its row in the audit log; a row whose change did not come about says
``failed`` (or ``begun``, where the power went in between); a change that was refused has changed nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from dashboard.access import Person
from dashboard.box import Box
from dashboard.refusal import Refused
from dashboard.store import audit
from dashboard.store.engine import Store, StoreTrouble
from filters.message import Message
from policies.model import State
from policies.state import StateError, update_state

log = logging.getLogger("manglanh.dashboard")

LOOK_EVERY = 0.01
TAKEN_UP_WITHIN = 2.0
"""seconds that a page waits to say ``in force``; a worker looks at the state 20 times a second"""

Change = Callable[[State], State]
"""a new state from the old one; may raise Refused"""


class InForce(NamedTuple):
    """How many of the running workers have taken a generation up."""

    applied: int
    workers: int

    @property
    def everywhere(self) -> bool:
        return self.workers > 0 and self.applied == self.workers


@dataclass(slots=True)
class _Waiting:
    person: Person | None
    entry: audit.Entry
    change: Change
    done: asyncio.Future[int]
    refused: Exception | None = field(default=None)


class Changes:
    def __init__(self, store: Store, state: Callable[[], Path], box: Box, clock: Callable[[], float]) -> None:
        """``state`` says where state.json is, which the school's file may change."""
        self._store = store
        self._state = state
        self._box = box
        self._clock = clock
        self._waiting: list[_Waiting] = []
        self._carrying: asyncio.Task[None] | None = None

    async def make(self, person: Person | None, entry: audit.Entry, change: Change) -> int:
        """Carry ``change`` out; the generation that has it. Raises Refused, StoreTrouble; then nothing has changed."""
        waiting = _Waiting(person, entry, change, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._carrying is None or self._carrying.done():
            self._carrying = asyncio.create_task(self._carry_out())
        # A browser that goes away does not take a change with it that is half made.
        return await asyncio.shield(waiting.done)

    async def in_force(self, generation: int, within: float = TAKEN_UP_WITHIN) -> InForce:
        """Wait until every worker reports ``generation``, but not for ever."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        while True:
            reports = self._box.workers()
            applied = sum(report.generation >= generation for report in reports)
            if applied == len(reports) or loop.time() >= deadline:
                return InForce(applied, len(reports))
            await asyncio.sleep(LOOK_EVERY)

    async def _carry_out(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                await self._together(batch)
            except (StoreTrouble, StateError, OSError) as error:
                _fail(batch, _in_words(error))
            except Exception:
                log.exception("changes could not be made")
                _fail(batch, Refused(Message("Something went wrong here; nothing was changed. The log has the details."), status=500))

    async def _together(self, batch: Sequence[_Waiting]) -> None:
        now = self._clock()
        async with self._store.write() as connection:
            ids = await audit.add_each(connection, now, [(waiting.person, waiting.entry) for waiting in batch], outcome="begun")
        try:
            state = await asyncio.to_thread(update_state, self._state(), lambda old: _apply(batch, old), now)
        except BaseException:
            await self._settle(failed=ids)
            raise
        refused = [id_ for id_, waiting in zip(ids, batch, strict=True) if waiting.refused]
        await self._settle(failed=refused, done=[id_ for id_ in ids if id_ not in refused])
        for waiting in batch:
            if waiting.done.done():
                continue
            if waiting.refused is None:
                waiting.done.set_result(state.generation)
            else:
                waiting.done.set_exception(waiting.refused)

    async def _settle(self, failed: Sequence[int], done: Sequence[int] = ()) -> None:
        """The changes themselves are made or not; that their rows cannot be completed is no reason to say otherwise."""
        try:
            async with self._store.write() as connection:
                await audit.settle(connection, failed, "failed")
                await audit.settle(connection, done, "done")
        except StoreTrouble as error:
            log.error("audit rows stay at 'begun', of which %s failed and %s are done: %s", failed, done, error)


def _apply(batch: Sequence[_Waiting], state: State) -> State:
    for waiting in batch:
        try:
            state = waiting.change(state)
            waiting.refused = None
        except Refused as error:
            waiting.refused = error
    return state


def _fail(batch: Sequence[_Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.done.done():
            waiting.done.set_exception(error)


def _in_words(error: Exception) -> Exception:
    if isinstance(error, StoreTrouble):
        return error
    why = error.strerror if isinstance(error, OSError) else str(error)
    return Refused(Message("The change could not be saved; nothing was changed. ({why})", why=why), status=503)

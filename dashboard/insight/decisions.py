"""The live view: the latest decisions as rows, for an administrator who watches. Nothing is stored, here or anywhere.  [shell: tasks, clock]

A watch is begun by a button, is written into the audit log with its reason, and ends by itself. Who asked is shown only where the watcher
wanted it, which the log then says.
"""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from dashboard.box import Box

LENGTH = 600.0
"""seconds that a watch lasts"""
ROWS = 60
EVERY = 0.5
HEARTBEAT = 15.0


@dataclass(frozen=True, slots=True)
class Watch:
    """``until`` is in Unix seconds."""

    until: float
    group: str = ""
    """only this group's decisions; empty: everybody's"""
    addresses: bool = False
    blocked_only: bool = False


def wanted(decision: Mapping[str, object], watch: Watch) -> bool:
    if watch.group and decision.get("group") != watch.group:
        return False
    return not watch.blocked_only or decision.get("verdict") == "block"


async def stream(
    box: Box, watch: Watch, clock: Callable[[], float], show: Callable[[list[Mapping[str, object]]], dict[str, str]]
) -> AsyncIterator[bytes]:
    """Server-sent events (WHATWG HTML) until the watch ends or its page goes away. ``show`` makes fragments of the latest rows, newest first."""
    rows: deque[Mapping[str, object]] = deque(maxlen=ROWS)
    fresh = asyncio.Event()
    reader = asyncio.create_task(_read(box, watch, rows, fresh))
    try:
        yield b": decisions\n\n"
        while clock() < watch.until:
            try:
                await asyncio.wait_for(fresh.wait(), HEARTBEAT)
            except TimeoutError:
                yield b": still here\n\n"
                continue
            fresh.clear()
            yield f"data: {json.dumps(show(list(reversed(rows))), ensure_ascii=False)}\n\n".encode()
            await asyncio.sleep(EVERY)
        yield b"event: end\ndata: {}\n\n"
    finally:
        reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reader


async def _read(box: Box, watch: Watch, rows: "deque[Mapping[str, object]]", fresh: asyncio.Event) -> None:
    async with contextlib.aclosing(box.decisions()) as decisions:
        async for decision in decisions:
            if wanted(decision, watch):
                rows.append(decision)
                fresh.set()

"""The workers' minutes on their way into the store: read as they come, stored together, then deleted. [shell: disk]

A file stays in the runtime directory until what it says is in the store, so that a process that starts anew folds it again. The store notes the
names of the files with the very same transaction: one that was stored and, by a crash, not deleted is known by its name, and only
deleted. Storing is much rarer than reading (once an hour, and at the end), since every transaction wears the SD card.

``save`` is the store's side. In *one* transaction it must, for each cell, insert it or add ``count`` and keep the larger ``devices`` of both; and insert
the names of the files. ``known`` are the names that it has noted when this process starts; they may be forgotten after a day.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path

from dashboard.insight.statistics import Cell, Fold, Minute, parse

log = logging.getLogger("manglanh.statistics")

FOLDER = "statistics"
"""in the runtime directory (gateway/runtime.py)"""
MAX_BYTES = 16 * 1024 * 1024
"""far above what a worker writes in a minute; a larger file is cut off, and so damaged"""

_NAME = re.compile(r"\d{1,4}-(?P<minute>\d{1,12})-[0-9a-f]{1,32}\.json")

Save = Callable[[Sequence[Cell], Sequence[str]], Awaitable[None]]


def pending(runtime: Path) -> list[Path]:
    """The workers' files that wait, by their minute; none where there is no such directory. Raises OSError where it cannot be read."""
    try:
        found = [(_NAME.fullmatch(path.name), path) for path in (runtime / FOLDER).iterdir()]
    except FileNotFoundError:
        return []
    return [path for _, path in sorted((int(name["minute"]), path) for name, path in found if name)]


class Folder:
    """Feeds a Fold. Its methods must not run at the same time as each other."""

    def __init__(self, fold: Fold, known: Iterable[str]) -> None:
        self.fold = fold
        self._stored = set(known)
        """in the store, and to be deleted if they are still there"""
        self._folded: dict[str, Path] = {}
        """in the fold, and not in the store"""

    async def read(self, runtime: Path, now: float) -> None:
        """Fold what has come since the last call. A damaged file is named in the log and deleted. Raises OSError as ``pending``."""
        for path in pending(runtime):
            if path.name in self._stored:
                self._delete_stored(path)
            elif path.name not in self._folded:
                minute = await asyncio.to_thread(_read, path)
                await asyncio.to_thread(self.fold.prepare)
                if minute is not None:
                    self.fold.add(minute, now)
                    self._folded[path.name] = path

    async def store(self, save: Save) -> None:
        """Bring into the store what it has not got, then delete its files. Raises what ``save`` raises; then all of it is still due."""
        cells, files = self.fold.due(), dict(self._folded)
        if not cells and not files:
            return
        await save(cells, tuple(files))
        self.fold.stored(cells)
        for name, path in files.items():
            del self._folded[name]
            self._stored.add(name)
            self._delete_stored(path)

    def _delete_stored(self, path: Path) -> None:
        """Its name is remembered as long as it cannot be deleted."""
        if _delete(path):
            self._stored.discard(path.name)


def _read(path: Path) -> Minute | None:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES)
        return parse(data)
    except FileNotFoundError:  # its worker keeps so many and no more
        return None
    except (OSError, ValueError) as error:
        log.warning("statistics of a minute are lost: %s: %s", path.name, error)
        _delete(path)
        return None


def _delete(path: Path) -> bool:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s: not deleted: %s", path.name, error)
        return False
    return True

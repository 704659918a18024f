"""Decisions as they happen, for whoever listens now: JSON lines on a Unix socket, nothing stored.  [shell]

While somebody listens, ready-made answers are not used, since the hot loop does not look at what it sends. A listener that
does not keep up loses lines, never the resolver its time.
"""

import asyncio
import contextlib
import json
from pathlib import Path

BACKLOG = 256 * 1024
"""octets that wait for one listener before lines are dropped"""
LISTENERS = 8


class Tail:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._inode = 0

    def __bool__(self) -> bool:
        """Whether anybody listens."""
        return bool(self._writers)

    async def start(self) -> None:
        """Raises OSError where the socket cannot be made."""
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._listen, path=self._path)
        self._path.chmod(0o660)
        self._inode = self._path.stat().st_ino

    def emit(self, decision: dict[str, object]) -> None:
        line = json.dumps(decision, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        for writer in self._writers:
            if writer.transport.get_write_buffer_size() < BACKLOG:
                writer.write(line)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.close()
        with contextlib.suppress(OSError):
            if self._path.stat().st_ino == self._inode:  # a worker that replaces this one has made its own there
                self._path.unlink()

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._writers) >= LISTENERS:
            writer.close()
            return
        self._writers.add(writer)
        try:
            with contextlib.suppress(ConnectionError):
                while await reader.read(1024):
                    pass
        finally:
            self._writers.discard(writer)
            writer.close()

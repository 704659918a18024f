"""DNS over TCP and TLS: framing, pipelining and limits of one connection (RFC 7766, RFC 7858).  [shell]

Answers leave in the order in which they are ready. A connection ends when it idles, when it sends what is no frame, when it has
sent nothing but half a message for too long, or when its address already has its share.
"""

import asyncio
from collections import Counter
from collections.abc import Callable

IDLE = 10.0
"""seconds without a whole query (RFC 7766 section 6.2.3 asks for some seconds)"""
PIPELINE = 64
"""queries under way on a connection; more wait in the kernel's buffer"""
MAX_MESSAGE = 4096
"""octets of one query; a longer one is none"""

Respond = Callable[[bytes], None]
Handle = Callable[[bytes, tuple[str, int], Respond], None]
"""called with a query, the sender's address and what to answer with; an empty answer drops the query"""


class Connections:
    """The streams of a worker, and how many there may be, in all and per address."""

    def __init__(self, limit: int, per_address: int) -> None:
        self.limit = limit
        self.per_address = per_address
        self.refused = 0
        self.open: set[Connection] = set()
        self.by_address: Counter[str] = Counter()

    def admit(self, connection: "Connection", address: str) -> bool:
        if len(self.open) >= self.limit or self.by_address[address] >= self.per_address:
            self.refused += 1
            return False
        self.open.add(connection)
        self.by_address[address] += 1
        return True

    def leave(self, connection: "Connection", address: str) -> None:
        if connection in self.open:
            self.open.remove(connection)
            self.by_address[address] -= 1
            if not self.by_address[address]:
                del self.by_address[address]

    def close(self) -> None:
        for connection in list(self.open):
            connection.end()


class Connection(asyncio.Protocol):
    def __init__(self, connections: Connections, handle: Handle) -> None:
        self._connections = connections
        self._handle = handle
        self._buffer = b""
        self._pending = 0
        self._address: tuple[str, int] = ("", 0)
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        peer = transport.get_extra_info("peername")
        if not peer or not self._connections.admit(self, peer[0]):
            transport.abort()
            return
        self._address = (peer[0], peer[1])
        self._rest()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._connections.leave(self, self._address[0])
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._read()

    def _read(self) -> None:
        """Hand over every whole query, as long as the pipeline has room."""
        while self._transport is not None and len(self._buffer) >= 2 and self._pending < PIPELINE:
            end = 2 + int.from_bytes(self._buffer[:2])
            if end < 14 or end > 2 + MAX_MESSAGE:
                self.end()
                return
            if len(self._buffer) < end:
                break
            query, self._buffer = self._buffer[2:end], self._buffer[end:]
            self._pending += 1
            self._rest()
            self._handle(query, self._address, self._respond)
        if self._transport is not None and self._pending >= PIPELINE:
            self._transport.pause_reading()

    def _respond(self, message: bytes) -> None:
        """One query is done."""
        self._pending -= 1
        if self._transport is None:
            return
        if message:
            self._transport.write(len(message).to_bytes(2) + message)
        if self._pending == PIPELINE - 1:
            self._transport.resume_reading()
            asyncio.get_running_loop().call_soon(self._read)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(IDLE, self._idle)

    def _idle(self) -> None:
        if self._pending:
            self._rest()
        else:
            self.end()

    def end(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def pause_writing(self) -> None:
        """The client does not read its answers: nothing more is read from it (its queries wait in the kernel)."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None and self._pending < PIPELINE:
            self._transport.resume_reading()

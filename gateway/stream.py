"""DNS over TCP and TLS: framing, pipelining and limits of one connection (RFC 7766, RFC 7858).  [shell]

Answers leave in the order in which they are ready. A connection ends when it idles, when it sends what is no frame, when it has
sent nothing but half a message for too long, or when its address already has its share. The share is asked for before a TLS
handshake costs anything, and the handshake is part of the time that a client has for its first query.

``Stream`` is what every connection has in common, whatever is spoken on it; gateway/https_server.py speaks HTTP on it.
"""

import asyncio
import ssl
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable

IDLE = 10.0
"""seconds without a whole query (RFC 7766 section 6.2.3 asks for some seconds)"""
PIPELINE = 64
"""queries under way on a connection; more wait in the kernel's buffer"""
MAX_MESSAGE = 4096
"""octets of one query; a longer one is none"""
TLS_CLOSING = 1.0
"""seconds that a client has to say that it, too, has closed"""

Respond = Callable[[bytes], None]
Handle = Callable[[bytes, tuple[str, int], Respond], None]
"""called with a query, the sender's address and what to answer with; an empty answer drops the query"""


class Connections:
    """The streams of a worker, and how many there may be, in all and per address."""

    def __init__(self, limit: int, per_address: int) -> None:
        self.limit = limit
        self.per_address = per_address
        self.refused = 0
        self.open: set[Stream] = set()
        self.by_address: Counter[str] = Counter()

    def admit(self, connection: "Stream", address: str) -> bool:
        if len(self.open) >= self.limit or self.by_address[address] >= self.per_address:
            self.refused += 1
            return False
        self.open.add(connection)
        self.by_address[address] += 1
        return True

    def leave(self, connection: "Stream", address: str) -> None:
        if connection in self.open:
            self.open.remove(connection)
            self.by_address[address] -= 1
            if not self.by_address[address]:
                del self.by_address[address]

    def close(self) -> None:
        for connection in list(self.open):
            connection.end()


class Stream(asyncio.Protocol, ABC):
    """A connection that is admitted, secured where ``tls`` is given, and ended when it has been idle for ``idle`` seconds.

    A subclass says what is spoken: ``opened``, ``received``, ``is_full``; it calls ``rest`` for every whole query.
    """

    def __init__(self, connections: Connections, tls: ssl.SSLContext | None, idle: float) -> None:
        self._connections = connections
        self._tls = tls
        self._idle_after = idle
        self._address: tuple[str, int] = ("", 0)
        self._transport: asyncio.Transport | None = None
        self._is_open = False
        self._early = b""
        self._pending = 0
        self._is_unread = False
        self._timer: asyncio.TimerHandle | None = None
        self._handshake: asyncio.Task[None] | None = None

    def opened(self, transport: asyncio.Transport) -> None:
        """The client can be spoken with."""

    @abstractmethod
    def received(self, data: bytes) -> None:
        """What the client has sent next."""

    def is_full(self) -> bool:
        """Whether nothing more should be read before something was answered."""
        return self._pending >= PIPELINE

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        peer = transport.get_extra_info("peername")
        if not peer or not self._connections.admit(self, peer[0]):
            transport.abort()
            return
        self._address = (peer[0], peer[1])
        self.rest()
        if self._tls is None:
            self._is_open = True
            self.opened(transport)
        else:
            self._handshake = asyncio.get_running_loop().create_task(self._secure(transport, self._tls))

    async def _secure(self, transport: asyncio.Transport, tls: ssl.SSLContext) -> None:
        """The handshake. What comes right behind it is received before this goes on, hence ``_early``."""
        try:
            secured = await asyncio.get_running_loop().start_tls(transport, self, tls, server_side=True, ssl_shutdown_timeout=TLS_CLOSING)
        except OSError:  # whatever the client did wrong (ssl.SSLError is one), or it left
            secured = None
        if secured is None or self._transport is None:
            self.connection_lost(None)
            return
        self._transport = secured
        self._is_open = True
        self.opened(secured)
        early, self._early = self._early, b""
        if early:
            self.received(early)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._connections.leave(self, self._address[0])
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        if self._is_open:
            self.received(data)
        else:
            self._early += data

    def rest(self) -> None:
        """From now on the client is idle."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._idle_after, self._idle)

    def _idle(self) -> None:
        if self._pending:
            self.rest()
        elif self._transport is not None and self._transport.get_write_buffer_size():
            self._transport.abort()  # it does not read its answers, so it would not read to the end either
        else:
            self.end()

    def end(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def regulate(self) -> None:
        """Read on, or do not: what is not read waits in the kernel, and the client with it."""
        if self._transport is None:
            return
        if self._is_unread or self.is_full():
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        """The client does not read its answers."""
        self._is_unread = True
        self.regulate()

    def resume_writing(self) -> None:
        self._is_unread = False
        self.regulate()


class Connection(Stream):
    """DNS messages behind their length, over TCP, or over TLS where ``tls`` is given."""

    def __init__(self, connections: Connections, handle: Handle, tls: ssl.SSLContext | None = None, idle: float = IDLE) -> None:
        super().__init__(connections, tls, idle)
        self._handle = handle
        self._buffer = b""

    def received(self, data: bytes) -> None:
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
            self.rest()
            self._handle(query, self._address, self._respond)
        self.regulate()

    def _respond(self, message: bytes) -> None:
        """One query is done."""
        self._pending -= 1
        if self._transport is None:
            return
        if message:
            self._transport.write(len(message).to_bytes(2) + message)
        if self._pending == PIPELINE - 1:
            asyncio.get_running_loop().call_soon(self._read)

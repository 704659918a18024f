"""Attempts over TCP (RFC 7766) and TLS (RFC 7858), many on one connection. [shell: asyncio streams]

Promises: one connection per upstream, opened when needed, kept while it is used, closed when idle; queries are pipelined
under ids of the connection's own and answers may come in any order. An attempt whose kept-alive connection turns out to be
dead is sent once more on a new one. A connection that stays silent is given up. Buffers are bounded.

Refuses a certificate that does not verify for the configured name; there is no way around that, and no plain fallback.
"""

import asyncio
import errno
import ssl
from collections.abc import Callable
from time import monotonic
from typing import Final, cast

from gateway.exchange import Attempt
from gateway.transport import MOST_IN_FLIGHT, Failed, Received, TooBusyError
from policies.upstream_address import UpstreamAddress

CONNECT_TIMEOUT: Final = 5.0
IDLE_TIMEOUT: Final = 20.0
SILENT_TIMEOUT: Final = 1.0
"""an attempt that was given up after this many seconds without a byte on its connection condemns the connection"""
LARGEST_BACKLOG: Final = 128 * 1024
"""bytes that may wait to be written"""


def tls_context(cafile: str | None = None) -> ssl.SSLContext:
    """Certificates are verified against ``cafile``, or the system's authorities, and for the server's name; TLS 1.2 at least."""
    settings = ssl.create_default_context(cafile=cafile)
    settings.minimum_version = ssl.TLSVersion.TLSv1_2
    return settings


class StreamTransport:
    """See ``Transport``. ``tls`` None: plain TCP."""

    def __init__(self, address: UpstreamAddress, tls: ssl.SSLContext | None, received: Received, failed: Failed) -> None:
        self._loop = asyncio.get_running_loop()
        self._address = address
        self._tls = tls
        self._received = received
        self._failed = failed
        self._queue: dict[Attempt, bool] = {}
        """attempts that wait for a connection -> whether they were already on one that died"""
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[None] | None = None

    def send(self, attempt: Attempt) -> None:
        if self._connection is not None and not self._connection.closed:
            self._connection.send(attempt, second_try=False)
            return
        if len(self._queue) >= MOST_IN_FLIGHT:
            raise TooBusyError("too many queries wait for a connection")
        self._queue[attempt] = False
        self._connect()

    def drop(self, attempt: Attempt) -> None:
        self._queue.pop(attempt, None)
        if self._connection is not None:
            self._connection.drop(attempt)

    async def close(self) -> None:
        self._queue.clear()
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        if self._connection is not None:
            await self._connection.abandon()

    def _connect(self) -> None:
        if self._connecting is None:
            self._connecting = self._loop.create_task(self._open_connection())

    async def _open_connection(self) -> None:
        address = self._address
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                _, connection = await self._loop.create_connection(
                    lambda: Connection(self._loop, self._received, self._lost),
                    address.host,
                    address.port,
                    ssl=self._tls,
                    server_hostname=(address.server_name or address.host) if self._tls else None,
                )
        except OSError as error:  # ssl.SSLError and TimeoutError are OSErrors too
            self._connecting = None
            self._fail_all(error)
            return
        self._connecting = None
        if connection.closed:
            self._fail_all(ConnectionResetError(errno.ECONNRESET, "closed at once"))
            return
        self._connection = connection
        waiting, self._queue = self._queue, {}
        for attempt, second_try in waiting.items():
            try:
                connection.send(attempt, second_try=second_try)
            except TooBusyError as error:
                self._failed(attempt, error)

    def _lost(self, connection: "Connection", unanswered: dict[Attempt, bool], error: Exception | None) -> None:
        """The connection is gone. What it still owed is asked once more, if the connection had worked before."""
        if self._connection is connection:
            self._connection = None
        for attempt, second_try in unanswered.items():
            if connection.has_answered and not second_try:
                self._queue[attempt] = True
                self._connect()
            else:
                self._failed(attempt, error or ConnectionResetError(errno.ECONNRESET, "closed"))

    def _fail_all(self, error: OSError) -> None:
        waiting, self._queue = self._queue, {}
        for attempt in waiting:
            self._failed(attempt, error)


class Connection(asyncio.Protocol):
    """One open connection: messages framed by their length (RFC 1035 section 4.2.2), attempts by the connection's own ids.

    ``lost`` is called once, with the attempts that were not answered.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        received: Received,
        lost: Callable[["Connection", dict[Attempt, bool], Exception | None], None],
    ) -> None:
        self._loop = loop
        self._received = received
        self._lost = lost
        self._transport: asyncio.Transport
        self._in_flight: dict[int, tuple[Attempt, bool]] = {}
        self._last_id = 0
        self._buffer = bytearray()
        self._heard_at = monotonic()
        self._idle_check: asyncio.TimerHandle | None = None
        self._gone = loop.create_future()
        self.has_answered = False
        self.closed = False

    def send(self, attempt: Attempt, *, second_try: bool) -> None:
        """Raises TooBusyError where the connection has enough to do."""
        if len(self._in_flight) >= MOST_IN_FLIGHT or self._transport.get_write_buffer_size() > LARGEST_BACKLOG:
            raise TooBusyError("too many queries on one connection")
        identifier = self._free_id()
        packet = attempt.packet
        attempt.handle = identifier
        self._in_flight[identifier] = (attempt, second_try)
        self._transport.write(b"%b%b%b" % (len(packet).to_bytes(2), identifier.to_bytes(2), packet[2:]))

    def drop(self, attempt: Attempt) -> None:
        """Forgets an attempt; if it waited long and nothing at all was heard meanwhile, the connection is dead."""
        if self._in_flight.get(attempt.handle, (None, False))[0] is not attempt:
            return
        del self._in_flight[attempt.handle]
        if monotonic() - max(attempt.sent_at, self._heard_at) >= SILENT_TIMEOUT:
            self.closed = True
            self._transport.abort()

    async def abandon(self) -> None:
        """Closes it at once, telling nobody."""
        self._in_flight.clear()
        self._transport.abort()
        await self._gone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._heard_at = monotonic()
        self._idle_check = self._loop.call_later(IDLE_TIMEOUT, self._close_if_idle)

    def data_received(self, data: bytes) -> None:
        self._heard_at = monotonic()
        buffer = self._buffer
        buffer += data
        at = 0
        while len(buffer) - at >= 2:
            end = at + 2 + int.from_bytes(buffer[at : at + 2])
            if len(buffer) < end:
                break
            self._message(bytes(buffer[at + 2 : end]))
            at = end
        del buffer[:at]

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        self._gone.set_result(None)
        if self._idle_check is not None:
            self._idle_check.cancel()
        unanswered = dict(self._in_flight.values())
        self._in_flight.clear()
        self._lost(self, unanswered, error)

    def _message(self, message: bytes) -> None:
        """An answer to whoever waits for that id; one that came too late is nobody's."""
        attempt, _ = self._in_flight.pop(int.from_bytes(message[:2]), (None, False))
        if attempt is not None:
            self.has_answered = True
            self._received(attempt, attempt.packet[:2] + message[2:])

    def _free_id(self) -> int:
        """The next id that nobody uses; a number that was given up comes again only after all others, when its answer is long gone."""
        identifier = self._last_id
        while True:
            identifier = (identifier + 1) & 0xFFFF
            if identifier not in self._in_flight:
                self._last_id = identifier
                return identifier

    def _close_if_idle(self) -> None:
        idle_for = monotonic() - self._heard_at
        if not self._in_flight and idle_for >= IDLE_TIMEOUT:
            self.closed = True
            self._transport.close()
        else:
            self._idle_check = self._loop.call_later(max(IDLE_TIMEOUT - idle_for, 1.0), self._close_if_idle)

"""A tiny real name server for tests: UDP, TCP and, with an ``ssl.SSLContext``, TLS, all on loopback.

    class Broken(Nameserver):
        def respond(self, query):
            return query.reply(rcode=2)

    with Broken() as server:
        ...  # ask server.address, port server.port; look at server.queries

One method to override: ``respond``. It returns the answer's bytes, None for silence, or a list of datagrams. It may keep
the query and call ``query.send(bytes)`` later, from any thread. It runs on the server's own thread and event loop, so the
same server serves synchronous and asyncio tests. UDP and TCP share one port number; TLS has ``tls_port``.
"""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address

from dnslib import AAAA, CLASS, QTYPE, RR, A, DNSRecord

DEADLINE = 10.0


@dataclass(frozen=True)
class Received:
    """One query as it arrived. ``transport``: ``udp``, ``tcp`` or ``tls``; ``connection``: which stream connection, from 1 on."""

    data: bytes
    transport: str
    client: tuple[str, int]
    send: Callable[[bytes], None] = field(repr=False, compare=False)
    connection: int = 0

    @property
    def id(self) -> int:
        return int.from_bytes(self.data[:2])

    @property
    def message(self) -> DNSRecord:
        return DNSRecord.parse(self.data)

    @property
    def qname(self) -> str:
        return str(self.message.q.qname).rstrip(".").lower()

    @property
    def has_edns(self) -> bool:
        return any(record.rtype == QTYPE.OPT for record in self.message.ar)

    def reply(self, *addresses: str, ttl: int = 60, rcode: int = 0, truncated: bool = False) -> bytes:
        """A well-formed reply with these addresses under the asked name."""
        message = self.message.reply(ra=1, aa=0)
        for text in addresses:
            address = ip_address(text)
            rtype, rdata = (QTYPE.A, A(text)) if address.version == 4 else (QTYPE.AAAA, AAAA(text))
            message.add_answer(RR(message.q.qname, rtype, CLASS.IN, ttl, rdata))
        message.header.rcode = rcode
        message.header.tc = int(truncated)
        return bytes(message.pack())


Response = bytes | list[bytes] | None


class Nameserver:
    """See the module. ``address`` is loopback; ``port`` 0 finds a free one; ``streams`` False: UDP only."""

    def __init__(self, *, address: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None, streams: bool = True) -> None:
        self.address = address
        self.port = port
        self.tls_port = 0
        self.connections = 0
        """stream connections accepted so far"""
        self.open_connections = 0
        self.queries: list[Received] = []
        self._tls = tls
        self._streams = streams
        self._bugs: list[BaseException] = []
        """what went wrong in here, raised again when the server ends"""
        self._changed = threading.Condition()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def respond(self, query: Received) -> Response:
        """What to answer. Override this."""
        return query.reply("192.0.2.1")

    def __enter__(self):
        self._thread.start()
        if not self._ready.wait(DEADLINE):
            raise TimeoutError("the test name server did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(DEADLINE)
        if self._bugs:
            raise self._bugs[0]

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Blocks until ``condition`` holds; it is looked at whenever a query or a connection has come or gone."""
        with self._changed:
            if not self._changed.wait_for(condition, DEADLINE):
                raise TimeoutError("the condition never came true")

    def close_connections(self) -> None:
        """Closes every stream connection, from any thread."""
        self._loop.call_soon_threadsafe(lambda: [writer.close() for writer in list(self._writers)])

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        stream, datagram = self._sockets()
        servers = [await asyncio.start_server(partial(self._connection, "tcp"), sock=stream)] if stream else []
        transport, _ = await self._loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=datagram)
        if self._tls is not None:
            servers.append(await asyncio.start_server(partial(self._connection, "tls"), self.address, 0, ssl=self._tls))
            self.tls_port = servers[-1].sockets[0].getsockname()[1]
        self._loop.set_exception_handler(self._note_bug)
        self._ready.set()
        await self._stop.wait()
        transport.close()
        for server in servers:
            server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)

    def _sockets(self) -> tuple[socket.socket | None, socket.socket]:
        """A TCP and a UDP socket on the same port; where somebody has the one, another number is tried."""
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        while True:
            datagram = socket.socket(family, socket.SOCK_DGRAM)
            datagram.bind((self.address, self.port))
            port = datagram.getsockname()[1]
            try:
                stream = socket.create_server((self.address, port), family=family) if self._streams else None
            except OSError:
                datagram.close()
                if self.port:
                    raise
            else:
                self.port = port
                datagram.setblocking(False)
                return stream, datagram

    def _note_bug(self, _loop: asyncio.AbstractEventLoop, what: dict) -> None:
        """Clients that refuse our certificate or close early are no bugs."""
        error = what.get("exception")
        if error is not None and not isinstance(error, OSError):
            self._bugs.append(error)

    def _take(self, query: Received) -> None:
        try:
            response = self.respond(query)
        except Exception as bug:
            self._bugs.append(bug)
            response = None
        with self._changed:
            self.queries.append(query)
            self._changed.notify_all()
        for message in [response] if isinstance(response, bytes) else response or []:
            query.send(message)

    async def _connection(self, transport: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._changed:
            self.connections += 1
            self.open_connections += 1
            number = self.connections
            self._writers.add(writer)
            self._changed.notify_all()

        def send(message: bytes) -> None:
            self._loop.call_soon_threadsafe(writer.write, len(message).to_bytes(2) + message)

        try:
            while True:
                size = int.from_bytes(await reader.readexactly(2))
                self._take(Received(await reader.readexactly(size), transport, writer.get_extra_info("peername")[:2], send, number))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with self._changed:
                self.open_connections -= 1
                self._writers.discard(writer)
                self._changed.notify_all()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: Nameserver) -> None:
        self._server = server

    def connection_made(self, transport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr) -> None:
        def send(message: bytes) -> None:
            self._server._loop.call_soon_threadsafe(self._transport.sendto, message, addr)

        self._server._take(Received(data, "udp", addr[:2], send))

"""Attempts as UDP datagrams. [shell: sockets, epoll]

Promises: every attempt has a socket of its own with an unpredictable source port (RFC 5452 section 9.2), connected, so
that the kernel drops what comes from another address or port and tells us when nobody listens there. All sockets hang in
one epoll object, and that one in the event loop: a query costs no call into asyncio, and one wake-up drains many replies.

Refuses to interpret a reply; that is the exchange's.
"""

import asyncio
import errno
import os
import select
import socket
from array import array
from collections.abc import Iterator
from typing import Final

from gateway.exchange import Attempt
from gateway.transport import Failed, Received, TooBusyError
from gateway.upstream_health import Upstream

FIRST_PORT: Final = 16384
"""Source ports are FIRST_PORT..65535: 15.6 bits, where the kernel's own range has 14.8, and clear of most services' ports."""
PORTS: Final = 65536 - FIRST_PORT
PORT_TRIES: Final = 16
LARGEST_REPLY: Final = 4096
REPLIES_PER_WAKE_UP: Final = 256

_DATAGRAM: Final = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC

Destination = tuple[socket.AddressFamily, tuple[str | int | bytes, ...]]


def random_16_bits() -> Iterator[int]:
    """Numbers that nobody can predict, from the kernel, 2,048 at a time. Make one per process: a fork would share them."""
    while True:
        yield from array("H", os.urandom(4096))


class UdpTransport:
    """See ``Transport``. ``random``: unpredictable 16-bit numbers for the ports; ``most``: sockets open at the same time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, random: Iterator[int], most: int, received: Received, failed: Failed) -> None:
        self._loop = loop
        self._random = random
        self._most = most
        self._received = received
        self._failed = failed
        self._open: dict[int, tuple[socket.SocketType, Attempt]] = {}
        self._destinations: dict[Upstream, Destination] = {}
        self._epoll = select.epoll()
        loop.add_reader(self._epoll.fileno(), self._drain)

    def send(self, attempt: Attempt) -> None:
        if len(self._open) >= self._most:
            raise TooBusyError("too many sockets")
        upstream = attempt.upstream
        family, destination = self._destinations.get(upstream) or self._look_up(upstream)
        sock = socket.SocketType(family, _DATAGRAM, 0)  # not socket.socket, whose Python layer costs a microsecond
        try:
            self._bind(sock)
            sock.connect(destination)
            sock.send(attempt.packet)
            handle = sock.fileno()
            self._epoll.register(handle, select.EPOLLIN)
        except OSError:
            sock.close()
            raise
        attempt.handle = handle
        self._open[handle] = (sock, attempt)

    def drop(self, attempt: Attempt) -> None:
        opened = self._open.pop(attempt.handle, None)
        if opened is not None:
            attempt.handle = -1
            opened[0].close()

    def close(self) -> None:
        self._loop.remove_reader(self._epoll.fileno())
        for sock, _ in self._open.values():
            sock.close()
        self._open.clear()
        self._epoll.close()

    def _bind(self, sock: socket.SocketType) -> None:
        """To a random port that nobody else has. What comes in before ``connect`` narrows it down still has to know the id."""
        for tries_left in range(PORT_TRIES - 1, -1, -1):
            try:
                sock.bind(("", FIRST_PORT + (next(self._random) * PORTS >> 16)))
            except OSError as error:
                if error.errno != errno.EADDRINUSE or not tries_left:
                    raise
            else:
                return

    def _drain(self) -> None:
        """One datagram from each socket that has some. A socket may be closed, or its number reused, by what an earlier one led to."""
        for handle, _ in self._epoll.poll(0, REPLIES_PER_WAKE_UP):
            opened = self._open.get(handle)
            if opened is None:
                continue
            sock, attempt = opened
            try:
                data = sock.recv(LARGEST_REPLY)
            except BlockingIOError:
                continue
            except OSError as error:
                self.drop(attempt)
                self._failed(attempt, error)
            else:
                self._received(attempt, data)

    def _look_up(self, upstream: Upstream) -> Destination:
        """The socket address of an upstream: an address, never a name, so nothing is asked of anybody."""
        address = upstream.address
        family, _, _, _, destination = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        )[0]
        self._destinations[upstream] = (family, destination)
        return family, destination

"""Attempts as UDP datagrams. [shell: sockets, epoll]

Promises: every attempt has a socket of its own with an unpredictable source port (RFC 5452 section 9.2), connected, so
that the kernel drops what comes from another address or port and tells us when nobody listens there. All sockets hang in
one epoll object, and that one in the event loop: a query costs no call into asyncio, and one wake-up drains many replies.

Refuses to interpret a reply; that is the exchange's.
"""

import asyncio
import os
from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gateway.datagrams import Datagrams, Peer
from gateway.exchange import Attempt
from gateway.transport import Failed, Received, TooBusyError

if TYPE_CHECKING:
    from gateway.upstream_health import Upstream


def random_16_bits() -> Iterator[int]:
    """Numbers that nobody can predict, from the kernel, 2,048 at a time. Make one per process: a fork would share them."""
    while True:
        yield from array("H", os.urandom(4096))


class UdpTransport:
    """See ``Transport``. ``random``: unpredictable 16-bit numbers for the ports; ``most``: sockets open at the same time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, random: Iterator[int], most: int, received: Received, failed: Failed) -> None:
        self._loop = loop
        self._most = most
        self._received = received
        self._failed = failed
        self._open: dict[int, Attempt] = {}
        self._peers: dict[Upstream, Peer] = {}
        self._datagrams = Datagrams(random)
        self._draining = False
        self._finished: list[int] = []
        """to be closed when the replies that were read together are dealt with"""
        loop.add_reader(self._datagrams.fileno(), self._drain)

    def send(self, attempt: Attempt) -> None:
        if len(self._open) >= self._most:
            raise TooBusyError("too many sockets")
        peer = self._peers.get(attempt.upstream)
        if peer is None:
            address = attempt.upstream.address
            peer = self._peers[attempt.upstream] = Peer(address.host, address.port)
        handle = self._datagrams.open(peer, attempt.packet)
        attempt.handle = handle
        self._open[handle] = attempt

    def drop(self, attempt: Attempt) -> None:
        handle = attempt.handle
        if handle >= 0:
            attempt.handle = -1
            del self._open[handle]
            if self._draining:
                self._finished.append(handle)
            else:
                self._datagrams.close(handle)

    def close(self) -> None:
        self._loop.remove_reader(self._datagrams.fileno())
        for attempt in list(self._open.values()):
            self.drop(attempt)
        self._datagrams.stop_watching()

    def _drain(self) -> None:
        """One datagram from each socket that has some, all read before the first is looked at: thinking and system calls by turns
        would slow both. What an earlier one led to may have dropped a later one's attempt; its exchange knows.
        """
        replies: list[tuple[Attempt, bytes]] = []
        for handle, _ in self._datagrams.ready():
            attempt = self._open[handle]
            try:
                data = self._datagrams.receive(handle)
            except OSError as error:
                self.drop(attempt)
                self._loop.call_soon(self._failed, attempt, error)
            else:
                if data is not None:
                    replies.append((attempt, data))
        self._draining = True
        try:
            for attempt, data in replies:
                self._received(attempt, data)
        finally:
            self._draining = False
            for handle in self._finished:
                self._datagrams.close(handle)
            self._finished.clear()

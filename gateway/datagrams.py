"""Connected UDP sockets, by number, and which of them can be read. [shell: sockets, epoll]

Promises: every socket has a random port that nobody else has, and a peer; the kernel drops what comes from elsewhere. Plain
Python goes through ``socket``; the compiled build (datagrams.pxd) makes the very same system calls without its objects, which
cost more than the calls.
"""

import errno
import os
import select
import socket
import struct
from collections.abc import Iterator
from typing import Final

try:
    import cython
except ImportError:  # the compiler's shadow module is a build requirement, not one of a running box

    class cython:  # type: ignore[no-redef]  # noqa: N801
        compiled = False


FIRST_PORT: Final = 16384
"""Source ports are FIRST_PORT..65535: 15.6 bits, where the kernel's own range has 14.8, and clear of most services' ports."""
PORTS: Final = 65536 - FIRST_PORT
PORT_TRIES: Final = 16
LARGEST_REPLY: Final = 4096
READY_AT_ONCE: Final = 256

_DATAGRAM: Final = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
_READABLE: Final = select.EPOLLIN


class Peer:
    """Where datagrams go: an address, never a name, so nothing is asked of anybody. Raises OSError for what is none.

    ``packed`` is its ``struct sockaddr``, ``local`` that of our side: any address, and a port that is still to be written.
    """

    __slots__ = ("address", "anywhere", "family", "local", "packed")

    def __init__(self, host: str, port: int) -> None:
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=flags)[0]
        self.family = int(family)
        self.address = address
        self.anywhere = "0.0.0.0" if family == socket.AF_INET else "::"  # noqa: S104 - a client's side
        start = struct.pack("=H", self.family)
        number = socket.inet_pton(family, str(address[0]).partition("%")[0])
        if family == socket.AF_INET:
            self.packed = start + port.to_bytes(2) + number + bytes(8)
        else:
            self.packed = start + port.to_bytes(2) + bytes(4) + number + struct.pack("=I", address[3])  # type: ignore[misc]
        self.local = bytearray(start + bytes(len(self.packed) - 2))


class Datagrams:
    """The open sockets. ``random``: unpredictable 16-bit numbers for the ports."""

    def __init__(self, random: Iterator[int]) -> None:
        self.random = random
        self.epoll = select.epoll()
        self.number = self.epoll.fileno()
        self.sockets: dict[int, socket.SocketType] = {}

    def fileno(self) -> int:
        """Readable when one of the sockets is."""
        return self.number

    def open(self, peer: Peer, packet: bytes) -> int:
        """A new socket that has sent ``packet``. Raises OSError where that cannot be."""
        if cython.compiled:
            return self._open_compiled(peer, packet)
        sock = socket.SocketType(peer.family, _DATAGRAM, 0)  # not socket.socket, whose Python layer costs a microsecond
        try:
            for tries_left in range(PORT_TRIES - 1, -1, -1):
                try:
                    sock.bind((peer.anywhere, FIRST_PORT + (next(self.random) * PORTS >> 16)))
                    break
                except OSError as error:
                    if error.errno != errno.EADDRINUSE or not tries_left:
                        raise
            sock.connect(peer.address)
            sock.send(packet)
            handle = sock.fileno()
            self.epoll.register(handle, _READABLE)
        except OSError:
            sock.close()
            raise
        self.sockets[handle] = sock
        return handle

    def _open_compiled(self, peer: Peer, packet: bytes) -> int:
        handle = c_socket(peer.family, _DATAGRAM, 0)
        if handle < 0:
            raise _error()
        tries = PORT_TRIES
        port = FIRST_PORT + (next(self.random) * PORTS >> 16)
        failed = self._bind(handle, peer.local, port)
        while failed and c_errno == errno.EADDRINUSE and tries > 1:
            tries -= 1
            port = FIRST_PORT + (next(self.random) * PORTS >> 16)
            failed = self._bind(handle, peer.local, port)
        self.event.events = _READABLE
        self.event.data.fd = handle
        if (
            failed
            or c_connect(handle, cython.cast("const sockaddr*", cython.cast(cython.p_char, peer.packed)), len(peer.packed))
            or c_send(handle, cython.cast(cython.p_char, packet), len(packet), 0) < 0
            or c_epoll_ctl(self.number, 1, handle, cython.address(self.event))
        ):
            error = _error()
            c_close(handle)
            raise error
        return handle

    def _bind(self, handle: int, local: bytearray, port: int) -> int:
        local[2] = port >> 8
        local[3] = port & 0xFF
        return c_bind(handle, cython.cast("const sockaddr*", cython.cast(cython.p_char, local)), len(local))

    def receive(self, handle: int) -> bytes | None:
        """A datagram, or None where there is none after all. Raises OSError: nobody listens there, say."""
        if cython.compiled:
            size = c_recv(handle, self.buffer, LARGEST_REPLY, 0)
            if size >= 0:
                return self.buffer[:size]
            if c_errno == errno.EAGAIN:
                return None
            raise _error()
        try:
            return self.sockets[handle].recv(LARGEST_REPLY)
        except BlockingIOError:
            return None

    def ready(self) -> list[tuple[int, int]]:
        """(socket, what for), some of those that can be read. Any of them may be closed before its turn comes."""
        return self.epoll.poll(0, READY_AT_ONCE)

    def close(self, handle: int) -> None:
        if cython.compiled:
            c_close(handle)
        else:
            self.sockets.pop(handle).close()

    def stop_watching(self) -> None:
        """Whoever opened the sockets closes them, one by one."""
        self.epoll.close()


def _error() -> OSError:
    number = c_errno
    return OSError(number, os.strerror(number))

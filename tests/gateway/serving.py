"""For the tests of what clients reach encrypted: a resolver of test_server.py behind TLS, and clients that verify it."""

import asyncio
import socket
import ssl
import time
from contextlib import contextmanager

from tests.gateway.test_server import DEADLINE, Running

NAME = "dns.truong.example"
ADDRESS = "127.0.0.1"


@contextmanager
def serving(box: Running, factory):
    """The port on which ``factory``'s connections are served; at the end every one of them must be gone."""
    opened = asyncio.run_coroutine_threadsafe(box.loop.create_server(factory, ADDRESS, 0), box.loop)
    server = opened.result(DEADLINE)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        box.call(server.close)
        box.call(box.connections.close)
        wait_for(lambda: not box.call(lambda: len(box.connections.open)))
        assert box.call(lambda: dict(box.connections.by_address)) == {}


def wait_for(condition):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline


def certified(authority, *protocols):
    """The server's side, as gateway/worker.py makes it."""
    context = authority.serving(NAME, ADDRESS)
    context.set_alpn_protocols(list(protocols))
    return context


def secure(port, authority, *protocols, source="127.0.0.1"):
    """A verified connection of a client."""
    context = ssl.create_default_context(cafile=authority.file)
    context.set_alpn_protocols(list(protocols))
    return context.wrap_socket(plain(port, source), server_hostname=NAME)


def plain(port, source="127.0.0.1"):
    client = socket.create_connection((ADDRESS, port), DEADLINE, (source, 0))
    client.settimeout(DEADLINE)
    return client


def is_ended(client):
    """Whether the server ends the connection, in whatever way, within the deadline."""
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True

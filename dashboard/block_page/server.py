"""Serving the block page on its addresses, to whoever leads there, the slow and the many included.  [shell: network, tasks]

Every device of the school may open connections here without being asked who it is. So each connection ends by itself, whatever
it does (uvicorn bounds no request's time), an address has only so many at once, and a handshake must be quick. Nothing about a request is logged.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Iterator, Sequence

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from dashboard.block_page.app import build_block_page
from dashboard.block_page.certificates import CertificateTrouble, server_context
from dashboard.site import Site
from policies.model import BlockPage
from policies.socket_address import parse_listen

log = logging.getLogger("manglanh.block-page")
_quiet = logging.getLogger("manglanh.block-page.http")
_quiet.setLevel(logging.ERROR)

CONNECTIONS = 256
"""at once, on all addresses of one scheme"""
PER_ADDRESS = 24
LIFETIME = 30.0
"""seconds that a connection lasts, from its first byte to its last"""
HANDSHAKE = 5.0
KEEP_ALIVE = 5
HEADERS = 16 * 1024
"""bytes"""
BACKLOG = 256


class BoundedProtocol(H11Protocol):
    """uvicorn's, with an end that comes whatever the client does."""

    end: asyncio.TimerHandle | None = None

    def __init__(self, *arguments: object, **settings: object) -> None:
        super().__init__(*arguments, **settings)  # type: ignore[arg-type]
        self.logger = _quiet  # a malformed request is no news; a flood of them must not fill the log

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        address = self.client[0] if self.client else ""
        same = sum(
            1 for each in self.connections if isinstance(each, BoundedProtocol) and each.client is not None and each.client[0] == address
        )
        if len(self.connections) > CONNECTIONS or same > PER_ADDRESS:
            transport.abort()
            return
        self.end = self.loop.call_later(LIFETIME, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.end is not None:
            self.end.cancel()
        super().connection_lost(exc)


class _Server(uvicorn.Server):
    """uvicorn's, with a handshake's time bounded, and without taking the process's signals."""

    servers: list[asyncio.Server]

    def __init__(self, config: uvicorn.Config, tls: ssl.SSLContext | None) -> None:
        super().__init__(config)
        self._tls = tls
        self.servers = []

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        await self.lifespan.startup()
        seconds = None if self._tls is None else HANDSHAKE
        for each in sockets or ():
            server = await loop.create_server(
                self._protocol, sock=each, ssl=self._tls, backlog=BACKLOG, ssl_handshake_timeout=seconds, ssl_shutdown_timeout=seconds
            )
            self.servers.append(server)
        self.started = True

    def _protocol(self) -> BoundedProtocol:
        return BoundedProtocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    def end(self) -> None:
        """At once: nobody reads a page for long."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def listening(address: str) -> socket.socket:
    """A listening place such as ``0.0.0.0:80`` or ``[::]:443``. Raises OSError."""
    host, port = parse_listen(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise OSError(error.errno, f"{address}: {error.strerror}") from None
    return made


async def serve(site: Site, settings: BlockPage) -> None:
    """Serve the page until cancelled. Raises OSError where an address cannot be had; a CA that cannot be used costs HTTPS only."""
    with contextlib.ExitStack() as opened:
        plain = [opened.enter_context(listening(address)) for address in settings.listen]
        tls = await _tls(site, settings)
        secure = [opened.enter_context(listening(address)) for address in settings.https_listen] if tls is not None else []
        await serve_on(site, plain, secure, tls)


async def serve_on(site: Site, plain: Sequence[socket.socket], secure: Sequence[socket.socket], tls: ssl.SSLContext | None) -> None:
    """The same, on sockets that are bound already."""
    app = build_block_page(site)
    servers = [_Server(_config(app), context) for sockets, context in ((plain, None), (secure, tls)) if sockets]
    groups = [list(sockets) for sockets in (plain, secure) if sockets]
    try:
        if servers:
            await asyncio.gather(*(server.serve(sockets) for server, sockets in zip(servers, groups, strict=True)))
        else:
            await asyncio.Event().wait()
    finally:
        for server in servers:
            server.end()


async def _tls(site: Site, settings: BlockPage) -> ssl.SSLContext | None:
    if not settings.https_listen:
        return None
    if settings.ca is None:
        log.info("block_page.https_listen is not used: without block_page.ca a browser shows its own error for a blocked HTTPS site")
        return None
    dns = (await site.school.now()).file.dns
    try:
        return await asyncio.to_thread(server_context, settings.ca, dns.hostname, dns.block_page, site.clock)
    except CertificateTrouble as error:
        log.error("the block page is served without HTTPS: %s", error)
        return None


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=HEADERS,
    )

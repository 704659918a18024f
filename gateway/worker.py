"""One resolver process: opens its sockets beside its siblings' (SO_REUSEPORT), follows the files, and reports.  [shell]

Started by gateway/supervisor.py as ``python -m gateway.worker``. SIGHUP reads the school's file and the certificate again, SIGTERM answers what has
been asked and leaves. Its report, ``worker-N.json`` in the runtime directory, says what is in force in it.
"""

import argparse
import asyncio
import contextlib
import ctypes
import gc
import json
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from datetime import datetime
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import gateway
from filters.domain_index import BadBundle
from gateway.cache import Cache
from gateway.certificate import Certificate
from gateway.clock import Clock, newest
from gateway.live import Live
from gateway.metrics import Counts, Levels, Recorder
from gateway.runtime import SALT_BYTES, salt_of_day, write_minute, write_report
from gateway.server import Resolver
from gateway.statistics import Taken, encode, salt_id
from gateway.stream import Connection, Connections, Stream
from gateway.tail import Tail
from gateway.upstream import Upstreams
from policies.load import ConfigError
from policies.model import Dns, Tls
from policies.socket_address import parse_listen
from policies.upstream_address import parse as parse_upstream

log = logging.getLogger("manglanh.worker")

COLLECT_EVERY = 2.0
DRAIN = 2.5
"""seconds for questions under way when the worker is told to leave: longer than an exchange lasts"""
RECEIVE_BUFFER = 4 * 1024 * 1024
EX_CONFIG = 2
COLLECT_AFTER = (20_000, 20, 100)
"""for gc.set_threshold: answers under way and kept are in no cycles, so looking for some among them finds nothing (docs/adr)"""


def open_upstreams(dns: Dns) -> Upstreams:
    """The ways out that the school's file names."""
    forward = {name: [parse_upstream(text) for text in texts] for name, texts in dns.forward.items()}
    return Upstreams([parse_upstream(text) for text in dns.upstreams], forward, pending=dns.limits.pending)


def datagram_socket(listen: str) -> socket.socket:
    """A bound UDP socket that shares its port with the other workers'. Raises OSError."""
    host, port = parse_listen(listen)
    sock = _socket(host, socket.SOCK_DGRAM)
    for name in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        sock.setsockopt(socket.SOL_SOCKET, name, RECEIVE_BUFFER)
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):  # SO_RCVBUFFORCE goes past the system's limit, where we may
            sock.setsockopt(socket.SOL_SOCKET, 33, RECEIVE_BUFFER)
            sock.setsockopt(socket.SOL_SOCKET, 32, RECEIVE_BUFFER)
    if host == "0.0.0.0":  # noqa: S104 - compared, not bound
        sock.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO: answer from the address that was asked
    elif host == "::":
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    sock.bind((host, port))
    return sock


def stream_socket(listen: str) -> socket.socket:
    """A bound TCP socket, likewise shared. Raises OSError."""
    host, port = parse_listen(listen)
    sock = _socket(host, socket.SOCK_STREAM)
    sock.bind((host, port))
    return sock


def _socket(host: str, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, kind)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return sock


class Worker:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.clock = Clock()
        self.live = Live(options.config, options.starter, self.clock, time.monotonic, self._changed)
        file = self.live.file
        paths = [options.config, file.state, file.lists.directory / "current"]
        self.clock.set_floor(newest(paths))
        cache = file.dns.cache
        self.cache = Cache(
            cache.bytes, min_ttl=cache.min_ttl, max_ttl=cache.max_ttl, max_negative_ttl=cache.max_negative_ttl, stale=cache.stale
        )
        self.tail = Tail(options.runtime / f"tail-{options.index}.sock")
        self.upstreams = open_upstreams(file.dns)
        self._ways_out = (file.dns.upstreams, file.dns.forward)
        texts = json.loads(options.texts.read_text(encoding="utf-8"))
        self.resolver = Resolver(self.live, self.upstreams, self.cache, texts, self.tail)
        self.connections = Connections(file.dns.limits.tcp_connections, file.dns.limits.tcp_per_client)
        self.servers: list[asyncio.Server] = []
        self.certificate: Certificate | None = None
        self.recorder = Recorder(options.metrics, options.index) if options.metrics else None
        self.reported: dict[tuple[str, str], dict[str, int]] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.leaving = asyncio.Event()
        self.minute = self._minute_now()
        self.salt_day = ""
        self.salt_id = ""
        self._use_salt_of_day()

    def _minute_now(self) -> int:
        return int(self.clock.now() // 60)

    def _changed(self, *, identities: bool) -> None:
        """Something new is in force (gateway/live.py)."""
        file = self.live.file
        if (file.dns.upstreams, file.dns.forward) != self._ways_out:
            old, self.upstreams = self.upstreams, open_upstreams(file.dns)
            self._ways_out = (file.dns.upstreams, file.dns.forward)
            self.reported.clear()
            self.resolver.upstreams = self.upstreams
            asyncio.get_running_loop().call_later(DRAIN, self._spawn_close, old)
        self.resolver.changed(identities=identities)
        self._report()

    def _spawn_close(self, old: Upstreams) -> None:
        self._spawn(old.close())

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """A task that must not end has ended: better a fresh worker than a half-dead one."""
        self.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.critical("a part of the worker failed", exc_info=task.exception())
            os._exit(1)

    async def run(self) -> None:
        """Serve until SIGTERM. Raises OSError where a socket cannot be opened."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.leaving.set)
        loop.add_signal_handler(signal.SIGINT, self.leaving.set)
        loop.add_signal_handler(signal.SIGHUP, self._read_again)
        await self._open()
        with contextlib.suppress(OSError):
            await self.tail.start()
        self._spawn(self.live.watch())
        self._spawn(self._every_second())
        gc.collect()
        gc.freeze()
        return_free_memory()
        gc.set_threshold(*COLLECT_AFTER)
        self._report()
        await self.leaving.wait()
        await self._leave()

    def _read_again(self) -> None:
        """SIGHUP: the school's file, and the certificate that it names."""
        if self.certificate is not None:
            try:
                self.certificate.read_again()
            except OSError as error:
                log.warning("certificate not read again: %s", error)
        self._spawn(self.live.follow_config(force=True))

    async def _open(self) -> None:
        dns = self.live.file.dns
        for listen in dns.listen:
            self.resolver.listen(datagram_socket(listen))
        for listen in dns.listen:
            await self._serve_streams(listen, partial(Connection, self.connections, self.resolver.handle_stream))
        if dns.tls is not None:
            await self._open_encrypted(dns.tls)

    async def _open_encrypted(self, tls: Tls) -> None:
        self.certificate = Certificate(tls.certificate, tls.key)
        handle = partial(self.resolver.handle_stream, transport="dot")
        factory: Callable[[], Stream] = partial(Connection, self.connections, handle, self.certificate.context("dot"))
        for listen in tls.listen:
            await self._serve_streams(listen, factory)
        if not tls.https_listen:
            return
        from gateway.https_server import ALPN, HttpsConnection  # noqa: PLC0415 - h2 and h11, only where a school serves HTTPS

        handle = partial(self.resolver.handle_stream, transport="doh")
        factory = partial(HttpsConnection, self.connections, handle, self.certificate.context(*ALPN), tls.path)
        for listen in tls.https_listen:
            await self._serve_streams(listen, factory)

    async def _serve_streams(self, listen: str, factory: Callable[[], Stream]) -> None:
        server = await asyncio.get_running_loop().create_server(factory, sock=stream_socket(listen), backlog=128)
        self.servers.append(server)

    async def _every_second(self) -> None:
        seconds = 0
        while True:
            await asyncio.sleep(1.0)
            seconds += 1
            if seconds % 2 == 0:
                self._collect()
            self.resolver.clients.look_at_neighbours(time.monotonic())
            if seconds % 5 == 0:
                self._report()
            if self._minute_now() != self.minute:
                self._end_minute()

    def _collect(self) -> None:
        counts = self.resolver.collect()
        if self.connections.refused:
            counts.dropped["connections"] = self.connections.refused
            self.connections.refused = 0
        if self.recorder is None:
            return
        self._count_upstreams(counts)
        troubles, index = self.live.troubles, self.live.index
        self.recorder.report(
            counts,
            Levels(
                generation=self.live.snapshot.generation,
                list_names=index.names,
                list_built=index.built_at,
                list_starter=self.live.starter_serves,
                cache_bytes=self.cache.size,
                list_reload_failed="lists" in troubles,
                config_reload_failed="config" in troubles,
                clock_trusted=self.clock.trusted,
                upstreams={each.address: (each.healthy, each.srtt or 0.0) for each in self.upstreams.statistics()},
            ),
        )

    def _end_minute(self) -> None:
        """Hand the minute's statistics over, beside the loop. One salt holds for all of a minute."""
        self._collect()
        taken, ended, salt = self.resolver.end_minute(), self.minute, self.salt_id
        self.minute = self._minute_now()
        self._use_salt_of_day()
        if taken:
            self._spawn(asyncio.to_thread(self._write_minute, taken, ended, salt))

    def _write_minute(self, taken: Taken, minute: int, salt: str) -> None:
        """A full disk is no reason to stop answering: the minute's counts are lost."""
        try:
            write_minute(self.options.runtime, self.options.index, minute, encode(taken, minute, salt))
        except OSError as error:
            log.warning("statistics not written: %s", error)

    def _use_salt_of_day(self) -> None:
        """By the school's calendar. Where the workers cannot share a salt each has its own, and their bitmaps are not put together."""
        day = datetime.fromtimestamp(self.clock.now(), ZoneInfo(self.live.file.school.timezone)).date().isoformat()
        if day == self.salt_day:
            return
        try:
            salt = salt_of_day(self.options.runtime, day)
        except OSError as error:
            log.warning("no salt to share: %s", error)
            salt = os.urandom(SALT_BYTES)
        self.salt_day, self.salt_id = day, salt_id(salt)
        self.resolver.clients.use_salt(salt)

    def _count_upstreams(self, counts: Counts) -> None:
        """Differences since the last report, from the totals that the upstreams keep."""
        for each in self.upstreams.statistics():
            before = self.reported.get((each.zone, each.address), {})
            totals: dict[str, int] = {"queries": each.queries} | {str(reason): number for reason, number in each.failures.items()}
            self.reported[each.zone, each.address] = totals
            new = {reason: number - before.get(reason, 0) for reason, number in totals.items()}
            counts.upstream_queries[each.address] = counts.upstream_queries.get(each.address, 0) + new.pop("queries")
            for reason, number in new.items():
                if number:
                    counts.upstream_failures[each.address, reason] = counts.upstream_failures.get((each.address, reason), 0) + number

    def _report(self) -> None:
        """Say what is in force. A full disk is no reason to stop answering."""
        content = {
            "pid": os.getpid(),
            "at": self.clock.now(),
            "generation": self.live.snapshot.generation,
            "bundle": self.live.index.identity,
            "names": self.live.index.names,
            "starter": self.live.starter_serves,
            "clock_trusted": self.clock.trusted,
            "compiled": gateway.COMPILED,
            "troubles": self.live.troubles,
            "upstreams": {
                each.address: {"healthy": each.healthy, "rtt": each.srtt, "trouble": each.trouble} for each in self.upstreams.statistics()
            },
        }
        try:
            write_report(self.options.runtime, self.options.index, content)
        except OSError as error:
            log.warning("report not written: %s", error)

    async def _leave(self) -> None:
        """No new questions; what has been asked is answered; then the last counts."""
        for server in self.servers:
            server.close()
        self.resolver.stop_listening()
        deadline = time.monotonic() + DRAIN
        while self.resolver.pending and time.monotonic() < deadline:  # noqa: ASYNC110 - seconds, once, at the end
            await asyncio.sleep(0.02)
        await self.upstreams.close()
        self.resolver.close()
        self.connections.close()
        self._collect()
        taken = self.resolver.end_minute()
        if taken:
            self._write_minute(taken, self.minute, self.salt_id)
        await self.tail.stop()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m gateway.worker", description=__doc__)
    parser.add_argument("--index", type=int, required=True, help="number of this worker, from 0")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--starter", type=Path, required=True, help="bundle of the starter lists")
    parser.add_argument("--runtime", type=Path, required=True, help="directory for reports and tail sockets")
    parser.add_argument("--texts", type=Path, required=True, help="JSON: the texts of blocked answers")
    parser.add_argument("--metrics", type=Path, help="directory for prometheus-client's files")
    return parser.parse_args()


async def serve(options: argparse.Namespace) -> int:
    try:
        await Worker(options).run()
    except (ConfigError, BadBundle) as error:
        log.critical("%s", error)
        return EX_CONFIG
    except OSError as error:
        log.critical("cannot start: %s", error)
        return 1
    return 0


def return_free_memory() -> None:
    """Give the system what reading files has left free in the heap (malloc_trim(3), where the C library has it)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def raise_open_files() -> None:
    """Every question under way upstream has a socket of its own, so take as many as the system lets us have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> int:
    raise_open_files()
    sys.setswitchinterval(0.0005)  # a bundle is read in a thread: the loop must not wait 5 ms each time for its turn
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    return asyncio.run(serve(arguments()))


if __name__ == "__main__":
    sys.exit(main())

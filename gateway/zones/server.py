"""Serves the school's policy zones to BIND, Unbound or Knot as their primary, over UDP and TCP, and follows the files.  [shell]

``serve`` is one task of the control process. It watches the school's file, the lists and the state as the resolver does
(gateway/live.py); a new version of a zone is worked out in a thread while the old one serves, and its secondaries are notified. What
to answer is decided in gateway/zones/transfer.py; here are the sockets and the limits: so many connections in all and from one
address, a time to ask, and a time in which a receiver has to take some of what it asked for. Each follower is served at its own pace.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import dns.name
import dns.tsig

from gateway.clock import Clock
from gateway.live import Live
from gateway.zones.notify import Follower, notify
from gateway.zones.transfer import Answer, Desk, ServedZone, respond
from gateway.zones.versions import ZoneVersions
from policies.model import Zone, Zones
from policies.socket_address import parse_listen, parse_secondary
from policies.transfer_secret import BadSecret, parse_secret

log = logging.getLogger("manglanh.zone")

CONNECTIONS, CONNECTIONS_PER_ADDRESS = 64, 8
IDLE = 30.0
"""seconds that a connection may take to ask (RFC 7766, section 6.2.3)"""
STALL = 60.0
"""seconds in which a receiver must take what is buffered for it: 64 kbit/s is fast enough"""
BUFFERED = 64 * 1024
DATAGRAMS_PER_SECOND = 500
"""far more than secondaries send; what a flood of them may cost"""
RETRY = 5.0
"""seconds until an address that could not be listened on, or a file that could not be read, is tried again"""
LONGEST_WAIT = 60.0
"""seconds; a new key in the old file is taken up after this"""
WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
T = TypeVar("T")


async def serve(config: Path, starter: Path, clock: Clock | None = None) -> None:
    """Serve for ever the zones that the school's file ``config`` names, also those that it comes to name later.

    ``starter`` is the bundle of the starter lists, for a box without lists. Raises ConfigError or BadBundle as Live does.
    """
    changed = asyncio.Event()
    live = await asyncio.to_thread(Live, config, starter, clock or Clock(), time.monotonic, partial(_note, changed))
    server = ZoneServer(live, config.parent)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(live.watch())
            tasks.create_task(server.follow(changed))
    finally:
        await server.close()


def _note(changed: asyncio.Event, *, identities: bool) -> None:  # noqa: ARG001 - as Live calls it
    changed.set()


class ZoneServer:
    """Every method runs on the loop that ``serve`` runs on."""

    def __init__(self, live: Live, folder: Path) -> None:
        """``folder``: what the key's file is relative to."""
        self._live = live
        self._folder = folder
        self._desk = Desk({}, None)
        self._versions: dict[tuple[str, Path], ZoneVersions] = {}
        self._listening: tuple[str, ...] = ()
        self._opened: list[asyncio.Server | asyncio.DatagramTransport] = []
        self._connections: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._notifying: dict[str, list[asyncio.Task[None]]] = {}
        self._threads = ThreadPoolExecutor(2, "zone")
        self._second, self._received = 0, 0

    async def follow(self, changed: asyncio.Event) -> None:
        """Bring the zones up to date, now and after every change."""
        while True:
            changed.clear()
            wait = await self._take_up()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await changed.wait()

    async def close(self) -> None:
        self._stop_listening()
        tasks = [*self._tasks, *(task for tasks in self._notifying.values() for task in tasks)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._threads.shutdown(wait=False)

    async def _take_up(self) -> float:
        """What the files say now is served; the seconds until it has to be looked at again without a change."""
        live = self._live
        file, state, index, now = live.file, live.state, live.index, live.clock.now()
        key, wait = self._key(file.zones)
        served: dict[dns.name.Name, ServedZone] = {}
        for zone in file.zones.zones:
            place = zone.name, file.lists.directory
            versions = self._versions.get(place) or self._versions.setdefault(place, ZoneVersions(*place))
            each, until = await self._in_thread(versions.take_up, zone, file, state.rules, index, now)
            served[each.origin] = each
            wait = min(wait, max(until - now, 0.0))
        before, self._desk = self._desk, Desk(served, key)
        if not await self._listen(file.zones.listen):
            wait = min(wait, RETRY)
        for zone, each in zip(file.zones.zones, served.values(), strict=True):
            known = before.zones.get(each.origin)
            if known is None or (known.serial, known.secondaries) != (each.serial, each.secondaries):
                self._notify(zone, each)
        return wait

    def _key(self, zones: Zones) -> tuple[dns.tsig.Key | None, float]:
        """The key, and when to look again. A zone that must be signed is refused to everybody until its key can be read."""
        if zones.key is None:
            return None, LONGEST_WAIT
        path = self._folder / zones.key.secret_file
        try:
            return dns.tsig.Key(zones.key.name, parse_secret(path.read_bytes()), zones.key.algorithm), LONGEST_WAIT
        except (OSError, BadSecret) as error:
            log.error("the key of the zones cannot be used: %s: %s", path, error)
            return None, RETRY

    async def _listen(self, listen: tuple[str, ...]) -> bool:
        """Listen there and nowhere else; False: not on all of them."""
        if listen == self._listening:
            return True
        self._stop_listening()
        try:
            for text in listen:
                await self._open(*parse_listen(text))
        except OSError as error:
            log.error("the zones cannot be served on %s: %s", ", ".join(listen), error)
            self._stop_listening()
            return False
        self._listening = listen
        return True

    async def _open(self, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), local_addr=(host, port))
        self._opened.append(transport)
        self._opened.append(await asyncio.start_server(self._converse, host, port, limit=BUFFERED, backlog=CONNECTIONS))

    def _stop_listening(self) -> None:
        for opened in self._opened:
            opened.close()
        self._opened, self._listening = [], ()

    def _notify(self, zone: Zone, served: ServedZone) -> None:
        """Tell the secondaries of this version, and no more of the one before."""
        for task in self._notifying.pop(zone.name, ()):
            task.cancel()
        loop = asyncio.get_running_loop()
        self._notifying[zone.name] = [loop.create_task(self._tell(served, self._follower(text))) for text in zone.secondaries]

    def _follower(self, text: str) -> Follower:
        """Told from the address that it asks: a secondary believes only its primary."""
        host, port = parse_secondary(text)
        ours = [own for own, _ in map(parse_listen, self._listening) if own not in WILDCARDS and (":" in own) == (":" in host)]
        return Follower(host, port, ours[0] if ours else None)

    async def _tell(self, served: ServedZone, follower: Follower) -> None:
        try:
            await notify(served, follower, self._desk.key)
        except OSError as error:
            log.warning("zone %s: the secondary %s cannot be told of serial %d: %s", served.origin, follower.host, served.serial, error)

    def datagram(self, wire: bytes, address: tuple[str, int], transport: asyncio.DatagramTransport) -> None:
        second = int(self._live.monotonic())
        self._second, self._received = second, self._received + 1 if second == self._second else 1
        if self._received > DATAGRAMS_PER_SECOND:
            return
        answer = self._respond(wire, address[0], stream=False)
        for message in answer.messages:
            transport.sendto(message, address)

    def _respond(self, wire: bytes, peer: str, *, stream: bool) -> Answer:
        answer = respond(wire, peer, stream=stream, desk=self._desk, now=self._live.clock.now())
        if answer.zone is None:
            log.info("refused %s: %s", peer, answer.what)
        return answer

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, query after query."""
        task, peer = asyncio.current_task(), writer.get_extra_info("peername")[0]
        self._connections[peer] += 1
        if task is not None:
            self._tasks.add(task)
        try:
            if self._connections[peer] <= CONNECTIONS_PER_ADDRESS and self._connections.total() <= CONNECTIONS:
                while True:
                    async with asyncio.timeout(IDLE):
                        wire = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
                    await self._send(self._respond(wire, peer, stream=True), peer, writer)
        except (OSError, asyncio.IncompleteReadError) as error:
            log.debug("connection from %s ended: %r", peer, error)
            if isinstance(error, TimeoutError):
                writer.transport.abort()  # what waits to be sent is not taken
        finally:
            self._connections -= Counter((peer,))
            if task is not None:
                self._tasks.discard(task)
            writer.close()

    async def _send(self, answer: Answer, peer: str, writer: asyncio.StreamWriter) -> None:
        """Message by message, each made when the one before has left. Raises OSError for a receiver that takes nothing."""
        writer.transport.set_write_buffer_limits(BUFFERED)
        messages = octets = 0
        while (message := await self._in_thread(next, answer.messages, None)) is not None:
            writer.write(len(message).to_bytes(2, "big") + message)
            messages, octets = messages + 1, octets + len(message)
            async with asyncio.timeout(STALL):
                await writer.drain()
        if answer.zone is not None:
            zone = answer.zone
            log.info("%s of %s serial %d to %s: %d messages, %d octets", answer.what, zone.origin, zone.serial, peer, messages, octets)

    async def _in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(function, *arguments))


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: ZoneServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self._server.datagram(data, address, self._transport)

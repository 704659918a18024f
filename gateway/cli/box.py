"""What the running box tells the dashboard (dashboard/box.py's Box): from the workers' reports and sockets, the lists' folder, the kernel. [shell]"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from blocklists.box.release_record import read_status
from dashboard.box import Neighbour, UpstreamHealth, WorkerReport
from dashboard.catalogue import Translate
from filters.domain_index import BadBundle, DomainIndex
from gateway import netlink
from gateway.cli.update import freshness
from gateway.live import open_lists
from gateway.runtime import directory_of, reports_of, tail_sockets
from policies.model import SchoolFile

MEMO = 0.008
"""seconds for which the workers' reports are not read again: forty pages that wait for one switch look together"""
NEIGHBOURS_MEMO = 2.0
LISTS_MEMO = 0.25
LEASES = (Path("/var/lib/misc/dnsmasq.leases"), Path("/tmp/dhcp.leases"), Path("/var/lib/dnsmasq/dnsmasq.leases"))  # noqa: S108 - OpenWrt's place
MAX_LEASES = 1024 * 1024
NOWHERE = Path("/nonexistent")
WAITING = 1000
"""decisions that wait for one reader before the oldest are dropped"""


class RunningBox:
    def __init__(self, file: Callable[[], SchoolFile], starter: Callable[[], Path]) -> None:
        """``file``: the school's file as it is now; ``starter``: makes the starter lists where no others are there."""
        self._file = file
        self._starter = starter
        self._workers: tuple[float, list[WorkerReport]] = (float("-inf"), [])
        self._neighbours: tuple[float, list[Neighbour]] = (float("-inf"), [])
        self._lists_at = float("-inf")
        self._lists_target: Path | None = None
        self._starter_folder: Path | None = None

    def workers(self) -> Sequence[WorkerReport]:
        now = time.monotonic()
        if now - self._workers[0] > MEMO:
            self._workers = now, [_report(number, content) for number, content in enumerate(reports_of(self._file()))]
        return self._workers[1]

    def open_lists(self, previous: DomainIndex | None) -> DomainIndex:
        directory = self._file().lists.directory
        now = time.monotonic()
        if previous is not None and now - self._lists_at < LISTS_MEMO:
            return previous
        target = (directory / "current").resolve()
        if previous is not None and target == self._lists_target:
            self._lists_at = now
            return previous
        try:
            index, _, _ = open_lists(directory, self._starter_folder or NOWHERE)
        except BadBundle:
            if self._starter_folder is not None:
                raise
            self._starter_folder = self._starter()  # only now: it takes half a second and some memory
            index, _, _ = open_lists(directory, self._starter_folder)
        self._lists_at, self._lists_target = now, target
        return index

    def lists_status(self) -> Mapping[str, object]:
        return read_status(self._file().lists.directory).model_dump(mode="json")

    def lists_said(self, translate: Translate) -> Sequence[str]:
        file = self._file()
        return freshness(read_status(file.lists.directory), file.school.timezone, translate)

    async def decisions(self) -> AsyncGenerator[Mapping[str, object]]:
        queue: asyncio.Queue[Mapping[str, object]] = asyncio.Queue(WAITING)
        readers = [asyncio.create_task(_listen(path, queue)) for path in tail_sockets(self._file())]
        try:
            while True:
                yield await queue.get()
        finally:
            for reader in readers:
                reader.cancel()

    def neighbours(self) -> Sequence[Neighbour]:
        now = time.monotonic()
        if now - self._neighbours[0] > NEIGHBOURS_MEMO:
            found: list[Neighbour] = []
            with contextlib.suppress(OSError):
                found = [Neighbour(str(ip_address(address)), mac) for address, mac in netlink.neighbours().items()]
            self._neighbours = now, found
        return self._neighbours[1]

    def leases(self) -> Mapping[str, str]:
        given = self._file().dashboard.leases
        names: dict[str, str] = {}
        for path in (given,) if given is not None else LEASES:
            with contextlib.suppress(OSError), path.open("rb") as file:
                names.update(read_leases(file.read(MAX_LEASES).decode("utf-8", "replace")))
        return names

    def runtime(self) -> Path | None:
        return directory_of(self._file())


def read_leases(text: str) -> dict[str, str]:
    """The leases of dnsmasq, ``EXPIRY MAC ADDRESS NAME CLIENT-ID`` a line (dnsmasq(8)) -> MAC: name, without those that gave none."""
    names = {}
    for line in text.splitlines():
        parts = line.split()
        if len(parts) >= 4 and len(parts[1]) == 17 and parts[3] != "*":
            names[parts[1].lower()] = parts[3]
    return names


def _report(number: int, content: Mapping[str, Any]) -> WorkerReport:
    return WorkerReport(
        number=number,
        generation=int(content.get("generation", 0)),
        at=float(content.get("at", 0.0)),
        bundle=str(content.get("bundle", "")),
        names=int(content.get("names", 0)),
        starter=bool(content.get("starter")),
        clock_trusted=bool(content.get("clock_trusted", True)),
        troubles=dict(content.get("troubles", {})),
        compiled=None if "compiled" not in content else bool(content["compiled"]),
        upstreams={address: _upstream(said) for address, said in content.get("upstreams", {}).items()},
    )


def _upstream(content: Mapping[str, Any]) -> UpstreamHealth:
    rtt = content.get("rtt")
    return UpstreamHealth(bool(content.get("healthy")), None if rtt is None else float(rtt), str(content.get("trouble", "")))


async def _listen(path: Path, queue: "asyncio.Queue[Mapping[str, object]]") -> None:
    """One worker's decisions into the queue, until cancelled. A worker that ends is replaced, and its socket is tried again."""
    while True:
        with contextlib.suppress(OSError, ValueError):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                while line := await reader.readline():
                    if queue.full():
                        queue.get_nowait()
                    queue.put_nowait(json.loads(line))
            finally:
                writer.close()
        await asyncio.sleep(1.0)

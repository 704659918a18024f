"""Measures of change under load: a class switched to another mode, and a whole new list taken into use.

The load is open-loop: it goes on by the clock whatever the server does, so a stall shows as latency and loss.
"""

import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from blocklists.channels import CHANNELS
from blocklists.entries import sources_of
from blocklists.install import install
from blocklists.overlay import compose
from filters.domain_index import DomainIndex
from tests.bench import load, names, processes, publisher, servers
from tests.bench.load import Load
from tests.bench.setting import Result, Setting, serving

RATE = 40_000
"""queries a second beside which a change is made"""
PROBE = "probe.bench.example"
NEW_NAME = "only-in-the-second-list.bench.example"
GIVE_UP = 10.0
CHURN = 0.01
BEFORE = 2.0
"""seconds of load before a list is changed"""
OUR_AFTER, PEER_AFTER = 4.0, 16.0
"""seconds of load after it; peers read a million names again in that time"""


class NoChange(Exception):
    """What was changed did not come into force."""


class Prober:
    """Asks one name again and again from one address, as fast as answers come."""

    def __init__(self, port: int) -> None:
        self.lost = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.2", 0))
        self._socket.connect(("127.0.0.1", port))
        self._socket.settimeout(0.5)

    def close(self) -> None:
        self._socket.close()

    def rcode(self, name: str) -> int | None:
        self._socket.send(processes.question(name))
        try:
            return self._socket.recv(4096)[3] & 15
        except TimeoutError:
            self.lost += 1
            return None

    def await_rcode(self, name: str, rcode: int, since: float) -> float:
        """Seconds from ``since`` (time.monotonic()) to the first answer with ``rcode``. Raises NoChange."""
        while time.monotonic() - since < GIVE_UP:
            if self.rcode(name) == rcode:
                return time.monotonic() - since
        raise NoChange(f"{name} did not become {rcode} in {GIVE_UP:.0f} s")


# ---- a class switched ----


def measure_switch(setting: Setting) -> None:
    switches = 10 if setting.quick else 50
    for kind in setting.our_kinds:
        with serving(setting, kind) as server:
            setting.run(server, Load(setting.questions, 1))
            work = Load(setting.questions, seconds=switches * 0.8 + 1, rate=RATE, window=4096)
            process = load.start(setting.programs["dnsload"], server.place.port, setting.load_core, work)
            prober = Prober(server.place.port)
            try:
                latencies = list(_switch(server.place, prober, switches))
            finally:
                prober.close()
                result = load.finish(process, work.seconds)
            detail = {"lost": result["lost"] + prober.lost, "p99_us": result["p99_us"], "max_us": result["max_us"], "rate": RATE}
            for number, latency in enumerate(latencies, 1):
                setting.record(Result("switch", kind.name, latency * 1000, "ms", number, detail=detail))


def _switch(place: servers.Place, prober: Prober, count: int) -> Iterator[float]:
    """Offline and back, ``count`` changes in all, at moments that drift against any period of the server's."""
    prober.await_rcode(PROBE, 0, time.monotonic())
    for number in range(count):
        time.sleep(0.05 + 0.25 * ((number * 0.618) % 1))
        offline = number % 2 == 0
        since = servers.write_state(place, number + 1, "offline" if offline else None)
        yield prober.await_rcode(PROBE, 3 if offline else 0, since)


# ---- a list replaced ----


def measure_swap(setting: Setting) -> None:
    for kind in setting.our_kinds:
        lists, bundles = _two_bundles(setting)
        with serving(setting, kind, bundle=lists) as server:
            setting.run(server, Load(setting.questions, 1))
            for number in range(1, setting.rounds + 1):
                _swap(setting, server, number, OUR_AFTER, _our_change(server, lists, bundles[number % 2], 3 if number % 2 else 0))
    for kind in setting.kinds:
        if kind.reload:
            with serving(setting, kind) as server:
                for number in range(1, min(setting.rounds, 2) + 1):
                    _swap(setting, server, number, PEER_AFTER, _peer_change(server, kind.reload))


def _two_bundles(setting: Setting) -> tuple[Path, tuple[str, str]]:
    """The bundle of all names, in use, and one with one name in a hundred changed."""
    lists = setting.directory / f"swap-{time.monotonic_ns()}"
    servers.compile_bundle(setting.names_file, lists)
    first = (lists / "current").readlink().name
    count = max(int(len(setting.blocked) * CHURN), 1)
    changed = [*setting.blocked[:-count], NEW_NAME, *(f"new{number}.bench.example" for number in range(count))]
    servers.compile_bundle(names.write_lines(setting.directory / "changed.txt", changed), lists)
    second = (lists / "current").readlink().name
    servers.point_current(lists, first)
    return lists, (first, second)


def measure_overlay(setting: Setting) -> None:
    """The same where only the overlay is another one, and the base, of as many names as a province has, stays mapped."""
    for kind in setting.our_kinds:
        lists, overlays = _two_overlays(setting)
        with serving(setting, kind, bundle=lists) as server:
            setting.run(server, Load(setting.questions, 1))
            for number in range(1, setting.rounds + 1):
                change = _our_change(server, lists, overlays[number % 2], 3 if number % 2 else 0)
                _swap(setting, server, number, OUR_AFTER, change, measure="overlay")


def _two_overlays(setting: Setting) -> tuple[Path, tuple[str, str]]:
    """Two overlays upon one base: the first, in use, with a mandatory list, the second with one name more."""
    lists = setting.directory / f"overlay-{time.monotonic_ns()}"
    listed = setting.blocked if setting.quick else names.blocked_names(max(publisher.NAMES, len(setting.blocked)), setting.popular)
    servers.compile_bundle(names.write_lines(setting.directory / "overlaid.txt", listed), lists)
    base = DomainIndex.open(lists / "current")
    mandatory = list(sources_of(publisher.orders(publisher.MANDATORY), CHANNELS["mandatory"]))
    another = (NEW_NAME, mandatory[0][1])
    found = [install(lists, partial(compose, under=base, additions=added)) for added in (mandatory, [*mandatory, another])]
    base.close()
    servers.point_current(lists, found[0].name)
    return lists, (found[0].name, found[1].name)


def _our_change(server: servers.Server, lists: Path, bundle: str, rcode: int) -> Callable[[], float]:
    def change() -> float:
        prober = Prober(server.place.port)
        try:
            return prober.await_rcode(NEW_NAME, rcode, servers.point_current(lists, bundle))
        finally:
            prober.close()

    return change


def _peer_change(server: servers.Server, reload: Callable[[servers.Place, processes.Running], None]) -> Callable[[], float]:
    def change() -> float:
        began = time.monotonic()
        reload(server.place, server.running)
        return time.monotonic() - began

    return change


def _swap(setting: Setting, server: servers.Server, number: int, after: float, change: Callable[[], float], measure: str = "swap") -> None:
    """One change in the middle of one load; its value is the worst latency from then to the end."""
    work = Load(setting.questions, BEFORE + after, rate=RATE, window=8192, timeline_ms=100, timeout=after)
    pids = server.running.pids()
    resident = processes.resident(pids)
    processes.forget_peak(pids)
    process = load.start(setting.programs["dnsload"], server.place.port, setting.load_core, work)
    time.sleep(BEFORE)
    changed_at = time.monotonic()
    in_force = change()
    result = load.finish(process, work.seconds)
    first = int((changed_at - result["started_at"]) * 1000 / result["interval_ms"])
    before, since = result["timeline"][:first], result["timeline"][first:]
    detail = {"lost": result["lost"], "in_force_s": in_force, "extra_peak_mb": (processes.peak(pids) - resident) / 1e6}
    detail |= {"worst_before_ms": _worst(before), "extra_after_mb": (processes.resident(pids) - resident) / 1e6}
    setting.record(Result(measure, server.kind.name, _worst(since), "ms", number, detail=detail))


def _worst(intervals: list[dict[str, Any]]) -> float:
    return max((float(interval["max_us"]) for interval in intervals), default=0.0) / 1000

"""What the box tells Prometheus. [shell: files, one HTTP listener]

Promises: the hot path never touches a metric object. A worker counts plain ints and hands them over every two seconds
(``Recorder.report``); prometheus-client keeps them in memory-mapped files, one set per worker *slot*, and the supervisor
serves the sum (``serve``). A slot, not a process id, names the files: a worker that died and came back goes on counting in
the same files, so nothing counts backwards and a crash loop cannot fill ``/run``.

Refuses: a label that holds a client's address or a name that somebody asked for. ``METRICS`` is the whole list, and
docs/metrics.md explains each of them (a test compares the two).
"""

import fcntl
import os
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from policies.socket_address import parse_listen

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer  # its HTTP modules cost a worker 2 MB

LATENCY_BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds of the latency buckets, in seconds; what is slower falls into the last, endless one."""

ROOM = 1 << 20
"""Bytes that must be free before a new sample is stored."""


class Metric(NamedTuple):
    name: str
    """as it is exposed, ``_total`` included"""
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str
    merge: str = ""
    """how the workers' gauges become one (prometheus-client's multiprocess modes); ``supervisor``: it knows by itself"""


METRICS: tuple[Metric, ...] = (
    Metric("manglanh_queries_total", "counter", ("transport",), "Queries that were read"),
    Metric("manglanh_answers_total", "counter", ("group", "tier", "category", "rung", "verdict"), "Verdicts, by the rung that spoke"),
    Metric("manglanh_responses_total", "counter", ("rcode",), "Responses that were sent"),
    Metric("manglanh_dropped_total", "counter", ("reason",), "Queries that got no response"),
    Metric("manglanh_cache_lookups_total", "counter", ("result",), "Lookups in the cache of upstream answers"),
    Metric("manglanh_cache_bytes", "gauge", (), "Bytes in the caches of all workers", "livesum"),
    Metric("manglanh_upstream_queries_total", "counter", ("upstream",), "Questions sent upstream"),
    Metric("manglanh_upstream_failures_total", "counter", ("upstream", "reason"), "Questions that an upstream did not answer well"),
    Metric("manglanh_upstream_healthy", "gauge", ("upstream",), "1 when every worker finds this upstream healthy", "livemin"),
    Metric("manglanh_upstream_rtt_seconds", "gauge", ("upstream",), "Smoothed round trip time, the slowest worker's", "livemax"),
    Metric("manglanh_latency_seconds", "histogram", ("path",), "From query read to response sent"),
    Metric("manglanh_generation", "gauge", (), "The oldest policy generation that any worker serves", "livemin"),
    Metric("manglanh_list_names", "gauge", (), "Names in the bundle that serves", "livemin"),
    Metric("manglanh_list_built_timestamp_seconds", "gauge", (), "When the bundle that serves was built", "livemin"),
    Metric("manglanh_list_starter", "gauge", (), "1 while the starter lists serve", "livemax"),
    Metric("manglanh_list_reload_failed", "gauge", (), "1 while a newer bundle is refused", "livemax"),
    Metric("manglanh_config_reload_failed", "gauge", (), "1 while a newer school file is refused", "livemax"),
    Metric("manglanh_clock_trusted", "gauge", (), "1 when the clock is synchronised", "livemin"),
    Metric("manglanh_errors_total", "counter", (), "Bugs while deciding; each was answered SERVFAIL"),
    Metric("manglanh_update_release_version", "gauge", (), "The publisher's release that was last taken (its snapshot)", "supervisor"),
    Metric("manglanh_update_channel_version", "gauge", ("channel",), "Which version of a channel is in force", "supervisor"),
    Metric("manglanh_update_checked_timestamp_seconds", "gauge", (), "When the publisher was last asked", "supervisor"),
    Metric("manglanh_update_success_timestamp_seconds", "gauge", (), "When all that it publishes was last in force", "supervisor"),
    Metric("manglanh_update_expiry_timestamp_seconds", "gauge", (), "When the first of all signatures lapses", "supervisor"),
    Metric("manglanh_update_rolled_back", "gauge", (), "1 while somebody here has gone back to earlier lists", "supervisor"),
    Metric("manglanh_update_trouble", "gauge", ("kind",), "1 while this is wrong", "supervisor"),
    Metric("manglanh_update_transferred_bytes_total", "counter", ("direction",), "Bytes of HTTP, heads and bodies", "supervisor"),
    Metric("manglanh_update_requests_total", "counter", (), "Requests to the publisher", "supervisor"),
    Metric("manglanh_workers", "gauge", (), "Workers that run", "supervisor"),
    Metric("manglanh_worker_restarts_total", "counter", (), "Workers that died and were started again", "supervisor"),
)
Samples = Iterable[tuple[str, tuple[str, ...], float]]
"""metric, labels, value"""
_BY_NAME = {metric.name: metric for metric in METRICS}


@dataclass(slots=True)
class Latencies:
    """One path's latencies, counted without an object per query."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS) + 1))
    seconds: float = 0.0

    def add(self, seconds: float, count: int = 1) -> None:
        self.buckets[bisect_left(LATENCY_BOUNDS, seconds)] += count
        self.seconds += seconds * count


class AnswerKey(NamedTuple):
    group: str
    tier: str
    category: str
    rung: str
    verdict: str


@dataclass(slots=True)
class Counts:
    """What one worker counted since it last reported. All values are differences, never totals."""

    queries: dict[str, int] = field(default_factory=dict)
    """by transport: ``udp``, ``tcp``, ``dot``"""
    answers: dict[AnswerKey, int] = field(default_factory=dict)
    responses: dict[str, int] = field(default_factory=dict)
    """by rcode: ``NOERROR``, ``NXDOMAIN``, ..."""
    dropped: dict[str, int] = field(default_factory=dict)
    cache: dict[str, int] = field(default_factory=dict)
    """``hit``, ``miss``, ``stale``, ``prefetch``"""
    upstream_queries: dict[str, int] = field(default_factory=dict)
    upstream_failures: dict[tuple[str, str], int] = field(default_factory=dict)
    """by upstream and reason: ``timeout``, ``servfail``, ``network``, ``certificate``, ``malformed``"""
    latency: dict[str, Latencies] = field(default_factory=dict)
    """by path: ``ready`` (hot), ``cache``, ``upstream``, ``blocked``"""
    errors: int = 0


@dataclass(frozen=True, slots=True)
class Levels:
    """What is so now, in one worker."""

    generation: int
    list_names: int
    list_built: float
    list_starter: bool
    cache_bytes: int
    list_reload_failed: bool = False
    config_reload_failed: bool = False
    clock_trusted: bool = True
    upstreams: Mapping[str, tuple[bool, float]] = field(default_factory=dict)
    """upstream -> healthy, smoothed round trip in seconds"""


class Supervision(NamedTuple):
    workers: int
    restarts: int


def prepare(directory: Path) -> None:
    """Make ``directory`` and forget an earlier run's counters: to be called once, before the first worker starts."""
    directory.mkdir(mode=0o750, parents=True, exist_ok=True)
    for file in (*directory.glob("*.db"), *directory.glob("*.lock")):
        file.unlink(missing_ok=True)


def forget(directory: Path, slot: int) -> None:
    """A worker died: its gauges no longer hold. Its counters stay, and a successor goes on with them."""
    for name in _names(slot):
        _forget_if_dead(directory / f"{name}.lock")


def _forget_if_dead(lock: Path) -> None:
    try:
        with lock.open("rb") as file:
            if _locked(file.fileno()):
                for gauges in lock.parent.glob(f"gauge_live*_{lock.stem}.db"):
                    gauges.unlink(missing_ok=True)
    except FileNotFoundError:  # nobody has counted under this name
        return


def _names(slot: int) -> tuple[str, ...]:
    """The sets of files that a slot may use: see ``_take_slot``."""
    return str(slot), f"{slot}b", f"{slot}c"


def _take_slot(directory: Path, slot: int) -> tuple[str, int]:
    """The name of the files to count in, and the descriptor whose lock says that they are taken.

    While a worker is replaced the old one and the new one overlap, and two processes that write to one file would damage
    it: the new one counts in a second set (``0b``), which is taken again at the next replacement.
    """
    for name in _names(slot):
        descriptor = os.open(directory / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        if _locked(descriptor):
            return name, descriptor
        os.close(descriptor)
    raise FileExistsError(f"{directory}: three workers in slot {slot}")


def _locked(descriptor: int) -> bool:
    """Whether the lock could be had. The kernel lets go of it when the process ends, however it ends (flock(2))."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


class Recorder:
    """One worker's hand in the metrics: made once per worker, called every two seconds.

    ``slot`` is the worker's number. Raises OSError where the directory cannot be written.
    """

    def __init__(self, directory: Path, slot: int) -> None:
        from prometheus_client.values import MultiProcessValue  # noqa: PLC0415 - a box without metrics need not load it

        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)  # the library takes it from here whenever it opens a file
        self._directory = directory
        name, self._lock = _take_slot(directory, slot)
        self._value_class = MultiProcessValue(lambda: name)  # type: ignore[no-untyped-call]
        self._children: dict[tuple[str, tuple[str, ...]], Any] = {}

    def report(self, counts: Counts, levels: Levels) -> None:
        """Add ``counts`` and set ``levels``. Cheap: a dictionary lookup and a 16-byte store per changed label set."""
        self._add_by("manglanh_queries_total", counts.queries)
        self._add_by("manglanh_responses_total", counts.responses)
        self._add_by("manglanh_dropped_total", counts.dropped)
        self._add_by("manglanh_cache_lookups_total", counts.cache)
        self._add_by("manglanh_upstream_queries_total", counts.upstream_queries)
        for failure, count in counts.upstream_failures.items():
            self._value("manglanh_upstream_failures_total", failure).inc(count)
        for key, count in counts.answers.items():
            self._value("manglanh_answers_total", tuple(key)).inc(count)
        for path, latencies in counts.latency.items():
            self._add_latencies(path, latencies)
        self._value("manglanh_errors_total", ()).inc(counts.errors)
        self._set(levels)

    def _set(self, levels: Levels) -> None:
        for name, level in (
            ("manglanh_generation", levels.generation),
            ("manglanh_list_names", levels.list_names),
            ("manglanh_list_built_timestamp_seconds", levels.list_built),
            ("manglanh_list_starter", levels.list_starter),
            ("manglanh_list_reload_failed", levels.list_reload_failed),
            ("manglanh_config_reload_failed", levels.config_reload_failed),
            ("manglanh_clock_trusted", levels.clock_trusted),
            ("manglanh_cache_bytes", levels.cache_bytes),
        ):
            self._value(name, ()).set(float(level))
        for upstream, (healthy, rtt) in levels.upstreams.items():
            self._value("manglanh_upstream_healthy", (upstream,)).set(float(healthy))
            self._value("manglanh_upstream_rtt_seconds", (upstream,)).set(rtt)

    def _add_by(self, name: str, counts: dict[str, int]) -> None:
        for label, count in counts.items():
            self._value(name, (label,)).inc(count)

    def _add_latencies(self, path: str, latencies: Latencies) -> None:
        """The library's Histogram has only ``observe``, one call per query; so its samples are written directly."""
        for bound, count in zip((*map(str, LATENCY_BOUNDS), "+Inf"), latencies.buckets, strict=True):
            self._value("manglanh_latency_seconds", (path,), "_bucket", bound).inc(count)
        self._value("manglanh_latency_seconds", (path,), "_sum").inc(latencies.seconds)

    def _value(self, name: str, labels: tuple[str, ...], suffix: str = "", bound: str = "") -> Any:
        """The stored number of one sample, made at its first use."""
        key = (name + suffix + bound, labels)
        child = self._children.get(key)
        if child is None:
            if not _has_room(self._directory):
                return _NOWHERE
            child = self._children[key] = self._create(_BY_NAME[name], labels, suffix, bound)
        return child

    def _create(self, metric: Metric, labels: tuple[str, ...], suffix: str, bound: str) -> Any:
        names, values = (*metric.labels, "le") if bound else metric.labels, (*labels, bound) if bound else labels
        family = metric.name.removesuffix("_total") if metric.kind == "counter" else metric.name
        return self._value_class(metric.kind, family, metric.name + suffix, names, values, metric.help, multiprocess_mode=metric.merge)


class _Nowhere:
    """Takes what cannot be stored."""

    def inc(self, amount: float) -> None:
        pass

    def set(self, value: float) -> None:
        pass


_NOWHERE = _Nowhere()


def _has_room(directory: Path) -> bool:
    """Writing to a mapped page that a full disk cannot back kills the process (SIGBUS), so no new sample is begun there."""
    disk = os.statvfs(directory)
    return disk.f_bavail * disk.f_frsize >= ROOM


class Endpoint:
    """A running ``/metrics``; ``close`` ends it."""

    def __init__(self, server: "WSGIServer", thread: Thread) -> None:
        self._server = server
        self._thread = thread

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve(address: str, directory: Path, supervision: Callable[[], Supervision], lists: Callable[[], Samples] = lambda: ()) -> Endpoint:
    """Serve the sum of all workers' metrics on ``address`` (``127.0.0.1:9153``, ``[::1]:9153``), and nowhere else.

    ``lists`` says at each scrape how fresh the lists are (gateway/list_freshness.py).

    It runs in a thread of the calling process, so workers must be started afresh (spawned), not forked from it later.
    Raises OSError when the address is taken, ValueError when it is none.
    """
    host, port = parse_listen(address)
    from prometheus_client import CollectorRegistry, start_http_server  # noqa: PLC0415
    from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415

    registry = CollectorRegistry()
    workers = MultiProcessCollector(None, path=str(directory))  # type: ignore[no-untyped-call]
    registry.register(_Collector(directory, workers, supervision, lists))
    return Endpoint(*start_http_server(port, host, registry))


class _Collector:
    """What is served at a scrape: the workers' files, without the gauges of dead ones, and what only the supervisor knows."""

    def __init__(self, directory: Path, workers: Any, supervision: Callable[[], Supervision], lists: Callable[[], Samples]) -> None:
        self._directory = directory
        self._workers = workers
        self._supervision = supervision
        self._lists = lists

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily  # noqa: PLC0415

        for lock in self._directory.glob("*.lock"):
            _forget_if_dead(lock)
        yield from self._workers.collect()
        workers, restarts = self._supervision()
        yield GaugeMetricFamily("manglanh_workers", _BY_NAME["manglanh_workers"].help, workers)
        yield CounterMetricFamily("manglanh_worker_restarts", _BY_NAME["manglanh_worker_restarts_total"].help, restarts)
        families: dict[str, Any] = {}
        for name, labels, value in self._lists():
            metric = _BY_NAME[name]
            kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = families.setdefault(name, kind(name.removesuffix("_total"), metric.help, labels=metric.labels))
            family.add_metric(labels, value)
        yield from families.values()

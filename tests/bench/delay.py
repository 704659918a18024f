"""From ``publish release --urgent`` to *blocked*, on many simulated schools and two real resolvers that poll one nginx.

The clock starts before the command's process does. Meanwhile nginx's log says what the origin has to do, before the release and after it.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any, TypeVar

from blocklists.compile import compile_starter
from tests.bench import box, processes, publisher
from tests.bench.box import Box
from tests.bench.nginx import Request, new_connections, total
from tests.bench.province import Province
from tests.bench.schools import Spec
from tests.bench.servers import CHECKOUT, COMMAND, NXDOMAIN
from tests.bench.setting import Result, Setting

SCHOOLS, QUICK_SCHOOLS = 200, 20
RESOLVERS = 2
RESOLVER = "resolver-"
"""how the name of a real one begins"""
FAST, DEFAULT = 1.0, 60.0
"""seconds between polls: as quick as it goes, and as a school file has it if it says nothing"""
JITTER = 1.1
"""of the pause between polls, at most"""
FAST_QUIET, QUIET_POLLS = 10.0, 0.75
"""for at least so many seconds, or so much of a poll, nothing changes before the first release"""
GIVE_UP = 60.0
"""seconds beyond a poll after which a school that does not block is an error"""
START_WITHIN = 120.0
"""seconds for two hundred processes to read their files and poll once"""
MEMORY = Path("/dev/shm")
"""two hundred schools have two hundred disks; here they would wait for one"""


class NotBlocked(Exception):
    """Some school did not follow."""


@dataclass(frozen=True)
class Blocked:
    at: float
    """time.monotonic()"""
    queued: float
    """seconds for which the school waited for a core of this machine (tests/bench/schools.py)"""


@dataclass
class Watch:
    """What the schools and the resolvers say, as it comes. ``names``: what is released, one after the other."""

    names: Sequence[str]
    workers: dict[tuple[str, str], Blocked] = field(default_factory=dict)
    """(name, school) -> when its worker blocked it"""
    controls: dict[tuple[str, str], float] = field(default_factory=dict)
    """the same -> how long its control process had waited for a core"""
    ready: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def blocked(self, name: str, school: str, found: Blocked) -> None:
        with self.changed:
            self.workers[name, school] = found
            self.changed.notify_all()

    def read(self, lines: Iterator[bytes]) -> None:
        """Until the process ends."""
        for line in lines:
            said = json.loads(line)
            with self.changed:
                if "ready" in said:
                    self.ready += said["ready"]
                elif "changed" in said:
                    self.controls[self.names[said["changed"] - 1], str(said["school"])] = said["queued"]
                else:
                    self.workers[said["name"], str(said["school"])] = Blocked(said["at"], said["queued"])
                self.changed.notify_all()

    def await_all(self, name: str, schools: int, resolvers: int, seconds: float) -> dict[str, Blocked]:
        """School (or real resolver) -> when it blocked ``name``, and all its waiting for a core. Raises NotBlocked."""
        with self.changed:
            if not self.changed.wait_for(
                lambda: len(_of(name, self.workers)) >= schools + resolvers and len(_of(name, self.controls)) >= schools, seconds
            ):
                raise NotBlocked(f"{name}: blocked at {len(_of(name, self.workers))} of {schools + resolvers} after {seconds:.0f} s")
            waited = _of(name, self.controls)
            found = _of(name, self.workers)
        return {school: Blocked(one.at, one.queued + waited.get(school, 0.0)) for school, one in found.items()}

    def await_ready(self, count: int, seconds: float) -> None:
        with self.changed:
            if not self.changed.wait_for(lambda: self.ready >= count, seconds):
                raise NotBlocked(f"only {self.ready} of {count} schools began to poll")


T = TypeVar("T")


def _of(name: str, found: Mapping[tuple[str, str], T]) -> dict[str, T]:
    return {school: value for (about, school), value in found.items() if about == name}


@dataclass(frozen=True)
class Run:
    """Schools that follow, and what listens to them."""

    setting: Setting
    province: Province
    watch: Watch
    schools: int
    """simulated ones"""
    poll: float
    ports: Sequence[int]
    """of the real resolvers"""
    running: processes.Running
    """the simulated schools"""

    @property
    def case(self) -> str:
        return f"{self.schools} schools, --poll {self.poll:g}"


def measure_delay(setting: Setting, found: Province, ours: Box) -> None:
    """``ours``: a box that has everything released. ``--quick``: fewer schools, and only with the quick poll."""
    schools = QUICK_SCHOOLS if setting.quick else SCHOOLS
    measure_schools(setting, found, ours, schools, FAST, setting.rounds)
    if not setting.quick:
        measure_schools(setting, found, ours, schools, DEFAULT, 1)


def measure_schools(setting: Setting, found: Province, ours: Box, schools: int, poll: float, rounds: int) -> None:
    names = [f"urgent-{poll:g}-{number}.bench.example" for number in range(1, rounds + 1)]
    watch = Watch(names)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="manglanh-schools-", dir=MEMORY if MEMORY.is_dir() else None)))
        ports = [stack.enter_context(_resolver(setting, found, ours, number, poll)) for number in range(RESOLVERS)]
        running = stack.enter_context(_schools(found, ours, folder, schools, poll, names, watch))
        run = Run(setting, found, watch, schools, poll, ports, running)
        watch.await_ready(schools, poll * JITTER + START_WITHIN)
        _quiet(run)
        for number, name in enumerate(names, 1):
            _release(run, name, number)


def _quiet(run: Run) -> None:
    """What the origin has to do when nothing changes. The first poll of each school, which makes its connection, is over."""
    seconds = max(QUIET_POLLS * run.poll, FAST_QUIET)
    pids = run.province.web.running.pids()
    used, since = processes.cpu_seconds(pids), time.time()
    time.sleep(seconds)
    requests = run.province.web.requests(since)
    cpu = processes.cpu_seconds(pids) - used
    detail = _origin(requests) | {"schools": run.schools + RESOLVERS, "seconds": seconds, "poll": run.poll, "cpu_s": cpu}
    per_poll = total(requests) / max(len(requests), 1)
    run.setting.record(Result("origin", "nginx", per_poll, "bytes", 1, f"a poll when nothing is new; {run.case}", detail))


def _release(run: Run, name: str, number: int) -> None:
    run.province.publisher.ready_urgent(name)
    within = run.poll * JITTER + GIVE_UP
    asking = [threading.Thread(target=_ask, args=(run.watch, name, port, time.monotonic() + within)) for port in run.ports]
    for thread in asking:
        thread.start()
    pids = run.running.pids()
    used, since = processes.cpu_seconds(pids), time.time()
    taken = run.province.publisher.release("--urgent")
    moments = run.watch.await_all(name, run.schools, len(run.ports), within)
    for thread in asking:
        thread.join()
    real = [found.at - taken.started_at for school, found in moments.items() if school.startswith(RESOLVER)]
    raw = [found.at - taken.started_at for school, found in moments.items() if not school.startswith(RESOLVER)]
    own = [found.at - found.queued - taken.started_at for school, found in moments.items() if not school.startswith(RESOLVER)]
    detail = {
        "p50": median(own),
        "max": max(own),
        "raw": {"p50": median(raw), "p99": _p99(raw), "max": max(raw)},
        "command_s": taken.seconds,
        "resolvers": sorted(real),
        "cpu_s": processes.cpu_seconds(pids) - used,
        "origin": _origin(run.province.web.requests(since)),
    }
    run.setting.record(Result("delay", "ours", _p99(own), "s", number, run.case, detail))


def _p99(values: Sequence[float]) -> float:
    return quantiles(values, n=100, method="inclusive")[98]


def _origin(requests: Sequence[Request]) -> dict[str, Any]:
    seconds = Counter(int(request.at) for request in requests)
    return {
        "requests": len(requests),
        "bytes": total(requests),
        "sent": sum(request.sent for request in requests),
        "connections": new_connections(requests),
        "peak_requests_s": max(seconds.values(), default=0),
        "statuses": dict(Counter(str(request.status) for request in requests)),
    }


def _ask(watch: Watch, name: str, port: int, deadline: float) -> None:
    """Real DNS, a hundred times a second."""
    while time.monotonic() < deadline:
        if processes.ask(port, name) == NXDOMAIN:
            watch.blocked(name, f"{RESOLVER}{port}", Blocked(time.monotonic(), 0.0))
            return
        time.sleep(0.01)


@contextmanager
def _resolver(setting: Setting, found: Province, ours: Box, number: int, poll: float) -> Iterator[int]:
    """A real box, ``manglanh resolver`` and ``manglanh update``, upon the disk; yields its port."""
    port = processes.free_port()
    real = box.like(ours, found.directory / f"resolver-{poll:g}-{number}", found.url, found.root, port=port, upstream=setting.upstream_port)
    environment = {"RUNTIME_DIRECTORY": str(real.directory / "run")}
    blocked = next(name for name in found.names.churned(0) if "gambling" in publisher.categories_of(name))
    resolver: list[str | Path] = [COMMAND, "resolver", "--config", real.config]
    update: list[str | Path] = [COMMAND, "update", "--config", real.config, "--poll", f"{poll:g}"]
    with (
        processes.running(resolver, port=port, log=real.directory / "resolver.log", core=None, environment=environment) as running,
        processes.running(update, port=port, log=real.directory / "update.log", core=None, environment=environment),
    ):
        processes.await_rcode(running, blocked, NXDOMAIN, 30)
        yield port


@contextmanager
def _schools(
    found: Province, ours: Box, folder: Path, schools: int, poll: float, names: Sequence[str], watch: Watch
) -> Iterator[processes.Running]:
    starter = compile_starter(folder / "starter")
    first = box.like(ours, folder / "school-0", found.url, found.root)
    boxes = [first, *(box.like(first, folder / f"school-{number}", found.url, found.root) for number in range(1, schools))]
    spec = Spec([str(one.config) for one in boxes], str(starter), poll, names).write(folder / "spec.json")
    with _process(spec, watch) as running:
        yield running


@contextmanager
def _process(spec: Path, watch: Watch) -> Iterator[processes.Running]:
    """A process group of its own, so that all of it can be ended at once, however many schools compete for the cores."""
    log = spec.with_suffix(".log")
    command = ["taskset", "-c", f"0-{max(processes.cores())}", sys.executable, "-m", "tests.bench.schools", str(spec)]
    with log.open("wb") as errors:
        process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=errors, start_new_session=True)
    assert process.stdout
    reader = threading.Thread(target=watch.read, args=(iter(process.stdout),))
    reader.start()
    try:
        yield processes.Running(process, 0, log, time.monotonic())
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.join()
        process.stdout.close()

"""Starts the workers, brings a dead one back, and passes signals on.  [shell]

It answers no query itself: the data plane survives it (the workers go on if it is killed, and systemd starts it again). A worker
that falls is back at once; one that cannot start is tried again ever more slowly. SIGHUP is passed on. A change of the school's file
that only a new process can follow (addresses, number of workers, limits, cache sizes, certificate) replaces the workers one by one.
"""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.companion import Companion
from gateway.runtime import forget_reports, read_report, read_reports
from policies.load import ConfigError, load
from policies.model import SchoolFile

if TYPE_CHECKING:
    from gateway.metrics import Endpoint

log = logging.getLogger("manglanh.supervisor")

LOOK_EVERY = 0.05
READY_WITHIN = 30.0
STOP_WITHIN = 5.0
SLOWEST_RESTART = 10.0
STABLE = 10.0
"""seconds after which a start counts as good"""
SILENT = 20.0
"""seconds without a report after which a worker counts as hung"""
BAD_CONFIG = 2
LEAN = {"MALLOC_ARENA_MAX": "1", "PYDANTIC_DISABLE_PLUGINS": "__all__"}
"""for workers: one heap instead of one for each thread, and no search for plugins that we do not have (3 MB together)"""


class Slot:
    """One worker's place: its process, and when it may be started again."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.start_at = 0.0
        self.failures = 0
        self._report: object = None
        self._report_since = 0.0

    def silent_for(self, report: object, now: float) -> float:
        """Seconds for which the worker's report has stood unchanged. By our own clock: the wall clock jumps when a box finds the time."""
        if report != self._report:
            self._report, self._report_since = report, now
        return now - self._report_since

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Supervisor:
    def __init__(self, config: Path, starter: Path, texts: Mapping[str, str], runtime: Path, *, with_metrics: bool) -> None:
        """Raises ConfigError, OSError."""
        self.config = config
        self.starter = starter
        self.runtime = runtime
        self.file = load(config)
        self.metrics = runtime / "metrics" if with_metrics else None
        self.texts = runtime / "texts.json"
        self.texts.write_text(json.dumps(dict(texts), ensure_ascii=False), encoding="utf-8")
        self.slots = [Slot(index) for index in range(worker_count(self.file))]
        self.companion: Companion | None = None
        """the control process, where this supervisor starts it too"""
        self.restarts = 0
        self.stopping = False
        self.reload_due = False
        self._config_seen = self._signature()
        self._looked_at = 0.0
        self.orphans = [report["pid"] for report in read_reports(runtime)]
        """workers that outlived their supervisor and still answer"""
        forget_reports(runtime)

    def relieve_orphans(self) -> None:
        """Ours listen now; those of a supervisor that was killed may leave. They answer what they were asked."""
        for pid in self.orphans:
            if isinstance(pid, int):
                log.warning("a worker without a supervisor is relieved: %d", pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
        self.orphans = []

    def start(self, slot: Slot) -> None:
        command = [sys.executable, "-m", "gateway.worker", "--index", str(slot.index), "--config", str(self.config)]
        command += ["--starter", str(self.starter), "--runtime", str(self.runtime), "--texts", str(self.texts)]
        if self.metrics is not None:
            command += ["--metrics", str(self.metrics)]
        slot.started_at = time.monotonic()
        slot.process = subprocess.Popen(command, env={**os.environ, **LEAN})  # noqa: S603 - our own module, arguments as a list

    def start_all(self) -> None:
        for slot in self.slots:
            self.start(slot)

    def is_ready(self, slot: Slot) -> bool:
        """Whether the process in ``slot`` has reported, and so is listening."""
        report = read_report(self.runtime, slot.index)
        return slot.process is not None and report.get("pid") == slot.process.pid

    def wait_until_ready(self, slots: list[Slot]) -> int:
        """0 when all of them are; otherwise the exit code of one that refused to start, or 1 after too long."""
        deadline = time.monotonic() + READY_WITHIN
        waiting = list(slots)
        while waiting and not self.stopping:
            waiting = [slot for slot in waiting if not self.is_ready(slot)]
            for slot in waiting:
                code = slot.process.poll() if slot.process is not None else 1
                if code is not None and code >= 0:
                    return code or 1
                if code is not None:  # killed, not refused: it may well start the next time
                    self._fell(slot, time.monotonic())
                    self.start(slot)
            if time.monotonic() > deadline:
                return 1
            if waiting:
                time.sleep(0.01)
        return 0

    def look_after(self) -> None:
        """One look: bring back what fell, stop what hangs."""
        now = time.monotonic()
        for slot in self.slots:
            if slot.process is not None and slot.process.poll() is not None:
                self._fell(slot, now)
            if slot.process is None and now >= slot.start_at:
                self.start(slot)
        if now - self._looked_at >= 1.0:
            self._looked_at = now
            for slot in self.slots:
                self._check_hung(slot, now)
            self._follow_config()

    def _fell(self, slot: Slot, now: float) -> None:
        assert slot.process is not None
        stable = now - slot.started_at >= STABLE
        slot.failures = 0 if stable else slot.failures + 1
        pause = 0.0 if slot.failures <= 1 else min(0.25 * 2.0**slot.failures, SLOWEST_RESTART)
        log.error("worker %d ended with code %d; back in %.1f s", slot.index, slot.process.returncode, pause)
        slot.process, slot.start_at = None, now + pause
        self.restarts += 1
        if self.metrics is not None:
            from gateway.metrics import forget  # noqa: PLC0415 - only with metrics

            forget(self.metrics, slot.index)

    def _check_hung(self, slot: Slot, now: float) -> None:
        silent = slot.silent_for(read_report(self.runtime, slot.index), now)
        if slot.process is None or now - slot.started_at < SILENT:
            return
        if silent > SILENT and self._can_write():
            log.error("worker %d has not reported for %.0f s and is ended", slot.index, silent)
            slot.process.kill()

    def _can_write(self) -> bool:
        """A full runtime directory silences healthy workers too."""
        status = os.statvfs(self.runtime)
        return status.f_bavail * status.f_frsize > 65536

    def _follow_config(self) -> None:
        seen = self._signature()
        if seen == self._config_seen and not self.reload_due:
            return
        self._config_seen = seen
        self.reload_due = False
        try:
            new = load(self.config)
        except ConfigError:
            return  # every worker says why, and keeps the old one
        old, self.file = self.file, new
        if needs_new_process(old, new):
            self._replace_workers()

    def _replace_workers(self) -> None:
        """One by one: the new one listens before the old one leaves."""
        log.info("the school file changed what only new workers can follow: they are replaced one by one")
        wanted = worker_count(self.file)
        for slot in self.slots[wanted:]:
            self._stop([slot])
        self.slots = self.slots[:wanted]
        for slot in self.slots:
            old = slot.process
            self.start(slot)
            if self.wait_until_ready([slot]):
                log.error("the new worker does not start; the old one stays")
                if slot.process is not None:
                    slot.process.kill()
                    slot.process.wait()
                slot.process = old
                return
            if old is not None:
                _end(old)
        for index in range(len(self.slots), wanted):
            self.slots.append(Slot(index))
            self.start(self.slots[-1])

    def signal(self, number: int) -> None:
        for slot in self.slots:
            if slot.process is not None and slot.alive():
                slot.process.send_signal(number)

    def stop(self) -> None:
        self._stop(self.slots)
        forget_reports(self.runtime)

    def _stop(self, slots: list[Slot]) -> None:
        processes = [slot.process for slot in slots if slot.process is not None]
        for process in processes:
            if process.poll() is None:
                process.terminate()
        for process in processes:
            _wait(process)

    def _signature(self) -> tuple[int, int] | None:
        try:
            status = self.config.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino


def run(
    config: Path,
    *,
    starter: Path,
    metrics: str | None,
    texts: Mapping[str, str],
    runtime: Path,
    control: Sequence[str] = (),
    on_ready: Callable[[], None] | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT. -> the exit code: 0, 1 where a worker cannot start, 2 for a bad school file.

    ``control``: the command that keeps the lists up to date; empty: somebody else starts it, or nobody.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        runtime.mkdir(mode=0o750, parents=True, exist_ok=True)
        supervisor = Supervisor(config, starter, texts, runtime, with_metrics=metrics is not None)
        supervisor.companion = Companion(control) if control else None
    except ConfigError as error:
        log.critical("%s", error)
        return BAD_CONFIG
    except OSError as error:
        log.critical("cannot start: %s", error)
        return 1
    return _supervise(supervisor, metrics, on_ready)


def _supervise(supervisor: Supervisor, metrics: str | None, on_ready: Callable[[], None] | None) -> int:
    def leave(number: int, frame: object) -> None:  # noqa: ARG001 - signal's signature
        supervisor.stopping = True

    def reload(number: int, frame: object) -> None:  # noqa: ARG001
        supervisor.reload_due = True
        supervisor.signal(signal.SIGHUP)

    endpoint = None
    try:
        endpoint = _metrics_endpoint(supervisor, metrics)
        supervisor.start_all()
        signal.signal(signal.SIGTERM, leave)
        signal.signal(signal.SIGINT, leave)
        signal.signal(signal.SIGHUP, reload)
        code = supervisor.wait_until_ready(supervisor.slots)
        if code:
            return code
        supervisor.relieve_orphans()
        if on_ready is not None and not supervisor.stopping:
            on_ready()
        while not supervisor.stopping:
            supervisor.look_after()
            if supervisor.companion is not None:
                supervisor.companion.look_after()
            time.sleep(LOOK_EVERY)
    except OSError as error:
        log.critical("cannot start: %s", error)
        return 1
    finally:
        if supervisor.companion is not None:
            supervisor.companion.stop()
        supervisor.stop()
        if endpoint is not None:
            endpoint.close()
    return 0


def _metrics_endpoint(supervisor: Supervisor, metrics: str | None) -> "Endpoint | None":
    if metrics is None or supervisor.metrics is None:
        return None
    from gateway.list_freshness import samples  # noqa: PLC0415 - as the next
    from gateway.metrics import Supervision, prepare, serve  # noqa: PLC0415 - prometheus-client, only where it is wanted

    prepare(supervisor.metrics)

    def supervision() -> Supervision:
        return Supervision(sum(slot.alive() for slot in supervisor.slots), supervisor.restarts)

    return serve(metrics, supervisor.metrics, supervision, lambda: samples(supervisor.file.lists.directory))


def worker_count(file: SchoolFile) -> int:
    """``dns.workers``, or one for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if file.dns.workers == "auto" else file.dns.workers


def needs_new_process(old: SchoolFile, new: SchoolFile) -> bool:
    """Whether a running worker cannot follow this change by itself."""
    parts = ("listen", "workers", "tls", "limits", "cache")
    return any(getattr(old.dns, part) != getattr(new.dns, part) for part in parts)


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
    _wait(process)


def _wait(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(STOP_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

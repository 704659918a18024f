"""A running resolver: started, asked, watched and stopped."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import dns.message
import dns.query
import dns.rcode

from tests.bench.processes import children, free_port
from tests.end_to_end.school import CHECKOUT, COMMAND, PUPIL, TEACHER, School
from tests.end_to_end.waiting import DEADLINE, T, eventually

BLOCKED, ALLOWED = "casino.example", "bao.example"
"""gambling in LISTS; a name that no list has"""


class Box:
    """``manglanh resolver`` for a school. As a context manager it is ready when the block begins and gone when it ends."""

    def __init__(self, school: School, *, prefix: tuple[str, ...] = (), environment: Mapping[str, str] | None = None) -> None:
        self.school = school
        self._log_file = school.directory / "resolver.log"
        self._prefix = prefix
        self._environment = {**os.environ, "RUNTIME_DIRECTORY": str(school.directory / "run"), **(environment or {})}
        self._metrics_port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self):
        self.start()
        try:
            eventually(self.is_ready, "the first answer")
        except AssertionError as error:
            self.stop()
            raise AssertionError(f"{error}; the log says:\n{self.log}") from None
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        words = ("resolver", "--config", str(self.school.file), "--metrics", f"127.0.0.1:{self._metrics_port}")
        with self._log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._prefix, *COMMAND, *words], cwd=CHECKOUT, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def is_ready(self) -> bool:
        assert self._running().poll() is None, f"ended; the log says:\n{self.log}"
        return self.answers(TEACHER)

    def stop(self) -> int:
        """SIGTERM; the exit code. A process that does not leave is killed and the test fails."""
        process = self._running()
        if process.poll() is not None:
            return process.returncode
        below = self.workers()
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(15)
        except subprocess.TimeoutExpired:
            for pid in [process.pid, *below]:
                os.kill(pid, signal.SIGKILL)
            process.wait()
            raise AssertionError(f"did not stop; the log says:\n{self.log}") from None

    def _running(self) -> "subprocess.Popen[bytes]":
        assert self.process is not None
        return self.process

    @property
    def pid(self) -> int:
        return self._running().pid

    def wait(self) -> int:
        """The exit code of a process that is leaving by itself."""
        return self._running().wait(15)

    @property
    def log(self) -> str:
        return self._log_file.read_text(errors="replace") if self._log_file.exists() else ""

    def workers(self) -> list[int]:
        """The processes below the first one, or that one where it works by itself."""
        pid = self._running().pid
        return children(pid) or [pid]

    def reload(self) -> None:
        self._running().send_signal(signal.SIGHUP)

    # ---- asking ----

    def ask(
        self, name: str, qtype: str = "A", *, source: str = PUPIL, timeout: float = 2.0, tcp: bool = False, **options: Any
    ) -> dns.message.Message:
        """One answer. ``options`` are dns.message.make_query's. Raises dns.exception.Timeout."""
        query = dns.message.make_query(name, qtype, **options)
        send = dns.query.tcp if tcp else dns.query.udp
        return send(query, "127.0.0.1", port=self.school.port, source=source, timeout=timeout)

    def rcode(self, name: str, qtype: str = "A", *, source: str = PUPIL) -> str:
        return dns.rcode.to_text(self.ask(name, qtype, source=source).rcode())

    def answers(self, source: str, name: str = ALLOWED, timeout: float = 0.3) -> bool:
        """Whether anything comes back, from a socket of its own."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
            datagram.bind((source, 0))
            datagram.connect(("127.0.0.1", self.school.port))
            datagram.settimeout(timeout)
            try:
                datagram.send(dns.message.make_query(name, "A").to_wire())
                return bool(datagram.recv(4096))
            except (TimeoutError, ConnectionRefusedError):
                return False

    def await_rcode(self, name: str, rcode: str, *, source: str = PUPIL, seconds: float = 10) -> None:
        """Asks until the answer is ``rcode``; every query on the way must be answered."""
        eventually(lambda: self.rcode(name, source=source) == rcode, f"{name} is {rcode}", seconds)

    def metric(self, name: str) -> float | None:
        """The sum of a metric's samples, or None where it is not shown."""
        try:
            with urlopen(f"http://127.0.0.1:{self._metrics_port}/metrics", timeout=5) as page:
                text = page.read().decode()
        except OSError:
            return None
        values = re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE)
        return sum(map(float, values)) if values else None

    def await_metric(self, name: str, value: float) -> None:
        eventually(lambda: self.metric(name) == value, f"{name} is {value:g}")

    def await_metric_above(self, name: str, value: float) -> None:
        eventually(lambda: (self.metric(name) or 0) > value, f"{name} is above {value:g}")

    def wait_until(self, check: Callable[[], T], what: str, seconds: float = DEADLINE) -> T:
        return eventually(check, what, seconds)

    def await_log(self, text: str) -> None:
        eventually(lambda: text in self.log, f"the log says {text!r}")

    # ---- changing ----

    def write_state(self, **fields: Any) -> None:
        """Replaces state.json in one step, as ``manglanh mode`` does."""
        write_state(self.school.state, **fields)


def write_state(path: Path, **fields: Any) -> None:
    generation = json.loads(path.read_text())["generation"] + 1 if path.exists() else 1
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"generation": generation, "written_at": time.time(), **fields}))
    new.replace(path)


def override(group: str, mode: str, *, since: float, until: float) -> dict[str, Any]:
    return {"group": group, "mode": mode, "since": since, "until": until, "by": "thử nghiệm", "reason": "kiểm tra"}


def run(*words: str, timeout: float = 30, code: int = 0) -> str:
    """A real client, run to its end, which has to be ``code``; all that it printed. A client that is not installed is an error, not a skip."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == code, f"{' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr

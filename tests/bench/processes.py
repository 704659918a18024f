"""Processes of a benchmark: started on one core, measured through /proc, stopped by their own ids.

Promises that nothing outlives its ``with`` block and that a server which does not come up is an error with its own
words in it, not a hang. Linux only.
"""

import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

STOP_SECONDS = 20.0
PROBE_TIMEOUT = 0.05


class NotRunning(Exception):
    """A server ended, or did not answer in time."""


@dataclass(frozen=True)
class Memory:
    """Bytes, summed over a server's processes; ``largest`` is the PSS of its largest one."""

    rss: int
    pss: int
    anonymous: int
    largest: int


@dataclass(frozen=True)
class Running:
    process: "subprocess.Popen[bytes]"
    port: int
    log: Path
    started_at: float
    """time.monotonic() just before the program was executed"""

    def pids(self) -> list[int]:
        """The process and all below it that still live."""
        found = [self.process.pid]
        for pid in found:
            found.extend(children(pid))
        return found


def children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found.extend(int(word) for word in task.read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def cores() -> tuple[int, int]:
    """The core of the servers and the core of load and upstream; on a machine with one core they are the same."""
    allowed = sorted(os.sched_getaffinity(0) | set(range(os.cpu_count() or 1)))
    return allowed[0], allowed[1] if len(allowed) > 1 else allowed[0]


def free_port() -> int:
    """A loopback port that nothing uses now, for UDP and TCP alike."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
            stream.bind(("127.0.0.1", 0))
            port: int = stream.getsockname()[1]
            try:
                datagram.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@contextmanager
def running(
    command: Sequence[str | Path], *, port: int, log: Path, core: int | None, environment: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Runs ``command`` (pinned to ``core``; None: wherever the kernel likes) until the block ends."""
    pinned = ["taskset", "-c", str(core)] if core is not None else ["taskset", "-c", f"0-{(os.cpu_count() or 1) - 1}"]
    with log.open("ab") as output:
        started_at = time.monotonic()
        process = subprocess.Popen(
            [*pinned, *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    try:
        yield Running(process, port, log, started_at)
    finally:
        stop(process)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Asks, then insists; the children of a killed parent are ended too."""
    if process.poll() is not None:
        return
    below = children(process.pid)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        for pid in below:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def question(name: str, qtype: int = 1, query_id: int = 0x4D4C) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", query_id, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", qtype, 1)


def ask(port: int, name: str, *, timeout: float = PROBE_TIMEOUT, source: str = "127.0.0.1") -> int | None:
    """The rcode of one answer; None: no answer in time, or nobody listens yet."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        datagram.bind((source, 0))
        datagram.connect(("127.0.0.1", port))
        datagram.settimeout(timeout)
        try:
            datagram.send(question(name))
            answer = datagram.recv(4096)
        except (TimeoutError, ConnectionRefusedError):
            return None
    return answer[3] & 15


def await_rcode(server: Running, name: str, rcode: int, seconds: float) -> float:
    """Asks until the answer has ``rcode``; returns the seconds since the server's start. Raises NotRunning."""
    deadline = time.monotonic() + seconds
    while (now := time.monotonic()) < deadline:
        if ask(server.port, name) == rcode:
            return time.monotonic() - server.started_at
        if server.process.poll() is not None:
            raise NotRunning(f"ended with {server.process.returncode}: {tail(server.log)}")
        time.sleep(max(0.0, min(0.002, deadline - now)))
    raise NotRunning(f"no right answer in {seconds:.0f} s: {tail(server.log)}")


def tail(log: Path, size: int = 600) -> str:
    return log.read_bytes()[-size:].decode(errors="replace").strip()


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time of the processes so far, in seconds (to the clock tick: 10 ms)."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory(pids: Sequence[int]) -> Memory:
    rolled = [_rollup(pid) for pid in pids]
    return Memory(
        rss=sum(each.get("Rss", 0) for each in rolled),
        pss=sum(each.get("Pss", 0) for each in rolled),
        anonymous=sum(each.get("Anonymous", 0) for each in rolled),
        largest=max((each.get("Pss", 0) for each in rolled), default=0),
    )


def _rollup(pid: int) -> dict[str, int]:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return {key: int(rest.split()[0]) * 1024 for key, _, rest in (line.partition(":") for line in lines)}


def forget_peak(pids: Sequence[int]) -> None:
    """Resets the high-water mark that ``peak`` reads (proc(5), clear_refs)."""
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak(pids: Sequence[int]) -> int:
    """The sum of the processes' largest resident sizes since ``forget_peak``, in bytes."""
    return sum(_status(pid, "VmHWM") for pid in pids)


def resident(pids: Sequence[int]) -> int:
    return sum(_status(pid, "VmRSS") for pid in pids)


def _status(pid: int, key: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:")), 0)


def version(command: Sequence[str]) -> str:
    """A program's version number, or '' where it is not installed."""
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    found = re.search(r"\d+\.\d+(\.\d+)*", done.stdout + done.stderr)
    return found.group() if found else "unknown"

"""Compiling the public sources on this box, in a process of its own. [shell: processes]

Its memory is given back when it ends, and answering comes first: it runs only when nobody else wants the processor or the disk, and is the
first to go when memory runs out.
"""

import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

NICE = 15
EXPENDABLE = b"800"
"""for /proc/PID/oom_score_adj, which goes to 1000"""
LONGEST = 3600.0
"""seconds"""


class Compilation:
    """One run of `manglanh lists compile`, begun when it is made."""

    def __init__(self, out: Path, sources: Path | None) -> None:
        """Raises OSError."""
        command = [sys.executable, "-m", "gateway.cli", "--language", "en", "lists", "compile", "--out", str(out)]
        if sources is not None:
            command += ["--sources", str(sources)]
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - it lasts as long as the process
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._said)  # noqa: S603 - our own module
        _step_back(self._process.pid)

    def ended(self) -> bool:
        return self._process.poll() is not None

    def result(self, seconds: float = LONGEST) -> str:
        """Wait for the end, at most so long. -> why it failed; empty: it did not."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.stop()
            return f"not finished after {seconds:.0f} seconds"
        self._said.seek(0)
        text = self._said.read(65536).decode(errors="replace").strip()
        self._said.close()
        return (text or f"ended with code {code}") if code else ""

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def _step_back(pid: int) -> None:
    """Not a right that every place gives, and no reason to fail."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, NICE)
    with suppress(OSError):
        os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))  # the kernel takes the disk's priority from this one
    with suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_bytes(EXPENDABLE)

"""A process beside the workers that the box can do without: started again when it falls, never waited for.  [shell: processes]"""

import logging
import os
import subprocess
import time
from collections.abc import Sequence

log = logging.getLogger("manglanh.supervisor")

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
STABLE = 60.0
"""seconds after which a start counts as good"""
STOP_WITHIN = 2.0
REFUSED = 2
"""the exit code of a bad configuration: trying again helps nobody before the file changes, and the resolver says what is wrong"""


class Companion:
    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self.process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._start_at = 0.0
        self._failures = 0

    def look_after(self) -> None:
        """One look: start it, or start it again once its pause is over."""
        now = time.monotonic()
        if self.process is not None and self.process.poll() is not None:
            self._fell(now, self.process.returncode)
        if self.process is None and now >= self._start_at:
            self._started_at = now
            try:
                self.process = subprocess.Popen(self._command, env={**os.environ, "MALLOC_ARENA_MAX": "1"})  # noqa: S603 - our own module
            except OSError as error:
                log.error("the control process cannot be started: %s", error)
                self._fell(now, 1)

    def _fell(self, now: float, code: int) -> None:
        self._failures = 0 if now - self._started_at >= STABLE else self._failures + 1
        pause = LONGEST_PAUSE if code == REFUSED else min(FIRST_PAUSE * 2.0 ** min(self._failures - 1, 8), LONGEST_PAUSE)
        log.error("the control process ended with code %d; back in %.0f s. DNS is not affected", code, pause)
        self.process, self._start_at = None, now + pause

    def stop(self) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

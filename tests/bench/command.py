"""One command as a process of its own, with what it took: ``run(["manglanh", "publish", "stage"])``.

Promises: the peak is the command's alone (and its children's). A process that was forked from a large one inherits its high-water
mark, so a small one stands between: ``python -m tests.bench.command WORD ...`` runs the words and says what they took.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.servers import CHECKOUT

LONGEST = 600.0


@dataclass(frozen=True)
class Taken:
    seconds: float
    cpu: float
    """seconds of user and system time"""
    peak: int
    """bytes that were resident at once, mapped files included"""
    output: str
    started_at: float
    """time.monotonic() just before the program was executed"""


class CommandFailed(Exception):
    """The command's own words."""


def run(words: Sequence[str | Path], *, core: int | None = None, seconds: float = LONGEST) -> Taken:
    """Run and wait. ``core``: the only one it may use; None: any. Raises CommandFailed, TimeoutExpired."""
    cores = str(core) if core is not None else f"0-{(os.cpu_count() or 1) - 1}"
    pinned = ["taskset", "-c", cores, sys.executable, "-m", "tests.bench.command", *map(str, words)]
    done = subprocess.run(pinned, cwd=CHECKOUT, capture_output=True, text=True, timeout=seconds, check=False)
    if done.returncode:
        raise CommandFailed(f"{' '.join(map(str, words))}: {done.stderr}")
    return Taken(**json.loads(done.stdout))


def main(words: Sequence[str]) -> int:
    began = time.monotonic()
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        print(f"ended with {done.returncode}: {done.stdout}{done.stderr}", file=sys.stderr)
        return 1
    taken = {"seconds": seconds, "cpu": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss * 1024, "started_at": began}
    print(json.dumps(taken | {"output": done.stdout}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Many schools on one machine: ``python -m tests.bench.schools SPEC`` follows a publisher until its process group is ended.

A simulated school is the real code upon files of its own, in two processes, as in life: gateway/cli/follower.py, which polls, verifies,
composes and swaps ``current``; and gateway/live.py, which looks at ``current`` once a second as a worker does, opens what is new and is then
asked for the name. Processes are forked from one that has read the program, so two hundred schools fit a memory; the unpacked base is
the same file for all.

They do not fit two cores: when all update in the same second they wait for one another, as real schools do not. The kernel counts that
waiting (proc(5), schedstat: time spent runnable on a run queue), so each school says both when it blocked and for how long it had waited
for a core on the way. Where that cannot be told apart from waiting after the swap, less is counted and not more. Schools are nice(10), so that
publisher, web server and real resolvers do not wait for them.

Prints ``{"ready": 1}`` for each school that has polled once; ``{"changed": N, "school", "queued"}`` when its control process has made the
N-th change; and ``{"name", "school", "at", "queued"}`` when its worker blocks a name: ``at`` is time.monotonic(), one clock for
all processes of a machine, ``queued`` the seconds of that process.
"""

import asyncio
import json
import logging
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from blocklists.box.update import Outcome
from blocklists.install import CURRENT
from gateway.cli.follower import Follower
from gateway.clock import Clock
from gateway.live import Live

LOOK = 1.0
"""seconds between two looks of a worker at ``current``"""
NICE = 10


@dataclass(frozen=True)
class Spec:
    configs: Sequence[str]
    """school files"""
    starter: str
    """a bundle for a school that has none"""
    poll: float
    """seconds"""
    names: Sequence[str]
    """what is to become blocked, in this order"""

    def write(self, path: Path) -> Path:
        path.write_text(json.dumps(asdict(self)))
        return path


def queued() -> float:
    """Seconds for which threads of this process could have run and waited for a core; 0 where the kernel does not say."""
    found = 0
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # a thread that has just ended
            found += int((task / "schedstat").read_text().split()[1])
    return found / 1e9


class Control(Follower):
    """The control process of one school. ``once`` runs in its only lasting thread."""

    def __init__(self, number: int, config: Path) -> None:
        super().__init__(config)
        self._number = number
        self._polls = self._changes = 0
        self._waited = queued()

    def once(self) -> Outcome:
        outcome = super().once()
        self._polls += 1
        now = queued()
        if self._polls == 1:
            say({"ready": 1})
        elif outcome.changed:
            self._changes += 1
            swapped = (self.setting.file.lists.directory / CURRENT).lstat().st_mtime
            after = max(time.time() - swapped, 0.0)
            say({"changed": self._changes, "school": self._number, "queued": max(now - self._waited - after, 0.0)})
        self._waited = now
        return outcome


async def serve(number: int, live: Live, names: Sequence[str]) -> None:
    """The worker, as far as lists go: ``Live.watch`` without what has nothing to do with them."""
    left = list(names)
    await asyncio.sleep(random.uniform(0, LOOK))
    waited = queued()
    while left:
        await live.follow_lists()
        while left and live.index.lookup(left[0]):
            say({"name": left.pop(0), "school": number, "at": time.monotonic(), "queued": queued() - waited})
        waited = queued()
        await asyncio.sleep(LOOK)


def _changed(*, identities: bool) -> None:
    pass


def say(line: Mapping[str, object]) -> None:
    """In one piece, whichever processes share the pipe (pipe(7), PIPE_BUF)."""
    os.write(sys.stdout.fileno(), f"{json.dumps(line)}\n".encode())


def be_control(number: int, config: Path, spec: Spec) -> None:
    """Begins at a moment of its own, as schools do, and never ends."""
    control = Control(number, config)
    time.sleep(random.uniform(0, spec.poll))
    control.run(threading.Event(), spec.poll)


def be_worker(number: int, config: Path, spec: Spec) -> None:
    live = Live(config, Path(spec.starter), Clock(), time.monotonic, _changed)
    asyncio.run(serve(number, live, spec.names))
    threading.Event().wait()


def _forked(be: Callable[[int, Path, Spec], None], number: int, config: Path, spec: Spec) -> None:
    if os.fork():
        return
    try:
        os.nice(NICE)
        random.seed(f"{be.__name__} {number}")
        be(number, config, spec)
    finally:
        os._exit(1)


def main(path: str) -> None:
    logging.disable()
    spec = Spec(**json.loads(Path(path).read_text()))
    for number, config in enumerate(spec.configs):
        for be in (be_control, be_worker):
            _forked(be, number, Path(config), spec)
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])

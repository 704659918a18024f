"""What every measure of one run shares: the names, the questions, the programs, the cores, and where results go."""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.bench import load, names, processes, servers


@dataclass(frozen=True)
class Result:
    """One number of one round. ``case`` tells apart what one measure varies: EDNS, a size, a number of groups."""

    measure: str
    server: str
    value: float
    unit: str
    round: int = 0
    case: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    directory: Path
    programs: Mapping[str, Path]
    kinds: Sequence[servers.Kind]
    rounds: int
    seconds: float
    """of each load"""
    quick: bool
    popular: Sequence[str]
    blocked: Sequence[str]
    results: Path
    """JSON lines"""
    upstream_port: int

    @property
    def server_core(self) -> int:
        return processes.cores()[0]

    @property
    def load_core(self) -> int:
        return processes.cores()[1]

    @property
    def questions(self) -> Path:
        """The mix of popular and blocked names."""
        return self.directory / "mix.txt"

    @property
    def popular_questions(self) -> Path:
        return self.directory / "popular.txt"

    @property
    def names_file(self) -> Path:
        return self.directory / "names.txt"

    @property
    def bundle(self) -> Path:
        return self.directory / "bundle"

    def record(self, result: Result) -> None:
        with self.results.open("a") as lines:
            lines.write(json.dumps(asdict(result), ensure_ascii=False) + "\n")
        case = f" [{result.case}]" if result.case else ""
        self.say(f"{result.measure}{case}, round {result.round}: {result.server}: {result.value:,.4g} {result.unit}")

    def say(self, text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

    def place(self, kind: servers.Kind, **changes: Any) -> servers.Place:
        directory = self.directory / f"{kind.name}-{time.monotonic_ns()}"
        ours: dict[str, Any] = {"names": self.names_file, "bundle": self.bundle, "responder": self.programs["authority"], **changes}
        return servers.Place(directory, processes.free_port(), self.upstream_port, **ours)

    def run(self, server: servers.Server, work: load.Load) -> Mapping[str, Any]:
        """What dnsload says, and ``cpu_us``: the server's own CPU time per answer, in microseconds."""
        before = processes.cpu_seconds(server.running.pids())
        result = load.run(self.programs["dnsload"], server.place.port, self.load_core, work)
        used = processes.cpu_seconds(server.running.pids()) - before
        return {**result, "cpu_us": used / max(result["answered"], 1) * 1e6}

    @property
    def our_kinds(self) -> list[servers.Kind]:
        return [kind for kind in self.kinds if kind.ours]


def prepare(setting: Setting) -> None:
    """Writes names and questions, and compiles our bundle where ours takes part."""
    names.write_lines(setting.names_file, setting.blocked)
    names.write_lines(setting.questions, names.mix(setting.popular, setting.blocked))
    names.write_lines(setting.popular_questions, (f"{name} A" for name in setting.popular))
    if setting.our_kinds:
        seconds = servers.compile_bundle(setting.names_file, setting.bundle)
        setting.record(Result("compile", "ours", seconds, "s", case=f"{len(setting.blocked):,} names"))


@contextmanager
def upstream(program: Path, directory: Path) -> Iterator[int]:
    """The upstream, beside the load on its core; yields its port."""
    port = processes.free_port()
    command = [str(program), f"--port={port}"]
    with processes.running(command, port=port, log=directory / "upstream.log", core=processes.cores()[1]) as running:
        processes.await_rcode(running, "example.com", 0, 10)
        yield port


@contextmanager
def fleet(setting: Setting) -> Iterator[list[servers.Server]]:
    """Every server at once, so that rounds can alternate; one that does not start is said and left out."""
    with ExitStack() as stack:
        started = []
        for kind in setting.kinds:
            try:
                started.append(stack.enter_context(serving(setting, kind)))
            except processes.NotRunning as error:
                setting.say(f"{kind.title} does not start and is left out: {error}")
        yield started


def serving(
    setting: Setting, kind: servers.Kind, *, pinned: bool = True, blocked: str = "", **changes: Any
) -> AbstractContextManager[servers.Server]:
    """One server on the servers' core (``pinned`` False: on any); ``changes`` are fields of its Place."""
    core = setting.server_core if pinned else None
    return servers.serving(kind, setting.place(kind, **changes), core, blocked or setting.blocked[0])

"""The load generator and the upstream (C, built here with cc) as Python calls."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).resolve().parent
PROGRAMS = ("dnsload", "authority")
CLIENTS = "127.1.0.1"
"""the first address from which load comes; each socket has its own, as a school's devices do"""


@dataclass(frozen=True)
class Load:
    """One run of dnsload; see its usage. ``rate`` 0: closed loop."""

    queries: Path
    seconds: float
    window: int = 32
    sockets: int = 8
    rate: float = 0
    edns: int = 0
    unique: str = ""
    timeline_ms: int = 0
    timeout: float = 1.0

    def arguments(self) -> list[str]:
        """As dnsload reads them."""
        words = [f"--queries={self.queries}", f"--seconds={self.seconds}", f"--window={self.window}", f"--sockets={self.sockets}"]
        words += [f"--source={CLIENTS}", f"--edns={self.edns}", f"--timeout={self.timeout}"]
        words += [f"--rate={self.rate}"] if self.rate else []
        words += [f"--unique={self.unique}"] if self.unique else []
        words += [f"--timeline={self.timeline_ms}"] if self.timeline_ms else []
        return words


def build(directory: Path) -> dict[str, Path]:
    """Compiles the programs into ``directory``. Raises CalledProcessError with the compiler's words on standard error."""
    for program in PROGRAMS:
        source = SOURCES / f"{program}.c"
        subprocess.run(["cc", "-O2", "-std=gnu17", "-Wall", "-Wextra", "-o", directory / program, source, "-lm"], check=True)
    return {program: directory / program for program in PROGRAMS}


def start(program: Path, port: int, core: int, load: Load) -> "subprocess.Popen[str]":
    command = ["taskset", "-c", str(core), str(program), "--server=127.0.0.1", f"--port={port}", *load.arguments()]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finish(process: "subprocess.Popen[str]", seconds: float) -> Mapping[str, Any]:
    """The result of a load that runs for ``seconds``; ends it where it does not end by itself."""
    try:
        output, _ = process.communicate(timeout=seconds + 30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    if process.returncode:
        raise RuntimeError(f"dnsload ended with {process.returncode}")
    result: Mapping[str, Any] = json.loads(output)
    return result


def run(program: Path, port: int, core: int, load: Load) -> Mapping[str, Any]:
    return finish(start(program, port, core, load), load.seconds)

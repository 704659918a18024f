"""``python -m tests.bench``: measures ours and its peers side by side and writes docs/benchmarks.md.

Everything it makes lies in a temporary directory, but for ``bench-results/`` (JSON lines) and the page. A peer that is
not installed is said and left out.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench import load, names, nginx, origin, processes, report, servers
from tests.bench.changes import measure_overlay, measure_swap, measure_switch
from tests.bench.dashboard import measure_pages
from tests.bench.delay import measure_delay
from tests.bench.machine import describe
from tests.bench.province import first_release, measure_compile, province
from tests.bench.scale import measure_scale
from tests.bench.setting import Setting, prepare, upstream
from tests.bench.throughput import measure_fleet, measure_start
from tests.bench.transfer import measure_transfer

PUBLISHING = ("compile", "transfer", "delay")
"""a province's lists: compiled, fetched, in force; ``transfer`` and ``delay`` are also what docs/scale.md is reckoned from"""
MEASURES = ("warm", "upstream", "memory", "start", "switch", "swap", "overlay", "scale", "pages", *PUBLISHING)
QUICK_NAMES = 50_000
TITLES = {kind.name: kind.title for kind in servers.KINDS}


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="short loads, two rounds and few names: does it work?")
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(MEASURES), help="of " + ",".join(MEASURES))
    parser.add_argument("--servers", type=lambda text: text.split(","), default=list(TITLES), help="of " + ",".join(TITLES))
    parser.add_argument("--rounds", type=int, help="default 5")
    parser.add_argument("--seconds", type=float, help="of each load; default 5")
    parser.add_argument("--names", type=int, help="how many blocked names; default: the real lists, or a million made-up ones")
    parser.add_argument("--out", type=Path, help="where to write the page, for example docs/benchmarks.md")
    parser.add_argument("--scale", type=Path, help="whose measured part to write anew: docs/scale.md")
    parser.add_argument("--report", type=Path, help="measure nothing: write the page from these JSON lines")
    read = parser.parse_args(words)
    unknown = {*read.only} - {*MEASURES} | {*read.servers} - {*TITLES}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    read.rounds = read.rounds or (2 if read.quick else 5)
    read.seconds = read.seconds or (1.0 if read.quick else 5.0)
    read.names = read.names or (QUICK_NAMES if read.quick else None)
    return read


def installed(wanted: Sequence[str]) -> list[servers.Kind]:
    kinds = []
    for kind in servers.KINDS:
        if kind.name in wanted and kind.version():
            kinds.append(kind)
        elif kind.name in wanted:
            print(f"{kind.title}: not installed here, left out", file=sys.stderr)
    return kinds


def measure(setting: Setting, only: Sequence[str]) -> None:
    if {*only} - {*PUBLISHING}:
        prepare(setting)
    if {"warm", "upstream", "memory"} & {*only}:
        measure_fleet(setting, warm="warm" in only, memory="memory" in only, upstream="upstream" in only)
    for name, take in (
        ("start", measure_start),
        ("switch", measure_switch),
        ("swap", measure_swap),
        ("overlay", measure_overlay),
        ("scale", measure_scale),
        ("pages", measure_pages),
    ):
        if name in only:
            take(setting)
    if {*PUBLISHING} & {*only}:
        measure_publishing(setting, only)


def measure_publishing(setting: Setting, only: Sequence[str]) -> None:
    """One province for all: each measure begins where the one before it left off."""
    if not nginx.version():
        setting.say("nginx: not installed here, so nothing of a province's lists is measured")
        return
    with province(setting) as found:
        if "compile" in only:
            measure_compile(setting, found)
        first_release(setting, found, measured="compile" in only)
        if {"transfer", "delay"} & {*only}:
            ours = measure_transfer(setting, found)
            if "delay" in only:
                measure_delay(setting, found, ours)


def run(options: argparse.Namespace) -> Path:
    """Measures; returns the file of JSON lines."""
    kinds = installed(options.servers)
    results = servers.CHECKOUT / "bench-results" / f"{time.strftime('%Y%m%d-%H%M%S')}.jsonl"
    results.parent.mkdir(exist_ok=True)
    popular = names.popular_names()
    blocked = names.blocked_names(options.names, popular)
    listed = {"blocked names": f"{len(blocked):,}", "rounds": str(options.rounds), "seconds a load": f"{options.seconds:g}"}
    command = {"command": " ".join(["python -m tests.bench", *sys.argv[1:]])}
    results.write_text(json.dumps({"machine": describe(kinds) | listed | command}) + "\n")
    os.sched_setaffinity(0, {processes.cores()[1]})
    with tempfile.TemporaryDirectory(prefix="manglanh-bench-") as temporary:
        directory = Path(temporary)
        programs = load.build(directory)
        with upstream(programs["authority"], directory) as port:
            setting = Setting(directory, programs, kinds, options.rounds, options.seconds, options.quick, popular, blocked, results, port)
            measure(setting, options.only)
    return results


def main() -> int:
    options = arguments()
    results = options.report or run(options)
    machine, found = report.read(results.read_text().splitlines())
    page = report.markdown(machine, found, TITLES)
    if options.scale:
        options.scale.write_text(origin.rewritten(options.scale.read_text(), origin.measured(found)))
    if options.out:
        options.out.write_text(page)
    else:
        print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())

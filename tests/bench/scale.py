"""How ours grows: from ten thousand to five million names, from 1 to 500 groups, from 1 to 2 workers."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.bench import names, processes, servers
from tests.bench.load import Load
from tests.bench.setting import Result, Setting, serving

SIZES = (10_000, 100_000, 1_000_000, 5_000_000)
QUICK_SIZES = (10_000, 50_000)
GROUPS = (1, 10, 100, 500)
WORKERS = (1, 2)


def measure_scale(setting: Setting) -> None:
    if not setting.our_kinds:
        return
    for size in QUICK_SIZES if setting.quick else SIZES:
        _names(setting, size)
    for kind in setting.our_kinds:
        for count in GROUPS:
            with serving(setting, kind, groups=_groups(count)) as server:
                _record(setting, server, f"{count} groups", Load(setting.questions, setting.seconds, window=_window(count), sockets=count))
        for workers in WORKERS:
            with serving(setting, kind, pinned=False, workers=workers) as server:
                _record(setting, server, f"{workers} workers, not pinned", Load(setting.questions, setting.seconds, sockets=64, window=8))


def _names(setting: Setting, size: int) -> None:
    case = f"{size:,} names"
    listed = names.blocked_names(size, setting.popular)
    path = names.write_lines(setting.directory / f"names-{size}.txt", listed)
    questions = names.write_lines(setting.directory / f"mix-{size}.txt", names.mix(setting.popular, listed))
    lists = setting.directory / f"bundle-{size}"
    setting.record(Result("compile", "ours", servers.compile_bundle(path, lists), "s", case=case))
    bundle = sum(file.stat().st_size for file in (lists / "current").resolve().iterdir())
    setting.record(Result("bundle", "ours", bundle / 1e6, "MB", case=case))
    timed = _time_lookups(setting, lists, path)
    for key in ("hit_us", "below_us", "miss_us"):
        setting.record(Result("lookup", "ours", timed[key], "us", case=f"{case}, {key.removesuffix('_us')}", detail=timed))
    for kind in setting.our_kinds:
        with serving(setting, kind, blocked=listed[0], bundle=lists) as server:
            _record(setting, server, case, Load(questions, setting.seconds))


def _time_lookups(setting: Setting, lists: Path, listed: Path) -> Mapping[str, Any]:
    command: Sequence[str | Path] = ["taskset", "-c", str(setting.server_core), sys.executable, "-m", "tests.bench.lookup", lists, listed]
    done = subprocess.run(command, cwd=servers.CHECKOUT, capture_output=True, text=True, timeout=300, check=True)
    result: Mapping[str, Any] = json.loads(done.stdout)
    return result


def _groups(count: int) -> dict[str, list[str]]:
    """``count`` groups of one address each: those from which dnsload's sockets send; the first has all others too."""
    base = 127 << 24 | 1 << 16 | 1
    groups = {f"lop-{number}": [_dotted(base + number)] for number in range(count)}
    groups["lop-0"].append("127.0.0.0/8")
    return groups


def _dotted(address: int) -> str:
    return ".".join(str(address >> shift & 255) for shift in (24, 16, 8, 0))


def _window(sockets: int) -> int:
    """Some 512 outstanding queries in all, whatever the number of clients."""
    return max(512 // sockets, 1)


def _record(setting: Setting, server: servers.Server, case: str, work: Load) -> None:
    setting.run(server, replace(work, seconds=work.seconds * 2))
    result = setting.run(server, work)
    used = processes.memory(server.running.pids())
    detail = {"lost": result["lost"], "p99_us": result["p99_us"], "start_s": server.ready_after, "pss_mb": used.pss / 1e6}
    detail["worker_pss_mb"] = used.largest / 1e6
    setting.record(Result("scale", server.kind.name, result["qps"], "queries/s", case=case, detail=detail))

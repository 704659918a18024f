"""What a result must say about where it was measured; no paths and no host names."""

import os
import platform
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.servers import CHECKOUT, Kind


def describe(kinds: Sequence[Kind]) -> dict[str, str]:
    memory = int(_field(Path("/proc/meminfo"), "MemTotal").split()[0])
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": _commit(),
        "cpu": _field(Path("/proc/cpuinfo"), "model name") or platform.machine(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory / 1024 / 1024:.0f} GiB",
        "kernel": platform.release().partition("-")[0],
        "system": _field(Path("/etc/os-release"), "PRETTY_NAME", "=").strip('"'),
        "python": platform.python_version(),
    } | {f"version of {kind.name}": kind.version() for kind in kinds if not kind.ours}


def _field(path: Path, key: str, separator: str = ":") -> str:
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.partition(separator)[2].strip() for line in lines if line.partition(separator)[0].strip() == key), "")


def _commit() -> str:
    """The commit, and whether the files differ from it."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=CHECKOUT, capture_output=True, text=True, timeout=30, check=False
    )
    return described.stdout.strip() or "none"

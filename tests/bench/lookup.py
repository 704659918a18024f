"""Times lookups in a bundle in a process of its own: ``python -m tests.bench.lookup LISTS NAMES`` prints JSON."""

import json
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from filters.domain_index import DomainIndex
from tests.bench import processes
from tests.bench.names import SEED

SAMPLE = 20_000
ROUNDS = 5


def best_microseconds(lookup: Callable[[str], object], names: Sequence[str]) -> float:
    """The fastest round's time per name."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for name in names:
            lookup(name)
        best = min(best, time.perf_counter() - began)
    return best / len(names) * 1e6


def main(lists: str, names: str) -> None:
    before = processes.memory([os.getpid()])
    began = time.perf_counter()
    index = DomainIndex.open(Path(lists) / "current")
    opened = time.perf_counter() - began
    after = processes.memory([os.getpid()])
    listed = Path(names).read_text().split()
    hits = random.Random(SEED).sample(listed, min(SAMPLE, len(listed)))
    misses = [f"www.{name.partition('.')[0]}-not-listed.example" for name in hits]
    result = {
        "open_s": opened,
        "hit_us": best_microseconds(index.lookup, hits),
        "below_us": best_microseconds(index.lookup, [f"a.b.{name}" for name in hits]),
        "miss_us": best_microseconds(index.lookup, misses),
        "anonymous": after.anonymous - before.anonymous,
        "pss": processes.memory([os.getpid()]).pss,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])

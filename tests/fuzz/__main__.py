"""``python -m tests.fuzz --packets 1000000 --seed 1 --jobs 2``: exit code 1 if anything was found; findings go to the corpus."""

import argparse
import hashlib
import multiprocessing
import sys
import time
from pathlib import Path

from tests.fuzz.harness import Outcome, run

CORPUS = Path(__file__).parent / "corpus"
_CHUNK = 50_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Send damaged packets through everything that reads packets.")
    parser.add_argument("--packets", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    started = time.monotonic()
    outcome = _run_all(arguments.packets, arguments.seed, arguments.jobs)
    seconds = time.monotonic() - started
    done = sum(outcome.counts.values())
    for word, count in sorted(outcome.counts.items()):
        print(f"{count:>12,}  {word}")
    print(f"{done:>12,}  packets in {seconds:.1f} s ({done / seconds:,.0f}/s), seed {arguments.seed}")
    for name, packet, problem in outcome.findings:
        print(f"FOUND by {name}: {problem}: kept as {_keep(name, packet).name}")
    return 1 if outcome.findings else 0


def _run_all(packets: int, seed: int, jobs: int) -> Outcome:
    """Chunks have their own seeds, so the outcome is the same however many jobs share them."""
    chunks = [(min(_CHUNK, packets - start), seed * 1_000_003 + start) for start in range(0, packets, _CHUNK)]
    if jobs <= 1:
        return sum((run(*chunk) for chunk in chunks), Outcome())
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        return sum(pool.starmap(run, chunks, chunksize=1), Outcome())


def _keep(name: str, packet: bytes) -> Path:
    CORPUS.mkdir(exist_ok=True)
    path = CORPUS / f"{name}-{hashlib.sha256(packet).hexdigest()[:12]}.bin"
    path.write_bytes(packet)
    return path


if __name__ == "__main__":
    sys.exit(main())

"""A short run of the fuzzer, and everything that it ever found, once more."""

from pathlib import Path

import pytest

from tests.fuzz import seeds
from tests.fuzz.harness import TARGETS, Outcome, run
from tests.fuzz.mutate import Mutator

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.bin"))


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_what_was_found_once_stays_mended(path):
    target, _ = TARGETS[path.name.partition("-")[0]]
    assert target(path.read_bytes(), True)


def test_valid_packets_are_taken():
    assert {TARGETS["query"][0](packet, True) for packet in seeds.queries()} == {"query answered"}
    assert {TARGETS["response"][0](packet, True) for packet in seeds.responses()} == {"response forwarded"}


def test_a_short_run_finds_nothing_and_reaches_every_outcome():
    outcome = run(20_000, seed=111)
    assert outcome.findings == []
    assert sum(outcome.counts.values()) == 20_000
    assert outcome.counts.keys() >= {"query answered", "query dropped", "query rcode 1", "query rcode 4", "query rcode 16"}
    assert outcome.counts.keys() >= {"response forwarded", "response refused"}
    assert outcome.counts.keys() >= {"path allow", "path block", "path rewrite", "path refused"}


def test_the_same_seed_gives_the_same_packets():
    streams = [Mutator(seeds.queries(), seed) for seed in (5, 5, 6)]
    one, same, other = ([stream.next() for _ in range(100)] for stream in streams)
    assert one == same != other
    assert run(2_000, seed=5).counts == run(2_000, seed=5).counts


def test_what_a_target_raises_is_a_finding(monkeypatch):
    def careless(packet, thorough):
        raise IndexError(packet[:1])

    monkeypatch.setitem(TARGETS, "query", (careless, seeds.queries))
    outcome = run(1_000, seed=1, most_findings=3)
    assert [name for name, _, _ in outcome.findings] == ["query"] * 3
    assert outcome.findings[0][2].startswith("IndexError")
    assert (outcome + Outcome()).findings == outcome.findings

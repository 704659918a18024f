"""The load generator and the upstream are built and agree with each other; short runs on loopback."""

from collections.abc import Iterator

import pytest

from tests.bench import load, names, processes
from tests.bench.load import Load


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def programs(directory):
    return load.build(directory)


@pytest.fixture(scope="module")
def upstream(programs, directory) -> Iterator[int]:
    port = processes.free_port()
    with processes.running([str(programs["authority"]), f"--port={port}"], port=port, log=directory / "log", core=None) as running:
        processes.await_rcode(running, "example.com", 0, 10)
        yield port


@pytest.fixture
def questions(tmp_path):
    return names.write_lines(tmp_path / "questions", ["example.com A", "www.example.com AAAA", "bad..name A", "example.net NOSUCHTYPE"])


def run(programs, port: int, work: Load):
    return load.run(programs["dnsload"], port, processes.cores()[1], work)


@pytest.mark.parametrize("options", [{}, {"edns": 1232}, {"unique": "u"}, {"sockets": 40, "window": 3}])
def test_a_closed_loop_loses_nothing(programs, upstream, questions, options):
    result = run(programs, upstream, Load(questions, 0.2, **options))
    assert result["answered"] == result["sent"] == result["noerror"] > 100
    assert result["lost"] == 0


def test_an_open_loop_sends_by_the_clock(programs, upstream, questions):
    result = run(programs, upstream, Load(questions, 0.5, rate=2000, window=512, timeline_ms=100))
    assert result["sent"] == result["answered"] == pytest.approx(1000, abs=2)
    assert sum(interval["answered"] for interval in result["timeline"]) == result["answered"]
    assert len(result["timeline"]) == 5


def test_what_nobody_answers_is_lost(programs, questions):
    result = run(programs, processes.free_port(), Load(questions, 0.3, rate=100, window=64, timeout=0.1))
    assert result["answered"] == 0
    assert result["lost"] == result["sent"]

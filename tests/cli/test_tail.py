"""`manglanh tail`: lines from the workers' sockets, without addresses unless they are asked for."""

import json
import socket
import threading

import pytest

from gateway.cli.tail import lines_of, show

DECISION = {
    "at": 1_800_000_000.5,
    "group": "6a1",
    "address": "10.0.12.7",
    "name": "fun88.com",
    "type": "A",
    "verdict": "block",
    "rung": 7,
    "rule": "fun88.com",
    "list": "starter-gambling",
    "category": "gambling",
    "rcode": "NXDOMAIN",
    "cached": False,
    "us": 80,
}
LINE = json.dumps(DECISION).encode()


def test_a_decision_says_what_and_why_but_not_who():
    text = show(LINE)
    assert "6a1" in text
    assert "block    fun88.com A  [7 fun88.com starter-gambling gambling]  NXDOMAIN 80 µs" in text
    assert "10.0.12.7" not in text


def test_addresses_show_only_when_asked_for():
    assert "10.0.12.7" in show(LINE, addresses=True)
    assert "address" not in json.loads(show(LINE, as_json=True))
    assert json.loads(show(LINE, addresses=True, as_json=True)) == DECISION


@pytest.mark.parametrize("line", [b"", b"{", b"[1]", b"\xff\xfe", b"null"])
def test_what_is_no_decision_is_passed_over(line):
    assert show(line) is None


def test_one_group_can_be_watched():
    assert show(LINE, "6a1") is not None
    assert show(LINE, "6a2") is None


def test_lines_are_put_together_and_every_worker_is_heard_to_its_end():
    pairs = [socket.socketpair() for _ in range(2)]
    pairs[0][1].sendall(b"one\ntw")
    pairs[1][1].sendall(b"other\n")
    lines = lines_of([ours for ours, _ in pairs])
    assert {next(lines), next(lines)} == {b"one", b"other"}
    pairs[0][1].sendall(b"o\nthree, cut off")
    for _, theirs in pairs:
        theirs.close()
    assert list(lines) == [b"two"]


@pytest.fixture
def worker(tmp_path, school):
    """A socket where a resolver of this school would have one, and a stale one beside it."""
    directory = tmp_path / "run"
    directory.mkdir()
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(directory / "tail-0.sock"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "tail-1.sock"))
        listener.listen()
        yield listener


def test_tail_finds_the_running_worker_and_passes_a_stale_socket_over(type_in, worker):
    def serve():
        connection, _ = worker.accept()
        with connection:
            connection.sendall((LINE + b"\n") * 3)

    thread = threading.Thread(target=serve)
    thread.start()
    result = type_in("tail", "--group", "6a1", "--count", "2")
    thread.join()
    assert result.code == 0
    assert len(result.out.splitlines()) == 2


def test_tail_without_a_resolver_says_so(type_in, school, tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "none"))
    result = type_in("tail")
    assert result.code == 1
    assert "No resolver runs" in result.err

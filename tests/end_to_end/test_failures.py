"""DESIGN.md section 8, the rows of a running resolver: each makes it happen and looks at what a client sees."""

import os
import random
import signal
import socket
import time
from pathlib import Path

import dns.edns
import dns.message
import dns.rcode

from tests.end_to_end.box import ALLOWED, BLOCKED, Box
from tests.end_to_end.internet import ADDRESSES, Internet
from tests.end_to_end.school import PUPIL, TEACHER, UNLISTED

STALE = dns.edns.EDECode.STALE_ANSWER
UNREACHABLE = {dns.edns.EDECode.NO_REACHABLE_AUTHORITY, dns.edns.EDECode.NETWORK_ERROR}


def extended_errors(message: dns.message.Message) -> set[int]:
    return {option.code for option in message.options if isinstance(option, dns.edns.EDEOption)}


def test_a_worker_dies_and_is_back(school, internet, start):
    school.write([f"127.0.0.1:{internet.port}"], {"dns": {"workers": 2}})
    box = start(school)
    box.wait_until(lambda: len(box.workers()) == 2, "two workers")
    before = set(box.workers())
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    box.wait_until(lambda: len(set(box.workers()) - before) == 1, "a new worker")
    box.await_metric("manglanh_worker_restarts_total", 1)
    assert all(box.answers(PUPIL) for _ in range(50))  # from fifty ports, so both workers are asked


def test_the_others_answer_while_a_worker_is_stopped(school, internet, start):
    """The kernel spreads clients over the workers; those of a healthy one notice nothing of a hung one."""
    school.write([f"127.0.0.1:{internet.port}"], {"dns": {"workers": 2}})
    box = start(school)
    box.wait_until(lambda: len(box.workers()) == 2, "two workers")
    hung = box.workers()[0]
    os.kill(hung, signal.SIGSTOP)
    try:
        assert any(box.answers(PUPIL) for _ in range(50))
    finally:
        os.kill(hung, signal.SIGCONT)


def test_the_first_process_dies_and_dns_goes_on(school):
    box = Box(school)
    with box:
        workers = box.workers()
        os.kill(box.pid, signal.SIGKILL)
        box.wait()
        try:
            assert all(box.answers(PUPIL, timeout=2) for _ in range(20))
        finally:
            for pid in workers:
                os.kill(pid, signal.SIGTERM)
        box.wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "no worker is left")


def test_dead_upstreams_mean_stale_answers_and_then_an_extended_error(school, start):
    with Internet() as internet:
        internet.ttl = 1
        school.write([f"127.0.0.1:{internet.port}"])
        box = start(school)
        assert box.ask(ALLOWED, use_edns=True).answer

    def stale_answer() -> dns.message.Message | None:
        reply = box.ask(ALLOWED, use_edns=True, timeout=10)
        return reply if STALE in extended_errors(reply) else None

    stale = box.wait_until(stale_answer, "a stale answer")
    assert stale.answer[0][0].to_text() == ADDRESSES["A"]
    assert stale.answer[0].ttl <= 30
    failed = box.ask("never-asked.example", use_edns=True, timeout=10)
    assert failed.rcode() == dns.rcode.SERVFAIL
    assert extended_errors(failed) & UNREACHABLE
    assert box.rcode(BLOCKED) == "NXDOMAIN"


def test_it_recovers_when_the_upstream_is_back(school, start):
    with Internet() as internet:
        port = internet.port
        school.write([f"127.0.0.1:{port}"])
        box = start(school)
        assert box.rcode(ALLOWED) == "NOERROR"
    assert dns.rcode.to_text(box.ask("first.example", timeout=10).rcode()) == "SERVFAIL"
    with Internet(port=port):
        box.wait_until(lambda: box.ask("second.example", timeout=10).rcode() == dns.rcode.NOERROR, "an answer", seconds=30)


def test_a_second_upstream_answers_for_a_dead_one(school, internet, start):
    with Internet() as dead:
        pass
    school.write([f"127.0.0.1:{dead.port}", f"127.0.0.1:{internet.port}"])
    box = start(school)
    assert all(box.rcode(f"n{number}.example") == "NOERROR" for number in range(20))


def test_malformed_packets_kill_no_worker(box: Box):
    dice = random.Random(8)
    workers = box.workers()
    good = dns.message.make_query(ALLOWED, "A", use_edns=0, payload=1232).to_wire()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        datagram.bind((PUPIL, 0))
        datagram.connect(("127.0.0.1", box.school.port))
        for _ in range(20_000):
            packet = bytearray(good)
            for _ in range(dice.randint(1, 6)):
                packet[dice.randrange(len(packet))] = dice.randrange(256)
            try:
                datagram.send(packet[: dice.randint(0, len(packet))] if dice.random() < 0.3 else packet)
            except ConnectionRefusedError:
                continue
    assert box.rcode(ALLOWED, source=TEACHER) == "NOERROR"
    assert box.workers() == workers
    assert "Traceback" not in box.log


def test_rubbish_over_tcp_ends_only_its_own_connection(box: Box):
    with socket.create_connection(("127.0.0.1", box.school.port), timeout=5, source_address=(PUPIL, 0)) as stream:
        stream.sendall(b"GET / HTTP/1.1\r\nHost: example\r\n\r\n" * 10)
        while stream.recv(4096):
            continue
    assert box.ask(ALLOWED, tcp=True).answer


def test_a_flood_limits_its_sender_and_nobody_else(school, internet, start):
    school.write([f"127.0.0.1:{internet.port}"], {"dns": {"limits": {"queries_per_second": 50, "burst": 100}}})
    box = start(school)
    query = dns.message.make_query(BLOCKED, "A").to_wire()
    began = time.monotonic()
    answered = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        datagram.bind((PUPIL, 0))
        datagram.connect(("127.0.0.1", box.school.port))
        datagram.setblocking(False)
        for number in range(3000):
            datagram.send(query)
            if number % 100 == 0:
                assert box.answers(TEACHER, timeout=1)
        box.await_metric_above("manglanh_dropped_total", 1000)
        allowance = 100 + 50 * (time.monotonic() - began)
        while True:
            try:
                datagram.recv(4096)
            except BlockingIOError:
                break
            answered += 1
    assert 100 <= answered <= allowance + 1


def test_an_unlisted_source_gets_nothing(box: Box):
    assert not box.answers(UNLISTED, timeout=0.5)
    assert not box.answers(UNLISTED, BLOCKED, timeout=0.5)
    assert box.answers(PUPIL)

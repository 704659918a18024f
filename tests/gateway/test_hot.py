"""The hot loop over real loopback sockets: one suite for plain Python and for the compiled build of the same source."""

import importlib.util
import select
import socket
from pathlib import Path

import pytest

import gateway.hot

SOURCE = Path(gateway.hot.__file__).parent / "hot.py"


def from_source():
    """The loop as plain Python, whatever was built."""
    spec = importlib.util.spec_from_file_location("gateway_hot_source", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LOOPS = [from_source(), *([gateway.hot] if gateway.COMPILED else [])]

QUESTION = b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x00\x00\x01\x00\x01"
ANSWER = (
    b"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00"
    b"\x03www\x07example\x00\x00\x01\x00\x01"
    b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\xc0\x00\x02\x01"
)
TTL_AT = ANSWER.index(b"\x00\x00\x01\x2c")


@pytest.fixture(params=LOOPS, ids=lambda module: module.__name__)
def loop(request):
    return request.param


class Bench:
    """A server socket with its batch, and clients that ask it."""

    def __init__(self, loop, host="127.0.0.1", bind=None):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.loop = loop
        self.server = socket.socket(family, socket.SOCK_DGRAM)
        if bind is not None:
            level, option = (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO) if family == socket.AF_INET6 else (socket.IPPROTO_IP, 8)
            self.server.setsockopt(level, option, 1)
        self.server.bind((bind if bind is not None else host, 0))
        self.touched = []
        self.noted = []
        self.batch = loop.Batch(self.server.fileno(), 6 if ":" in host else 4, bind is not None, self.touched.append, self.note)
        self.clients = {}
        self.host, self.family = host, family
        self.port = self.server.getsockname()[1]
        self.sockets = []

    def ask(self, *packets, source=None):
        client = socket.socket(self.family, socket.SOCK_DGRAM)
        client.settimeout(5)
        if source:
            client.bind((source, 0))
        for packet in packets:
            client.sendto(packet, (self.host, self.port))
        self.sockets.append(client)
        return client

    def serve(self, now=1000.0):
        assert select.select([self.server], [], [], 5)[0]
        return self.batch.serve(self.clients, now)

    def note(self, view, subject):
        """As gateway/statistics.py does, without bounds."""
        self.noted.append((view, subject))
        return view.cells.setdefault(subject, self.loop.Cell())

    def know(self, address, rate=1e6, burst=1e6, now=1000.0, bit=0, view=None):
        view = view or self.loop.View(None, float("inf"), {})
        self.clients[address] = self.loop.Client(view, rate, burst, now, bit)
        return view

    def entry(self, body=ANSWER, offsets=(TTL_AT,), now=1000.0, expires=1300.0, subject=None):
        return self.loop.Entry(body, offsets, now, expires, 3, None, subject)

    def close(self):
        for each in [self.server, *self.sockets]:
            each.close()


@pytest.fixture
def bench(loop):
    bench = Bench(loop)
    yield bench
    bench.close()


HOME = bytes([127, 0, 0, 1])


def test_a_ready_answer_goes_out_with_the_id_of_the_query(bench):
    bench.know(HOME).answers[QUESTION] = bench.entry()
    client = bench.ask(b"\xab\xcd" + QUESTION, b"\x12\x34" + QUESTION)
    assert bench.serve() == (2, [])
    assert client.recv(2000) == b"\xab\xcd" + ANSWER
    assert client.recv(2000) == b"\x12\x34" + ANSWER


def test_what_is_not_ready_is_handed_over_with_its_sender_and_can_be_answered(bench):
    known = bench.know(HOME)
    client = bench.ask(b"\xab\xcd" + QUESTION)
    count, [(data, peer, who)] = bench.serve()
    assert (count, data, who.view) == (1, b"\xab\xcd" + QUESTION, known)
    assert peer[0][4:8] == HOME
    bench.batch.queue(b"\xab\xcd" + ANSWER, peer)
    bench.batch.flush()
    assert client.recv(2000) == b"\xab\xcd" + ANSWER


def test_ready_answers_behind_a_miss_reach_their_own_senders(bench):
    """A miss leaves a gap in the batch, and the answers that move up must not go to the neighbour's address."""
    bench.know(HOME).answers[QUESTION] = bench.entry()
    for round_ in range(3):
        clients = []
        for number in range(6):
            known = (number + round_) % 2
            packet = bytes([round_, number]) + (QUESTION if known else QUESTION.replace(b"www", b"xxx"))
            clients.append((known, packet, bench.ask(packet)))
        count, misses = bench.serve()
        assert (count, len(misses)) == (6, 3)
        for known, packet, client in clients:
            if known:
                assert client.recv(2000) == packet[:2] + ANSWER


def test_an_unknown_address_is_handed_over_without_a_client(bench):
    bench.ask(b"\xab\xcd" + QUESTION)
    _, [(_, _, who)] = bench.serve()
    assert who is None


def test_ttls_are_aged_in_place_and_an_expired_answer_is_not_sent(bench):
    bench.know(HOME).answers[QUESTION] = bench.entry()
    client = bench.ask(b"\0\1" + QUESTION)
    bench.serve(1000.9)
    assert client.recv(2000)[TTL_AT + 2 :][:4] == (300).to_bytes(4, "big")
    client = bench.ask(b"\0\1" + QUESTION)
    bench.serve(1042.5)
    assert client.recv(2000)[TTL_AT + 2 :][:4] == (258).to_bytes(4, "big")
    client = bench.ask(b"\0\1" + QUESTION)
    bench.serve(1042.9)
    assert client.recv(2000)[TTL_AT + 2 :][:4] == (258).to_bytes(4, "big")
    bench.ask(b"\0\1" + QUESTION)
    count, misses = bench.serve(1300.0)
    assert (count, len(misses)) == (1, 1)


def test_hits_are_counted_and_an_entry_is_touched_once_until_it_is_collected(bench):
    entry = bench.know(HOME).answers[QUESTION] = bench.entry()
    bench.ask(b"\0\1" + QUESTION, b"\0\2" + QUESTION, b"\0\3" + QUESTION)
    bench.serve()
    assert (entry.hits, bench.touched) == (3, [entry])
    assert bench.clients[HOME].view.tally[3] == 3
    entry.hits = 0
    bench.ask(b"\0\1" + QUESTION)
    bench.serve()
    assert (entry.hits, bench.touched) == (1, [entry, entry])


def test_a_refusal_is_counted_by_view_with_the_bits_of_who_asked(bench):
    """Groups with like policies share the answer, not the count."""
    subject = bench.loop.Subject("gambling", "category", "www.example")
    shared = bench.know(HOME, bit=1).answers
    shared[QUESTION] = bench.entry(subject=subject)
    ours = bench.know(bytes([127, 0, 0, 2]), bit=1 << 63, view=bench.clients[HOME].view)
    theirs = bench.know(bytes([127, 0, 0, 3]), bit=4)
    theirs.answers = shared
    for source in ("127.0.0.1", "127.0.0.2", "127.0.0.2", "127.0.0.3"):
        bench.ask(b"\0\1" + QUESTION, source=source)
    bench.serve()
    assert bench.noted == [(ours, subject), (theirs, subject)]
    assert (ours.cells[subject].count, ours.cells[subject].bits) == (3, 1 | 1 << 63)
    assert (theirs.cells[subject].count, theirs.cells[subject].bits) == (1, 4)
    before, ours.cells = ours.cells[subject], {}
    bench.ask(b"\0\1" + QUESTION)
    bench.serve()
    assert (before.count, ours.cells[subject].count) == (3, 1)


def test_of_an_allowed_answer_nobody_notes_who_asked(bench):
    known = bench.know(HOME, bit=1)
    known.answers[QUESTION] = bench.entry()
    bench.ask(b"\0\1" + QUESTION)
    bench.serve()
    assert (known.tally[3], known.cells, bench.noted) == (1, {}, [])


def test_a_flood_is_limited_and_earns_its_tokens_back(bench):
    known = bench.know(HOME, rate=10, burst=2)
    known.answers[QUESTION] = bench.entry(expires=1e9)
    bench.ask(*[b"\0\1" + QUESTION] * 5)
    assert bench.serve() == (5, [])
    assert bench.batch.limited == 3
    bench.ask(*[b"\0\1" + QUESTION] * 3)
    assert bench.serve(1000.1) == (3, [])
    assert bench.batch.limited == 5


def test_a_client_with_no_rate_never_gets_through(bench):
    bench.know(HOME, rate=0, burst=100)
    bench.ask(b"\0\1" + QUESTION)
    assert bench.serve(9e9) == (1, [])
    assert bench.batch.limited == 1


def test_another_client_is_not_touched_by_a_flood(bench):
    bench.know(HOME, rate=1, burst=1).answers[QUESTION] = bench.entry()
    bench.know(bytes([127, 0, 0, 2])).answers[QUESTION] = bench.entry()
    bench.ask(*[b"\0\1" + QUESTION] * 20)
    quiet = bench.ask(b"\0\7" + QUESTION, source="127.0.0.2")
    bench.serve()
    assert quiet.recv(2000) == b"\0\7" + ANSWER


@pytest.mark.parametrize("packet", [b"", b"\0", b"\0\1", b"\0" * 11], ids=len)
def test_a_datagram_shorter_than_a_header_is_dropped_and_does_not_raise(bench, packet):
    bench.know(HOME)
    bench.ask(packet)
    assert bench.serve() == (1, [])
    assert bench.batch.runts == 1


@pytest.mark.parametrize("packet", [b"\0" * 12, b"\xff" * 1500, b"\0" * 4000], ids=len)
def test_no_packet_raises_and_each_is_handed_over(bench, packet):
    bench.know(HOME)
    bench.ask(packet)
    count, [(data, _, _)] = bench.serve()
    assert count == 1
    assert data == packet[: gateway.hot.SLOT]


def test_nothing_to_read_is_no_error(bench):
    assert bench.batch.serve({}, 1000.0) == (0, [])


def test_a_full_queue_is_sent_on_its_own(bench):
    bench.know(HOME)
    client = bench.ask(b"\0\1" + QUESTION)
    _, [(_, peer, _)] = bench.serve()
    for number in range(gateway.hot.BATCH + 1):
        bench.batch.queue(number.to_bytes(2, "big") + ANSWER, peer)
    bench.batch.flush()
    assert [client.recv(2000)[:2] for _ in range(gateway.hot.BATCH + 1)] == [n.to_bytes(2, "big") for n in range(gateway.hot.BATCH + 1)]


def test_a_message_that_the_kernel_refuses_is_passed_over(bench):
    bench.know(HOME)
    client = bench.ask(b"\0\1" + QUESTION)
    _, [(_, peer, _)] = bench.serve()
    nowhere = (b"\xff\xff" + peer[0][2:], b"")
    bench.batch.queue(b"\0\1" + ANSWER, nowhere)
    bench.batch.queue(b"\0\2" + ANSWER, peer)
    bench.batch.flush()
    assert client.recv(2000)[:2] == b"\0\2"
    assert bench.batch.unsent == 1
    assert bench.clients[HOME].tokens > 0


@pytest.mark.parametrize(("host", "any_address"), [("127.0.0.9", "0.0.0.0"), ("::1", "::")])
def test_a_wildcard_socket_answers_from_the_address_that_was_asked(loop, host, any_address):
    bench = Bench(loop, host, any_address)
    try:
        key = socket.inet_pton(bench.family, "::1" if ":" in host else "127.0.0.1")
        bench.know(key).answers[QUESTION] = bench.entry()
        client = bench.ask(b"\0\1" + QUESTION, b"\0\2" + QUESTION.replace(b"www", b"xxx"), source="::1" if ":" in host else "127.0.0.1")
        count, misses = bench.serve()
        if count == 1:
            _, misses = bench.serve()
        bench.batch.queue(b"\0\2" + ANSWER, misses[0][1])
        bench.batch.flush()
        for _ in range(2):
            assert client.recvfrom(2000)[1][:2] == (host, bench.port)
    finally:
        bench.close()

"""A worker's resolver on loopback sockets with a real upstream: who may ask, how often, and what never gets out."""

import asyncio
import json
import socket
import threading
import time
from functools import partial

import dnslib
import pytest

from filters.bundle import Source, write
from gateway import server as server_module
from gateway.cache import Cache
from gateway.clock import Clock
from gateway.live import Live
from gateway.server import Resolver
from gateway.stream import PIPELINE, Connection, Connections
from gateway.tail import Tail
from gateway.upstream import Upstreams
from policies.model import Override, State
from policies.state import write_state
from policies.upstream_address import parse
from tests.nameserver import Nameserver

DEADLINE = 10.0

SCHOOL = """
school: {{name: Trường THCS Số 1}}
dns:
  upstreams: ["127.0.0.1:{upstream}"]
  allow_from: [127.0.0.0/16]
  limits: {{queries_per_second: {rate}, burst: {burst}, tcp_connections: 4, tcp_per_client: 2}}
lists: {{directory: {directory}/lists}}
state: {directory}/state.json
groups:
  - {{name: 6a1, tier: thcs, clients: [127.0.0.0/24]}}
  - {{name: 6a2, tier: thcs, clients: [127.0.6.0/24]}}
  - {{name: thay, tier: staff, clients: [127.0.5.0/24]}}
"""


def sockets_of_one_port():
    """TCP and UDP. A port that is free for one of them may be another test's for the other, so it is looked for until both have it."""
    while True:
        tcp = socket.create_server(("127.0.0.1", 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(tcp.getsockname())
        except OSError:
            tcp.close()
            udp.close()
        else:
            udp.setblocking(False)
            return tcp, udp


class Running:
    """A resolver in a thread of its own; ``call`` runs something on its loop."""

    def __init__(self, directory, upstream_port, rate=100000, burst=100000):
        self.directory = directory
        self.config = directory / "school.yaml"
        self.config.write_text(SCHOOL.format(upstream=upstream_port, directory=directory, rate=rate, burst=burst), encoding="utf-8")
        starter = directory / "starter"
        write(starter, [("casino.example", 0, 15)], [Source("list", "gambling")])
        self.starter = starter
        self.upstream_port = upstream_port
        self.ready = threading.Event()
        self.failed = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self.failed = error
            self.ready.set()

    async def _serve(self):
        self.loop = asyncio.get_running_loop()
        self.stop = asyncio.Event()
        self.live = Live(
            self.config, self.starter, Clock(), time.monotonic, lambda *, identities: self.resolver.changed(identities=identities)
        )
        self.upstreams = Upstreams([parse(f"127.0.0.1:{self.upstream_port}")])
        self.tail = Tail(self.directory / "tail.sock")
        await self.tail.start()
        self.resolver = Resolver(self.live, self.upstreams, Cache(1 << 20), {}, self.tail)
        tcp, udp = sockets_of_one_port()
        self.port = udp.getsockname()[1]
        self.resolver.listen(udp)
        limits = self.live.file.dns.limits
        self.connections = Connections(limits.tcp_connections, limits.tcp_per_client)
        streams = await self.loop.create_server(partial(Connection, self.connections, self.resolver.handle_stream), sock=tcp)
        self.ready.set()
        await self.stop.wait()
        streams.close()
        self.resolver.stop_listening()
        await self.upstreams.close()
        self.resolver.close()
        self.connections.close()
        await self.tail.stop()

    def __enter__(self):
        self.thread.start()
        assert self.ready.wait(DEADLINE)
        if self.failed:
            raise self.failed
        return self

    def __exit__(self, *_):
        if not self.failed:
            self.loop.call_soon_threadsafe(self.stop.set)
            self.thread.join(DEADLINE)
        if self.failed:
            raise self.failed

    def call(self, function, *arguments):
        async def run():
            return function(*arguments)

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(DEADLINE)

    def ask(self, name, qtype="A", source="127.0.0.1", edns=None):
        """The parsed answer, or None where none came."""
        question = dnslib.DNSRecord.question(name, qtype)
        if edns is not None:
            question.add_ar(edns)
        data = self.ask_raw(bytes(question.pack()), source)
        return None if data is None else dnslib.DNSRecord.parse(data)

    def ask_raw(self, packet, source="127.0.0.1", wait=DEADLINE):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(wait)
            client.bind((source, 0))
            client.sendto(packet, ("127.0.0.1", self.port))
            try:
                return client.recv(4096)
            except TimeoutError:
                return None

    def stream(self, source="127.0.0.1"):
        client = socket.create_connection(("127.0.0.1", self.port), DEADLINE, (source, 0))
        client.settimeout(DEADLINE)
        return client

    def counts(self):
        return self.call(self.resolver.collect)


def framed(packet):
    return len(packet).to_bytes(2, "big") + packet


def read_framed(client):
    head = exactly(client, 2)
    return exactly(client, int.from_bytes(head, "big"))


def exactly(client, size):
    data = b""
    while len(data) < size:
        part = client.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def question(name, ident=1, qtype="A"):
    record = dnslib.DNSRecord.question(name, qtype)
    record.header.id = ident
    return bytes(record.pack())


def test_each_address_gets_its_groups_policy(box):
    assert box.ask("casino.example").header.rcode == 3
    assert str(box.ask("www.example.com").rr[0].rdata) == "192.0.2.1"
    counts = box.counts()
    assert {(key.group, key.verdict, key.rung): n for key, n in counts.answers.items()} == {
        ("6a1", "block", "category"): 1,
        ("6a1", "allow", "default"): 1,
    }


def test_answers_are_made_ready_and_their_hits_are_counted(box, upstream):
    for _ in range(5):
        box.ask("www.example.com")
    assert len(upstream.queries) == 1
    counts = box.counts()
    assert sum(counts.answers.values()) == 5
    assert counts.queries == {"udp": 5}
    assert counts.responses == {"NOERROR": 5}
    assert counts.cache == {"miss": 1}
    assert sum(counts.latency["ready"].buckets) == 4


def test_a_name_asked_once_pushes_nothing_out_when_room_is_scarce(box):
    """It is kept in the cache alone, and made ready when it is asked again."""
    shelf = box.resolver._shelf
    box.call(setattr, shelf, "size", shelf.limit // 10 * 9)
    box.ask("www.example.com")
    assert box.live.views["6a1"].answers == {}
    box.ask("www.example.com")
    assert len(box.live.views["6a1"].answers) == 1


def test_an_unlisted_source_gets_nothing_and_is_counted(box):
    """No amplification: a source outside allow_from is not even told that it is refused."""
    assert box.ask_raw(question("www.example.com"), "127.1.0.1", wait=0.3) is None
    box.ask_raw(question("www.example.com"), "127.1.0.1", wait=0.01)
    assert box.ask("www.example.com") is not None
    assert box.counts().dropped["not-allowed"] >= 1


def test_a_flood_from_one_client_is_limited_and_another_is_served(tmp_path, upstream):
    with Running(tmp_path, upstream.port, rate=1, burst=3) as box:
        answers = [box.ask_raw(question("casino.example"), wait=0.2) for _ in range(6)]
        assert [answer is not None for answer in answers] == [True, True, True, False, False, False]
        assert box.ask("casino.example", source="127.0.0.9").header.rcode == 3
        assert box.counts().dropped["limited"] == 3


def test_a_switch_of_one_group_is_in_force_and_drops_only_its_ready_answers(box):
    for source in ("127.0.0.1", "127.0.5.1"):
        for _ in range(3):
            assert box.ask("www.example.com", source=source).header.rcode == 0
    now = time.time()
    override = Override(group="6a1", mode="offline", since=now - 1, until=now + 600, by="Cô Lan")
    write_state(box.live.file.state, State(generation=7, overrides=(override,)))
    box.call(box.live.follow_state)
    assert box.ask("www.example.com").header.rcode == 3
    assert len(box.live.views["thay"].answers) == 1
    assert box.live.snapshot.generation == 7


def test_groups_with_like_policies_share_ready_answers_and_are_counted_apart(box):
    for source in ("127.0.0.1", "127.0.0.1", "127.0.6.1", "127.0.6.1", "127.0.6.1"):
        assert box.ask("casino.example", source=source).header.rcode == 3
    views = box.live.views
    assert views["6a1"].answers is views["6a2"].answers
    assert len(views["6a1"].answers) == 1
    assert {key.group: count for key, count in box.counts().answers.items()} == {"6a1": 2, "6a2": 3}


def test_a_group_that_is_switched_leaves_the_shared_answers_and_comes_back_to_them(box):
    for source in ("127.0.0.1", "127.0.6.1"):
        box.ask("casino.example", source=source)
    views, shared = box.live.views, box.live.views["6a2"].answers
    now = time.time()
    override = Override(group="6a1", mode="study", since=now - 1, until=now + 600, by="Lan")
    write_state(box.live.file.state, State(overrides=(override,)))
    box.call(box.live.follow_state)
    assert views["6a1"].answers is not shared
    assert views["6a2"].answers is shared
    write_state(box.live.file.state, State())
    box.call(box.live.follow_state)
    assert views["6a1"].answers is shared


def test_a_policy_that_ran_out_between_two_looks_is_not_used(box):
    """Between two looks of the watch a query would still have met the old policy."""
    now = box.live.clock.now()
    write_state(box.live.file.state, State(overrides=(Override(group="6a1", mode="offline", since=now - 1, until=now + 600, by="Lan"),)))
    box.call(box.live.follow_state)
    assert box.ask("www.example.com").header.rcode == 3
    box.call(setattr, box.live.clock, "_offset", box.live.clock._offset + 601)
    box.call(setattr, box.live.views["6a1"], "until", time.monotonic() - 1)
    assert box.ask("another.example.com").header.rcode == 0


def test_an_override_ends_by_itself(box):
    now = box.live.clock.now()
    write_state(box.live.file.state, State(overrides=(Override(group="6a1", mode="offline", since=now - 1, until=now + 600, by="Lan"),)))
    box.call(box.live.follow_state)
    assert box.ask("www.example.com").header.rcode == 3
    box.call(box.live.clock.__dict__.__setitem__, "_offset", box.live.clock._offset + 601)
    box.call(box.live.tick, time.monotonic() + 601)
    assert box.ask("www.example.com").header.rcode == 0


def test_a_damaged_state_keeps_the_last_one(box):
    now = time.time()
    write_state(box.live.file.state, State(overrides=(Override(group="6a1", mode="offline", since=now - 1, until=now + 600, by="Lan"),)))
    box.call(box.live.follow_state)
    box.live.file.state.write_text("{half")
    box.call(box.live.follow_state)
    assert "state" in box.live.troubles
    assert box.ask("www.example.com").header.rcode == 3


def test_a_bug_while_deciding_is_servfail_and_a_counter(box, monkeypatch, caplog):
    def broken(*_):
        raise ZeroDivisionError("secret-name.example")

    monkeypatch.setattr(server_module, "begin", broken)
    assert box.ask("www.example.com").header.rcode == 2
    assert box.counts().errors == 1
    assert "www.example.com" not in caplog.messages


@pytest.mark.parametrize(
    ("packet", "rcode"),
    [
        (b"\0\1" + b"\1\0" + b"\0\0" * 4, 1),
        (b"\0\1" + b"\1\0" + b"\0\1" + b"\0\0" * 3 + b"\xc0\x0c\0\1\0\1", 1),
        (question("www.example.com")[:2] + b"\x28\0" + question("www.example.com")[4:], 4),
        (question("www.example.com") + b"\0" * 1600, None),
    ],
    ids=["no question", "pointer in the question", "UPDATE", "too long"],
)
def test_malformed_packets_get_an_error_and_harm_nothing(box, packet, rcode):
    answer = box.ask_raw(packet, wait=DEADLINE if rcode else 0.3)
    assert (None if answer is None else answer[3] & 15) == (rcode or (None if answer is None else 1))
    assert box.ask("casino.example").header.rcode == 3


def test_an_answer_too_long_for_the_client_is_truncated_and_whole_over_tcp(tmp_path):
    class Long(Nameserver):
        def respond(self, query):
            return (
                query.reply(*[f"192.0.2.{n}" for n in range(1, 60)], truncated=False)
                if query.transport == "tcp"
                else query.reply(truncated=True)
            )

    with Long() as upstream, Running(tmp_path, upstream.port) as box:
        answer = box.ask("long.example")
        assert answer.header.tc
        assert not answer.rr
        with box.stream() as client:
            client.sendall(framed(question("long.example")))
            assert len(dnslib.DNSRecord.parse(read_framed(client)).rr) == 59


def test_a_cookie_is_answered_for_the_client_alone(box):
    cookie = dnslib.EDNS0(opts=[dnslib.EDNSOption(10, b"12345678")])
    for _ in range(3):
        answer = box.ask("casino.example", edns=cookie)
        [option] = [option for option in answer.ar[0].rdata if option.code == 10]
        assert option.data[:8] == b"12345678"
        assert len(option.data) == 24
    assert box.live.views["6a1"].answers == {}


def test_streams_are_pipelined_and_answers_carry_their_ids(box):
    with box.stream() as client:
        names = {number: f"n{number}.example.com" for number in range(1, PIPELINE * 2)}
        client.sendall(b"".join(framed(question(name, number)) for number, name in names.items()))
        seen = {}
        for _ in names:
            answer = dnslib.DNSRecord.parse(read_framed(client))
            seen[answer.header.id] = str(answer.q.qname).rstrip(".")
        assert seen == names


def test_a_query_in_pieces_is_put_together(box):
    with box.stream() as client:
        data = framed(question("casino.example"))
        for at in range(len(data)):
            client.sendall(data[at : at + 1])
        assert read_framed(client)[3] & 15 == 3


@pytest.mark.parametrize("junk", [b"\0\0", b"\0\5abcde", b"\xff\xff" + b"x" * 100], ids=["empty frame", "short frame", "huge frame"])
def test_what_is_no_frame_ends_the_connection(box, junk):
    with box.stream() as client:
        client.sendall(junk)
        with pytest.raises((EOFError, ConnectionError)):
            read_framed(client)


def test_connections_are_limited_per_address_and_in_all(box):
    kept = [box.stream("127.0.0.1"), box.stream("127.0.0.1"), box.stream("127.0.0.2"), box.stream("127.0.0.2")]
    try:
        for source in ("127.0.0.1", "127.0.0.3"):
            with box.stream(source) as client, pytest.raises((EOFError, ConnectionError)):
                client.sendall(framed(question("casino.example")))
                read_framed(client)
        kept[0].sendall(framed(question("casino.example")))
        assert read_framed(kept[0])[3] & 15 == 3
    finally:
        for client in kept:
            client.close()


def test_an_unlisted_source_gets_nothing_over_tcp_either(box):
    with box.stream("127.1.0.1") as client:
        client.settimeout(0.3)
        client.sendall(framed(question("casino.example")))
        with pytest.raises((EOFError, ConnectionError, TimeoutError)):
            read_framed(client)


def test_tail_sees_every_decision_while_somebody_listens(box):
    for _ in range(3):
        box.ask("casino.example")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.settimeout(DEADLINE)
        listener.connect(str(box.directory / "tail.sock"))
        deadline = time.monotonic() + DEADLINE
        while not box.call(bool, box.tail) and time.monotonic() < deadline:
            pass
        lines = listener.makefile(encoding="utf-8")
        box.ask("casino.example")
        decision = json.loads(lines.readline())
    assert decision["group"] == "6a1"
    assert decision["name"] == "casino.example"
    assert (decision["verdict"], decision["rung"], decision["category"]) == ("block", 7, "gambling")


def test_popular_answers_are_renewed_before_they_end(tmp_path):
    class Short(Nameserver):
        def respond(self, query):
            return query.reply("192.0.2.1", ttl=1)

    with Short() as upstream, Running(tmp_path, upstream.port) as box:
        for _ in range(10):
            box.ask("www.example.com")
        entry = box.call(lambda: next(iter(box.resolver.cache._entries.values())))
        box.call(setattr, entry, "stored_at", entry.stored_at - 100)
        box.call(setattr, entry, "expires", time.monotonic() + 0.9)
        assert box.counts().cache["prefetch"] == 1
        upstream.wait_for(lambda: len(upstream.queries) == 2)


def test_all_upstreams_dead_is_servfail_and_blocks_go_on(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with Running(tmp_path, port) as box:
        assert box.ask("www.example.com").header.rcode == 2
        assert box.ask("casino.example").header.rcode == 3


def test_what_was_asked_before_leaving_is_answered(tmp_path, upstream):
    with Running(tmp_path, upstream.port) as box, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(DEADLINE)
        client.sendto(question("casino.example"), ("127.0.0.1", box.port))
        box.call(box.resolver.stop_listening)
        assert client.recv(2000)[3] & 15 == 3

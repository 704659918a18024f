"""TCP and TLS upstreams over real connections on loopback: reuse, pipelining, dying connections, certificates."""

import asyncio
import socket
from datetime import UTC, datetime

import pytest

from gateway import transport_stream, upstream_health
from tests.gateway.asking import Authority, addresses_of, ask, asking, plain, reason_of, until
from tests.nameserver import Nameserver


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def run(test):
    asyncio.run(test())


def tcp(server):
    return f"tcp://{plain(server)}"


def tls(server, name="dns.example"):
    return f"tls://{server.address}:{server.tls_port}" + (f"#{name}" if name else "")


class Backwards(Nameserver):
    """Answers in fives, the latest first: answers come in another order than the questions."""

    def __init__(self, **options):
        super().__init__(**options)
        self._held = []

    def respond(self, query):
        self._held.append(query)
        if len(self._held) == 5:
            for held in reversed(self._held):
                held.send(held.reply(f"192.0.2.{held.qname.partition('.')[0][1:]}"))
            self._held = []


def test_a_tcp_upstream_keeps_its_connection():
    async def test():
        async with asking(tcp(server)) as upstreams:
            for number in range(20):
                assert addresses_of(await ask(upstreams, f"n{number}.example.vn")) == ["192.0.2.1"]

    with Nameserver() as server:
        run(test)
    assert server.connections == 1
    assert {query.transport for query in server.queries} == {"tcp"}


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
def test_queries_are_pipelined_and_answers_come_in_any_order(authority, scheme):
    async def test():
        async with asking({"tcp": tcp, "tls": tls}[scheme](server), cafile=authority.file) as upstreams:
            futures = [ask(upstreams, f"n{number}.example.vn") for number in range(100)]
            for number, future in enumerate(futures):
                assert addresses_of(await future) == [f"192.0.2.{number}"]

    with Backwards(tls=authority.serving("dns.example")) as server:
        run(test)
    assert server.connections == 1
    assert len({query.id for query in server.queries}) == 100, "one connection, one space of ids"


def test_answers_may_arrive_in_any_pieces():
    """Two answers in one segment, the third byte by byte."""

    async def serve(reader, writer):
        queries = [await reader.readexactly(int.from_bytes(await reader.readexactly(2))) for _ in range(3)]
        framed = [len(reply).to_bytes(2) + reply for reply in ([query[:2] + b"\x81\x83" + query[4:] for query in queries])]
        writer.write(framed[0] + framed[1])
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in framed[2]:
            await writer.drain()
            writer.write(bytes([byte]))
        await reader.read()
        writer.close()

    async def test():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server, asking(f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}") as upstreams:
            results = await asyncio.gather(*[ask(upstreams, f"n{number}.example.vn") for number in range(3)])
            assert [result.rcode for result in results] == [3, 3, 3]

    run(test)


def test_a_connection_that_was_closed_meanwhile_is_opened_again():
    async def test():
        async with asking(tcp(server)) as upstreams:
            await ask(upstreams)
            server.close_connections()
            await asyncio.to_thread(server.wait_for, lambda: server.open_connections == 0)
            assert addresses_of(await ask(upstreams, "later.example.vn")) == ["192.0.2.1"]
            assert upstreams.statistics()[0].errors == 0

    with Nameserver() as server:
        run(test)
    assert server.connections == 2


def test_a_kept_connection_that_dies_under_a_query_costs_one_more_try_not_the_answer():
    class DiesOnce(Nameserver):
        def respond(self, query):
            if len(self.queries) == 1:
                self.close_connections()
                return None
            return query.reply("192.0.2.1")

    async def test():
        async with asking(tcp(server)) as upstreams:
            await ask(upstreams)
            assert addresses_of(await ask(upstreams, "later.example.vn")) == ["192.0.2.1"]
            assert upstreams.statistics()[0].errors == 0

    with DiesOnce() as server:
        run(test)
    assert [query.connection for query in server.queries] == [1, 1, 2]


def test_a_server_that_always_hangs_up_is_not_asked_for_ever():
    class HangsUp(Nameserver):
        def respond(self, query):
            self.close_connections()

    async def test():
        async with asking(tcp(server)) as upstreams:
            assert "Connection reset by peer" in reason_of(await ask(upstreams))

    with HangsUp() as server:
        run(test)
    assert len(server.queries) == 1


def test_a_connection_that_stays_silent_is_given_up(monkeypatch):
    monkeypatch.setattr(transport_stream, "SILENT_TIMEOUT", 0.1)
    monkeypatch.setattr("gateway.exchange.DEADLINE", 0.3)

    class FallsSilent(Nameserver):
        def respond(self, query):
            return None if query.connection == 1 and self.queries else query.reply("192.0.2.1")

    async def test():
        async with asking(tcp(server)) as upstreams:
            await ask(upstreams)
            assert "no answer in time" in reason_of(await ask(upstreams, "silent.example.vn"))
            assert addresses_of(await ask(upstreams, "later.example.vn")) == ["192.0.2.1"]

    with FallsSilent() as server:
        run(test)
    assert server.connections == 2


def test_an_idle_connection_is_closed(monkeypatch):
    monkeypatch.setattr(transport_stream, "IDLE_TIMEOUT", 0.01)

    async def test():
        async with asking(tcp(server)) as upstreams:
            await ask(upstreams)
            await asyncio.to_thread(server.wait_for, lambda: server.open_connections == 0)
            assert addresses_of(await ask(upstreams, "later.example.vn")) == ["192.0.2.1"]

    with Nameserver() as server:
        run(test)
    assert server.connections == 2


def test_a_stream_takes_only_so_many_queries(monkeypatch):
    monkeypatch.setattr(transport_stream, "MOST_IN_FLIGHT", 3)

    class Holds(Nameserver):
        def respond(self, query):
            return None

    async def test():
        async with asking(tcp(server)) as upstreams:
            queued = [ask(upstreams, f"n{number}.example.vn") for number in range(3)]
            assert "wait for a connection" in reason_of(await ask(upstreams, "n3.example.vn"))
            await asyncio.to_thread(server.wait_for, lambda: len(server.queries) == 3)
            assert "on one connection" in reason_of(await ask(upstreams, "n4.example.vn"))
            assert upstreams.statistics()[0].errors == 0, "not the upstream's fault"
            for query in server.queries:
                query.send(query.reply("192.0.2.1"))
            await asyncio.gather(*queued)

    with Holds() as server:
        run(test)


def test_tls_with_the_right_certificate_keeps_its_connection(authority):
    async def test():
        async with asking(tls(server), cafile=authority.file) as upstreams:
            for number in range(10):
                assert addresses_of(await ask(upstreams, f"n{number}.example.vn")) == ["192.0.2.1"]

    with Nameserver(tls=authority.serving("dns.example")) as server:
        run(test)
    assert server.connections == 1
    assert {(query.transport, len(query.data) % 128) for query in server.queries} == {("tls", 0)}


def test_tls_without_a_name_needs_a_certificate_for_the_address(authority):
    async def test():
        async with asking(tls(server, name=""), cafile=authority.file) as upstreams:
            assert addresses_of(await ask(upstreams)) == ["192.0.2.1"]

    with Nameserver(tls=authority.serving("127.0.0.1")) as server:
        run(test)


LONG_AGO = {"not_before": datetime(2020, 1, 1, tzinfo=UTC), "not_after": datetime(2021, 1, 1, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("identity", "validity", "trusted", "trouble"),
    [
        ("dns.example.com", {}, True, "certificate: Hostname mismatch, certificate is not valid for 'dns.example'"),
        (
            "dns.example",
            LONG_AGO,
            True,
            "certificate: certificate has expired",
        ),
        ("dns.example", {}, False, "certificate: unable to get local issuer certificate"),
    ],
)
def test_a_certificate_that_does_not_verify_is_never_worked_around(authority, identity, validity, trusted, trouble):
    async def test():
        async with asking(tls(server), cafile=authority.file if trusted else None) as upstreams:
            assert trouble in reason_of(await ask(upstreams))
            (one,) = upstreams.statistics()
            assert (one.healthy, one.trouble, one.failures) == (False, trouble, {"certificate": 1})

    with Nameserver(tls=authority.serving(identity, **validity)) as server:
        run(test)
    assert server.queries == []


def test_a_bad_certificate_leads_to_the_next_upstream(authority):
    async def test():
        async with asking(tls(bad), tls(good), cafile=authority.file) as upstreams:
            assert addresses_of(await ask(upstreams)) == ["192.0.2.1"]
            assert [one.healthy for one in upstreams.statistics()] == [False, True]

    with Nameserver(tls=authority.serving("other.example")) as bad, Nameserver(tls=authority.serving("dns.example")) as good:
        run(test)
    assert (bad.queries, {query.transport for query in good.queries}) == ([], {"tls"})


def test_tls_to_a_server_without_it_fails_and_nothing_is_asked_in_the_clear():
    seen = bytearray()

    async def serve(reader, writer):
        seen.extend(await reader.read(4096))
        writer.write(b"what?")
        writer.close()

    async def test():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server, asking(f"tls://127.0.0.1:{server.sockets[0].getsockname()[1]}#dns.example") as upstreams:
            reason_of(await ask(upstreams))
            assert upstreams.statistics()[0].failures == {"network": 1}

    run(test)
    assert seen.startswith(b"\x16\x03"), "a TLS handshake"
    assert b"www" not in seen


def test_a_server_whose_certificate_is_mended_comes_back(authority, monkeypatch):
    monkeypatch.setattr(upstream_health, "PROBE_SOON", 0.01)
    context = authority.serving("other.example")

    async def test():
        async with asking(tls(server), cafile=authority.file) as upstreams:
            reason_of(await ask(upstreams))
            assert not upstreams.healthy("www.example.vn")
            mended = authority.issue("dns.example")
            mended.configure_cert(context)
            await until(lambda: upstreams.healthy("www.example.vn"), upstreams)

    with Nameserver(tls=context) as server:
        run(test)


def test_closing_while_connecting_or_connected_leaves_nothing_open(authority):
    async def test():
        async with asking(tls(server), cafile=authority.file) as upstreams:
            connecting = ask(upstreams)
        assert reason_of(await connecting) == "shutting down"
        async with asking(tls(server), cafile=authority.file) as upstreams:
            await ask(upstreams)
        await asyncio.to_thread(server.wait_for, lambda: server.open_connections == 0)

    with Nameserver(tls=authority.serving("dns.example")) as server:
        run(test)

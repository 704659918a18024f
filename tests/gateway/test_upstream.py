"""Plain DNS upstreams over real sockets on loopback: what reaches the caller, and what reaches which upstream."""

import asyncio
import contextlib
import os
import resource
import socket
from itertools import pairwise

import pytest
from dnslib import RCODE, DNSRecord

from gateway.datagrams import FIRST_PORT
from gateway.exchange import FORGERIES, Question
from gateway.upstream import Upstreams
from policies.upstream_address import parse
from tests.gateway.asking import addresses_of, ask, asking, plain, reason_of
from tests.nameserver import Nameserver


class Silent(Nameserver):
    """Keeps every query; a test may answer it later."""

    def respond(self, query):
        return None


def run(test):
    asyncio.run(test())


def test_a_question_is_answered_and_counted():
    async def test():
        async with asking(plain(server)) as upstreams:
            assert addresses_of(await ask(upstreams)) == ["192.0.2.1"]
            assert upstreams.pending == 0
            (one,) = upstreams.statistics()
            assert (one.zone, one.address, one.queries, one.answers, one.healthy) == ("", plain(server), 1, 1, True)
            assert one.srtt == one.seconds > 0
            assert (one.timeouts, one.errors, one.truncated, one.mismatches, one.trouble) == (0, 0, 0, 0, "")

    with Nameserver() as server:
        run(test)
    assert [(query.transport, query.qname) for query in server.queries] == [("udp", "www.example.vn")]


def test_an_upstream_may_have_an_ipv6_address():
    async def test():
        async with asking(plain(server)) as upstreams:
            assert addresses_of(await ask(upstreams)) == ["192.0.2.1"]

    with Nameserver(address="::1") as server:
        run(test)


def test_every_query_has_a_fresh_port_and_id():
    async def test():
        async with asking(plain(server)) as upstreams:
            for number in range(200):
                await ask(upstreams, f"n{number}.example.vn")

    with Nameserver() as server:
        run(test)
    ports = [query.client[1] for query in server.queries]
    ids = [query.id for query in server.queries]
    for values in (ports, ids):
        assert len(set(values)) > 190
        steps = {after - before for before, after in pairwise(values)}
        assert len(steps) > 150, "no sequence"
    assert min(ports) >= FIRST_PORT
    assert max(ids) > 0x8000 > min(ids)


def test_questions_in_flight_together_do_not_mix():
    class Echo(Nameserver):
        def respond(self, query):
            number = int(query.qname.partition(".")[0][1:])
            return query.reply(f"192.0.2.{number}")

    async def test():
        async with asking(plain(server)) as upstreams:
            futures = [ask(upstreams, f"n{number}.example.vn") for number in range(200)]
            for number, future in enumerate(futures):
                assert addresses_of(await future) == [f"192.0.2.{number}"]

    with Echo() as server:
        run(test)


def forged_id(query):
    return bytes([query.data[0] ^ 1]) + query.reply("198.51.100.6")[1:]


def forged_question(query):
    message = DNSRecord.parse(query.reply("198.51.100.6"))
    message.q.qname = "www.example.com"
    return bytes(message.pack())


def forged_truncation(query):
    return bytes([query.data[0] ^ 1]) + query.reply(truncated=True)[1:]


@pytest.mark.parametrize("forge", [forged_id, forged_question, forged_truncation, lambda query: query.data, lambda _: b"\0"])
def test_forged_datagrams_do_not_end_the_wait(forge):
    class Forged(Nameserver):
        def respond(self, query):
            return [forge(query), forge(query), query.reply("192.0.2.1")]

    async def test():
        async with asking(plain(server)) as upstreams:
            assert addresses_of(await ask(upstreams)) == ["192.0.2.1"]
            (one,) = upstreams.statistics()
            assert one.mismatches == 2

    with Forged() as server:
        run(test)
    assert server.connections == 0


def test_datagrams_from_another_source_are_not_even_seen():
    class Elsewhere(Nameserver):
        def respond(self, query):
            for address in ("127.0.0.1", "127.0.0.2"):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                    other.bind((address, 0))
                    other.sendto(query.reply("198.51.100.6"), query.client)
            return query.reply("192.0.2.1")

    async def test():
        async with asking(plain(server)) as upstreams:
            assert addresses_of(await ask(upstreams)) == ["192.0.2.1"]
            assert upstreams.statistics()[0].mismatches == 0

    with Elsewhere() as server:
        run(test)


def test_a_flood_of_forgeries_moves_the_question_to_tcp():
    class Flooded(Nameserver):
        def respond(self, query):
            if query.transport == "udp":
                return [forged_id(query)] * FORGERIES
            return query.reply("192.0.2.1")

    async def test():
        async with asking(plain(server)) as upstreams:
            assert addresses_of(await ask(upstreams)) == ["192.0.2.1"]

    with Flooded() as server:
        run(test)
    assert [query.transport for query in server.queries] == ["udp", "tcp"]


@pytest.mark.parametrize("cut", [None, 30])
def test_truncation_leads_to_tcp_at_the_same_upstream(cut):
    """Also where the truncated reply is cut in the middle of a record."""

    class Long(Nameserver):
        def respond(self, query):
            if query.transport == "udp":
                return query.reply("192.0.2.9", truncated=True)[: cut and len(query.data) - 11 + 5]
            return query.reply(*[f"192.0.2.{number}" for number in range(200)])

    async def test():
        async with asking(plain(server)) as upstreams:
            assert len(addresses_of(await ask(upstreams))) == 200
            assert upstreams.statistics()[0].truncated == 1

    with Long() as server:
        run(test)
    assert [query.transport for query in server.queries] == ["udp", "tcp"]


@pytest.mark.parametrize("rcode", [RCODE.FORMERR, RCODE.NOTIMP])
def test_an_upstream_without_edns_is_asked_without(rcode):
    class Old(Nameserver):
        def respond(self, query):
            return query.reply(rcode=rcode) if query.has_edns else query.reply("192.0.2.1")

    async def test():
        async with asking(plain(server)) as upstreams:
            assert addresses_of(await ask(upstreams)) == ["192.0.2.1"]
            assert addresses_of(await ask(upstreams, "later.example.vn")) == ["192.0.2.1"]

    with Old() as server:
        run(test)
    assert [query.has_edns for query in server.queries] == [True, False, False]


def test_do_and_cd_reach_the_upstream_and_are_questions_of_their_own():
    async def test():
        async with asking(plain(server)) as upstreams:
            flags = [(False, False), (True, False), (False, True), (True, True)]
            await asyncio.gather(*[ask(upstreams, do=do, cd=cd) for do, cd in flags])
            assert upstreams.coalesced == 0

    with Nameserver() as server:
        run(test)
    seen = {(bool(query.message.ar[0].ttl & 0x8000), bool(query.message.header.cd)) for query in server.queries}
    assert len(seen) == len(server.queries) == 4


def test_fifty_identical_questions_are_one_query():
    async def test():
        async with asking(plain(server)) as upstreams:
            futures = [ask(upstreams) for _ in range(50)]
            assert upstreams.pending == 1
            await asyncio.to_thread(server.wait_for, lambda: len(server.queries) == 1)
            server.queries[0].send(server.queries[0].reply("192.0.2.1"))
            assert [addresses_of(result) for result in await asyncio.gather(*futures)] == [["192.0.2.1"]] * 50
            assert upstreams.coalesced == 49

    with Silent() as server:
        run(test)
    assert len(server.queries) == 1


def test_a_caller_that_raises_harms_no_other():
    async def test():
        bugs = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: bugs.append(context["exception"]))
        async with asking(plain(server)) as upstreams:

            def broken(result):
                raise ZeroDivisionError

            futures = []
            for qname in ("a.example.vn", "b.example.vn"):
                upstreams.ask(Question(qname, 1), broken)
                futures.append(ask(upstreams, qname))
                upstreams.ask(Question(qname, 1), broken)
            assert [addresses_of(result) for result in await asyncio.gather(*futures)] == [["192.0.2.1"]] * 2
            await ask(upstreams, "c.example.vn")
            assert upstreams.pending == 0
        assert [type(bug) for bug in bugs] == [ZeroDivisionError] * 4

    with Nameserver() as server:
        run(test)


def test_an_answer_may_lead_to_the_next_question():
    async def test():
        async with asking(plain(server)) as upstreams:
            future = asyncio.get_running_loop().create_future()
            upstreams.ask(Question("a.example.vn", 1), lambda _: upstreams.ask(Question("a.example.vn", 1), future.set_result))
            assert addresses_of(await future) == ["192.0.2.1"]

    with Nameserver() as server:
        run(test)
    assert len(server.queries) == 2


def test_too_many_pending_questions_fail_at_once():
    async def test():
        async with asking(plain(server), pending=3) as upstreams:
            waiting = [ask(upstreams, f"n{number}.example.vn") for number in range(3)]
            refused = ask(upstreams, "n4.example.vn")
            assert refused.done()
            assert reason_of(refused.result()) == "too many pending"
            assert upstreams.refused == 1
            joined = ask(upstreams, "n0.example.vn")
            assert not joined.done(), "a question under way can always be joined"
            await asyncio.to_thread(server.wait_for, lambda: len(server.queries) >= 3)
            for query in list(server.queries):
                query.send(query.reply("192.0.2.1"))
            await asyncio.gather(*waiting, joined)
            assert not ask(upstreams, "n5.example.vn").done(), "there is room again"

    with Silent() as server:
        run(test)


def test_sockets_are_bounded_so_that_clients_can_still_connect():
    async def test():
        async with asking(plain(server), sockets=2) as upstreams:
            waiting = [ask(upstreams, f"n{number}.example.vn") for number in range(2)]
            assert "too many sockets" in reason_of(ask(upstreams, "n3.example.vn").result())
            assert upstreams.statistics()[0].failures == {}, "not the upstream's fault"
            await asyncio.to_thread(server.wait_for, lambda: len(server.queries) >= 2)
            for query in list(server.queries):
                query.send(query.reply("192.0.2.1"))
            await asyncio.gather(*waiting)

    with Silent() as server:
        run(test)


def test_a_name_that_is_none_fails_at_once():
    async def test():
        async with asking("192.0.2.1") as upstreams:
            assert "too long" in reason_of(ask(upstreams, "a" * 64).result())
            assert upstreams.pending == 0

    run(test)


def test_closing_fails_what_is_pending_and_what_comes_after():
    async def test():
        upstreams = Upstreams([parse(plain(server))])
        futures = [ask(upstreams, f"n{number}.example.vn") for number in range(3)]
        await upstreams.close()
        assert [reason_of(await future) for future in futures] == ["shutting down"] * 3
        assert reason_of(ask(upstreams, "later.example.vn").result()) == "too many pending"
        assert upstreams.pending == 0

    with Silent() as server:
        run(test)


@contextlib.contextmanager
def no_more_descriptors():
    """No file can be opened: the limit is the lowest number that is free."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_out_of_descriptors_is_not_the_upstreams_fault():
    async def test():
        async with asking(plain(server)) as upstreams:
            with no_more_descriptors():
                assert "Too many open files" in reason_of(ask(upstreams).result())
            assert upstreams.statistics()[0].failures == {}
            assert addresses_of(await ask(upstreams)) == ["192.0.2.1"]

    with Nameserver() as server:
        run(test)

"""Which of several upstreams is asked: late, dead, failing and slow ones, and forwarded subtrees. Real sockets on loopback."""

import asyncio
import socket

import pytest
from dnslib import RCODE

from gateway import upstream_health
from tests.gateway.asking import addresses_of, ask, asking, plain, reason_of, until
from tests.nameserver import Nameserver


class Silent(Nameserver):
    """Keeps every query; a test may answer it later."""

    def respond(self, query):
        return None


class Second(Nameserver):
    def respond(self, query):
        return query.reply("192.0.2.2")


@pytest.fixture
def unused():
    """An address where nobody listens, and nobody will: the port is held by a TCP socket that does not listen."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{holder.getsockname()[1]}"


def run(test):
    asyncio.run(test())


def test_a_silent_upstream_is_not_waited_for():
    async def test():
        async with asking(plain(silent), plain(second)) as upstreams:
            assert addresses_of(await ask(upstreams)) == ["192.0.2.2"]
            first, other = upstreams.statistics()
            assert (first.timeouts, first.answers, other.answers > 0) == (1, 0, True)
            await asyncio.to_thread(second.wait_for, lambda: len(second.queries) >= 1)
            seen = len(silent.queries)
            assert addresses_of(await ask(upstreams, "later.example.vn")) == ["192.0.2.2"]
            assert len(silent.queries) <= seen + 1, "the one that answers is asked first now"

    with Silent() as silent, Second() as second:
        run(test)


def test_one_upstream_is_asked_again_when_a_datagram_is_lost():
    class Loses(Nameserver):
        def respond(self, query):
            return query.reply("192.0.2.1") if self.queries else None

    async def test():
        async with asking(plain(server)) as upstreams:
            assert addresses_of(await ask(upstreams)) == ["192.0.2.1"]

    with Loses() as server:
        run(test)
    assert len({(query.id, query.client[1]) for query in server.queries}) == 2, "with another id and port"


def test_a_late_answer_to_the_first_datagram_still_counts():
    class Late(Nameserver):
        def respond(self, query):
            if self.queries:
                self.queries[0].send(self.queries[0].reply("192.0.2.1"))

    async def test():
        async with asking(plain(server)) as upstreams:
            assert addresses_of(await ask(upstreams)) == ["192.0.2.1"]

    with Late() as server:
        run(test)


def test_a_closed_port_leads_to_the_next_upstream_at_once(unused):
    async def test():
        async with asking(unused, plain(second)) as upstreams:
            assert addresses_of(await ask(upstreams)) == ["192.0.2.2"]
            assert upstreams.statistics()[0].failures == {"network": 1}
            assert upstreams.statistics()[0].trouble == "Connection refused"

    with Second() as second:
        run(test)


def test_a_dead_upstream_recovers(unused, monkeypatch):
    monkeypatch.setattr(upstream_health, "PROBE_SOON", 0.01)
    monkeypatch.setattr(upstream_health, "PROBE_EVERY", 0.01)

    async def test():
        async with asking(unused, plain(second)) as upstreams:
            await until(lambda: not upstreams.statistics()[0].healthy, upstreams)
            assert upstreams.healthy("www.example.vn"), "the other one is"
            with Nameserver(port=int(unused.partition(":")[2]), streams=False) as server:
                await until(lambda: upstreams.statistics()[0].healthy, upstreams)
                assert server.queries

    with Second() as second:
        run(test)


def test_when_all_are_dead_the_failure_comes_soon_and_names_them(unused):
    async def test():
        async with asking(unused) as upstreams:
            await until(lambda: not upstreams.healthy("www.example.vn"), upstreams)
            assert reason_of(await ask(upstreams)) == f"{unused}: Connection refused"

    run(test)


def test_the_only_upstream_recovers_however_slow_it_is(unused, monkeypatch):
    """Questions to a dead upstream end before a slow one could answer; the probe waits longer."""
    monkeypatch.setattr(upstream_health, "PROBE_SOON", 0.01)
    monkeypatch.setattr("gateway.exchange.HOPELESS_DEADLINE", 0.0)

    async def test():
        async with asking(unused) as upstreams:
            await until(lambda: not upstreams.healthy("www.example.vn"), upstreams)
            with Nameserver(port=int(unused.partition(":")[2]), streams=False):
                await until(lambda: upstreams.healthy("www.example.vn"), upstreams)

    run(test)


@pytest.mark.parametrize("rcode", [RCODE.SERVFAIL, RCODE.REFUSED])
def test_an_error_leads_to_the_next_upstream(rcode):
    class Broken(Nameserver):
        def respond(self, query):
            return query.reply(rcode=rcode)

    async def test():
        async with asking(plain(broken), plain(second)) as upstreams:
            assert addresses_of(await ask(upstreams)) == ["192.0.2.2"]

    with Broken() as broken, Second() as second:
        run(test)
    assert broken.queries


def test_the_longest_forwarded_subtree_decides():
    class Named(Nameserver):
        def __init__(self, answer):
            super().__init__()
            self.answer = answer

        def respond(self, query):
            return query.reply(self.answer)

    async def test():
        forward = {"truong.local": [plain(school)], "lab.truong.local": [plain(lab)], "10.in-addr.arpa": [plain(lab)]}
        async with asking(plain(internet), forward=forward) as upstreams:
            for qname, expected in {
                "truong.local": "192.0.2.2",
                "www.truong.local": "192.0.2.2",
                "a.b.lab.truong.local": "192.0.2.3",
                "lab.truong.local": "192.0.2.3",
                "notlab.truong.local": "192.0.2.2",
                "nottruong.local": "192.0.2.1",
                "local": "192.0.2.1",
                "1.0.0.10.in-addr.arpa": "192.0.2.3",
                "": "192.0.2.1",
            }.items():
                assert addresses_of(await ask(upstreams, qname)) == [expected], qname
            assert [one.zone for one in upstreams.statistics()] == ["", *forward]

    with Named("192.0.2.1") as internet, Named("192.0.2.2") as school, Named("192.0.2.3") as lab:
        run(test)


def test_a_forwarded_subtree_never_leaks_to_the_default_upstreams(unused):
    async def test():
        async with asking(plain(internet), forward={"truong.local": [unused]}) as upstreams:
            assert "Connection refused" in reason_of(await ask(upstreams, "www.truong.local"))

    with Nameserver() as internet:
        run(test)
    assert not internet.queries


def test_slower_upstreams_are_measured_now_and_then_and_the_fastest_is_asked():
    class Holding(Nameserver):
        """Answers one query behind: slower than any that answers at once."""

        def respond(self, query):
            if self.queries:
                self.queries[-1].send(self.queries[-1].reply("192.0.2.3"))

    async def test():
        async with asking(plain(slow), plain(fast)) as upstreams:
            await until(lambda: all(one.srtt is not None for one in upstreams.statistics()), upstreams)
            seen = len(slow.queries)
            for number in range(50):
                assert addresses_of(await ask(upstreams, f"m{number}.example.vn")) == ["192.0.2.2"]
            assert len(slow.queries) - seen <= 2

    with Holding() as slow, Second() as fast:
        run(test)

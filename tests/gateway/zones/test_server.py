"""The served zones on loopback, with dnspython as the secondary: transfers, NOTIFY, changes while it runs, and the limits."""

import asyncio
import base64
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import dns.asyncquery
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.versioned
import dns.xfr
import pytest
import yaml

from blocklists.install import install
from filters.bundle import SUBTREE, write
from gateway.zones import notify as zone_notify
from gateway.zones import server as zone_server
from gateway.zones.notify import Follower, notification, notify
from gateway.zones.server import serve
from tests.bench.processes import free_port
from tests.gateway.zones.policy_zones import SOURCES
from tests.gateway.zones.secondary import KEY, OTHER_KEY

ADULT = next(at for at, source in enumerate(SOURCES) if source.category == "adult")
DEADLINE = 20.0
HOST = "127.0.0.1"


async def eventually(check, what: str):
    deadline = time.monotonic() + DEADLINE
    while not (found := await check() if asyncio.iscoroutinefunction(check) else check()):
        assert time.monotonic() < deadline, f"not in time: {what}"
        await asyncio.sleep(0.02)
    return found


class Primary:
    """A school's folder with zones, and what a secondary can ask of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.lists = folder / "lists"
        self.starter = folder / "starter"
        write(self.starter, [], SOURCES)
        (folder / "key").write_bytes(base64.b64encode(KEY.secret))

    def configure(self, *zones: dict, key: str = "key", rules=()) -> None:
        text = yaml.safe_dump(
            {
                "school": {"name": "Trường"},
                "dns": {"upstreams": ["192.0.2.1"]},
                "lists": {"directory": str(self.lists)},
                "state": str(self.folder / "state.json"),
                "groups": [{"name": "6a1", "tier": "thcs"}],
                "rules": list(rules),
                "zones": {
                    "listen": [f"{HOST}:{self.port}"],
                    "key": {"name": "truong", "secret_file": key},
                    "zones": list(zones) or [zone()],
                },
            }
        )
        new = self.folder / "school.new"
        new.write_text(text)
        new.replace(self.folder / "school.yaml")

    def put(self, *names: str) -> None:
        install(self.lists, lambda folder: write(folder, [(name, ADULT, SUBTREE) for name in names], SOURCES))

    @asynccontextmanager
    async def serving(self):
        task = asyncio.get_running_loop().create_task(serve(self.folder / "school.yaml", self.starter))
        try:
            await eventually(self.answers, "the first answer")
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def answers(self) -> bool:
        try:
            await dns.asyncquery.udp(dns.message.make_query("rpz.thcs", "SOA"), HOST, port=self.port, timeout=0.2)
        except (dns.exception.Timeout, OSError):
            return False
        return True

    async def rcode(self, query: dns.message.Message) -> int:
        return (await dns.asyncquery.udp(query, HOST, port=self.port, timeout=DEADLINE)).rcode()

    async def transfer(self, held: dns.versioned.Zone, key=None) -> dict[str, str]:
        query, _ = dns.xfr.make_query(held, keyring=key)
        await dns.asyncquery.inbound_xfr(HOST, held, query, port=self.port, timeout=DEADLINE)
        with held.reader() as reader:
            return {name.to_text(): rdatas[0].target.to_text() for name, rdatas in reader.iterate_rdatasets() if rdatas.rdtype == 5}


def zone(name="rpz.thcs", tier="thcs", secondaries=(HOST,), sign=False) -> dict:
    return {"name": name, "tier": tier, "secondaries": list(secondaries), "sign": sign}


def empty(name="rpz.thcs") -> dns.versioned.Zone:
    return dns.versioned.Zone(dns.name.from_text(name))


@pytest.fixture
def primary(tmp_path) -> Primary:
    primary = Primary(tmp_path)
    primary.configure()
    return primary


def test_a_zone_is_transferred_and_follows_the_lists(primary, caplog):
    primary.put("a.example")
    caplog.set_level("INFO", "manglanh.zone")

    async def run():
        async with primary.serving():
            held = empty()
            assert (await primary.transfer(held))["a.example"] == "."
            primary.put("b.example")

            async def has_b():
                return "b.example" in await primary.transfer(held)

            await eventually(has_b, "the new name")
            assert "a.example" not in await primary.transfer(held)

    asyncio.run(run())
    assert any(record.getMessage().startswith("AXFR of rpz.thcs.") for record in caplog.records)
    assert any(record.getMessage().startswith("IXFR of rpz.thcs.") for record in caplog.records)


def test_the_schools_rules_are_taken_up_while_it_runs_and_so_is_another_zone(primary):
    async def run():
        async with primary.serving():
            primary.configure(zone(), zone("rpz.staff", "staff"), rules=[{"action": "block", "name": "x.example"}])

            async def is_served():
                return await primary.rcode(dns.message.make_query("rpz.staff", "SOA")) == dns.rcode.NOERROR

            await eventually(is_served, "the other zone")
            assert (await primary.transfer(empty()))["x.example"] == "."
            assert (await primary.transfer(empty("rpz.staff")))["x.example"] == "."

    asyncio.run(run())


def test_a_signed_zone_needs_the_right_signature(primary):
    primary.configure(zone(sign=True))
    primary.put("a.example")

    async def run():
        async with primary.serving():
            assert "a.example" in await primary.transfer(empty(), KEY)
            with pytest.raises(dns.xfr.TransferError):
                await primary.transfer(empty())
            with pytest.raises(dns.tsig.PeerBadSignature):
                await primary.transfer(empty(), OTHER_KEY)

    asyncio.run(run())


def test_without_its_key_a_signed_zone_is_nobodys_and_the_others_are_served(primary):
    primary.configure(zone(sign=True), zone("rpz.staff", "staff"), key="not-there")

    async def run():
        async with primary.serving():
            assert await primary.rcode(dns.message.make_query("rpz.thcs", "SOA")) == dns.rcode.REFUSED
            assert await primary.rcode(dns.message.make_query("rpz.staff", "SOA")) == dns.rcode.NOERROR

    asyncio.run(run())


class Ear(asyncio.DatagramProtocol):
    """A secondary's ear: hears NOTIFY, and acknowledges each but the first few."""

    def __init__(self, *, ignored: int = 0, key=None) -> None:
        self.heard: asyncio.Queue[dns.message.Message] = asyncio.Queue()
        self.ignored = ignored
        self.key = key

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        query = dns.message.from_wire(data, keyring=self.key or False)
        self.heard.put_nowait(query)
        self.ignored -= 1
        if self.ignored < 0:
            reply = dns.message.make_response(query)
            reply.flags |= dns.flags.AA
            self.transport.sendto(reply.to_wire(), address)


@asynccontextmanager
async def hearing(port: int, **options):
    transport, ear = await asyncio.get_running_loop().create_datagram_endpoint(lambda: Ear(**options), local_addr=(HOST, port))
    try:
        async with asyncio.timeout(DEADLINE):
            yield ear
    finally:
        transport.close()


@pytest.mark.parametrize("sign", [False, True])
def test_a_secondary_is_notified_of_the_version_that_there_is_and_of_each_new_one(primary, sign):
    port = free_port()
    primary.configure(zone(secondaries=[f"{HOST}:{port}"], sign=sign))

    async def run():
        async with hearing(port, key=KEY if sign else None) as ear, primary.serving():
            first = await ear.heard.get()
            primary.put("b.example")
            second = await ear.heard.get()
            assert first.opcode() == second.opcode() == dns.opcode.NOTIFY
            assert second.answer[0][0].serial > first.answer[0][0].serial
            assert second.had_tsig == sign

    asyncio.run(run())


def served_zone(sign: bool = False):
    return zone_server.ServedZone(dns.name.from_text("rpz.thcs"), 7, None, frozenset(), sign, lambda _: None)


def test_notify_is_said_again_until_it_is_acknowledged():
    port = free_port()

    async def run():
        async with hearing(port, ignored=2) as ear:
            assert await notify(served_zone(), Follower(HOST, port, HOST), None, waits=(0.05,) * 100)
            assert len({ear.heard.get_nowait().id for _ in range(3)}) == 1, "the same message again"

    asyncio.run(run())


def test_a_secondary_that_stays_silent_is_given_up(caplog):
    async def run():
        assert not await notify(served_zone(), Follower(HOST, free_port(), None), None, waits=(0.01, 0.01))

    asyncio.run(run())
    assert "did not acknowledge serial 7" in caplog.text


def test_what_acknowledges_a_notify():
    sent = notification(served_zone(sign=True), KEY)
    query = dns.message.from_wire(sent.to_wire(), keyring=KEY)
    good = dns.message.make_response(query)
    assert zone_notify.is_acknowledged(good.to_wire(), sent)
    unsigned = dns.message.make_response(dns.message.from_wire(sent.to_wire(), keyring=False))
    assert not zone_notify.is_acknowledged(unsigned.to_wire(), sent)
    refused = dns.message.make_response(query)
    refused.set_rcode(dns.rcode.REFUSED)
    assert not zone_notify.is_acknowledged(refused.to_wire(), sent)
    other = dns.message.make_response(query)
    other.id ^= 1
    assert not zone_notify.is_acknowledged(other.to_wire(), sent)
    assert not zone_notify.is_acknowledged(b"", sent)


def framed(query: dns.message.Message) -> bytes:
    wire = query.to_wire()
    return len(wire).to_bytes(2, "big") + wire


def test_a_secondary_that_reads_nothing_holds_nobody_up_and_is_cut_off(primary, monkeypatch, caplog):
    monkeypatch.setattr(zone_server, "STALL", 1.0)
    caplog.set_level("DEBUG", "manglanh.zone")
    primary.put(*(f"ten-kha-dai-cho-nhieu-octet-{number}.example" for number in range(60_000)))

    async def run():
        async with primary.serving():
            reader, writer = await asyncio.open_connection(HOST, primary.port, limit=1024)
            writer.write(framed(dns.message.make_query("rpz.thcs", "AXFR")))
            await reader.readexactly(2)
            assert await primary.rcode(dns.message.make_query("rpz.thcs", "SOA")) == dns.rcode.NOERROR
            other, other_writer = await asyncio.open_connection(HOST, primary.port)
            other_writer.write(framed(dns.message.make_query("rpz.thcs", "SOA")))
            async with asyncio.timeout(DEADLINE):
                await other.readexactly(2)
                assert "ended: TimeoutError" not in caplog.text
                await eventually(lambda: "ended: TimeoutError" in caplog.text, "it is given up")
                with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                    while True:
                        await reader.readexactly(1024)
            other_writer.close()
            writer.close()

    asyncio.run(run())


def test_a_connection_that_asks_nothing_is_closed(primary, monkeypatch):
    monkeypatch.setattr(zone_server, "IDLE", 0.1)

    async def run():
        async with primary.serving():
            reader, writer = await asyncio.open_connection(HOST, primary.port)
            async with asyncio.timeout(DEADLINE):
                with suppress(ConnectionResetError):
                    assert await reader.read() == b""
            writer.close()

    asyncio.run(run())


def test_one_address_has_so_many_connections_and_no_more(primary, monkeypatch):
    monkeypatch.setattr(zone_server, "CONNECTIONS_PER_ADDRESS", 2)
    soa = framed(dns.message.make_query("rpz.thcs", "SOA"))

    async def ask(reader, writer) -> bytes:
        writer.write(soa)
        try:
            return await reader.read(2)
        except ConnectionResetError:
            return b""

    async def run():
        async with primary.serving(), asyncio.timeout(DEADLINE):
            opened = [await asyncio.open_connection(HOST, primary.port) for _ in range(2)]
            assert all([await ask(*connection) for connection in opened])
            third = await asyncio.open_connection(HOST, primary.port)
            assert not await ask(*third)
            opened[0][1].close()

            async def there_is_room():
                reader, writer = await asyncio.open_connection(HOST, primary.port)
                try:
                    return await ask(reader, writer)
                finally:
                    writer.close()

            await eventually(there_is_room, "room for another connection")
            opened[1][1].close()
            third[1].close()

    asyncio.run(run())


def test_a_flood_of_datagrams_is_answered_in_part(primary, monkeypatch):
    monkeypatch.setattr(zone_server, "DATAGRAMS_PER_SECOND", 5)
    query = dns.message.make_query("rpz.thcs", "SOA").to_wire()

    async def run():
        async with primary.serving():
            heard = 0

            class Client(asyncio.DatagramProtocol):
                def datagram_received(self, _data, _address):
                    nonlocal heard
                    heard += 1

            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Client, remote_addr=(HOST, primary.port))
            for _ in range(200):
                transport.sendto(query)
            await eventually(primary.answers, "an answer in the next second")
            assert 0 < heard < 100
            transport.close()

    asyncio.run(run())


def test_an_address_that_is_taken_is_tried_again(primary, monkeypatch, caplog):
    monkeypatch.setattr(zone_server, "RETRY", 0.1)

    async def run():
        taken = await asyncio.start_server(lambda *_: None, HOST, primary.port)
        task = asyncio.get_running_loop().create_task(serve(primary.folder / "school.yaml", primary.starter))
        try:
            await eventually(lambda: "cannot be served on" in caplog.text, "the log says so")
            taken.close()
            await taken.wait_closed()
            await eventually(primary.answers, "an answer")
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())

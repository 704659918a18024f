"""Clients with real addresses and network cards of their own, in network namespaces."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.bench.processes import free_port
from tests.end_to_end.box import ALLOWED, Box
from tests.end_to_end.namespaces import Namespace, cable
from tests.end_to_end.school import CHECKOUT, School

CARD = "02:00:00:00:00:0c"
SOCIAL = "mang-xa-hoi.example"
GROUPS = [
    {"name": "6a1", "tier": "thcs", "clients": ["10.11.0.0/24"]},
    {"name": "giao-vien", "tier": "staff", "clients": ["10.12.0.0/24"]},
    {"name": "may-giao-vien", "tier": "staff", "clients": [CARD]},
]


class NetworkBox(Box):
    """A box in a namespace; its clients ask from theirs."""

    def __init__(self, school: School, space: Namespace, clients: dict[str, Namespace]) -> None:
        super().__init__(school, prefix=space.prefix)
        self.clients = clients

    def is_ready(self) -> bool:
        return "status: NOERROR" in self.dig("pupil", ALLOWED)

    def dig(self, client: str, *words: str, server: str = "") -> str:
        address = server or {"pupil": "10.11.0.1", "teacher": "10.12.0.1", "card": "10.13.0.1", "stranger": "10.14.0.1"}[client]
        return self.clients[client].run("dig", f"@{address}", f"-p{self.school.port}", "+time=1", "+tries=1", *words, check=False)

    def await_status(self, client: str, status: str, *words: str) -> None:
        """The box looks at its neighbour table every few seconds."""
        self.wait_until(lambda: f"status: {status}" in self.dig(client, SOCIAL, *words), f"{client} gets {status}")


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> Iterator[NetworkBox]:
    """A pupil, a teacher, a teacher's own device known by its card, and a stranger whose network is not served."""
    school = School(tmp_path_factory.mktemp("school"), free_port())
    dns = {
        "listen": [f"0.0.0.0:{school.port}", f"[::]:{school.port}"],
        "allow_from": ["10.11.0.0/16", "10.12.0.0/16", "10.13.0.0/16", "fd00:11::/64"],
    }
    with ExitStack() as stack:
        space = stack.enter_context(Namespace("--net"))
        clients = {name: stack.enter_context(Namespace("--net", within=space)) for name in ("pupil", "teacher", "card", "stranger")}
        for number, (name, client) in enumerate(clients.items(), 11):
            card = CARD if name == "card" else ""
            cable(space, client, ours=f"10.{number}.0.1/24", theirs=f"10.{number}.0.2/24", name=name, mac=card)
        space.run("ip", "link", "set", "lo", "up")
        port = stack.enter_context(internet(space))
        school.write([f"127.0.0.1:{port}"], {"dns": dns, "groups": GROUPS})
        school.compile_lists()
        yield stack.enter_context(NetworkBox(school, space, clients))


@contextmanager
def internet(space: Namespace) -> Iterator[int]:
    """The test upstream as a process inside ``space``; its port."""
    port = free_port()
    process = subprocess.Popen([*space.prefix, sys.executable, "-m", "tests.end_to_end.internet", str(port)], cwd=CHECKOUT)
    try:
        yield port
    finally:
        process.kill()
        process.wait()


def test_each_network_is_its_group(network: NetworkBox):
    assert "status: NXDOMAIN" in network.dig("pupil", SOCIAL)
    assert "status: NOERROR" in network.dig("teacher", SOCIAL)


def test_a_device_is_known_by_its_card_whatever_its_address(network: NetworkBox):
    network.await_status("card", "NOERROR")
    card = network.clients["card"]
    card.run("ip", "address", "flush", "dev", "eth0")
    card.run("ip", "address", "add", "10.13.0.77/24", "dev", "eth0")
    network.await_status("card", "NOERROR")


def test_an_address_that_changes_hands_changes_groups(network: NetworkBox):
    """Another card at the address of a known one is a guest."""
    card = network.clients["card"]
    card.run("ip", "address", "replace", "10.13.0.99/24", "dev", "eth0")
    network.await_status("card", "NOERROR", "-b10.13.0.99")
    card.run("ip", "link", "set", "eth0", "down")
    card.run("ip", "link", "set", "eth0", "address", "02:00:00:00:00:ff")
    card.run("ip", "link", "set", "eth0", "up")
    network.await_status("card", "NXDOMAIN", "-b10.13.0.99")


def test_a_network_that_is_not_served_gets_nothing(network: NetworkBox):
    assert "no servers could be reached" in network.dig("stranger", ALLOWED)


def test_the_answer_comes_from_the_address_that_was_asked(network: NetworkBox):
    """The wildcard socket has many addresses; dig takes an answer only from the one it asked."""
    network.clients["pupil"].run("ip", "route", "replace", "10.12.0.1", "via", "10.11.0.1")
    assert "status: NOERROR" in network.dig("pupil", ALLOWED, server="10.12.0.1")

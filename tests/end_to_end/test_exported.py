"""What `manglanh export` writes blocks in the programs that it is for: BIND, Unbound and dnsmasq of Debian."""

import shutil
from contextlib import ExitStack

import pytest

from filters.bundle import BLOCK_BELOW, BLOCK_SELF, SUBTREE, write
from filters.domain_index import Source
from tests.bench.processes import free_port
from tests.end_to_end.internet import Internet
from tests.end_to_end.school import COMMAND
from tests.end_to_end.secondaries import NAMED_OPTIONS, UNBOUND_OPTIONS, Program, program

BLOCKED, OPEN = "NXDOMAIN", "NOERROR"
EXPECTED = {
    "casino.example": BLOCKED,
    "a.b.casino.example": BLOCKED,
    "hoc.casino.example": OPEN,
    "b.hoc.casino.example": OPEN,
    "xau.hoc.casino.example": BLOCKED,
    "a.xau.hoc.casino.example": BLOCKED,
    "truong.blog.example": BLOCKED,
    "x.truong.blog.example": BLOCKED,
    "lop.truong.blog.example": OPEN,
    "self.example": BLOCKED,
    "a.self.example": OPEN,
    "below.example": OPEN,
    "a.b.below.example": BLOCKED,
    "bao.example": OPEN,
    "search.yahoo.com": BLOCKED,
    "www.google.com": OPEN,
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    bad, good = 0, 1
    listed = [
        ("casino.example", bad, SUBTREE),
        ("hoc.casino.example", good, SUBTREE),
        ("xau.hoc.casino.example", bad, SUBTREE),
        ("blog.example", bad, SUBTREE),
        ("lop.truong.blog.example", good, SUBTREE),
        ("self.example", bad, BLOCK_SELF),
        ("below.example", bad, BLOCK_BELOW),
    ]
    write(folder, listed, [Source("g", "gambling"), Source("l", "learning")])
    return folder


def exported(form: str, bundle, tmp_path, tier: str = "thcs"):
    file = tmp_path / "exported"
    (tmp_path / "school.yaml").write_text("school: {name: T}\ndns: {upstreams: [192.0.2.1]}\ngroups: [{name: a, tier: thcs}]\n")
    words = ["export", "--format", form, "--tier", tier, "--directory", bundle, "--out", file, "--config", tmp_path / "school.yaml"]
    with program([*COMMAND, *map(str, words)], 0, tmp_path / "export.log") as running:
        assert running.process.wait(60) == 0, running.log
    return file


def bind(file, port: int, upstream: int, folder) -> list[str]:
    zone = f'zone "rpz.local" {{ type primary; file "{file}"; check-names ignore; }};'
    policy = 'response-policy { zone "rpz.local"; } qname-wait-recurse no;'
    (folder / "named.conf").write_text(NAMED_OPTIONS.format(directory=folder, port=port, upstream=upstream, policy=policy) + zone)
    return ["named", "-g", "-n", "1", "-c", str(folder / "named.conf")]


def unbound_with_zone(file, port: int, upstream: int, folder) -> list[str]:
    rpz = f'server:\n  module-config: "respip validator iterator"\nrpz:\n  name: "rpz.local"\n  zonefile: "{file}"\n'
    return unbound(None, port, upstream, folder, rpz)


def unbound(file, port: int, upstream: int, folder, more: str = "") -> list[str]:
    included = f'include: "{file}"\n' if file else ""
    options = UNBOUND_OPTIONS.format(directory=folder, port=port, upstream=upstream)
    (folder / "unbound.conf").write_text(options + included + more)
    return ["unbound", "-d", "-c", str(folder / "unbound.conf")]


def dnsmasq(file, port: int, upstream: int, _) -> list[str]:
    options = f"-k -p {port} -a 127.0.0.1 -z -R -h --user= --pid-file= -S 127.0.0.1#{upstream}"
    return [shutil.which("dnsmasq") or "/usr/sbin/dnsmasq", *options.split(), "-C", str(file)]


@pytest.mark.parametrize("start", [bind, unbound_with_zone])
def test_a_tier_that_blocks_by_default_opens_what_is_for_learning_wherever_it_is_hosted(start, bundle, tmp_path, internet: Internet):
    internet.records["hoc.casino.example", "CNAME"] = ["cdn.network.example."]
    internet.records["cdn.network.example", "A"] = ["198.51.100.5"]
    port = free_port()
    with program(start(exported("rpz", bundle, tmp_path, "mam-non"), port, internet.port, tmp_path), port, tmp_path / "log") as server:
        server.await_rcode("bao.example", BLOCKED)
        assert [server.rcode(name) for name in ("cdn.network.example", "hoc.casino.example", "vn.pool.ntp.org")] == [BLOCKED, OPEN, OPEN]
        assert "198.51.100.5" in server.ask("hoc.casino.example").answer[-1].to_text()


@pytest.mark.parametrize(
    ("form", "start", "otherwise"),
    [
        ("rpz", bind, {}),
        ("rpz", unbound_with_zone, {}),
        # A name alone is answered with 0.0.0.0; that only what is below is blocked cannot be said.
        ("unbound", unbound, {"self.example": OPEN, "a.b.below.example": OPEN}),
        ("dnsmasq", dnsmasq, {}),
    ],
    ids=["bind", "unbound-rpz", "unbound", "dnsmasq"],
)
def test_the_program_answers_as_the_ladder_does(form, start, otherwise, bundle, tmp_path, internet: Internet):
    port = free_port()
    command = start(exported(form, bundle, tmp_path), port, internet.port, tmp_path)
    with ExitStack() as stack:
        server: Program = stack.enter_context(program(command, port, tmp_path / "log"))
        server.await_rcode("casino.example", BLOCKED)
        assert {name: server.rcode(name) for name in EXPECTED} == EXPECTED | otherwise
        if form == "unbound":
            assert [rrset[0].to_text() for rrset in server.ask("self.example").answer] == ["0.0.0.0"]
        if form in {"rpz", "unbound"}:
            assert any("forcesafesearch.google.com" in rrset.to_text() for rrset in server.ask("www.google.com").answer)

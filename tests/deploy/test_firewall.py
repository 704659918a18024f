"""The nftables rules: what they redirect and refuse, that nft accepts them, and that they find their file of addresses."""

import re
import shutil
from ipaddress import ip_network

import pytest

from tests.documents import GUIDES, ROOT, blocks
from tests.end_to_end.namespaces import Namespace

FOLDER = ROOT / "deploy" / "nftables"
RULES = FOLDER / "manglanh.nft"
ADDRESSES = FOLDER / "doh-addresses.nft"
UNITS = ROOT / "deploy" / "systemd"
INSTALLED = "/etc/nftables.d/manglanh/"


def code(path) -> str:
    return re.sub(r"#.*", "", path.read_text("utf-8"))


def elements(name: str) -> list[str]:
    (found,) = re.findall(rf"add element inet manglanh {name} \{{(.*?)\}}", code(ADDRESSES), re.DOTALL)
    return [text.strip() for text in found.split(",")]


def test_queries_to_other_resolvers_are_answered_by_the_box():
    assert "type nat hook prerouting" in code(RULES)
    assert "fib daddr type != local meta l4proto { tcp, udp } th dport 53 counter redirect to :53" in code(RULES)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_encrypted_dns_is_refused_at_once_rather_than_dropped(protocol):
    assert "type filter hook forward" in code(RULES)
    assert f"{protocol} dport 853 counter reject" in code(RULES)
    for family, name in (("ip", "doh4"), ("ip6", "doh6")):
        assert f"{family} daddr @{name} {protocol} dport 443 counter reject" in code(RULES)
    assert "drop" not in code(RULES)


def test_only_what_comes_from_the_school_is_touched():
    rules = [line.strip() for line in code(RULES).splitlines() if re.search(r"\b(redirect|reject|accept)\b", line) and "hook" not in line]
    assert len(rules) == 9
    assert [rule for rule in rules if not rule.startswith("iifname $school ")] == []
    assert "hook output" not in code(RULES), "the box must reach its upstreams, which may be in the set"


def test_loading_again_replaces_this_table_and_no_other():
    assert re.search(r"^table inet manglanh\ndelete table inet manglanh\n\ntable inet manglanh \{$", code(RULES), re.MULTILINE)
    assert "flush ruleset" not in code(RULES)


@pytest.mark.parametrize(("name", "version"), [("doh4", 4), ("doh6", 6)])
def test_the_addresses_are_networks_and_not_too_wide(name, version):
    networks = [ip_network(text) for text in elements(name)]
    assert len(networks) >= 9
    assert {network.version for network in networks} == {version}
    assert all(network.is_global and network.prefixlen >= {4: 24, 6: 32}[version] for network in networks)
    assert len(set(networks)) == len(networks)


def test_the_rules_read_the_file_that_the_guide_installs():
    (pattern,) = re.findall(r'^include "(.*)"$', code(RULES), re.MULTILINE)
    assert pattern == f"{INSTALLED}doh-addresses*.nft"
    for language in ("vi", "en"):
        assert f"sudo cp /opt/manglanh/deploy/nftables/*.nft {INSTALLED}" in (GUIDES / f"install.{language}.md").read_text("utf-8")


def test_root_loads_nothing_that_a_service_may_write():
    """The browser edits files in /etc/manglanh; rules that lay there would let whoever takes the dashboard over be root."""
    writable = re.findall(r"^ReadWritePaths=-?(\S+)$", "".join(unit.read_text("utf-8") for unit in UNITS.glob("*.service")), re.MULTILINE)
    assert "/etc/manglanh" in writable
    for language in ("vi", "en"):
        commands = "".join(block.text for block in blocks((GUIDES / f"install.{language}.md").read_text("utf-8"), "sh"))
        loaded = re.findall(r"nft (?:-c )?-f (\S+)|include \"(\S+)\"", commands)
        assert loaded
        assert [path for path in map("".join, loaded) if not path.startswith(INSTALLED) or path.startswith(tuple(writable))] == []


def test_nft_takes_them_twice(tmp_path):
    """In a network namespace of its own, where there is an nft; the second load must replace the first."""
    rules = tmp_path / "manglanh.nft"
    rules.write_text(RULES.read_text("utf-8").replace(INSTALLED, f"{FOLDER}/"), "utf-8")
    assert INSTALLED not in code(rules)
    if not shutil.which("nft"):
        return
    with Namespace("--net") as network:
        network.run("nft", "--check", "--file", str(rules))
        for _ in range(2):
            network.run("nft", "--file", str(rules))
        listed = network.run("nft", "list", "ruleset")
    assert listed.count("table inet") == 1
    assert "8.8.8.8" in listed
    assert "redirect to :53" in listed

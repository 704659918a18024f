"""From an address, and perhaps a MAC, to a group."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.identify import Directory, PrefixTable, default_group
from tests.policies.schools import school

GROUPS = [
    {"name": "all", "tier": "thcs", "clients": ["10.0.0.0/8", "fd00::/16"]},
    {"name": "lab", "tier": "thpt", "clients": ["10.0.12.0/24", "fd00:0:0:12::/64", "aa:bb:cc:dd:ee:ff"]},
    {"name": "box", "tier": "staff", "clients": ["10.0.12.7", "::ffff:192.168.9.0/120"]},
]


@pytest.mark.parametrize(
    ("address", "mac", "group"),
    [
        ("10.9.9.9", None, "all"),
        ("10.0.12.6", None, "lab"),
        ("10.0.12.7", None, "box"),
        ("fd00::1", None, "all"),
        ("fd00:0:0:12::5", None, "lab"),
        ("fe80::1%eth0", None, "guest"),
        ("192.168.1.1", None, "guest"),
        ("192.168.9.3", None, "box"),
        ("::ffff:10.0.12.7", None, "box"),
        ("8.8.8.8", None, None),
        ("2001:db8::1", None, None),
        ("::ffff:8.8.8.8", None, None),
        ("10.0.12.7", "aa:bb:cc:dd:ee:ff", "lab"),
        ("8.8.8.8", "aa:bb:cc:dd:ee:ff", None),
        ("10.0.12.7", "00:00:00:00:00:01", "box"),
        ("10.0.12.7", "00:00:00:00:00:02", "all"),
        ("10.0.12.7", "00:00:00:00:00:03", "box"),
        (b"\x0a\x00\x0c\x07", None, "box"),
        (bytes(10) + b"\xff\xff\x0a\x00\x0c\x07", None, "box"),
        (ip_address("10.0.12.7"), None, "box"),
    ],
)
def test_group(address, mac, group):
    devices = {"00:00:00:00:00:02": "all", "00:00:00:00:00:03": "a-group-that-is-gone"}
    assert Directory(school(groups=GROUPS), devices).group(address, mac) == group


def test_the_live_state_moves_a_device_that_the_file_names():
    assert Directory(school(groups=GROUPS), {"aa:bb:cc:dd:ee:ff": "box"}).group("10.9.9.9", "aa:bb:cc:dd:ee:ff") == "box"


def test_macs_matter_only_where_some_are_mapped():
    assert Directory(school()).uses_macs
    groups = [{"name": "all", "tier": "thcs", "clients": ["10.0.0.0/8"]}]
    assert not Directory(school(groups=groups)).uses_macs
    assert Directory(school(groups=groups), {"00:00:00:00:00:02": "all"}).uses_macs


@pytest.mark.parametrize(
    ("sections", "name", "tier"),
    [
        ({}, "guest", "guest"),
        ({"default_group": "guest"}, "guest", "guest"),
        ({"default_group": "6a1"}, "6a1", "thcs"),
        ({"groups": [{"name": "guest", "tier": "thpt"}]}, "guest", "thpt"),
    ],
)
def test_default_group(sections, name, tier):
    group = default_group(school(**sections))
    assert (group.name, group.tier) == (name, tier)


@pytest.mark.parametrize("address", [b"", b"123", "10.0.0", ""])
def test_no_address(address):
    with pytest.raises(ValueError, match=r"."):
        Directory(school()).group(address)


NETWORKS = st.one_of(
    st.tuples(st.ip_addresses(v=4, network="10.0.0.0/28"), st.integers(24, 32)),
    st.tuples(st.ip_addresses(v=6, network="fd00::/124"), st.integers(118, 128)),
).map(lambda pair: ip_network(pair, strict=False))


@settings(deadline=None)
@given(
    st.dictionaries(NETWORKS, st.text(min_size=1, max_size=3), max_size=12),
    st.one_of(st.ip_addresses(network="10.0.0.0/28"), st.ip_addresses(network="fd00::/124")),
)
def test_prefix_table_is_the_longest_prefix(networks, address):
    covering = [network for network in networks if network.version == address.version and address in network]
    expected = networks[max(covering, key=lambda network: network.prefixlen)] if covering else None
    assert PrefixTable(networks.items()).find(address.version, int(address)) == expected

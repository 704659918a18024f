"""Names that a standard or a vendor settles, and those that must go on to the policy."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.category import CATEGORIES
from filters.name import is_within, normalise
from filters.special_names import NTP_NAMES, Answer, special

NXDOMAIN = [
    "use-application-dns.net",
    "mask.icloud.com",
    "mask-h2.icloud.com",
    "mask-canary.icloud.com",
    "dns-tunnel-check.googlezip.net",
    "invalid",
    "a.invalid",
    "test",
    "www.example.test",
    "xmanglanh.test",
    "onion",
    "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion",
    "local",
    "printer.local",
    "router.home.arpa",
    "1.0.0.10.in-addr.arpa",
    "1.1.168.192.in-addr.arpa",
    "1.0.0.127.in-addr.arpa",
    "9.31.172.in-addr.arpa",
    "1.127.100.in-addr.arpa",
    "x.d.f.ip6.arpa",
    "0.b.e.f.ip6.arpa",
]
NODATA = ["resolver.arpa", "_dns.resolver.arpa", "home.arpa", "10.in-addr.arpa", "168.192.in-addr.arpa", "16.172.in-addr.arpa"]
GOES_ON = [
    "",
    "com",
    "arpa",
    "in-addr.arpa",
    "icloud.com",
    "www.icloud.com",
    "x.mask.icloud.com",
    "notlocal",
    "a.notlocal",
    "thelocal.com",
    "local.example.com",
    "manglanh.test",
    "gambling.manglanh.test",
    "www.gambling.manglanh.test",
    "8.8.8.8.in-addr.arpa",
    "32.172.in-addr.arpa",
    "15.172.in-addr.arpa",
    "128.100.in-addr.arpa",
    "110.in-addr.arpa",
    "ipv4only.arpa",
    "0.0.0.0.7.4.6.0.6.2.ip6.arpa",
]


@pytest.mark.parametrize("name", NXDOMAIN)
def test_nxdomain(name):
    assert special(name).answer is Answer.NXDOMAIN


@pytest.mark.parametrize("name", NODATA)
def test_nodata(name):
    assert special(name).answer is Answer.NODATA


@pytest.mark.parametrize("name", GOES_ON)
def test_goes_on_to_the_policy(name):
    assert special(name) is None


@pytest.mark.parametrize("name", ["localhost", "www.localhost"])
def test_localhost(name):
    found = special(name)
    assert found.answer is Answer.ADDRESSES
    assert found.addresses == (IPv4Address("127.0.0.1"), IPv6Address("::1"))


@pytest.mark.parametrize("category", CATEGORIES.values(), ids=lambda category: category.id)
def test_every_category_test_name_reaches_the_policy(category):
    assert special(category.test_name) is None


RESERVED_TEXT = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.2.0/24 192.168.0.0/16 198.51.100.0/24
    203.0.113.0/24 255.255.255.255/32 ::/128 ::1/128 fd00::/8 fe80::/10 2001:db8::/32
"""
RESERVED = [ip_network(text) for text in RESERVED_TEXT.split()]


@given(st.one_of(st.ip_addresses(), st.sampled_from(RESERVED).flatmap(lambda network: st.ip_addresses(network=network))))
def test_a_reverse_name_is_special_exactly_where_rfc_6303_reserves_its_address(address):
    reserved = any(address in network for network in RESERVED if network.version == address.version)
    assert (special(address.reverse_pointer) is not None) == reserved


@pytest.mark.parametrize(
    "text", ["172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0", "100.63.255.255", "100.64.0.0", "fec0::1", "febf::1"]
)
def test_reverse_names_at_the_edges(text):
    address = ip_address(text)
    reserved = any(address in network for network in RESERVED if network.version == address.version)
    assert (special(address.reverse_pointer) is not None) == reserved


@given(st.text(alphabet="abclotsrn.-", max_size=40))
def test_special_is_total(name):
    found = special(name)
    assert found is None or (found.why and (found.answer is Answer.ADDRESSES) == bool(found.addresses))


def test_clock_servers_are_canonical_and_none_is_special():
    assert {normalise(name) for name in NTP_NAMES} == NTP_NAMES
    assert [name for name in NTP_NAMES if special(name) is not None] == []
    assert not [(a, b) for a in NTP_NAMES for b in NTP_NAMES if a != b and is_within(a, b)]
    assert {"pool.ntp.org", "time.google.com", "time.windows.com", "time.apple.com", "time.cloudflare.com", "ntp.ubuntu.com"} <= NTP_NAMES

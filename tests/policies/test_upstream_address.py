import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.socket_address import join_port, parse_listen, split_port
from policies.upstream_address import UpstreamAddress, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("9.9.9.9", UpstreamAddress("udp", "9.9.9.9", 53)),
        ("9.9.9.9:5353", UpstreamAddress("udp", "9.9.9.9", 5353)),
        ("udp://9.9.9.9", UpstreamAddress("udp", "9.9.9.9", 53)),
        ("2620:FE::fe", UpstreamAddress("udp", "2620:fe::fe", 53)),
        ("[2620:fe::fe]", UpstreamAddress("udp", "2620:fe::fe", 53)),
        ("[2620:fe::fe]:54", UpstreamAddress("udp", "2620:fe::fe", 54)),
        ("tcp://10.0.0.2", UpstreamAddress("tcp", "10.0.0.2", 53)),
        ("tls://1.1.1.1#Cloudflare-DNS.com", UpstreamAddress("tls", "1.1.1.1", 853, "cloudflare-dns.com")),
        ("tls://[2606:4700::1]:8853#one.one", UpstreamAddress("tls", "2606:4700::1", 8853, "one.one")),
        ("tls://1.1.1.1", UpstreamAddress("tls", "1.1.1.1", 853, "1.1.1.1")),
        ("https://dns.google/dns-query#8.8.4.4", UpstreamAddress("https", "8.8.4.4", 443, "dns.google", "/dns-query")),
        ("https://dns.google:444/q#8.8.8.8", UpstreamAddress("https", "8.8.8.8", 444, "dns.google", "/q")),
        ("https://[2606:4700::1]/q", UpstreamAddress("https", "2606:4700::1", 443, "2606:4700::1", "/q")),
    ],
)
def test_forms(text, expected):
    assert parse(text) == expected
    assert parse(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not an IP address"),
        ("dns.google", "'dns.google' is not an IP address"),
        ("9.9.9.9:0", "'0' is not a port"),
        ("9.9.9.9:65536", "'65536' is not a port"),
        ("9.9.9.9:", "'' is not a port"),
        ("[2620:fe::fe", "an IPv6 address with a port is written"),
        ("[2620:fe::fe]53", "an IPv6 address with a port is written"),
        ("quic://9.9.9.9", "unknown scheme 'quic'"),
        ("9.9.9.9#dns.quad9.net", "only tls:// has a server name"),
        ("tls://1.1.1.1#", "'' is not a server name: empty name"),
        ("tls://cloudflare-dns.com", "is not an IP address"),
        ("https://dns.google/dns-query", "its address is missing"),
        ("https://dns.google", "a DoH address has a path"),
        ("https://dns.google/a b", "a DoH address has a path"),
        ("https:///dns-query", "'' is not a server name"),
        ("https://dns.google/q#dns.google", "'dns.google' is not an IP address"),
    ],
)
def test_refusals_say_why(text, message):
    with pytest.raises(ValueError, match=r".") as refused:
        parse(text)
    assert message in str(refused.value)


@settings(deadline=None)
@given(st.one_of(st.text(), st.text("0123456789:[].#/tlshp", max_size=30)))
def test_parse_raises_nothing_but_value_error_and_round_trips(text):
    try:
        address = parse(text)
    except ValueError:
        return
    assert parse(str(address)) == address


@pytest.mark.parametrize(
    ("text", "expected"), [("0.0.0.0:53", ("0.0.0.0", 53)), ("[::]:53", ("::", 53)), ("127.0.0.1:8080", ("127.0.0.1", 8080))]
)
def test_listen(text, expected):
    assert parse_listen(text) == expected
    assert join_port(*expected) == text


@pytest.mark.parametrize("text", ["0.0.0.0", "::", "[::]", "localhost:53", "1.2.3.4:99999", ""])
def test_listen_refuses(text):
    with pytest.raises(ValueError, match=r"."):
        parse_listen(text)


def test_a_bare_ipv6_address_has_no_port():
    assert split_port("::1") == ("::1", None)

"""The pretend internet, asked with dnspython: over loopback, datagram and stream."""

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.demo_internet import DemoInternet, address4, address6, answer


@pytest.fixture(scope="module")
def internet():
    running = DemoInternet()
    yield running
    running.close()


def ask(internet, name, rdtype, *, tcp=False, edns=1232):
    host, _, port = internet.address.rpartition(":")
    query = dns.message.make_query(name, rdtype, use_edns=edns is not None, payload=edns or 0)
    exchange = dns.query.tcp if tcp else dns.query.udp
    return exchange(query, host, port=int(port), timeout=5)


def values(response):
    return [record.to_text() for rrset in response.answer for record in rrset]


@pytest.mark.parametrize("tcp", [False, True])
def test_every_name_has_the_same_documentation_addresses_always(internet, tcp):
    assert values(ask(internet, "Hocmai.VN", "A", tcp=tcp)) == [address4("hocmai.vn")]
    assert values(ask(internet, "hocmai.vn", "AAAA", tcp=tcp)) == [address6("hocmai.vn")]
    assert address6("hocmai.vn").startswith("2001:db8:")


@given(st.text(min_size=1, max_size=40))
def test_addresses_come_from_documentation_ranges_only(name):
    assert address4(name).rpartition(".")[0] in {"192.0.2", "198.51.100", "203.0.113"}
    assert 1 <= int(address4(name).rpartition(".")[2]) <= 254


def test_https_offers_what_a_filter_must_take_out(internet):
    text = values(ask(internet, "vnexpress.net", "HTTPS"))[0]
    assert "ech=" in text
    assert f'ipv4hint="{address4("vnexpress.net")}"' in text


def test_a_missing_name_is_denied_with_a_start_of_authority(internet):
    response = ask(internet, "this-does-not-exist.example", "A")
    assert response.rcode() == dns.rcode.NXDOMAIN
    assert response.authority[0].rdtype == dns.rdatatype.SOA


def test_a_type_that_is_not_there_is_nodata(internet):
    response = ask(internet, "example.com", "SRV")
    assert (response.rcode(), response.answer) == (dns.rcode.NOERROR, [])
    assert response.authority[0].rdtype == dns.rdatatype.SOA


def test_a_cloaked_tracker_is_an_alias(internet):
    response = ask(internet, "cloaked.example", "A")
    assert values(response) == ["tracking.manglanh.test.", address4("tracking.manglanh.test")]


def test_a_rebinding_name_points_inside(internet):
    assert values(ask(internet, "rebind.example", "A")) == ["192.168.1.1"]


@pytest.mark.parametrize("edns", [1232, None])
def test_a_long_answer_is_cut_in_a_datagram_and_whole_on_a_stream(internet, edns):
    short = ask(internet, "long.example", "TXT", edns=edns)
    assert short.flags & dns.flags.TC
    assert short.answer == []
    assert len(values(ask(internet, "long.example", "TXT", tcp=True, edns=edns))) == 1


def test_edns_is_answered_when_asked(internet):
    assert ask(internet, "example.com", "A").edns == 0
    assert ask(internet, "example.com", "A", edns=None).edns == -1


@given(st.binary(max_size=300))
def test_no_bytes_break_it(data):
    assert answer(data) is None or isinstance(answer(data), bytes)


@given(st.data())
def test_no_damaged_query_breaks_it(data):
    query = bytearray(dns.message.make_query("a.b.example", "A", use_edns=0).to_wire())
    for _ in range(data.draw(st.integers(1, 4))):
        query[data.draw(st.integers(0, len(query) - 1))] = data.draw(st.integers(0, 255))
    assert answer(bytes(query)) is None or isinstance(answer(bytes(query)), bytes)

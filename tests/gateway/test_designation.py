"""What a client is told that looks for encryption (RFC 9461, RFC 9462), read back by dnspython and by our own reader."""

from ipaddress import ip_address

import dns.rdata
import pytest

from gateway.local_zone import DDR, LocalZone
from gateway.numbers import Type
from gateway.service_binding import read_service_binding
from policies.model import Dns, Tls

HOSTNAME = "manglanh.truong.lan"
BOX = [ip_address(text).packed for text in ("10.0.0.2", "fd00::2")]
TLS = {"certificate": "certificate.pem", "key": "key.pem"}


def zone(tls=None, **more):
    served = None if tls is None else Tls.model_validate(TLS | tls)
    return LocalZone(Dns.model_validate({"upstreams": ("9.9.9.9",), "hostname": HOSTNAME, "tls": served} | more), BOX)


def texts(found):
    return [dns.rdata.from_wire("IN", rtype, rdata, 0, len(rdata)).to_text() for rtype, rdata in found]


def test_tls_alone_is_one_record_with_the_boxs_addresses():
    expected = f'1 {HOSTNAME}. alpn="dot" port="853" ipv4hint="10.0.0.2" ipv6hint="fd00::2"'
    assert texts(zone({}).records(DDR, Type.SVCB)) == [expected]


def test_https_comes_second_with_its_path_and_port():
    both = zone({"listen": ("0.0.0.0:8853",), "https_listen": ("0.0.0.0:8443", "[::]:8443"), "path": "/hoi"})
    assert texts(both.records(DDR, Type.SVCB)) == [
        f'1 {HOSTNAME}. alpn="dot" port="8853" ipv4hint="10.0.0.2"',
        f'2 {HOSTNAME}. alpn="h2" port="8443" ipv4hint="10.0.0.2" ipv6hint="fd00::2" dohpath="/hoi{{?dns}}"',
    ]


def test_each_port_has_a_record_and_only_the_addresses_that_it_is_listened_on():
    found = zone({"listen": ("10.0.0.2:853", "192.0.2.9:853", "[::]:8853")}).records(DDR, Type.SVCB)
    assert texts(found) == [
        f'1 {HOSTNAME}. alpn="dot" port="853" ipv4hint="10.0.0.2"',
        f'1 {HOSTNAME}. alpn="dot" port="8853" ipv6hint="fd00::2"',
    ]


def test_the_records_are_well_formed_to_our_own_reader():
    for _, rdata in zone({"https_listen": ("0.0.0.0:443",)}).records(DDR, Type.SVCB):
        binding = read_service_binding(rdata, 0, len(rdata))
        assert binding.target == HOSTNAME
        assert binding.addresses()[0] == BOX[0]


def test_a_client_that_knows_the_name_gets_the_same_records():
    served = zone({"https_listen": ("0.0.0.0:443",)})
    assert served.records(f"_dns.{HOSTNAME}", Type.SVCB) == served.records(DDR, Type.SVCB)
    assert [rdata for _, rdata in served.records(HOSTNAME, Type.A)] == [BOX[0]]
    assert [rdata for _, rdata in served.records(HOSTNAME, Type.AAAA)] == [BOX[1]]


@pytest.mark.parametrize("name", [DDR, f"_dns.{HOSTNAME}"])
def test_other_types_have_no_data_and_without_tls_the_names_are_not_ours(name):
    assert zone({}).records(name, Type.A) == []
    assert zone().records(name, Type.SVCB) is None


def test_addresses_that_the_school_wrote_down_are_the_hints():
    written = zone({}, local={HOSTNAME: ("10.9.9.9",)})
    assert texts(written.records(DDR, Type.SVCB)) == [f'1 {HOSTNAME}. alpn="dot" port="853" ipv4hint="10.9.9.9"']

"""How the box says that it is the same resolver over TLS and over HTTPS: SVCB records for clients that look (RFC 9461, 9462). Pure.

Clients that verify believe it only where the certificate names the address that they already ask, so it must hold the box's
addresses beside its name.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

from gateway.numbers import SvcParam
from gateway.service_binding import ServiceBinding, encoded
from policies.model import Tls
from policies.socket_address import parse_listen

Address = IPv4Address | IPv6Address

DOT, DOH = 1, 2
"""priorities: TLS before HTTPS, since it costs the box less"""
_HINTS = {4: SvcParam.IPV4HINT, 6: SvcParam.IPV6HINT}


def designations(hostname: str, tls: Tls, addresses: Iterable[Address]) -> list[bytes]:
    """Record data: one record for each port on which TLS, then HTTPS, is served at one of the host's ``addresses``."""
    box = tuple(addresses)
    dohpath = {SvcParam.DOHPATH: f"{tls.path}{{?dns}}".encode()}
    return [
        *_at_each_port(ServiceBinding(DOT, hostname, _alpn(b"dot")), tls.listen, box),
        *_at_each_port(ServiceBinding(DOH, hostname, _alpn(b"h2") | dohpath), tls.https_listen, box),
    ]


def _alpn(protocol: bytes) -> dict[int, bytes]:
    return {SvcParam.ALPN: len(protocol).to_bytes() + protocol}


def _at_each_port(binding: ServiceBinding, listens: Iterable[str], addresses: tuple[Address, ...]) -> list[bytes]:
    hosts: dict[int, list[Address]] = {}
    for listen in listens:
        host, port = parse_listen(listen)
        hosts.setdefault(port, []).append(ip_address(host))
    return [
        encoded(binding._replace(params={**binding.params, SvcParam.PORT: port.to_bytes(2), **_hints(addresses, at)}))
        for port, at in hosts.items()
    ]


def _hints(addresses: Iterable[Address], hosts: list[Address]) -> dict[int, bytes]:
    """The addresses that are listened on, so that a client need not ask for them."""
    reached = [address for address in addresses if any(_listens_on(host, address) for host in hosts)]
    packed = {key: b"".join(each.packed for each in reached if each.version == version) for version, key in _HINTS.items()}
    return {key: value for key, value in packed.items() if value}


def _listens_on(host: Address, address: Address) -> bool:
    return host == address or (host.is_unspecified and host.version == address.version)

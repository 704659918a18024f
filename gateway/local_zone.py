"""The names that the box answers from the school's file: its own name, local records with their PTR, and its DDR records. Pure."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

from filters.name import is_within, parents
from gateway.designation import designations
from gateway.numbers import Type
from gateway.wire import encode_name
from policies.model import Dns

Address = IPv4Address | IPv6Address
RDATA = tuple[int, bytes]
"""record type, record data"""

_VERSION = {int(Type.A): 4, int(Type.AAAA): 6}
DDR = "_dns.resolver.arpa"
"""what a client asks that knows only an address (RFC 9462, section 4)"""


class LocalZone:
    """Looked up before the policy is asked: what a school writes for its own network is not filtered."""

    def __init__(self, dns: Dns, own_addresses: Iterable[bytes]) -> None:
        """``own_addresses``: packed addresses of the box, for its own name where the file gives none."""
        self._addresses: dict[str, tuple[Address, ...]] = dict(dns.local)
        self._addresses.setdefault(dns.hostname, dns.block_page or tuple(ip_address(packed) for packed in own_addresses))
        self._pointers: dict[str, str] = {}
        for name, addresses in self._addresses.items():
            for address in addresses:
                self._pointers.setdefault(address.reverse_pointer, name)
        self._forwarded = frozenset(dns.forward)
        self._designations = designations(dns.hostname, dns.tls, self._addresses[dns.hostname]) if dns.tls else []
        self._designated = frozenset((DDR, f"_dns.{dns.hostname}")) if dns.tls else frozenset()

    def is_forwarded(self, name: str) -> bool:
        """Whether ``name`` belongs to a conditional forwarding, and so is asked there even if it is a special name."""
        return bool(self._forwarded) and any(parent in self._forwarded for parent in parents(name))

    def records(self, name: str, qtype: int) -> list[RDATA] | None:
        """The records of ``name``; an empty list: the name exists and has none of this type; None: not ours."""
        addresses = self._addresses.get(name)
        if addresses is not None:
            wanted = _VERSION.get(qtype)
            return [(qtype, address.packed) for address in addresses if address.version == wanted]
        pointer = self._pointers.get(name)
        if pointer is not None:
            return [(Type.PTR, encode_name(pointer))] if qtype == Type.PTR else []
        if name in self._designated:
            return [(Type.SVCB, rdata) for rdata in self._designations] if qtype == Type.SVCB else []
        return None

    def is_private_allowed(self, name: str, exceptions: tuple[str, ...]) -> bool:
        """Whether ``name`` may have private addresses: conditionally forwarded, or among the school's exceptions."""
        return self.is_forwarded(name) or any(is_within(name, exception) for exception in exceptions)

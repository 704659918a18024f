"""Whose question is it? From a source address (and a MAC, where the neighbour table knows one) to a group.

The first that speaks: ``allow_from`` (an address outside of it gets no group, and so no answer), the MAC (a device is more
specific than any network; a mapping in the live state before one in the school's file), the longest prefix of all groups'
networks, the default group. An IPv4-mapped IPv6 address is the IPv4 address that it carries (RFC 4291 section 2.5.5.2).
"""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from policies.model import Group, SchoolFile

GUEST = "guest"


def default_group(file: SchoolFile) -> Group:
    """The group of an address that no group names; a school that defines none has one of tier ``guest``."""
    name = file.default_group or GUEST
    return next((group for group in file.groups if group.name == name), Group(name=name, tier=GUEST))


class PrefixTable:
    """Networks of both families, each with a value; the longest prefix that covers an address answers."""

    def __init__(self, entries: Iterable[tuple[IPv4Network | IPv6Network, str]]) -> None:
        by_length: dict[int, dict[int, dict[int, str]]] = {4: {}, 6: {}}
        for network, value in entries:
            by_length[network.version].setdefault(network.prefixlen, {})[int(network.network_address)] = value
        self._lengths = {
            version: [(width - length, lengths[length]) for length in sorted(lengths, reverse=True)]
            for version, width, lengths in ((4, 32, by_length[4]), (6, 128, by_length[6]))
        }

    def find(self, version: int, address: int) -> str | None:
        """``address`` as a number; one dictionary look-up per prefix length that occurs."""
        for host_bits, networks in self._lengths[version]:
            value = networks.get(address >> host_bits << host_bits)
            if value is not None:
                return value
        return None


class Directory:
    """Who is who: built once per school file and state; asked once per new client."""

    def __init__(self, file: SchoolFile, devices: Mapping[str, str] | None = None) -> None:
        """``devices`` is State.devices; a device whose group the school no longer has is as if it were not there."""
        default = default_group(file)
        known = {group.name for group in file.groups} | {default.name}
        clients = [(client, group.name) for group in file.groups for client in group.clients]
        self._default = default.name
        self._allowed = PrefixTable((network, "") for network in file.dns.allow_from)
        self._networks = PrefixTable((client, group) for client, group in clients if not isinstance(client, str))
        self._devices = {client: group for client, group in clients if isinstance(client, str)}
        self._devices.update({mac: group for mac, group in (devices or {}).items() if group in known})

    @property
    def uses_macs(self) -> bool:
        """False: no device is mapped by MAC, so nobody needs to look at the neighbour table."""
        return bool(self._devices)

    def group(self, address: bytes | str | IPv4Address | IPv6Address, mac: str | None = None) -> str | None:
        """The group's name; None: the address is not in ``allow_from`` and must get no answer.

        ``address`` in network byte order (4 or 16 bytes), as text (a scope such as ``%eth0`` is ignored) or parsed;
        ``mac`` lower case with colons. Raises ValueError for something that is no address.
        """
        version, number = _numeric(address)
        if self._allowed.find(version, number) is None:
            return None
        return self._named(version, number, mac) or self._default

    def is_named(self, address: bytes | str | IPv4Address | IPv6Address, mac: str | None = None) -> bool:
        """Whether a group names the device or its network; the others that may ask are in the default group. As ``group``."""
        return self._named(*_numeric(address), mac) is not None

    def _named(self, version: int, number: int, mac: str | None) -> str | None:
        if mac is not None and mac in self._devices:
            return self._devices[mac]
        return self._networks.find(version, number)


def _numeric(address: bytes | str | IPv4Address | IPv6Address) -> tuple[int, int]:
    parsed = ip_address(address) if isinstance(address, (bytes, str)) else address
    number = int(parsed)
    if parsed.version == 6 and number >> 32 == 0xFFFF:
        return 4, number & 0xFFFFFFFF
    return parsed.version, number

"""Who asks: every source address that was met, with its group's view and its token bucket.  [shell: the neighbour table]

A device that is mapped by its MAC is looked up in the kernel's neighbour table; a device that changes its address, or an address
that changes its device, is met anew. At most ``MAX_CLIENTS`` are remembered; the one met longest ago is forgotten first.
"""

import logging
from dataclasses import dataclass

from gateway import netlink
from gateway.hot import Client
from gateway.live import Live
from gateway.statistics import mark

log = logging.getLogger("manglanh.clients")

MAX_CLIENTS = 65536
MAX_STRANGERS = 4096
IPV6 = 16
"""octets of an address"""
NEIGHBOURS_EVERY = 0.02
"""seconds between two reads of the neighbour table for the sake of new addresses: a new device must not be met as a stranger"""


@dataclass(slots=True)
class _Stranger:
    """A client that nothing names, and its bucket when it was last looked at: every query that is let through changes that."""

    client: Client
    tokens: float = -1.0
    refilled_at: float = 0.0


class Clients:
    """``by_address`` is what the hot loop looks into: packed source address -> Client. ``salt``: what the devices' bits are made with."""

    def __init__(self, live: Live, salt: bytes) -> None:
        self.by_address: dict[bytes, Client] = {}
        self._live = live
        self._salt = salt
        self._strangers: dict[bytes, _Stranger] = {}
        self._neighbours: dict[bytes, str] = {}
        self._neighbours_at = float("-inf")
        self._ipv4_of: dict[str, bytes] = {}
        self._met_ipv6 = False

    def find(self, address: bytes, now: float) -> Client:
        """The client behind ``address`` (packed), met now if it is new."""
        client = self.by_address.get(address)
        return client if client is not None else self._meet(address, now)

    def forget(self) -> None:
        """Every client is met anew with its next query."""
        self.by_address.clear()
        self._strangers.clear()

    def use_salt(self, salt: bytes) -> None:
        """Devices get other bits from now on."""
        self._salt = salt
        self.forget()

    def active_strangers(self) -> list[bytes]:
        """The addresses that asked since the last call and are in the default group because nothing names them."""
        active = []
        for address, stranger in self._strangers.items():
            client = stranger.client
            if (client.tokens, client.refilled_at) != (stranger.tokens, stranger.refilled_at):
                stranger.tokens, stranger.refilled_at = client.tokens, client.refilled_at
                active.append(address)
        return active

    def look_at_neighbours(self, now: float) -> None:
        """Read the neighbour table; a client whose device changed is forgotten, and met anew with its next query."""
        if not self._live.directory.uses_macs and not self._met_ipv6:
            return
        try:
            neighbours = netlink.neighbours()
        except OSError as error:
            log.warning("neighbour table: %s", error)
            return
        changed = dict(self._neighbours.items() ^ neighbours.items())
        if changed:
            devices = set(changed.values()) | {neighbours[address] for address in changed if address in neighbours}
            for address in changed:
                self.by_address.pop(address, None)
            for address, mac in neighbours.items():
                if len(address) == IPV6 and mac in devices:  # its IPv4 address, and so its bit, may be another now
                    self.by_address.pop(address, None)
            self._ipv4_of = {mac: address for address, mac in sorted(neighbours.items(), reverse=True) if len(address) != IPV6}
        self._neighbours, self._neighbours_at = neighbours, now

    def _meet(self, address: bytes, now: float) -> Client:
        """One that may not ask is remembered too, with a bucket that never fills."""
        if len(self.by_address) >= MAX_CLIENTS:
            del self.by_address[next(iter(self.by_address))]
        mac = self._mac(address, now)
        view = self._live.view(address, mac)
        limits = self._live.file.dns.limits
        rate, burst = (0.0, 0.0) if view is None else (float(limits.queries_per_second), float(limits.burst))
        client = self.by_address[address] = Client(view, rate, burst, now, self._bit(address))
        self._strangers.pop(address, None)
        if view is not None and not self._live.directory.is_named(address, mac):
            if len(self._strangers) >= MAX_STRANGERS:
                del self._strangers[next(iter(self._strangers))]
            self._strangers[address] = _Stranger(client)
        return client

    def _bit(self, address: bytes) -> int:
        """The device's bit. A device has one IPv4 address but any number of IPv6 ones, which must not count as many devices.

        So an IPv6 address stands for the IPv4 address of the same MAC, and has no bit where that is not known.
        """
        if len(address) == IPV6:
            self._met_ipv6 = True
            known = self._ipv4_of.get(self._neighbours.get(address, ""))
            return 0 if known is None else mark(self._salt, known)
        return mark(self._salt, address)

    def _mac(self, address: bytes, now: float) -> str | None:
        if not self._live.directory.uses_macs:
            return None
        if address not in self._neighbours and now - self._neighbours_at > NEIGHBOURS_EVERY:
            self.look_at_neighbours(now)
        return self._neighbours.get(address)

"""Who asks: every source address that was met, with its group's view and its token bucket.  [shell: the neighbour table]

A device that is mapped by its MAC is looked up in the kernel's neighbour table; a device that changes its address, or an address
that changes its device, is met anew. At most ``MAX_CLIENTS`` are remembered; the one met longest ago is forgotten first.
"""

import logging

from gateway import netlink
from gateway.hot import Client
from gateway.live import Live

log = logging.getLogger("manglanh.clients")

MAX_CLIENTS = 65536
NEIGHBOURS_EVERY = 0.02
"""seconds between two reads of the neighbour table for the sake of new addresses: a new device must not be met as a stranger"""


class Clients:
    """``by_address`` is what the hot loop looks into: packed source address -> Client."""

    def __init__(self, live: Live) -> None:
        self.by_address: dict[bytes, Client] = {}
        self._live = live
        self._neighbours: dict[bytes, str] = {}
        self._neighbours_at = float("-inf")

    def find(self, address: bytes, now: float) -> Client:
        """The client behind ``address`` (packed), met now if it is new."""
        client = self.by_address.get(address)
        return client if client is not None else self._meet(address, now)

    def look_at_neighbours(self, now: float) -> None:
        """Read the neighbour table; a client whose device changed is forgotten, and met anew with its next query."""
        if not self._live.directory.uses_macs:
            return
        try:
            neighbours = netlink.neighbours()
        except OSError as error:
            log.warning("neighbour table: %s", error)
            return
        for address, _ in self._neighbours.items() ^ neighbours.items():
            self.by_address.pop(address, None)
        self._neighbours, self._neighbours_at = neighbours, now

    def _meet(self, address: bytes, now: float) -> Client:
        """One that may not ask is remembered too, with a bucket that never fills."""
        if len(self.by_address) >= MAX_CLIENTS:
            del self.by_address[next(iter(self.by_address))]
        view = self._live.view(address, self._mac(address, now))
        limits = self._live.file.dns.limits
        rate, burst = (0.0, 0.0) if view is None else (float(limits.queries_per_second), float(limits.burst))
        client = self.by_address[address] = Client(view, rate, burst, now)
        return client

    def _mac(self, address: bytes, now: float) -> str | None:
        if not self._live.directory.uses_macs:
            return None
        if address not in self._neighbours and now - self._neighbours_at > NEIGHBOURS_EVERY:
            self.look_at_neighbours(now)
        return self._neighbours.get(address)

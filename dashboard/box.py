"""What the running box tells the dashboard, and what it does for it. The command line supplies it (gateway/cli/box.py), a test its own."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol

from filters.domain_index import DomainIndex


class UpstreamHealth(NamedTuple):
    """What one worker finds of a resolver that it asks."""

    healthy: bool
    rtt: float | None
    """seconds, smoothed; None: it has not answered yet"""
    trouble: str = ""
    """the latest failure in words; empty while it answers"""


class WorkerReport(NamedTuple):
    """What one resolver worker says of itself."""

    number: int
    generation: int
    at: float
    bundle: str
    names: int
    starter: bool
    clock_trusted: bool
    troubles: Mapping[str, str]
    compiled: bool | None = None
    """whether the query path runs as compiled code; None: not said"""
    upstreams: Mapping[str, UpstreamHealth] = MappingProxyType({})
    """by the address that the school's file has"""


class Neighbour(NamedTuple):
    address: str
    mac: str


class Box(Protocol):
    def workers(self) -> Sequence[WorkerReport]:
        """The workers that run now; none: no resolver runs here."""

    def open_lists(self, previous: DomainIndex | None) -> DomainIndex:
        """The lists that serve, or ``previous`` where they are still the same. Raises BadBundle."""

    def lists_status(self) -> Mapping[str, object]:
        """``update.json`` as it is: when lists were asked for and came, and what is wrong (blocklists/box/update_status.py)."""

    def lists_said(self, translate: Callable[[str], str]) -> Sequence[str]:
        """The same in words, a sentence each."""

    def decisions(self) -> AsyncGenerator[Mapping[str, object]]:
        """Every decision of every worker as it is made, until the iterator is closed (gateway/tail.py)."""

    def neighbours(self) -> Sequence[Neighbour]:
        """The devices that the kernel knows by MAC."""

    def leases(self) -> Mapping[str, str]:
        """MAC -> the name that the device gave when it asked for an address (DHCP)."""

    def runtime(self) -> Path | None:
        """Where the workers leave their statistics; None: no resolver runs here."""

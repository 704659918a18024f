"""What is known of one upstream: how fast it is, whether it is worth asking, and what it has done so far.

Promises: pure bookkeeping; ``now`` and round-trip times are arguments, in seconds of one monotonic clock. Order and
patience follow from it: fast and working upstreams first, and a second one is asked when the first is late.
Refuses to decide anything for good: an upstream that is down is probed again, ever more rarely, and returns with its
first answer; nothing here ever removes one.
"""

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

from policies.upstream_address import UpstreamAddress

DOWN_AFTER: Final = 3
"""failures in a row that take an upstream out of the first rank"""
SHORTEST_PATIENCE: Final = 0.05
LONGEST_PATIENCE: Final = 0.4
UNKNOWN_PATIENCE: Final = 0.2
"""seconds to wait for an upstream that was never measured"""
PROBE_EVERY: Final = 10.0
"""seconds between measurements of a working upstream that is not the first choice"""
PROBE_SOON: Final = 1.0
"""seconds until an upstream that was late or failed is measured again; doubles with each probe while it is down"""
PROBE_RARELY: Final = 60.0
NO_EDNS_FOR: Final = 900.0
"""seconds for which an upstream that refused EDNS is asked without it"""


Trouble = Literal["timeout", "servfail", "network", "certificate", "malformed"]
"""kinds of failure, as metrics label them; ``servfail``: any error answer that another upstream did better than"""


class UpstreamStatistics(NamedTuple):
    """One upstream as metrics and the dashboard see it. Counters only grow."""

    zone: str
    """the subtree that is forwarded to it; ``""``: everything else"""
    address: str
    """as the school's file writes it"""
    queries: int
    answers: int
    failures: dict[Trouble, int]
    truncated: int
    mismatches: int
    """replies with a foreign id or question: forged, or from a broken server"""
    seconds: float
    """sum of the round-trip times of ``answers``"""
    srtt: float | None
    healthy: bool
    trouble: str
    """the latest failure in words; ``""`` while it answers"""

    @property
    def timeouts(self) -> int:
        return self.failures.get("timeout", 0)

    @property
    def errors(self) -> int:
        return sum(self.failures.values()) - self.timeouts


class Upstream:
    """One upstream's state. Compared by identity: the same address in two forwarded zones is two upstreams."""

    __slots__ = (
        "_probes_in_vain",
        "address",
        "answers",
        "encrypted",
        "failures",
        "in_a_row",
        "mismatches",
        "no_edns_until",
        "only_streams",
        "patience",
        "probe_at",
        "queries",
        "seconds",
        "srtt",
        "trouble",
        "truncated",
        "zone",
    )

    def __init__(self, address: UpstreamAddress, zone: str = "") -> None:
        self.address = address
        self.zone = zone
        self.only_streams = address.scheme != "udp"
        self.encrypted = address.scheme in {"tls", "https"}
        self.patience = LONGEST_PATIENCE if self.only_streams else UNKNOWN_PATIENCE
        self.srtt: float | None = None
        self.probe_at = 0.0
        self.no_edns_until = 0.0
        self.in_a_row = 0
        self._probes_in_vain = 0
        self.failures: dict[Trouble, int] = {}
        self.queries = self.answers = self.truncated = self.mismatches = 0
        self.seconds = 0.0
        self.trouble = ""

    @property
    def healthy(self) -> bool:
        return self.in_a_row < DOWN_AFTER

    def answered(self, seconds: float) -> None:
        """A reply came after ``seconds``: smoothed as TCP does (RFC 6298), and the end of any trouble."""
        self.answers += 1
        self.seconds += seconds
        srtt = self.srtt
        self._expect(seconds if srtt is None else srtt + (seconds - srtt) * 0.125)
        if self.trouble:
            self.in_a_row = 0
            self.trouble = ""

    def late(self, waited: float, now: float) -> None:
        """Another upstream answered first, after this one had kept us waiting. Slow or dead: a probe will tell."""
        self._count("timeout")
        self._expect(max(self.srtt or 0.0, waited))
        self.probe_at = min(self.probe_at, now + PROBE_SOON)

    def failed(self, kind: Trouble, trouble: str, now: float) -> None:
        """It gave no answer within the deadline, or a bad one, or the way to it is broken.

        A bad certificate takes it down at once: it will be as bad in a second.
        """
        self._count(kind)
        if self.healthy:
            self.probe_at = min(self.probe_at, now + PROBE_SOON)
        self.in_a_row = max(self.in_a_row + 1, DOWN_AFTER if kind == "certificate" else 0)
        self.trouble = trouble

    def probed(self, now: float) -> None:
        """A measurement is on its way; the next one is the further off the longer it is down (RFC 8767 section 5 asks for a limit)."""
        if self.healthy:
            self._probes_in_vain = 0
            self.probe_at = now + (PROBE_SOON if self.in_a_row else PROBE_EVERY)
        else:
            self.probe_at = now + min(PROBE_SOON * 2**self._probes_in_vain, PROBE_RARELY)
            self._probes_in_vain = min(self._probes_in_vain + 1, 6)

    def statistics(self) -> UpstreamStatistics:
        return UpstreamStatistics(
            zone=self.zone,
            address=str(self.address),
            queries=self.queries,
            answers=self.answers,
            failures=dict(self.failures),
            truncated=self.truncated,
            mismatches=self.mismatches,
            seconds=self.seconds,
            srtt=self.srtt,
            healthy=self.healthy,
            trouble=self.trouble,
        )

    def _count(self, kind: Trouble) -> None:
        self.failures[kind] = self.failures.get(kind, 0) + 1

    def _expect(self, srtt: float) -> None:
        self.srtt = srtt
        self.patience = min(max(3 * srtt, SHORTEST_PATIENCE), LONGEST_PATIENCE)


def by_preference(upstreams: Iterable[Upstream]) -> tuple[Upstream, ...]:
    """Working before down, measured before unknown, fast before slow; otherwise in the school file's order."""
    return tuple(sorted(upstreams, key=lambda upstream: (not upstream.healthy, upstream.srtt is None, upstream.srtt or 0.0)))

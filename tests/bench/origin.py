"""What a publisher's web server has to do for a thousand schools and for all of Vietnam's, reckoned from what was measured for a few. Pure.

``measured`` writes the part of docs/scale.md between its two markers; the page around it says what follows.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from blocklists.box.mirrors import Mirrors
from tests.bench import transfer
from tests.bench.setting import Result
from tests.bench.statistics_table import number, table

BEGIN, END = "<!-- measured: written by python -m tests.bench --scale docs/scale.md -->\n", "<!-- measured: end -->\n"
DAY, POLL, HOUR = 86_400, 60, 3600
SCHOOLS = (1_000, 26_000)
"""a province; the whole country"""
URGENT_A_DAY = (0, 1, 5, 20)
BASE_DAYS = 30
"""days between two new bases"""
CONNECTION_BYTES = 4_500
"""of a new TLS 1.3 connection with two certificates, both ways: not measured here"""
PAUSES = (60, 600, HOUR)
"""seconds for which an origin is away"""
SAMPLE = 2_000
"""schools that are simulated; the rest do as they do"""
SEED = 111


@dataclass(frozen=True)
class Cost:
    requests: float
    connections: float
    bytes: float

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.requests + other.requests, self.connections + other.connections, self.bytes + other.bytes)

    def times(self, count: float) -> "Cost":
        return Cost(self.requests * count, self.connections * count, self.bytes * count)


@dataclass(frozen=True)
class Costs:
    """Of one school."""

    poll: Cost
    """when nothing is new"""
    hourly: Cost
    timestamp: Cost
    urgent: Cost
    overlay: Cost
    first: Cost
    base: int
    """bytes of the base alone"""

    def day(self, urgent: int) -> Cost:
        """A quiet day but for its releases: one with changed lists, so many urgent ones, and its share of a new base."""
        quiet = self.poll.times(DAY / POLL - 24) + self.hourly.times(24) + self.timestamp
        return quiet + self.overlay + self.urgent.times(urgent) + Cost(0, 0, self.base / BASE_DAYS)


class NotMeasured(Exception):
    """The run lacks what the sums are made of."""


def costs(results: Sequence[Result]) -> Costs:
    """Raises NotMeasured."""
    found = {result.case: result for result in results if result.measure == "transfer"}
    quiet = [result for result in results if result.measure == "origin"]
    wanted = (transfer.HOURLY, transfer.TIMESTAMP, transfer.URGENT, transfer.CHURNED, transfer.FIRST)
    missing = [case for case in wanted if case not in found] + ([] if quiet else ["a poll when nothing is new"])
    if missing:
        raise NotMeasured(f"not measured: {', '.join(missing)} (--only transfer,delay)")
    nearest = min(quiet, key=lambda result: abs(result.detail["poll"] - POLL))
    polls = max(nearest.detail["requests"], 1)
    hourly, timestamp, urgent, overlay, first = (_cost(found[case]) for case in wanted)
    # a school that has its connection already makes none for an urgent name's first request; counted as it was measured, without one
    return Costs(
        Cost(1, nearest.detail["connections"] / polls, nearest.value), hourly, timestamp, urgent, overlay, first, first_base(found)
    )


def first_base(found: dict[str, Result]) -> int:
    base: int = found[transfer.FIRST].detail["base"]
    return base


def _cost(result: Result) -> Cost:
    return Cost(result.detail["requests"], result.detail["connections"], result.value)


def rewritten(page: str, text: str) -> str:
    """The page with what stands between its markers replaced. Raises ValueError for a page without them."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def measured(results: Sequence[Result]) -> str:
    """The measured costs, and the sums. Raises NotMeasured."""
    found = costs(results)
    parts = ("### One school", _events(found), _day(found), "### All schools together", *(_sums(found, schools) for schools in SCHOOLS))
    return "\n\n".join((*parts, "### After the origin was away", _outages(), "### What the server itself took", _server(results))) + "\n"


def _events(found: Costs) -> str:
    times = {
        "a poll when nothing is new": (found.poll, f"{DAY // POLL - 24:,} a day"),
        "the hourly look at everything": (found.hourly, "24 a day"),
        "a new timestamp": (found.timestamp, "1 a day"),
        "lists with 1 % churn": (found.overlay, "1 a day, assumed"),
        "an urgent name": (found.urgent, "as they come"),
        "a first update": (found.first, "once"),
        "a new base": (Cost(0, 0, found.base), f"every {BASE_DAYS} days, assumed"),
    }
    rows = [(what, often, number(cost.requests), f"{cost.connections:.2f}", f"{cost.bytes:,.0f}") for what, (cost, often) in times.items()]
    return table(("what", "how often", "requests", "new connections", "bytes"), rows)


def _day(found: Costs) -> str:
    days = {urgent: found.day(urgent) for urgent in URGENT_A_DAY}
    rows = [
        (
            f"{urgent}",
            f"{day.requests:,.0f}",
            f"{day.connections:,.0f}",
            f"{day.bytes / 1e6:.2f} MB",
            f"{(day.bytes + day.connections * CONNECTION_BYTES) / 1e6:.2f} MB",
        )
        for urgent, day in days.items()
    ]
    poll, first = found.poll, days[0]
    sums = (
        f"A day without urgent releases: {DAY / POLL - 24:,.0f} x {poll.bytes:,.0f} + 24 x {found.hourly.bytes:,.0f} + {found.timestamp.bytes:,.0f}"
        f" + {found.overlay.bytes:,.0f} + {found.base:,} / {BASE_DAYS} = {first.bytes:,.0f} bytes.\n\n"
    )
    return sums + table(("urgent releases a day", "requests", "new connections", "HTTP", "with TLS handshakes, reckoned"), rows)


def _sums(found: Costs, schools: int) -> str:
    quiet, busy = found.day(0), found.day(5)
    rate = schools / POLL
    rows = [
        ("requests a second, mean", number(schools * quiet.requests / DAY)),
        ("requests a second, the minute after an urgent release", number(rate * found.urgent.requests)),
        ("new connections a second, mean", number(schools * quiet.connections / DAY)),
        ("Mbit/s, mean", number(schools * quiet.bytes * 8 / DAY / 1e6)),
        ("Mbit/s, the minute after an urgent release", number(rate * found.urgent.bytes * 8 / 1e6)),
        ("Mbit/s, the minute after lists with 1 % churn", number(rate * found.overlay.bytes * 8 / 1e6)),
        ("GB a day, no urgent release", number(schools * quiet.bytes / 1e9)),
        ("GB a day, five urgent releases", number(schools * busy.bytes / 1e9)),
        ("GB, a new base to every school", number(schools * found.base / 1e9)),
        ("hours for that at 100 Mbit/s", number(schools * found.base * 8 / 100e6 / HOUR)),
        ("hours for that at 1 Gbit/s", number(schools * found.base * 8 / 1e9 / HOUR)),
        ("connections open at once, if each is kept from poll to poll", f"{schools:,}"),
    ]
    return table((f"{schools:,} schools", ""), rows)


# ---- an origin that was away ----


def returns(schools: int, away: float, poll: float, dice: random.Random) -> list[float]:
    """Seconds from the origin's return to each school's first good poll, in order: polls as gateway/cli/follower.py spaces them,
    pauses as blocklists/box/mirrors.py has them. The origin refuses at once while it is away."""
    found = []
    for _ in range(schools):
        mirrors = Mirrors(["https://origin.example"], dice.random)
        now = dice.uniform(-poll, 0.0)
        while True:
            now += poll * dice.uniform(0.9, 1.1)
            asked = mirrors.to_ask(now)
            if asked and now >= away:
                break
            for mirror in asked:
                mirrors.failed(mirror, now)
        found.append(now - away)
    return sorted(found)


def _outages() -> str:
    rows = []
    for away in PAUSES:
        back = returns(SAMPLE, away, POLL, random.Random(SEED))
        peak = max(Counter(int(moment // 10) for moment in back).values()) / 10
        at = [back[int(len(back) * share)] for share in (0.5, 0.99)]
        rows.append((f"{away // 60} min", *(number(seconds) for seconds in (*at, back[-1])), *(number(peak * n / SAMPLE) for n in SCHOOLS)))
    head = (
        "away for",
        "half are back after, s",
        "99 % after, s",
        "all after, s",
        *(f"schools back a second, peak, of {n:,}" for n in SCHOOLS),
    )
    return table(head, rows)


# ---- the server ----


def _server(results: Sequence[Result]) -> str:
    rows = []
    for result in results:
        if result.measure == "origin":
            detail = result.detail
            used = f"{detail['cpu_s'] / max(detail['requests'], 1) * 1e6:,.0f}" if detail["cpu_s"] else "-"
            peak = str(detail["peak_requests_s"])
            rows.append(
                (
                    f"quiet: {detail['schools']} schools, --poll {detail['poll']:g}",
                    number(detail["requests"] / detail["seconds"]),
                    peak,
                    used,
                )
            )
        elif result.measure == "delay":
            origin = result.detail["origin"]
            rows.append((f"an urgent release: {result.case}", "-", str(origin["peak_requests_s"]), "-"))
    return table(("nginx", "requests a second, mean", "peak", "CPU of nginx, us a request"), rows)

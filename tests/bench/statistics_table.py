"""Results as JSON lines -> medians, spreads and ratios; and tables of them in Markdown. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from tests.bench.setting import Result

OURS = ("ours", "ours-compiled")
LIMIT = "limit"
"""what no server can pass on this machine; not a peer"""


@dataclass(frozen=True)
class Summary:
    """The rounds of one server in one case."""

    server: str
    values: tuple[float, ...]
    unit: str
    last: Result
    cpu_us: float | None = None
    """median CPU time of the server per answer, in microseconds, where it was measured"""

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def lost(self) -> int:
        return int(self.last.detail.get("lost", 0))

    def percentile(self, percent: int) -> float:
        """The nearest rank at or above ``percent`` of the values."""
        return percentile(self.values, percent)


def percentile(values: Sequence[float], percent: int) -> float:
    """The nearest rank at or above ``percent`` of the values, of which there must be one."""
    if len(values) == 1:
        return values[0]
    return min(quantiles(values, n=100, method="inclusive")[percent - 1], max(values))


def summaries(results: Iterable[Result], measure: str, case: str | None = None) -> list[Summary]:
    """One a server, in the order in which they were measured; ``case`` None: all cases."""
    rounds: dict[str, list[Result]] = {}
    for result in results:
        if result.measure == measure and case in (None, result.case):
            rounds.setdefault(result.server, []).append(result)
    return [_summary(server, found) for server, found in rounds.items()]


def _summary(server: str, found: Sequence[Result]) -> Summary:
    cpu = [each.detail["cpu_us"] for each in found if "cpu_us" in each.detail]
    return Summary(server, tuple(each.value for each in found), found[-1].unit, found[-1], median(cpu) if cpu else None)


def cases(results: Iterable[Result], measure: str) -> list[str]:
    return list(dict.fromkeys(result.case for result in results if result.measure == measure))


def peers(found: Sequence[Summary]) -> list[Summary]:
    return [summary for summary in found if summary.server not in (*OURS, LIMIT)]


def best_peer(found: Sequence[Summary], *, highest: bool = True) -> Summary | None:
    """The peer with the best median, or None without peers."""
    choose = max if highest else min
    return choose(peers(found), key=lambda summary: summary.median, default=None)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are numbers."""
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def number(value: float) -> str:
    """Three significant digits or more, with thin grouping: 221,400; 36.2; 0.41."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def rounds_table(found: Sequence[Summary], titles: Mapping[str, str], *, highest: bool = True) -> str:
    """Median, spread and the ratio of medians to the best peer's; and the CPU time where it was measured."""
    best = best_peer(found, highest=highest)
    with_cpu = any(summary.cpu_us is not None for summary in found)
    rows = []
    for summary in sorted(found, key=lambda each: each.median, reverse=highest):
        spread = f"{number(min(summary.values))} - {number(max(summary.values))}"
        ratio = f"{summary.median / best.median:.2f}" if best and best.median else "-"
        cpu = ("-" if summary.cpu_us is None else number(summary.cpu_us),) if with_cpu else ()
        rows.append((titles.get(summary.server, summary.server), number(summary.median), spread, ratio, *cpu))
    unit = found[0].unit if found else ""
    head = ("server", f"median, {unit}", "lowest - highest", "ratio to the best peer")
    return table((*head, "CPU, us a query") if with_cpu else head, rows)

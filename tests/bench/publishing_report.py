"""The measures of a province's lists against their targets, and as tables. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from tests.bench.province import PUBLISHER, STANDALONE
from tests.bench.setting import Result
from tests.bench.statistics_table import cases, number, table
from tests.bench.transfer import CHURNED, URGENT

SECONDS = 15.0
MEGABYTES = {PUBLISHER: 450.0, STANDALONE: 300.0}
CHURN_SHARE = 0.02
URGENT_BYTES = 20_000
DELAYS = {1.0: 3.0, 60.0: 75.0}
"""seconds between polls -> seconds from the command to blocked, for 99 of 100 schools"""
NOTE = """From just before `manglanh publish release --urgent` is executed (two authorities have signed) to the first look at the lists that blocks the
name. A simulated school runs the real update and the real following of lists in a process of its own; as two hundred schools share this
machine's cores, the time that a school's threads spent runnable but waiting for a core is taken off, and stands beside as it was (*raw*).
The real resolvers (`manglanh resolver`, `manglanh update`, asked by DNS a hundred times a second) have nothing taken off.
"""
Row = tuple[str, str, str, bool]


def judgements(results: Sequence[Result]) -> Iterable[Row]:
    """Server, target, what was measured, whether it is met."""
    yield from _judge_lists(results)
    yield from _judge_transfer(results)
    yield from _judge_delay(results)
    yield from _judge_overlay(results)


def sections(results: Sequence[Result], titles: Mapping[str, str]) -> Iterable[str]:
    for write in (_lists, _transfer, _delay):
        if text := write(results):
            yield text
    if text := _overlay(results, titles):
        yield text


def _of(results: Sequence[Result], measure: str, case: str | None = None) -> list[Result]:
    return [result for result in results if result.measure == measure and case in (None, result.case)]


def _judge_lists(results: Sequence[Result]) -> Iterable[Row]:
    for case in cases(results, "lists"):
        found = _of(results, "lists", case)
        server, names = found[0].server, found[0].detail["names"]
        seconds, peak = median(each.value for each in found), max(each.detail["peak_mb"] for each in found)
        target = f"{case}, {names:,} names: <= {SECONDS:.0f} s, <= {MEGABYTES[server]:.0f} MB"
        yield server, target, f"{seconds:.1f} s, {peak:.0f} MB", seconds <= SECONDS and peak <= MEGABYTES[server]


def _judge_transfer(results: Sequence[Result]) -> Iterable[Row]:
    for result in _of(results, "transfer", CHURNED):
        share = result.value / result.detail["base"]
        yield "box", f"transfer, {CHURNED}: <= {CHURN_SHARE:.0%} of the base", f"{share:.2%}", share <= CHURN_SHARE
    for result in _of(results, "transfer", URGENT):
        yield "box", f"transfer, {URGENT}: <= {URGENT_BYTES:,} bytes", f"{result.value:,.0f} bytes", result.value <= URGENT_BYTES


def _judge_delay(results: Sequence[Result]) -> Iterable[Row]:
    for case in cases(results, "delay"):
        found = _of(results, "delay", case)
        poll = float(case.rpartition(" ")[2])
        measured = f"p50 {median(each.detail['p50'] for each in found):.2f} s, p99 {median(each.value for each in found):.2f} s"
        yield (
            "box",
            f"{case}, command to blocked: p99 <= {DELAYS[poll]:.0f} s",
            measured,
            median(each.value for each in found) <= DELAYS[poll],
        )


def _judge_overlay(results: Sequence[Result]) -> Iterable[Row]:
    for server in dict.fromkeys(result.server for result in _of(results, "overlay")):
        found = [result for result in _of(results, "overlay") if result.server == server]
        worst, extra = median(each.value for each in found), max(each.detail["extra_peak_mb"] for each in found)
        measured = f"{worst:.1f} ms, {extra:.1f} MB"
        yield server, "an overlay swap: no query slower than 10 ms, <= 20 MB extra", measured, worst <= 10 and extra <= 20


def _lists(results: Sequence[Result]) -> str:
    rows = []
    for case in cases(results, "lists"):
        found = _of(results, "lists", case)
        values = [each.value for each in found]
        spread = f"{number(min(values))} - {number(max(values))}"
        cpu, peak = median(each.detail["cpu_s"] for each in found), max(each.detail["peak_mb"] for each in found)
        rows.append(
            (f"{found[0].server}: {case}", f"{found[0].detail['names']:,}", number(median(values)), spread, number(cpu), number(peak))
        )
    head = ("command", "names", "median, s", "lowest - highest", "CPU, s", "largest peak, MB")
    note = "Whole commands as processes of their own; the peak is resident memory, mapped files included.\n\n"
    return f"## A province's lists compiled\n\n{note}" + table(head, rows) if rows else ""


def _transfer(results: Sequence[Result]) -> str:
    rows = []
    for result in _of(results, "transfer"):
        detail = result.detail
        counted = f"{detail['counted']:,}" if detail["counted"] >= 0 else "-"
        share = f"{result.value / detail['base']:.2%}"
        rows.append((result.case, f"{result.value:,.0f}", counted, share, str(detail["requests"]), str(detail["connections"])))
    head = ("what a box fetches", "bytes, by nginx's log", "bytes, by its own count", "of the base", "requests", "connections")
    note = (
        "`manglanh update --once` against Debian's nginx: requests and responses, heads and bodies, both ways; TCP and TLS come on top.\n\n"
    )
    return f"## Transfer\n\n{note}" + table(head, rows) if rows else ""


def _delay(results: Sequence[Result]) -> str:
    rows = []
    for result in _of(results, "delay"):
        detail, raw = result.detail, result.detail["raw"]
        own = (detail["p50"], result.value, detail["max"], raw["p50"], raw["p99"], detail["command_s"])
        real = " ".join(number(seconds) for seconds in detail["resolvers"])
        rows.append((f"{result.case}, release {result.round}", *(number(seconds) for seconds in own), real))
    head = ("case", "p50, s", "p99, s", "worst, s", "raw p50, s", "raw p99, s", "of it the command, s", "real resolvers, s")
    return f"## From an urgent release to blocked\n\n{NOTE}\n" + table(head, rows) if rows else ""


def _overlay(results: Sequence[Result], titles: Mapping[str, str]) -> str:
    rows = []
    for server in dict.fromkeys(result.server for result in _of(results, "overlay")):
        found = [result for result in _of(results, "overlay") if result.server == server]
        before, extra = (max(each.detail[key] for each in found) for key in ("worst_before_ms", "extra_peak_mb"))
        values = [each.value for each in found]
        lost = str(sum(each.detail["lost"] for each in found))
        rows.append((titles.get(server, server), *(number(value) for value in (median(values), max(values), before)), lost, number(extra)))
    head = ("server", "worst latency, median, ms", "worst of all, ms", "worst before it, ms", "queries lost", "extra memory at peak, MB")
    return "## An overlay replaced under load\n\nThe base below it stays mapped. Open loop.\n\n" + table(head, rows) if rows else ""

"""docs/benchmarks.md from the JSON lines of one run. Pure: text in, text out."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence

from tests.bench import dashboard_report, publishing_report
from tests.bench.setting import Result
from tests.bench.statistics_table import OURS, Summary, best_peer, cases, number, peers, rounds_table, summaries, table

HEAD = """# Benchmarks

This page is written by `make bench BENCH='--out docs/benchmarks.md'`; `--report FILE` writes it again from the run's JSON lines in
`bench-results/`, `--quick` sees in five minutes whether all of it works, `--help` tells the rest.
Every comparison is made side by side in one run: rounds alternate the servers, medians are compared, and the spread is shown.
Servers have one core, load generator and upstream share the other, all on loopback. A small shared machine is noisy: ratios of
one run mean something, single numbers of different runs do not.
"""

METHOD = """## What is measured, and how

- **The same work for all**: the same blocked names, one thread, large caches, no query log; the configurations stand in
  `tests/bench/servers.py`. Ours runs with metrics, statistics, safe search, ECH stripping and rate limits (set too high to bite) on.
- **Load**: `tests/bench/dnsload.c`. Throughput is closed loop with 256 queries outstanding from 8 client addresses; latency under change is
  open loop by the clock, each latency counted from the moment the query was due, so a stall cannot hide itself.
- **Questions**: 80 % popular names, 20 % blocked names, few of them often and many seldom (Zipf), 5,000 names of each; all cached when it counts.
- **Upstream**: `tests/bench/authority.c`, which answers half a million queries a second. The same program stands in the warm tables as
  *the limit*: what the kernel and the load generator let through when a server does next to nothing.
- **CPU** is the server's own user and system time per answer. It says what a server could do where the load generator and the kernel's
  loopback, which share the other core, are what ends a round.
- **Memory** is the proportional set size (PSS) of all processes of a server.
- **Noise**: other work on the host, the CPU's clock and where the kernel puts buffers move single rounds by some ten per cent; the spread
  columns show it. The load generator itself takes a share of what loopback can carry, so ratios between fast servers read lower than they are.
"""


def read(lines: Iterable[str]) -> tuple[dict[str, str], list[Result]]:
    """The machine (the first line) and the results. Raises ValueError or TypeError for what this program did not write."""
    first, *rest = (json.loads(line) for line in lines if line.strip())
    return first["machine"], [Result(**each) for each in rest]


def markdown(machine: Mapping[str, str], results: Sequence[Result], titles: Mapping[str, str]) -> str:
    sections: list[str] = [HEAD, _machine(machine), _targets(results, titles), METHOD]
    for write in (_throughput, _memory, _start, _switch, _swap, _scale):
        sections.extend(write(results, titles))
    sections.extend(publishing_report.sections(results, titles))
    sections.extend(dashboard_report.sections(results))
    return "\n".join(section.rstrip("\n") + "\n" for section in sections if section)


def _machine(machine: Mapping[str, str]) -> str:
    return "## The machine and the run\n\n" + table(("what", ""), [(key, value) for key, value in machine.items() if value])


# ---- targets ----

Judge = Callable[[Sequence[Result]], Iterable[tuple[str, str, str, bool]]]


def _targets(results: Sequence[Result], titles: Mapping[str, str]) -> str:
    """DESIGN.md section 7, each target beside what was measured; one that was not measured is left out."""
    rows = []
    ours = (_judge_warm, _judge_upstream, _judge_memory, _judge_start, _judge_switch, _judge_swap)
    for judge in (*ours, publishing_report.judgements, dashboard_report.judgements):
        for server, target, measured, met in judge(results):
            rows.append((titles.get(server, server), target, measured, "yes" if met else "**no**"))
    return "## Against the targets\n\n" + table(("server", "target", "measured", "met"), rows) if rows else ""


def _ours(found: Sequence[Summary]) -> list[Summary]:
    return [summary for summary in found if summary.server in OURS]


def _judge_warm(results: Sequence[Result]) -> Iterable[tuple[str, str, str, bool]]:
    for case in cases(results, "warm"):
        found = summaries(results, "warm", case)
        best = best_peer(found)
        for summary in _ours(found) if best else ():
            ratio = summary.median / best.median if best else 0.0
            wanted = 1.5 if summary.server == "ours-compiled" else 1.0
            measured = f"{ratio:.2f} x"
            least = min((peer.cpu_us for peer in peers(found) if peer.cpu_us), default=None)
            if least and summary.cpu_us:
                measured += f" (by CPU time per query {least / summary.cpu_us:.2f} x)"
            yield summary.server, f"warm {case}: >= {wanted} x the fastest peer", measured, ratio >= wanted


def _judge_upstream(results: Sequence[Result]) -> Iterable[tuple[str, str, str, bool]]:
    found = summaries(results, "upstream")
    unbound = next((summary for summary in found if summary.server == "unbound"), None)
    for summary in _ours(found) if unbound else ():
        ratio = summary.median / unbound.median if unbound else 0.0
        yield summary.server, "upstream path: >= Unbound", f"{ratio:.2f} x", ratio >= 1


def _judge_memory(results: Sequence[Result]) -> Iterable[tuple[str, str, str, bool]]:
    for summary in _ours(summaries(results, "memory")):
        worker = max(
            result.detail["largest_process_pss"] for result in results if result.measure == "memory" and result.server == summary.server
        )
        yield summary.server, "a worker: <= 60 MB", f"{worker / 1e6:.0f} MB", worker <= 60e6


def _judge_start(results: Sequence[Result]) -> Iterable[tuple[str, str, str, bool]]:
    for summary in _ours(summaries(results, "start")):
        yield summary.server, "first answer: <= 1 s after start", f"{summary.median:.2f} s", summary.median <= 1


def _judge_switch(results: Sequence[Result]) -> Iterable[tuple[str, str, str, bool]]:
    for summary in _ours(summaries(results, "switch")):
        p99 = summary.percentile(99)
        measured = f"{p99:.0f} ms, {summary.lost} lost"
        yield summary.server, "a class switch: <= 300 ms at p99, none lost", measured, p99 <= 300 and not summary.lost


def _judge_swap(results: Sequence[Result]) -> Iterable[tuple[str, str, str, bool]]:
    for summary in _ours(summaries(results, "swap")):
        extra = max(result.detail["extra_peak_mb"] for result in results if result.measure == "swap" and result.server == summary.server)
        measured = f"{summary.median:.1f} ms, {extra:.1f} MB"
        yield summary.server, "a list swap: no query slower than 10 ms, <= 20 MB extra", measured, summary.median <= 10 and extra <= 20


# ---- sections ----


def _throughput(results: Sequence[Result], titles: Mapping[str, str]) -> Iterable[str]:
    for measure, title in (("warm", "Warm cache"), ("upstream", "Upstream path")):
        for case in cases(results, measure):
            yield f"## {title}, {case}\n\n" + rounds_table(summaries(results, measure, case), titles)


def _memory(results: Sequence[Result], titles: Mapping[str, str]) -> Iterable[str]:
    for case in cases(results, "memory"):
        found = sorted(summaries(results, "memory", case), key=lambda summary: summary.median)
        rows = [
            (
                titles.get(summary.server, summary.server),
                number(summary.median),
                number(summary.last.detail["rss"] / 1e6),
                number(summary.last.detail["largest_process_pss"] / 1e6),
                str(summary.last.detail["processes"]),
            )
            for summary in found
        ]
        yield f"## Memory, {case}\n\n" + table(("server", "PSS, MB", "RSS, MB", "largest process, MB", "processes"), rows)


def _start(results: Sequence[Result], titles: Mapping[str, str]) -> Iterable[str]:
    if found := summaries(results, "start"):
        yield "## From exec to the first right answer of a blocked name\n\n" + rounds_table(found, titles, highest=False)


def _switch(results: Sequence[Result], titles: Mapping[str, str]) -> Iterable[str]:
    found = summaries(results, "switch")
    rows = [
        (
            titles.get(each.server, each.server),
            str(len(each.values)),
            number(each.median),
            number(each.percentile(99)),
            number(max(each.values)),
            str(each.lost),
        )
        for each in found
    ]
    head = ("server", "switches", "median, ms", "p99, ms", "worst, ms", "queries lost")
    if found:
        rate = f"{found[0].last.detail['rate']:,}"
        yield (
            f"## A class switched under {rate} queries/s\n\nFrom the rename of `state.json` to the first answer that differs.\n\n"
            + table(head, rows)
        )


def _swap(results: Sequence[Result], titles: Mapping[str, str]) -> Iterable[str]:
    rows = []
    for summary in summaries(results, "swap"):
        detail = [result.detail for result in results if result.measure == "swap" and result.server == summary.server]
        worst_before = max(each["worst_before_ms"] for each in detail)
        extra = max(each["extra_peak_mb"] for each in detail)
        values = (summary.median, max(summary.values), worst_before)
        title = titles.get(summary.server, summary.server)
        rows.append((title, *(number(value) for value in values), str(sum(each["lost"] for each in detail)), number(extra)))
    head = ("server", "worst latency, median, ms", "worst of all, ms", "worst before it, ms", "queries lost", "extra memory at peak, MB")
    if rows:
        yield "## A whole list replaced under load\n\nPeers read their list again (dnsmasq cannot). Open loop.\n\n" + table(head, rows)


def _scale(results: Sequence[Result], titles: Mapping[str, str]) -> Iterable[str]:
    compiled = [result for result in results if result.measure in ("compile", "bundle", "lookup")]
    if compiled:
        rows = [(f"{result.measure}: {result.case}", f"{number(result.value)} {result.unit}") for result in compiled]
        yield "## Lists: compiling, size, lookups\n\n" + table(("what", "value"), rows)
    grown = []
    for result in results:
        if result.measure == "scale":
            detail = [number(result.detail[key]) for key in ("pss_mb", "worker_pss_mb", "start_s")]
            grown.append((f"{titles.get(result.server, result.server)}: {result.case}", number(result.value), *detail))
    if grown:
        note = "Two workers need both cores, which the load generator needs too: that row shows that they share the work, not what they could do.\n\n"
        head = ("case", "queries/s", "PSS, MB", "largest process, MB", "start, s")
        yield f"## Growth\n\n{note}" + table(head, grown)

"""The measures of the dashboard against their targets, and as tables. Pure."""

from collections.abc import Iterable, Sequence

from tests.bench.setting import Result
from tests.bench.statistics_table import number, percentile, table

PAGE_MS, SWITCH_MS, CONTROL_MB = 50.0, 300.0, 110.0
SLOWEST = 15
"""pages that stand in the table; of the others the largest and the median"""
NOTE = """`manglanh run` with 101 groups, 200 teachers, 5,000 mapped devices, a year of statistics, 2,000 audit rows, 500 requests and 50 reports
(`tests/bench/dashboard_school.py`), asked over HTTP by one browser that keeps its connection. A peer that does this is not known, so nothing is compared; the
*floor* is the style sheet from the same server in the same rounds, which no page can pass. Sizes are the page's own HTML; what is sent is not compressed.
"""
SWITCH_NOTE = """From the first byte of the teacher's form to the first answer of the resolver, to a device of that class, by the new mode; beside 10,000 queries/s.
*Answered* is the browser's wait for the page that says *in force*. At the bell 40 teachers of 40 classes tap within 50 ms.
"""
MEMORY_NOTE = """After every page was opened and 40 classes or more were switched. PSS shares what processes have in common, the resident size (RSS) does not.
"""
CASES = {"tap": "one teacher", "bell": "40 teachers at the bell"}
Row = tuple[str, str, str, bool]


def judgements(results: Sequence[Result]) -> Iterable[Row]:
    """Server, target, what was measured, whether it is met."""
    for result in _of(results, "pages-all"):
        measured = f"{result.value:.1f} ms of {result.detail['requests']:,} requests"
        yield result.server, f"pages: <= {PAGE_MS:.0f} ms at p95", measured, result.value <= PAGE_MS
    if pages := _of(results, "pages"):
        worst = max(pages, key=_value)
        yield worst.server, f"the slowest page: <= {PAGE_MS:.0f} ms at p95", f"{worst.value:.1f} ms ({worst.case})", worst.value <= PAGE_MS
    for measure, title in CASES.items():
        if found := _of(results, measure):
            p99, said = percentile([each.value for each in found], 99), sum(bool(each.detail["said"]) for each in found)
            measured = f"{p99:.0f} ms, {said} of {len(found)} pages said so"
            yield (
                found[0].server,
                f"a tap in force, {title}: <= {SWITCH_MS:.0f} ms at p99",
                measured,
                p99 <= SWITCH_MS and said == len(found),
            )
    for result in _of(results, "control-memory"):
        yield result.server, f"control process, {result.case}: <= {CONTROL_MB:.0f} MB", f"{result.value:.0f} MB", result.value <= CONTROL_MB


def sections(results: Sequence[Result]) -> Iterable[str]:
    for write in (_pages, _switches, _memory):
        if text := write(results):
            yield text


def _of(results: Sequence[Result], measure: str) -> list[Result]:
    return [result for result in results if result.measure == measure]


def _value(result: Result) -> float:
    return result.value


def _pages(results: Sequence[Result]) -> str:
    pages = sorted(_of(results, "pages"), key=_value, reverse=True)
    if not pages:
        return ""
    rows = [_page(result) for result in pages[:SLOWEST]]
    rest = [result for result in pages[SLOWEST:] if result.case.startswith("pupil")]
    rows += [_page(result) for result in rest]
    for result in _of(results, "pages-all"):
        rows.append((f"all {len(pages)} pages", number(result.detail["p50"]), number(result.value), "-", "-", "-"))
    rows += [
        (f"floor: a static file, {result.case}", number(result.value), number(result.detail["p95"]), "-", "-", "-")
        for result in _of(results, "page-floor")
    ]
    largest = max(pages, key=lambda result: float(result.detail["bytes"]))
    note = f"{NOTE}The largest page is {largest.case} with {largest.detail['bytes'] / 1000:.0f} kB. The {SLOWEST} slowest by p95:\n\n"
    head = ("page", "p50, ms", "p95, ms", "worst, ms", "kB", "kB with gzip")
    return f"## Pages of the dashboard\n\n{note}" + table(head, rows)


def _page(result: Result) -> tuple[str, ...]:
    detail = result.detail
    sizes = (f"{detail[key] / 1000:.1f}" for key in ("bytes", "gzip"))
    return (result.case, number(detail["p50"]), number(result.value), number(detail["worst"]), *sizes)


def _switches(results: Sequence[Result]) -> str:
    rows = []
    for measure, title in CASES.items():
        found = _of(results, measure)
        if found:
            values, answered = [each.value for each in found], [each.detail["answered_ms"] for each in found]
            times = (percentile(values, 50), percentile(values, 99), max(values), percentile(answered, 50), percentile(answered, 99))
            lost = (
                sum({each.round: int(each.detail["lost"]) for each in found}.values())
                if measure == "bell"
                else int(found[-1].detail["lost"])
            )
            rows.append((title, str(len(found)), *(number(value) for value in times), str(lost)))
    head = ("who", "switches", "p50, ms", "p99, ms", "worst, ms", "answered p50, ms", "answered p99, ms", "queries lost")
    return f"## From a tap to in force\n\n{SWITCH_NOTE}\n" + table(head, rows) if rows else ""


def _memory(results: Sequence[Result]) -> str:
    rows = [
        (
            result.case,
            number(result.value),
            number(result.detail["rss_mb"]),
            number(result.detail["peak_mb"]),
            number(result.detail["private_mb"]),
        )
        for result in _of(results, "control-memory")
    ]
    head = ("control process", "PSS, MB", "RSS, MB", "RSS at its peak, MB", "private, MB")
    return f"## Memory of the control process\n\n{MEMORY_NOTE}\n" + table(head, rows) if rows else ""

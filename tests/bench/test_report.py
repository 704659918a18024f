"""Medians, ratios and the page they are written into."""

import json
from dataclasses import asdict

from tests.bench import names, report
from tests.bench.setting import Result
from tests.bench.statistics_table import best_peer, number, rounds_table, summaries

RESULTS = [
    *(Result("warm", "ours", value, "queries/s", round_, "without EDNS") for round_, value in enumerate((300.0, 330.0, 310.0), 1)),
    *(Result("warm", "unbound", value, "queries/s", round_, "without EDNS") for round_, value in enumerate((200.0, 100.0, 210.0), 1)),
    Result("warm", "limit", 900.0, "queries/s", 1, "without EDNS"),
    *(Result("switch", "ours", float(value), "ms", value, detail={"lost": 0, "rate": 40_000}) for value in range(1, 101)),
    Result("swap", "ours", 12.0, "ms", 1, detail={"extra_peak_mb": 3.0, "worst_before_ms": 2.0, "lost": 0}),
]


def test_medians_are_compared_with_the_best_peer_and_never_with_the_limit():
    found = summaries(RESULTS, "warm", "without EDNS")
    assert best_peer(found).server == "unbound"
    lines = rounds_table(found, {}).splitlines()
    assert lines[2:] == ["| limit | 900 | 900 - 900 | 4.50 |", "| ours | 310 | 300 - 330 | 1.55 |", "| unbound | 200 | 100 - 210 | 1.00 |"]


def test_percentiles_are_taken_over_all_rounds():
    (summary,) = summaries(RESULTS, "switch")
    assert 99 <= summary.percentile(99) <= 100
    assert summary.median == 50.5


def test_the_page_says_what_was_met_and_what_was_not():
    lines = [json.dumps({"machine": {"cpu": "one"}}), *(json.dumps(asdict(result)) for result in RESULTS)]
    page = report.markdown(*report.read(lines), {"ours": "Mạng Lành"})
    assert "| Mạng Lành | warm without EDNS: >= 1.0 x the fastest peer | 1.55 x | yes |" in page
    assert "| 12.0 ms, 3.0 MB | **no** |" in page
    assert "## A class switched under 40,000 queries/s" in page
    assert "## Memory" not in page


def test_numbers_have_three_digits_that_mean_something():
    assert [number(value) for value in (221_400.4, 99.96, 36.24, 0.412)] == ["221,400", "100.0", "36.2", "0.41"]


def test_no_listed_name_covers_a_popular_one():
    popular = names.popular_names()
    listed = set(names.blocked_names(20_000, popular))
    assert len(listed) == 20_000
    covering = {".".join(labels[at:]) for name in popular for labels in [name.split(".")] for at in range(len(labels))}
    assert not listed & covering


def test_the_same_questions_every_time():
    popular, blocked = ["a.example", "b.example"], ["x.example", "y.example"]
    assert names.mix(popular, blocked) == names.mix(popular, blocked)
    assert sum(question.startswith(("x.", "y.")) for question in names.mix(popular, blocked)) == names.QUESTIONS * names.BLOCKED_SHARE

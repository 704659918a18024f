"""The metrics as Prometheus reads them: every sample goes through the real files and the real text format."""

import os
import re
import socket
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway import metrics
from gateway.metrics import LATENCY_BOUNDS, METRICS, AnswerKey, Counts, Latencies, Levels, Recorder, Supervision

DOCS = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
LEVELS = Levels(generation=3, list_names=1000, list_built=1_800_000_000.0, list_starter=True, cache_bytes=512)
COUNTS = Counts(
    queries={"udp": 10, "tcp": 2},
    answers={AnswerKey("6a1", "thcs", "gambling", "category", "block"): 4},
    responses={"NOERROR": 8, "NXDOMAIN": 4},
    dropped={"malformed": 1},
    cache={"hit": 5, "miss": 1},
    upstream_queries={"9.9.9.9": 1},
    upstream_failures={("9.9.9.9", "timeout"): 1},
    latency={"ready": Latencies()},
    errors=1,
)


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")  # Recorder sets it; this puts it back
    metrics.prepare(tmp_path / "metrics")
    return tmp_path / "metrics"


@pytest.fixture
def address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def freshness():
    """A value for each metric of the lists' updates."""
    for metric in METRICS:
        if metric.name.startswith("manglanh_update_"):
            yield metric.name, tuple("x" for _ in metric.labels), 7.0


def scrape(address: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as response:
        text = response.read().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def endpoint(directory, address):
    served = metrics.serve(address, directory, lambda: Supervision(workers=2, restarts=1), freshness)
    yield address
    served.close()


def end(recorder: Recorder) -> None:
    """As the kernel does when the worker's process ends."""
    os.close(recorder._lock)


def test_what_workers_report_is_served_as_one_sum(directory, endpoint):
    Recorder(directory, 0).report(COUNTS, LEVELS)
    Recorder(directory, 1).report(COUNTS, LEVELS)
    samples = scrape(endpoint)
    assert samples["manglanh_queries_total", (("transport", "udp"),)] == 20
    labels = (("category", "gambling"), ("group", "6a1"), ("rung", "category"), ("tier", "thcs"), ("verdict", "block"))
    assert samples["manglanh_answers_total", labels] == 8
    assert samples["manglanh_cache_bytes", ()] == 1024
    assert samples["manglanh_workers", ()] == 2
    assert samples["manglanh_worker_restarts_total", ()] == 1


def test_reports_are_differences(directory, endpoint):
    recorder = Recorder(directory, 0)
    recorder.report(COUNTS, LEVELS)
    recorder.report(COUNTS, LEVELS)
    assert scrape(endpoint)["manglanh_responses_total", (("rcode", "NXDOMAIN"),)] == 8


def test_a_restarted_worker_goes_on_counting_where_its_slot_stopped(directory, endpoint):
    first = Recorder(directory, 0)
    first.report(COUNTS, LEVELS)
    end(first)
    assert ("manglanh_generation", ()) not in scrape(endpoint)
    Recorder(directory, 0).report(COUNTS, LEVELS)
    samples = scrape(endpoint)
    assert samples["manglanh_queries_total", (("transport", "tcp"),)] == 4
    assert samples["manglanh_generation", ()] == 3
    assert len(list(directory.glob("counter_*.db"))) == 1


def test_a_worker_that_replaces_one_still_running_damages_nothing(directory, endpoint):
    old, new = Recorder(directory, 0), Recorder(directory, 0)
    for transport in ("udp", "tcp", "dot"):
        new.report(Counts(queries={transport: 1}), LEVELS)
        old.report(Counts(queries={transport: 1}, responses={f"R{transport}": 1}), LEVELS)
    end(old)
    samples = scrape(endpoint)
    assert [samples["manglanh_queries_total", (("transport", name),)] for name in ("udp", "tcp", "dot")] == [2, 2, 2]
    assert samples["manglanh_cache_bytes", ()] == 512


def test_a_lagging_worker_shows_in_the_generation(directory, endpoint):
    Recorder(directory, 0).report(Counts(), LEVELS)
    Recorder(directory, 1).report(Counts(), Levels(2, 1000, 1.0, list_starter=False, cache_bytes=0))
    samples = scrape(endpoint)
    assert samples["manglanh_generation", ()] == 2
    assert samples["manglanh_list_starter", ()] == 1


def test_upstreams_are_as_good_as_the_worst_worker_finds_them(directory, endpoint):
    def levels(healthy: bool, rtt: float) -> Levels:
        return Levels(1, 1, 1.0, list_starter=False, cache_bytes=0, upstreams={"9.9.9.9": (healthy, rtt)})

    Recorder(directory, 0).report(Counts(), levels(True, 0.010))
    Recorder(directory, 1).report(Counts(), levels(False, 0.250))
    samples = scrape(endpoint)
    assert samples["manglanh_upstream_healthy", (("upstream", "9.9.9.9"),)] == 0
    assert samples["manglanh_upstream_rtt_seconds", (("upstream", "9.9.9.9"),)] == 0.25


def test_latencies_add_up_to_a_histogram(directory, endpoint):
    latencies = Latencies()
    latencies.add(0.00005, 7)
    latencies.add(LATENCY_BOUNDS[1])
    latencies.add(60.0)
    Recorder(directory, 0).report(Counts(latency={"cache": latencies}), LEVELS)
    samples = scrape(endpoint)
    assert samples["manglanh_latency_seconds_bucket", (("le", "0.0001"), ("path", "cache"))] == 7
    assert samples["manglanh_latency_seconds_bucket", (("le", "0.00025"), ("path", "cache"))] == 8
    assert samples["manglanh_latency_seconds_bucket", (("le", "5.0"), ("path", "cache"))] == 8
    assert samples["manglanh_latency_seconds_bucket", (("le", "+Inf"), ("path", "cache"))] == 9
    assert samples["manglanh_latency_seconds_count", (("path", "cache"),)] == 9
    assert samples["manglanh_latency_seconds_sum", (("path", "cache"),)] == pytest.approx(60.0006)


def test_an_earlier_run_is_forgotten(directory, endpoint):
    Recorder(directory, 0).report(COUNTS, LEVELS)
    metrics.prepare(directory)
    assert ("manglanh_queries_total", (("transport", "udp"),)) not in scrape(endpoint)


def test_a_full_disk_costs_samples_and_nothing_else(directory, endpoint, monkeypatch):
    recorder = Recorder(directory, 0)
    recorder.report(Counts(queries={"udp": 1}), LEVELS)
    monkeypatch.setattr(metrics, "_has_room", lambda _: False)
    recorder.report(Counts(queries={"udp": 1, "tcp": 1}), LEVELS)
    samples = scrape(endpoint)
    assert samples["manglanh_queries_total", (("transport", "udp"),)] == 2
    assert ("manglanh_queries_total", (("transport", "tcp"),)) not in samples


def test_everything_exposed_is_declared_with_its_labels(directory, endpoint):
    latencies = Latencies()
    latencies.add(1.0)
    levels = Levels(1, 1, 1.0, list_starter=False, cache_bytes=0, upstreams={"9.9.9.9": (True, 0.01)})
    counts = Counts(**{field: getattr(COUNTS, field) for field in COUNTS.__slots__ if field != "latency"}, latency={"ready": latencies})
    Recorder(directory, 0).report(counts, levels)
    declared = {metric.name: set(metric.labels) for metric in METRICS}
    seen = {}
    for name, labels in scrape(endpoint):
        family = re.sub(r"(?<=seconds)_(bucket|sum|count)$", "", name)
        seen.setdefault(family, set()).update(key for key, _ in labels if key != "le")
    assert seen == declared


def test_no_label_can_hold_an_address_or_a_name_that_was_asked_for():
    """Privacy (DESIGN section 9): aggregates only. A new label needs a decision here."""
    allowed = {"transport", "group", "tier", "category", "rung", "verdict", "rcode", "reason", "result", "upstream", "path"}
    allowed |= {"channel", "kind", "direction"}  # of the lists' updates: nothing that a pupil did
    assert {label for metric in METRICS for label in metric.labels} <= allowed


def test_every_metric_is_documented_and_nothing_else_is():
    rows = re.findall(r"^\| `(manglanh_\w+)` \| (\w+) \| ([^|]*)\|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    documented = {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert documented == {metric.name: (metric.kind, metric.labels) for metric in METRICS}


def test_only_the_given_address_listens(endpoint):
    with pytest.raises(OSError, match=r"refused|reach"):
        scrape(endpoint.replace("127.0.0.1", "127.0.0.2"))


@pytest.mark.parametrize("text", ["9153", ":9153", "127.0.0.1:", "127.0.0.1:http", "::1:9153"])
def test_an_address_that_says_too_little_is_refused(text, directory):
    with pytest.raises(ValueError, match=r"port|address"):
        metrics.serve(text, directory, lambda: Supervision(1, 0))

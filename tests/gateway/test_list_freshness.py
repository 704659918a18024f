"""How fresh the lists are, from the control process's file to Prometheus; whatever is in that file, the other metrics are served."""

import socket

import pytest

from blocklists.box.release_record import STATUS, TROUBLES, ChannelStatus, Rollback, Status, Trouble, Versions, write_status
from gateway import list_freshness, metrics
from gateway.list_freshness import samples
from gateway.metrics import METRICS, Supervision
from tests.gateway.test_metrics import scrape

WRITTEN = Status(
    publisher=True,
    checked_at=100.0,
    success_at=90.0,
    expires_at=5000.0,
    release=Versions(root=1, timestamp=12, snapshot=7),
    channels={"mandatory": ChannelStatus(version=3, expires=5000.0, entries=12)},
    rollback=Rollback(by="Lan", reason="bad", at=95.0, away_from={}),
    troubles=(Trouble(kind="expired", what="timestamp.json is expired", since=95.0),),
    received=1000,
    sent=200,
    requests=5,
)


def test_it_reads_what_the_control_process_writes():
    assert (list_freshness.NOTED, list_freshness.TROUBLES) == (STATUS, TROUBLES)


def test_what_is_noted_is_served(tmp_path):
    write_status(tmp_path, WRITTEN)
    found = {(name, labels): value for name, labels, value in samples(tmp_path)}
    assert found["manglanh_update_success_timestamp_seconds", ()] == 90.0
    assert found["manglanh_update_checked_timestamp_seconds", ()] == 100.0
    assert found["manglanh_update_expiry_timestamp_seconds", ()] == 5000.0
    assert found["manglanh_update_release_version", ()] == 7
    assert found["manglanh_update_channel_version", ("mandatory",)] == 3
    assert found["manglanh_update_rolled_back", ()] == 1
    assert {kind: found["manglanh_update_trouble", (kind,)] for kind in TROUBLES} == {kind: float(kind == "expired") for kind in TROUBLES}
    assert found["manglanh_update_transferred_bytes_total", ("received",)] == 1000
    assert found["manglanh_update_transferred_bytes_total", ("sent",)] == 200
    assert found["manglanh_update_requests_total", ()] == 5


def test_every_metric_of_updates_is_served_with_its_labels(tmp_path):
    write_status(tmp_path, WRITTEN)
    served = {(name, len(labels)) for name, labels, _ in samples(tmp_path)}
    assert served == {(metric.name, len(metric.labels)) for metric in METRICS if metric.name.startswith("manglanh_update_")}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"checked_at": "x"}', '{"checked_at": 1, "success_at": 1, "expires_at": 1, "release": 5}']
)
def test_a_damaged_file_costs_these_metrics_and_no_others(tmp_path, text):
    (tmp_path / STATUS).write_text(text)
    assert [*samples(tmp_path)] == []
    assert [*samples(tmp_path / "none")] == []


def test_it_is_read_again_at_every_scrape(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    metrics.prepare(tmp_path / "metrics")
    served = metrics.serve(address, tmp_path / "metrics", lambda: Supervision(workers=1, restarts=0), lambda: samples(tmp_path))
    try:
        assert ("manglanh_update_rolled_back", ()) not in scrape(address)
        write_status(tmp_path, WRITTEN)
        assert scrape(address)["manglanh_update_trouble", (("kind", "expired"),)] == 1
    finally:
        served.close()

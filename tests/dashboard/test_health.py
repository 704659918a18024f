"""The checks as a table, what is found out for them, and the page that says it."""

import asyncio
import datetime as dt
import errno
import json
import os
import re
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import insert

import dashboard.insight.looking
import gateway
from dashboard.access import Scope
from dashboard.box import UpstreamHealth, WorkerReport
from dashboard.catalogue import translator
from dashboard.insight import health
from dashboard.insight.health import DAY, Certificate, Disk, Facts, Level, checks, worst
from dashboard.insight.looking import certificate
from dashboard.pages.health import ICONS, level_title, subject
from dashboard.store.tables import requests
from filters.message import Message, said
from gateway.cli.box import _report
from gateway.clock import Clock
from gateway.runtime import read_report
from gateway.worker import Worker, open_upstreams
from policies.model import Dns
from tests.dashboard.conftest import NOW

GB = 10**9
FINE = UpstreamHealth(healthy=True, rtt=0.0123)
DOWN = UpstreamHealth(healthy=False, rtt=None, trouble="timeout")
FRESH = {"publisher": True, "success_at": NOW - 60, "expires_at": NOW + DAY, "troubles": []}


def worker(number=0, **changes) -> WorkerReport:
    upstreams = {"9.9.9.9": FINE, "1.1.1.1": FINE}
    return WorkerReport(number, 7, NOW - 1, "b" * 64, 1000, False, True, {}, True, upstreams)._replace(**changes)


def facts(**changes) -> Facts:
    """A box on which all is well, but for ``changes``."""
    fine = {
        "now": NOW,
        "workers": (worker(0), worker(1)),
        "generation": 7,
        "written_at": NOW - 100,
        "upstreams": ("9.9.9.9", "1.1.1.1"),
        "lists": FRESH,
        "lists_said": ("version 7",),
        "disks": (Disk("/var/lib/manglanh", 32 * GB, 16 * GB, 1000, 900),),
        "certificates": (Certificate(Message("these pages"), "/etc/x.pem", NOW + 90 * DAY),),
        "store": "sqlite:///store.db",
        "store_version": "SQLite 3.46",
        "store_size": 4096,
        "version": "0.2.0",
        "python": "3.11",
    }
    return Facts(**fine | changes)


def disk(**changes) -> tuple[Disk, ...]:
    return (Disk("/var", 32 * GB, 16 * GB, 1000, 900)._replace(**changes),)


def ends(days: float) -> tuple[Certificate, ...]:
    return Certificate(Message("encrypted DNS"), "/a", NOW + 90 * DAY), Certificate(Message("these pages"), "/b", NOW + days * DAY)


TABLE = [
    ("resolver", {}, Level.OK),
    ("resolver", {"workers": ()}, Level.BAD),
    ("resolver", {"workers": (worker(0, at=NOW - 31), worker(1, at=NOW - 300))}, Level.BAD),
    ("resolver", {"workers": (worker(0, at=NOW - 31), worker(1))}, Level.WARN),
    ("resolver", {"wanted_workers": 4}, Level.WARN),
    ("resolver", {"wanted_workers": 2}, Level.OK),
    ("upstreams", {}, Level.OK),
    ("upstreams", {"workers": (worker(upstreams={}),)}, Level.UNKNOWN),
    ("upstreams", {"workers": ()}, Level.UNKNOWN),
    ("upstreams", {"workers": (worker(upstreams={"9.9.9.9": DOWN, "1.1.1.1": FINE}),)}, Level.WARN),
    ("upstreams", {"workers": (worker(upstreams={"9.9.9.9": DOWN, "1.1.1.1": DOWN}),)}, Level.BAD),
    ("upstreams", {"workers": (worker(upstreams={"9.9.9.9": DOWN}), worker(upstreams={"9.9.9.9": FINE}))}, Level.OK),
    # one that a subtree is forwarded to does not stand for the internet
    ("upstreams", {"workers": (worker(upstreams={"9.9.9.9": DOWN, "1.1.1.1": DOWN, "10.0.0.1": FINE}),)}, Level.BAD),
    ("changes", {}, Level.OK),
    ("changes", {"workers": ()}, Level.UNKNOWN),
    ("changes", {"generation": 8}, Level.BAD),
    ("changes", {"generation": 8, "written_at": NOW - 1}, Level.OK),
    ("changes", {"workers": (worker(0), worker(1, bundle="c" * 64))}, Level.WARN),
    ("files", {}, Level.OK),
    ("files", {"troubles": {"config": "school.yaml:3:1: no"}}, Level.BAD),
    ("files", {"troubles": {"province": "no"}}, Level.WARN),
    ("files", {"workers": (worker(troubles={"lists": "refused"}),)}, Level.BAD),
    ("lists", {}, Level.OK),
    ("lists", {"workers": (worker(starter=True),)}, Level.WARN),
    ("lists", {"lists": {}}, Level.UNKNOWN),
    ("lists", {"lists": FRESH | {"success_at": NOW - 4 * DAY}}, Level.WARN),
    ("lists", {"lists": FRESH | {"success_at": NOW - 15 * DAY}}, Level.BAD),
    ("lists", {"lists": FRESH | {"expires_at": NOW - 1}}, Level.BAD),
    ("lists", {"lists": FRESH | {"troubles": [{"kind": "network"}]}}, Level.WARN),
    ("lists", {"lists": FRESH | {"troubles": [{"kind": "clock"}]}}, Level.OK),
    ("lists", {"lists": {"publisher": False, "compiled_at": NOW - 60}}, Level.OK),
    ("lists", {"lists": {"publisher": False, "compiled_at": NOW - 5 * DAY}}, Level.WARN),
    ("disk", {}, Level.OK),
    ("disk", {"disks": ()}, Level.UNKNOWN),
    ("disk", {"disks": disk(free=2 * GB)}, Level.WARN),
    ("disk", {"disks": disk(free=GB // 2)}, Level.BAD),
    ("disk", {"disks": disk(total=4000 * GB, free=40 * GB)}, Level.OK),
    ("disk", {"disks": disk(inodes_free=10)}, Level.BAD),
    ("disk", {"disks": disk(inodes=0, inodes_free=0)}, Level.OK),
    ("disk", {"disks": disk(trouble="Input/output error")}, Level.BAD),
    ("clock", {}, Level.OK),
    ("clock", {"workers": ()}, Level.UNKNOWN),
    ("clock", {"workers": (worker(0), worker(1, clock_trusted=False))}, Level.WARN),
    ("clock", {"workers": (worker(at=NOW + 60),)}, Level.WARN),
    ("clock", {"lists": FRESH | {"troubles": [{"kind": "clock"}]}}, Level.WARN),
    ("certificates", {}, Level.OK),
    ("certificates", {"certificates": ()}, Level.OK),
    ("certificates", {"certificates": ends(29)}, Level.WARN),
    ("certificates", {"certificates": ends(6)}, Level.BAD),
    ("certificates", {"certificates": ends(-1)}, Level.BAD),
    ("certificates", {"certificates": (Certificate(Message("these pages"), "/b", trouble="No such file"),)}, Level.BAD),
    ("store", {}, Level.OK),
    ("store", {"store_trouble": Message("no")}, Level.BAD),
    ("reports", {}, Level.OK),
    ("reports", {"overdue": 2}, Level.BAD),
    ("reports", {"overdue": 2, "store_trouble": Message("no")}, Level.UNKNOWN),
    ("requests", {}, Level.OK),
    ("requests", {"waiting": 3}, Level.WARN),
    ("requests", {"store_trouble": Message("no")}, Level.UNKNOWN),
    ("versions", {}, Level.OK),
    ("versions", {"workers": (worker(0, compiled=False), worker(1, compiled=False))}, Level.WARN),
    ("versions", {"workers": (worker(compiled=False),)}, Level.OK),
    ("versions", {"workers": (worker(compiled=None),)}, Level.OK),
]


@pytest.mark.parametrize(("check", "changes", "level"), TABLE)
def test_every_check(check, changes, level):
    found = next(each for each in checks(facts(**changes)) if each.id == check)
    assert found.level is level
    if level in (Level.BAD, Level.WARN):
        assert found.todo, "whoever is told of a trouble is told what to do"


def test_every_level_of_every_check_is_in_the_table():
    assert {check for check, _, _ in TABLE} == set(ICONS) == {check.__name__ for check in health.CHECKS}


@pytest.mark.parametrize(("check", "changes", "level"), TABLE)
def test_everything_is_said_in_vietnamese(check, changes, level):
    vi = translator("vi")
    found = next(each for each in checks(facts(**changes)) if each.id == check)
    for text in (found.title, found.means, *([found.todo] if found.todo else [])):
        assert said(text, vi) != str(text)
    assert subject(check, vi) != subject(check, str)
    assert level_title(level, vi) != level_title(level, str)


def test_the_worst_comes_first():
    found = checks(facts(waiting=1, overdue=1, workers=()))
    assert [check.level for check in found] == sorted((check.level for check in found), key=list(Level).index)
    assert found[0].id == "resolver"
    assert worst(found) is Level.BAD
    assert worst(checks(facts())) is Level.OK
    assert worst([]) is Level.UNKNOWN


def test_an_upstream_is_named_with_its_time_or_its_trouble():
    lines = next(
        check
        for check in checks(facts(workers=(worker(upstreams={"a": FINE, "b": DOWN, "c": UpstreamHealth(True, None)}),)))
        if check.id == "upstreams"
    ).details
    assert [str(line) for line in lines] == ["a: 12 ms", "b: no answer (timeout)", "c: not asked yet"]


def test_a_worker_s_report_is_read_as_it_is_written():
    content = json.loads(
        '{"generation": 3, "at": 1.0, "compiled": true, "upstreams": {"9.9.9.9": {"healthy": true, "rtt": 0.02, "trouble": ""}}}'
    )
    report = _report(1, content)
    assert (report.compiled, report.upstreams) == (True, {"9.9.9.9": UpstreamHealth(True, 0.02)})
    assert _report(0, {}).compiled is None
    assert _report(0, {}).upstreams == {}


def test_a_worker_says_how_its_upstreams_are(tmp_path):
    """What gateway/worker.py writes is what gateway/cli/box.py reads."""

    async def write():
        upstreams = open_upstreams(Dns(upstreams=("127.0.0.1:9", "127.0.0.2:9")))
        index = SimpleNamespace(identity="b" * 64, names=3)
        live = SimpleNamespace(snapshot=SimpleNamespace(generation=4), index=index, starter_serves=False, troubles={})
        options = SimpleNamespace(runtime=tmp_path, index=0)
        Worker._report(SimpleNamespace(clock=Clock(), live=live, upstreams=upstreams, options=options))
        await upstreams.close()

    asyncio.run(write())
    report = _report(0, read_report(tmp_path, 0))
    assert report.upstreams == {address: UpstreamHealth(True, None) for address in ("127.0.0.1:9", "127.0.0.2:9")}
    assert (report.generation, report.compiled) == (4, gateway.COMPILED)


# ---- found out ----------------------------------------------------------------------------------------------------


def pem(ends: float) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    end = dt.datetime.fromtimestamp(ends, dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), end - dt.timedelta(days=400), end)
    from cryptography.hazmat.primitives.serialization import Encoding

    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def test_of_a_chain_the_first_to_end_counts(tmp_path):
    (tmp_path / "chain.pem").write_bytes(pem(NOW + 5 * DAY) + pem(NOW + DAY))
    assert certificate(Message("these pages"), tmp_path / "chain.pem").ends == NOW + DAY


@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n"])
def test_a_certificate_that_cannot_be_read_is_a_finding(tmp_path, content):
    path = tmp_path / "a.pem"
    if content is not None:
        path.write_bytes(content)
    assert certificate(Message("these pages"), path).trouble


def titles(page) -> list[str]:
    return re.findall(r'<section class="card[^"]*" id="([a-z]+)"', page.text)


def test_the_page_says_what_it_means_and_what_to_do(web):
    web.box.running = 0
    page = web.as_person("hieu-truong").get("/health")
    assert page.status_code == 200
    assert titles(page)[0] == "resolver"
    assert set(titles(page)) == set(ICONS)
    assert "What to do" in page.text
    assert "SQLite 3." in page.text


def test_requests_that_wait_for_long_are_counted(web):
    for at in (NOW - DAY - 1, NOW - DAY + 60):
        web.write(insert(requests).values(at=at, group_name="6a1", name="a.vn"))
    found = web.client.get("/api/v1/health", headers=web.token("quan-tri")).json()["checks"]
    assert next(check for check in found if check["id"] == "requests")["title"].startswith("1 requests")


def test_the_disk_and_the_store_are_looked_at(web, monkeypatch):
    def broken(path):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(dashboard.insight.looking.os, "statvfs", broken)
    (web.site.config.parent / "province.yaml").write_text("name: [")
    found = {check["id"]: check for check in web.client.get("/api/v1/health", headers=web.token("quan-tri")).json()["checks"]}
    assert found["disk"]["level"] == "bad"
    assert str(web.site.config.parent) in found["disk"]["details"][0]
    assert found["files"]["level"] == "warn"
    assert found["store"]["level"] == "ok"
    assert any(re.fullmatch(r"\d+\.\d MB", line) for line in found["store"]["details"])


@pytest.mark.parametrize(("login", "status"), [("quan-tri", 200), ("hieu-truong", 200), ("co-lan", 403)])
def test_who_sees_it(web, login, status):
    assert web.as_person(login).get("/health").status_code == status
    assert web.client.get("/api/v1/health", headers=web.token(login)).status_code == status


def test_a_program_needs_the_scope_and_may_choose_the_language(web):
    assert web.client.get("/api/v1/health", headers=web.token("quan-tri", Scope.SCHOOL_READ)).status_code == 403
    headers = web.token("quan-tri", Scope.HEALTH_READ) | {"Accept-Language": "vi"}
    answer = web.client.get("/api/v1/health", headers=headers).json()
    assert answer["level"] in set(Level)
    assert any("tiến trình" in check["title"] for check in answer["checks"])


def test_a_monitor_is_told_nothing_but_yes_or_no(web):
    visitor = web.visitor()
    assert (visitor.get("/healthz").status_code, visitor.get("/healthz").text) == (200, "ok\n")
    web.box.running = 0
    assert visitor.get("/healthz").status_code == 200, "not asked again within half a minute"
    web.site.health.at = float("-inf")
    assert (visitor.get("/healthz").status_code, visitor.get("/healthz").text) == (503, "trouble\n")


def test_the_menu_has_a_mark_while_something_is_bad(web):
    admin = web.as_person("quan-tri")
    mark = '<span class="badge bad">'
    assert mark not in admin.get("/help").text
    web.box.running = 0
    admin.get("/health")
    assert mark in admin.get("/help").text


def test_before_set_up_a_monitor_and_a_reader_are_not_sent_elsewhere(empty_web):
    for path in ("/healthz", "/help"):
        assert empty_web.visitor().get(path).status_code == 200, path

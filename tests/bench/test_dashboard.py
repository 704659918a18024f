"""The pure parts of the dashboard's measures: the school that is filled, the pages that are found, the form that is sent, and the tables."""

import json
import sqlite3
from contextlib import closing
from dataclasses import asdict

import pytest
import yaml

from dashboard.access import Role
from dashboard.app import pages
from policies.load import parse
from policies.model import State
from tests.bench import dashboard, dashboard_report, report
from tests.bench.dashboard_school import (
    AUDIT_ROWS,
    DEVICES,
    Ports,
    School,
    address,
    cells,
    classes,
    lesson_hours,
    live_state,
    people,
    school_days,
    school_file,
)
from tests.bench.setting import Result

NOW = 1_800_001_200.0
PORTS = Ports(5301, 8081, 8082, 5302)


def test_the_school_is_as_large_as_the_target_says(tmp_path):
    file = parse(yaml.safe_dump(school_file(School(tmp_path, PORTS), tmp_path)), tmp_path / "school.yaml")
    assert len(classes()) == 100
    assert {group.name for group in file.groups} > {name for name, _ in classes()}
    assert len(State.model_validate(live_state(NOW)).devices) == DEVICES == 5000
    teachers = [person for person in people() if person.role == "teacher"]
    assert len(teachers) == 200
    assert len(teachers[0].classes) == 4
    assert {len(person.classes) for person in teachers} == set(range(2, 9))


def test_every_class_at_the_bell_is_its_teachers_own_and_has_an_address():
    numbers = dashboard.teachers_at_the_bell()
    assert len({people()[2 + number].login for number in numbers}) == dashboard.TEACHERS_AT_THE_BELL
    assert all(classes()[number][0] in people()[2 + number].classes for number in numbers)
    assert len({address(number) for number in numbers}) == dashboard.TEACHERS_AT_THE_BELL


def test_a_year_of_statistics_fits_the_tables():
    days, hours = school_days(NOW), lesson_hours(NOW)
    assert 200 < len(days) < 300
    assert max(days) < NOW
    assert 60 < len(hours) < 120
    found = list(cells(hours[0], ["6a1", "6a2"], 20))
    assert len({cell[:6] for cell in found}) == len(found)
    assert {cell[0] for cell in found} == {"", "6a1", "6a2"}


def test_pages_are_found_in_the_route_table():
    declared = pages()
    teacher, admin = (dashboard.templates(declared, role) for role in (Role.TEACHER, Role.ADMIN))
    assert "/classes/{group}" in teacher
    assert "/people" not in teacher
    assert {*teacher} < {*admin}
    assert not {*dashboard.STREAMS} & {*admin}


def test_the_first_link_to_a_page_is_its_example():
    page = '<a href="/devices/known">x</a><a href="/devices/02:00&amp;x?y=1">x</a><a href="/devices/02:01">x</a><a href="/classes/6a1/exam">x</a>'
    found = dashboard.examples(["/devices/known", "/devices/{mac}", "/classes/{group}"], page)
    assert found == {"/devices/{mac}": "/devices/02:00&x"}


def test_a_form_has_what_the_page_gave_it():
    page = '<input type="hidden" name="csrf" value="a"><input name="once" value="b"><input name="seen" value="-"><input name="csrf" value="other">'
    assert dashboard.form_of(page, "offline") == {"csrf": "a", "once": "b", "seen": "-", "mode": "offline", "length": "45"}
    with pytest.raises(dashboard.NotServed):
        dashboard.form_of("<p>Nothing here", "offline")


def test_the_store_is_filled(tmp_path):
    from tests.bench.dashboard_school import _fill_audit, _fill_inboxes, _fill_people, _make_store

    school = School(tmp_path, PORTS)
    import asyncio

    asyncio.run(_make_store(school.store))
    with closing(sqlite3.connect(school.store)) as store, store:
        for fill in (_fill_people, _fill_inboxes, _fill_audit):
            fill(store, NOW)
        counts = [
            store.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("people", "sessions", "requests", "reports", "audit")
        ]
    assert counts == [202, 202, 500, 50, AUDIT_ROWS]


PAGE = {"p50": 3.0, "worst": 70.0, "requests": 40, "bytes": 20_000, "gzip": 5_000}
TAP = {"answered_ms": 150.0, "said": True, "lost": 0, "dns_p99_us": 900.0}
RESULTS = [
    Result("page-floor", "box", 1.0, "ms", case="admin", detail={"p95": 1.5}),
    Result("pages", "box", 61.0, "ms", case="admin /statistics?days=365", detail=PAGE),
    Result("pages", "box", 6.0, "ms", case="teacher /classes", detail=PAGE | {"bytes": 31_000}),
    Result("pages-all", "box", 12.0, "ms", detail={"requests": 80, "p50": 5.0}),
    *(Result("bell", "box", float(100 + value), "ms", 1, detail=TAP) for value in range(100)),
    Result("tap", "box", 80.0, "ms", 1, detail=TAP | {"said": False}),
    Result("control-memory", "box", 104.0, "MB", case="pages only", detail={"rss_mb": 130.0, "peak_mb": 131.0, "private_mb": 101.0}),
]


def test_what_is_met_and_what_is_not():
    found = {target: (measured, met) for _, target, measured, met in dashboard_report.judgements(RESULTS)}
    assert found == {
        "pages: <= 50 ms at p95": ("12.0 ms of 80 requests", True),
        "the slowest page: <= 50 ms at p95": ("61.0 ms (admin /statistics?days=365)", False),
        "a tap in force, one teacher: <= 300 ms at p99": ("80 ms, 0 of 1 pages said so", False),
        "a tap in force, 40 teachers at the bell: <= 300 ms at p99": ("198 ms, 100 of 100 pages said so", True),
        "control process, pages only: <= 110 MB": ("104 MB", True),
    }


def test_the_page_of_benchmarks_has_the_dashboards_tables():
    lines = [json.dumps({"machine": {"cpu": "one"}}), *(json.dumps(asdict(result)) for result in RESULTS)]
    page = report.markdown(*report.read(lines), {})
    assert "| box | control process, pages only: <= 110 MB | 104 MB | yes |" in page
    assert "| admin /statistics?days=365 | 3.00 | 61.0 | 70.0 | 20.0 | 5.0 |" in page
    assert "The largest page is teacher /classes with 31 kB" in page
    assert "| 40 teachers at the bell | 100 | 150 | 198 | 199 | 150 | 150 | 0 |" in page

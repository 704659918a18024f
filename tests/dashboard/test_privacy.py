"""What a teacher may open says nothing of a pupil's device, of few devices, of another class, or of how colleagues sign in; and no log says anything of a pupil.

Everything that there is to open is opened: every page and every operation that reads, from the tables of routes, in both languages.
"""

import logging
import re

import pytest
from sqlalchemy import insert, select, update

from dashboard.access import Access
from dashboard.app import pages
from dashboard.block_page.app import ASK, REPORT, build_block_page
from dashboard.box import Neighbour
from dashboard.insight.statistics import Blocked, Cell, Minute
from dashboard.reporting.words import KINDS
from dashboard.store import statistics
from dashboard.store.people import fingerprint
from dashboard.store.tables import assignments, device_labels, people, requests, sessions, site_sets
from dashboard.store.tables import reports as reports_table
from policies.model import LocalRule, Override, Unblock
from policies.state import read_state, update_state
from tests.dashboard.conftest import NOW
from tests.dashboard.test_block_page import Pupil
from tests.dashboard.test_classes import Listening
from tests.dashboard.test_permissions import API, API_SEES_SCHOOL, OTHER, OWN, STREAMS, expected, filled, listed

HOUR = int(NOW) // 3600 * 3600
FEW = {"it-it.example", "rat-it.example", "vua-moi.example", "it-truong.example"}
FEW_COUNTS = {77377, 88288, 66566, 55455}
DEVICES = {"10.0.12.34", "10.0.13.77", "10.77.0.9", "02:11:22:33:44:55", "02-11-22-33-44-55", "may-cua-be-an", "Máy của bé An"}
OTHERS = {
    "lop-khac.example",
    "xin-cua-lop-khac.example",
    "bí mật của 6A2",
    "lý do của 6A2",
    "mo-cho-6a2.example",
    "Lớp 6A2",
    "bộ của thầy Minh",
}
COLLEAGUES = {"thay-minh", "quan-tri", "hieu-truong", "thay.minh@truong.example", "quan.tri@truong.example"}
REPORTED = {"trang-bi-bao.example", "kể rất riêng", "0905 777 888"}
SHOWN = {"nhieu.example", "xin-cua-lop-minh.example", "Thầy Minh"}
"""what a teacher of 6a1 does see: a test that finds nothing may not have looked"""


@pytest.fixture
def school(web):
    """Something of everything, for two classes."""
    for login, name in (("thay-minh", "Thầy Minh"), ("quan-tri", "Chú Tùng"), ("hieu-truong", "Cô Hiệu trưởng"), ("co-lan", "Cô Lan")):
        email = f"{login.replace('-', '.')}@truong.example"
        web.write(update(people).where(people.c.login == login).values(name=name, email=email))
    minh = web.rows(select(people.c.id).where(people.c.login == "thay-minh"))[0].id
    cells = [
        Cell(HOUR, OWN, "gambling", "category", "block", "nhieu.example", 5150, 9),
        Cell(HOUR, OWN, "gambling", "category", "block", "it-it.example", 77377, 4),
        Cell(HOUR, OWN, "dating", "category", "block", "rat-it.example", 88288, 1),
        Cell(HOUR, OTHER, "games", "category", "block", "lop-khac.example", 60, 9),
        Cell(HOUR, "3b", "self-harm", "category", "block", "it-truong.example", 55455, 2),
    ]

    async def fill():
        async with web.site.store.write() as connection:
            await statistics.fold_in(connection, cells, ["f"], NOW)

    web.run(fill)
    blocked = (
        Blocked(OWN, "gambling", "category", "nhieu.example", 5151, 0b111111),
        Blocked(OWN, "games", "category", "vua-moi.example", 66566, 0b1111),
        Blocked(OTHER, "games", "category", "lop-khac.example", 70, 0b111111),
    )
    web.site.fold.add(Minute(int(NOW) // 60 * 60 - 60, "salt", blocked, (), ("10.77.0.9",)), NOW)
    asked = {"at": NOW - 600, "category": "games", "rung": 7}
    web.write(
        insert(requests).values(group_name=OWN, name="xin-cua-lop-minh.example", note="cho bài Sử", **asked),
        insert(requests).values(group_name=OTHER, name="xin-cua-lop-khac.example", note="bí mật của 6A2", **asked),
        insert(reports_table).values(
            number="K7QM-2XTD",
            at=NOW - 900,
            kind="abuse",
            target="trang-bi-bao.example",
            note="kể rất riêng",
            signed="0905 777 888",
            group_name=OWN,
        ),
        insert(site_sets).values(name="bộ của thầy Minh", sites=["lop-khac.example"], owner_id=minh),
        insert(site_sets).values(name="của trường", sites=["nhieu.example"], owner_id=None),
        insert(device_labels).values(mac="02:11:22:33:44:55", label="Máy của bé An"),
    )
    by = "Thầy Minh (thay-minh)"

    def live(state):
        return state.model_copy(
            update={
                "overrides": (
                    Override(group=OWN, mode="study", since=NOW - 60, until=NOW + 900, by=by, reason="dạy thay"),
                    Override(group=OTHER, mode="exam", since=NOW - 60, until=NOW + 900, by=by, reason="lý do của 6A2"),
                ),
                "unblocks": (
                    Unblock(group=OWN, name="mo-cho-6a1.example", since=NOW - 60, until=NOW + 900, by=by, reason="dạy thay"),
                    Unblock(group=OTHER, name="mo-cho-6a2.example", since=NOW - 60, until=NOW + 900, by=by, reason="lý do của 6A2"),
                ),
                "rules": (
                    LocalRule(action="block", name="lop-khac.example", groups=(OTHER,), by="Chú Tùng (quan-tri)", reason="lý do của 6A2"),
                ),
                "devices": {"02:11:22:33:44:55": OWN},
            }
        )

    update_state(web.site.school.view.file.state, live, NOW)
    web.box.neighbours_now = [Neighbour("10.0.12.34", "02:11:22:33:44:55"), Neighbour("10.0.13.77", "02:11:22:33:44:66")]
    web.box.leases_now = {"02:11:22:33:44:55": "may-cua-be-an"}

    async def decisions():
        yield {"at": NOW, "client": "10.0.12.34", "group": OWN, "qname": "it-it.example", "qtype": "A", "verdict": "block"}

    web.box.decisions = decisions
    assert read_state(web.site.school.view.file.state).devices
    return web


QUERIES = {
    "GET /classes": ("?q=6", "?q=6a2"),
    "GET /classes/{group}": ("?site=nhieu.example",),
    "GET /requests": ("?group=6a2", "?state=all", "?show=answered"),
    "GET /statistics": ("?days=1", "?days=365", "?group=6a2"),
    "GET /statistics/{group}": ("?days=1", "?days=30", "?days=365"),
    "GET /reports": ("?state=received",),
    "GET /audit": ("?text=a",),
}


def opened(web, login):
    """(what was asked, status, everything that came back) of all that this person can ask for."""
    headers, visitor = web.token(login), signed_in(web, login)
    for language in ("vi", "en"):
        web.write(update(people).where(people.c.login == login).values(language=language))
        for group in (OWN, OTHER):
            for page in pages():
                route = f"{page.method} {page.path}"
                if page.method != "GET" or route in STREAMS:
                    continue
                for query in ("", *QUERIES.get(route, ())):
                    path = filled(page.path, group) + query
                    answer = visitor.get(path)
                    assert answer.status_code < 500, path
                    yield f"GET {path} {language}", answer.status_code, said(answer)
            for each in API:
                method, path = each.route.split()
                if method != "GET":
                    continue
                for query in ("", *QUERIES.get(each.route, ())):
                    answer = web.client.get(f"/api/v1{filled(path, group)}{query}", headers=headers | {"Accept-Language": language})
                    assert answer.status_code < 500, path
                    yield f"GET /api/v1{filled(path, group)}{query} {language}", answer.status_code, said(answer)
        for path in ("/nothing", "/api/v1/nothing", "/classes/6a2", "/exam-sets/99"):
            yield f"GET {path} {language}", 0, said(visitor.get(path))


def signed_in(web, login):
    """The same session each time."""
    if web.rows(select(sessions.c.id).where(sessions.c.token == fingerprint(f"session-of-{login}"))):
        visitor = web.visitor()
        visitor.client.cookies.set("manglanh", f"session-of-{login}")
        return visitor
    return web.as_person(login)


def said(answer) -> str:
    return "\n".join([*(f"{name}: {value}" for name, value in answer.headers.multi_items()), answer.text])


def has(text: str, what: str | int) -> bool:
    if isinstance(what, int):  # with or without a separator; not as a part of a token
        thousands, rest = divmod(what, 1000)
        return re.search(rf"(?<![\w-]){thousands}[., \u00a0\u202f]?{rest:03}(?![\w-])", text) is not None
    return what in text


def found(web, login, forbidden):
    return {(asked, what) for asked, _, text in opened(web, login) for what in forbidden if has(text, what)}


def test_nothing_that_a_teacher_opens_says_what_it_must_not(school):
    seen, wrong, fine = set(), set(), 0
    for asked, status, text in opened(school, "co-lan"):
        fine += status == 200
        seen |= {what for what in SHOWN if has(text, what)}
        wrong |= {(asked, what) for what in FEW | FEW_COUNTS | DEVICES | OTHERS | COLLEAGUES | REPORTED if has(text, what)}
    assert wrong == set()
    assert seen == SHOWN
    assert fine > 40


def test_nothing_that_a_principal_opens_or_exports_tells_of_few_devices(school):
    assert found(school, "hieu-truong", FEW | FEW_COUNTS) == set()
    visitor = signed_in(school, "hieu-truong")
    for path, form, seen in (("/reports/export", {"year": "2027"}, "/reports"), ("/audit/export", {}, "/audit")):
        answer = visitor.post(path, form, seen=seen)
        assert answer.status_code == 200, path
        assert not [what for what in FEW | FEW_COUNTS if has(said(answer), what)]


def test_an_administrator_is_shown_no_few_devices_in_the_figures_either(school):
    assert {each for each in found(school, "quan-tri", FEW | FEW_COUNTS) if "statistics" in each[0] or "classes" in each[0]} == set()


def test_the_class_cards_that_update_themselves_say_no_more(school):
    school.as_person("co-lan")

    async def scenario():
        async with Listening(school, "co-lan") as page:
            await page.until(lambda page: page.sent)
            return str(page.sent)

    text = school.run(scenario)
    assert "Thầy Minh" in text
    assert [what for what in FEW | FEW_COUNTS | DEVICES | OTHERS | COLLEAGUES if has(text, what)] == []


def test_a_substitute_sees_the_class_for_as_long_as_it_is_theirs(school):
    lan = school.rows(select(people.c.id).where(people.c.login == "co-lan"))[0].id
    school.write(insert(assignments).values(person_id=lan, group_name=OTHER, since=NOW, until=NOW + 3600))
    visitor, headers = school.as_person("co-lan"), school.token("co-lan")
    assert "xin-cua-lop-khac.example" in visitor.get("/requests").text
    school.clock.now += 3600
    assert "xin-cua-lop-khac.example" not in visitor.get("/requests").text
    assert visitor.get(f"/classes/{OTHER}").status_code == 403
    assert "xin-cua-lop-khac.example" not in school.client.get("/api/v1/requests", headers=headers).text


def test_every_operation_that_reads_is_of_the_teachers_or_refused(school):
    """What ``opened`` met with 403 is exactly what the table of rules says."""
    headers = school.token("co-lan")
    for each in API:
        method, path = each.route.split()
        if method == "GET":
            for group in (OWN, OTHER):
                refused = school.client.get(f"/api/v1{filled(path, group)}", headers=headers).status_code == 403
                assert refused is not expected(each.access, "co-lan", group), (each.route, group)
    assert {each.route for each in API if each.access is Access.SEES_SCHOOL} == listed(API_SEES_SCHOOL)


def test_no_log_says_anything_of_a_pupil(school, caplog):
    """At the most talkative level: neither who asked (address, device), nor what was wanted, nor what was written. Libraries are made to keep silent."""
    caplog.set_level(logging.DEBUG)
    for name in ("asyncio", "httpx", "httpcore"):  # the tests' own client, which names what it asks for
        caplog.set_level(logging.WARNING, logger=name)
    pupil = Pupil(school, build_block_page(school.site), "10.0.12.34")
    host = "casino-cua-an.example"
    update_state(
        school.site.school.view.file.state,
        lambda state: state.model_copy(update={"rules": (*state.rules, LocalRule(action="block", name=host, by="x", reason="x"))}),
        NOW,
    )
    assert host in pupil.open(host).text
    written = {"note": "con bị bạn Khoa doạ", "name": "Bé An 6A1"}
    assert pupil.send(host, ASK, written).status_code in (200, 403, 409)
    for kind in KINDS:
        report = {"kind": kind, "target": "http://trang-rieng.example/an", "note": "con bị bạn Khoa doạ", "contact": "0905 111 999"}
        assert pupil.send(host, REPORT, report).status_code == 200
    pupil.send(host, REPORT, {"kind": "nonsense", "note": "con bị bạn Khoa doạ"}, token="wrong")
    assert school.rows(select(reports_table.c.note).where(reports_table.c.target == "http://trang-rieng.example/an"))
    for _ in opened(school, "co-lan"):
        pass
    lan = signed_in(school, "co-lan")
    id_ = school.rows(select(requests.c.id).where(requests.c.group_name == OWN))[0].id
    assert lan.post(f"/classes/{OWN}/requests/{id_}/refuse", {"answer": "không phải lúc này"}, seen="/requests").status_code == 303
    text = "\n".join([caplog.text, *(repr(record.args) for record in caplog.records), *(str(vars(record)) for record in caplog.records)])
    secret = {host, "10.0.12.34", "02:11:22:33:44:55", "Khoa", "Bé An", "trang-rieng", "0905 111", "xin-cua-lop-minh", "cho bài Sử"}
    assert {what for what in secret if what in text} == set()

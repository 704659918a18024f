"""The audit log: read by whatever is asked for, a page at a time, and taken away as a table that no spreadsheet reckons with."""

import csv
import io
import re

import pytest
from sqlalchemy import insert, select

from dashboard.access import Scope
from dashboard.audit_log import OUTCOMES, TITLES
from dashboard.catalogue import translator
from dashboard.store.audit import ACTIONS
from dashboard.store.audit_log import Question, read
from dashboard.store.tables import audit, people
from tests.dashboard.conftest import NOW
from tests.dashboard.stores import *  # noqa: F403

DAY = 86400


def row(at=NOW, by="Cô Lan (co-lan)", action="class.mode", what="6a1", **values):
    return {"at": at, "by": by, "action": action, "object": what, "detail": {}, "reason": ""} | values


async def fill(store, rows):
    async with store.write() as connection:
        for each in rows:
            await connection.execute(insert(audit).values(**each))


async def ask(store, question, limit=100, before=None):
    async with store.read() as connection:
        return await read(connection, question, limit, before)


def test_every_action_has_a_title_and_no_title_is_left_over():
    assert TITLES.keys() == ACTIONS


def test_titles_are_told_apart_in_both_languages():
    for language in ("vi", "en"):
        assert len({translator(language)(title) for title in TITLES.values()}) == len(TITLES)
    assert all(translator("vi")(text) != text for text in (*TITLES.values(), *OUTCOMES.values()))


@pytest.mark.parametrize(
    ("question", "found"),
    [
        (Question(), "edcba"),
        (Question(action="class.mode"), "ca"),
        (Question(person="co-lan"), "ca"),
        (Question(person="CÔ LAN"), "c"),  # written in capitals, by the person that it is
        (Question(text="50%"), "d"),
        (Question(text="kiểm tra"), "b"),
        (Question(since=NOW - DAY, until=NOW), "dc"),
        (Question(person="nobody"), ""),
        (Question(action="class.mode", since=NOW - 2 * DAY + 1), "c"),
    ],
)
def test_what_is_asked_for_is_found(store, loop, question, found):
    async def add_person():
        async with store.write() as connection:
            values = {"id": 3, "login": "co-lan", "name": "Cô Lan", "role": "teacher", "created_at": 1.0}
            await connection.execute(insert(people).values(**values))

    loop(add_person())
    rows = [
        row(NOW - 2 * DAY, reason="a"),
        row(NOW - 2 * DAY, "Thầy Minh (thay-minh)", "rule.added", "x.vn", reason="b: kiểm tra"),
        row(NOW - DAY, reason="c", person_id=3),
        row(NOW - 1, "", "set-up", "50%", reason="d"),
        row(NOW, "Quản trị (quan-tri)", "rule.added", "500", reason="e"),
    ]
    loop(fill(store, rows))
    assert "".join(each.reason[0] for each in loop(ask(store, question))) == found


def test_pages_follow_each_other_without_a_gap_also_where_times_are_the_same(store, loop):
    loop(fill(store, [row(NOW + number // 7, what=str(number)) for number in range(40)]))
    seen, before = [], None
    while part := loop(ask(store, Question(), 6, before)):
        seen += [each.object for each in part]
        before = part[-1].id
    assert seen == [str(number) for number in range(39, -1, -1)]
    assert loop(ask(store, Question(), 6, 999_999)) == []


def fill_web(web, rows):
    web.write(*(insert(audit).values(**each) for each in rows))


def test_the_page_shows_who_did_what(web):
    fill_web(web, [row(detail={"mode": "exam", "sites": ["azota.vn"]}, reason="kiểm tra <b>15</b> phút", outcome="failed")])
    text = web.as_person("hieu-truong").get("/audit").text
    for part in ("Cô Lan (co-lan)", "Class switched", "6a1", "exam", "azota.vn", "failed", "kiểm tra &lt;b&gt;15&lt;/b&gt; phút"):
        assert part in text, part


def test_the_page_is_read_on_by_its_own_link(web):
    fill_web(web, [row(NOW + number, what=f"số-{number}") for number in range(60)])
    viewer = web.as_person("hieu-truong")
    first = viewer.get("/audit?action=class.mode")
    assert len(first.content) < 100_000
    older = re.search(r'href="(/audit\?action=class\.mode&amp;before=\d+)"', first.text)[1].replace("&amp;", "&")
    second = viewer.get(older).text
    assert "số-10<" in first.text
    assert "số-9<" not in first.text
    assert "số-9<" in second
    assert "số-10<" not in second


@pytest.mark.parametrize(
    ("query", "status"),
    [("from=2027-13-45", 422), ("to=9999-12-31", 422), ("from=0001-01-01", 200), ("before=x", 200), ("before=99999999999999999999", 200),
     ("person=" + "x" * 201, 422), ("text=%00", 422), ("action=%3Cscript%3E", 200), ("from=2027-01-15&to=2027-01-15", 200)],
)  # fmt: skip
def test_a_strange_question_is_answered_in_words(web, query, status):
    answer = web.as_person("quan-tri").get(f"/audit?{query}")
    assert answer.status_code == status
    assert "<script>" not in answer.text.replace('<script src="', "")


def test_a_day_is_the_schools(web):
    """Seven hours before the one in Greenwich."""
    fill_web(
        web,
        [row(1_799_946_000.0 - 1, what="ngày-trước"), row(1_799_946_000.0, what="trong-ngày"), row(1_799_946_000.0 + DAY, what="ngày-sau")],
    )
    text = web.as_person("quan-tri").get("/audit?from=2027-01-15&to=2027-01-15").text
    assert [name in text for name in ("ngày-trước", "trong-ngày", "ngày-sau")] == [False, True, False]


def test_the_table_has_everything_and_no_formula(web):
    fill_web(web, [row(what=what, reason='say "hi",\nnow') for what in ("=1+1", "+84", "-x", "@cmd", "plain")] * 300)
    answer = web.as_person("hieu-truong").post("/audit/export", {"person": "co-lan"}, seen="/audit")
    assert answer.headers["content-type"].startswith("text/csv")
    assert 'filename="manglanh-audit-2027-01-15.csv"' in answer.headers["content-disposition"]
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    assert len(rows) == 1501
    assert {cells[3] for cells in rows[1:]} == {"'=1+1", "'+84", "'-x", "'@cmd", "plain"}
    assert rows[1][4] == 'say "hi",\nnow'
    assert rows[1][0] == "2027-01-15 15:20:00+07:00"
    noted = web.rows(select(audit).where(audit.c.action == "audit.exported"))
    assert [(each.by, each.detail) for each in noted] == [("Hieu-Truong (hieu-truong)", {"person": "co-lan"})]


def test_no_teacher_reads_it(web):
    assert web.as_person("co-lan").get("/audit").status_code == 403
    assert web.client.get("/api/v1/audit", headers=web.token("co-lan")).status_code == 403


def test_the_api_goes_on_by_its_mark(web):
    fill_web(web, [row(NOW + number, what=str(number)) for number in range(5)])
    headers, seen, before = web.token("hieu-truong", Scope.AUDIT_READ), [], None
    while True:
        answer = web.client.get("/api/v1/audit", params={"limit": 2} | ({"before": before} if before else {}), headers=headers).json()
        seen += [entry["object"] for entry in answer["entries"]]
        before = answer["before"]
        if before is None:
            break
    assert seen == ["4", "3", "2", "1", "0"]


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "before=0", "since=nan", "until=-1", "person=%00", f"text={'x' * 201}"])
def test_the_api_refuses_what_cannot_be_asked(web, query):
    assert web.client.get(f"/api/v1/audit?{query}", headers=web.token("quan-tri")).status_code == 422

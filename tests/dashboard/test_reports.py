"""Reports of harmful content: taken and never lost, nothing kept of the sender, worked on step by step, shown to whom they concern."""

import csv
import io
import json
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from dashboard.access import Scope
from dashboard.refusal import Refused
from dashboard.reporting import reports
from dashboard.reporting.reports import moves, new_number
from dashboard.reporting.words import KINDS
from dashboard.store.reports import CLOSED, STATES, Report
from dashboard.store.tables import audit, outbox, report_steps
from dashboard.store.tables import reports as table
from tests.dashboard.conftest import PROVINCE

HOSTILE = (
    "<script>alert(1)</script>",
    "javascript:alert(1)//x.example",
    '"><img src=x onerror=alert(1)>',
    "https://x.example/?q={{7*7}}&{report.__class__}%s%(x)s",
    '=HYPERLINK("http://x")',
    "x.example\r\nBcc: all@example.org",
)  # fmt: skip


def take(web, kind="harmful", target="doc-hai.example", note="", signed="", group="6a1"):
    return web.run(reports.take, web.site, kind, target, note, signed, group, web.clock.now)


def stored(web, number=None):
    query = select(table).order_by(table.c.id)
    return web.rows(query if number is None else query.where(table.c.number == number))


def steps(web):
    return [(row.state, row.by, row.note) for row in web.rows(select(report_steps).order_by(report_steps.c.id))]


def name_recipient(directory, how="webhook: 'https://bao-cao.example/'"):
    (directory / "province.yaml").write_text(PROVINCE + f"recipient: {{to: so, {how}}}\n", encoding="utf-8")


# ---- taking ----


def test_a_report_is_stored_with_what_was_written_and_no_more(web):
    number = take(web, "abuse", "mang.example/nhom", "Bạn em bị đe doạ\ntrong nhóm này", "An, 6A1")
    (row,) = stored(web)
    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}", number)
    assert row._asdict() == {
        "id": row.id, "number": number, "at": web.clock.now, "kind": "abuse", "target": "mang.example/nhom", "note": "Bạn em bị đe doạ\ntrong nhóm này",
        "signed": "An, 6A1", "group_name": "6a1", "state": "received", "closed_at": None,
    }  # fmt: skip
    assert steps(web) == [("received", "", "")]
    assert web.rows(select(audit)) == []


def test_numbers_are_not_guessable_in_order():
    numbers = [new_number() for _ in range(1000)]
    assert len(set(numbers)) == 1000
    assert numbers != sorted(numbers)


def test_a_number_that_is_taken_is_not_given_twice(web, monkeypatch):
    given_out = iter(["AAAA-AAAA", "AAAA-AAAA", "BBBB-BBBB"])
    monkeypatch.setattr(reports, "new_number", lambda: next(given_out))
    assert [take(web, target="a.example"), take(web, target="b.example")] == ["AAAA-AAAA", "BBBB-BBBB"]


def test_the_same_within_an_hour_without_a_word_counts_with_the_first(web):
    first = take(web)
    web.clock.now += 3599
    assert take(web) == first
    assert [state for state, _, _ in steps(web)] == ["received", "again"]
    assert len(stored(web)) == 1


@pytest.mark.parametrize(
    "other", [{"kind": "fake"}, {"target": "khac.example"}, {"group": "6a2"}, {"note": "Em thấy sợ"}, {"signed": "Bình"}]
)
def test_whatever_says_something_else_is_a_report_of_its_own(web, other):
    assert take(web) != take(web, **other)
    assert len(stored(web)) == 2


def test_after_an_hour_or_once_closed_it_is_a_report_of_its_own(web):
    first = take(web)
    web.write(update(table).values(closed_at=web.clock.now))
    second = take(web)
    web.clock.now += 3601
    assert len({first, second, take(web)}) == 3


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"kind": "spam"}, "kind"), ({"target": ""}, "target"), ({"target": " \n "}, "target"), ({"target": "x" * 501}, "target"),
        ({"note": "x" * 2001}, "note"), ({"signed": "x" * 201}, "signed"),
    ],
)  # fmt: skip
def test_what_cannot_be_stored_is_refused_with_its_field(web, values, field):
    with pytest.raises(Refused) as refused:
        take(web, **values)
    assert (refused.value.status, refused.value.field) == (422, field)
    assert stored(web) == []


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_text_that_goes_into_a_store_has_no_control_characters(target, note, signed):
    from dashboard.block_page.forms import clean

    for text in (target, note, signed):
        assert not set(clean(text)) & {"\0", "\r", "\x1b", "\u202e"}


# ---- the states ----

REPORTS = st.builds(
    Report, id=st.just(1), number=st.just("A"), at=st.just(0.0), kind=st.sampled_from(KINDS), target=st.just("x"), note=st.just(""), signed=st.just(""),
    group=st.just(""), state=st.sampled_from(STATES), closed_at=st.none() | st.just(1.0),
)  # fmt: skip


@given(REPORTS)
def test_a_report_goes_one_state_on_or_back_or_is_closed(report):
    after = moves(report)
    assert report.status not in after
    assert len(set(after)) == len(after) > 0
    if report.status == CLOSED:
        assert after == (report.state,)
        return
    assert CLOSED in after
    assert {abs(STATES.index(state) - STATES.index(report.state)) for state in after if state != CLOSED} == {1}


@given(st.lists(st.integers(0, 2), max_size=30))
def test_every_walk_comes_back_to_any_state_and_never_leaves_the_five(choices):
    from dataclasses import replace

    report = Report(1, "A", 0.0, "fake", "x", "", "", "", "received", None)
    seen = []
    for choice in choices:
        after = moves(report)
        to = after[choice % len(after)]
        report = replace(report, closed_at=1.0) if to == CLOSED else replace(report, state=to, closed_at=None)
        seen.append(report.status)
        assert report.status in (*STATES, CLOSED)
    if report.closed_at is None and seen:
        assert seen[-1] == report.state


def move(visitor, report_id, seen, to, note=""):
    path = f"/reports/{report_id}"
    if to == CLOSED:
        return visitor.post(f"{path}/close", {"seen": seen, "note": note}, seen=path)
    return visitor.post(f"{path}/step", {"seen": seen, "to": to, "note": note}, seen=path)


def test_an_administrator_leads_a_report_through_the_states(web):
    number = take(web)
    report_id, admin = stored(web)[0].id, web.as_person("quan-tri")
    path = ["received", "collecting", "verifying", "coordinating", "closed"]
    for at, (seen, to) in enumerate(pairwise(path)):
        web.clock.now += 60
        assert move(admin, report_id, seen, to, f"Ghi chú {at}").status_code == 303
    by = "Quan-Tri (quan-tri)"
    assert steps(web)[1:] == [(state, by, f"Ghi chú {at}") for at, state in enumerate(path[1:])]
    assert stored(web)[0].closed_at == web.clock.now
    logged = [
        (row.object, row.detail, row.by) for row in web.rows(select(audit).where(audit.c.action == "report.step").order_by(audit.c.id))
    ]
    assert logged == [(number, {"from": seen, "to": to}, by) for seen, to in pairwise(path)]
    assert move(admin, report_id, "closed", "coordinating").status_code == 303
    assert stored(web)[0].closed_at is None
    assert move(admin, report_id, "coordinating", "verifying").status_code == 303, "and back"


@pytest.mark.parametrize(
    ("seen", "to", "note", "status"),
    [("received", "verifying", "", 422), ("received", "received", "", 422), ("collecting", "verifying", "", 409), ("received", "closed", "", 422),
     ("received", "nirvana", "", 422), ("", "collecting", "", 409), ("received", "collecting", "x" * 1001, 422)],
)  # fmt: skip
def test_what_is_no_step_changes_nothing_and_keeps_the_note(web, seen, to, note, status):
    take(web)
    admin = web.as_person("quan-tri")
    answer = move(admin, stored(web)[0].id, seen, to, note)
    assert answer.status_code == status
    assert note[:50] in answer.text
    assert len(steps(web)) == 1
    assert web.rows(select(func.count()).select_from(audit))[0][0] == 0


def test_of_two_who_decide_at_once_one_is_told(web):
    take(web)
    report_id, admin = stored(web)[0].id, web.as_person("quan-tri")
    assert move(admin, report_id, "received", "collecting").status_code == 303
    second = move(admin, report_id, "received", "collecting")
    assert second.status_code == 409
    assert "Somebody was quicker" in second.text
    assert len(steps(web)) == 2


# ---- the pages ----


def test_the_pages_stand_with_every_kind_and_status(web):
    for kind in KINDS:
        take(web, kind, f"{kind}.example")
    admin, principal = web.as_person("quan-tri"), web.as_person("hieu-truong")
    for row in stored(web):
        for visitor in (admin, principal):
            page = visitor.get(f"/reports/{row.id}")
            assert page.status_code == 200
            assert row.number in page.text
            assert len(page.content) < 100_000
        assert "/step" not in principal.get(f"/reports/{row.id}").text, "a viewer changes nothing"
    move(admin, stored(web)[0].id, "received", "closed", "Đã xong")
    assert "Case closed" in admin.get("/reports").text, "said once"
    listed = {state: admin.get(f"/reports?state={state}").text for state in (*STATES, CLOSED, "nonsense")}
    assert stored(web)[0].number in listed[CLOSED]
    assert stored(web)[0].number not in listed["received"]
    assert all(row.number in listed["nonsense"] for row in stored(web)), "a state that is none is no filter"
    assert "Đã xong" in admin.get(f"/reports/{stored(web)[0].id}").text


def test_in_vietnamese_no_english_word_is_left(web, school_directory):
    name_recipient(school_directory)
    take(web, "abuse", "mang.example", "nội dung")
    web.client.portal.call(_vietnamese, web.site)
    admin = web.as_person("quan-tri")
    report_id = stored(web)[0].id
    admin.post(f"/reports/{report_id}/forward", seen=f"/reports/{report_id}")
    for path in ("/reports", f"/reports/{report_id}", "/reports/new"):
        text = re.sub(r"<(script|style|pre).*?</\1>|<[^>]+>", " ", admin.get(path).text, flags=re.DOTALL)
        assert not re.search(r"\b(the|report|reports|state|province|child|note|step|when|with|this)\b", text, re.IGNORECASE), path


async def _vietnamese(site):
    from dashboard.store.tables import people

    async with site.store.write() as connection:
        await connection.execute(update(people).values(language="vi"))


@pytest.mark.parametrize("target", HOSTILE)
def test_hostile_text_is_text_on_every_page(web, target):
    admin = web.as_person("quan-tri")
    made = admin.post("/reports/new", {"kind": "mistake", "target": target, "note": target, "signed": ""}, seen="/reports/new")
    assert made.status_code == 303
    for path in ("/reports", made.headers["location"]):
        page = admin.get(path)
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
        assert 'href="javascript' not in page.text


def test_ten_kilobytes_come_back_in_the_form(web):
    admin = web.as_person("quan-tri")
    answer = admin.post("/reports/new", {"kind": "fake", "target": "x" * 10_000, "note": "Giữ lại lời này"}, seen="/reports/new")
    assert answer.status_code == 422
    assert "at most 500" in answer.text
    assert "Giữ lại lời này" in answer.text
    assert stored(web) == []


@pytest.mark.parametrize("number", ["0", "999999", "9" * 30])
def test_a_report_that_is_not_there_is_404(web, number):
    admin = web.as_person("quan-tri")
    assert admin.get(f"/reports/{number}").status_code == 404
    for action in ("step", "close", "forward"):
        assert (
            admin.post(f"/reports/{number}/{action}", {"seen": "received", "to": "collecting", "note": "x"}, seen="/reports").status_code
            == 404
        )


@pytest.mark.parametrize("kind", KINDS)
def test_first_what_to_do_for_a_child_then_everything_else(web, kind):
    take(web, kind, "mang.example")
    page = web.as_person("hieu-truong").get(f"/reports/{stored(web)[0].id}").text
    assert ("Do not question the child" in page) == (kind == "abuse")
    if kind == "abuse":
        assert page.index("tel:111") < page.index("What was reported")


def test_a_site_of_self_harm_is_grave_whatever_it_was_reported_as(web, monkeypatch):
    monkeypatch.setattr(reports, "categories", lambda index, target: ["self-harm"])
    take(web, "fake", "buon.example")
    page = web.as_person("quan-tri").get(f"/reports/{stored(web)[0].id}").text
    assert "Do not question the child" in page
    assert "/rules?action=block" not in page


def test_a_mistake_offers_to_open_the_site_and_to_ask_why(web):
    take(web, "mistake", "https://www.Trường-Học.example:8443/bài?x=1")
    page = web.as_person("quan-tri").get(f"/reports/{stored(web)[0].id}").text
    name = "www.xn--trng-hc-vwa8l0614b.example"
    assert re.search(r'href="/rules\?action=allow&amp;name=(www\.xn--[a-z0-9-]+\.example)"', page), name
    assert "/why?name=www.xn--" in page


def test_a_target_that_names_no_site_offers_nothing(web):
    take(web, "mistake", "em không nhớ tên trang")
    page = web.as_person("quan-tri").get(f"/reports/{stored(web)[0].id}").text
    assert "/rules?" not in page
    assert "/why?" not in page


def test_a_teacher_reports_without_being_known(web):
    teacher = web.as_person("co-lan")
    made = teacher.post("/reports/new", {"kind": "harmful", "target": "x.example"}, seen="/reports/new")
    assert made.headers["location"] == "/reports/new"
    assert stored(web)[0].number in teacher.get("/reports/new").text
    assert stored(web)[0].signed == ""
    assert [row for row in web.rows(select(audit)) if "co-lan" in row.by] == []
    assert "co-lan" not in str(steps(web))
    assert teacher.get("/reports").status_code == 403
    assert teacher.get(f"/reports/{stored(web)[0].id}").status_code == 403


def test_a_teacher_may_sign(web):
    web.as_person("co-lan").post("/reports/new", {"kind": "harmful", "target": "x.example", "signed": "1"}, seen="/reports/new")
    assert stored(web)[0].signed == "Co-Lan (co-lan)"


# ---- handing on ----


def test_what_is_handed_on_is_what_the_page_showed(web, school_directory):
    name_recipient(school_directory)
    number = take(web, "fake", "gia.example", "Trang giả", "An")
    report_id, admin = stored(web)[0].id, web.as_person("quan-tri")
    page = admin.get(f"/reports/{report_id}")
    assert "goes with it" in page.text, "the name that the sender left"
    assert admin.post(f"/reports/{report_id}/forward", seen=f"/reports/{report_id}").status_code == 303
    (row,) = web.rows(select(outbox))
    assert (row.kind, row.target, row.attempts) == ("webhook", "https://bao-cao.example/", 0)
    document = json.loads(row.body)
    assert document == {
        "format": "manglanh-report/1", "number": number, "at": "2027-01-15T15:20:00+07:00", "kind": "fake", "target": "gia.example",
        "note": "Trang giả", "signed": "An", "categories": [], "school": {"name": "Trường THCS Thử Nghiệm"}, "to": "so", "state": "received",
        "states": [{"state": "received", "at": "2027-01-15T15:20:00+07:00"}],
    }  # fmt: skip
    logged = web.rows(select(audit).where(audit.c.action == "report.forwarded"))
    assert [(entry.object, entry.by) for entry in logged] == [(number, "Quan-Tri (quan-tri)")]
    again = admin.post(f"/reports/{report_id}/forward", seen="/reports/new")
    assert again.status_code == 409
    assert len(web.rows(select(outbox))) == 1
    web.write(update(outbox).values(accepted_at=web.clock.now))
    assert admin.post(f"/reports/{report_id}/forward", seen=f"/reports/{report_id}").status_code == 303
    assert len(web.rows(select(outbox))) == 2


def test_notes_and_names_of_staff_stay_at_the_school(web, school_directory):
    name_recipient(school_directory)
    take(web)
    report_id, admin = stored(web)[0].id, web.as_person("quan-tri")
    move(admin, report_id, "received", "collecting", "Chuyện riêng của trường")
    admin.post(f"/reports/{report_id}/forward", seen=f"/reports/{report_id}")
    document = web.rows(select(outbox))[0].body.decode()
    assert "riêng" not in document
    assert "quan-tri" not in document
    assert "6a1" not in document
    assert [each["state"] for each in json.loads(document)["states"]] == ["received", "collecting"]


def test_without_a_recipient_nothing_is_handed_on(web):
    take(web)
    report_id, admin = stored(web)[0].id, web.as_person("quan-tri")
    assert "stay at the school" in admin.get(f"/reports/{report_id}").text
    answer = admin.post(f"/reports/{report_id}/forward", seen="/reports/new")
    assert answer.status_code == 409
    assert "names nobody who takes reports" in answer.text
    assert web.rows(select(outbox)) == []


# ---- the table for the yearly report ----


def export(visitor, year="2027"):
    answer = visitor.post("/reports/export", {"year": year}, seen="/reports")
    assert answer.status_code == 200, answer.text
    assert "attachment" in answer.headers["content-disposition"]
    return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))


def test_the_table_has_what_came_and_what_came_of_it_but_no_names(web):
    take(web, "harmful", "=cmd|' /C calc'!A0", "lời của em", "An 6A1")
    number = take(web, "fake", "gia.example")
    take(web, "fake", "gia.example")
    move(web.as_person("quan-tri"), stored(web, number)[0].id, "received", "closed", "+Đã chặn")
    head, first, second = export(web.as_person("hieu-truong"))
    assert len(head) == len(first) == len(second) == 9
    assert first[3] == "'=cmd|' /C calc'!A0", "no formula"
    assert second[0] == number
    assert second[5:8] == ["2027-01-15 15:20", "'+Đã chặn", "1"]
    everything = str((head, first, second))
    assert "lời của em" not in everything
    assert "An 6A1" not in everything
    assert [row.object for row in web.rows(select(audit).where(audit.c.action == "report.exported"))] == ["2027"]


def test_a_year_is_the_school_s_own(web):
    web.clock.now = 1_798_736_400.0  # 2027-01-01, 00:00 in Vietnam, which is still 2026 in UTC
    take(web)
    admin = web.as_person("quan-tri")
    assert len(export(admin, "2027")) == 2
    assert len(export(admin, "2026")) == 1
    for year in ("", "x", "1999", "2028", "99999"):
        assert admin.post("/reports/export", {"year": year}, seen="/reports").status_code == 422


# ---- the API ----


def test_the_api_does_what_the_pages_do(web, school_directory):
    name_recipient(school_directory)
    headers = web.token("quan-tri")
    made = web.client.post("/api/v1/reports", json={"kind": "harmful", "target": "x.example", "note": "n", "signed": True}, headers=headers)
    assert made.status_code == 201
    listed = web.client.get("/api/v1/reports", headers=headers).json()
    (report,) = listed["reports"]
    assert report["number"] == made.json()["number"]
    assert report["signed"] == "Quan-Tri (quan-tri)"
    assert listed["counts"] == {"received": 1, "collecting": 0, "verifying": 0, "coordinating": 0, "closed": 0}
    path = f"/api/v1/reports/{report['id']}"
    moved = web.client.post(f"{path}/steps", json={"seen": "received", "to": "collecting"}, headers=headers)
    assert moved.status_code == 201
    assert moved.json()["next_states"] == ["verifying", "received", "closed"]
    assert web.client.post(f"{path}/steps", json={"seen": "received", "to": "collecting"}, headers=headers).status_code == 409
    assert web.client.post(f"{path}/steps", json={"seen": "collecting", "to": "closed"}, headers=headers).json()["field"] == "note"
    sent = web.client.post(f"{path}/forward", headers=headers).json()
    assert sent["province"] == "waiting"
    assert [way["way"] for way in sent["forwarding"]] == ["webhook"]
    assert web.client.get(path, headers=headers).json() == sent
    assert web.client.get("/api/v1/reports?state=received", headers=headers).json()["reports"] == []
    for bad in (
        {"kind": "x", "target": "y"},
        {"kind": "fake", "target": ""},
        {"kind": "fake", "target": " "},
        {"kind": "fake", "target": "y", "z": 1},
    ):
        assert web.client.post("/api/v1/reports", json=bad, headers=headers).status_code == 422
    assert web.client.get("/api/v1/reports/77", headers=headers).status_code == 404


@pytest.mark.parametrize(("login", "status"), [("co-lan", 403), ("hieu-truong", 200)])
def test_the_api_shows_reports_to_whom_the_pages_show_them(web, login, status):
    take(web)
    assert web.client.get("/api/v1/reports", headers=web.token(login)).status_code == status
    path = f"/api/v1/reports/{stored(web)[0].id}"
    assert web.client.get(path, headers=web.token(login)).status_code == status
    assert web.client.post(f"{path}/steps", json={"seen": "received", "to": "collecting"}, headers=web.token(login)).status_code == 403
    assert web.client.post(f"{path}/forward", headers=web.token(login)).status_code == 403
    assert web.client.post("/api/v1/reports", json={"kind": "fake", "target": "z.example"}, headers=web.token(login)).status_code == 201


def test_a_token_needs_its_scope(web):
    assert web.client.get("/api/v1/reports", headers=web.token("quan-tri", Scope.REPORTS_WRITE)).status_code == 403
    reading = web.token("quan-tri", Scope.REPORTS_READ)
    assert web.client.post("/api/v1/reports", json={"kind": "fake", "target": "z.example"}, headers=reading).status_code == 403

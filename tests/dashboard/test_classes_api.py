"""Classes for programs: the same changes as by the pages, with the same refusals."""

import pytest
from sqlalchemy import insert, select

from dashboard.access import Scope
from dashboard.insight.statistics import Blocked, Minute
from dashboard.store.tables import audit, site_sets
from policies.state import read_state
from tests.dashboard.conftest import NOW

LESSON_ENDS = NOW + 300


@pytest.fixture
def api(web):
    class Api:
        def call(self, method, path, login="co-lan", status=200, **options):
            answer = web.client.request(method, f"/api/v1{path}", headers=web.token(login), **options)
            assert answer.status_code == status, answer.text
            return answer.json()

    return Api()


def test_the_list_is_ones_own(api):
    assert [each["group"] for each in api.call("GET", "/classes")] == ["6a1"]
    assert {"6a1", "6a2", "3b", "giao-vien"} <= {each["group"] for each in api.call("GET", "/classes", "hieu-truong")}
    api.call("GET", "/classes/6a2", status=403)
    api.call("GET", "/classes/9z9", "quan-tri", status=404)


def test_a_class_as_it_is(api):
    assert api.call("GET", "/classes/6a1") == {
        "group": "6a1", "title": "Lớp 6A1", "mode": "normal", "mode_title": "Normal", "until": None, "origin": "none", "switch": None, "seen": "-",
        "in_force": {"applied": 2, "workers": 2}, "open_requests": 0, "lesson_ends": LESSON_ENDS,
    }  # fmt: skip


def test_switching_extending_undoing_ending(web, api):
    made = api.call("POST", "/classes/6a1/mode", json={"mode": "study", "lesson": True, "reason": "ôn tập", "expected": "-"})
    assert made["in_force"] == {"applied": 2, "workers": 2}
    now = made["class_now"]
    assert (now["mode"], now["until"], now["origin"], now["switch"]["reason"]) == ("study", LESSON_ENDS, "switch", "ôn tập")
    longer = api.call("POST", "/classes/6a1/mode/extend", json={"expected": now["seen"]})
    assert longer["class_now"]["until"] == LESSON_ENDS + 900
    assert api.call("POST", "/classes/6a1/mode/undo")["class_now"]["switch"] == now["switch"]
    assert api.call("DELETE", "/classes/6a1/mode")["class_now"]["switch"] is None
    api.call("DELETE", "/classes/6a1/mode", status=409)
    assert {row.outcome for row in web.rows(select(audit.c.outcome).where(audit.c.action != "class.end"))} == {"done"}


def test_exam_sites_from_sets_and_names(web, api):
    set_id = web.write(insert(site_sets).values(name="x", sites=["quiz.vn"]).returning(site_sets.c.id))[0].scalar_one()
    body = {"mode": "exam", "until": "16:00", "sites": ["https://OLM.vn/"], "set_ids": [set_id]}
    made = api.call("POST", "/classes/6a1/mode", json=body)
    assert made["class_now"]["switch"]["sites"] == ["quiz.vn", "olm.vn"]
    assert made["class_now"]["until"] == NOW + 2400
    api.call("POST", "/classes/6a1/mode", json=body | {"set_ids": [99]}, status=422)
    api.call("POST", "/classes/6a1/mode", json=body | {"sites": ["<b>"]}, status=422)


def test_what_was_expected_is_no_longer_so(web, api):
    api.call("POST", "/classes/6a1/mode", "quan-tri", json={"mode": "break", "minutes": 15})
    problem = api.call("POST", "/classes/6a1/mode", json={"mode": "offline", "minutes": 15, "expected": "-"}, status=409)
    assert problem["detail"].startswith("Quan-Tri switched this class")
    api.call("POST", "/classes/6a1/mode/undo", status=409)
    assert [each.mode for each in read_state(web.box.state).overrides] == ["break"]


@pytest.mark.parametrize(
    "body",
    [
        {}, {"mode": "study"}, {"mode": "study", "minutes": 15, "lesson": True}, {"mode": "study", "minutes": 0}, {"mode": "study", "minutes": 1441},
        {"mode": "study", "until": "24:00"}, {"mode": "study", "until": "9:5"}, {"mode": "nothing", "minutes": 15}, {"mode": "study", "lesson": False},
        {"mode": "study", "minutes": 15, "reason": "x" * 201}, {"mode": "study", "minutes": 15, "x": 1}, {"mode": "study", "minutes": 15, "reason": "\0"},
    ],
)  # fmt: skip
def test_bad_bodies_change_nothing(web, api, body):
    api.call("POST", "/classes/6a1/mode", json=body, status=422)
    assert read_state(web.box.state).overrides == ()


def test_opening_and_closing_a_site(web, api):
    made = api.call("POST", "/classes/6a1/unblocks", json={"name": "https://Facebook.com/x", "lesson": True}, status=201)
    assert made["unblock"] == {"name": "facebook.com", "since": NOW, "until": LESSON_ENDS, "by": "Co-Lan", "reason": ""}
    assert api.call("GET", "/classes/6a1/unblocks") == [made["unblock"]]
    assert (
        "open for this class already"
        in api.call("POST", "/classes/6a1/unblocks", json={"name": "wikipedia.org", "lesson": True}, status=409)["detail"]
    )
    api.call("DELETE", "/classes/6a1/unblocks/facebook.com", "thay-minh", status=403)
    api.call("DELETE", "/classes/6a1/unblocks/facebook.com")
    api.call("DELETE", "/classes/6a1/unblocks/facebook.com", status=404)
    assert read_state(web.box.state).unblocks == ()


def test_most_blocked_has_no_small_cells(web, api):
    rows = (
        Blocked("6a1", "social", "category", "facebook.com", 40, 0b111111),
        Blocked("6a1", "games", "category", "roblox.com", 7, 0b1111),
    )
    web.site.fold.add(Minute(int(NOW) - 600, "salt", rows, (), ()), NOW)
    answer = api.call("GET", "/classes/6a1/most-blocked")
    assert answer["since"] == LESSON_ENDS - 45 * 60
    assert [row["domain"] for row in answer["rows"]] == ["facebook.com"]
    assert "roblox" not in str(answer)
    api.call("GET", "/classes/6a2/most-blocked", status=403)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/mode", {"mode": "study", "lesson": True}), ("DELETE", "/mode", None), ("POST", "/mode/extend", None), ("POST", "/mode/undo", None),
        ("POST", "/unblocks", {"name": "a.vn", "lesson": True}), ("DELETE", "/unblocks/a.vn", None),
    ],
)  # fmt: skip
def test_who_may_not(web, method, path, body):
    for headers, status in (
        (web.token("co-lan"), 403),
        (web.token("hieu-truong"), 403),
        (web.token("thay-minh", Scope.CLASSES_READ), 403),
        ({}, 401),
    ):
        assert web.client.request(method, f"/api/v1/classes/6a2{path}", headers=headers, json=body).status_code == status
    assert read_state(web.box.state).generation == 0

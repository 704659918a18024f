"""Groups are edited in the school's file, with its comments kept; what something names is not removed."""

import re

import pytest
from sqlalchemy import select

from dashboard.settings import groups
from dashboard.store.tables import audit
from policies.load import load

FORM = {"title": "Lớp 9C", "tier": "thcs", "clients": "10.0.22.0/24"}


@pytest.fixture
def it(web):
    return web.as_person("quan-tri")


def send(it, path, page, **form):
    seen = re.search(r'name="seen" value="(\w+)"', it.get(page).text)[1]
    return it.post(path, {"seen": seen} | form, seen=page)


def group(web, name):
    return next((each for each in load(web.site.config).groups if each.name == name), None)


def test_a_new_group_gets_its_id_from_its_title(web, it):
    assert send(it, "/groups", "/groups/new", **FORM, break_allows=["games"]).headers["location"] == "/groups/lop-9c"
    made = group(web, "lop-9c")
    assert (made.title, made.tier, [str(client) for client in made.clients], made.break_allows) == (
        "Lớp 9C",
        "thcs",
        ["10.0.22.0/24"],
        ("games",),
    )
    assert "# Ghi chú này phải còn nguyên." in web.site.config.read_text()
    assert web.rows(select(audit))[-1].action == "group.changed"
    assert "Lớp 9C" in it.get("/groups").text


def test_a_change_keeps_comments_and_what_it_does_not_name(web, it):
    answer = send(
        it, "/groups/6a1", "/groups/6a1", title="Lớp Sáu", tier="tieu-hoc", clients="10.0.12.0/24\n10.0.14.0/24, aa:bb:cc:dd:ee:f0"
    )
    assert answer.status_code == 303
    assert [str(client) for client in group(web, "6a1").clients] == ["10.0.12.0/24", "10.0.14.0/24", "aa:bb:cc:dd:ee:f0"]
    assert "# phòng 12" in web.site.config.read_text()
    assert "<title>Lớp Sáu" in it.get("/groups/6a1").text


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"clients": "10.0.12.0/24"}, "is a client already"),
        ({"clients": "8.8.8.0/24"}, "lies outside dns.allow_from"),
        ({"clients": "x"}, "is no network"),
        ({"clients": "10.0.22.1/24"}, "did you mean"),
        ({"tier": "thsc"}, "did you mean"),
        ({"name": "6a1"}, "There is a group with the id 6a1 already"),
        ({"name": "Lớp"}, "An id has lower-case letters"),
        ({"title": ""}, "An id has"),
        ({"title": "x" * 500}, "too long"),
        ({"title": "a\u202eb"}, "nobody can see"),
        ({"break_allows": ["child-abuse"]}, "unknown category"),
    ],
)
def test_what_is_wrong_is_said_and_the_file_stays(web, it, form, said):
    before = web.site.config.read_bytes()
    answer = send(it, "/groups", "/groups/new", **FORM | form)
    assert answer.status_code in (409, 422)
    assert said in answer.text
    assert web.site.config.read_bytes() == before


def test_what_somebody_else_has_changed_meanwhile_is_not_overwritten(web, it):
    seen = re.search(r'name="seen" value="(\w+)"', it.get("/groups/6a1").text)[1]
    web.site.config.write_text(web.site.config.read_text() + "# khác\n", encoding="utf-8")
    answer = it.post("/groups/6a1", FORM | {"seen": seen}, seen="/groups/6a1")
    assert answer.status_code == 409
    assert group(web, "6a1").title == "Lớp 6A1"


def test_a_group_is_removed_only_when_nothing_names_it(web, it):
    for used in ("6a1", "6a2"):  # the timetable and a teacher; a teacher
        page = it.get(f"/groups/{used}").text
        assert "cannot be removed" in page
        seen = re.search(r'name="seen" value="(\w+)"', page)[1]
        assert it.post(f"/groups/{used}/remove", {"seen": seen}, seen=f"/groups/{used}").status_code == 409
    it.post("/devices", {"mac": "f0:18:98:00:00:01", "group": "3b"}, seen="/devices/known")
    assert "1 devices" in it.get("/groups/3b").text
    it.post("/devices/f0:18:98:00:00:01/remove", seen="/devices/known")
    assert send(it, "/groups/3b/remove", "/groups/3b").headers["location"] == "/groups"
    assert group(web, "3b") is None
    assert it.get("/groups/3b").status_code == 404


@pytest.mark.parametrize(
    ("title", "id_"), [("Lớp 6A1", "lop-6a1"), ("Đội tuyển Toán", "doi-tuyen-toan"), ("!!!", ""), ("x" * 99, "x" * 63)]
)
def test_ids_from_titles(title, id_):
    assert groups.id_for(title) == id_


def test_the_api(web):
    headers = web.token("quan-tri")
    listed = web.client.get("/api/v1/groups", headers=headers)
    tag = listed.headers["etag"]
    new = {"id": "9c", "title": "Lớp 9C", "tier": "thcs", "clients": ["10.0.22.0/24"]}
    made = web.client.post("/api/v1/groups", json=new, headers=headers | {"If-Match": tag})
    assert made.status_code == 201
    assert web.client.patch("/api/v1/groups/9c", json={"title": "x"}, headers=headers | {"If-Match": tag}).status_code == 412
    assert web.client.patch("/api/v1/groups/9c", json={"title": "Khác"}, headers=headers).json()["title"] == "Khác"
    assert web.client.delete("/api/v1/groups/6a1", headers=headers).status_code == 409
    assert web.client.delete("/api/v1/groups/9c", headers=headers).status_code == 204
    assert web.client.get("/api/v1/groups/9c", headers=headers).status_code == 404
    for who in ("co-lan", "hieu-truong"):  # devices' addresses are among the clients
        assert web.client.get("/api/v1/groups", headers=web.token(who)).status_code == 403

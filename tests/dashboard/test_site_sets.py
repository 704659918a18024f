"""Saved sets of exam sites: whose they are, and names as teachers write them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select

from dashboard.access import Scope
from dashboard.lessons.site_sets import parse_sites, site_name
from dashboard.refusal import Refused
from dashboard.store.tables import audit, site_sets
from dashboard.store.tables import people as people_table
from filters.name import InvalidName


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("quiz.vn", "quiz.vn"),
        (" Quiz.VN. ", "quiz.vn"),
        ("https://quiz.vn/lop6?a=1#b", "quiz.vn"),
        ("http://quiz.vn:8080/", "quiz.vn"),
        ("quiz.vn/lop6", "quiz.vn"),
        ("*.quiz.vn", "quiz.vn"),
        ("https://học.vn", "xn--hc-68s.vn"),
    ],
)
def test_a_site_as_teachers_write_it(text, name):
    assert site_name(text) == name


@pytest.mark.parametrize(
    "text", ["", "vn", "localhost", "10.0.0.1", "https://", "https://[::1", "a b.vn", "<b>.vn", "mailto:a@b.vn", "..", "quiz.vn:x"]
)
def test_what_is_no_site(text):
    with pytest.raises(InvalidName):
        site_name(text)


@given(st.text(max_size=300))
def test_any_text_is_sites_or_refused_in_words(text):
    """Nothing else is raised, and what was taken is taken again as it is."""
    with suppress(Refused):
        sites = parse_sites(text)
        assert parse_sites("\n".join(sites)) == sites


def test_every_wrong_name_is_told_but_not_endlessly():
    with pytest.raises(Refused) as refused:
        parse_sites(" ".join(f"bad{n}!" for n in range(9)))
    assert "bad0!" in refused.value.message
    assert "4 more are wrong." in refused.value.message


def stored(web):
    return {row.name: row for row in web.rows(select(site_sets))}


def id_of(web, login: str) -> int:
    return web.rows(select(people_table.c.id).where(people_table.c.login == login))[0].id


def add(web, name: str, owner: str | None, *sites: str) -> int:
    values = {"name": name, "sites": list(sites or ("quiz.vn",)), "owner_id": id_of(web, owner) if owner else None}
    return web.write(insert(site_sets).values(**values).returning(site_sets.c.id))[0].scalar_one()


class TestPages:
    def test_a_teachers_own_set(self, web):
        visitor = web.as_person("co-lan")
        answer = visitor.post("/exam-sets", {"name": " Toán  6 ", "sites": "https://Quiz.vn/x\nolm.vn quiz.vn"}, seen="/exam-sets")
        assert (answer.status_code, answer.headers["location"]) == (303, "/exam-sets")
        row = stored(web)["Toán 6"]
        assert (row.sites, row.owner_id) == (["quiz.vn", "olm.vn"], id_of(web, "co-lan"))
        page = visitor.get("/exam-sets").text
        assert "“Toán 6” is saved: 2 sites." in page
        assert "Toán 6" in visitor.get("/classes/6a1/exam").text
        assert web.rows(select(audit.c.by).where(audit.c.action == "site-set.saved"))[0].by == "Co-Lan (co-lan)"

    def test_it_is_changed_and_removed(self, web):
        set_id = add(web, "Cũ", "co-lan")
        visitor = web.as_person("co-lan")
        assert "quiz.vn</textarea>" in visitor.get(f"/exam-sets/{set_id}").text
        visitor.post(f"/exam-sets/{set_id}", {"name": "Mới", "sites": "toan.vn"}, seen="/exam-sets")
        assert stored(web)["Mới"].sites == ["toan.vn"]
        visitor.post(f"/exam-sets/{set_id}/remove", {}, seen="/exam-sets")
        assert stored(web) == {}
        assert len(web.rows(select(audit).where(audit.c.action == "site-set.removed"))) == 1

    def test_another_teachers_is_as_if_it_were_not_there(self, web):
        set_id = add(web, "Của thầy Minh", "thay-minh")
        visitor = web.as_person("co-lan")
        assert "Của thầy Minh" not in visitor.get("/exam-sets").text
        assert visitor.get(f"/exam-sets/{set_id}").status_code == 404
        assert visitor.post(f"/exam-sets/{set_id}", {"name": "x", "sites": "a.vn"}, seen="/exam-sets").status_code == 404
        assert visitor.post(f"/exam-sets/{set_id}/remove", {}, seen="/exam-sets").status_code == 404
        assert list(stored(web)) == ["Của thầy Minh"]

    def test_the_schools_are_for_everybody_and_kept_by_administrators(self, web):
        admin, visitor = web.as_person("quan-tri"), web.as_person("co-lan")
        admin.post("/exam-sets", {"name": "Của trường", "sites": "quiz.vn", "school": "1"}, seen="/exam-sets")
        set_id = stored(web)["Của trường"].id
        assert stored(web)["Của trường"].owner_id is None
        page = visitor.get("/exam-sets").text
        assert "Của trường" in page
        assert f'href="/exam-sets/{set_id}"' not in page
        assert visitor.get(f"/exam-sets/{set_id}").status_code == 403
        assert visitor.post(f"/exam-sets/{set_id}", {"name": "x", "sites": "a.vn"}, seen="/exam-sets").status_code == 403
        assert visitor.post(f"/exam-sets/{set_id}/remove", {}, seen="/exam-sets").status_code == 403
        assert visitor.post("/exam-sets", {"name": "x", "sites": "a.vn", "school": "1"}, seen="/exam-sets").status_code == 403
        assert admin.post(f"/exam-sets/{set_id}", {"name": "Mới", "sites": "a.vn"}, seen="/exam-sets").status_code == 303
        assert (stored(web)["Mới"].sites, stored(web)["Mới"].owner_id) == (["a.vn"], None)

    @pytest.mark.parametrize(
        ("fields", "says"),
        [
            ({"name": "", "sites": "a.vn"}, "Give the set a name."),
            ({"name": "x" * 81, "sites": "a.vn"}, "too long"),
            ({"name": "x", "sites": ""}, "Write at least one site."),
            ({"name": "x", "sites": "<script>alert(1)</script>"}, "is not the name of a site"),
            ({"name": "x", "sites": " ".join(f"s{n}.vn" for n in range(101))}, "101 sites"),
        ],
    )
    def test_what_is_wrong_comes_back_with_the_form(self, web, fields, says):
        answer = web.as_person("co-lan").post("/exam-sets", fields, seen="/exam-sets")
        assert answer.status_code == 422
        assert says in answer.text
        assert "aria-invalid" in answer.text
        assert "<script>alert" not in answer.text
        assert stored(web) == {}

    def test_a_name_is_escaped(self, web):
        add(web, "<script>alert(1)</script>", "co-lan")
        visitor = web.as_person("co-lan")
        for path in ("/exam-sets", "/classes/6a1/exam"):
            assert "<script>alert" not in visitor.get(path).text

    def test_two_of_one_name_are_refused(self, web):
        add(web, "Toán", "co-lan")
        answer = web.as_person("co-lan").post("/exam-sets", {"name": "Toán", "sites": "a.vn"}, seen="/exam-sets")
        assert answer.status_code == 409
        assert "There is a set of this name already." in answer.text
        assert web.as_person("thay-minh").post("/exam-sets", {"name": "Toán", "sites": "a.vn"}, seen="/exam-sets").status_code == 303

    @pytest.mark.parametrize("path", ["0", "x", "-1", "9" * 30, "%00"])
    def test_an_id_that_is_none(self, web, path):
        assert web.as_person("co-lan").get(f"/exam-sets/{path}").status_code == 404


class TestApi:
    def test_the_whole_life_of_a_set(self, web):
        headers = web.token("co-lan")
        made = web.client.post("/api/v1/site-sets", json={"name": "Toán", "sites": ["https://Quiz.vn/"]}, headers=headers)
        assert made.status_code == 201
        body = made.json()
        assert (body["sites"], body["school"]) == (["quiz.vn"], False)
        path = f"/api/v1/site-sets/{body['id']}"
        assert web.client.get("/api/v1/site-sets", headers=headers).json() == [body]
        assert web.client.get(path, headers=headers).json() == body
        for _ in range(2):
            changed = web.client.put(path, json={"name": "Văn", "sites": ["van.vn"]}, headers=headers)
            assert changed.json() == {**body, "name": "Văn", "sites": ["van.vn"]}
        assert web.client.delete(path, headers=headers).status_code == 200
        assert web.client.delete(path, headers=headers).status_code == 404
        assert web.client.put(path, json={"name": "Văn", "sites": ["van.vn"]}, headers=headers).status_code == 404

    def test_who_may_what(self, web):
        set_id = add(web, "Của thầy Minh", "thay-minh")
        school = add(web, "Của trường", None)
        headers = web.token("co-lan")
        assert [each["name"] for each in web.client.get("/api/v1/site-sets", headers=headers).json()] == ["Của trường"]
        assert web.client.get(f"/api/v1/site-sets/{set_id}", headers=headers).status_code == 404
        assert web.client.delete(f"/api/v1/site-sets/{school}", headers=headers).status_code == 403
        assert (
            web.client.post("/api/v1/site-sets", json={"name": "x", "sites": ["a.vn"], "school": True}, headers=headers).status_code == 403
        )
        reads = web.token("co-lan", Scope.CLASSES_READ)
        assert web.client.post("/api/v1/site-sets", json={"name": "x", "sites": ["a.vn"]}, headers=reads).status_code == 403
        assert web.client.get("/api/v1/site-sets").status_code == 401

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"name": "x"},
            {"name": "x", "sites": []},
            {"name": "x", "sites": ["<b>"]},
            {"name": " ", "sites": ["a.vn"]},
            {"name": "x", "sites": ["a.vn"], "y": 1},
        ],
    )
    def test_bad_bodies(self, web, body):
        answer = web.client.post("/api/v1/site-sets", json=body, headers=web.token("co-lan"))
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"

"""The staff's accounts: who may be what, whose class is whose, and that one administrator always remains."""

import re
from datetime import date

import pytest
from sqlalchemy import select

from dashboard.access import Role, Scope
from dashboard.staff import inviting
from dashboard.store.tables import assignments, audit, people, sessions

HOSTILE = ["<script>alert(1)</script>", "a\u202eb", "x" * 10_000, "nul\0byte", "\u200b", "   ", "tab\tname", "Nguyễn\nLan"]


def person(web, login):
    return web.rows(select(people).where(people.c.login == login))[0]


def actions(web):
    return [row.action for row in web.rows(select(audit).order_by(audit.c.id))]


def test_a_new_account_with_its_classes_and_link(web):
    it = web.as_person("quan-tri")
    answer = it.post(
        "/people",
        {"login": " Thay-Ba ", "name": "Thầy  Ba", "email": "Ba@Truong.VN", "role": "teacher", "classes": ["6a1", "3b"]},
        seen="/people/new",
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/people/links")
    row = person(web, "thay-ba")
    assert (row.name, row.email, row.role, row.password, row.active) == ("Thầy Ba", "ba@truong.vn", "teacher", None, True)
    assert {each.group_name for each in web.rows(select(assignments).where(assignments.c.person_id == row.id))} == {"6a1", "3b"}
    assert actions(web) == ["person.changed", "class.assigned", "class.assigned", "person.invited"]
    page = it.get("/people/links").text
    assert "/invitation/" in page
    assert "data:image/png;base64," in page


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("login", "co lan"),
        ("login", "co-lan"),
        ("login", "x" * 65),
        ("login", ""),
        ("email", "nobody"),
        ("email", "a@b"),
        ("role", "king"),
        ("classes", "9z"),
    ],
)
def test_what_is_wrong_with_a_new_account_stands_at_its_field_and_nothing_is_done(web, field, value):
    before = len(web.rows(select(people)))
    form = {"login": "moi", "name": "Mới", "email": "", "role": "teacher"} | {field: value}
    answer = web.as_person("quan-tri").post("/people", form, seen="/people/new")
    assert answer.status_code in (409, 422)
    assert 'class="error"' in answer.text
    assert "Mới" in answer.text
    assert len(web.rows(select(people))) == before


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_refused_or_shown_as_text(web, name):
    it = web.as_person("quan-tri")
    answer = it.post("/people", {"login": "moi", "name": name, "role": "teacher"}, seen="/people/new")
    assert answer.status_code in (303, 422)
    page = it.get("/people").text
    assert "<script>alert" not in page + answer.text
    if answer.status_code == 303:
        assert person(web, "moi").name == name.replace("\n", " ")


def test_a_second_account_with_the_same_address_is_refused(web):
    it = web.as_person("quan-tri")
    for login in ("mot", "hai"):
        answer = it.post("/people", {"login": login, "name": login, "email": "a@truong.vn", "role": "teacher"}, seen="/people/new")
    assert answer.status_code == 409
    assert "a@truong.vn" in answer.text


def test_role_classes_and_closing_take_rights_and_sessions_at_once(web):
    it, teacher = web.as_person("quan-tri"), web.as_person("co-lan")
    row = person(web, "co-lan")
    form = {"name": row.name, "email": "", "role": "teacher", "classes": ["6a2"], "active": "1"}
    assert it.post(f"/people/{row.id}", form, seen=f"/people/{row.id}").status_code == 303
    assert [each.group_name for each in web.rows(select(assignments).where(assignments.c.person_id == row.id))] == ["6a2"]
    assert web.rows(select(sessions).where(sessions.c.person_id == row.id))  # other classes: no reason to sign in again
    it.post(f"/people/{row.id}", {key: value for key, value in form.items() if key != "active"}, seen=f"/people/{row.id}")
    assert not web.rows(select(sessions).where(sessions.c.person_id == row.id))
    assert teacher.get("/classes").status_code == 303
    change = next(each for each in web.rows(select(audit)) if each.action == "person.changed")
    assert change.detail == {"active": [True, False]}


@pytest.mark.parametrize(
    ("path", "form"),
    [("", {"name": "Q", "role": "viewer", "active": "1"}), ("", {"name": "Q", "role": "admin"}), ("/remove", {})],
)
def test_the_last_administrator_stays(web, path, form):
    it, row = web.as_person("quan-tri"), person(web, "quan-tri")
    web.add_person("chua-vao", Role.ADMIN, password=None)  # invited, and cannot sign in yet
    answer = it.post(f"/people/{row.id}{path}", form, seen=f"/people/{row.id}")
    assert answer.status_code == 409
    assert "the last administrator" in answer.text
    after = person(web, "quan-tri")
    assert (after.role, after.active, after.name) == ("admin", True, row.name)
    assert it.get("/people").status_code == 200
    assert actions(web) == []


def test_of_two_administrators_who_demote_each_other_one_remains(web):
    web.add_person("pho", Role.ADMIN)
    ids = [person(web, login).id for login in ("quan-tri", "pho")]
    answers = [
        web.client.patch(f"/api/v1/people/{other}", json={"role": "viewer"}, headers=web.token(login))
        for login, other in (("quan-tri", ids[1]), ("pho", ids[0]))
    ]
    assert [answer.status_code for answer in answers] == [200, 403]
    assert sum(person(web, login).role == "admin" for login in ("quan-tri", "pho")) == 1


def test_a_substitute_has_the_class_for_the_day_and_no_longer(web):
    it, row = web.as_person("quan-tri"), person(web, "co-lan")
    answer = it.post(
        f"/people/{row.id}/substitute", {"group": "6a2", "since": "2027-01-15", "until": "2027-01-15"}, seen=f"/people/{row.id}"
    )
    assert answer.status_code == 303
    teacher = web.as_person("co-lan")
    assert "6A2" in teacher.get("/classes").text
    web.clock.now += 9 * 3600  # past midnight
    assert "6A2" not in teacher.get("/classes").text


@pytest.mark.parametrize(
    ("who", "form"),
    [
        ("co-lan", {"group": "6a2", "since": "2027-01-16", "until": "2027-01-15"}),
        ("co-lan", {"group": "6a2", "since": "2027-01-10", "until": "2027-01-14"}),
        ("co-lan", {"group": "6a2", "since": "2027-01-15", "until": "2029-01-15"}),
        ("co-lan", {"group": "6a2", "since": "mai", "until": "2027-01-15"}),
        ("co-lan", {"group": "9z", "since": "2027-01-15", "until": "2027-01-15"}),
        ("co-lan", {"group": "6a1", "since": "2027-01-15", "until": "2027-01-15"}),
        ("hieu-truong", {"group": "6a1", "since": "2027-01-15", "until": "2027-01-15"}),
    ],
)
def test_what_no_substitute_can_be(web, who, form):
    row = person(web, who)
    answer = web.as_person("quan-tri").post(f"/people/{row.id}/substitute", form, seen=f"/people/{row.id}")
    assert answer.status_code in (409, 422)
    assert not web.rows(select(assignments).where(assignments.c.until.is_not(None)))


def test_a_substitute_is_taken_back_only_under_its_own_person(web):
    it, lan, minh = web.as_person("quan-tri"), person(web, "co-lan"), person(web, "thay-minh")
    it.post(f"/people/{lan.id}/substitute", {"group": "6a2", "since": "2027-01-15", "until": "2027-01-15"}, seen=f"/people/{lan.id}")
    given = web.rows(select(assignments).where(assignments.c.until.is_not(None)))[0]
    assert it.post(f"/people/{minh.id}/substitute/{given.id}/end", seen=f"/people/{minh.id}").status_code == 404
    own = web.rows(select(assignments).where(assignments.c.person_id == lan.id, assignments.c.until.is_(None)))[0]
    assert it.post(f"/people/{lan.id}/substitute/{own.id}/end", seen=f"/people/{lan.id}").status_code == 404
    assert it.post(f"/people/{lan.id}/substitute/{given.id}/end", seen=f"/people/{lan.id}").status_code == 303
    assert not web.rows(select(assignments).where(assignments.c.until.is_not(None)))


def test_a_lost_telephone_and_sessions_to_end(web):
    person_id = web.add_person("mat-may", Role.TEACHER, totp_secret="A" * 32)
    web.as_person("mat-may")
    it = web.as_person("quan-tri")
    assert it.post(f"/people/{person_id}/totp", seen=f"/people/{person_id}").status_code == 303
    assert person(web, "mat-may").totp_secret is None
    assert it.post(f"/people/{person_id}/sessions", seen=f"/people/{person_id}").status_code == 303
    assert not web.rows(select(sessions).where(sessions.c.person_id == person_id))
    me = person(web, "quan-tri")
    assert it.post(f"/people/{me.id}/sessions", seen=f"/people/{me.id}").status_code == 303
    assert it.get("/people").status_code == 200  # one's own of this moment goes on


def test_two_hundred_teachers_are_searched_and_paged(web):
    for number in range(120):
        web.add_person(f"gv-{number:03}", Role.TEACHER, name=f"Giáo viên {number:03}")
    it = web.as_person("quan-tri")
    page = it.get("/people?page=2").text
    assert "Page 2 of 3" in page
    assert len(page.encode()) < 100_000
    found = it.get("/people?q=viên+07").text
    assert "gv-075" in found
    assert "gv-080" not in found
    for odd in ("?page=999999999999", "?page=-1", "?q=%25", "?q=%00", "?role=x&class=%27"):
        assert it.get(f"/people{odd}").status_code == 200


@pytest.mark.parametrize("number", ["0", "99999", "9223372036854775808", "99999999999999999999999"])
def test_somebody_who_is_not_there(web, number):
    it = web.as_person("quan-tri")
    assert it.get(f"/people/{number}").status_code == 404
    assert it.post(f"/people/{number}/remove", seen="/people").status_code == 404


# ---- tables ----------------------------------------------------------------------------------------------------------

TABLE = "tên đăng nhập;họ tên;email;vai trò;lớp\nco-hoa;Cô Hoa;hoa@truong.vn;giáo viên;Lớp 6A1, 3b\nco-lan;Co-Lan;;Giáo Viên;6a2\nthay-minh;Thay-Minh;;gv;6a2\n"


def send(it, table, path="/people"):
    return it.post(f"{path}/import", files={"csv": ("a.csv", table.encode())}, seen=f"{path}/import")


def seen_in(page):
    return re.search(r'name="seen" value="(\w+)"', page)[1]


def test_a_table_is_seen_before_it_is_carried_out_and_the_new_ones_get_links(web):
    it = web.as_person("quan-tri")
    assert send(it, TABLE).headers["location"] == "/people/import/preview"
    page = it.get("/people/import/preview").text
    assert "Cô Hoa (co-hoa)" in page
    assert "classes: 6a1 → 6a2" in page
    assert not web.rows(select(people).where(people.c.login == "co-hoa"))
    answer = it.post("/people/import/confirm", {"seen": seen_in(page)}, seen="/people")
    assert answer.headers["location"] == "/people/links"
    assert "Cô Hoa" in it.get("/people/links").text
    assert {each.group_name for each in web.rows(select(assignments).where(assignments.c.person_id == person(web, "co-hoa").id))} == {
        "6a1",
        "3b",
    }
    assert "person.imported" in actions(web)
    assert it.get("/people/import/preview").status_code == 303  # it is done, and gone


def test_one_wrong_row_and_nothing_is_done(web):
    it = web.as_person("quan-tri")
    send(it, TABLE + "x y;Tên;khong-phai-email;vua;9z\nco-hoa;Hai;;;\n")
    page = it.get("/people/import/preview").text
    for said in ("Column “login”", "Column “email”", "“vua” is no role", "“9z” is no class", "line 2 has the same"):
        assert said in page
    assert 'name="seen"' not in page
    answer = it.post("/people/import/confirm", {"seen": "0" * 32}, seen="/people")
    assert answer.headers["location"] == "/people/import/preview"
    assert len(web.rows(select(people))) == 4


def test_what_has_changed_since_the_preview_is_not_overwritten(web):
    it = web.as_person("quan-tri")
    send(it, TABLE)
    seen = seen_in(it.get("/people/import/preview").text)
    web.write(people.update().where(people.c.login == "co-lan").values(name="Khác"))
    it.post("/people/import/confirm", {"seen": seen}, seen="/people")
    assert "changed since the preview" in it.get("/people/import/preview").text
    assert len(web.rows(select(people))) == 4


def test_a_table_takes_no_last_administrator(web):
    table = "login,name,role\nquan-tri,Q,teacher\n"
    headers = web.token("quan-tri")
    seen = web.client.post("/api/v1/people/import/preview", json={"csv": table}, headers=headers).json()["digest"]
    answer = web.client.post("/api/v1/people/import", json={"csv": table, "seen": seen}, headers=headers)
    assert answer.status_code == 409
    assert person(web, "quan-tri").role == "admin"


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n\0", b'login,name\n"a,b\n', b"login,nmae\na,b\n", b"a" * 1_050_000])
def test_what_is_no_table_is_said_at_the_field(web, data):
    answer = web.as_person("quan-tri").post("/people/import", files={"csv": ("a.csv", data)}, seen="/people/import")
    assert answer.status_code == 422
    assert 'class="error"' in answer.text


def test_what_is_exported_is_imported_unchanged(web):
    web.add_person("evil", Role.TEACHER, name="=HYPERLINK(1)", email="e@x.vn")
    it = web.as_person("quan-tri")
    exported = it.get("/people/export.csv")
    assert b"'=HYPERLINK(1)" in exported.content
    plan = web.client.post(
        "/api/v1/people/import/preview", json={"csv": exported.text.lstrip("\ufeff")}, headers=web.token("quan-tri")
    ).json()
    assert plan["counts"] == {"wrong": 0, "new": 0, "changed": 0, "unchanged": 5}


def test_two_thousand_rows(web):
    table = "login,name,classes\n" + "".join(f"gv{number},Giáo viên {number},6a1\n" for number in range(2000))
    it = web.as_person("quan-tri")
    send(it, table)
    page = it.get("/people/import/preview").text
    assert len(page.encode()) < 100_000
    assert it.post("/people/import/confirm", {"seen": seen_in(page)}, seen="/people").status_code == 303
    assert len(web.rows(select(people.c.id))) == 2004
    links = it.get("/people/links?page=2").text
    assert links.count("data:image/png") == 48
    assert len(links.encode()) < 100_000


# ---- the API ---------------------------------------------------------------------------------------------------------


def test_the_api_does_what_the_pages_do(web):
    headers = web.token("quan-tri", Scope.PEOPLE_READ, Scope.PEOPLE_WRITE)
    made = web.client.post("/api/v1/people", json={"login": "Moi", "name": "Mới", "classes": ["3b"]}, headers=headers)
    assert made.status_code == 201
    path = f"/api/v1/people/{made.json()['id']}"
    assert web.client.get(path, headers=headers).json() == made.json()
    assert web.client.patch(path, json={"role": "viewer", "classes": []}, headers=headers).json()["role"] == "viewer"
    assert web.client.patch(path, json={"role": "teacher"}, headers=headers).status_code == 200
    days = {"group": "6a1", "first": date(2027, 1, 15).isoformat(), "last": "2027-01-15"}
    given = web.client.post(f"{path}/substitutes", json=days, headers=headers)
    assert given.status_code == 201
    assert web.client.get(f"{path}/substitutes", headers=headers).json() == [given.json()]
    assert web.client.delete(f"{path}/substitutes/{given.json()['id']}", headers=headers).status_code == 204
    assert web.client.delete(f"{path}/substitutes/{given.json()['id']}", headers=headers).status_code == 404
    link = web.client.post("/api/v1/people/invitations", json={"people": [made.json()["id"]]}, headers=headers).json()[0]
    assert link["until"] == web.clock.now + 7 * 86400
    assert web.visitor().get(link["path"]).status_code == 200
    assert web.client.delete(f"{path}/second-factor", headers=headers).status_code == 409
    assert web.client.delete(f"{path}/sessions", headers=headers).json() == {"sessions": 0}
    assert web.client.delete(path, headers=headers).status_code == 204
    assert web.client.get(path, headers=headers).status_code == 404
    assert "person_id" not in web.client.get("/api/v1/people", headers=headers).text


def test_only_administrators_and_only_with_the_scope(web):
    assert web.client.get("/api/v1/people", headers=web.token("hieu-truong")).status_code == 403
    assert web.client.get("/api/v1/people", headers=web.token("quan-tri", Scope.CLASSES_READ)).status_code == 403
    assert web.as_person("co-lan").get("/people").status_code == 403


def test_the_links_of_one_session_are_not_anothers(web):
    web.add_person("pho", Role.ADMIN)
    it = web.as_person("quan-tri")
    it.post("/people/links", {"person": [str(person(web, "co-lan").id)], "who": "chosen"}, seen="/people")
    assert "/invitation/" in it.get("/people/links").text
    assert "/invitation/" not in web.as_person("pho").get("/people/links").text
    web.clock.now += inviting.SHOWN_FOR + 1
    assert "/invitation/" not in it.get("/people/links").text

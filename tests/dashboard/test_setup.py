"""The first set-up in the browser."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from sqlalchemy import select

from dashboard.access import Role
from dashboard.signing_in import setting_up
from dashboard.signing_in.setting_up import Row, identifier, named
from dashboard.store.tables import audit, people
from policies.load import load
from tests.dashboard.conftest import PASSWORD, PROVINCE

CODE = "WXYZ-2345"
GROUPS = {
    "group_name": ["6a1", "", "", ""],
    "group_title": ["Lớp 6A1", "Lớp 7B", "Giáo viên", ""],
    "group_tier": ["thcs", "thcs", "staff", "thcs"],
    "group_networks": ["10.0.12.0/24", "10.0.14.0/24, 10.0.15.7", "10.0.2.0/24", ""],
}
GOOD = {
    "code": CODE,
    "name": "Trần Văn Bình",
    "login": "quan-tri",
    "password": PASSWORD,
    "again": PASSWORD,
    "school": "Trường THCS Số 1",
    "language": "vi",
    "timezone": "Asia/Ho_Chi_Minh",
    "contact": "Thầy Bình, 0905 000 222",
    "upstreams": "9.9.9.9\ntls://1.1.1.1#cloudflare-dns.com",
    **GROUPS,
}
PUBLISHER = PROVINCE + "publisher: {urls: [https://lists.example.gov.vn/manglanh], root: root.json}\n"
ROOT = json.dumps({"signed": {"_type": "root"}, "signatures": []})


@pytest.fixture
def web(empty_web):
    empty_web.site.setup_code = CODE
    return empty_web


@pytest.fixture
def visitor(web):
    visitor = web.visitor()
    visitor.client.headers["accept-language"] = "en"
    return visitor


def send(visitor, **options):
    files = options.pop("files", None)
    return visitor.post("/setup", {**GOOD, **options}, seen="/setup", files=files)


def errors(response):
    return {name: re.sub(r"<[^>]*>", "", why) for name, why in re.findall(r'(?s)id="f-([\w-]+)-error">(.*?)</p>', response.text)}


def admins(web):
    return web.rows(select(people))


@pytest.mark.parametrize("path", ["/", "/sign-in", "/account"])
def test_every_page_leads_to_the_set_up(visitor, path):
    assert visitor.get(path).headers["location"] == "/setup"


def test_the_form_has_what_the_file_says(visitor):
    text = visitor.get("/setup").text
    for shown in ('value="Trường THCS Thử Nghiệm"', 'value="0905 000 111"', "127.0.0.1:5398", "10.0.12.0/24", 'value="Lớp 6A1"'):
        assert shown in text
    assert CODE not in text
    assert len(text) < 100_000


def test_set_up(web, visitor):
    response = send(visitor)
    assert (response.status_code, response.headers["location"]) == (303, "/setup/done")
    page = visitor.get("/setup/done")
    assert page.status_code == 200
    assert "/people" in page.text
    (person,) = admins(web)
    assert (person.login, person.name, person.role, person.language) == ("quan-tri", "Trần Văn Bình", Role.ADMIN, "vi")
    file = load(web.site.config)
    assert (file.school.name, file.school.contact) == ("Trường THCS Số 1", "Thầy Bình, 0905 000 222")
    assert file.dns.upstreams == ("9.9.9.9", "tls://1.1.1.1#cloudflare-dns.com")
    assert [(group.name, group.title, group.tier, [str(client) for client in group.clients]) for group in file.groups] == [
        ("6a1", "Lớp 6A1", "thcs", ["10.0.12.0/24"]),
        ("giao-vien", "Giáo viên", "staff", ["10.0.2.0/24"]),
        ("lop-7b", "Lớp 7B", "thcs", ["10.0.14.0/24", "10.0.15.7/32"]),
    ]
    text = web.site.config.read_text("utf-8")
    assert "# Ghi chú này phải còn nguyên." in text
    assert "timetable:" in text
    assert web.run(web.site.school.now).file.school.name == "Trường THCS Số 1"
    assert [row.action for row in web.rows(select(audit).order_by(audit.c.id))] == ["school.changed", "set-up", "signed-in"]


def test_the_account_signs_in(web, visitor):
    send(visitor)
    other = web.visitor()
    assert other.post("/sign-in", {"login": "quan-tri", "password": PASSWORD}).headers["location"] == "/"
    assert other.get("/setup/done").status_code == 200


def test_it_happens_once(web, visitor):
    send(visitor)
    assert web.site.setup_code == ""
    assert web.visitor().get("/setup").headers["location"] == "/"
    token = re.search(r'name="csrf" value="([^"]+)"', visitor.get("/account").text)[1]
    assert visitor.client.post("/setup", data={**GOOD, "csrf": token}).status_code == 409
    assert len(admins(web)) == 1


def test_only_the_administrator_sees_what_is_next(web, visitor):
    send(visitor)
    assert web.visitor().get("/setup/done").headers["location"] == "/sign-in?to=/setup/done"


@pytest.mark.parametrize("code", ["wxyz2345", " wxyz 2345 ", "WXYZ-2345"])
def test_the_code_however_it_is_typed(visitor, code):
    assert send(visitor, code=code).status_code == 303


@pytest.mark.parametrize("code", ["", "WXYZ-2346", "WXYZ", "WXYZ-2345-X", "WXÝZ-2345"])
def test_a_wrong_code(web, visitor, code):
    before = web.site.config.read_bytes()
    response = send(visitor, code=code)
    assert response.status_code == 422
    assert list(errors(response)) == ["code"]
    assert admins(web) == []
    assert web.site.config.read_bytes() == before


def test_no_code_is_no_way_in(web, visitor):
    web.site.setup_code = ""
    response = send(visitor, code="")
    assert response.status_code == 422
    assert "restart" in errors(response)["code"]


def test_codes_are_not_guessed(web, visitor):
    for _ in range(10):
        assert "not the code" in errors(send(visitor, code="AAAA-AAAA"))["code"]
    assert "15 minutes" in errors(send(visitor))["code"]
    web.clock.now += 901
    assert send(visitor).status_code == 303


def test_every_error_at_once_beside_its_field_and_nothing_lost(web, visitor):
    bad = {
        "code": "NO", "name": " ", "login": "quan tri", "password": "ngan", "again": "ngan", "school": "", "language": "xx", "timezone": "Asia/Hanoi", "contact": "x" * 201,
        "upstreams": "tls://nowhere 9.9.9.9", "group_name": ["", "", "", ""], "group_title": ["Lớp 6A1", "lớp 6a1", "", "Khối 9"], "group_tier": ["thcs", "thcs", "xx", "thcs"],
        "group_networks": ["10.0.12.1/24", "10.0.13.0/24", "10.0.14.0/24", "10.0.13.0/24"],
    }  # fmt: skip
    response = visitor.post("/setup", bad, seen="/setup", files={"province": ("province.yaml", b"name: [", "text/yaml")})
    assert response.status_code == 422
    found = errors(response)
    assert found.keys() == {
        "code", "name", "login", "password", "school", "language", "timezone", "contact", "upstreams", "networks-0", "title-1", "title-2", "tier-2", "networks-3", "province",
    }  # fmt: skip
    assert "did you mean 10.0.12.0/24?" in found["networks-0"]
    assert 'href="#f-networks-0"' in response.text
    for value in ('value="quan tri"', 'value="Asia/Hanoi"', "tls://nowhere 9.9.9.9", 'value="Khối 9"', "10.0.12.1/24"):
        assert value in response.text
    assert "ngan" not in re.findall(r'value="([^"]*)"', response.text)
    assert admins(web) == []


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"password": "matkhau123", "again": "matkhau123"}, "password"),
        ({"password": "Trường THCS Số 1", "again": "Trường THCS Số 1"}, "password"),
        ({"again": PASSWORD + "x"}, "again"),
        ({"upstreams": " "}, "upstreams"),
        ({"group_title": [""] * 4, "group_networks": [""] * 4}, "title-0"),
        ({"group_networks": ["", "10.0.14.0/24", "10.0.2.0/24", ""]}, "networks-0"),
        ({"name": "An\u202eB"}, "name"),
        ({"school": "x" * 201}, "school"),
    ],
)  # fmt: skip
def test_one_error(visitor, wrong, field):
    response = send(visitor, **wrong)
    assert response.status_code == 422
    assert list(errors(response)) == [field]


def test_the_password_and_the_file_are_remembered_while_the_form_comes_and_goes(web, visitor):
    response = send(visitor, name="", files={"province": ("tinh.yaml", PROVINCE.encode(), "text/yaml")})
    assert list(errors(response)) == ["name"]
    assert PASSWORD not in response.text
    assert "Sở Giáo dục và Đào tạo tỉnh Thử" in response.text
    assert send(visitor, password="", again="").status_code == 303
    assert web.visitor().post("/sign-in", {"login": "quan-tri", "password": PASSWORD}).status_code == 303
    assert web.site.config.with_name("province.yaml").read_text("utf-8") == PROVINCE


def test_another_visitor_does_not_have_what_this_one_typed(web, visitor):
    send(visitor, name="")
    other = web.visitor()
    assert "password" in errors(send(other, password="", again=""))


def test_more_rows_lose_nothing_and_check_nothing(web, visitor):
    response = send(visitor, more="1", school="Trường mới", code="")
    assert response.status_code == 200
    assert errors(response) == {}
    assert 'value="Trường mới"' in response.text
    assert response.text.count('name="group_title"') > visitor.get("/setup").text.count('name="group_title"')
    assert admins(web) == []


def test_the_provinces_file_is_saved_beside_and_named(web, visitor):
    config = web.site.config
    config.write_text(config.read_text("utf-8").replace("  province: province.yaml\n", ""), "utf-8")
    config.with_name("province.yaml").unlink()
    response = send(
        visitor, files={"province": ("x.yaml", PUBLISHER.encode(), "text/yaml"), "root": ("1.root.json", ROOT.encode(), "application/json")}
    )
    assert response.status_code == 303
    assert str(load(config).school.province) == "province.yaml"
    assert config.with_name("root.json").read_text() == ROOT
    assert web.run(web.site.school.now).province.name == "Sở Giáo dục và Đào tạo tỉnh Thử"


@pytest.mark.parametrize(
    ("province", "root", "field", "why"),
    [
        (PUBLISHER, None, "root", "upload their root of trust"),
        (PUBLISHER, "{}", "root", "not a root of trust"),
        (PUBLISHER.replace("root.json", "../../etc/passwd"), ROOT, "province", "another folder"),
        (PUBLISHER.replace("root.json", "/etc/passwd"), ROOT, "province", "another folder"),
        ("name: ''", None, "province", "must not be empty"),
        ("\0", None, "province", ""),
        ("[]", None, "province", "mapping"),
    ],
)
def test_a_provinces_file_that_is_refused(web, visitor, province, root, field, why):
    files = {"province": ("province.yaml", province.encode(), "text/yaml")} | (
        {"root": ("root.json", root.encode(), "application/json")} if root else {}
    )
    response = send(visitor, files=files)
    assert response.status_code == 422
    assert why in errors(response)[field]
    assert web.site.config.with_name("province.yaml").read_text("utf-8") == PROVINCE
    assert not web.site.config.with_name("root.json").exists()


def test_what_the_files_rest_does_not_agree_with_changes_nothing(web, visitor):
    """The timetable has a rule for 6a1, which this form leaves out."""
    before = web.site.config.read_bytes()
    response = send(
        visitor,
        group_name=[""] * 4,
        group_title=["Khối 6", "", "", ""],
        group_networks=["10.0.12.0/24", "", "", ""],
        files={"province": ("p.yaml", PUBLISHER.replace("publisher", "#").encode(), "text/yaml")},
    )
    assert response.status_code == 422
    assert re.search(r'class="notice bad".*?unknown group &#34;6a1&#34;', response.text, re.DOTALL), response.text[
        response.text.find("notice bad") :
    ][:900]
    assert web.site.config.read_bytes() == before
    assert web.site.config.with_name("province.yaml").read_text("utf-8") == PROVINCE
    assert admins(web) == []
    assert web.site.setup_code == CODE
    assert send(visitor).status_code == 303


def test_two_at_once_one_wins(web):
    visitors = [web.visitor() for _ in range(4)]
    tokens = [re.search(r'name="csrf" value="([^"]+)"', visitor.get("/setup").text)[1] for visitor in visitors]

    def tap(number):
        data = {**GOOD, "csrf": tokens[number], "login": f"quan-tri-{number}"}
        return visitors[number].client.post("/setup", data=data).headers.get("location")

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(tap, range(4)))
    assert answers.count("/setup/done") == 1
    assert len(admins(web)) == 1


def test_a_double_tap_signs_in_both_times(web, visitor):
    page = visitor.get("/setup").text
    hidden = dict(re.findall(r'name="(csrf|once)" value="([^"]+)"', page))
    first = visitor.client.post("/setup", data={**GOOD, **hidden})
    visitor.client.cookies.delete("manglanh")
    second = visitor.client.post("/setup", data={**GOOD, **hidden})
    assert [first.headers["location"], second.headers["location"]] == ["/setup/done"] * 2
    assert visitor.get("/setup/done").status_code == 200
    assert len(admins(web)) == 1


def test_without_its_token_the_form_is_refused(web, visitor):
    assert visitor.client.post("/setup", data=GOOD).status_code == 403
    assert admins(web) == []


@pytest.mark.parametrize(
    ("title", "taken", "name"),
    [
        ("Lớp 6A1", (), "lop-6a1"),
        ("Lớp 6A1", ("lop-6a1",), "lop-6a1-2"),
        ("Lớp 6A1", ("lop-6a1", "lop-6a1-2"), "lop-6a1-3"),
        ("Đội Tuyển – Tin học", (), "doi-tuyen-tin-hoc"),
        ("  !!! ", (), "group"),
        ("日本語", (), "group"),
        ("x" * 200, (), "x" * 56),
    ],
)
def test_ids_from_titles(title, taken, name):
    assert identifier(title, taken) == name


def test_ids_never_meet():
    rows = named([Row(title="Lớp 6A1"), Row(name="lop-6a1", title="Lớp 6A1 cũ"), Row(title="LỚP 6A1!"), Row()])
    assert [row.name for row in rows] == ["lop-6a1-2", "lop-6a1", "lop-6a1-3"]


def test_yaml_in_a_title_stays_a_title(web, visitor):
    send(visitor, group_title=["Lớp 6A1", "{a: b} # c", "- ]: 'x\"", ""], school="*anchor: &x !!python")
    file = load(web.site.config)
    assert [group.title for group in file.groups] == ["Lớp 6A1", "{a: b} # c", "- ]: 'x\""]
    assert file.school.name == "*anchor: &x !!python"
    assert yaml.safe_load(web.site.config.read_text("utf-8"))["school"]["name"] == "*anchor: &x !!python"


def test_the_code_is_compared_whole():
    assert setting_up._code("abcd efgh") == b"ABCDEFGH"

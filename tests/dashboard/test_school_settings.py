import html
import re

import pytest
from sqlalchemy import select

from dashboard.access import Scope
from dashboard.refusal import Refused
from dashboard.settings import school_file
from dashboard.settings.school_settings import parse_forward, put
from dashboard.settings.school_text import Text
from dashboard.store.tables import audit
from policies.load import load, parse
from tests.dashboard.conftest import PROVINCE
from tests.dashboard.test_tiers import form_of

SCRIPT = "<script>alert(1)</script>"
FILE = b"school: {name: A}  # a\ndns: {upstreams: [9.9.9.9]}\ngroups: [{name: 6a1, tier: thcs}]\n"


def seen(web) -> str:
    return school_file.digest(web.site.config)


def content(web) -> str:
    return web.site.config.read_text(encoding="utf-8")


def put_in(wanted: dict) -> str:
    text = Text(FILE)
    put(text.document, parse(FILE, "f"), wanted)
    return text.changed().decode()


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        ({"name": "A", "language": "vi", "upstreams": ["9.9.9.9"], "forward": {}, "block_page": [], "notice": None}, None),
        ({"allow_from": [str(each) for each in parse(FILE, "f").dns.allow_from]}, None),
        ({"contact": "0905"}, 'school: {name: A, contact: "0905"}  # a'),
        ({"notice": {"vi": "Xin chào", "en": "Hello"}}, "school: {name: A, notice: {vi: Xin chào, en: Hello}}  # a"),
        ({"forward": {"truong.local": ["10.0.0.2"]}}, "dns: {upstreams: [9.9.9.9], forward: {truong.local: [10.0.0.2]}}"),
        ({"allow_from": ["10.0.0.0/8"]}, "dns: {upstreams: [9.9.9.9], allow_from: [10.0.0.0/8]}"),
        ({"block_answer": "null"}, 'dns: {upstreams: [9.9.9.9], block_answer: "null"}'),
    ],
)
def test_only_what_differs_is_written(wanted, line):
    new = put_in(wanted).splitlines()
    assert [each for each in new if each not in FILE.decode().splitlines()] == ([line] if line else [])


@pytest.mark.parametrize("wanted", [{"name": ""}, {"name": None}, {"upstreams": []}])
def test_what_a_school_cannot_be_without(wanted):
    with pytest.raises(Refused) as refused:
        put_in(wanted)
    assert (refused.value.status, refused.value.field) == (422, next(iter(wanted)))


def test_forwarding_as_it_is_typed():
    assert parse_forward("truong.local = 10.0.0.2, 10.0.0.3\n\n  a.vn=1.1.1.1  \n") == {
        "truong.local": ["10.0.0.2", "10.0.0.3"],
        "a.vn": ["1.1.1.1"],
    }
    for text in ("a.vn", "a.vn =", "= 1.1.1.1"):
        with pytest.raises(Refused) as refused:
            parse_forward(text)
        assert refused.value.field == "forward"


# ---- the pages ------------------------------------------------------------------------------------------------------


def test_forms_that_are_sent_untouched_change_nothing(web):
    admin, before = web.as_person("quan-tri"), content(web)
    page = admin.get("/school").text
    for action in ("/school", "/school/dns"):
        assert admin.post(action, form_of(page, action), seen="/school").status_code == 303
    assert content(web) == before
    assert web.rows(select(audit)) == []


def test_a_change_says_when_it_is_felt_and_keeps_every_comment(web):
    admin = web.as_person("quan-tri")
    form = form_of(admin.get("/school").text, "/school") | {
        "name": [SCRIPT],
        "notice_vi": ["Chào các em\r\n: # no"],
        "counsellor": ["Cô Lan, 0905"],
    }
    assert admin.post("/school", form, seen="/school").status_code == 303
    school = load(web.site.config).school
    assert (school.name, school.counsellor) == (SCRIPT, "Cô Lan, 0905")
    assert school.notice.vi == school.notice.en == "Chào các em\n: # no"
    assert "# Ghi chú này phải còn nguyên." in content(web)
    assert "# phòng 12" in content(web)
    page = admin.get("/school").text
    assert "In force within a second." in page
    assert SCRIPT not in page
    row = web.rows(select(audit))[0]
    assert (row.action, row.object, row.outcome) == ("school.changed", "name, counsellor, notice_vi", "done")


def test_the_network_and_back(web):
    admin = web.as_person("quan-tri")
    form = form_of(admin.get("/school").text, "/school/dns")
    form |= {
        "upstreams": ["9.9.9.9\r\n tls://1.1.1.1#cloudflare-dns.com"],
        "forward": ["truong.local = 10.0.0.2"],
        "allow_from": ["10.0.0.0/8"],
    }
    assert admin.post("/school/dns", form, seen="/school").status_code == 303
    dns = load(web.site.config).dns
    assert dns.upstreams == ("9.9.9.9", "tls://1.1.1.1#cloudflare-dns.com")
    assert dns.forward == {"truong.local": ("10.0.0.2",)}
    form.pop("once")
    form |= {"seen": [seen(web)], "upstreams": ["127.0.0.1:5398"], "forward": [""]}
    form["allow_from"] = form_of(before_page := admin.get("/school").text, "/school/dns")["allow_from"]
    assert "truong.local" in before_page
    assert admin.post("/school/dns", form, seen="/school").status_code == 303
    assert "forward" not in content(web)


@pytest.mark.parametrize(
    ("action", "field", "value"),
    [
        ("/school", "timezone", "Asia/Hanoi"), ("/school", "language", "fr"), ("/school", "name", ""), ("/school/dns", "upstreams", "nonsense"),
        ("/school/dns", "forward", "truong.local"), ("/school/dns", "allow_from", "10.0.0.1/8"), ("/school/dns", "block_answer", "x"),
        ("/school/dns", "block_page", ""), ("/school/dns", "upstreams", SCRIPT),
    ],
)  # fmt: skip
def test_a_wrong_value_comes_back_with_what_was_typed(web, action, field, value):
    admin, before = web.as_person("quan-tri"), content(web)
    form = form_of(admin.get("/school").text, action) | {field: [value]}
    other = "contact" if action == "/school" else "forward"
    if field != other:
        form[other] = ["truong.local = 10.9.9.9"]
    answer = admin.post(action, form, seen="/school")
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text or 'class="error"' in answer.text
    assert SCRIPT not in answer.text
    if field != other:
        assert "10.9.9.9" in answer.text
    assert content(web) == before


def test_what_the_province_says_is_shown_in_words(web):
    path = web.site.config.with_name("province.yaml")
    path.write_text(
        PROVINCE
        + "reports:\n  - {to: so, period: half-yearly, deadline: 06-30}\npublisher: {urls: [https://lists.example.gov.vn/m], root: root.json}\n",
        encoding="utf-8",
    )
    page = html.unescape(web.as_person("quan-tri").get("/school").text)
    for text in (
        "Sở Giáo dục và Đào tạo tỉnh Thử",
        "0255 3 812 345",
        "so@example.gov.vn",
        "twice a year, next until 2027-06-30",
        "https://lists.example.gov.vn/m",
    ):
        assert text in page


def upload(visitor, path: str, name: str, data: bytes, **fields):
    return visitor.post(path, fields, seen="/school", files={name: ("x.yaml", data, "application/yaml")})


def test_a_province_file_is_uploaded(web):
    admin, path = web.as_person("quan-tri"), web.site.config.with_name("province.yaml")
    form = form_of(admin.get("/school").text, "/school/province")
    new = PROVINCE.replace("tỉnh Thử", "tỉnh Mới").encode()
    fields = {"seen": form["seen"][0], "seen_province": form["seen_province"][0]}
    assert upload(admin, "/school/province", "province", new, **fields).status_code == 303
    assert path.read_bytes() == new
    assert "tỉnh Mới" in admin.get("/school").text
    assert upload(admin, "/school/province", "province", PROVINCE.encode(), **fields).status_code == 409
    assert next((row.action, row.object) for row in web.rows(select(audit))) == ("province.changed", "Sở Giáo dục và Đào tạo tỉnh Mới")


def test_the_first_province_file_is_named_in_the_schools(web):
    web.site.config.with_name("province.yaml").unlink()
    web.site.config.write_text(content(web).replace("  province: province.yaml\n", ""), encoding="utf-8")
    admin = web.as_person("quan-tri")
    assert "No province" in admin.get("/school").text
    assert upload(admin, "/school/province", "province", PROVINCE.encode(), seen=seen(web)).status_code == 303
    assert str(load(web.site.config).school.province) == "province.yaml"
    assert "tỉnh Thử" in admin.get("/school").text


@pytest.mark.parametrize("data", [b"", b"name: []", b"\xff", b"name: x\nhotlines: [{name: a, number: <script>}]\n", b"[" * 3000])
def test_a_province_file_that_is_none_is_refused(web, data):
    admin, path = web.as_person("quan-tri"), web.site.config.with_name("province.yaml")
    answer = upload(admin, "/school/province", "province", data, seen=seen(web))
    assert answer.status_code == 422
    assert "<script>}" not in answer.text
    assert path.read_text(encoding="utf-8") == PROVINCE


def test_a_browser_writes_no_file_elsewhere(web, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "other.yaml"
    elsewhere.write_text(PROVINCE, encoding="utf-8")
    web.site.config.write_text(content(web).replace("province: province.yaml", f"province: {elsewhere}"), encoding="utf-8")
    admin = web.as_person("quan-tri")
    assert admin.get("/school").status_code == 200
    assert upload(admin, "/school/province", "province", PROVINCE.replace("Thử", "Khác").encode(), seen=seen(web)).status_code == 409
    assert elsewhere.read_text(encoding="utf-8") == PROVINCE


# ---- the whole file -------------------------------------------------------------------------------------------------


def test_the_file_goes_out_and_in_again(web):
    admin = web.as_person("quan-tri")
    out = admin.get("/school/file")
    assert out.content == web.site.config.read_bytes()
    assert out.headers["cache-control"] == "no-store"
    assert out.headers["content-disposition"].startswith("attachment;")
    new = out.text.replace("Thử Nghiệm", "Mới").replace("  - {name: 6a2, title: Lớp 6A2, tier: thcs, clients: [10.0.13.0/24]}\n", "")
    shown = upload(admin, "/school/file", "file", new.encode())
    assert shown.status_code == 200
    text = html.unescape(shown.text)
    assert "+  name: Trường THCS Mới" in text
    assert "-  name: Trường THCS Thử Nghiệm" in text
    assert "4 groups become 3" in text
    assert "Mới" not in content(web)
    form = form_of(shown.text, "/school/file")
    assert form["text"] == [new]
    form["text"] = [new.replace("\n", "\r\n")]
    assert admin.post("/school/file", form, seen="/school").status_code == 303
    assert content(web) == new
    form.pop("once")
    assert admin.post("/school/file", form | {"text": ["school: {}"]}, seen="/school").status_code in (409, 422)
    assert content(web) == new


def test_an_upload_with_mistakes_says_all_of_them(web):
    admin, before = web.as_person("quan-tri"), content(web)
    answer = upload(
        admin, "/school/file", "file", before.replace("tier: staff", f'tier: "{SCRIPT}"').replace("language: vi", "langauge: vi").encode()
    )
    assert answer.status_code == 422
    text = html.unescape(answer.text)
    assert "did you mean" in text
    assert "groups.3.tier" in text
    assert SCRIPT not in answer.text
    assert content(web) == before


def test_uploads_that_are_none(web):
    admin, before = web.as_person("quan-tri"), content(web)
    for data, status in ((b"", 422), (b"\xff\xfe", 422), (b"#" * 600_000, 413), (b"#" * 3_000_000, 413)):
        assert upload(admin, "/school/file", "file", data).status_code == status
    assert admin.post("/school/file", {"file": "text instead of a file"}, seen="/school").status_code == 422
    assert content(web) == before


def test_history_shows_what_going_back_would_change(web):
    admin, before = web.as_person("quan-tri"), content(web)
    assert "No earlier version yet" in admin.get("/school/history").text
    form = form_of(admin.get("/school").text, "/school") | {"name": ["Tên khác"]}
    admin.post("/school", form, seen="/school")
    version = re.search(r"/school/history/([^\"]+)", admin.get("/school/history").text)[1]
    page = html.unescape(admin.get(f"/school/history/{version}").text)
    assert "-  name: Tên khác" in page
    assert admin.get(f"/school/file?version={version}").text == before
    assert admin.post(f"/school/history/{version}", {"seen": "old"}, seen="/school").status_code == 409
    assert admin.post(f"/school/history/{version}", {"seen": seen(web)}, seen="/school").status_code == 303
    assert content(web) == before


def test_a_version_that_would_be_wrong_today_says_why(web):
    admin = web.as_person("quan-tri")
    folder = web.site.config.parent / "history"
    folder.mkdir()
    (folder / "20270101T000000.000000Z-0123456789ab-school.yaml").write_text("school: {name: x}\n", encoding="utf-8")
    page = admin.get("/school/history/20270101T000000.000000Z-0123456789ab-school.yaml").text
    assert "cannot be taken any more" in page
    assert "Go back to this version" not in page
    answer = admin.post("/school/history/20270101T000000.000000Z-0123456789ab-school.yaml", {"seen": seen(web)}, seen="/school")
    assert answer.status_code == 422


def test_a_file_that_was_broken_by_hand_is_told(web):
    admin = web.as_person("quan-tri")
    web.site.config.write_text(content(web) + "teirs: {}\n", encoding="utf-8")
    page = html.unescape(admin.get("/school").text)
    assert "has mistakes" in page
    assert 'did you mean "tiers"' in page


@pytest.mark.parametrize("person", ["co-lan", "hieu-truong"])
def test_the_file_is_the_administrators(web, person):
    visitor = web.as_person(person)
    for path in ("/school", "/school/file", "/school/history"):
        assert visitor.get(path).status_code == 403
    headers = web.token(person)
    assert web.client.get("/api/v1/school/file", headers=headers).status_code == 403


# ---- the API --------------------------------------------------------------------------------------------------------


def test_settings_for_programs(web):
    headers = web.token("quan-tri")
    got = web.client.get("/api/v1/school", headers=headers)
    assert got.json()["name"] == "Trường THCS Thử Nghiệm"
    patch = {"counsellor": "Cô Lan", "notice": {"vi": "Chào", "en": "Hello"}, "contact": None}
    answer = web.client.patch("/api/v1/school", json=patch, headers=headers | {"If-Match": got.headers["etag"]})
    assert answer.json()["counsellor"] == "Cô Lan"
    assert answer.json()["contact"] == ""
    assert "contact" not in content(web)
    assert web.client.patch("/api/v1/school", json=patch, headers=headers | {"If-Match": got.headers["etag"]}).status_code == 412
    for wrong in (
        {"name": None},
        {"timezone": "x"},
        {"allow_from": ["x"]},
        {"forward": {"": ["x"]}},
        {"block_page": []},
        {"other": 1},
        {"upstreams": []},
    ):
        assert web.client.patch("/api/v1/school", json=wrong, headers=headers).status_code == 422


def test_the_file_for_programs(web):
    headers = web.token("quan-tri")
    got = web.client.get("/api/v1/school/file", headers=headers)
    assert (got.text, got.headers["etag"]) == (content(web), f'"{seen(web)}"')
    new = got.text.replace("Thử Nghiệm", "Mới").encode()
    assert web.client.put("/api/v1/school/file", content=new, headers=headers).status_code == 428
    assert web.client.put("/api/v1/school/file", content=new, headers=headers | {"If-Match": '"0"'}).status_code == 412
    put_answer = web.client.put("/api/v1/school/file", content=new, headers=headers | {"If-Match": got.headers["etag"]})
    assert (put_answer.status_code, put_answer.json()) == (200, {"etag": f'"{seen(web)}"'})
    assert web.site.config.read_bytes() == new
    for data, status in ((b"a: [", 422), (b"\xff", 422), (b"#" * 600_000, 413), (b"", 422)):
        answer = web.client.put("/api/v1/school/file", content=data, headers=headers | {"If-Match": "*"})
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    versions = web.client.get("/api/v1/school/file/versions", headers=headers).json()
    assert web.client.get(f"/api/v1/school/file/versions/{versions[0]['id']}", headers=headers).text == got.text
    assert web.client.get("/api/v1/school/file/versions/x", headers=headers).status_code == 404
    assert web.client.post(f"/api/v1/school/file/versions/{versions[0]['id']}/restore", headers=headers).status_code == 200
    assert content(web) == got.text
    read_only = web.token("quan-tri", Scope.SCHOOL_READ)
    assert web.client.put("/api/v1/school/file", content=new, headers=read_only | {"If-Match": "*"}).status_code == 403


def test_the_province_for_programs(web):
    headers = web.token("quan-tri")
    assert web.client.get("/api/v1/school/province", headers=headers).json()["hotlines"][0]["number"] == "0255 3 812 345"
    put_answer = web.client.put("/api/v1/school/province", content=PROVINCE.replace("Thử", "Mới").encode(), headers=headers)
    assert put_answer.json()["name"].endswith("tỉnh Mới")
    assert web.client.put("/api/v1/school/province", content=b"nothing", headers=headers).status_code == 422

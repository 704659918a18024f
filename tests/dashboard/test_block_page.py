"""The block page: what each age reads on each rung, whatever is thrown at it, and that nothing of a pupil is kept."""

import asyncio
import logging
import re
from html.parser import HTMLParser

import pytest
from sqlalchemy import insert, select
from starlette.testclient import TestClient

from dashboard.block_page.app import ASK, REPORT, STYLE, build_block_page
from dashboard.block_page.words import GENTLE
from dashboard.catalogue import translator
from dashboard.reporting import reports
from dashboard.reporting.words import kind_title
from dashboard.store.tables import reports as reports_table
from dashboard.store.tables import requests as requests_table
from filters.category import CATEGORIES
from policies.model import LocalRule, Override, Unblock
from policies.state import update_state

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
ADDRESSES = {
    "mam-non": "10.0.21.5",
    "tieu-hoc": "10.0.3.5",
    "thcs": "10.0.12.5",
    "thpt": "10.0.22.5",
    "staff": "10.0.2.5",
    "guest": "10.0.99.5",
    "own": "10.0.23.5",
}
EXTRA = """\
  - {name: la, title: Lớp Lá, tier: mam-non, clients: [10.0.21.0/24]}
  - {name: 11a, title: Lớp 11A, tier: thpt, clients: [10.0.22.0/24]}
  - {name: clb, title: Câu lạc bộ, tier: clb, clients: [10.0.23.0/24]}
tiers:
  clb: {title: Câu lạc bộ, based_on: tieu-hoc, services: [tiktok]}
  tieu-hoc: {services: [roblox]}
  thcs: {services: [roblox]}
"""


class Words(HTMLParser):
    """The page's elements and what a person reads of it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text: list[str] = []
        self._in: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._in.append(tag)

    def handle_endtag(self, tag):
        while self._in and self._in.pop() != tag:
            pass

    def handle_data(self, data):
        if not {"style", "title"} & set(self._in[-1:]):
            self.text.append(data)


def read(response) -> tuple[list, str]:
    words = Words()
    words.feed(response.text)
    return words.tags, " ".join(" ".join(words.text).split())


class Pupil:
    """A browser of one device, which is led here by DNS: the host is whatever was wanted."""

    def __init__(self, web, app, address: str, scheme: str = "http") -> None:
        self.client = TestClient(app, base_url=f"{scheme}://placeholder", client=(address, 40000), follow_redirects=False)
        self.client.portal = web.client.portal

    def open(self, host: str, path: str = "/", **headers):
        return self.client.get(path, headers={**BROWSER, "Host": host, **headers})

    def send(self, host: str, path: str, data: dict, token: str | None = None, **headers):
        if token is None:
            token = re.search(r'name="token" value="([^"]+)"', self.open(host).text)[1]
        return self.client.post(
            path, data={"token": token} | data, headers={**BROWSER, "Host": host, "Origin": f"http://{host}", **headers}
        )


@pytest.fixture
def school_directory(school_directory):
    config = school_directory / "school.yaml"
    text = config.read_text("utf-8")
    text = text.replace("timetable:\n", EXTRA + "timetable:\n").replace(
        "  contact: 0905 000 111\n",
        "  contact: 0905 000 111\n  counsellor: Cô Hoà, phòng 105\n  notice: {vi: Thư viện mở đến 17 giờ., en: The library is open until 17:00.}\n",
    )
    config.write_text(text, encoding="utf-8")
    return school_directory


@pytest.fixture
def app(web):
    return build_block_page(web.site)


@pytest.fixture
def pupil(web, app):
    return Pupil(web, app, ADDRESSES["thcs"])


@pytest.fixture
def taken(monkeypatch):
    """What was handed over to the reports."""
    calls = []

    async def take(site, kind, target, note, signed, group, now):
        calls.append({"kind": kind, "target": target, "note": note, "signed": signed, "group": group, "now": now})
        return f"BC-{len(calls):04}"

    monkeypatch.setattr(reports, "take", take)
    return calls


def change(web, function) -> None:
    update_state(web.box.state, function, web.clock())


def override(web, group: str, mode: str, **values) -> None:
    made = Override(
        group=group, mode=mode, since=web.clock() - 60, until=web.clock() + 1800, by="Cô Lan (co-lan)", reason="lý do nội bộ", **values
    )
    change(web, lambda state: state.model_copy(update={"overrides": (*state.overrides, made)}))


def block(web, name: str, **values) -> None:
    rule = LocalRule(action="block", name=name, by="Quản Trị (quan-tri)", reason="ghi chú nội bộ", **values)
    change(web, lambda state: state.model_copy(update={"rules": (*state.rules, rule)}))


GROUPS = {"mam-non": "la", "tieu-hoc": "3b", "thcs": "6a1", "thpt": "11a", "staff": "giao-vien", "guest": "guest", "own": "clb"}
CASES = {
    "locked": "unlawful.manglanh.test",
    "child-abuse": "child-abuse.manglanh.test",
    "offline": "bao.example.vn",
    "exam": "bao.example.vn",
    "study": "social.manglanh.test",
    "school": "truong-chan.example",
    "category": "gambling.manglanh.test",
    "danger": "phishing.manglanh.test",
    "service": "roblox.com",
    "bypass": "bypass.manglanh.test",
    "self-harm": "self-harm.manglanh.test",
    "default": "bao.example.vn",
}
OPEN = {"staff": {"service", "bypass", "self-harm", "default"}, "mam-non": set()}
"""what is not blocked; for the others only the site that nothing speaks of"""


@pytest.mark.parametrize("language", ["vi", "en"])
@pytest.mark.parametrize("tier", ADDRESSES)
@pytest.mark.parametrize("case", CASES)
def test_every_rung_and_age_gets_a_page_with_the_hotline(web, app, case, tier, language):
    if case in ("offline", "exam", "study"):
        override(web, GROUPS[tier], case)
    if case == "school":
        block(web, CASES[case])
    response = Pupil(web, app, ADDRESSES[tier]).open(CASES[case], f"/a/b?lang={language}")
    is_open = case in OPEN.get(tier, {"default"})
    assert response.status_code == (503 if is_open else 403)
    tags, text = read(response)
    assert ("html", {"lang": language}) in tags
    assert any(tag == "a" and attributes.get("href") == "tel:111" for tag, attributes in tags)
    assert "0255 3 812 345" in text
    assert "Cô Hoà" in text
    assert "0905 000 111" in text
    assert "{" not in text
    assert len(response.content) < 30_000
    assert "set-cookie" not in response.headers
    assert "nội bộ" not in text
    assert "co-lan" not in text
    assert not [
        tag for tag, attributes in tags if tag == "script" or "style" in attributes or any(name.startswith("on") for name in attributes)
    ]


SCOLDING = re.compile(r"chặn|vi phạm|cấm|phạt|block|violat|forbid|not allowed|closed|đóng|xin mở", re.IGNORECASE)


@pytest.mark.parametrize("language", ["vi", "en"])
@pytest.mark.parametrize("category", sorted(GENTLE))
@pytest.mark.parametrize("tier", sorted(ADDRESSES))
def test_whoever_may_need_help_is_not_scolded(web, app, taken, category, tier, language):
    name = CATEGORIES[category].test_name
    pupil = Pupil(web, app, ADDRESSES[tier])
    response = pupil.open(name, f"/?lang={language}")
    if tier == "staff" and category == "self-harm":
        assert response.status_code == 503  # adults: not blocked for staff
        return
    tags, text = read(response)
    text = text.replace(kind_title("mistake", translator(language)), "")  # what one may say oneself
    assert not SCOLDING.search(text), SCOLDING.search(text)
    assert category not in text.replace(name, "")
    assert text.index("111") < text.index("Cô Hoà")
    assert not any(tag == "form" and ASK in attributes["action"] for tag, attributes in tags)
    refused = pupil.send(name, f"{ASK}?lang={language}", {"note": "cho em xem"})
    assert refused.status_code == 403
    assert web.rows(select(requests_table)) == []


def test_the_page_says_why_until_when_and_by_whom(web, pupil):
    override(web, "6a1", "study")
    _, text = read(pupil.open("video.manglanh.test"))
    for said in ("Học tập", "Video", "Cô Lan", "15:50", "video.manglanh.test", "Lớp 6A1"):
        assert said in text
    assert "Cô Lan" in read(pupil.open("video.manglanh.test", "/?lang=en"))[1]


def test_a_mode_of_the_timetable_is_told_as_such(web, pupil):
    web.clock.now = 1_800_000_000.0 + 57_600 + 1200  # Saturday 2027-01-16, 07:20 in Vietnam: the first lesson
    _, text = read(pupil.open("video.manglanh.test", "/?lang=en"))
    assert "the timetable" in text
    assert "Study" in text


def test_an_authority_s_order_names_the_authority(web, pupil):
    _, text = read(pupil.open("unlawful.manglanh.test"))
    assert "Cơ quan chức năng" in text
    assert "Xin mở trang này" not in text


def test_during_a_test_the_test_s_own_sites_are_linked(web, pupil):
    override(web, "6a1", "exam", sites=("quiz.example.vn",))
    tags, text = read(pupil.open("bao.example.vn"))
    assert ("a", {"href": "https://quiz.example.vn/", "rel": "noreferrer"}) in tags
    assert "Trang mở cho bài kiểm tra" in text
    assert "olm.vn" not in str(tags)


def test_links_to_learning_sites_are_open_ones(web, pupil):
    block(web, "olm.vn")
    tags, _ = read(pupil.open("gambling.manglanh.test"))
    links = {attributes["href"] for tag, attributes in tags if tag == "a"}
    assert "https://hoc10.vn/" in links
    assert "https://olm.vn/" not in links
    override(web, "6a1", "offline")
    assert "hoc10.vn" not in pupil.open("gambling.manglanh.test").text


def test_young_children_do_not_read_the_titles_of_what_harms(web, app):
    _, text = read(Pupil(web, app, ADDRESSES["tieu-hoc"]).open("adult.manglanh.test"))
    assert "khiêu dâm" not in text
    assert "Trang này không dành cho trẻ em." in text


def test_a_site_that_is_open_says_so_and_links_back(web, pupil):
    response = pupil.open("vi.wikipedia.org", "/wiki/V%E1%BA%BFt?x=1")
    assert response.status_code == 503
    assert response.headers["retry-after"] == "30"
    tags, text = read(response)
    assert "Trang này đang mở rồi" in text
    assert any(tag == "a" and attributes.get("href") == "http://vi.wikipedia.org/wiki/V%E1%BA%BFt" for tag, attributes in tags)


@pytest.mark.parametrize(
    "host", ["10.0.0.2", "[fd00::1]:8443", "manglanh.home.arpa", "MANGLANH.home.arpa:80", "", "a b", "x" * 10_000, "..", "-x.vn", "x:port"]
)
def test_a_host_that_is_no_blocked_name_gets_the_box_s_own_page(pupil, host):
    response = pupil.open(host)
    assert response.status_code == 200
    _, text = read(response)
    assert "Đây là trợ lý mạng của nhà trường" in text
    assert len(response.content) < 30_000


HOSTILE = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "evil.com\r\nSet-Cookie: x=1", "{{7*7}}", "%3Cscript%3E", "a" * 64 + ".vn", "юникод.рф", "evil.com@gambling.manglanh.test",
    "gambling.manglanh.test/../x", "gambling.manglanh.test:99999999", "\x00", "\u202egambling.manglanh.test",
]  # fmt: skip


@pytest.mark.parametrize("host", HOSTILE)
def test_a_hostile_host_is_neither_shown_nor_obeyed(web, app, host):
    response = asgi(web, app, host=host.encode("utf-8"), path="/")
    assert response["status"] == 200
    body = response["body"].decode()
    assert host not in body
    assert "<script" not in body
    assert "onerror" not in body
    assert all(b"\r" not in value and b"\n" not in value for _, value in response["headers"])


@pytest.mark.parametrize(
    "path",
    ["//evil.com/", "/\\evil.com", "/<script>alert(1)</script>", "/\n/x", "/%00", "/" + "x" * 9000, "*", "http://evil.com/", "/.well-known/manglanh/../../etc", "/static/site.css", "/sign-in", "/api/v1/classes"],
)  # fmt: skip
def test_a_hostile_path_changes_nothing(web, app, path):
    response = asgi(web, app, host=b"gambling.manglanh.test", path=path)
    assert response["status"] == 403
    body = response["body"].decode()
    assert "<script" not in body
    assert "evil.com" not in re.sub(r'http://gambling\.manglanh\.test[^"]*', "", body)
    assert "location" not in dict(response["headers"])
    assert "Trang này hiện chưa mở ở đây" in body


def asgi(web, app, host: bytes, path: str, method: str = "GET", headers=(), body: bytes = b"", client=("10.0.12.5", 1)) -> dict:
    """One request as a server hands it over, with octets that no client library would send."""
    response: dict = {}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http", "path": path, "raw_path": b"", "query_string": b"",
        "root_path": "", "headers": [(b"host", host), (b"accept", b"text/html"), *headers], "client": client, "server": ("10.0.0.2", 80),
    }  # fmt: skip

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        if message["type"] == "http.response.start":
            response.update(status=message["status"], headers=message["headers"])
        response["body"] = response.get("body", b"") + message.get("body", b"")

    async def call():
        await app(scope, receive, send)

    web.run(call)
    return response


@pytest.mark.parametrize(
    ("headers", "status", "has_body"),
    [
        ({"Accept": "image/avif,image/webp,*/*;q=0.8"}, 403, False),
        ({"Accept": "*/*"}, 403, False),
        ({"Accept": "text/html", "Sec-Fetch-Dest": "script"}, 403, False),
        ({"Accept": "text/html", "Sec-Fetch-Dest": "empty"}, 403, False),
        ({"Accept": "text/html", "Sec-Fetch-Dest": "document"}, 403, True),
        ({"Accept": "application/json", "Sec-Fetch-Dest": "image"}, 403, False),
    ],
)
def test_only_a_navigation_gets_the_page(pupil, headers, status, has_body):
    response = pupil.client.get("/logo.png", headers={"Host": "gambling.manglanh.test", **headers})
    assert response.status_code == status
    assert bool(response.content) == has_body


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"])
def test_other_methods_get_nothing(pupil, method):
    response = pupil.client.request(method, "/", headers={**BROWSER, "Host": "gambling.manglanh.test", "Origin": "https://evil.com"})
    assert (response.status_code, response.content) == (403, b"")
    assert not [name for name in response.headers if name.startswith("access-control")]


def test_a_post_elsewhere_is_a_page_like_any_other(pupil):
    response = pupil.client.post("/login", data={"password": "x"}, headers={**BROWSER, "Host": "gambling.manglanh.test"})
    assert response.status_code == 403
    assert "tel:111" in response.text


def test_head_is_answered_alike(pupil):
    response = pupil.client.head("/", headers={**BROWSER, "Host": "gambling.manglanh.test"})
    assert response.status_code == 403


def test_a_frame_gets_a_sentence_and_no_form(pupil):
    response = pupil.open("gambling.manglanh.test", **{"Sec-Fetch-Dest": "iframe"})
    assert "<form" not in response.text
    assert "tel:111" in response.text
    assert "frame-ancestors *" in response.headers["content-security-policy"]


def test_a_program_gets_the_same_reason(pupil):
    response = pupil.client.get("/", headers={"Accept": "application/json", "Host": "gambling.manglanh.test"})
    assert response.status_code == 403
    answer = response.json()
    assert (answer["rung"], answer["category"], answer["cause"]) == (7, "gambling", "category")
    assert answer["help"][0]["number"] == "111"
    gentle = pupil.client.get("/", headers={"Accept": "application/json", "Host": "self-harm.manglanh.test"}).json()
    assert gentle["category"] == ""
    assert pupil.client.get("/", headers={"Accept": "application/json", "Host": "vi.wikipedia.org"}).json()["blocked"] is False


def test_the_headers_forbid_everything_that_is_not_needed(pupil):
    response = pupil.open("gambling.manglanh.test")
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "script-src" not in policy
    assert response.headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in response.headers
    assert f"<style>{STYLE}</style>" in response.text
    assert "location" not in response.headers


def test_an_address_that_is_not_of_the_school_gets_nothing(web, app):
    response = Pupil(web, app, "203.0.113.9").open("gambling.manglanh.test")
    assert (response.status_code, response.content) == (403, b"")


def test_a_device_is_known_by_its_mac(web, app):
    from dashboard.box import Neighbour

    web.box.neighbours_now = [Neighbour("10.0.12.77", "aa:bb:cc:dd:ee:ff")]
    change(web, lambda state: state.model_copy(update={"devices": {"aa:bb:cc:dd:ee:ff": "giao-vien"}}))
    assert "Giáo viên" in Pupil(web, app, "10.0.12.77").open("gambling.manglanh.test").text
    assert "Lớp 6A1" in Pupil(web, app, "10.0.12.78").open("gambling.manglanh.test").text


def test_headers_of_proxies_say_nothing(web, app):
    pupil = Pupil(web, app, ADDRESSES["thcs"])
    page = pupil.open("gambling.manglanh.test", **{"X-Forwarded-For": ADDRESSES["staff"], "Forwarded": f"for={ADDRESSES['staff']}"})
    assert "Lớp 6A1" in page.text


def test_the_page_stands_without_a_store(web, pupil, monkeypatch):
    from dashboard.store.engine import StoreTrouble
    from filters.message import Message

    def broken():
        raise StoreTrouble(Message("The store does not answer; nothing was changed. ({why})", why="test"))

    monkeypatch.setattr(web.site.store, "read", broken)
    assert "tel:111" in pupil.open("gambling.manglanh.test").text
    monkeypatch.setattr(web.site.store, "write", broken)
    response = pupil.send("games.manglanh.test", ASK, {"note": "giữ lại"})
    assert response.status_code == 503
    assert "giữ lại" in response.text


def test_what_fails_still_shows_the_number(web, app, monkeypatch, caplog):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(web.site.box, "workers", broken)
    with caplog.at_level(logging.ERROR):
        response = Pupil(web, app, "10.0.12.5").open("gambling.manglanh.test", "/geheim")
    assert response.status_code == 503
    assert "tel:111" in response.text
    assert "10.0.12.5" not in caplog.text
    assert "geheim" not in caplog.text


# ---- asking


def rows(web):
    return web.rows(select(requests_table).order_by(requests_table.c.id))


def test_a_question_reaches_the_class_s_teachers(web, pupil):
    response = pupil.send("www.games.manglanh.test", f"{ASK}?lang=vi", {"note": " bài tập\r\nTin học ", "name": "An"})
    assert response.status_code == 200
    assert "đã đến thầy cô của lớp" in response.text
    assert "set-cookie" not in response.headers
    [row] = rows(web)
    assert (row.group_name, row.name, row.note, row.signed, row.category, row.rung, row.count, row.state) == (
        "6a1", "games.manglanh.test", "bài tập\nTin học", "An", "games", 7, 1, "open",
    )  # fmt: skip


def test_without_a_teacher_it_reaches_it_staff(web, app):
    response = Pupil(web, app, ADDRESSES["tieu-hoc"]).send("games.manglanh.test", ASK, {})
    assert "người quản trị mạng" in response.text


def test_the_same_question_again_counts_up(web, app):
    for number in range(3):
        assert Pupil(web, app, f"10.0.12.{number + 5}").send("games.manglanh.test", ASK, {"note": f"lần {number}"}).status_code == 200
    Pupil(web, app, "10.0.13.5").send("games.manglanh.test", ASK, {})
    assert [(row.group_name, row.count, row.note) for row in rows(web)] == [("6a1", 3, "lần 0"), ("6a2", 1, "")]


def test_a_form_sent_twice_is_one_question(web, pupil):
    token = re.search(r'name="token" value="([^"]+)"', pupil.open("games.manglanh.test").text)[1]
    answers = [pupil.send("games.manglanh.test", ASK, {"note": "x"}, token).status_code for _ in range(3)]
    assert answers == [200, 200, 200]
    assert [row.count for row in rows(web)] == [1]


def test_two_at_the_same_moment_are_one_row(web, app):
    async def together(calls):
        await asyncio.gather(*calls)

    tokens = [
        re.search(r'name="token" value="([^"]+)"', Pupil(web, app, f"10.0.12.{number}").open("games.manglanh.test").text)[1]
        for number in range(10, 18)
    ]
    headers = [(b"content-type", b"application/x-www-form-urlencoded"), (b"origin", b"http://games.manglanh.test")]

    async def send_all():
        async def one(number, token):
            body = f"token={token}".encode()
            sent = [(b"content-length", str(len(body)).encode()), *headers, (b"host", b"games.manglanh.test"), (b"accept", b"text/html")]
            scope = {
                "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http", "path": ASK, "raw_path": b"",
                "query_string": b"", "root_path": "", "headers": sent, "client": (f"10.0.12.{number}", 1), "server": ("10.0.0.2", 80),
            }  # fmt: skip

            async def receive():
                return {"type": "http.request", "body": body, "more_body": False}

            async def send(message):
                if message["type"] == "http.response.start":
                    assert message["status"] == 200

            await app(scope, receive, send)

        await together([one(number + 10, token) for number, token in enumerate(tokens)])

    web.run(send_all)
    assert [row.count for row in rows(web)] == [8]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.com"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://games.manglanh.test"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Content-Type": "text/plain"}, 413),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 413),
    ],
)
def test_a_form_from_elsewhere_is_refused(web, pupil, headers, status):
    response = pupil.send("games.manglanh.test", ASK, {"note": "x"}, **headers)
    assert response.status_code == status
    assert rows(web) == []


@pytest.mark.parametrize("token", ["", "x", "1800001200.abcdefghijklmnop." + "0" * 64, "9" * 400, "1.2.3", "\x00"])
def test_a_token_that_is_not_ours_is_refused(web, pupil, token):
    response = pupil.send("games.manglanh.test", ASK, {"note": "giữ lại nhé"}, token)
    assert response.status_code == 403
    assert "giữ lại nhé" in response.text
    assert rows(web) == []


def test_a_token_is_for_one_address_one_host_and_one_hour(web, app, pupil):
    token = re.search(r'name="token" value="([^"]+)"', pupil.open("games.manglanh.test").text)[1]
    assert Pupil(web, app, "10.0.12.99").send("games.manglanh.test", ASK, {}, token).status_code == 403
    assert pupil.send("chat.manglanh.test", ASK, {}, token).status_code == 403
    web.clock.now += 3601
    assert pupil.send("games.manglanh.test", ASK, {}, token).status_code == 403
    web.clock.now -= 3601
    assert pupil.send("games.manglanh.test", ASK, {}, token).status_code == 200


def test_a_body_that_is_too_large_is_not_read(web, pupil):
    response = pupil.send("games.manglanh.test", ASK, {"note": "x" * 20_000})
    assert response.status_code == 413
    assert rows(web) == []


def test_a_note_that_is_too_long_comes_back_with_what_was_typed(web, pupil):
    response = pupil.send("games.manglanh.test", ASK, {"note": "x" * 301})
    assert response.status_code == 422
    assert "x" * 301 in response.text
    assert rows(web) == []


def test_scripts_and_controls_in_a_note_are_text(web, pupil):
    pupil.send("games.manglanh.test", ASK, {"note": "<script>alert(1)</script>\x00\x1b[31m\u202e", "name": "😀 An"})
    [row] = rows(web)
    assert row.note == "<script>alert(1)</script>[31m"
    page = web.as_person("co-lan").get("/requests")
    assert "&lt;script&gt;alert(1)" in page.text
    assert "<script>alert" not in page.text


def test_five_questions_in_ten_minutes_and_no_more(web, app, pupil):
    names = [f"{name}.manglanh.test" for name in ("games", "chat", "social", "shopping", "dating", "piracy")]
    assert [pupil.send(name, ASK, {}).status_code for name in names] == [200] * 5 + [429]
    assert Pupil(web, app, "10.0.12.6").send(names[5], ASK, {}).status_code == 200
    web.clock.now += 121
    assert pupil.send(names[5], ASK, {}).status_code == 200
    assert len(rows(web)) == 6


def test_a_class_has_a_limit_too(web, app):
    answers = [Pupil(web, app, f"10.0.12.{number}").send("games.manglanh.test", ASK, {}).status_code for number in range(10, 55)]
    assert answers[:40] == [200] * 40
    assert 429 in answers[40:]
    assert Pupil(web, app, "10.0.13.5").send("games.manglanh.test", ASK, {}).status_code == 200


@pytest.mark.parametrize("name", ["unlawful.manglanh.test", "adult.manglanh.test", "gambling.manglanh.test", "self-harm.manglanh.test"])
def test_what_nobody_opens_cannot_be_asked_for(web, pupil, name):
    assert ASK not in pupil.open(name).text
    assert pupil.send(name, ASK, {}).status_code == 403
    assert rows(web) == []


@pytest.mark.parametrize("mode", ["exam", "offline"])
def test_during_a_test_one_asks_in_the_room(web, pupil, mode):
    override(web, "6a1", mode)
    assert ASK not in pupil.open("bao.example.vn").text
    assert pupil.send("bao.example.vn", ASK, {}).status_code == 403


def test_asking_for_what_is_open_says_so(web, pupil):
    token = re.search(r'name="token" value="([^"]+)"', pupil.open("vi.wikipedia.org").text)[1]
    assert pupil.send("vi.wikipedia.org", ASK, {}, token).status_code == 409


def test_the_confirmation_says_how_long_answers_take(web, pupil):
    for number in range(3):
        values = {
            "at": web.clock() - 5000,
            "group_name": "6a2",
            "name": f"{number}.vn",
            "state": "granted",
            "answered_at": web.clock() - 5000 + 600,
        }
        web.write(insert(requests_table).values(**values))
    assert "10 min" in pupil.send("games.manglanh.test", f"{ASK}?lang=en", {}).text


# ---- answers


def answer(web, state: str, text: str = "") -> None:
    values = {"answered_at": web.clock() - 60, "answered_by": "Cô Lan (co-lan)", "answer": text}
    web.write(
        insert(requests_table).values(
            at=web.clock() - 600, group_name="6a1", name="games.manglanh.test", category="games", rung=7, state=state, **values
        )
    )


def test_a_refusal_is_read_where_it_was_asked(web, app, pupil):
    answer(web, "refused", "để giờ ra chơi")
    text = read(pupil.open("www.games.manglanh.test"))[1]
    assert "Cô Lan đã trả lời: lúc này chưa mở. “để giờ ra chơi”" in text
    assert "co-lan" not in text
    assert "Cô Lan" not in Pupil(web, app, "10.0.13.5").open("games.manglanh.test").text
    web.clock.now += 90_000
    assert "Cô Lan" not in pupil.open("games.manglanh.test").text


def test_a_grant_is_read_with_its_end(web, pupil):
    answer(web, "granted")
    unblock = Unblock(group="6a1", name="games.manglanh.test", since=web.clock() - 60, until=web.clock() + 300, by="Cô Lan (co-lan)")
    change(web, lambda state: state.model_copy(update={"unblocks": (unblock,)}))
    assert "Cô Lan đã mở trang này đến 15:25." in read(pupil.open("games.manglanh.test"))[1]
    web.clock.now += 600
    assert "thời gian mở đã hết" in read(pupil.open("games.manglanh.test"))[1]


# ---- reports


@pytest.mark.parametrize("host", ["gambling.manglanh.test", "self-harm.manglanh.test", "vi.wikipedia.org", "10.0.0.2"])
def test_a_report_is_handed_over_without_its_sender(web, pupil, taken, host):
    response = pupil.send(host, REPORT, {"kind": "abuse", "target": "https://xau.example/a?b", "note": "nhắn tin doạ", "contact": ""})
    assert response.status_code == 200
    assert "BC-0001" in response.text
    assert "tel:111" in response.text
    assert taken == [
        {"kind": "abuse", "target": "https://xau.example/a?b", "note": "nhắn tin doạ", "signed": "", "group": "6a1", "now": web.clock()}
    ]


def test_a_report_without_a_target_is_about_the_host(pupil, taken):
    pupil.send("gambling.manglanh.test", REPORT, {"kind": "mistake", "target": " ", "contact": "An, 6A1"})
    assert (taken[0]["target"], taken[0]["signed"]) == ("gambling.manglanh.test", "An, 6A1")


@pytest.mark.parametrize(
    "data",
    [{"kind": "other", "target": "x.vn"}, {"target": "x.vn"}, {"kind": "fake", "target": "x" * 501}, {"kind": "fake", "note": "x" * 1001}],
)
def test_a_report_that_says_too_little_or_too_much_comes_back(pupil, taken, data):
    response = pupil.send("gambling.manglanh.test", REPORT, data)
    assert response.status_code == 422
    assert taken == []


def test_a_report_sent_twice_has_one_number(pupil, taken):
    token = re.search(r'name="token" value="([^"]+)"', pupil.open("gambling.manglanh.test").text)[1]
    texts = [pupil.send("gambling.manglanh.test", REPORT, {"kind": "fake"}, token).text for _ in range(2)]
    assert len(taken) == 1
    assert all("BC-0001" in text for text in texts)


def test_reports_are_limited_and_say_whom_to_call(pupil, taken):
    answers = [pupil.send("gambling.manglanh.test", REPORT, {"kind": "fake"}) for _ in range(6)]
    assert [response.status_code for response in answers] == [200] * 5 + [429]
    assert "111" in answers[5].text


def test_no_address_is_kept_anywhere(web, app, school_directory, caplog):
    with caplog.at_level(logging.DEBUG):
        pupil = Pupil(web, app, "10.0.12.213")
        pupil.open("games.manglanh.test")
        pupil.send("games.manglanh.test", ASK, {"note": "x"})
        pupil.send("games.manglanh.test", REPORT, {"kind": "fake"})
        pupil.send("games.manglanh.test", ASK, {}, "forged")
    assert "10.0.12.213" not in caplog.text
    assert [report.target for report in web.rows(select(reports_table))] == ["games.manglanh.test"]
    for path in school_directory.rglob("*"):
        if path.is_file():
            assert b"10.0.12.213" not in path.read_bytes(), path

"""Whatever is sent to whichever form or address: never a mistake of ours, never a tag that comes back as one, and the pages go on working.

The forms are those that the pages themselves have; every field of each is filled with what a person in a hurry, a broken program or somebody with bad
intentions may write.
"""

from html.parser import HTMLParser
from urllib.parse import urlencode, urlsplit

import pytest
from sqlalchemy import insert, select

from dashboard.app import pages
from dashboard.store import people as accounts
from dashboard.store.tables import people, reports, requests, site_sets
from dashboard.web import HEADERS, Page, form_token
from tests.dashboard.conftest import NOW
from tests.dashboard.test_permissions import STREAMS, filled

TAG = "<script>zz()</script>"
HOSTILE = {
    "tags": f"'\"></textarea></title>{TAG}<img src=x onerror=zz()>",
    "templates": "{{7*7919}}${7*7919}#{7*7919}<%= 7*7919 %>%s%d%(x)s{0}{field}",
    "letters": "\u202egnp.exe\u202c 😀👩‍👩‍👧 \ufeff\u200b\u2028 Ａ ﷽ Z̸͢a̷l̶g̵o̴ \x01\x1b[31m",
    "lines": "a\r\nSet-Cookie: x=1\r\n\r\nb",
    "long": "x" * 10_000,
    "negative": "-1",
    "huge": "9" * 30,
    "infinite": "1e999",
    "year 0": "0000-00-00",
    "year 99999": "99999-12-31",
    "empty": "",
    "blank": " \t ",
    "path": "../../../../etc/passwd",
    "elsewhere": "//evil.example/\\evil.example",
}
ENDLESS = STREAMS | {"GET /live/decisions"}


class Forms(HTMLParser):
    """The forms of a page: (action, whether it has files, its fields as (name, type, value))."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, bool, list[tuple[str, str, str]]]] = []
        self._outside: dict[str, list] = {}
        self._ids: dict[str, list] = {}
        self.feed(text)
        for form, fields in self._outside.items():
            self._ids.get(form, []).extend(fields)

    def handle_starttag(self, tag, attrs):
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and given.get("method", "").lower() == "post":
            self.found.append((given.get("action", ""), "multipart" in given.get("enctype", ""), []))
            self._ids[given.get("id", "")] = self.found[-1][2]
        elif tag in ("input", "select", "textarea", "button") and given.get("name"):
            field = given["name"], given.get("type", tag), given.get("value", "")
            if "form" in given:
                self._outside.setdefault(given["form"], []).append(field)
            elif self.found:
                self.found[-1][2].append(field)


class Attack:
    """An administrator's or a teacher's browser that fills in everything it meets."""

    def __init__(self, web, login: str) -> None:
        self.web, self.login, self.secret = web, login, f"attack-of-{login}"
        self.visitor = web.visitor()
        self.visitor.client._transport.raise_server_exceptions = False
        self.visitor.client.cookies.set("manglanh", self.secret)

    def signed_in(self):
        """Some forms end sessions."""

        async def begin():
            async with self.web.site.store.write() as connection:
                if await accounts.by_session(connection, self.secret, self.web.clock()) is None:
                    row = (await connection.execute(select(people).where(people.c.login == self.login))).one()
                    await accounts.begin_session(connection, row.id, self.secret, self.web.clock(), self.web.clock() + 9e5, "test", "")

        self.web.run(begin)

    def forms(self):
        self.signed_in()
        for path in readable():
            answer = self.visitor.get(path)
            if answer.status_code == 200 and answer.headers["content-type"].startswith("text/html"):
                for action, has_files, fields in Forms(answer.text).found:
                    target = urlsplit(action).path or path.partition("?")[0]
                    if target not in ("/sign-out", "/backup") and (
                        self.login == "quan-tri" or target.startswith(("/classes", "/account", "/exam"))
                    ):
                        yield action or path, has_files, fields

    def send(self, action, fields, files=None, **options):
        self.visitor.client.cookies.set("manglanh", self.secret)
        return self.visitor.client.post(action, data=fields, files=files, **options)

    def csrf(self):
        return form_token(self.secret)


def readable():
    return [
        filled(page.path, "6a1")
        for page in pages()
        if page.method == "GET" and f"GET {page.path}" not in ENDLESS and "export" not in page.path
    ] + [
        "/classes/6a1?site=facebook.com",
        "/why?name=facebook.com&group=6a1",
    ]


def escaped(answer) -> bool:
    if not answer.headers.get("content-type", "").startswith("text/html"):
        return True
    return not any(raw in answer.text for raw in ("<script>zz", "<img src=x", "</title><script")) and "55433" not in answer.text


@pytest.fixture
def full(web):
    """With something to act upon on every page."""
    web.write(
        insert(requests).values(at=NOW - 9, group_name="6a1", name=f"x{TAG}", note=TAG, signed=TAG, category="games", rung=7),
        insert(reports).values(number="K7QM-2XTD", at=NOW - 9, kind="abuse", target=TAG, note=TAG, signed=TAG, group_name="6a1"),
        insert(site_sets).values(name=TAG, sites=["a.example"], owner_id=None),
    )
    return web


def filled_in(fields, value: str, csrf: str) -> dict[str, str | list[str]]:
    data = {
        name: value if kind not in ("hidden", "submit", "button") or name == "to" else given
        for name, kind, given in fields
        if kind != "file"
    }
    return data | {"csrf": csrf}


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("login", ["quan-tri", "co-lan"])
def test_every_form_filled_in_with_nonsense(full, login, what):
    attack, sent, wrong = Attack(full, login), 0, []
    for action, has_files, fields in list(attack.forms()):
        attack.signed_in()
        data = filled_in(fields, HOSTILE[what], attack.csrf())
        files = (
            {name: (HOSTILE[what][:100] or "x", HOSTILE[what].encode()) for name, kind, _ in fields if kind == "file"}
            if has_files
            else None
        )
        answer = attack.send(action, data, files)
        sent += 1
        if answer.status_code >= 500 or not escaped(answer) or answer.cookies.get("x") == "x" or not at_home(answer):
            wrong.append((action, answer.status_code, answer.headers.get("location")))
    assert wrong == []
    assert sent > (40 if login == "quan-tri" else 10)
    attack.signed_in()
    for path in readable():
        answer = attack.visitor.get(path)
        assert answer.status_code < 500, path
        assert escaped(answer), path


def at_home(answer) -> bool:
    to = answer.headers.get("location", "/")
    return to.startswith("/") and not to.startswith(("//", "/\\"))


@pytest.mark.parametrize("login", ["quan-tri", "co-lan"])
def test_every_form_without_its_fields_with_each_twice_and_with_files_and_texts_mixed_up(full, login):
    attack, wrong = Attack(full, login), []

    def tried(how, answer):
        if answer.status_code >= 500 or not escaped(answer):
            wrong.append((how, str(answer.url), answer.status_code))

    for action, _, fields in list(attack.forms()):
        attack.signed_in()
        names = [name for name, kind, _ in fields if name != "csrf"]
        csrf = attack.csrf()
        tried("nothing", attack.send(action, {"csrf": csrf}))
        tried("twice", attack.send(action, {name: ["1", TAG] for name in names} | {"csrf": csrf}))
        tried("files for texts", attack.send(action, {"csrf": csrf}, {name: (TAG, b"\xff\x00" + TAG.encode()) for name in names[:4]}))
        tried("texts for files", attack.send(action, dict.fromkeys(names, TAG) | {"csrf": csrf}))
        tried("unheard-of", attack.send(action, {TAG: TAG, "role": "admin", "id": "1", "__proto__": "x", "csrf": csrf}))
        tried("NUL", attack.send(action, dict.fromkeys(names, "a\0b") | {"csrf": csrf}))
        tried("without a token", attack.send(action, dict.fromkeys(names, "1") | {"csrf": ""}))
    assert wrong == []


def form(web, content: bytes, kind: str, **headers):
    attack = Attack(web, "quan-tri")
    attack.signed_in()
    headers = {"Content-Type": kind} | headers
    return attack.visitor.client.post("/people", content=content.replace(b"CSRF", attack.csrf().encode()), headers=headers)


def part(name: str, value: bytes, more: str = "") -> bytes:
    return f'--B\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + b"\r\n"


MULTIPART = "multipart/form-data; boundary=B"


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b'{"csrf": "CSRF"}', "application/json", 403),
        (b"csrf=CSRF", "text/plain", 403),
        (b"csrf=CSRF", "", 403),
        (b"csrf=CSRF", "multipart/form-data", 400),
        (b"csrf=CSRF", MULTIPART, 400),
        (part("csrf", b"CSRF")[:40], MULTIPART, 403),
        (b"--B\r\nnonsense\r\n\r\nx\r\n--B--", MULTIPART, 400),
        (b"--B\r\n\r\nno name\r\n--B--\r\n", MULTIPART, 400),
        (part("csrf", b"CSRF") + part("name", b"\\ud800") + b"--B--\r\n", f"{MULTIPART}; charset=unicode_escape", 422),
        (part("csrf", b"\\ud800") + b"--B--\r\n", f"{MULTIPART}; charset=unicode_escape", 422),
        (part("csrf", b"CSRF") + part("name", b"x") + b"--B--\r\n", f"{MULTIPART}; charset=nonsense", 422),
        (b"csrf=CSRF&name=%ED%A0%80&login=%FF%FE", "application/x-www-form-urlencoded", 422),
        (b"csrf=CSRF&name=a%00b", "application/x-www-form-urlencoded", 422),
        (b"csrf=CSRF&name=" + b"x" * 100_000, "application/x-www-form-urlencoded", 422),
        (b"csrf=CSRF&name=" + b"x" * 1_000_000, "application/x-www-form-urlencoded", 413),
        (b"csrf=CSRF" + b"&a=1" * 20_000, "application/x-www-form-urlencoded", 400),
        (b"&=&;==%%%&csrf=%ZZ", "application/x-www-form-urlencoded", 403),
        (b"csrf=\xe1\xbb\x87", "application/x-www-form-urlencoded", 403),
    ],
)
def test_a_body_that_is_no_form(web, content, kind, status):
    answer = form(web, content, kind)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert len(web.rows(select(people.c.id))) == 4


def test_more_files_than_a_form_may_have(web):
    body = part("csrf", b"CSRF") + b"".join(part(f"f{number}", b"x", '; filename="x"') for number in range(50)) + b"--B--\r\n"
    assert form(web, body, MULTIPART).status_code == 400


@pytest.mark.parametrize("length", [None, "-1", "x", "1" * 5000, "9" * 15])
def test_a_form_that_does_not_say_how_long_it_is(web, length):
    attack = Attack(web, "quan-tri")
    attack.signed_in()

    def parts():
        yield f"csrf={attack.csrf()}&name=x".encode()

    headers = {"Content-Type": "application/x-www-form-urlencoded"} | ({"Content-Length": length} if length else {})
    assert attack.visitor.client.post("/people", content=parts(), headers=headers).status_code == 413


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://[", "http://testserver.evil.example", "https://testserver:99"])
def test_a_form_of_another_site_and_an_origin_that_is_none(web, origin):
    answer = form(web, b"csrf=CSRF&name=x", "application/x-www-form-urlencoded", Origin=origin)
    assert answer.status_code == 403
    assert "another site" in answer.text


METHODS = {"X-HTTP-Method-Override": "DELETE", "X-Method-Override": "PUT", "X-HTTP-Method": "DELETE"}


def test_a_header_does_not_change_the_method(web):
    headers = web.token("quan-tri")
    assert web.client.get("/api/v1/people/4", headers=headers | METHODS).status_code == 200
    assert web.client.get("/api/v1/people/4?_method=DELETE", headers=headers).status_code == 200
    assert web.as_person("quan-tri").get("/people/4?_method=POST", headers=METHODS).status_code == 200
    assert len(web.rows(select(people.c.id))) == 4


HOSTS = [
    "",
    "evil.example",
    "[::1",
    "a b",
    "evil.example:99999",
    "x" * 5000,
    "user:pass@evil.example",
    "%00",
    "testserver/..",
    "ệ".encode().decode("latin-1"),
]


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_is_not_ours_is_answered_and_never_repeated(web, host):
    client = web.visitor().client
    for path in ("/", "/sign-in", "/classes", "/nothing", "/static/site.css", "/api/v1/classes", "/classes/"):
        answer = client.get(path, headers=[(b"host", host.encode("latin-1"))])
        assert answer.status_code < 500, path
        assert "evil.example" not in answer.text + str(answer.headers.multi_items())
        assert at_home(answer)


PATHS = [
    "//evil.example",
    "//evil.example/",
    "//evil.example/classes/",
    "/%2F%2Fevil.example/",
    "/\\evil.example",
    "/%5Cevil.example/..",
    "/classes/",
    "/classes//6a1",
    "/classes/..%2f..%2fetc%2fpasswd",
    "/classes/%00",
    "/classes/%0d%0aSet-Cookie:x=1",
    "/classes/%ff%fe",
    "/people/99999999999999999999999999",
    "/people/-1",
    "/people/1e3",
    "/reports/9223372036854775808",
    "/static/../app.py",
    "/static/%2e%2e/app.py",
    "/static/..%2fapp.py",
    "/static/%00",
    "/static//etc/passwd",
    "/static/",
    "/static",
    "/invitation/" + "x" * 3000,
    "/invitation/%3Cscript%3Ezz()%3C/script%3E",
    "/" + "x" * 8000,
    "/groups/%3Cscript%3Ezz()%3C%2Fscript%3E",
    "/nothing?" + "a=1&" * 2000,
]


@pytest.mark.parametrize("path", PATHS)
def test_an_address_with_tricks(web, path):
    for client in (web.as_person("quan-tri").client, web.visitor().client):
        answer = client.get(web_url(path))
        assert answer.status_code < 500, answer.status_code
        assert answer.status_code != 200 or path.startswith("/invitation")
        assert at_home(answer), answer.headers["location"]
        assert escaped(answer)
        assert "root:" not in answer.text
        assert "x" not in answer.cookies
        assert headed(answer)
        web.run(lambda: forget(web))


async def forget(web):
    """The one session that ``as_person`` makes."""
    async with web.site.store.write() as connection:
        await connection.exec_driver_sql("DELETE FROM sessions")


def web_url(path: str) -> str:
    return "http://testserver" + path


def headed(answer) -> bool:
    stricter = {"same-origin", "strict-origin"}  # an invitation's address is a secret
    wanted = {name: {value} if name != "Referrer-Policy" else stricter for name, value in HEADERS.items() if name != "Cache-Control"}
    return all(answer.headers.get(name) in values for name, values in wanted.items())


@pytest.mark.parametrize("login", ["", "quan-tri", "co-lan"])
def test_every_answer_has_the_headers_and_nothing_private_is_kept(web, login):
    visitor = web.as_person(login) if login else web.visitor()
    answers = [visitor.get(path) for path in readable()]
    answers += [visitor.client.request("DELETE", filled(page.path, "6a1")) for page in pages()]
    answers += [visitor.client.post(filled(page.path, "6a1")) for page in pages() if page.method == "POST"]
    answers += [visitor.get(path) for path in ("/nothing", "/api/v1/nothing", "/api/v1/classes", "/api/v1/openapi.json", "/static/nothing")]
    assert len(answers) > 100
    for answer in answers:
        assert headed(answer), answer.url
        assert answer.headers["cache-control"] == "no-store", answer.url
    style = visitor.get("/static/site.css")
    assert headed(style)
    assert style.headers["cache-control"].startswith("public")
    assert visitor.get("/static/nothing.css").headers["cache-control"] == "no-store"


@pytest.mark.parametrize("login", ["", "quan-tri"])
def test_no_such_page_and_not_by_this_method_are_pages_of_ours(web, login):
    visitor = web.as_person(login) if login else web.visitor()
    missing = visitor.get("/nothing", headers={"Accept-Language": "en"})
    assert missing.status_code == 404
    assert "There is no such page" in missing.text
    assert "/static/site.css" in missing.text
    assert ("Sign out" in missing.text) == bool(login)
    assert "Không có gì ở địa chỉ này." in web.visitor().get("/nothing", headers={"Accept-Language": "vi"}).text
    other = visitor.client.request("DELETE", "/people/1")
    assert (other.status_code, other.headers["allow"]) == (405, "GET, HEAD, POST")
    assert visitor.get("/classes/6a1/mode").headers["allow"] == "POST"
    assert visitor.client.post("/static/site.css").headers["allow"] == "GET, HEAD"
    assert "/static/site.css" in other.text


@pytest.mark.parametrize(
    "to",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "javascript:zz()",
        "/\t/evil.example",
        "\\\\evil.example",
        "/%0a/evil.example",
        "///x",
        "@evil.example",
        "/\n//evil.example",
        "",
    ],
)
def test_nobody_is_sent_elsewhere(web, to):
    known = web.as_person("co-lan")
    query = urlencode({"to": to})
    answers = [
        known.get(f"/sign-in?{query}"),
        known.get(f"/sign-in/school?{query}"),
        known.post("/language", {"language": "vi", "to": to}, seen="/classes"),
        web.visitor().post("/sign-in", {"login": "co-lan", "password": "mot-cau-mat-khau-dai", "to": to}, seen=f"/sign-in?{query}"),
        web.visitor().get(f"/classes//{to.replace(chr(9), '').replace(chr(10), '')}"),
    ]
    for answer in answers:
        assert answer.status_code in (303, 404), answer.url
        assert at_home(answer), answer.headers["location"]
        assert "\n" not in answer.headers.get("location", "")


def test_huge_and_broken_cookies_and_headers(web):
    client = web.visitor().client
    for cookie in (
        "manglanh=" + "x" * 60_000,
        "manglanh=\xff\xfe",
        "a=" * 3000,
        '"; manglanh="',
        "manglanh-visitor=<script>zz()</script>",
        "manglanh-language=../../x",
    ):
        for path in ("/sign-in", "/classes", "/nothing"):
            answer = client.get(
                path, headers=[(b"cookie", cookie.encode("latin-1")), (b"accept-language", b"\xff" * 9000), (b"accept", b"x" * 9000)]
            )
            assert answer.status_code in (200, 303, 404), (cookie[:30], path)
            assert escaped(answer)


def test_a_mistake_within_a_page_is_said_without_details(web, monkeypatch, caplog):
    async def broken(_):
        raise RuntimeError("a secret")

    from dashboard import web as pages_module

    page = Page("GET", "/broken", broken, pages_module.Access.ANYBODY)
    web.client.app.router.routes.insert(0, pages_module.route(page))
    answer = web.visitor().get("/broken")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert headed(answer)
    assert "a secret" in caplog.text


def test_even_where_no_page_can_be_made_the_headers_are_there(web, monkeypatch):
    async def broken():
        raise RuntimeError("a secret")

    monkeypatch.setattr(type(web.site.school), "now", lambda self: broken())
    client = web.visitor().client
    client._transport.raise_server_exceptions = False
    for path in ("/classes", "/nothing"):
        answer = client.get(path)
        assert answer.status_code == 500
        assert "secret" not in answer.text
        assert headed(answer)
        assert answer.headers["cache-control"] == "no-store"

"""Signing in and out by the pages, as a browser does it."""

import re
from statistics import median
from time import perf_counter

import pyotp
import pytest
from argon2 import PasswordHasher
from sqlalchemy import insert, select, update
from starlette.testclient import TestClient

from dashboard.access import Role
from dashboard.signing_in import entry as sign_in
from dashboard.signing_in import passwords, totp
from dashboard.store import people as people_of
from dashboard.store.tables import audit, recovery_codes, sessions
from dashboard.store.tables import people as people_table
from dashboard.web import IDLE, LONGEST
from tests.dashboard.conftest import HASH, NOW, PASSWORD, Visitor

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
STRANGER = "co-lan-doan-mo-mat-khau"


def enter(visitor, login="co-lan", password=PASSWORD, to="/", **options):
    return visitor.post("/sign-in", {"login": login, "password": password, "to": to}, **options)


def code_at(now):
    return pyotp.TOTP(SECRET).at(int(now))


def enrol(web, login="co-lan", codes=()):
    web.write(update(people_table).where(people_table.c.login == login).values(totp_secret=SECRET))
    person = web.rows(select(people_table.c.id).where(people_table.c.login == login))[0].id
    for code in codes:
        web.write(insert(recovery_codes).values(person_id=person, code=totp.digest(code)))


def actions(web):
    return [(row.action, row.object, row.detail.get("why") or row.detail.get("by")) for row in web.rows(select(audit).order_by(audit.c.id))]


@pytest.fixture
def visitor(web):
    visitor = web.visitor()
    visitor.client.headers["accept-language"] = "en"
    return visitor


def test_signed_in(web, visitor):
    response = enter(visitor)
    assert (response.status_code, response.headers["location"]) == (303, "/")
    assert visitor.get("/sign-in").headers["location"] == "/"
    assert actions(web) == [("signed-in", "co-lan", "password")]
    row = web.rows(select(sessions))[0]
    token = visitor.client.cookies["manglanh"]
    assert row.token == people_of.fingerprint(token)
    assert len(token) >= 43
    assert row.expires_at == NOW + IDLE[Role.TEACHER]


@pytest.mark.parametrize("login", ["CO-LAN", "  Co-Lan ", "co-lan"])
def test_capitals_and_blanks_in_a_login_are_no_matter(visitor, login):
    assert enter(visitor, login).status_code == 303


def test_a_login_with_accents_in_any_form(web, visitor):
    web.add_person("thầy-bốn", Role.TEACHER)
    assert enter(visitor, "TH\u00c2\u0300Y-BO\u0302\u0301N").status_code == 303


@pytest.mark.parametrize(
    ("login", "password"),
    [("co-lan", "sai-mat-khau"), ("khong-ai", PASSWORD), ("da-nghi", PASSWORD), ("chua-co", PASSWORD), ("", ""), ("co-lan", ""), ("co-lan", PASSWORD + " "),
     ("co-lan\0", PASSWORD), ("x" * 5000, PASSWORD), ("co-lan", "x" * 5000), ("' or 1=1 --", PASSWORD), ("<i>ai</i>", "<i>")],
)  # fmt: skip
def test_the_same_answer_whatever_is_wrong(web, visitor, login, password):
    web.add_person("da-nghi", Role.TEACHER, active=False)
    web.add_person("chua-co", Role.TEACHER, password=None)
    response = enter(visitor, login, password)
    assert response.status_code == 422
    assert "do not belong together" in response.text
    assert "<i>" not in response.text
    assert "manglanh" not in visitor.client.cookies
    assert web.rows(select(sessions)) == []


def test_the_login_stays_in_the_form_and_the_password_does_not(visitor):
    response = enter(visitor, "co-lann", "sai-mat-khau")
    assert 'value="co-lann"' in response.text
    assert "sai-mat-khau" not in response.text


def test_failures_are_in_the_audit_log_without_what_was_typed(web, visitor):
    web.add_person("da-nghi", Role.TEACHER, active=False)
    enter(visitor, "co-lan", "mat-khau-bi-mat")
    enter(visitor, "mat-khau-bi-mat", "mat-khau-bi-mat")
    enter(visitor, "da-nghi", PASSWORD)
    assert actions(web) == [
        ("sign-in.failed", "co-lan", "password"),
        ("sign-in.failed", "", "login"),
        ("sign-in.failed", "da-nghi", "closed"),
    ]
    assert not [row for row in web.rows(select(audit)) if "bi-mat" in str(row)]


def test_it_takes_as_long_whatever_is_wrong(web, visitor, monkeypatch):
    monkeypatch.setattr(sign_in, "attempt", _never_held_up)
    kept = passwords._HASHER.hash(PASSWORD)
    web.write(update(people_table).values(password=kept))
    web.add_person("da-nghi", Role.TEACHER, active=False, password=kept)
    token = re.search(r'name="csrf" value="([^"]+)"', visitor.get("/sign-in").text)[1]
    times = {"co-lan": [], "khong-ai": [], "da-nghi": []}
    for _ in range(9):
        for login, taken in times.items():
            begin = perf_counter()
            visitor.client.post("/sign-in", data={"csrf": token, "login": login, "password": "sai-mat-khau-roi"})
            taken.append(perf_counter() - begin)
    fastest, slowest = min(map(median, times.values())), max(map(median, times.values()))
    assert slowest < 1.6 * fastest


async def _never_held_up(*_):
    pass


def test_a_password_that_was_kept_with_other_parameters_is_kept_anew(web, visitor):
    assert enter(visitor).status_code == 303
    kept = web.rows(select(people_table.c.password).where(people_table.c.login == "co-lan"))[0].password
    assert kept != HASH
    assert not passwords.needs_rehash(kept)
    assert PasswordHasher().verify(kept, PASSWORD)


@pytest.mark.parametrize(
    ("to", "leads"),
    [
        ("/classes", "/classes"),
        ("/classes/6a1?x=1", "/classes/6a1?x=1"),
        ("", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("HTTPS:evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/\t/evil.example", "/"),
        ("/\n/evil.example", "/"),
        ("\x00//evil.example", "/"),
        (" //evil.example", "/"),
        ("/%2Fevil.example", "/%2Fevil.example"),  # a path of ours, whatever is in it
        ("/%09/evil.example", "/%09/evil.example"),
        ("evil.example", "/"),
        ("/sign-out", "/"),
        ("/sign-in?to=/sign-in", "/"),
        ("/" + "x" * 600, "/"),
    ],
)
def test_no_way_leads_out(visitor, to, leads):
    assert enter(visitor, to=to).headers["location"] == leads


def test_the_page_that_was_asked_for_is_kept(visitor):
    assert visitor.get("/sign-in", params={"to": "/classes"}).text.count('name="to" value="/classes"') == 1
    assert 'name="to" value="/"' in visitor.get("/sign-in", params={"to": "//evil.example"}).text


def test_a_session_is_never_one_that_was_there_before(web, visitor):
    visitor.client.cookies.set("manglanh", "planted-by-somebody")
    enter(visitor)
    tokens = {row.token for row in web.rows(select(sessions))}
    assert people_of.fingerprint("planted-by-somebody") not in tokens
    other = web.visitor()
    enter(other)
    assert len({row.token for row in web.rows(select(sessions))}) == 2


def test_signing_out_ends_the_session_for_good(web, visitor):
    enter(visitor)
    token = visitor.client.cookies["manglanh"]
    response = visitor.post("/sign-out", seen="/account")
    assert (response.status_code, response.headers["location"]) == (303, "/sign-in")
    assert "manglanh" not in visitor.client.cookies
    assert "signed out" in visitor.get("/sign-in").text
    assert actions(web)[-1][:2] == ("signed-out", "co-lan")
    visitor.client.cookies.set("manglanh", token)
    assert visitor.get("/account").headers["location"] == "/sign-in?to=/account"


@pytest.mark.parametrize(("login", "role"), [("quan-tri", Role.ADMIN), ("co-lan", Role.TEACHER), ("hieu-truong", Role.VIEWER)])
def test_a_session_ends_when_it_is_not_used_and_at_last_in_any_case(web, visitor, login, role):
    enter(visitor, login)
    begin = web.clock.now
    while web.clock.now + IDLE[role] - 60 < begin + LONGEST[role]:
        web.clock.now += IDLE[role] - 60
        assert visitor.get("/account").status_code == 200, web.clock.now - begin
    web.clock.now = begin + LONGEST[role] + 1
    assert visitor.get("/account").status_code == 303

    web.clock.now += 60
    enter(visitor, login)
    web.clock.now += IDLE[role] + 1
    assert visitor.get("/account").status_code == 303


def test_sessions_that_are_over_are_forgotten(web, visitor):
    enter(visitor)
    web.clock.now += 30 * 86400
    enter(web.visitor(), "quan-tri")
    assert len(web.rows(select(sessions))) == 1


@pytest.mark.parametrize(("base", "prefix", "secure"), [("http://testserver", "", False), ("https://testserver", "__Host-", True)])
def test_cookies(web, base, prefix, secure):
    visitor = Visitor(web, TestClient(web.client.app, base_url=base, follow_redirects=False))
    given = visitor.get("/sign-in").headers.get_list("set-cookie") + enter(visitor).headers.get_list("set-cookie")
    assert {cookie.partition("=")[0] for cookie in given} == {f"{prefix}manglanh-visitor", f"{prefix}manglanh", f"{prefix}manglanh-device"}
    for cookie in given:
        flags = {flag.strip().lower() for flag in cookie.split(";")[1:]}
        assert {"httponly", "path=/", "samesite=lax"} <= flags
        assert ("secure" in flags) is secure
        assert not [flag for flag in flags if flag.startswith("domain")]
    assert visitor.get("/account").status_code == 200


@pytest.mark.parametrize("token", ["", "0" * 32, None])
def test_a_form_without_a_token_of_its_own_page_is_refused(web, visitor, token):
    visitor.get("/sign-in")
    foreign = re.search(r'name="csrf" value="([^"]+)"', web.visitor().get("/sign-in").text)[1]
    data = {"login": "co-lan", "password": PASSWORD, "csrf": foreign if token is None else token}
    assert visitor.client.post("/sign-in", data=data).status_code == 403
    assert web.rows(select(sessions)) == []


@pytest.mark.parametrize(
    "headers", [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://evil.example"}, {"origin": "null"}]
)
def test_a_form_of_another_site_is_refused(web, visitor, headers):
    assert enter(visitor, headers=headers).status_code == 403
    assert web.rows(select(sessions)) == []


def test_guessing_is_slowed_down_and_says_for_how_long(web, visitor):
    for _ in range(6):
        assert enter(visitor, password=STRANGER).status_code == 422
    response = enter(visitor)
    assert response.status_code == 429
    assert response.headers["retry-after"] == "60"
    assert "60 seconds" in response.text
    assert len(actions(web)) == 6
    web.clock.now += 60
    assert enter(visitor).status_code == 303


def test_nobody_is_locked_out_by_somebody_else(web, visitor):
    """Even from the same address: her telephone has signed in before."""
    enter(visitor)
    visitor.post("/sign-out", seen="/account")
    stranger = web.visitor()
    while enter(stranger, password=STRANGER).status_code != 429:
        pass
    assert enter(web.visitor()).status_code == 429
    assert enter(visitor).status_code == 303


def test_a_known_device_is_known_to_one_login_only_and_for_half_a_year(web, visitor):
    enter(visitor)
    cookie = visitor.client.cookies["manglanh-device"]
    stranger = web.visitor()
    while enter(stranger, password=STRANGER).status_code != 429:
        pass
    while enter(stranger, "thay-minh", STRANGER).status_code != 429:
        pass
    for login, altered, status in [
        ("thay-minh", cookie, 429),
        ("co-lan", cookie[:-1] + "x", 429),
        ("co-lan", f"x.y.z~{cookie}~..", 303),
        ("co-lan", "~..~.", 429),
    ]:
        other = web.visitor()
        other.client.cookies.set("manglanh-device", altered)
        assert enter(other, login).status_code == status, altered
    web.clock.now += sign_in.DEVICE_LASTS + 1
    while enter(stranger, password=STRANGER).status_code != 429:
        pass
    other = web.visitor()
    other.client.cookies.set("manglanh-device", cookie)
    assert enter(other).status_code == 429


def test_a_computer_of_the_staff_room_knows_several(web, visitor):
    for login in ("co-lan", "thay-minh", "quan-tri"):
        enter(visitor, login)
        visitor.post("/sign-out", seen="/account")
    entries = visitor.client.cookies["manglanh-device"].strip('"').split("~")
    assert len(entries) == 3
    enter(visitor, "thay-minh")
    assert len(visitor.client.cookies["manglanh-device"].strip('"').split("~")) == 3
    for number in range(10):
        web.add_person(f"them-{number}", Role.TEACHER)
        visitor.post("/sign-out", seen="/account")
        enter(visitor, f"them-{number}")
    assert len(visitor.client.cookies["manglanh-device"].strip('"').split("~")) == sign_in.DEVICES_KEPT
    assert len(visitor.client.cookies["manglanh-device"]) < 1000


def test_a_new_password_makes_every_device_a_stranger(web, visitor):
    enter(visitor)
    visitor.post("/sign-out", seen="/account")
    web.write(update(people_table).where(people_table.c.login == "co-lan").values(password=passwords._HASHER.hash(PASSWORD)))
    stranger = web.visitor()
    while enter(stranger, password=STRANGER).status_code != 429:
        pass
    assert enter(visitor).status_code == 429


def test_the_second_step(web, visitor):
    enrol(web)
    response = enter(visitor, to="/classes")
    assert response.headers["location"] == "/sign-in/code"
    assert "manglanh" not in visitor.client.cookies
    assert visitor.get("/account").status_code == 303
    assert visitor.get("/sign-in/code").status_code == 200
    response = visitor.post("/sign-in/code", {"code": code_at(NOW)}, seen="/sign-in/code")
    assert (response.status_code, response.headers["location"]) == (303, "/classes")
    assert actions(web) == [("signed-in", "co-lan", "password, code")]


def test_a_code_is_good_once(web, visitor):
    enrol(web)
    enter(visitor)
    visitor.post("/sign-in/code", {"code": code_at(NOW)}, seen="/sign-in/code")
    other = web.visitor()
    enter(other)
    response = other.post("/sign-in/code", {"code": code_at(NOW)}, seen="/sign-in/code")
    assert response.status_code == 422
    web.clock.now += 30
    assert other.post("/sign-in/code", {"code": code_at(NOW + 30)}, seen="/sign-in/code").status_code == 303


@pytest.mark.parametrize("code", ["", "000000", "abc", "' or 1=1 --", "aaaaa-aaaaa"])
def test_a_wrong_code(web, visitor, code):
    enrol(web)
    enter(visitor)
    response = visitor.post("/sign-in/code", {"code": code}, seen="/sign-in/code")
    assert response.status_code == 422
    assert "manglanh" not in visitor.client.cookies
    assert actions(web) == [("sign-in.failed", "co-lan", "code")]


def test_codes_are_not_guessed(web, visitor):
    enrol(web)
    statuses = []
    for number in range(10):
        enter(visitor)
        statuses.append(visitor.post("/sign-in/code", {"code": f"{number:06}"}, seen="/sign-in/code").status_code)
    assert statuses == [422] * 6 + [429] * 4


def test_the_second_step_belongs_to_whoever_typed_the_password(web, visitor):
    """Also against somebody who gave the visitor its secret before."""
    enrol(web)
    planted = visitor.client.get("/sign-in").cookies["manglanh-visitor"]
    enter(visitor)
    other = web.visitor()
    other.client.cookies.set("manglanh-visitor", planted)
    assert other.get("/sign-in/code").headers["location"] == "/sign-in"
    response = other.post("/sign-in/code", {"code": code_at(NOW)})
    assert (response.status_code, response.headers["location"]) == (303, "/sign-in")
    assert web.rows(select(sessions)) == []


@pytest.mark.parametrize(
    "change",
    [{"active": False}, {"password": HASH}, {"totp_secret": None}],
)
def test_what_changes_between_the_steps(web, visitor, change):
    enrol(web)
    enter(visitor)
    page = visitor.get("/sign-in/code").text
    web.write(update(people_table).where(people_table.c.login == "co-lan").values(**change))
    token = re.search(r'name="csrf" value="([^"]+)"', page)[1]
    response = visitor.client.post("/sign-in/code", data={"csrf": token, "code": code_at(NOW)})
    assert response.headers["location"] == "/sign-in"
    assert web.rows(select(sessions)) == []


def test_the_second_step_does_not_wait_for_ever(web, visitor):
    enrol(web)
    enter(visitor)
    page = visitor.get("/sign-in/code").text
    web.clock.now += sign_in.SECOND_STEP_LASTS
    token = re.search(r'name="csrf" value="([^"]+)"', page)[1]
    response = visitor.client.post("/sign-in/code", data={"csrf": token, "code": code_at(web.clock.now)})
    assert response.headers["location"] == "/sign-in"
    assert "took too long" in visitor.get("/sign-in").text


def test_a_recovery_code_is_good_once_and_says_how_many_are_left(web, visitor):
    enrol(web, codes=["abcde-fghjk", "mnpqr-stuvw"])
    enter(visitor)
    response = visitor.post("/sign-in/code", {"code": "ABCDE FGHJK"}, seen="/sign-in/code")
    assert response.headers["location"] == "/account#second-step"
    assert "1 are left" in visitor.get("/account").text
    other = web.visitor()
    enter(other)
    assert other.post("/sign-in/code", {"code": "abcde-fghjk"}, seen="/sign-in/code").status_code == 422
    assert actions(web)[0] == ("signed-in", "co-lan", "password, recovery code")


def test_the_language_of_a_visitor_and_of_a_person(web, visitor):
    assert 'lang="vi"' in visitor.get("/sign-in", headers={"accept-language": "vi"}).text
    response = visitor.post("/language", {"language": "en", "to": "/sign-in?to=/classes"})
    assert response.headers["location"] == "/sign-in?to=/classes"
    assert '<html lang="en">' in visitor.get("/sign-in", headers={"accept-language": "vi"}).text
    enter(visitor)
    visitor.post("/language", {"language": "vi", "to": "/account"}, seen="/account")
    assert '<html lang="vi">' in visitor.get("/account").text
    assert web.rows(select(people_table.c.language).where(people_table.c.login == "co-lan"))[0].language == "vi"


@pytest.mark.parametrize(
    ("to", "leads"),
    [("//evil.example", "/"), ("/account/password", "/account"), ("/sign-in/code", "/sign-in/code"), ("/nowhere/at/all", "/"), ("", "/")],
)
def test_the_language_leads_back_to_a_page_that_is_there(visitor, to, leads):
    assert visitor.post("/language", {"language": "en", "to": to}).headers["location"] == leads


def test_a_language_that_there_is_not(visitor):
    response = visitor.post("/language", {"language": "xx", "to": "/sign-in"})
    assert response.status_code == 303
    assert "manglanh-language" not in visitor.client.cookies


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("Mozilla/5.0 (Linux; Android 14; SM-A155F) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Mobile Safari/537.36", "Chrome, Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1", "Safari, iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) coc_coc_browser/130.0 Chrome/124.0 Safari/537.36", "Cốc Cốc, Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0", "Firefox, Linux"),
        ("<script>alert(1)</script>", "scriptalert1/script"),
        ("", ""),
    ],
)  # fmt: skip
def test_what_a_device_is_called(web, visitor, agent, words):
    enter(visitor, headers={"user-agent": agent})
    assert web.rows(select(sessions.c.device))[0].device == words

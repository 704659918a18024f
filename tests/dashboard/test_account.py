"""One's own account."""

import re

import pyotp
import pytest
from sqlalchemy import select, update

from dashboard.access import Role, Scope
from dashboard.pages.account import SCOPE_TITLES, SCOPES
from dashboard.signing_in import passwords
from dashboard.store.people import fingerprint
from dashboard.store.tables import audit, recovery_codes, sessions, tokens
from dashboard.store.tables import people as people_table
from tests.dashboard.conftest import NOW, PASSWORD

NEW = "mot cau moi va dai hon"


@pytest.fixture
def visitor(web):
    return web.as_person("co-lan")


def post(visitor, path, **data):
    return visitor.post(f"/account/{path}", data, seen="/account")


def row(web, login="co-lan"):
    return web.rows(select(people_table).where(people_table.c.login == login))[0]


def actions(web):
    return [each.action for each in web.rows(select(audit).order_by(audit.c.id))]


def enrol(web, visitor):
    """As a person does it: the secret, and the recovery codes that are shown."""
    assert post(visitor, "second-step/begin", password=PASSWORD).headers["location"] == "/account/second-step"
    page = visitor.get("/account/second-step").text
    secret = re.search(r"secret=([A-Z2-7]{32})", page)[1]
    assert row(web).totp_secret is None
    response = visitor.post("/account/second-step", {"code": pyotp.TOTP(secret).at(int(web.clock.now))}, seen="/account/second-step")
    assert response.status_code == 200
    return secret, re.findall(r"<li>([a-z0-9]{5}-[a-z0-9]{5})</li>", response.text)


def test_the_page(visitor):
    response = visitor.get("/account")
    assert response.status_code == 200
    assert len(response.text) < 100_000
    assert " style=" not in response.text
    assert "<script>" not in response.text


def test_name_and_language(web, visitor):
    assert post(visitor, "profile", name="  Nguyễn  Thị Lan ", language="vi").status_code == 303
    assert (row(web).name, row(web).language) == ("Nguyễn Thị Lan", "vi")
    entry = web.rows(select(audit))[0]
    assert (entry.action, entry.object, entry.detail) == ("person.changed", "co-lan", {"name": "Nguyễn Thị Lan", "language": "vi"})
    post(visitor, "profile", name="Nguyễn Thị Lan", language="vi")
    assert actions(web) == ["person.changed"]


@pytest.mark.parametrize(
    ("name", "language"), [("", "vi"), ("x" * 201, "vi"), ("An\u202e", "vi"), ("An\nB\x07", "vi"), ("An", ""), ("An", "xx")]
)
def test_a_name_or_language_that_is_none(web, visitor, name, language):
    response = post(visitor, "profile", name=name, language=language)
    assert response.status_code == 422
    assert row(web).name == "Co-Lan"


def test_a_new_password_ends_all_other_sessions(web, visitor):
    other = web.visitor()
    other.post("/sign-in", {"login": "co-lan", "password": PASSWORD})
    assert other.get("/account").status_code == 200
    assert post(visitor, "password", old=PASSWORD, new=NEW, again=NEW).status_code == 303
    assert visitor.get("/account").status_code == 200
    assert other.get("/account").status_code == 303
    assert passwords._verify(row(web).password, NEW)
    assert row(web).password_at == NOW
    assert actions(web)[-1] == "password.changed"
    assert NEW not in str(web.rows(select(audit)))
    assert "manglanh-device" in visitor.client.cookies


@pytest.mark.parametrize(
    ("old", "new", "again", "field"),
    [
        ("sai", NEW, NEW, "old"),
        ("", NEW, NEW, "old"),
        (PASSWORD, "ngan", "ngan", "new"),
        (PASSWORD, "matkhau123", "matkhau123", "new"),
        (PASSWORD, "co-lan-2027", "co-lan-2027", "new"),
        (PASSWORD, "", "", "new"),
        (PASSWORD, NEW, NEW + "x", "again"),
    ],
)
def test_a_password_that_is_not_changed(web, visitor, old, new, again, field):
    response = post(visitor, "password", old=old, new=new, again=again)
    assert response.status_code == 422
    assert re.findall(r'id="f-(\w+)-error"', response.text) == [field]
    assert not any(f'value="{typed}"' in response.text for typed in (old, new) if typed)
    assert passwords._verify(row(web).password, PASSWORD)


def test_an_open_session_does_not_guess_the_password(web, visitor):
    statuses = [post(visitor, "password", old=f"sai-lan-{number}", new=NEW, again=NEW).status_code for number in range(12)]
    assert statuses == [422] * 10 + [429] * 2
    assert post(visitor, "second-step/end", password=PASSWORD).status_code == 429
    assert web.visitor().post("/sign-in", {"login": "co-lan", "password": PASSWORD}).status_code == 303


def test_the_second_step_counts_only_after_a_code(web, visitor):
    secret, codes = enrol(web, visitor)
    assert len(codes) == 8
    kept = row(web)
    assert (kept.totp_secret, kept.totp_step) == (secret, int(NOW) // 30)
    assert len(web.rows(select(recovery_codes))) == 8
    assert not {each.code for each in web.rows(select(recovery_codes))} & set(codes)
    assert actions(web) == ["totp.on"]
    assert secret not in str(web.rows(select(audit)))
    assert codes[0] not in visitor.get("/account").text
    assert visitor.get("/account/second-step").headers["location"] == "/account#second-step"


def test_the_code_that_confirmed_does_not_sign_in(web, visitor):
    secret, codes = enrol(web, visitor)
    other = web.visitor()
    other.post("/sign-in", {"login": "co-lan", "password": PASSWORD})
    code = pyotp.TOTP(secret).at(int(NOW))
    assert other.post("/sign-in/code", {"code": code}, seen="/sign-in/code").status_code == 422
    assert other.post("/sign-in/code", {"code": codes[3]}, seen="/sign-in/code").status_code == 303


@pytest.mark.parametrize("code", ["", "000000", "abcdef"])
def test_a_wrong_code_turns_nothing_on(web, visitor, code):
    post(visitor, "second-step/begin", password=PASSWORD)
    assert visitor.post("/account/second-step", {"code": code}, seen="/account/second-step").status_code == 422
    assert row(web).totp_secret is None


def test_turning_it_on_needs_the_password_and_is_not_put_off(web, visitor):
    assert post(visitor, "second-step/begin", password="sai").status_code == 422
    assert visitor.get("/account/second-step").status_code == 303
    post(visitor, "second-step/begin", password=PASSWORD)
    web.clock.now += 901
    assert post(visitor, "second-step", code="123456").headers["location"] == "/account#second-step"
    assert row(web).totp_secret is None


def test_an_enrolment_belongs_to_its_session(web, visitor):
    post(visitor, "second-step/begin", password=PASSWORD)
    assert web.as_person("thay-minh").get("/account/second-step").status_code == 303


def test_turning_it_off_needs_the_password(web, visitor):
    enrol(web, visitor)
    assert post(visitor, "second-step/end", password="sai").status_code == 422
    assert row(web).totp_secret is not None
    assert post(visitor, "second-step/end", password=PASSWORD).status_code == 303
    assert row(web).totp_secret is None
    assert web.rows(select(recovery_codes)) == []
    assert actions(web)[-1] == "totp.off"


def test_new_recovery_codes_make_the_old_ones_worthless(web, visitor):
    _, old = enrol(web, visitor)
    response = post(visitor, "recovery-codes", password=PASSWORD)
    new = re.findall(r"<li>([a-z0-9]{5}-[a-z0-9]{5})</li>", response.text)
    assert len(new) == 8
    assert not set(new) & set(old)
    assert len(web.rows(select(recovery_codes))) == 8
    assert post(visitor, "recovery-codes", password="sai").status_code == 422


def test_no_recovery_codes_without_a_second_step(web, visitor):
    assert post(visitor, "recovery-codes", password=PASSWORD).status_code == 422
    assert web.rows(select(recovery_codes)) == []


def test_whoever_signs_in_elsewhere_has_no_password_to_change(web, visitor):
    web.write(update(people_table).where(people_table.c.login == "co-lan").values(password=None))
    text = visitor.get("/account").text
    assert 'action="/account/password"' not in text
    assert 'action="/account/second-step/begin"' not in text
    assert post(visitor, "password", old="", new=NEW, again=NEW).status_code == 422
    assert row(web).password is None


def test_sessions(web, visitor):
    other = web.visitor()
    other.post("/sign-in", {"login": "co-lan", "password": PASSWORD}, headers={"user-agent": "Mozilla/5.0 (Windows NT 10.0) Firefox/132.0"})
    text = visitor.get("/account").text
    assert "Firefox, Windows" in text
    assert "testclient" in text
    number = web.rows(select(sessions.c.id).where(sessions.c.device == "Firefox, Windows"))[0].id
    assert post(visitor, f"sessions/{number}/end").status_code == 303
    assert other.get("/account").status_code == 303
    assert actions(web)[-1] == "session.ended"
    assert post(visitor, f"sessions/{number}/end").status_code == 404


def test_nobody_ends_somebody_elses_session(web, visitor):
    other = web.as_person("thay-minh")
    number = web.rows(select(sessions.c.id).where(sessions.c.device == "test").order_by(sessions.c.id.desc()))[0].id
    assert post(visitor, f"sessions/{number}/end").status_code == 404
    assert post(visitor, f"sessions/{10**30}/end").status_code == 404
    post(visitor, "sessions/end-others")
    assert other.get("/account").status_code == 200


def test_all_others_end(web, visitor):
    others = [web.visitor() for _ in range(3)]
    for other in others:
        other.post("/sign-in", {"login": "co-lan", "password": PASSWORD})
    assert post(visitor, "sessions/end-others").status_code == 303
    assert [other.get("/account").status_code for other in others] == [303] * 3
    assert visitor.get("/account").status_code == 200


def make_token(visitor, **changed):
    return post(
        visitor, "tokens", **({"token_name": "Màn hình sảnh", "scopes": ["classes:read", "statistics:read"], "days": "30"} | changed)
    )


def test_a_token_is_shown_once(web, visitor):
    response = make_token(visitor)
    assert response.status_code == 200
    secret = re.search(r"ml_[\w-]{43}", response.text)[0]
    kept = web.rows(select(tokens))[0]
    assert (kept.token, kept.scopes, kept.expires_at) == (fingerprint(secret), ["classes:read", "statistics:read"], NOW + 30 * 86400)
    text = visitor.get("/account").text
    assert "Màn hình sảnh" in text
    assert secret not in text
    entry = web.rows(select(audit))[0]
    assert (entry.action, entry.object, entry.detail["scopes"]) == ("token.made", "Màn hình sảnh", ["classes:read", "statistics:read"])
    assert secret not in str(entry)


def test_a_token_ends(web, visitor):
    make_token(visitor)
    number = web.rows(select(tokens.c.id))[0].id
    assert post(web.as_person("thay-minh"), f"tokens/{number}/end").status_code == 404
    assert post(visitor, f"tokens/{number}/end").status_code == 303
    assert web.rows(select(tokens)) == []
    assert actions(web) == ["token.made", "token.ended"]
    assert post(visitor, f"tokens/{number}/end").status_code == 404


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"token_name": ""}, "token_name"),
        ({"token_name": "x" * 101}, "token_name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["classes:read", "people:write"]}, "scopes"),
        ({"scopes": ["backup"]}, "scopes"),
        ({"scopes": ["everything"]}, "scopes"),
        ({"days": "9999"}, "days"),
        ({"days": "0"}, "days"),
        ({"days": ""}, "days"),
        ({"days": "-30"}, "days"),
    ],
)
def test_a_token_that_is_not_made(web, visitor, changed, field):
    response = make_token(visitor, **changed)
    assert response.status_code == 422
    assert f'id="f-{field}-error"' in response.text
    assert web.rows(select(tokens)) == []


def test_not_more_tokens_than_anybody_needs(web, visitor):
    for _ in range(20):
        assert make_token(visitor).status_code == 200
    assert make_token(visitor).status_code == 422
    assert len(web.rows(select(tokens))) == 20


@pytest.mark.parametrize(("login", "role"), [("quan-tri", Role.ADMIN), ("co-lan", Role.TEACHER), ("hieu-truong", Role.VIEWER)])
def test_what_a_program_may_do_at_all_depends_on_the_role(web, login, role):
    visitor = web.as_person(login)
    offered = re.findall(r'name="scopes" value="([^"]+)"', visitor.get("/account").text)
    assert offered == [scope.value for scope in SCOPES[role]]
    statuses = {scope: make_token(visitor, scopes=[scope.value]).status_code for scope in Scope}
    assert statuses == {scope: 200 if scope in SCOPES[role] else 422 for scope in Scope}


def test_every_scope_has_a_title():
    assert SCOPE_TITLES.keys() == set(Scope)


def test_a_program_of_a_closed_account_does_nothing(web, visitor):
    secret = re.search(r"ml_[\w-]{43}", make_token(visitor).text)[0]
    web.write(update(people_table).where(people_table.c.login == "co-lan").values(active=False))
    assert web.client.get("/api/v1/classes", headers={"Authorization": f"Bearer {secret}"}).status_code == 401

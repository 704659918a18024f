"""Signing in with the school's own provider, against a real one on loopback."""

import base64
import hmac
import json
import subprocess
import sys

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from sqlalchemy import select, update

from dashboard.access import Role
from dashboard.signing_in import open_id
from dashboard.store.tables import audit, sessions
from dashboard.store.tables import people as people_table
from tests.dashboard.conftest import NOW
from tests.dashboard.open_id_provider import CLIENT, SECRET, new_key_once, running


@pytest.fixture
def provider(web, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with running(web.clock) as provider:
        settings(web, provider)
        web.write(update(people_table).where(people_table.c.login == "co-lan").values(email="Lan@truong.edu.vn"))
        yield provider


def settings(web, provider, **others):
    secret = web.site.config.with_name("client-secret")
    secret.write_text(f"{SECRET}\n", "utf-8")
    said = {
        "title": "Google",
        "issuer": provider.issuer,
        "client_id": CLIENT,
        "client_secret_file": str(secret),
        "domains": ["truong.edu.vn"],
    } | others
    text = web.site.config.read_text("utf-8").partition("dashboard:")[0]
    web.site.config.write_text(f"{text}dashboard: {json.dumps({'sign_in': said})}\n", "utf-8")


@pytest.fixture
def visitor(web):
    visitor = web.visitor()
    visitor.client.headers["accept-language"] = "en"
    visitor.get("/sign-in")
    return visitor


def begin(visitor, to=""):
    response = visitor.get("/sign-in/school", params={"to": to} if to else {})
    assert response.status_code == 303
    return response.headers["location"]


def come_back(visitor, address):
    assert address.startswith("http://testserver/sign-in/school/back?")
    return visitor.get(address)


def sign_in(visitor, provider, **visit):
    return come_back(visitor, provider.visit(begin(visitor), **visit))


def refused(web, visitor, response, why):
    """Nobody is signed in, and the sign-in page says why."""
    assert (response.status_code, response.headers["location"]) == (303, "/sign-in")
    assert web.rows(select(sessions)) == []
    text = visitor.get("/sign-in").text
    assert why in text, text[text.find('class="notice') :][:600]


def failures(web):
    return [row.detail["why"] for row in web.rows(select(audit).where(audit.c.action == "sign-in.failed"))]


def test_signed_in(web, visitor, provider):
    assert "Sign in with Google" in visitor.get("/sign-in").text
    response = come_back(visitor, provider.visit(begin(visitor, "/classes"), "LAN@Truong.edu.vn"))
    assert (response.status_code, response.headers["location"]) == (303, "/classes")
    assert visitor.get("/account").status_code == 200
    (row,) = web.rows(select(audit))
    assert (row.action, row.object, row.detail["by"]) == ("signed-in", "co-lan", "Google")
    assert provider.asked == [("GET", "/.well-known/openid-configuration")] * 2 + [("POST", "/token"), ("GET", "/keys")]


def test_without_settings_there_is_no_such_way(web, visitor):
    assert "/sign-in/school" not in visitor.get("/sign-in").text
    refused(web, visitor, visitor.get("/sign-in/school"), "has not set up")
    refused(web, visitor, visitor.get("/sign-in/school/back?state=x&code=y"), "has not set up")


def test_a_second_step_is_the_providers_affair(web, visitor, provider):
    web.write(update(people_table).where(people_table.c.login == "co-lan").values(totp_secret="JBSWY3DPEHPK3PXP"))
    assert sign_in(visitor, provider).headers["location"] == "/"


def test_a_provider_that_wants_the_secret_in_the_form(web, visitor, provider):
    provider.methods = ("client_secret_post",)
    assert sign_in(visitor, provider).headers["location"] == "/"


def test_the_way_never_leads_out(web, visitor, provider):
    assert come_back(visitor, provider.visit(begin(visitor, "//evil.example"))).headers["location"] == "/"


def test_microsoft_says_otherwise_that_an_address_is_confirmed(web, visitor, provider):
    provider.claims = {"email_verified": None, "xms_edov": True}
    assert sign_in(visitor, provider).headers["location"] == "/"


def _unsigned(claims):
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in ({"alg": "none"}, claims)]
    return ".".join((*parts, ""))


def _with_the_public_key_as_a_secret(claims):
    """The oldest attack on JWT: HS256 with what everybody knows. By hand, because joserfc makes no such token."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "HS256", "kid": "of-today"}, claims)]
    signature = hmac.new(new_key_once("of-today").as_pem(private=False), b".".join(parts), "sha256").digest()
    return b".".join((*parts, base64.urlsafe_b64encode(signature).rstrip(b"="))).decode()


def _with_the_clients_secret(claims):
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key("x" * 32))


def _with_a_key_of_its_own(claims):
    key = new_key_once("of-a-stranger")
    return jwt.encode({"alg": "RS256", "kid": "of-today", "jwk": key.as_dict(private=False)}, claims, key)


def _altered(claims):
    head, _, signature = jwt.encode({"alg": "RS256", "kid": "of-today"}, claims, new_key_once("of-today")).split(".")
    other = base64.urlsafe_b64encode(json.dumps(claims | {"email": "admin@truong.edu.vn"}).encode()).rstrip(b"=").decode()
    return f"{head}.{other}.{signature}"


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "of-another-sign-in"},
        {"nonce": None},
        {"aud": "somebody-else"},
        {"aud": ["somebody-else"]},
        {"aud": [CLIENT, "somebody-else"]},
        {"aud": [CLIENT, "somebody-else"], "azp": "somebody-else"},
        {"azp": "somebody-else"},
        {"aud": None},
        {"exp": NOW - 121},
        {"exp": None},
        {"exp": "tomorrow"},
        {"iat": NOW + 3600},
        {"iat": None},
        {"nbf": NOW + 3600},
        {"iss": "https://accounts.evil.example"},
        {"iss": None},
        {"sub": None},
        {"email": None},
        {"email": ["lan@truong.edu.vn"]},
        {"email": "lan@truong.edu.vn@evil.example"},
    ],
    ids=str,
)
def test_a_token_that_is_not_for_this_sign_in(web, visitor, provider, claims):
    provider.claims = claims
    refused(web, visitor, sign_in(visitor, provider), "cannot be trusted")


@pytest.mark.parametrize(
    "sign",
    [
        _unsigned,
        _with_the_public_key_as_a_secret,
        _with_the_clients_secret,
        _with_a_key_of_its_own,
        _altered,
        lambda _: "x.y.z",
        lambda _: 7,
        lambda _: None,
    ],
)
def test_a_token_that_the_provider_has_not_signed(web, visitor, provider, sign):
    provider.sign = sign
    refused(web, visitor, sign_in(visitor, provider), "cannot be trusted")


def test_a_clock_that_differs_a_little(web, visitor, provider):
    provider.claims = {"iat": NOW + 100, "exp": NOW - 100}
    assert sign_in(visitor, provider).headers["location"] == "/"


@pytest.mark.parametrize("verified", [False, None, "true", 1])
def test_an_address_that_is_not_confirmed(web, visitor, provider, verified):
    provider.claims = {"email_verified": verified}
    refused(web, visitor, sign_in(visitor, provider), "has not confirmed that lan@truong.edu.vn")
    assert failures(web) == ["e-mail not confirmed"]


def test_nobody_gets_an_account_by_signing_in(web, visitor, provider):
    refused(web, visitor, sign_in(visitor, provider, email="khach@truong.edu.vn"), "There is no account here for khach@truong.edu.vn")
    assert failures(web) == ["login"]
    assert len(web.rows(select(people_table))) == 4


def test_an_account_that_is_closed(web, visitor, provider):
    web.write(update(people_table).where(people_table.c.login == "co-lan").values(active=False))
    refused(web, visitor, sign_in(visitor, provider), "There is no account here for lan@truong.edu.vn")
    assert failures(web) == ["closed"]


def test_an_address_that_two_accounts_have(web, visitor, provider):
    web.write(update(people_table).where(people_table.c.login == "thay-minh").values(email="lan@truong.edu.vn"))
    refused(web, visitor, sign_in(visitor, provider), "There is no account")


def test_a_domain_that_is_not_let_in(web, visitor, provider):
    web.add_person("khach", Role.ADMIN, email="lan@gmail.com")
    refused(web, visitor, sign_in(visitor, provider, email="lan@gmail.com"), "Addresses at gmail.com are not let in")
    settings(web, provider, domains=[])
    assert sign_in(visitor, provider, email="lan@gmail.com").headers["location"] == "/"


def test_a_state_is_good_once(web, visitor, provider):
    address = provider.visit(begin(visitor))
    assert come_back(visitor, address).headers["location"] == "/"
    other = web.visitor()
    other.client.headers["accept-language"] = "en"
    other.client.cookies.set("manglanh-visitor", visitor.client.cookies["manglanh-visitor"])
    response = come_back(other, address)
    assert response.headers["location"] == "/sign-in"
    assert "used already" in other.get("/sign-in").text
    assert len(web.rows(select(sessions))) == 1


def test_somebody_elses_sign_in_is_not_finished_here(web, visitor, provider):
    """Login CSRF: an attacker's way back in the victim's browser."""
    address = provider.visit(begin(visitor))
    other = web.visitor()
    other.client.headers["accept-language"] = "en"
    other.get("/sign-in")
    refused(web, other, come_back(other, address), "took too long, or was used already")


@pytest.mark.parametrize("answer", [{"state": "guessed"}, {"state": None}, {"state": ""}])
def test_a_state_that_was_never_given(web, visitor, provider, answer):
    refused(web, visitor, sign_in(visitor, provider, **answer), "took too long, or was used already")


def test_a_state_does_not_last_for_ever(web, visitor, provider):
    address = provider.visit(begin(visitor))
    web.clock.now += open_id.LASTS
    refused(web, visitor, come_back(visitor, address), "took too long")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"code": None, "error": "access_denied", "error_description": "<b>no</b>"}, "did not sign you in"),
        ({"code": "guessed"}, "cannot be trusted"),
        ({"code": None}, "cannot be trusted"),
        ({"iss": "https://accounts.evil.example"}, "cannot be trusted"),
    ],
)
def test_an_answer_that_says_no(web, visitor, provider, answer, why):
    refused(web, visitor, sign_in(visitor, provider, **answer), why)


def test_a_client_secret_that_is_wrong(web, visitor, provider):
    web.site.config.with_name("client-secret").write_text("another")
    refused(web, visitor, sign_in(visitor, provider), "cannot be trusted")


def test_a_client_secret_that_is_not_there(web, visitor, provider):
    address = provider.visit(begin(visitor))
    web.site.config.with_name("client-secret").unlink()
    refused(web, visitor, come_back(visitor, address), "its secret cannot be read")


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("path", "answer", "why"),
    [
        ("/.well-known/openid-configuration", (500, {}, b"broken"), "cannot be trusted"),
        ("/.well-known/openid-configuration", (302, {"location": "http://127.0.0.1:1/"}, b""), "cannot be trusted"),
        ("/.well-known/openid-configuration", (200, JSON, b"[]"), "cannot be trusted"),
        ("/.well-known/openid-configuration", (200, JSON, b"{"), "cannot be trusted"),
        ("/.well-known/openid-configuration", (200, JSON, b'{"issuer": "https://evil.example"}'), "cannot be trusted"),
        ("/.well-known/openid-configuration", (200, JSON, b" " * 300_000), "cannot be trusted"),
        ("/token", (302, {"location": "http://127.0.0.1:1/"}, b""), "cannot be trusted"),
        ("/token", (200, JSON, b"{}"), "cannot be trusted"),
        ("/keys", (200, JSON, b'{"keys": []}'), "cannot be trusted"),
        ("/keys", (200, JSON, b'{"keys": 7}'), "cannot be trusted"),
        ("/keys", (200, JSON, b'{"keys": [7, {"kty": "RSA"}]}'), "cannot be trusted"),
    ],
)
def test_a_provider_that_answers_nonsense(web, visitor, provider, path, answer, why):
    address = provider.visit(begin(visitor))
    provider.answers[path] = answer
    refused(web, visitor, come_back(visitor, address), why)
    if path.startswith("/.well-known"):
        refused(web, visitor, visitor.get("/sign-in/school"), why)


@pytest.mark.parametrize("endpoint", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
@pytest.mark.parametrize("address", [None, "http://evil.example/x", "ftp://127.0.0.1/", 7])
def test_an_endpoint_that_is_missing_or_not_https(web, visitor, provider, endpoint, address):
    body = json.dumps(provider.description() | {endpoint: address}).encode()
    provider.answers["/.well-known/openid-configuration"] = (200, JSON, body)
    refused(web, visitor, visitor.get("/sign-in/school"), "cannot be trusted")


def test_an_issuer_without_https(web, visitor, provider):
    settings(web, provider, issuer="http://accounts.example")
    refused(web, visitor, visitor.get("/sign-in/school"), "cannot be trusted")


def test_a_provider_that_is_down(web, visitor, provider):
    settings(web, provider, issuer="http://127.0.0.1:1")
    refused(web, visitor, visitor.get("/sign-in/school"), "Google does not answer now")


def test_a_provider_that_goes_down_meanwhile(web, visitor, provider):
    address = provider.visit(begin(visitor))
    settings(web, provider, issuer="http://127.0.0.1:1")
    refused(web, visitor, come_back(visitor, address.replace("iss=", "no=")), "Google does not answer now")


def test_nobody_makes_us_ask_the_provider_without_end(web, visitor, provider):
    limit = open_id.ADDRESS.burst
    web.site.throttle._until["provider", "testclient"] = NOW + limit * open_id.ADDRESS.every
    refused(web, visitor, visitor.get("/sign-in/school"), "tried too often")
    assert provider.asked == []


def test_the_provider_sends_people_back_to_the_address_that_the_file_names(web, visitor, provider):
    text = web.site.config.read_text("utf-8").replace(
        'dashboard: {"sign_in"', 'dashboard: {"url": "https://manglanh.truong.edu.vn", "sign_in"'
    )
    web.site.config.write_text(text, "utf-8")
    assert "redirect_uri=https%3A%2F%2Fmanglanh.truong.edu.vn%2Fsign-in%2Fschool%2Fback" in begin(visitor)


def test_a_school_without_it_does_not_load_it():
    """Authlib, joserfc and httpx cost memory that a box of 512 MB has better use for."""
    code = "import sys, dashboard.pages.sign_in, dashboard.pages.account; print([name for name in ('authlib', 'joserfc', 'httpx') if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"

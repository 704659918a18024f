"""What the province gets, and the key that signs it: checked with nothing of ours but the documents' own words (docs/reports-format.md)."""

import asyncio
import json
import re
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trustme
from cryptography.exceptions import InvalidSignature
from hypothesis import given
from hypothesis import strategies as st

from dashboard.reporting import forwarding
from dashboard.reporting.forwarding import FORMAT, TYPE, BadKey, NotTaken, Webhook, document, have_key, post, read_key, site_of
from dashboard.store.reports import Report, Step
from tests.dashboard.recipients import thumbprint, unpacked, verified, webhook

FORMAT_PAGE = Path(__file__).parents[2] / "docs/reports-format.md"
REPORT = Report(7, "K7QM-2XTD", 1_800_001_200.5, "harmful", "doc-hai.example", "Một dòng\nhai dòng", "", "6a1", "received", None)


def test_a_key_is_made_once_and_read_from_then_on(tmp_path):
    path = tmp_path / "report-key.pem"
    assert read_key(path) is None
    made = have_key(path)
    assert have_key(path).public == made.public == read_key(path).public
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["report-key.pem"]
    assert set(made.public) == {"kty", "crv", "x", "kid", "alg", "use"}, "no private part"
    assert made.kid == thumbprint(made.public)


def test_the_thumbprint_is_that_of_the_rfc():
    """RFC 8037 appendix A.3."""
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    assert thumbprint(jwk) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_two_who_make_a_key_at_once_have_the_same(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(have_key, [tmp_path / "report-key.pem"] * 8))
    assert len({key.kid for key in keys}) == 1


@pytest.mark.parametrize("content", [b"", b"x", b"-----BEGIN PRIVATE KEY-----\n", b"\xff\xfe"])
def test_a_damaged_key_is_refused_and_stays(tmp_path, content):
    path = tmp_path / "report-key.pem"
    path.write_bytes(content)
    with pytest.raises(BadKey):
        have_key(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(("curve", "private"), [("Ed448", True), ("X25519", True), ("Ed25519", False)])
def test_a_key_of_another_kind_is_refused(tmp_path, curve, private):
    from joserfc.jwk import OKPKey

    path = tmp_path / "report-key.pem"
    path.write_bytes(OKPKey.generate_key(curve).as_pem(private=private))
    with pytest.raises(BadKey, match="Ed25519"):
        read_key(path)


def test_where_no_key_can_be_written_that_is_said(tmp_path):
    with pytest.raises(BadKey):
        have_key(tmp_path / "gone" / "report-key.pem")


def test_a_signature_is_the_same_each_time_and_holds_for_nothing_else(tmp_path):
    key = have_key(tmp_path / "report-key.pem")
    payload = '{"số": 1}'.encode()
    jws = key.sign(payload)
    assert jws == key.sign(payload)
    assert verified(jws, key.public) == {"số": 1}
    assert json.loads(unpacked(jws.split(".")[0])) == {"alg": "EdDSA", "kid": key.kid, "typ": TYPE}
    header, _, signature = jws.split(".")
    other = key.sign(b"{}").split(".")[1]
    with pytest.raises(InvalidSignature):
        verified(f"{header}.{other}.{signature}", key.public)


def test_the_document_has_every_field_that_the_format_names(web):
    view = web.site.school.view
    steps = [Step(REPORT.at, "", "received", ""), Step(REPORT.at + 60, "Quản trị", "collecting", "riêng")]
    told = json.loads(document(view, REPORT, steps))
    described = FORMAT_PAGE.read_text(encoding="utf-8")
    named = re.findall(r"^\| `([a-z.]+)` \| (?:string|array)", described, re.MULTILINE)
    assert {name.partition(".")[0] for name in named} == set(told)
    assert told["format"] == FORMAT
    assert told["at"] == "2027-01-15T15:20:00+07:00"
    assert told["signed"] is None
    assert told["states"][1] == {"state": "collecting", "at": "2027-01-15T15:21:00+07:00"}
    for word in ("riêng", "Quản trị", "6a1"):
        assert word not in json.dumps(told, ensure_ascii=False)


def test_the_categories_of_a_listed_site_are_told(web):
    view = web.site.school.view
    listed = next(name for name, _ in view.index.entries() if view.index.lookup(name))
    assert forwarding.categories(view.index, f"https://{listed}/trang?x=1") == [view.index.lookup(listed)[0].source.category]


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("doc-hai.example", "doc-hai.example"), ("https://WWW.Doc-Hai.example:8443/a?b#c", "www.doc-hai.example"), ("doc-hai.example/a/b", "doc-hai.example"),
        ("//x.example", "x.example"), ("http://user:pass@x.example/", "x.example"), ("một câu dài", ""), ("", ""), ("http://[::1", ""), ("https://", ""),
    ],
)  # fmt: skip
def test_the_site_of_a_target(target, name):
    assert site_of(target) == name


@given(st.text(max_size=200))
def test_whatever_was_typed_a_site_is_found_or_none(target):
    assert site_of(target) == site_of(site_of(target)) or not site_of(site_of(target))


# ---- the webhook ----


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def tls(authority, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_a_webhook_gets_the_signed_report(authority, tls):
    with webhook(authority) as province:
        asyncio.run(post(Webhook(province.url, tls, None), "a.b.c", "K7QM-2XTD-1"))
    ((path, headers, body),) = province.got
    assert (path, body) == ("/bao-cao", b"a.b.c")
    assert headers["content-type"] == "application/jose"
    assert headers["idempotency-key"] == '"K7QM-2XTD-1"'


def test_a_webhook_that_says_nothing_is_given_up_for_now(authority, tls, monkeypatch):
    monkeypatch.setattr(forwarding, "DEADLINE", 0.2)
    with webhook(authority) as province:
        province.hold.clear()
        with pytest.raises(NotTaken) as error:
            asyncio.run(post(Webhook(province.url, tls, None), "a.b.c", "K"))
        assert error.value.what == "slow"


@pytest.mark.parametrize(
    ("asked", "wait"), [("120", 120.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 0.0), ("-5", 0.0), ("9" * 40, 21600.0), ("²", 0.0)]
)
def test_retry_after_is_followed_within_reason(authority, tls, asked, wait):
    with webhook(authority, answers=[503], headers={"Retry-After": asked}) as province, pytest.raises(NotTaken) as error:
        asyncio.run(post(Webhook(province.url, tls, None), "a.b.c", "K"))
    assert error.value.wait == wait

"""Codes of the second step, against the RFC's own values."""

from base64 import b32encode
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree as ET

import pytest

from dashboard.signing_in import totp

SECRET = b32encode(b"12345678901234567890").decode()
RFC_6238 = [
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
    (20000000000, "353130"),
]
"""appendix B, SHA-1, the last six digits"""


@pytest.mark.parametrize(("now", "code"), RFC_6238)
def test_the_values_of_the_rfc(now, code):
    assert totp.matching_step(SECRET, code, now) == now // 30


@pytest.mark.parametrize(("later", "good"), [(-61, False), (-30, True), (0, True), (30, True), (61, False)])
def test_one_step_before_and_after(later, good):
    step = 1111111109 // 30
    assert (totp.matching_step(SECRET, "081804", step * 30 + later) is not None) is good


def test_a_step_is_used_once():
    now, code = RFC_6238[1]
    step = totp.matching_step(SECRET, code, now)
    assert totp.matching_step(SECRET, code, now, used=step) is None
    assert totp.matching_step(SECRET, code, now + 30, used=step) is None
    assert totp.matching_step(SECRET, code, now, used=step - 1) == step


@pytest.mark.parametrize("code", ["", "08180", "0818044", "abcdef", "٠٨١٨٠٤", "0818 4", "-81804"])
def test_what_is_no_code(code):
    assert totp.matching_step(SECRET, code, 1111111109) is None


def test_blanks_are_no_matter():
    assert totp.matching_step(SECRET, " 081 804 ", 1111111109)


def test_what_the_app_reads():
    parts = urlsplit(totp.address(SECRET, "co-lan"))
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert unquote(parts.path) == "/Mạng Lành:co-lan"
    assert parse_qs(parts.query) == {"secret": [SECRET], "issuer": ["Mạng Lành"]}


def test_the_picture_is_an_image_that_the_content_policy_lets_through():
    """``img-src data:``: no style, no script, colours as attributes."""
    address = totp.picture(totp.address(SECRET, "co-lan"))
    assert address.startswith("data:image/svg+xml")
    svg = ET.fromstring(unquote(address.partition(",")[2]))
    assert not [element for element in svg.iter() if element.tag.endswith(("style", "script")) or "style" in element.attrib]
    assert len(address) < 20_000


def test_recovery_codes():
    codes = totp.recovery_codes()
    assert len(set(codes)) == totp.RECOVERY_CODES
    assert all(totp.is_recovery_code(code) for code in codes)
    assert not totp.is_recovery_code("081804")
    assert totp.digest(codes[0]) == totp.digest(f" {codes[0].upper().replace('-', ' ')} ")
    assert len({totp.digest(code) for code in codes}) == totp.RECOVERY_CODES

"""The second step of signing in: codes from an app (TOTP, RFC 6238), and recovery codes for when the telephone is gone. Pure, but for randomness.

A code is good for its own 30 seconds and those before and after; whoever checks one notes its step, so that it is good once (section 5.2).
"""

import hmac
import re
import secrets
import string
from hashlib import sha256

import pyotp
import segno

STEP = 30
"""seconds"""
RECOVERY_CODES = 8
_LETTERS = "".join(sorted(set(string.ascii_lowercase + string.digits) - set("01loi")))
"""without those that look alike"""


def new_secret() -> str:
    """160 bits in Base32."""
    return pyotp.random_base32()


def matching_step(secret: str, code: str, now: float, used: int = 0) -> int | None:
    """The step whose code it is, if that was not used before (``used``: the last one that was); None: it is wrong."""
    code = re.sub(r"\s", "", code)
    if not re.fullmatch(r"[0-9]{6}", code):
        return None
    this = int(now) // STEP
    generator = pyotp.TOTP(secret, interval=STEP)
    steps = [step for step in (this, this - 1, this + 1) if hmac.compare_digest(generator.generate_otp(step), code)]
    return next((step for step in steps if step > used), None)


def address(secret: str, login: str) -> str:
    """What the app reads: ``otpauth://totp/...``. Short, so that an old camera reads its picture."""
    return pyotp.TOTP(secret, interval=STEP).provisioning_uri(name=login, issuer_name="Mạng Lành")


def picture(uri: str) -> str:
    """The QR code as an SVG image in a ``data:`` address, black on white in either theme, with the quiet zone that cameras need."""
    return segno.make_qr(uri, error="m").svg_data_uri(scale=5, border=4, dark="#000", light="#fff", omitsize=False)


def grouped(secret: str) -> str:
    """For somebody who types it in: ``ABCD EFGH ...``."""
    return " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))


def recovery_codes() -> list[str]:
    """``k7m2p-x9wqa``: 49 bits each."""
    return ["-".join("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(2)) for _ in range(RECOVERY_CODES)]


def is_recovery_code(code: str) -> bool:
    """Whether it has the form of one, so that one field takes both."""
    return len(_bare(code)) == 10


def digest(code: str) -> str:
    """What the store keeps of a recovery code, however it was typed."""
    return sha256(_bare(code).encode()).hexdigest()


def _bare(code: str) -> str:
    return re.sub(r"[^a-z0-9]", "", code.lower())

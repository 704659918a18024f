"""The forms of the block page: a signed token instead of a session, and texts as people may send them. Pure.

Nothing is stored on a pupil's device. The token says when it was made and by whom (HMAC with a secret of this process over address, host, time
and a random part), so it can neither be made elsewhere nor handed on; the address itself is nowhere in it. A token whose form was carried out
answers alike when it is sent again (``Outcomes``).
"""

import hmac
import re
from collections import OrderedDict
from hashlib import sha256
from typing import Generic, TypeVar
from urllib.parse import parse_qsl

VALID = 3600.0
"""seconds"""
SKEW = 60.0
"""seconds by which this box's clock may have been put back since"""
BODY = 16 * 1024
"""bytes"""
FIELDS = 20
FORM = "application/x-www-form-urlencoded"

_TOKEN = re.compile(r"([0-9]{1,12})\.([A-Za-z0-9_-]{16,32})\.([0-9a-f]{64})")
_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""and the marks that turn the direction of text around, with which a note could dress up as something else"""


def token(secret: bytes, address: str, host: str, now: float, random: str) -> str:
    """``random``: 16 to 32 characters of Base64 for URLs."""
    at = str(int(now))
    return f"{at}.{random}.{_signature(secret, address, host, at, random)}"


def checked(secret: bytes, given: str, address: str, host: str, now: float) -> str | None:
    """The token's random part; None: not ours, not for this address and host, or too old."""
    parts = _TOKEN.fullmatch(given)
    if parts is None or not hmac.compare_digest(parts[3], _signature(secret, address, host, parts[1], parts[2])):
        return None
    return parts[2] if -SKEW <= now - int(parts[1]) <= VALID else None


def _signature(secret: bytes, address: str, host: str, at: str, random: str) -> str:
    return hmac.new(secret, f"{address}\n{host}\n{at}\n{random}".encode(), sha256).hexdigest()


def fields(body: bytes) -> dict[str, str] | None:
    """An urlencoded form, of two fields with one name the first; None: it is none."""
    try:
        pairs = parse_qsl(body.decode("ascii", "replace"), keep_blank_values=True, max_num_fields=FIELDS, errors="replace")
    except ValueError:
        return None
    return dict(reversed(pairs))


def clean(text: str) -> str:
    """What somebody typed, without control characters and blanks around it."""
    return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")).strip()


Outcome = TypeVar("Outcome")


class Outcomes(Generic[Outcome]):
    """What came of a form, for when it is sent once more; the oldest are forgotten."""

    def __init__(self, remembered: int = 2048) -> None:
        self._remembered = remembered
        self._known: OrderedDict[str, Outcome] = OrderedDict()

    def known(self, random: str) -> Outcome | None:
        return self._known.get(random)

    def remember(self, random: str, outcome: Outcome) -> None:
        self._known[random] = outcome
        while len(self._known) > self._remembered:
            self._known.popitem(last=False)

"""The secret of a zone transfer key: the text of its file -> bytes. Pure.

The file has the Base64 that ``tsig-keygen`` prints, or the whole of what it prints. RFC 8945 section 5.1 wants as many
octets as the hash is long; BIND's and this program's least is 16, since fewer can be guessed.
"""

import re
from base64 import b64decode
from binascii import Error

SHORTEST = 16
"""octets"""
MAX_BYTES = 4096
_QUOTED = re.compile(r'secret\s+"([^"]*)"')


class BadSecret(ValueError):
    """Why the text is no secret, without any of it."""


def parse_secret(data: bytes) -> bytes:
    """Raises BadSecret."""
    if len(data) > MAX_BYTES:
        raise BadSecret("too long for a secret")
    try:
        text = data.decode("ascii").strip()
        quoted = _QUOTED.search(text)
        secret = b64decode(quoted[1] if quoted else text, validate=True)
    except (UnicodeDecodeError, Error):
        raise BadSecret("not Base64; make one with: tsig-keygen -a hmac-sha256 NAME") from None
    if len(secret) < SHORTEST:
        raise BadSecret(f"shorter than {SHORTEST} octets; make one with: tsig-keygen -a hmac-sha256 NAME")
    return secret

"""A file that only a passphrase opens, written and read in parts: AES-256-GCM in the STREAM construction, the key by scrypt. Pure, but for the random bytes.

``magic | salt 16 | prefix 7 | part | part ...``; a part is 64 KiB (the last one may be shorter) with 16 octets of GCM tag, under the nonce ``prefix | number
32 | is-last 8`` and with the header as associated data: parts that are missing, swapped, cut off or appended do not open (Hoang, Reyhanitabar, Rogaway and
Vizár, "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", CRYPTO 2015). The cost of the key is OWASP's for scrypt with 16 MB.
"""

import os
from collections.abc import Iterator
from typing import BinaryIO

from filters.message import Message

MAGIC = b"manglanh sealed 1\n"
PART = 64 * 1024
_TAG = 16
_SALT, _PREFIX = 16, 7
_HEADER = len(MAGIC) + _SALT + _PREFIX


class BadSeal(Exception):
    """It does not open. Its only argument is a ``Message``."""


def seal(source: BinaryIO, passphrase: str) -> Iterator[bytes]:
    """What is to be written, part by part."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - 6 MB, for a rare moment

    header = MAGIC + os.urandom(_SALT + _PREFIX)
    cipher = AESGCM(_key(header, passphrase))
    yield header
    number, part = 0, source.read(PART)
    while True:
        following = source.read(PART)
        yield cipher.encrypt(_nonce(header, number, last=not following), part, header)
        if not following:
            return
        number, part = number + 1, following


def unseal(source: BinaryIO, passphrase: str) -> Iterator[bytes]:
    """What was sealed, part by part; none is trusted before the last has come. Raises BadSeal."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    header = source.read(_HEADER)
    if len(header) < _HEADER or not header.startswith(MAGIC):
        raise BadSeal(Message("This file is damaged or cut off."))
    cipher = AESGCM(_key(header, passphrase))
    number, part = 0, source.read(PART + _TAG)
    while True:
        following = source.read(PART + _TAG)
        try:
            yield cipher.decrypt(_nonce(header, number, last=not following), part, header)
        except (InvalidTag, ValueError):
            if number == 0:
                raise BadSeal(Message("The passphrase is wrong, or the file is damaged.")) from None
            raise BadSeal(Message("This file is damaged or cut off.")) from None
        if not following:
            return
        number, part = number + 1, following


def _key(header: bytes, passphrase: str) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt  # noqa: PLC0415 - see above

    salt = header[len(MAGIC) : len(MAGIC) + _SALT]
    return Scrypt(salt=salt, length=32, n=2**14, r=8, p=5).derive(passphrase.encode())


def _nonce(header: bytes, number: int, *, last: bool) -> bytes:
    return header[-_PREFIX:] + number.to_bytes(4) + bytes([last])

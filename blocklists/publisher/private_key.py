"""An ed25519 private key as text: PKCS#8 PEM, encrypted with a key that scrypt makes of a passphrase. [shell: randomness]

Why not ``BestAvailableEncryption``: it derives the key with 2,048 rounds of PBKDF2, which a graphics card tries by the million
per second, and these files travel on USB sticks. So the envelope is written here: EncryptedPrivateKeyInfo (RFC 5958, section 3)
with PBES2 (RFC 8018, section 6.2), scrypt (RFC 7914, section 7) and AES-256-CBC. ``openssl pkey`` and cryptography read it.
"""

import base64
import os
import textwrap

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

COST, BLOCK, PARALLEL = 2**14, 8, 5
"""scrypt's N, r, p: 16 MB and about 0.15 s a try. More memory than that, and openssl's command line no longer opens the file."""
_KEY_BYTES = 32
_SEQUENCE, _INTEGER, _OCTETS, _OBJECT = 0x30, 0x02, 0x04, 0x06
_PBES2 = bytes.fromhex("2a864886f70d01050d")  # 1.2.840.113549.1.5.13
_SCRYPT = bytes.fromhex("2b06010401da47040b")  # 1.3.6.1.4.1.11591.4.11
_AES256_CBC = bytes.fromhex("60864801650304012a")  # 2.16.840.1.101.3.4.1.42


class BadKeyFile(Exception):
    """The text is not a private key of a kind that is used here."""


class WrongPassphrase(Exception):
    """The passphrase does not open the key."""


def locked_pem(key: Ed25519PrivateKey, passphrase: bytes) -> bytes:
    """The key as text that only ``passphrase`` opens."""
    salt, start = os.urandom(16), os.urandom(16)
    secret = Scrypt(salt=salt, length=_KEY_BYTES, n=COST, r=BLOCK, p=PARALLEL).derive(passphrase)
    padder = PKCS7(AES.block_size).padder()
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    encryptor = Cipher(AES(secret), CBC(start)).encryptor()
    hidden = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    derivation = _sequence(
        _der(_OBJECT, _SCRYPT), _sequence(_der(_OCTETS, salt), *(_integer(n) for n in (COST, BLOCK, PARALLEL, _KEY_BYTES)))
    )
    cipher = _sequence(_der(_OBJECT, _AES256_CBC), _der(_OCTETS, start))
    envelope = _sequence(_sequence(_der(_OBJECT, _PBES2), _sequence(derivation, cipher)), _der(_OCTETS, hidden))
    lines = "\n".join(textwrap.wrap(base64.b64encode(envelope).decode(), 64))
    return f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{lines}\n-----END ENCRYPTED PRIVATE KEY-----\n".encode()


def unlocked(pem: bytes, passphrase: bytes) -> Ed25519PrivateKey:
    """The key in ``pem``. Raises WrongPassphrase, BadKeyFile; also for a key that is not encrypted at all."""
    if b"BEGIN ENCRYPTED PRIVATE KEY" not in pem:
        raise BadKeyFile
    if not passphrase:
        raise WrongPassphrase
    try:
        key = load_pem_private_key(pem, passphrase)
    except ValueError as error:
        # cryptography has one exception for both; only the padding's check tells that the passphrase was wrong
        raise (WrongPassphrase if "ncorrect password" in str(error) else BadKeyFile) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadKeyFile
    return key


def _der(tag: int, content: bytes) -> bytes:
    """One value in DER (X.690, section 8.1): its tag, its length, its content; all lengths here fit in one or two bytes."""
    length = bytes([len(content)]) if len(content) < 0x80 else bytes([0x81, len(content)])
    return bytes([tag]) + length + content


def _sequence(*parts: bytes) -> bytes:
    return _der(_SEQUENCE, b"".join(parts))


def _integer(value: int) -> bytes:
    return _der(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))

"""Keys of the people and machines that sign: a public file that is sent around, a private one that stays. [shell]

``NAME.pub.json`` is the public key as TUF metadata will hold it, with its owner's name. Beside it, on one computer only, is either
``NAME.pem``, encrypted with a passphrase and readable by its owner alone, or ``NAME.uri``, which says where a key is kept that
never leaves its device or cloud (``hsm:``, ``gcpkms:``, ... : securesystemslib's signers). Refused: a private key without a
passphrase, a second key under a name, and a public file whose id is not the key's own, since two ids for one key would count
as two signatures.
"""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.exceptions import UnsupportedLibraryError
from securesystemslib.signer import SIGNER_FOR_URI_SCHEME, CryptoSigner, Key, SecretsHandler, Signature, Signer, SSlibKey
from tuf.api.exceptions import UnsignedMetadataError

from blocklists.publisher.errors import PublishError
from blocklists.publisher.private_key import BadKeyFile, WrongPassphrase, locked_pem, unlocked
from blocklists.publisher.workspace import sync_folder, write_file

OWNER = "x-manglanh-name"
"""the field of a key in the metadata that names its owner"""
SHORTEST_PASSPHRASE = 8
PUBLIC, PRIVATE, ELSEWHERE = ".pub.json", ".pem", ".uri"
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LONGEST_NAME = 40
_LONGEST_FILE = 20_000
_SCHEMES = sorted(scheme for scheme in SIGNER_FOR_URI_SCHEME if scheme != CryptoSigner.SCHEME)


def key_name(key: Key) -> str:
    """Whose key it is; for one that was made elsewhere, the beginning of its id."""
    name = key.unrecognized_fields.get(OWNER)
    return name if isinstance(name, str) else key.keyid[:8]


def fingerprint(key: Key) -> str:
    """What two people read to each other on the telephone: 64 bits of the key's id, in groups of four."""
    return " ".join(key.keyid[at : at + 4] for at in range(0, 16, 4))


def new_key(folder: Path, name: str, passphrase: str) -> CryptoSigner:
    """Make an ed25519 key: NAME.pem (0600) and NAME.pub.json in ``folder``. Raises PublishError, OSError."""
    check_name(name)
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise PublishError("The passphrase is too short: at least {count} characters.", count=SHORTEST_PASSPHRASE)
    private = Ed25519PrivateKey.generate()
    public = SSlibKey.from_crypto(private.public_key())
    public.unrecognized_fields[OWNER] = name
    folder.mkdir(parents=True, exist_ok=True)
    _refuse_second(folder, name)
    _write_private(folder / f"{name}{PRIVATE}", locked_pem(private, passphrase.encode()))
    save_public_key(folder, public)
    return CryptoSigner(private, public)


def new_remote_key(folder: Path, name: str, uri: str, public_file: Path) -> Key:
    """Record a key that is kept elsewhere: where (``uri``), and its public half, a PEM file. Raises PublishError, OSError."""
    check_name(name)
    if uri.partition(":")[0] not in _SCHEMES:
        raise PublishError("{uri}: not a place for keys that is known here; there are: {known}", uri=uri, known=", ".join(_SCHEMES))
    try:
        public = SSlibKey.from_crypto(load_pem_public_key(_bytes(public_file)))
    except ValueError as error:
        raise PublishError("{file} is not a public key (PEM): {why}", file=public_file, why=error) from None
    public.unrecognized_fields[OWNER] = name
    folder.mkdir(parents=True, exist_ok=True)
    _refuse_second(folder, name)
    _write_private(folder / f"{name}{ELSEWHERE}", f"{uri}\n".encode())
    save_public_key(folder, public)
    return public


def save_public_key(folder: Path, key: Key) -> Path:
    """Write ``NAME.pub.json``. Raises PublishError if another key has the name."""
    path = folder / f"{key_name(key)}{PUBLIC}"
    if path.exists() and read_public_key(path).keyid != key.keyid:
        raise PublishError("{file}: another key has this name already", file=path)
    write_file(path, json.dumps({"keyid": key.keyid, **key.to_dict()}, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n")
    return path


def read_public_key(path: Path) -> Key:
    """The key in a ``NAME.pub.json``. Raises PublishError."""
    try:
        found: dict[str, Any] = json.loads(_bytes(path))
        keyid = found.pop("keyid")
        key = Key.from_dict(keyid, found)
        name, own_id = key.unrecognized_fields.get(OWNER), _own_id(key)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PublishError("{file} is not a public key ({name}.pub.json): {why}", file=path, name="NAME", why=error) from None
    if keyid != own_id:
        raise PublishError("{file}: the id is not this key's; ask its owner to send the file again", file=path)
    if not isinstance(name, str):
        raise PublishError("{file} does not say whose key it is", file=path)
    check_name(name)
    return key


def private_keys(folder: Path) -> dict[str, Path]:
    """Key id -> the private file, for each key of this computer in ``folder``. Raises PublishError."""
    public = (path for path in sorted(folder.glob(f"*{PUBLIC}")) if path.is_file())
    found = {path: private_file(path) for path in public}
    return {read_public_key(path).keyid: private for path, private in found.items() if private is not None}


def private_file(public: Path) -> Path | None:
    """The private file beside a public one, if it is on this computer."""
    stem = public.name.removesuffix(PUBLIC)
    return next((path for ending in (PRIVATE, ELSEWHERE) if (path := public.with_name(stem + ending)).is_file()), None)


def open_signer(private: Path, secret: Callable[[str], str]) -> Signer:
    """What signs with this private file (``.pem`` or ``.uri``). ``secret`` is asked for a passphrase or PIN by the key's name.

    Raises PublishError: no public file beside it, a wrong passphrase, a damaged file, a private key that is not the public one's.
    """
    key = read_public_key(private.with_name(private.stem + PUBLIC))
    if private.suffix == ELSEWHERE:
        return _RemoteSigner(_bytes(private).decode("utf-8", "replace").strip(), key, secret)
    try:
        opened = unlocked(_bytes(private), secret(key_name(key)).encode())
        return CryptoSigner(opened, key if isinstance(key, SSlibKey) else None)
    except WrongPassphrase:
        raise PublishError("{file}: the passphrase is wrong", file=private) from None
    except BadKeyFile:
        raise PublishError("{file} is not a private key that was made by `manglanh publish key new`, or is damaged", file=private) from None
    except ValueError:
        raise PublishError("{file} is not the private half of {public}", file=private, public=key_name(key) + PUBLIC) from None


def refusal(error: UnsignedMetadataError, name: str) -> PublishError:
    """Why a key did not sign, in words."""
    cause = error.__cause__ or error
    if isinstance(cause, UnsupportedLibraryError):
        return PublishError("{name}: this key needs another Python library here: {why}", name=name, why=cause)
    return PublishError("{name}: the key did not sign: {why}", name=name, why=cause)


class _RemoteSigner(Signer):
    """A key that is kept elsewhere, reached when it signs; so that what goes wrong there arrives as tuf's "failed to sign"."""

    def __init__(self, uri: str, key: Key, secret: Callable[[str], str]) -> None:
        self._uri, self._key, self._secret = uri, key, secret

    @property
    def public_key(self) -> Key:
        return self._key

    @classmethod
    def from_priv_key_uri(cls, priv_key_uri: str, public_key: Key, secrets_handler: SecretsHandler | None = None) -> "_RemoteSigner":
        return cls(priv_key_uri, public_key, secrets_handler or (lambda _: ""))

    def sign(self, payload: bytes) -> Signature:
        return Signer.from_priv_key_uri(self._uri, self._key, lambda _: self._secret(key_name(self._key))).sign(payload)


def check_name(name: str) -> None:
    """Refuse what would not be a file's name everywhere. Raises PublishError."""
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise PublishError("{name}: a key's name is small letters a-z, digits and hyphens, for example so-gddt", name=name)


def _own_id(key: Key) -> str:
    """The id that securesystemslib gives this key. Taken from the key's canonical form: an upper-case letter in the hexadecimal
    digits, or a space in the PEM, would make another id for the same key. Raises ValueError.
    """
    value = key.keyval["public"]
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(value)) if key.keytype == "ed25519" else load_pem_public_key(value.encode())
    return SSlibKey.from_crypto(public, scheme=key.scheme).keyid


def _refuse_second(folder: Path, name: str) -> None:
    for ending in (PUBLIC, PRIVATE, ELSEWHERE):
        if (folder / f"{name}{ending}").exists():
            raise PublishError("{file} is there already; choose another name", file=folder / f"{name}{ending}")


def _write_private(path: Path, content: bytes) -> None:
    """Never over another one, and never readable by others, not for a moment."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST_FILE)
    except OSError as error:
        raise PublishError("{file} cannot be read: {why}", file=path, why=error.strerror) from None

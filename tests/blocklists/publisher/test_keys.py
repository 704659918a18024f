"""Private keys: locked with a passphrase, readable by their owner alone; and public ones that cannot count twice."""

import hashlib
import json
import stat
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat, PublicFormat
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import SIGNER_FOR_URI_SCHEME, CryptoSigner
from tuf.api.metadata import Metadata, Root

from blocklists.publisher.errors import PublishError
from blocklists.publisher.keys import (
    check_name,
    fingerprint,
    key_name,
    new_key,
    new_remote_key,
    open_signer,
    private_keys,
    read_public_key,
    save_public_key,
)
from blocklists.publisher.private_key import BadKeyFile, WrongPassphrase, locked_pem, unlocked
from blocklists.publisher.signing import sign
from tests.blocklists.publisher.signed_province import DAY, NOW, held, released_province, signer

PASSPHRASE = "mật khẩu đủ dài"


@pytest.fixture
def made(tmp_path):
    return new_key(tmp_path, "so-gddt", PASSPHRASE)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


class TestANewKey:
    def test_is_two_files_and_only_one_travels(self, made, tmp_path):
        assert sorted(path.name for path in tmp_path.iterdir()) == ["so-gddt.pem", "so-gddt.pub.json"]
        assert mode(tmp_path / "so-gddt.pem") == 0o600
        assert mode(tmp_path / "so-gddt.pub.json") & 0o044
        assert "PRIVATE" not in (tmp_path / "so-gddt.pub.json").read_text()

    def test_opens_with_its_passphrase(self, made, tmp_path):
        asked = []
        opened = open_signer(tmp_path / "so-gddt.pem", lambda name: asked.append(name) or PASSPHRASE)
        assert opened.sign(b"x") == made.sign(b"x")
        assert asked == ["so-gddt"]

    @pytest.mark.parametrize("wrong", ["", "sai", PASSPHRASE + " ", PASSPHRASE.upper()])
    def test_and_with_no_other(self, made, tmp_path, wrong):
        with pytest.raises(PublishError, match=r"so-gddt\.pem: the passphrase is wrong"):
            open_signer(tmp_path / "so-gddt.pem", lambda _: wrong)

    def test_never_replaces_one(self, made, tmp_path):
        before = (tmp_path / "so-gddt.pem").read_bytes()
        with pytest.raises(PublishError, match="is there already"):
            new_key(tmp_path, "so-gddt", PASSPHRASE)
        assert (tmp_path / "so-gddt.pem").read_bytes() == before

    def test_a_short_passphrase_is_refused(self, tmp_path):
        with pytest.raises(PublishError, match="too short: at least 8"):
            new_key(tmp_path, "a", "1234567")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("name", ["", "Sở", "A", "a b", "../a", "a/b", "-a", "a--b", "x" * 41, "a.pem"])
    def test_a_name_that_is_no_file_s_everywhere_is_refused(self, tmp_path, name):
        with pytest.raises(PublishError, match="small letters"):
            new_key(tmp_path / "keys", name, PASSPHRASE)

    def test_says_whose_it_is(self, made):
        assert key_name(made.public_key) == "so-gddt"
        assert fingerprint(made.public_key).replace(" ", "") == made.public_key.keyid[:16]


class TestThePrivateFile:
    KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)

    def test_goes_there_and_back(self):
        assert unlocked(locked_pem(self.KEY, b"passphrase"), b"passphrase").private_bytes_raw() == b"k" * 32

    def test_is_locked_with_scrypt_and_openssl_reads_it(self, tmp_path):
        path, secret = tmp_path / "key.pem", tmp_path / "secret"
        path.write_bytes(locked_pem(self.KEY, b"passphrase"))
        secret.write_text("passphrase\n")
        told = subprocess.run(["openssl", "asn1parse", "-in", path], capture_output=True, text=True, check=True).stdout
        assert {"scrypt", "aes-256-cbc"} <= {line.rsplit(":", 1)[-1] for line in told.splitlines()}
        told = subprocess.run(
            ["openssl", "pkey", "-in", path, "-passin", f"file:{secret}", "-pubout"], capture_output=True, check=True
        ).stdout
        assert told == self.KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def test_is_never_the_same_twice(self):
        assert locked_pem(self.KEY, b"passphrase") != locked_pem(self.KEY, b"passphrase")

    def test_of_any_passphrase(self):
        assert unlocked(locked_pem(self.KEY, "Mật khẩu, có dấu ".encode() * 20), "Mật khẩu, có dấu ".encode() * 20)

    @pytest.mark.parametrize(
        "pem",
        [
            b"",
            b"hello",
            b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
            KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase")),
        ],
        ids=["empty", "text", "damaged", "not encrypted", "another kind"],
    )
    def test_anything_else_is_refused(self, pem):
        with pytest.raises(BadKeyFile):
            unlocked(pem, b"passphrase")

    def test_a_damaged_one_never_opens(self):
        pem = locked_pem(self.KEY, b"passphrase")
        for cut in range(40, len(pem) - 40, 7):
            with pytest.raises((BadKeyFile, WrongPassphrase)):
                unlocked(pem[:cut] + b"A" + pem[cut + 9 :], b"passphrase")

    def test_of_somebody_else_under_this_name_is_refused(self, made, tmp_path):
        new_key(tmp_path / "other", "so-gddt", PASSPHRASE)
        (tmp_path / "so-gddt.pem").write_bytes((tmp_path / "other" / "so-gddt.pem").read_bytes())
        with pytest.raises(PublishError, match=r"so-gddt\.pem is not the private half of so-gddt\.pub\.json"):
            open_signer(tmp_path / "so-gddt.pem", lambda _: PASSPHRASE)


class TestThePublicFile:
    def changed(self, tmp_path, **fields):
        path = save_public_key(tmp_path, signer("a").public_key)
        found = json.loads(path.read_text())
        for name, value in fields.items():
            target = found["keyval"] if name == "public" else found
            target[name.replace("_", "-")] = value(target[name.replace("_", "-")]) if callable(value) else value
        path.write_text(json.dumps(found))
        return path

    def test_goes_there_and_back(self, tmp_path):
        assert read_public_key(self.changed(tmp_path)) == signer("a").public_key

    @pytest.mark.parametrize(
        "fields",
        [
            {"keyid": "0" * 64},
            {"public": "00" * 32},
            {"scheme": "none"},
            {"keytype": None},
            {"x_manglanh_name": 1},
            {"x_manglanh_name": "../a"},
        ],
    )
    def test_a_changed_one_is_refused(self, tmp_path, fields):
        with pytest.raises(PublishError):
            read_public_key(self.changed(tmp_path, **fields))

    def test_one_key_has_one_id(self, tmp_path):
        """Its digits in capitals are the same key; with an id of their own they would count as a second signature."""
        capitals = signer("a").public_key.keyval["public"].upper()
        keyid = hashlib.sha256(
            encode_canonical({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": capitals}}).encode()
        ).hexdigest()
        with pytest.raises(PublishError, match="the id is not this key's"):
            read_public_key(self.changed(tmp_path, public=capitals, keyid=keyid))

    @pytest.mark.parametrize(
        "text",
        ["", "[]", "{}", "null", "<html>", '{"keyid": "x"}', '{"keyid": 3, "keytype": "ed25519", "scheme": "ed25519", "keyval": {}}'],
    )
    def test_anything_else_is_refused_in_words(self, tmp_path, text):
        path = tmp_path / "a.pub.json"
        path.write_text(text)
        with pytest.raises(PublishError, match=r"a\.pub\.json is not a public key"):
            read_public_key(path)

    def test_a_missing_one_is_told_in_words(self, tmp_path):
        with pytest.raises(PublishError, match="cannot be read: No such file"):
            read_public_key(tmp_path / "a.pub.json")

    def test_another_key_does_not_take_its_name(self, tmp_path):
        new_key(tmp_path, "a", PASSPHRASE)
        with pytest.raises(PublishError, match="another key has this name already"):
            save_public_key(tmp_path, signer("a").public_key)

    def test_check_name_accepts_what_the_guide_shows(self):
        for name in ("so-gddt", "cong-an-tinh", "a", "team-2"):
            check_name(name)


class TestAKeyElsewhere:
    """hsm:, gcpkms: and the like: the device's own signer is securesystemslib's."""

    @pytest.fixture
    def public(self, tmp_path):
        path = tmp_path / "device.pem"
        path.write_bytes(signer("device")._private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        return path

    def test_is_recorded_and_found(self, tmp_path, public):
        key = new_remote_key(tmp_path / "keys", "so-kh", "hsm:2?label=x", public)
        assert private_keys(tmp_path / "keys") == {key.keyid: tmp_path / "keys" / "so-kh.uri"}
        assert mode(tmp_path / "keys" / "so-kh.uri") == 0o600
        assert key.keyid == signer("device").public_key.keyid

    def test_signs_and_may_ask_for_a_pin(self, tmp_path, public, monkeypatch):
        class Device(CryptoSigner):
            @classmethod
            def from_priv_key_uri(cls, uri, key, secrets_handler=None):
                assert (uri, secrets_handler("PIN")) == ("hsm:2", "1234")
                return signer("device")

        monkeypatch.setitem(SIGNER_FOR_URI_SCHEME, "hsm", Device)
        new_remote_key(tmp_path, "so-kh", "hsm:2", public)
        metadata = Metadata(Root())
        metadata.sign(open_signer(tmp_path / "so-kh.uri", lambda _: "1234"))
        assert list(metadata.signatures) == [signer("device").public_key.keyid]

    def test_without_its_library_says_which(self, tmp_path, public, monkeypatch):
        made = released_province(tmp_path / "province")
        monkeypatch.setattr("securesystemslib.signer._hsm_signer.PKCS11_IMPORT_ERROR", "'python-pkcs11' required")
        new_remote_key(tmp_path, "so-kh", "hsm:2", public)
        found = open_signer(tmp_path / "so-kh.uri", lambda _: "")
        found._key = held("a").keys[0]
        made.stage(list=b"second")
        with pytest.raises(PublishError, match="a: this key needs another Python library here: 'python-pkcs11' required"):
            sign(made.workspace, found, ["mandatory"], NOW + DAY)

    @pytest.mark.parametrize("uri", ["file2:/x", "nowhere:x", "x", ""])
    def test_an_unknown_place_is_refused(self, tmp_path, public, uri):
        with pytest.raises(PublishError, match="not a place for keys that is known here; there are: awskms, azurekms"):
            new_remote_key(tmp_path, "so-kh", uri, public)

    def test_what_is_no_public_key_is_refused(self, tmp_path):
        path = tmp_path / "x.pem"
        path.write_text("hello")
        with pytest.raises(PublishError, match="is not a public key"):
            new_remote_key(tmp_path, "so-kh", "hsm:2", path)

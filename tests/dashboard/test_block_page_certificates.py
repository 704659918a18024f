"""Certificates made on the fly: for which names, signed by whom, how many a second, and what a browser's TLS says of them."""

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from dashboard.block_page import certificates
from dashboard.block_page.certificates import Authority, CertificateTrouble, Leaves, leaf, server_context

NOW = datetime.now(UTC).timestamp()
NAMES = ["tiktok.com", "www.facebook.com", "xn--bcher-kva.example", "a" * 60 + ".example.vn", "_dns.example.vn", "localhost"]


def make_ca(path, key=None, *, ca=True, days=3650, began=-1.0, usage=True, key_in=None, extra=b""):
    """A CA as mitmproxy makes one: key and certificate in one PEM file."""
    key = key or rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Trường Thử CA")])
    at = datetime.fromtimestamp(NOW, UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(at + timedelta(days=min(began, days - 1)))
        .not_valid_after(at + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if usage is not None:
        bits = dict.fromkeys(
            (
                "digital_signature",
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "encipher_only",
                "decipher_only",
            ),
            False,
        )
        builder = builder.add_extension(x509.KeyUsage(**bits, key_cert_sign=usage, crl_sign=usage), critical=True)
    certificate = builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    written = (key_in or key).private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL if isinstance(key, rsa.RSAPrivateKey) else serialization.PrivateFormat.PKCS8, serialization.NoEncryption())  # fmt: skip
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    path.write_bytes(written + pem + extra)
    path.with_suffix(".crt").write_bytes(pem)
    return certificate


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    path = tmp_path_factory.mktemp("ca") / "mitmproxy-ca.pem"
    make_ca(path)
    return path


def shake(context: ssl.SSLContext, trusted: ssl.SSLContext, server_name: str | None) -> ssl.SSLObject:
    """A whole handshake in memory; the client's side."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusted.wrap_bio(to_client, to_server, server_hostname=server_name)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    sides = [client, server]
    for _ in range(10):
        for side in list(sides):
            try:
                side.do_handshake()
                sides.remove(side)
            except ssl.SSLWantReadError:
                pass
        if not sides:
            return client
    raise AssertionError("the handshake does not end")


def trusting(ca, *, check: bool = True) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = check
    context.load_verify_locations(ca.with_suffix(".crt"))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


@pytest.mark.parametrize("name", NAMES)
def test_a_browser_that_trusts_the_school_trusts_the_page(ca, name):
    context = server_context(ca, "manglanh.home.arpa")
    client = shake(context, trusting(ca, check="_" not in name), name)
    presented = client.getpeercert()
    assert presented["subjectAltName"] == (("DNS", name),)
    assert client.version() == "TLSv1.3"


def test_without_a_name_it_is_the_box_itself(ca):
    context = server_context(ca, "manglanh.home.arpa", (ip_address("10.0.0.2"), ip_address("fd00::2")))
    client = shake(context, trusting(ca, check=False), None)
    assert client.getpeercert()["subjectAltName"] == (
        ("DNS", "manglanh.home.arpa"),
        ("IP Address", "10.0.0.2"),
        ("IP Address", "FD00:0:0:0:0:0:0:2"),
    )
    assert shake(context, trusting(ca), "10.0.0.2")


@pytest.mark.parametrize("name", ["a..b", "-a.vn", "x" * 64 + ".vn", "*.vn", "a b.vn", "10.0.0.1", "ю" * 70, ""])
def test_a_name_that_is_none_gets_the_box_s_own(ca, name):
    leaves = Leaves(Authority(ca, NOW), "manglanh.home.arpa", (), lambda: NOW)
    assert leaves.context(name) is leaves.context("manglanh.home.arpa")


def test_a_browser_that_does_not_trust_the_school_sees_its_own_error(ca, tmp_path):
    make_ca(tmp_path / "other.pem")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(server_context(ca, "manglanh.home.arpa"), trusting(tmp_path / "other.pem"), "tiktok.com")


@pytest.mark.parametrize(
    "kind",
    [lambda: rsa.generate_private_key(65537, 2048), lambda: ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate],
)
def test_every_usual_kind_of_ca_key(tmp_path, kind):
    make_ca(tmp_path / "ca.pem", kind())
    assert shake(server_context(tmp_path / "ca.pem", "box.lan"), trusting(tmp_path / "ca.pem"), "tiktok.com")


def test_a_leaf_is_what_browsers_ask_for(ca):
    authority = Authority(ca, NOW)
    made = leaf(authority, ec.generate_private_key(ec.SECP256R1()), "tiktok.com", NOW)
    assert made.not_valid_before_utc.timestamp() == pytest.approx(NOW - 86400, abs=1)
    assert made.not_valid_after_utc.timestamp() == pytest.approx(NOW + 6 * 86400, abs=1)
    assert made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value == x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    key_id = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert made.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == key_id
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    made.verify_directly_issued_by(authority.certificate)


def test_a_leaf_does_not_outlive_its_authority(tmp_path):
    made_ca = make_ca(tmp_path / "ca.pem", days=2)
    made = leaf(Authority(tmp_path / "ca.pem", NOW), ec.generate_private_key(ec.SECP256R1()), "tiktok.com", NOW)
    assert made.not_valid_after_utc == made_ca.not_valid_after_utc


def test_a_flood_of_new_names_is_bounded_and_known_names_go_on(ca):
    ticks = [0.0]
    leaves = Leaves(Authority(ca, NOW), "box.lan", (), lambda: NOW, lambda: ticks[0])
    known = leaves.context("tiktok.com")
    made = sum(leaves.context(f"{number}.example.vn") is not None for number in range(200))
    assert made == certificates.BURST - 1
    assert leaves.context("tiktok.com") is known
    ticks[0] = 1.0
    assert sum(leaves.context(f"{number}.example.com") is not None for number in range(200)) == certificates.PER_SECOND


def test_a_flood_ends_the_handshake(ca, monkeypatch):
    leaves = Leaves(Authority(ca, NOW), "box.lan", (), lambda: NOW)
    monkeypatch.setattr(leaves, "_may_make", lambda _: False)
    leaves.own.sni_callback = leaves.choose
    with pytest.raises(ssl.SSLError):
        shake(leaves.own, trusting(ca), "new.example.vn")


def test_what_is_remembered_is_bounded_and_renewed(ca, monkeypatch):
    ticks = [0.0]
    monkeypatch.setattr(certificates, "REMEMBERED", 3)
    leaves = Leaves(Authority(ca, NOW), "box.lan", (), lambda: NOW, lambda: ticks[0])
    first = leaves.context("0.vn")
    for number in range(1, 5):
        leaves.context(f"{number}.vn")
    assert len(leaves._contexts) == 3
    assert leaves.context("0.vn") is not first
    again = leaves.context("0.vn")
    ticks[0] = certificates.RENEWED
    assert leaves.context("0.vn") is not again


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path: None, "No such file"),
        (lambda path: path.mkdir(), "directory"),
        (lambda path: path.write_bytes(b""), "not a key"),
        (lambda path: path.write_bytes(b"\xff" * 1000), "not a key"),
        (lambda path: make_ca(path, ca=False), "not that of an authority"),
        (lambda path: make_ca(path, usage=False), "not that of an authority"),
        (lambda path: make_ca(path, days=-1, began=-30), "has ended"),
        (lambda path: make_ca(path, key_in=rsa.generate_private_key(65537, 2048)), "belongs to none"),
        (lambda path: path.write_bytes(make_ca(path).public_bytes(serialization.Encoding.PEM)), "not a key"),
        (
            lambda path: make_ca(path, ec.generate_private_key(ec.SECP256R1()), key_in=x25519.X25519PrivateKey.generate()),
            "signs no certificates",
        ),
    ],
)
def test_a_ca_that_cannot_be_used_is_named(tmp_path, write, said):
    path = tmp_path / "ca.pem"
    write(path)
    with pytest.raises(CertificateTrouble, match=said):
        server_context(path, "box.lan", (), lambda: NOW)


def test_an_encrypted_key_is_named(tmp_path):
    key = rsa.generate_private_key(65537, 2048)
    make_ca(tmp_path / "ca.pem", key)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    )
    (tmp_path / "ca.pem").write_bytes(encrypted + (tmp_path / "ca.crt").read_bytes())
    with pytest.raises(CertificateTrouble, match="not a key"):
        Authority(tmp_path / "ca.pem", NOW)


def test_a_ca_without_key_usage_is_one(tmp_path):
    make_ca(tmp_path / "ca.pem", usage=None)
    assert Authority(tmp_path / "ca.pem", NOW)


def test_the_private_key_stays_in_memory(ca, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    server_context(ca, "box.lan")
    assert list(tmp_path.iterdir()) == []


def test_over_a_real_socket(ca):
    context = server_context(ca, "box.lan")
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer():
            connection, _ = listening.accept()
            with context.wrap_socket(connection, server_side=True) as tls:
                tls.sendall(b"xin chao")

        thread = threading.Thread(target=answer)
        thread.start()
        with (
            socket.create_connection(listening.getsockname()) as plain,
            trusting(ca).wrap_socket(plain, server_hostname="tiktok.com") as tls,
        ):
            assert tls.recv(100) == b"xin chao"
        thread.join(10)

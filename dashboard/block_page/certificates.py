"""Certificates made on the fly, so that devices that trust the school's own authority (CA) see the block page over HTTPS.  [shell]

The CA is one PEM file with key and certificate, as mitmproxy's ``mitmproxy-ca.pem``. A leaf is for one host name, valid for a week from yesterday
on (a device's clock may be behind), with one P-256 key for all of them that never leaves the process. Making one costs about a
millisecond on a PC and ten on a small board, so a flood of new names is bounded per second: then a handshake fails, and what is known goes on. A
name that is no host name gets the box's own certificate, as does whoever names none.
"""

import os
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from filters.message import Message
from filters.name import InvalidName, normalise

VALID = timedelta(days=7)
BACKDATED = timedelta(days=1)
RENEWED = 86400.0
"""seconds after which a leaf is made anew"""
REMEMBERED = 256
"""contexts, each about 20 kB"""
PER_SECOND = 20.0
BURST = 60.0
CA_FILE = 256 * 1024
"""bytes"""
COMMON_NAME = 64
"""characters (RFC 5280, ub-common-name)"""

SigningKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class CertificateTrouble(Exception):
    """The school's CA cannot be used. Its only argument is a ``Message``."""


class Authority:
    """The school's CA."""

    def __init__(self, path: Path, now: float) -> None:
        """Raises CertificateTrouble for a file that is none, or no longer."""
        data = _contents(path)
        try:
            key = serialization.load_pem_private_key(data, None)
            certificates = x509.load_pem_x509_certificates(data)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise CertificateTrouble(Message("{path}: not a key and a certificate in PEM: {why}", path=path, why=error)) from None
        if not isinstance(key, SigningKey):
            raise CertificateTrouble(Message("{path}: this kind of key signs no certificates here", path=path))
        own = next((each for each in certificates if each.public_key() == key.public_key()), None)
        if own is None:
            raise CertificateTrouble(Message("{path}: the key belongs to none of its certificates", path=path))
        if not _may_sign(own):
            raise CertificateTrouble(Message("{path}: the certificate is not that of an authority (CA)", path=path))
        if own.not_valid_after_utc.timestamp() <= now:
            raise CertificateTrouble(Message("{path}: the authority's certificate has ended", path=path))
        self.key: SigningKey = key
        self.certificate = own
        self.chain = b"".join(_pem(each) for each in certificates if each.issuer != each.subject)
        """what a device that trusts only the root must be shown"""


def _contents(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(CA_FILE)
    except OSError as error:
        raise CertificateTrouble(Message("{path}: {why}", path=path, why=error.strerror or str(error))) from None


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        if not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound as missing:
        return missing.oid == x509.KeyUsage.oid  # a CA that says nothing of its key may use it for anything


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def leaf(
    authority: Authority, key: ec.EllipticCurvePrivateKey, name: str, now: float, addresses: Iterable[IPv4Address | IPv6Address] = ()
) -> x509.Certificate:
    """A server's certificate for one canonical name (RFC 5280)."""
    at = datetime.fromtimestamp(now, UTC)
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, name)] if len(name) <= COMMON_NAME else []
    names = x509.SubjectAlternativeName([x509.DNSName(name), *map(x509.IPAddress, addresses)])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    for extension in authority.certificate.extensions:
        if isinstance(extension.value, x509.SubjectKeyIdentifier):
            issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(extension.value)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(subject))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - BACKDATED)
        .not_valid_after(min(at - BACKDATED + VALID, authority.certificate.not_valid_after_utc))
        .add_extension(names, critical=not subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(issuer, critical=False)
    )
    return builder.sign(authority.key, None if isinstance(authority.key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


class Leaves:
    """The contexts of the names that were asked for lately."""

    def __init__(
        self,
        authority: Authority,
        own_name: str,
        addresses: Iterable[IPv4Address | IPv6Address],
        clock: Callable[[], float],
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        """``clock``: Unix seconds, for validity; ``ticks``: seconds that never run backwards."""
        self._authority = authority
        self._own_name = own_name
        self._addresses = tuple(addresses)
        self._clock = clock
        self._ticks = ticks
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._contexts: OrderedDict[str, tuple[float, ssl.SSLContext]] = OrderedDict()
        self._left = BURST
        self._filled_at = ticks()
        self.own = self._make(own_name)

    def choose(self, connection: ssl.SSLObject | ssl.SSLSocket, server_name: str | None, _: ssl.SSLContext) -> int | None:
        """The ``sni_callback`` of ssl: the certificate for this name, or the alert that ends the handshake."""
        context = self.context(server_name)
        if context is None:
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        connection.context = context
        return None

    def context(self, server_name: str | None) -> ssl.SSLContext | None:
        """None: too many new names in this second."""
        try:
            name = normalise(server_name or self._own_name)
        except InvalidName:
            name = self._own_name
        ticks = self._ticks()
        known = self._contexts.get(name)
        if known is not None and ticks - known[0] < RENEWED:
            self._contexts.move_to_end(name)
            return known[1]
        if not self._may_make(ticks):
            return None
        context = self._make(name)
        self._contexts[name] = ticks, context
        while len(self._contexts) > REMEMBERED:
            self._contexts.popitem(last=False)
        return context

    def _may_make(self, ticks: float) -> bool:
        self._left = min(BURST, self._left + (ticks - self._filled_at) * PER_SECOND)
        self._filled_at = ticks
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def _make(self, name: str) -> ssl.SSLContext:
        certificate = leaf(self._authority, self._key, name, self._clock(), self._addresses if name == self._own_name else ())
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        key = self._key.private_bytes(encoding, form, serialization.NoEncryption())
        return _context(_pem(certificate) + self._authority.chain + key)


def _context(pem: bytes) -> ssl.SSLContext:
    """``load_cert_chain`` takes files only: this one is in memory, and nowhere else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_TICKET  # a session would be tied to one of many contexts
    context.num_tickets = 0
    descriptor = os.memfd_create("leaf", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
    return context


def server_context(
    ca: Path, own_name: str, addresses: Iterable[IPv4Address | IPv6Address] = (), clock: Callable[[], float] = time.time
) -> ssl.SSLContext:
    """What a server that listens for HTTPS uses: each handshake gets the certificate of the name it asks for. Raises CertificateTrouble."""
    leaves = Leaves(Authority(ca, clock()), own_name, addresses, clock)
    leaves.own.sni_callback = leaves.choose
    return leaves.own

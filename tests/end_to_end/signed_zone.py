"""A zone signed here and now, a damaged copy of it, and Debian's Unbound as the validating upstream that serves both."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dns.dnssec
import dns.message
import dns.query
import dns.rdatatype
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec

from tests.bench import processes
from tests.end_to_end.waiting import eventually

GOOD, BOGUS = "signed.example", "bogus.example"
ADDRESS = "198.51.100.53"
ZONE = """
$TTL 300
@ SOA ns root 1 3600 600 86400 60
@ NS ns
ns A 198.51.100.1
www A {address}
www TXT "signed"
"""
UNBOUND = """
server:
  interface: 127.0.0.1@{port}
  access-control: 127.0.0.0/8 allow
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{directory}"
  pidfile: ""
  use-syslog: no
  module-config: "validator iterator"
  do-ip6: no
  ede: yes
  trust-anchor-signaling: no
  root-hints: ""
  {anchors}
{zones}
"""


def _signed(origin: str, directory: Path, *, damage: bool) -> tuple[Path, str]:
    """Writes the signed zone; returns its file and the DNSKEY that anchors it."""
    key = ec.generate_private_key(ec.SECP256R1())
    dnskey = dns.dnssec.make_dnskey(key.public_key(), dns.dnssec.Algorithm.ECDSAP256SHA256, flags=257)
    zone = dns.zone.from_text(ZONE.format(address=ADDRESS), f"{origin}.", relativize=False)
    now = datetime.now(UTC)
    with zone.writer() as transaction:
        dns.dnssec.sign_zone(
            zone, transaction, [(key, dnskey)], inception=now - timedelta(hours=1), expiration=now + timedelta(days=1), add_dnskey=True
        )
    text = zone.to_text(relativize=False)
    path = directory / f"{origin}.zone"
    path.write_text(text.replace(ADDRESS, "198.51.100.66") if damage else text)
    return path, f"{origin}. DNSKEY {dnskey.to_text()}"


@contextmanager
def validating_unbound(directory: Path) -> Iterator[int]:
    """The port of an Unbound that trusts both zones' keys; BOGUS has an address that its signature does not cover."""
    port = processes.free_port()
    anchors, zones = [], []
    for origin in (GOOD, BOGUS):
        path, anchor = _signed(origin, directory, damage=origin == BOGUS)
        anchors.append(f"trust-anchor: '{anchor}'")
        zones.append(
            f'auth-zone:\n  name: "{origin}"\n  zonefile: "{path}"\n  for-upstream: yes\n  for-downstream: no\n  fallback-enabled: no\n'
        )
    file = directory / "unbound.conf"
    file.write_text(UNBOUND.format(port=port, directory=directory, anchors="\n  ".join(anchors), zones="".join(zones)))
    log = directory / "unbound.log"
    with processes.running(["unbound", "-d", "-c", file], port=port, log=log, core=None):
        eventually(lambda: _serves(port), f"Unbound answers: {processes.tail(log)}")
        yield port


def _serves(port: int) -> bool:
    query = dns.message.make_query(f"www.{GOOD}", "A")
    try:
        return bool(dns.query.udp(query, "127.0.0.1", port=port, timeout=0.3).answer)
    except (dns.exception.Timeout, OSError):
        return False

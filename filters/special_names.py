"""Names that the resolver answers by itself, because a standard or a vendor says so, before any policy is asked.

Promises: ``special`` is pure and total, and costs one or two dictionary lookups for an ordinary name. Refuses to know the
school: whoever calls asks *first* for what the school itself serves there (its own host name under ``home.arpa``, local
records and their reverse names, conditional forwarding such as ``truong.local``, its DDR records under ``resolver.arpa``).

The apex of a zone that is served locally and empty (RFC 6303 section 3) exists and has no data; everything below it does not
exist. Saying NXDOMAIN for the apex would deny the school's own names below it (RFC 8020).

``manglanh.test`` is the exception to ``test``: the test name of each category must reach the policy.
"""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from filters.name import parents


class Answer(StrEnum):
    NXDOMAIN = "nxdomain"
    NODATA = "nodata"
    ADDRESSES = "addresses"
    """A and AAAA from ``Special.addresses``; NODATA for every other type"""


@dataclass(frozen=True, slots=True)
class Special:
    """How a special name is answered, and why, in words for ``explain`` and the log."""

    answer: Answer
    why: str
    addresses: tuple[IPv4Address | IPv6Address, ...] = ()


_FIREFOX = Special(Answer.NXDOMAIN, "canary: keeps Firefox from using DNS over HTTPS of its own (support.mozilla.org)")
_APPLE = Special(Answer.NXDOMAIN, "canary: turns iCloud Private Relay off (developer.apple.com, Prepare your network)")
_CHROME = Special(Answer.NXDOMAIN, "canary: Chrome's private prefetch proxy asks this resolver first (developer.chrome.com)")

_EXACT: dict[str, Special] = {
    "use-application-dns.net": _FIREFOX,
    "mask.icloud.com": _APPLE,
    "mask-h2.icloud.com": _APPLE,
    "mask-canary.icloud.com": _APPLE,
    "dns-tunnel-check.googlezip.net": _CHROME,
}

_LOCALHOST = Special(Answer.ADDRESSES, "localhost (RFC 6761 section 6.3)", (IPv4Address("127.0.0.1"), IPv6Address("::1")))
_RESOLVER = Special(Answer.NODATA, "resolver.arpa is not forwarded; no designated resolver here (RFC 9462 section 6.4)")

_WHOLE: dict[str, Special] = {
    "localhost": _LOCALHOST,
    "invalid": Special(Answer.NXDOMAIN, "invalid never exists (RFC 6761 section 6.4)"),
    "test": Special(Answer.NXDOMAIN, "test never exists outside tests (RFC 6761 section 6.2)"),
    "onion": Special(Answer.NXDOMAIN, "onion names are not in DNS (RFC 7686 section 2)"),
    "local": Special(Answer.NXDOMAIN, "local belongs to multicast DNS (RFC 6762 section 22.1)"),
    "resolver.arpa": _RESOLVER,
}
"""Subtrees of one answer, apex included."""

_HOME = "home.arpa is for names of this network, which has none by this name (RFC 8375)"
_REVERSE = "reverse name of a private or reserved address, not to be asked outside (RFC 6303, RFC 7793)"

_EMPTY_ZONES: tuple[tuple[str, str], ...] = (
    ("home.arpa", _HOME),
    ("10.in-addr.arpa", _REVERSE),
    *((f"{octet}.172.in-addr.arpa", _REVERSE) for octet in range(16, 32)),
    ("168.192.in-addr.arpa", _REVERSE),
    ("0.in-addr.arpa", _REVERSE),
    ("127.in-addr.arpa", _REVERSE),
    ("254.169.in-addr.arpa", _REVERSE),
    ("2.0.192.in-addr.arpa", _REVERSE),
    ("100.51.198.in-addr.arpa", _REVERSE),
    ("113.0.203.in-addr.arpa", _REVERSE),
    ("255.255.255.255.in-addr.arpa", _REVERSE),
    *((f"{octet}.100.in-addr.arpa", _REVERSE) for octet in range(64, 128)),
    ("0." * 32 + "ip6.arpa", _REVERSE),
    ("1." + "0." * 31 + "ip6.arpa", _REVERSE),
    ("d.f.ip6.arpa", _REVERSE),
    *((f"{nibble}.e.f.ip6.arpa", _REVERSE) for nibble in "89ab"),
    ("8.b.d.0.1.0.0.2.ip6.arpa", _REVERSE),
)

_BELOW: dict[str, Special] = {zone: Special(Answer.NXDOMAIN, why) for zone, why in _EMPTY_ZONES}
_APEX: dict[str, Special] = {zone: Special(Answer.NODATA, why) for zone, why in _EMPTY_ZONES}

_TOP_LABELS = frozenset(zone.rpartition(".")[2] for zone in (*_WHOLE, *_BELOW))
_TEST_NAMES = "manglanh.test"


def special(name: str) -> Special | None:
    """The answer that ``name`` has by a standard, or None for the names that go on to the policy.

    ``name`` is canonical: lower case, no trailing dot (filters/name.py).
    """
    found = _EXACT.get(name)
    if found is not None or name.rpartition(".")[2] not in _TOP_LABELS:
        return found
    if name == _TEST_NAMES or name.endswith("." + _TEST_NAMES):
        return None
    return _within_zone(name)


def _within_zone(name: str) -> Special | None:
    apex = _APEX.get(name)
    if apex is not None:
        return apex
    for suffix in parents(name):
        found = _WHOLE.get(suffix) or _BELOW.get(suffix)
        if found is not None:
            return found
    return None


NTP_NAMES: frozenset[str] = frozenset(
    (
        # The pool, with the zones of countries and vendors below it (vn.pool.ntp.org, 2.debian.pool.ntp.org): Debian,
        # Raspberry Pi OS, OpenWrt, CentOS, Fedora and most cameras and printers ask there.
        "pool.ntp.org",
        # Operating systems that have their own.
        "time.windows.com",
        "time.apple.com",
        "time.asia.apple.com",
        "time.euro.apple.com",
        "time-ios.apple.com",
        "time-macos.apple.com",
        "time.android.com",
        "time.google.com",
        "time1.google.com",
        "time2.google.com",
        "time3.google.com",
        "time4.google.com",
        "ntp.ubuntu.com",
        "time.cloudflare.com",
        # Public services that devices are often set to.
        "time.nist.gov",
        "time.aws.com",
        "time.facebook.com",
        "ntp.nict.jp",
        "ptbtime1.ptb.de",
        "ptbtime2.ptb.de",
        "ptbtime3.ptb.de",
        "ntp.aliyun.com",
    )
)
"""Clock servers, each with everything below it: they always resolve, since a box whose clock is wrong can check no certificate
and no timetable."""

"""The numbers of the DNS that this project uses, by the names of the IANA registries (RFC 6895, RFC 8914, RFC 9460)."""

from enum import IntEnum


class Type(IntEnum):
    """RR types. A number that is not here is still carried; it only has no name."""

    A = 1
    NS = 2
    MD = 3
    MF = 4
    CNAME = 5
    SOA = 6
    MB = 7
    MG = 8
    MR = 9
    PTR = 12
    HINFO = 13
    MINFO = 14
    MX = 15
    TXT = 16
    RP = 17
    AFSDB = 18
    RT = 21
    PX = 26
    AAAA = 28
    SRV = 33
    NAPTR = 35
    KX = 36
    DNAME = 39
    OPT = 41
    DS = 43
    RRSIG = 46
    NSEC = 47
    DNSKEY = 48
    NSEC3 = 50
    TLSA = 52
    SVCB = 64
    HTTPS = 65
    IXFR = 251
    AXFR = 252
    ANY = 255
    CAA = 257


class Rcode(IntEnum):
    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5
    BADVERS = 16


class Ede(IntEnum):
    """Extended DNS errors (RFC 8914, section 4)."""

    OTHER = 0
    STALE_ANSWER = 3
    FORGED_ANSWER = 4
    CACHED_ERROR = 13
    NOT_READY = 14
    BLOCKED = 15
    CENSORED = 16
    FILTERED = 17
    PROHIBITED = 18
    STALE_NXDOMAIN_ANSWER = 19
    NOT_SUPPORTED = 21
    NO_REACHABLE_AUTHORITY = 22
    NETWORK_ERROR = 23


class Option(IntEnum):
    """EDNS option codes."""

    COOKIE = 10
    PADDING = 12
    EDE = 15


class SvcParam(IntEnum):
    """Keys of SVCB and HTTPS parameters (RFC 9460, RFC 9461, RFC 9848)."""

    MANDATORY = 0
    ALPN = 1
    PORT = 3
    IPV4HINT = 4
    ECH = 5
    IPV6HINT = 6
    DOHPATH = 7


IN = 1
"""the only class that is served"""


def type_name(number: int) -> str:
    """``1`` -> ``A``; a type without a name here is written as RFC 3597 does: ``TYPE1234``."""
    return Type(number).name if number in _TYPES else f"TYPE{number}"


_TYPES = frozenset(Type)

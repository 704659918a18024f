"""Messages for the wire tests: hypothesis strategies that let dnspython write them, so that it is the oracle."""

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from hypothesis import strategies as st

LABELS = st.one_of(
    st.sampled_from([b"www", b"example", b"com", b"vn", b"WwW", b"xn--abc", b"_dns", b"a" * 63]),
    st.binary(min_size=1, max_size=20),
)


def _fits(labels):
    return sum(len(label) + 1 for label in labels) + 1 <= 255


NAMES = st.lists(LABELS, max_size=6).filter(_fits).map(lambda labels: dns.name.Name([*labels, b""]))
HOSTS = st.lists(st.from_regex(rb"[a-z0-9_]([A-Z0-9-]{0,10}[a-z])?", fullmatch=True), max_size=6).map(
    lambda labels: dns.name.Name([*labels, b""])
)
"""what dnslib reads too: it refuses labels that are not UTF-8"""
TTLS = st.integers(0, 0x7FFFFFFF)


def rdata(rtype, text):
    return dns.rdata.from_text("IN", rtype, text)


def with_names(rtype, pattern, count):
    """Record data of ``pattern`` with ``count`` drawn names in it."""
    return st.tuples(*[NAMES] * count).map(lambda names: rdata(rtype, pattern.format(*[name.to_text() for name in names])))


RDATAS = st.one_of(
    st.integers(0, 2**32 - 1).map(lambda n: rdata("A", ".".join(str(b) for b in n.to_bytes(4)))),
    st.integers(0, 2**128 - 1).map(lambda n: rdata("AAAA", ":".join(f"{n >> shift & 0xFFFF:x}" for shift in range(112, -1, -16)))),
    with_names("CNAME", "{}", 1),
    with_names("DNAME", "{}", 1),
    with_names("NS", "{}", 1),
    with_names("PTR", "{}", 1),
    with_names("MX", "10 {}", 1),
    with_names("SRV", "1 2 443 {}", 1),
    with_names("SOA", "{} {} 1 2 3 4 5", 2),
    with_names("RP", "{} {}", 2),
    with_names("HTTPS", "1 {} alpn=h2,h3 ipv4hint=192.0.2.1,192.0.2.2 ech=AAj+DQAEAAAAAA== ipv6hint=2001:db8::1", 1),
    with_names("SVCB", "0 {}", 1),
    with_names("SVCB", "16 {} mandatory=alpn,ipv4hint alpn=h2 ipv4hint=192.0.2.1", 1),
    st.sampled_from(
        [
            rdata("TXT", '"hello" "world"'),
            rdata("CAA", '0 issue "letsencrypt.org"'),
            rdata("DS", "12345 13 2 " + "ab" * 32),
            rdata("RRSIG", "A 13 2 300 20300101000000 20200101000000 12345 example.com. " + "A" * 88),
            rdata("TYPE65280", "\\# 3 010203"),
        ]
    ),
)
OPTIONS = st.lists(
    st.one_of(
        st.binary(min_size=8, max_size=8).map(lambda cookie: dns.edns.GenericOption(10, cookie)),
        st.binary(max_size=20).map(lambda value: dns.edns.GenericOption(65001, value)),
        st.just(dns.edns.EDEOption(6, "bogus")),
    ),
    max_size=3,
)
EDNS = st.one_of(
    st.none(), st.fixed_dictionaries({"payload": st.integers(0, 65535), "ednsflags": st.sampled_from([0, 0x8000]), "options": OPTIONS})
)
TYPES = st.sampled_from(["A", "AAAA", "HTTPS", "MX", "TXT", "ANY", "TYPE97", "SOA"])


@st.composite
def queries(draw, names=NAMES):
    """A dnspython query with drawn name, type, flags and EDNS."""
    edns = draw(EDNS)
    query = dns.message.make_query(draw(names), draw(TYPES), use_edns=False)
    query.id = draw(st.integers(0, 65535))
    query.flags = draw(st.sampled_from([0, dns.flags.RD, dns.flags.RD | dns.flags.AD, dns.flags.RD | dns.flags.CD, dns.flags.AD]))
    if edns is not None:
        query.use_edns(0, **edns)
    return query


@st.composite
def responses(draw, names=NAMES):
    """A dnspython response with drawn sections, names compressed."""
    query = draw(queries(names))
    response = dns.message.make_response(query)
    if draw(st.booleans()):
        response.flags |= dns.flags.AD
    response.set_rcode(draw(st.sampled_from([0, 0, 0, 2, 3, 5])))
    owners = st.one_of(st.just(query.question[0].name), NAMES)
    for section in (response.answer, response.authority, response.additional):
        for data in draw(st.lists(RDATAS, max_size=4)):
            section.append(dns.rrset.from_rdata(draw(owners), draw(TTLS), data))
    return response

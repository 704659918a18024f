"""Valid packets to start from, written by dnspython: queries and responses of every shape that the gateway treats on its own."""

import dns.edns
import dns.flags
import dns.message
import dns.rrset

NAME = "www.example.com."
_QUERY_TYPES = ("A", "AAAA", "HTTPS", "SVCB", "PTR", "MX", "TXT", "SRV", "SOA", "NS", "ANY", "AXFR", "DS", "TYPE65280")
_QUERY_NAMES = (
    ".", "com.", NAME, "WwW.eXaMpLe.CoM.", "1.0.0.10.in-addr.arpa.", "_dns.resolver.arpa.", "use-application-dns.net.",
    "gambling.manglanh.test.", r"a\.b.\000\255.example.", ".".join(["a" * 63] * 3 + ["b" * 61]) + ".", ".".join("a" * 127) + ".",
)  # fmt: skip
_BINDING = "alpn=h2,h3 ipv4hint=192.0.2.1,192.0.2.2 ech=AAj+DQAEAAAAAA== ipv6hint=2001:db8::1"
_SOA = "example.com. 300 SOA ns.example.com. nobody.example.com. 1 7200 900 1209600 300"
_SIGNATURE = "13 3 300 20300101000000 20200101000000 12345 example.com. " + "A" * 88
_ANSWERS = {
    "A": [f"{NAME} 300 A 192.0.2.1", f"{NAME} 300 A 10.0.0.1", f"{NAME} 300 RRSIG A {_SIGNATURE}"],
    "AAAA": [f"{NAME} 60 CNAME a.example.net.", "a.example.net. 5 CNAME b.a.example.net.", "b.a.example.net. 9 AAAA 2001:db8::1"],
    "HTTPS": [f"{NAME} 300 HTTPS 1 . {_BINDING}", f"{NAME} 300 HTTPS 2 b.example.com. mandatory=ipv4hint {_BINDING}"],
    "SVCB": [f"{NAME} 300 SVCB 0 alias.example.net.", f"{NAME} 300 RRSIG SVCB {_SIGNATURE}"],
    "PTR": [f"{NAME} 300 PTR host.example.com."],
    "MX": [f"{NAME} 300 MX 10 mail.example.com.", f"{NAME} 300 MX 20 mail2.example.com."],
    "TXT": [f'{NAME} 300 TXT "v=spf1" "{"x" * 200}"'],
    "SRV": [f"{NAME} 300 SRV 1 2 443 host.example.com."],
    "NS": [f"{NAME} 300 NS ns.example.com.", f"{NAME} 300 DNAME example.org."],
    "ANY": [f"{NAME} 0 A 192.0.2.1", f'{NAME} 300 CAA 0 issue "letsencrypt.org"', f"{NAME} 300 RP nobody.example.com. txt.example.com."],
}


def queries() -> list[bytes]:
    made = []
    for number, name in enumerate(_QUERY_NAMES):
        for index, rtype in enumerate(_QUERY_TYPES):
            query = dns.message.make_query(name, rtype, use_edns=False)
            query.id = 1000 + number * 100 + index
            made.append(query.to_wire())
            query.use_edns(0, 0x8000 if index % 2 else 0, 1232, options=_options(index))
            query.flags |= dns.flags.AD if index % 3 else dns.flags.CD
            made.append(query.to_wire())
    return made


def _options(index: int) -> list[dns.edns.Option]:
    cookie = dns.edns.GenericOption(10, b"c" * (8 if index % 2 else 24))
    return [cookie, dns.edns.ECSOption("192.0.2.0", 24), dns.edns.GenericOption(12, bytes(20))][: index % 4]


def responses() -> list[bytes]:
    made = []
    for rtype, lines in _ANSWERS.items():
        query = dns.message.make_query(NAME, rtype, use_edns=0, want_dnssec=True)
        query.id = 2000
        for rcode, answer, authority, additional in (
            (0, lines, [], []),
            (0, lines, ["example.com. 99 NS ns.example.com."], ["ns.example.com. 99 A 192.0.2.53", "mail.example.com. 9 AAAA 2001:db8::2"]),
            (0, [], [_SOA], []),
            (3, lines[:1], [_SOA, f"example.com. 300 RRSIG SOA {_SIGNATURE}"], []),
            (2, [], [], []),
        ):
            response = dns.message.make_response(query)
            response.flags |= dns.flags.AD
            response.use_edns(0, 0x8000, 1232, options=[dns.edns.EDEOption(6, "bogus")] if rcode == 2 else [])
            response.set_rcode(rcode)
            for section, texts in ((response.answer, answer), (response.authority, authority), (response.additional, additional)):
                section += [_rrset(text) for text in texts]
            made.append(response.to_wire())
            made.append(_opt_first(response))
    return made


def _rrset(text: str) -> dns.rrset.RRset:
    owner, ttl, rtype, data = text.split(maxsplit=3)
    return dns.rrset.from_text(owner, int(ttl), "IN", rtype, data)


def _opt_first(response: dns.message.Message) -> bytes:
    """The same with a record behind its OPT, as some servers order them."""
    data = bytearray(response.to_wire())
    data[11] += 1
    return bytes(data) + b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x09\x00\x04\xc0\x00\x02\x07"

"""The internet as these tests need it: a name server whose records a test writes, that tells who asked for what.

``python -m tests.end_to_end.internet PORT`` serves it from a process of its own, for a network namespace.
"""

import sys
import threading

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset

from tests.nameserver import Nameserver, Received

ADDRESSES = {"A": "198.51.100.7", "AAAA": "2001:db8::7"}
"""what every name has that no test has written: RFC 5737, RFC 3849"""
WITHOUT_EDNS, STREAM = 512, 65535
"""octets that a client takes"""


class Internet(Nameserver):
    """``records``: (name, type) -> texts of its records; a CNAME's target is followed. ``ttl`` is everybody's."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.records: dict[tuple[str, str], list[str]] = {}
        self.ttl = 300

    def respond(self, query: Received) -> bytes:
        asked = dns.message.from_wire(query.data)
        reply = dns.message.make_response(asked, recursion_available=True)
        question = asked.question[0]
        self._answer(reply, question.name.to_text().rstrip(".").lower(), dns.rdatatype.to_text(question.rdtype))
        wire = reply.to_wire(max_size=STREAM)
        limit = (asked.payload or WITHOUT_EDNS) if query.transport == "udp" else STREAM
        if len(wire) <= limit:
            return wire
        short = dns.message.make_response(asked, recursion_available=True)
        short.flags |= dns.flags.TC
        return short.to_wire()

    def _answer(self, reply: dns.message.Message, name: str, rdtype: str) -> None:
        aliases = self.records.get((name, "CNAME"))
        if aliases:
            reply.answer.append(dns.rrset.from_text(f"{name}.", self.ttl, "IN", "CNAME", *aliases))
            self._answer(reply, aliases[0].rstrip(".").lower(), rdtype)
            return
        texts = self.records.get((name, rdtype), [ADDRESSES[rdtype]] if rdtype in ADDRESSES else [])
        if texts:
            reply.answer.append(dns.rrset.from_text(f"{name}.", self.ttl, "IN", rdtype, *texts))
        else:
            reply.authority.append(dns.rrset.from_text("example.", self.ttl, "IN", "SOA", "ns.example. root.example. 1 3600 600 86400 60"))

    def times_asked(self, name: str) -> int:
        return sum(query.qname == name for query in list(self.queries))


if __name__ == "__main__":
    with Internet(port=int(sys.argv[1])):
        threading.Event().wait()

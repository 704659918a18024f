"""A secondary made of dnspython: it asks as RFC 5936 and RFC 1995 want, and checks every signature and every step."""

from collections.abc import Iterable

import dns.message
import dns.name
import dns.rdatatype
import dns.tsig
import dns.versioned
import dns.xfr
import dns.zone

KEY = dns.tsig.Key("truong", b"0123456789abcdef0123456789abcdef", "hmac-sha256")
OTHER_KEY = dns.tsig.Key("truong", b"fedcba9876543210fedcba9876543210", "hmac-sha256")


class Secondary:
    def __init__(self, origin: str, key: dns.tsig.Key | None = None) -> None:
        self.zone = dns.versioned.Zone(dns.name.from_text(origin))
        self.key = key
        self.records_received = 0

    def query(self) -> dns.message.Message:
        """IXFR from what it has; AXFR as long as it has nothing."""
        message, self._held = dns.xfr.make_query(self.zone, keyring=self.key)
        return message

    def take(self, query: dns.message.Message, answer: Iterable[bytes]) -> None:
        """Raises dns.exception.DNSException for anything that is not a transfer or not signed as it should be."""
        rdtype = query.question[0].rdtype
        chain, done, self.records_received = None, False, 0
        with dns.xfr.Inbound(self.zone, rdtype, self._held) as inbound:
            for wire in answer:
                assert not done, "goes on after its end"
                message = dns.message.from_wire(
                    wire,
                    keyring=query.keyring,
                    request_mac=query.mac,
                    xfr=True,
                    origin=self.zone.origin,
                    tsig_ctx=chain,
                    multi=chain is not None or self.key is not None,
                    one_rr_per_rrset=rdtype == dns.rdatatype.IXFR,
                )
                assert message.had_tsig == (self.key is not None)
                chain = message.tsig_ctx
                self.records_received += sum(map(len, message.answer))
                done = inbound.process_message(message)
        assert done, "ends before its end"

    @property
    def serial(self) -> int:
        with self.zone.reader() as reader:
            return reader.get("@", "SOA")[0].serial

    @property
    def records(self) -> dict[str, str]:
        """owner -> target"""
        with self.zone.reader() as reader:
            return {
                name.to_text(): rdataset[0].target.to_text()
                for name, rdataset in reader.iterate_rdatasets()
                if rdataset.rdtype == dns.rdatatype.CNAME
            }

"""Debian's Unbound as a validating upstream on the same box: what it proved reaches the client, and what it refused does not."""

from collections.abc import Iterator

import dns.edns
import dns.flags
import dns.rcode
import dns.rdatatype
import pytest

from tests.bench.processes import free_port
from tests.end_to_end.box import Box
from tests.end_to_end.school import School
from tests.end_to_end.signed_zone import ADDRESS, BOGUS, GOOD, validating_unbound


@pytest.fixture(scope="module")
def validated(tmp_path_factory) -> Iterator[Box]:
    with validating_unbound(tmp_path_factory.mktemp("unbound")) as port:
        school = School(tmp_path_factory.mktemp("school"), free_port())
        school.write([f"127.0.0.1:{port}"])
        school.compile_lists()
        with Box(school) as box:
            yield box


def types(section) -> set[str]:
    return {dns.rdatatype.to_text(rrset.rdtype) for rrset in section}


def test_ad_and_signatures_for_a_client_that_wants_them(validated: Box):
    reply = validated.ask(f"www.{GOOD}", want_dnssec=True)
    assert reply.flags & dns.flags.AD
    assert types(reply.answer) == {"A", "RRSIG"}


def test_ad_without_signatures_for_a_client_that_only_asks_whether(validated: Box):
    reply = validated.ask(f"www.{GOOD}", flags=dns.flags.RD | dns.flags.AD)
    assert reply.flags & dns.flags.AD
    assert types(reply.answer) == {"A"}


def test_neither_for_a_client_that_says_nothing(validated: Box):
    reply = validated.ask(f"www.{GOOD}")
    assert not reply.flags & dns.flags.AD
    assert types(reply.answer) == {"A"}


def test_what_is_bogus_is_servfail_with_the_validator_s_reason(validated: Box):
    reply = validated.ask(f"www.{BOGUS}", use_edns=0)
    assert reply.rcode() == dns.rcode.SERVFAIL
    assert not reply.answer
    assert dns.edns.EDECode.DNSSEC_BOGUS in {option.code for option in reply.options if isinstance(option, dns.edns.EDEOption)}


def test_a_client_that_checks_for_itself_gets_what_is_there(validated: Box):
    reply = validated.ask(f"www.{BOGUS}", want_dnssec=True, flags=dns.flags.RD | dns.flags.CD)
    assert reply.rcode() == dns.rcode.NOERROR
    assert reply.flags & dns.flags.CD
    assert types(reply.answer) == {"A", "RRSIG"}


def test_what_was_asked_unchecked_is_never_served_as_checked(validated: Box):
    assert validated.ask(f"www.{BOGUS}", flags=dns.flags.RD | dns.flags.CD).rcode() == dns.rcode.NOERROR
    assert validated.ask(f"www.{BOGUS}").rcode() == dns.rcode.SERVFAIL


@pytest.mark.parametrize("tcp", [False, True])
def test_the_address_is_the_signed_one(validated: Box, tcp: bool):
    assert validated.ask(f"www.{GOOD}", tcp=tcp).answer[0][0].to_text() == ADDRESS


def test_a_signed_denial_is_carried(validated: Box):
    reply = validated.ask(f"missing.{GOOD}", want_dnssec=True)
    assert reply.rcode() == dns.rcode.NXDOMAIN
    assert reply.flags & dns.flags.AD
    assert "RRSIG" in types(reply.authority)

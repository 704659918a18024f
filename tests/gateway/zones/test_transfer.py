"""Who gets which zone, whole or in steps, signed or not; and that no query breaks it."""

from dataclasses import replace

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.tsig
import pytest

from filters.bundle import SUBTREE
from gateway.effect import Effect
from gateway.zones.journal import Journal
from gateway.zones.records import changes, records
from gateway.zones.transfer import Desk, ServedZone, respond
from tests.fuzz.mutate import Mutator
from tests.gateway.zones.policy_zones import SOURCES, index_of
from tests.gateway.zones.secondary import KEY, OTHER_KEY, Secondary
from tests.policies.schools import NOW, policy

ADULT = next(at for at, source in enumerate(SOURCES) if source.category == "adult")
FRIEND, STRANGER = "10.0.0.53", "10.0.0.66"
ORIGIN = dns.name.from_text("rpz.thcs")


def effect_of(*names: str) -> Effect:
    return Effect(policy("thcs"), index_of([(name, ADULT, SUBTREE) for name in names]))


def served(effect: Effect, journal: Journal, *, sign: bool = False) -> Desk:
    """The desk with ``effect`` as the newest version of one zone."""
    last = journal.current
    serial = journal.advance(f"bundle {id(effect)}", "p", changes(served.last, effect) if last else None, NOW)
    served.last = effect
    return Desk({ORIGIN: ServedZone(ORIGIN, serial, effect, frozenset({FRIEND}), sign, journal.since)}, KEY)


@pytest.fixture
def journal(tmp_path) -> Journal:
    return Journal(tmp_path)


def ask(query: dns.message.Message | bytes, desk: Desk, peer: str = FRIEND, *, stream: bool = True, now: float = NOW):
    wire = query if isinstance(query, bytes) else query.to_wire()
    return respond(wire, peer, stream=stream, desk=desk, now=now)


def rcode(answer) -> int:
    (wire,) = answer.messages
    return dns.message.from_wire(wire, keyring=False).rcode()


def at(now: float, monkeypatch) -> None:
    """dnspython's own clock, with which it signs."""
    monkeypatch.setattr("time.time", lambda: now)


@pytest.mark.parametrize("key", [None, KEY])
def test_a_secondary_follows_from_version_to_version(journal, monkeypatch, key):
    at(NOW, monkeypatch)
    secondary = Secondary("rpz.thcs", key)
    what = []
    for names in (
        ["a.example", "b.example"],
        ["a.example", "b.example", "c.example"],
        ["b.example", "d.b.example"],
        ["b.example", "x.example"],
    ):
        effect = effect_of(*names)
        desk = served(effect, journal)
        query = secondary.query()
        answer = ask(query, desk)
        secondary.take(query, answer.messages)
        what.append(answer.what)
        assert secondary.records == dict(records(effect.nodes(), effect))
        assert secondary.serial == desk.zones[ORIGIN].serial
    assert what == ["AXFR", "IXFR", "IXFR", "IXFR"]


def test_one_that_missed_several_versions_gets_all_the_steps(journal):
    secondary = Secondary("rpz.thcs")
    query = secondary.query()
    secondary.take(query, ask(query, served(effect_of("a.example"), journal)).messages)
    for names in (["b.example"], ["b.example", "c.example"]):
        desk = served(effect_of(*names), journal)
    query = secondary.query()
    secondary.take(query, ask(query, desk).messages)
    assert {"b.example", "c.example"} <= secondary.records.keys()
    assert "a.example" not in secondary.records
    assert secondary.records_received == 6 + 2 * 2 + 2, "six SOA; a goes, b comes; c comes"


def test_who_has_the_newest_gets_its_soa_alone(journal):
    desk = served(effect_of("a.example"), journal)
    secondary = Secondary("rpz.thcs")
    query = secondary.query()
    secondary.take(query, ask(query, desk).messages)
    (wire,) = ask(secondary.query(), desk).messages
    assert [rrset[0].serial for rrset in dns.message.from_wire(wire).answer] == [secondary.serial]


def test_a_version_that_is_not_known_any_more_is_transferred_whole(journal):
    desk = served(effect_of("a.example"), journal)
    query = dns.message.make_query(ORIGIN, "IXFR")
    query.authority.append(dns.rrset.from_text(ORIGIN, 60, "IN", "SOA", ". . 7 1 1 1 1"))
    assert ask(query, desk).what == "AXFR"


def test_ixfr_over_udp_says_come_over_tcp(journal):
    secondary = Secondary("rpz.thcs")
    query = secondary.query()
    secondary.take(query, ask(query, served(effect_of("a.example"), journal)).messages)
    desk = served(effect_of("b.example"), journal)
    (wire,) = ask(secondary.query(), desk, stream=False).messages
    (soa,) = dns.message.from_wire(wire).answer
    assert soa[0].serial == desk.zones[ORIGIN].serial


@pytest.mark.parametrize("stream", [True, False])
def test_soa(journal, stream):
    desk = served(effect_of(), journal)
    (wire,) = ask(dns.message.make_query("RPZ.thcs", "SOA", use_edns=True), desk, stream=stream).messages
    found = dns.message.from_wire(wire)
    assert found.flags & dns.flags.AA
    assert found.answer[0][0].serial == desk.zones[ORIGIN].serial
    assert found.edns == 0


@pytest.mark.parametrize(
    ("query", "peer", "sign", "expected"),
    [
        (dns.message.make_query("rpz.thcs", "AXFR"), STRANGER, False, dns.rcode.REFUSED),
        (dns.message.make_query("rpz.thcs", "SOA"), STRANGER, False, dns.rcode.REFUSED),
        (dns.message.make_query("rpz.thcs", "AXFR"), FRIEND, True, dns.rcode.REFUSED),
        (dns.message.make_query("rpz.thcs", "IXFR"), FRIEND, False, dns.rcode.FORMERR),
        (dns.message.make_query("rpz.thpt", "AXFR"), FRIEND, False, dns.rcode.NOTAUTH),
        (dns.message.make_query("a.example.rpz.thcs", "CNAME"), FRIEND, False, dns.rcode.NOTAUTH),
        (dns.message.make_query("rpz.thcs", "A"), FRIEND, False, dns.rcode.REFUSED),
        (dns.message.make_query("rpz.thcs", "AXFR", rdclass="CH"), FRIEND, False, dns.rcode.NOTAUTH),
    ],
)
def test_refusals(journal, query, peer, sign, expected):
    assert rcode(ask(query, served(effect_of("a.example"), journal, sign=sign), peer)) == expected


def test_axfr_is_for_tcp(journal):
    assert rcode(ask(dns.message.make_query("rpz.thcs", "AXFR"), served(effect_of(), journal), stream=False)) == dns.rcode.FORMERR


def test_other_opcodes_are_not_implemented(journal):
    query = dns.message.make_query("rpz.thcs", "SOA")
    query.set_opcode(dns.opcode.NOTIFY)
    assert rcode(ask(query, served(effect_of(), journal))) == dns.rcode.NOTIMP


def test_no_answer_to_an_answer(journal):
    reply = dns.message.make_response(dns.message.make_query("rpz.thcs", "SOA"))
    assert list(ask(reply, served(effect_of(), journal)).messages) == []
    assert list(ask(b"\0" * 11, served(effect_of(), journal)).messages) == []


def test_a_signature_opens_a_zone_to_any_address(journal, monkeypatch):
    at(NOW, monkeypatch)
    desk = served(effect_of("a.example"), journal, sign=True)
    secondary = Secondary("rpz.thcs", KEY)
    query = secondary.query()
    secondary.take(query, ask(query, desk, STRANGER).messages)
    assert "a.example" in secondary.records


def signed(key: dns.tsig.Key) -> dns.message.Message:
    query = dns.message.make_query("rpz.thcs", "AXFR")
    query.use_tsig(key)
    return query


@pytest.mark.parametrize(
    ("key", "error"),
    [
        (OTHER_KEY, 16),
        (dns.tsig.Key("ai-do", KEY.secret, "hmac-sha256"), 17),
        (dns.tsig.Key("truong", KEY.secret, "hmac-sha512"), 17),
    ],
)
def test_a_wrong_signature_is_refused_even_from_a_secondary(journal, monkeypatch, key, error):
    at(NOW, monkeypatch)
    (wire,) = ask(signed(key), served(effect_of("a.example"), journal)).messages
    found = dns.message.from_wire(wire, keyring=False)
    assert (found.rcode(), found.tsig_error, found.answer) == (dns.rcode.NOTAUTH, error, [])
    assert found.tsig[0].mac == b"", "RFC 8945, section 5.3.2"


def test_a_desk_without_a_key_knows_no_key(journal, monkeypatch):
    at(NOW, monkeypatch)
    desk = replace(served(effect_of("a.example"), journal), key=None)
    (wire,) = ask(signed(KEY), desk).messages
    assert dns.message.from_wire(wire, keyring=False).tsig_error == 17


@pytest.mark.parametrize("shift", [-301, 301])
def test_a_signature_of_another_time_is_refused_with_ours_in_a_signed_answer(journal, monkeypatch, shift):
    at(NOW + shift, monkeypatch)
    query = signed(KEY)
    (wire,) = ask(query, served(effect_of("a.example"), journal)).messages
    found = dns.message.from_wire(wire, keyring=False)
    assert (found.rcode(), found.tsig_error) == (dns.rcode.NOTAUTH, 18)
    assert int.from_bytes(found.tsig[0].other, "big") == NOW
    with pytest.raises(dns.tsig.PeerBadTime):
        dns.message.from_wire(wire, keyring=KEY, request_mac=query.mac)


def test_a_key_name_that_shares_its_end_with_the_zone_may_be_compressed(journal, monkeypatch):
    """The digest is over the name spelled out, and where the record begins is not where the packet ends less its length."""
    at(NOW, monkeypatch)
    key = dns.tsig.Key("rpz.thcs", KEY.secret, "hmac-sha256")
    desk = replace(served(effect_of("a.example"), journal, sign=True), key=key)
    wire = signed(key).to_wire()
    assert wire.count(key.name.to_wire()) == 1, "a pointer into the question"
    assert ask(wire, desk).what == "AXFR"


def test_a_name_too_long_for_the_zone_is_left_out(journal):
    longest = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])
    desk = served(effect_of(longest, "a.example"), journal)
    secondary = Secondary("rpz.thcs")
    query = secondary.query()
    secondary.take(query, ask(query, desk).messages)
    assert "a.example" in secondary.records
    assert longest not in secondary.records


def test_no_query_breaks_it(journal):
    desk = served(effect_of("a.example"), journal)
    seeds = [
        signed(KEY).to_wire(),
        dns.message.make_query("rpz.thcs", "IXFR", use_edns=True).to_wire(),
        Secondary("rpz.thcs").query().to_wire(),
    ]
    damaged = Mutator(seeds, seed=3)
    for _ in range(5000):
        for wire in ask(damaged.next(), desk).messages:
            assert len(wire) >= 12

"""The path of a query, pure: policy, cache and upstream's answers in, the client's answer out."""

import json
from ipaddress import ip_address

import dnslib
import pytest

from filters.bundle import Source, write
from filters.domain_index import DomainIndex
from gateway.cache import Cache
from gateway.exchange import Failure, Question
from gateway.explanation import Explainer
from gateway.local_zone import LocalZone
from gateway.pipeline import Desk, Forward, Outcome, begin, finish
from gateway.private_address import is_private
from gateway.wire import decode_message, decode_query
from policies.decide import Allow, Block, Rewrite, Rung
from policies.model import Group, LocalRule, Mode, Override, School, SchoolFile, State, Titles
from policies.snapshot import Snapshot

LISTED = [
    ("casino.example", "gambling"),
    ("help.example", "help"),
    ("khoahoc.example", "learning"),
    ("tracker.example", "tracking"),
    ("forbidden.example", "unlawful"),
]
NOW = 50_000.0
UNIX = 1_790_000_000.0
TEXTS = {"category": "Not suitable: {category}.", "category:gambling": "Gambling", "locked_block": "By law.", "rebinding": "Rebinding."}


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    directory = tmp_path_factory.mktemp("bundle")
    sources = [Source(f"list-{category}", category, authority="Công an tỉnh" if category == "unlawful" else "") for _, category in LISTED]
    write(directory, [(name, number, 15) for number, (name, _) in enumerate(LISTED)], sources)
    index = DomainIndex.open(directory)
    yield index
    index.close()


def school(**dns):
    return SchoolFile.model_validate(
        {
            "school": School(name="Trường THCS Số 1"),
            "dns": {"upstreams": ("192.0.2.1",), "local": {"server.truong.lan": ("10.0.0.5",)}, **dns},
            "groups": (Group(name="6a1", tier="thcs"), Group(name="mam", tier="mam-non"), Group(name="thay", tier="staff")),
            "default_group": "6a1",
        }
    )


class Box:
    def __init__(self, index, file=None, state=None):
        self.file = file or school()
        self.snapshot = Snapshot(self.file, state or State(), index)
        self.cache = Cache(1 << 20)
        self.desk = Desk(
            index,
            LocalZone(self.file.dns, [ip_address("192.0.2.53").packed]),
            Explainer(TEXTS, self.file.school.name, "vi"),
            self.cache,
            self.file.dns.private_names,
            self.file.dns.block_ttl,
            tuple(address.packed for address in self.file.dns.block_page),
        )

    def begin(self, name, qtype="A", group="6a1", edns=False, do=False, now=NOW, until=float("inf"), qclass="IN"):
        question = dnslib.DNSRecord.question(name, qtype, qclass)
        if edns or do:
            question.add_ar(dnslib.EDNS0(flags="do" if do else "", udp_len=1232))
        self.query = decode_query(bytes(question.pack()))
        return begin(self.query, self.snapshot.policy(group, UNIX), until, self.desk, now)

    def answered(self, step, *records, now=NOW, rcode=0, authority=()):
        """The upstream says ``records`` (zone file lines) to what ``step`` forwards."""
        assert isinstance(step, Forward)
        message = dnslib.DNSRecord(
            dnslib.DNSHeader(id=1, qr=1, ra=1, rcode=rcode), q=dnslib.DNSQuestion(step.question.qname, step.question.qtype)
        )
        for line in records:
            message.add_answer(*dnslib.RR.fromZone(line))
        for line in authority:
            message.add_auth(*dnslib.RR.fromZone(line))
        return finish(step, decode_message(bytes(message.pack())), self.desk, now)


@pytest.fixture
def box(index):
    return Box(index)


def parsed(outcome):
    assert isinstance(outcome, Outcome)
    return dnslib.DNSRecord.parse(b"\0\0" + bytes(outcome.reply.body))


def shown(outcome):
    return [(str(rr.rname), dnslib.QTYPE[rr.rtype], str(rr.rdata)) for rr in parsed(outcome).rr]


def errors(outcome):
    """(RFC 8914 code, JSON) of the answer's extended errors."""
    found = []
    for record in parsed(outcome).ar:
        for option in record.rdata if record.rtype == 41 else ():
            if option.code == 15:
                text = option.data[2:].decode()
                found.append((int.from_bytes(option.data[:2], "big"), json.loads(text) if text.startswith("{") else text))
    return found


def test_a_blocked_name_is_answered_with_the_reason(box):
    outcome = box.begin("www.casino.example", edns=True)
    assert parsed(outcome).header.rcode == 3
    assert isinstance(outcome.verdict, Block)
    [(code, content)] = errors(outcome)
    assert code == 15
    assert content == {"c": ["tel:111"], "j": "Not suitable: Gambling.", "o": "Trường THCS Số 1", "l": "vi"}


def test_without_edns_a_block_says_nothing_more(box):
    assert parsed(box.begin("casino.example")).ar == []


@pytest.mark.parametrize("qtype", ["A", "AAAA", "HTTPS", "TXT", "MX", "ANY", "NS"])
def test_a_block_holds_for_every_type(box, qtype):
    assert parsed(box.begin("casino.example", qtype)).header.rcode == 3


def test_an_authoritys_block_is_censored_and_stands_for_staff_too(box):
    outcome = box.begin("forbidden.example", group="thay", edns=True)
    assert errors(outcome)[0][0] == 16
    assert outcome.verdict.reason.by == "Công an tỉnh"


@pytest.mark.parametrize(
    ("how", "qtype", "rcode", "answer"),
    [
        ("nxdomain", "A", 3, []),
        ("nodata", "A", 0, []),
        ("refused", "A", 5, []),
        ("null", "A", 0, ["0.0.0.0"]),
        ("null", "AAAA", 0, ["::"]),
        ("null", "HTTPS", 0, []),
        ("page", "A", 0, ["10.0.0.2"]),
        ("page", "AAAA", 0, []),
    ],
)
def test_every_block_answer(index, how, qtype, rcode, answer):
    outcome = Box(index, school(block_answer=how, block_page=("10.0.0.2",))).begin("casino.example", qtype, edns=True)
    assert parsed(outcome).header.rcode == rcode
    assert [text for _, _, text in shown(outcome)] == answer
    assert errors(outcome)[0][0] == 15


def test_an_allowed_name_is_asked_upstream_and_the_answer_kept(box):
    step = box.begin("www.example.com")
    assert step.question == Question("www.example.com", 1, False, False)
    outcome = box.answered(step, "www.example.com. 300 IN A 192.0.2.7")
    assert shown(outcome) == [("www.example.com.", "A", "192.0.2.7")]
    again = box.begin("WWW.Example.COM", now=NOW + 20)
    assert isinstance(again, Outcome)
    assert again.source == "cache"
    assert str(parsed(again).q.qname) == "WWW.Example.COM."


def test_the_answers_ttl_is_clamped_to_the_tier_and_to_the_next_change(box):
    step = box.begin("www.example.com", until=NOW + 17.5)
    assert parsed(box.answered(step, "www.example.com. 3600 IN A 192.0.2.7")).rr[0].ttl == 17
    assert parsed(box.begin("www.example.com")).rr[0].ttl == 60
    assert parsed(box.begin("www.example.com", group="thay")).rr[0].ttl > 60


def test_a_blocks_ttl_never_reaches_past_the_next_change(box):
    outcome = box.begin("casino.example", until=NOW + 4.2)
    assert parsed(outcome).auth[0].ttl == 4
    assert outcome.keep_until == NOW + 1
    outcome = box.begin("casino.example", until=NOW + 100)
    assert parsed(outcome).auth[0].ttl == 10
    assert outcome.keep_until == NOW + 90


def test_what_do_and_cd_got_is_not_given_to_a_client_without(box):
    box.answered(box.begin("www.example.com", do=True), "www.example.com. 300 IN A 192.0.2.7")
    assert isinstance(box.begin("www.example.com"), Forward)


def test_a_cname_into_a_blocked_name_is_blocked(box):
    step = box.begin("innocent.example")
    outcome = box.answered(step, "innocent.example. 60 IN CNAME x.casino.example.", "x.casino.example. 60 IN A 192.0.2.7")
    assert isinstance(outcome.verdict, Block)
    assert parsed(outcome).header.rcode == 3


def test_a_cname_into_a_blocked_name_is_blocked_from_the_cache_too(box):
    box.answered(
        box.begin("innocent.example", group="thay"),
        "innocent.example. 60 IN CNAME t.tracker.example.",
        "t.tracker.example. 60 IN A 192.0.2.7",
    )
    outcome = box.begin("innocent.example", group="6a1")
    assert isinstance(outcome.verdict, Block) == ("tracking" in box.snapshot.policy("6a1", UNIX).blocked)


def test_an_https_target_is_judged_as_a_cname_is(box):
    step = box.begin("innocent.example", "HTTPS")
    outcome = box.answered(step, "innocent.example. 60 IN HTTPS 1 x.casino.example. alpn=h2")
    assert isinstance(outcome.verdict, Block)


def test_ech_and_hints_are_stripped_where_the_policy_filters(box):
    line = "www.example.com. 60 IN HTTPS 1 . alpn=h2 ipv4hint=192.0.2.9 echconfig=AEX+DQ=="
    outcome = box.answered(box.begin("www.example.com", "HTTPS"), line)
    [(_, _, text)] = shown(outcome)
    assert "alpn" in text
    assert "ech" not in text
    assert "hint" not in text


@pytest.mark.parametrize("address", ["10.1.2.3", "192.168.1.1", "172.20.0.1", "127.0.0.1", "169.254.1.1", "100.64.0.1"])
def test_a_public_name_with_a_private_address_is_refused(box, address):
    outcome = box.answered(box.begin("rebind.example", edns=True), f"rebind.example. 60 IN A {address}")
    assert shown(outcome) == []
    assert errors(outcome) == [(15, {"c": ["tel:111"], "j": "Rebinding.", "o": "Trường THCS Số 1", "l": "vi"})]


def test_rebinding_exceptions_and_conditional_forwarding_may_be_private(index):
    box = Box(index, school(private_names=("intra.example",), forward={"truong.local": ("10.0.0.2",)}))
    assert shown(box.answered(box.begin("a.intra.example"), "a.intra.example. 60 IN A 10.0.0.9"))
    assert shown(box.answered(box.begin("may.truong.local"), "may.truong.local. 60 IN A 10.0.0.9"))


@pytest.mark.parametrize(
    ("text", "private"),
    [("8.8.8.8", False), ("172.15.0.1", False), ("172.32.0.1", False), ("0.0.0.0", False), ("::", False), ("::1", True), ("fd00::1", True),
     ("fe80::1", True), ("2001:db8::1", False), ("::ffff:10.0.0.1", True), ("::ffff:8.8.8.8", False), ("100.128.0.1", False)],
)  # fmt: skip
def test_private_addresses(text, private):
    assert is_private(ip_address(text).packed) is private


def test_safe_search_answers_with_an_alias_and_its_address(box):
    step = box.begin("www.google.com.vn")
    assert isinstance(step.verdict, Rewrite)
    assert step.question.qname == "forcesafesearch.google.com"
    outcome = box.answered(step, "forcesafesearch.google.com. 300 IN A 216.239.38.120")
    assert shown(outcome) == [
        ("www.google.com.vn.", "CNAME", "forcesafesearch.google.com."),
        ("forcesafesearch.google.com.", "A", "216.239.38.120"),
    ]


@pytest.mark.parametrize("qtype", ["AAAA", "HTTPS"])
def test_other_types_of_a_rewritten_name_have_no_data(box, qtype):
    outcome = box.begin("www.google.com", qtype)
    assert parsed(outcome).header.rcode == 0
    assert shown(outcome) == []


def test_safe_search_stands_though_the_school_allows_the_name(index):
    """In a well-known peer, allow-listing www.google.com turned SafeSearch off."""
    file = school().model_copy(update={"rules": (LocalRule(action="allow", name="www.google.com"),)})
    step = Box(index, file).begin("www.google.com")
    assert isinstance(step.verdict, Rewrite)
    assert step.verdict.reason.rung == Rung.SCHOOL_ALLOW


def test_an_exam_blocks_what_is_not_on_its_list_and_help_stays(index):
    override = Override(group="6a1", mode="exam", since=UNIX - 1, until=UNIX + 60, by="Cô Lan", sites=("quiz.example",))
    box = Box(index, state=State(overrides=(override,)))
    outcome = box.begin("www.example.com", edns=True)
    assert outcome.verdict.reason.by == "Cô Lan"
    assert errors(outcome)[0][0] == 17
    assert isinstance(box.begin("a.quiz.example"), Forward)
    assert isinstance(box.begin("help.example"), Forward)
    assert isinstance(box.begin("www.example.com", group="thay"), Forward)


def test_the_target_of_an_exam_site_need_not_be_on_the_list(index):
    override = Override(group="6a1", mode="exam", since=UNIX - 1, until=UNIX + 60, by="Cô Lan", sites=("quiz.example",))
    box = Box(index, state=State(overrides=(override,)))
    outcome = box.answered(box.begin("quiz.example"), "quiz.example. 60 IN CNAME cdn.example.", "cdn.example. 60 IN A 192.0.2.4")
    assert isinstance(outcome.verdict, Allow)


def test_the_youngest_see_only_what_is_allowed(box):
    assert isinstance(box.begin("www.example.com", group="mam"), Outcome)
    assert isinstance(box.begin("khoahoc.example", group="mam"), Forward)


@pytest.mark.parametrize(
    ("name", "qtype", "rcode"),
    [
        ("use-application-dns.net", "A", 3),
        ("mask.icloud.com", "A", 3),
        ("_dns.resolver.arpa", "SVCB", 0),
        ("printer.local", "A", 3),
        ("x.onion", "A", 3),
    ],
)
def test_special_names_are_answered_here(box, name, qtype, rcode):
    outcome = box.begin(name, qtype)
    assert isinstance(outcome, Outcome)
    assert parsed(outcome).header.rcode == rcode


def test_local_records_and_their_ptr(box):
    assert shown(box.begin("server.truong.lan")) == [("server.truong.lan.", "A", "10.0.0.5")]
    assert shown(box.begin("server.truong.lan", "AAAA")) == []
    assert shown(box.begin("5.0.0.10.in-addr.arpa", "PTR")) == [("5.0.0.10.in-addr.arpa.", "PTR", "server.truong.lan.")]
    assert parsed(box.begin("6.0.0.10.in-addr.arpa", "PTR")).header.rcode == 3
    assert shown(box.begin("manglanh.home.arpa")) == [("manglanh.home.arpa.", "A", "192.0.2.53")]


def test_any_is_answered_with_hinfo_and_transfers_and_other_classes_are_refused(box):
    assert shown(box.begin("www.example.com", "ANY"))[0][1] == "HINFO"
    for qtype in ("AXFR", "IXFR"):
        assert parsed(box.begin("www.example.com", qtype)).header.rcode == 5
    assert parsed(box.begin("version.bind", "TXT", qclass="CH")).header.rcode == 5


def test_when_no_upstream_answers_a_stale_answer_does(box):
    box.answered(box.begin("www.example.com"), "www.example.com. 60 IN A 192.0.2.7")
    later = NOW + 100
    step = box.begin("www.example.com", now=later, edns=True)
    outcome = finish(step, Failure("no answer in time"), box.desk, later)
    assert outcome.source == "stale"
    assert parsed(outcome).rr[0].ttl == 30
    assert errors(outcome)[0][0] == 3
    assert box.begin("www.example.com", now=later + 1).source == "stale"
    assert isinstance(box.begin("www.example.com", now=later + 10), Forward)


def test_without_a_stale_answer_it_is_servfail_with_the_reason(box):
    step = box.begin("www.example.com", edns=True)
    outcome = finish(step, Failure("no answer in time"), box.desk, NOW)
    assert parsed(outcome).header.rcode == 2
    assert errors(outcome) == [(22, "no answer in time")]


def test_a_servfail_from_upstream_is_covered_by_a_stale_answer(box):
    box.answered(box.begin("www.example.com"), "www.example.com. 60 IN A 192.0.2.7")
    outcome = box.answered(box.begin("www.example.com", now=NOW + 100), rcode=2, now=NOW + 100)
    assert outcome.source == "stale"


def test_a_stale_answer_is_judged_by_todays_policy(index):
    box = Box(index)
    box.answered(
        box.begin("innocent.example", group="thay"),
        "innocent.example. 60 IN CNAME x.casino.example.",
        "x.casino.example. 60 IN A 192.0.2.7",
    )
    if box.cache.get_stale(Question("innocent.example", 1), NOW + 100) is None:
        pytest.fail("staff may see it, so it was kept")
    step = box.begin("innocent.example", now=NOW + 100)
    assert isinstance(finish(step, Failure("dead"), box.desk, NOW + 100).verdict, Block)


def test_a_policy_is_held_from_begin_to_finish(index):
    """A switch while the upstream is asked: the answer is wholly of the old policy, and no longer kept than it."""
    box = Box(index)
    step = box.begin("www.example.com", until=NOW + 5)
    outcome = box.answered(step, "www.example.com. 300 IN A 192.0.2.7", now=NOW + 1)
    assert outcome.keep_until <= NOW + 5


def test_a_schools_own_mode_with_a_list_of_sites(index):
    file = school().model_copy(update={"modes": {"thi": Mode(title=Titles(vi="Thi", en="Test"), only="sites", sites=("quiz.example",))}})
    override = Override(group="6a1", mode="thi", since=UNIX - 1, until=UNIX + 60, by="Cô Lan")
    box = Box(index, file, State(overrides=(override,)))
    assert isinstance(box.begin("www.example.com"), Outcome)
    assert isinstance(box.begin("quiz.example"), Forward)

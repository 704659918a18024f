"""Every rung of the ladder and every tie on it, as tables."""

from dataclasses import replace

import pytest

from filters.domain_index import DomainIndex, Entry, Source, write
from policies.decide import Allow, Block, Reason, Rewrite, RuleTable, Rung, decide, decide_target, ladder
from policies.model import YouTube
from tests.policies.schools import NOTHING_LISTED, SOURCES, Lists, allow, block, policy, unblock, unsafe_policy

NAMES = {
    "abuse.example": "child-abuse",
    "banned.example": "unlawful games",
    "casino.example": "gambling",
    "game.example": "games",
    "mixed.example": "games gambling",
    "school.example": "learning",
    "play.school.example": "games",
    "forum.example": "social",
    "class.forum.example": "learning",
    "both.example": "learning games",
    "help.example": "help social",
    "lost.example": "help unlawful",
    "video.example": "video",
    "open.example": "video adult",
}
LISTS = Lists(NAMES)


def says(verdict) -> tuple[str, int]:
    return type(verdict).__name__, int(verdict.reason.rung)


TABLE = [
    # name, policy, verdict, rung
    ("plain.example", unsafe_policy(), "Allow", 8),
    ("", unsafe_policy(), "Allow", 8),
    ("plain.example", unsafe_policy("mam-non"), "Block", 8),
    # 1: locked, whoever asks and whatever else is said
    ("x.abuse.example", unsafe_policy("staff"), "Block", 1),
    ("abuse.example", unsafe_policy(rules=(allow("abuse.example"),), unblocks=(unblock("abuse.example"),)), "Block", 1),
    ("lost.example", unsafe_policy(), "Block", 1),
    ("banned.example", unsafe_policy(only="sites", sites=frozenset({"banned.example"})), "Block", 1),
    # 2: help and the box
    ("help.example", unsafe_policy(), "Allow", 2),
    ("help.example", unsafe_policy("mam-non", only="nothing", mode="offline"), "Allow", 2),
    ("help.example", unsafe_policy(rules=(block("help.example"),)), "Allow", 2),
    ("manglanh.home.arpa", unsafe_policy(only="nothing"), "Allow", 2),
    ("2.debian.pool.ntp.org", unsafe_policy(only="nothing"), "Allow", 2),
    # 3: the class mode only blocks
    ("plain.example", unsafe_policy(only="nothing"), "Block", 3),
    ("plain.example", unsafe_policy(only="sites", sites=frozenset({"azota.example"})), "Block", 3),
    ("www.azota.example", unsafe_policy(only="sites", sites=frozenset({"azota.example"})), "Allow", 8),
    ("notazota.example", unsafe_policy(only="sites", sites=frozenset({"azota.example"})), "Block", 3),
    ("casino.example", unsafe_policy(only="sites", sites=frozenset({"casino.example"})), "Block", 7),
    ("azota.example", unsafe_policy(only="sites", sites=frozenset({"azota.example"}), rules=(block("azota.example"),)), "Block", 5),
    ("plain.example", unsafe_policy(only="sites", unblocks=(unblock("plain.example"),)), "Block", 3),
    # 4: a lesson unblock lifts what the tier says, all or nothing
    ("www.game.example", unsafe_policy(unblocks=(unblock("game.example"),)), "Allow", 4),
    ("game.example", unsafe_policy("tieu-hoc", liftable=frozenset(), unblocks=(unblock("game.example"),)), "Block", 7),
    ("mixed.example", unsafe_policy(unblocks=(unblock("mixed.example"),)), "Block", 7),
    ("casino.example", unsafe_policy(unblocks=(unblock("casino.example"),)), "Block", 7),
    ("plain.example", unsafe_policy(unblocks=(unblock("plain.example"),)), "Allow", 4),
    ("plain.example", unsafe_policy("mam-non", unblocks=(unblock("plain.example"),)), "Allow", 4),
    ("game.example", unsafe_policy(unblocks=(unblock("game.example"),), rules=(block("game.example"),)), "Allow", 4),
    ("tiktok.com", unsafe_policy(services=frozenset({"tiktok"}), unblocks=(unblock("tiktok.com"),)), "Allow", 4),
    ("tiktok.com", unsafe_policy("tieu-hoc", services=frozenset({"tiktok"}), unblocks=(unblock("tiktok.com"),)), "Block", 7),
    ("yep.com", policy(unblocks=(unblock("yep.com"),)), "Block", 7),
    ("class.forum.example", unsafe_policy(unblocks=(unblock("class.forum.example"),), liftable=frozenset()), "Allow", 4),
    # 5 and 6: the school's block speaks before its allow, however specific that is
    ("www.plain.example", unsafe_policy(rules=(block("plain.example"),)), "Block", 5),
    ("www.plain.example", unsafe_policy(rules=(block("plain.example"), allow("www.plain.example"))), "Block", 5),
    ("casino.example", unsafe_policy(rules=(allow("casino.example"),)), "Allow", 6),
    ("x.school.example", unsafe_policy(rules=(block("school.example"),)), "Block", 5),
    ("plain.example", unsafe_policy("mam-non", rules=(allow("plain.example"),)), "Allow", 6),
    # 7: the most specific of what blocks and of learning; at a tie, learning
    ("casino.example", unsafe_policy(), "Block", 7),
    ("x.school.example", unsafe_policy(), "Allow", 7),
    ("play.school.example", unsafe_policy(), "Block", 7),
    ("class.forum.example", unsafe_policy(), "Allow", 7),
    ("other.forum.example", unsafe_policy(), "Block", 7),
    ("both.example", unsafe_policy(), "Allow", 7),
    ("video.example", unsafe_policy(), "Allow", 8),
    ("video.example", unsafe_policy("mam-non", allowed=frozenset({"video"}), blocked=frozenset({"adult"})), "Allow", 7),
    ("open.example", unsafe_policy("mam-non", allowed=frozenset({"video"}), blocked=frozenset({"adult"})), "Block", 7),
    ("school.example", unsafe_policy("mam-non"), "Allow", 7),
    ("www.tiktok.com", unsafe_policy(services=frozenset({"tiktok"})), "Block", 7),
    ("www.tiktok.com", unsafe_policy(services=frozenset({"zalo"})), "Allow", 8),
    ("vn.search.yahoo.com", policy(), "Block", 7),
    ("vn.search.yahoo.com", policy("staff"), "Allow", 8),
]


@pytest.mark.parametrize(("name", "held", "verdict", "rung"), TABLE)
def test_ladder(name, held, verdict, rung):
    assert says(decide(name, 1, held, LISTS)) == (verdict, rung)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """The same lists as a real bundle."""
    directory = tmp_path_factory.mktemp("bundle")
    sources = tuple(SOURCES.values())
    position = {source.category: at for at, source in enumerate(sources)}
    entries = [Entry(name, position[category]) for name, categories in NAMES.items() for category in categories.split()]
    write(directory, entries, sources)
    index = DomainIndex.open(directory)
    yield index
    index.close()


@pytest.mark.parametrize(("name", "held", "verdict", "rung"), TABLE)
def test_ladder_on_a_real_bundle(name, held, verdict, rung, bundle):
    assert says(decide(name, 1, held, bundle)) == (verdict, rung)


@pytest.mark.parametrize(("name", "held", "verdict", "rung"), TABLE)
def test_ladder_explains_what_was_decided(name, held, verdict, rung):
    steps = ladder(name, 1, held, LISTS)
    assert [int(step.rung) for step in steps] == list(range(1, 9))
    first = next(step for step in steps if step.verdict is not None)
    assert says(first.verdict) == (verdict, rung)


def test_reasons_name_rule_list_category_and_authority():
    reason = decide("www.casino.example", 1, policy(), LISTS).reason
    assert reason == Reason(Rung.CATEGORY, "casino.example", "list-gambling", "gambling", "authority-gambling")


@pytest.mark.parametrize(("category", "rung"), [("unlawful", Rung.LOCKED_BLOCK), ("gambling", Rung.CATEGORY), ("help", Rung.LOCKED_ALLOW)])
def test_reasons_name_the_order_behind_an_entry_what_it_is_for_and_until_when(tmp_path, category, rung):
    order = Source("mandatory", category, authority="Công an tỉnh", document="12/QĐ-CAT", reason="lừa đảo", expires=2e9)
    write(tmp_path, [("x.example", 0, 3)], [order, Source("l", "adult")])
    reason = decide("a.x.example", 1, policy(), DomainIndex.open(tmp_path)).reason
    assert reason == Reason(rung, "x.example", "mandatory", category, "Công an tỉnh", 2e9, "lừa đảo", "12/QĐ-CAT")
    write(tmp_path, [("x.example", 0, 3)], [Source("l", category)])
    assert decide("x.example", 1, policy(), DomainIndex.open(tmp_path)).reason.until is None


def test_reasons_name_the_person_and_the_end():
    exam = policy(only="sites", mode="exam", mode_by="Cô Hoa", mode_reason="kiểm tra 1 tiết", mode_until=99.0)
    assert decide("a.example", 1, exam, LISTS).reason == Reason(Rung.CLASS_MODE, "exam", by="Cô Hoa", until=99.0, note="kiểm tra 1 tiết")
    lifted = decide("game.example", 1, policy(unblocks=(unblock("game.example", until=77.0, since=1.0),)), LISTS).reason
    assert (lifted.by, lifted.until, lifted.note) == ("Cô Hoa", 77.0, "tiết Tin")
    ruled = decide("a.example", 1, policy(rules=(block("a.example", until=5.0, reason="theo công văn"),)), LISTS).reason
    assert ruled == Reason(Rung.SCHOOL_BLOCK, "a.example", by="Thầy Nam", until=5.0, note="theo công văn")


def test_a_blocked_service_and_an_unsafe_engine_say_so():
    reason = decide("www.tiktok.com", 1, policy(services=frozenset({"tiktok"})), NOTHING_LISTED).reason
    assert reason == Reason(Rung.CATEGORY, "tiktok.com", "service:tiktok", "social")
    reason = decide("vn.search.yahoo.com", 1, policy(), NOTHING_LISTED).reason
    assert reason == Reason(Rung.CATEGORY, "no safe search", category="bypass")


def test_of_several_blocks_the_most_specific_is_reported():
    held = policy(services=frozenset({"tiktok"}))
    assert decide("a.live.tiktok.com", 1, held, Lists({"live.tiktok.com": "dating"})).reason.category == "dating"
    assert decide("a.live.tiktok.com", 1, held, Lists({"com": "dating"})).reason.list == "service:tiktok"


def test_of_several_rules_the_most_specific_and_then_the_groups_own_is_reported():
    own, everybody = (
        RuleTable.of([block("b.example", reason="own")]),
        RuleTable.of([block("b.example"), block("a.b.example", reason="deep")]),
    )
    held = replace(policy(), rules=(own, everybody))
    assert decide("x.a.b.example", 1, held, NOTHING_LISTED).reason.note == "deep"
    assert decide("x.b.example", 1, held, NOTHING_LISTED).reason.note == "own"


def test_ladder_says_why_an_unblock_stays_silent():
    steps = ladder("mixed.example", 1, policy(unblocks=(unblock("mixed.example"),)), LISTS)
    assert steps[3].verdict is None
    assert steps[3].unblock.by == "Cô Hoa"
    assert steps[3].unliftable == ("gambling",)
    assert steps[6].verdict.reason.rung == Rung.CATEGORY


@pytest.mark.parametrize(
    ("held", "name", "engine", "rung"),
    [
        (policy(), "www.google.com.vn", "google", 8),
        (policy(rules=(allow("google.com"),)), "www.google.com", "google", 6),
        (policy(unblocks=(unblock("www.google.com"),)), "www.google.com", "google", 4),
        (policy("tieu-hoc", unblocks=(unblock("youtube.com"),)), "www.youtube.com", "youtube", 4),
        (policy("thcs", safe_search=False), "www.youtube.com", "youtube", 8),
    ],
)
def test_enforcement_applies_whatever_allowed_the_name(held, name, engine, rung):
    """In one peer, allow-listing www.google.com turns SafeSearch off."""
    verdict = decide(name, 1, held, Lists({"youtube.com": "video"}))
    assert isinstance(verdict, Rewrite)
    assert (verdict.engine, int(verdict.reason.rung)) == (engine, rung)


@pytest.mark.parametrize("name", ["www.google.com", "www.youtube.com", "duckduckgo.com"])
def test_staff_are_not_rewritten(name):
    assert isinstance(decide(name, 1, policy("staff"), NOTHING_LISTED), Allow)


def test_youtube_level_follows_the_policy():
    verdict = decide("www.youtube.com", 1, policy(youtube=YouTube.STRICT), NOTHING_LISTED)
    assert verdict.target == "restrict.youtube.com"


def test_a_blocked_name_is_never_rewritten():
    assert isinstance(decide("www.google.com", 1, policy(rules=(block("google.com"),)), NOTHING_LISTED), Block)


@pytest.mark.parametrize(
    ("name", "blocked"),
    [
        (r"evil\.plain.example", False),
        (r"evil\.x.plain.example", True),
        ("\\\\.plain.example", True),
        (r"a\\.plain.example", True),
    ],
)
def test_an_escaped_dot_is_no_boundary_between_labels(name, blocked):
    held = unsafe_policy(rules=(block("plain.example"),))
    assert isinstance(decide(name, 1, held, NOTHING_LISTED), Block) == blocked


TARGETS = [
    # why the name was allowed, target, policy, blocked on rung (0: not)
    (Rung.SCHOOL_ALLOW, "abuse.example", policy(), 1),
    (Rung.LOCKED_ALLOW, "abuse.example", policy(), 1),
    (Rung.LOCKED_ALLOW, "casino.example", policy(), 0),
    (Rung.LESSON_UNBLOCK, "casino.example", policy(), 0),
    (Rung.SCHOOL_ALLOW, "cdn.example", policy(rules=(block("cdn.example"),)), 0),
    (Rung.CATEGORY, "casino.example", policy(), 7),
    (Rung.DEFAULT, "casino.example", policy(), 7),
    (Rung.DEFAULT, "cdn.example", policy(rules=(block("cdn.example"),)), 5),
    (Rung.DEFAULT, "casino.example", policy(rules=(allow("casino.example"),)), 0),
    (Rung.DEFAULT, "game.example", policy(unblocks=(unblock("game.example"),)), 0),
    (Rung.DEFAULT, "help.example", policy(), 0),
    (Rung.DEFAULT, "cdn.example", policy(only="sites", sites=frozenset({"azota.example"})), 0),
    (Rung.CATEGORY, "cdn.example", policy("mam-non"), 0),
    (Rung.DEFAULT, "www.tiktok.com", policy(services=frozenset({"tiktok"})), 7),
]


@pytest.mark.parametrize(("rung", "target", "held", "expected"), TARGETS)
def test_target_of_an_allowed_name(rung, target, held, expected):
    found = decide_target(Allow(Reason(rung, "x")), target, 5, held, LISTS)
    assert (0 if found is None else int(found.reason.rung)) == expected


def test_equal_rules_make_equal_tables_and_others_do_not():
    assert RuleTable.of([block("a.example"), allow("b.example")]) == RuleTable.of([allow("b.example"), block("a.example")])
    assert RuleTable.of([block("a.example")]) != RuleTable.of([block("a.example", until=3.0)])
    assert RuleTable.of([block("a.example")]) != RuleTable.of([allow("a.example")])

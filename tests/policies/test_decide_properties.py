"""What holds for every name under every policy."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from filters.category import CATEGORIES, LOCKED
from filters.service import SERVICES
from policies.decide import Allow, Block, Policy, Rewrite, RuleTable, Rung, decide, decide_target, ladder
from policies.model import LocalRule, Unblock, YouTube
from policies.tiers import TIERS
from tests.policies.schools import NOW, Lists, block, policy

LABELS = st.sampled_from(["a", "b", "c", "example", "www", "google", "tiktok", "com", r"x\.y", r"\255"])
NAMES = st.lists(LABELS, min_size=1, max_size=5).map(".".join)
LISTED = st.dictionaries(NAMES, st.lists(st.sampled_from(sorted(CATEGORIES)), min_size=1, max_size=3).map(" ".join), max_size=8).map(Lists)
CATEGORY_SETS = st.frozensets(st.sampled_from(sorted(CATEGORIES.keys() - {"help", "learning"})))


@st.composite
def policies(draw) -> Policy:
    names = st.frozensets(NAMES, max_size=4)
    plain = st.sampled_from(["a.example", "b.example", "google.com", "c.b.example", "com"])
    rules = draw(st.lists(st.builds(LocalRule, action=st.sampled_from(["allow", "block"]), name=plain), max_size=4))
    unblocks = draw(
        st.lists(
            st.builds(Unblock, group=st.just("g"), name=plain, since=st.just(NOW), until=st.just(NOW + 9), by=st.just("x")), max_size=3
        )
    )
    return policy(
        draw(st.sampled_from(sorted(TIERS))),
        rules=tuple(rules),
        unblocks=tuple(unblocks),
        only=draw(st.sampled_from(["everything", "sites", "nothing"])),
        sites=draw(names),
        blocked=draw(CATEGORY_SETS) | LOCKED,
        allowed=draw(CATEGORY_SETS) - LOCKED,
        liftable=draw(CATEGORY_SETS) - LOCKED,
        default_block=draw(st.booleans()),
        services=draw(st.frozensets(st.sampled_from(sorted(SERVICES)), max_size=3)),
        safe_search=draw(st.booleans()),
        youtube=draw(st.sampled_from(list(YouTube))),
        box_names=draw(names),
    )


@settings(deadline=None)
@given(NAMES, policies(), LISTED)
def test_decide_is_total_and_is_the_first_rung_that_speaks(name, held, lists):
    verdict = decide(name, 1, held, lists)
    steps = ladder(name, 1, held, lists)
    first = next(step.verdict for step in steps if step.verdict is not None)
    assert verdict == first or (isinstance(verdict, Rewrite) and isinstance(first, Allow) and verdict.reason == first.reason)


@settings(deadline=None)
@given(NAMES, policies(), LISTED)
def test_a_locked_name_is_blocked_for_everybody(name, held, lists):
    if any(match.source.category in LOCKED for match in lists.lookup(name)):
        verdict = decide(name, 1, held, lists)
        assert isinstance(verdict, Block)
        assert verdict.reason.rung == Rung.LOCKED_BLOCK


@settings(deadline=None)
@given(NAMES, policies(), LISTED)
def test_help_is_allowed_unless_locked(name, held, lists):
    categories = {match.source.category for match in lists.lookup(name)}
    if "help" in categories and not categories & LOCKED:
        assert not isinstance(decide(name, 1, held, lists), Block)


@settings(deadline=None)
@given(NAMES, policies(), LISTED)
def test_offline_allows_nothing_but_help_and_the_box(name, held, lists):
    verdict = decide(name, 1, replace(held, only="nothing"), lists)
    assert isinstance(verdict, Block) or verdict.reason.rung == Rung.LOCKED_ALLOW


@settings(deadline=None)
@given(NAMES, policies(), LISTED)
def test_exam_allows_nothing_but_its_sites_help_and_the_box(name, held, lists):
    held = replace(held, only="sites")
    verdict = decide(name, 1, held, lists)
    if not isinstance(verdict, Block) and verdict.reason.rung != Rung.LOCKED_ALLOW:
        assert any(name == site or name.endswith(f".{site}") for site in held.sites)


@settings(deadline=None)
@given(NAMES, policies(), LISTED, st.sampled_from(sorted(CATEGORIES)))
def test_blocking_one_more_category_never_unblocks(name, held, lists, category):
    before = decide(name, 1, held, lists)
    if isinstance(before, Block) and category not in {"help", "learning"}:
        assert isinstance(decide(name, 1, replace(held, blocked=held.blocked | {category}), lists), Block)


@settings(deadline=None)
@given(NAMES, policies(), LISTED, st.sampled_from(["a.example", "b.example", "c.b.example", "google.com", "com"]))
def test_adding_a_school_block_never_unblocks(name, held, lists, blocked):
    before = decide(name, 1, held, lists)
    after = decide(name, 1, replace(held, rules=(RuleTable.of([block(blocked)]), *held.rules)), lists)
    assert isinstance(after, Block) or not isinstance(before, Block)


@settings(deadline=None)
@given(NAMES, policies(), LISTED, st.sampled_from(sorted(SERVICES)))
def test_blocking_one_more_service_never_unblocks(name, held, lists, service):
    if isinstance(decide(name, 1, held, lists), Block):
        assert isinstance(decide(name, 1, replace(held, services=held.services | {service}), lists), Block)


@settings(deadline=None)
@given(NAMES, policies(), LISTED)
def test_allowing_nothing_more_but_lifting_never_blocks(name, held, lists):
    """The other way round: without unblocks, no name is more open than with them."""
    if isinstance(decide(name, 1, held, lists), Block):
        assert isinstance(decide(name, 1, replace(held, unblocks={}), lists), Block)


@settings(deadline=None)
@given(NAMES, NAMES, policies(), LISTED)
def test_a_target_that_is_blocked_was_blocked_by_a_list_or_a_rule(name, target, held, lists):
    verdict = decide(name, 1, held, lists)
    if not isinstance(verdict, Block):
        found = decide_target(verdict, target, 1, held, lists)
        assert found is None or found.reason.rung in {Rung.LOCKED_BLOCK, Rung.SCHOOL_BLOCK, Rung.CATEGORY}
        if verdict.reason.rung < Rung.CATEGORY and found is not None:
            assert found.reason.rung == Rung.LOCKED_BLOCK


@settings(deadline=None)
@given(NAMES, policies(), LISTED)
def test_safe_search_does_not_depend_on_what_allowed_the_name(name, held, lists):
    verdict = decide("www.google.com", 1, held, lists)
    assert isinstance(verdict, Block) or isinstance(verdict, Rewrite) == held.safe_search

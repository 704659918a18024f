"""An overlay upon its base answers as the bundle that it was made from; text entries come on top, and only what they touch changes."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blocklists.overlay import compose, locked_names, write_overlay
from blocklists.sources import TEST_SOURCE
from filters.bundle import (
    ALLOW_BELOW,
    ALLOW_SELF,
    BLOCK_BELOW,
    BLOCK_SELF,
    FIRM_BELOW,
    FIRM_SELF,
    SUBTREE,
    Conditional,
    Source,
    read_manifest,
    write,
)
from filters.category import CATEGORIES
from filters.domain_index import DomainIndex
from filters.name import is_within, parents

A, B, C, D = Source("a", "adult"), Source("b", "gambling"), Source("c", "learning"), Source("d", "drugs")
NEWER_A = Source("a", "adult", licence="CC0", url="https://lists.example/a")
ORDER = Source("mandatory", "unlawful", authority="Sở", document="12/QĐ", reason="lừa đảo", expires=2e9)
OTHER = Source("mandatory", "unlawful", authority="Sở", document="13/QĐ")
LABEL = st.sampled_from(["a", "b", "ab", "vn", "com"])
NAME = st.lists(LABEL, min_size=1, max_size=4).map(".".join)
FIRM = SUBTREE | FIRM_SELF | FIRM_BELOW
FLAGS = st.sampled_from([SUBTREE, BLOCK_SELF, BLOCK_BELOW, ALLOW_SELF | ALLOW_BELOW, ALLOW_BELOW, BLOCK_SELF | ALLOW_BELOW, FIRM])
EVERY_NAME = ["", "x.a", *(".".join(labels) for labels in [("a",), ("b", "a"), ("vn",), ("com", "vn")])]


def conditionals(sources: int):
    pattern = st.builds(
        Conditional,
        source=st.integers(0, sources - 1),
        pattern=st.sampled_from(["^a", "b", "vn$", r"^ab\."]),
        allow=st.booleans(),
        firm=st.booleans(),
    )
    named = st.builds(
        Conditional,
        source=st.integers(0, sources - 1),
        name=NAME,
        covers=st.sampled_from([SUBTREE, BLOCK_SELF, BLOCK_BELOW]),
        allow=st.booleans(),
        firm=st.booleans(),
        types=st.sampled_from([(), (1,), (28,)]),
        denyallow=st.lists(NAME, max_size=1).map(tuple),
    )
    return st.lists(st.one_of(pattern, named), max_size=3)


@st.composite
def bundles(draw, sources):
    """Entries and conditions of a bundle of some of ``sources``, in an order of its own."""
    chosen = draw(st.lists(st.sampled_from(sources), min_size=1, max_size=len(sources), unique=True))
    entries = draw(st.dictionaries(st.tuples(NAME, st.integers(0, len(chosen) - 1)), FLAGS, max_size=10))
    return chosen, [(name, source, flags) for (name, source), flags in entries.items()], draw(conditionals(len(chosen)))


def placed(lists: Path, identity: str) -> DomainIndex:
    if not (lists / identity).exists():
        (lists / "fresh").rename(lists / identity)
    return DomainIndex.open(lists / identity)


def made(lists: Path, sources, entries, conditional=(), built_at=5.0) -> DomainIndex:
    return placed(lists, write(lists / "fresh", entries, sources, conditional, built_at))


def overlaid(lists: Path, base: DomainIndex, full: DomainIndex) -> DomainIndex:
    return placed(lists, write_overlay(lists / "fresh", base, full))


def composed(lists: Path, *given, **options) -> DomainIndex:
    number = len(list(lists.iterdir()))
    compose(lists / f"composed-{number}", *given, **options)
    return DomainIndex.open(lists / f"composed-{number}")


def said(index: DomainIndex, name: str, qtype: int = 1):
    """Sorted: which of two lists comes first that say the same of a name is no promise between bundles."""
    return sorted((match.rule, match.labels, repr(match.source)) for match in index.lookup(name, qtype))


def listing(index: DomainIndex):
    return {name: {(index.sources[source], flags) for source, flags in label_set} for name, label_set in index.entries()}


def counts(index: DomainIndex):
    return {source: count for source, count in zip(index.sources, index.counts, strict=True) if count}


def around(*indexes: DomainIndex):
    """Every listed name, its parents, and names below it."""
    listed = {name for index in indexes for name, _ in index.entries()}
    return {near for name in listed for parent in parents(name) for near in (parent, f"x.{parent}", f"ab.{parent}")} | set(EVERY_NAME)


def assert_same(found: DomainIndex, expected: DomainIndex, *others: DomainIndex):
    for name in around(found, expected, *others):
        for qtype in (1, 28):
            assert said(found, name, qtype) == said(expected, name, qtype), name
        assert {(found.sources[source], flags) for source, flags in found.entry(name)} == {
            (expected.sources[source], flags) for source, flags in expected.entry(name)
        }
    assert listing(found) == listing(expected)
    assert (found.names, counts(found)) == (expected.names, counts(expected))


class TestWriteOverlay:
    @settings(max_examples=150, deadline=None)
    @given(bundles([A, B, C]), bundles([NEWER_A, B, C, D, OTHER, ORDER]))
    def test_an_overlay_upon_a_base_is_the_full_bundle(self, tmp_path_factory, before, after):
        lists = tmp_path_factory.mktemp("lists")
        base, full = made(lists, *before), made(lists, *after, built_at=9.0)
        over = overlaid(lists, base, full)
        assert_same(over, full, base)
        assert over.built_at == full.built_at
        assert over.base.identity == base.identity

    @settings(max_examples=50, deadline=None)
    @given(bundles([A, B]), bundles([A, B, C]))
    def test_it_is_not_written_if_it_would_have_more_names_than_it_may(self, tmp_path_factory, before, after):
        lists = tmp_path_factory.mktemp("lists")
        base, full = made(lists, *before), made(lists, *after)
        over = overlaid(lists, base, full)
        names = len(list(over.changed_names()))
        assert write_overlay(lists / "as many", base, full, most=names) == over.identity
        if names:
            assert not write_overlay(lists / "fewer", base, full, most=names - 1)
            assert not (lists / "fewer").exists()

    @settings(max_examples=50, deadline=None)
    @given(bundles([A, B]), bundles([A, B, C]), bundles([A, C, D]))
    def test_it_can_be_made_from_another_overlay(self, tmp_path_factory, before, between, after):
        lists = tmp_path_factory.mktemp("lists")
        base, middle, full = made(lists, *before), made(lists, *between), made(lists, *after)
        first, last = overlaid(lists, base, middle), overlaid(lists, base, full)
        again = lists / "again"
        assert write_overlay(again, base, last) == last.identity
        assert_same(overlaid(lists, middle, first), middle)

    def test_the_same_bundles_give_the_same_bytes(self, tmp_path):
        entries = [(f"n{number}.example", number % 2, SUBTREE) for number in range(300)]
        base = made(tmp_path, [A, B], entries[:200])
        full = made(tmp_path, [A, B], entries[50:])
        random.Random(3).shuffle(entries)
        assert write_overlay(tmp_path / "one", base, full) == write_overlay(tmp_path / "two", base, full)
        for file in (tmp_path / "one").iterdir():
            assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()

    def test_nothing_changed_is_an_overlay_without_names(self, tmp_path):
        base = made(tmp_path, [A], [("x.example", 0, SUBTREE)])
        over = overlaid(tmp_path, base, base)
        assert (list(over.changed_names()), over.names) == ([], 1)

    def test_of_lists_with_one_name_and_category_each_keeps_its_own_place(self, tmp_path):
        base = made(tmp_path, [ORDER, OTHER], [("x.example", 0, SUBTREE), ("y.example", 1, SUBTREE)])
        full = made(tmp_path, [OTHER, ORDER], [("x.example", 1, SUBTREE), ("y.example", 0, SUBTREE)])
        assert not list(overlaid(tmp_path, base, full).changed_names())

    def test_the_base_keeps_the_place_of_a_list_that_is_gone(self, tmp_path):
        base = made(tmp_path, [A, B], [("x.example", 0, SUBTREE), ("y.example", 1, SUBTREE)])
        over = overlaid(tmp_path, base, made(tmp_path, [B], [("y.example", 0, SUBTREE)]))
        assert (over.sources, over.counts) == ((A, B), (0, 1))


ADDITIONS = st.lists(st.tuples(NAME, st.sampled_from([ORDER, OTHER, D])), max_size=5)


def spared(name: str, unlisted) -> bool:
    return any(is_within(name, each) for each in unlisted)


class TestCompose:
    @settings(max_examples=150, deadline=None)
    @given(bundles([A, B, C]), bundles([A, B, C, D]), ADDITIONS)
    def test_additions_give_what_compiling_everything_would(self, tmp_path_factory, before, after, additions):
        lists = tmp_path_factory.mktemp("lists")
        base, full = made(lists, *before), made(lists, *after)
        sources, entries, conditional = after
        everything = [*sources, *(source for source in dict.fromkeys(source for _, source in additions) if source not in sources)]
        # an addition says all that is said under its own source's name
        kept = [entry for entry in entries if (entry[0], sources[entry[1]]) not in additions]
        added = [(name, everything.index(source), SUBTREE) for name, source in additions]
        expected = made(lists, everything, [*kept, *added], conditional)
        for under in (full, overlaid(lists, base, full)):
            found = composed(lists, under, additions)
            assert_same(found, expected)
            assert found.base.identity == (under.base or under).identity

    @settings(max_examples=150, deadline=None)
    @given(bundles([A, B, C]), bundles([A, B, C]), st.lists(NAME, min_size=1, max_size=2), ADDITIONS)
    def test_no_list_says_anything_of_an_unlisted_name_and_what_is_below(self, tmp_path_factory, before, after, unlisted, additions):
        lists = tmp_path_factory.mktemp("lists")
        base, full = made(lists, *before), made(lists, *after)
        under = overlaid(lists, base, full)
        found = composed(lists, under, additions, unlisted)
        only_additions = composed(lists, None, additions)
        for name in around(full, found) | {near for each in unlisted for near in (each, f"x.{each}", f"x.b.{each}")}:
            for qtype in (1, 28):
                under_said = [] if spared(name, unlisted) else [match.source for match in under.lookup(name, qtype)]
                added = [match.source for match in only_additions.lookup(name, qtype)]
                assert {match.source for match in found.lookup(name, qtype)} == {*under_said, *added}, name

    @settings(max_examples=50, deadline=None)
    @given(bundles([A, B, C]), bundles([A, B, C]), st.lists(NAME, max_size=2), ADDITIONS)
    def test_the_numbers_are_those_of_the_names(self, tmp_path_factory, before, after, unlisted, additions):
        lists = tmp_path_factory.mktemp("lists")
        found = composed(lists, overlaid(lists, made(lists, *before), made(lists, *after)), additions, unlisted)
        listed = listing(found)
        assert found.names == len(listed)
        assert found.counts == tuple(sum(source in {of for of, _ in said} for said in listed.values()) for source in found.sources)

    def test_in_any_order_the_same_bytes(self, tmp_path):
        under = made(tmp_path, [A, B], [(f"n{number}.example", number % 2, SUBTREE) for number in range(50)])
        additions = [(f"n{number}.example", (ORDER, OTHER, D)[number % 3]) for number in range(20)]
        unlisted = [f"n{number}.example" for number in range(10, 30)]
        first = compose(tmp_path / "one", under, additions, unlisted, built_at=7.0)
        second = compose(tmp_path / "two", under, iter([*reversed(additions), additions[3]]), reversed(unlisted), built_at=7.0)
        assert first == second
        assert DomainIndex.open(tmp_path / "one").built_at == 7.0

    def test_only_what_changes_is_in_the_overlay(self, tmp_path):
        base = made(tmp_path, [A], [("x.example", 0, SUBTREE), ("a.x.example", 0, BLOCK_SELF), ("y.example", 0, SUBTREE)])
        found = composed(tmp_path, base, [("y.example", A), ("z.example", ORDER)], ["x.example", "never.listed"])
        assert set(found.changed_names()) == {"x.example", "a.x.example", "z.example"}

    def test_an_unlisted_name_costs_only_the_lists_that_speak_there(self, tmp_path):
        base = made(tmp_path, [A, B], [("x.example", 0, SUBTREE), ("y.example", 1, SUBTREE)])
        found = composed(tmp_path, base, [], ["good.x.example"])
        assert (found.counts, found.names) == ((2, 1), 3)
        assert said(found, "bad.x.example") == said(base, "bad.x.example") != []
        assert said(found, "good.x.example") == said(found, "www.good.x.example") == []

    def test_an_order_speaks_of_a_name_that_the_list_team_takes_out(self, tmp_path):
        base = made(tmp_path, [A], [("x.example", 0, SUBTREE)])
        found = composed(tmp_path, base, [("x.example", ORDER)], ["x.example"])
        assert [match.source for match in found.lookup("www.x.example")] == [ORDER]

    def test_without_a_base_there_are_the_additions_and_the_test_names(self, tmp_path):
        found = composed(tmp_path, None, [("x.example", ORDER), ("x.example", OTHER)])
        assert found.base is None
        assert read_manifest(tmp_path / "composed-0").base == ""
        assert {name for name, _ in found.entries()} == {"x.example"} | {category.test_name for category in CATEGORIES.values()}
        assert {match.source for match in found.lookup("a.x.example")} == {ORDER, OTHER}


class TestLockedNames:
    TESTS = (*(Source(TEST_SOURCE, category) for category in CATEGORIES), A)

    def entries(self):
        return [(category.test_name, number, SUBTREE) for number, category in enumerate(CATEGORIES.values())]

    def number(self, category: str) -> int:
        return list(CATEGORIES).index(category)

    def test_the_test_names_are_none(self, tmp_path):
        assert list(locked_names(made(tmp_path, self.TESTS, [*self.entries(), ("x.example", len(CATEGORIES), SUBTREE)]))) == []

    @pytest.mark.parametrize("flags", [SUBTREE, BLOCK_SELF, ALLOW_SELF])
    def test_any_other_name_is_found(self, tmp_path, flags):
        index = made(tmp_path, self.TESTS, [*self.entries(), ("x.example", self.number("unlawful"), flags)])
        assert list(locked_names(index)) == ["x.example"]

    def test_so_is_the_test_name_of_another_category(self, tmp_path):
        index = made(tmp_path, self.TESTS, [*self.entries(), ("adult.manglanh.test", self.number("child-abuse"), SUBTREE)])
        assert list(locked_names(index)) == ["adult.manglanh.test"]

    def test_so_are_rules_with_conditions(self, tmp_path):
        rules = [Conditional(self.number("unlawful"), pattern="^bad"), Conditional(self.number("unlawful"), name="y.example", types=(1,))]
        assert sorted(locked_names(made(tmp_path, self.TESTS, self.entries(), rules))) == ["/^bad/", "y.example"]

    def test_in_a_base_and_in_an_overlay(self, tmp_path):
        base = made(tmp_path, [*self.TESTS, ORDER], [*self.entries(), ("x.example", len(self.TESTS), SUBTREE)])
        assert list(locked_names(base)) == ["x.example"]
        without = made(tmp_path, [*self.TESTS, ORDER], self.entries())
        assert list(locked_names(overlaid(tmp_path, base, without))) == []
        assert list(locked_names(overlaid(tmp_path, without, base))) == ["x.example"]

"""The index: what is listed is found, what is not is not, and no damaged bundle gets in."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.bundle import (
    ALLOW_BELOW,
    ALLOW_SELF,
    BLOCK_BELOW,
    BLOCK_SELF,
    FIRM_BELOW,
    FIRM_SELF,
    LABELS,
    MANIFEST,
    NAMES,
    RULES,
    SUBTREE,
    read_manifest,
)
from filters.domain_index import EMPTY, BadBundle, Conditional, DomainIndex, Source, write
from filters.name import is_within

ADULT, GAMBLING, LEARNING = Source("a", "adult"), Source("g", "gambling"), Source("l", "learning")
SOURCES = (ADULT, GAMBLING, LEARNING)
EXCEPT = ALLOW_SELF | ALLOW_BELOW


def opened(directory: Path, entries, conditional=(), sources=SOURCES) -> DomainIndex:
    write(directory, entries, sources, conditional)
    return DomainIndex.open(directory)


def said(index: DomainIndex, name: str, qtype: int = 1):
    return [(match.rule, match.labels, match.source.name) for match in index.lookup(name, qtype)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("example.com", [("example.com", 2, "a")]),
        ("b.example.com", [("example.com", 2, "a")]),
        ("a.example.com", [("=a.example.com", 3, "g"), ("example.com", 2, "a")]),
        ("x.a.example.com", [("example.com", 2, "a")]),
        ("example.org", []),
        ("www.example.org", [("*.example.org", 2, "g")]),
        ("edu.example.com", []),
        ("deep.edu.example.com", []),
        ("again.deep.edu.example.com", [("again.deep.edu.example.com", 5, "a")]),
        ("notexample.com", []),
        ("com", []),
        ("", []),
        ("example.com.vn", []),
    ],
)
def test_what_entries_cover(tmp_path, name, expected):
    entries = [
        ("example.com", 0, SUBTREE),
        ("a.example.com", 1, BLOCK_SELF),
        ("example.org", 1, BLOCK_BELOW),
        ("edu.example.com", 0, EXCEPT),
        ("again.deep.edu.example.com", 0, SUBTREE),
    ]
    assert said(opened(tmp_path, entries), name) == expected


def test_an_exception_silences_its_own_list_only(tmp_path):
    index = opened(tmp_path, [("x.com", 0, SUBTREE), ("x.com", 1, SUBTREE), ("a.x.com", 0, EXCEPT)])
    assert said(index, "a.x.com") == [("x.com", 2, "g")]


@pytest.mark.parametrize("name", [r"a\.example.com", r"a\.b.example\.com", "a\\\\.example\\.com", r"\046example.com"])
def test_a_dot_inside_a_label_matches_no_listed_name(tmp_path, name):
    index = opened(tmp_path, [("example.com", 0, SUBTREE), ("b.example.com", 0, SUBTREE)], [Conditional(1, pattern="example")])
    assert said(index, name) == []


def test_a_name_below_a_listed_one_matches_though_its_own_label_is_strange(tmp_path):
    index = opened(tmp_path, [("example.com", 0, SUBTREE)])
    assert said(index, r"a\.b.example.com") == [("example.com", 2, "a")]
    assert said(index, r"\000.example.com") == [("example.com", 2, "a")]


class TestConditions:
    """Rules that the trie cannot hold, weighed as Adblock does: block < exception < important block < important exception."""

    def test_a_pattern(self, tmp_path):
        index = opened(tmp_path, [], [Conditional(1, pattern=r"^casino\d")])
        assert said(index, "casino1.example") == [(r"/^casino\d/", 0, "g")]
        assert said(index, "my.casino1.example") == []

    def test_denyallow_spares_a_subtree(self, tmp_path):
        index = opened(tmp_path, [], [Conditional(0, name="x.com", denyallow=("good.x.com",))])
        assert said(index, "bad.x.com") == [("x.com", 2, "a")]
        assert said(index, "www.good.x.com") == []

    @pytest.mark.parametrize(("other_types", "a", "aaaa"), [(False, False, True), (True, True, False)])
    def test_dnstype(self, tmp_path, other_types, a, aaaa):
        index = opened(tmp_path, [], [Conditional(0, name="x.com", types=(28,), other_types=other_types)])
        assert bool(index.lookup("www.x.com", 1)) == a
        assert bool(index.lookup("www.x.com", 28)) == aaaa

    def test_the_name_alone(self, tmp_path):
        index = opened(tmp_path, [], [Conditional(0, name="x.com", covers=BLOCK_SELF, types=(1,))])
        assert said(index, "x.com") == [("=x.com", 2, "a")]
        assert said(index, "www.x.com") == []

    def test_an_excepting_pattern_lifts_a_block_but_not_an_important_one(self, tmp_path):
        entries = [("x.com", 0, SUBTREE), ("y.com", 0, SUBTREE | FIRM_SELF | FIRM_BELOW), ("x.com", 1, SUBTREE)]
        index = opened(tmp_path, entries, [Conditional(0, pattern="^good", allow=True)])
        assert said(index, "good.x.com") == [("x.com", 2, "g")]
        assert said(index, "good.y.com") == [("y.com", 2, "a")]

    def test_an_important_exception_lifts_everything_of_its_list(self, tmp_path):
        entries = [("y.com", 0, SUBTREE | FIRM_SELF | FIRM_BELOW)]
        index = opened(tmp_path, entries, [Conditional(0, pattern="^good", allow=True, firm=True)])
        assert said(index, "good.y.com") == []

    def test_the_more_specific_of_two_blocks_is_named(self, tmp_path):
        index = opened(tmp_path, [("x.com", 0, SUBTREE)], [Conditional(0, name="a.x.com", types=(1,)), Conditional(0, pattern="x")])
        assert said(index, "a.x.com") == [("a.x.com", 3, "a")]
        assert said(index, "b.x.com") == [("x.com", 2, "a")]


LABEL = st.sampled_from(["a", "b", "c", "ab", "vn", "com"])
NAME = st.lists(LABEL, min_size=1, max_size=4).map(".".join)
FLAGS = st.sampled_from([BLOCK_SELF, BLOCK_BELOW, SUBTREE, ALLOW_SELF, ALLOW_BELOW, EXCEPT, BLOCK_SELF | ALLOW_BELOW])


def naive(entries: dict[tuple[str, int], int], name: str) -> set[tuple[str, int]]:
    """The (listed name, source) that block ``name``: for each source the longest listed name that speaks of it."""
    found = set()
    for source in range(len(SOURCES)):
        speaking = [
            (listed, flags)
            for (listed, owner), flags in entries.items()
            if owner == source
            and is_within(name, listed)
            and flags & ((BLOCK_SELF | ALLOW_SELF) if name == listed else (BLOCK_BELOW | ALLOW_BELOW))
        ]
        if speaking:
            listed, flags = max(speaking, key=lambda pair: len(pair[0]))
            if flags & (BLOCK_SELF if name == listed else BLOCK_BELOW):
                found.add((listed, source))
    return found


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.tuples(NAME, st.integers(0, 2)), FLAGS, max_size=12), st.lists(NAME, min_size=1, max_size=8))
def test_the_index_is_a_naive_set_of_suffixes(tmp_path_factory, entries, names):
    index = opened(tmp_path_factory.mktemp("bundle"), [(name, source, flags) for (name, source), flags in entries.items()])
    for name in [*names, *(listed for listed, _ in entries)]:
        found = index.lookup(name)
        assert {(match.rule.removeprefix("=").removeprefix("*."), SOURCES.index(match.source)) for match in found} == naive(entries, name)
        assert [match.labels for match in found] == sorted((match.labels for match in found), reverse=True)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(NAME, st.integers(0, 2), FLAGS), max_size=12), st.randoms(use_true_random=False))
def test_entries_in_any_order_give_the_same_bytes(tmp_path_factory, entries, random):
    folder = tmp_path_factory.mktemp("bundles")
    rules = [Conditional(0, pattern="^x"), Conditional(1, name="a.b", types=(1, 28)), Conditional(0, pattern="^y")]
    write(folder / "one", entries, SOURCES, rules, built_at=7.0)
    random.shuffle(entries)
    write(folder / "two", entries, SOURCES, rules[::-1], built_at=7.0)
    for name in (NAMES, LABELS, RULES, MANIFEST):
        assert (folder / "one" / name).read_bytes() == (folder / "two" / name).read_bytes()


def test_what_a_bundle_says_of_itself(tmp_path):
    identity = write(tmp_path, [("x.com", 0, 3), ("x.com", 1, 3), ("y.com", 1, EXCEPT)], SOURCES, built_at=1_700_000_000)
    index = DomainIndex.open(tmp_path)
    assert (index.identity, index.built_at, index.names, index.counts) == (identity, 1_700_000_000.0, 2, (1, 2, 0))
    assert index.sources == SOURCES
    assert dict(index.entries()) == {"x.com": ((0, 3), (1, 3)), "y.com": ((1, EXCEPT),)}
    assert index.entry("x.com") == ((0, 3), (1, 3))
    assert index.entry("www.x.com") == ()


def test_more_than_65535_label_sets_fit(tmp_path):
    sources = [Source(f"s{number}", "ads") for number in range(20)]
    names = [f"n{number}.example" for number in range(70_000)]
    entries = [(name, bit, 3) for number, name in enumerate(names, 1) for bit in range(20) if number >> bit & 1]
    index = opened(tmp_path, entries, sources=sources)
    assert read_manifest(tmp_path).label_bytes == 4
    assert {match.source.name for match in index.lookup(names[69_999])} == {f"s{bit}" for bit in range(20) if 70_000 >> bit & 1}


def test_the_empty_index_lists_nothing():
    assert EMPTY.lookup("example.com") == ()
    assert list(EMPTY.entries()) == []
    assert EMPTY.identity == ""


def test_an_empty_bundle_opens(tmp_path):
    assert opened(tmp_path, [], sources=()).lookup("example.com") == ()


def test_a_closed_index_lists_nothing(tmp_path):
    index = opened(tmp_path, [("x.com", 0, 3)], [Conditional(0, pattern="x")])
    index.close()
    index.close()
    assert index.lookup("x.com") == ()


def test_an_open_index_survives_its_directory(tmp_path):
    index = opened(tmp_path / "bundle", [("x.com", 0, 3)])
    shutil.rmtree(tmp_path / "bundle")
    assert said(index, "www.x.com") == [("x.com", 2, "a")]


class TestDamage:
    """Every file cut, flipped, missing or foreign is BadBundle, and nothing else."""

    @pytest.fixture
    def bundle(self, tmp_path):
        entries = [(f"n{number}.example", number % 3, SUBTREE) for number in range(40)]
        write(tmp_path, entries, SOURCES, [Conditional(0, pattern="^x"), Conditional(1, name="a.b", types=(1,))])
        return tmp_path

    @pytest.mark.parametrize("file", [NAMES, LABELS, RULES, MANIFEST])
    def test_missing(self, bundle, file):
        (bundle / file).unlink()
        with pytest.raises(BadBundle, match=file):
            DomainIndex.open(bundle)

    @pytest.mark.parametrize("file", [NAMES, LABELS, RULES, MANIFEST])
    def test_a_directory_in_its_place(self, bundle, file):
        (bundle / file).unlink()
        (bundle / file).mkdir()
        with pytest.raises(BadBundle, match=file):
            DomainIndex.open(bundle)

    @pytest.mark.parametrize("file", [NAMES, LABELS, RULES, MANIFEST])
    def test_cut_anywhere(self, bundle, file):
        whole = (bundle / file).read_bytes()
        for length in {0, 1, len(whole) // 2, len(whole) - 1}:
            (bundle / file).write_bytes(whole[:length])
            with pytest.raises(BadBundle):
                DomainIndex.open(bundle)

    @pytest.mark.parametrize("file", [NAMES, LABELS, RULES, MANIFEST])
    def test_longer(self, bundle, file):
        with (bundle / file).open("ab") as stream:
            stream.write(b"\n")
        with pytest.raises(BadBundle):
            DomainIndex.open(bundle)

    def test_any_single_bit_of_the_manifest_flipped(self, bundle):
        whole = (bundle / MANIFEST).read_bytes()
        for position in range(len(whole)):
            damaged = bytearray(whole)
            damaged[position] ^= 1 << position % 8
            (bundle / MANIFEST).write_bytes(damaged)
            with pytest.raises(BadBundle):
                read_manifest(bundle)

    @pytest.mark.parametrize("file", [NAMES, LABELS, RULES])
    @given(st.data())
    @settings(max_examples=60, deadline=None)
    def test_bits_flipped(self, tmp_path_factory, file, data):
        bundle = tmp_path_factory.mktemp("bundle")
        write(bundle, [("x.com", 0, 3), ("y.com", 1, 3)], SOURCES, [Conditional(0, pattern="^x")])
        content = bytearray((bundle / file).read_bytes())
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        (bundle / file).write_bytes(content)
        with pytest.raises(BadBundle):
            DomainIndex.open(bundle)

    @pytest.mark.parametrize(
        "change", [{"format": 3}, {"byteorder": "middle"}, {"names": 3}, {"label_bytes": 3}, {"counts": (1,)}, {"files": {}}]
    )
    def test_a_manifest_that_is_consistent_with_itself_only(self, bundle, change):
        from filters.bundle import write_manifest

        manifest = read_manifest(bundle).model_copy(update=change)
        write_manifest(bundle, manifest)
        with pytest.raises(BadBundle):
            DomainIndex.open(bundle)

    @pytest.mark.parametrize(
        ("file", "content"),
        [
            (NAMES, b"not a trie"),
            (NAMES, b""),
            (LABELS, b"\xff\xff" * 41),
            (RULES, b"[]"),
            (RULES, b'{"conditional":[],"sets":[[[9,3]]]}\n'),
            (RULES, (b'{"conditional":[{"allow":false,"covers":3,"denyallow":[],"firm":false,"name":"","other_types":false,"pattern":"(","source":0,'
                    b'"types":[]}],"sets":[[[0,3]],[[1,3]],[[2,3]],[[1,64]]]}\n')),
            (RULES, b"[" * 100_000),
        ],
    )  # fmt: skip
    def test_a_wrong_file_with_the_right_hash(self, bundle, file, content):
        """A compiler gone wrong, not a damaged disk: the hashes match, the content does not."""
        from filters.bundle import file_entry, write_manifest

        (bundle / file).write_bytes(content)
        manifest = read_manifest(bundle)
        manifest = manifest.model_copy(update={"files": {**manifest.files, file: file_entry(bundle / file)}})
        write_manifest(bundle, manifest)
        with pytest.raises(BadBundle):
            DomainIndex.open(bundle)

    def test_no_directory(self, tmp_path):
        with pytest.raises(BadBundle):
            DomainIndex.open(tmp_path / "nothing")

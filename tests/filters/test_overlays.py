"""A bundle upon another: found beside it, shared with the one before, and refused when anything about the two does not fit."""

import hashlib
import json
import shutil

import pytest

from filters.bundle import MANIFEST, NAMES, RULES, SUBTREE, Conditional, Over, Source, key_of, read_manifest, write, write_changes
from filters.domain_index import BadBundle, DomainIndex

ADULT, GAMBLING, UNLAWFUL = Source("a", "adult"), Source("g", "gambling"), Source("mandatory", "unlawful", document="12/QĐ")
ENTRIES = [("x.example", 0, SUBTREE), ("y.example", 0, SUBTREE), ("z.example", 1, SUBTREE)]


def base_in(lists, entries=ENTRIES, conditional=()):
    identity = write(lists / "fresh", entries, (ADULT, GAMBLING), conditional)
    return (lists / "fresh").rename(lists / identity)


def overlay_in(lists, base, changes, **given):
    said = {"sources": (ADULT, GAMBLING, UNLAWFUL), "conditional": (), "listed": 3, "counts": (2, 1, 0)} | given
    over = Over(base.name, DomainIndex.open(base).own.key_id, said["listed"], said["counts"])
    keys = ((key_of(name), label_set) for name, label_set in changes.items())
    identity = write_changes(lists / "over", keys, said["sources"], said["conditional"], over)
    return (lists / "over").rename(lists / identity)


def said(index, name, qtype=1):
    return [(match.rule, match.source.name) for match in index.lookup(name, qtype)]


def replace_rules(bundle, gone):
    """Another rules.json with the right hash: a compiler gone wrong."""
    from filters.bundle import file_entry, write_manifest

    said = json.loads((bundle / RULES).read_bytes()) | {"gone": gone}
    (bundle / RULES).write_bytes(json.dumps(said, sort_keys=True, separators=(",", ":")).encode() + b"\n")
    manifest = read_manifest(bundle)
    manifest = manifest.model_copy(update={"files": {**manifest.files, RULES: file_entry(bundle / RULES)}})
    write_manifest(bundle, manifest)


CHANGES = {"x.example": (), "y.example": ((1, SUBTREE),), "w.example": ((2, SUBTREE),)}


@pytest.fixture
def overlaid(tmp_path):
    base = base_in(tmp_path)
    return overlay_in(tmp_path, base, CHANGES, counts=(0, 2, 1))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x.example", []),
        ("a.x.example", []),
        ("y.example", [("y.example", "g")]),
        ("a.b.y.example", [("y.example", "g")]),
        ("w.example", [("w.example", "mandatory")]),
        ("a.z.example", [("z.example", "g")]),
        ("example", []),
        ("v.example", []),
        (r"a\.y.example", []),
        (r"\000.y.example", [("y.example", "g")]),
    ],
)
def test_what_the_overlay_says_of_a_name_replaces_what_the_base_says(overlaid, name, expected):
    assert said(DomainIndex.open(overlaid), name) == expected


def test_the_names_and_numbers_are_those_of_both(overlaid):
    index = DomainIndex.open(overlaid)
    assert dict(index.entries()) == {"z.example": ((1, 3),), "y.example": ((1, 3),), "w.example": ((2, 3),)}
    assert (index.names, index.counts, index.sources) == (3, (0, 2, 1), (ADULT, GAMBLING, UNLAWFUL))
    assert [index.entry(name) for name in ("x.example", "y.example", "z.example", "v.example")] == [(), ((1, 3),), ((1, 3),), ()]
    assert set(index.changed_names()) == set(CHANGES)
    assert index.base.names == 3
    assert index.base.base is None


def test_whatever_is_newer_of_a_source_counts_for_names_of_the_base_too(tmp_path):
    renewed = Source("g", "gambling", licence="CC0", document="13/QĐ")
    index = DomainIndex.open(overlay_in(tmp_path, base_in(tmp_path), {}, sources=(ADULT, renewed), counts=(2, 1)))
    assert index.lookup("z.example")[0].source == renewed


def test_the_overlays_conditions_replace_the_bases(tmp_path):
    before = [Conditional(0, name="x.example", types=(1,), allow=True), Conditional(0, pattern="^old")]
    base = base_in(tmp_path, ENTRIES, before)
    assert said(DomainIndex.open(base), "x.example") == []
    silent = DomainIndex.open(overlay_in(tmp_path, base, {}))
    assert said(silent, "x.example") == [("x.example", "a")]
    assert said(silent, "old.example") == []
    other = DomainIndex.open(overlay_in(tmp_path, base, {}, conditional=[Conditional(0, name="x.example", types=(28,), allow=True)]))
    assert (said(other, "x.example", 1), said(other, "x.example", 28)) == ([("x.example", "a")], [])


class TestSharing:
    def test_the_base_of_the_one_before_is_used_again(self, tmp_path, overlaid):
        first = DomainIndex.open(overlaid)
        base = tmp_path / first.base.identity
        second = overlay_in(tmp_path, base, {})
        shutil.rmtree(base)  # it is not even looked at
        assert DomainIndex.open(second, first).base is first.base
        assert DomainIndex.open(second, first.base).base is first.base

    def test_another_one_is_not(self, tmp_path, overlaid):
        previous = DomainIndex.open(base_in(tmp_path, ENTRIES[:1]))
        index = DomainIndex.open(overlaid, previous)
        assert index.base is not previous
        assert said(index, "z.example") == [("z.example", "g")]

    def test_closing_an_overlay_leaves_the_base_to_the_others(self, tmp_path, overlaid):
        first = DomainIndex.open(overlaid)
        second = DomainIndex.open(overlaid, first)
        first.close()
        assert (said(first, "z.example"), first.names, list(first.entries())) == ([], 0, [])
        assert said(second, "z.example") == [("z.example", "g")]


class TestRefused:
    def test_a_missing_base(self, tmp_path, overlaid):
        shutil.rmtree(tmp_path / read_manifest(overlaid).base)
        with pytest.raises(BadBundle, match="its base .*No such file"):
            DomainIndex.open(overlaid)

    def test_a_damaged_base(self, tmp_path, overlaid):
        names = tmp_path / read_manifest(overlaid).base / NAMES
        names.write_bytes(names.read_bytes()[:-1] + b"\xff")
        with pytest.raises(BadBundle, match=r"its base .*names.marisa: its hash"):
            DomainIndex.open(overlaid)

    def test_another_bundle_in_the_bases_place(self, tmp_path, overlaid):
        place = tmp_path / read_manifest(overlaid).base
        shutil.rmtree(place)
        base_in(tmp_path, ENTRIES[:1]).rename(place)
        with pytest.raises(BadBundle, match="another bundle"):
            DomainIndex.open(overlaid)

    def test_an_overlay_upon_an_overlay(self, tmp_path, overlaid):
        with pytest.raises(BadBundle, match="an overlay itself"):
            DomainIndex.open(overlay_in(tmp_path, overlaid, {}))
        upon = overlay_in(tmp_path, overlaid, {"v.example": ((0, SUBTREE),)})
        with pytest.raises(BadBundle, match="an overlay itself"):
            DomainIndex.open(upon, DomainIndex.open(overlaid))

    def test_an_overlay_that_lies_in_its_own_bases_place(self, tmp_path, overlaid):
        place = tmp_path / read_manifest(overlaid).base
        shutil.rmtree(place)
        shutil.copytree(overlaid, place)
        with pytest.raises(BadBundle, match="an overlay itself"):
            DomainIndex.open(overlaid)

    @pytest.mark.parametrize(
        "sources",
        [(), (ADULT,), (GAMBLING, ADULT), (ADULT, Source("g", "drugs")), (ADULT, Source("h", "gambling")), (UNLAWFUL, ADULT, GAMBLING)],
    )
    def test_sources_that_do_not_begin_with_the_bases(self, tmp_path, sources):
        upon = overlay_in(tmp_path, base_in(tmp_path), {}, sources=sources, counts=(0,) * len(sources))
        with pytest.raises(BadBundle, match="do not begin with its base's"):
            DomainIndex.open(upon)

    @pytest.mark.parametrize("change", [{"listed": -1}, {"listed": 7}, {"counts": (1,)}, {"base": "../../etc"}, {"base": "a" * 63}])
    def test_a_manifest_that_is_consistent_with_itself_only(self, tmp_path, overlaid, change):
        from filters.bundle import write_manifest

        manifest = read_manifest(overlaid).model_copy(update=change)
        write_manifest(overlaid, manifest)
        with pytest.raises(BadBundle):
            DomainIndex.open(overlaid)

    @pytest.mark.parametrize("gone", [[3], [0, 3], [-1], [1, 0], [1, -1], [2**40], [True]])
    def test_names_taken_out_that_the_base_does_not_have(self, tmp_path, gone):
        base = base_in(tmp_path)
        upon = overlay_in(tmp_path, base, {"x.example": ()}, listed=2, counts=(1, 1, 0))
        replace_rules(upon, gone)
        with pytest.raises(BadBundle, match=RULES):
            DomainIndex.open(upon)

    def test_names_taken_out_where_there_is_no_base(self, tmp_path):
        base = base_in(tmp_path)
        replace_rules(base, [1])
        with pytest.raises(BadBundle, match="takes out"):
            DomainIndex.open(base)

    def test_a_bundle_without_base_that_lists_more_than_it_has(self, tmp_path):
        from filters.bundle import write_manifest

        base = base_in(tmp_path)
        manifest = read_manifest(base).model_copy(update={"listed": 4})
        write_manifest(base, manifest)
        with pytest.raises(BadBundle, match="contradicts itself"):
            DomainIndex.open(base)


class TestFormat1:
    """What the release before wrote, byte for byte: no base, and sources without reason and end."""

    def older(self, bundle, **changed):
        manifest = json.loads((bundle / MANIFEST).read_bytes())
        for name in ("base", "listed"):
            del manifest[name]
        for source in manifest["sources"]:
            del source["reason"], source["expires"]
        manifest |= {"format": 1, "identity": ""} | changed

        def canonical():
            return json.dumps(manifest, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"

        manifest["identity"] = hashlib.sha256(canonical()).hexdigest()
        (bundle / MANIFEST).write_bytes(canonical())
        return bundle

    def test_it_is_read(self, tmp_path):
        index = DomainIndex.open(self.older(base_in(tmp_path)))
        assert said(index, "a.z.example") == [("z.example", "g")]
        assert (index.names, index.counts, index.base) == (3, (2, 1), None)

    @pytest.mark.parametrize("added", [{"base": ""}, {"listed": 3}, {"base": "a" * 64, "listed": 3}])
    def test_it_has_nothing_of_the_later_format(self, tmp_path, added):
        with pytest.raises(BadBundle, match="not in the form"):
            DomainIndex.open(self.older(base_in(tmp_path), **added))

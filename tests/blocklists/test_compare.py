"""Two bundles compared: against sets, and in what order changes are named."""

from hypothesis import given, settings
from hypothesis import strategies as st

from blocklists.compare import Change, compare
from blocklists.overlay import write_overlay
from filters.bundle import ALLOW_BELOW, ALLOW_SELF
from filters.domain_index import DomainIndex, Source, write

SOURCES = [Source("a", "adult"), Source("b", "gambling"), Source("c", "gambling")]
NAMES = st.dictionaries(st.sampled_from([f"n{number}.example" for number in range(12)]), st.sets(st.integers(0, 2), min_size=1))


def opened(directory, listed):
    write(directory, [(name, source, 3) for name, sources in listed.items() for source in sources], SOURCES)
    return DomainIndex.open(directory)


@settings(max_examples=60, deadline=None)
@given(NAMES, NAMES)
def test_it_agrees_with_sets(tmp_path_factory, before, after):
    folder = tmp_path_factory.mktemp("bundles")
    found = compare(opened(folder / "a", before), opened(folder / "b", after), first=100)
    old = {name: tuple(sorted({SOURCES[source].category for source in sources})) for name, sources in before.items()}
    new = {name: tuple(sorted({SOURCES[source].category for source in sources})) for name, sources in after.items()}
    assert (found.added, found.removed) == (len(set(new) - set(old)), len(set(old) - set(new)))
    assert found.recategorised == sum(old[name] != new[name] for name in set(old) & set(new))
    assert {change.name: (change.before, change.after) for change in found.first} == {
        name: (old.get(name, ()), new.get(name, ())) for name in set(old) | set(new) if old.get(name) != new.get(name)
    }


def overlaid(folder, base, listed):
    """The overlay upon ``base`` that lists just this."""
    index = opened(folder / "full", listed)
    if index.identity == base.identity:
        return base
    write_overlay(folder / "overlay", base, index)
    return DomainIndex.open(folder / "overlay", base)


@settings(max_examples=60, deadline=None)
@given(NAMES, NAMES, NAMES)
def test_overlays_on_one_base_compare_as_what_they_say(tmp_path_factory, base, before, after):
    folder = tmp_path_factory.mktemp("bundles")
    below = opened(folder / "base", base)
    old, new = overlaid(folder / "a", below, before), overlaid(folder / "b", below, after)
    assert compare(old, new, first=100) == compare(opened(folder / "c", before), opened(folder / "d", after), first=100)


def test_a_name_that_moves_between_lists_of_one_category_has_not_changed(tmp_path):
    found = compare(opened(tmp_path / "a", {"x.example": {1}}), opened(tmp_path / "b", {"x.example": {2}}))
    assert (found.added, found.removed, found.recategorised) == (0, 0, 0)


def test_an_exception_is_no_listing(tmp_path):
    write(tmp_path / "a", [("x.example", 0, 3)], SOURCES)
    write(tmp_path / "b", [("x.example", 0, ALLOW_SELF | ALLOW_BELOW)], SOURCES)
    found = compare(DomainIndex.open(tmp_path / "a"), DomainIndex.open(tmp_path / "b"))
    assert found.first == (Change("x.example", ("adult",), ()),)


def test_the_first_changes_are_the_first_by_name_however_many_there_are(tmp_path):
    listed = {f"n{number:05}.example": {0} for number in range(5000)}
    found = compare(opened(tmp_path / "a", {}), opened(tmp_path / "b", listed), first=3)
    assert (found.added, [change.name for change in found.first]) == (5000, ["n00000.example", "n00001.example", "n00002.example"])

"""A bundle's way into force: whole or not at all, the previous one kept, and what stops a build."""

import shutil
from pathlib import Path

import pytest

from blocklists.build import build
from blocklists.compile import CompileRefused
from blocklists.fetch import Fetcher
from blocklists.install import Busy, _lock, current, install, place, previous
from blocklists.overlay import compose
from blocklists.sources import ListSource
from filters.bundle import NAMES
from filters.domain_index import BadBundle, DomainIndex, Source, write


def bundle_of(*names):
    return lambda fresh: write(fresh, [(name, 0, 3) for name in names], [Source("l", "adult")])


def folders(directory: Path):
    return sorted(path.name for path in directory.iterdir() if path.is_dir() and not path.is_symlink())


def names(directory: Path):
    return {name for name, _ in DomainIndex.open(directory / "current").entries()}


def test_the_new_bundle_is_in_force_and_the_one_before_is_kept(tmp_path):
    first = install(tmp_path, bundle_of("a.example"))
    second = install(tmp_path, bundle_of("b.example"))
    third = install(tmp_path, bundle_of("c.example"))
    assert current(tmp_path) == third
    assert names(tmp_path) == {"c.example"}
    assert folders(tmp_path) == sorted([second.name, third.name])
    assert not first.exists()
    assert third.name == DomainIndex.open(third).identity


def test_the_same_bundle_again_changes_nothing(tmp_path):
    before = install(tmp_path, bundle_of("a.example"))
    inode = (before / NAMES).stat().st_ino
    previous = install(tmp_path, bundle_of("b.example"))
    assert install(tmp_path, bundle_of("a.example")) == before
    assert (before / NAMES).stat().st_ino == inode
    assert folders(tmp_path) == sorted([before.name, previous.name])


def test_a_damaged_bundle_of_the_same_name_is_replaced(tmp_path):
    target = install(tmp_path, bundle_of("a.example"))
    (target / NAMES).write_bytes(b"damaged")
    install(tmp_path, bundle_of("a.example"))
    assert names(tmp_path) == {"a.example"}


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), CompileRefused(["no"]), BadBundle("no")])
def test_what_goes_wrong_leaves_the_old_bundle_and_no_rubbish(tmp_path, failure):
    before = install(tmp_path, bundle_of("a.example"))

    def failing(fresh):
        (fresh / "half").write_bytes(b"half")
        raise failure

    with pytest.raises(type(failure)):
        install(tmp_path, failing)
    assert current(tmp_path) == before
    assert folders(tmp_path) == [before.name]


def test_a_bundle_that_does_not_open_is_not_installed(tmp_path):
    before = install(tmp_path, bundle_of("a.example"))

    def truncated(fresh):
        identity = bundle_of("b.example")(fresh)
        (fresh / NAMES).write_bytes(b"")
        return identity

    with pytest.raises(BadBundle):
        install(tmp_path, truncated)
    assert current(tmp_path) == before


def test_what_a_crash_left_behind_is_removed(tmp_path):
    (tmp_path / ".new-crashed").mkdir()
    (tmp_path / ".new-current").symlink_to("nowhere")
    install(tmp_path, bundle_of("a.example"))
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".new")) == []


def test_two_at_once_do_not_mix(tmp_path):
    with _lock(tmp_path), pytest.raises(Busy):
        install(tmp_path, bundle_of("a.example"))


def test_nothing_is_in_force_at_first(tmp_path):
    assert current(tmp_path) is None


def upon(base: Path, *added: str):
    """An overlay that adds names to the bundle in ``base``."""
    return lambda fresh: compose(fresh, DomainIndex.open(base), [(name, Source("mandatory", "unlawful")) for name in added])


class TestBases:
    def test_a_base_is_placed_without_being_in_force(self, tmp_path):
        serving = install(tmp_path, bundle_of("a.example"))
        base = place(tmp_path, bundle_of("b.example"))
        assert (current(tmp_path), previous(tmp_path)) == (serving, None)
        assert folders(tmp_path) == sorted([serving.name, base.name])
        assert place(tmp_path, bundle_of("b.example")) == base

    def test_the_bases_of_the_last_two_are_kept_and_no_others(self, tmp_path):
        first, second, third = (place(tmp_path, bundle_of(f"{letter}.example")) for letter in "abc")
        one = install(tmp_path, upon(first, "x.example"))
        assert folders(tmp_path) == sorted([first.name, one.name])  # what nothing lies over is gone at the next change
        second = place(tmp_path, bundle_of("b.example"))
        two = install(tmp_path, upon(second, "x.example"))
        assert folders(tmp_path) == sorted([first.name, second.name, one.name, two.name])
        third = place(tmp_path, bundle_of("c.example"))
        three = install(tmp_path, upon(third, "x.example"))
        assert folders(tmp_path) == sorted([second.name, third.name, two.name, three.name])
        assert names(tmp_path) == {"c.example", "x.example"}
        assert previous(tmp_path) == two

    def test_two_overlays_upon_one_base(self, tmp_path):
        base = place(tmp_path, bundle_of("a.example"))
        made = [install(tmp_path, upon(base, name)) for name in ("x.example", "y.example", "z.example")]
        assert folders(tmp_path) == sorted([base.name, made[1].name, made[2].name])

    def test_an_overlay_without_its_base_is_not_installed(self, tmp_path):
        serving = install(tmp_path, bundle_of("a.example"))
        (tmp_path / "elsewhere").mkdir()
        base = place(tmp_path / "elsewhere", bundle_of("b.example"))
        with pytest.raises(BadBundle, match="its base"):
            install(tmp_path, upon(base, "x.example"))
        assert current(tmp_path) == serving

    def test_a_damaged_previous_bundle_does_not_stop_an_installation(self, tmp_path):
        base = place(tmp_path, bundle_of("a.example"))
        first = install(tmp_path, upon(base, "x.example"))
        (first / "bundle.json").write_bytes(b"damaged")
        second = install(tmp_path, bundle_of("b.example"))
        assert (current(tmp_path), previous(tmp_path)) == (second, first)

    def test_whatever_else_lies_there_stays(self, tmp_path):
        (tmp_path / "tuf" / "metadata").mkdir(parents=True)
        (tmp_path / "update.json").write_text("{}")
        install(tmp_path, bundle_of("a.example"))
        install(tmp_path, bundle_of("b.example"))
        assert (tmp_path / "tuf" / "metadata").is_dir()
        assert (tmp_path / "update.json").exists()


class TestPrevious:
    def test_it_is_the_bundle_before(self, tmp_path):
        assert previous(tmp_path) is None
        first = install(tmp_path, bundle_of("a.example"))
        assert previous(tmp_path) is None
        install(tmp_path, bundle_of("b.example"))
        assert previous(tmp_path) == first

    def test_the_same_bundle_again_has_the_same_one_before_it(self, tmp_path):
        first = install(tmp_path, bundle_of("a.example"))
        second = install(tmp_path, bundle_of("b.example"))
        install(tmp_path, bundle_of("b.example"))
        assert previous(tmp_path) == first
        install(tmp_path, bundle_of("a.example"))
        assert (current(tmp_path), previous(tmp_path)) == (first, second)

    def test_a_power_cut_between_the_two_links_leaves_the_old_bundle_and_none_before(self, tmp_path, monkeypatch):
        from blocklists import install as installing

        first = install(tmp_path, bundle_of("a.example"))
        point = installing._point

        def cut(directory, name, identity):
            if name == "current":
                raise KeyboardInterrupt
            point(directory, name, identity)

        monkeypatch.setattr(installing, "_point", cut)
        with pytest.raises(KeyboardInterrupt):
            install(tmp_path, bundle_of("b.example"))
        assert (current(tmp_path), previous(tmp_path)) == (first, None)
        monkeypatch.undo()
        install(tmp_path, bundle_of("b.example"))
        assert previous(tmp_path) == first


class TestBuild:
    """sources -> bundle in force, with files on disk."""

    @pytest.fixture
    def fetcher(self, tmp_path):
        fetching = Fetcher(tmp_path / "cache")
        yield fetching
        fetching.close()

    def source(self, tmp_path, name, text):
        (tmp_path / name).write_text(text)
        return ListSource(name, "gambling", "domains", "MIT", path=tmp_path / name)

    def by_url(self, tmp_path, name):
        return ListSource(name, "gambling", "domains", "MIT", url=f"file://{tmp_path}/{name}")

    def test_it_reports_and_installs(self, tmp_path, fetcher):
        steps = []
        report = build([self.source(tmp_path, "a", "q.example\n")], tmp_path / "lists", fetcher, progress=steps.append)
        assert report.identity == current(tmp_path / "lists").name
        assert steps == ["a", "a"]
        assert (tmp_path / "lists" / "current" / "report.json").read_text() == report.to_json()

    def test_the_date_is_that_of_the_newest_list(self, tmp_path, fetcher):
        import os

        old, new = self.source(tmp_path, "a", "q.example\n"), self.source(tmp_path, "b", "r.example\n")
        os.utime(old.path, (1000, 1000))
        os.utime(new.path, (2000, 2000.75))
        report = build([old, new], tmp_path / "lists", fetcher)
        assert DomainIndex.open(tmp_path / "lists" / report.identity).built_at == 2000.0

    def test_a_list_that_shrank_by_more_than_half_keeps_the_old_bundle(self, tmp_path, fetcher):
        source = self.source(tmp_path, "a", "".join(f"n{number}.example\n" for number in range(100)))
        before = build([source], tmp_path / "lists", fetcher)
        source.path.write_text("n1.example\n")
        with pytest.raises(CompileRefused, match="a: shrank from 100 names to 1"):
            build([source], tmp_path / "lists", fetcher)
        assert current(tmp_path / "lists").name == before.identity
        assert build([source], tmp_path / "lists", fetcher, force=True).identity != before.identity

    def test_a_list_that_cannot_be_had_is_left_out_of_a_first_build_and_named(self, tmp_path, fetcher):
        report = build([self.source(tmp_path, "a", "q.example\n"), self.by_url(tmp_path, "b")], tmp_path / "lists", fetcher)
        (note,) = report.notes
        assert note.startswith("b: left out: file://")

    def test_a_list_that_cannot_be_had_any_more_keeps_the_old_bundle(self, tmp_path, fetcher):
        (tmp_path / "b").write_text("r.example\n")
        sources = [self.source(tmp_path, "a", "q.example\n"), self.by_url(tmp_path, "b")]
        before = build(sources, tmp_path / "lists", fetcher)
        (tmp_path / "b").unlink()
        with pytest.raises(CompileRefused, match="b: left out"):
            build(sources, tmp_path / "lists", fetcher)
        assert current(tmp_path / "lists").name == before.identity
        assert build(sources, tmp_path / "lists", fetcher, force=True).names == before.names - 1

    def test_a_damaged_bundle_in_force_does_not_stop_a_build(self, tmp_path, fetcher):
        source = self.source(tmp_path, "a", "q.example\n")
        build([source], tmp_path / "lists", fetcher)
        shutil.copy(tmp_path / "a", current(tmp_path / "lists") / "bundle.json")
        report = build([source], tmp_path / "lists", fetcher)
        assert "the bundle in force is damaged" in report.notes[0]
        assert "q.example" in names(tmp_path / "lists")

"""What a box begins with, and what a swap costs: the bundle in force, another whole one, a mere base, the starter lists, in this order."""

import asyncio
import os

import pytest

from blocklists.install import current, install, place
from blocklists.overlay import compose
from filters import domain_index
from filters.bundle import LABELS, NAMES, SUBTREE, Source, write
from filters.domain_index import DomainIndex
from gateway.clock import Clock
from gateway.live import Live, open_lists

SCHOOL = """
school: {name: Trường THCS Số 1}
dns: {upstreams: [9.9.9.9]}
lists: {directory: LISTS}
groups: [{name: 6a1, tier: thcs, clients: [10.0.0.0/8]}]
"""


def bundle_of(*names):
    return lambda fresh: write(fresh, [(name, 0, SUBTREE) for name in names], [Source("l", "gambling")])


def upon(base, *added):
    return lambda fresh: compose(fresh, DomainIndex.open(base), [(name, Source("mandatory", "unlawful")) for name in added])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.fixture
def starter(tmp_path):
    bundle_of("starter.example")(tmp_path / "starter")
    return tmp_path / "starter"


@pytest.fixture
def lists(tmp_path):
    """A base, and upon it the overlay before and the one in force."""
    base = place(tmp_path / "lists", bundle_of("casino.example"))
    install(tmp_path / "lists", upon(base, "first.example"))
    install(tmp_path / "lists", upon(base, "second.example"))
    return tmp_path / "lists"


def serving(lists, starter):
    index, starter_serves, trouble = open_lists(lists, starter)
    return {name for name, _ in index.entries()}, starter_serves, trouble


def overlays(lists):
    """The current one first."""
    return [current(lists), (lists / "previous").resolve()]


class TestBeginning:
    def test_the_bundle_in_force(self, lists, starter):
        assert serving(lists, starter) == ({"casino.example", "second.example"}, False, "")

    def test_a_damaged_overlay_leaves_the_one_before(self, lists, starter):
        flip(overlays(lists)[0] / NAMES)
        names, starter_serves, trouble = serving(lists, starter)
        assert (names, starter_serves) == ({"casino.example", "first.example"}, False)
        assert NAMES in trouble

    def test_a_mere_base_is_better_than_the_starter_lists_however_new_it_is(self, lists, starter):
        base = lists / DomainIndex.open(current(lists)).base.identity
        os.utime(base, (2e9, 2e9))
        flip(overlays(lists)[0] / NAMES)
        assert serving(lists, starter)[0] == {"casino.example", "first.example"}
        flip(overlays(lists)[1] / LABELS)
        names, starter_serves, trouble = serving(lists, starter)
        assert (names, starter_serves) == ({"casino.example"}, False)
        assert NAMES in trouble

    def test_a_damaged_base_takes_its_overlays_with_it(self, lists, starter):
        whole = place(lists, bundle_of("whole.example"))
        flip(lists / DomainIndex.open(current(lists)).base.identity / NAMES)
        names, starter_serves, trouble = serving(lists, starter)
        assert (names, starter_serves) == ({"whole.example"}, False)
        assert "its base" in trouble
        flip(whole / NAMES)
        assert serving(lists, starter)[:2] == ({"starter.example"}, True)

    def test_what_is_no_bundle_is_not_looked_at(self, lists, starter, caplog):
        (lists / "tuf" / "metadata").mkdir(parents=True)
        (lists / ".new-half").mkdir()
        (lists / "current").unlink()
        assert serving(lists, starter)[1:] == (False, "")
        assert caplog.records == []


class TestSwap:
    @pytest.fixture
    def live(self, tmp_path, lists, starter):
        (tmp_path / "school.yaml").write_text(SCHOOL.replace("LISTS", str(lists)))
        return Live(tmp_path / "school.yaml", starter, Clock(), lambda: 0.0, lambda *, identities: None)

    def swap(self, live):
        asyncio.run(live.follow_lists())
        return {name for name, _ in live.index.entries()}

    def test_a_new_overlay_is_taken_up_and_the_base_stays_as_it_is_mapped(self, live, lists, monkeypatch):
        before = live.index
        install(lists, upon(lists / before.base.identity, "third.example"))
        opened = []
        monkeypatch.setattr(domain_index, "_opened_base", lambda *given: opened.append(given))
        assert self.swap(live) == {"casino.example", "third.example"}
        assert live.index is not before
        assert live.index.base is before.base
        assert opened == []

    def test_a_bundle_upon_another_base(self, live, lists):
        before = live.index.base
        base = place(lists, bundle_of("other.example"))
        install(lists, upon(base, "third.example"))
        assert self.swap(live) == {"other.example", "third.example"}
        assert live.index.base is not before

    def test_a_bundle_of_its_own_after_an_overlay(self, live, lists):
        install(lists, bundle_of("own.example"))
        assert self.swap(live) == {"own.example"}
        assert live.index.base is None

    def test_an_overlay_whose_base_is_gone_keeps_what_serves(self, live, lists):
        base = place(lists, bundle_of("other.example"))
        install(lists, upon(base, "third.example"))
        flip(base / NAMES)
        assert self.swap(live) == {"casino.example", "second.example"}
        assert "its base" in live.troubles["lists"]

"""Many lists at once, from a real small web server: each keeps its last good copy, and its age is known."""

import pytest

from blocklists.fetch import Fetcher, Limits
from blocklists.publisher.fetching import SourceState, refresh
from blocklists.sources import ListSource
from tests.blocklists.list_server import Page, serving

DAY = 86_400.0


@pytest.fixture
def server():
    with serving() as running:
        yield running


@pytest.fixture
def fetcher(tmp_path):
    with Fetcher(tmp_path / "cache", limits=Limits(connect=2), sleep=lambda _: None) as fetching:
        yield fetching


def source(server, name, path=""):
    return ListSource(name, "ads", "domains", "MIT", url=server.url(path or f"/{name}"))


def unheard(*_):
    pass


def test_each_list_is_fetched_and_told_in_the_order_of_the_file(server, fetcher):
    names = [f"list{number}" for number in range(20)]
    server.pages = {f"/{name}": Page(f"{name}.example\n".encode()) for name in names}
    done = []
    states = refresh([source(server, name) for name in names], fetcher, unheard, done.append)
    assert [(state.name, state.has_copy, state.problem) for state in states] == [(name, True, "") for name in names]
    assert sorted(done) == sorted(server.url(f"/{name}") for name in names)


def test_what_fails_keeps_its_copy_and_what_has_none_says_so(server, fetcher):
    server.pages = {"/good": Page(), "/fails": Page()}
    sources = [source(server, name) for name in ("good", "fails", "missing")]
    before = refresh(sources, fetcher, unheard)[1].refreshed_at
    server.pages["/fails"] = Page(b"<!DOCTYPE html>")
    good, fails, missing = refresh(sources, fetcher, unheard)
    assert (good.has_copy, good.problem) == (True, "")
    assert (fails.has_copy, fails.refreshed_at) == (True, before)
    assert "HTML" in fails.problem
    assert "the last good copy is used" in fails.problem
    assert (missing.has_copy, "404" in missing.problem) == (False, True)
    assert server.url("/missing") not in missing.problem.partition(" ")[0], "the URL is told apart"


def test_a_file_that_two_lists_share_is_fetched_once(server, fetcher):
    server.pages["/same"] = Page()
    states = refresh([source(server, "a", "/same"), source(server, "b", "/same")], fetcher, unheard)
    assert [state.name for state in states] == ["a", "b"]
    assert len(server.asked) == 1


def test_lists_on_disk_are_not_fetched(fetcher, tmp_path):
    assert refresh([ListSource("own", "ads", "domains", "MIT", path=tmp_path / "own.txt")], fetcher, unheard) == ()


@pytest.mark.parametrize(
    ("problem", "refreshed_at", "stale"),
    [("", 0.0, False), ("404", 93 * DAY, False), ("404", 92.9 * DAY, True)],
)
def test_what_has_failed_for_days_is_stale(problem, refreshed_at, stale):
    assert SourceState("a", "u", has_copy=True, refreshed_at=refreshed_at, problem=problem).is_stale(100 * DAY, 7) == stale


def test_a_list_without_a_copy_is_missing_rather_than_stale():
    assert not SourceState("a", "u", has_copy=False, problem="404").is_stale(100 * DAY, 7)


def test_days_old_are_whole_days():
    assert SourceState("a", "u", has_copy=True, refreshed_at=1.5 * DAY).days_old(4.4 * DAY) == 2
    assert SourceState("a", "u", has_copy=True, refreshed_at=5 * DAY).days_old(4 * DAY) == 0

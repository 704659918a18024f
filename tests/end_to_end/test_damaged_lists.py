"""No lists, damaged lists, no room for lists: what was good goes on serving."""

import shutil

import pytest

from tests.end_to_end.box import ALLOWED, BLOCKED, Box
from tests.end_to_end.namespaces import Namespace, fill, make_read_only, small_disk
from tests.end_to_end.school import LISTS, School, write_sources

STARTER_NAME = "gambling.manglanh.test"


def flip(path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


def cut(path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])


def lose(path) -> None:
    path.unlink()


def biggest(bundle):
    return max((path for path in bundle.iterdir() if path.is_file() and path.name != "report.json"), key=lambda path: path.stat().st_size)


def test_without_a_bundle_the_starter_lists_serve(school, start):
    shutil.rmtree(school.lists)
    box = start(school)
    box.await_metric("manglanh_list_starter", 1)
    assert box.rcode(STARTER_NAME) == "NXDOMAIN"
    assert box.rcode(BLOCKED) == "NOERROR"
    school.compile_lists()
    box.await_rcode(BLOCKED, "NXDOMAIN")
    box.await_metric("manglanh_list_starter", 0)


@pytest.mark.parametrize("damage", [flip, cut, lose])
def test_a_damaged_bundle_at_start_is_refused_and_the_one_before_serves(school, start, damage):
    newest = school.compile_lists({**LISTS, "gambling": ["casino.example", "casino-moi.example"]})
    damage(biggest(newest))
    box = start(school)
    assert box.rcode(BLOCKED) == "NXDOMAIN"
    assert box.rcode("casino-moi.example") == "NOERROR"
    box.await_metric("manglanh_list_starter", 0)
    box.await_log("refused")


def test_the_only_bundle_damaged_at_start_means_the_starter_lists(school, start):
    flip(biggest((school.lists / "current").resolve()))
    box = start(school)
    assert box.rcode(STARTER_NAME) == "NXDOMAIN"
    box.await_metric("manglanh_list_starter", 1)


@pytest.mark.parametrize("damage", [flip, cut, lose])
def test_a_damaged_bundle_at_a_swap_is_refused_and_the_last_good_one_serves(box: Box, damage):
    school = box.school
    good = (school.lists / "current").readlink()
    newest = school.compile_lists({**LISTS, "gambling": [ALLOWED]})
    box.await_rcode(ALLOWED, "NXDOMAIN")
    point(school, good)
    box.await_rcode(ALLOWED, "NOERROR")
    damage(biggest(newest))
    point(school, newest.name)
    box.await_metric("manglanh_list_reload_failed", 1)
    assert box.rcode(ALLOWED) == "NOERROR"
    assert box.rcode(BLOCKED) == "NXDOMAIN"
    point(school, good)
    box.await_metric("manglanh_list_reload_failed", 0)


def test_a_bundle_that_is_not_there_is_refused_at_a_swap(box: Box):
    point(box.school, "0" * 64)
    box.await_log("refused")
    assert box.rcode(BLOCKED) == "NXDOMAIN"


def point(school: School, bundle) -> None:
    link = school.lists / "new"
    link.symlink_to(bundle)
    link.replace(school.lists / "current")


# ---- a full disk, a worn one ----


@pytest.mark.parametrize(("spoil", "words"), [(fill, "No space left"), (make_read_only, "Read-only file system")])
def test_a_disk_that_takes_nothing_refuses_a_switch_clearly_and_dns_goes_on(school, start, spoil, words: str):
    switch = ("mode", "6a1", "--for", "1h", "--config", str(school.file))
    with Namespace("--mount") as space:
        disk = school.state.parent
        small_disk(space, disk)
        box = start(school, prefix=space.prefix)
        assert school.manglanh(*switch, "study", prefix=space.prefix).returncode == 0
        box.await_rcode("phim.example", "NXDOMAIN")
        before = space.run("cat", str(school.state))
        spoil(space, disk)
        done = school.manglanh(*switch, "offline", prefix=space.prefix)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert words in done.stderr
        assert space.run("cat", str(school.state)) == before
        assert box.rcode(ALLOWED) == "NOERROR"
        assert box.rcode(BLOCKED) == "NXDOMAIN"
        assert box.rcode("never-asked.example") == "NOERROR"
        box.stop()


def test_a_full_disk_refuses_a_new_bundle_clearly_and_the_old_one_serves(school, start):
    """Nothing half-written may become current."""
    with Namespace("--mount") as space:
        small_disk(space, school.lists)
        sources = write_sources(school.directory, LISTS)
        compile_words = ("lists", "compile", "--sources", str(sources), "--out", str(school.lists))
        done = school.manglanh(*compile_words, prefix=space.prefix)
        assert done.returncode == 0, done.stderr
        box = start(school, prefix=space.prefix)
        fill(space, school.lists)
        before = space.run("ls", "-lR", str(school.lists))
        write_sources(school.directory, {**LISTS, "gambling": [ALLOWED]})
        done = school.manglanh(*compile_words, prefix=space.prefix)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert "No space left" in done.stderr
        assert space.run("ls", "-lR", str(school.lists)) == before
        assert box.rcode(BLOCKED) == "NXDOMAIN"
        assert box.rcode(ALLOWED) == "NOERROR"
        box.stop()

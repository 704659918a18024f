"""A power cut before every single change that an update, a rollback or a release makes to the disk: one whole bundle serves, and the next run mends it."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from blocklists.box.asking import LOOK_AT_ALL, Place
from blocklists.box.download import Downloader
from blocklists.box.mirrors import Mirrors
from blocklists.box.release_record import HISTORY, read_record, read_status
from blocklists.box.rolling_back import NothingBefore, roll_back
from blocklists.box.update import poll
from filters.bundle import Source, write
from gateway.live import open_lists
from tests.attacks.school import said_by
from tests.power_cut import cut
from tests.province import NOW, Province, entry, good

MINUTE = 60.0
FIRST = {"bad.example": "unlawful", "hoc.example": "learning", "casino.example": "gambling", "adult.example": "adult"}
BASES = {"gambling": ["casino.example"], "adult": ["adult.example"]}
LOSSES = pytest.mark.parametrize("lose", [False, True], ids=["killed", "power cut"])


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def province(tmp_path: Path) -> Province:
    return good(tmp_path / "province")


@pytest.fixture
def starter(tmp_path: Path) -> Path:
    folder = tmp_path / "starter"
    folder.mkdir()
    write(folder, [("starter.example", 0, 3)], [Source("starter", "gambling")])
    return folder


class Bench:
    """Copies of one prepared box, each cut off once."""

    def __init__(self, folder: Path, province: Province, starter: Path) -> None:
        self.folder = folder
        self.province = province
        self.starter = starter
        self.prepared = folder / "prepared"
        self.prepared.mkdir()
        self._downloader = Downloader()

    def close(self) -> None:
        self._downloader.close()

    def update(self, directory: Path, now: float = NOW) -> None:
        mirrors = Mirrors([f"file://{self.province.repository}"], lambda: 0.0)
        poll(Place(directory, self.province.root, mirrors, self._downloader, lambda: 0.0), now)

    def serves(self, directory: Path) -> dict[str, str]:
        """What a worker that starts now would serve."""
        index, _, _ = open_lists(directory, self.starter)
        try:
            return said_by(index)
        finally:
            index.close()

    def cut_everywhere(
        self, work: Callable[[Path], object], allowed: list[dict[str, str]], after: Callable[[Path], object], *, lose: bool = False
    ) -> int:
        """Cut ``work`` before each of its steps; then one of ``allowed`` must serve, and ``after`` is called. The number of steps."""
        for step in range(1, 1000):
            directory = self.folder / "box"
            shutil.rmtree(directory, ignore_errors=True)
            shutil.copytree(self.prepared, directory, symlinks=True)
            was_cut = cut(lambda place=directory: work(place), step, lose=lose)
            assert self.serves(directory) in (allowed if was_cut else allowed[-1:]), f"cut before step {step}"
            after(directory)
            if not was_cut:
                return step - 1
        raise AssertionError("it never ends")

    def expect(self, served: dict[str, str]) -> Callable[[Path], None]:
        """The next update completes, serves ``served``, complains of nothing, and leaves what it leaves if it was never cut off."""
        whole = self.folder / "whole"
        shutil.copytree(self.prepared, whole, symlinks=True)
        self.update(whole)
        after_one = listing(whole)
        self.update(whole, NOW + LOOK_AT_ALL)
        usual = (after_one, listing(whole))

        def check(directory: Path) -> None:
            self.update(directory, NOW + MINUTE)
            assert self.serves(directory) == served
            assert read_status(directory).troubles == ()
            assert listing(directory) in usual
            told = [json.loads(line) for line in (directory / HISTORY).read_text().splitlines()]
            assert told[-1]["bundle"] == (directory / "current").readlink().name

        return check


@pytest.fixture
def bench(tmp_path: Path, province: Province, starter: Path):
    made = Bench(tmp_path, province, starter)
    yield made
    made.close()


def listing(directory: Path) -> set[str]:
    """Every file and folder; a link with what it points to."""
    return {f"{path.relative_to(directory)}{f' -> {path.readlink()}' if path.is_symlink() else ''}" for path in directory.rglob("*")}


def test_the_first_update(bench: Bench):
    base_alone = {"casino.example": "gambling", "adult.example": "adult"}
    steps = bench.cut_everywhere(bench.update, [{"starter.example": "gambling"}, base_alone, FIRST], bench.expect(FIRST))
    assert steps > 50


@LOSSES
def test_an_update_with_a_new_overlay(bench: Bench, lose: bool):
    bench.update(bench.prepared)
    bench.province.base(BASES, {**BASES, "gambling": ["casino.example", "poker.example"]})
    bench.province.say("mandatory", entry("bad.example"), entry("worse.example")).publish()
    newer = FIRST | {"poker.example": "gambling", "worse.example": "unlawful"}
    steps = bench.cut_everywhere(bench.update, [FIRST, newer], bench.expect(newer), lose=lose)
    assert steps > 50


def test_an_update_with_a_new_base(bench: Bench):
    bench.update(bench.prepared)
    bench.province.base({"gambling": ["poker.example"]}).publish()
    newer = {"bad.example": "unlawful", "hoc.example": "learning", "poker.example": "gambling"}
    steps = bench.cut_everywhere(bench.update, [FIRST, newer], bench.expect(newer))
    assert steps > 50


@LOSSES
def test_going_back(bench: Bench, lose: bool):
    """What is mandatory stays today's; the next release takes the box on from wherever the cut left it."""
    bench.update(bench.prepared)
    bench.province.base({"gambling": ["poker.example"]}).say("mandatory", entry("worse.example")).publish()
    bench.update(bench.prepared)
    second = {"worse.example": "unlawful", "hoc.example": "learning", "poker.example": "gambling"}
    back = {"worse.example": "unlawful", "hoc.example": "learning", "casino.example": "gambling", "adult.example": "adult"}
    assert bench.serves(bench.prepared) == second

    def go_back(directory: Path) -> None:
        roll_back(directory, "Lan", "chặn nhầm", NOW)

    def again_and_on(directory: Path) -> None:
        try:
            go_back(directory)
        except NothingBefore:
            assert read_record(directory).rollback is not None
        assert bench.serves(directory) == back
        bench.update(directory, NOW + MINUTE)
        assert bench.serves(directory) == back, "until the next release"

    steps = bench.cut_everywhere(go_back, [second, back], again_and_on, lose=lose)
    assert steps > 15

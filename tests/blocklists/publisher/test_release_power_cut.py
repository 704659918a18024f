"""A power cut before every single change that a release makes to the publisher's disk: schools find the old release or the new one, whole,
and the same command finishes it."""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from blocklists.publisher.ceremony import change_keys
from blocklists.publisher.errors import PublishError
from blocklists.publisher.roles import KeyChange
from tests.blocklists.publisher.signed_province import Province, School, released_province, school, signer
from tests.power_cut import cut

OLD, NEW = (b"first", None), (b"second", b"rows")
"""the mandatory list and its changes"""


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


def content(made: Province) -> None:
    made.stage(list=b"second", changes=b"rows")
    made.sign("a", "b")


def content_and_everybody_s_keys(made: Province) -> None:
    """One who holds the root, one of the mandatory list's authorities, and the machine that publishes."""
    content(made)
    for role, old, new in (("root", "c", "e"), ("mandatory", "b", "d"), ("online", "online", "new")):
        change_keys(made.workspace, role, KeyChange(signer(new).public_key, signer(old).public_key.keyid), made.now)
    made.sign("a", "b", "c", "d", "e")
    made.online = ("online", "new")


def reads(client: School) -> tuple[bytes | None, bytes | None]:
    return client.get("mandatory/list.csv"), client.get("mandatory/changes.csv")


@pytest.mark.parametrize("lose", [False, True], ids=["killed", "power cut"])
@pytest.mark.parametrize("change", [content, content_and_everybody_s_keys])
def test_schools_find_a_whole_release_and_the_same_command_finishes_it(tmp_path: Path, change: Callable[[Province], None], lose: bool):
    made = released_province(tmp_path / "province")
    folder, whole = made.workspace.folder, tmp_path / "whole"
    known = school(made, tmp_path / "known")
    assert reads(known) == OLD
    change(made)
    shutil.copytree(folder, whole)
    made.release()
    expected = listing(folder)
    seen = set()
    step, was_cut = 0, True
    while was_cut:
        step += 1
        restore(whole, folder)
        was_cut = cut(made.release, step, lose=lose)
        strangers = school(made, tmp_path / f"stranger-{step}")
        familiar = School(Path(shutil.copytree(known.folder, tmp_path / f"familiar-{step}", symlinks=True)), known.repository, known.root)
        found = reads(strangers)
        seen.add(found)
        assert found in ({OLD, NEW} if was_cut else {NEW}), f"cut before step {step}"
        assert reads(familiar) == found
        with suppress(PublishError):  # there was nothing left to release
            made.release()
        assert reads(strangers) == reads(familiar) == NEW
        if found == OLD or not was_cut:
            assert listing(folder) == expected
    assert step > 30
    assert seen == {OLD, NEW}


def restore(whole: Path, folder: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(whole, folder)


def listing(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}

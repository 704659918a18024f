"""Rollback, fast-forward and mix-and-match attacks: what was truly signed once, at the wrong time or in the wrong company
(TUF specification 1.0, sections 1.5.2 and 5.3.11)."""

from pathlib import Path

import pytest

from tests.attacks import attacker
from tests.attacks.attacker import UNTOUCHED
from tests.attacks.school import School
from tests.province import DAY, NOW, Province, entry
from tests.web import Web

NEWER = UNTOUCHED | {"newer.example": "unlawful"}
FAR = 2**31


@pytest.fixture
def old(tmp_path: Path, province: Province) -> Path:
    """The repository as it was with the first release."""
    return province.copy(tmp_path / "old")


@pytest.fixture
def updated(old: Path, province: Province, school: School) -> School:
    """It has the second release, whose mandatory list has a name more."""
    province.say("mandatory", entry("bad.example"), entry("newer.example")).publish()
    school.poll(NOW)
    assert school.serves() == NEWER
    return school


# ---- rollback ----


def test_the_whole_repository_of_yesterday_is_refused(old: Path, updated: School, web: Web):
    web.folder = old
    updated.poll(NOW)
    assert updated.serves() == NEWER
    assert updated.troubles == {("refused", "")}


def test_it_stays_refused_when_the_server_says_that_nothing_changed(old: Path, updated: School, web: Web):
    """The answer 304 says that the old timestamp is still the old one, not that it is good."""
    web.folder = old
    for _ in range(3):
        updated.poll(NOW)
        assert updated.serves() == NEWER
        assert updated.troubles == {("refused", "")}


def test_an_older_snapshot_under_a_newer_timestamp_is_refused(province: Province, updated: School):
    attacker.timestamp(province, version=9, snapshot=1)
    updated.poll(NOW)
    assert updated.serves() == NEWER
    assert updated.troubles == {("refused", "")}


@pytest.mark.parametrize("role", ["targets", "mandatory"])
def test_an_older_role_under_a_newer_snapshot_is_refused(province: Province, updated: School, role: str):
    province.publish(role)
    updated.poll(NOW)
    attacker.snapshot(province, version=9, **{role: 1})
    attacker.timestamp(province, version=9, snapshot=9)
    updated.poll(NOW)
    assert updated.serves() == NEWER
    assert updated.troubles == {("refused", "")}


def test_an_older_root_is_not_taken_for_the_next(old: Path, province: Province, updated: School):
    """A key that was revoked in root 2 signs again with root 1 in root 3's place."""
    revoked = province.signers["timestamp"]
    province.rotate("timestamp").publish()
    updated.poll(NOW)
    province.spoil("metadata/3.root.json", (old / "metadata" / "1.root.json").read_bytes())
    province.signers["timestamp"] = revoked
    province.publish_timestamp()
    updated.poll(NOW)
    assert updated.serves() == NEWER
    assert updated.troubles == {("refused", "")}


def test_what_was_learnt_survives_the_loss_of_status_and_record(old: Path, updated: School, web: Web):
    """Protection is in TUF's own files; the box's two may be lost to a bad SD card."""
    for name in ("update.json", "tuf/release.json"):
        (updated.place.directory / name).unlink()
    web.folder = old
    updated.poll(NOW)
    assert updated.serves() == NEWER
    assert ("refused", "") in updated.troubles


# ---- fast-forward ----


def test_a_stolen_timestamp_key_runs_ahead_and_a_new_root_brings_the_box_back(province: Province, school: School):
    attacker.timestamp(province, version=FAR, snapshot=FAR)
    school.poll(NOW)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("network", "")}, "there is no such snapshot"
    province.say("mandatory", entry("bad.example"), entry("newer.example")).publish()
    school.poll(NOW)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("refused", "")}, "a lower version cannot be told from a rollback"
    province.rotate("timestamp").publish()
    school.poll(NOW)
    assert school.serves() == NEWER
    assert school.status.troubles == ()


def test_stolen_timestamp_and_snapshot_keys_run_ahead_and_a_new_root_brings_the_box_back(province: Province, school: School):
    attacker.snapshot(province, version=FAR, mandatory=FAR, targets=FAR)
    attacker.timestamp(province, version=FAR, snapshot=FAR)
    school.poll(NOW)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("network", "")}, "there are no such targets"
    province.rotate("timestamp").rotate("snapshot")
    province.say("mandatory", entry("bad.example"), entry("newer.example")).publish()
    school.poll(NOW)
    assert school.serves() == NEWER
    assert school.status.troubles == ()
    assert school.status.release.root == 2


# ---- mix-and-match ----


def test_a_role_of_another_release_under_this_one_s_name_is_refused(old: Path, province: Province, updated: School):
    province.say("mandatory", entry("bad.example")).say("learning", entry("new.example", "learning")).publish()
    province.spoil("metadata/3.mandatory.json", (province.metadata / "2.mandatory.json").read_bytes())
    updated.poll(NOW)
    assert updated.serves() == {name: listed for name, listed in NEWER.items() if name != "hoc.example"} | {"new.example": "learning"}
    assert updated.troubles == {("refused", "mandatory")}


def test_a_snapshot_of_another_release_is_refused(province: Province, updated: School):
    province.say("mandatory", entry("other.example")).publish()
    province.spoil("metadata/3.snapshot.json", (province.metadata / "2.snapshot.json").read_bytes())
    updated.poll(NOW)
    assert updated.serves() == NEWER
    assert updated.troubles == {("refused", "")}


def test_a_target_of_another_release_under_this_one_s_name_is_refused(province: Province, updated: School):
    before = (province.repository / province.target_file("mandatory/list.csv")).read_bytes()
    province.say("mandatory", entry("other.example")).publish()
    province.spoil(province.target_file("mandatory/list.csv"), before)
    updated.poll(NOW)
    assert updated.serves() == NEWER
    assert updated.troubles == {("refused", "mandatory")}


def test_a_role_in_the_place_of_another_role_is_refused(province: Province, updated: School):
    province.say("mandatory", entry("other.example")).publish()
    province.spoil("metadata/3.mandatory.json", (province.metadata / "1.learning.json").read_bytes())
    updated.poll(NOW)
    assert updated.serves() == NEWER
    assert updated.troubles == {("refused", "mandatory")}


def test_a_release_that_changes_while_it_is_read_is_taken_as_one(province: Province, school: School, web: Web):
    """The next release comes out between the timestamp and the rest; what belongs to the timestamp is taken, whole."""
    province.say("mandatory", entry("second.example")).say("learning", entry("second.learning.example", "learning")).publish()

    def meanwhile(_handler, path: str) -> bool:
        if path.endswith("2.snapshot.json"):
            web.misbehave.clear()
            province.say("mandatory", entry("third.example")).say("learning", entry("third.learning.example", "learning")).publish()
        return False

    web.misbehave.append(meanwhile)
    school.poll(NOW)
    assert {"second.example", "second.learning.example"} <= school.serves().keys()
    assert not {"third.example", "third.learning.example"} & school.serves().keys()
    school.poll(NOW + DAY)
    assert {"third.example", "third.learning.example"} <= school.serves().keys()

"""Key compromise below the threshold, and one authority that speaks for another (TUF specification 1.0, section 1.5.2).

The attacker always has the machine that publishes too, its snapshot and timestamp keys included.
"""

import pytest

from tests.attacks import attacker
from tests.attacks.attacker import EVIL, UNTOUCHED, block_evil, own_key, publish_signed_by
from tests.attacks.school import School
from tests.province import NOW, Province, entry


def test_one_of_two_authorities_keys_is_not_enough(province: Province, school: School):
    stolen = province.signers["mandatory"][0]
    block_evil(province)
    publish_signed_by(province, "mandatory", stolen)
    school.poll(NOW)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("refused", "mandatory")}


def test_one_stolen_key_and_one_of_the_attacker_s_own_are_not_enough(province: Province, school: School):
    block_evil(province)
    publish_signed_by(province, "mandatory", province.signers["mandatory"][0], own_key())
    school.poll(NOW)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("refused", "mandatory")}


def test_one_key_that_signs_twice_is_one_signature(province: Province, school: School):
    """The same signature under two key ids."""
    stolen, other = province.signers["mandatory"]
    block_evil(province)
    publish_signed_by(province, "mandatory", stolen)
    metadata = province.read("mandatory")
    metadata.signatures[other.public_key.keyid] = metadata.signatures[stolen.public_key.keyid]
    province.spoil(f"metadata/{province.versions['mandatory']}.mandatory.json", metadata.to_bytes())
    school.poll(NOW)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("refused", "mandatory")}


def test_removing_a_mandatory_entry_needs_both_keys_too(province: Province, school: School):
    province.say("mandatory")
    publish_signed_by(province, "mandatory", province.signers["mandatory"][1])
    school.poll(NOW)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("refused", "mandatory")}


@pytest.fixture
def two_of_three(province: Province, school: School) -> Province:
    """Three people hold the root's keys; two must sign. The school knows."""
    province.thresholds["root"] = 2
    province.rotate("root", own_key(), own_key(), own_key()).publish()
    school.poll(NOW)
    assert school.status.release.root == 2
    return province


def test_one_of_the_root_s_keys_cannot_make_a_root(two_of_three: Province, school: School):
    stolen, *_ = two_of_three.signers["root"]
    block_evil(two_of_three)
    two_of_three.signers["mandatory"] = [own_key(), own_key()]
    two_of_three.thresholds["root"] = 1
    publish_signed_by(two_of_three, "root", stolen)
    two_of_three.publish("targets", "mandatory")
    school.poll(NOW)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("refused", "")}
    assert school.status.release.root == 2


def test_a_root_that_only_its_own_new_keys_sign_is_refused(two_of_three: Province, school: School):
    """All three keys are new, and one that is trusted signs with them: one short."""
    stolen, *_ = two_of_three.signers["root"]
    block_evil(two_of_three)
    mine = [own_key(), own_key(), own_key()]
    two_of_three.signers["root"] = mine
    two_of_three._root_signers = [stolen]
    two_of_three.publish("root")
    school.poll(NOW)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("refused", "")}


def test_a_revoked_key_s_signature_is_worth_nothing(province: Province, school: School):
    """An authority lost its key; the delegation names another. The old one still signs."""
    stolen = list(province.signers["mandatory"])
    province.rotate("mandatory").publish()
    school.poll(NOW)
    assert school.serves() == UNTOUCHED
    block_evil(province)
    publish_signed_by(province, "mandatory", *stolen)
    school.poll(NOW)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("refused", "mandatory")}


# ---- speaking for another ----


def test_the_learning_team_cannot_sign_the_mandatory_role(province: Province, school: School):
    block_evil(province)
    publish_signed_by(province, "mandatory", *province.signers["learning"], *province.signers["categories"])
    school.poll(NOW)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("refused", "mandatory")}


def test_a_mandatory_file_that_the_learning_team_names_is_not_looked_at(province: Province, school: School):
    """Its delegation ends at ``learning/*``: nobody asks its role for a file of another's."""
    forged = attacker.targets_naming_evil(province, version=2)
    attacker.put_metadata(province, "2.learning.json", forged, *province.signers["learning"])
    attacker.snapshot(province, version=2, learning=2)
    attacker.timestamp(province, version=2, snapshot=2)
    school.poll(NOW)
    assert EVIL not in school.serves(EVIL)
    assert school.serves()["bad.example"] == "unlawful"


def test_targets_may_delegate_and_not_speak_itself(province: Province, school: School):
    """A client finds a file that targets names before it asks the channel's role, and with it the channel's signatures would be passed by."""
    forged = province._new_targets()
    forged.targets = attacker.targets_naming_evil(province, forged.version).targets
    province._write("targets", forged)
    province.publish_snapshot()
    school.poll(NOW)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("refused", "")}


@pytest.mark.parametrize("category", ["unlawful", "child-abuse"])
@pytest.mark.parametrize("channel", ["learning", "categories"])
def test_an_entry_in_a_locked_category_is_refused_with_its_whole_list(province: Province, school: School, channel: str, category: str):
    """Properly signed by the team whose list it is: what it may say is a second wall."""
    province.say(channel, entry("fresh.example", "learning" if channel == "learning" else "gambling"), entry(EVIL, category)).publish()
    school.poll(NOW)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("content", channel)}


def test_the_mandatory_channel_cannot_open_a_name(province: Province, school: School):
    province.say("mandatory", entry("bad.example"), entry("casino.example", "learning")).publish()
    school.poll(NOW)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("content", "mandatory")}


@pytest.mark.parametrize("category", ["unlawful", "child-abuse"])
def test_a_base_that_fills_a_locked_category_is_refused(province: Province, school: School, category: str):
    province.base({"gambling": ["fresh.example"], category: [EVIL]}).publish()
    school.poll(NOW)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("content", "categories")}


def test_an_overlay_that_fills_a_locked_category_is_refused(province: Province, school: School):
    lists = {"gambling": ["casino.example"], "adult": ["adult.example"], "unlawful": []}
    province.base(lists, overlay={**lists, "unlawful": [EVIL]}).publish()
    school.poll(NOW)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("content", "categories")}


def test_the_list_team_cannot_open_what_is_mandatory(province: Province, school: School):
    province.say("categories", entry("bad.example", "", unlist=True), entry("adult.example", "", unlist=True)).publish()
    school.poll(NOW)
    assert school.serves("bad.example") == {name: listed for name, listed in UNTOUCHED.items() if name != "adult.example"}
    assert school.status.troubles == ()

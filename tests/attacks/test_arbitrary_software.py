"""Arbitrary software installation: something is served that the province did not sign (TUF specification 1.0, section 1.5.2)."""

from collections.abc import Callable

import pytest

from tests.attacks.attacker import EVIL, UNTOUCHED, block_evil, own_key, publish_signed_by
from tests.attacks.school import School
from tests.province import NOW, Province, entry
from tests.province import good as good_province
from tests.web import Web, serving


def test_without_an_attack_the_release_is_served(school: School):
    assert school.serves() == UNTOUCHED
    assert school.status.troubles == ()


def test_a_forged_target_is_refused(province: Province, school: School):
    block_evil(province).publish()
    forged = province.contents["mandatory"]["mandatory/list.csv"].replace(EVIL.encode(), b"target.example")
    province.spoil(province.target_file("mandatory/list.csv"), forged)
    school.poll(NOW)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("refused", "mandatory")}


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
def test_a_role_that_is_signed_by_another_s_key_is_refused(province: Province, school: School, role: str):
    block_evil(province)
    publish_signed_by(province, role, own_key())
    school.poll(NOW)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("refused", "")}


@pytest.mark.parametrize("role", ["mandatory", "categories", "learning", "province"])
def test_a_channel_that_is_signed_by_another_s_key_is_refused_and_the_others_go_on(province: Province, school: School, role: str):
    news = {"mandatory": "unlawful", "learning": "learning", "categories": "gambling"}
    for channel, category in news.items():
        province.say(channel, entry(f"news.{channel}.example", category))
    publish_signed_by(province, role, own_key())
    school.poll(NOW)
    served = school.serves()
    assert {channel for channel in news if f"news.{channel}.example" in served} == news.keys() - {role}
    assert school.troubles == {("refused", role)}


def test_metadata_without_any_signature_is_refused(province: Province, school: School):
    block_evil(province)
    publish_signed_by(province, "mandatory")
    school.poll(NOW)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("refused", "mandatory")}


@pytest.mark.parametrize("data", [b"", b"<html><body>404</body></html>", b"{}", b"\xff\xfe\x00", b'{"signatures": [], "signed": 7}'])
@pytest.mark.parametrize("name", ["metadata/timestamp.json", "metadata/2.snapshot.json", "metadata/2.root.json"])
def test_what_is_no_metadata_at_all_is_refused(province: Province, school: School, name: str, data: bytes):
    block_evil(province).publish()
    province.spoil(name, data)
    school.poll(NOW)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("refused", "")}


@pytest.mark.parametrize("chained", [False, True], ids=["instead", "as the next root"])
def test_first_contact_with_a_forged_root_serves_nothing(tmp_path, open_school: Callable[..., School], chained: bool):
    """The box trusts the root beside its province file, so the first look over the network is as guarded as any other."""
    forged = good_province(tmp_path / "forged").rotate("root").publish()
    if not chained:
        (forged.metadata / "2.root.json").unlink()
    with serving(forged.repository) as web:
        school = open_school(web.url)
        school.poll(NOW)
        assert school.serves() == {}
        assert school.troubles == {("refused", "")}


def test_after_the_attack_the_true_release_is_taken(province: Province, school: School, web: Web):
    true_keys = province.signers["mandatory"]
    block_evil(province)
    publish_signed_by(province, "mandatory", own_key(), own_key())
    school.poll(NOW)
    assert EVIL not in school.serves()
    province.signers["mandatory"] = true_keys
    province.say("mandatory", entry("bad.example"), entry("worse.example")).publish()
    school.poll(NOW)
    assert school.serves() == UNTOUCHED | {"worse.example": "unlawful"}
    assert school.status.troubles == ()

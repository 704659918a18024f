"""Freeze attacks, expired metadata and wrong clocks (TUF specification 1.0, sections 1.5.2 and 5): nothing stops being served, and it is said."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tests.attacks.attacker import UNTOUCHED
from tests.attacks.school import HOUR, School
from tests.province import DAY, NOW, Province, entry
from tests.web import Web

EXPIRED = {"timestamp": 4 * DAY, "snapshot": 31 * DAY, "targets": 366 * DAY, "root": 731 * DAY}
IN_1970, IN_2099 = 1000.0, datetime(2099, 1, 1, tzinfo=UTC).timestamp()
NEWER = UNTOUCHED | {"newer.example": "unlawful"}


def release_newer(province: Province) -> None:
    province.say("mandatory", entry("bad.example"), entry("newer.example")).publish()


# ---- freeze ----


def test_a_frozen_repository_is_noticed_when_its_timestamp_expires(tmp_path: Path, province: Province, school: School, web: Web):
    web.folder = province.copy(tmp_path / "frozen")
    release_newer(province)
    school.poll(NOW + 2 * DAY)
    assert school.status.troubles == ()
    school.poll(NOW + 4 * DAY)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("expired", "")}
    assert school.status.success_at == NOW + 2 * DAY


def test_a_box_that_meets_a_frozen_repository_first_takes_nothing_of_it(province: Province, open_school, web: Web):
    stranger = open_school(web.url)
    stranger.poll(NOW + 4 * DAY)
    assert stranger.serves() == {}
    assert stranger.troubles == {("expired", "")}


def test_when_the_freeze_ends_the_box_goes_on(province: Province, school: School):
    school.poll(NOW + 4 * DAY)
    assert school.troubles == {("expired", "")}
    province.now = NOW + 4 * DAY
    release_newer(province)
    school.poll(NOW + 4 * DAY)
    assert school.serves() == NEWER
    assert school.status.troubles == ()


# ---- expired metadata ----


@pytest.mark.parametrize("role", EXPIRED)
def test_an_expired_role_of_the_repository_keeps_everything_and_alarms(province: Province, school: School, role: str):
    """All others are fresh: only ``role`` was not signed again."""
    province.now = now = NOW + EXPIRED[role]
    province.lasts[role] = -DAY
    release_newer(province)
    province.publish("root", "targets", "categories", "learning", "province")
    school.poll(now)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("expired", "")}


@pytest.mark.parametrize("role", ["mandatory", "categories", "learning", "province"])
def test_an_expired_channel_keeps_its_last_content_and_the_others_go_on(province: Province, school: School, role: str):
    now = NOW + 366 * DAY
    province.now = now
    others = {"mandatory", "categories", "learning", "province"} - {role}
    news = {"mandatory": "unlawful", "learning": "learning", "categories": "gambling"}
    for channel in others & news.keys():
        province.say(channel, entry(f"news.{channel}.example", news[channel]))
    province.publish("root", "targets", *others)
    school.poll(now)
    served = school.serves()
    assert {name for name in UNTOUCHED if name not in served} <= {"bad.example", "hoc.example"}, "the fresh ones say something else"
    assert {channel for channel in news if f"news.{channel}.example" in served} == others & news.keys()
    assert {"mandatory": "bad.example", "learning": "hoc.example"}.get(role, "casino.example") in served
    assert school.troubles == {("expired", role)}


def test_every_channel_expired_at_once_is_said_of_each_and_all_stay(province: Province, school: School):
    province.now = NOW + 366 * DAY
    province.publish("root", "targets")
    school.poll(province.now)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("expired", role) for role in ("mandatory", "categories", "learning", "province")}


# ---- wrong clock ----


def test_a_box_in_1970_takes_what_is_signed_and_says_that_its_clock_is_wrong(province: Province, school: School):
    release_newer(province)
    school.poll(IN_1970, trusted=False)
    assert school.serves() == NEWER
    assert school.troubles == {("clock", "")}


def test_a_box_in_1970_that_thinks_it_knows_the_time_is_told_otherwise_by_its_lists(province: Province, school: School):
    release_newer(province)
    school.poll(IN_1970, trusted=True)
    assert school.serves() == NEWER
    assert school.troubles == {("clock", "")}


def test_a_new_box_in_1970_gets_its_lists(open_school, web: Web):
    stranger = open_school(web.url)
    stranger.poll(IN_1970, trusted=False)
    assert stranger.serves() == UNTOUCHED
    assert stranger.troubles == {("clock", "")}


def test_a_box_in_1970_is_not_rolled_back(tmp_path: Path, province: Province, school: School, web: Web):
    """It cannot see that something has expired; that something is older than what it has it can."""
    old = province.copy(tmp_path / "old")
    release_newer(province)
    school.poll(NOW)
    web.folder = old
    school.poll(IN_1970, trusted=False)
    assert school.serves() == NEWER
    assert ("refused", "") in school.troubles


def test_a_box_in_2099_keeps_what_it_has_and_blames_its_clock(province: Province, school: School):
    release_newer(province)
    school.poll(IN_2099, trusted=False)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("clock", "")}
    school.poll(NOW)
    assert school.serves() == NEWER
    assert school.status.troubles == ()


def test_no_entry_expires_by_a_clock_that_may_be_wrong(province: Province, school: School):
    until = date(2026, 12, 31)
    province.say("mandatory", entry("bad.example"), entry("until.example", expires=until)).publish()
    for now in (NOW, IN_2099, IN_1970):
        school.poll(now, trusted=False)
        assert school.serves() == UNTOUCHED | {"until.example": "unlawful"}


def test_an_entry_expires_by_a_clock_that_is_right_and_comes_back_when_that_was_a_mistake(province: Province, school: School):
    province.lasts |= {"timestamp": 90 * DAY, "snapshot": 90 * DAY}
    province.say("mandatory", entry("bad.example"), entry("until.example", expires=date(2026, 12, 31))).publish()
    school.poll(NOW)
    assert "until.example" in school.serves()
    school.poll(NOW + 45 * DAY)
    assert school.serves() == UNTOUCHED
    school.poll(NOW + HOUR)
    assert "until.example" in school.serves()

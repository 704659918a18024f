"""`manglanh mode` and `unblock`: what they write, what they refuse, and that nothing lasts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.changes import KEEP, add_unblock, end_mode, end_unblock, switch_mode
from policies.model import Override, State, Unblock
from policies.state import read_state

PUPIL = "10.0.12.7"
groups = st.sampled_from(["6a1", "6a2", "giao-vien"])
overrides = st.builds(
    Override, group=groups, mode=st.just("exam"), since=st.floats(0, 1e6), until=st.floats(0, 1e6), by=st.just("Lan"), reason=st.just("")
)


def verdict(type_in, name, client=PUPIL):
    return json.loads(type_in("explain", name, "--client", client, "--json").out)["verdict"]


def test_a_class_goes_to_an_exam_and_back(type_in, school):
    assert verdict(type_in, "vnexpress.net") == "allow"
    result = type_in("mode", "6a1", "exam", "--for", "45m", "--reason", "Kiểm tra", "--site", "thi.example", "--by", "Lan")
    assert result.code == 0
    assert result.out.startswith("6a1: ")
    assert (verdict(type_in, "vnexpress.net"), verdict(type_in, "de.thi.example"), verdict(type_in, "vnexpress.net", "10.0.2.7")) == (
        "block",
        "allow",
        "allow",
    )
    assert type_in("mode", "6a1", "normal").code == 0
    assert verdict(type_in, "vnexpress.net") == "allow"


def test_the_switch_is_kept_with_who_why_and_until_when(type_in, school, tmp_path):
    type_in("mode", "6a1", "study", "--for", "45m", "--reason", "Toán", "--by", "Lan")
    state = read_state(tmp_path / "state.json")
    (override,) = state.overrides
    assert (override.group, override.mode, override.by, override.reason) == ("6a1", "study", "Lan", "Toán")
    assert override.until - override.since == pytest.approx(2700)
    assert state.generation == 1


def test_normal_for_a_while_holds_against_the_timetable(type_in, school):
    school.write_text(
        school.read_text(encoding="utf-8")
        + "timetable: {rules: [{mode: offline, at: ['00:00-24:00'], days: [mon, tue, wed, thu, fri, sat, sun], holidays: true}]}\n",
        encoding="utf-8",
    )
    assert type_in("mode", "6a1", "normal", "--for", "10m").code == 0
    assert verdict(type_in, "vnexpress.net") == "allow"
    assert type_in("mode", "6a1", "--end").code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["6a9", "exam", "--for", "45m"], "6a1"),
        (["6a1", "exma", "--for", "45m"], "exam"),
        (["6a1", "exam"], "--for 45m"),
        (["6a1", "exam", "--for", "45m", "--until", "11:15"], "--for 45m"),
        (["6a1", "exam", "--for", "2d"], "a day at most"),
        (["6a1", "exam", "--until", "25:00"], "11:15"),
        (["6a1", "exam", "--for", "45m", "--site", "not a name"], "not a name"),
    ],
)
def test_what_is_wrong_is_said_and_changes_nothing(arguments, says, type_in, school, tmp_path):
    result = type_in("mode", *arguments)
    assert result.code == 2
    assert says in result.err
    assert not (tmp_path / "state.json").exists()


def test_a_teacher_opens_a_site_that_the_tier_lets_her_open(type_in, school):
    assert verdict(type_in, "www.facebook.com") == "block"
    assert type_in("unblock", "6a1", "facebook.com", "--until", "23:59", "--by", "Lan").code == 0
    assert verdict(type_in, "www.facebook.com") == "allow"
    assert type_in("unblock", "6a1", "facebook.com", "--end").code == 0
    assert verdict(type_in, "www.facebook.com") == "block"


@pytest.mark.parametrize("name", ["fun88.com", "unlawful.manglanh.test"])
def test_an_unblock_that_would_open_nothing_is_refused(name, type_in, school, tmp_path):
    result = type_in("unblock", "6a1", name, "--for", "45m")
    assert result.code == 1
    assert "would stay blocked" in result.err
    assert not (tmp_path / "state.json").exists()


def test_a_state_that_cannot_be_written_is_said(type_in, school):
    school.write_text(school.read_text(encoding="utf-8").replace("/state.json", "/no/such/place/state.json"), encoding="utf-8")
    result = type_in("mode", "6a1", "study", "--for", "45m")
    assert result.code == 1
    assert "state.json cannot be written" in result.err


@given(st.lists(overrides, max_size=6), overrides)
def test_a_group_has_one_override_and_others_keep_theirs(earlier, new):
    after = switch_mode(State(overrides=tuple(earlier)), new).overrides
    assert [override for override in after if override.group == new.group] == [new]
    kept = [override for override in earlier if override.group != new.group and override.until > new.since - KEEP]
    assert [override for override in after if override.group != new.group] == kept


@given(st.lists(overrides, max_size=6), groups)
def test_ending_ends_this_groups_override_only(earlier, group):
    after = end_mode(State(overrides=tuple(earlier)), group).overrides
    assert list(after) == [override for override in earlier if override.group != group]


def test_unblocks_of_one_name_replace_each_other():
    first = Unblock(group="6a1", name="a.vn", since=0, until=10, by="Lan")
    second = Unblock(group="6a1", name="a.vn", since=5, until=20, by="Lan")
    other = Unblock(group="6a1", name="b.vn", since=5, until=20, by="Lan")
    state = add_unblock(add_unblock(add_unblock(State(), first), other), second)
    assert state.unblocks == (other, second)
    assert end_unblock(state, "6a1", "a.vn").unblocks == (other,)

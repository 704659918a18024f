"""Who may say what: the channels between them cover every category, and no channel reaches into another's."""

import pytest

from blocklists.channels import BASE, CHANNELS, CONTACTS, OVERLAY, changes_path, list_path, target_paths
from filters.category import CATEGORIES, LOCKED


def test_only_the_mandatory_channel_fills_the_locked_categories():
    assert CHANNELS["mandatory"].categories == LOCKED
    assert [channel.id for channel in CHANNELS.values() if channel.categories & LOCKED] == ["mandatory"]


def test_every_category_is_some_channel_s():
    assert frozenset().union(*(channel.categories for channel in CHANNELS.values())) == set(CATEGORIES)


def test_the_learning_channel_blocks_nothing():
    assert all(CATEGORIES[category].open for category in CHANNELS["learning"].categories)


def test_an_order_has_its_number_and_only_the_list_team_unlists():
    assert [channel.id for channel in CHANNELS.values() if channel.needs_document] == ["mandatory"]
    assert [channel.id for channel in CHANNELS.values() if channel.may_unlist] == ["categories"]


@pytest.mark.parametrize("channel", CHANNELS.values(), ids=lambda channel: channel.id)
def test_targets_lie_in_the_channel_s_own_folder(channel):
    paths = target_paths(channel)
    assert paths
    assert all(path.startswith(f"{channel.id}/") and path.count("/") == 1 for path in paths)
    assert ({list_path(channel), changes_path(channel)} <= set(paths)) is channel.text


def test_the_targets_are_those_that_are_documented():
    assert {path for channel in CHANNELS.values() for path in target_paths(channel)} == {
        BASE, OVERLAY, CONTACTS,
        "mandatory/list.csv", "mandatory/changes.csv", "categories/list.csv", "categories/changes.csv",
        "learning/list.csv", "learning/changes.csv",
    }  # fmt: skip


@pytest.mark.parametrize("channel", CHANNELS.values(), ids=lambda channel: channel.id)
def test_a_channel_has_a_title_in_both_languages(channel):
    assert all(channel.title)


def test_nobody_can_add_a_channel_while_the_program_runs():
    with pytest.raises(TypeError):
        CHANNELS["other"] = CHANNELS["mandatory"]  # type: ignore[index]

"""A new folder's lists: nothing is published by them, and everything that is there can be used."""

import pytest

from blocklists.channels import CHANNELS
from blocklists.publisher import lists
from blocklists.publisher.errors import PublishError
from blocklists.publisher.first_lists import EXAMPLE, write_first_lists
from blocklists.sources import PACKAGED, load
from tests.blocklists.publisher.list_team import new_list_team, order


@pytest.fixture
def team(tmp_path):
    made = new_list_team(tmp_path / "province")
    write_first_lists(made.workspace, CHANNELS)
    return made


def test_nothing_of_it_is_published(team):
    assert team.stage() == []


def test_the_example_is_the_packaged_lists_and_compiles(team):
    (team.workspace.lists / EXAMPLE).rename(team.workspace.lists / "sources.yaml")
    assert len(lists.load_sources(team.workspace)) == len(load(PACKAGED))
    with lists.prepare(team.workspace) as draft:
        assert draft.difference.lists.after > 100
        assert lists.stage(team.workspace, draft, team.now) == ["categories"]


def test_what_is_there_stays(team):
    team.entries("mandatory", order("xau.example"))
    team.write(f"lists/{EXAMPLE}", "mine")
    write_first_lists(team.workspace, CHANNELS)
    assert team.stage() == ["mandatory"]
    assert (team.workspace.lists / EXAMPLE).read_text() == "mine"


def test_only_for_channels_that_somebody_signs(tmp_path):
    team = new_list_team(tmp_path / "province")
    write_first_lists(team.workspace, ["mandatory", "province"])
    assert [path.name for path in team.workspace.lists.iterdir()] == ["mandatory.csv"]


def test_a_source_without_a_file_is_named(team):
    team.sources("{name: own, category: ads, format: domains, path: none.txt, licence: own}")
    with pytest.raises(PublishError, match=r"own: .*none\.txt"):
        team.stage()

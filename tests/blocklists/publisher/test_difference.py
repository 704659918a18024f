"""What a person is shown before signing: names, numbers, the largest movers, popular names."""

import pytest

from blocklists.publisher import lists
from blocklists.publisher.difference import as_data, in_words
from blocklists.publisher.errors import PublishError
from tests.blocklists.publisher.list_team import new_list_team, order

HUNDRED = [f"casino{number}.example" for number in range(100)]


@pytest.fixture
def team(tmp_path):
    return new_list_team(tmp_path / "province")


def staged(team, role, **options):
    team.stage(**options)
    return lists.describe(team.workspace, role)


def test_every_entry_is_named_with_authority_and_document(team):
    team.entries("mandatory", order("stays.example"), order("goes.example"), order("moves.example", reason="cờ bạc"))
    team.release()
    team.entries("mandatory", order("stays.example"), order("moves.example", "child-abuse"), order("new.example", expires="2026-12-31"))
    assert staged(team, "mandatory") == [
        "+ new.example  unlawful  Công an tỉnh, 12/QĐ-UBND  2026-11-22..2026-12-31",
        "- goes.example  unlawful  Công an tỉnh, 12/QĐ-UBND  2026-11-22..",
        "~ moves.example  unlawful  Công an tỉnh, 12/QĐ-UBND: cờ bạc  2026-11-22..",
        "  -> moves.example  child-abuse  Công an tỉnh, 12/QĐ-UBND  2026-11-22..",
    ]


def test_an_entry_that_unlists_says_so(team):
    team.write(
        "lists/categories.csv", "name,category,authority,document,reason,added,expires,action\nok.example,,Sở,,,2026-11-22,,unlist\n"
    )
    assert staged(team, "categories") == ["+ ok.example  unlist  Sở  2026-11-22.."]


def test_compiled_lists_are_told_in_numbers_movers_and_examples(team):
    team.names(*HUNDRED)
    assert staged(team, "categories")[0] == "base: 0 -> 125  (+125 -0 ~0)"
    team.sign_and_release()
    team.names(*HUNDRED[3:], "new.example")
    assert staged(team, "categories") == [
        "overlay: 125 -> 123  (+1 -3 ~0, 3.2%)",
        "  own (gambling): 100 -> 98",
        "+ new.example  gambling",
        "- casino0.example  gambling",
        "- casino1.example  gambling",
        "- casino2.example  gambling",
    ]


def test_a_name_that_moves_to_another_category(team):
    team.names(*HUNDRED)
    team.write("lists/other.txt", "other.example\n")
    other = "{name: other, category: ads, format: domains, path: other.txt, licence: own}"
    own = "{name: own, category: gambling, format: domains, path: own.txt, licence: own}"
    team.sources(own, other)
    team.release()
    team.write("lists/other.txt", "other.example\ncasino5.example\n")
    found = staged(team, "categories")
    assert found[0].startswith("overlay: 126 -> 126  (+0 -0 ~1")
    assert found[-1] == "~ casino5.example  gambling -> ads gambling"


@pytest.mark.parametrize(("first", "named"), [(0, 0), (2, 2), (20, 3)])
def test_how_many_are_named(team, first, named):
    team.names(*HUNDRED)
    team.release()
    team.names(*HUNDRED[3:])
    team.stage()
    assert len(lists.staged_difference(team.workspace, first).lists.first) == named


def test_contacts_are_shown_as_changed_lines(team):
    team.write("lists/contacts.yaml", "name: Quảng Ngãi\nhotlines: []\n")
    team.release()
    team.write("lists/contacts.yaml", "name: Quảng Ngãi mới\nhotlines: []\n")
    assert staged(team, "province") == ["-name: Quảng Ngãi", "+name: Quảng Ngãi mới"]


def test_nothing_staged_is_no_difference(team):
    team.names(*HUNDRED)
    team.entries("mandatory", order("xau.example"))
    team.release()
    assert not lists.staged_difference(team.workspace)
    for role in ("mandatory", "categories", "province", "root", "targets"):
        assert lists.describe(team.workspace, role) == []


def test_as_data_is_json(team):
    import json

    team.names(*HUNDRED)
    team.entries("mandatory", order("xau.example", expires="2026-12-31"))
    team.stage()
    data = json.loads(json.dumps(as_data(lists.staged_difference(team.workspace))))
    (added,) = data["texts"]["mandatory"]["added"]
    assert (added["name"], added["document"], added["expires"]) == ("xau.example", "12/QĐ-UBND", "2026-12-31")
    assert (data["lists"]["added"], data["lists"]["new_base"]) == (125, True)


class TestPopularNames:
    POPULAR = "# the most popular first\nvnexpress.example\nwww.popular.example\nquiet.example\n"

    @pytest.fixture
    def team(self, tmp_path):
        made = new_list_team(tmp_path / "province", popular="lists/popular.txt", max_popular=1)
        made.write("lists/popular.txt", self.POPULAR)
        return made

    def test_are_named_where_an_entry_or_a_list_hits_them(self, team):
        team.entries("mandatory", order("popular.example"))
        team.names("vnexpress.example")
        team.stage()
        assert "! www.popular.example  unlawful  mandatory" in lists.describe(team.workspace, "mandatory")
        assert "! vnexpress.example  gambling  own" in lists.describe(team.workspace, "categories")

    @pytest.mark.parametrize(
        ("names", "asks"), [(["quiet.example"], False), (["quiet.example", "vnexpress.example"], True), (["other.example"], False)]
    )
    def test_more_than_the_limit_must_be_confirmed(self, team, names, asks):
        team.names(*names)
        with lists.prepare(team.workspace) as draft:
            assert bool(draft.questions) == asks
        with lists.prepare(team.workspace, force=True) as draft:
            assert draft.questions == ()

    def test_are_not_named_again_once_released(self, team):
        team.names("vnexpress.example", "quiet.example")
        team.release()
        team.names("vnexpress.example", "quiet.example", "casino.example")
        with lists.prepare(team.workspace) as draft:
            assert draft.difference.popular == ()

    def test_a_learning_site_may_be_popular(self, team):
        team.entries("learning", order("vnexpress.example", "learning"))
        with lists.prepare(team.workspace) as draft:
            assert draft.difference.popular == ()

    def test_a_critical_name_that_is_meant_is_a_hit_but_a_lists_subject_is_none(self, tmp_path):
        team = new_list_team(tmp_path / "meant", may_name={"tumblr.com"})
        team.entries("mandatory", order("tumblr.com"))
        team.entries("categories", order("facebook.com", "social"))
        with lists.prepare(team.workspace) as draft:
            assert [hit.name for hit in draft.difference.popular] == ["tumblr.com"]

    def test_a_missing_file_is_said(self, team):
        (team.workspace.lists / "popular.txt").unlink()
        with pytest.raises(PublishError, match=r"lists/popular\.txt"):
            team.stage()


@pytest.mark.parametrize(("share", "asks"), [(0.01, True), (0.5, False)])
def test_much_changed_must_be_confirmed(tmp_path, share, asks):
    team = new_list_team(tmp_path / "province", max_changed_share=share)
    team.names(*HUNDRED)
    with lists.prepare(team.workspace) as draft:
        assert draft.questions == (), "there is nothing to compare the first release with"
    team.release()
    team.names(*HUNDRED[4:])
    with lists.prepare(team.workspace) as draft:
        assert bool(draft.questions) == asks


def test_an_entry_in_words():
    from datetime import date

    from blocklists.entries import ListEntry

    entry = ListEntry("xau.example", "unlawful", "Công an tỉnh", "12/QĐ", "cờ bạc", date(2026, 11, 22), None)
    assert in_words(entry) == "xau.example  unlawful  Công an tỉnh, 12/QĐ: cờ bạc  2026-11-22.."

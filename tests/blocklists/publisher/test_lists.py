"""Staging content: what is refused, what travels as base, overlay and text, and that the same input gives the same bytes."""

import json
import os
import shutil
import tarfile

import pytest

from blocklists.channels import BASE, CHANNELS, OVERLAY
from blocklists.publisher import lists
from blocklists.publisher.bundles import open_archives
from blocklists.publisher.errors import PublishError
from blocklists.publisher.staging import released_target
from blocklists.publisher.texts import carried
from tests.blocklists.publisher.list_team import OWN, new_list_team, order

HUNDRED = [f"casino{number}.example" for number in range(100)]
LIST, CHANGES = "mandatory/list.csv", "mandatory/changes.csv"


@pytest.fixture
def team(tmp_path):
    return new_list_team(tmp_path / "province")


def index_of(team, into):
    """What a box makes of the released archives."""
    into.mkdir(parents=True, exist_ok=True)
    return open_archives(*(released_target(team.workspace, path) for path in (BASE, OVERLAY)), into)


def entries_of(team, channel="mandatory"):
    targets = team.targets()
    return carried(CHANNELS[channel], targets.get(f"{channel}/list.csv"), targets.get(f"{channel}/changes.csv")).entries


class TestMistakes:
    """Refused with a message that says where, and nothing staged."""

    GOOD = tuple(order(f"xau{number}.example") for number in range(10))

    def spoil_nothing(self, team):
        team.entries("mandatory", *self.GOOD)
        team.names(*HUNDRED)
        team.release()

    @pytest.mark.parametrize(
        ("file", "content", "said"),
        [
            ("lists/mandatory.csv", "", "lists/mandatory.csv:1: empty"),
            ("lists/mandatory.csv", "<!DOCTYPE html><title>502 Bad Gateway", "lists/mandatory.csv:1: a web page"),
            ("lists/mandatory.csv", [*GOOD, order("google.com")], "google.com: a critical name"),
            ("lists/mandatory.csv", [*GOOD, order("com.vn")], "com.vn: a public suffix"),
            ("lists/mandatory.csv", [*GOOD, order("hoc.example", "learning")], "mandatory channel may only carry"),
            ("lists/mandatory.csv", [*GOOD, order("xau.example", document="")], "document: missing"),
            ("lists/mandatory.csv", [*GOOD, "xau.example,unlawful,,1/QĐ,,2026-11-22,"], "authority: missing"),
            ("lists/mandatory.csv", GOOD[:4], "mandatory: 6 of 10 entries are gone"),
            ("lists/mandatory.csv", [], "mandatory: 10 of 10 entries are gone"),
            ("lists/mandatory.csv", None, "lists/mandatory.csv: missing, and 10 entries are published"),
            ("lists/learning.csv", [order("xau.example")], "learning channel may only carry"),
            (OWN, "", "own: an empty list"),
            (OWN, "<!DOCTYPE html><title>502 Bad Gateway", "own: this is an HTML or XML page"),
            (OWN, "\n".join(HUNDRED[:49]), "own: shrank from 100 names to 49"),
            (OWN, "\n".join([*HUNDRED, "google.com"]), "own:101: google.com: a critical name"),
            (OWN, "\n".join([*HUNDRED, "com.vn"]), "own:101: com.vn: a public suffix"),
            (OWN, "\n".join(f"casino{number}.example" for number in range(6000)), "own: grew from 100 names to 6000"),
            ("lists/sources.yaml", "sources:\n  - {name: own, category: gambling}\n", "sources.yaml:2:"),
            ("lists/sources.yaml", None, "lists/sources.yaml: missing"),
        ],
    )
    def test_are_refused(self, team, file, content, said):
        self.spoil_nothing(team)
        if content is None:
            (team.workspace.folder / file).unlink()
        elif isinstance(content, (list, tuple)):
            team.entries(file.removeprefix("lists/").removesuffix(".csv"), *content)
        else:
            team.write(file, content)
        before = team.targets()
        with pytest.raises(PublishError) as refused:
            team.stage()
        assert said in str(refused.value)
        assert team.waiting() == {}
        assert team.targets() == before
        assert list(team.workspace.work.glob("lists-*")) == []

    def test_all_of_them_are_said_at_once(self, team):
        team.entries("mandatory", order("google.com"))
        team.entries("learning", order("xau.example"))
        with pytest.raises(PublishError) as refused:
            team.stage()
        assert "google.com" in str(refused.value)
        assert "learning" in str(refused.value)

    @pytest.mark.parametrize("urgent", [False, True])
    def test_half_of_a_list_gone_is_accepted_by_force(self, team, urgent):
        self.spoil_nothing(team)
        team.entries("mandatory", *self.GOOD[:4])
        team.release(force=True, urgent=urgent)
        assert len(entries_of(team)) == 4

    @pytest.mark.parametrize("content", [order("google.com"), order("hoc.example", "learning"), order("xau.example", document="")])
    def test_what_is_wrong_in_itself_is_not_accepted_by_force(self, team, content):
        team.entries("mandatory", content)
        with pytest.raises(PublishError):
            team.stage(force=True)

    def test_a_guarded_name_in_a_compiled_list_is_left_out_by_force(self, team, tmp_path):
        team.names(*HUNDRED, "google.com")
        team.release(force=True)
        assert not index_of(team, tmp_path / "box").lookup("google.com")

    def test_somebody_elses_slip_does_not_stop_everything(self, team, tmp_path):
        (tmp_path / "theirs.txt").write_text("google.com\ncasino.example\n")
        team.sources(f"{{name: theirs, category: gambling, format: domains, path: {tmp_path}/theirs.txt, licence: MIT}}")
        team.release()
        assert [bool(index_of(team, tmp_path / "box").lookup(name)) for name in ("google.com", "casino.example")] == [False, True]

    def test_a_single_entry_may_go(self, team):
        team.entries("mandatory", order("xau.example"))
        team.release()
        team.entries("mandatory")
        team.release()
        assert entries_of(team) == ()

    def test_a_critical_name_that_is_meant(self, tmp_path):
        team = new_list_team(tmp_path / "province", may_name={"tumblr.com"})
        team.entries("mandatory", order("tumblr.com"))
        assert team.stage() == ["mandatory"]

    def test_a_list_in_a_locked_category_belongs_in_the_mandatory_channel(self, team):
        team.write(OWN, "xau.example\n")
        team.sources("{name: own, category: unlawful, format: domains, path: own.txt, licence: own}")
        with pytest.raises(PublishError, match="belongs in lists/mandatory.csv"):
            team.stage()

    def test_a_starter_list_in_a_locked_category_has_its_test_name_only(self, team):
        team.sources("{name: starter-unlawful, category: unlawful, format: domains, path: own.txt, licence: own}")
        team.write(OWN, "unlawful.manglanh.test\n")
        assert team.stage() == ["categories"]
        team.write(OWN, "unlawful.manglanh.test\nxau.example\n")
        with pytest.raises(PublishError, match=r"locked category: xau\.example"):
            team.stage()

    def test_a_channel_without_keys(self, tmp_path, team):
        team.entries("mandatory", order("xau.example"))
        team.names(*HUNDRED)
        shutil.rmtree(team.workspace.metadata)
        with pytest.raises(PublishError, match="mandatory has no keys yet"):
            team.stage()
        assert team.waiting() == {}

    def test_contacts_that_a_box_would_not_take(self, team):
        def refuse(data):
            raise PublishError(f"contacts: {data.decode()}")

        team.write("lists/contacts.yaml", "nonsense")
        with pytest.raises(PublishError, match="contacts: nonsense"):
            team.stage(check_contacts=refuse)


class TestBaseAndOverlay:
    def test_the_first_release_is_a_base(self, team, tmp_path):
        team.names(*HUNDRED)
        assert team.release() == ["categories"]
        assert set(team.targets()) == {BASE}
        assert index_of(team, tmp_path / "box").lookup("www.casino7.example")

    def test_a_small_change_is_an_overlay_and_a_large_one_a_new_base(self, team, tmp_path):
        team.names(*HUNDRED)
        team.release()
        base = team.targets()[BASE]
        team.names(*HUNDRED[5:], "new.example")
        team.release()
        assert team.targets()[BASE] == base
        assert len(team.targets()[OVERLAY]) < len(base)
        found = index_of(team, tmp_path / "first")
        assert [bool(found.lookup(name)) for name in ("casino0.example", "casino5.example", "new.example")] == [False, True, True]

        team.names(*HUNDRED[12:], "new.example")
        team.release()
        assert team.targets()[BASE] != base
        assert OVERLAY not in team.targets()
        found = index_of(team, tmp_path / "second")
        assert [bool(found.lookup(name)) for name in ("casino11.example", "casino12.example", "new.example")] == [False, True, True]

    def test_back_to_the_base_needs_no_overlay(self, team):
        team.names(*HUNDRED)
        team.release()
        base = team.targets()
        team.names(*HUNDRED, "new.example")
        team.release()
        team.names(*HUNDRED)
        team.release()
        assert team.targets() == base

    def test_the_share_is_a_setting(self, tmp_path):
        team = new_list_team(tmp_path / "province", new_base_share=0.01)
        team.names(*HUNDRED)
        team.release()
        team.names(*HUNDRED, "new.example", "newer.example")
        team.release()
        assert set(team.targets()) == {BASE}

    def test_nothing_new_is_nothing_to_stage(self, team):
        team.names(*HUNDRED)
        team.entries("mandatory", order("xau.example"))
        team.release()
        team.names(*HUNDRED, "new.example")
        team.release()
        assert team.stage() == []

    def test_what_is_taken_back_before_it_was_released_waits_no_more(self, team):
        team.names(*HUNDRED)
        team.release()
        team.names(*HUNDRED, "new.example")
        assert team.stage() == ["categories"]
        team.names(*HUNDRED)
        assert team.stage() == []
        assert team.waiting() == {}

    def test_a_bundle_carries_its_report_with_licences_and_without_rejected_lines(self, team):
        team.names(*HUNDRED)
        team.write(OWN, "\n".join([*HUNDRED, "bad..name"]))
        team.release()
        with tarfile.open(released_target(team.workspace, BASE)) as packed:
            report = json.load(packed.extractfile("report.json"))
        (own,) = report["sources"]
        assert (own["name"], own["licence"], own["attribution"], own["lines"]) == ("own", "own", "the province", [])
        assert own["reasons"] == {"empty label": 1}
        kept = json.loads((team.workspace.work / "report.json").read_text())
        assert kept["sources"][0]["lines"][0]["text"] == "bad..name"

    def test_the_same_input_gives_the_same_bytes_on_another_computer(self, tmp_path, team):
        other = new_list_team(tmp_path / "elsewhere")
        for names in (HUNDRED, [*HUNDRED, "new.example"]):
            for place, ordered in ((team, names), (other, names[::-1])):
                place.names(*ordered)
                os.utime(place.workspace.folder / OWN, (1000, 2000 if place is other else 3000))
                place.entries("mandatory", *sorted(map(order, names[:5]), reverse=place is other))
                place.release()
        found, elsewhere = team.targets(), other.targets()
        for targets in (found, elsewhere):  # the report counts lines, which are the same; nothing else may differ
            assert set(targets) >= {BASE, OVERLAY, LIST}
        assert found == elsewhere


class TestUrgent:
    def test_it_leaves_base_and_overlay_untouched(self, team):
        team.names(*HUNDRED)
        team.entries("mandatory", order("xau.example"))
        team.release()
        team.names(*HUNDRED, "new.example")
        team.release()
        before = team.targets()
        team.entries("mandatory", order("xau.example"), order("gap.example"))
        team.write(OWN, "nothing that is compiled")
        assert team.release(urgent=True) == ["mandatory"]
        after = team.targets()
        assert {path: after[path] for path in (BASE, OVERLAY, LIST)} == {path: before[path] for path in (BASE, OVERLAY, LIST)}
        assert after[CHANGES].splitlines()[1:] == [b"+," + order("gap.example").encode()]

    def test_it_leaves_alone_compiled_lists_that_wait(self, team):
        team.names(*HUNDRED)
        team.stage()
        team.entries("mandatory", order("gap.example"))
        assert team.stage(urgent=True) == ["mandatory"]
        assert set(team.waiting()) == {"mandatory", "categories"}

    def test_an_urgent_entry_of_the_list_team_goes_on_the_released_base(self, team):
        team.names(*HUNDRED)
        team.release()
        base = team.targets()[BASE]
        team.entries("categories", order("bet.example", "gambling"))
        team.release(urgent=True)
        assert team.targets()[BASE] == base
        assert [entry.name for entry in entries_of(team, "categories")] == ["bet.example"]

    def test_it_needs_no_lists_at_all(self, team):
        team.entries("mandatory", order("gap.example"))
        assert team.release(urgent=True) == ["mandatory"]


class TestTexts:
    def test_what_waits_is_not_what_is_released(self, team):
        """Staging again starts from the release, not from what was staged before."""
        team.entries("mandatory", order("xau.example"))
        team.write("lists/contacts.yaml", "name: Quảng Ngãi\n")
        team.release()
        for names in (("b.example",), ("b.example", "c.example")):
            team.entries("mandatory", order("xau.example"), *map(order, names))
            team.write("lists/contacts.yaml", "name: Quảng Ngãi mới\n")
            with lists.prepare(team.workspace) as draft:
                assert tuple(entry.name for entry in draft.difference.texts["mandatory"].added) == names
                assert draft.difference.contacts
                assert lists.stage(team.workspace, draft, team.now) == ["mandatory", "province"]
        team.sign_and_release()
        assert [entry.name for entry in entries_of(team)] == ["b.example", "c.example", "xau.example"]

    def test_entries_that_are_reworded_are_not_gone(self, team):
        team.entries("mandatory", order("a.example"), order("b.example"))
        team.release()
        team.entries("mandatory", order("a.example", "child-abuse"), order("b.example", document="13/QĐ-UBND"))
        assert team.stage() == ["mandatory"]

    def test_changes_are_folded_when_they_are_many(self, tmp_path):
        team = new_list_team(tmp_path / "province", fold_rows=3, fold_share=1.0)
        rows = [order(f"xau{number}.example") for number in range(20)]
        team.entries("mandatory", *rows)
        team.release()
        listed = team.targets()[LIST]
        for count, folded in ((1, False), (3, False), (4, True)):
            team.entries("mandatory", *rows, *(order(f"moi{number}.example") for number in range(count)))
            team.release()
            assert (CHANGES not in team.targets(), team.targets()[LIST] != listed) == (folded, folded)
            assert len(entries_of(team)) == 20 + count

    def test_urgent_changes_are_never_folded(self, tmp_path):
        team = new_list_team(tmp_path / "province", fold_rows=0)
        team.entries("mandatory", order("xau.example"))
        team.release()
        team.entries("mandatory", *(order(f"xau{number}.example") for number in range(30)), order("xau.example"))
        team.release(urgent=True)
        assert len(entries_of(team)) == 31
        assert team.targets()[LIST].count(b"\n") == 2

    def test_a_change_that_is_taken_back(self, team):
        team.entries("mandatory", order("xau.example"))
        team.release()
        before = team.targets()
        team.entries("mandatory", order("xau.example"), order("gap.example"))
        team.release(urgent=True)
        team.entries("mandatory", order("xau.example"))
        team.release(urgent=True)
        assert team.targets() == before

    def test_a_table_without_entries_says_nothing(self, team):
        for channel in ("mandatory", "learning", "categories"):
            team.entries(channel)
        assert team.stage() == []


def test_contacts_travel_as_they_were_written(team):
    team.write("lists/contacts.yaml", "name: Quảng Ngãi\n")
    assert team.release() == ["province"]
    assert team.targets()["province/contacts.yaml"] == "name: Quảng Ngãi\n".encode()
    (team.workspace.lists / "contacts.yaml").unlink()
    with pytest.raises(PublishError, match=r"contacts\.yaml: missing"):
        team.stage()


def test_a_list_from_a_url_is_compiled_from_its_copy_alone(team):
    team.sources("{name: far, category: ads, format: domains, url: 'https://lists.example/ads.txt', licence: MIT}")
    with lists.prepare(team.workspace) as draft:
        assert draft.notes == ("far: left out: https://lists.example/ads.txt: not fetched yet",)
        assert draft.questions == ("1 lists have no copy and are left out; manglanh publish fetch gets them",)

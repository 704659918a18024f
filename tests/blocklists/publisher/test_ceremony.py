"""Who may sign: what a change of keys stages, and what is refused because nobody could repair it."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from securesystemslib.signer import SSlibKey
from tuf.api.metadata import Metadata

from blocklists.publisher.ceremony import change_keys, stage_first
from blocklists.publisher.changes import file_differences, key_differences
from blocklists.publisher.errors import PublishError
from blocklists.publisher.keys import OWNER
from blocklists.publisher.roles import KEY_ROLES, KeyChange, expiry, find_key, first_root, root_standing
from blocklists.publisher.settings import Settings
from blocklists.publisher.state import load_state
from blocklists.publisher.status import status
from blocklists.publisher.workspace import create_workspace
from tests.blocklists.publisher.signed_province import DAY, NOW, held, province, released_province, signer


@pytest.fixture
def made(tmp_path):
    return released_province(tmp_path / "province")


def key(name):
    return signer(name).public_key


class TestTheFirst:
    def test_delegations_are_terminating_and_in_the_channels_order(self, tmp_path):
        workspace = create_workspace(tmp_path, Settings(name="x"))
        stage_first(workspace, held("a"), held("online"), {"province": held("p"), "mandatory": held("a")}, NOW)
        roles = load_state(workspace).next_targets.delegations.roles
        assert [(role.name, role.paths, role.terminating) for role in roles.values()] == [
            ("mandatory", ["mandatory/*"], True),
            ("province", ["province/*"], True),
        ]
        assert load_state(workspace).next_root.consistent_snapshot

    @pytest.mark.parametrize("people", [held(threshold=1), held("a", threshold=2), held("a", "b", threshold=3), held("a", threshold=0)])
    def test_more_signatures_than_keys(self, tmp_path, people):
        workspace = create_workspace(tmp_path, Settings(name="x"))
        with pytest.raises(PublishError):
            stage_first(workspace, people, held("online"), {}, NOW)
        assert load_state(workspace).staged_root is None

    def test_a_second_folder_in_its_place_is_refused(self, tmp_path):
        create_workspace(tmp_path, Settings(name="x"))
        with pytest.raises(PublishError, match="already"):
            create_workspace(tmp_path, Settings(name="y"))


class TestChanges:
    @pytest.mark.parametrize(
        ("role", "change", "staged"),
        [
            ("root", KeyChange(add=key("d")), ("root",)),
            ("root", KeyChange(remove=key("c").keyid), ("root",)),
            ("root", KeyChange(add=key("d"), remove=key("a").keyid), ("root", "targets")),
            ("root", KeyChange(threshold=1), ("root",)),
            ("root", KeyChange(threshold=3), ("root", "targets")),
            ("online", KeyChange(add=key("d"), remove=key("online").keyid), ("root",)),
            ("snapshot", KeyChange(add=key("d")), ("root",)),
            ("timestamp", KeyChange(add=key("d")), ("root",)),
            ("mandatory", KeyChange(add=key("d")), ("targets",)),
            ("mandatory", KeyChange(add=key("d"), threshold=3), ("targets", "mandatory")),
            ("mandatory", KeyChange(add=key("d"), remove=key("a").keyid), ("targets", "mandatory")),
            ("categories", KeyChange(add=key("d"), remove=key("team").keyid), ("targets",)),
            ("learning", KeyChange(add=key("d")), ("targets",)),
        ],
    )
    def test_stage_what_must_be_signed_again(self, made, role, change, staged):
        """Targets and mandatory were signed by a and b."""
        assert change_keys(made.workspace, role, change, NOW) == staged
        state = load_state(made.workspace)
        assert all(state.waiting(name).signed.version == 2 for name in staged)

    @pytest.mark.parametrize(
        ("role", "change", "words"),
        [
            ("mandatory", KeyChange(remove=key("a").keyid), "1 keys would be left and 2 signatures are needed"),
            ("categories", KeyChange(remove=key("team").keyid), "0 keys would be left"),
            ("online", KeyChange(remove=key("online").keyid), "0 keys would be left"),
            ("root", KeyChange(threshold=4), "3 keys would be left and 4 signatures are needed"),
            ("mandatory", KeyChange(threshold=0), "at least one signature is needed"),
            ("mandatory", KeyChange(add=key("a")), "the key a may sign this already"),
            ("targets", KeyChange(add=key("d")), "targets is not a role; there is: root, snapshot"),
            ("mandatry", KeyChange(add=key("d")), "mandatry is not a role"),
        ],
    )
    def test_that_would_brick_or_cheat_are_refused(self, made, role, change, words):
        with pytest.raises(PublishError, match=words):
            change_keys(made.workspace, role, change, NOW)
        assert load_state(made.workspace).staged == {}

    def test_one_key_under_two_ids_is_refused(self, made):
        """It would count as two signatures."""
        twin = SSlibKey("f" * 64, "ed25519", "ed25519", dict(key("a").keyval), {OWNER: "twin"})
        with pytest.raises(PublishError, match="the key a may sign this already"):
            change_keys(made.workspace, "mandatory", KeyChange(add=twin), NOW)

    def test_two_keys_of_one_name_are_refused(self, made):
        other = SSlibKey.from_dict(key("d").keyid, {**key("d").to_dict(), OWNER: "a"})
        with pytest.raises(PublishError, match="name"):
            change_keys(made.workspace, "mandatory", KeyChange(add=other), NOW)

    def test_a_lower_threshold_lets_a_key_go(self, made):
        assert change_keys(made.workspace, "mandatory", KeyChange(remove=key("b").keyid, threshold=1), NOW) == ("targets",)

    def test_several_before_one_release(self, made):
        for name in ("d", "e"):
            change_keys(made.workspace, "root", KeyChange(add=key(name)), NOW)
        assert [change.role for change in key_differences(load_state(made.workspace), "root")] == ["root", "targets"]
        assert len(load_state(made.workspace).keys("root").keys) == 5
        assert load_state(made.workspace).staged_root.signed.version == 2

    def test_a_further_change_drops_the_signatures(self, made):
        change_keys(made.workspace, "root", KeyChange(add=key("d")), NOW)
        made.sign("a", "b")
        change_keys(made.workspace, "root", KeyChange(add=key("e")), NOW)
        assert load_state(made.workspace).standing("root").signed == ()

    def test_every_role_can_be_changed_and_released(self, made):
        for role in KEY_ROLES:
            change_keys(made.workspace, role, KeyChange(add=key(f"new-{role}")), NOW)
        made.sign("a", "b")
        assert {"root", "targets"} <= made.release().roles.keys()


class TestDifferences:
    def test_of_keys(self, made):
        change_keys(made.workspace, "mandatory", KeyChange(add=key("d"), remove=key("b").keyid), NOW)
        change_keys(made.workspace, "learning", KeyChange(add=key("e")), NOW)
        found = key_differences(load_state(made.workspace), "targets")
        assert [(one.role, one.added, one.removed, one.before, one.threshold) for one in found] == [
            ("mandatory", (key("d"),), (key("b"),), 2, 2),
            ("learning", (key("e"),), (), 0, 1),
        ]

    def test_of_files(self, made):
        made.stage(list=b"second", changes=b"")
        made.stage("categories", list=b"rows")
        state = load_state(made.workspace)
        assert [(one.path, one.before, one.size) for one in file_differences(state, "mandatory")] == [
            ("mandatory/changes.csv", None, 0),
            ("mandatory/list.csv", 5, 6),
        ]
        made.stage(list=None)
        assert [one.size for one in file_differences(load_state(made.workspace), "mandatory")] == [None]


class TestFindingAKey:
    KEYS = (key("a"), key("b"))

    @pytest.mark.parametrize("text", ["a", key("a").keyid, key("a").keyid[:8], f"{key('a').keyid[:4]} {key('a').keyid[4:8].upper()}"])
    def test_by_name_or_fingerprint(self, text):
        assert find_key(self.KEYS, text) == key("a")

    @pytest.mark.parametrize("text", ["", "c", key("a").keyid[:7], key("c").keyid])
    def test_otherwise_says_what_there_is(self, text):
        with pytest.raises(PublishError, match="there is: a, b"):
            find_key(self.KEYS, text)


@given(
    before=st.lists(st.sampled_from("abcd"), min_size=1, unique=True),
    after=st.lists(st.sampled_from("abcd"), min_size=1, unique=True),
    signed=st.sets(st.sampled_from("abcd")),
    thresholds=st.tuples(st.integers(1, 4), st.integers(1, 4)),
)
@settings(max_examples=60, deadline=None)
def test_missing_is_the_fewest_signatures_that_complete_a_root(before, after, signed, thresholds):
    """Against trying every set of further signers."""
    old, new = (held(*names, threshold=min(count, len(names))) for names, count in zip((before, after), thresholds, strict=True))
    first = Metadata(first_root(old, held("online"), expiry(NOW, 1)))
    second = Metadata(first_root(new, held("online"), expiry(NOW, 1)))
    second.signed.version = 2

    def missing(names):
        second.signatures = {}
        for name in names:
            second.sign(signer(name), append=True)
        return root_standing(second, first).missing

    others = sorted(set("abcd") - signed)
    further = (set(more) for count in range(len(others) + 1) for more in combinations(others, count))
    assert missing(signed) == next(len(more) for more in further if missing(signed | more) == 0)


class TestStatus:
    def roles(self, made):
        return {role.role: role for role in status(made.workspace, made.now).roles}

    def test_before_the_first_release(self, tmp_path):
        fresh = province(tmp_path)
        fresh.sign("c")
        root = self.roles(fresh)["root"]
        assert (root.version, root.keys, root.threshold) == (0, ("a", "b", "c"), 2)
        assert (root.staged.signed, root.staged.unsigned, root.staged.missing) == (("c",), ("a", "b"), 1)
        assert status(fresh.workspace, NOW).version == 0

    def test_half_signed(self, made):
        made.stage(list=b"second")
        made.sign("a")
        found = self.roles(made)["mandatory"]
        assert (found.version, found.expires) == (1, NOW + 365 * DAY)
        assert (found.staged.version, found.staged.signed, found.staged.unsigned, found.staged.missing) == (2, ("a",), ("b",), 1)

    def test_of_a_root_counts_a_signature_that_serves_both_roots_once(self, made):
        change_keys(made.workspace, "root", KeyChange(add=key("d"), remove=key("a").keyid), NOW)
        assert self.roles(made)["root"].staged.missing == 2
        made.sign("d", roles=["root"])
        assert self.roles(made)["root"].staged.missing == 2
        made.sign("b", roles=["root"])
        assert self.roles(made)["root"].staged.missing == 1

    def test_what_was_staged_upon_an_older_release(self, made):
        made.stage(list=b"second")
        kept = (made.workspace.staged_metadata / "mandatory.json").read_bytes()
        made.sign("a", "b")
        made.release()
        (made.workspace.staged_metadata / "mandatory.json").write_bytes(kept)
        found = self.roles(made)["mandatory"]
        assert (found.outdated, found.staged) == (True, None)

    @pytest.mark.parametrize(
        ("days", "concerns"),
        [
            (0, set()),
            (2.5, {("timestamp", "soon")}),
            (3, {("timestamp", "expired")}),
            (21, {("timestamp", "expired"), ("snapshot", "soon")}),
            (310, {("timestamp", "expired"), ("snapshot", "expired"), ("mandatory", "soon"), ("targets", "soon")}),
        ],
    )
    def test_warns_of_what_expires(self, made, days, concerns):
        found = status(made.workspace, NOW + days * DAY).concerns
        assert {(one.role, one.kind) for one in found if one.kind != "no-spare"} == concerns

    def test_warns_of_every_role_that_one_lost_key_stops(self, made):
        def without_spare():
            return [one.role for one in status(made.workspace, NOW).concerns if one.kind == "no-spare"]

        assert without_spare() == ["mandatory", "categories"]
        change_keys(made.workspace, "mandatory", KeyChange(add=key("c")), NOW)
        assert without_spare() == ["categories"]
        change_keys(made.workspace, "root", KeyChange(remove=key("c").keyid), NOW)
        assert without_spare() == ["root", "categories"]

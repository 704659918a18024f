"""People's signatures: who may give which, upon what, and how they come together on one computer."""

import shutil

import pytest
from securesystemslib.signer import Signature
from tuf.api.metadata import Metadata, TargetFile

from blocklists.publisher.errors import PublishError
from blocklists.publisher.signing import collect, sign, waiting_bytes
from blocklists.publisher.staging import discard, stage_targets
from blocklists.publisher.state import load_state
from blocklists.publisher.workspace import open_workspace
from tests.blocklists.publisher.signed_province import DAY, NOW, Province, province, released_province, school, signer


@pytest.fixture
def made(tmp_path):
    return released_province(tmp_path / "province")


def copy_of(made: Province, folder) -> Province:
    """What a USB stick carries to somebody else."""
    shutil.copytree(made.workspace.folder, folder)
    return Province(open_workspace(folder), made.now)


def outcomes(found):
    return [(one.role, one.outcome, one.names) for one in found]


class TestSigning:
    def test_signs_what_the_key_may(self, tmp_path):
        fresh = province(tmp_path)
        fresh.stage(list=b"first")
        assert fresh.sign("a", "c", "team", "online") == {
            "a": ["root", "targets", "mandatory"],
            "c": ["root", "targets"],
            "team": [],
            "online": [],
        }
        assert fresh.sign("a") == {"a": []}

    @pytest.mark.parametrize("name", ["team", "c", "online", "stranger"])
    def test_a_key_that_may_not_is_refused_in_words(self, made, name):
        made.stage(list=b"second")
        with pytest.raises(PublishError, match=f"mandatory: the key {name} may not sign this; these may: a, b"):
            made.sign(name, roles=["mandatory"])

    def test_nothing_waits(self, made):
        with pytest.raises(PublishError, match="mandatory: nothing is waiting"):
            made.sign("a", roles=["mandatory"])

    def test_what_has_expired_is_refused(self, made):
        made.stage(list=b"second")
        made.now += 400 * DAY
        with pytest.raises(PublishError, match="has expired"):
            made.sign("a", roles=["mandatory"])

    def test_files_that_do_not_match_are_refused(self, made):
        made.stage(list=b"second")
        (made.workspace.staged_targets / "mandatory" / "list.csv").write_bytes(b"zecond")
        with pytest.raises(PublishError, match="was changed after it was staged"):
            made.sign("a", roles=["mandatory"])

    def test_what_was_changed_since_it_was_shown_is_refused(self, made):
        made.stage(list=b"second")
        shown = waiting_bytes(load_state(made.workspace))
        made.stage(list=b"third")
        with pytest.raises(PublishError, match="what waits was changed meanwhile"):
            sign(made.workspace, signer("a"), ["mandatory"], NOW, shown)
        assert sign(made.workspace, signer("a"), ["mandatory"], NOW, waiting_bytes(load_state(made.workspace))) == ["mandatory"]

    def test_one_refusal_leaves_everything_unsigned(self, made):
        made.stage(list=b"second")
        made.stage("categories", list=b"rows")
        with pytest.raises(PublishError):
            made.sign("a", roles=["mandatory", "categories"])
        assert load_state(made.workspace).standing("mandatory").signed == ()

    def test_a_signature_that_does_not_verify_is_refused(self, made):
        class Broken:
            public_key = signer("a").public_key

            def sign(self, payload):
                return Signature(self.public_key.keyid, "00" * 64)

        made.stage(list=b"second")
        with pytest.raises(PublishError, match="the key's signature is wrong"):
            sign(made.workspace, Broken(), ["mandatory"], NOW)

    def test_a_device_that_does_not_answer_is_told_in_words(self, made):
        class Unplugged:
            public_key = signer("a").public_key

            def sign(self, payload):
                raise ConnectionError("no such token")

        made.stage(list=b"second")
        with pytest.raises(PublishError, match="a: the key did not sign: no such token"):
            sign(made.workspace, Unplugged(), ["mandatory"], NOW)

    def test_a_folder_from_a_stranger_is_refused(self, made, tmp_path):
        """A release that its own root does not vouch for could hide from the reader what changes."""
        made.stage(list=b"second")
        path = made.workspace.metadata / "1.mandatory.json"
        forged = Metadata.from_bytes(path.read_bytes())
        forged.signed.unrecognized_fields["note"] = "forged"
        path.write_bytes(forged.to_bytes())
        with pytest.raises(PublishError, match="not validly signed"):
            made.sign("a", roles=["mandatory"])

    @pytest.mark.parametrize("path", ["learning/list.csv", "mandatory/../x", "mandatory/..", "mandatory/a/b", "/etc/passwd"])
    def test_a_path_that_is_not_the_role_s_is_refused(self, made, path):
        made.stage(list=b"second")
        file = made.workspace.staged_metadata / "mandatory.json"
        smuggled = Metadata.from_bytes(file.read_bytes())
        smuggled.signed.targets[path] = TargetFile.from_data(path, b"x")
        file.write_bytes(smuggled.to_bytes())
        with pytest.raises(PublishError, match="is not a file of mandatory"):
            made.sign("a", roles=["mandatory"])


class TestStaging:
    def test_the_same_again_keeps_the_signatures(self, made):
        made.stage(list=b"second")
        made.sign("a")
        made.now += 100
        assert made.stage(list=b"second")
        assert len(load_state(made.workspace).standing("mandatory").signed) == 1

    def test_something_else_drops_them(self, made):
        made.stage(list=b"second")
        made.sign("a")
        made.stage(list=b"third")
        assert load_state(made.workspace).standing("mandatory").signed == ()

    def test_what_is_released_already_does_not_wait(self, made):
        assert made.stage(list=b"second")
        assert not made.stage(list=b"first")
        assert load_state(made.workspace).staged == {}
        assert list((made.workspace.staged_targets / "mandatory").iterdir()) == []

    def test_what_expires_soon_waits_though_nothing_differs(self, made):
        made.now += 330 * DAY
        assert made.stage(list=b"first")

    def test_paths_that_are_not_named_stay(self, made, tmp_path):
        made.stage(changes=b"rows")
        made.sign("a", "b")
        made.release()
        client = school(made, tmp_path / "school")
        assert (client.get(), client.get("mandatory/changes.csv")) == (b"first", b"rows")

    @pytest.mark.parametrize("path", ["learning/list.csv", "mandatory/../x", "mandatory/", "list.csv", "mandatory/a/b"])
    def test_only_its_own_paths(self, made, path):
        with pytest.raises(PublishError, match="is not a file of mandatory"):
            stage_targets(made.workspace, "mandatory", {path: b""}, NOW)

    def test_a_role_without_keys_is_refused(self, made):
        with pytest.raises(PublishError, match="learning has no keys yet: manglanh publish key add learning FILE"):
            made.stage("learning", list=b"")

    def test_discard(self, made):
        made.stage(list=b"second")
        discard(made.workspace, "mandatory")
        assert load_state(made.workspace).staged == {}
        with pytest.raises(PublishError, match="nothing is waiting"):
            discard(made.workspace, "mandatory")


class TestCollecting:
    def test_two_authorities_on_their_own_computers(self, made, tmp_path):
        made.stage(list=b"second")
        for name in ("a", "b"):
            stick = copy_of(made, tmp_path / name)
            stick.sign(name)
            assert outcomes(collect(made.workspace, stick.workspace.folder)) == [("mandatory", "merged", (name,))]
        assert outcomes(collect(made.workspace, tmp_path / "b")) == [("mandatory", "same", ())]
        made.release()
        assert school(made, tmp_path / "school").get() == b"second"

    def test_says_when_the_copy_differs(self, made, tmp_path):
        made.stage(list=b"second")
        stick = copy_of(made, tmp_path / "stick")
        stick.stage(list=b"other")
        stick.sign("a")
        assert outcomes(collect(made.workspace, stick.workspace.folder)) == [("mandatory", "differs", ())]
        assert load_state(made.workspace).standing("mandatory").signed == ()

    def test_takes_over_what_was_staged_elsewhere(self, made, tmp_path):
        stick = copy_of(made, tmp_path / "stick")
        stick.stage(list=b"second")
        stick.sign("a")
        assert outcomes(collect(made.workspace, stick.workspace.folder)) == [("mandatory", "taken", ("a",))]
        made.sign("b")
        made.release()
        assert school(made, tmp_path / "school").get() == b"second"

    def test_a_copy_of_an_older_release_gives_nothing(self, made, tmp_path):
        stick = copy_of(made, tmp_path / "stick")
        stick.stage(list=b"second")
        stick.sign("a", "b")
        made.publish(b"third")
        assert outcomes(collect(made.workspace, stick.workspace.folder)) == [("mandatory", "unrelated", ())]

    def test_false_signatures_are_left(self, made, tmp_path):
        made.stage(list=b"second")
        stick = copy_of(made, tmp_path / "stick")
        path = stick.workspace.staged_metadata / "mandatory.json"
        forged = Metadata.from_bytes(path.read_bytes())
        for name in ("a", "stranger"):
            keyid = signer(name).public_key.keyid
            forged.signatures[keyid] = Signature(keyid, "00" * 64)
        path.write_bytes(forged.to_bytes())
        assert outcomes(collect(made.workspace, stick.workspace.folder)) == [("mandatory", "same", ())]

    def test_files_of_a_copy_must_match(self, made, tmp_path):
        stick = copy_of(made, tmp_path / "stick")
        stick.stage(list=b"second")
        (stick.workspace.staged_targets / "mandatory" / "list.csv").write_bytes(b"zecond")
        with pytest.raises(PublishError, match="was changed after it was staged"):
            collect(made.workspace, stick.workspace.folder)
        assert load_state(made.workspace).staged == {}

    @pytest.mark.parametrize("damage", [b"", b"{}", b"<html>", b'{"signed": {"_type": "root"}}'])
    def test_a_damaged_copy_is_told_in_words(self, made, tmp_path, damage):
        made.stage(list=b"second")
        stick = copy_of(made, tmp_path / "stick")
        (stick.workspace.staged_metadata / "mandatory.json").write_bytes(damage)
        with pytest.raises(PublishError, match=r"mandatory\.json is damaged"):
            collect(made.workspace, stick.workspace.folder)

    def test_what_is_no_publisher_s_folder(self, made, tmp_path):
        with pytest.raises(PublishError, match="is not a publisher's folder"):
            collect(made.workspace, tmp_path)

"""What schools see of a publisher's releases, with python-tuf's own client: whole ones, whatever stops the publisher's machine."""

import os
import shutil
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from tuf.api.exceptions import ExpiredMetadataError, UnsignedMetadataError
from tuf.api.metadata import Metadata

from blocklists.publisher.ceremony import change_keys
from blocklists.publisher.errors import PublishError
from blocklists.publisher.releasing import refresh, release
from blocklists.publisher.roles import KeyChange
from blocklists.publisher.staging import renew, stage_targets
from tests.blocklists.publisher.signed_province import DAY, NOW, Province, province, released_province, school, signer


@pytest.fixture
def made(tmp_path):
    return released_province(tmp_path / "province")


@pytest.fixture
def client(made, tmp_path):
    return school(made, tmp_path / "school")


def served(province) -> dict[str, bytes]:
    folder = province.workspace.folder / "repository"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rotate(province, role, old, new):
    return change_keys(province.workspace, role, KeyChange(signer(new).public_key, signer(old).public_key.keyid), province.now)


class TestARelease:
    def test_reaches_a_school(self, made, client):
        assert client.get() == b"first"
        assert made.publish(b"second").roles == {"mandatory": 2, "snapshot": 2, "timestamp": 2}
        assert client.get() == b"second"

    def test_that_is_half_signed_has_no_effect(self, made, client):
        before = served(made)
        made.stage(list=b"second")
        made.sign("a")
        with pytest.raises(PublishError, match="Nothing is completely signed"):
            made.release()
        assert served(made) == before
        assert client.get() == b"first"

    def test_names_what_waits_and_lets_out_what_is_signed(self, made, client):
        made.stage(list=b"second")
        made.stage("categories", list=b"rows")
        made.sign("a", "team")
        released = made.release()
        assert released.roles == {"categories": 1, "snapshot": 2, "timestamp": 2}
        assert [(one.role, one.reason, one.missing, one.names) for one in released.waiting] == [("mandatory", "signatures", 1, ("b",))]
        assert (client.get(), client.get("categories/list.csv")) == (b"first", b"rows")
        made.sign("b")
        assert made.release().roles["mandatory"] == 2
        assert client.get() == b"second"

    def test_without_anything_that_waits_is_refused(self, made):
        with pytest.raises(PublishError, match="Nothing waits"):
            made.release()

    def test_the_first_needs_root_and_targets(self, tmp_path):
        fresh = province(tmp_path / "province")
        fresh.sign("a", "b", roles=["root"])
        with pytest.raises(PublishError, match="root and targets must be signed first"):
            fresh.release()

    def test_a_school_fetches_only_what_is_new(self, made, client):
        client.get()
        client.visit()
        assert client.fetched == ["2.root.json", "timestamp.json"]
        released = made.publish(b"second")
        client.get()
        assert client.fetched[2:4] == ["2.snapshot.json", "2.mandatory.json"]
        assert released.bytes < 2500

    def test_a_file_that_was_changed_after_signing_is_refused(self, made, client):
        made.stage(list=b"second")
        made.sign("a", "b")
        (made.workspace.staged_targets / "mandatory" / "list.csv").write_bytes(b"SECOND")
        before = served(made)
        with pytest.raises(PublishError, match=r"mandatory/list\.csv was changed after it was staged"):
            made.release()
        assert served(made) == before

    def test_a_file_that_is_gone_is_refused(self, made):
        made.stage(list=b"second")
        made.sign("a", "b")
        (made.workspace.staged_targets / "mandatory" / "list.csv").unlink()
        with pytest.raises(PublishError, match=r"mandatory/list\.csv is missing"):
            made.release()

    def test_metadata_that_was_changed_after_signing_is_not_signed(self, made, client):
        made.stage(list=b"second")
        made.sign("a", "b")
        path = made.workspace.staged_metadata / "mandatory.json"
        stretched = Metadata.from_bytes(path.read_bytes())
        stretched.signed.unrecognized_fields["note"] = "changed"
        path.write_bytes(stretched.to_bytes())
        with pytest.raises(PublishError, match="Nothing is completely signed"):
            made.release()
        assert client.get() == b"first"

    def test_the_machine_s_key_is_needed(self, made):
        made.stage(list=b"second")
        made.sign("a", "b")
        made.online = ("a",)
        with pytest.raises(PublishError, match="snapshot must be signed on this computer, by the key of: online"):
            made.release()

    def test_what_waited_until_it_expired_stays(self, made):
        made.stage(list=b"second")
        made.sign("a", "b")
        made.now += 366 * DAY
        with pytest.raises(PublishError):
            made.release()

    def test_the_same_again_gives_the_same_bytes(self, made, tmp_path):
        other = released_province(tmp_path / "other")
        made.publish(b"second")
        other.stage(list=b"second")
        other.sign("b", "a")
        other.release()
        assert served(other) == served(made)

    def test_takes_a_file_out(self, made, client):
        made.stage(list=b"first", changes=b"rows")
        made.sign("a", "b")
        made.release()
        assert client.get("mandatory/changes.csv") == b"rows"
        made.stage(changes=None)
        made.sign("a", "b")
        made.release()
        assert (client.get("mandatory/changes.csv"), client.get()) == (None, b"first")

    def test_writes_the_root_that_new_schools_need(self, made):
        assert made.workspace.root_file.read_bytes() == (made.workspace.metadata / "1.root.json").read_bytes()

    def test_nobody_else_writes_meanwhile(self, made):
        made.stage(list=b"second")
        made.sign("a", "b")

        class Intruder:
            public_key = signer("online").public_key

            def sign(self, payload):
                made.stage(list=b"third")

        with pytest.raises(PublishError, match="another command is writing here"):
            release(made.workspace, [Intruder()], NOW)


class TestUrgent:
    def test_lets_lists_out_and_keys_wait(self, made, client):
        made.stage(list=b"second")
        change_keys(made.workspace, "categories", KeyChange(add=signer("d").public_key), NOW)
        made.sign("a", "b")
        released = made.release(urgent=True)
        assert released.roles.keys() == {"mandatory", "snapshot", "timestamp"}
        assert [(one.role, one.reason) for one in released.waiting] == [("targets", "later")]
        assert made.release().roles.keys() == {"targets", "snapshot", "timestamp"}
        assert client.get() == b"second"


class TestRefresh:
    @pytest.mark.parametrize(
        ("days", "roles"), [(0.5, None), (1.5, {"timestamp"}), (11, {"timestamp", "snapshot"}), (200, {"timestamp", "snapshot"})]
    )
    def test_signs_again_what_runs_out(self, made, client, days, roles):
        done = refresh(made.workspace, [signer("online")], NOW + days * DAY)
        assert (done and done.roles.keys()) == roles
        assert client.get(now=NOW + days * DAY) == b"first"

    def test_without_it_schools_notice(self, client):
        with pytest.raises(ExpiredMetadataError):
            client.get(now=NOW + 3.1 * DAY)

    def test_needs_a_release(self, tmp_path):
        fresh = province(tmp_path / "province")
        with pytest.raises(PublishError, match="Nothing was released"):
            refresh(fresh.workspace, [signer("online")], NOW)

    def test_lets_nothing_else_out(self, made, client):
        made.stage(list=b"second")
        made.sign("a", "b")
        refresh(made.workspace, [signer("online")], NOW + 2 * DAY)
        assert client.get(now=NOW + 2 * DAY) == b"first"
        made.now += 2 * DAY
        made.release()
        assert client.get(now=NOW + 2 * DAY) == b"second"

    def test_a_role_that_expires_is_renewed_by_its_people(self, made, client):
        made.now += 364 * DAY
        for role in ("mandatory", "targets"):
            renew(made.workspace, role, made.now)
        made.sign("a", "b")
        made.release()
        made.now += 2 * DAY
        assert client.get(now=made.now) == b"first"


class TestRotation:
    """A school that stayed away gets through every change of keys."""

    def test_of_a_root_key(self, made, client):
        assert rotate(made, "root", "a", "d") == ("root", "targets")
        made.sign("b", "c", "d")
        assert made.release().roles.keys() == {"root", "targets", "snapshot", "timestamp"}
        assert client.get() == b"first"

    def test_of_a_root_key_needs_the_new_threshold_too(self, made, client):
        rotate(made, "root", "c", "d")
        change_keys(made.workspace, "root", KeyChange(threshold=3), NOW)
        made.sign("a", "b", roles=["root"])
        with pytest.raises(PublishError):
            made.release()
        made.sign("d", roles=["root"])
        with pytest.raises(PublishError):
            made.release()
        made.sign("a", "b", "d", roles=["targets"])
        assert made.release().roles["root"] == 2
        assert client.get() == b"first"

    def test_asks_for_signatures_again_where_a_role_went_out_with_its_old_keys(self, made, client):
        made.stage(list=b"second")
        rotate(made, "mandatory", "b", "d")
        made.sign("a", "b")
        assert made.release().roles.keys() == {"mandatory", "snapshot", "timestamp"}
        assert client.get() == b"second"
        made.sign("a", "c", "d")
        assert made.release().roles.keys() == {"targets", "mandatory", "snapshot", "timestamp"}
        assert client.get() == b"second"

    @pytest.mark.parametrize("role", ["snapshot", "timestamp", "online"])
    @pytest.mark.parametrize("keys", [("online", "new"), ("new", "online")])
    def test_of_the_machine_s_key(self, made, client, role, keys):
        client.get()
        assert rotate(made, role, "online", "new") == ("root",)
        made.sign("a", "c")
        made.online = keys
        made.release()
        assert client.get() == b"first"
        made.publish(b"second")
        assert client.get() == b"second"

    def test_of_a_lost_machine_s_key(self, made, client):
        client.get()
        rotate(made, "online", "online", "new")
        made.sign("a", "c")
        made.online = ("new",)
        made.release()
        assert client.get() == b"first"

    def test_of_an_authority_s_key_waits_for_its_own_list(self, made, client):
        assert rotate(made, "mandatory", "b", "d") == ("targets", "mandatory")
        made.sign("a", "c", roles=["targets"])
        with pytest.raises(PublishError, match="Nothing is completely signed"):
            made.release()
        made.sign("a", "d")
        assert made.release().roles.keys() == {"targets", "mandatory", "snapshot", "timestamp"}
        assert client.get() == b"first"
        made.stage(list=b"second")
        with pytest.raises(PublishError, match="the key b may not sign this"):
            made.sign("b", roles=["mandatory"])

    def test_of_a_stolen_key_stops_its_signatures(self, made, client):
        rotate(made, "mandatory", "b", "d")
        made.sign("a", "c", "d")
        made.release()
        made.stage(list=b"forged")
        made.sign("a")
        with pytest.raises(PublishError):
            made.release()
        assert client.get() == b"first"

    def test_ten_times(self, made, client):
        for number, old, new in zip(count(), "abcdefghij", "defghijklm", strict=False):
            rotate(made, "root", old, new)
            made.sign(*"abcdefghijklm"[number : number + 4])
            made.release()
        assert client.get() == b"first"


class PowerCut(BaseException):
    pass


def content(made: Province) -> None:
    made.stage(list=b"second", changes=b"rows")
    made.sign("a", "b")


def people(made: Province) -> None:
    content(made)
    rotate(made, "root", "a", "d")
    made.sign("b", "c", "d")


def machine(made: Province) -> None:
    content(made)
    rotate(made, "online", "online", "new")
    made.sign("a", "c")
    made.online = ("online", "new")


def addition(made: Province) -> None:
    """The new key of the machine signs alone, though the old one still may."""
    content(made)
    change_keys(made.workspace, "online", KeyChange(add=signer("new").public_key), NOW)
    made.sign("a", "c")
    made.online = ("new",)


def authority(made: Province) -> None:
    content(made)
    rotate(made, "mandatory", "b", "d")
    made.sign("a", "c", "d")


def everybody(made: Province) -> None:
    authority(made)
    machine(made)


@pytest.mark.parametrize("change", [content, people, machine, addition, authority, everybody])
def test_a_power_cut_at_any_step_leaves_a_whole_release(tmp_path, monkeypatch, change):
    """Every rename of a release fails once: a school finds the old release or the new one, and the same command finishes it."""
    made = released_province(tmp_path / "province")
    whole = tmp_path / "whole"
    change(made)
    shutil.copytree(made.workspace.folder, whole)
    replace, seen = os.replace, set()
    for last in count():
        shutil.rmtree(made.workspace.folder)
        shutil.copytree(whole, made.workspace.folder)
        steps = iter(range(last))

        def cut(source, target, steps=steps):
            if next(steps, None) is None:
                raise PowerCut
            replace(source, target)

        monkeypatch.setattr(os, "replace", cut)
        try:
            made.release()
        except PowerCut:
            finished = False
        else:
            finished = True
        monkeypatch.setattr(os, "replace", replace)
        client = school(made, tmp_path / f"school-{last}")
        seen.add(found := client.get())
        assert found in {b"first", b"second"}
        assert client.get("mandatory/changes.csv") == (b"rows" if found == b"second" else None)
        if finished:
            break
        with suppress(PublishError):  # nothing but the tidying was left
            made.release()
        assert client.get() == b"second"
    assert last > 5
    assert seen == {b"first", b"second"}


def test_a_power_cut_while_a_lost_key_is_replaced_is_mended_by_the_same_command(made, client, monkeypatch):
    """No order of renames is whole for everybody here: a school may refuse what it sees, until the command is run again."""
    client.get()
    rotate(made, "online", "online", "new")
    made.sign("a", "c")
    made.online = ("new",)
    replace = os.replace

    def cut(source, target):
        if str(target).endswith("timestamp.json"):
            raise PowerCut
        replace(source, target)

    monkeypatch.setattr(os, "replace", cut)
    with pytest.raises(PowerCut):
        made.release()
    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(UnsignedMetadataError):
        client.get()
    made.release()
    assert client.get() == b"first"


class TestPruning:
    def test_keeps_what_a_slow_school_is_fetching(self, made, client):
        updater = client.visit()
        info = updater.get_targetinfo("mandatory/list.csv")
        for number in range(5):
            made.now += 60
            made.publish(b"%d" % number)
        assert Path(updater.download_target(info)).read_bytes() == b"first"

    def test_removes_what_nobody_needs(self, made, client):
        sizes = []
        for number in range(20):
            made.now += 3 * DAY
            made.publish(b"%d" % number)
            sizes.append(len(served(made)))
        assert sizes[-1] == sizes[-5] < 25
        kept = {path for path in served(made) if path.startswith("targets/")}
        assert len(kept) == 4, "the current one, the previous one, and those that were replaced within a week"
        assert client.get(now=made.now) == b"19"

    def test_never_removes_a_root(self, made):
        for old, new in ("ad", "be", "cf"):
            rotate(made, "root", old, new)
            made.sign(*"abcdef")
            made.now += 30 * DAY
            made.release()
        assert {f"metadata/{version}.root.json" for version in range(1, 5)} <= served(made).keys()

    def test_an_unfinished_file_goes_with_the_next_release(self, made):
        leftovers = [made.workspace.metadata / ".new-9.snapshot.json", made.workspace.targets / "mandatory" / ".new-x"]
        for path in leftovers:
            path.write_bytes(b"half")
        made.publish(b"second")
        assert not any(path.exists() for path in leftovers)


def test_a_large_file_is_copied_from_its_path(made, client, tmp_path):
    bundle = tmp_path / "base.tar.xz"
    bundle.write_bytes(os.urandom(300_000))
    stage_targets(made.workspace, "categories", {"categories/base.tar.xz": bundle}, NOW)
    made.sign("team")
    assert made.release().bytes > 300_000
    assert client.get("categories/base.tar.xz") == bundle.read_bytes()

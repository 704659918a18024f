"""`manglanh publish` as officials type it: two authorities, each on a computer of its own, and a machine that publishes."""

import errno
import getpass
import io
import json
import shutil
import sys
import time

import pytest

from tests.blocklists.publisher.signed_province import School

PASSPHRASE = "mật khẩu đủ dài"
ENTRY = ("--category", "unlawful", "--authority", "Sở TT&TT", "--document", "12/QĐ", "--reason", "cờ bạc")


@pytest.fixture
def secret(tmp_path):
    """The file in which a machine has its passphrase."""
    path = tmp_path / "passphrase"
    path.write_text(f"{PASSPHRASE}\n", encoding="utf-8")
    path.chmod(0o600)
    return path


@pytest.fixture
def here(tmp_path, monkeypatch, type_in, secret):
    """A trial, released, in the working directory."""
    monkeypatch.setenv("MANGLANH_PASSPHRASE_FILE", str(secret))
    folder = tmp_path / "tinh"
    assert type_in("publish", "init", folder, "--name", "Tỉnh Thử", "--trial").code == 0
    monkeypatch.chdir(folder)
    assert type_in("publish", "release").code == 0
    return folder


@pytest.fixture
def typed(monkeypatch):
    """What is typed when a passphrase is asked; the questions are kept."""
    questions: list[str] = []
    answers: list[str] = []

    def ask(question):
        questions.append(question)
        return answers.pop(0)

    monkeypatch.setattr(getpass, "getpass", ask)
    return questions, answers


def client(folder, tmp_path):
    return School(tmp_path / "school", folder / "repository", (folder / "root.json").read_bytes())


def test_a_trial_from_nothing_to_a_block(here, type_in, tmp_path):
    """Every command of the guide's first part, in its order."""
    assert "fun88.com" in type_in("publish", "add", "fun88.com", *ENTRY).out
    assert "Waiting for signatures: mandatory" in type_in("publish", "stage", "--urgent").out
    half = type_in("publish", "sign", "--key", "authority-1", "--yes")
    assert (half.code, "12/QĐ" in half.out, "signatures still needed: 1, of: authority-2" in half.out) == (0, True, True)
    refused = type_in("publish", "release", "--urgent")
    assert (refused.code, "Nothing is completely signed" in refused.err) == (1, True)
    assert "completely signed" in type_in("publish", "sign", "--key", "authority-2", "--yes").out
    assert "mandatory 1" in type_in("publish", "release", "--urgent").out
    assert b"fun88.com" in client(here, tmp_path).get("mandatory/list.csv", time.time())


def test_each_authority_on_its_own_computer(type_in, tmp_path, monkeypatch, secret):
    monkeypatch.setenv("MANGLANH_PASSPHRASE_FILE", str(secret))
    for name in ("so-kh", "cong-an", "so-gddt"):
        made = type_in("publish", "key", "new", name, "--to", tmp_path / name)
        assert (made.code, "Fingerprint:" in made.out) == (0, True)
    public = [f"--root-key={tmp_path / name / name}.pub.json" for name in ("so-kh", "cong-an", "so-gddt")]
    folder = tmp_path / "tinh"
    made = type_in("publish", "init", folder, "--name", "Tỉnh Thử", *public, "--key", "learning=so-gddt-hoc-lieu")
    assert (made.code, "root: signatures still needed: 2, of: so-kh, cong-an, so-gddt" in made.out) == (0, True)
    assert "Nobody may sign these yet: categories, province" in made.out
    for name in ("so-kh", "cong-an"):
        stick = tmp_path / f"usb-{name}"
        copied = type_in("publish", "copy", stick, "--folder", folder)
        assert (copied.code, f"publish collect {stick}" in copied.out) == (0, True), copied.err
        signed = type_in("publish", "sign", "--folder", stick, "--key", tmp_path / name / f"{name}.pem", "--yes")
        assert signed.code == 0, signed.err
        taken = type_in("publish", "collect", stick, "--folder", folder)
        assert f"root 1: signatures taken over: {name}" in taken.out
    released = type_in("publish", "release", "--folder", folder)
    assert (released.code, "Release 1: targets 1, root 1" in released.out) == (0, True), released.err
    client(folder, tmp_path).visit(time.time())


@pytest.mark.parametrize("edited", [False, True])
def test_what_was_staged_on_another_computer_is_not_undone_by_the_next_stage(here, type_in, tmp_path, edited):
    """The table follows what was taken over; edits of one's own stay, and it is said."""
    copy = tmp_path / "usb"
    shutil.copytree(here, copy)
    type_in("publish", "add", "fun88.com", *ENTRY, "--folder", copy)
    assert type_in("publish", "stage", "--urgent", "--folder", copy).code == 0
    if edited:
        type_in("publish", "add", "bet88.com", *ENTRY)
    taken = type_in("publish", "collect", copy)
    table = (here / "lists" / "mandatory.csv").read_text("utf-8")
    assert ("fun88.com" in table, "bet88.com" in table) == (not edited, edited)
    assert ("lists/mandatory.csv here has changes of its own" in taken.err) == edited
    if not edited:
        type_in("publish", "stage", "--urgent")
        assert "fun88.com" in type_in("publish", "diff").out


def test_status_says_who_is_missing(here, type_in):
    type_in("publish", "add", "fun88.com", *ENTRY)
    type_in("publish", "stage", "--urgent")
    type_in("publish", "sign", "--key", "authority-1", "--yes")
    said = type_in("publish", "status").out
    assert "version 1 waits: signed by authority-1; missing: 1 of authority-2" in said
    found = json.loads(type_in("publish", "status", "--json").out)
    waiting = {role["role"]: role["staged"] for role in found["roles"]}["mandatory"]
    assert (waiting["signed"], waiting["unsigned"], waiting["missing"]) == (["authority-1"], ["authority-2"], 1)


def test_status_warns_where_one_lost_key_stops_a_role(here, type_in):
    warned = {line.split(": ")[1] for line in type_in("publish", "status").err.splitlines() if "spare key" in line}
    assert warned == {"mandatory", "categories", "learning", "province"}, "in a trial only the root has one"


@pytest.mark.parametrize("lost", ["Signed with authority-1", "completely signed", "signatures still needed"])
def test_who_stops_reading_is_not_told_that_nothing_was_signed(here, type_in, monkeypatch, capsys, lost):
    """`manglanh publish sign --yes | head -3`"""

    class Reader(io.StringIO):
        def write(self, text):
            if lost in text:
                raise BrokenPipeError(errno.EPIPE, "Broken pipe")
            return len(text)

    type_in("publish", "add", "fun88.com", *ENTRY)
    type_in("publish", "stage", "--urgent")
    type_in("publish", "sign", "--key", "authority-2", "--yes") if lost == "completely signed" else None
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", sys.stderr)
        patch.setattr(sys, "stdout", Reader())
        with pytest.raises(SystemExit):
            type_in("publish", "sign", "--key", "authority-1", "--yes")
        assert capsys.readouterr().err == ""
    assert "authority-1" in type_in("publish", "status").out.partition("signed by ")[2].partition(";")[0]


class TestCopy:
    def travelled(self, folder):
        return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}

    def test_has_what_signing_needs_and_no_private_key(self, here, type_in, tmp_path):
        type_in("publish", "add", "fun88.com", *ENTRY)
        type_in("publish", "stage", "--urgent")
        (here / "lists" / "misplaced.pem").write_text("private")
        (here / "work").mkdir(exist_ok=True)
        (here / "work" / "cache").write_text("large")
        assert type_in("publish", "copy", tmp_path / "usb").code == 0
        found = self.travelled(tmp_path / "usb")
        assert {"publisher.yaml", "lists/mandatory.csv", "staged/metadata/mandatory.json", "staged/targets/mandatory/list.csv"} <= found
        assert {"repository/metadata/1.root.json", "repository/metadata/timestamp.json"} <= found
        assert {path for path in found if path.startswith(("keys/", "work/")) or path.endswith((".pem", ".uri"))} == set()
        key = here / "keys" / "authority-1.pem"
        assert "12/QĐ" in type_in("publish", "diff", "--folder", tmp_path / "usb").out
        assert type_in("publish", "sign", "--folder", tmp_path / "usb", "--key", key, "--yes").code == 0
        assert "mandatory 1: signatures taken over: authority-1" in type_in("publish", "collect", tmp_path / "usb").out

    def test_has_the_released_files_and_not_those_before(self, here, type_in, tmp_path):
        for name in ("a.example", "b.example", "c.example"):
            type_in("publish", "add", name, *ENTRY)
            type_in("publish", "stage", "--urgent")
            type_in("publish", "sign", "--yes")
            type_in("publish", "release", "--urgent")
        assert len(list((here / "repository" / "targets" / "mandatory").glob("*.changes.csv"))) == 2, "kept for slow schools"
        type_in("publish", "copy", tmp_path / "usb")
        copied = tmp_path / "usb" / "repository" / "targets" / "mandatory"
        assert sorted(path.name.partition(".")[2] for path in copied.iterdir()) == ["changes.csv", "list.csv"]
        assert type_in("publish", "diff", "--folder", tmp_path / "usb").out == "Nothing differs from what is released.\n"

    @pytest.mark.parametrize("content", [{"note.txt": "mine"}, {"publisher.yaml": "name: x\n"}])
    def test_writes_over_nothing(self, here, type_in, tmp_path, content):
        (tmp_path / "usb").mkdir()
        for name, text in content.items():
            (tmp_path / "usb" / name).write_text(text)
        refused = type_in("publish", "copy", tmp_path / "usb")
        assert (refused.code, "is not empty" in refused.err) == (1, True)
        assert self.travelled(tmp_path / "usb") == set(content)

    @pytest.mark.parametrize(("popular", "code"), [("popular.txt", 0), ("../popular.txt", 1)])
    def test_the_popular_names_come_along(self, here, type_in, tmp_path, popular, code):
        (here / popular).write_text("zalo.me\n")
        with (here / "publisher.yaml").open("a") as settings:
            settings.write(f"lists: {{popular: {popular}}}\n")
        copied = type_in("publish", "copy", tmp_path / "usb")
        assert (copied.code, (tmp_path / "usb" / "popular.txt").is_file()) == (code, code == 0), copied.err
        assert (tmp_path / "usb" / "publisher.yaml").is_file() == (code == 0)


def test_a_key_is_rotated(here, type_in, tmp_path):
    type_in("publish", "key", "new", "authority-3")
    changed = type_in("publish", "key", "rotate", "mandatory", "authority-2", "authority-3")
    assert "mandatory: + the key of authority-3" in changed.out
    assert "mandatory: - the key of authority-2" in changed.out
    assert type_in("publish", "sign", "--yes").code == 0
    assert "targets 2" in type_in("publish", "release").out
    rows = {row["name"]: row for row in json.loads(type_in("publish", "key", "show", "--json").out)}
    assert (rows["authority-3"]["roles"], rows["authority-3"]["here"]) == (["mandatory"], True)
    assert rows["authority-2"]["roles"] == ["root", "targets"]
    client(here, tmp_path).visit(time.time())


def test_a_lost_key_is_revoked_but_not_the_last_one_needed(here, type_in):
    refused = type_in("publish", "key", "revoke", "mandatory", "authority-2")
    assert (refused.code, "1 keys would be left and 2 signatures are needed" in refused.err) == (1, True)
    assert type_in("publish", "key", "revoke", "mandatory", "authority-2", "--threshold", "1").code == 0


def test_a_new_authority_gets_a_list(here, type_in):
    type_in("publish", "key", "new", "so-gddt", "--to", "elsewhere")
    added = type_in("publish", "key", "add", "learning", "elsewhere/so-gddt.pub.json")
    assert "learning: + the key of so-gddt" in added.out
    assert "Next: manglanh publish sign" in added.out


def test_refresh_is_for_cron(here, type_in):
    assert "Not needed yet." in type_in("publish", "refresh").out
    assert json.loads(type_in("publish", "refresh", "--json").out) == {"refreshed": False, "concerns": []}


def test_renew_and_discard(here, type_in):
    assert "targets" in type_in("publish", "renew", "targets").out
    assert "version 2 waits" in type_in("publish", "status").out
    assert type_in("publish", "discard", "targets", "--yes").code == 0
    assert "waits" not in type_in("publish", "status").out
    again = type_in("publish", "discard", "targets", "--yes")
    assert (again.code, "targets: nothing is waiting" in again.err) == (1, True)


class TestPassphrases:
    def test_are_asked_twice_for_a_new_key_and_once_to_sign(self, type_in, tmp_path, typed):
        questions, answers = typed
        answers += [PASSPHRASE] * 2
        assert type_in("publish", "key", "new", "a").code == 0
        assert questions == ["A new passphrase for a: ", "The same again: "]

    def test_two_that_differ_make_no_key(self, type_in, tmp_path, typed):
        typed[1].extend([PASSPHRASE, "other passphrase"])
        refused = type_in("publish", "key", "new", "a")
        assert (refused.code, "The two passphrases differ" in refused.err) == (1, True)
        assert not list(tmp_path.glob("a.*"))

    def test_a_wrong_one_is_told_in_words(self, here, type_in, typed, monkeypatch):
        type_in("publish", "renew", "targets")
        monkeypatch.delenv("MANGLANH_PASSPHRASE_FILE")
        typed[1].append("wrong wrong")
        refused = type_in("publish", "sign", "--key", "authority-1", "--yes")
        assert (refused.code, "authority-1.pem: the passphrase is wrong" in refused.err) == (1, True)
        assert typed[0] == ["Passphrase of authority-1: "]

    def test_a_file_that_everybody_may_read_is_refused(self, type_in, secret):
        secret.chmod(0o644)
        refused = type_in("publish", "key", "new", "a", "--passphrase-file", secret)
        assert (refused.code, "chmod 600" in refused.err) == (2, True)

    def test_nobody_at_a_terminal_is_told_what_to_do(self, type_in, monkeypatch):
        def nobody(question):
            raise EOFError

        monkeypatch.setattr(getpass, "getpass", nobody)
        refused = type_in("publish", "key", "new", "a")
        assert (refused.code, "give --passphrase-file" in refused.err) == (2, True)


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "code", "words"),
        [
            (("release",), 1, "there is no publisher.yaml in it"),
            (("status", "--folder", "nowhere"), 1, "nowhere is not a publisher's folder"),
            (("init", "x", "--name", "x"), 2, "--trial"),
            (("init", "x", "--name", "x", "--root-key", "no.pub.json"), 1, "cannot be read"),
            (("init", "x", "--name", "x", "--root-key", "a", "--root-threshold", "2"), 2, "2 signatures of 1 keys are not possible"),
            (("init", "x", "--name", "x", "--root-key", "a", "--key", "mandatry=b"), 2, "write ROLE=..., with one of: root, online"),
            (("init", "x", "--name", "x", "--root-key", "a", "--threshold", "root=x"), 2, "x is not a number of signatures"),
            (("init", "x", "--name", "x", "--root-key", "Sở"), 1, "small letters"),
            (("key", "new", "a", "--uri", "hsm:"), 2, "--uri and --public-key belong together"),
        ],
    )
    def test_are_told_in_words(self, type_in, tmp_path, arguments, code, words):
        refused = type_in("publish", *arguments)
        assert (refused.code, words in refused.err) == (code, True), refused.err
        assert not (tmp_path / "x").exists()

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("sign", "--yes"), "There is nothing to sign with the keys of this computer"),
            (("sign", "--key", "nobody"), "nobody: there is no such private key"),
            (("sign", "mandatory", "--key", "list-team", "--yes"), "mandatory: nothing is waiting"),
            (("release",), "Nothing waits for release"),
            (("key", "rotate", "mandatory", "nobody", "list-team"), "nobody is not a key of this role; there is: authority-1, authority-2"),
            (("key", "add", "mandatory", "authority-1"), "the key authority-1 may sign this already"),
            (("key", "add", "targets", "online"), "targets is not a role"),
            (("init", "--name", "x", "--trial"), "is a publisher's folder already"),
            (("collect", "elsewhere"), "elsewhere is not a publisher's folder"),
            (("renew", "learning"), "learning was never released"),
        ],
    )
    def test_in_a_folder_that_is_one(self, here, type_in, arguments, words):
        refused = type_in("publish", *arguments)
        assert refused.code != 0
        assert words in refused.err

    def test_are_told_in_vietnamese(self, here, type_in):
        refused = type_in("--language", "vi", "publish", "release")
        assert "Không có gì" in refused.err

    @pytest.mark.parametrize("answer", ["n\n", "\n", ""])
    def test_nothing_is_signed_without_a_yes(self, here, type_in, monkeypatch, answer):
        type_in("publish", "renew", "targets")
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        refused = type_in("publish", "sign", "--key", "authority-1")
        assert refused.code != 0
        assert "signed by -" in type_in("publish", "status").out

"""The publishing guides, done as they say: every command is taken from the page and run by a shell, in an empty folder.

The trial ends with what a school's box says of the block. The ceremony on several computers is one folder for each of them.
"""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from blocklists.box.release_record import TROUBLES
from blocklists.publisher.limits import ListLimits
from blocklists.publisher.settings import VALID_DAYS, Settings
from dashboard.catalogue import translator
from gateway.cli.update import trouble_title
from tests.bench.processes import free_port
from tests.documents import GUIDES, Block, blocks, rows
from tests.end_to_end.waiting import eventually

LOCALES = {"vi": "vi_VN.UTF-8", "en": "en_US.UTF-8"}
SERVER = "python3 -m http.server"
PORT = "8642"
AUTHORITIES = ("cong-an", "so-gddt", "so-khcn")
TEAM = "to-danh-sach"
WITHIN = 60.0


class Shell:
    """A person at a terminal: the folder and the variables stay from one command to the next, and every question is answered with y."""

    def __init__(self, home: Path, language: str) -> None:
        self._home = home
        self._folder = home
        programs = home / ".programs"
        programs.mkdir()
        for name, command in (("manglanh", "-m gateway.cli"), ("python3", "")):
            (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {command} "$@"\n', "utf-8")
            (programs / name).chmod(0o755)
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("MANGLANH_", "LC_", "LANG", "PYTHON"))}
        self._variables = ours | {"HOME": str(home), "LANG": LOCALES[language], "PATH": f"{programs}:{ours['PATH']}"}

    def type(self, commands: str, folder: Path | None = None, **variables: str) -> str:
        """What is printed. Raises AssertionError where a command fails."""
        after = self._home / ".after"
        script = f'{commands}\nprintf "%s\\0" "$PWD" > "{after}"; env -0 >> "{after}"\n'
        with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as agreeing:
            done = subprocess.run(
                ["bash", "-e", "-o", "pipefail", "-c", script],
                cwd=folder or self._folder,
                env=self._variables | variables,
                stdin=agreeing.stdout,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=WITHIN,
            )
            agreeing.kill()
        assert done.returncode == 0, f"{commands}\n{done.stdout}"
        if folder is None:
            where, *variables_after = after.read_text("utf-8").rstrip("\0").split("\0")
            self._folder = Path(where)
            self._variables = dict(line.split("=", 1) for line in variables_after)
        return done.stdout

    @contextmanager
    def second_window(self, command: str, port: int) -> Iterator[None]:
        """A server that runs in it, until the block ends."""
        with subprocess.Popen(["bash", "-c", f"exec {command}"], cwd=self._home, env=self._variables, stderr=subprocess.DEVNULL) as server:
            try:
                eventually(lambda: _listens(port), "the web server listens")
                yield
            finally:
                server.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def page(name: str, language: str) -> str:
    return (GUIDES / f"{name}.{language}.md").read_text("utf-8")


def trial(language: str) -> list[Block]:
    """The code of the guide's first section."""
    _head, first, *_rest = re.split(r"^## ", page("publishing", language), flags=re.MULTILINE)
    return blocks(first)


def commands(name: str, language: str) -> list[str]:
    return [block.text for block in blocks(page(name, language), "sh")]


@pytest.fixture(params=LOCALES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def shell(tmp_path: Path, language: str) -> Shell:
    return Shell(tmp_path, language)


def test_a_newcomer_publishes_a_block_and_the_school_s_box_names_authority_and_document(shell: Shell, language: str):
    port = free_port()
    steps = [Block(block.language, block.text.replace(PORT, str(port))) for block in trial(language)]
    make, block, serve, school, shown, remove = (step.text for step in steps)
    assert serve.startswith(SERVER)
    shell.type(make)
    shell.type(block)
    with shell.second_window(serve.strip(), port):
        said = shell.type(school)
        assert [line for line in shown.splitlines() if line not in said.splitlines()] == []
        assert {"Công an tỉnh Hoa Sen", "123/CAT-ANM"} <= {line.partition(": ")[2] for line in shown.splitlines()}
        after = shell.type(remove)
    assert "Công an tỉnh Hoa Sen" not in after.rpartition("www.nha-cai-thu.example")[2]
    assert shown.splitlines()[0] not in after


def test_after_one_of_two_signatures_nothing_is_released(shell: Shell, language: str):
    make, block = (step.text for step in trial(language)[:2])
    shell.type(make)
    until_status, _, _ = block.partition("manglanh publish sign --key authority-2")
    said = shell.type(until_status + "\nmanglanh publish release --urgent || true\n")
    assert "authority-2" in said.rpartition("->")[2]
    released = shell.type("ls repository/metadata; ls -R repository/targets")
    assert "mandatory" not in released


@pytest.mark.parametrize("name", ["publishing", "publishing-keys"])
def test_both_languages_tell_to_type_the_same(name: str):
    def without_words(text: str) -> str:
        return text.replace("TÊN_CHẶN_NHẦM", "WRONG_NAME")

    assert [without_words(text) for text in commands(name, "vi")] == commands(name, "en")


class Ceremony:
    """Computers as folders, and two sticks between them."""

    def __init__(self, shell: Shell, folder: Path, language: str) -> None:
        self._shell = shell
        self._folder = folder
        self._steps = commands("publishing-keys", language)
        (folder / "phrase").write_text("bon tu bat ky\n", "utf-8")
        (folder / "phrase").chmod(0o600)
        self.desk = folder / "organiser"
        self.desk.mkdir()

    def step(self, beginning: str, at: Path, change: Callable[[str], str] = str) -> str:
        """The one block that begins so, done at that computer."""
        (text,) = (text for text in self._steps if text.startswith(beginning))
        text = text.replace("/media/usb", f"{self._folder}/usb").replace("/media/khoa", f"{self._folder}/usb/khoa")
        return self._shell.type(change(text), at, MANGLANH_PASSPHRASE_FILE=str(self._folder / "phrase"))

    def make_keys(self) -> None:
        for name in (*AUTHORITIES, TEAM):
            self.step("manglanh publish key new cong-an --to", self._folder, _as(name))
            self._shell.type(f"cp usb/khoa/{name}.pub.json {self.desk}", self._folder)

    def let_sign(self, *names: str) -> None:
        self._shell.type("rm -rf usb/ky", self._folder)
        self.step("manglanh publish copy", self.desk / "tinh")
        for name in names:
            self.step("manglanh publish diff --folder", self._folder, _as(name))
        self.step("manglanh publish collect", self.desk / "tinh")


def _as(name: str) -> Callable[[str], str]:
    return lambda text: text.replace("cong-an", name)


def test_each_signs_on_their_own_computer_and_keys_are_replaced(shell: Shell, tmp_path: Path, language: str):
    ceremony = Ceremony(shell, tmp_path, language)
    ceremony.make_keys()
    ceremony.step("manglanh publish init", ceremony.desk)
    tinh = ceremony.desk / "tinh"
    ceremony.let_sign("cong-an", "so-gddt")
    assert (tinh / "root.json").is_file()
    assert sorted(path.name for path in (tinh / "keys").glob("*.pem")) == ["online.pem"]
    assert not list((tmp_path / "usb" / "ky").rglob("*.pem"))
    for name in ("cong-an-2", "so-gddt-2"):
        ceremony.step("manglanh publish key new cong-an --to", tmp_path, _as(name))
        shell.type(f"cp usb/khoa/{name}.pub.json organiser/tinh", tmp_path)
    ceremony.step("manglanh publish key show", tinh, lambda text: text.replace("so-gddt-2 ", "so-gddt-2.pub.json "))
    ceremony.let_sign("so-khcn", "cong-an")
    said = shell.type("manglanh publish key show", tinh)
    assert {line.split()[0] for line in said.splitlines() if "mandatory" in line} == {"cong-an", "so-khcn", "so-gddt-2"}


# ---- tables ----


def test_the_guide_has_every_setting_with_its_default(language: str):
    fields = {name: field for name, field in Settings.model_fields.items() if name != "lists"}
    fields |= {f"lists.{name}": field for name, field in ListLimits.model_fields.items()}
    defaults = {name: field.default for name, field in fields.items()}
    table = {row[0].strip("`"): row[1] for row in rows(page("publishing", language)) if len(row) == 3 and row[0].strip("`") in defaults}
    assert table.keys() == defaults.keys()
    plain = {name: value for name, value in defaults.items() if isinstance(value, (int, float))}
    assert {name: yaml.safe_load(table[name].strip("`")) for name in plain} == plain


def test_every_alarm_is_explained_in_the_program_s_own_words(language: str):
    titles = {f"`{kind}`": trouble_title(kind, translator(language)) for kind in TROUBLES}
    assert {row[3]: row[0] for row in rows(page("troubleshooting", language)) if len(row) == 4 and row[3] in titles} == titles


def test_the_guide_says_how_long_signatures_stand(language: str):
    table = {row[0].strip("`"): row[1] for row in rows(page("publishing-keys", language)) if len(row) == 3}
    assert {role: table[role] for role in VALID_DAYS} == {role: str(days) for role, days in VALID_DAYS.items()}

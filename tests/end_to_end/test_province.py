"""A province's story, as its people type it: two authorities sign a block, each on a computer of its own, and three schools get it.

One school is online, one had no network for a month, in which the root's keys changed and a release came out every day, and one gets a USB
stick. Half-signed has no effect; in the end every school says who ordered the block by which document, and its pupils get the block answer.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from blocklists.publisher.keys import open_signer
from blocklists.publisher.releasing import refresh
from blocklists.publisher.workspace import open_workspace
from tests.bench.processes import free_port
from tests.end_to_end.box import Box, run
from tests.end_to_end.internet import Internet
from tests.end_to_end.school import CHECKOUT, COMMAND, PUPIL, School
from tests.end_to_end.wall_clock import WallClock
from tests.web import Web, serving

DAY = 86400
MONTH_AGO = -31 * DAY
"""when everybody has the first release; the time today is the real one"""
NAME, AUTHORITY, DOCUMENT = "lua-dao.example", "Công an tỉnh Thử", "45/QĐ-CAT"
FIRST = "cu.example"
"""blocked by the first release"""
PASSPHRASE = "mật khẩu đủ dài"
ROOT_HOLDERS = ("so-kh", "cong-an", "so-gddt")


class People:
    """The province's officials: each with a computer, where a private key is, and copies of the publisher's folder that go to and fro."""

    def __init__(self, folder: Path, clock: WallClock) -> None:
        self.folder = folder
        self.publisher = folder / "tinh"
        self.secret = folder / "passphrase"
        self.secret.write_text(PASSPHRASE, encoding="utf-8")
        self.secret.chmod(0o600)
        self._clock = clock
        self._at = 0

    def at(self, seconds: int) -> None:
        """It is so many seconds after today."""
        self._at = seconds
        self._clock.set(seconds, synchronised=True)

    def type(self, *words: object, code: int = 0) -> str:
        """One command on whatever computer; all that it printed."""
        environment = {**os.environ, **self._clock.environment, "MANGLANH_PASSPHRASE_FILE": str(self.secret), "LANG": "en_US.UTF-8"}
        typed = [*COMMAND, "--language", "en", *map(str, words)]
        done = subprocess.run(typed, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == code, f"{' '.join(typed)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def publish(self, *words: object, code: int = 0) -> str:
        return self.type("publish", *words, "--folder", self.publisher, code=code)

    def new_key(self, name: str) -> Path:
        """Made on its owner's computer; the public half."""
        self.type("publish", "key", "new", name, "--to", self.folder / name)
        return self.folder / name / f"{name}.pub.json"

    def sign(self, *names: str) -> None:
        """Each gets a copy of the folder, signs in it with the key of their own computer, and sends it back."""
        for name in names:
            copy = self.folder / name / "copy"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(self.publisher, copy, ignore=shutil.ignore_patterns("*.pem"))
            self.type("publish", "sign", "--key", self.folder / name / f"{name}.pem", "--folder", copy, "--yes")
            self.publish("collect", copy)

    def order(self, name: str, document: str) -> None:
        self.publish("add", name, "--category", "unlawful", "--authority", AUTHORITY, "--document", document, "--reason", "lừa đảo")
        self.publish("stage", "--urgent", "--yes")

    def refresh_daily(self, first: int, last: int, now: float) -> None:
        """The machine that publishes signs its timestamp each day of a month, as cron has it do."""
        workspace = open_workspace(self.publisher)
        signer = open_signer(workspace.keys / "online.pem", lambda _: PASSPHRASE)
        for day in range(first, last):
            refresh(workspace, [signer], now + day * DAY)


@pytest.fixture
def people(tmp_path: Path, clock: WallClock) -> People:
    """The province's folder is made, signed by two of the three who hold the root, and released a month ago with one block."""
    made = People(tmp_path, clock)
    made.at(MONTH_AGO)
    keys = {name: made.new_key(name) for name in ROOT_HOLDERS}
    root = [f"--root-key={path}" for path in keys.values()]
    mandatory = [f"--key=mandatory={keys[name]}" for name in ("so-kh", "cong-an")]
    made.type("publish", "init", made.publisher, "--name", "Tỉnh Thử", *root, *mandatory)
    made.order(FIRST, "1/QĐ-CAT")
    made.sign("so-kh", "cong-an")
    made.publish("release")
    return made


@pytest.fixture
def web(people: People) -> Iterator[Web]:
    with serving(people.publisher / "repository") as server:
        yield server


@pytest.fixture
def new_school(people: People, web: Web, internet: Internet) -> Callable[[str], School]:
    """Makes schools that have the province's file with its root, and took the first release a month ago."""

    def made(name: str) -> School:
        folder = people.folder / name
        folder.mkdir()
        shutil.copy(people.publisher / "root.json", folder / "root.json")
        province = {"name": "Tỉnh Thử", "publisher": {"urls": [web.url], "root": "root.json"}}
        (folder / "province.yaml").write_text(yaml.safe_dump(province, allow_unicode=True), encoding="utf-8")
        school = School(folder, free_port())
        school.write([f"127.0.0.1:{internet.port}"], {"school": {"name": name, "province": "province.yaml"}})
        people.type("update", "--once", "--config", school.file)
        assert "BLOCKED on rung 1" in explained(people, school, FIRST)
        return school

    return made


def explained(people: People, school: School, name: str) -> str:
    return people.type("explain", name, "--client", PUPIL, "--config", school.file)


def dig(box: Box, name: str) -> str:
    return run("dig", "@127.0.0.1", f"-p{box.school.port}", f"-b{PUPIL}", "+time=2", "+tries=1", name, "A")


def assert_blocked(people: People, school: School) -> None:
    said = explained(people, school, NAME)
    assert "BLOCKED on rung 1" in said
    assert f"Behind it: {AUTHORITY}" in said
    assert f"Document: {DOCUMENT}" in said
    rung = json.loads(people.type("explain", NAME, "--client", PUPIL, "--config", school.file, "--json"))
    assert (rung["rung"], rung["by"], rung["document"]) == (1, AUTHORITY, DOCUMENT)


def assert_served(box: Box) -> None:
    answer = dig(box, NAME)
    assert "status: NXDOMAIN" in answer
    assert "EDE: 16 (Censored)" in answer


def test_two_authorities_sign_a_block_and_three_schools_get_it(people: People, web: Web, new_school, start):
    online, offline, by_stick = new_school("truong-thanh-pho"), new_school("truong-xa"), new_school("truong-bien-gioi")
    box = start(online)
    assert "status: NOERROR" in dig(box, NAME)

    people.refresh_daily(-30, -10, time.time())
    people.at(-10 * DAY)
    people.order(NAME, DOCUMENT)
    people.sign("cong-an")
    assert "signatures" in people.publish("release", "--urgent", code=1)
    assert "1 of so-kh" in people.publish("status")
    assert "Nothing new" in people.type("update", "--once", "--config", online.file)
    assert "ALLOWED" in explained(people, online, NAME)
    assert "status: NOERROR" in dig(box, NAME)

    people.sign("so-kh")
    people.publish("release", "--urgent")
    assert "New lists are in force" in people.type("update", "--once", "--config", online.file)
    assert_blocked(people, online)
    box.await_rcode(NAME, "NXDOMAIN")
    assert_served(box)

    people.at(-5 * DAY)  # one who holds the root leaves, and another comes
    people.new_key("so-gddt-moi")
    people.publish("key", "rotate", "root", "so-gddt", people.folder / "so-gddt-moi" / "so-gddt-moi.pub.json")
    people.sign("so-kh", "cong-an", "so-gddt-moi")
    people.publish("release")
    stick = people.folder / "usb"
    shutil.copytree(people.publisher / "repository", stick)
    web.folder = people.folder / "no-network"
    assert "New lists are in force" in people.type("update", "--from", stick.as_uri(), "--config", by_stick.file)
    assert_blocked(people, by_stick)

    people.at(0)
    people.publish("refresh")
    assert "TROUBLE" in people.type("update", "--once", "--config", offline.file, code=1)
    assert "BLOCKED on rung 1" in explained(people, offline, FIRST), "what it had a month ago serves on"
    assert "ALLOWED" in explained(people, offline, NAME)
    web.folder = people.publisher / "repository"
    assert "New lists are in force" in people.type("update", "--once", "--config", offline.file)
    assert_blocked(people, offline)
    people.type("update", "--once", "--config", online.file)
    for school in (online, offline, by_stick):
        assert_blocked(people, school)
        status = json.loads((school.lists / "update.json").read_text(encoding="utf-8"))
        assert (status["release"]["root"], status["troubles"]) == (2, [])
    for school in (offline, by_stick):
        assert_served(start(school))

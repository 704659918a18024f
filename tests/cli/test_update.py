"""`manglanh update`, `update rollback`, `lists show --freshness` and `control` as a person or a supervisor meets them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event

import pytest

from blocklists.box.contents import OWN
from blocklists.box.release_record import read_status
from blocklists.install import current
from filters.domain_index import DomainIndex
from gateway.cli import follower as following
from gateway.cli.follower import Follower
from tests.cli.conftest import write_school
from tests.end_to_end.waiting import eventually
from tests.province import Province, entry, good

PROVINCE = "name: Tỉnh Thử\npublisher: {{urls: ['{url}'], root: root.json}}\n"


@pytest.fixture
def province(tmp_path) -> Province:
    return good(tmp_path / "publisher", time.time())


@pytest.fixture
def school(tmp_path, province) -> Path:
    """A school whose province publishes into a folder."""
    return school_of(tmp_path, province)


def school_of(directory: Path, province: Province) -> Path:
    path = write_school(directory)
    path.write_text(path.read_text("utf-8").replace("{name: Trường thử}", "{name: Trường thử, province: province.yaml}"), "utf-8")
    (directory / "province.yaml").write_text(PROVINCE.format(url=province.repository.as_uri()), "utf-8")
    (directory / "root.json").write_bytes(province.root)
    return path


@pytest.fixture
def alone(tmp_path) -> Path:
    """A school without a publisher, and two sites for its own list."""
    path = write_school(tmp_path)
    (tmp_path / "own.txt").write_text("casino.example\npoker.example\n")
    (tmp_path / "sources.yaml").write_text("sources:\n  - {name: own, category: gambling, format: domains, path: own.txt, licence: own}\n")
    text = path.read_text("utf-8").replace(f"directory: {tmp_path}/lists", f"directory: {tmp_path}/lists, sources: {tmp_path}/sources.yaml")
    path.write_text(text, "utf-8")
    return path


def listed(directory: Path, name: str) -> set[str]:
    index = DomainIndex.open(directory / "current")
    try:
        return {match.source.category for match in index.lookup(name)}
    finally:
        index.close()


# ---- with a publisher ----


def test_once_updates_and_then_says_that_nothing_is_new(type_in, school, tmp_path):
    first = type_in("update", "--once")
    assert (first.code, first.err) == (0, "")
    assert "New lists are in force: release 1" in first.out
    assert "mandatory: version 1, 1 entries" in first.out
    second = type_in("update", "--once", "--config", school)
    assert second.code == 0
    assert "Nothing new: release 1" in second.out
    assert listed(tmp_path / "lists", "bad.example") == {"unlawful"}


def test_trouble_is_said_and_exits_with_1(type_in, school, province, tmp_path):
    type_in("update", "--once")
    province.spoil("metadata/timestamp.json", b"{}")
    result = type_in("update", "--once")
    assert result.code == 1
    assert "TROUBLE since" in result.out
    assert "not signed as it must be" in result.out
    assert listed(tmp_path / "lists", "bad.example") == {"unlawful"}


def test_json_is_for_scripts(type_in, school):
    said = json.loads(type_in("update", "--once", "--json").out)
    assert said["changed"] is True
    assert said["release"]["snapshot"] == 1
    assert said["troubles"] == []


def test_from_a_stick(type_in, school, province, tmp_path):
    stick = province.copy(tmp_path / "stick")
    shutil.rmtree(province.repository)
    assert type_in("update", "--once").code == 1
    for address in (stick.as_uri(), stick):
        assert type_in("update", "--from", address).code == 0
    assert listed(tmp_path / "lists", "bad.example") == {"unlawful"}


def test_a_stick_of_somebody_else_is_refused(type_in, school, tmp_path):
    other = good(tmp_path / "other", time.time())
    result = type_in("update", "--from", other.repository)
    assert result.code == 1
    assert not (tmp_path / "lists" / "current").exists()


def test_a_stick_without_a_root_to_trust_it_by(type_in, alone, province):
    result = type_in("update", "--from", province.repository)
    assert result.code == 2
    assert "names no publisher" in result.err


@pytest.mark.parametrize(("file", "said"), [("root.json", "root.json cannot be read"), ("province.yaml", "province.yaml:1:1")])
def test_files_that_are_missing_exit_with_2(type_in, school, tmp_path, file, said):
    (tmp_path / file).unlink()
    for command in (("update", "--once"), ("control",)):
        result = type_in(*command)
        assert result.code == 2
        assert said in result.err


def test_rollback_says_who_and_why(type_in, school, province, tmp_path):
    type_in("update", "--once")
    province.base({"adult": ["docs.example"]}).publish()
    type_in("update", "--once")
    assert type_in("update", "rollback", "--by", "Lan").code == 2, "why?"
    result = type_in("update", "rollback", "--by", "Lan", "--reason", "docs.example is fine")
    assert result.code == 0
    assert "Rolled back by Lan on" in result.out
    assert "docs.example is fine" in result.out
    assert listed(tmp_path / "lists", "docs.example") == set()
    assert type_in("update", "--once").code == 0
    assert listed(tmp_path / "lists", "docs.example") == set()
    assert type_in("update", "rollback", "--reason", "again").code == 1


def test_freshness(type_in, school, province):
    type_in("update", "--once")
    result = type_in("lists", "show", "--freshness")
    assert result.code == 0
    assert "Last looked: " in result.out
    assert "learning: version 1, 1 entries, signed until " in result.out
    province.spoil("metadata/timestamp.json", b"{}")
    type_in("update", "--once")
    assert type_in("lists", "show", "--freshness").code == 1
    said = json.loads(type_in("lists", "show", "--freshness", "--json").out)
    assert [trouble["kind"] for trouble in said["troubles"]] == ["refused"]


def test_channels_that_were_never_published_are_not_spoken_of(type_in, school, province):
    province.left_out = {"learning"}
    province.publish()
    updated = type_in("update", "--once")
    assert (updated.code, updated.err) == (0, "")
    for said in (updated.out, type_in("lists", "show", "--freshness").out):
        assert "mandatory: version 2" in said or "mandatory: version 1" in said
        assert "learning" not in said


def test_the_doctor_says_when_lists_are_refused_old_or_rolled_back(type_in, school, province):
    assert "never been updated" in type_in("doctor").out
    type_in("update", "--once")
    assert "last known to be up to date" in type_in("doctor").out
    province.spoil("metadata/timestamp.json", b"{}")
    type_in("update", "--once")
    assert "[WRONG] Updating the lists: what was sent is not signed" in type_in("doctor").out


# ---- the loop ----


def test_it_follows_the_publisher_and_the_files(school, province, tmp_path):
    follower = Follower(school)
    stop = Event()
    waited = []

    class Waits(Event):
        def wait(self, seconds):
            waited.append(seconds)
            match len(waited):
                case 1:
                    assert listed(tmp_path / "lists", "bad.example") == {"unlawful"}
                    province.say("mandatory", entry("urgent.example")).publish()
                case 2:
                    assert listed(tmp_path / "lists", "urgent.example") == {"unlawful"}
                    (tmp_path / "province.yaml").write_text("nonsense: [")
                    province.say("mandatory", entry("third.example")).publish()
                case 3:
                    assert listed(tmp_path / "lists", "third.example") == {"unlawful"}, "a bad file keeps the old"
                    stop.set()
                    self.set()

    follower.run(Waits())
    assert stop.is_set()
    assert all(54 <= seconds <= 66 for seconds in waited), "lists.poll, with jitter"


# ---- without a publisher ----


def test_a_box_without_a_publisher_compiles_its_own_sources(type_in, alone, tmp_path):
    result = type_in("update", "--once")
    assert (result.code, result.err) == (0, "")
    assert "No publisher; last compiled here: 20" in result.out
    assert listed(tmp_path / "lists", "poker.example") == {"gambling"}


def test_what_cannot_be_compiled_is_said_and_the_lists_stay(type_in, alone, tmp_path):
    type_in("update", "--once")
    (tmp_path / "own.txt").write_text("<html>")
    result = type_in("update", "--once")
    assert result.code == 1
    assert "could not be compiled" in result.out
    assert listed(tmp_path / "lists", "poker.example") == {"gambling"}


def test_rollback_without_a_publisher(type_in, alone, tmp_path):
    assert type_in("update", "rollback", "--reason", "x").code == 1
    type_in("update", "--once")
    (tmp_path / "own.txt").write_text("casino.example\ndocs.example\n")
    type_in("update", "--once")
    assert listed(tmp_path / "lists", "docs.example") == {"gambling"}
    assert type_in("update", "rollback", "--by", "Lan", "--reason", "wrong").code == 0
    assert (listed(tmp_path / "lists", "docs.example"), listed(tmp_path / "lists", "poker.example")) == (set(), {"gambling"})
    assert read_status(tmp_path / "lists").rollback.by == "Lan"


def compiled(follower: Follower) -> None:
    """Let the loop go round until what it compiles is done."""
    follower.once()
    assert follower._compilation is not None
    eventually(lambda: follower.once() and follower._compilation is None, "compiled", 60)


def test_it_compiles_at_once_where_there_is_nothing_and_then_at_night(alone, tmp_path, monkeypatch):
    follower = Follower(alone)
    compiled(follower)
    assert listed(tmp_path / "lists", "poker.example") == {"gambling"}
    follower.once()
    assert follower._compilation is None, "not before the night"
    monkeypatch.setattr(following, "last_planned", lambda now, *_: now)
    compiled(follower)


def test_what_failed_is_tried_again_before_the_next_night(alone, tmp_path, monkeypatch):
    (tmp_path / "own.txt").write_text("<html>")
    follower = Follower(alone)
    compiled(follower)
    assert read_status(tmp_path / "lists").trouble("compile") is not None
    follower.once()
    assert follower._compilation is None
    monkeypatch.setattr(following, "TRY_AGAIN", 0.0)
    (tmp_path / "own.txt").write_text("poker.example\n")
    compiled(follower)
    assert read_status(tmp_path / "lists").troubles == ()


def test_under_a_province_without_a_base_lie_the_box_s_own_lists(tmp_path, alone):
    province = Province(tmp_path / "publisher", time.time()).say("mandatory", entry("bad.example")).publish()
    sources = alone.read_text("utf-8").partition("sources: ")[2].partition("}")[0]
    school = school_of(tmp_path, province)
    school.write_text(school.read_text("utf-8").replace("/lists}", f"/lists, sources: {sources}}}"), "utf-8")
    follower = Follower(school)
    compiled(follower)
    assert current(tmp_path / "lists" / OWN) is not None
    follower.once()
    assert (listed(tmp_path / "lists", "poker.example"), listed(tmp_path / "lists", "bad.example")) == ({"gambling"}, {"unlawful"})
    assert read_status(tmp_path / "lists").troubles == ()
    follower.close()


# ---- the process ----


def start(*arguments: object) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "gateway.cli", *map(str, arguments)], stderr=subprocess.DEVNULL)


def test_control_follows_and_leaves_when_it_is_told(school, province, tmp_path):
    school.write_text(school.read_text("utf-8").replace("/lists}", "/lists, poll: 1}"), "utf-8")
    process = start("control", "--config", school)
    try:
        eventually((tmp_path / "lists" / "current").exists, "the first lists", 60)
        province.say("mandatory", entry("urgent.example")).publish()
        eventually(lambda: listed(tmp_path / "lists", "urgent.example") == {"unlawful"}, "the urgent entry", 60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


def test_control_ends_with_the_process_that_started_it(school, tmp_path):
    """A supervisor that was killed leaves no second control process behind."""
    script = (
        "import subprocess, sys, time\n"
        f"print(subprocess.Popen([sys.executable, '-m', 'gateway.cli', 'control', '--config', {str(school)!r}, '--attached']).pid, flush=True)\n"
        "time.sleep(120)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        pid = int(parent.stdout.readline())
        eventually((tmp_path / "lists" / "current").exists, "the first lists", 60)
        parent.kill()
        eventually(lambda: not alive(pid), "the control process has left", 30)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False

"""The units of the machine that publishes: they start what exists, may touch the publisher's folder alone, and are soon enough."""

import re
import shlex
import shutil
import subprocess
import sys

import pytest

from blocklists.publisher.releasing import FRESH_SHARE
from blocklists.publisher.settings import VALID_DAYS
from tests.deploy.test_systemd import HARDENED, PROGRAM, UNITS, one, settings
from tests.documents import GUIDES, ROOT, blocks, fault

REFRESH, TIMER = "manglanh-publish-refresh.service", "manglanh-publish-refresh.timer"
USER = "manglanh-publish"


def test_what_it_starts_is_a_command_of_the_program():
    program, *words = shlex.split(one(REFRESH, "Service.ExecStart"))
    assert program == PROGRAM
    assert fault(words, whole=True) == ""
    assert words[:2] == ["publish", "refresh"]


@pytest.mark.parametrize(("key", "value"), (HARDENED | {"User": USER, "Group": USER, "PrivateNetwork": "yes"}).items())
def test_it_is_hardened(key, value):
    assert one(REFRESH, f"Service.{key}") == value


def test_it_has_no_rights_and_no_network():
    for key in ("AmbientCapabilities", "CapabilityBoundingSet"):
        assert one(REFRESH, f"Service.{key}") == ""
    assert one(REFRESH, "Service.RestrictAddressFamilies") == "none"
    filters = settings(REFRESH)["Service.SystemCallFilter"]
    assert filters == ["@system-service", "~@privileged @resources"]
    assert re.fullmatch(r"[1-9]\d?%", one(REFRESH, "Service.MemoryMax"))


def test_the_passphrase_is_the_unit_s_alone():
    name, _, source = one(REFRESH, "Service.LoadCredential").partition(":")
    words = shlex.split(one(REFRESH, "Service.ExecStart"))
    assert words[words.index("--passphrase-file") + 1] == f"%d/{name}"
    for language in ("vi", "en"):
        commands = "".join(block.text for block in blocks((GUIDES / f"publishing-keys.{language}.md").read_text("utf-8"), "sh"))
        assert f"sudo install -m 600 /dev/null {source}\n" in commands


def test_the_folder_is_the_one_that_the_guide_makes():
    words = shlex.split(one(REFRESH, "Service.ExecStart"))
    folder = words[words.index("--folder") + 1]
    state, mode = one(REFRESH, "Service.StateDirectory"), one(REFRESH, "Service.StateDirectoryMode")
    assert folder == f"/var/lib/{state}"
    for language in ("vi", "en"):
        guide = (GUIDES / f"publishing-keys.{language}.md").read_text("utf-8")
        assert f"useradd --system --home-dir {folder} --shell /usr/sbin/nologin {USER}\n" in guide
        assert f"install -d -o {USER} -g {USER} -m {int(mode)} {folder}\n" in guide
        assert f"systemctl enable --now {TIMER}" in guide


def test_an_hour_is_often_enough_even_when_a_day_is_missed():
    assert one(TIMER, "Timer.OnCalendar") == "hourly"
    assert one(TIMER, "Timer.Persistent") == "yes"
    assert one(TIMER, "Timer.Unit") == REFRESH
    assert one(TIMER, "Install.WantedBy") == "timers.target"
    assert not settings(REFRESH).get("Install.WantedBy"), "only the timer starts it"
    assert VALID_DAYS["timestamp"] * FRESH_SHARE >= 2, "days that are left when it is signed again"


def test_its_documentation_exists():
    for document in settings(REFRESH)["Unit.Documentation"]:
        assert (ROOT / document.removeprefix("file:///opt/manglanh/")).is_file()


def test_systemd_finds_no_fault(tmp_path):
    for unit in (REFRESH, TIMER):
        (tmp_path / unit).write_text((UNITS / unit).read_text("utf-8").replace(PROGRAM, sys.executable), "utf-8")
    analyze = shutil.which("systemd-analyze")
    if analyze:
        done = subprocess.run([analyze, "verify", "--man=no", *map(str, tmp_path.iterdir())], capture_output=True, text=True, timeout=60)
        assert [line for line in done.stderr.splitlines() if "manglanh" in line] == []

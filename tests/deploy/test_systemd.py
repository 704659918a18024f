"""The systemd units: they start what exists, may do no more than they need, and agree with the program about places and exit codes."""

import re
import shlex
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from gateway import companion, runtime, supervisor, worker
from gateway.cli import compilation, school
from policies.model import Lists, SchoolFile
from tests.documents import GUIDES, ROOT, fault

UNITS = ROOT / "deploy" / "systemd"
RESOLVER, CONTROL = "manglanh-resolver.service", "manglanh-control.service"
SERVICES = (RESOLVER, CONTROL)
PROGRAM = "/opt/manglanh/.venv/bin/manglanh"

HARDENED = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "ProtectControlGroups": "yes",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectProc": "invisible",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "LockPersonality": "yes",
    "MemoryDenyWriteExecute": "yes",
    "SystemCallArchitectures": "native",
    "LimitCORE": "0",
    "User": "manglanh",
}


def settings(unit: str) -> dict[str, list[str]]:
    """``Section.Key`` -> its values, in their order (systemd.syntax(7): a key may stand more than once)."""
    found: dict[str, list[str]] = defaultdict(list)
    section = ""
    for line in (UNITS / unit).read_text("utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and line[0] not in "#;":
            key, separator, value = line.partition("=")
            assert separator, f"{unit}: {line}"
            found[f"{section}.{key}"].append(value)
    return found


def one(unit: str, key: str) -> str:
    (value,) = settings(unit)[key]
    return value


@pytest.mark.parametrize("unit", SERVICES)
def test_what_it_starts_is_a_command_of_the_program(unit):
    program, *words = shlex.split(one(unit, "Service.ExecStart"))
    assert program == PROGRAM
    assert fault(words, whole=True) == ""


@pytest.mark.parametrize("unit", SERVICES)
@pytest.mark.parametrize(("key", "value"), HARDENED.items())
def test_a_service_is_hardened(unit, key, value):
    assert one(unit, f"Service.{key}") == value


@pytest.mark.parametrize("unit", SERVICES)
def test_a_service_may_open_low_ports_and_nothing_else(unit):
    for key in ("AmbientCapabilities", "CapabilityBoundingSet"):
        assert one(unit, f"Service.{key}") == "CAP_NET_BIND_SERVICE"
    assert set(one(unit, "Service.RestrictAddressFamilies").split()) == {"AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"}


def test_only_the_control_process_may_write_the_school_s_file():
    assert settings(CONTROL)["Service.ReadWritePaths"] == [f"-{school.SYSTEM.parent}"]
    assert settings(RESOLVER)["Service.ReadWritePaths"] == []


def test_statistics_were_not_deleted_because_the_resolver_s_directory_had_been_made_anew():
    """What a unit may write is decided when it starts: a directory that comes later, or comes again, is read-only for it."""
    for unit in SERVICES:
        assert Path("/run") / one(unit, "Service.RuntimeDirectory") == runtime.SYSTEM
        assert one(unit, "Service.RuntimeDirectoryMode") == "0750"
        assert one(unit, "Service.RuntimeDirectoryPreserve") == "yes"


@pytest.mark.parametrize("unit", SERVICES)
def test_timetables_never_held_because_the_sandbox_hid_whether_the_clock_is_synchronised(unit):
    assert not settings(unit).get("Service.ProtectClock"), "it would refuse adjtimex(2), and gateway/clock.py would trust no clock"
    *_, refused, last = settings(unit)["Service.SystemCallFilter"]
    assert refused.startswith("~@privileged"), "@privileged has @clock in it"
    assert {"clock_adjtime", "clock_adjtime64"} <= set(last.split())
    assert not settings(unit).get("Service.ProcSubset"), "gateway/clock.py reads /proc/cpuinfo"


def test_compiling_may_step_behind_everybody_else():
    """What gateway/cli/compilation.py asks for; @resources has it, and is refused as a whole before."""
    assert {"setpriority", "sched_setscheduler"} <= set(settings(CONTROL)["Service.SystemCallFilter"][-1].split())
    assert int(one(CONTROL, "Service.OOMScoreAdjust")) < int(compilation.EXPENDABLE)
    assert int(one(CONTROL, "Service.OOMScoreAdjust")) > int(one(RESOLVER, "Service.OOMScoreAdjust"))


@pytest.mark.parametrize("unit", SERVICES)
def test_system_calls_are_listed_and_privileged_ones_refused(unit):
    filters = settings(unit)["Service.SystemCallFilter"]
    assert filters[0].split()[0] == "@system-service"
    assert "~@privileged @resources" in filters


@pytest.mark.parametrize("unit", SERVICES)
def test_a_bad_school_file_is_not_tried_again_and_everything_else_is(unit):
    assert supervisor.BAD_CONFIG == worker.EX_CONFIG == companion.REFUSED == int(one(unit, "Service.RestartPreventExitStatus"))
    assert one(unit, "Service.Restart") == "always"
    assert one(unit, "Unit.StartLimitIntervalSec") == "0"
    assert one(unit, "Service.OOMPolicy") == "continue", "the supervisor replaces a worker that the kernel killed, control what it compiles"


def test_it_is_reloaded_and_stopped_as_the_supervisor_expects():
    assert one(RESOLVER, "Service.ExecReload") == "/bin/kill -HUP $MAINPID"
    assert one(RESOLVER, "Service.KillMode") == "mixed"
    assert float(one(RESOLVER, "Service.TimeoutStopSec")) > supervisor.STOP_WITHIN > worker.DRAIN


def test_places_are_those_of_the_program():
    for unit in SERVICES:
        words = shlex.split(one(unit, "Service.ExecStart"))
        assert words[words.index("--config") + 1] == str(school.SYSTEM)
        state = Path("/var/lib") / one(unit, "Service.StateDirectory")
        assert state in Lists().directory.parents
        assert state in SchoolFile.model_fields["state"].default.parents


@pytest.mark.parametrize("unit", SERVICES)
def test_memory_processes_and_files_are_bounded(unit):
    assert re.fullmatch(r"[1-9]\d?%", one(unit, "Service.MemoryMax"))
    assert int(one(unit, "Service.TasksMax")) > 0
    most = SchoolFile.model_fields["dns"].annotation.model_fields["limits"].default
    if unit == RESOLVER:
        assert int(one(unit, "Service.LimitNOFILE")) >= 2 * (most.pending + most.tcp_connections), "half of it is for upstreams"


@pytest.mark.parametrize("unit", SERVICES)
def test_the_guide_installs_the_unit_and_the_unit_s_documentation_exists(unit):
    guide = (GUIDES / "install.en.md").read_text("utf-8")
    assert "deploy/systemd/manglanh-*" in guide
    for document in settings(unit).get("Unit.Documentation", []):
        assert (ROOT / document.removeprefix("file:///opt/manglanh/")).is_file()
    if settings(unit).get("Install.WantedBy"):
        assert re.search(rf"systemctl enable --now .*{re.escape(unit)}", guide)


def test_systemd_finds_no_fault(tmp_path):
    """``systemd-analyze verify``, where there is one; the program's place is put to a program that exists here."""
    for unit in SERVICES:
        text = (UNITS / unit).read_text("utf-8")
        assert text.count("[Unit]") == 1
        (tmp_path / unit).write_text(text.replace(PROGRAM, sys.executable), "utf-8")
    analyze = shutil.which("systemd-analyze")
    if analyze:
        done = subprocess.run([analyze, "verify", "--man=no", *map(str, tmp_path.iterdir())], capture_output=True, text=True, timeout=60)
        faults = [line for line in done.stderr.splitlines() if "manglanh" in line]
        assert faults == []

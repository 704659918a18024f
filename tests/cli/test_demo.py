"""`manglanh demo`: what it promises to show is what the policy does, and what it prints can be typed."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from typer.main import get_command

from blocklists.compile import compile_starter
from dashboard.insight.explanation import word
from filters.domain_index import DomainIndex
from gateway.cli import build
from gateway.cli.demo import program
from gateway.cli.demo_school import EXAM_SITE, GROUPS, TRIES, Ports, Tour, client_of, people_of, school_yaml
from gateway.cli.run import fresh_starter
from policies.decide import decide
from policies.identify import Directory
from policies.load import load, parse
from policies.model import Override, State
from policies.snapshot import Snapshot
from tests.end_to_end.waiting import eventually

PORTS = Ports(5399, 8099, 8199)
PEOPLE = people_of(("mot", "hai", "ba"))
QTYPES = {"A": 1, "HTTPS": 65}


def plain(message: str) -> str:
    return message


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    opened = DomainIndex.open(compile_starter(tmp_path_factory.mktemp("starter")))
    yield opened
    opened.close()


@pytest.fixture
def file(tmp_path):
    return parse(school_yaml(tmp_path, PORTS, "127.0.0.1:9", "vi"), "school.yaml")


@pytest.mark.parametrize("attempt", TRIES, ids=lambda attempt: f"{attempt.group}-{attempt.name}-{attempt.rtype}")
def test_every_line_shows_what_it_says(attempt, file, index):
    group = Directory(file).group(client_of(attempt.group))
    assert group == attempt.group
    policy = Snapshot(file, State(), index).policy(group, 0.0)
    assert word(decide(attempt.name, QTYPES[attempt.rtype], policy, index)) == attempt.verdict


def test_the_exam_closes_everything_but_its_own_site(file, index):
    exam = Override(group="6a1", mode="exam", since=0, until=10, by="Lan", sites=(EXAM_SITE,))
    policy = Snapshot(file, State(overrides=(exam,)), index).policy("6a1", 1.0)
    assert [word(decide(name, 1, policy, index)) for name in ("vnexpress.net", EXAM_SITE)] == ["block", "allow"]


def test_there_is_a_group_for_every_tier_and_something_to_try_in_each(file):
    assert {tier for _, _, tier in GROUPS} == {"mam-non", "tieu-hoc", "thcs", "thpt", "staff", "guest"}
    assert {attempt.group for attempt in TRIES} == {name for name, _, _ in GROUPS}


@pytest.mark.parametrize("has_dig", [True, False])
def test_what_is_printed_can_be_typed(has_dig, tmp_path):
    text = Tour(PORTS, "manglanh", has_dig, PEOPLE, plain).text(tmp_path / "school.yaml")
    assert str(tmp_path / "school.yaml") in text
    commands = get_command(build()).commands
    lines = [shlex.split(line, comments=True) for line in text.splitlines() if line.startswith(("dig ", "manglanh "))]
    assert len(lines) > len(TRIES)
    assert any(line[0] == "dig" for line in lines) == has_dig
    for line in lines:
        if line[0] == "manglanh":
            command = commands[line[1]]
            options = {option for parameter in command.params for option in parameter.opts}
            assert {word for word in line[2:] if word.startswith("--")} <= options


def test_the_command_is_printed_as_the_shell_will_find_it(monkeypatch, tmp_path):
    (tmp_path / "manglanh").touch()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", "")
    assert program() == str(tmp_path / "manglanh")
    (tmp_path / "manglanh").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program() == "manglanh"


def test_the_starter_lists_are_never_written_over(tmp_path):
    """A worker that outlived its supervisor has the earlier files mapped: writing over them would kill it (SIGBUS)."""
    earlier = tmp_path / "starter-1"
    earlier.mkdir()
    (earlier / "names.marisa").write_text("mapped")
    with (earlier / "names.marisa").open() as mapped:
        fresh = fresh_starter(tmp_path)
        assert mapped.read() == "mapped"
    assert [path.name for path in tmp_path.iterdir()] == [fresh.name]


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(type_in):
    """A second resolver would share the port (SO_REUSEPORT), and half of the answers would be the other's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        result = type_in("demo", "--port", port)
    assert result.code == 1
    assert f"Port {port} is taken" in result.err


def test_an_upstream_that_is_none_is_an_error(type_in):
    assert type_in("demo", "--upstream", "dns.example").code == 2


@pytest.fixture
def demo(tmp_path):
    """The real thing, as `make run` starts it; ready when its tour is printed."""
    environ = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path), "TMPDIR": str(tmp_path), "LANG": "en_US.UTF-8", "LC_ALL": ""}
    environ.pop("MANGLANH_CONFIG", None)
    command = [sys.executable, "-c", "import sys; from gateway.cli import main; sys.exit(main())"]
    process = subprocess.Popen(
        [*command, "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
        cwd=tmp_path,
        start_new_session=True,
    )
    guard = threading.Timer(60, process.kill)
    guard.start()

    def type_in(*arguments: str) -> str:
        return subprocess.run(
            [*command, *arguments], capture_output=True, text=True, env=environ, cwd=tmp_path, timeout=60, check=True
        ).stdout

    printed = []
    for line in process.stdout:
        printed.append(line)
        if "selftest" in line:
            break
    yield process, type_in, "".join(printed)
    guard.cancel()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # workers outlive their supervisor, and would hold the pipes open
    process.communicate()


def signed_in(url: str, login: str, password: str) -> str:
    """Where the sign-in page of a dashboard leads to, which may still be starting."""

    def page() -> str | None:
        try:
            return client.get("/sign-in").text
        except httpx.TransportError:
            return None

    with httpx.Client(base_url=url) as client:
        form = eventually(page, "the sign-in page", 30)
        token = re.search(r'name="csrf" value="([^"]+)"', form)[1]
        answer = client.post("/sign-in", data={"csrf": token, "login": login, "password": password})
        return answer.headers.get("location", "")


def test_a_newcomer_sees_it_work_and_ctrl_c_leaves_nothing_behind(demo, tmp_path):
    process, type_in, printed = demo
    config = Path(re.search(r"\S+/school\.yaml", printed).group())
    assert load(config).school.name == "Trường Mạng Lành"
    casino = json.loads(type_in("ask", "fun88.com", "--client", "127.0.3.1", "--json"))
    assert (casino["rcode"], casino["blocked"]) == ("NOERROR", True)
    assert any("127.0.0.1" in record for record in casino["records"]), "the block page's address"
    assert "Cờ bạc" in casino["reason"]["j"] or "Gambling" in casino["reason"]["j"]
    assert json.loads(type_in("explain", "fun88.com", "--client", "127.0.3.1", "--json"))["rung"] == 7
    assert any(
        "forcesafesearch" in record
        for record in json.loads(type_in("ask", "www.google.com.vn", "--client", "127.0.3.1", "--json"))["records"]
    )
    assert json.loads(type_in("ask", "cloaked.example", "--client", "127.0.3.1", "--json"))["blocked"] is True
    url = re.search(r"http://127\.0\.0\.1:\d+/", printed).group()
    accounts = dict(re.findall(r"^  (co-lan|quan-tri|hieu-truong) +(\S+)", printed, re.MULTILINE))
    assert len(set(accounts.values())) == 3
    assert signed_in(url, "co-lan", accounts["co-lan"]) == "/"
    assert "ok" in {finding["level"] for finding in json.loads(type_in("doctor", "--json"))}
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []

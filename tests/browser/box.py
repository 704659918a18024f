"""The whole box for a browser: `manglanh run` of the demo's school on loopback, with its people, until the block ends."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import dns.message
import dns.query
import dns.rdatatype
import yaml

from blocklists.sources import PACKAGED
from gateway.cli.demo_people import move_in
from gateway.cli.demo_school import Ports, SignIn, client_of, school_yaml
from gateway.demo_internet import DemoInternet
from tests.bench.processes import free_port
from tests.end_to_end.waiting import eventually

PASSWORD = "mua-thu-la-bay-2027"
LAN = SignIn("co-lan", "Cô Lan", "teacher", ("6a1", "10a2"), PASSWORD, "")
NAM = SignIn("thay-nam", "Thầy Nam", "teacher", ("6a1", "3b"), PASSWORD, "")
MINH = SignIn("quan-tri", "Thầy Minh", "admin", (), PASSWORD, "")
HOA = SignIn("hieu-truong", "Cô Hoa", "viewer", (), PASSWORD, "")
PEOPLE = (LAN, NAM, MINH, HOA)
BLOCK_PAGE = "127.0.0.1"
"""what a blocked name resolves to"""
STARTS_WITHIN = 40


@dataclass
class Box:
    """A running school. ``log`` is everything that its processes say."""

    directory: Path
    ports: Ports

    @property
    def config(self) -> Path:
        return self.directory / "school.yaml"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports.dashboard}"

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    def file(self) -> dict[str, Any]:
        """The school file as it is now."""
        return dict(yaml.safe_load(self.config.read_text()))

    def addresses(self, name: str, group: str) -> list[str]:
        """What a device of the group is answered."""
        query = dns.message.make_query(name, "A")
        answer = dns.query.udp(query, "127.0.0.1", port=self.ports.dns, source=client_of(group), timeout=5)
        return [item.to_text() for rrset in answer.answer if rrset.rdtype == dns.rdatatype.A for item in rrset]

    def blocks(self, name: str, group: str) -> bool:
        return self.addresses(name, group) == [BLOCK_PAGE]

    def await_blocked(self, name: str, group: str, *, blocked: bool = True) -> None:
        eventually(lambda: self.blocks(name, group) == blocked, f"{name} is {'blocked' if blocked else 'open'} in {group}")

    def setup_code(self) -> str:
        """As it is printed on the console."""
        found = re.search(r"\b([A-Z0-9]{4}-[A-Z0-9]{4})\b", self.log)
        assert found, self.log
        return found[1]


def _write(box: Box, upstream: str, changes: Mapping[str, Any]) -> None:
    """The demo's school; this machine's browser is a device of 6A1. Its lists are the starter lists: nothing is fetched from the internet."""
    starter = [each for each in yaml.safe_load(PACKAGED.read_text())["sources"] if "path" in each]
    sources = [{**each, "path": str(PACKAGED.parent / each["path"])} for each in starter]
    (box.directory / "sources.yaml").write_text(json.dumps({"sources": sources}))
    school = yaml.safe_load(school_yaml(box.directory, box.ports, upstream, "vi"))
    school["lists"]["sources"] = str(box.directory / "sources.yaml")
    school["groups"][2]["clients"].append("127.0.0.1")
    school["school"]["counsellor"] = "Cô Hương, phòng 105"
    box.config.write_text(yaml.safe_dump(school | dict(changes), allow_unicode=True, sort_keys=False))


def _answers(url: str) -> bool:
    try:
        urlopen(Request(url, headers={"Accept": "text/html"}), timeout=5).close()
    except HTTPError:
        return True
    except (URLError, OSError):
        return False
    return True


def _await_start(box: Box, process: "subprocess.Popen[bytes]") -> None:
    try:
        eventually(lambda: process.poll() is not None or _answers(f"{box.url}/healthz"), "the dashboard answers", STARTS_WITHIN)
        assert process.poll() is None, "it ended"
        eventually(lambda: _answers(f"http://127.0.0.1:{box.ports.block_page}/"), "the block page answers", STARTS_WITHIN)
        box.await_blocked("fun88.com", "6a1")
    except AssertionError as error:
        raise AssertionError(f"{error}; the log says:\n{box.log}") from None


@contextmanager
def running(directory: Path, people: tuple[SignIn, ...] = PEOPLE, changes: Mapping[str, Any] | None = None) -> Iterator[Box]:
    """Ready when the block begins, gone when it ends. ``changes`` replace whole sections of the school file."""
    box = Box(directory, Ports(free_port(), free_port(), free_port()))
    internet = DemoInternet()
    _write(box, internet.address, changes or {})
    if people:
        move_in(box.config, people, "vi")
    command = [sys.executable, "-m", "gateway.cli", "--language", "vi", "run", "--config", str(box.config), "--metrics", ""]
    environment = {name: value for name, value in os.environ.items() if name != "MANGLANH_CONFIG"}
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True)
    try:
        _await_start(box, process)
        yield box
    finally:
        process.terminate()
        try:
            process.wait(20)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            internet.close()

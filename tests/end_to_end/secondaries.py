"""A school's BIND and Unbound as real secondaries of the box, configured with the very lines that the guides show."""

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.message
import dns.query
import dns.rcode

from tests.bench.processes import free_port
from tests.end_to_end.school import CHECKOUT, COMMAND, School
from tests.end_to_end.waiting import eventually

SECRET = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
"""the guides' example"""
WRONG_SECRET = "d3Jvbmcgc2VjcmV0LCB3cm9uZyBzZWNyZXQsIHdyb25nISE="
SIGNED, UNSIGNED = "rpz.thcs", "rpz.thpt"
BOX = "127.0.0.1"
NAMED_OPTIONS = """
options {{
    directory "{directory}";
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    pid-file none;
    session-keyfile none;
    dnssec-validation no;
    forward only;
    forwarders {{ 127.0.0.1 port {upstream}; }};
    minimal-responses no;
{policy}
}};
controls {{ }};
"""
UNBOUND_OPTIONS = """
server:
    interface: 127.0.0.1@{port}
    access-control: 127.0.0.0/8 allow
    do-daemonize: no
    username: ""
    chroot: ""
    directory: "{directory}"
    pidfile: ""
    use-syslog: no
    verbosity: 3
    do-not-query-localhost: no
    do-ip6: no
    trust-anchor-signaling: no
    root-hints: ""
forward-zone:
    name: "."
    forward-addr: 127.0.0.1@{upstream}
remote-control:
    control-enable: no
"""


def snippet(language: str, kind: str) -> str:
    """The guide's block of this kind."""
    guide = (CHECKOUT / "docs" / "guides" / f"export.{language}.md").read_text()
    return re.search(rf"^```{kind}\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)[1]


class Program:
    """A started server, its log, and what it answers on its port."""

    def __init__(self, process: subprocess.Popen, port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def ask(self, name: str, qtype: str = "A") -> dns.message.Message:
        assert self.process.poll() is None, self.log
        return dns.query.udp(dns.message.make_query(name, qtype), BOX, port=self.port, timeout=5)

    def rcode(self, name: str) -> str:
        try:
            return dns.rcode.to_text(self.ask(name).rcode())
        except (OSError, dns.exception.Timeout):
            return ""

    def await_rcode(self, name: str, rcode: str, seconds: float = 20) -> None:
        try:
            eventually(lambda: self.rcode(name) == rcode, f"{name} is {rcode}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; the log says:\n{self.log[-6000:]}") from None

    def await_log(self, text: str) -> None:
        try:
            eventually(lambda: text in self.log, f"the log says {text!r}", 20)
        except AssertionError as error:
            raise AssertionError(f"{error}; it says:\n{self.log[-6000:]}") from None


@contextmanager
def program(words: list[str], port: int, log: Path) -> Iterator[Program]:
    with log.open("wb") as file:
        process = subprocess.Popen(words, cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env={**os.environ, "LANG": "C"})
    try:
        yield Program(process, port, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def zones(port: int, named_port: int, unbound_port: int) -> dict:
    """The school file's section, as in the guides but for addresses and ports."""
    return {
        "listen": [f"{BOX}:{port}"],
        "key": {"name": "truong", "algorithm": "hmac-sha256", "secret_file": "zones.key"},
        "zones": [
            {"name": SIGNED, "tier": "thcs", "secondaries": [f"{BOX}:{named_port}"]},
            {"name": UNSIGNED, "tier": "thpt", "secondaries": [f"{BOX}:{unbound_port}"], "sign": False},
        ],
    }


@contextmanager
def control(school: School, port: int) -> Iterator[Program]:
    """The control process, serving its zones."""
    with program([*COMMAND, "control", "--config", str(school.file)], port, school.directory / "control.log") as running:
        eventually(lambda: _listens(port) or running.process.poll() is not None, "the zones are served", 30)
        assert running.process.poll() is None, running.log
        yield running


def _listens(port: int) -> bool:
    with socket.socket() as stream:
        return stream.connect_ex((BOX, port)) == 0


@contextmanager
def named(directory: Path, port: int, box_port: int, upstream: int, *, language: str = "en", secret: str = SECRET) -> Iterator[Program]:
    """BIND with the zone SIGNED as its policy."""
    directory.mkdir(exist_ok=True)
    zone = snippet(language, "named").replace("10.0.0.2 port 5354", f"{BOX} port {box_port}").replace(SECRET, secret)
    options = NAMED_OPTIONS.format(directory=directory, port=port, upstream=upstream, policy=snippet(language, "named-options"))
    file = directory / "named.conf"
    file.write_text(options + zone)
    checked = subprocess.run(["named-checkconf", file], capture_output=True, text=True, timeout=30)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    with program(["named", "-g", "-d", "3", "-n", "1", "-c", str(file)], port, directory / "log") as running:
        yield running


@contextmanager
def unbound(directory: Path, port: int, box_port: int, upstream: int, *, language: str = "en") -> Iterator[Program]:
    """Unbound with the zone UNSIGNED as its policy."""
    directory.mkdir()
    zone = snippet(language, "unbound").replace("10.0.0.2@5354", f"{BOX}@{box_port}").replace("10.0.0.2", BOX)
    file = directory / "unbound.conf"
    file.write_text(UNBOUND_OPTIONS.format(directory=directory, port=port, upstream=upstream) + zone)
    checked = subprocess.run(["unbound-checkconf", file], capture_output=True, text=True, timeout=30)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    with program(["unbound", "-d", "-c", str(file)], port, directory / "log") as running:
        yield running


def ports() -> tuple[int, int, int]:
    """For the box's zones, BIND and Unbound."""
    found: set[int] = set()
    while len(found) < 3:
        found.add(free_port())
    return tuple(found)

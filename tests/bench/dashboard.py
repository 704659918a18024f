"""The measures of the dashboard: how quick its pages are, what the control process takes, and when a teacher's tap is in force.

What is measured is the box as `manglanh run` starts it (supervisor, workers, control process) with a large school (tests/bench/dashboard_school.py),
over HTTP and DNS on loopback. A switch counts from the first byte of its form until the resolver answers a device of that class by the new mode.
"""

import gzip
import http.client
import random
import re
import selectors
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.routing import compile_path

from dashboard.access import Person as Somebody
from dashboard.access import Role, may
from dashboard.app import pages
from dashboard.web import Page
from tests.bench import load, processes
from tests.bench.dashboard_school import Person, Ports, School, address, classes, move_in, people
from tests.bench.load import Load
from tests.bench.servers import COMMAND
from tests.bench.setting import Result, Setting
from tests.bench.statistics_table import percentile

if TYPE_CHECKING:
    import subprocess

BOX = "box"
FOLLOWED, ONLY_PAGES = "lists followed, no publisher", "pages only"
STREAMS = ("/live/classes", "/live/decisions")
"""answers without an end"""
WARM_UP = 3
RATE = 10_000
"""queries a second beside which teachers switch"""
TEACHERS_AT_THE_BELL = 40
WITHIN = 0.05
"""seconds in which they all tap"""
LOOK = 0.005
"""seconds between two questions of one device"""
GIVE_UP = 10.0
PROBE = "probe.bench.example"
WANTED = {"offline": 3, "normal": 0}
"""the rcode of the probe's name in a mode"""
IN_FORCE = "In force on all"
_LINK = re.compile(r'href="(/[^"#]*)')
_HIDDEN = re.compile(r'name="(csrf|once|seen)" value="([^"]*)"')


class NotServed(Exception):
    """The dashboard answered otherwise than it should."""


# ---- which pages there are: pure ----


def templates(declared: Sequence[Page], role: Role) -> list[str]:
    """The paths of the pages that somebody with this role may open, with their parameters still open; a teacher in an own class."""
    somebody = Somebody(0, "", "", role, "en", frozenset({"own"}))
    return [page.path for page in declared if page.method == "GET" and page.path not in STREAMS and may(page.access, somebody, "own")]


def examples(wanted: Sequence[str], page: str) -> dict[str, str]:
    """Template -> the first link on a page that leads there."""
    links = [unescape(link) for link in _LINK.findall(page)]
    plain = {template for template in wanted if "{" not in template}
    found = {}
    for template in wanted:
        pattern = compile_path(template)[0]
        for link in links:
            path = link.partition("?")[0]
            if template not in plain and path not in plain and pattern.match(path):
                found[template] = path
                break
    return found


def larger(role: Role, blocked: str) -> list[str]:
    """What people ask of some pages that is more than the page itself."""
    own = classes()[0][0]
    asked = [f"/statistics/{own}?days=365", f"/statistics/{own}?days=30"]
    if role is not Role.TEACHER:
        asked += [
            "/statistics?days=365",
            "/statistics?days=30",
            "/statistics?days=1",
            "/classes?page=2",
            "/audit?q=giao-vien-7",
            "/reports?page=2",
        ]
    if role is Role.ADMIN:
        asked += [
            f"/why?{urlencode({'name': blocked, 'group': own, 'type': 'A'})}",
            "/devices/known?q=02:4d",
            "/people?q=giao",
            "/people?page=5",
        ]
        asked += ["/services?for=tier:thcs", "/rules?q=trang", "/timetable?group=12a1"]
    return asked


# ---- a box that runs ----


@dataclass
class Browser:
    """One connection that is kept, with a session's cookie."""

    port: int
    token: str = ""
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def get(self, path: str, host: str = "") -> tuple[int, bytes, float]:
        """Status, body, seconds."""
        headers = (
            {"Accept": "text/html", "Accept-Encoding": "identity"}
            | ({"Cookie": f"manglanh={self.token}"} if self.token else {})
            | ({"Host": host} if host else {})
        )
        for attempt in (1, 2):
            began = time.perf_counter()
            try:
                self.connection.request("GET", path, headers=headers)
                response = self.connection.getresponse()
                body = response.read()
            except (http.client.RemoteDisconnected, ConnectionError):  # kept for too long
                self.connection.close()
                if attempt == 2:
                    raise
                continue
            return response.status, body, time.perf_counter() - began
        raise AssertionError

    def close(self) -> None:
        self.connection.close()


@dataclass(frozen=True)
class Box:
    school: School
    running: processes.Running
    control: int
    """the control process's id"""

    def browser(self, person: Person | None) -> Browser:
        return Browser(self.school.ports.pages, person.token if person else "")


def free_ports(upstream: int) -> Ports:
    return Ports(processes.free_port(), processes.free_port(), processes.free_port(), upstream)


@contextmanager
def whole_box(school: School) -> Iterator[Box]:
    """`manglanh run`. Raises processes.NotRunning."""
    command: list[str | Path] = [COMMAND, "run", "--config", school.config, "--metrics", f"127.0.0.1:{processes.free_port()}"]
    with processes.running(command, port=school.ports.dns, log=school.directory / "log", core=None) as running:
        _await_ready(school, running)
        yield Box(school, running, _control_of(running))


@contextmanager
def only_pages(school: School) -> Iterator[Box]:
    """A resolver, and a control process that leaves the lists as they are."""
    environment = {"RUNTIME_DIRECTORY": str(school.directory / "run")}
    log = school.directory / "log"
    resolver: list[str | Path] = [COMMAND, "resolver", "--config", school.config]
    control: list[str | Path] = [COMMAND, "control", "--only-pages", "--config", school.config]
    with (
        processes.running(resolver, port=school.ports.dns, log=log, core=None, environment=environment),
        processes.running(control, port=school.ports.dns, log=log, core=None, environment=environment) as running,
    ):
        _await_ready(school, running)
        yield Box(school, running, running.process.pid)


def _await_ready(school: School, running: processes.Running) -> None:
    processes.await_rcode(running, PROBE, 0, 60)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if running.process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", school.ports.pages), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise processes.NotRunning(f"no dashboard: {processes.tail(running.log)}")


def _control_of(running: processes.Running) -> int:
    for pid in running.pids():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except FileNotFoundError:
            continue
        if b"control" in words:
            return pid
    raise processes.NotRunning("there is no control process")


# ---- measured ----


def measure_pages(setting: Setting) -> None:
    """Pages, taps, bells and memory, of one box; then memory of one that only serves pages."""
    school = move_in(setting.directory / "dashboard", free_ports(setting.upstream_port), setting.bundle)
    with whole_box(school) as box:
        found = find_pages(box, setting.blocked[0])
        _measure_pages(setting, box, found)
        _measure_block_page(setting, box)
        measure_taps(setting, box)
        measure_bells(setting, box)
        record_memory(setting, box, FOLLOWED)
    with only_pages(school) as box:
        for _, browser, asked in _visitors(box, found):
            for path in asked:
                browser.get(path)
            browser.close()
        _ring(box, teachers_at_the_bell(), "offline")
        record_memory(setting, box, ONLY_PAGES)


def record_memory(setting: Setting, box: Box, case: str) -> None:
    found = processes.memory([box.control])
    peak = processes.peak([box.control])
    detail = {"rss_mb": found.rss / 1e6, "peak_mb": peak / 1e6, "private_mb": found.anonymous / 1e6}
    setting.record(Result("control-memory", BOX, found.pss / 1e6, "MB", case=case, detail=detail))


def who(role: Role | None) -> Person | None:
    return next((each for each in people() if each.role == role), None)


def find_pages(box: Box, blocked: str) -> dict[Role | None, list[str]]:
    """What each role is served: every page without parameters, for those with some the first that another one links to, and larger questions."""
    declared = pages()
    found: dict[Role | None, list[str]] = {None: ["/sign-in", "/help"]}
    for role in (Role.TEACHER, Role.ADMIN, Role.VIEWER):
        browser = box.browser(who(role))
        wanted = templates(declared, role)
        todo = [template for template in wanted if "{" not in template]
        known: dict[str, str] = {}
        served = []
        for path in todo:
            status, body, _ = browser.get(path)
            if status == 200:
                served.append(path)
                new = {
                    template: link for template, link in examples(wanted, body.decode(errors="replace")).items() if template not in known
                }
                known |= new
                todo.extend(new.values())
        found[role] = served + larger(role, blocked)
        browser.close()
    return found


def _visitors(box: Box, found: Mapping[Role | None, Sequence[str]]) -> Iterator[tuple[str, Browser, Sequence[str]]]:
    for role, asked in found.items():
        yield role or "visitor", box.browser(who(role)), asked


def _measure_pages(setting: Setting, box: Box, found: Mapping[Role | None, Sequence[str]]) -> None:
    """Rounds alternate the pages, so that what else the machine does meets all of them alike."""
    rounds = 8 if setting.quick else 40
    everything: list[float] = []
    for role, browser, asked in _visitors(box, found):
        static = _static_file(browser)
        timed: dict[str, list[float]] = {path: [] for path in (static, *asked)}
        bodies = {}
        for number in range(-WARM_UP, rounds):
            for path, seconds in timed.items():
                status, bodies[path], taken = browser.get(path)
                if status != 200:
                    raise NotServed(f"{role} {path}: {status}")
                if number >= 0:
                    seconds.append(taken * 1000)
        browser.close()
        floor = timed.pop(static)
        setting.record(Result("page-floor", BOX, percentile(floor, 50), "ms", case=role, detail={"p95": percentile(floor, 95)}))
        for path, milliseconds in timed.items():
            _record_page(setting, f"{role} {path}", milliseconds, bodies[path])
            everything += milliseconds
    setting.record(
        Result("pages-all", BOX, percentile(everything, 95), "ms", detail={"requests": len(everything), "p50": percentile(everything, 50)})
    )


def _record_page(setting: Setting, case: str, milliseconds: Sequence[float], body: bytes) -> None:
    detail = {
        "p50": percentile(milliseconds, 50),
        "worst": max(milliseconds),
        "requests": len(milliseconds),
        "bytes": len(body),
        "gzip": len(gzip.compress(body, 6)),
    }
    setting.record(Result("pages", BOX, percentile(milliseconds, 95), "ms", case=case, detail=detail))


def _static_file(browser: Browser) -> str:
    """The style sheet, as the pages name it."""
    found = re.search(r'href="(/static/site\.css[^"]*)"', browser.get("/help")[1].decode())
    if found is None:
        raise NotServed("no style sheet")
    return found[1]


def _measure_block_page(setting: Setting, box: Box) -> None:
    """As a device of a class meets it: a blocked name, whose address is the block page's."""
    rounds = 20 if setting.quick else 100
    browser = Browser(box.school.ports.block_page)
    times = []
    for number in range(-WARM_UP, rounds):
        _, body, taken = browser.get("/", host=setting.blocked[(number + WARM_UP) % len(setting.blocked)])
        if number >= 0:
            times.append(taken * 1000)
    browser.close()
    _record_page(setting, "pupil, block page", times, body)


# ---- switches ----


@dataclass
class Tap:
    """One teacher's switch of one class: the form, ready to be sent, and the device that asks."""

    number: int
    """of the class"""
    person: Person
    mode: str
    stream: socket.socket
    datagram: socket.socket
    form: bytes
    due: float = 0.0
    sent: float = 0.0
    answered: float = 0.0
    """when the form was answered"""
    in_force: float = 0.0
    """when the resolver first answered by the new mode"""
    heard: bytes = b""

    @property
    def group(self) -> str:
        return classes()[self.number][0]

    @property
    def wanted(self) -> int:
        return WANTED[self.mode]

    def close(self) -> None:
        self.stream.close()
        self.datagram.close()


def teachers_at_the_bell() -> list[int]:
    """The numbers of forty classes of all grades, each of them its own teacher's."""
    return list(range(0, 2 * TEACHERS_AT_THE_BELL, 2))


def form_of(page: str, mode: str) -> dict[str, str]:
    """What a browser sends when the button of ``mode`` is tapped on the page of a class. Raises NotServed for a page without that form."""
    fields = {name: unescape(value) for name, value in reversed(_HIDDEN.findall(page))}
    if not {"csrf", "seen"} <= {*fields}:
        raise NotServed("a page of a class without its form")
    return {**fields, "mode": mode, "length": "45"}


def prepare_tap(box: Box, number: int, mode: str) -> Tap:
    """The teacher has the page open. Raises NotServed."""
    person, group = people()[2 + number], classes()[number][0]
    browser = box.browser(person)
    status, body, _ = browser.get(f"/classes/{group}")
    if status != 200:
        raise NotServed(f"/classes/{group}: {status}")
    content = urlencode(form_of(body.decode(), mode)).encode()
    head = (
        f"POST /classes/{group}/mode HTTP/1.1\r\nHost: 127.0.0.1:{box.school.ports.pages}\r\nCookie: manglanh={person.token}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(content)}\r\nSec-Fetch-Site: same-origin\r\n\r\n"
    )
    stream = browser.connection.sock
    assert stream is not None
    stream.setblocking(False)
    datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagram.bind((address(number), 0))
    datagram.connect(("127.0.0.1", box.school.ports.dns))
    datagram.setblocking(False)
    return Tap(number, person, mode, stream, datagram, head.encode() + content)


def send(taps: Sequence[Tap], within: float) -> None:
    """Send the forms, spread over ``within`` seconds, and ask for each class until all are answered and in force. Raises NotServed."""
    order = list(range(len(taps)))
    random.Random(len(taps)).shuffle(order)
    question = processes.question(PROBE)
    began = time.monotonic()
    with selectors.DefaultSelector() as selector:
        for tap, place in zip(taps, order, strict=True):
            tap.due = began + within * place / len(taps)
            selector.register(tap.stream, selectors.EVENT_READ, (tap, _hear_form))
            selector.register(tap.datagram, selectors.EVENT_READ, (tap, _hear_resolver))
        look_at = began
        while any(not tap.answered or not tap.in_force for tap in taps):
            now = time.monotonic()
            if now - began > GIVE_UP:
                raise NotServed(
                    f"not in force everywhere after {GIVE_UP:.0f} s: {', '.join(tap.group for tap in taps if not tap.in_force)}"
                )
            for tap in taps:
                if not tap.sent and now >= tap.due:
                    tap.sent = time.monotonic()
                    tap.stream.send(tap.form)
            if now >= look_at:
                look_at = now + LOOK
                for tap in taps:
                    if tap.sent and not tap.in_force:
                        tap.datagram.send(question)
            moments = [look_at, *(tap.due for tap in taps if not tap.sent)]
            for key, _ in selector.select(max(0.0, min(moments) - time.monotonic())):
                heard: tuple[Tap, Callable[[Tap], None]] = key.data
                heard[1](heard[0])


def _hear_form(tap: Tap) -> None:
    tap.heard += tap.stream.recv(65536)
    if b"\r\n\r\n" in tap.heard and not tap.answered:
        tap.answered = time.monotonic()
        if not tap.heard.startswith(b"HTTP/1.1 303"):
            raise NotServed(f"{tap.group}: {tap.heard[:200]!r}")


def _hear_resolver(tap: Tap) -> None:
    if tap.datagram.recv(4096)[3] & 15 == tap.wanted and not tap.in_force:
        tap.in_force = time.monotonic()


def said_in_force(box: Box, tap: Tap) -> bool:
    """Whether the page to which the form leads says so."""
    browser = box.browser(tap.person)
    body = browser.get(f"/classes/{tap.group}")[1].decode()
    browser.close()
    return IN_FORCE in body


def _ring(
    box: Box, numbers: Sequence[int], mode: str, within: float = WITHIN, during: Callable[[], None] = lambda: None
) -> list[tuple[Tap, bool]]:
    """Each tap, and whether its page says that it is in force."""
    taps = [prepare_tap(box, number, mode) for number in numbers]
    during()
    try:
        send(taps, within)
    finally:
        for tap in taps:
            tap.close()
    return [(tap, said_in_force(box, tap)) for tap in taps]


def _record_taps(setting: Setting, measure: str, number: int, taps: Sequence[tuple[Tap, bool]], **more: float) -> None:
    for tap, said in taps:
        detail = {"answered_ms": (tap.answered - tap.sent) * 1000, "said": said, **more}
        setting.record(Result(measure, BOX, (tap.in_force - tap.sent) * 1000, "ms", number, detail=detail))


def measure_taps(setting: Setting, box: Box) -> None:
    """One teacher at a time, at moments that drift against any period of the workers'."""
    count = 10 if setting.quick else 50
    taken = []
    with _loaded(setting, box, count * 0.5) as (begin, ended):
        begin()
        for number in range(count):
            time.sleep(0.05 + 0.15 * ((number * 0.618) % 1))
            taken.append(_ring(box, [number % 2], "offline" if number // 2 % 2 == 0 else "normal", 0.0))
    for number, taps in enumerate(taken, 1):
        _record_taps(setting, "tap", number, taps, lost=ended["lost"], dns_p99_us=ended["p99_us"])


def measure_bells(setting: Setting, box: Box) -> None:
    """Forty at once, again and again."""
    for number in range(1, (2 if setting.quick else 10) + 1):
        with _loaded(setting, box, 2.0) as (begin, ended):
            taps = _ring(box, teachers_at_the_bell(), "offline" if number % 2 else "normal", during=begin)
        _record_taps(setting, "bell", number, taps, lost=ended["lost"], dns_p99_us=ended["p99_us"])


@contextmanager
def _loaded(setting: Setting, box: Box, seconds: float) -> Iterator[tuple[Callable[[], None], dict[str, float]]]:
    """What begins a load, and what it found once the block has ended."""
    work = Load(setting.questions, seconds, rate=RATE, window=4096)
    begun: list[subprocess.Popen[str]] = []
    ended: dict[str, float] = {}

    def begin() -> None:
        begun.append(load.start(setting.programs["dnsload"], box.school.ports.dns, setting.load_core, work))
        time.sleep(0.4)

    try:
        yield begin, ended
    finally:
        for process in begun:
            ended.update({key: value for key, value in load.finish(process, seconds).items() if key in ("lost", "p99_us")})

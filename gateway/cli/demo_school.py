"""The pretend school of `manglanh demo`: its school file, and what there is to try in it. Pure.

Each group is a network of loopback addresses, so that one machine can ask as anybody: dig's ``-b`` sets the address to ask
from. ``TRIES`` is both what the command prints and what the tests put to the real policy.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dashboard.catalogue import Translate

SCHOOL = "Trường Mạng Lành"
GROUPS: tuple[tuple[str, str, str], ...] = (
    ("lop-mam", "Lớp Mầm", "mam-non"),
    ("3b", "Lớp 3B", "tieu-hoc"),
    ("6a1", "6A1", "thcs"),
    ("10a2", "10A2", "thpt"),
    ("giao-vien", "Giáo viên", "staff"),
    ("khach", "Khách", "guest"),
)
"""name, title and tier; the group's number from 1 is N in its network 127.0.N.0/24"""

LESSONS: tuple[tuple[str, str], ...] = (
    ("1", "07:00-07:45"), ("2", "07:50-08:35"), ("3", "08:55-09:40"), ("4", "09:45-10:30"), ("5", "10:35-11:20"),
    ("6", "13:00-13:45"), ("7", "13:50-14:35"), ("8", "14:55-15:40"), ("9", "15:45-16:30"),
)  # fmt: skip
"""name and times; outside of them a switch for this lesson lasts 45 minutes"""

EXAM_SITE = "thi.manglanh.example"


@dataclass(frozen=True, slots=True)
class Try:
    """One thing to try: who asks for what, and what comes of it."""

    group: str
    name: str
    rtype: str
    verdict: Literal["block", "allow", "rewrite"]
    shows: str
    """a message id"""


def _(message: str) -> str:
    """Marks a message for the catalogue; it is translated where it is printed."""
    return message


TRIES: tuple[Try, ...] = (
    Try("lop-mam", "vnexpress.net", "A", "block", _("the youngest see only what was chosen for them")),
    Try("lop-mam", "hoc10.vn", "A", "allow", _("a learning site is open to everybody")),
    Try("lop-mam", "tongdai111.vn", "A", "allow", _("help for children is always open")),
    Try("3b", "www.tiktok.com", "A", "block", _("a social network, blocked in primary school")),
    Try("3b", "www.youtube.com", "A", "block", _("video, blocked in primary school unless a teacher opens it for a lesson")),
    Try("6a1", "fun88.com", "A", "block", _("a casino: the address of the block page, and the reason in the extended error (EDE)")),
    Try("6a1", "vnexpress.net", "A", "allow", _("an ordinary site is simply answered")),
    Try("6a1", "www.google.com.vn", "A", "rewrite", _("safe search: an alias of forcesafesearch.google.com")),
    Try("6a1", "www.youtube.com", "A", "rewrite", _("YouTube in its restricted mode")),
    Try("6a1", "cloaked.example", "A", "allow", _("an allowed name that turns out to be an alias of a tracker: the answer is refused")),
    Try("6a1", "vnexpress.net", "HTTPS", "allow", _("Encrypted Client Hello (ech) is taken out of the answer")),
    Try("10a2", "www.facebook.com", "A", "allow", _("a social network, open in upper secondary school")),
    Try("giao-vien", "www.google.com.vn", "A", "allow", _("staff search without the filter")),
    Try("giao-vien", "unlawful.manglanh.test", "A", "block", _("what the authorities lock is blocked for staff too")),
    Try("khach", "fun88.com", "A", "block", _("a guest may be anybody's child")),
)


def client_of(group: str) -> str:
    """The loopback address that asks as this group: ``6a1`` -> ``127.0.3.1``."""
    number = [name for name, _title, _tier in GROUPS].index(group) + 1
    return f"127.0.{number}.1"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the demo listens, all on 127.0.0.1."""

    dns: int
    dashboard: int
    block_page: int


@dataclass(frozen=True, slots=True)
class SignIn:
    """Somebody of the pretend school; the password is made anew for every demo."""

    login: str
    name: str
    role: Literal["admin", "teacher", "viewer"]
    classes: tuple[str, ...]
    password: str
    says: str
    """a message id: what this person does"""


def people_of(passwords: Sequence[str]) -> tuple[SignIn, ...]:
    """The three who can sign in, with these passwords."""
    lan, admin, principal = passwords
    return (
        SignIn("co-lan", "Cô Lan", "teacher", ("6a1", "10a2"), lan, _("a teacher of 6A1 and 10A2")),
        SignIn("quan-tri", "Thầy Minh", "admin", (), admin, _("IT staff: everything")),
        SignIn("hieu-truong", "Cô Hoa", "viewer", (), principal, _("the principal: sees the school, changes nothing")),
    )


def school_yaml(directory: Path, ports: Ports, upstream: str, language: str) -> str:
    """The school file: everything that the demo writes stays below ``directory``."""
    quote = json.dumps
    groups = "\n".join(
        f"  - {{name: {quote(name)}, title: {json.dumps(title, ensure_ascii=False)}, tier: {tier}, clients: [127.0.{number}.0/24]}}"
        for number, (name, title, tier) in enumerate(GROUPS, 1)
    )
    lessons = "\n".join(f'    "{name}": {times}' for name, times in LESSONS)
    return f"""\
school:
  name: {SCHOOL}
  language: {language}
  contact: co-chu-nhiem@manglanh.example
dns:
  listen: ["127.0.0.1:{ports.dns}"]
  upstreams: [{quote(upstream)}]
  allow_from: [127.0.0.0/8]
  block_answer: page
  block_page: [127.0.0.1]
lists: {{directory: {quote(str(directory / "lists"))}}}
state: {quote(str(directory / "state.json"))}
groups:
{groups}
default_group: khach
timetable:
  lessons:
{lessons}
dashboard: {{listen: "127.0.0.1:{ports.dashboard}"}}
block_page: {{listen: ["127.0.0.1:{ports.block_page}"]}}
"""


@dataclass(frozen=True, slots=True)
class Tour:
    """What `demo` prints, for one machine: where it listens, who can sign in, how the command is typed here, and whether dig is there."""

    ports: Ports
    program: str
    has_dig: bool
    people: tuple[SignIn, ...]
    translate: Translate

    def text(self, config: Path) -> str:
        """Group by group the lines to type and what each will show; then switching a class, and looking inside."""
        translate = self.translate
        lines = [
            translate("A pretend school is running: {school}").format(school=SCHOOL),
            translate("Its school file, to look at or to change: {config}").format(config=config),
            "",
            f"# {translate('In a browser')}: http://127.0.0.1:{self.ports.dashboard}/",
            *(f"  {person.login:<12} {person.password:<20} # {translate(person.says)}" for person in self.people),
            "",
            translate("Or type these lines in a second terminal. Ctrl-C here ends everything."),
        ]
        for name, title, tier in GROUPS:
            lines += ["", f"# {title} ({tier}), {client_of(name)}"]
            lines += [self._line(self._question(item.group, item.name, item.rtype), item.shows) for item in TRIES if item.group == name]
        lines += ["", f"# {translate('A class is switched to an exam and back')}", *self._lesson()]
        lines += ["", f"# {translate('Looking inside')}", *self._looking()]
        return "\n".join(lines) + "\n"

    def _line(self, command: str, shows: str) -> str:
        return f"{command:<72} # {self.translate(shows)}"

    def _question(self, group: str, name: str, rtype: str = "A") -> str:
        if not self.has_dig:
            return self._ask(group, name, rtype)
        kind = "" if rtype == "A" else f" {rtype}"
        return f"dig -b {client_of(group)} -p {self.ports.dns} @127.0.0.1 {name}{kind}"

    def _ask(self, group: str, name: str, rtype: str = "A") -> str:
        kind = "" if rtype == "A" else f" --type {rtype}"
        return f"{self.program} ask {name} --client {client_of(group)}{kind}"

    def _lesson(self) -> list[str]:
        exam = f'{self.program} mode 6a1 exam --for 45m --reason "Kiểm tra" --site {EXAM_SITE}'
        return [
            self._line(exam, _("class 6A1 sits an exam, for 45 minutes at most")),
            self._line(self._question("6a1", "vnexpress.net"), _("now blocked: not on the exam's list")),
            self._line(self._question("6a1", EXAM_SITE), _("the exam's own site is open")),
            self._line(f"{self.program} mode 6a1 normal", _("the exam is over")),
            self._line(self._question("6a1", "vnexpress.net"), _("answered again")),
        ]

    def _looking(self) -> list[str]:
        lines = [
            self._line(f"{self.program} explain fun88.com --client 127.0.3.1", _("why: the rung that decided, and all the others")),
            self._line(f"{self.program} tail", _("decisions as they are made; nothing is stored")),
            self._line(
                f"{self.program} selftest --client 127.0.3.1", _("which categories are filtered, as a record for the yearly review")
            ),
        ]
        page = (
            f"curl -s --interface {client_of('6a1')} -H 'Host: fun88.com' -H 'Accept: text/html' http://127.0.0.1:{self.ports.block_page}/"
        )
        lines.append(self._line(page, _("the page that a pupil of 6A1 sees instead of the casino")))
        if self.has_dig:
            lines.append(self._line(self._ask("6a1", "fun88.com"), _("like dig, in plain words")))
        return lines

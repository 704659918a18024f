"""The first school file, which `init` and a first start write: YAML text made from a few answers, with comments that lead on.

``write`` refuses to write over a file that is there. What it writes is what policies/load.py accepts; a test loads it. [shell]
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dashboard.catalogue import Translate
from gateway.cli.school import SYSTEM, find, search
from gateway.cli.terminal import CommandError
from policies.load import parse

DATA = "manglanh-data"
"""beside a school file that is not the system's"""
DEFAULT_UPSTREAMS = ("tls://1.1.1.1#cloudflare-dns.com", "tls://9.9.9.9#dns.quad9.net")


@dataclass(frozen=True, slots=True)
class FirstGroup:
    name: str
    title: str
    tier: str
    clients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answers:
    """What `init` asks."""

    school: str
    language: str
    upstreams: tuple[str, ...]
    groups: tuple[FirstGroup, ...]
    contact: str = ""
    province: str = ""
    """the province's file, as the school's file names it"""
    listen: tuple[str, ...] = ()
    """where DNS is answered; none: port 53 of every address"""
    data: Path | None = None
    """the folder for the lists and the live state; None: the system's"""


def parse_group(text: str) -> FirstGroup:
    """``6a1:thcs:10.0.12.0/24,10.0.13.7`` or with a title, ``6a1:thcs:10.0.12.0/24:Lớp 6A1``. Raises ValueError.

    The last part is a title only where it is no network, so that IPv6 networks need no quoting.
    """
    name, _, rest = text.partition(":")
    tier, _, tail = rest.partition(":")
    clients, separator, title = tail.rpartition(":")
    if not separator or _is_clients(title) or _is_clients(tail):
        clients, title = tail, ""
    parts = tuple(part.strip() for part in clients.split(",") if part.strip())
    if not name or not tier or not parts:
        raise ValueError(text)
    return FirstGroup(name, title, tier, parts)


def _is_clients(text: str) -> bool:
    return bool(text) and all(character in "0123456789abcdefABCDEF:./, " for character in text)


def render(answers: Answers, _: Translate) -> str:
    """The file's text. Every value is quoted as JSON, which is YAML, so that no name can break it."""
    given = {"province": answers.province, "contact": answers.contact}
    lines = [
        f"# {_('The school file of Mạng Lành. After a change: manglanh check')}",
        "school:",
        f"  name: {_quote(answers.school)}",
        f"  language: {answers.language}",
        *(f"  {key}: {_quote(value)}" for key, value in given.items() if value),
        "dns:",
        f"  # {_('Who answers what this box does not know: plain addresses, tls:// or https://')}",
        f"  upstreams: {_list(answers.upstreams)}",
        *([f"  listen: {_list(answers.listen)}"] if answers.listen else ()),
        f"# {_('Who is who: a group has a tier (mam-non, tieu-hoc, thcs, thpt, staff, guest) and its networks, addresses or MACs.')}",
        "groups:",
        *(_group(group) for group in answers.groups),
        f"# {_('Whoever no group names is a guest.')}",
        "default_group: guest",
        *_data(answers.data),
    ]
    return "\n".join(lines) + "\n"


def begin_with(given: Path | None, _: Translate) -> Path:
    """The school file to start with. Where there is none yet, a first one is written in its place, in which everybody is a guest: the box
    filters from its first minute, and the rest is said in the browser. Raises CommandError where none is there and none can be written.
    """
    path = search(given) or (SYSTEM if os.geteuid() == 0 else None)
    if path is None or path.exists():
        return find(path, _)
    guests = FirstGroup("guest", _("Guests"), "guest", ())
    data = None if path == SYSTEM else path.absolute().parent / DATA
    listen = () if os.geteuid() == 0 else ("0.0.0.0:5353",)
    text = render(Answers(_("Our school"), "vi", DEFAULT_UPSTREAMS, (guests,), listen=listen, data=data), _)
    try:
        write(path, text)
        parse(text, str(path)).state.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        if path.is_file():  # the resolver and the control process start at the same time
            return path
        # Not as a bad file: under systemd only the control process may write it, and the resolver is started again until it is there.
        raise CommandError(_("{path} cannot be written: {why}").format(path=path, why=error.strerror)) from None
    return path


def write(path: Path, text: str) -> None:
    """Raises FileExistsError, OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.new")
    aside.write_text(text, encoding="utf-8")
    try:
        os.link(aside, path)  # whole or not at all, and never over another
    finally:
        aside.unlink()


def _data(folder: Path | None) -> Sequence[str]:
    if folder is None:
        return ()
    return f"lists: {{directory: {_quote(str(folder / 'lists'))}}}", f"state: {_quote(str(folder / 'state.json'))}"


def _group(group: FirstGroup) -> str:
    title = f", title: {_quote(group.title)}" if group.title else ""
    return f"  - {{name: {_quote(group.name)}{title}, tier: {_quote(group.tier)}, clients: {_list(group.clients)}}}"


def _list(values: Sequence[str]) -> str:
    return "[" + ", ".join(_quote(value) for value in values) + "]"


def _quote(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)

"""The first school file that `init` writes: YAML text made from a few answers, with comments that lead on.

``write`` refuses to write over a file that is there. What it writes is what policies/load.py accepts; a test loads it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dashboard.catalogue import Translate


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
        f"# {_('Who is who: a group has a tier (mam-non, tieu-hoc, thcs, thpt, staff, guest) and its networks, addresses or MACs.')}",
        "groups:",
        *(_group(group) for group in answers.groups),
        f"# {_('Whoever no group names is a guest.')}",
        "default_group: guest",
    ]
    return "\n".join(lines) + "\n"


def write(path: Path, text: str) -> None:
    """Raises FileExistsError, OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(text)


def _group(group: FirstGroup) -> str:
    title = f", title: {_quote(group.title)}" if group.title else ""
    return f"  - {{name: {_quote(group.name)}{title}, tier: {_quote(group.tier)}, clients: {_list(group.clients)}}}"


def _list(values: Sequence[str]) -> str:
    return "[" + ", ".join(_quote(value) for value in values) + "]"


def _quote(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)

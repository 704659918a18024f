"""A school in a temporary directory: its file, its lists and its state, as a user would write them."""

import copy
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

COMMAND = (str(Path(sys.executable).with_name("manglanh")),)
CHECKOUT = Path(__file__).resolve().parents[2]

PUPIL, CHILD, TEACHER, UNLISTED = "127.0.6.1", "127.0.3.1", "127.0.2.1", "127.9.9.9"
"""addresses that ask: of the groups below, and one that nobody may serve"""
GROUPS = (
    {"name": "6a1", "title": "Lớp 6A1", "tier": "thcs", "clients": ["127.0.6.0/24"]},
    {"name": "mam", "title": "Lớp Mầm", "tier": "mam-non", "clients": ["127.0.3.0/24"]},
    {"name": "giao-vien", "title": "Giáo viên", "tier": "staff", "clients": ["127.0.2.0/24"]},
)
LISTS = {
    "gambling": ["casino.example"],
    "social": ["mang-xa-hoi.example"],
    "video": ["phim.example"],
    "unlawful": ["trai-luat.example"],
    "learning": ["hoc.example"],
    "help": ["tro-giup.example"],
}


@dataclass(frozen=True)
class School:
    directory: Path
    port: int

    @property
    def file(self) -> Path:
        return self.directory / "school.yaml"

    @property
    def lists(self) -> Path:
        return self.directory / "lists"

    @property
    def state(self) -> Path:
        return self.directory / "state" / "state.json"

    def write(self, upstreams: list[str], changes: Mapping[str, Any] | None = None) -> None:
        """The school's file, with ``changes`` laid over it (mappings merge, all else replaces)."""
        self.state.parent.mkdir(exist_ok=True)
        self.lists.mkdir(exist_ok=True)
        plain = {
            "school": {"name": "Trường THCS Thử Nghiệm"},
            "dns": {"listen": [f"127.0.0.1:{self.port}"], "workers": 1, "upstreams": upstreams, "allow_from": ["127.0.0.0/16"]},
            "lists": {"directory": str(self.lists)},
            "state": str(self.state),
            "groups": [dict(group) for group in GROUPS],
        }
        self.file.write_text(yaml.safe_dump(merged(plain, changes or {}), allow_unicode=True))

    def manglanh(self, *words: str, prefix: tuple[str, ...] = (), timeout: float = 60) -> "subprocess.CompletedProcess[str]":
        """A command of the product, run to its end."""
        return subprocess.run([*prefix, *COMMAND, *words], cwd=CHECKOUT, capture_output=True, text=True, timeout=timeout)

    def compile_lists(self, lists: Mapping[str, list[str]] = LISTS) -> Path:
        """Compiles category -> names into ``lists`` and makes that bundle the current one; returns its directory."""
        sources = write_sources(self.directory, lists)
        done = self.manglanh("lists", "compile", "--sources", str(sources), "--out", str(self.lists))
        assert done.returncode == 0, done.stdout + done.stderr
        return (self.lists / "current").resolve()


def write_sources(directory: Path, lists: Mapping[str, list[str]]) -> Path:
    sources = []
    for category, names in lists.items():
        path = directory / f"{category}.txt"
        path.write_text("".join(f"{name}\n" for name in names))
        sources.append({"name": category, "category": category, "format": "domains", "path": str(path), "licence": "MIT"})
    file = directory / "sources.yaml"
    file.write_text(yaml.safe_dump({"sources": sources}))
    return file


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    result = copy.deepcopy(dict(base))
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result

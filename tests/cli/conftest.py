"""A command line to type into, and a small school to type about. Nothing outside of the test's own directory is touched."""

import gettext
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.cli import main

SCHOOL = """\
school: {{name: Trường thử}}
dns: {{upstreams: ["127.0.0.1:9"], listen: ["{listen}"], workers: 1}}
lists: {{directory: {directory}/lists}}
state: {directory}/state.json
groups:
  - {{name: 6a1, title: Lớp 6A1, tier: thcs, clients: [10.0.12.0/24]}}
  - {{name: giao-vien, title: Giáo viên, tier: staff, clients: [10.0.2.0/24]}}
rules:
  - {{action: block, name: school-blocked.example, by: Tùng, reason: thử}}
"""


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def type_in(capsys, monkeypatch, tmp_path):
    """``type_in("explain", "fun88.com", ...)``: one command, as the console script runs it; in English unless it says otherwise."""
    monkeypatch.delenv("MANGLANH_CONFIG", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.delenv("LC_MESSAGES", raising=False)
    monkeypatch.setenv("LANGUAGE", "")
    monkeypatch.chdir(tmp_path)
    domain = gettext.textdomain()

    def run(*arguments: object) -> Result:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    yield run
    gettext.textdomain(domain)


def write_school(directory: Path, listen: str = "127.0.0.1:5399") -> Path:
    path = directory / "school.yaml"
    path.write_text(SCHOOL.format(directory=directory, listen=listen), encoding="utf-8")
    return path


@pytest.fixture
def school(tmp_path) -> Path:
    """A school file in the working directory; no bundle, so the starter lists serve."""
    return write_school(tmp_path)

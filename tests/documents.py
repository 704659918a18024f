"""The project's pages as tests read them: code blocks, links, and the `manglanh` commands in them, checked against the real command line."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from gateway.cli import build
from gateway.cli.terminal import without_language

ROOT = Path(__file__).resolve().parents[1]
GUIDES = ROOT / "docs" / "guides"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")])
COMMAND_LINE = get_command(build())

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^(#+) ", re.MULTILINE)
_PREFIXES = (["sudo", "-u", "manglanh"], ["sudo"])
_SEPARATORS = {"&&", "||", "|", ";"}


@dataclass(frozen=True)
class Block:
    language: str
    text: str


def blocks(text: str, language: str | None = None) -> list[Block]:
    """The fenced code of a page, in its order."""
    found = [Block(*match) for match in _FENCE.findall(text)]
    return found if language is None else [block for block in found if block.language == language]


def prose(text: str) -> str:
    return _FENCE.sub("", text)


def inline(text: str) -> list[str]:
    return _INLINE.findall(prose(text))


def links(text: str) -> list[str]:
    """Targets of relative links, without their anchors."""
    targets = (target.partition("#")[0] for target in _LINK.findall(prose(text)))
    return [target for target in targets if target and "://" not in target and not target.startswith("mailto:")]


def headings(text: str) -> list[int]:
    """The levels of all headings, in their order."""
    return [len(marks) for marks in _HEADING.findall(prose(text))]


def rows(text: str) -> Iterator[list[str]]:
    """The cells of every line of every table but the rules beneath heads."""
    for line in prose(text).splitlines():
        if line.startswith("|") and not set(line) <= set("|-: "):
            yield [cell.replace("\\|", "|").strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def typed(line: str) -> Iterator[list[str]]:
    """What follows ``manglanh`` in a line that a person types: a list of words per command."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return
    command: list[str] = []
    for word in [*words, ";"]:
        if word not in _SEPARATORS:
            command.append(word)
            continue
        for prefix in _PREFIXES:
            if command[: len(prefix)] == prefix:
                command = command[len(prefix) :]
                break
        if command[:1] == ["manglanh"] and len(command) > 1:
            yield command[1:]
        command = []


def fault(words: list[str], *, whole: bool) -> str:
    """Why the command line would refuse these words; empty: it would not. Nothing is run. ``whole``: no argument may be missing."""
    words = without_language(words)
    command: Any = COMMAND_LINE
    while words and hasattr(command, "commands") and not (command.invoke_without_command and words[0].startswith("-")):
        name = words.pop(0)
        if name in ("--help", "COMMAND"):
            return ""
        command = command.commands.get(name)
        if command is None:
            return f"no command {name}"
    if (hasattr(command, "commands") and not command.invoke_without_command) or "--help" in words:
        return ""
    try:
        command.make_context("manglanh", words)
    except typer.TyperException as error:
        missing = type(error).__name__ == "MissingParameter"
        return "" if missing and not whole else error.format_message() or "an argument is missing"
    return ""


def leaves(command: Any = COMMAND_LINE, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Every command as it is typed: ``lists compile``."""
    for name, child in getattr(command, "commands", {}).items():
        if hasattr(child, "commands"):
            yield from leaves(child, (*path, name))
        else:
            yield " ".join((*path, name))

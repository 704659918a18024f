"""How a command speaks with the person who typed it: the language, plain failure, and the exit codes.

Exit codes: 0 fine, 1 no (a check failed, nothing found), 2 usage or bad configuration.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import typer

from dashboard.catalogue import LANGUAGES, Translate, translator

NO = 1
BAD_USE = 2


class CommandError(Exception):
    """A command cannot go on; the message says why and, where there is one, what to do."""

    def __init__(self, message: str, code: int = NO) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Terminal:
    """The person's language and the translator to it; every command gets one through typer's context."""

    language: str
    translate: Translate


def speak(language: str) -> Terminal:
    return Terminal(language, translator(language))


def terminal(context: typer.Context) -> Terminal:
    found = context.find_object(Terminal)
    return found if found is not None else speak("en")


def choose_language(arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    """``--language`` wherever it stands, or the locale's language where it is one of ours, or Vietnamese."""
    for position, argument in enumerate(arguments):
        if argument == "--language" and position + 1 < len(arguments):
            return _known(arguments[position + 1])
        if argument.startswith("--language="):
            return _known(argument.partition("=")[2])
    locale = environ.get("LC_ALL") or environ.get("LC_MESSAGES") or environ.get("LANG") or ""
    return _known(locale[:2])


def without_language(arguments: Sequence[str]) -> list[str]:
    """``arguments`` without ``--language``, so that it may stand before or after the command's name."""
    left: list[str] = []
    skip = False
    for argument in arguments:
        if skip:
            skip = False
        elif argument == "--language":
            skip = True
        elif not argument.startswith("--language="):
            left.append(argument)
    return left


def _known(language: str) -> str:
    return language if language in LANGUAGES else LANGUAGES[0]


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))

"""The command line: `manglanh COMMAND`. The composition root, and the only place that may import everything.

Promises: help and messages in Vietnamese or English; exit codes 0 (fine), 1 (no), 2 (usage or bad configuration); quick to
start, since a command's own imports happen when it runs. One file per family of commands; what they share is in terminal.py
(speaking), options.py (spelling) and school.py (what decides).
"""

import gettext
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from typer.main import get_command

from dashboard.catalogue import MESSAGES, Translate
from gateway.cli import (
    ask,
    backup,
    check,
    control,
    demo,
    doctor,
    explain,
    export,
    init,
    lists,
    publish,
    run,
    selftest,
    switch,
    tail,
    update,
)
from gateway.cli.terminal import BAD_USE, CommandError, choose_language, speak, without_language

DOMAIN = "manglanh"
"""the catalogue in which typer's own words are"""

COMMANDS: tuple[Callable[..., None], ...] = (
    demo.demo,
    init.init,
    check.check,
    run.resolver,
    run.run,
    control.control,
    explain.explain,
    switch.mode,
    switch.unblock,
    tail.tail,
    ask.ask,
    doctor.doctor,
    selftest.selftest,
    export.export,
    backup.backup,
    backup.restore,
)


def build() -> typer.Typer:
    """The whole command tree, in English; ``translated`` puts it into a language."""
    app = typer.Typer(name="manglanh", no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.callback()(_root)
    for command in COMMANDS:
        app.command()(command)
    app.command()(version)
    app.add_typer(lists.app, name="lists")
    app.add_typer(publish.app, name="publish")
    app.add_typer(update.app, name="update")
    return app


def _root(
    language: Annotated[
        str, typer.Option("--language", metavar="[vi|en]", help="The language of what is printed. Default: from LANG.")
    ] = "",
) -> None:
    """Mạng Lành: a school network's content filter."""


def version() -> None:
    """Print the version."""
    from importlib.metadata import version as version_of

    typer.echo(f"manglanh {version_of('manglanh')}")


def translated(command: Any, _: Translate) -> Any:
    """The command tree with its help in another language: ``command`` itself, changed."""
    for part in (command, *command.get_params(typer.Context(command))):
        if getattr(part, "help", None):
            part.help = _(part.help)
    for child in getattr(command, "commands", {}).values():
        translated(child, _)
    return command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    speaker = speak(choose_language(given, os.environ))
    _ = speaker.translate
    _teach_typer(speaker.language)
    command = translated(get_command(build()), _)
    try:
        code = command.main(without_language(given), prog_name="manglanh", standalone_mode=False, obj=speaker)
    except CommandError as error:
        typer.echo(str(error), err=True)
        return error.code
    except typer.TyperException as error:
        typer.echo(f"{_('Error')}: {_usage(error, _)}", err=True)
        typer.echo(_("More: manglanh --help, manglanh COMMAND --help"), err=True)
        return BAD_USE
    except typer.Abort:
        return BAD_USE
    return code if isinstance(code, int) else 0


def _usage(error: typer.TyperException, _: Translate) -> str:
    """What is wrong with what was typed; typer has these messages in English only."""
    asked = getattr(error, "param", None)
    parameter = "" if asked is None else asked.metavar or asked.opts[-1]
    match type(error).__name__:
        case "MissingParameter":
            return _("{parameter} is missing").format(parameter=parameter)
        case "NoSuchOption":
            return _("there is no option {option}").format(option=getattr(error, "option_name", ""))
        case "BadParameter":
            return _("{parameter} cannot be this: {why}").format(parameter=parameter, why=error.message)
        case _:
            return error.format_message()


def _teach_typer(language: str) -> None:
    """Headings such as "Options" are typer's own messages, which it takes from the process's gettext domain."""
    os.environ["LANGUAGE"] = language
    gettext.bindtextdomain(DOMAIN, MESSAGES)
    gettext.textdomain(DOMAIN)

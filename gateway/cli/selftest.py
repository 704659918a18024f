"""`manglanh selftest`: asks for every category's test name and says which are filtered, as a record for the yearly review.

A test name (``gambling.manglanh.test``) exists nowhere, so only an extended error (RFC 8914: blocked, censored or filtered) counts
as filtered; that the name does not exist proves nothing.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer

from dashboard.catalogue import Translate, category_title
from filters.category import CATEGORIES, LOCKED
from gateway.cli.ask import server_address
from gateway.cli.options import CONFIG, JSON
from gateway.cli.terminal import BAD_USE, NO, CommandError, print_json, terminal


@dataclass(frozen=True, slots=True)
class Found:
    category: str
    filtered: bool


def selftest(
    context: typer.Context,
    *,
    server: Annotated[str, typer.Option("--server", help="The box to ask. Default: where the school file listens.")] = "",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Its port; with --server.")] = 53,
    client: Annotated[str, typer.Option("--client", help="The address to ask from; it must be one of this machine's own.")] = "",
    config: CONFIG = None,
    as_json: JSON = False,
) -> None:
    """Ask for each category's harmless test name. Prints which are filtered, for the yearly review."""
    from gateway.cli import question

    speaker = terminal(context)
    _ = speaker.translate
    host, number = server_address("", config, _) if not server else (_server(server, _), port)
    try:
        found = tuple(
            Found(category.id, question.ask(host, number, category.test_name, source=client).blocked) for category in CATEGORIES.values()
        )
    except question.NoAnswer as error:
        raise CommandError(_("{server} does not answer: {why}").format(server=f"{host}:{number}", why=error)) from None
    day = datetime.now(UTC).astimezone().isoformat(" ", "minutes")
    wrong = faults(found)
    if as_json:
        print_json(
            {"at": day, "server": host, "port": number, "filtered": {item.category: item.filtered for item in found}, "wrong": wrong}
        )
    else:
        typer.echo("\n".join(report(found, speaker.language, _)))
        typer.echo(record(found, day, f"{host}:{number}", client, _))
    raise typer.Exit(NO if wrong else 0)


def _server(text: str, _: Translate) -> str:
    from policies.socket_address import parse_address

    try:
        return parse_address(text)
    except ValueError as error:
        raise CommandError(str(error), BAD_USE) from None


def faults(found: tuple[Found, ...]) -> list[str]:
    """Categories that are wrong for everybody: a locked one that is open, an open one that is filtered."""
    return [item.category for item in found if item.filtered != (item.category in LOCKED) and _is_fixed(item.category)]


def _is_fixed(category: str) -> bool:
    return CATEGORIES[category].locked or CATEGORIES[category].open


def report(found: tuple[Found, ...], language: str, _: Translate) -> list[str]:
    """One line per category."""
    wrong = faults(found)
    return [
        f"{_('filtered') if item.filtered else _('open'):<10} {item.category:<14} {category_title(item.category, language)}"
        + (f"  <- {_('WRONG')}" if item.category in wrong else "")
        for item in found
    ]


def record(found: tuple[Found, ...], day: str, server: str, client: str, _: Translate) -> str:
    """The line to keep."""
    filtered = ", ".join(item.category for item in found if item.filtered) or "-"
    text = _("Record for the yearly review: {day}, server {server}, asked as {client}; filtered: {filtered}.")
    return text.format(day=day, server=server, client=client or _("this machine"), filtered=filtered)

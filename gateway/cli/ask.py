"""`manglanh ask`: one question to a running box, the answer and its reason in words."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dashboard.catalogue import Translate
from gateway.cli.options import CONFIG, JSON, RTYPE
from gateway.cli.terminal import BAD_USE, CommandError, print_json, terminal

if TYPE_CHECKING:
    from gateway.cli.question import Reply


def ask(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name, for example fun88.com.")],
    *,
    client: Annotated[str, typer.Option(help="The address to ask from; it must be one of this machine's own.")] = "",
    rtype: RTYPE = "A",
    server: Annotated[str, typer.Option(help="The box to ask, HOST:PORT. Default: where the school file listens.")] = "",
    config: CONFIG = None,
    as_json: JSON = False,
) -> None:
    """Ask a running box for a name. Prints the answer, and the reason for a block, in words."""
    from gateway.cli import question

    _ = terminal(context).translate
    host, port = server_address(server, config, _)
    try:
        reply = question.ask(host, port, name, rtype, source=client)
    except question.NoAnswer as error:
        raise CommandError(_("{server} does not answer: {why}").format(server=f"{host}:{port}", why=error)) from None
    except ValueError as error:
        raise CommandError(_("This cannot be asked: {what}").format(what=error), BAD_USE) from None
    if as_json:
        print_json(asdict(reply) | {"blocked": reply.blocked})
    else:
        typer.echo("\n".join(describe(name, reply, _)))


def describe(name: str, reply: "Reply", _: Translate) -> list[str]:
    """The lines that `ask` prints."""
    lines = [f"{name}: {reply.rcode}", *(f"  {record}" for record in reply.records)]
    if reply.blocked:
        lines.append(_("Blocked (extended error {code}).").format(code=reply.error))
    elif reply.error is not None:
        lines.append(_("Extended error {code}.").format(code=reply.error))
    for key, label in (("j", _("Reason")), ("o", _("Filtered by")), ("c", _("Contact"))):
        value = reply.reason.get(key)
        if value:
            lines.append(f"{label}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
    return lines


def server_address(server: str, config: Path | None, _: Translate) -> tuple[str, int]:
    """``--server``, or the first address in ``dns.listen``."""
    from gateway.cli.school import find, load_file
    from policies.socket_address import parse_address, parse_listen, split_port

    if not server:
        host, port = parse_listen(load_file(find(config, _), _).dns.listen[0])
        return local_address(host), port
    try:
        given, number = split_port(server)
        return parse_address(given), number or 53
    except ValueError as error:
        raise CommandError(str(error), BAD_USE) from None


def local_address(host: str) -> str:
    """Where this machine reaches a listener: loopback stands for "every address"."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read, not bound

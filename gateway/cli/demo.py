"""`manglanh demo`: a whole pretend school on this machine, with no internet."""

import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from dashboard.catalogue import Translate
from gateway.cli.terminal import BAD_USE, CommandError, terminal

FIRST_PORT = 5353
FIRST_DASHBOARD = 8080
FIRST_BLOCK_PAGE = 8180


def demo(
    context: typer.Context,
    *,
    upstream: Annotated[str, typer.Option("--upstream", help="A real upstream instead of the built-in one: 9.9.9.9, tls://...")] = "",
    port: Annotated[
        int,
        typer.Option("--port", min=0, max=65535, show_default=False, help="The port to answer on. Default: 5353, or the next free one."),
    ] = 0,
) -> None:
    """Run a pretend school, no internet needed. Ctrl-C ends it and leaves nothing behind."""
    from blocklists.compile import compile_starter
    from dashboard.catalogue import block_texts
    from gateway import supervisor
    from gateway.cli.demo_people import move_in, passwords
    from gateway.cli.demo_place import noted
    from gateway.cli.demo_school import Ports, Tour, people_of, school_yaml

    speaker = terminal(context)
    _ = speaker.translate
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="manglanh-demo-")))
        address = _checked(upstream, _) if upstream else stack.enter_context(_internet())
        config = directory / "school.yaml"
        ports = Ports(_port(port, _), _free(FIRST_DASHBOARD, _), _free(FIRST_BLOCK_PAGE, _))
        config.write_text(school_yaml(directory, ports, address, speaker.language), encoding="utf-8")
        people = people_of(passwords(3))
        move_in(config, people, speaker.language)
        starter = compile_starter(directory / "starter")
        stack.enter_context(noted(config))
        text = Tour(ports, program(), shutil.which("dig") is not None, people, _).text(config)
        code = supervisor.run(
            config,
            starter=starter,
            metrics=None,
            texts=block_texts(speaker.language),
            runtime=directory / "run",
            control=(
                sys.executable,
                "-m",
                "gateway.cli",
                "--language",
                speaker.language,
                "control",
                "--config",
                str(config),
                "--attached",
                "--only-pages",
            ),
            on_ready=lambda: typer.echo(text),
        )
    raise typer.Exit(code)


def program() -> str:
    """How the command is typed in another terminal: by its name where the shell finds it, or by its whole path."""
    script = Path(sys.executable).with_name("manglanh")
    return "manglanh" if shutil.which("manglanh") or not script.is_file() else shlex.quote(str(script))


def _port(wanted: int, _: Translate) -> int:
    """The port that was asked for, or else the first free one from 5353 on: on a desktop, avahi often has that one."""
    from gateway.cli.ports import is_free

    if wanted and not is_free(wanted):
        raise CommandError(_("Port {port} is taken; choose another with --port.").format(port=wanted))
    return wanted or _free(FIRST_PORT, _)


def _free(first: int, _: Translate) -> int:
    """The first free port from ``first`` on."""
    from gateway.cli.ports import is_free

    for port in range(first, first + 20):
        if is_free(port):
            return port
    raise CommandError(_("Port {port} and the 19 after it are taken.").format(port=first))


@contextmanager
def _internet() -> Iterator[str]:
    """The built-in upstream, on a free loopback port, while this lasts."""
    from gateway.demo_internet import DemoInternet

    internet = DemoInternet()
    try:
        yield internet.address
    finally:
        internet.close()


def _checked(upstream: str, _: Translate) -> str:
    from policies.upstream_address import parse

    try:
        return str(parse(upstream))
    except ValueError as error:
        raise CommandError(_("--upstream {text}: {why}").format(text=upstream, why=error), BAD_USE) from None

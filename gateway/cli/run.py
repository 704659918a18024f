"""`manglanh resolver` and `manglanh run`: start the box's processes and stay until they end."""

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.options import CONFIG
from gateway.cli.terminal import BAD_USE, CommandError, terminal

METRICS = Annotated[str, typer.Option("--metrics", help="Serve Prometheus metrics on HOST:PORT, for example 127.0.0.1:9153.")]
TRIAL_METRICS = "127.0.0.1:9153"


def resolver(context: typer.Context, config: CONFIG = None, metrics: METRICS = "") -> None:
    """Answer DNS queries as the school file says. SIGHUP or a changed file reloads; SIGTERM ends."""
    _serve(context, config, metrics, trial=False)


def run(context: typer.Context, config: CONFIG = None, metrics: METRICS = TRIAL_METRICS) -> None:
    """Run the whole box for a trial: the resolver with metrics, and the control process. In production systemd starts them."""
    _serve(context, config, metrics, trial=True)


def _serve(context: typer.Context, config: Path | None, metrics: str, *, trial: bool) -> None:
    """A trial keeps its sockets beside its state file, so that it never takes those of a real box on the same machine."""
    from dashboard.catalogue import block_texts
    from gateway import supervisor
    from gateway.cli.first_school import begin_with
    from gateway.cli.school import load_file
    from gateway.runtime import beside_state, claim, runtime_directory
    from policies.socket_address import parse_listen

    _ = terminal(context).translate
    path = begin_with(config, _)
    file = load_file(path, _)
    try:
        if metrics:
            parse_listen(metrics)
        runtime = claim(beside_state(file)) if trial else runtime_directory(file)
        starter = fresh_starter(runtime)
    except ValueError as error:
        raise CommandError(_("--metrics {text}: {why}").format(text=metrics, why=error), BAD_USE) from None
    except OSError as error:
        raise CommandError(_("No directory for the sockets: {why}").format(why=error)) from None
    control = (sys.executable, "-m", "gateway.cli", "control", "--config", str(path), "--attached") if trial else ()
    texts = block_texts(file.school.language)
    raise typer.Exit(supervisor.run(path, starter=starter, metrics=metrics or None, texts=texts, runtime=runtime, control=control))


def fresh_starter(runtime: Path) -> Path:
    """The starter lists, compiled into a folder of this process's own. Raises OSError.

    Never over an earlier one: a worker that outlived its supervisor still has those files mapped, and removing a mapped file
    leaves it readable while writing over it does not.
    """
    from blocklists.compile import compile_starter

    for earlier in runtime.glob("starter-*"):
        shutil.rmtree(earlier, ignore_errors=True)
    folder = runtime / f"starter-{os.getpid()}"
    folder.mkdir(mode=0o750, parents=True)
    return compile_starter(folder)

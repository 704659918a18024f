"""`manglanh export`: what a tier blocks, as a list for another program."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from dashboard.catalogue import Translate
from gateway.cli.options import CONFIG
from gateway.cli.terminal import BAD_USE, CommandError, terminal

if TYPE_CHECKING:
    from filters.domain_index import DomainIndex
    from policies.model import LocalRule, SchoolFile

FORMAT = Annotated[str, typer.Option("--format", help="rpz, hosts, dnsmasq, unbound or adblock.")]
TIER = Annotated[str, typer.Option("--tier", help="Which tier: mam-non, tieu-hoc, thcs, thpt, staff, guest, or one of the school's own.")]
OUT = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where to; replaced whole. Default: what is printed.")]
DIRECTORY = Annotated[
    Path | None, typer.Option("--directory", metavar="DIR", help="The lists' directory, or a bundle. Default: the school file's.")
]


def export(
    context: typer.Context, *, form: FORMAT, tier: TIER, out: OUT = None, directory: DIRECTORY = None, config: CONFIG = None
) -> None:
    """Write what a tier blocks as a list for BIND, Unbound, dnsmasq, a hosts file or an Adblock-style filter."""
    import time

    from gateway.cli.progress import counting
    from gateway.effect import Effect, tier_policy
    from gateway.export import FORMATS
    from gateway.export import export as lines
    from policies.suggest import unknown
    from policies.tiers import resolve_tiers

    _ = terminal(context).translate
    if form not in FORMATS:
        raise CommandError(unknown("format", form, FORMATS), BAD_USE)
    file, rules = _school(config, _)
    tiers = resolve_tiers(file.tiers)
    if tier not in tiers:
        raise CommandError(unknown("tier", tier, tiers), BAD_USE)
    index = _open(directory or file.lists.directory, _)
    now = time.time()
    try:
        with _written(out) as target, counting(_("Names"), index.names) as step:
            effect = Effect(tier_policy(file, rules, tier, now), index)
            target.writelines(f"{line}\n" for line in lines(FORMATS[form], effect, tier, now, lambda count: step(form, count)))
    except BrokenPipeError:  # whoever reads wants no more: `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise CommandError(_("{path} cannot be written: {why}").format(path=out or "-", why=error.strerror)) from None


def _school(config: Path | None, _: Translate) -> "tuple[SchoolFile, tuple[LocalRule, ...]]":
    """The school's file and the rules of its state; without a school file one that changes nothing. Raises CommandError."""
    from gateway.cli.school import load_file, search
    from policies.model import Dns, Group, School, SchoolFile
    from policies.state import StateError, read_state

    path = search(config)
    if path is None:
        nobody = Group(name="a", tier="guest")
        return SchoolFile(school=School(name=""), dns=Dns(upstreams=("127.0.0.1",)), groups=(nobody,)), ()
    file = load_file(path, _)
    try:
        return file, read_state(file.state).rules
    except (StateError, OSError) as error:
        raise CommandError(str(error)) from None


def _open(path: Path, _: Translate) -> "DomainIndex":
    from blocklists.install import CURRENT
    from filters.domain_index import BadBundle, DomainIndex

    current = path / CURRENT
    try:
        return DomainIndex.open(current if os.path.isdir(current) else path)  # noqa: PTH112 - False for what may not be looked at
    except BadBundle as error:
        raise CommandError(_("{path} holds no usable bundle: {why}").format(path=path, why=error)) from None


@contextmanager
def _written(out: Path | None) -> Iterator[TextIO]:
    """Standard output, or a file that is there whole or as it was before. Raises OSError."""
    if out is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    aside = out.with_name(f".{out.name}.new")
    try:
        with aside.open("w", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(out)
    finally:
        aside.unlink(missing_ok=True)

"""`manglanh init`: asks a few things and writes a first school file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dashboard.catalogue import Translate
from filters.message import said
from gateway.cli.terminal import BAD_USE, CommandError, terminal

if TYPE_CHECKING:
    from gateway.cli.first_school import FirstGroup


def init(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="[FILE]", help="The file to write.")] = Path("school.yaml"),
    *,
    school: Annotated[str, typer.Option("--school", help="The school's name. Given this, nothing is asked.")] = "",
    upstream: Annotated[list[str] | None, typer.Option("--upstream", help="An upstream resolver; may be repeated.")] = None,
    group: Annotated[
        list[str] | None, typer.Option("--group", help="A group, NAME:TIER:NETWORKS[:TITLE]; may be repeated. 6a1:thcs:10.0.12.0/24")
    ] = None,
    province: Annotated[
        Path | None,
        typer.Option("--province", metavar="FILE", help="The province's file, province.yaml: where its lists are and whom to trust."),
    ] = None,
    contact: Annotated[
        str, typer.Option("--contact", help="Whom a pupil asks, shown with every block: a phone number, a mail address or a link.")
    ] = "",
) -> None:
    """Ask a few things and write a first school file. Never writes over one."""
    from gateway.cli.first_school import DEFAULT_UPSTREAMS, Answers, render, write
    from policies.load import ConfigError, parse
    from policies.province import load_province

    speaker = terminal(context)
    _ = speaker.translate
    if path.exists():
        raise CommandError(_("{path} is there already; nothing was written.").format(path=path))
    asked = not school
    school = school or typer.prompt(_("The school's name"))
    upstreams = tuple(upstream or ((_ask_upstreams(_)) if asked else DEFAULT_UPSTREAMS))
    groups = tuple(_group(text, _) for text in group or ()) or (_ask_groups(_) if asked else ())
    if not groups:
        raise CommandError(_("At least one --group is needed, for example --group 6a1:thcs:10.0.12.0/24"), BAD_USE)
    leads_to = _from(path, province) if province else ""
    text = render(Answers(school, speaker.language, upstreams, groups, contact, leads_to), _)
    try:
        if province:
            load_province(province)
        parse(text, str(path))
    except ConfigError as error:
        raise CommandError(said(error, _), BAD_USE) from None
    try:
        write(path, text)
    except OSError as error:
        raise CommandError(_("{path} cannot be written: {why}").format(path=path, why=error.strerror)) from None
    typer.echo(_("Written: {path}. Next: manglanh check --config {path}, then manglanh resolver --config {path}").format(path=path))


def _from(school_file: Path, province: Path) -> str:
    """As the school's file names it: from its own folder on, so that both may be moved together."""
    folder, place = school_file.resolve().parent, province.resolve()
    return str(place.relative_to(folder) if place.is_relative_to(folder) else place)


def _group(text: str, _: Translate) -> "FirstGroup":
    from gateway.cli.first_school import parse_group

    try:
        return parse_group(text)
    except ValueError:
        raise CommandError(
            _("{text}: a group is NAME:TIER:NETWORKS, for example 6a1:thcs:10.0.12.0/24").format(text=text), BAD_USE
        ) from None


def _ask_upstreams(_: Translate) -> tuple[str, ...]:
    from gateway.cli.first_school import DEFAULT_UPSTREAMS

    answer: str = typer.prompt(_("Upstream resolvers, with a space between them"), default=" ".join(DEFAULT_UPSTREAMS))
    return tuple(answer.split())


def _ask_groups(_: Translate) -> "tuple[FirstGroup, ...]":
    """One line per group, an empty one ends."""
    typer.echo(_("Groups, one a line, as NAME:TIER:NETWORKS (for example 6a1:thcs:10.0.12.0/24); an empty line ends."))
    typer.echo(_("Tiers: mam-non (under 6), tieu-hoc (1-5), thcs (6-9), thpt (10-12), staff, guest."))
    groups: list[FirstGroup] = []
    while True:
        line: str = typer.prompt(_("Group"), default="", show_default=False)
        if not line.strip():
            return tuple(groups)
        try:
            groups.append(_group(line.strip(), _))
        except CommandError as error:
            typer.echo(str(error))

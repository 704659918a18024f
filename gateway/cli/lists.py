"""`manglanh lists compile|import|show|diff`: build a bundle, add a list to a sources.yaml, and look into bundles."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dashboard.catalogue import Translate, category_title
from filters.message import said
from gateway.cli.options import JSON
from gateway.cli.progress import Step, counting
from gateway.cli.terminal import BAD_USE, NO, CommandError, print_json, terminal

if TYPE_CHECKING:
    from blocklists.report import BuildReport
    from blocklists.sources import ListSource
    from filters.domain_index import DomainIndex

DIRECTORY = Path("/var/lib/manglanh/lists")
TIMEZONE = "Asia/Ho_Chi_Minh"
"""for moments that are shown without a school file"""
_STRIDE = 10_000


app = typer.Typer(no_args_is_help=True, help="Lists: compile them into a bundle, add one, and look into bundles.")


@app.command("compile")
def compile_command(
    context: typer.Context,
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where bundles live: DIR/current is the one in force. Default: the school file's."),
    ] = None,
    sources: Annotated[
        Path | None, typer.Option("--sources", metavar="FILE", help="Which lists. Default: the sources.yaml of the package.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Accept empty lists, and ones that shrank or grew beyond belief.")] = False,
    as_json: JSON = False,
) -> None:
    """Fetch and compile the lists, and put the new bundle in force."""
    from blocklists.build import CACHE, build
    from blocklists.compile import CompileRefused
    from blocklists.fetch import Fetcher
    from blocklists.install import Busy
    from filters.bundle import BadBundle

    _ = terminal(context).translate
    listed = _load(sources, _)
    directory = out or _schools_directory(_)
    fetcher = Fetcher(directory / CACHE)
    try:
        with counting(_("Lists"), 2 * len(listed)) as step:
            report = build(listed, directory, fetcher, force=force, progress=step)
    except CompileRefused as error:
        raise CommandError(_("Refused; the bundle in force stays:") + "\n" + said(error, _)) from None
    except (Busy, BadBundle, OSError) as error:
        raise CommandError(_("The bundle was not installed: {why}").format(why=error)) from None
    finally:
        fetcher.close()
    _print_report(report, as_json=as_json, _=_)


def _schools_directory(_: Translate) -> Path:
    """Where the school's file says that bundles live; without a school file, where they live by default."""
    from gateway.cli.school import load_file, search

    path = search(None)
    return DIRECTORY if path is None else load_file(path, _).lists.directory


@app.command("import")
def import_command(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The list; for the format ut1 a folder.")],
    *,
    category: Annotated[str, typer.Option("--category", help="What its names are: gambling, adult, ...")],
    list_format: Annotated[str, typer.Option("--format", help="hosts, domains, adblock, dnsmasq, rpz, ut1 or regex.")],
    name: Annotated[str, typer.Option("--name", help="A name of its own, as explanations will show it.")],
    to: Annotated[Path, typer.Option("--to", metavar="SOURCES", help="The sources.yaml that it is added to; made if absent.")],
    licence: Annotated[str, typer.Option("--licence", help="Under which licence it comes.")] = "own",
    as_json: JSON = False,
) -> None:
    """Check a list, report on every line, and add it to a sources.yaml. The list stays where it is."""
    from blocklists.build import examine
    from blocklists.compile import CompileRefused
    from blocklists.sources import BadSources, appended, parse_sources

    _ = terminal(context).translate
    folder = to.resolve().parent
    place = file.resolve()
    path = place.relative_to(folder) if place.is_relative_to(folder) else place
    entry = {"name": name, "category": category, "format": list_format, "path": str(path), "licence": licence}
    try:
        text = to.read_text(encoding="utf-8") if to.exists() else ""
        extended = appended(text, entry, str(to), folder)
        report = examine(parse_sources(extended, str(to), folder)[-1])
        _replace(to, extended)
    except BadSources as error:
        raise CommandError(said(error, _), BAD_USE) from None
    except CompileRefused as error:
        raise CommandError(_("Refused; nothing was added:") + "\n" + said(error, _)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(_("Nothing was added: {why}").format(why=error)) from None
    _print_report(report, as_json=as_json, _=_)
    if not as_json:
        typer.echo(_("Added to {file}; `manglanh lists compile` puts it in force.").format(file=to))


@app.command("show")
def show_command(
    context: typer.Context,
    directory: Annotated[str, typer.Argument(metavar="[DIR]", help="The lists' directory, or a bundle. Default: the system's.")] = "",
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="A name: which lists speak of it?")] = "",
    *,
    freshness: Annotated[bool, typer.Option("--freshness", help="How old the lists are, and what keeps them from being updated.")] = False,
    as_json: JSON = False,
) -> None:
    """Show what a bundle holds, or which lists speak of a name."""
    from filters.name import InvalidName, normalise

    speaker = terminal(context)
    _ = speaker.translate
    if freshness:
        _show_freshness(Path(directory) if directory else _schools_directory(_), as_json=as_json, _=_)
        return
    if directory and not name and not _is_folder(Path(directory)):
        directory, name = "", directory
    index = _open(Path(directory) if directory else DIRECTORY, _)
    if not name:
        _show_summary(index, as_json=as_json, language=speaker.language, _=_)
        return
    try:
        matches = index.lookup(normalise(name))
    except InvalidName as error:
        raise CommandError(_("{text} is not a name: {why}").format(text=name, why=said(error, _)), BAD_USE) from None
    found = [{"rule": match.rule, "list": match.source.name, "category": match.source.category} for match in matches]
    if as_json:
        print_json(found)
    elif not found:
        typer.echo(_("{name}: no list speaks of it.").format(name=name))
    for row in [] if as_json else found:
        typer.echo(f"{row['rule']}  {category_title(row['category'], speaker.language)} ({row['category']})  {row['list']}")
    if not found:
        raise typer.Exit(1)


@app.command("diff")
def diff_command(
    context: typer.Context,
    before: Annotated[Path, typer.Argument(metavar="A", help="A bundle, or a lists' directory.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="The other one.")],
    *,
    first: Annotated[int, typer.Option("--first", min=0, help="How many changes of each kind to name.")] = 20,
    as_json: JSON = False,
) -> None:
    """Say which names were added, removed or moved to other categories from A to B."""
    from dataclasses import asdict

    from blocklists.compare import compare

    _ = terminal(context).translate
    old, new = _open(before, _), _open(after, _)
    with counting(_("Names"), old.names + new.names) as step:
        difference = compare(old, new, first, lambda entries: _stepping(entries, step))
    if as_json:
        print_json(asdict(difference))
        return
    counts = difference.added, difference.removed, difference.recategorised
    typer.echo(
        _("{added} added, {removed} removed, {moved} in other categories").format(added=counts[0], removed=counts[1], moved=counts[2])
    )
    for change in difference.first:
        sign = "~" if change.before and change.after else "+" if change.after else "-"
        categories = [" ".join(side) for side in (change.before, change.after) if side]
        typer.echo(f"{sign} {change.name}  {' -> '.join(categories)}")


def _load(path: Path | None, _: Translate) -> "tuple[ListSource, ...]":
    from blocklists.sources import PACKAGED, BadSources, load

    try:
        return load(path or PACKAGED)
    except BadSources as error:
        raise CommandError(said(error, _), BAD_USE) from None


def _is_folder(path: Path) -> bool:
    """False, where Path.is_dir raises, for what may not be looked at: ``sudo -u manglanh`` keeps the private home in which it was typed."""
    return os.path.isdir(path)  # noqa: PTH112 - see above


def _open(path: Path, _: Translate) -> "DomainIndex":
    from blocklists.install import CURRENT
    from filters.domain_index import BadBundle, DomainIndex

    try:
        return DomainIndex.open(path / CURRENT if _is_folder(path / CURRENT) else path)
    except BadBundle as error:
        raise CommandError(_("{path} holds no usable bundle: {why}").format(path=path, why=error)) from None


def _print_report(report: "BuildReport", *, as_json: bool, _: Translate) -> None:
    from blocklists.report import table

    if as_json:
        typer.echo(report.to_json(), nl=False)
        return
    typer.echo(table(report.sources), nl=False)
    for note in report.notes:
        typer.echo(said(note, _))
    typer.echo(_("{names} names; bundle {identity}").format(names=report.names, identity=report.identity[:16]))


def _show_summary(index: "DomainIndex", *, as_json: bool, language: str, _: Translate) -> None:
    rows = [
        {"list": source.name, "category": source.category, "names": count, "licence": source.licence, "url": source.url}
        for source, count in zip(index.sources, index.counts, strict=True)
    ]
    if as_json:
        print_json({"identity": index.identity, "built_at": index.built_at, "names": index.names, "lists": rows})
        return
    width = max((len(source.name) for source in index.sources), default=0)
    for source, count in zip(index.sources, index.counts, strict=True):
        typer.echo(
            f"{source.name:{width}}  {count:>9}  {category_title(source.category, language)} ({source.category})  {source.licence}".rstrip()
        )
    typer.echo(_("{names} names; bundle {identity}").format(names=index.names, identity=index.identity[:16]))


def _show_freshness(directory: Path, *, as_json: bool, _: Translate) -> None:
    """Raises Exit(1) where something is wrong, for scripts."""
    from blocklists.box.release_record import read_status
    from gateway.cli.update import freshness

    status = read_status(directory)
    if as_json:
        print_json(status.model_dump())
    for line in [] if as_json else freshness(status, TIMEZONE, _):
        typer.echo(line)
    if not status.well:
        raise typer.Exit(NO)


def _replace(path: Path, text: str) -> None:
    """Write the file whole or not at all."""
    aside = path.with_name(f".{path.name}.new")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


def _stepping(entries: Any, step: Step) -> Iterator[Any]:
    """The entries, with a step for every ten thousand."""
    for number, (name, entry) in enumerate(entries, 1):
        if number % _STRIDE == 0:
            step(name, _STRIDE)
        yield name, entry

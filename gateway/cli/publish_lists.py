"""`manglanh publish add|remove|fetch|stage|diff`: what a province's lists say, from a typed entry to what waits for signatures."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dashboard.catalogue import Translate
from filters.message import said
from gateway.cli.options import FOLDER, JSON
from gateway.cli.progress import counting, downloading
from gateway.cli.terminal import BAD_USE, NO, CommandError, Terminal, print_json, terminal

if TYPE_CHECKING:
    from blocklists.channels import Channel
    from blocklists.entries import ListEntry
    from blocklists.publisher.difference import ReleaseDifference
    from blocklists.publisher.fetching import SourceState
    from blocklists.publisher.workspace import Workspace
    from filters.message import Message

HERE = Path()
NAME = Annotated[str, typer.Argument(metavar="NAME", help="The name of the site; everything below it is meant too.")]
LIST = Annotated[
    str, typer.Option("--list", metavar="LIST", help="mandatory, categories or learning. Default: the one that the category belongs to.")
]


def add(
    context: typer.Context,
    name: NAME,
    *,
    category: Annotated[str, typer.Option("--category", help="What it is: unlawful, gambling, learning, ...")] = "",
    authority: Annotated[str, typer.Option("--authority", help="Who orders it.")] = "",
    document: Annotated[str, typer.Option("--document", help="The order's number and date.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why, in a few words; people will read it.")] = "",
    expires: Annotated[str, typer.Option("--expires", metavar="DATE", help="The last day on which it holds: 2026-12-31.")] = "",
    channel: LIST = "",
    unlist: Annotated[bool, typer.Option("--unlist", help="Take the name out of the category lists instead.")] = False,
    folder: FOLDER = HERE,
) -> None:
    """Add an entry to a list. It takes effect when the list is staged, signed and released."""
    from blocklists.publisher import texts

    speaker = terminal(context)
    _ = speaker.translate
    order = texts.Order(name, category, authority, document, reason, expires, unlist)
    with refusals(_("Nothing was added:"), _):
        workspace = _workspace(folder)
        target = _channel(channel, _) if channel else texts.channel_of(order)
        entry = texts.add(workspace.folder, target, order, _today(), workspace.settings.lists)
    _show(entry, "+", target, speaker)
    typer.echo(_("Written to {file}. Next: manglanh publish stage --urgent").format(file=texts.list_file(workspace.folder, target)))


def remove(
    context: typer.Context,
    name: NAME,
    *,
    category: Annotated[str, typer.Option("--category", help="Only this category. Default: every row of the name.")] = "",
    channel: Annotated[
        str, typer.Option("--list", metavar="LIST", help="mandatory, categories or learning. Default: the one that has it.")
    ] = "",
    folder: FOLDER = HERE,
) -> None:
    """Take a name out of a list. It stays blocked until that is staged, signed and released."""
    from blocklists.publisher import texts

    speaker = terminal(context)
    _ = speaker.translate
    with refusals(_("Nothing was removed:"), _):
        workspace = _workspace(folder)
        canonical = _canonical(name, _)
        target = _channel(channel, _) if channel else _channel_with(workspace, canonical, _)
        gone = texts.remove(workspace.folder, target, canonical, category)
    for entry in gone:
        _show(entry, "-", target, speaker)
    typer.echo(_("Written to {file}. Next: manglanh publish stage --urgent").format(file=texts.list_file(workspace.folder, target)))


def fetch(context: typer.Context, *, folder: FOLDER = HERE, as_json: JSON = False) -> None:
    """Fetch what has changed in the public lists of lists/sources.yaml. A list that cannot be had keeps its last good copy."""
    from dataclasses import asdict
    from time import time

    from blocklists.fetch import Fetcher
    from blocklists.publisher.fetching import refresh
    from blocklists.publisher.lists import cache_folder, load_sources

    _ = terminal(context).translate
    with refusals(_("Nothing was fetched:"), _):
        workspace = _workspace(folder)
        sources = load_sources(workspace)
        urls = {source.url for source in sources if source.url}
        with Fetcher(cache_folder(workspace)) as fetcher, downloading(_("Lists"), len(urls)) as (heard, done):
            states = refresh(sources, fetcher, heard, done)
    if as_json:
        print_json([asdict(state) for state in states])
    else:
        _print_states(states, time(), workspace.settings.lists.stale_days, _)
    if not all(state.has_copy for state in states):
        raise typer.Exit(NO)


def stage(
    context: typer.Context,
    *,
    urgent: Annotated[
        bool, typer.Option("--urgent", help="Only the lists' own entries: seconds, and a few hundred bytes to each school.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Overrule the limits: lists that shrank or grew beyond belief, or are missing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a large change.")] = False,
    folder: FOLDER = HERE,
) -> None:
    """Check and compile the lists, show what changes, and put it aside for signatures. Nothing takes effect before the release."""
    from time import time

    from blocklists.publisher.lists import load_sources, prepare
    from blocklists.publisher.lists import stage as put_aside

    speaker = terminal(context)
    _ = speaker.translate
    with refusals(_("Refused; nothing was staged:"), _):
        workspace = _workspace(folder)
        with ExitStack() as stack:  # printed in between: who does not see the changes to their end has not agreed to them
            with counting(_("Lists"), 0 if urgent else len(load_sources(workspace))) as step:
                draft = stack.enter_context(prepare(workspace, urgent=urgent, force=force, check_contacts=_check_contacts, progress=step))
            for note in draft.notes:
                typer.echo(said(note, _), err=True)
            _print_difference(draft.difference, speaker)
            if draft.questions and not yes:
                _ask(draft.questions, _)
            roles = put_aside(workspace, draft, time())
    if roles:
        typer.echo(_("Waiting for signatures: {roles}. Next: manglanh publish sign").format(roles=", ".join(roles)))
    else:
        typer.echo(_("Nothing differs from what is released."))


def diff(
    context: typer.Context,
    *,
    first: Annotated[int, typer.Option("--first", min=0, help="How many changes of each kind to name.")] = 20,
    folder: FOLDER = HERE,
    as_json: JSON = False,
) -> None:
    """Say what the staged release changes against the released one."""
    from blocklists.publisher.difference import as_data
    from blocklists.publisher.lists import staged_difference

    speaker = terminal(context)
    _ = speaker.translate
    with refusals(_("The releases cannot be compared:"), _):
        found = staged_difference(_workspace(folder), first)
    if as_json:
        print_json(as_data(found))
    elif found:
        _print_difference(found, speaker)
    else:
        typer.echo(_("Nothing differs from what is released."))


# ---- what they share ----


@contextmanager
def refusals(title: str, _: Translate) -> Iterator[None]:
    """Say what stops a publisher in the person's language, below ``title``."""
    from blocklists.entries import BadEntries
    from blocklists.publisher.errors import PublishError

    try:
        yield
    except BrokenPipeError:  # nobody reads what is printed any more, which says nothing about what was asked for
        raise
    except (PublishError, BadEntries, OSError) as error:
        raise CommandError(f"{title}\n{said(error, _)}") from None


def _workspace(folder: Path) -> "Workspace":
    from blocklists.publisher.workspace import open_workspace

    return open_workspace(folder)


def _today() -> Any:
    """The date in the time zone in which orders are dated."""
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from blocklists.entries import TIMEZONE

    return datetime.now(ZoneInfo(TIMEZONE)).date()


def _canonical(name: str, _: Translate) -> str:
    from filters.name import InvalidName, normalise

    try:
        return normalise(name)
    except InvalidName as error:
        raise CommandError(_("{text} is not a name: {why}").format(text=name, why=said(error, _)), BAD_USE) from None


def _channel(identifier: str, _: Translate) -> "Channel":
    from blocklists.publisher.texts import TEXT_CHANNELS

    for channel in TEXT_CHANNELS:
        if channel.id == identifier:
            return channel
    known = ", ".join(channel.id for channel in TEXT_CHANNELS)
    raise CommandError(_("There is no list {name}; there are: {known}").format(name=identifier, known=known), BAD_USE)


def _channel_with(workspace: "Workspace", name: str, _: Translate) -> "Channel":
    """The one channel whose table has the name."""
    from blocklists.publisher.texts import TEXT_CHANNELS, read_list

    found = [channel for channel in TEXT_CHANNELS if any(entry.name == name for entry in read_list(workspace.folder, channel) or ())]
    if len(found) > 1:
        raise CommandError(
            _("{name} stands in several lists; say --list {lists}").format(name=name, lists="|".join(channel.id for channel in found))
        )
    if not found:
        raise CommandError(_("{name} stands in no list.").format(name=name))
    return found[0]


def _check_contacts(data: bytes) -> None:
    from blocklists.publisher.errors import PublishError
    from policies.load import ConfigError
    from policies.province import parse_contacts

    try:
        parse_contacts(data, "lists/contacts.yaml")
    except ConfigError as error:
        raise PublishError("{why}", why=error) from None


def _ask(questions: "tuple[Message, ...]", _: Translate) -> None:
    """Let a person confirm a large change; where nobody sits, it is refused."""
    typer.echo("\n".join(said(question, _) for question in questions), err=True)
    if not sys.stdin.isatty():
        raise CommandError(_("Not staged: look at the changes, and confirm them with --yes."))
    if not typer.confirm(_("Stage it all the same?"), err=True):
        raise CommandError(_("Not staged."))


def _show(entry: "ListEntry", sign: str, channel: "Channel", speaker: Terminal) -> None:
    from blocklists.publisher.difference import in_words

    typer.echo(f"{getattr(channel.title, speaker.language)} ({channel.id})")
    typer.echo(f"  {sign} {in_words(entry)}")


def _print_difference(found: "ReleaseDifference", speaker: Terminal) -> None:
    from blocklists.channels import CHANNELS
    from blocklists.publisher.difference import lines

    for channel in CHANNELS.values():
        changed = lines(found, channel.id)
        if changed:
            typer.echo(f"{getattr(channel.title, speaker.language)} ({channel.id})")
            typer.echo("\n".join(f"  {said(line, speaker.translate)}" for line in changed))


def _print_states(states: "tuple[SourceState, ...]", now: float, stale_days: int, _: Translate) -> None:
    width = max((len(state.name) for state in states), default=0)
    for state in states:
        if not state.has_copy:
            how = _("no copy: {why}").format(why=said(state.problem, _))
        elif state.problem:
            how = _("{days} days old: {why}").format(days=state.days_old(now), why=said(state.problem, _))
        else:
            how = _("up to date")
        typer.echo(f"{state.name:{width}}  {how}")
    fresh = sum(not state.problem for state in states)
    typer.echo(_("{fresh} of {all} lists are up to date.").format(fresh=fresh, all=len(states)))
    for state in states:
        if state.is_stale(now, stale_days):
            warning = _("WARNING: {name} could not be fetched for {days} days: {url}")
            typer.echo(warning.format(name=state.name, days=state.days_old(now), url=state.url), err=True)

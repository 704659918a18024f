"""`manglanh update`: take the province's lists, now, for ever, from a stick; and `update rollback`, back to what was before."""

import signal
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import typer

from dashboard.catalogue import Translate
from filters.message import said
from gateway.cli.options import BY, CONFIG, JSON
from gateway.cli.terminal import BAD_USE, NO, CommandError, print_json, terminal

if TYPE_CHECKING:
    from blocklists.box.kept_targets import Progress
    from blocklists.box.release_record import Status
    from blocklists.box.update import Outcome
    from gateway.cli.follower import Follower

app = typer.Typer()


@app.callback(invoke_without_command=True)
def update(
    context: typer.Context,
    config: CONFIG = None,
    *,
    once: Annotated[
        bool, typer.Option("--once", help="Ask once and end, for cron: 0 updated or nothing new, 1 something is wrong.")
    ] = False,
    source: Annotated[
        str, typer.Option("--from", metavar="URL", help="Take them from there, with the same trust: file:///media/usb/repository.")
    ] = "",
    every: Annotated[
        float | None,
        typer.Option("--poll", metavar="SECONDS", min=0.1, show_default=False, help="How often to ask. Default: as the school file says."),
    ] = None,
    as_json: JSON = False,
) -> None:
    """Take the province's lists as they are published; a box without a publisher compiles the public ones. Ctrl-C ends it."""
    if context.invoked_subcommand is not None:
        return
    from gateway.cli.progress import counting
    from gateway.cli.school import find

    _ = terminal(context).translate
    path = find(config, _)
    if not once and not source:
        follow(follower_of(path, _), every)
        return
    with counting(_("Lists"), 0) as step:
        follower = follower_of(path, _, source, lambda file, there, size: step(f"{file} {100 * there // max(size, 1)} %", 0))
        outcome = _once(follower, _)
    _print(outcome, follower.setting.file.school.timezone, as_json=as_json, _=_)
    raise typer.Exit(0 if outcome.status.well else NO)


@app.command()
def rollback(
    context: typer.Context,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept with the change.")],
    by: BY = "",
    config: CONFIG = None,
    as_json: JSON = False,
) -> None:
    """Go back to the lists before, until the publisher releases others. What is mandatory stays as it is."""
    import time

    from blocklists.box.contents import BadContent
    from blocklists.box.rolling_back import NothingBefore, roll_back, roll_back_compiled
    from blocklists.box.update import Outcome
    from blocklists.install import Busy
    from gateway.cli.school import find
    from gateway.cli.switch import login
    from gateway.clock import Clock

    _ = terminal(context).translate
    follower = follower_of(find(config, _), _)
    follower.close()
    file = follower.setting.file
    who, now = by or login(), time.time()
    try:
        if follower.setting.urls:
            status = roll_back(file.lists.directory, who, reason, now, clock_trusted=Clock().trusted)
        else:
            status = roll_back_compiled(file.lists.directory, who, reason, now)
    except NothingBefore:
        raise CommandError(_("There is no earlier release to go back to.")) from None
    except (BadContent, Busy, OSError) as error:
        raise CommandError(_("Nothing was changed: {why}").format(why=error)) from None
    _print(Outcome(status, changed=True), file.school.timezone, as_json=as_json, _=_)


def _silent(_path: str, _there: int, _size: int) -> None:
    pass


def follow(follower: "Follower", every: float | None = None, *, lists: bool = True) -> None:
    """Until SIGTERM or Ctrl-C; without ``lists`` only the files that say where they come from. Nothing need be finished first: whatever is cut off is gone on with the next time."""
    import logging
    import sys
    from threading import Event

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each request, each minute
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    if lists:
        follower.run(Event(), every)
    while True:
        follower.follow_files()
        Event().wait(1.0)


def _leave(_number: int, _frame: object) -> None:
    raise SystemExit(0)


def follower_of(config: Path, _: Translate, source: str = "", progress: "Progress" = _silent) -> "Follower":
    """Raises CommandError for files that cannot be used."""
    from gateway.cli.follower import Follower
    from policies.load import ConfigError

    try:
        follower = Follower(config, _address(source), progress)
    except ConfigError as error:
        raise CommandError(said(error, _), BAD_USE) from None
    except OSError as error:
        raise CommandError(_("{path} cannot be read: {why}").format(path=error.filename, why=error.strerror), BAD_USE) from None
    if source and not follower.setting.urls:
        raise CommandError(
            _("The province file names no publisher, so there is no root to trust {source} by.").format(source=source), BAD_USE
        )
    return follower


def _address(source: str) -> str:
    """A folder may be typed as a folder."""
    return Path(source).resolve().as_uri() if source and not urlsplit(source).scheme else source.rstrip("/")


def _once(follower: "Follower", _: Translate) -> "Outcome":
    from blocklists.install import Busy

    try:
        return follower.poll_once() if follower.setting.urls else follower.compile_now()
    except (Busy, OSError) as error:
        raise CommandError(_("Nothing was changed: {why}").format(why=error)) from None
    finally:
        follower.close()


def _print(outcome: "Outcome", timezone: str, *, as_json: bool, _: Translate) -> None:
    status = outcome.status
    if as_json:
        print_json({"changed": outcome.changed, **status.model_dump()})
        return
    bundle = status.bundle[:12] or "-"
    if outcome.changed:
        typer.echo(_("New lists are in force: release {release}, bundle {bundle}.").format(release=status.release.snapshot, bundle=bundle))
    else:
        typer.echo(_("Nothing new: release {release}, bundle {bundle}.").format(release=status.release.snapshot, bundle=bundle))
    for line in freshness(status, timezone, _):
        typer.echo(line)


def freshness(status: "Status", timezone: str, _: Translate) -> list[str]:
    """How old the lists are and what is wrong, a line each, for a person."""
    lines = []
    if status.publisher:
        lines.append(
            _("Last looked: {checked}; last all well: {well}").format(
                checked=moment(status.checked_at, timezone), well=moment(status.success_at, timezone)
            )
        )
        for name, channel in status.channels.items():
            if not channel.version:  # never published
                continue
            text = _("{channel}: version {version}, {entries} entries, signed until {expires}")
            lines.append(
                text.format(channel=name, version=channel.version, entries=channel.entries, expires=moment(channel.expires, timezone))
            )
        megabytes = f"{(status.received + status.sent) / 1_000_000:.1f}"
        lines.append(_("Transferred in all: {megabytes} MB in {requests} requests").format(megabytes=megabytes, requests=status.requests))
    else:
        lines.append(_("No publisher; last compiled here: {compiled}").format(compiled=moment(status.compiled_at, timezone)))
    if status.rollback is not None:
        text = _("Rolled back by {by} on {at}: {reason}")
        lines.append(text.format(by=status.rollback.by, at=moment(status.rollback.at, timezone), reason=status.rollback.reason))
    lines += [
        _("TROUBLE since {since}: {title}: {what}").format(
            since=moment(trouble.since, timezone), title=trouble_title(trouble.kind, _), what=trouble.what
        )
        for trouble in status.troubles
    ]
    return lines


def trouble_title(kind: str, _: Translate) -> str:
    return {
        "network": _("the publisher cannot be reached"),
        "slow": _("the publisher sends too slowly"),
        "refused": _("what was sent is not signed as it must be, or older than what is here"),
        "expired": _("the signatures have expired"),
        "content": _("signed lists cannot be used"),
        "clock": _("the clock may be wrong"),
        "disk": _("the disk"),
        "compile": _("the public lists could not be compiled"),
    }.get(kind, kind)


def moment(seconds: float, timezone: str) -> str:
    return datetime.fromtimestamp(seconds, ZoneInfo(timezone)).strftime("%Y-%m-%d %H:%M") if seconds else "-"

"""`manglanh mode` and `manglanh unblock`: what a teacher changes while a lesson runs. It always ends by itself.

Both write state.json, which every worker follows, so that the change is in force within a fraction of a second.
"""

import getpass
import os
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from dashboard.catalogue import Translate
from gateway.cli.options import BY, CONFIG, FOR, REASON, UNTIL
from gateway.cli.terminal import BAD_USE, CommandError, Terminal, terminal

if TYPE_CHECKING:
    from pathlib import Path

    from policies.model import SchoolFile, State, Unblock


TAKEN_UP_WITHIN = 2.0
"""seconds; a worker looks at the state 20 times a second"""


def mode(
    context: typer.Context,
    group: Annotated[str, typer.Argument(metavar="GROUP", help="The group, for example 6a1.")],
    mode_name: Annotated[
        str, typer.Argument(metavar="[MODE]", help="study, exam, break, offline, or one of the school's own; normal ends.")
    ] = "",
    *,
    length: FOR = "",
    until: UNTIL = "",
    reason: REASON = "",
    site: Annotated[list[str] | None, typer.Option("--site", help="A site that stays open (exam); may be repeated.")] = None,
    by: BY = "",
    end: Annotated[bool, typer.Option("--end", help="End the switch: the timetable and the tier speak again.")] = False,
    config: CONFIG = None,
) -> None:
    """Switch a class to a mode until a stated time. `mode GROUP normal` ends it."""
    from gateway.cli.durations import show_time
    from gateway.cli.school import find, load_file
    from policies.changes import end_mode, switch_mode
    from policies.model import Override
    from policies.tiers import NORMAL, resolve_modes

    speaker = terminal(context)
    _ = speaker.translate
    file = load_file(find(config, _), _)
    _known(_("group"), group, _group_names(file), _)
    if end or (mode_name == NORMAL and not length and not until):
        _update(file, lambda state: end_mode(state, group), _)
        typer.echo(_("{group}: the switch is ended; the timetable and the tier speak again.").format(group=group))
        return
    modes = resolve_modes(file.modes)
    _known(_("mode"), mode_name, modes, _)
    now = time.time()
    moment = _end_of(length, until, now, file, _)
    sites = tuple(_name(text, _) for text in site or ())
    override = Override(group=group, mode=mode_name, since=now, until=moment, by=by or login(), reason=reason, sites=sites)
    _update(file, lambda state: switch_mode(state, override), _)
    title = modes[mode_name].title.vi if speaker.language == "vi" else modes[mode_name].title.en
    shown = show_time(moment, file.school.timezone)
    typer.echo(_("{group}: {title} ({mode}) until {time}.").format(group=group, title=title, mode=mode_name, time=shown))


def unblock(
    context: typer.Context,
    group: Annotated[str, typer.Argument(metavar="GROUP", help="The group, for example 6a1.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="The site; everything below it is opened too.")],
    *,
    length: FOR = "",
    until: UNTIL = "",
    reason: REASON = "",
    by: BY = "",
    end: Annotated[bool, typer.Option("--end", help="End the unblock.")] = False,
    config: CONFIG = None,
) -> None:
    """Open one site for a class until a stated time. The class's tier says what a teacher may open."""
    from gateway.cli.durations import show_time
    from gateway.cli.school import find, load_file
    from policies.changes import add_unblock, end_unblock
    from policies.model import Unblock

    speaker = terminal(context)
    _ = speaker.translate
    path = find(config, _)
    file = load_file(path, _)
    _known(_("group"), group, _group_names(file), _)
    canonical = _name(name, _)
    if end:
        _update(file, lambda state: end_unblock(state, group, canonical), _)
        typer.echo(_("{group}: {name} is no longer opened.").format(group=group, name=canonical))
        return
    now = time.time()
    moment = _end_of(length, until, now, file, _)
    change = Unblock(group=group, name=canonical, since=now, until=moment, by=by or login(), reason=reason)
    refused = _refusal(path, change, speaker)
    if refused:
        raise CommandError(refused)
    _update(file, lambda state: add_unblock(state, change), _)
    shown = show_time(moment, file.school.timezone)
    typer.echo(_("{group}: {name} is open until {time}.").format(group=group, name=canonical, time=shown))


def _refusal(path: "Path", change: "Unblock", speaker: Terminal) -> str:
    """Why the unblock would change nothing; empty: it would open the name."""
    from dashboard.insight.rungs import rung_title
    from gateway.cli.school import opened
    from policies.changes import add_unblock
    from policies.decide import Block, decide
    from policies.snapshot import Snapshot

    _ = speaker.translate
    with opened(path, _) as school:
        after = Snapshot(school.file, add_unblock(school.state, change), school.index)
        verdict = decide(change.name, 1, after.policy(change.group, change.since), school.index)
    if not isinstance(verdict, Block):
        return ""
    text = _("{name} would stay blocked for {group}, on rung {number}, {rung}; nothing was changed. See: manglanh explain")
    rung = verdict.reason.rung
    return text.format(name=change.name, group=change.group, number=rung.value, rung=rung_title(rung, _))


def _update(file: "SchoolFile", change: "Callable[[State], State]", _: Translate) -> None:
    """Save the change, and say whether every worker has taken it up."""
    from policies.state import StateError, update_state

    try:
        state = update_state(file.state, change, time.time())
    except StateError as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(_("{path} cannot be written: {why}").format(path=file.state, why=error.strerror)) from None
    _say_in_force(file, state.generation, _)


def _say_in_force(file: "SchoolFile", generation: int, _: Translate) -> None:
    """Wait until all workers report ``generation``; saved is not yet in force."""
    from gateway.runtime import reports_of

    deadline = time.monotonic() + TAKEN_UP_WITHIN
    while True:
        reports = reports_of(file)
        applied = sum(isinstance(report["generation"], int) and report["generation"] >= generation for report in reports)
        if applied == len(reports) or time.monotonic() > deadline:
            break
        time.sleep(0.02)
    if not reports:
        typer.echo(_("Saved. No resolver runs here now; it will hold when one starts."), err=True)
    elif applied < len(reports):
        text = _("Saved, but only {applied} of {total} workers have taken it up; see: manglanh doctor")
        typer.echo(text.format(applied=applied, total=len(reports)), err=True)
    else:
        typer.echo(_("In force on all {total} workers.").format(total=len(reports)), err=True)


def _group_names(file: "SchoolFile") -> list[str]:
    from policies.identify import default_group

    return [group.name for group in (*file.groups, default_group(file))]


def _known(kind: str, text: str, choices: Iterable[str], _: Translate) -> None:
    if text in choices:
        return
    known = ", ".join(sorted(set(choices)))
    raise CommandError(_('Unknown {kind} "{text}"; there are: {known}').format(kind=kind, text=text, known=known), BAD_USE)


def _end_of(length: str, until: str, now: float, file: "SchoolFile", _: Translate) -> float:
    """When a change ends, from --for or --until, of which exactly one is needed."""
    from gateway.cli.durations import next_time, parse_duration

    if bool(length) == bool(until):
        raise CommandError(_("Say for how long (--for 45m) or until when (--until 11:15)."), BAD_USE)
    try:
        return now + parse_duration(length) if length else next_time(until, now, file.school.timezone)
    except ValueError:
        text = _("{text} is not a length such as 45m or 1h30m (a day at most), or a time such as 11:15.")
        raise CommandError(text.format(text=length or until), BAD_USE) from None


def _name(text: str, _: Translate) -> str:
    from filters.name import InvalidName, normalise

    try:
        return normalise(text)
    except InvalidName as error:
        raise CommandError(_("{text} is not a name: {why}").format(text=text, why=error), BAD_USE) from None


def login() -> str:
    """Who typed it, as far as the machine knows: with sudo, the person and not the account that was taken on."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return "?"

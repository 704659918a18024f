"""Switching a class and opening a site for it: what the pages and the API carry out alike.

Each of these is one change of the live state with its row in the audit log (dashboard/changes.py). What a colleague did since the page was made is
never overwritten silently; what would have no effect is refused with the reason. Undo puts back what held before, and only the latest change.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dashboard.access import Person
from dashboard.catalogue import Translate, category_title
from dashboard.changes import InForce
from dashboard.insight.rungs import rung_title
from dashboard.lessons.classes import LONGEST, Switched, held, is_as_seen, name_of, trusted
from dashboard.refusal import Refused
from dashboard.school import View
from dashboard.store.audit import Entry
from filters.message import Message
from policies.changes import add_unblock, end_mode, end_unblock, switch_mode
from policies.decide import Block, Rung, decide, ladder
from policies.model import Override, State, Titles, Unblock
from policies.snapshot import Snapshot

if TYPE_CHECKING:
    from dashboard.site import Site

EXTENSION = 15 * 60.0
"""seconds"""
NOTE = 200
"""characters of a reason"""
NO_MODE = Message("There is no such mode.")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who changes which class, when, and what they saw of it (dashboard/lessons/classes.py ``seen_mark``; None: they do not say)."""

    site: "Site"
    view: View
    person: Person
    group: str
    now: float
    seen: str | None = None

    def title(self, mode: str) -> str:
        return in_language(self.view.snapshot.modes[mode].title, self.person.language) if mode in self.view.snapshot.modes else mode

    def clock(self, at: float) -> str:
        return f"{self.view.snapshot.timetables.calendar.local(at):%H:%M}"


def in_language(titles: Titles, language: str) -> str:
    return titles.vi if language == "vi" else titles.en


async def switch(caller: Caller, mode: str, until: float, reason: str = "", sites: tuple[str, ...] = ()) -> int:
    """The class in ``mode`` until then; the generation that has it. ``sites`` are canonical names. Raises Refused, StoreTrouble."""
    if mode not in caller.view.snapshot.modes:
        raise Refused(NO_MODE, status=422, field="mode")
    if caller.view.snapshot.modes[mode].only != "sites":
        sites = ()
    override = Override(
        group=caller.group,
        mode=mode,
        since=caller.now,
        until=until,
        by=caller.person.shown,
        reason=reason,
        sites=tuple(dict.fromkeys(sites)),
    )
    detail = {"mode": mode, "until": until} | ({"sites": list(override.sites)} if override.sites else {})
    return await _make(caller, Entry("class.mode", caller.group, detail, reason), lambda _: override)


async def extend(caller: Caller) -> int:
    """A quarter of an hour longer, and never beyond a day from now."""

    def longer(before: Override | None) -> Override:
        if before is None:
            raise Refused(Message("No switch is on in this class now, so there is nothing to extend."))
        until = min(before.until + EXTENSION, caller.now + LONGEST)
        if until <= before.until:
            raise Refused(Message("A switch lasts a day at most."))
        return before.model_copy(update={"until": until})

    return await _make(caller, Entry("class.extend", caller.group, {"minutes": int(EXTENSION // 60)}), longer)


async def end(caller: Caller) -> int:
    """No switch: the timetable and the tier speak again."""

    def ended(before: Override | None) -> None:
        if before is None:
            raise Refused(Message("No switch is on in this class now; it may just have ended by itself."))

    return await _make(caller, Entry("class.end", caller.group), ended)


async def undo(caller: Caller) -> int:
    """What held before this person's latest change, exactly, if it would still hold."""
    last = caller.site.classes.switched.get(caller.group)
    before = last.before if last else None

    def put_back(override: Override | None) -> Override | None:
        _refuse_undo(caller, last, override)
        return before if before is not None and before.until > caller.now else None

    detail = {"mode": before.mode, "until": before.until} if before else {}
    return await _make(caller, Entry("class.undo", caller.group, detail), put_back, can_undo=False)


def _refuse_undo(caller: Caller, last: Switched | None, override: Override | None) -> None:
    if last is None or (last.person == caller.person.id and not last.can_undo):
        raise Refused(Message("There is nothing to undo."))
    if last.person != caller.person.id:
        raise Refused(Message("{who} has changed this class since; only the latest change can be undone.", who=name_of(last.by)))
    if last.after == override:
        return
    if override is not None:
        raise Refused(Message("{who} has changed this class since; only the latest change can be undone.", who=name_of(override.by)))
    if last.after is not None and last.after.until <= caller.now:
        raise Refused(Message("The switch has ended by itself; there is nothing to undo."))
    raise Refused(Message("Somebody has ended the switch since; there is nothing to undo."))


async def _make(caller: Caller, entry: Entry, change: Callable[[Override | None], Override | None], *, can_undo: bool = True) -> int:
    """One change of the class's override, if it is still what the caller saw."""
    made: list[Switched] = []

    def carry_out(state: State) -> State:
        before = held(state, caller.group, caller.now)
        _refuse_unseen(caller, before)
        after = change(before)
        made.append(Switched(caller.person.id, caller.person.shown, before, after, caller.now, can_undo))
        return end_mode(state, caller.group) if after is None else switch_mode(state, after)

    generation = await caller.site.changes.make(caller.person, entry, carry_out)
    caller.site.classes.switched[caller.group] = made[-1]
    return generation


def _refuse_unseen(caller: Caller, before: Override | None) -> None:
    """A colleague was quicker. One's own change, on another device, is no surprise."""
    if caller.seen is None or is_as_seen(caller.seen, before, caller.now):
        return
    if before is None:
        last = caller.site.classes.switched.get(caller.group)
        if last is not None and last.person == caller.person.id:
            return
        if last is not None and last.after is None:
            raise Refused(Message("{who} ended the switch of this class; please look again. Nothing was changed.", who=name_of(last.by)))
        raise Refused(Message("Somebody ended the switch of this class; please look again. Nothing was changed."))
    if before.by == caller.person.shown:
        return
    raise Refused(
        Message(
            "{who} switched this class to “{mode}” at {time}; please look again. Nothing was changed.",
            who=name_of(before.by),
            mode=caller.title(before.mode),
            time=caller.clock(before.since),
        )
    )


async def unblock(caller: Caller, name: str, until: float, reason: str = "") -> int:
    """``name`` (canonical) and what is below it, open for the class until then. Raises Refused where that would change nothing."""
    change = Unblock(group=caller.group, name=name, since=caller.now, until=until, by=caller.person.shown, reason=reason)
    refuse_useless(caller, change)
    detail = {"name": name, "until": until}
    return await caller.site.changes.make(
        caller.person, Entry("class.unblock", caller.group, detail, reason), lambda state: add_unblock(state, change)
    )


def refuse_useless(caller: Caller, change: Unblock) -> None:
    """Decided as the resolver would, with and without the unblock."""
    view, name = caller.view, change.name
    clock_trusted = trusted(caller.site.box.workers())
    now = decide(name, 1, view.snapshot.policy(caller.group, caller.now, clock_trusted), view.index)
    if not isinstance(now, Block):
        if now.reason.rung is Rung.LESSON_UNBLOCK and now.reason.rule == name:
            return  # longer, or shorter
        raise Refused(Message("{name} is open for this class already.", name=name), field="name")
    after = Snapshot(view.file, add_unblock(view.state, change), view.index).policy(caller.group, caller.now, clock_trusted)
    verdict = decide(name, 1, after, view.index)
    if not isinstance(verdict, Block):
        return
    steps = {step.rung: step for step in ladder(name, 1, after, view.index)}
    unliftable = steps[Rung.LESSON_UNBLOCK].unliftable
    if verdict.reason.rung > Rung.LESSON_UNBLOCK and unliftable:
        titles = ", ".join(category_title(category, caller.person.language) for category in unliftable)
        tier = in_language(view.snapshot.tiers[after.tier].title, caller.person.language)
        text = Message(
            "{name} stays blocked: in “{tier}” a teacher may not open this category ({categories}). IT staff can.",
            name=name, tier=tier, categories=titles,
        )  # fmt: skip
        raise Refused(text, field="name")
    raise Refused(_higher(caller, name, verdict.reason.rung, after.mode), field="name")


def _higher(caller: Caller, name: str, rung: Rung, mode: str) -> Message:
    if rung is Rung.LOCKED_BLOCK:
        return Message("{name} stays blocked: it is on the authorities' list, which nobody in the school can lift (rung 1).", name=name)
    if rung is Rung.CLASS_MODE:
        return Message(
            "{name} stays blocked: the class is in the mode “{mode}”, which comes before what a teacher opens (rung 3).",
            name=name, mode=caller.title(mode),
        )  # fmt: skip
    title = Message(rung_title(rung, _same))
    return Message("{name} would stay blocked, on rung {number}, {rung}.", name=name, number=rung.value, rung=title)


def _same(message: str) -> str:
    """Titles stay in English within a Message, which is translated when it is said."""
    return message


async def close(caller: Caller, name: str) -> int:
    """The unblock of ``name``, ended. Raises Refused if there is none."""
    if all(change.name != name for change in open_now(caller.view, caller.group, caller.now)):
        raise Refused(Message("{name} is not opened for this class.", name=name[:253]), status=404)
    return await caller.site.changes.make(
        caller.person, Entry("class.unblock-end", caller.group, {"name": name}), lambda state: end_unblock(state, caller.group, name)
    )


def open_now(view: View, group: str, now: float) -> list[Unblock]:
    return [change for change in view.state.unblocks if change.group == group and change.since <= now < change.until]


def outcome(done: str, force: InForce, _: Translate) -> tuple[str, str]:
    """(kind, text) of what a page says after a change: saved is not yet in force."""
    if force.everywhere:
        return "done", f"{done} {_('In force on all {total} workers.').format(total=force.workers)}"
    if not force.workers:
        return "warn", f"{done} {_('Saved. No resolver runs here now; it will hold when one starts.')}"
    text = _("Saved, but only {applied} of {total} workers have taken it up. Wait a moment and look again; if it stays so, tell IT staff.")
    return "warn", f"{done} {text.format(applied=force.applied, total=force.workers)}"

"""A class as it is now, for the people who look at it: its mode, until when, how that came about, whether it is in force. Pure.

Everything is evaluated at ``now`` by ``Snapshot.policy``, which the resolver's workers use too, so that nothing that has ended is shown as if it held.
A page remembers what it showed as a ``seen`` mark; whoever changes a class by that page changes what they saw, or is told who was quicker.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import blake2b
from math import isfinite
from typing import TYPE_CHECKING, Literal, NamedTuple

from dashboard.access import Person, Role
from dashboard.box import WorkerReport
from dashboard.refusal import Refused
from dashboard.school import View
from filters.message import Message
from policies.model import Group, Override, State, Titles, Unblock
from policies.school_time import DAY, parse_clock, parse_range
from policies.snapshot import Snapshot

if TYPE_CHECKING:
    from dashboard.lessons.live import Live

LONGEST = float(DAY)
"""seconds; what lasts longer than a day belongs into the school's file"""
DEFAULT_MINUTES = 45
"""where no lesson is on"""
LENGTHS = (15, 30, 45, 90)
UNDO_WITHIN = 600.0
"""seconds for which a page offers to undo"""
NOTHING_SEEN = "-"
"""the mark of a class that no switch held when it was shown"""


@dataclass(frozen=True, slots=True)
class Switched:
    """The latest change of a class's mode that was made here."""

    person: int
    by: str
    before: Override | None
    after: Override | None
    at: float
    can_undo: bool = True
    """an undo itself is not undone"""


@dataclass(slots=True)
class Recent:
    """What this process remembers of the classes beside their state; lost with it, which costs the undo buttons and nothing else."""

    switched: dict[str, Switched] = field(default_factory=dict)
    live: "Live | None" = None
    """who is kept up to date; from the first one on"""
    _snapshot: Snapshot | None = None
    _generations: dict[str, tuple[object, int]] = field(default_factory=dict)

    def generation(self, view: View, group: str) -> int:
        """The first generation known to have this class as it is: a change of another class makes nobody wait for this one."""
        if view.snapshot is not self._snapshot:
            self._note(view)
        return self._generations[group][1]

    def _note(self, view: View) -> None:
        changes: dict[str, list[Override | Unblock]] = {}
        for override in view.state.overrides:
            changes.setdefault(override.group, []).append(override)
        for unblock in view.state.unblocks:
            changes.setdefault(unblock.group, []).append(unblock)
        known = self._generations
        generation = view.state.generation
        noted: dict[str, tuple[object, int]] = {}
        for group in view.snapshot.groups:
            now = changes.get(group, [])
            before, since = known.get(group, (None, generation))
            noted[group] = (now, since if before == now and since <= generation else generation)
        self._generations, self._snapshot = noted, view.snapshot


Origin = Literal["switch", "timetable", "none"]


class ClassNow(NamedTuple):
    """One class at one moment, alike for whoever looks."""

    group: str
    title: str
    mode: str
    mode_title: Titles
    mode_only: str
    """``sites``: only those that were chosen are open (Mode.only)"""
    until: float | None
    """Unix seconds; None: nobody knows of an end"""
    origin: Origin
    override: Override | None
    """what a person switched, while it holds"""
    unblocks: tuple[Unblock, ...]
    seen: str
    applied: int
    """workers that have taken up how the class is now"""
    workers: int
    requests: int
    """open ones"""


class Shown(NamedTuple):
    """The same as one person sees it."""

    now: ClassNow
    mine: bool
    """this person switched it"""
    undo: Switched | None
    may_switch: bool

    @property
    def who(self) -> str:
        """Who switched it."""
        return name_of(self.now.override.by) if self.now.override else ""


def title_of(group: Group) -> str:
    return group.title or group.name


def name_of(by: str) -> str:
    """``Cô Lan (co-lan)``, as overrides name a person, without the login."""
    name, separator, _ = by.rpartition(" (")
    return name if separator and by.endswith(")") else by


def classes_of(view: View, person: Person) -> list[Group]:
    """The classes that this person may look at, in the order of the school's file."""
    groups = view.snapshot.groups.values()
    return [group for group in groups if person.role is not Role.TEACHER or group.name in person.classes]


def group_of(view: View, group: str) -> Group:
    """Raises Refused for a class that the school does not have."""
    if group not in view.snapshot.groups:
        raise Refused(Message("There is no such class."), status=404)
    return view.snapshot.groups[group]


def matching(groups: Iterable[Group], text: str) -> list[Group]:
    """Those whose title or name has ``text``, whatever the case of its letters."""
    wanted = text.casefold()
    return [group for group in groups if wanted in group.title.casefold() or wanted in group.name.casefold()]


def trusted(workers: Sequence[WorkerReport]) -> bool:
    """Whether the timetables hold: no worker doubts its clock."""
    return all(report.clock_trusted for report in workers)


def class_now(
    view: View, recent: Recent, group: Group, now: float, workers: Sequence[WorkerReport], requests: Mapping[str, int]
) -> ClassNow:
    policy = view.snapshot.policy(group.name, now, trusted(workers))
    override = held(view.state, group.name, now)
    if override is not None and override.mode not in view.snapshot.modes:
        override = None  # the resolver leaves it out, too
    generation = recent.generation(view, group.name)
    return ClassNow(
        group=group.name,
        title=title_of(group),
        mode=policy.mode,
        mode_title=view.snapshot.modes[policy.mode].title,
        mode_only=policy.only,
        until=policy.mode_until,
        origin="switch" if override else "timetable" if policy.mode_reason == "timetable" else "none",
        override=override,
        unblocks=tuple(sorted(policy.unblocks.values(), key=lambda unblock: (unblock.until, unblock.name))),
        seen=seen_mark(override),
        applied=sum(report.generation >= generation for report in workers),
        workers=len(workers),
        requests=requests.get(group.name, 0),
    )


def shown_to(person: Person, state: ClassNow, recent: Recent, now: float) -> Shown:
    """``state`` as this person sees it."""
    last = recent.switched.get(state.group)
    may_switch = person.role is Role.ADMIN or (person.role is Role.TEACHER and state.group in person.classes)
    undo = last if last and may_switch and is_undoable(last, person, state.override, now) and now - last.at < UNDO_WITHIN else None
    return Shown(state, state.override is not None and state.override.by == person.shown, undo, may_switch)


def is_undoable(last: Switched, person: Person, override: Override | None, now: float) -> bool:
    """Whether ``last`` is this person's and still how the class is."""
    ended = last.after is not None and last.after.until <= now
    return last.can_undo and last.person == person.id and last.after == override and not ended


def held(state: State, group: str, now: float) -> Override | None:
    """The override that holds, as policies/snapshot.py chooses it."""
    holding = [override for override in state.overrides if override.group == group and override.since <= now < override.until]
    return max(holding, key=lambda override: override.since, default=None)


def seen_mark(override: Override | None) -> str:
    """What a page remembers of the switch that it showed: when it ends, and its digest."""
    if override is None:
        return NOTHING_SEEN
    return f"{override.until:.3f}~{blake2b(override.model_dump_json().encode(), digest_size=8).hexdigest()}"


def is_as_seen(mark: str, override: Override | None, now: float) -> bool:
    """Whether what holds now is what was seen, or has come of it by time alone."""
    if mark == seen_mark(override):
        return True
    try:
        until = float(mark.partition("~")[0])
    except ValueError:
        return False
    return override is None and isfinite(until) and until <= now


def lesson_end(view: View, group: str, now: float, clock_trusted: bool) -> float | None:
    """When the bell rings for this class; None: no lesson is on, or nobody can know.

    The lessons that the timetable names for the class come first; it need not name those in which nothing is to be switched.
    """
    timetables = view.snapshot.timetables
    return (timetables.lesson_end(now, group) or timetables.lesson_end(now)) if clock_trusted else None


def lesson_start(view: View, group: str, now: float, clock_trusted: bool) -> float:
    """When the lesson began that is on; where none is, as long ago as a lesson lasts."""
    end = lesson_end(view, group, now, clock_trusted)
    calendar = view.snapshot.timetables.calendar
    today = calendar.local(now).date()
    days = (today - timedelta(days=1), today)
    lessons = [parse_range(text) for text in view.file.timetable.lessons.values()] if end else []
    starts = [calendar.instant(day, lesson.start) for lesson in lessons for day in days if calendar.instant(day, lesson.end) == end]
    return min(starts, default=now - DEFAULT_MINUTES * 60)


def in_minutes(minutes: int, now: float) -> float:
    if not 0 < minutes * 60 <= LONGEST:
        raise Refused(Message("At least a minute and at most a day."), status=422, field="length")
    return now + minutes * 60


def at_clock(text: str, view: View, now: float) -> float:
    """``10:35`` -> the next time that the school's clock shows it."""
    try:
        seconds = parse_clock(text)
    except ValueError:
        raise Refused(Message("Write a time such as 10:35."), status=422, field="length") from None
    calendar = view.snapshot.timetables.calendar
    today = calendar.local(now).date()
    moments = (calendar.instant(today + timedelta(days=days), seconds) for days in (0, 1))
    return min(next(moment for moment in moments if moment > now), now + LONGEST)


def to_lesson_end(view: View, group: str, now: float, clock_trusted: bool) -> float:
    """The bell, or where none is to come, the usual length of a lesson."""
    return lesson_end(view, group, now, clock_trusted) or in_minutes(DEFAULT_MINUTES, now)


def chosen_end(length: str, until: str, view: View, group: str, now: float, clock_trusted: bool) -> float:
    """What a form's choice of length means: ``lesson``, a number of minutes, or ``until`` with a time. Raises Refused."""
    if length in ("", "lesson"):
        return to_lesson_end(view, group, now, clock_trusted)
    if length == "until":
        return at_clock(until, view, now)
    if not (length.isascii() and length.isdecimal() and len(length) <= 4):
        raise Refused(Message("Choose how long."), status=422, field="length")
    return in_minutes(int(length), now)

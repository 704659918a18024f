"""Classes for programs: how each is now, switching one, opening a site for one."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field, model_validator

from dashboard.access import Access, Scope
from dashboard.api.allowed import Call, allowed
from dashboard.api.body import Input
from dashboard.api.problem import problems
from dashboard.insight.statistics import VISIBLE_FROM, visible
from dashboard.lessons import switching
from dashboard.lessons.classes import (
    ClassNow,
    at_clock,
    class_now,
    classes_of,
    group_of,
    in_minutes,
    lesson_end,
    lesson_start,
    name_of,
    to_lesson_end,
    trusted,
)
from dashboard.lessons.site_sets import MOST, parse_site, parse_sites
from dashboard.lessons.switching import NOTE, Caller, in_language
from dashboard.store import site_sets
from dashboard.store.requests import open_counts
from policies.model import Group, Override, Unblock

router = APIRouter()


GroupName = Annotated[str, Path(description="The class's group, for example 6a1.", min_length=1, max_length=63)]
Text = Annotated[str, Field(max_length=NOTE, pattern=r"^[^\x00]*$")]
SiteText = Annotated[str, Field(max_length=300, pattern=r"^[^\x00]*$")]


class InForceOut(BaseModel):
    applied: int = Field(description="resolver workers that have taken it up")
    workers: int = Field(description="resolver workers that run; 0: none, so nothing is filtered now")


class SwitchOut(BaseModel):
    mode: str
    since: float = Field(description="Unix seconds")
    until: float
    by: str = Field(description="who switched")
    reason: str
    sites: list[str]


class ClassOut(BaseModel):
    group: str
    title: str
    mode: str
    mode_title: str
    until: float | None = Field(description="Unix seconds at which the mode ends; null: no end is known")
    origin: Literal["switch", "timetable", "none"] = Field(description="how the mode came about")
    switch: SwitchOut | None = Field(description="what a person switched, while it holds")
    seen: str = Field(description="a mark of how the class is; sent back as `expected` it makes sure that nobody was quicker")
    in_force: InForceOut
    open_requests: int
    lesson_ends: float | None = Field(description="when the bell rings; null: no lesson is on")


class MadeOut(BaseModel):
    generation: int = Field(description="of the school's live state")
    in_force: InForceOut


class SwitchedOut(MadeOut):
    class_now: ClassOut


class Length(Input):
    """How long: exactly one of these. `lesson` without a lesson lasts 45 minutes."""

    minutes: Annotated[int, Field(ge=1, le=1440)] | None = None
    until: (
        Annotated[str, Field(pattern=r"^([01]?[0-9]|2[0-3]):[0-5][0-9]$", description="HH:MM by the school's clock; the next such time")]
        | None
    ) = None
    lesson: Literal[True] | None = Field(default=None, description="until the bell")

    @model_validator(mode="after")
    def _exactly_one(self) -> "Length":
        if sum(value is not None for value in (self.minutes, self.until, self.lesson)) != 1:
            raise ValueError("exactly one of minutes, until and lesson")
        return self

    def end(self, call: Call, group: str) -> float:
        if self.minutes is not None:
            return in_minutes(self.minutes, call.now)
        if self.until is not None:
            return at_clock(self.until, call.view, call.now)
        return to_lesson_end(call.view, group, call.now, trusted(call.site.box.workers()))


Expected = Annotated[str, Field(max_length=100, description="`seen` of the class; where it is no longer so, nothing is changed (409)")]


class SwitchIn(Length):
    mode: Annotated[str, Field(max_length=64, description="normal, study, exam, break, offline, or one of the school's own")]
    reason: Text = ""
    sites: list[SiteText] = Field(default=[], max_length=MOST, description="what stays open, for a mode that leaves only chosen sites open")
    set_ids: list[Annotated[int, Field(ge=1, lt=2**63)]] = Field(default=[], max_length=MOST, description="saved sets of sites, besides")
    expected: Expected | None = None


class ChangeIn(Input):
    expected: Expected | None = None


class UnblockIn(Length):
    name: Annotated[SiteText, Field(min_length=1, description="the site; everything below it is opened, too")]
    reason: Text = ""


class UnblockOut(BaseModel):
    name: str
    since: float
    until: float
    by: str
    reason: str


class UnblockedOut(MadeOut):
    unblock: UnblockOut


class BlockedRow(BaseModel):
    domain: str = Field(description="registered domain; empty: several that are not told apart")
    category: str
    count: int
    devices: int = Field(description="at least so many asked")


class BlockedOut(BaseModel):
    since: float
    threshold: int = Field(description="what fewer devices asked for is not shown")
    rows: list[BlockedRow]


@router.get("/classes")
async def list_classes(call: Call = allowed(Access.SIGNED_IN, Scope.CLASSES_READ)) -> list[ClassOut]:
    """The classes that this token's person may look at."""
    return await _classes(call, classes_of(call.view, call.person))


@router.get("/classes/{group}", responses=problems(404))
async def show_class(group: GroupName, call: Call = allowed(Access.SEES_CLASS, Scope.CLASSES_READ)) -> ClassOut:
    """One class as it is now."""
    return (await _classes(call, [group_of(call.view, group)]))[0]


@router.post("/classes/{group}/mode", responses=problems(404, 409))
async def switch_class(group: GroupName, wanted: SwitchIn, call: Call = allowed(Access.OWN_CLASS, Scope.CLASSES_WRITE)) -> SwitchedOut:
    """Put the class in a mode for a stated time, in place of any other switch. It ends by itself. Not idempotent: every call is a change of its own."""
    caller = _caller(call, group, wanted.expected)
    typed = parse_sites("\n".join(wanted.sites))
    async with call.site.store.read() as connection:
        sites = await site_sets.sites_of(connection, call.person, wanted.set_ids, typed)
    return await _switched(call, group, await switching.switch(caller, wanted.mode, wanted.end(call, group), wanted.reason, sites))


@router.delete("/classes/{group}/mode", responses=problems(404, 409))
async def end_switch(
    group: GroupName, expected: Expected | None = None, call: Call = allowed(Access.OWN_CLASS, Scope.CLASSES_WRITE)
) -> SwitchedOut:
    """End the switch: the timetable and the tier count again. 409 where none is on."""
    return await _switched(call, group, await switching.end(_caller(call, group, expected)))


@router.post("/classes/{group}/mode/extend", responses=problems(404, 409))
async def extend_switch(
    group: GroupName, wanted: ChangeIn | None = None, call: Call = allowed(Access.OWN_CLASS, Scope.CLASSES_WRITE)
) -> SwitchedOut:
    """15 minutes longer, at most a day from now."""
    return await _switched(call, group, await switching.extend(_caller(call, group, wanted.expected if wanted else None)))


@router.post("/classes/{group}/mode/undo", responses=problems(404, 409))
async def undo_switch(
    group: GroupName, wanted: ChangeIn | None = None, call: Call = allowed(Access.OWN_CLASS, Scope.CLASSES_WRITE)
) -> SwitchedOut:
    """Put back what held before this person's latest change of the class. 409 where somebody else has changed it since."""
    return await _switched(call, group, await switching.undo(_caller(call, group, wanted.expected if wanted else None)))


@router.get("/classes/{group}/unblocks", responses=problems(404))
async def list_unblocks(group: GroupName, call: Call = allowed(Access.SEES_CLASS, Scope.CLASSES_READ)) -> list[UnblockOut]:
    """Sites that teachers have opened for the class, as long as they are open."""
    group_of(call.view, group)
    return [UnblockOut(**_named(unblock)) for unblock in switching.open_now(call.view, group, call.now)]


@router.post("/classes/{group}/unblocks", status_code=201, responses=problems(404, 409))
async def open_site(group: GroupName, wanted: UnblockIn, call: Call = allowed(Access.OWN_CLASS, Scope.CLASSES_WRITE)) -> UnblockedOut:
    """Open a site for the class for a stated time; once more for the same site sets a new time. 409 where it would stay blocked, with the reason."""
    name = parse_site(wanted.name)
    until = wanted.end(call, group)
    generation = await switching.unblock(_caller(call, group, None), name, until, wanted.reason)
    made = UnblockOut(name=name, since=call.now, until=until, by=call.person.name, reason=wanted.reason)
    return UnblockedOut(generation=generation, in_force=await _in_force(call, generation), unblock=made)


@router.delete("/classes/{group}/unblocks/{name}", responses=problems(404))
async def close_site(
    group: GroupName,
    name: Annotated[str, Path(min_length=1, max_length=300)],
    call: Call = allowed(Access.OWN_CLASS, Scope.CLASSES_WRITE),
) -> MadeOut:
    """End an unblock before its time. 404 where there is none."""
    generation = await switching.close(_caller(call, group, None), name.lower())
    return MadeOut(generation=generation, in_force=await _in_force(call, generation))


@router.get("/classes/{group}/most-blocked", responses=problems(404))
async def most_blocked(group: GroupName, call: Call = allowed(Access.SEES_CLASS, Scope.CLASSES_READ)) -> BlockedOut:
    """What the class was refused most in this lesson, or where none is on, in the last 45 minutes. Nothing of few devices."""
    group_of(call.view, group)
    since = lesson_start(call.view, group, call.now, trusted(call.site.box.workers()))
    seen = visible(call.site.fold.blocked_since(group, since))
    rows = [*seen.rows, seen.rest] if seen.rest else seen.rows
    shown = [BlockedRow(domain=row.domain, category=row.category, count=row.count, devices=row.devices) for row in rows]
    return BlockedOut(since=since, threshold=VISIBLE_FROM, rows=shown)


def _named(change: Override | Unblock) -> dict[str, Any]:
    """A colleague's name, and not what they sign in with, which may be an e-mail address."""
    return change.model_dump(exclude={"group"}) | {"by": name_of(change.by)}


def _caller(call: Call, group: str, expected: str | None) -> Caller:
    group_of(call.view, group)
    return Caller(call.site, call.view, call.person, group, call.now, expected)


async def _in_force(call: Call, generation: int) -> InForceOut:
    force = await call.site.changes.in_force(generation)
    return InForceOut(applied=force.applied, workers=force.workers)


async def _switched(call: Call, group: str, generation: int) -> SwitchedOut:
    force = await _in_force(call, generation)
    now = Call(call.site, await call.site.school.now(), call.person, call.now)
    return SwitchedOut(generation=generation, in_force=force, class_now=(await _classes(now, [group_of(now.view, group)]))[0])


async def _classes(call: Call, groups: list[Group]) -> list[ClassOut]:
    async with call.site.store.read() as connection:
        requests = await open_counts(connection, [group.name for group in groups])
    workers = call.site.box.workers()
    states = [class_now(call.view, call.site.classes, group, call.now, workers, requests) for group in groups]
    return [_out(call, state, lesson_end(call.view, state.group, call.now, trusted(workers))) for state in states]


def _out(call: Call, state: ClassNow, lesson_ends: float | None) -> ClassOut:
    return ClassOut(
        group=state.group,
        title=state.title,
        mode=state.mode,
        mode_title=in_language(state.mode_title, call.person.language),
        until=state.until,
        origin=state.origin,
        switch=SwitchOut(**_named(state.override)) if state.override else None,
        seen=state.seen,
        in_force=InForceOut(applied=state.applied, workers=state.workers),
        open_requests=state.requests,
        lesson_ends=lesson_ends,
    )

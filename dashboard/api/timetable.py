"""The timetable for programs: the whole of it, and what it makes of a group's week."""

from datetime import date
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel, Field
from ruamel.yaml.comments import CommentedMap

from dashboard.access import Access, Scope
from dashboard.api.allowed import Call, allowed
from dashboard.api.body import Input
from dashboard.api.problem import problems
from dashboard.refusal import Refused
from dashboard.settings import school_file
from dashboard.settings.timetable import (
    LESSON_NAME,
    MOST_HOLIDAYS,
    MOST_LESSONS,
    MOST_RULES,
    SCHOOL_DAYS,
    monday_of,
    put_timetable,
    week_of,
)
from dashboard.store.audit import Entry
from filters.message import Message
from policies.model import Timetable

router = APIRouter(responses=problems(404, 409, 412))

Name = Annotated[str, Field(min_length=1, max_length=LESSON_NAME, pattern=r"^[^\x00-\x1f\x7f]*$")]
Text = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[^\x00-\x1f\x7f]*$")]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class RuleIn(Input):
    """A mode for groups on days, during lessons or at ranges of time. It needs at least one lesson or one range."""

    mode: Annotated[str, Field(min_length=1, max_length=63)]
    groups: list[Annotated[str, Field(min_length=1, max_length=63)]] = Field(default=[], max_length=2000, description="empty: every group")
    days: list[Weekday] = Field(default=list(SCHOOL_DAYS), max_length=7)
    lessons: list[Name] = Field(default=[], max_length=MOST_LESSONS, description="names of lessons")
    at: list[Text] = Field(default=[], max_length=20, description="ranges such as 11:30-13:00")
    sites: list[Annotated[str, Field(min_length=1, max_length=253)]] = Field(default=[], max_length=500, description="open in an exam")
    holidays: bool = Field(default=False, description="whether it holds on holidays too")


class TimetableIn(Input):
    lessons: dict[Name, Text] = Field(default={}, max_length=MOST_LESSONS, description="name -> range, for example 07:00-07:45")
    rules: list[RuleIn] = Field(default=[], max_length=MOST_RULES, description="where two hold, the first wins")
    holidays: list[Text] = Field(default=[], max_length=MOST_HOLIDAYS, description="dates, or ranges such as 2027-02-15..2027-02-21")


class RuleOut(BaseModel):
    mode: str
    groups: list[str]
    days: list[Weekday]
    lessons: list[str]
    at: list[str]
    sites: list[str]
    holidays: bool


class TimetableOut(BaseModel):
    lessons: dict[str, str]
    rules: list[RuleOut]
    holidays: list[str]

    @classmethod
    def of(cls, timetable: Timetable) -> Self:
        return cls.model_validate(timetable.model_dump(mode="json"))


class SpanOut(BaseModel):
    start: float = Field(description="Unix seconds")
    end: float
    mode: str | None = Field(description="null: what the group's tier says")
    sites: list[str]


class DayOut(BaseModel):
    date: date
    holiday: bool
    spans: list[SpanOut] = Field(description="one after the other, all of the day")


class WeekOut(BaseModel):
    group: str
    days: list[DayOut] = Field(description="Monday to Sunday")


@router.get("/timetable")
async def get_timetable(response: Response, call: Call = allowed(Access.SEES_SCHOOL, Scope.SCHOOL_READ)) -> TimetableOut:
    """The whole timetable; its ETag is what a change must bring along."""
    seen, view = await school_file.opened(call.site)
    response.headers["ETag"] = f'"{seen}"'
    return TimetableOut.of(view.file.timetable)


@router.put("/timetable")
async def put(
    wanted: TimetableIn,
    response: Response,
    if_match: Annotated[str, Header(alias="If-Match", max_length=200, description="the ETag of what this replaces, or *")],
    call: Call = allowed(Access.ADMIN, Scope.SCHOOL_WRITE),
) -> TimetableOut:
    """Replace the whole timetable. Refused (412) where the school's file is another by now, and (422) with everything that is wrong with it."""

    def change(document: CommentedMap) -> None:
        put_timetable(document, wanted.lessons, [rule.model_dump() for rule in wanted.rules], wanted.holidays)

    entry = Entry("timetable.changed", what="all", detail=wanted.model_dump(mode="json"))
    new = await school_file.edit(call.site, call.person, entry, await school_file.matched(call.site, if_match), change)
    response.headers["ETag"] = f'"{new}"'
    return TimetableOut.of((await call.site.school.now()).file.timetable)


@router.get("/timetable/week")
async def week(
    group: Annotated[str, Query(min_length=1, max_length=63)],
    day: Annotated[date | None, Query(description="a day of the week that is asked for; missing: today")] = None,
    call: Call = allowed(Access.SEES_SCHOOL, Scope.SCHOOL_READ),
) -> WeekOut:
    """What mode the timetable holds when, from the same compiled timetable as the resolver's. Switches by teachers are not in it."""
    if group not in call.view.snapshot.groups:
        raise Refused(Message("There is no such class."), status=404)
    timetables = call.view.snapshot.timetables
    day = day or timetables.calendar.local(call.now).date()
    if not 2000 <= day.year <= 2200:
        raise Refused(Message("A day between 2000 and 2200 is needed."), status=422, field="day")
    days = [
        DayOut(date=each.date, holiday=each.holiday, spans=[SpanOut(**span._asdict() | {"sites": list(span.sites)}) for span in each.spans])
        for each in week_of(timetables, group, monday_of(day))
    ]
    return WeekOut(group=group, days=days)

"""Figures, for programs: the same as the pages show, with the same threshold."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from dashboard.access import Access, Scope
from dashboard.api.allowed import Call, allowed
from dashboard.api.problem import problems
from dashboard.insight.figures import Figures, figures
from dashboard.refusal import Refused
from filters.message import Message

router = APIRouter(responses=problems(404))

Days = Literal["1", "7", "30", "365"]


class RowOut(BaseModel):
    """Refusals of one category, or of one site."""

    domain: str = Field(description="A registered domain; empty in figures by category.")
    category: str
    count: int
    devices: int = Field(description="At least so many different devices asked; never fewer than 5.")


class DayOut(BaseModel):
    day: float = Field(description="When the day began, Unix seconds.")
    count: int


class FiguresOut(BaseModel):
    """Refusals of a span of days. Rows of fewer than 5 devices are left out, and are in no total."""

    since: float
    until: float
    blocked: int
    allowed: int = Field(description="Of the whole school; 0 for a class.")
    by_category: list[RowOut]
    sites: list[RowOut]
    by_day: list[DayOut]


@router.get("/statistics")
async def school(days: Days = "7", call: Call = allowed(Access.SEES_SCHOOL, Scope.STATISTICS_READ)) -> FiguresOut:
    """The whole school's."""
    return await _figures(call, None, int(days))


@router.get("/statistics/{group}")
async def of_class(
    group: Annotated[str, Path(max_length=63)], days: Days = "7", call: Call = allowed(Access.SEES_CLASS, Scope.STATISTICS_READ)
) -> FiguresOut:
    """One class's."""
    if group not in call.view.snapshot.groups:
        raise Refused(Message("There is no group {group!r}.", group=group), status=404)
    return await _figures(call, group, int(days))


async def _figures(call: Call, group: str | None, days: int) -> FiguresOut:
    async with call.site.store.read() as connection:
        return _out(await figures(connection, group, days, call.now, call.view.file.school.timezone))


def _out(found: Figures) -> FiguresOut:
    return FiguresOut(
        since=found.since,
        until=found.until,
        blocked=found.blocked,
        allowed=found.allowed,
        by_category=[RowOut(domain="", category=row.category, count=row.count, devices=row.devices) for row in found.by_category],
        sites=[RowOut(domain=row.domain, category=row.category, count=row.count, devices=row.devices) for row in found.sites],
        by_day=[DayOut(day=day, count=count) for day, count in found.by_day],
    )

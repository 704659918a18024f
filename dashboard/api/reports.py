"""Reports of harmful content, for programs."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from dashboard.access import Access, Scope
from dashboard.api.allowed import Call, allowed
from dashboard.api.body import Input
from dashboard.api.problem import problems
from dashboard.lessons.classes import name_of
from dashboard.reporting import reports
from dashboard.reporting.outbox import trouble_said
from dashboard.store import outbox
from dashboard.store import reports as store
from dashboard.store.outbox import Item
from dashboard.store.reports import Report

router = APIRouter()

Kind = Literal["harmful", "fake", "abuse", "mistake"]
Status = Literal["received", "collecting", "verifying", "coordinating", "closed"]
Progress = Literal["", "waiting", "overdue", "accepted"]
ReportId = Annotated[int, Path(ge=1, le=2**53)]


class ReportOut(BaseModel):
    """A report. There is nothing in it by which a device could be known."""

    id: int
    number: str = Field(description="What the sender may quote, for example K7QM-2XTD")
    at: float = Field(description="Unix seconds at which it came")
    kind: Kind
    target: str = Field(description="The site or page, as it was written")
    note: str
    signed: str = Field(description="What the sender left as a name or an address; often empty")
    group: str = Field(description="The sender's class; empty where none is known")
    state: Status
    closed_at: float | None
    again: int = Field(description="How often the same was reported once more")
    province: Progress = Field(
        description="Whether it was handed on: empty means no, overdue means that it has waited for longer than a day"
    )


class StepOut(BaseModel):
    at: float
    by: str = Field(description="Empty: the box, or a sender who is not named")
    state: str = Field(description="The state that it had from then on; or queued, forwarded: handed on, and taken by the province")
    note: str


class ForwardingOut(BaseModel):
    way: Literal["webhook", "mail"]
    to: str
    since: float
    attempts: int = Field(description="That failed")
    next_at: float | None = Field(description="When it is tried again; null: it was taken")
    trouble: str = Field(description="Why it was not taken yet, in words")
    accepted_at: float | None


class ReportDetail(ReportOut):
    """A report with every step."""

    categories: list[str] = Field(description="What the lists have the site as")
    steps: list[StepOut]
    forwarding: list[ForwardingOut]
    next_states: list[Status] = Field(description="The states that it may be given now")


class Reports(BaseModel):
    reports: list[ReportOut]
    counts: dict[Status, int]
    overdue: int = Field(description="Reports that have waited for the province for longer than a day")


class NewReport(Input):
    kind: Kind
    target: str = Field(min_length=1, max_length=reports.TARGET)
    note: str = Field(default="", max_length=reports.NOTE)
    signed: bool = Field(default=False, description="With the name of the token's owner; otherwise nobody can see who has sent it")


class Taken(BaseModel):
    number: str


class NewStep(Input):
    seen: Status = Field(description="The state that the report had when this was decided; if it has another one now, nothing is changed")
    to: Status = Field(description="One of next_states")
    note: str = Field(default="", max_length=reports.STEP_NOTE, description="Needed for closed: what came of it")


def _out(report: Report, items: list[Item], again: int, now: float) -> dict[str, object]:
    return {
        "id": report.id,
        "number": report.number,
        "at": report.at,
        "kind": report.kind,
        "target": report.target,
        "note": report.note,
        "signed": report.signed,
        "group": report.group,
        "state": report.status,
        "closed_at": report.closed_at,
        "again": again,
        "province": reports.progress(items, now),
    }


def _forwarding(item: Item) -> ForwardingOut:
    return ForwardingOut.model_validate(
        {
            "way": item.way,
            "to": item.target,
            "since": item.created_at,
            "attempts": item.attempts,
            "next_at": item.next_at if item.accepted_at is None else None,
            "trouble": "" if item.accepted_at is not None else trouble_said(item.trouble, str),
            "accepted_at": item.accepted_at,
        }
    )


async def _detail(call: Call, report_id: int) -> ReportDetail:
    known = await reports.know(call.site, call.view, report_id)
    return ReportDetail.model_validate(
        {
            **_out(known.report, known.items, known.again, call.now),
            "categories": known.categories,
            "steps": [StepOut(at=step.at, by=name_of(step.by), state=step.state, note=step.note) for step in known.steps],
            "forwarding": [_forwarding(item) for item in known.items],
            "next_states": list(reports.moves(known.report)),
        }
    )


@router.get("/reports")
async def list_reports(
    state: Annotated[Status | None, Query(description="Only these")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    call: Call = allowed(Access.SEES_SCHOOL, Scope.REPORTS_READ),
) -> Reports:
    """Reports; of an open state the one that has waited longest comes first, otherwise the newest."""
    async with call.site.store.read() as connection:
        found = await store.listed(connection, state, limit, offset)
        ids = [report.id for report in found]
        items = await outbox.of_reports(connection, ids)
        again = await store.times_again(connection, ids)
        counts = await store.counts(connection)
        overdue = await outbox.count_overdue(connection, call.now)
    rows = [_out(report, items.get(report.id, []), again.get(report.id, 0), call.now) for report in found]
    return Reports.model_validate({"reports": rows, "counts": counts, "overdue": overdue})


@router.get("/reports/{id}", responses=problems(404))
async def get_report(
    id: ReportId,  # noqa: A002 - the word of the path
    call: Call = allowed(Access.SEES_SCHOOL, Scope.REPORTS_READ),
) -> ReportDetail:
    """One report with every step, and how handing it on stands."""
    return await _detail(call, id)


@router.post("/reports", status_code=201)
async def make_report(body: NewReport, call: Call = allowed(Access.SIGNED_IN, Scope.REPORTS_WRITE)) -> Taken:
    """Report something. Who sends it is not kept unless ``signed``. The same within an hour, without a note, is counted with the first."""
    signed = call.person.shown if body.signed else ""
    return Taken(number=await reports.take(call.site, body.kind, body.target, body.note, signed, "", call.now))


@router.post("/reports/{id}/steps", status_code=201, responses=problems(404, 409))
async def make_step(
    id: ReportId,  # noqa: A002 - the word of the path
    body: NewStep,
    call: Call = allowed(Access.ADMIN, Scope.REPORTS_WRITE),
) -> ReportDetail:
    """Give the report its next state, the one before, or close it; a closed one is taken up again in the state that it had."""
    await reports.move(call.site, call.person, id, body.seen, body.to, body.note, call.now)
    return await _detail(call, id)


@router.post("/reports/{id}/forward", status_code=201, responses=problems(404, 409))
async def forward_report(
    id: ReportId,  # noqa: A002 - the word of the path
    call: Call = allowed(Access.ADMIN, Scope.REPORTS_WRITE),
) -> ReportDetail:
    """Hand the report on to the province as it is now. It is sent until the province has taken it."""
    await reports.forward(call.site, call.view, call.person, id, call.now)
    return await _detail(call, id)

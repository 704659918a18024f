"""The audit log, for programs."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from dashboard.access import Access, Scope
from dashboard.api.allowed import Call, allowed
from dashboard.store.audit_log import Question, read

router = APIRouter()
_TEXT = r"^[^\x00]*$"
_LATEST = 253402300799
"""the end of the year 9999"""


class EntryOut(BaseModel):
    id: int
    at: float = Field(description="Unix seconds")
    by: str = Field(description="Name and login; empty: the box itself, or nobody who was signed in")
    action: str = Field(description="such as class.mode")
    object: str = Field(description="What was changed")
    detail: dict[str, Any] = Field(description="What is needed to understand it; never a secret")
    reason: str
    outcome: str = Field(description="begun, done or failed")


class EntriesOut(BaseModel):
    entries: list[EntryOut] = Field(description="The newest first")
    before: int | None = Field(description="The mark of the next page; null: this was the last")


@router.get("/audit")
async def list_audit(
    person: Annotated[str, Query(max_length=200, pattern=_TEXT, description="A part of a name or a login")] = "",
    action: Annotated[str, Query(max_length=48, pattern=_TEXT)] = "",
    text: Annotated[str, Query(max_length=200, pattern=_TEXT, description="A part of what was changed, or of the reason")] = "",
    since: Annotated[float | None, Query(ge=0, le=_LATEST, allow_inf_nan=False, description="Unix seconds")] = None,
    until: Annotated[float | None, Query(ge=0, le=_LATEST, allow_inf_nan=False, description="Unix seconds, not included")] = None,
    before: Annotated[int | None, Query(ge=1, le=2**53, description="The mark that the page before gave")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    call: Call = allowed(Access.SEES_SCHOOL, Scope.AUDIT_READ),
) -> EntriesOut:
    """Who changed what, when and why."""
    async with call.site.store.read() as connection:
        rows = await read(connection, Question(person, action, text, since, until), limit + 1, before)
    entries = [EntryOut(**asdict(row)) for row in rows[:limit]]
    return EntriesOut(entries=entries, before=entries[-1].id if len(rows) > limit else None)

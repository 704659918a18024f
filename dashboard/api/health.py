"""How the box is, for programs: the checks of the health page."""

from typing import Annotated, Literal

from fastapi import APIRouter, Header
from pydantic import BaseModel, Field

from dashboard.access import Access, Scope
from dashboard.api.allowed import Call, allowed
from dashboard.catalogue import translator
from dashboard.insight.health import worst
from dashboard.insight.looking import look
from filters.message import said

router = APIRouter()

Level = Literal["bad", "warn", "unknown", "ok"]


class CheckOut(BaseModel):
    id: str = Field(
        description="resolver, upstreams, changes, files, lists, store, disk, clock, certificates, reports, requests or versions"
    )
    level: Level
    title: str = Field(description="what is the case")
    means: str = Field(description="what that means for the school")
    todo: str = Field(description="what to do; empty: nothing")
    details: list[str]


class HealthOut(BaseModel):
    level: Level = Field(description="the worst of all checks")
    checks: list[CheckOut] = Field(description="the worst first")


@router.get("/health")
async def health(
    accept_language: Annotated[str, Header(max_length=200, description="vi or en: the language of the texts")] = "en",
    call: Call = allowed(Access.SEES_SCHOOL, Scope.HEALTH_READ),
) -> HealthOut:
    """All checks, done now. For a monitor without a token there is GET /healthz: 200, or 503 where something is bad."""
    _ = translator("vi" if accept_language.lower().startswith("vi") else "en")
    found = await look(call.site, _)
    return HealthOut(
        level=worst(found).value,
        checks=[
            CheckOut(
                id=check.id,
                level=check.level.value,
                title=said(check.title, _),
                means=said(check.means, _),
                todo=said(check.todo, _) if check.todo else "",
                details=[said(line, _) for line in check.details if line],
            )
            for check in found
        ],
    )

"""Pupils' requests for sites, for programs."""

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from dashboard.access import Access, Scope
from dashboard.api.allowed import Call, allowed
from dashboard.api.body import Input
from dashboard.api.problem import problems
from dashboard.lessons import requests
from dashboard.lessons.classes import name_of
from dashboard.store import requests as store

router = APIRouter()


ANSWERED = problems(404, 409)

State = Literal["open", "granted", "refused"]
RequestId = Annotated[int, Path(ge=1, le=2**53)]


class RequestOut(BaseModel):
    """A pupil's request for a site. There is nothing in it by which a device could be known."""

    id: int
    group: str
    name: str = Field(description="The site's domain name")
    asked_at: float = Field(description="Unix seconds of the first question")
    count: int = Field(description="How often the class asked while it was open")
    note: str
    signed: str = Field(description="What the pupil wrote as a name; often empty")
    category: str = Field(description="The category that blocked it; empty where it was something else")
    rung: int = Field(description="The rung of the ladder that blocked it")
    state: State
    answered_at: float | None
    answered_by: str
    answer: str


class Requests(BaseModel):
    requests: list[RequestOut]
    usual_wait: float | None = Field(description="Seconds in which half of the last 30 answers came; null: too few to say")


class Grant(Input):
    length: Literal["lesson", "45", "today", "always"] = Field(
        description="Until the bell, 45 minutes, until midnight, or for good (a rule; administrators only)"
    )
    everybody: bool = Field(default=False, description="With ``always``: for the whole school instead of the class")
    answer: str = Field(default="", max_length=requests.ANSWER, description="What the pupils read")


class Refuse(Input):
    answer: str = Field(default="", max_length=requests.ANSWER, description="The reason, as the pupils read it")


def _out(request: store.Request) -> RequestOut:
    values = asdict(request)
    return RequestOut(asked_at=values.pop("at"), answered_by=name_of(values.pop("answered_by")), **values)


@router.get("/requests")
async def list_requests(
    state: Annotated[State | None, Query(description="Only these")] = None,
    group: Annotated[str | None, Query(max_length=63, description="Only this class's")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    call: Call = allowed(Access.SIGNED_IN, Scope.REQUESTS_READ),
) -> Requests:
    """Requests of the classes that are yours to see: the open ones in the order in which they came, the others the latest answer first."""
    own = requests.groups_of(call.person)
    groups = own if group is None else frozenset((group,)) if own is None else own & {group}
    async with call.site.store.read() as connection:
        found = await store.listed(connection, groups, (state,) if state else store.STATES, limit, offset)
        usual = await requests.usual_wait(connection)
    return Requests(requests=[_out(request) for request in found], usual_wait=usual)


@router.post("/classes/{group}/requests/{id}/grant", responses=ANSWERED)
async def grant_request(
    id: RequestId,  # noqa: A002 - the word of the path
    body: Grant,
    group: str,
    call: Call = allowed(Access.OWN_CLASS, Scope.REQUESTS_WRITE),
) -> RequestOut:
    """Open the site for the class."""
    answering = requests.Answering(call.site, call.view, call.person, group, id, call.now)
    return _out(await requests.grant(answering, body.length, body.answer, everybody=body.everybody))


@router.post("/classes/{group}/requests/{id}/refuse", responses=ANSWERED)
async def refuse_request(
    id: RequestId,  # noqa: A002 - the word of the path
    body: Refuse,
    group: str,
    call: Call = allowed(Access.OWN_CLASS, Scope.REQUESTS_WRITE),
) -> RequestOut:
    """Say no."""
    answering = requests.Answering(call.site, call.view, call.person, group, id, call.now)
    return _out(await requests.refuse(answering, body.answer))

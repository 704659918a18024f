"""Groups of the school over the API. They stand in the school's file: ``If-Match`` with an earlier ETag refuses a change made on what was not seen."""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Response
from pydantic import BaseModel, Field

from dashboard.access import Access, Scope
from dashboard.api.allowed import Call, allowed
from dashboard.api.body import Input
from dashboard.api.problem import problems
from dashboard.school import View
from dashboard.settings import groups, school_file
from policies.model import Group

router = APIRouter()
GroupId = Annotated[str, Path(max_length=63, pattern="^[a-z0-9][a-z0-9-]*$")]
IfMatch = Annotated[str | None, Header(alias="If-Match", max_length=200, description="the ETag of an earlier answer")]
Client = Annotated[str, Field(max_length=100)]
CLIENTS = "networks, addresses or MACs"
_CHANGED = problems(404, 409, 412)


class GroupOut(BaseModel):
    id: str
    title: str
    tier: str
    clients: list[str]
    break_allows: list[str] = Field(description="categories that the mode break opens here besides the tier's own")
    devices: int = Field(description="devices that have this group by themselves, not by their network")


class GroupIn(Input):
    id: str = Field(max_length=63, pattern="^[a-z0-9][a-z0-9-]*$")
    title: str = Field("", max_length=groups.TITLE)
    tier: str = Field(max_length=63)
    clients: list[Client] = Field(default=[], max_length=groups.MOST_CLIENTS, description=CLIENTS)
    break_allows: list[str] = Field(default=[], max_length=50)


class GroupChange(Input):
    """What is not given stays."""

    title: str | None = Field(None, max_length=groups.TITLE)
    tier: str | None = Field(None, max_length=63)
    clients: list[Client] | None = Field(default=None, max_length=groups.MOST_CLIENTS, description=CLIENTS)
    break_allows: list[str] | None = Field(None, max_length=50)


@router.get("/groups", summary="The school's groups")
async def list_groups(response: Response, call: Call = allowed(Access.ADMIN, Scope.SCHOOL_READ)) -> list[GroupOut]:
    """In the order of the school's file."""
    seen, view = await school_file.opened(call.site)
    response.headers["ETag"] = f'"{seen}"'
    return [_out(each, view) for each in view.file.groups]


@router.post("/groups", status_code=201, summary="Add a group", responses=_CHANGED)
async def add_group(
    new: GroupIn, response: Response, if_match: IfMatch = None, call: Call = allowed(Access.ADMIN, Scope.SCHOOL_WRITE)
) -> GroupOut:
    """At the end of the school's file."""
    wanted = groups.wanted(new.id, new.title, new.tier, new.clients, new.break_allows, call.view)
    digest = await groups.add(call.site, call.person, wanted, await school_file.matched(call.site, if_match))
    return await _changed(call, new.id, response, digest)


@router.get("/groups/{group}", summary="One group", responses=problems(404))
async def get_group(group: GroupId, response: Response, call: Call = allowed(Access.ADMIN, Scope.SCHOOL_READ)) -> GroupOut:
    """As the school's file has it."""
    seen, view = await school_file.opened(call.site)
    response.headers["ETag"] = f'"{seen}"'
    return _out(groups.find(view, group), view)


@router.patch("/groups/{group}", summary="Change a group", responses=_CHANGED)
async def change_group(
    group: GroupId, new: GroupChange, response: Response, if_match: IfMatch = None, call: Call = allowed(Access.ADMIN, Scope.SCHOOL_WRITE)
) -> GroupOut:
    """What is not given stays. The id cannot be changed: devices, rules and teachers name it."""
    old = groups.find(call.view, group)
    wanted = groups.wanted(
        group,
        old.title if new.title is None else new.title,
        old.tier if new.tier is None else new.tier,
        [str(client) for client in old.clients] if new.clients is None else new.clients,
        old.break_allows if new.break_allows is None else new.break_allows,
        call.view,
    )
    digest = await groups.edit(call.site, call.person, call.view, wanted, await school_file.matched(call.site, if_match))
    return await _changed(call, group, response, digest)


@router.delete("/groups/{group}", status_code=204, summary="Remove a group that nothing names", responses=_CHANGED)
async def remove_group(group: GroupId, if_match: IfMatch = None, call: Call = allowed(Access.ADMIN, Scope.SCHOOL_WRITE)) -> None:
    """Refused (409) while devices, people, rules or the timetable name it."""
    await groups.remove(call.site, call.person, call.view, group, await school_file.matched(call.site, if_match), call.now)


async def _changed(call: Call, group: str, response: Response, digest: str) -> GroupOut:
    response.headers["ETag"] = f'"{digest}"'
    view = await call.site.school.now()
    return _out(groups.find(view, group), view)


def _out(group: Group, view: View) -> GroupOut:
    return GroupOut(
        id=group.name,
        title=group.title,
        tier=group.tier,
        clients=[str(client) for client in group.clients],
        break_allows=list(group.break_allows),
        devices=groups.counts(view).get(group.name, 0),
    )

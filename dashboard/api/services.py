"""The catalogue of services, and which of them are blocked for a tier or for one group."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from dashboard.access import Access, Scope
from dashboard.api.allowed import Call, allowed
from dashboard.api.body import Input
from dashboard.api.problem import problems
from dashboard.api.tiers import IfMatch, Service, edit
from dashboard.school import View
from dashboard.settings import school_file
from dashboard.settings.services import Target, blocked, found, inherited, put
from dashboard.store.audit import Entry
from filters.service import SERVICES

router = APIRouter(responses=problems(404, 409, 412))

Kind = Annotated[Literal["tiers", "groups"], Path(description="whose switches they are")]
Id = Annotated[str, Path(min_length=1, max_length=63, description="the tier's or the group's id")]


class ServiceOut(BaseModel):
    id: str
    vi: str = Field(description="its title in Vietnamese")
    en: str
    category: str
    names: list[str] = Field(description="the domain names by which it works, each with everything below it")


class BlockedServices(BaseModel):
    services: list[str] = Field(description="blocked for the tier or the group itself")
    by_tier: list[str] = Field(description="of a group: what its tier blocks already")


class BlockedServicesIn(Input):
    services: Annotated[list[Service], Field(max_length=len(SERVICES), description="exactly these are blocked")]


@router.get("/services")
async def list_services(
    q: Annotated[str, Query(max_length=100, description="in the title, the id or a name")] = "",
    call: Call = allowed(Access.SEES_SCHOOL, Scope.SCHOOL_READ),  # noqa: ARG001 - its rule is what matters
) -> list[ServiceOut]:
    """Every service that can be switched, or those that ``q`` finds."""
    return [ServiceOut(id=each.id, vi=each.vi, en=each.en, category=each.category, names=list(each.names)) for each in found(q)]


@router.get("/services/{kind}/{id}")
async def get_blocked(
    kind: Kind,
    id: Id,  # noqa: A002 - the path's
    response: Response,
    call: Call = allowed(Access.SEES_SCHOOL, Scope.SCHOOL_READ),
) -> BlockedServices:
    """What is blocked for a tier or a group, by itself and by its tier."""
    seen, view = await school_file.opened(call.site)
    response.headers["ETag"] = f'"{seen}"'
    return _blocked(view, Target(kind.removesuffix("s"), id))


@router.put("/services/{kind}/{id}")
async def put_blocked(
    kind: Kind,
    id: Id,  # noqa: A002
    wanted: BlockedServicesIn,
    response: Response,
    if_match: IfMatch = None,
    call: Call = allowed(Access.ADMIN, Scope.SCHOOL_WRITE),
) -> BlockedServices:
    """Exactly these, in place of those before. What a group's tier blocks stays blocked for it."""
    target, file = Target(kind.removesuffix("s"), id), call.view.file
    before, after = blocked(file, target), frozenset(wanted.services)
    entry = Entry("service.changed", what=str(target), detail={"blocked": sorted(after - before), "opened": sorted(before - after)})
    view = await edit(call, response, if_match, entry, lambda document: put(document, file, target, wanted.services))
    return _blocked(view, target)


def _blocked(view: View, target: Target) -> BlockedServices:
    return BlockedServices(services=sorted(blocked(view.file, target)), by_tier=sorted(inherited(view.file, target)))

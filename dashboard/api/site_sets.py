"""Saved sets of exam sites for programs: one's own, and the school's, which administrators keep."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from dashboard.access import Access, Scope
from dashboard.api.allowed import Call, allowed
from dashboard.api.body import Input
from dashboard.api.classes import SiteText
from dashboard.api.problem import problems
from dashboard.lessons.site_sets import MOST, NAME, SiteSet, checked_name, parse_sites
from dashboard.store import site_sets

router = APIRouter()

SetId = Annotated[int, Path(ge=1, lt=2**63)]


class SiteSetOut(BaseModel):
    id: int
    name: str
    sites: list[str] = Field(description="canonical names; what is below a site is open with it")
    school: bool = Field(description="the school's, which every teacher can use; else this person's own")


class SiteSetIn(Input):
    name: Annotated[str, Field(min_length=1, max_length=NAME, pattern=r"^[^\x00]*$")]
    sites: Annotated[list[SiteText], Field(min_length=1, max_length=MOST)]


class NewSiteSetIn(SiteSetIn):
    school: bool = Field(default=False, description="for everybody; administrators only")


@router.get("/site-sets")
async def list_site_sets(call: Call = allowed(Access.SIGNED_IN, Scope.CLASSES_READ)) -> list[SiteSetOut]:
    """The sets that this person can use."""
    async with call.site.store.read() as connection:
        return [_out(each) for each in await site_sets.usable(connection, call.person)]


@router.post("/site-sets", status_code=201, responses=problems(409))
async def add_site_set(wanted: NewSiteSetIn, call: Call = allowed(Access.SIGNED_IN, Scope.CLASSES_WRITE)) -> SiteSetOut:
    """A new set. 409 where this owner has one of the name."""
    return await _save(call, wanted, None if wanted.school else call.person.id, None)


@router.get("/site-sets/{set_id}", responses=problems(404))
async def show_site_set(set_id: SetId, call: Call = allowed(Access.SIGNED_IN, Scope.CLASSES_READ)) -> SiteSetOut:
    """One set. Another person's own is as if it were not there."""
    async with call.site.store.read() as connection:
        return _out(await site_sets.one(connection, call.person, set_id))


@router.put("/site-sets/{set_id}", responses=problems(404, 409))
async def change_site_set(set_id: SetId, wanted: SiteSetIn, call: Call = allowed(Access.SIGNED_IN, Scope.CLASSES_WRITE)) -> SiteSetOut:
    """Replace name and sites as a whole; the same call again changes nothing more. Whose the set is stays. PUT does not make a new one (404)."""
    return await _save(call, wanted, call.person.id, set_id)


@router.delete("/site-sets/{set_id}", responses=problems(404))
async def remove_site_set(set_id: SetId, call: Call = allowed(Access.SIGNED_IN, Scope.CLASSES_WRITE)) -> SiteSetOut:
    """The set, which is gone now. Exams that run keep their sites."""
    async with call.site.store.write() as connection:
        return _out(await site_sets.remove(connection, call.now, call.person, set_id))


async def _save(call: Call, wanted: SiteSetIn, owner_id: int | None, set_id: int | None) -> SiteSetOut:
    name, sites = checked_name(wanted.name), parse_sites("\n".join(wanted.sites))
    async with call.site.store.write() as connection:
        return _out(await site_sets.save(connection, call.now, call.person, name, sites, owner_id, set_id))


def _out(each: SiteSet) -> SiteSetOut:
    return SiteSetOut(id=each.id, name=each.name, sites=list(each.sites), school=each.owner_id is None)

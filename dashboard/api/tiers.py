"""Tiers and modes for programs: what holds, and changes of what differs from the built-in ones."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Response
from pydantic import BaseModel, Field, WithJsonSchema
from ruamel.yaml.comments import CommentedMap

from dashboard.access import Access, Scope
from dashboard.api.allowed import Call, allowed
from dashboard.api.body import Input
from dashboard.api.problem import problems
from dashboard.school import View
from dashboard.settings import school_file
from dashboard.settings.tiers import (
    BLOCKABLE,
    LIFTABLE,
    add_mode,
    add_tier,
    base_mode,
    base_of,
    no_such_mode,
    no_such_tier,
    put_mode,
    put_tier,
    remove_mode,
    remove_tier,
    reset_mode,
    reset_tier,
    users_of_mode,
    users_of_tier,
)
from dashboard.store.audit import Entry
from filters.category import CATEGORIES
from filters.service import SERVICES
from policies.model import BlockAnswer, Titles, YouTube
from policies.tiers import MODES, TIERS, resolve_modes, resolve_tiers

router = APIRouter(responses=problems(404, 409, 412))

ID = r"^[a-z0-9][a-z0-9-]{0,62}$"
TierId = Annotated[str, Path(min_length=1, max_length=63, description="a tier's id, for example thcs")]
ModeId = Annotated[str, Path(min_length=1, max_length=63, description="a mode's id, for example exam")]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match", max_length=200, description="the ETag of an earlier answer: the change is refused if the file is another by now"
    ),
]
Title = Annotated[str, Field(min_length=1, max_length=100, pattern=r"\S")]
Category = Annotated[str, WithJsonSchema({"type": "string", "enum": list(CATEGORIES)})]
Blockable = Annotated[str, WithJsonSchema({"type": "string", "enum": list(BLOCKABLE)})]
Liftable = Annotated[str, WithJsonSchema({"type": "string", "enum": list(LIFTABLE)})]
Service = Annotated[str, WithJsonSchema({"type": "string", "enum": list(SERVICES)})]
Site = Annotated[str, Field(min_length=1, max_length=253, description="a domain name; everything below it counts too")]


class TitlesIn(Input):
    vi: Title
    en: Title


class TierOut(BaseModel):
    """A tier as it holds: the built-in one with the school's changes, or the school's own."""

    id: str
    title: Titles
    built_in: bool
    based_on: str | None = Field(description="for a tier of the school's own")
    changed: list[str] = Field(description="fields that the school's file says")
    categories: dict[str, Literal["allow", "block"]] = Field(
        description="a category that is not named follows `default`; locked ones are always blocked"
    )
    default: Literal["allow", "block"]
    services: list[str] = Field(description="ids of blocked services")
    liftable: list[str] = Field(description="categories that a teacher may lift for a lesson")
    safe_search: bool
    youtube: YouTube
    strip_ech: bool
    ttl_limit: int = Field(description="seconds")
    block_answer: BlockAnswer | None = Field(description="null: the school's `dns.block_answer`")
    used_by: list[str] = Field(description="groups of this tier, and zones that serve it")


class TierPatch(Input):
    """Only what is named changes; null goes back to the built-in value."""

    title: TitlesIn | None = None
    categories: dict[Blockable, Literal["allow", "block"] | None] | None = Field(default=None, max_length=len(CATEGORIES))
    default: Literal["allow", "block"] | None = None
    services: Annotated[list[Service], Field(max_length=len(SERVICES))] | None = None
    liftable: Annotated[list[Liftable], Field(max_length=len(CATEGORIES))] | None = None
    safe_search: bool | None = None
    youtube: YouTube | None = None
    strip_ech: bool | None = None
    ttl_limit: Annotated[int, Field(ge=0, le=86400)] | None = None
    block_answer: BlockAnswer | None = None


class NewTier(Input):
    id: Annotated[str, Field(pattern=ID)]
    title: TitlesIn
    based_on: Literal["mam-non", "tieu-hoc", "thcs", "thpt", "staff", "guest"] | None = Field(default=None, description="a built-in tier")


class ModeOut(BaseModel):
    id: str
    title: Titles
    built_in: bool
    changed: list[str] = Field(description="fields that the school's file says")
    only: Literal["everything", "sites", "nothing"]
    sites: list[str]
    blocks: list[str]
    allows: list[str]
    used_by: list[str] = Field(description="groups that are in it now, and the timetable")


class ModePatch(Input):
    """Only what is named changes; null goes back to the built-in value."""

    title: TitlesIn | None = None
    only: Literal["everything", "sites", "nothing"] | None = None
    sites: Annotated[list[Site], Field(max_length=1000)] | None = None
    blocks: Annotated[list[Blockable], Field(max_length=len(CATEGORIES))] | None = None
    allows: Annotated[list[Liftable], Field(max_length=len(CATEGORIES))] | None = None


class NewMode(Input):
    id: Annotated[str, Field(pattern=ID)]
    title: TitlesIn


@router.get("/tiers")
async def list_tiers(response: Response, call: Call = allowed(Access.SEES_SCHOOL, Scope.SCHOOL_READ)) -> list[TierOut]:
    """As they hold now, the built-in ones with the school's changes."""
    seen, view = await school_file.opened(call.site)
    response.headers["ETag"] = f'"{seen}"'
    return [_tier(view, name) for name in resolve_tiers(view.file.tiers)]


@router.get("/tiers/{tier}")
async def get_tier(tier: TierId, response: Response, call: Call = allowed(Access.SEES_SCHOOL, Scope.SCHOOL_READ)) -> TierOut:
    """As it holds now."""
    seen, view = await school_file.opened(call.site)
    response.headers["ETag"] = f'"{seen}"'
    return _tier(view, tier)


@router.post("/tiers", status_code=201)
async def add(
    new: NewTier, response: Response, if_match: IfMatch = None, call: Call = allowed(Access.ADMIN, Scope.SCHOOL_WRITE)
) -> TierOut:
    """A tier of the school's own, which begins as the one that it is based on."""
    titles = Titles(vi=new.title.vi, en=new.title.en)
    entry = Entry("tier.changed", what=new.id, detail={"added": True, "based_on": new.based_on})
    view = await edit(call, response, if_match, entry, lambda document: add_tier(document, call.view.file, new.id, titles, new.based_on))
    return _tier(view, new.id)


@router.patch("/tiers/{tier}")
async def change_tier(
    tier: TierId, patch: TierPatch, response: Response, if_match: IfMatch = None, call: Call = allowed(Access.ADMIN, Scope.SCHOOL_WRITE)
) -> TierOut:
    """What is not named stays; null goes back to what is built in."""
    base, wanted = base_of(call.view.file, tier), _wanted(patch)
    entry = Entry("tier.changed", what=tier, detail=patch.model_dump(mode="json", exclude_unset=True))
    return _tier(await edit(call, response, if_match, entry, lambda document: put_tier(document, tier, base, wanted)), tier)


@router.post("/tiers/{tier}/reset")
async def reset(
    tier: TierId, response: Response, if_match: IfMatch = None, call: Call = allowed(Access.ADMIN, Scope.SCHOOL_WRITE)
) -> TierOut:
    """Back to how it was built in; one of the school's own: to the tier that it is based on."""
    base_of(call.view.file, tier)
    entry = Entry("tier.changed", what=tier, detail={"reset": True})
    return _tier(await edit(call, response, if_match, entry, lambda document: reset_tier(document, tier)), tier)


@router.delete("/tiers/{tier}", status_code=204)
async def delete_tier(tier: TierId, if_match: IfMatch = None, call: Call = allowed(Access.ADMIN, Scope.SCHOOL_WRITE)) -> None:
    """A tier of the school's own that nothing uses."""
    entry = Entry("tier.changed", what=tier, detail={"removed": True})
    await edit(call, None, if_match, entry, lambda document: remove_tier(document, call.view.file, tier))


@router.get("/modes")
async def list_modes(response: Response, call: Call = allowed(Access.SEES_SCHOOL, Scope.SCHOOL_READ)) -> list[ModeOut]:
    """As they hold now, the built-in ones with the school's changes."""
    seen, view = await school_file.opened(call.site)
    response.headers["ETag"] = f'"{seen}"'
    return [_mode(view, name, call.now) for name in resolve_modes(view.file.modes)]


@router.get("/modes/{mode}")
async def get_mode(mode: ModeId, response: Response, call: Call = allowed(Access.SEES_SCHOOL, Scope.SCHOOL_READ)) -> ModeOut:
    """As it holds now."""
    seen, view = await school_file.opened(call.site)
    response.headers["ETag"] = f'"{seen}"'
    return _mode(view, mode, call.now)


@router.post("/modes", status_code=201)
async def new_mode(
    new: NewMode, response: Response, if_match: IfMatch = None, call: Call = allowed(Access.ADMIN, Scope.SCHOOL_WRITE)
) -> ModeOut:
    """A mode of the school's own, which begins as the normal one."""
    titles = Titles(vi=new.title.vi, en=new.title.en)
    entry = Entry("tier.changed", what=new.id, detail={"mode": new.id, "added": True})
    view = await edit(call, response, if_match, entry, lambda document: add_mode(document, call.view.file, new.id, titles))
    return _mode(view, new.id, call.now)


@router.patch("/modes/{mode}")
async def change_mode(
    mode: ModeId, patch: ModePatch, response: Response, if_match: IfMatch = None, call: Call = allowed(Access.ADMIN, Scope.SCHOOL_WRITE)
) -> ModeOut:
    """What is not named stays; null goes back to what is built in."""
    base, wanted = base_mode(call.view.file, mode), _wanted(patch)
    entry = Entry("tier.changed", what=mode, detail={"mode": mode} | patch.model_dump(mode="json", exclude_unset=True))
    return _mode(await edit(call, response, if_match, entry, lambda document: put_mode(document, mode, base, wanted)), mode, call.now)


@router.post("/modes/{mode}/reset")
async def rebuild_mode(
    mode: ModeId, response: Response, if_match: IfMatch = None, call: Call = allowed(Access.ADMIN, Scope.SCHOOL_WRITE)
) -> ModeOut:
    """Back to how it was built in."""
    base_mode(call.view.file, mode)
    entry = Entry("tier.changed", what=mode, detail={"mode": mode, "reset": True})
    return _mode(await edit(call, response, if_match, entry, lambda document: reset_mode(document, mode)), mode, call.now)


@router.delete("/modes/{mode}", status_code=204)
async def delete_mode(mode: ModeId, if_match: IfMatch = None, call: Call = allowed(Access.ADMIN, Scope.SCHOOL_WRITE)) -> None:
    """A mode of the school's own that nothing uses."""
    view, entry = call.view, Entry("tier.changed", what=mode, detail={"mode": mode, "removed": True})
    await edit(call, None, if_match, entry, lambda document: remove_mode(document, view.file, view.state, mode, call.now))


async def edit(call: Call, response: Response | None, if_match: str | None, entry: Entry, change: Callable[[CommentedMap], None]) -> View:
    """Carry a change of the school's file out; what holds then, and its ETag in the response."""
    new = await school_file.edit(call.site, call.person, entry, await school_file.matched(call.site, if_match), change)
    if response is not None:
        response.headers["ETag"] = f'"{new}"'
    return await call.site.school.now()


def _wanted(patch: BaseModel) -> dict[str, Any]:
    values = {name: getattr(patch, name) for name in patch.model_fields_set}
    if isinstance(values.get("title"), TitlesIn):
        values["title"] = Titles(vi=values["title"].vi, en=values["title"].en)
    return values


def _tier(view: View, name: str) -> TierOut:
    tiers = resolve_tiers(view.file.tiers)
    if name not in tiers:
        raise no_such_tier(name)
    change = view.file.tiers.get(name)
    return TierOut(
        **tiers[name].model_dump(),
        id=name,
        built_in=name in TIERS,
        based_on=change.based_on if change else None,
        changed=sorted(change.model_fields_set) if change else [],
        used_by=users_of_tier(view.file, name),
    )


def _mode(view: View, name: str, now: float) -> ModeOut:
    modes = resolve_modes(view.file.modes)
    if name not in modes:
        raise no_such_mode(name)
    change = view.file.modes.get(name)
    return ModeOut(
        **modes[name].model_dump(),
        id=name,
        built_in=name in MODES,
        changed=sorted(change.model_fields_set) if change else [],
        used_by=users_of_mode(view.file, view.state, name, now),
    )

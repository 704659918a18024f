"""The school's settings, the province's file, and school.yaml as a whole, for programs.

The file's ETag is its digest: a program sends it back as If-Match, so that it never overwrites what it has not seen. Replacing a whole file needs it.
"""

from hashlib import sha256
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field

from dashboard.access import Access, Scope
from dashboard.api.allowed import Call, allowed
from dashboard.api.body import Input
from dashboard.api.problem import problems
from dashboard.api.tiers import IfMatch, edit
from dashboard.refusal import Refused
from dashboard.school import View
from dashboard.settings import school_file
from dashboard.settings.school_settings import put
from dashboard.store.audit import Entry
from filters.message import Message
from policies.document import MAX_BYTES
from policies.model import BlockAnswer, SchoolFile, Titles
from policies.province import Province

YAML = "application/yaml"
BODY: dict[str, Any] = {"requestBody": {"required": True, "content": {YAML: {"schema": {"type": "object"}}}}}
TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {YAML: {"schema": {"type": "object"}}}, "description": "The file as it is"}}

router = APIRouter(responses=problems(404, 409, 412))

Version = Annotated[str, Path(min_length=1, max_length=300, description="an earlier text's id")]
Text = Annotated[str, Field(max_length=1000)]
Line = Annotated[str, Field(min_length=1, max_length=500)]


class NoticeIn(Input):
    vi: Text
    en: Text


class SettingsOut(BaseModel):
    name: str
    language: Literal["vi", "en"]
    timezone: str
    contact: str = Field(description="whom a pupil asks")
    counsellor: str
    notice: Titles | None = Field(description="what the school says on the block page")
    upstreams: list[str]
    forward: dict[str, list[str]]
    allow_from: list[str]
    block_answer: BlockAnswer
    block_page: list[str]


class SettingsPatch(Input):
    """Only what is named changes; null goes back to the default."""

    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    language: Literal["vi", "en"] | None = None
    timezone: Annotated[str, Field(max_length=60)] | None = None
    contact: Text | None = None
    counsellor: Text | None = None
    notice: NoticeIn | None = None
    upstreams: Annotated[list[Line], Field(min_length=1, max_length=20)] | None = None
    forward: Annotated[dict[str, Annotated[list[Line], Field(min_length=1, max_length=20)]], Field(max_length=200)] | None = None
    allow_from: Annotated[list[Line], Field(max_length=200)] | None = None
    block_answer: BlockAnswer | None = None
    block_page: Annotated[list[Line], Field(max_length=20)] | None = None


class Saved(BaseModel):
    etag: str = Field(description="the new file's")


class VersionOut(BaseModel):
    id: str
    at: float = Field(description="when it was replaced, Unix seconds")
    digest: str = Field(description="the first 12 characters of its SHA-256")
    size: int


@router.get("/school")
async def get_settings(response: Response, call: Call = allowed(Access.SEES_SCHOOL, Scope.SCHOOL_READ)) -> SettingsOut:
    """Without what only administrators may see."""
    seen, view = await school_file.opened(call.site)
    response.headers["ETag"] = f'"{seen}"'
    return _settings(view.file)


@router.patch("/school")
async def change_settings(
    patch: SettingsPatch, response: Response, if_match: IfMatch = None, call: Call = allowed(Access.ADMIN, Scope.SCHOOL_WRITE)
) -> SettingsOut:
    """What is not named stays; null goes back to the default."""
    wanted = {name: each.model_dump() if isinstance(each := getattr(patch, name), BaseModel) else each for name in patch.model_fields_set}
    entry = Entry("school.changed", what=", ".join(sorted(wanted)))
    view = await edit(call, response, if_match, entry, lambda document: put(document, call.view.file, wanted))
    return _settings(view.file)


def _settings(file: SchoolFile) -> SettingsOut:
    return SettingsOut(
        **file.school.model_dump(exclude={"province"}),
        upstreams=list(file.dns.upstreams),
        forward={name: list(upstreams) for name, upstreams in file.dns.forward.items()},
        allow_from=[str(network) for network in file.dns.allow_from],
        block_answer=file.dns.block_answer,
        block_page=[str(address) for address in file.dns.block_page],
    )


@router.get("/school/file", response_class=Response, responses=TEXT)
async def get_file(call: Call = allowed(Access.ADMIN, Scope.SCHOOL_READ)) -> Response:
    """school.yaml with its comments. Only for administrators: an address in it may have a password."""
    return _yaml(school_file.read(call.site.config))


@router.put("/school/file", responses=problems(428), openapi_extra=BODY)
async def put_file(
    request: Request, response: Response, if_match: IfMatch = None, call: Call = allowed(Access.ADMIN, Scope.SCHOOL_WRITE)
) -> Saved:
    """The whole file anew. Everything that is wrong with it is said at once; then nothing has changed."""
    if if_match is None:
        raise Refused(Message("If-Match is needed, with the ETag of the file that this one replaces."), status=428)
    seen = await school_file.matched(call.site, if_match)
    return _saved(response, await school_file.replace(call.site, call.person, await _body(request), seen))


@router.get("/school/file/versions")
async def list_versions(call: Call = allowed(Access.ADMIN, Scope.SCHOOL_READ)) -> list[VersionOut]:
    """Earlier texts, the newest first."""
    return [VersionOut(**version._asdict()) for version in school_file.history(call.site.config)]


@router.get("/school/file/versions/{version}", response_class=Response, responses=TEXT)
async def get_version(version: Version, call: Call = allowed(Access.ADMIN, Scope.SCHOOL_READ)) -> Response:
    """As it was kept when it was replaced."""
    return _yaml(school_file.earlier(call.site.config, version))


@router.post("/school/file/versions/{version}/restore")
async def restore(
    version: Version, response: Response, if_match: IfMatch = None, call: Call = allowed(Access.ADMIN, Scope.SCHOOL_WRITE)
) -> Saved:
    """Back to an earlier text, whole."""
    seen = await school_file.matched(call.site, if_match)
    return _saved(response, await school_file.restore(call.site, call.person, version, seen))


@router.get("/school/province")
async def get_province(call: Call = allowed(Access.SEES_SCHOOL, Scope.SCHOOL_READ)) -> Province:
    """What the province's file says, and what the province publishes."""
    return _province(call.view)


@router.put("/school/province", openapi_extra=BODY)
async def put_province(request: Request, call: Call = allowed(Access.ADMIN, Scope.SCHOOL_WRITE)) -> Province:
    """The province's file anew. It also says whose lists the box trusts."""
    await school_file.replace_province(call.site, call.person, await _body(request), "", "")
    return _province(await call.site.school.now())


def _province(view: View) -> Province:
    if view.province is None:
        raise Refused(Message("There is no province's file."), status=404)
    return view.province


async def _body(request: Request) -> bytes:
    """No more of it is read than a file may have. Raises Refused."""
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > MAX_BYTES:
            raise Refused(Message("This is too large: at most {limit} bytes.", limit=MAX_BYTES), status=413)
    return data


def _yaml(data: bytes) -> Response:
    return Response(data, media_type=YAML, headers={"ETag": f'"{sha256(data).hexdigest()}"', "Cache-Control": "no-store"})


def _saved(response: Response, digest: str) -> Saved:
    response.headers["ETag"] = f'"{digest}"'
    return Saved(etag=f'"{digest}"')

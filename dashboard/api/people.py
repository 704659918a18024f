"""People over the API: accounts, classes, substitutes, invitations, and the table of the whole staff."""

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field
from sqlalchemy import Row

from dashboard.access import Access, Role, Scope
from dashboard.api.allowed import Call, allowed
from dashboard.api.body import Input
from dashboard.api.imports import CsvIn, Preview, preview_of
from dashboard.api.problem import problems
from dashboard.refusal import Refused
from dashboard.staff import inviting
from dashboard.staff import people as rules
from dashboard.staff import people_table as people_import
from dashboard.store import staff
from dashboard.tables.importing import Status
from filters.message import Message

router = APIRouter()
PersonId = Annotated[int, Path(ge=1, le=2**63 - 1)]


RoleIn = Annotated[Role, Field(strict=False)]  # a text in JSON


class PersonOut(BaseModel):
    """An account."""

    id: int
    login: str
    name: str
    email: str
    role: Role
    classes: list[str] = Field(description="ids of the classes that are this person's for good")
    active: bool = Field(description="whether the person may sign in")
    has_password: bool = Field(description="false: an invitation was not taken up yet")
    has_second_factor: bool


class PeopleOut(BaseModel):
    people: list[PersonOut]
    total: int
    page: int
    pages: int


class PersonIn(Input):
    """A new account."""

    login: str = Field(max_length=64, description="letters, digits and . _ - + @; kept in lower case")
    name: str = Field(max_length=200)
    email: str = Field("", max_length=254)
    role: RoleIn = Role.TEACHER
    classes: list[str] = Field(default=[], max_length=500)


class PersonChange(Input):
    """What is not given stays."""

    name: str | None = Field(None, max_length=200)
    email: str | None = Field(None, max_length=254)
    role: RoleIn | None = None
    classes: list[str] | None = Field(None, max_length=500)
    active: bool | None = None


class InvitationOut(BaseModel):
    person_id: int
    login: str
    path: str = Field(description="path of the one-time link; it is not shown again")
    until: float = Field(description="Unix seconds")


class InvitationsIn(Input):
    people: list[Annotated[int, Field(ge=1, le=2**63 - 1)]] = Field(min_length=1, max_length=2000)


class SubstituteIn(Input):
    """A class for some days, both ends included; it ends by itself."""

    group: str = Field(max_length=63)
    first: str = Field(max_length=10, description="2027-01-15")
    last: str = Field(max_length=10, description="2027-01-15")


class SubstituteOut(BaseModel):
    id: int
    group: str
    since: float = Field(description="Unix seconds")
    until: float = Field(description="Unix seconds")
    given_by: str


class ImportOut(BaseModel):
    new: int
    changed: int
    ids: list[int] = Field(description="of the new people")


class Ended(BaseModel):
    sessions: int


@router.get("/people", summary="The staff, a page at a time")
async def list_people(
    q: Annotated[str, Query(max_length=100, description="words of the name, login or e-mail address")] = "",
    role: Role | None = None,
    group: Annotated[str, Query(max_length=63, description="only who has this class")] = "",
    page: Annotated[int, Query(ge=1, le=10**6)] = 1,
    call: Call = allowed(Access.ADMIN, Scope.PEOPLE_READ),
) -> PeopleOut:
    """By name, a page at a time; without ``q``, ``role`` and ``group`` everybody."""
    async with call.site.store.read() as connection:
        found = await staff.search(connection, q.replace("\0", ""), role.value if role else "", group.replace("\0", ""), page, call.now)
        classes = await staff.own_classes(connection, [row.id for row in found.rows])
    shown = [_out(row, classes.get(row.id, frozenset())) for row in found.rows]
    return PeopleOut(people=shown, total=found.total, page=found.page, pages=found.pages)


@router.post("/people", status_code=201, summary="Make an account", responses=problems(409))
async def add_person(new: PersonIn, call: Call = allowed(Access.ADMIN, Scope.PEOPLE_WRITE)) -> PersonOut:
    """Without a password: invite the person then."""
    details = rules.details(new.login, new.name, new.email, new.role, new.classes, call.view)
    return await _one(call, await rules.add(call.site, call.person, details, call.now))


@router.get(
    "/people/export",
    summary="The staff as a table (CSV)",
    responses={200: {"content": {"text/csv": {}}}},
    response_class=Response,
)
async def export_people(language: Literal["vi", "en"] = "en", call: Call = allowed(Access.ADMIN, Scope.PEOPLE_READ)) -> Response:
    """Without passwords; with the headings that importing understands."""
    return Response(await people_import.export(call.site, language), media_type="text/csv; charset=utf-8")


@router.post("/people/import/preview", summary="What a table would change")
async def preview_people(table: CsvIn, call: Call = allowed(Access.ADMIN, Scope.PEOPLE_WRITE)) -> Preview:
    """Nothing is changed. ``digest`` is what carrying it out needs."""
    return preview_of(await people_import.preview(call.site, call.view, table.data()))


@router.post("/people/import", summary="Carry a table out, whole or not at all", responses=problems(409))
async def import_people(table: CsvIn, call: Call = allowed(Access.ADMIN, Scope.PEOPLE_WRITE)) -> ImportOut:
    """Refused (409) where anything is another than in the preview whose digest is in ``seen``."""
    plan, ids = await people_import.carry_out(call.site, call.view, call.person, table.data(), table.seen, call.now)
    return ImportOut(new=len(ids), changed=plan.counts[Status.CHANGED], ids=ids)


@router.post(
    "/people/invitations",
    status_code=201,
    summary="New one-time links; earlier ones are void",
    responses=problems(404, 409),
)
async def invite_people(who: InvitationsIn, call: Call = allowed(Access.ADMIN, Scope.PEOPLE_WRITE)) -> list[InvitationOut]:
    """A link for each, good once and for some days, with which a password is set. It is in this answer only."""
    made = await inviting.invite(call.site, call.person, who.people, call.now)
    return [InvitationOut(person_id=each.person_id, login=each.login, path=f"/invitation/{each.token}", until=each.until) for each in made]


@router.get("/people/{person}", summary="One account", responses=problems(404))
async def get_person(person: PersonId, call: Call = allowed(Access.ADMIN, Scope.PEOPLE_READ)) -> PersonOut:
    """Without the classes that the person has for some days."""
    return await _one(call, person)


@router.patch("/people/{person}", summary="Change an account", responses=problems(404, 409))
async def change_person(person: PersonId, new: PersonChange, call: Call = allowed(Access.ADMIN, Scope.PEOPLE_WRITE)) -> PersonOut:
    """What is not given stays. The last administrator cannot be made something else, nor inactive (409)."""
    row, held = await _row(call, person)
    old = rules.described(row, held)
    details = rules.details(
        old.login,
        old.name if new.name is None else new.name,
        old.email if new.email is None else new.email,
        old.role if new.role is None else new.role,
        old.classes if new.classes is None else new.classes,
        call.view,
        active=old.active if new.active is None else new.active,
        held=held,
    )
    await rules.change(call.site, call.person, person, details, call.now)
    return await _one(call, person)


@router.delete("/people/{person}", status_code=204, summary="Remove an account", responses=problems(404, 409))
async def remove_person(person: PersonId, call: Call = allowed(Access.ADMIN, Scope.PEOPLE_WRITE)) -> None:
    """Sessions, tokens and classes go with it; the audit log keeps the name. The last administrator stays (409)."""
    await rules.remove(call.site, call.person, person, call.now)


@router.delete("/people/{person}/sessions", summary="End every session", responses=problems(404))
async def end_sessions(person: PersonId, call: Call = allowed(Access.ADMIN, Scope.PEOPLE_WRITE)) -> Ended:
    """The person is signed out everywhere; tokens stay."""
    return Ended(sessions=await rules.end_sessions(call.site, call.person, person, call.now))


@router.delete("/people/{person}/second-factor", status_code=204, summary="Reset the second factor", responses=problems(404, 409))
async def reset_second_factor(person: PersonId, call: Call = allowed(Access.ADMIN, Scope.PEOPLE_WRITE)) -> None:
    """For whoever has lost the telephone: the password alone counts then."""
    await rules.reset_totp(call.site, call.person, person, call.now)


@router.get("/people/{person}/substitutes", summary="Classes that the person has for some days", responses=problems(404))
async def list_substitutes(person: PersonId, call: Call = allowed(Access.ADMIN, Scope.PEOPLE_READ)) -> list[SubstituteOut]:
    """Those of now and those to come."""
    await _row(call, person)
    async with call.site.store.read() as connection:
        return _substitutes(await staff.substitutes(connection, person, call.now))


@router.post("/people/{person}/substitutes", status_code=201, summary="Give a class for some days", responses=problems(404, 409))
async def give_substitute(person: PersonId, new: SubstituteIn, call: Call = allowed(Access.ADMIN, Scope.PEOPLE_WRITE)) -> SubstituteOut:
    """From the first day to the end of the last, by the school's clock."""
    first, last = rules.day_of(new.first, "first"), rules.day_of(new.last, "last")
    given = await rules.give_for_days(call.site, call.person, person, new.group, first, last, call.now)
    async with call.site.store.read() as connection:
        return next(each for each in _substitutes(await staff.substitutes(connection, person, call.now)) if each.id == given)


@router.delete("/people/{person}/substitutes/{substitute}", status_code=204, summary="Take it back", responses=problems(404))
async def end_substitute(person: PersonId, substitute: PersonId, call: Call = allowed(Access.ADMIN, Scope.PEOPLE_WRITE)) -> None:
    """Before its time."""
    await rules.end_substitute(call.site, call.person, person, substitute, call.now)


async def _row(call: Call, person: int) -> tuple[Row[tuple[object, ...]], frozenset[str]]:
    async with call.site.store.read() as connection:
        row = await staff.by_id(connection, person)
        held = (await staff.own_classes(connection, [person])).get(person, frozenset())
    if row is None:
        raise Refused(Message("There is nobody by this number (any more)."), status=404)
    return row, held


async def _one(call: Call, person: int) -> PersonOut:
    return _out(*await _row(call, person))


def _out(row: Row[tuple[object, ...]], classes: frozenset[str]) -> PersonOut:
    return PersonOut(
        id=row.id,
        login=row.login,
        name=row.name,
        email=row.email,
        role=Role(row.role),
        classes=sorted(classes),
        active=row.active,
        has_password=row.password is not None,
        has_second_factor=row.totp_secret is not None,
    )


def _substitutes(found: Sequence[staff.Substitute]) -> list[SubstituteOut]:
    return [SubstituteOut(**each._asdict()) for each in found]

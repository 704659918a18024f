"""Saved sets of exam sites: one's own, and the school's, which administrators keep."""

from collections.abc import Mapping

from starlette.responses import Response

from dashboard.access import Access, Role
from dashboard.lessons.site_sets import TEXT, SiteSet, checked_name, may_edit, parse_sites
from dashboard.refusal import Refused
from dashboard.store import site_sets
from dashboard.web import Page, Visit
from filters.message import Message, said


async def index(visit: Visit) -> Response:
    """GET /exam-sets."""
    return await _index(visit)


async def edit(visit: Visit) -> Response:
    """GET /exam-sets/{id}."""
    async with visit.site.store.read() as connection:
        editing = await site_sets.one(connection, visit.person, _id(visit))
    if not may_edit(visit.person, editing.owner_id):
        raise Refused(Message("The school's sets are kept by IT staff; you can make your own."), status=403)
    return await _index(visit, editing)


async def _index(visit: Visit, editing: SiteSet | None = None, status: int = 200, errors: Mapping[str, str] | None = None) -> Response:
    async with visit.site.store.read() as connection:
        sets = await site_sets.usable(connection, visit.person)
    if errors is not None:
        values = {
            "name": str(visit.form.get("name", "")),
            "sites": str(visit.form.get("sites", "")),
            "school": bool(visit.form.get("school")),
        }
    else:
        values = {"name": editing.name if editing else "", "sites": "\n".join(editing.sites) if editing else "", "school": False}
    schools = visit.person.role is Role.ADMIN
    return visit.page("site_sets/index.html", status, sets=sets, editing=editing, values=values, errors=errors or {}, schools=schools)


async def add(visit: Visit) -> Response:
    """POST /exam-sets."""
    return await _save(visit, None)


async def change(visit: Visit) -> Response:
    """POST /exam-sets/{id}."""
    async with visit.site.store.read() as connection:
        editing = await site_sets.one(connection, visit.person, _id(visit))
    return await _save(visit, editing)


async def _save(visit: Visit, editing: SiteSet | None) -> Response:
    owner_id = None if visit.form.get("school") else visit.person.id
    try:
        name, sites = checked_name(visit.text("name", TEXT)), parse_sites(visit.text("sites", TEXT))
        async with visit.site.store.write() as connection:
            await site_sets.save(connection, visit.now, visit.person, name, sites, owner_id, editing.id if editing else None)
    except Refused as error:
        if error.status in (403, 404):
            raise
        return await _index(visit, editing, error.status, {error.field or "name": said(error, visit.translate)})
    _ = visit.translate
    return visit.back("/exam-sets", _("“{name}” is saved: {count} sites.").format(name=name, count=len(sites)))


async def remove(visit: Visit) -> Response:
    """POST /exam-sets/{id}/remove."""
    async with visit.site.store.write() as connection:
        gone = await site_sets.remove(connection, visit.now, visit.person, _id(visit))
    _ = visit.translate
    return visit.back("/exam-sets", _("“{name}” is removed.").format(name=gone.name))


def _id(visit: Visit) -> int:
    """The path's; 0, which no set has, for what is no number."""
    text = str(visit.request.path_params["id"])
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


PAGES: tuple[Page, ...] = (
    Page("GET", "/exam-sets", index, Access.SIGNED_IN),
    Page("POST", "/exam-sets", add, Access.SIGNED_IN),
    Page("GET", "/exam-sets/{id}", edit, Access.SIGNED_IN),
    Page("POST", "/exam-sets/{id}", change, Access.SIGNED_IN),
    Page("POST", "/exam-sets/{id}/remove", remove, Access.SIGNED_IN),
)

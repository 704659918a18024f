"""Groups and devices: the groups of the school, with their tiers and networks."""

from typing import Any

from starlette.responses import Response

from dashboard.access import Access
from dashboard.catalogue import category_title
from dashboard.refusal import Refused
from dashboard.settings import devices, groups, school_file
from dashboard.settings.tiers import title
from dashboard.tables.form_errors import form_errors, no_errors
from dashboard.web import Page, Visit
from filters.message import said
from policies.identify import default_group


async def index(visit: Visit) -> Response:
    view = visit.view
    values: dict[str, Any] = {
        "groups": view.file.groups,
        "counts": groups.counts(view),
        "default": default_group(view.file).name,
        "unknown": len(devices.strangers(visit.site, view, visit.now)),
        "known": len(view.state.devices),
    }
    return visit.page("groups/index.html", **(values | await _choices(visit)))


async def new(visit: Visit) -> Response:
    blank = {"name": "", "title": "", "tier": "", "clients": "", "break_allows": ()}
    return visit.page("groups/new.html", form=blank, errors=no_errors(), **await _choices(visit))


async def add(visit: Visit) -> Response:
    try:
        name = visit.text("name", 63) or groups.id_for(visit.text("title", 300))
        wanted = _wanted(visit, name)
        await groups.add(visit.site, visit.person, wanted, visit.text("seen", 64))
    except Refused as error:
        errors = form_errors(error, visit.translate)
        return visit.page("groups/new.html", error.status, form=_form(visit), errors=errors, **await _choices(visit))
    return visit.back(f"/groups/{wanted.name}", visit.translate("The group {name} is there now.").format(name=wanted.title or wanted.name))


async def show(visit: Visit) -> Response:
    return await _group_page(visit)


async def _group_page(visit: Visit, status: int = 200, **over: Any) -> Response:
    group = groups.find(visit.view, visit.group)
    uses = await groups.uses(visit.site, visit.view, group.name, visit.now)
    form = {"name": group.name, "title": group.title, "tier": group.tier, "clients": "\n".join(map(str, group.clients))}
    values: dict[str, Any] = {
        "group": group,
        "uses": [said(each, visit.translate) for each in uses],
        "count": groups.counts(visit.view).get(group.name, 0),
        "form": form | {"break_allows": group.break_allows},
        "errors": no_errors(),
    }
    return visit.page("groups/group.html", status, **(values | await _choices(visit) | over))


async def change(visit: Visit) -> Response:
    try:
        await groups.edit(visit.site, visit.person, visit.view, _wanted(visit, visit.group), visit.text("seen", 64))
    except Refused as error:
        return await _group_page(visit, error.status, form=_form(visit), errors=form_errors(error, visit.translate))
    return visit.back(f"/groups/{visit.group}", visit.translate("Saved."))


async def remove(visit: Visit) -> Response:
    try:
        await groups.remove(visit.site, visit.person, visit.view, visit.group, visit.text("seen", 64), visit.now)
    except Refused as error:
        return await _group_page(visit, error.status, errors=form_errors(error, visit.translate))
    return visit.back("/groups", visit.translate("The group {name} is removed.").format(name=visit.group))


def _wanted(visit: Visit, name: str) -> groups.Wanted:
    clients = groups.split(visit.text("clients", 100_000))
    return groups.wanted(name, visit.text("title", 1000), visit.text("tier", 63), clients, visit.texts("break_allows"), visit.view)


def _form(visit: Visit) -> dict[str, Any]:
    """What was typed, for showing the form again."""
    fields = {name: visit.form.get(name, "") for name in ("name", "title", "tier", "clients")}
    typed = {name: value[:100_000].replace("\0", "") if isinstance(value, str) else "" for name, value in fields.items()}
    return typed | {"break_allows": visit.texts("break_allows")}


async def _choices(visit: Visit) -> dict[str, Any]:
    seen, view = await school_file.opened(visit.site)
    tiers = [(name, title(tier.title, visit.language)) for name, tier in view.snapshot.tiers.items()]
    categories = [(category, category_title(category, visit.language)) for category in groups.LIFTABLE]
    return {"tiers": tiers, "categories": categories, "seen": seen}


PAGES = (
    Page("GET", "/groups", index, Access.ADMIN),
    Page("GET", "/groups/new", new, Access.ADMIN),
    Page("POST", "/groups", add, Access.ADMIN),
    Page("GET", "/groups/{group}", show, Access.ADMIN),
    Page("POST", "/groups/{group}", change, Access.ADMIN),
    Page("POST", "/groups/{group}/remove", remove, Access.ADMIN),
)

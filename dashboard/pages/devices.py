"""Devices: the unknown ones, to be mapped with two clicks, and those that have a group."""

from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from dashboard.access import Access
from dashboard.lessons.switching import outcome
from dashboard.refusal import Refused
from dashboard.settings import devices
from dashboard.settings.vendors import vendors_of
from dashboard.tables import import_pages
from dashboard.tables.form_errors import form_errors, no_errors
from dashboard.tables.import_pages import Import
from dashboard.tables.importing import Plan, Status
from dashboard.web import Page, Visit
from policies.identify import default_group


def _(message: str) -> str:
    """Marks a message for the catalogue."""
    return message


async def index(visit: Visit) -> Response:
    """Who asked and has no group."""
    return _unknown(visit)


def _unknown(visit: Visit, status: int = 200, error: str = "", chosen: frozenset[str] = frozenset(), group: str = "") -> Response:
    found = devices.strangers(visit.site, visit.view, visit.now)
    number, count = import_pages.page_of(visit, len(found), devices.PAGE)
    shown = found[(number - 1) * devices.PAGE : number * devices.PAGE]
    return visit.page(
        "devices/unknown.html",
        status,
        strangers=shown,
        vendors=vendors_of(each.mac for each in shown if each.mac),
        total=len(found),
        page=number,
        pages=count,
        error=error,
        chosen=chosen,
        group=group,
        default=default_group(visit.view.file),
        **_choices(visit),
    )


async def known(visit: Visit) -> Response:
    return await _known(visit)


async def _known(visit: Visit, status: int = 200, **over: Any) -> Response:
    asked = visit.request.query_params
    q, group = asked.get("q", "")[:100].replace("\0", ""), asked.get("group", "")
    group = group if group in visit.view.snapshot.groups else ""
    number, _count = import_pages.page_of(visit, 10**9, 1)
    found, total, number, count = await devices.search(visit.site, visit.view, q, group, number)
    link = "/devices/known?" + urlencode({"q": q, "group": group, "page": ""})
    values: dict[str, Any] = {"devices": found, "total": total, "page": number, "pages": count, "link": link, "q": q, "group": group}
    values |= {
        "form": {"mac": "", "group": group, "label": ""},
        "errors": no_errors(),
        "fixed": sorted(devices.in_file(visit.view).items()),
    }
    return visit.page("devices/known.html", status, **(values | _choices(visit) | over))


async def add(visit: Visit) -> Response:
    """Several that were ticked, or one that was typed among those that have a group."""
    macs, group, typed = visit.texts("mac"), visit.text("group", 63), bool(visit.form.get("typed"))
    label = visit.text("label", 1000)
    one = len(macs) == 1 and bool(label)
    try:
        macs = [devices.mac_of(mac) for mac in macs]
        generation = await devices.put(visit.site, visit.person, visit.view, macs, group, {macs[0]: label} if one else None)
    except Refused as error:
        errors = form_errors(error, visit.translate, "mac")
        if typed:
            form = {"mac": "".join(macs[:1])[:300], "group": group, "label": label[:300]}
            return await _known(visit, error.status, form=form, errors=errors)
        return _unknown(visit, error.status, " ".join(errors.values()), frozenset(visit.texts("mac")), group)
    done = visit.translate("{count} devices are in {group} now.").format(count=len(macs), group=_title(visit, group))
    return await _told(visit, done, generation, "/devices/known" if typed else "/devices")


async def show(visit: Visit) -> Response:
    return await _device_page(visit)


async def _device_page(visit: Visit, status: int = 200, **over: Any) -> Response:
    device = await devices.one(visit.site, visit.view, _mac(visit))
    values = {"device": device, "form": {"group": device.group, "label": device.label}, "errors": no_errors()}
    return visit.page("devices/device.html", status, **(values | _choices(visit) | over))


async def change(visit: Visit) -> Response:
    mac, group = _mac(visit), visit.form.get("group", "")
    await devices.one(visit.site, visit.view, mac)
    try:
        label = visit.text("label", 1000)
        generation = await devices.put(visit.site, visit.person, visit.view, [mac], visit.text("group", 63), {mac: label})
    except Refused as error:
        form = {"group": group if isinstance(group, str) else "", "label": str(visit.form.get("label", ""))[:300]}
        return await _device_page(visit, error.status, form=form, errors=form_errors(error, visit.translate, "group"))
    return await _told(visit, visit.translate("Saved."), generation, f"/devices/{mac}")


async def remove(visit: Visit) -> Response:
    mac = _mac(visit)
    generation = await devices.remove(visit.site, visit.person, mac)
    return await _told(visit, visit.translate("{mac} has no group of its own now.").format(mac=mac), generation, "/devices/known")


def _mac(visit: Visit) -> str:
    try:
        return devices.mac_of(visit.request.path_params["mac"])
    except Refused as error:
        raise Refused(error.message, status=404) from None


async def _told(visit: Visit, done: str, generation: int, to: str) -> Response:
    kind, text = outcome(done, await visit.site.changes.in_force(generation), visit.translate)
    visit.site.flash(visit.secret, kind, text)
    return visit.back(to)


def _title(visit: Visit, group: str) -> str:
    return visit.view.snapshot.groups[group].title or group


def _choices(visit: Visit) -> dict[str, Any]:
    groups = [(group.name, group.title or group.name) for group in visit.view.snapshot.groups.values()]
    return {"groups": groups, "titles": dict(groups), "known_count": len(visit.view.state.devices)}


async def _plan(visit: Visit, data: bytes) -> Plan:
    return await devices.preview(visit.site, visit.view, data)


async def _import(visit: Visit, data: bytes, seen: str) -> Response:
    plan, generation = await devices.carry_out(visit.site, visit.view, visit.person, data, seen)
    done = visit.translate("{new} new, {changed} changed.").format(new=plan.counts[Status.NEW], changed=plan.counts[Status.CHANGED])
    return await _told(visit, done, generation, "/devices/known")


async def _export(visit: Visit) -> bytes:
    return await devices.export(visit.site, visit.view, visit.language)


IMPORT = Import(
    path="/devices",
    title=_("Import devices from a table"),
    lead=_("One row for each device. Devices that are not in the table stay as they are."),
    columns=(
        (_("mac"), _("The hardware address, aa:bb:cc:dd:ee:ff; hyphens and dots will do as well.")),
        (_("group"), _("Id or title of the group.")),
        (_("label"), _("What you call the device; may be empty.")),
    ),
    plan=_plan,
    carry_out=_import,
    template=lambda visit: devices.template(visit.view, visit.language),
    export=_export,
    filename="devices",
)

PAGES = (
    Page("GET", "/devices", index, Access.ADMIN),
    Page("POST", "/devices", add, Access.ADMIN),
    Page("GET", "/devices/known", known, Access.ADMIN),
    *import_pages.pages(IMPORT),
    Page("GET", "/devices/{mac}", show, Access.ADMIN),
    Page("POST", "/devices/{mac}", change, Access.ADMIN),
    Page("POST", "/devices/{mac}/remove", remove, Access.ADMIN),
)

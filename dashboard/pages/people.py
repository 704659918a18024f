"""People: the staff's accounts, their classes, invitations, substitutes; and the page behind an invitation's link."""

from collections import defaultdict
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from dashboard.access import Access, Role
from dashboard.refusal import Refused
from dashboard.signing_in.entry import let_in
from dashboard.signing_in.passwords import SHORTEST
from dashboard.staff import inviting
from dashboard.staff import people as rules
from dashboard.staff import people_table as people_import
from dashboard.staff.inviting import Invitation
from dashboard.staff.people import ROLES, Details
from dashboard.store import invitations, staff
from dashboard.tables import import_pages
from dashboard.tables.form_errors import form_errors, no_errors
from dashboard.tables.import_pages import Import
from dashboard.tables.importing import Plan, Status
from dashboard.tables.one_line import one_line
from dashboard.web import Page, Visit
from filters.message import Message

LARGEST_ID = 2**63 - 1
CARDS = 48
"""invitations on one page"""
_NOBODY = Message("There is nobody by this number (any more).")


def _(message: str) -> str:
    """Marks a message for the catalogue."""
    return message


async def index(visit: Visit) -> Response:
    asked = visit.request.query_params
    q, role, group = asked.get("q", "")[:100].replace("\0", ""), asked.get("role", ""), asked.get("class", "")
    role = role if role in set(Role) else ""
    group = group if group in visit.view.snapshot.groups else ""
    number, _count = import_pages.page_of(visit, 10**9, 1)
    async with visit.site.store.read() as connection:
        found = await staff.search(connection, q, role, group, number, visit.now)
        classes = await staff.own_classes(connection, [row.id for row in found.rows])
    link = "/people?" + urlencode({"q": q, "role": role, "class": group, "page": ""})
    return visit.page("people/index.html", found=found, classes=classes, q=q, role=role, group=group, link=link, **_choices(visit))


async def new(visit: Visit) -> Response:
    blank = {"login": "", "name": "", "email": "", "role": "teacher", "classes": frozenset()}
    return visit.page("people/new.html", form=blank, errors=no_errors(), **_choices(visit))


async def add(visit: Visit) -> Response:
    try:
        details = _details(visit, _line(visit, "login"))
        person_id = await rules.add(visit.site, visit.person, details, visit.now)
    except Refused as error:
        return _again(visit, "people/new.html", error, {"login": _typed(visit, "login")})
    made = await inviting.invite(visit.site, visit.person, [person_id], visit.now)
    visit.site.handed_out.keep(visit.secret, made, visit.now)
    return visit.back("/people/links", visit.translate("{name} has an account now.").format(name=details.name))


async def show(visit: Visit) -> Response:
    return await _person_page(visit)


async def _person_page(visit: Visit, status: int = 200, **over: Any) -> Response:
    person_id = _id(visit)
    async with visit.site.store.read() as connection:
        row = await staff.by_id(connection, person_id)
        if row is None:
            raise Refused(_NOBODY, status=404)
        own = (await staff.own_classes(connection, [person_id])).get(person_id, frozenset())
        values: dict[str, Any] = {
            "row": row,
            "held": own,
            "substitutes": await staff.substitutes(connection, person_id, visit.now),
            "sessions": await staff.count_sessions(connection, person_id, visit.now),
            "pending": await invitations.pending(connection, person_id, visit.now),
        }
    today = rules.today(visit.now, visit.view.file.school.timezone)
    form = {"name": row.name, "email": row.email, "role": row.role, "classes": own, "active": row.active}
    values |= {
        "form": form,
        "errors": no_errors(),
        "today": today.isoformat(),
        "latest": (today + timedelta(days=rules.LONGEST_SUBSTITUTE)).isoformat(),
    }
    values |= {"strange": sorted(own - {group.name for group in visit.view.file.groups})}
    return visit.page("people/person.html", status, **(values | _choices(visit) | over))


async def change(visit: Visit) -> Response:
    person_id = _id(visit)
    async with visit.site.store.read() as connection:
        row = await staff.by_id(connection, person_id)
        held = (await staff.own_classes(connection, [person_id])).get(person_id, frozenset())
    if row is None:
        raise Refused(_NOBODY, status=404)
    try:
        details = _details(visit, row.login, held, active=bool(visit.text("active")))
        await rules.change(visit.site, visit.person, person_id, details, visit.now)
    except Refused as error:
        errors = form_errors(error, visit.translate, "role")
        form = _form(visit) | {"active": bool(visit.text("active"))}
        return await _person_page(visit, error.status, form=form, errors=errors)
    return visit.back(f"/people/{person_id}", visit.translate("Saved."))


async def invite(visit: Visit) -> Response:
    made = await inviting.invite(visit.site, visit.person, [_id(visit)], visit.now)
    visit.site.handed_out.keep(visit.secret, made, visit.now)
    return visit.back("/people/links")


async def invite_many(visit: Visit) -> Response:
    """Those who are ticked, or everybody who has not set a password yet."""
    if visit.text("who") == "new":
        async with visit.site.store.read() as connection:
            ids = [int(row.id) for row in await staff.everybody(connection) if row.active and row.password is None]
        if not ids:
            return visit.back("/people", wrong=visit.translate("Everybody has set a password already."))
    else:
        ids = [int(text) for text in visit.texts("person") if text.isascii() and text.isdecimal() and int(text) <= LARGEST_ID]
        if not ids:
            return visit.back("/people", wrong=visit.translate("Nobody was chosen."))
    made = await inviting.invite(visit.site, visit.person, ids, visit.now)
    visit.site.handed_out.keep(visit.secret, made, visit.now)
    return visit.back("/people/links")


async def links(visit: Visit) -> Response:
    made = visit.site.handed_out.get(visit.secret, visit.now)
    number, count = import_pages.page_of(visit, len(made), CARDS)
    shown = made[(number - 1) * CARDS : number * CARDS]
    cards = [(each, address, picture(address)) for each in shown for address in [_address(visit, each)]]
    return visit.page("people/links.html", cards=cards, total=len(made), page=number, pages=count, minutes=int(inviting.SHOWN_FOR // 60))


async def links_table(visit: Visit) -> Response:
    made = visit.site.handed_out.get(visit.secret, visit.now)
    if not made:
        return RedirectResponse("/people/links", 303)
    return import_pages.download(people_import.links_as_rows(made, _base(visit), visit.translate), "invitations.csv")


async def reset_totp(visit: Visit) -> Response:
    who = await rules.reset_totp(visit.site, visit.person, _id(visit), visit.now)
    return visit.back(
        f"/people/{_id(visit)}", visit.translate("{name} signs in without a second factor now, and can set up a new one.").format(name=who)
    )


async def end_sessions(visit: Visit) -> Response:
    count = await rules.end_sessions(visit.site, visit.person, _id(visit), visit.now)
    return visit.back(f"/people/{_id(visit)}", visit.translate("Sessions ended: {count}.").format(count=count))


async def remove(visit: Visit) -> Response:
    who = await rules.remove(visit.site, visit.person, _id(visit), visit.now)
    return visit.back("/people", visit.translate("{name} was removed.").format(name=who))


async def substitute(visit: Visit) -> Response:
    person_id = _id(visit)
    given = {"group": _typed(visit, "group"), "since": _typed(visit, "since"), "until": _typed(visit, "until")}
    try:
        first = rules.day_of(_line(visit, "since", 10), "since")
        last = rules.day_of(_line(visit, "until", 10), "until")
        await rules.give_for_days(visit.site, visit.person, person_id, _line(visit, "group", 63), first, last, visit.now)
    except Refused as error:
        found = form_errors(error, visit.translate, "group")
        errors = defaultdict(str, {f"substitute-{field}": text for field, text in found.items()})
        return await _person_page(visit, error.status, errors=errors, given=given)
    return visit.back(f"/people/{person_id}", visit.translate("The class is given; it ends by itself."))


async def end_substitute(visit: Visit) -> Response:
    group = await rules.end_substitute(visit.site, visit.person, _id(visit), _id(visit, "assignment"), visit.now)
    return visit.back(f"/people/{_id(visit)}", visit.translate("The class {group} is taken back.").format(group=group))


async def invitation(visit: Visit) -> Response:
    """Looking uses nothing up: programs that follow links to look for viruses must not take it from the person."""
    row = await inviting.look(visit.site, visit.request.path_params["token"], visit.now)
    return _unused(visit) if row is None else _open(visit, row)


async def accept(visit: Visit) -> Response:
    token = visit.request.path_params["token"]
    password, again = visit.form.get("password", ""), visit.form.get("again", "")
    texts = (password if isinstance(password, str) else "", again if isinstance(again, str) else "")
    try:
        accepted = await inviting.accept(visit.site, visit.view, token, *texts, visit.now)
    except Refused as error:
        row = await inviting.look(visit.site, token, visit.now)
        return _unused(visit) if row is None else _open(visit, row, form_errors(error, visit.translate, "password"), error.status)
    if accepted is None:
        return _unused(visit)
    if accepted.totp_secret:
        return visit.back("/sign-in", visit.translate("Your password is set. Please sign in, with your second factor."))
    return await let_in(visit, accepted, "invitation", "/", visit.translate("Your password is set."))


def _open(visit: Visit, row: Any, errors: defaultdict[str, str] | None = None, status: int = 200) -> Response:
    return _closed_lips(visit.page("people/invitation.html", status, row=row, errors=errors or no_errors(), shortest=SHORTEST))


def _unused(visit: Visit) -> Response:
    return _closed_lips(visit.page("people/invitation_over.html", 404))


def _closed_lips(response: Response) -> Response:
    """No address of ours with its token goes anywhere. Not ``no-referrer``: without TLS a browser then sends ``Origin: null`` with the form (Fetch, "serializing a
    request origin"), which cannot be told from another site's.
    """
    response.headers["Referrer-Policy"] = "strict-origin"
    return response


def picture(address: str) -> str:
    """A QR code as a data: URI, small: one pixel a module; the style sheet makes it large."""
    import segno  # noqa: PLC0415 - 6 MB, for a page that is seen twice a year

    return str(segno.make(address, error="m", micro=False).png_data_uri(scale=1, border=4))


def _address(visit: Visit, each: Invitation) -> str:
    return f"{_base(visit)}/invitation/{each.token}"


def _base(visit: Visit) -> str:
    url = visit.view.file.dashboard.url
    return url or f"{visit.request.url.scheme}://{visit.request.url.netloc}"


def _id(visit: Visit, name: str = "person") -> int:
    number = int(visit.request.path_params[name])
    if number > LARGEST_ID:
        raise Refused(_NOBODY, status=404)
    return number


def _line(visit: Visit, name: str, limit: int = 300) -> str:
    return visit.text(name, limit)


def _typed(visit: Visit, name: str) -> str:
    """A field as it goes back into its form, whatever it is."""
    value = visit.form.get(name, "")
    return value[:300].replace("\0", "") if isinstance(value, str) else ""


def _details(visit: Visit, login: str, held: frozenset[str] = frozenset(), *, active: bool = True) -> Details:
    name = one_line(visit.text("name", 1000), "name", 200)
    return rules.details(
        login, name, _line(visit, "email"), visit.text("role", 16), visit.texts("classes"), visit.view, active=active, held=held
    )


def _form(visit: Visit) -> dict[str, Any]:
    return {
        "name": _typed(visit, "name"),
        "email": _typed(visit, "email"),
        "role": _typed(visit, "role"),
        "classes": frozenset(visit.texts("classes")),
    }


def _again(visit: Visit, template: str, error: Refused, also: dict[str, Any]) -> Response:
    errors = form_errors(error, visit.translate, "login")
    return visit.page(template, error.status, form=_form(visit) | also, errors=errors, **_choices(visit))


def _choices(visit: Visit) -> dict[str, Any]:
    translate = visit.translate
    return {
        "roles": [(role.value, translate(title)) for role, title in ROLES.items()],
        "groups": [(group.name, group.title or group.name) for group in visit.view.file.groups],
    }


async def _plan(visit: Visit, data: bytes) -> Plan:
    return await people_import.preview(visit.site, visit.view, data)


async def _import(visit: Visit, data: bytes, seen: str) -> Response:
    plan, ids = await people_import.carry_out(visit.site, visit.view, visit.person, data, seen, visit.now)
    done = visit.translate("{new} new, {changed} changed.").format(new=len(ids), changed=plan.counts[Status.CHANGED])
    if not ids:
        return visit.back("/people", done)
    made = await inviting.invite(visit.site, visit.person, ids, visit.now)
    visit.site.handed_out.keep(visit.secret, made, visit.now)
    return visit.back("/people/links", done)


async def _export(visit: Visit) -> bytes:
    return await people_import.export(visit.site, visit.language)


IMPORT = Import(
    path="/people",
    title=_("Import staff from a table"),
    lead=_("One row for each person. Who is there already (by login) is changed, who is not in the table stays as is."),
    columns=(
        (_("login"), _("With this the person signs in: letters, digits and . _ - @, for example co-lan.")),
        (_("name"), _("As colleagues and the audit log see it.")),
        (_("email"), _("For signing in with Google or Microsoft; may be empty.")),
        (_("role"), _("teacher, admin (IT staff) or viewer (principal). Empty: teacher.")),
        (_("classes"), _("Ids or titles of classes, several with commas between them.")),
    ),
    plan=_plan,
    carry_out=_import,
    template=lambda visit: people_import.template(visit.view.file.groups, visit.language),
    export=_export,
    filename="staff",
)

PAGES = (
    Page("GET", "/people", index, Access.ADMIN),
    Page("GET", "/people/new", new, Access.ADMIN),
    Page("POST", "/people", add, Access.ADMIN),
    *import_pages.pages(IMPORT),
    Page("GET", "/people/links", links, Access.ADMIN),
    Page("GET", "/people/links.csv", links_table, Access.ADMIN),
    Page("POST", "/people/links", invite_many, Access.ADMIN),
    Page("GET", "/people/{person:int}", show, Access.ADMIN),
    Page("POST", "/people/{person:int}", change, Access.ADMIN),
    Page("POST", "/people/{person:int}/invitation", invite, Access.ADMIN),
    Page("POST", "/people/{person:int}/totp", reset_totp, Access.ADMIN),
    Page("POST", "/people/{person:int}/sessions", end_sessions, Access.ADMIN),
    Page("POST", "/people/{person:int}/remove", remove, Access.ADMIN),
    Page("POST", "/people/{person:int}/substitute", substitute, Access.ADMIN),
    Page("POST", "/people/{person:int}/substitute/{assignment:int}/end", end_substitute, Access.ADMIN),
    Page("GET", "/invitation/{token}", invitation, Access.ANYBODY),
    Page("POST", "/invitation/{token}", accept, Access.ANYBODY),
)

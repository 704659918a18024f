"""The first set-up, while there is no administrator."""

import contextlib
from collections import defaultdict
from ipaddress import ip_address
from zoneinfo import available_timezones

from starlette.datastructures import UploadFile
from starlette.responses import Response

from dashboard.access import Access
from dashboard.refusal import Refused
from dashboard.settings import school_file
from dashboard.signing_in import entry as sign_in
from dashboard.signing_in import passwords, setting_up
from dashboard.signing_in.setting_up import Form, Row, Upload
from dashboard.store.engine import StoreTrouble
from dashboard.web import BODY, Page, Visit
from filters.message import Message, said
from policies.tiers import resolve_tiers

LASTS = 3600.0
"""seconds for which a password and a file are remembered while the form comes and goes"""
SPARE_ROWS = 3
MOST_ROWS = 60


async def show(visit: Visit) -> Response:
    if visit.site.is_set_up:
        return visit.back("/")
    seen, view = await school_file.opened(visit.site)
    return _page(visit, setting_up.prefilled(view, seen))


def _page(visit: Visit, form: Form, wrong: str = "", status: int = 200, more: int = SPARE_ROWS) -> Response:
    language, translate = visit.language, visit.translate
    rows = [row for row in form.rows if not row.is_empty or row.name]
    rows = [*rows, *[Row() for _ in range(more)]][:MOST_ROWS]
    tiers = resolve_tiers(visit.view.file.tiers)
    return visit.page(
        "setup/setup.html",
        status,
        form=form,
        rows=rows,
        errors=defaultdict(str, {name: said(why, translate) for name, why in form.errors.items()}),
        wrong=wrong,
        tiers=[(name, tier.title.vi if language == "vi" else tier.title.en) for name, tier in tiers.items()],
        zones=sorted(zone for zone in available_timezones() if zone.startswith("Asia/")),
        shortest=passwords.SHORTEST,
    )


async def carry_out(visit: Visit) -> Response:
    site, translate = visit.site, visit.translate
    if site.is_set_up:
        raise Refused(Message("This box is set up already."))
    form = _read(visit)
    if visit.form.get("more"):
        await _take_upload(visit, form)
        setting_up.check(form, visit.view)
        await _remember(visit, form)
        form.errors.clear()
        return _page(visit, form, more=2 * SPARE_ROWS)
    await _take_upload(visit, form)
    setting_up.check(form, visit.view)
    await _remember(visit, form)
    why = setting_up.check_code(site, form.code, visit.now)
    if why:
        form.errors["code"] = why
    if form.errors:
        return await _again(visit, form)
    try:
        account = await setting_up.carry_out(site, form, visit.now)
    except (Refused, StoreTrouble) as error:
        if isinstance(error, Refused) and error.field:
            form.errors[error.field] = error.message
        return await _again(visit, form, said(error, translate), error.status if isinstance(error, Refused) else 503)
    visit.site.pending.take("set-up", visit.secret, visit.now)
    return await sign_in.let_in(visit, account, "set-up", "/setup/done")


async def _again(visit: Visit, form: Form, wrong: str = "", status: int = 422) -> Response:
    form.seen, _ = await school_file.opened(visit.site)
    marked = visit.translate("Not everything is right yet. Nothing is lost: please look at the fields that are marked.")
    return _page(visit, form, wrong or marked, status)


def _read(visit: Visit) -> Form:
    def typed(name: str, limit: int = 1000) -> str:
        return sign_in.typed(visit, name)[:limit]

    columns = [visit.texts(f"group_{name}")[:MOST_ROWS] for name in ("name", "title", "tier", "networks")]
    existing = {group.name for group in visit.view.file.groups}
    rows = [
        Row(name if name in existing else "", title[:500], tier[:64], networks[:20_000])
        for name, title, tier, networks in zip(*columns, strict=False)
    ]
    return Form(
        code=typed("code"),
        name=typed("name"),
        login=typed("login"),
        school=typed("school"),
        language=typed("language"),
        timezone=typed("timezone"),
        contact=typed("contact"),
        seen=typed("seen"),
        upstreams=typed("upstreams", 5000),
        password=typed("password"),
        again=typed("again"),
        rows=[row for row in rows if not row.is_empty],
    )


async def _take_upload(visit: Visit, form: Form) -> None:
    """The files of this form, or those of an earlier one."""
    kept = visit.site.pending.look("set-up", visit.secret, visit.now)
    form.kept_password, form.upload = kept or (None, None)
    province, root = visit.form.get("province"), visit.form.get("root")
    if not isinstance(province, UploadFile) or not province.filename:
        return
    try:
        data = await province.read()
        trusted = await root.read() if isinstance(root, UploadFile) else b""
        form.upload = await setting_up.read_upload(data, trusted, visit.site.config.parent)
    except Refused as error:
        form.errors[error.field] = error.message


async def _remember(visit: Visit, form: Form) -> None:
    """What a browser does not fill in again: the password, reckoned as it will be kept, and the province's file."""
    if form.password and not {"password", "again"} & form.errors.keys() and form.password == form.again:
        form.kept_password = await passwords.hash_password(form.password)
    if form.kept_password or form.upload:
        kept: tuple[str | None, Upload | None] = form.kept_password, form.upload
        visit.site.pending.keep("set-up", visit.secret, kept, visit.now + LASTS)


async def done(visit: Visit) -> Response:
    """What to do next. The box's address is the one by which the browser found it, where that is one."""
    address = ""
    with contextlib.suppress(ValueError):
        found = ip_address(visit.request.url.hostname or "")
        address = "" if found.is_loopback else str(found)
    return visit.page("setup/done.html", address=address)


PAGES: tuple[Page, ...] = (
    Page("GET", "/setup", show, Access.ANYBODY),
    Page("POST", "/setup", carry_out, Access.ANYBODY, body=4 * BODY),
    Page("GET", "/setup/done", done, Access.ADMIN),
)

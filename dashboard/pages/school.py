"""The school's settings, the province's file, and school.yaml as a whole: out, in, and back to an earlier text."""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from starlette.datastructures import UploadFile
from starlette.responses import Response

from dashboard.access import Access
from dashboard.refusal import Refused
from dashboard.rendering import number
from dashboard.school import View
from dashboard.settings import school_file
from dashboard.settings.school_settings import EFFECTS, effects, forward_text, lines, parse_forward, period_titles, put, reports
from dashboard.settings.tiers import answer_titles
from dashboard.store.audit import Entry
from dashboard.web import Page, Visit
from filters.message import Message, said
from policies.document import MAX_BYTES
from policies.model import SchoolFile

UPLOAD = 3 * MAX_BYTES
"""bytes of a form with the file in it, and with the text of the page that confirms it"""
LONG = 4000
SHOWN_LINES = 600
ZONES = ("Asia/Ho_Chi_Minh", "Asia/Bangkok", "Asia/Vientiane", "Asia/Phnom_Penh", "UTC")
TEXTS = ("name", "contact", "counsellor", "notice_vi", "notice_en", "timezone")


async def index(visit: Visit) -> Response:
    """GET /school."""
    return await _index(visit)


async def _index(visit: Visit, status: int = 200, error: Refused | None = None, form: Mapping[str, str] | None = None) -> Response:
    seen, view = await school_file.opened(visit.site)
    _ = visit.translate
    return visit.page(
        "school/index.html",
        status,
        seen=seen,
        values=_values(view.file) | dict(form or {}),
        errors={error.field: said(error.message, _)} if error else {},
        languages=[("vi", "Tiếng Việt"), ("en", "English")],
        zones=[each for each in ZONES if each in available_timezones()],
        answers=answer_titles(_),
        provinces=_province(visit, view),
        seen_province=_province_digest(visit, view),
        trouble={name: view.troubles[name] for name in ("config", "province") if name in view.troubles},
        facts=_dashboard_facts(view.file, visit),
        effects=[(settings, when(_)) for settings, when in EFFECTS],
        versions=len(school_file.history(visit.site.config)),
    )


def _values(file: SchoolFile) -> dict[str, str]:
    return {
        "name": file.school.name,
        "language": file.school.language,
        "timezone": file.school.timezone,
        "contact": file.school.contact,
        "counsellor": file.school.counsellor,
        "notice_vi": file.school.notice.vi if file.school.notice else "",
        "notice_en": file.school.notice.en if file.school.notice else "",
        "upstreams": "\n".join(file.dns.upstreams),
        "forward": forward_text(file.dns.forward),
        "allow_from": "\n".join(map(str, file.dns.allow_from)),
        "block_answer": file.dns.block_answer,
        "block_page": "\n".join(map(str, file.dns.block_page)),
    }


def _province(visit: Visit, view: View) -> dict[str, Any] | None:
    province, _ = view.province, visit.translate
    if province is None:
        return None
    today = datetime.fromtimestamp(visit.now, ZoneInfo(view.file.school.timezone)).date()
    return {
        "name": province.name,
        "hotlines": [(hotline.name, hotline.number) for hotline in province.hotlines],
        "authorities": [
            (authority.name, authority.contact.removeprefix("mailto:").removeprefix("tel:")) for authority in province.authorities
        ],
        "reports": [(to, period_titles(_)[period], _date(due, visit.language)) for to, period, due in reports(province, today)],
        "publisher": province.publisher.urls if province.publisher else (),
    }


def _date(day: Any, language: str) -> str:
    return f"{day:%d/%m/%Y}" if language == "vi" else f"{day:%Y-%m-%d}"


def _province_digest(visit: Visit, view: View) -> str:
    try:
        path = school_file.province_file(visit.site, view.file.school.province)
    except Refused:
        return ""
    return school_file.digest(path)


def _dashboard_facts(file: SchoolFile, visit: Visit) -> list[tuple[str, str]]:
    _, dashboard = visit.translate, file.dashboard
    return [
        (_("Address of this web application"), dashboard.url or dashboard.listen),
        (_("Encrypted (HTTPS)"), _("yes") if dashboard.tls else _("no: only for a network of which the school is sure")),
        (_("Store"), visit.site.store.shown),
        (_("Sign-in with the school's accounts"), (dashboard.sign_in.title or dashboard.sign_in.issuer) if dashboard.sign_in else _("no")),
        (
            _("Mail"),
            f"{dashboard.mail.host}:{dashboard.mail.port}"
            if dashboard.mail
            else _("no: reports to the province go by webhook or not at all"),
        ),
        (_("Block page"), ", ".join((*file.block_page.listen, *file.block_page.https_listen)) or _("not served by this box")),
        (_("Lists"), str(file.lists.directory)),
    ]


async def save(visit: Visit) -> Response:
    """POST /school: what the school is called, whom pupils ask."""
    form = {name: visit.text(name, LONG).replace("\r\n", "\n") for name in (*TEXTS, "language")}
    notice_vi, notice_en = form["notice_vi"] or form["notice_en"], form["notice_en"] or form["notice_vi"]
    notice = None if not notice_vi else notice_vi if notice_vi == notice_en else {"vi": notice_vi, "en": notice_en}
    texts = {name: form[name] for name in ("name", "language", "timezone", "contact", "counsellor")}
    held = visit.view.file.school.notice
    same = held is not None and (held.vi, held.en) == (notice_vi, notice_en)
    return await _settings(visit, form, texts | ({} if same else {"notice": notice}))


async def save_dns(visit: Visit) -> Response:
    """POST /school/dns."""
    names = ("upstreams", "forward", "allow_from", "block_answer", "block_page")
    form = {name: visit.text(name, LONG) for name in names}
    try:
        wanted = {name: lines(form[name]) for name in ("upstreams", "allow_from", "block_page")}
        return await _settings(visit, form, {**wanted, "forward": parse_forward(form["forward"]), "block_answer": form["block_answer"]})
    except Refused as error:
        if error.status != 422:
            raise
        return await _index(visit, 422, error, form)


async def _settings(visit: Visit, form: Mapping[str, str], wanted: Mapping[str, Any]) -> Response:
    old = visit.view.file
    entry = Entry("school.changed", what=", ".join(_changed_names(old, form)))
    try:
        await school_file.edit(visit.site, visit.person, entry, visit.text("seen"), lambda document: put(document, old, wanted))
    except Refused as error:
        if error.status != 422:
            raise
        return await _index(visit, 422, error, form)
    new = (await visit.site.school.now()).file
    return visit.back("/school", _saved(visit, old, new))


def _changed_names(file: SchoolFile, form: Mapping[str, str]) -> list[str]:
    held = _values(file)
    return [name for name, text in form.items() if text.replace("\r\n", "\n") != held[name]]


def _saved(visit: Visit, old: SchoolFile, new: SchoolFile) -> str:
    _ = visit.translate
    if old == new:
        return _("Nothing was different; nothing was changed.")
    return f"{_('Saved.')} {' '.join(effects(old, new, _))}"


async def save_province(visit: Visit) -> Response:
    """POST /school/province."""
    try:
        data = await _uploaded(visit, "province")
        await school_file.replace_province(visit.site, visit.person, data, visit.text("seen"), visit.text("seen_province"))
    except Refused as error:
        if error.status not in (413, 422):
            raise
        return await _index(visit, error.status, Refused(error.message, status=error.status, field="province"))
    return visit.back("/school#province", visit.translate("The province's file is saved. Please check below that it says what you expect."))


async def _uploaded(visit: Visit, name: str) -> bytes:
    """The bytes of a file that was chosen. Raises Refused."""
    file = visit.form.get(name)
    if not isinstance(file, UploadFile) or not file.size:
        raise Refused(Message("Please choose a file."), status=422, field=name)
    if file.size > MAX_BYTES:
        raise Refused(Message("This is too large: at most {limit} bytes.", limit=MAX_BYTES), status=413, field=name)
    return await file.read()


# ---- the whole file -------------------------------------------------------------------------------------------------


async def download(visit: Visit) -> Response:
    """GET /school/file, of an earlier one with ``?version=``."""
    version = visit.request.query_params.get("version", "")
    path = visit.site.config
    data = school_file.earlier(path, version) if version else school_file.read(path)
    name = version or path.name
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
        "ETag": f'"{sha256(data).hexdigest()}"',
    }
    return Response(data, media_type="application/yaml", headers=headers)


async def upload(visit: Visit) -> Response:
    """POST /school/file: a file is checked and its difference shown; what comes back confirmed is written."""
    if visit.form.get("confirmed"):
        text = str(visit.form.get("text", "")).replace("\r\n", "\n")  # a browser sends every end of line as two characters
        old = visit.view.file
        await school_file.replace(visit.site, visit.person, text, visit.text("seen"))
        return visit.back("/school", _saved(visit, old, (await visit.site.school.now()).file))
    try:
        data = await _uploaded(visit, "file")
        new = school_file.checked(visit.site.config, data)
    except Refused as error:
        if error.status not in (413, 422):
            raise
        return await _history(visit, error.status, error)
    seen, view = await school_file.opened(visit.site)
    return visit.page(
        "school/confirm.html",
        seen=seen,
        text=data.decode("utf-8-sig"),
        **_difference(visit, view, school_file.read(visit.site.config), data, new),
    )


def _difference(visit: Visit, view: View, old: bytes, data: bytes, new: SchoolFile) -> dict[str, Any]:
    changed = school_file.diff(old, data)
    return {
        "lines": changed[:SHOWN_LINES],
        "more": number(max(0, len(changed) - SHOWN_LINES), visit.language),
        "effects": effects(view.file, new, visit.translate),
        "groups": (len(view.file.groups), len(new.groups)),
    }


async def history(visit: Visit) -> Response:
    """GET /school/history."""
    return await _history(visit)


async def _history(visit: Visit, status: int = 200, error: Refused | None = None) -> Response:
    path = visit.site.config
    return visit.page(
        "school/history.html",
        status,
        versions=school_file.history(path),
        kept=school_file.KEPT,
        limit=number(MAX_BYTES // 1024, visit.language),
        problems=said(error.message, visit.translate).splitlines() if error else [],
    )


async def version(visit: Visit) -> Response:
    """GET /school/history/{version}: what going back to it would change."""
    name = str(visit.request.path_params["version"])
    data = school_file.earlier(visit.site.config, name)
    seen, view = await school_file.opened(visit.site)
    at = next((known.at for known in school_file.history(visit.site.config) if known.id == name), 0.0)
    try:
        new = school_file.checked(visit.site.config, data)
    except Refused as error:
        problems = said(error.message, visit.translate).splitlines()
        return visit.page(
            "school/version.html", seen=seen, id=name, at=at, problems=problems, lines=[], more="0", effects=[], groups=(0, 0)
        )
    difference = _difference(visit, view, school_file.read(visit.site.config), data, new)
    return visit.page("school/version.html", seen=seen, id=name, at=at, problems=[], **difference)


async def restore(visit: Visit) -> Response:
    """POST /school/history/{version}."""
    old = visit.view.file
    await school_file.restore(visit.site, visit.person, str(visit.request.path_params["version"]), visit.text("seen"))
    return visit.back("/school", _saved(visit, old, (await visit.site.school.now()).file))


PAGES = (
    Page("GET", "/school", index, Access.ADMIN),
    Page("POST", "/school", save, Access.ADMIN),
    Page("POST", "/school/dns", save_dns, Access.ADMIN),
    Page("POST", "/school/province", save_province, Access.ADMIN, body=UPLOAD),
    Page("GET", "/school/file", download, Access.ADMIN),
    Page("POST", "/school/file", upload, Access.ADMIN, body=UPLOAD),
    Page("GET", "/school/history", history, Access.ADMIN),
    Page("GET", "/school/history/{version}", version, Access.ADMIN),
    Page("POST", "/school/history/{version}", restore, Access.ADMIN),
)

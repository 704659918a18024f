"""Reports of harmful content: what waits in which state, one report with every step, and the same for the yearly report as a table."""

import json
from datetime import datetime
from zoneinfo import ZoneInfo

from starlette.responses import Response

from dashboard.access import Access, Role, may
from dashboard.catalogue import Translate
from dashboard.lessons.classes import name_of, title_of
from dashboard.refusal import Refused
from dashboard.reporting import reports
from dashboard.reporting.forwarding import document, known_key, site_of
from dashboard.reporting.outbox import trouble_said
from dashboard.reporting.table import table
from dashboard.reporting.words import KINDS, kind_title, state_title
from dashboard.store import audit, outbox
from dashboard.store import reports as store
from dashboard.store.engine import StoreTrouble
from dashboard.store.outbox import Item
from dashboard.store.reports import CLOSED, STATES, Report
from dashboard.web import Page, Visit
from filters.message import Message, said

SHOWN = 50
"""reports on a page"""
FIRST_YEAR = 2020


async def index(visit: Visit) -> Response:
    """Reports of one status, with the counts of all."""
    asked = visit.request.query_params
    status = asked.get("state", "")
    status = status if status in (*STATES, CLOSED) else ""
    async with visit.site.store.read() as connection:
        counts = await store.counts(connection)
        total = counts[status] if status else sum(counts.values())
        pages = max(1, -(-total // SHOWN))
        page = min(max(_whole(asked.get("page", "")), 1), pages)
        found = await store.listed(connection, status or None, SHOWN, (page - 1) * SHOWN)
        ids = [report.id for report in found]
        items = await outbox.of_reports(connection, ids)
        again = await store.times_again(connection, ids)
        overdue = await outbox.count_overdue(connection, visit.now)
    _ = visit.translate
    key, bad_key = await known_key(visit.view)
    return visit.page(
        "reports/index.html",
        rows=[_row(visit, report, items.get(report.id, []), again.get(report.id, 0)) for report in found],
        chosen=status,
        tabs=[("", _("All"), sum(counts.values())), *((state, state_title(state, _), counts[state]) for state in counts)],
        page_number=page,
        pages=pages,
        overdue=overdue,
        recipient=_recipient(visit),
        key=None if key is None else json.dumps(dict(key.public), indent=1),
        kid=None if key is None else key.kid,
        bad_key=bad_key,
        years=_years(visit),
    )


def _row(visit: Visit, report: Report, items: list[Item], again: int) -> dict[str, object]:
    return {
        "report": report,
        "kind": kind_title(report.kind, visit.translate),
        "state": state_title(report.status, visit.translate),
        "class_title": _class_title(visit, report.group),
        "progress": reports.progress(items, visit.now),
        "again": again,
    }


def _class_title(visit: Visit, name: str) -> str:
    group = visit.view.snapshot.groups.get(name)
    return title_of(group) if group is not None else name


def _recipient(visit: Visit) -> dict[str, object] | None:
    """Who takes reports, in words; None: nobody."""
    province = visit.view.province
    if province is None or province.recipient is None:
        return None
    authority = province.authority(province.recipient.to)
    name = authority.name if authority is not None else province.recipient.to
    return {"name": name, "ways": [way.target for way in reports.ways(visit.view)], "automatic": province.recipient.automatic}


def _years(visit: Visit) -> list[int]:
    this = datetime.fromtimestamp(visit.now, ZoneInfo(visit.view.file.school.timezone)).year
    return [this, this - 1, this - 2]


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else 1


async def one(visit: Visit) -> Response:
    return await _one(visit)


async def _one(visit: Visit, error: Refused | StoreTrouble | None = None, note: str = "") -> Response:
    known = await reports.know(visit.site, visit.view, int(visit.request.path_params["id"]))
    report, _ = known.report, visit.translate
    field = error.field if isinstance(error, Refused) else ""
    wrong = "" if error is None else said(error, _)
    following = reports.moves(report)
    sent = document(visit.view, report, reports.province_steps(known.steps))
    site = site_of(report.target)
    return visit.page(
        "reports/report.html",
        200 if error is None else error.status if isinstance(error, Refused) else 503,
        report=report,
        kind=kind_title(report.kind, _),
        class_title=_class_title(visit, report.group),
        states=[state_title(state, _) for state in STATES],
        at=len(STATES) + 1 if report.status == CLOSED else STATES.index(report.state) + 1,
        steps=[{"step": step, "title": state_title(step.state, _), "who": name_of(step.by)} for step in known.steps],
        again=known.again,
        categories=known.categories,
        is_grave=known.is_grave,
        counsellor=visit.view.file.school.counsellor,
        moves=[(state, _move_title(report, state, _)) for state in following if state != CLOSED],
        may_close=CLOSED in following,
        items=[{"item": item, "trouble": trouble_said(item.trouble, _), "overdue": item.is_overdue(visit.now)} for item in known.items],
        progress=reports.progress(known.items, visit.now),
        recipient=_recipient(visit),
        sent=json.dumps(json.loads(sent), ensure_ascii=False, indent=1),
        is_admin=may(Access.ADMIN, visit.person),
        site_name=site,
        wrong="" if field == "note" else wrong,
        note_error=wrong if field == "note" else "",
        note=note,
        limit=reports.STEP_NOTE,
    )


def _move_title(report: Report, to: str, _: Translate) -> str:
    title = state_title(to, _)
    if report.status == CLOSED:
        return _("Take up again: {state}").format(state=title)
    if STATES.index(to) > STATES.index(report.state):
        return _("Go on: {state}").format(state=title)
    return _("Back to: {state}").format(state=title)


async def step(visit: Visit) -> Response:
    return await _moved(visit, visit.text("to", 20))


async def close(visit: Visit) -> Response:
    return await _moved(visit, CLOSED)


async def _moved(visit: Visit, to: str) -> Response:
    note = visit.text("note", 2 * reports.STEP_NOTE)
    report_id = int(visit.request.path_params["id"])
    try:
        report = await reports.move(visit.site, visit.person, report_id, visit.text("seen", 20), to, note, visit.now)
    except (Refused, StoreTrouble) as error:
        if isinstance(error, Refused) and error.status == 404:
            raise
        return await _one(visit, error, note)
    _ = visit.translate
    done = _("The report {number} is now in the state “{state}”.").format(number=report.number, state=state_title(report.status, _))
    return visit.back(f"/reports/{report_id}", done)


async def forward(visit: Visit) -> Response:
    report_id = int(visit.request.path_params["id"])
    try:
        report = await reports.forward(visit.site, visit.view, visit.person, report_id, visit.now)
    except (Refused, StoreTrouble) as error:
        if isinstance(error, Refused) and error.status == 404:
            raise
        return await _one(visit, error)
    _ = visit.translate
    return visit.back(
        f"/reports/{report_id}",
        _("The report {number} goes to the province now; below you see when it has it.").format(number=report.number),
    )


async def new(visit: Visit) -> Response:
    """A report by staff."""
    return _new(visit)


def _new(visit: Visit, error: Refused | StoreTrouble | None = None) -> Response:
    _ = visit.translate
    field = error.field if isinstance(error, Refused) else ""
    wrong = "" if error is None else said(error, _)
    typed = {name: value if isinstance(value := visit.form.get(name, ""), str) else "" for name in ("kind", "target", "note", "signed")}
    return visit.page(
        "reports/new.html",
        200 if error is None else error.status if isinstance(error, Refused) else 503,
        kinds=[(kind, kind_title(kind, _)) for kind in KINDS],
        typed=typed,
        errors={field: wrong} if field in typed else {},
        wrong="" if field in typed else wrong,
        sees=may(Access.SEES_SCHOOL, visit.person),
        note_limit=reports.NOTE,
        target_limit=reports.TARGET,
    )


async def make(visit: Visit) -> Response:
    signed = visit.person.shown if visit.form.get("signed") == "1" else ""
    try:
        target, note = visit.text("target", 20_000), visit.text("note", 20_000)
        report = await reports.taken(visit.site, visit.text("kind", 20), target, note, signed, "", visit.now)
    except (Refused, StoreTrouble) as error:
        return _new(visit, error)
    _ = visit.translate
    done = _("Thank you. The report has the number {number}.").format(number=report.number)
    return visit.back("/reports/new" if visit.person.role is Role.TEACHER else f"/reports/{report.id}", done)


async def export(visit: Visit) -> Response:
    """The reports of a year, without what pupils wrote."""
    year = _whole(visit.text("year", 6))
    zone = ZoneInfo(visit.view.file.school.timezone)
    if not FIRST_YEAR <= year <= datetime.fromtimestamp(visit.now, zone).year:
        raise Refused(Message("Choose a year."), status=422, field="year")
    since, until = (datetime(each, 1, 1, tzinfo=zone).timestamp() for each in (year, year + 1))
    async with visit.site.store.write() as connection:
        data = await table(connection, since, until, zone, visit.translate)
        await audit.add(connection, visit.now, visit.person, [audit.Entry("report.exported", str(year))])
    headers = {"Content-Disposition": f'attachment; filename="reports-{year}.csv"'}
    return Response(data, media_type="text/csv; charset=utf-8", headers=headers)


PAGES = (
    Page("GET", "/reports", index, Access.SEES_SCHOOL),
    Page("GET", "/reports/new", new, Access.SIGNED_IN),
    Page("POST", "/reports/new", make, Access.SIGNED_IN),
    Page("POST", "/reports/export", export, Access.SEES_SCHOOL),
    Page("GET", "/reports/{id:int}", one, Access.SEES_SCHOOL),
    Page("POST", "/reports/{id:int}/step", step, Access.ADMIN),
    Page("POST", "/reports/{id:int}/forward", forward, Access.ADMIN),
    Page("POST", "/reports/{id:int}/close", close, Access.ADMIN),
)

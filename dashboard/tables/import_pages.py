"""The pages by which a table comes in, the same for people, rules and devices: choose a file, see what it would do, confirm.

The file waits in memory between the two steps (dashboard/tables/importing.py), so a preview is an address that may be reloaded, and its pages be turned.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from starlette.responses import RedirectResponse, Response

from dashboard.access import Access
from dashboard.refusal import Refused
from dashboard.tables import csv_tables
from dashboard.tables.importing import Plan, Status
from dashboard.web import Page, Visit
from filters.message import Message, said

SHOWN = 100
"""rows on a page of a preview"""
CSV_BODY = csv_tables.MAX_BYTES + 64 * 1024


@dataclass(frozen=True, slots=True)
class Import:
    """What a kind of table needs; texts are for the catalogue."""

    path: str
    title: str
    lead: str
    columns: Sequence[tuple[str, str]]
    """(name in a header, what stands there)"""
    plan: Callable[[Visit, bytes], Awaitable[Plan]]
    carry_out: Callable[[Visit, bytes, str], Awaitable[Response]]
    """does it and says where to go; gets the digest that was seen"""
    template: Callable[[Visit], bytes]
    export: Callable[[Visit], Awaitable[bytes]]
    filename: str


def pages(kind: Import) -> tuple[Page, ...]:
    async def choose(visit: Visit) -> Response:
        return visit.page("imports/choose.html", kind=kind, error="")

    async def upload(visit: Visit) -> Response:
        try:
            data = await _file(visit)
            await kind.plan(visit, data)
        except Refused as error:
            if error.status != 422:
                raise
            return visit.page("imports/choose.html", 422, kind=kind, error=said(error.message, visit.translate))
        visit.site.uploads.keep(visit.secret, kind.path, data, visit.now)
        return visit.back(f"{kind.path}/import/preview")

    async def preview(visit: Visit) -> Response:
        data = visit.site.uploads.get(visit.secret, kind.path, visit.now)
        if data is None:
            return RedirectResponse(f"{kind.path}/import", 303)
        try:
            plan = await kind.plan(visit, data)
        except Refused as error:  # what it speaks of is no more as it was when the file came
            return visit.page("imports/choose.html", 422, kind=kind, error=said(error.message, visit.translate))
        rows = plan.in_order()
        number, count = page_of(visit, len(rows), SHOWN)
        shown = [(row, [said(note, visit.translate) for note in row.notes]) for row in rows[(number - 1) * SHOWN : number * SHOWN]]
        ready = not plan.counts[Status.WRONG] and bool(plan.counts[Status.NEW] + plan.counts[Status.CHANGED])
        return visit.page("imports/preview.html", kind=kind, plan=plan, rows=shown, page=number, pages=count, ready=ready)

    async def confirm(visit: Visit) -> Response:
        data = visit.site.uploads.get(visit.secret, kind.path, visit.now)
        if data is None:
            return visit.back(f"{kind.path}/import", wrong=visit.translate("The table has waited for too long; please send it again."))
        try:
            response = await kind.carry_out(visit, data, visit.text("seen"))
        except Refused as error:
            if error.status >= 500:
                raise
            return visit.back(f"{kind.path}/import/preview", wrong=said(error.message, visit.translate))
        visit.site.uploads.drop(visit.secret, kind.path)
        return response

    async def template(visit: Visit) -> Response:
        return download(kind.template(visit), f"{kind.filename}-template.csv")

    async def export(visit: Visit) -> Response:
        return download(await kind.export(visit), f"{kind.filename}.csv")

    return (
        Page("GET", f"{kind.path}/import", choose, Access.ADMIN),
        Page("POST", f"{kind.path}/import", upload, Access.ADMIN, body=CSV_BODY),
        Page("GET", f"{kind.path}/import/preview", preview, Access.ADMIN),
        Page("POST", f"{kind.path}/import/confirm", confirm, Access.ADMIN),
        Page("GET", f"{kind.path}/import/template.csv", template, Access.ADMIN),
        Page("GET", f"{kind.path}/export.csv", export, Access.ADMIN),
    )


async def _file(visit: Visit) -> bytes:
    given = visit.form.get("csv")
    if given is None or isinstance(given, str) or not given.filename:
        raise Refused(Message("Please choose a file."), status=422, field="csv")
    try:
        return await given.read(csv_tables.MAX_BYTES + 1)
    finally:
        await given.close()


def download(data: bytes, filename: str) -> Response:
    return Response(data, media_type="text/csv; charset=utf-8", headers={"Content-Disposition": f'attachment; filename="{filename}"'})


def page_of(visit: Visit, total: int, size: int) -> tuple[int, int]:
    """(the page that was asked for, how many there are); one that does not exist is the nearest."""
    count = max(1, -(-total // size))
    asked = visit.request.query_params.get("page", "")
    return min(max(1, int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 7 else 1), count), count

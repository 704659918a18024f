"""The audit log: who changed what, when and why; to be searched, and to be taken away as a table."""

import json
from datetime import datetime
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.responses import Response, StreamingResponse

from dashboard.access import Access
from dashboard.audit_log import OUTCOMES, TITLES, day, export, title
from dashboard.refusal import Refused
from dashboard.store.audit_log import Question, Row, read
from dashboard.web import Page, Visit
from filters.message import Message

ROWS = 50
FIELDS = ("person", "action", "text", "from", "to")


async def index(visit: Visit) -> Response:
    given = {name: visit.request.query_params.get(name, "").strip() for name in FIELDS}
    error, rows, older = "", [], ""
    try:
        question = _question(visit, given)
        before = _before(visit.request.query_params.get("before", ""))
    except Refused as refused:
        error = visit.translate(refused.message.template)
    else:
        async with visit.site.store.read() as connection:
            rows = await read(connection, question, ROWS + 1, before)
        if len(rows) > ROWS:
            older = _link(given, rows[ROWS - 1].id)
    _ = visit.translate
    return visit.page(
        "audit/index.html",
        422 if error else 200,
        rows=[(row, title(row.action, _), _shown(row), _(OUTCOMES.get(row.outcome, row.outcome))) for row in rows[:ROWS]],
        given=given,
        error=error,
        actions=sorted(((action, _(TITLES[action])) for action in TITLES), key=lambda pair: pair[1]),
        older=older,
        newer=_link(given) if visit.request.query_params.get("before") else "",
        filtered=any(given.values()),
    )


async def take_away(visit: Visit) -> Response:
    zone = ZoneInfo(visit.view.file.school.timezone)
    question = _question(visit, {name: visit.text(name, 200) for name in FIELDS})
    lines = await export(visit.site, visit.person, question, visit.translate, zone)
    today = datetime.fromtimestamp(visit.now, zone)
    headers = {"Content-Disposition": f'attachment; filename="manglanh-audit-{today:%Y-%m-%d}.csv"'}
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)


def _question(visit: Visit, given: dict[str, str]) -> Question:
    """Raises Refused (422)."""
    if any(len(value) > 200 or "\0" in value for value in given.values()):
        raise Refused(Message("This is too long: at most {limit} characters.", limit=200), status=422)
    zone = ZoneInfo(visit.view.file.school.timezone)
    since, until = day(given["from"], zone, "from"), day(given["to"], zone, "to", end=True)
    return Question(given["person"], given["action"], given["text"], since, until)


def _before(text: str) -> int | None:
    """A page's mark; what is none is the beginning."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def _link(given: dict[str, str], before: int | None = None) -> str:
    query = {name: value for name, value in given.items() if value} | ({"before": str(before)} if before is not None else {})
    return f"/audit?{urlencode(query)}" if query else "/audit"


def _shown(row: Row) -> list[tuple[str, str]]:
    """The details as they were noted."""
    if not isinstance(row.detail, dict):
        return []
    return [(name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)) for name, value in row.detail.items()]


PAGES: tuple[Page, ...] = (
    Page("GET", "/audit", index, Access.SEES_SCHOOL),
    Page("POST", "/audit/export", take_away, Access.SEES_SCHOOL),
)

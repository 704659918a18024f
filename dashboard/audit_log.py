"""The audit log for people: what every action is called, what was asked for, and a table to take away. Pure, but for reading the store."""

import json
from collections.abc import AsyncIterator, Mapping
from datetime import date, datetime, timedelta, tzinfo

from dashboard.access import Person
from dashboard.catalogue import Translate
from dashboard.refusal import Refused
from dashboard.site import Site
from dashboard.store import audit
from dashboard.store.audit_log import Question, Row, read
from dashboard.tables.csv_tables import guarded
from filters.message import Message


def _(message: str) -> str:
    """Marks a message for the catalogue."""
    return message


TITLES: Mapping[str, str] = {
    "class.mode": _("Class switched"),
    "class.end": _("Switch ended"),
    "class.extend": _("Switch extended"),
    "class.undo": _("Switch undone"),
    "class.unblock": _("Site opened for a class"),
    "class.unblock-end": _("Opened site closed again"),
    "request.granted": _("Pupils' request granted"),
    "request.refused": _("Pupils' request refused"),
    "site-set.saved": _("Set of sites saved"),
    "site-set.removed": _("Set of sites removed"),
    "rule.added": _("Rule added"),
    "rule.changed": _("Rule changed"),
    "rule.removed": _("Rule removed"),
    "rule.imported": _("Rules imported"),
    "device.mapped": _("Device put into a group"),
    "device.unmapped": _("Device taken out of its group"),
    "device.labelled": _("Device named"),
    "school.changed": _("School's settings changed"),
    "school.imported": _("School's file replaced"),
    "tier.changed": _("Tier changed"),
    "group.changed": _("Group changed"),
    "timetable.changed": _("Timetable changed"),
    "service.changed": _("Services changed"),
    "province.changed": _("Province file changed"),
    "person.invited": _("Person invited"),
    "person.changed": _("Person changed"),
    "person.removed": _("Person removed"),
    "person.imported": _("People imported"),
    "class.assigned": _("Class given to a teacher"),
    "class.unassigned": _("Class taken from a teacher"),
    "substitute.given": _("Class given to a substitute"),
    "password.changed": _("Password changed"),
    "totp.on": _("Second factor switched on"),
    "totp.off": _("Second factor switched off"),
    "signed-in": _("Signed in"),
    "signed-out": _("Signed out"),
    "sign-in.failed": _("Sign-in failed"),
    "session.ended": _("Session ended"),
    "token.made": _("Program's token made"),
    "token.ended": _("Program's token ended"),
    "report.step": _("Report worked on"),
    "report.forwarded": _("Report forwarded"),
    "report.accepted": _("Report accepted by its recipient"),
    "report.exported": _("Reports exported"),
    "live.watched": _("Live view opened"),
    "audit.exported": _("Audit log exported"),
    "backup.made": _("Backup made"),
    "backup.restored": _("Backup restored"),
    "set-up": _("School set up"),
}
OUTCOMES: Mapping[str, str] = {"begun": _("begun, how it ended is not known"), "done": _("done"), "failed": _("failed")}
PART = 500
"""rows of the table that are read at a time"""


def title(action: str, translate: Translate) -> str:
    """An action of another version of this program is its own title."""
    return translate(TITLES[action]) if action in TITLES else action


def day(text: str, zone: tzinfo, field: str, *, end: bool = False) -> float | None:
    """``2027-01-15`` -> when that day begins at the school, or ends. Raises Refused (422)."""
    if not text:
        return None
    try:
        found = date.fromisoformat(text)
        found += timedelta(days=1 if end else 0)
        return datetime(found.year, found.month, found.day, tzinfo=zone).timestamp()
    except (ValueError, OverflowError):
        raise Refused(Message("This is not a date: write it as 2027-01-15."), status=422, field=field) from None


async def export(site: Site, person: Person, question: Question, translate: Translate, zone: tzinfo) -> AsyncIterator[bytes]:
    """The rows as CSV; that they were taken away is in the log before the first is given. Raises StoreTrouble."""
    asked = {name: value for name, value in (("person", question.person), ("action", question.action), ("text", question.text)) if value}
    days: dict[str, object] = {name: at for name, at in (("since", question.since), ("until", question.until)) if at is not None}
    async with site.store.write() as connection:
        await audit.add(connection, site.clock(), person, [audit.Entry("audit.exported", detail={**asked, **days})])
    return _lines(site, question, translate, zone)


async def _lines(site: Site, question: Question, translate: Translate, zone: tzinfo) -> AsyncIterator[bytes]:
    _ = translate
    yield b"\xef\xbb\xbf"  # by which spreadsheets see that it is UTF-8
    yield _line([_("Time"), _("Who"), _("What was done"), _("To what"), _("Reason"), _("How it came out"), _("Details"), "action"])
    before = None
    while True:
        async with site.store.read() as connection:
            rows = await read(connection, question, PART, before)
        yield b"".join(_line(_cells(row, translate, zone)) for row in rows)
        if len(rows) < PART:
            return
        before = rows[-1].id


def _cells(row: Row, translate: Translate, zone: tzinfo) -> list[str]:
    at = datetime.fromtimestamp(row.at, zone).isoformat(sep=" ", timespec="seconds")
    detail = json.dumps(row.detail, ensure_ascii=False) if row.detail else ""
    outcome = translate(OUTCOMES[row.outcome]) if row.outcome in OUTCOMES else row.outcome
    return [at, row.by, title(row.action, translate), row.object, row.reason, outcome, detail, row.action]


def _line(cells: list[str]) -> bytes:
    """RFC 4180. A cell that a spreadsheet would reckon gets an apostrophe before it."""
    quoted = ('"' + guarded(cell).replace('"', '""') + '"' for cell in cells)
    return (",".join(quoted) + "\r\n").encode("utf-8", "replace")

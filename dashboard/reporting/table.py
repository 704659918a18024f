"""Reports as a table (CSV) for the yearly report: what came, what came of it. What senders wrote of themselves or of others is left out."""

from datetime import datetime, tzinfo

from sqlalchemy.ext.asyncio import AsyncConnection

from dashboard.catalogue import Translate
from dashboard.reporting.words import kind_title, state_title
from dashboard.store import outbox
from dashboard.store import reports as store
from dashboard.tables.csv_tables import write

AT_ONCE = 5000
"""reports that one question to the store is about"""


async def table(connection: AsyncConnection, since: float, until: float, zone: tzinfo, _: Translate) -> bytes:
    """Reports that came within that time, the oldest first."""
    heads = (
        _("Number"), _("Received"), _("Kind"), _("About"), _("State"), _("Case closed"), _("What came of it"), _("Reported again"), _("Province has it since"),
    )  # fmt: skip
    rows: list[tuple[str, ...]] = []
    found = await store.between(connection, since, until)
    for begin in range(0, len(found), AT_ONCE):
        some = found[begin : begin + AT_ONCE]
        ids = [report.id for report in some]
        notes = await store.closing_notes(connection, ids)
        again = await store.times_again(connection, ids)
        items = await outbox.of_reports(connection, ids)
        for report in some:
            accepted = [item.accepted_at for item in items.get(report.id, ()) if item.accepted_at is not None]
            rows.append(
                (
                    report.number,
                    _moment(report.at, zone),
                    kind_title(report.kind, _),
                    report.target,
                    state_title(report.status, _),
                    "" if report.closed_at is None else _moment(report.closed_at, zone),
                    notes.get(report.id, "") if report.closed_at is not None else "",
                    str(again.get(report.id, 0)),
                    _moment(min(accepted), zone) if accepted else "",
                )
            )
    return write(heads, rows)


def _moment(at: float, zone: tzinfo) -> str:
    return f"{datetime.fromtimestamp(at, zone):%Y-%m-%d %H:%M}"

"""What the store forgets, and when. What is about people is kept no longer than somebody needs it."""

from datetime import tzinfo

from sqlalchemy import delete, exists, or_, select

from dashboard.store.engine import Store
from dashboard.store.statistics import HOURS_KEPT, close_days, trim_hours
from dashboard.store.tables import (
    assignments,
    audit,
    folded_files,
    invitations,
    outbox,
    reports,
    requests,
    sessions,
    statistics,
    statistics_days,
    tokens,
)

DAY = 86400.0
PLACES = 20
"""hours of groups that are trimmed in one transaction: about 100 ms here"""
STATISTICS = 400 * DAY
"""the same month of the last school year can be compared; 13 months and a bit"""
FOLDED_FILES = 1 * DAY
"""the workers' files themselves are gone within minutes"""
REQUESTS = 90 * DAY
"""answered ones: a term, for the time it took to answer; pupils may have signed them"""
OPEN_REQUESTS = 180 * DAY
"""nobody has answered them in a term, and nobody will"""
INVITATIONS = 30 * DAY
"""used or run out: for whoever asks who was invited when"""
ENDED = 30 * DAY
"""programs' tokens that have run out, and classes that a substitute no longer has; the audit log says who gave them"""
AUDIT = 5 * 365 * DAY
"""who changed what: as long as schools keep their records of such things"""
REPORTS = 5 * 365 * DAY
"""as the audit log; but none that the province has not accepted yet"""


async def forget_old(store: Store, now: float, zone: tzinfo) -> None:
    """Put the days together that are over and delete what has been kept for long enough. Once an hour is often. Raises StoreTrouble.

    One transaction for each part, so that nobody waits long for the store.
    """
    more = True
    while more:
        async with store.write() as connection:
            more = await trim_hours(connection, now, PLACES)
    async with store.write() as connection:
        await close_days(connection, now, zone)
    waiting = exists().where(outbox.c.report_id == reports.c.id, outbox.c.accepted_at.is_(None))
    deletions = (
        delete(sessions).where(sessions.c.expires_at <= now),
        delete(invitations).where(or_(invitations.c.used_at < now - INVITATIONS, invitations.c.expires_at < now - INVITATIONS)),
        delete(tokens).where(tokens.c.expires_at < now - ENDED),
        delete(assignments).where(assignments.c.until < now - ENDED),
        delete(requests).where(or_(requests.c.answered_at < now - REQUESTS, requests.c.at < now - OPEN_REQUESTS)),
        delete(reports).where(reports.c.at < now - REPORTS, ~waiting),
        delete(audit).where(audit.c.at < now - AUDIT),
        delete(folded_files).where(folded_files.c.at < now - FOLDED_FILES),
        delete(statistics).where(statistics.c.hour < now - HOURS_KEPT),
        delete(statistics_days).where(statistics_days.c.group_name != "*", statistics_days.c.day < now - STATISTICS),
    )
    for deletion in deletions:
        async with store.write() as connection:
            await connection.execute(deletion)


async def oldest(store: Store) -> float | None:
    """When the statistics begin; None: there are none."""
    async with store.read() as connection:
        days = (
            await connection.execute(select(statistics_days.c.day).where(statistics_days.c.group_name == "").order_by("day").limit(1))
        ).scalar()
        first = days if days is not None else (await connection.execute(select(statistics.c.hour).order_by("hour").limit(1))).scalar()
    return None if first is None else float(first)

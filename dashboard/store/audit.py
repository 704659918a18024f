"""The audit log: who changed what, when and why. Rows are added and never changed, but for how a change that had begun came out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dashboard.access import Person
from dashboard.store.tables import audit


@dataclass(frozen=True, slots=True)
class Entry:
    """One change. ``action`` is a word of ACTIONS; ``detail`` is what a reader needs to understand it, never a secret."""

    action: str
    what: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)
    reason: str = ""


ACTIONS = frozenset(
    {
        "class.mode", "class.end", "class.extend", "class.undo", "class.unblock", "class.unblock-end", "request.granted", "request.refused",
        "site-set.saved", "site-set.removed",
        "rule.added", "rule.changed", "rule.removed", "rule.imported", "device.mapped", "device.unmapped", "device.labelled",
        "school.changed", "school.imported", "tier.changed", "group.changed", "timetable.changed", "service.changed", "province.changed",
        "person.invited", "person.changed", "person.removed", "person.imported", "class.assigned", "class.unassigned", "substitute.given",
        "password.changed", "totp.on", "totp.off", "signed-in", "signed-out", "sign-in.failed", "session.ended", "token.made", "token.ended",
        "report.step", "report.forwarded", "report.accepted", "report.exported", "live.watched", "audit.exported", "backup.made", "backup.restored", "set-up",
    }
)  # fmt: skip
"""what may be said of a change; the catalogue has a title for each (dashboard/pages/audit.py)"""


async def add(connection: AsyncConnection, now: float, person: Person | None, entries: Sequence[Entry], outcome: str = "done") -> list[int]:
    """Add rows in the caller's transaction; their ids. ``person`` None: the box itself, or somebody who is not signed in."""
    return await add_each(connection, now, [(person, entry) for entry in entries], outcome)


async def add_each(
    connection: AsyncConnection, now: float, made: Sequence[tuple[Person | None, Entry]], outcome: str = "done"
) -> list[int]:
    """The same for changes of several people, in one statement."""
    rows = []
    for person, entry in made:
        assert entry.action in ACTIONS, entry.action
        rows.append(
            {
                "at": now,
                "by": person.shown if person else "",
                "person_id": person.id if person else None,
                "action": entry.action,
                "object": entry.what[:300],
                "detail": dict(entry.detail),
                "reason": entry.reason,
                "outcome": outcome,
            }
        )
    if not rows:
        return []
    statement = insert(audit).returning(audit.c.id, sort_by_parameter_order=True)
    return list((await connection.execute(statement, rows)).scalars())


async def settle(connection: AsyncConnection, ids: Sequence[int], outcome: str) -> None:
    """How changes came out that had begun: ``done`` or ``failed``."""
    if ids:
        await connection.execute(update(audit).where(audit.c.id.in_(ids)).values(outcome=outcome))

"""Everything is forgotten when its time has come, and nothing before."""

from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, select

from dashboard.store import retention
from dashboard.store.retention import DAY, forget_old, oldest
from dashboard.store.tables import assignments, audit, folded_files, invitations, outbox, people, reports, requests, sessions, tokens
from tests.dashboard.stores import *  # noqa: F403

NOW = 1_800_001_200.0
ZONE = ZoneInfo("Asia/Ho_Chi_Minh")

PERSON = {"id": 1, "login": "co-lan", "name": "Cô Lan", "role": "teacher", "created_at": 1.0}
REPORT = {"kind": "harmful", "target": "x.vn"}
CASES = [
    (sessions, "expires_at", 0.0, {"token": "t", "person_id": 1, "created_at": 1.0, "seen_at": 1.0}),
    (invitations, "used_at", retention.INVITATIONS, {"token": "t", "person_id": 1, "created_at": 1.0, "expires_at": NOW}),
    (invitations, "expires_at", retention.INVITATIONS, {"token": "t", "person_id": 1, "created_at": 1.0}),
    (tokens, "expires_at", retention.ENDED, {"token": "t", "person_id": 1, "name": "n", "scopes": [], "created_at": 1.0}),
    (assignments, "until", retention.ENDED, {"person_id": 1, "group_name": "6a1"}),
    (requests, "at", retention.OPEN_REQUESTS, {"group_name": "6a1", "name": "x.vn"}),
    (requests, "answered_at", retention.REQUESTS, {"at": NOW - 100 * DAY, "group_name": "6a1", "name": "x.vn", "state": "granted"}),
    (reports, "at", retention.REPORTS, REPORT | {"number": "1"}),
    (audit, "at", retention.AUDIT, {"by": "x", "action": "set-up", "detail": {}}),
    (folded_files, "at", retention.FOLDED_FILES, {"name": "0-1.json"}),
]


async def put(store, table, **values):
    async with store.write() as connection:
        await connection.execute(insert(table).values(**values))


async def rows(store, table):
    async with store.read() as connection:
        return (await connection.execute(select(table))).all()


@pytest.mark.parametrize(("table", "column", "kept", "values"), CASES, ids=lambda value: getattr(value, "name", None))
def test_each_has_its_time(store, loop, table, column, kept, values):
    loop(put(store, people, **PERSON))
    loop(put(store, table, **values, **{column: NOW - kept + 1}))
    loop(forget_old(store, NOW, ZONE))
    assert len(loop(rows(store, table))) == 1
    loop(forget_old(store, NOW + 2, ZONE))
    assert loop(rows(store, table)) == []
    assert len(loop(rows(store, people))) == 1


@pytest.mark.parametrize(
    ("table", "values"),
    [
        (requests, {"at": NOW - 100 * DAY, "group_name": "6a1", "name": "x.vn"}),
        (tokens, {"token": "t", "person_id": 1, "name": "n", "scopes": [], "created_at": 1.0}),
        (assignments, {"person_id": 1, "group_name": "6a1"}),
    ],
)
def test_what_has_no_end_is_kept(store, loop, table, values):
    loop(put(store, people, **PERSON))
    loop(put(store, table, **values))
    loop(forget_old(store, NOW, ZONE))
    assert len(loop(rows(store, table))) == 1


def test_a_report_that_the_province_has_not_accepted_is_never_forgotten(store, loop):
    loop(put(store, reports, id=1, number="1", at=1.0, **REPORT))
    loop(put(store, reports, id=2, number="2", at=1.0, **REPORT))
    sent = {"kind": "webhook", "target": "https://x", "body": b"x", "created_at": 1.0, "next_at": 1.0}
    loop(put(store, outbox, report_id=1, **sent))
    loop(put(store, outbox, report_id=2, accepted_at=2.0, **sent))
    loop(forget_old(store, NOW, ZONE))
    assert [row.id for row in loop(rows(store, reports))] == [1]


def test_the_statistics_begin_where_they_begin(store, loop):
    from dashboard.insight.statistics import Cell
    from dashboard.store.statistics import day_of, fold_in

    async def fold(hour):
        async with store.write() as connection:
            await fold_in(connection, [Cell(hour, "6a1", "social", "category", "block", "x.vn", 1, 1)], [], NOW)

    assert loop(oldest(store)) is None
    hour = int(NOW) // 3600 * 3600
    loop(fold(hour))
    assert loop(oldest(store)) == hour
    loop(fold(int(hour - 20 * DAY)))
    loop(forget_old(store, NOW, ZONE))
    assert loop(oldest(store)) == day_of(hour - 20 * DAY, ZONE)

"""Reports and the outbox in the store, on SQLite and PostgreSQL."""

from dashboard.store import outbox, reports
from dashboard.store.outbox import OVERDUE
from dashboard.store.reports import CLOSED, RECEIVED
from dashboard.store.retention import REPORTS, forget_old
from tests.dashboard.stores import *  # noqa: F403
from tests.dashboard.test_store_statistics import NOW, ZONE


def carry_out(loop, store, function, *arguments, **options):
    async def inside():
        async with store.write() as connection:
            return await function(connection, *arguments, **options)

    return loop(inside())


def add(loop, store, number, at=NOW, kind="fake", target="gia.example", group="6a1"):
    return carry_out(loop, store, reports.add, number, at, kind, target, "", "", group)


def test_reports_are_counted_listed_and_moved(store, loop):
    old, new = add(loop, store, "AAAA-0001", NOW - 60), add(loop, store, "AAAA-0002", target="khac.example")
    assert [each.number for each in carry_out(loop, store, reports.listed, None, 10)] == ["AAAA-0002", "AAAA-0001"], "the newest first"
    assert [each.number for each in carry_out(loop, store, reports.listed, RECEIVED, 10)] == ["AAAA-0001", "AAAA-0002"], (
        "the longest wait first"
    )
    assert carry_out(loop, store, reports.move, old, "received", NOW) is True
    assert carry_out(loop, store, reports.move, old, "collecting", None) is False, "as it was seen, it is no more"
    closed = carry_out(loop, store, reports.find, old.id)
    assert (closed.status, closed.state) == (CLOSED, RECEIVED)
    counts = carry_out(loop, store, reports.counts)
    assert counts == {"received": 1, "collecting": 0, "verifying": 0, "coordinating": 0, "closed": 1}
    assert [each.number for each in carry_out(loop, store, reports.listed, CLOSED, 10)] == ["AAAA-0001"]
    assert carry_out(loop, store, reports.move, closed, "received", None) is True
    assert [each.number for each in carry_out(loop, store, reports.between, NOW - 60, NOW)] == ["AAAA-0001"]
    assert carry_out(loop, store, reports.twin, NOW, "fake", "khac.example", "6a1") == new
    assert carry_out(loop, store, reports.twin, NOW, "fake", "khac.example", "6a2") is None


def test_steps_are_kept_in_order_and_repetitions_counted(store, loop):
    report = add(loop, store, "AAAA-0001")
    for state, note in (("again", ""), ("closed", "một"), ("received", ""), ("again", ""), ("closed", "hai")):
        carry_out(loop, store, reports.add_step, report.id, NOW, "An", state, note)
    assert [step.state for step in carry_out(loop, store, reports.steps, report.id)] == ["received", "closed", "received", "closed"]
    assert carry_out(loop, store, reports.times_again, [report.id, 99]) == {report.id: 2}
    assert carry_out(loop, store, reports.closing_notes, [report.id]) == {report.id: "hai"}
    assert carry_out(loop, store, reports.times_again, []) == {}


def test_a_row_waits_until_it_was_accepted_and_only_then_is_closed(store, loop):
    report = add(loop, store, "AAAA-0001")
    for way in ("webhook", "mail"):
        carry_out(loop, store, outbox.put, report.id, way, "x", b"{}", NOW)
    first, second = carry_out(loop, store, outbox.due, NOW, 1000, 10)
    assert (first.key, first.number, first.document) == (f"AAAA-0001-{first.id}", "AAAA-0001", b"{}")
    carry_out(loop, store, outbox.put_off, first.id, attempts=1, next_at=NOW + 60, trouble="slow: ")
    assert carry_out(loop, store, outbox.due, NOW, 1000, 10) == [second]
    assert len(carry_out(loop, store, outbox.due, NOW + 60, 1000, 10)) == 2
    assert len(carry_out(loop, store, outbox.due, NOW - 5000, 1000, 10)) == 2, "the clock was set back"
    assert carry_out(loop, store, outbox.count_overdue, NOW + OVERDUE + 1) == 1, "one report, however many ways"
    assert carry_out(loop, store, outbox.accept, second.id, "y", NOW) is True
    assert carry_out(loop, store, outbox.accept, second.id, "z", NOW + 1) is False
    assert carry_out(loop, store, outbox.next_due) == NOW + 60
    carry_out(loop, store, outbox.put_off, second.id, attempts=9, next_at=NOW, trouble="bug: ")
    items = carry_out(loop, store, outbox.of_reports, [report.id])[report.id]
    assert [(item.target, item.accepted_at, item.attempts) for item in items] == [("x", None, 1), ("y", NOW, 0)]


def test_a_report_that_the_province_has_not_taken_is_never_forgotten(store, loop):
    for number, accepted in (("AAAA-0001", False), ("AAAA-0002", True)):
        report = add(loop, store, number, NOW - REPORTS - 1)
        carry_out(loop, store, outbox.put, report.id, "webhook", "x", b"{}", NOW)
        if accepted:
            (item,) = carry_out(loop, store, outbox.of_reports, [report.id])[report.id]
            carry_out(loop, store, outbox.accept, item.id, "x", NOW)
    loop(forget_old(store, NOW, ZONE))
    assert [each.number for each in carry_out(loop, store, reports.listed, None, 10)] == ["AAAA-0001"]
    assert len(carry_out(loop, store, outbox.due, NOW, 1000, 10)) == 1

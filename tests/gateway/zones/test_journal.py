"""The journal survives restarts, damage and a full disk; the serial only grows."""

import json

import pytest

from gateway.zones import journal as zone_journal
from gateway.zones.journal import Journal
from gateway.zones.records import Change, Record
from gateway.zones.wire import is_newer
from tests.policies.schools import NOW

HERE, GONE = Change(True, Record("a.example", ".")), Change(False, Record("*.b.example", "rpz-passthru."))


def read(journal: Journal, serial: int) -> list[tuple[int, int, list[Record], list[Record]]]:
    return [(step.before, step.after, list(step.records(added=False)), list(step.records(added=True))) for step in journal.since(serial)]


def test_steps_lead_from_version_to_version_also_after_a_restart(tmp_path):
    journal = Journal(tmp_path / "zone")
    first = journal.advance("one", "p", None, NOW)
    second = journal.advance("two", "p", [HERE, GONE], NOW)
    third = journal.advance("three", "p", [GONE], NOW)
    assert is_newer(second, first)
    assert is_newer(third, second)
    for known in (journal, Journal(tmp_path / "zone")):
        assert read(known, first) == [
            (first, second, [GONE.record], [HERE.record]),
            (second, third, [GONE.record], []),
        ]
        assert read(known, second) == [(second, third, [GONE.record], [])]
        assert known.since(third) == ()
        assert known.since(first - 1) is None
        assert (known.current.bundle, known.current.serial) == ("three", third)


def test_without_a_change_the_serial_stays_and_the_lists_are_noted(tmp_path):
    journal = Journal(tmp_path)
    first = journal.advance("one", "p", None, NOW)
    assert journal.advance("two", "p", [], NOW + 9) == first
    assert Journal(tmp_path).current.bundle == "two"
    assert Journal(tmp_path).current.serial == first


def test_an_unknown_difference_starts_anew(tmp_path):
    journal = Journal(tmp_path)
    first = journal.advance("one", "p", None, NOW)
    second = journal.advance("two", "p", [HERE], NOW)
    third = journal.advance("three", "q", None, NOW)
    assert is_newer(third, second)
    assert journal.since(first) is None
    assert journal.since(second) is None
    assert not list(tmp_path.glob("*.changes"))


def test_a_difference_that_is_too_large_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(zone_journal, "MOST_CHANGES", 2)
    journal = Journal(tmp_path)
    first = journal.advance("one", "p", None, NOW)
    endless = (HERE for _ in iter(int, 1))
    second = journal.advance("two", "p", endless, NOW)
    assert is_newer(second, first)
    assert journal.since(first) is None
    assert not list(tmp_path.glob("*changes"))


def test_only_the_last_versions_are_kept(tmp_path):
    journal = Journal(tmp_path)
    serials = [journal.advance(f"bundle {number}", "p", [HERE] if number else None, NOW) for number in range(zone_journal.KEPT + 5)]
    assert journal.since(serials[4]) is None
    assert len(journal.since(serials[5])) == zone_journal.KEPT - 1
    assert len(list(tmp_path.glob("*.changes"))) == zone_journal.KEPT - 1


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"versions": [{"serial": 1}]}', b'{"versions": [{"serial": "x", "bundle": "", "policy": ""}]}', b"\xff"]
)
def test_a_damaged_journal_is_an_empty_one_and_the_serial_grows_all_the_same(tmp_path, damage):
    serial = Journal(tmp_path).advance("one", "p", None, NOW)
    (tmp_path / "versions.json").write_bytes(damage)
    journal = Journal(tmp_path)
    assert journal.current is None
    assert is_newer(journal.advance("two", "p", [HERE], NOW + 60), serial)


def test_what_cannot_be_written_serves_all_the_same(tmp_path):
    (tmp_path / "zone").write_text("a file where the folder should be")
    journal = Journal(tmp_path / "zone")
    first = journal.advance("one", "p", None, NOW)
    second = journal.advance("two", "p", [HERE], NOW)
    assert is_newer(second, first)
    assert journal.current.bundle == "two"
    assert journal.since(first) is None


def test_a_crash_before_the_rename_leaves_the_version_before(tmp_path, monkeypatch):
    journal = Journal(tmp_path)
    first = journal.advance("one", "p", None, NOW)

    class Crash(BaseException):
        pass

    def crash(*_, **__):
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(json, "dump", crash)
        with pytest.raises(Crash):
            journal.advance("two", "p", [HERE], NOW)
    journal = Journal(tmp_path)
    assert journal.current.serial == first
    again = journal.advance("two", "p", [GONE], NOW)
    assert read(journal, first) == [(first, again, [GONE.record], [])]

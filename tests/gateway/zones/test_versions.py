"""A zone's version follows the lists and the school's rules, and the way to it survives a restart."""

import shutil

from blocklists.install import install
from filters.bundle import SUBTREE, write
from filters.domain_index import DomainIndex
from gateway.zones.records import Record
from gateway.zones.versions import ZoneVersions
from policies.model import Zone
from tests.gateway.zones.policy_zones import SOURCES
from tests.policies.schools import NOW, block, school

ZONE = Zone(name="rpz.thcs", tier="thcs", secondaries=("10.0.0.53", "[fd00::53]:5353"), sign=False)
ADULT, LEARNING = (next(at for at, source in enumerate(SOURCES) if source.category == category) for category in ("adult", "learning"))


def put(lists, *names, source: int = ADULT) -> DomainIndex:
    return DomainIndex.open(install(lists, lambda folder: write(folder, [(name, source, SUBTREE) for name in names], SOURCES)))


def take_up(versions, index, rules=(), now=NOW, file=None):
    served, _ = versions.take_up(ZONE, file or school(), rules, index, now)
    return served


def added(served, since: int) -> list[Record]:
    return [record for step in served.since(since) for record in step.records(added=True)]


def test_new_lists_are_a_new_version(tmp_path):
    versions = ZoneVersions("rpz.thcs", tmp_path)
    first = take_up(versions, put(tmp_path, "a.example"))
    second = take_up(versions, put(tmp_path, "a.example", "b.example"))
    assert second.serial > first.serial
    assert set(added(second, first.serial)) == {Record("b.example", "."), Record("*.b.example", ".")}
    assert second.secondaries == {"10.0.0.53", "fd00::53"}


def test_the_same_lists_are_the_same_version(tmp_path):
    versions = ZoneVersions("rpz.thcs", tmp_path)
    index = put(tmp_path, "a.example")
    assert take_up(versions, index).serial == take_up(versions, index, now=NOW + 60).serial


def test_lists_that_mean_nothing_to_the_tier_are_no_new_version(tmp_path):
    versions = ZoneVersions("rpz.thcs", tmp_path)
    first = take_up(versions, put(tmp_path))
    assert take_up(versions, put(tmp_path, "hoc.example", source=LEARNING)).serial == first.serial


def test_the_schools_rules_are_part_of_the_version_and_end_when_they_end(tmp_path):
    versions = ZoneVersions("rpz.thcs", tmp_path)
    index = put(tmp_path)
    first = take_up(versions, index)
    rule = block("x.example", until=NOW + 60)
    second, until = versions.take_up(ZONE, school(), [rule], index, NOW)
    assert until == NOW + 60
    assert Record("x.example", ".") in added(second, first.serial)
    third = take_up(versions, index, [rule], now=NOW + 60)
    assert third.serial > second.serial
    assert not added(third, second.serial)


def test_after_a_restart_the_same_is_the_same_and_the_new_is_a_step(tmp_path):
    first = take_up(ZoneVersions("rpz.thcs", tmp_path), put(tmp_path, "a.example"))
    again = take_up(ZoneVersions("rpz.thcs", tmp_path), DomainIndex.open(tmp_path / "current"))
    assert again.serial == first.serial
    later = take_up(ZoneVersions("rpz.thcs", tmp_path), put(tmp_path, "b.example"))
    assert Record("b.example", ".") in added(later, first.serial)


def test_where_the_old_lists_are_gone_the_zone_starts_anew(tmp_path):
    first = take_up(ZoneVersions("rpz.thcs", tmp_path), put(tmp_path, "a.example"))
    old = (tmp_path / "current").resolve()
    index = put(tmp_path, "b.example")
    shutil.rmtree(old)
    later = take_up(ZoneVersions("rpz.thcs", tmp_path), index)
    assert later.serial > first.serial
    assert later.since(first.serial) is None


def test_rules_that_changed_while_it_was_off_start_it_anew(tmp_path):
    index = put(tmp_path, "a.example")
    first = take_up(ZoneVersions("rpz.thcs", tmp_path), index)
    later = take_up(ZoneVersions("rpz.thcs", tmp_path), index, [block("x.example")])
    assert later.serial > first.serial
    assert later.since(first.serial) is None

"""A new version's differences lead from the old records to the new ones, and are found without looking at everything."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.bundle import SUBTREE
from filters.domain_index import DomainIndex
from gateway.effect import Effect
from gateway.zones.records import Change, Record, RecordsAt, changes, fingerprint, records
from policies.decide import RuleTable
from tests.gateway.zones.policy_zones import ENTRIES, NAMES, SOURCES, index_of, overlaid, tier_policies
from tests.policies.schools import allow, block, policy

ADULT, LEARNING = (next(at for at, source in enumerate(SOURCES) if source.category == category) for category in ("adult", "learning"))
RULES = st.lists(st.builds(lambda rule, name: rule(name), st.sampled_from([allow, block]), NAMES), max_size=3)


def all_records(effect: Effect) -> set[Record]:
    found = list(records(effect.nodes(), effect))
    assert len(set(found)) == len(found)
    return set(found)


def assert_leads(before: Effect, after: Effect) -> None:
    found = list(changes(before, after))
    removed = {record for added, record in found if not added}
    added = {record for added, record in found if added}
    assert len(removed) + len(added) == len(found), "said twice"
    assert removed == all_records(before) - all_records(after)
    assert added == all_records(after) - all_records(before)


@settings(deadline=None, max_examples=200)
@given(ENTRIES, ENTRIES, ENTRIES, tier_policies(), RULES, RULES)
def test_two_overlays_on_one_base(base, one, other, held, rules_before, rules_after):
    with TemporaryDirectory() as folder:
        before, after = overlaid(Path(folder), base, base + one, base + other)
        old = replace(held, rules=(RuleTable.of(rules_before),))
        new = replace(held, rules=(RuleTable.of(rules_after),))
        assert_leads(Effect(old, before), Effect(new, after))


@settings(deadline=None)
@given(ENTRIES, ENTRIES, tier_policies(), tier_policies())
def test_two_bundles_under_two_policies(one, other, old, new):
    assert_leads(Effect(old, index_of(one)), Effect(new, index_of(other)))


@settings(deadline=None)
@given(ENTRIES, tier_policies(), NAMES)
def test_the_records_at_one_name_are_those_of_the_whole(entries, held, name):
    effect = Effect(held, index_of(entries))
    assert set(RecordsAt(effect)(name)) == {record for record in all_records(effect) if record.owner in {name, f"*.{name}"}}


class Walked(Exception):
    pass


def test_a_name_more_on_the_same_base_does_not_walk_the_lists(tmp_path, monkeypatch):
    base = [(f"n{number}.example", ADULT, SUBTREE) for number in range(500)]
    before, after = overlaid(tmp_path, base, base, [*base, ("khan-cap.example", ADULT, SUBTREE)])

    def walk(_):
        raise Walked

    monkeypatch.setattr(DomainIndex, "entries", walk)
    found = list(changes(Effect(policy("thcs"), before), Effect(policy("thcs"), after)))
    assert found == [Change(True, Record("khan-cap.example", ".")), Change(True, Record("*.khan-cap.example", "."))]


def test_an_exception_for_learning_comes_and_goes_with_the_way_down_to_it(tmp_path):
    base = [("blog.example", ADULT, SUBTREE)]
    deep = [*base, ("lop.truong.blog.example", LEARNING, SUBTREE)]
    before, after = overlaid(tmp_path, base, base, deep)
    found = set(changes(Effect(policy("thcs"), before), Effect(policy("thcs"), after)))
    assert found == {
        Change(True, Record("truong.blog.example", ".")),
        Change(True, Record("*.truong.blog.example", ".")),
        Change(True, Record("lop.truong.blog.example", "rpz-passthru.")),
        Change(True, Record("*.lop.truong.blog.example", "rpz-passthru.")),
    }


def of(**changed) -> str:
    return fingerprint(Effect(policy("thcs", **changed), index_of([])))


@pytest.mark.parametrize(
    "changed",
    [
        {"blocked": frozenset({"ads"})},
        {"services": frozenset({"tiktok"})},
        {"default_block": True},
        {"safe_search": False},
        {"youtube": "off"},
        {"rules": (block("a.example"),)},
        {"box_names": frozenset({"b.example"})},
    ],
)
def test_a_policy_that_says_something_else_has_another_fingerprint(changed):
    assert of(**changed) != of()


def test_whether_a_rule_blocks_or_allows_is_in_the_fingerprint_and_who_wrote_it_is_not():
    assert of(rules=(block("a.example"),)) != of(rules=(allow("a.example"),))
    assert of(rules=(block("a.example", reason="x"),)) == of(rules=(block("a.example"),))
    assert of(ttl_limit=7) == of()

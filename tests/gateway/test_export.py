"""What is exported says what the ladder says."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blocklists.parse import parse
from blocklists.rule import Problem
from filters.bundle import BLOCK_BELOW, BLOCK_SELF, SUBTREE
from filters.domain_index import Source
from gateway.effect import Effect, tier_policy
from gateway.export import FORMATS, export
from gateway.zones.records import PASSTHRU, records
from policies.decide import Block, Rewrite, decide
from policies.model import LocalRule
from tests.gateway.zones import policy_zones
from tests.gateway.zones.policy_zones import ASKED, ENTRIES, index_of, tier_policies
from tests.policies.schools import NOW, allow, block, policy, school

GAMBLING, LEARNING = (
    Source("cờ bạc", "gambling", "CC-BY-SA-4.0", "https://lists.example/g", "Công an tỉnh", "12/QĐ"),
    Source("l", "learning"),
)
READERS = (policy_zones.by_closest_encloser, policy_zones.by_longest_wildcard, policy_zones.by_neighbour)


def expected(name, held, index) -> str:
    verdict = decide(name, 1, held, index)
    if isinstance(verdict, Block):
        return "."
    return f"{verdict.target}." if isinstance(verdict, Rewrite) else ""


@settings(deadline=None, max_examples=300)
@given(ENTRIES, tier_policies(), st.lists(ASKED, min_size=1, max_size=30))
def test_a_policy_zone_answers_as_the_ladder_does_however_it_is_read(entries, held, asked):
    index = index_of(entries)
    effect = Effect(held, index)
    found = list(records(effect.nodes(), effect))
    zone = dict(found)
    assert len(zone) == len(found), "a record twice"
    targets = {target.removesuffix(".") for target in zone.values()}
    for name in {*asked, *(name for name, *_ in entries)} - targets:
        for read in READERS:
            said = read(zone, name)
            assert ("" if said == PASSTHRU else said) == expected(name, held, index), (name, read.__name__, zone)


@settings(deadline=None)
@given(ENTRIES, tier_policies())
def test_where_safe_search_leads_is_open(entries, held):
    effect = Effect(held, index_of(entries))
    zone = dict(records(effect.nodes(), effect))
    for target in {target for target in zone.values() if target not in {".", PASSTHRU}}:
        assert policy_zones.by_closest_encloser(zone, target.removesuffix(".")) in {"", PASSTHRU} or _is_firmly_blocked(target, effect)


def _is_firmly_blocked(target: str, effect: Effect) -> bool:
    """By a locked list, or by the school."""
    return decide(target.removesuffix("."), 1, effect.policy, effect).reason.rung < 7


def lines(form: str, entries, sources=(GAMBLING, LEARNING), **changes) -> list[str]:
    """What is said of the listed names: without comments, and without what the tier says by itself."""
    held = policy("thcs", **({"safe_search": False, "youtube": "off", "box_names": frozenset()} | changes))
    said = list(export(FORMATS[form], Effect(held, index_of(entries, sources)), "thcs", NOW))
    return [line for line in said if not line.startswith((FORMATS[form].comment, *FORMATS[form].preamble, "@ "))]


EVERYTHING = [
    ("casino.example", 0, SUBTREE),
    ("hoc.casino.example", 1, SUBTREE),
    ("xau.hoc.casino.example", 0, SUBTREE),
    ("a.casino.example", 0, SUBTREE),
    ("self.example", 0, BLOCK_SELF),
    ("below.example", 0, BLOCK_BELOW),
]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (
            "rpz",
            {
                "casino.example CNAME .",
                "*.casino.example CNAME .",
                "hoc.casino.example CNAME rpz-passthru.",
                "*.hoc.casino.example CNAME rpz-passthru.",
                "xau.hoc.casino.example CNAME .",
                "*.xau.hoc.casino.example CNAME .",
                "self.example CNAME .",
                "*.below.example CNAME .",
            },
        ),
        ("hosts", {f"0.0.0.0 {name}" for name in ("casino.example", "xau.hoc.casino.example", "a.casino.example", "self.example")}),
        (
            "dnsmasq",
            {
                "address=/casino.example/",
                "server=/hoc.casino.example/#",
                "address=/xau.hoc.casino.example/",
                "address=/self.example/",
                "server=/*.self.example/#",
                "address=/*.below.example/",
            },
        ),
        (
            "unbound",
            {
                'local-zone: "casino.example." always_nxdomain',
                'local-zone: "hoc.casino.example." always_transparent',
                'local-zone: "xau.hoc.casino.example." always_nxdomain',
                'local-zone: "self.example." transparent',
                'local-data: "self.example. 60 A 0.0.0.0"',
                'local-data: "self.example. 60 AAAA ::"',
            },
        ),
        (
            "adblock",
            {"||casino.example^", "@@||hoc.casino.example^", "||xau.hoc.casino.example^$important", "|self.example^", "||*.below.example^"},
        ),
    ],
)
def test_what_a_format_says(form, said):
    found = lines(form, EVERYTHING)
    assert set(found) == said
    assert len(found) == len(said)


@pytest.mark.parametrize(("form", "left_out"), [("hosts", 1), ("unbound", 1), ("dnsmasq", 0), ("rpz", 0), ("adblock", 0)])
def test_what_a_format_cannot_say_is_counted(form, left_out):
    held = policy("thcs", safe_search=False, youtube="off", box_names=frozenset())
    last = list(export(FORMATS[form], Effect(held, index_of(EVERYTHING, (GAMBLING, LEARNING))), "thcs", NOW))[-1]
    assert (f" {left_out} rules cannot be said" in last) == bool(left_out)


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_every_export_says_whose_lists_it_is_made_of(form):
    index = index_of(EVERYTHING, (GAMBLING, LEARNING))
    said = list(export(FORMATS[form], Effect(policy("thcs"), index), "thcs", NOW))
    top = [line for line in said if line.startswith(FORMATS[form].comment)]
    assert any("thcs" in line for line in top)
    assert any(index.identity in line and "2027-01-15 08:00 UTC" in line for line in top)
    assert any("cờ bạc (gambling), CC-BY-SA-4.0, Công an tỉnh, 12/QĐ, https://lists.example/g" in line for line in top)


@pytest.mark.parametrize("form", ["hosts", "dnsmasq", "adblock", "rpz"])
def test_our_own_parser_reads_every_line(form):
    """rpz: what cannot block is refused there, so there is nothing of the kind in this list."""
    entries = EVERYTHING if form != "rpz" else [("casino.example", 0, SUBTREE), ("self.example", 0, BLOCK_SELF)]
    held = policy("thcs", safe_search=False, youtube="off", box_names=frozenset())
    text = "\n".join(export(FORMATS[form], Effect(held, index_of(entries, (GAMBLING, LEARNING))), "thcs", NOW))
    text = "\n".join(line for line in text.splitlines() if not line.startswith("server="))
    items = [item for _, numbered in parse(form, {"": text.encode()}) for _, item in numbered]
    assert items
    assert not [item for item in items if isinstance(item, Problem)]


@pytest.mark.parametrize("form", ["unbound", "dnsmasq", "rpz"])
@pytest.mark.parametrize("tier", ["thcs", "mam-non"])
def test_the_program_itself_accepts_the_file(tmp_path, form, tier):
    said = export(FORMATS[form], Effect(policy(tier), index_of(EVERYTHING, (GAMBLING, LEARNING))), tier, NOW)
    file = tmp_path / "list"
    file.write_text("".join(f"{line}\n" for line in said))
    command = {
        "unbound": ["unbound-checkconf", file],
        "dnsmasq": ["dnsmasq", "--test", "-C", file],
        "rpz": ["named-checkzone", "-i", "none", "-k", "ignore", "rpz.thcs", file],
    }[form]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_tiers_policy_has_the_schools_rules_for_everybody_and_no_others():
    file = school(
        rules=[{"action": "block", "name": "a.example"}, {"action": "allow", "name": "b.example", "groups": ["6a1"]}],
        tiers={"thcs": {"categories": {"social": "allow"}}},
    )
    held = tier_policy(file, [allow("c.example"), block("d.example", until=NOW + 60)], "thcs", NOW)
    assert {name for table in held.rules for name in (*table.block, *table.allow)} == {"a.example", "c.example", "d.example"}
    assert "social" not in held.blocked
    assert (held.mode, held.only, held.valid_until) == ("normal", "everything", NOW + 60)
    assert not tier_policy(file, [LocalRule(action="block", name="d.example", until=NOW)], "staff", NOW).rules[0].block.get("d.example")


def test_a_tier_that_the_school_does_not_have():
    with pytest.raises(KeyError):
        tier_policy(school(), (), "thsc", NOW)

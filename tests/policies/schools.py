"""Pretend schools, policies and lists for the tests of this folder; each test changes one thing."""

from collections.abc import Mapping

from filters.category import CATEGORIES
from filters.domain_index import Match, Source
from filters.name import parents
from policies.decide import Policy, RuleTable
from policies.model import BlockAnswer, LocalRule, SchoolFile, State, Unblock, YouTube
from policies.snapshot import Snapshot
from policies.tiers import TIERS

NOW = 1_800_000_000.0
"""Friday, 15 January 2027, 15:00 in Việt Nam"""

SOURCES = {category: Source(f"list-{category}", category, authority=f"authority-{category}") for category in CATEGORIES}


class Lists:
    """Listed names with their categories, each covering its subtree: what DomainIndex promises, in six lines."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = {name: categories.split() for name, categories in names.items()}

    def lookup(self, name: str, qtype: int = 1) -> tuple[Match, ...]:
        listed = [(parent, category) for parent in parents(name) for category in self._names.get(parent, ())]
        return tuple(Match(parent, parent.count(".") + 1, SOURCES[category]) for parent, category in listed)


NOTHING_LISTED = Lists({})


def policy(tier: str = "thcs", rules: tuple[LocalRule, ...] = (), unblocks: tuple[Unblock, ...] = (), **changes) -> Policy:
    """The policy of a group in a built-in tier, without a Snapshot, with any field changed."""
    settings = TIERS[tier]
    blocked = {category for category, decision in settings.categories.items() if decision == "block"}
    fields = {
        "group": "6a1",
        "tier": tier,
        "mode": "normal",
        "mode_reason": "tier",
        "mode_by": "",
        "only": "everything",
        "sites": frozenset(),
        "blocked": frozenset(blocked | {"child-abuse", "unlawful"}),
        "allowed": frozenset(settings.categories.keys() - blocked),
        "default_block": settings.default == "block",
        "services": frozenset(settings.services),
        "liftable": frozenset(settings.liftable),
        "unblocks": {unblock.name: unblock for unblock in unblocks},
        "rules": (RuleTable.of(rules),) if rules else (),
        "safe_search": settings.safe_search,
        "youtube": settings.youtube,
        "strip_ech": settings.strip_ech,
        "ttl_limit": settings.ttl_limit,
        "block_answer": BlockAnswer.NXDOMAIN,
        "box_names": frozenset({"manglanh.home.arpa", "pool.ntp.org"}),
    }
    return Policy(**(fields | changes))


def unsafe_policy(tier: str = "thcs", **changes) -> Policy:
    """Without enforcement, so that a test sees the bare ladder."""
    return policy(tier, safe_search=False, youtube=YouTube.OFF, **changes)


def unblock(name: str, **changes) -> Unblock:
    return Unblock(**{"group": "6a1", "name": name, "since": NOW - 60, "until": NOW + 600, "by": "Cô Hoa", "reason": "tiết Tin"} | changes)


def block(name: str, **changes) -> LocalRule:
    return LocalRule(action="block", name=name, by="Thầy Nam", **changes)


def allow(name: str, **changes) -> LocalRule:
    return LocalRule(action="allow", name=name, by="Thầy Nam", **changes)


def school(**sections) -> SchoolFile:
    """A school with the groups 6a1 (thcs), 10a1 (thpt) and giao-vien (staff)."""
    plain = {
        "school": {"name": "Trường THCS Số 1"},
        "dns": {"upstreams": ["9.9.9.9"]},
        "groups": [
            {"name": "6a1", "tier": "thcs", "clients": ["10.0.12.0/24", "aa:bb:cc:dd:ee:ff"]},
            {"name": "10a1", "tier": "thpt", "clients": ["10.0.10.0/24"]},
            {"name": "giao-vien", "tier": "staff", "clients": ["10.0.2.0/24"]},
        ],
    }
    return SchoolFile.model_validate(plain | sections)


def snapshot(state: State | None = None, **sections) -> Snapshot:
    return Snapshot(school(**sections), state or State(), NOTHING_LISTED)

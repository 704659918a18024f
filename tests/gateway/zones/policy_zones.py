"""Random policies and lists, and what a name server makes of a response policy zone."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import strategies as st

from blocklists.overlay import write_overlay
from filters.bundle import ALLOW_BELOW, ALLOW_SELF, BLOCK_BELOW, BLOCK_SELF, SUBTREE
from filters.category import CATEGORIES, LOCKED
from filters.domain_index import DomainIndex, Source, write
from filters.name import parents
from policies.decide import Policy
from policies.model import LocalRule, YouTube
from policies.tiers import TIERS
from tests.policies.schools import policy

LABELS = ("a", "b", "c", "example", "www", "google", "tiktok", "com")
LISTED_CATEGORIES = ("unlawful", "adult", "social", "ads", "learning", "help")
SOURCES = tuple(Source(f"{category}-{number}", category, "CC-BY-SA-4.0") for category in LISTED_CATEGORIES for number in (1, 2))
NAMES = st.lists(st.sampled_from(LABELS), min_size=1, max_size=5).map(".".join)
KNOWN = ("www.google.com", "forcesafesearch.google.com", "www.tiktok.com", "update.coccoc.com", "coccoc.com", "pool.ntp.org")
ASKED = NAMES | st.sampled_from(KNOWN) | st.tuples(st.sampled_from(LABELS), st.sampled_from(KNOWN)).map(".".join)
FLAGS = st.sampled_from(
    (SUBTREE, SUBTREE, BLOCK_SELF, BLOCK_BELOW, ALLOW_SELF, ALLOW_BELOW, ALLOW_SELF | ALLOW_BELOW, BLOCK_SELF | ALLOW_BELOW)
)
ENTRIES = st.lists(st.tuples(NAMES, st.integers(0, len(SOURCES) - 1), FLAGS), max_size=12)
CATEGORY_SETS = st.frozensets(st.sampled_from(sorted(CATEGORIES.keys() - {"help", "learning"} - LOCKED)))


@st.composite
def tier_policies(draw) -> Policy:
    """What tier_policy can give: no class mode and no lesson unblock."""
    rules = draw(st.lists(st.builds(LocalRule, action=st.sampled_from(["allow", "block"]), name=NAMES), max_size=4))
    return policy(
        draw(st.sampled_from(sorted(TIERS))),
        rules=tuple(rules),
        blocked=draw(CATEGORY_SETS) | LOCKED,
        allowed=draw(CATEGORY_SETS) - LOCKED,
        default_block=draw(st.booleans()),
        services=draw(st.frozensets(st.sampled_from(["tiktok", "youtube"]))),
        safe_search=draw(st.booleans()),
        youtube=draw(st.sampled_from(list(YouTube))),
        box_names=draw(st.frozensets(NAMES, max_size=2)),
    )


def index_of(entries, sources=SOURCES) -> DomainIndex:
    """A bundle's index; its files are gone when this returns, what is mapped stays."""
    with TemporaryDirectory() as folder:
        write(Path(folder), entries, sources)
        return DomainIndex.open(Path(folder))


def by_closest_encloser(zone: Mapping[str, str], name: str) -> str:
    """RFC 4592: a wildcard speaks only where nothing at all is on the way down to the name. BIND."""
    return _found(zone, name, _existing(zone))


def by_longest_wildcard(zone: Mapping[str, str], name: str) -> str:
    """The policy zone draft read literally: the wildcard with the most labels."""
    if name in zone:
        return zone[name]
    return next((zone[f"*.{parent}"] for parent in list(parents(name))[1:] if f"*.{parent}" in zone), zone.get("*", ""))


def by_neighbour(zone: Mapping[str, str], name: str) -> str:
    """Unbound 1.17: the closest encloser is what the name shares with its predecessor in canonical order (rpz_find_zone)."""
    if name in zone:
        return zone[name]
    before = max((owner for owner in zone if _order(owner) <= _order(name)), key=_order, default=None)
    if before is None:
        return zone.get("*", "")
    shared = next((parent for parent in parents(name) if before == parent or before.endswith("." + parent)), "")
    return zone.get(f"*.{shared}" if shared else "*", "")


def _order(name: str) -> list[str]:
    return name.split(".")[::-1]


def _existing(zone: Mapping[str, str]) -> set[str]:
    return {parent for owner in zone for parent in parents(owner)}


def _found(zone: Mapping[str, str], name: str, existing: set[str]) -> str:
    if name in existing:
        return zone.get(name, "")
    encloser = next((parent for parent in parents(name) if parent in existing), "")
    return zone.get(f"*.{encloser}" if encloser else "*", "")


def overlaid(directory: Path, base_entries, *versions) -> list[DomainIndex]:
    """One index per version's entries, each an overlay on one base."""
    base_identity = write(directory / "base", base_entries, SOURCES)
    (directory / "base").rename(directory / base_identity)
    base = DomainIndex.open(directory / base_identity)
    opened = []
    for number, entries in enumerate(versions):
        write_overlay(directory / f"overlay{number}", base, index_of(entries))
        opened.append(DomainIndex.open(directory / f"overlay{number}", base))
    return opened

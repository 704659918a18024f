"""What an imported list may never block: public suffixes as a subtree, and names that too much hangs on.

Pure but for reading the public suffix list that the ``publicsuffixlist`` package carries.
"""

from functools import cache
from pathlib import Path

from publicsuffixlist import PSLFILE

from blocklists.rule import Shape
from filters.category import CATEGORIES
from filters.critical import CRITICAL
from filters.message import Message
from filters.name import parents

_SELF = Shape.SELF
"""a member of an enumeration costs more to look up than all sets here together, and this is asked for every line of every list"""
OTHERS_BELOW = Message("a public suffix: other people's sites are below it")


@cache
def _suffixes() -> tuple[frozenset[str], frozenset[str], frozenset[str], frozenset[str]]:
    """Public suffixes, parents of wildcard rules, exceptions to those, and the ICANN part of the first (publicsuffix.org)."""
    exact: set[str] = set()
    wildcard: set[str] = set()
    exception: set[str] = set()
    icann: set[str] = set()
    in_icann = False
    for line in Path(PSLFILE).read_text(encoding="utf-8").splitlines():
        if "ICANN DOMAINS===" in line:
            in_icann = "BEGIN" in line
        rule = line.split(" ")[0]
        if not rule or rule.startswith("//"):
            continue
        bare = rule.lstrip("!*.").lower()
        name = bare if bare.isascii() else bare.encode("idna").decode("ascii")
        {"!": exception, "*": wildcard}.get(rule[0], exact).add(name)
        if in_icann and rule[0] not in "!*":
            icann.add(name)
    return frozenset(exact), frozenset(wildcard), frozenset(exception), frozenset(icann)


def is_public_suffix(name: str) -> bool:
    """Whether anybody may register names below ``name``: ``vn``, ``com.vn``, ``github.io``, and any single label."""
    exact, wildcard, exception, _ = _suffixes()
    if "." not in name or name in exact or name in wildcard:
        return True
    return name.partition(".")[2] in wildcard and name not in exception


def objection(name: str, shape: Shape, category: str, may_name: frozenset[str] = frozenset()) -> str:
    """Why a list of ``category`` must not block ``name`` in this shape; empty if it may.

    ``may_name`` are critical names that the list's entry in sources.yaml names on purpose. An open category blocks
    nothing, so it may name ``edu.vn``, but neither a whole top-level domain nor a private suffix such as ``github.io``.
    """
    with_below = shape != _SELF
    if with_below and is_public_suffix(name) and not (CATEGORIES[category].open and "." in name and name in _suffixes()[3]):
        return OTHERS_BELOW
    if name in may_name or CATEGORIES[category].open:
        return ""
    if name in CRITICAL and category not in CRITICAL[name].subject_of:
        return Message("a critical name: {why}", why=CRITICAL[name].reason)
    if with_below and name in _HOLDS:
        guarded = next((held for held in _HOLDS[name] if category not in CRITICAL[held].subject_of), None)
        if guarded is not None:
            return Message("a critical name is below it: {name}", name=guarded)
    return ""


def _holds() -> dict[str, list[str]]:
    """For each name above a critical one, the critical names below it."""
    holds: dict[str, list[str]] = {}
    for name in CRITICAL:
        for parent in parents(name.partition(".")[2]):
            holds.setdefault(parent, []).append(name)
    return holds


_HOLDS = _holds()

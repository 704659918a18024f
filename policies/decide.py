"""The precedence ladder: for one name under one resolved policy, the first rung that speaks decides.

``decide`` is total and pure. It knows nothing of time: a ``Policy`` is what holds for one group from now until
``valid_until`` (policies/snapshot.py resolves it), so nothing that has expired can be seen from here. Each rung is one
function, asked in order by ``decide`` and one by one by ``ladder``, so that what is explained is what was done.

Enforcement is another axis: safe search and YouTube's level apply to an allowed name whatever allowed it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from hashlib import blake2b
from typing import Protocol

from filters.category import LOCKED
from filters.domain_index import DomainIndex, Match
from filters.safe_search import UNSAFE_ENGINES, rewrite, rewritten_names, unsafe_engine
from filters.service import SERVICES, services_of
from policies.model import BlockAnswer, LocalRule, Unblock, YouTube


class Rung(IntEnum):
    SPECIAL = 0
    """not of the ladder: canaries, the box's own names, rebinding protection"""
    LOCKED_BLOCK = 1
    LOCKED_ALLOW = 2
    CLASS_MODE = 3
    LESSON_UNBLOCK = 4
    SCHOOL_BLOCK = 5
    SCHOOL_ALLOW = 6
    CATEGORY = 7
    DEFAULT = 8


@dataclass(frozen=True, slots=True)
class Reason:
    """Why: which rung spoke, by which rule (a listed name, a mode, a service), and who or which authority is behind it."""

    rung: Rung
    rule: str
    list: str = ""
    category: str = ""
    by: str = ""
    until: float | None = None
    """Unix seconds; None: no end"""
    note: str = ""
    """what the person behind it gave as the reason"""
    document: str = ""
    """the number and date of the authority's order"""


@dataclass(frozen=True, slots=True)
class Allow:
    reason: Reason


@dataclass(frozen=True, slots=True)
class Block:
    reason: Reason


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Allowed, and answered with another name: safe search, or YouTube's restricted names."""

    reason: Reason
    engine: str
    target: str


Verdict = Allow | Block | Rewrite


@dataclass(frozen=True, slots=True)
class RuleTable:
    """IT staff's rules by name. Two tables are equal when their rules are: the digest is compared, not thousands of rules."""

    digest: bytes
    block: Mapping[str, LocalRule] = field(compare=False)
    allow: Mapping[str, LocalRule] = field(compare=False)

    @classmethod
    def of(cls, rules: Iterable[LocalRule]) -> "RuleTable":
        """Of two rules with one action and one name the later counts."""
        block: dict[str, LocalRule] = {}
        allow: dict[str, LocalRule] = {}
        for rule in rules:
            (block if rule.action == "block" else allow)[rule.name] = rule
        said = [(rule.action, rule.name, rule.by, rule.reason, rule.until) for table in (block, allow) for rule in table.values()]
        return cls(blake2b(repr(sorted(said)).encode()).digest(), block, allow)


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that ``decide`` reads about one group, resolved for one moment. Equal policies give equal verdicts."""

    group: str = field(compare=False)
    tier: str
    mode: str
    mode_reason: str
    """how the mode came about: ``tier``, ``timetable``, or the reason that the override's person gave"""
    mode_by: str
    """the override's person; empty: no override"""
    only: str
    """``everything``, ``sites`` or ``nothing`` (Mode.only)"""
    sites: frozenset[str]
    """what ``sites`` leaves open, each with everything below it"""
    blocked: frozenset[str]
    """category ids, tier and mode together, locked ones included"""
    allowed: frozenset[str]
    """category ids that are explicitly allowed: what a tier with default ``block`` lets through"""
    default_block: bool
    services: frozenset[str]
    liftable: frozenset[str]
    unblocks: Mapping[str, Unblock]
    """those that hold now, by name"""
    rules: tuple[RuleTable, ...]
    """those that hold now; the group's own table before everybody's, so that it speaks first for the same name"""
    safe_search: bool
    youtube: YouTube
    strip_ech: bool
    ttl_limit: int
    block_answer: BlockAnswer
    mode_until: float | None = None
    """Unix seconds at which the override or the timetable's mode ends; None: the mode is the tier's own"""
    box_names: frozenset[str] = frozenset()
    """what the box needs in order to work (rung 2), each with everything below it"""
    valid_until: float = field(default=float("inf"), compare=False)
    """Unix seconds of the next change that time alone brings; infinity: none"""
    spoken_of: frozenset[str] = field(init=False, compare=False, repr=False)
    """Every name by which services, search engines or the box could say something of it or of what is below it (shared between
    groups: it is the same for most). Together with ``unblocks`` and ``rules`` it tells in one step that nothing speaks of a name."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "spoken_of", _spoken_of(self.box_names, self.services, self.youtube, self.safe_search))


@lru_cache(maxsize=64)
def _spoken_of(box_names: frozenset[str], services: frozenset[str], youtube: str, safe_search: bool) -> frozenset[str]:
    engines = UNSAFE_ENGINES if safe_search else ()
    listed = (SERVICES[service].names for service in services if service in SERVICES)
    return box_names.union(rewritten_names(youtube, safe_search), engines, *listed)


@dataclass(frozen=True, slots=True)
class Step:
    """What one rung says of a name, for ``explain``. The first step with a verdict decides."""

    rung: Rung
    verdict: Allow | Block | None
    """None: silent"""
    unblock: Unblock | None = None
    """rung 4: the lesson unblock that covers the name"""
    unliftable: tuple[str, ...] = ()
    """rung 4: why that unblock stays silent: the categories that block the name and that the tier lets no teacher lift"""


class Lists(Protocol):
    """What ``decide`` needs of a DomainIndex."""

    def lookup(self, name: str, qtype: int = 1, /) -> tuple[Match, ...]: ...


def decide(name: str, qtype: int, policy: Policy, index: Lists) -> Verdict:
    """The verdict on a canonical name (escaped labels as the wire decoder writes them). ``qtype`` is for ``$dnstype`` rules."""
    matches = index.lookup(name, qtype)
    suffixes = _suffixes(name)
    if not matches and policy.only == "everything" and not _is_spoken_of(suffixes, policy):
        return _default(policy)
    verdict = (
        (_locked_block(matches) if matches else None)
        or _locked_allow(suffixes, matches, policy)
        or (_class_mode(suffixes, policy) if policy.only != "everything" else None)
        or (_lesson_unblock(suffixes, matches, policy) if policy.unblocks else None)
        or (_school_block(suffixes, policy) or _school_allow(suffixes, policy) if policy.rules else None)
        or _category(name, matches, policy)
        or _default(policy)
    )
    if isinstance(verdict, Block):
        return verdict
    rewritten = rewrite(name, policy.youtube, policy.safe_search)
    return verdict if rewritten is None else Rewrite(verdict.reason, *rewritten)


def _is_spoken_of(suffixes: list[str], policy: Policy) -> bool:
    """Whether any rung but the lists, the class mode and the default could have an opinion. Most names: no, and that is all."""
    if not policy.spoken_of.isdisjoint(suffixes):
        return True
    if policy.unblocks and not policy.unblocks.keys().isdisjoint(suffixes):
        return True
    return bool(policy.rules) and (_school_block(suffixes, policy) or _school_allow(suffixes, policy)) is not None


def decide_target(verdict: Allow | Rewrite, target: str, qtype: int, policy: Policy, index: DomainIndex) -> Block | None:
    """Whether an allowed name may lead to ``target`` (of a CNAME, SVCB or HTTPS record); None: it may.

    A locked category always blocks. Whoever allowed the name on rung 2, 4 or 6 meant the site as it is, wherever it is
    hosted. A name that was merely not blocked leads nowhere that is blocked by a rule or a category; that the target is not
    on the exam's list or that the tier blocks by default says nothing, since nobody lists the names of content networks.
    """
    matches = index.lookup(target, qtype)
    locked = _locked_block(matches)
    if locked is not None or verdict.reason.rung < Rung.CATEGORY:
        return locked
    suffixes = _suffixes(target)
    spoken = (
        _locked_allow(suffixes, matches, policy)
        or _lesson_unblock(suffixes, matches, policy)
        or _school_block(suffixes, policy)
        or _school_allow(suffixes, policy)
        or _category(target, matches, policy)
    )
    return spoken if isinstance(spoken, Block) else None


def ladder(name: str, qtype: int, policy: Policy, index: DomainIndex) -> tuple[Step, ...]:
    """What every rung says, in order, also those below the one that decides."""
    matches = index.lookup(name, qtype)
    suffixes = _suffixes(name)
    unblock = _covering_unblock(suffixes, policy)
    lifted = _lesson_unblock(suffixes, matches, policy)
    unliftable = tuple(sorted(_unliftable(name, matches, policy))) if unblock is not None and lifted is None else ()
    return (
        Step(Rung.LOCKED_BLOCK, _locked_block(matches)),
        Step(Rung.LOCKED_ALLOW, _locked_allow(suffixes, matches, policy)),
        Step(Rung.CLASS_MODE, _class_mode(suffixes, policy)),
        Step(Rung.LESSON_UNBLOCK, lifted, unblock, unliftable),
        Step(Rung.SCHOOL_BLOCK, _school_block(suffixes, policy)),
        Step(Rung.SCHOOL_ALLOW, _school_allow(suffixes, policy)),
        Step(Rung.CATEGORY, _category(name, matches, policy)),
        Step(Rung.DEFAULT, _default(policy)),
    )


_LABELS = re.compile(r"(?:\\.|[^.\\])+", re.DOTALL)


def _suffixes(name: str) -> list[str]:
    """The name and its parents, the most specific first. An escaped dot is inside a label, not between two."""
    if "\\" in name:
        labels = _LABELS.findall(name)
        return [".".join(labels[at:]) for at in range(len(labels))]
    suffixes = [name]
    at = name.find(".") + 1
    while at:
        suffixes.append(name[at:])
        at = name.find(".", at) + 1
    return suffixes


def _locked_block(matches: tuple[Match, ...]) -> Block | None:
    """Rung 1: the province's mandatory lists, for everybody."""
    for match in matches:
        if match.source.category in LOCKED:
            return Block(_by_list(Rung.LOCKED_BLOCK, match))
    return None


def _locked_allow(suffixes: list[str], matches: tuple[Match, ...], policy: Policy) -> Allow | None:
    """Rung 2: help for children, and what the box needs."""
    for match in matches:
        if match.source.category == "help":
            return Allow(_by_list(Rung.LOCKED_ALLOW, match))
    box_names = policy.box_names
    for suffix in suffixes:
        if suffix in box_names:
            return Allow(Reason(Rung.LOCKED_ALLOW, suffix, "box"))
    return None


def _class_mode(suffixes: list[str], policy: Policy) -> Block | None:
    """Rung 3 only ever blocks: a name on the exam's list goes on down the ladder, or the list would open anything."""
    if policy.only == "everything" or (policy.only == "sites" and not policy.sites.isdisjoint(suffixes)):
        return None
    return Block(Reason(Rung.CLASS_MODE, policy.mode, by=policy.mode_by, until=policy.mode_until, note=policy.mode_reason))


def _lesson_unblock(suffixes: list[str], matches: tuple[Match, ...], policy: Policy) -> Allow | None:
    """Rung 4: speaks only where the tier lets a teacher lift every category that blocks the name."""
    unblock = _covering_unblock(suffixes, policy)
    if unblock is None or _unliftable(suffixes[0], matches, policy):
        return None
    return Allow(Reason(Rung.LESSON_UNBLOCK, unblock.name, by=unblock.by, until=unblock.until, note=unblock.reason))


def _covering_unblock(suffixes: list[str], policy: Policy) -> Unblock | None:
    unblocks = policy.unblocks
    return next((unblocks[suffix] for suffix in suffixes if suffix in unblocks), None) if unblocks else None


def _unliftable(name: str, matches: tuple[Match, ...], policy: Policy) -> frozenset[str]:
    """The categories that block the name on rung 7 and that no teacher may lift."""
    if not isinstance(_category(name, matches, policy), Block):
        return frozenset()
    return frozenset(reason.category for _, reason in _blocking(name, matches, policy)) - policy.liftable


def _school_block(suffixes: list[str], policy: Policy) -> Block | None:
    """Rung 5: IT staff's own blocks; they speak before any allow of theirs, however specific that is."""
    for suffix in suffixes:
        for table in policy.rules:
            rule = table.block.get(suffix)
            if rule is not None:
                return Block(_by_rule(Rung.SCHOOL_BLOCK, rule))
    return None


def _school_allow(suffixes: list[str], policy: Policy) -> Allow | None:
    """Rung 6: IT staff's own allows."""
    for suffix in suffixes:
        for table in policy.rules:
            rule = table.allow.get(suffix)
            if rule is not None:
                return Allow(_by_rule(Rung.SCHOOL_ALLOW, rule))
    return None


def _category(name: str, matches: tuple[Match, ...], policy: Policy) -> Allow | Block | None:
    """Rung 7: the most specific of what blocks, unless ``learning`` names the name at least as specifically."""
    if not matches and not policy.services and not (policy.safe_search and unsafe_engine(name)):
        return None  # nearly every name
    blocking = max(_blocking(name, matches, policy), key=_specificity, default=None)
    if not matches:
        return None if blocking is None else Block(blocking[1])
    learning = next((match for match in matches if match.source.category == "learning"), None)
    if blocking is not None and (learning is None or learning.labels < blocking[0]):
        return Block(blocking[1])
    if learning is None and policy.default_block:
        learning = next((match for match in matches if match.source.category in policy.allowed), None)
    return None if learning is None else Allow(_by_list(Rung.CATEGORY, learning))


def _blocking(name: str, matches: tuple[Match, ...], policy: Policy) -> Iterator[tuple[int, Reason]]:
    """Everything that would block the name on rung 7: number of labels of the listed name, and the reason."""
    for match in matches:
        if match.source.category in policy.blocked:
            yield match.labels, _by_list(Rung.CATEGORY, match)
    if policy.services:
        for service, listed in services_of(name):
            if service in policy.services:
                yield listed.count(".") + 1, Reason(Rung.CATEGORY, listed, f"service:{service}", SERVICES[service].category)
    if policy.safe_search:
        engine = unsafe_engine(name)
        if engine is not None:
            yield engine.count(".") + 1, Reason(Rung.CATEGORY, "no safe search", category="bypass")


def _specificity(candidate: tuple[int, Reason]) -> int:
    return candidate[0]


_ALLOWED = Allow(Reason(Rung.DEFAULT, "default"))
_BLOCKED = Block(Reason(Rung.DEFAULT, "default"))


def _default(policy: Policy) -> Allow | Block:
    """Rung 8."""
    return _BLOCKED if policy.default_block else _ALLOWED


def _by_list(rung: Rung, match: Match) -> Reason:
    source = match.source
    until = source.expires or None
    return Reason(rung, match.rule, source.name, source.category, source.authority, until, source.reason, source.document)


def _by_rule(rung: Rung, rule: LocalRule) -> Reason:
    return Reason(rung, rule.name, by=rule.by, until=rule.until, note=rule.reason)

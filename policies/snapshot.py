"""The school's file, the live state and the lists, resolved: for a group and a moment, the Policy that holds.

A Snapshot is built aside and then swapped in as one reference. It never changes what it says for one moment; it only
remembers what it has resolved. Whoever asks passes ``now`` and sees to it that it does not run backwards: nothing that has
expired comes back.

- Of the overrides that hold (``since <= now < until``) the one with the latest ``since`` is in force, and beats the timetable.
- With an untrusted clock the timetable is as if it were empty; overrides, unblocks and rules still begin and end by ``now``.
- What the state says of a group or a mode that the school does not have is left out, and named in ``problems``.
"""

from collections.abc import Iterable, Mapping
from math import inf
from typing import NamedTuple, TypeVar

from filters.category import LOCKED
from filters.domain_index import DomainIndex
from filters.special_names import NTP_NAMES
from policies.decide import Policy, RuleTable
from policies.identify import default_group
from policies.model import Group, LocalRule, Mode, Override, SchoolFile, State, Tier, Unblock
from policies.tiers import BREAK, NORMAL, resolve_modes, resolve_tiers
from policies.timetable import GroupTimetable, Timetables

_Timed = TypeVar("_Timed", Override, Unblock)


class _ModeNow(NamedTuple):
    """How a group's mode came about, and for how long."""

    mode: str
    sites: tuple[str, ...]
    reason: str
    by: str
    until: float | None


class _Categories(NamedTuple):
    blocked: frozenset[str]
    allowed: frozenset[str]


class _Resolved(NamedTuple):
    since: float
    trusted: bool
    policy: Policy


class Snapshot:
    def __init__(self, file: SchoolFile, state: State, index: DomainIndex) -> None:
        """``file`` as policies/load.py lets it through: its tiers, modes and lessons exist."""
        self.file = file
        self.state = state
        self.index = index
        self.generation = state.generation
        self.tiers: Mapping[str, Tier] = resolve_tiers(file.tiers)
        self.modes: Mapping[str, Mode] = resolve_modes(file.modes)
        default = default_group(file)
        self.groups: Mapping[str, Group] = {group.name: group for group in (*file.groups, default)}
        self.timetables = Timetables(file.timetable, file.school.timezone)
        self.problems = tuple(_problems(state, self.groups, self.modes))
        """parts of the state that mean nothing to this school, one sentence each"""
        self._box_names = frozenset((file.dns.hostname, *NTP_NAMES))
        self._overrides = _by_group(override for override in state.overrides if override.mode in self.modes)
        self._unblocks = _by_group(state.unblocks)
        self._rules = _Rules((*file.rules, *state.rules))
        self._categories: dict[tuple[str, str, tuple[str, ...]], _Categories] = {}
        self._memo: dict[str, _Resolved] = {}

    def policy(self, group: str, now: float, trusted: bool = True) -> Policy:
        """What holds for ``group`` at ``now`` (Unix seconds); the same until the policy's ``valid_until``.

        ``trusted``: whether the clock is known to be right. Raises KeyError for a group that is not in ``groups``.
        """
        known = self._memo.get(group)
        if known is not None and known.trusted == trusted and known.since <= now < known.policy.valid_until:
            return known.policy
        policy = self._resolve(self.groups[group], now, trusted)
        self._memo[group] = _Resolved(now, trusted, policy)
        return policy

    def _resolve(self, group: Group, now: float, trusted: bool) -> Policy:
        overrides = self._overrides.get(group.name, ())
        unblocks = self._unblocks.get(group.name, ())
        timetable = self.timetables.of(group.name) if trusted else None
        mode_now, mode_edge = _mode_now(overrides, timetable, now)
        rules, rules_edge = self._rules.at(group.name, now)
        mode = self.modes[mode_now.mode]
        tier = self.tiers[group.tier]
        categories = self._categories_of(group, mode_now.mode)
        return Policy(
            group=group.name,
            tier=group.tier,
            mode=mode_now.mode,
            mode_reason=mode_now.reason,
            mode_by=mode_now.by,
            mode_until=mode_now.until,
            only=mode.only,
            sites=frozenset((*mode.sites, *mode_now.sites)),
            blocked=categories.blocked,
            allowed=categories.allowed,
            default_block=tier.default == "block",
            services=frozenset((*tier.services, *group.services)),
            liftable=frozenset(tier.liftable),
            unblocks={unblock.name: unblock for unblock in sorted(_holding(unblocks, now), key=_end)},
            rules=rules,
            box_names=self._box_names,
            safe_search=tier.safe_search,
            youtube=tier.youtube,
            strip_ech=tier.strip_ech,
            ttl_limit=tier.ttl_limit,
            block_answer=tier.block_answer or self.file.dns.block_answer,
            valid_until=min(mode_edge, rules_edge, _next_edge(overrides, now), _next_edge(unblocks, now)),
        )

    def _categories_of(self, group: Group, mode_id: str) -> _Categories:
        """What the tier and the mode block together; groups of one tier in one mode share the sets."""
        key = group.tier, mode_id, group.break_allows if mode_id == BREAK else ()
        categories = self._categories.get(key)
        if categories is None:
            opened = {*self.modes[mode_id].allows, *key[2]}
            categories = self._categories[key] = _categories(self.tiers[group.tier], self.modes[mode_id], opened)
        return categories


def _categories(tier: Tier, mode: Mode, opened: Iterable[str]) -> _Categories:
    """The mode's blocks beat what it opens, and nothing opens a locked category."""
    blocked = {category for category, decision in tier.categories.items() if decision == "block"}
    allowed = {category for category, decision in tier.categories.items() if decision == "allow"}
    closed = LOCKED.union(mode.blocks)
    return _Categories(frozenset(blocked.difference(opened) | closed), frozenset(allowed.union(opened) - closed))


def _mode_now(overrides: tuple[Override, ...], timetable: GroupTimetable | None, now: float) -> tuple[_ModeNow, float]:
    """The mode that holds, and when the timetable changes it (an override's own end is an edge like the others)."""
    override = max(_holding(overrides, now), key=_start, default=None)
    if override is not None:
        return _ModeNow(override.mode, override.sites, override.reason, override.by, override.until), inf
    if timetable is None:
        return _ModeNow(NORMAL, (), "tier", "", None), inf
    moment = timetable.at(now)
    if moment.mode is None:
        return _ModeNow(NORMAL, (), "tier", "", None), moment.until
    return _ModeNow(moment.mode, moment.sites, "timetable", "", moment.until if moment.changes else None), moment.until


def _holding(timed: Iterable[_Timed], now: float) -> list[_Timed]:
    return [each for each in timed if each.since <= now < each.until]


def _start(override: Override) -> float:
    return override.since


def _end(unblock: Unblock) -> float:
    return unblock.until


def _next_edge(timed: Iterable[Override] | Iterable[Unblock], now: float) -> float:
    return min((edge for each in timed for edge in (each.since, each.until) if edge > now), default=inf)


def _by_group(timed: Iterable[_Timed]) -> dict[str, tuple[_Timed, ...]]:
    groups: dict[str, list[_Timed]] = {}
    for each in timed:
        groups.setdefault(each.group, []).append(each)
    return {group: tuple(members) for group, members in groups.items()}


class _Rules:
    """IT staff's rules: one table for everybody's lasting ones, a small one per group for its own and for those that end."""

    def __init__(self, rules: Iterable[LocalRule]) -> None:
        everybody: list[LocalRule] = []
        self._ending: list[LocalRule] = []
        self._own: dict[str, list[LocalRule]] = {}
        for rule in rules:
            if not rule.groups:
                (everybody if rule.until is None else self._ending).append(rule)
            for group in dict.fromkeys(rule.groups):
                self._own.setdefault(group, []).append(rule)
        self._everybody = (RuleTable.of(everybody),) if everybody else ()

    def at(self, group: str, now: float) -> tuple[tuple[RuleTable, ...], float]:
        """The tables that hold for a group, and when one of its rules ends."""
        small = [rule for rule in (*self._ending, *self._own.get(group, ())) if rule.until is None or now < rule.until]
        if not small:
            return self._everybody, inf
        edge = min((rule.until for rule in small if rule.until is not None), default=inf)
        return (RuleTable.of(small), *self._everybody), edge


def _problems(state: State, groups: Mapping[str, Group], modes: Mapping[str, Mode]) -> Iterable[str]:
    named = [("an override", override.group) for override in state.overrides]
    named += [("an unblock", unblock.group) for unblock in state.unblocks]
    named += [("a rule", group) for rule in state.rules for group in rule.groups]
    named += [("a device", group) for group in state.devices.values()]
    for what, group in dict.fromkeys(named):
        if group not in groups:
            yield f'{what} is for the group "{group}", which the school does not have'
    for mode in dict.fromkeys(override.mode for override in state.overrides):
        if mode not in modes:
            yield f'an override is for the mode "{mode}", which the school does not have'

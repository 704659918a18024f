"""What one policy makes of every name that anything speaks of: the ladder of policies/decide.py, turned from a question into a list.

``decide`` looks at a name and at the names above it, so what it says can change only at a listed name or at one that the policy
itself speaks of. ``Effect.nodes`` visits exactly those, one at a time, and says of each what holds for the name itself, for what is
below it, and for what is around it: enough to write the policy down for another program, which then answers as ``decide`` does.

Left out, because no format for other programs could say it: regular expressions, and rules that depend on the type of the query or
spare single names (filters/bundle.py, ``Conditional``).

Promises: memory that does not grow with the number of listed names; two microseconds or so for most of them.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain, pairwise
from typing import NamedTuple

from filters.bundle import ALLOW_BELOW, ALLOW_SELF, BLOCK_BELOW, BLOCK_SELF, LabelSet, key_of, name_of
from filters.domain_index import EMPTY, DomainIndex, Match
from filters.name import parents
from filters.safe_search import STILL_NEEDED
from policies.decide import Allow, Block, Policy, Rewrite, Rung, decide
from policies.model import Group, LocalRule, SchoolFile, State
from policies.snapshot import Snapshot

OPEN, BLOCK = "", "."
"""What is done with a name; anything else is the name that a search engine's safe mode answers under. BLOCK is how RPZ writes NXDOMAIN."""
_NOBODY = ""
"""a group's name that no school file can have"""
_UNSPOKEN = "*"
"""a label that nothing can list"""
_PARENTS = 4096
"""names above listed ones that are remembered: com, com.vn, blogspot.com"""
_AFTER_DOT = "/"
"""the character after ``.``: the keys below ``vn.com.`` lie between that and ``vn.com/``"""


class Node(NamedTuple):
    """``name`` and what is done with it, with names below it that nothing else speaks of, and with its unlisted neighbours."""

    name: str
    """the root is ``""``"""
    itself: str
    below: str
    inherited: str

    @property
    def matters(self) -> bool:
        """Whether the name or what is below it is treated otherwise than its surroundings are."""
        return not self.itself == self.below == self.inherited


class _Listed:
    """What ``decide`` reads when the answer is known: these lists, whatever the name."""

    def __init__(self, matches: tuple[Match, ...]) -> None:
        self._matches = matches

    def lookup(self, _name: str, _qtype: int = 1) -> tuple[Match, ...]:
        return self._matches


class Effect:
    def __init__(self, policy: Policy, index: DomainIndex) -> None:
        """``policy`` has no class mode and no lesson unblock: see ``tier_policy``."""
        self.policy = policy
        self.index = index
        self._above = lru_cache(_PARENTS)(self._look_above)
        self._by_labels: dict[LabelSet, tuple[str, str]] = {}
        self.targets: frozenset[str] = frozenset()
        spoken = set(policy.spoken_of).union(*(chain(table.block, table.allow) for table in policy.rules))
        if policy.safe_search:
            spoken |= STILL_NEEDED
        # A safe mode that cannot be reached is no safe mode: its name is open wherever something is answered with it, as on the box,
        # which never decides on it.
        self.targets = frozenset(action for action in map(self._action, spoken) if action not in {OPEN, BLOCK})
        """names that something is answered with"""
        self.spoken = frozenset(spoken | self.targets)
        """names by which something else than a list speaks"""
        self._spoken_keys = sorted(map(key_of, self.spoken))

    def node(self, name: str) -> Node:
        """Any name, listed or not."""
        return self._node(name, self.index.entry(name) if name else ())

    def nodes(self) -> Iterator[Node]:
        """Every name at which the treatment may change, each once, in no particular order."""
        if self.policy.default_block:
            yield self.node("")
        yield from map(self.node, map(name_of, self._spoken_keys))
        spoken, node = self.spoken, self._node
        for name, labels in self.index.entries():
            if name not in spoken:
                yield node(name, labels)

    def within(self, name: str) -> Iterator[str]:
        """The names of ``nodes`` that are ``name`` or below it, the root excepted."""
        key, keys = key_of(name), self._spoken_keys
        yield from map(name_of, keys[bisect_left(keys, key) : bisect_left(keys, key[:-1] + _AFTER_DOT)])
        yield from (listed for listed in map(name_of, self.index.table.below(key)) if listed not in self.spoken)
        if name not in self.spoken and self.index.entry(name):
            yield name

    def is_node(self, name: str) -> bool:
        """Whether ``name`` is one of ``nodes``, the root excepted."""
        return name in self.spoken or bool(self.index.entry(name))

    def turns(self, name: str) -> int:
        """How often, from the root down to the surroundings of ``name``, open becomes blocked or the other way round."""
        actions = [*(self._above(parent)[0] for parent in ancestors(name)), self._above("")[0] if name else OPEN, OPEN]
        return sum(one != other for one, other in pairwise(actions))

    def lookup(self, name: str, _qtype: int = 1) -> tuple[Match, ...]:
        """As DomainIndex.lookup, without the rules that no other program could be told of."""
        decided: dict[int, Match | None] = {}
        blocks, allows = BLOCK_SELF, ALLOW_SELF
        for suffix in parents(name):
            for source, flags in self.index.entry(suffix):
                if source not in decided and flags & (blocks | allows):
                    listed = Match(suffix, suffix.count(".") + 1, self.index.sources[source])
                    decided[source] = listed if flags & blocks else None
            blocks, allows = BLOCK_BELOW, ALLOW_BELOW
        return tuple(match for match in decided.values() if match is not None)

    def _node(self, name: str, labels: LabelSet) -> Node:
        """``labels`` are what is listed under ``name``."""
        if not name:
            return Node("", OPEN, self._below(""), OPEN)
        inherited, is_spoken_of = self._above(_parent(name))
        if is_spoken_of or name in self.spoken:
            return Node(name, self._action(name), self._below(name), inherited)
        # Nearly every name: nothing but its own labels counts, and few sets of labels differ.
        actions = self._by_labels.get(labels)
        if actions is None:
            actions = self._by_labels[labels] = self._by_lists(labels, BLOCK_SELF), self._by_lists(labels, BLOCK_BELOW)
        return Node(name, *actions, inherited)

    def _action(self, name: str) -> str:
        verdict = decide(name, 1, self.policy, self)
        if isinstance(verdict, Rewrite):
            return verdict.target
        if isinstance(verdict, Allow) or (name in self.targets and verdict.reason.rung >= Rung.CATEGORY):
            return OPEN
        return BLOCK

    def _below(self, name: str) -> str:
        """What is done with a child of ``name`` that nothing speaks of."""
        return self._action(f"{_UNSPOKEN}.{name}" if name else _UNSPOKEN)

    def _look_above(self, parent: str) -> tuple[str, bool]:
        """What is done with unlisted names below ``parent``, and whether anything speaks of it or of what is above it."""
        is_spoken_of = any(suffix in self.spoken or self.index.entry(suffix) for suffix in parents(parent))
        return self._below(parent), is_spoken_of

    def _by_lists(self, labels: LabelSet, flag: int) -> str:
        """What the lists say that speak with this flag, where nothing else speaks."""
        matches = tuple(Match(_UNSPOKEN, 1, self.index.sources[source]) for source, flags in labels if flags & flag)
        return BLOCK if isinstance(decide(_UNSPOKEN, 1, self.policy, _Listed(matches)), Block) else OPEN


def tier_policy(file: SchoolFile, rules: Iterable[LocalRule], tier: str, now: float) -> Policy:
    """What holds for a group of ``tier`` of which nothing else is known: no timetable, no class mode, and of the school's rules
    (``rules`` are those that are not in the file) those for everybody. Holds until the policy's ``valid_until``.

    Raises KeyError for a tier that the school does not have.
    """
    group = Group.model_construct(name=_NOBODY, tier=tier)
    snapshot = Snapshot(file.model_copy(update={"groups": (*file.groups, group)}), State(rules=tuple(rules)), EMPTY)
    return snapshot.policy(_NOBODY, now, trusted=False)


def _parent(name: str) -> str:
    return name.partition(".")[2]


def ancestors(name: str) -> Iterator[str]:
    """The names above ``name``, the nearest first, without the root."""
    return parents(_parent(name))

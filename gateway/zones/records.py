"""A policy as the records of a response policy zone (draft-vixie-dnsop-dns-rpz): QNAME triggers only.

A zone's wildcards are those of DNS (RFC 4592): ``*.a`` says nothing of ``x.y.a`` once anything is at or below ``y.a``. Some
servers go by that, some by the longest wildcard, Unbound by the neighbour in sorted order. So wherever something is said
below a blocked name, everything on the way down is spelled out, and all of them agree.

Owners and targets are relative to the zone and absolute, as a zone file has them: ``*.casino.example`` and ``www.``.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

from gateway.effect import OPEN, Effect, Node, ancestors

PASSTHRU = "rpz-passthru."
TTL = 60
"""seconds; how long a device may remember a block, as with the box's own answers"""
REFRESH, RETRY = 900, 60
EXPIRE = 24 * 7 * 86400
"""seconds; an expired policy zone filters nothing, so this is the longest that BIND accepts"""
_REMEMBERED = 4096
NAME_SERVER = "localhost."
"""nobody ever asks for the zone's name server; RPZ has it this way"""


class Record(NamedTuple):
    """``owner CNAME target``."""

    owner: str
    target: str


def records(nodes: Iterator[Node], effect: Effect) -> Iterator[Record]:
    """Every record of the policy, each once, in no particular order. ``nodes`` are those of ``effect``."""
    spelled_out: set[str] = set()
    for node in nodes:
        if not node.matters:
            continue
        yield from _said(node)
        if node.inherited == OPEN:
            continue
        for above in ancestors(node.name):
            way = effect.node(above)
            if way.inherited == OPEN or above in spelled_out:
                break
            spelled_out.add(above)
            if not way.matters:
                yield from _said(way)


class RecordsAt:
    """The records at any one name, without going through all the others. Remembers where it had to look far."""

    def __init__(self, effect: Effect) -> None:
        self._effect = effect
        self._is_on_the_way = lru_cache(_REMEMBERED)(self._look_below)

    def __call__(self, name: str) -> tuple[Record, ...]:
        """What ``records`` gives for ``name`` and for the star below it."""
        node = self._effect.node(name)
        if node.matters or (node.inherited != OPEN and self._is_on_the_way(name)):
            return _said(node)
        return ()

    def _look_below(self, name: str) -> bool:
        """Whether anything that matters is below ``name``, so that it is spelled out."""
        effect = self._effect
        return any(effect.node(below).matters for below in effect.within(name) if below != name)


class Change(NamedTuple):
    added: bool
    """False: taken away"""
    record: Record


def changes(before: Effect, after: Effect) -> Iterator[Change]:
    """What makes the records of ``before`` those of ``after``, in no particular order. ``before`` and ``after`` are one tier's.

    Two overlays on one base under one tier are compared where they or the school's rules differ, and nowhere else.
    """
    old_at, new_at = RecordsAt(before), RecordsAt(after)
    for name in _places(before, after):
        old, new = old_at(name), new_at(name)
        if old != new:
            yield from (Change(False, record) for record in old if record not in new)
            yield from (Change(True, record) for record in new if record not in old)


def _places(before: Effect, after: Effect) -> Iterator[str]:
    """Every name at which the records may differ, each once."""
    base = before.index.base
    near = base is not None and after.index.base is not None and base.identity == after.index.base.identity
    if near and replace(before.policy, rules=()) == replace(after.policy, rules=()):
        yield from _near(before, after)
        return
    spelled_out: set[str] = set()
    for name in _everywhere(before, after):
        yield name
        for above in ancestors(name):
            if above in spelled_out or (before.node(above).inherited == OPEN and after.node(above).inherited == OPEN):
                break
            spelled_out.add(above)
            if not before.is_node(above) and not after.is_node(above):
                yield above


def _everywhere(before: Effect, after: Effect) -> Iterator[str]:
    yield ""
    yield from (node.name for node in before.nodes() if node.name)
    yield from (node.name for node in after.nodes() if node.name and not before.is_node(node.name))


def _near(before: Effect, after: Effect) -> set[str]:
    """What changed, everything below it, since that may have to be said or need not be said any more, and the way down to it."""
    changed = {
        name for name in (*before.index.changed_names(), *after.index.changed_names()) if _labels(before, name) != _labels(after, name)
    }
    changed |= (before.spoken ^ after.spoken) | (before.targets ^ after.targets)
    changed |= {name for _, name in _rules(before) ^ _rules(after)}
    places = set(changed)
    for name in changed:
        places.update(before.within(name), after.within(name))
    for name in tuple(places):
        places.update(ancestors(name))
    return places


def _labels(effect: Effect, name: str) -> list[tuple[str, str, int]]:
    sources = effect.index.sources
    return [(sources[source].name, sources[source].category, flags) for source, flags in effect.index.entry(name)]


def _rules(effect: Effect) -> set[tuple[str, str]]:
    tables = effect.policy.rules
    blocked = {("block", name) for table in tables for name in table.block}
    return blocked | {("allow", name) for table in tables for name in table.allow}


def fingerprint(effect: Effect) -> str:
    """Equal for policies that give equal records from equal lists; it changes with this program's own lists of services and engines."""
    policy = effect.policy
    parts: tuple[Iterable[Any], ...] = (effect.spoken, _rules(effect), policy.blocked, policy.allowed, policy.services)
    said = [*map(sorted, parts), policy.default_block, policy.safe_search, str(policy.youtube)]
    return blake2b(repr(said).encode(), digest_size=16).hexdigest()


def _said(node: Node) -> tuple[Record, ...]:
    below = f"*.{node.name}" if node.name else "*"
    pairs = ((node.name, node.itself), (below, node.below)) if node.name else ((below, node.below),)
    if node.inherited == OPEN:
        return tuple(Record(owner, _target(action)) for owner, action in pairs if action != OPEN)
    return tuple(Record(owner, _target(action)) for owner, action in pairs)


def _target(action: str) -> str:
    if action == OPEN:
        return PASSTHRU
    return action if action == "." else f"{action}."

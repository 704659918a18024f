"""One list's items -> the names that it really blocks or excepts, each once. Pure, and independent of the items' order.

Two ways to weigh exceptions. In Adblock lists an exception beats every block of the same list, unless the block is
``$important`` (and the exception is not); elsewhere (RPZ, dnsmasq) the most specific entry wins, and an exception wins
a tie. ``settle`` turns both into one rule, *the most specific entry wins*, by leaving out what has no effect; then it
drops what is subsumed: an entry that says what the nearest entry above it says of everything below.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from blocklists.guards import objection
from blocklists.report import SourceReport
from blocklists.rule import Conditions, ForProxy, Item, Kind, Problem, Rule, Shape
from filters.bundle import ALLOW_BELOW, ALLOW_SELF, BLOCK_BELOW, BLOCK_SELF, FIRM_BELOW, FIRM_SELF
from filters.name import parents

_SELF_BITS = BLOCK_SELF | ALLOW_SELF | FIRM_SELF
_BELOW_BITS = BLOCK_BELOW | ALLOW_BELOW | FIRM_BELOW
_SHAPES = len(Shape)
_PLAIN_SUBTREE = 1 << (_SHAPES * Kind.BLOCK + Shape.SUBTREE)
_ALLOWS = sum(1 << (_SHAPES * kind + shape) for kind in (Kind.ALLOW, Kind.FIRM_ALLOW) for shape in Shape)


@dataclass(slots=True)
class Collected:
    """What one list said, before it is settled: per name a bit for each (kind, shape) that was seen."""

    seen: dict[str, int] = field(default_factory=dict)
    conditions: set[Conditions] = field(default_factory=set)


def collect(
    files: Iterable[tuple[str, Iterable[tuple[int, Item]]]], report: SourceReport, may_name: frozenset[str] = frozenset()
) -> Collected:
    """Sort the items of a parsed list (blocklists/parse) into what is kept and, in ``report``, what is not."""
    collected = Collected()
    seen = collected.seen
    for file, items in files:
        for line, item in items:
            report.read += 1
            if isinstance(item, Rule):
                name, shape, kind = item
                reason = "" if kind.allows else objection(name, shape, report.category, may_name)
                if reason:
                    report.reject(line, reason, name, file)
                    continue
                bit = 1 << (_SHAPES * kind + shape)
                before = seen.get(name, 0)
                if before & bit:
                    report.duplicates += 1
                seen[name] = before | bit
            elif isinstance(item, ForProxy):
                report.for_proxy += 1
            elif isinstance(item, Problem):
                report.reject(line, item.reason, item.text, file)
            else:
                _collect_conditions(item, collected, report, (line, file), may_name)
    return collected


def _collect_conditions(
    item: Conditions, collected: Collected, report: SourceReport, at: tuple[int, str], may_name: frozenset[str]
) -> None:
    line, file = at
    reason = objection(item.name, item.shape, report.category, may_name) if item.name and not item.kind.allows else ""
    if reason:
        report.reject(line, reason, item.name or item.pattern, file)
    elif item in collected.conditions:
        report.duplicates += 1
    else:
        collected.conditions.add(item)
        report.exceptions += item.kind.allows
        report.accepted += not item.kind.allows


def settle(collected: Collected, report: SourceReport, *, exceptions_win: bool) -> Iterator[tuple[str, int]]:
    """Every name that has an effect with its flags (filters/bundle.py), in no particular order; counts go into ``report``.

    ``exceptions_win``: as Adblock weighs exceptions; otherwise the most specific entry wins.
    """
    seen = collected.seen
    has_exceptions = any(bits & _ALLOWS for bits in seen.values())
    if has_exceptions and exceptions_win:
        flags_of = {name: _adblock_flags(name, bits, seen) for name, bits in seen.items()}
    else:
        flags_of = {name: _FLAGS.get(bits) or _own_flags(bits) for name, bits in seen.items()}
    for name, bits in seen.items():
        flags = flags_of[name]
        if flags and not _subsumed(name, flags, flags_of):
            _count(bits, flags, report)
            yield name, flags
        elif flags:
            report.subsumed += bits.bit_count()
        else:
            report.lifted += bits.bit_count()


def _own_flags(bits: int) -> int:
    """Flags of a name by its own entries alone: the strongest of each part wins."""
    return _part_flags(_strongest(bits, Shape.SELF), Shape.SELF) | _part_flags(_strongest(bits, Shape.BELOW), Shape.BELOW)


def _strongest(bits: int, part: Shape) -> Kind | None:
    """The strongest kind among the entries in ``bits`` that cover this part (the name itself, or what is below it)."""
    covering = (1 << part) | (1 << Shape.SUBTREE)
    return next((kind for kind in reversed(Kind) if bits >> (_SHAPES * kind) & covering), None)


def _part_flags(kind: Kind | None, part: Shape) -> int:
    if kind is None:
        return 0
    flags = ALLOW_SELF if kind.allows else BLOCK_SELF
    return (flags | (FIRM_SELF if kind.firm else 0)) << part


_FLAGS = {1 << (_SHAPES * kind + shape): _own_flags(1 << (_SHAPES * kind + shape)) for kind in Kind for shape in Shape}
"""the common case: one entry for a name"""


def _adblock_flags(name: str, bits: int, seen: dict[str, int]) -> int:
    """The same where an exception beats every weaker block that it covers, however specific, and the other way round."""
    above: Kind | None = None
    for parent in parents(name.partition(".")[2]):
        kind = _strongest(seen.get(parent, 0), Shape.BELOW)
        if kind is not None and (above is None or kind > above):
            above = kind
    flags = 0
    for part in (Shape.SELF, Shape.BELOW):
        own = _strongest(bits, part)
        if own is not None and (above is None or own >= above):
            flags |= _part_flags(own, part)
    return flags


def _subsumed(name: str, flags: int, flags_of: dict[str, int]) -> bool:
    """Whether the nearest entry above that speaks of what is below it says just what ``flags`` say."""
    if name.count(".") < 1:
        return False
    for parent in parents(name.partition(".")[2]):
        above = flags_of.get(parent, 0) & _BELOW_BITS
        if above:
            return flags & _BELOW_BITS in {0, above} and flags & _SELF_BITS in {0, above >> 1}
    return False


def _count(bits: int, flags: int, report: SourceReport) -> None:
    """Of a name that stays: each of its entries is accepted, an exception, subsumed by its subtree entry, or lifted."""
    if bits == _PLAIN_SUBTREE:
        report.accepted += 1
        return
    for kind in Kind:
        shapes = bits >> (_SHAPES * kind) & ((1 << _SHAPES) - 1)
        if not shapes:
            continue
        if not flags & (ALLOW_SELF | ALLOW_BELOW if kind.allows else BLOCK_SELF | BLOCK_BELOW):
            report.lifted += shapes.bit_count()
            continue
        if shapes & (1 << Shape.SUBTREE):
            report.subsumed += shapes.bit_count() - 1
            shapes = 1 << Shape.SUBTREE
        if kind.allows:
            report.exceptions += shapes.bit_count()
        else:
            report.accepted += shapes.bit_count()

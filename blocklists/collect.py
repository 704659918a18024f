"""One list's items -> the names that it really blocks or excepts, each once. Pure, and independent of the items' order.

Two ways to weigh exceptions. In Adblock lists an exception beats every block of the same list, unless the block is
``$important`` (and the exception is not); elsewhere (RPZ, dnsmasq) the most specific entry wins, and an exception wins
a tie. ``settle`` turns both into one rule, *the most specific entry wins*, by leaving out what has no effect; then it
drops what is subsumed: an entry that says what the nearest entry above it says of everything below.

Names are kept sorted by their keys (filters/bundle.py), in which a name comes right before what is below it, so that one
walk with a stack of the names above sees all that matters, and no dictionary of a million names is needed.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

from blocklists.guards import objection
from blocklists.report import SourceReport
from blocklists.rule import Conditions, ForProxy, Item, Kind, Problem, Rule, Shape
from filters.bundle import ALLOW_BELOW, ALLOW_SELF, BLOCK_BELOW, BLOCK_SELF, FIRM_BELOW, FIRM_SELF, key_of
from filters.sorted_lines import SortedLines

_SELF_BITS = BLOCK_SELF | ALLOW_SELF | FIRM_SELF
_BELOW_BITS = BLOCK_BELOW | ALLOW_BELOW | FIRM_BELOW
_SHAPES = len(Shape)
_PLAIN_SUBTREE = 1 << (_SHAPES * Kind.BLOCK + Shape.SUBTREE)
_STRONGEST_FIRST = tuple(reversed(Kind))
_ALLOWS = tuple(kind.allows for kind in Kind)
_BITS = {str(number): 1 << number for number in range(_SHAPES * len(Kind))}
"""what a line says after its key: the place of its (kind, shape) among the bits"""


@dataclass(slots=True)
class Collected:
    """What one list said, before it is settled: lines of a key and a place among the bits, and what is no name."""

    lines: Iterable[str] = ()
    names: int = 0
    """names as often as the list has them"""
    excepts: bool = False
    """whether the list has exceptions"""
    conditions: set[Conditions] = field(default_factory=set)


def collect(
    files: Iterable[tuple[str, Iterable[tuple[int, Item]]]], report: SourceReport, may_name: frozenset[str] = frozenset()
) -> Collected:
    """Sort the items of a parsed list (blocklists/parse) into what is kept and, in ``report``, what is not."""
    collected = Collected()
    collected.lines = SortedLines(_kept_lines(files, report, may_name, collected))
    return collected


def _kept_lines(
    files: Iterable[tuple[str, Iterable[tuple[int, Item]]]], report: SourceReport, may_name: frozenset[str], collected: Collected
) -> Iterator[str]:
    for file, items in files:
        for line, item in items:
            report.read += 1
            if isinstance(item, Rule):
                name, shape, kind = item
                if _ALLOWS[kind]:
                    collected.excepts = True
                elif reason := objection(name, shape, report.category, may_name):
                    report.reject(line, reason, name, file)
                    continue
                collected.names += 1
                yield f"{key_of(name)} {_SHAPES * kind + shape}"
            elif isinstance(item, ForProxy):
                report.for_proxy += 1
            elif isinstance(item, Problem):
                report.reject(line, item.reason, item.text, file)
            else:
                _collect_conditions(item, collected, report, (line, file), may_name)


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


_Above = tuple[str, int, int]
"""what the names above a name say of it: the nearest's key; the strongest kind of entry that any of them has for what is below
it (-1: none has any); what the nearest that has an effect says of what is below it"""


def settle(collected: Collected, report: SourceReport, *, exceptions_win: bool) -> Iterator[tuple[str, int]]:
    """The key of every name that has an effect with its flags (filters/bundle.py), sorted; counts go into ``report``.

    ``exceptions_win``: as Adblock weighs exceptions; otherwise the most specific entry wins.
    """
    exceptions_win = exceptions_win and collected.excepts
    stack: list[_Above] = [("", -1, 0)]
    for key, bits in _seen(collected.lines, report):
        while not key.startswith(stack[-1][0]):
            stack.pop()
        _, strongest, above = stack[-1]
        flags = _adblock_flags(bits, strongest) if exceptions_win else _own_flags(bits)
        stack.append((key, max(strongest, _strongest_below(bits)), flags & _BELOW_BITS or above))
        if not flags:
            report.lifted += bits.bit_count()
        elif above and _subsumed(flags, above):
            report.subsumed += bits.bit_count()
        else:
            _count(bits, flags, report)
            yield key, flags


def _seen(lines: Iterable[str], report: SourceReport) -> Iterator[tuple[str, int]]:
    """Per key a bit for each (kind, shape) that was seen; what was seen twice is counted."""
    key, bits = "", 0
    for line in lines:
        following, _, place = line.partition(" ")
        bit = _BITS[place]
        if following != key:
            if key:
                yield key, bits
            key, bits = following, 0
        report.duplicates += bool(bits & bit)
        bits |= bit
    if key:
        yield key, bits


@cache
def _own_flags(bits: int) -> int:
    """Flags of a name by its own entries alone: the strongest of each part wins."""
    return _part_flags(_strongest(bits, Shape.SELF), Shape.SELF) | _part_flags(_strongest(bits, Shape.BELOW), Shape.BELOW)


@cache
def _strongest_below(bits: int) -> int:
    return _strongest(bits, Shape.BELOW)


def _strongest(bits: int, part: Shape) -> int:
    """The strongest kind among the entries in ``bits`` that cover this part (the name itself, or what is below it); -1 for none."""
    covering = (1 << part) | (1 << Shape.SUBTREE)
    return next((kind for kind in _STRONGEST_FIRST if bits >> (_SHAPES * kind) & covering), -1)


def _part_flags(strongest: int, part: Shape) -> int:
    if strongest < 0:
        return 0
    kind = Kind(strongest)
    flags = ALLOW_SELF if kind.allows else BLOCK_SELF
    return (flags | (FIRM_SELF if kind.firm else 0)) << part


@cache
def _adblock_flags(bits: int, above: int) -> int:
    """The same where an exception beats every weaker block that it covers, however specific, and the other way round."""
    flags = 0
    for part in (Shape.SELF, Shape.BELOW):
        own = _strongest(bits, part)
        if own >= above:
            flags |= _part_flags(own, part)
    return flags


def _subsumed(flags: int, above: int) -> bool:
    """Whether the nearest entry above that speaks of what is below it says just what ``flags`` say."""
    return flags & _BELOW_BITS in {0, above} and flags & _SELF_BITS in {0, above >> 1}


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

"""What the line of a list turns into: a rule, a rule with conditions, something for the proxy, or a problem.

The types between ``parse`` and ``compile``. Nothing here reads or decides anything.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple


class Shape(IntEnum):
    """What of a name's subtree an entry covers."""

    SELF = 0
    BELOW = 1
    SUBTREE = 2


class Kind(IntEnum):
    """What an entry says, from the weakest to the strongest as Adblock ranks them. The firm ones are its ``$important``."""

    BLOCK = 0
    ALLOW = 1
    FIRM_BLOCK = 2
    FIRM_ALLOW = 3

    @property
    def allows(self) -> bool:
        return self in {Kind.ALLOW, Kind.FIRM_ALLOW}

    @property
    def firm(self) -> bool:
        return self in {Kind.FIRM_BLOCK, Kind.FIRM_ALLOW}


class Rule(NamedTuple):
    """A canonical name and what is said of it."""

    name: str
    shape: Shape = Shape.SUBTREE
    kind: Kind = Kind.BLOCK


@dataclass(frozen=True, slots=True)
class Conditions:
    """A rule that a set of names cannot hold; ``name`` or ``pattern`` is empty."""

    name: str = ""
    shape: Shape = Shape.SUBTREE
    pattern: str = ""
    kind: Kind = Kind.BLOCK
    types: tuple[int, ...] = ()
    other_types: bool = False
    denyallow: tuple[str, ...] = ()


class ForProxy(NamedTuple):
    """A URL or a URL expression: true of a page, not of a host, so that the resolver must not act on it."""

    text: str


class Problem(NamedTuple):
    """A line that was not understood, or was understood and refused. Nothing is guessed from it."""

    reason: str
    text: str


Item = Rule | Conditions | ForProxy | Problem


class Refused(ValueError):
    """A line that no rule comes from; the message is the reason for the build report."""


class ListRefused(Exception):
    """The whole list is unusable: an HTML page, binary data, nothing in it, or a guard."""

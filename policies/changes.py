"""What people change while the school runs, as pure functions from one State to the next: a mode, an unblock.

A group has at most one override and at most one unblock per name. Whatever ended more than a day ago is dropped on the way;
what ended lately stays, since a box whose clock was wrong may still have to look at it.
"""

from collections.abc import Sequence
from typing import TypeVar

from policies.model import Override, State, Unblock

KEEP = 86400.0
"""seconds"""

Change = TypeVar("Change", Override, Unblock)


def switch_mode(state: State, override: Override) -> State:
    """The override in force, in place of any other of its group."""
    kept = tuple(other for other in _recent(state.overrides, override.since) if other.group != override.group)
    return state.model_copy(update={"overrides": (*kept, override)})


def end_mode(state: State, group: str) -> State:
    """No override for ``group``: the timetable and the tier speak again."""
    return state.model_copy(update={"overrides": tuple(other for other in state.overrides if other.group != group)})


def add_unblock(state: State, unblock: Unblock) -> State:
    """The unblock in force, in place of an earlier one of the same name."""
    kept = tuple(other for other in _recent(state.unblocks, unblock.since) if (other.group, other.name) != (unblock.group, unblock.name))
    return state.model_copy(update={"unblocks": (*kept, unblock)})


def end_unblock(state: State, group: str, name: str) -> State:
    kept = tuple(other for other in state.unblocks if (other.group, other.name) != (group, name))
    return state.model_copy(update={"unblocks": kept})


def _recent(changes: Sequence[Change], now: float) -> tuple[Change, ...]:
    return tuple(change for change in changes if change.until > now - KEEP)

"""Words for a name that nobody knows: what it is, and what was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches

from filters.message import Message

_LONGEST = 80
"""characters of a wrong name that are worth repeating"""


def unknown(kind: str, text: str, known: Iterable[str]) -> str:
    """``unknown tier "thsc", did you mean "thcs"?``"""
    return Message('unknown {kind} "{text}"{hint}', kind=kind, text=text[:_LONGEST], hint=did_you_mean(text, known))


def did_you_mean(text: str, known: Iterable[str]) -> str:
    """``, did you mean "thcs"?``; without a near one the few that there are; of many, nothing."""
    choices = sorted(known)
    near = get_close_matches(text[:_LONGEST].lower(), choices, n=1, cutoff=0.6)
    if near:
        return Message(', did you mean "{near}"?', near=near[0])
    return Message("; there are: {known}", known=", ".join(choices)) if 0 < len(choices) <= 12 else ""

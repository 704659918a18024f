"""A line that a person typed - a name, a title, a reason - as it is kept: one line, nothing in it that cannot be seen. Pure.

Marks that turn the direction of writing are refused: behind one, a name reads as another name. What a template shows is escaped there, so ``<`` may stay.
"""

import unicodedata

from dashboard.refusal import Refused
from filters.message import Message

_TURNS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNSEEN = frozenset("\u00ad\u180e\u200b\u2028\u2029\u2060\ufeff")


def one_line(text: str, field: str, limit: int, *, required: bool = True) -> str:
    """The text in NFC, blanks folded. Raises Refused (422) naming ``field``: nothing there, too long, a character that is none."""
    folded = " ".join(unicodedata.normalize("NFC", text).split(" "))
    if any(
        character in _TURNS or character in _UNSEEN or unicodedata.category(character) in ("Cc", "Cs", "Co", "Cn") for character in folded
    ):
        raise Refused(
            Message("There are characters in it that nobody can see, or that turn the writing around; please type it again."),
            status=422,
            field=field,
        )
    folded = " ".join(folded.split())
    if required and not folded:
        raise Refused(Message("This must not be empty."), status=422, field=field)
    if len(folded) > limit:
        raise Refused(Message("This is too long: at most {limit} characters.", limit=limit), status=422, field=field)
    return folded

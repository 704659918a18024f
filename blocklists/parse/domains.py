"""``domains``: a name a line. ``example.com`` and ``.example.com`` (as squid writes it) cover the subtree, ``*.example.com``
what is below the name. ``#`` begins a comment, at the start of a line or after a blank.
"""

from collections.abc import Iterable, Iterator

from blocklists.parse.lines import read_lines, without_comment
from blocklists.rule import Item, Refused, Rule, Shape
from filters.name import normalise


def parse(data: bytes) -> Iterator[tuple[int, Item]]:
    return read_lines(data, read)


def read(line: str) -> Iterable[Item]:
    text = without_comment(line)
    if not text:
        return ()
    if text.startswith("*."):
        return (Rule(normalise(text[2:]), Shape.BELOW),)
    if " " in text or "\t" in text:
        raise Refused("more than one word: is this a hosts file?")
    return (Rule(normalise(text.removeprefix("."))),)

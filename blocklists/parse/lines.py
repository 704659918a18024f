"""Bytes -> numbered lines: the one place that knows of byte order marks, CRLF, bad UTF-8, NULs and endless lines."""

import io
import re
from collections.abc import Callable, Iterable, Iterator

from blocklists.rule import Item, ListRefused, Problem
from filters.message import Message

MAX_LINE = 4096
"""bytes; the longest real line is a hosts line with some dozen names"""
SHOWN = 120
"""characters of a bad line that a report repeats"""

_MARKUP = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|head|body|\?xml|error)\b", re.IGNORECASE)
_COMMENT = re.compile(r"(?:^|\s)#.*")


def refuse_what_is_no_list(data: bytes) -> None:
    """Raise ListRefused for what a web server sends instead of a list: an error page, an archive, an image."""
    if _MARKUP.match(data):
        raise ListRefused(Message("this is an HTML or XML page, not a list (an error page of the server?)"))
    if b"\0" in data[:65536]:
        raise ListRefused(Message("this is binary data, not a list"))


def numbered(data: bytes) -> Iterator[tuple[int, str | Problem]]:
    """Lines from 1, without their ends and surrounding blanks; a Problem in place of one that is too long."""
    for number, line in enumerate(io.BytesIO(data.removeprefix(b"\xef\xbb\xbf")), 1):  # not split(): a million objects at once
        raw = line.removesuffix(b"\n")
        if len(raw) > MAX_LINE:
            yield number, Problem(f"line longer than {MAX_LINE} bytes", shown(raw[:SHOWN].decode(errors="replace")))
        else:
            yield number, raw.decode(errors="replace").strip()


def read_lines(data: bytes, read: Callable[[str], Iterable[Item]]) -> Iterator[tuple[int, Item]]:
    """What ``read`` makes of each line that is not blank; a ValueError of it becomes a Problem."""
    for number, line in numbered(data):
        if isinstance(line, Problem):
            yield number, line
        elif line:
            try:
                for item in read(line):
                    yield number, item
            except ValueError as error:
                yield number, Problem(str(error), shown(line))


def without_comment(line: str) -> str:
    """The line up to a ``#`` that begins a word."""
    return _COMMENT.sub("", line).rstrip() if "#" in line else line


def shown(text: str) -> str:
    """What a report repeats of a line: one line, of bounded length, without control characters."""
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[: SHOWN + 1])
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"

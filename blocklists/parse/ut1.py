"""``ut1``: a category folder as Université Toulouse publishes it for squidGuard: ``domains``, ``urls``, ``expressions``.

``domains`` covers subtrees. ``urls`` are pages: only one that is a whole host (no path, no query, no port, no user)
may become a name, and that name covers only itself; the rest, and all of ``expressions``, is counted as *for the proxy*.
Cutting the paths off would block ``www.facebook.com`` for one page on it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from blocklists.parse import domains
from blocklists.parse.lines import read_lines
from blocklists.rule import ForProxy, Item, ListRefused, Rule, Shape
from filters.message import Message
from filters.name import InvalidName, normalise

FILES = ("domains", "urls", "expressions")
_WHOLE_HOST = re.compile(r"(?:https?://)?([^/?#:@\s]+)/?\Z", re.IGNORECASE)


def parse(files: Mapping[str, bytes]) -> Iterator[tuple[str, Iterator[tuple[int, Item]]]]:
    if not any(name in files for name in FILES):
        raise ListRefused(Message("a UT1 folder has at least one of {files}", files=", ".join(FILES)))
    if "domains" in files:
        yield "domains", domains.parse(files["domains"])
    if "urls" in files:
        yield "urls", read_lines(files["urls"], read_url)
    if "expressions" in files:
        yield "expressions", read_lines(files["expressions"], _read_expression)


def read_url(line: str) -> Iterable[Item]:
    if line.startswith("#"):
        return ()
    host = _WHOLE_HOST.match(line)
    if host is None:
        return (ForProxy(line),)
    try:
        return (Rule(normalise(host[1]), Shape.SELF),)
    except InvalidName:
        return (ForProxy(line),)  # an address, say: a URL all the same, and the proxy can act on it


def _read_expression(line: str) -> Iterable[Item]:
    return () if line.startswith("#") else (ForProxy(line),)

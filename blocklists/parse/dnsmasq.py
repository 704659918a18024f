"""``dnsmasq`` (dnsmasq(8)): ``address=/x/``, ``local=/x/``, ``server=/x/`` block the subtree, ``server=/x/#`` excepts it.

``address=`` blocks whatever address it gives: a list may not send a school anywhere, but the name is meant to be
unreachable. ``server=/x/1.2.3.4`` forwards: reported, as is every option that is not about a name.
"""

import re
from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from blocklists.parse.lines import read_lines, shown, without_comment
from blocklists.rule import Item, Kind, Problem, Refused, Rule, Shape
from filters.name import InvalidName, normalise

_OPTION = re.compile(r"-{0,2}(address|server|local)\s*=\s*/(.*)/([^/]*)\Z")


def parse(data: bytes) -> Iterator[tuple[int, Item]]:
    return read_lines(data, read)


def read(line: str) -> Iterable[Item]:
    text = without_comment(line)
    if not text:
        return ()
    option = _OPTION.match(text)
    if option is None:
        raise Refused("not address=/…/, server=/…/ or local=/…/")
    word, names, value = option[1], option[2], option[3].strip()
    kind = _kind(word, value)
    return [_rule(name, kind) for name in names.split("/")]


def _kind(word: str, value: str) -> Kind:
    if not value:
        return Kind.BLOCK
    if word == "address":
        if value != "#":
            _check_address(value)
        return Kind.BLOCK
    if value == "#":
        return Kind.ALLOW
    raise Refused("forwards to a server, and does not block")


def _check_address(value: str) -> None:
    try:
        ip_address(value)
    except ValueError:
        raise Refused("neither an address nor # after the last slash") from None


def _rule(text: str, kind: Kind) -> Item:
    if text == "#":
        return Problem("# covers every name there is", text)
    below = text.startswith("*.")
    if text.startswith("*") and not below:
        return Problem("a wildcard inside a label", shown(text))
    try:
        if below:
            return Rule(normalise(text[2:]), Shape.BELOW, kind)
        return Rule(normalise(text.removeprefix(".")), Shape.SUBTREE, kind)
    except InvalidName as error:
        return Problem(str(error), shown(text))

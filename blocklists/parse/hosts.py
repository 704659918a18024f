"""``hosts`` (hosts(5)): an address and the names that it stands for. A name covers only itself.

Only null and loopback addresses block. Another address is a redirection, which a list may not impose: reported. Lines
that every hosts file has (``127.0.0.1 localhost``) are passed over.
"""

from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from blocklists.parse.lines import read_lines, shown, without_comment
from blocklists.rule import Item, Problem, Refused, Rule, Shape
from filters.name import InvalidName, normalise

_BOILERPLATE = frozenset({"localhost", "localhost.localdomain", "local", "broadcasthost", "loopback", "0.0.0.0"}) | {  # noqa: S104 - only compared
    f"ip6-{word}" for word in ("localhost", "loopback", "localnet", "mcastprefix", "allnodes", "allrouters", "allhosts")
}
_NULL = frozenset({"0.0.0.0", "127.0.0.1", "::", "::1"})  # noqa: S104 - only compared


def parse(data: bytes) -> Iterator[tuple[int, Item]]:
    return read_lines(data, read)


def read(line: str) -> Iterable[Item]:
    text = without_comment(line)
    if not text:
        return ()
    address, *names = text.split()
    if all(name.lower() in _BOILERPLATE for name in names) and names:
        return ()
    if address not in _NULL:
        _refuse_address(address)
    if not names:
        raise Refused("an address without a name")
    return [_rule(name) for name in names if name.lower() not in _BOILERPLATE]


def _refuse_address(text: str) -> None:
    """Return for another spelling of a null or loopback address; raise Refused for the rest."""
    try:
        address = ip_address(text)
    except ValueError:
        raise Refused("no address at the start: is this a list of domains?") from None
    if not (address.is_loopback or address.is_unspecified):
        raise Refused("the address is a real one, so this redirects and does not block")


def _rule(text: str) -> Item:
    try:
        return Rule(normalise(text), Shape.SELF)
    except InvalidName as error:
        return Problem(str(error), shown(text))

"""``rpz``: a response policy zone in master file form (RFC 1035 section 5, draft-vixie-dnsop-dns-rpz).

Owner names count relative to the zone. ``CNAME .`` (NXDOMAIN), ``CNAME *.`` (NODATA) and local addresses (whatever they
are) block; ``CNAME rpz-passthru.`` excepts; ``*.x`` is what is below x. The other triggers (``rpz-ip``, ``rpz-nsdname``,
...) and actions (``rpz-drop.``, ``rpz-tcp-only.``, a CNAME that leads somewhere) are reported.
"""

import re
from collections.abc import Iterator

from blocklists.parse.lines import numbered, shown
from blocklists.rule import Item, Kind, Problem, Refused, Rule, Shape
from filters.name import normalise

_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[()]|;.*|[^\s();"]+')
_TTL = re.compile(r"(?:\d+[smhdw]?)+\Z", re.IGNORECASE)
_CLASSES = frozenset({"IN", "CH", "HS"})
_TRIGGERS = ("rpz-ip", "rpz-client-ip", "rpz-nsdname", "rpz-nsip")
_APEX_TYPES = frozenset({"SOA", "NS"})
_DNSSEC_TYPES = frozenset({"RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY", "ZONEMD"})


class _Zone:
    """Where the reader of a zone file stands: the origin, the apex, and the last owner (RFC 1035 section 5.1)."""

    def __init__(self) -> None:
        self.origin = ""
        self.apex: str | None = None
        self.owner = ""

    def directive(self, tokens: list[str]) -> None:
        word = tokens[0].upper()
        if word == "$TTL":
            return
        if word != "$ORIGIN" or len(tokens) != 2:
            raise Refused(f"directive not supported: {word}")
        self.origin = self.absolute(tokens[1])
        if self.apex is None:
            self.apex = self.origin

    def absolute(self, text: str) -> str:
        """The full name without its last dot, lower case."""
        text = text.lower()
        if text == "@":
            return self.origin
        if text.endswith("."):
            return text[:-1]
        return f"{text}.{self.origin}" if self.origin else text

    def relative(self, name: str) -> str:
        """``name`` below the apex: what the zone is about. Raises Refused for a name outside."""
        if not self.apex:
            return name
        if name == self.apex:
            return ""
        if not name.endswith("." + self.apex):
            raise Refused("outside the zone")
        return name[: -len(self.apex) - 1]


def parse(data: bytes) -> Iterator[tuple[int, Item]]:
    zone = _Zone()
    for number, tokens, has_owner, line in _entries(data):
        if isinstance(tokens, Problem):
            yield number, tokens
            continue
        try:
            if tokens[0].startswith("$"):
                zone.directive(tokens)
                continue
            item = _record(zone, tokens, has_owner=has_owner)
        except ValueError as error:
            item = Problem(str(error), shown(line))
        if item is not None:
            yield number, item


def _entries(data: bytes) -> Iterator[tuple[int, list[str] | Problem, bool, str]]:
    """Logical lines: number of the first line, tokens, whether it begins with an owner, and the first line's text.

    Parentheses join lines. One that is never closed is a problem of the line that opened it, and ends with the file.
    """
    raw_lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    joined: list[str] = []
    depth, first, text, has_owner = 0, 0, "", False
    for number, line in numbered(data):
        if isinstance(line, Problem):
            yield number, line, False, ""
            continue
        tokens = [token for token in _TOKEN.findall(line) if not token.startswith(";")]
        if not depth:
            joined, first, text = [], number, line
            has_owner = not raw_lines[number - 1][:1].isspace()
        depth = max(0, depth + tokens.count("(") - tokens.count(")"))
        joined += [token for token in tokens if token not in {"(", ")"}]
        if not depth and joined:
            yield first, joined, has_owner, text
    if depth:
        yield first, Problem("a parenthesis that is never closed", shown(text)), False, ""


def _record(zone: _Zone, tokens: list[str], *, has_owner: bool) -> Item | None:
    """The rule of one resource record; None for what every zone has (SOA, NS, signatures)."""
    rest = list(tokens)
    if has_owner:
        zone.owner = zone.absolute(rest.pop(0))
    while rest and (_TTL.match(rest[0]) or rest[0].upper() in _CLASSES):
        rest.pop(0)
    if not rest:
        raise Refused("a record without a type")
    rtype, rdata = rest[0].upper(), rest[1:]
    if rtype == "SOA" and zone.apex is None:
        zone.apex = zone.owner
    if rtype in _DNSSEC_TYPES:
        return None
    owner = zone.relative(zone.owner)
    if not owner:
        if rtype in _APEX_TYPES or rtype not in {"CNAME", "A", "AAAA"}:
            return None
        raise Refused("at the zone's apex: covers nothing")
    return _rule(owner, _kind(zone, owner, rtype, rdata))


def _kind(zone: _Zone, owner: str, rtype: str, rdata: list[str]) -> Kind:
    last = owner.rpartition(".")[2]
    if last in _TRIGGERS:
        raise Refused(f"trigger not supported: {last}")
    if rtype in {"A", "AAAA"} and rdata:
        return Kind.BLOCK
    if rtype != "CNAME" or len(rdata) != 1:
        raise Refused(f"local data not supported: {rtype}")
    target = rdata[0].lower()
    if target in {".", "*."}:
        return Kind.BLOCK
    if target == "rpz-passthru." or zone.absolute(target) in {owner, owner.removeprefix("*.")}:
        return Kind.ALLOW
    if target in {"rpz-drop.", "rpz-tcp-only."}:
        raise Refused(f"action not supported: {target}")
    raise Refused("a CNAME that leads somewhere, and does not block")


def _rule(owner: str, kind: Kind) -> Rule:
    if owner.startswith("*."):
        return Rule(normalise(owner[2:]), Shape.BELOW, kind)
    return Rule(normalise(owner), Shape.SELF, kind)

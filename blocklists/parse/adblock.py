"""``adblock``: the part of Adblock syntax that is about names (AdGuard's "DNS filtering rules" reference).

Understood: ``||x^`` (subtree), ``||*.x^`` (below), ``|x^`` and ``|x|`` (the name alone), ``/regex/``, ``@@`` in front of
each, hosts lines and bare names (the name alone), and the modifiers ``important``, ``badfilter``, ``denyallow``,
``dnstype``, and ``dnsrewrite`` where what it answers is a block. A rule with any other modifier, with a path, or about
page elements is reported: to ignore a modifier is to block more than the list's author did.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from blocklists.parse import hosts
from blocklists.parse.lines import read_lines
from blocklists.parse.regex import checked
from blocklists.rule import Conditions, Item, Kind, Refused, Rule, Shape
from filters.name import normalise

_TYPE_NUMBERS = """A=1 NS=2 CNAME=5 SOA=6 PTR=12 HINFO=13 MX=15 TXT=16 AAAA=28 SRV=33 NAPTR=35 DS=43 SSHFP=44 DNSKEY=48 TLSA=52
    SVCB=64 HTTPS=65 ANY=255 URI=256 CAA=257"""
TYPES = {word: int(number) for word, _, number in (pair.partition("=") for pair in _TYPE_NUMBERS.split())}
"""the query types that ``$dnstype`` may name (IANA, DNS parameters)"""

_ELEMENT = re.compile(r"#[@?$%]*#|\$\$|\$@\$")
_NAME = re.compile(r"(\|\|(?:\*\.)?|\|)([^|^/$*:]+)(\^\|?|\|)\Z")
_BARE = re.compile(r"[^|^/$*:\s]+\Z")
_HOSTS = re.compile(r"[0-9a-fA-F:.]+\s")
_BLOCKING_REWRITE = re.compile(
    r"(?:(?:nxdomain|refused|servfail)(?:;;)?|noerror;;|(?:noerror;a;)?(?:0\.0\.0\.0|127\.0\.0\.1)|(?:noerror;aaaa;)?::1?)\Z", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class _Modifiers:
    important: bool = False
    denyallow: tuple[str, ...] = ()
    types: tuple[int, ...] = ()
    other_types: bool = False
    rewrite: bool = False

    @property
    def conditional(self) -> bool:
        return bool(self.denyallow or self.types)


def parse(data: bytes) -> Iterator[tuple[int, Item]]:
    disabled = _disabled(data)

    def read_enabled(line: str) -> Iterable[Item]:
        if disabled and _canonical(line) in disabled:
            return ()
        return read(line)

    return read_lines(data, read_enabled)


def read(line: str) -> Iterable[Item]:
    """The rules of one line; none for a comment or a ``$badfilter`` rule (``parse`` has seen to that already)."""
    if line[0] == "!" or (line[0] == "[" and line[-1] == "]") or (line[0] == "#" and not _ELEMENT.match(line)):
        return ()
    if _ELEMENT.search(line) and line[0] != "/":
        raise Refused("about elements of a page, which DNS cannot see")
    allow = line.startswith("@@")
    pattern, options = _split(line[2:] if allow else line)
    if "badfilter" in options:
        return ()
    modifiers = _modifiers(options)
    if allow and modifiers.rewrite:
        raise Refused("an exception to dnsrewrite: this list rewrites nothing")
    kind = Kind(int(allow) + 2 * int(modifiers.important))
    if len(pattern) > 2 and pattern[0] == pattern[-1] == "/":
        return (_conditions(modifiers, kind, pattern=checked(pattern[1:-1])),)
    if not options and not allow and _HOSTS.match(pattern):
        return hosts.read(pattern)
    name, shape = _name(pattern)
    if modifiers.conditional:
        return (_conditions(modifiers, kind, name=name, shape=shape),)
    return (Rule(name, shape, kind),)


def _split(rule: str) -> tuple[str, Sequence[str]]:
    """Pattern and modifiers: the ``$`` that parts them follows the last slash of a regex, and there is only one otherwise."""
    if rule.startswith("/"):
        end = rule.rfind("/")
        if end == 0:
            raise Refused("a path, or an expression without its end")
        pattern, rest = rule[: end + 1], rule[end + 1 :]
        if rest and not rest.startswith("$"):
            raise Refused("a path of a URL: something for the proxy")
        return pattern, _options(rest[1:])
    pattern, _, rest = rule.partition("$")
    return pattern, _options(rest)


def _options(text: str) -> Sequence[str]:
    return [part.strip() for part in text.split(",")] if text else ()


def _modifiers(options: Iterable[str]) -> _Modifiers:
    important = rewrite = other_types = False
    denyallow: tuple[str, ...] = ()
    types: tuple[int, ...] = ()
    for option in options:
        word, _, value = option.partition("=")
        if option == "important":
            important = True
        elif word == "denyallow" and value:
            denyallow = tuple(sorted(normalise(name) for name in value.split("|")))
        elif word == "dnstype" and value:
            types, other_types = _types(value)
        elif word == "dnsrewrite" and _BLOCKING_REWRITE.match(value):
            rewrite = True
        elif word == "dnsrewrite":
            raise Refused("dnsrewrite that answers something, and does not block")
        else:
            raise Refused(f"modifier not supported: {word.removeprefix('~') or 'an empty one'}")
    return _Modifiers(important, denyallow, types, other_types, rewrite)


def _types(value: str) -> tuple[tuple[int, ...], bool]:
    words = [word.strip().upper() for word in value.split("|")]
    negated = {word.startswith("~") for word in words}
    if len(negated) > 1:
        raise Refused("dnstype with both wanted and unwanted types")
    numbers = [TYPES.get(word.removeprefix("~")) for word in words]
    if None in numbers:
        raise Refused(f"dnstype with an unknown type: {words[numbers.index(None)]}")
    return tuple(sorted({number for number in numbers if number})), True in negated


def _conditions(modifiers: _Modifiers, kind: Kind, *, name: str = "", shape: Shape = Shape.SUBTREE, pattern: str = "") -> Conditions:
    return Conditions(name, shape, pattern, kind, modifiers.types, modifiers.other_types, modifiers.denyallow)


def _name(pattern: str) -> tuple[str, Shape]:
    framed = _NAME.match(pattern)
    if framed is not None:
        start, name = framed[1], normalise(framed[2])
        return name, {"||": Shape.SUBTREE, "||*.": Shape.BELOW, "|": Shape.SELF}[start]
    if _BARE.match(pattern):
        return normalise(pattern), Shape.SELF
    raise Refused(_why_not(pattern))


def _why_not(pattern: str) -> str:
    if pattern in {"", "*", "||", "|", "^", "||*^"}:
        return "covers every name there is"
    if "/" in pattern:
        return "a path of a URL: something for the proxy"
    if "*" in pattern:
        return "a wildcard inside a name"
    if ":" in pattern:
        return "a port or an address"
    if pattern.startswith("|"):
        return "a name without its end (^ or |): it would also match what merely begins so"
    return "not a name pattern"


def _disabled(data: bytes) -> frozenset[str]:
    """The canonical texts of the rules that a ``$badfilter`` line takes back."""
    if b"badfilter" not in data:
        return frozenset()
    lines = (raw.decode(errors="replace").strip() for raw in data.split(b"\n") if b"badfilter" in raw)
    return frozenset(_canonical(line) for line in lines if "badfilter" in _canonical_options(line))


def _canonical(line: str) -> str:
    """The rule without ``badfilter`` and with its modifiers in order, so that two spellings of one rule are equal."""
    head = line[: len(line) - len(line.removeprefix("@@"))]
    try:
        pattern, _ = _split(line.removeprefix("@@"))
    except Refused:
        return line
    return f"{head}{pattern.lower()}${','.join(sorted(set(_canonical_options(line)) - {'badfilter'}))}"


def _canonical_options(line: str) -> Sequence[str]:
    try:
        return _split(line.removeprefix("@@"))[1]
    except Refused:
        return ()

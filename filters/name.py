"""Domain names as this project writes them: lower case, ASCII (A-labels), no trailing dot; the root is ``""``.

``normalise`` turns what a person or a list writes into that form and refuses anything that is not a host name that
DNS could carry (RFC 1035, RFC 5891, UTS #46). Names that arrive in packets do not come through here: the wire decoder
lowers and escapes them itself, and what it escapes matches nothing.
"""

import re
from collections.abc import Iterator
from ipaddress import ip_address

import idna

from filters.message import Message

_ASCII_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*\Z")
_ALL_DIGITS = re.compile(r"[0-9.]+\Z")
_ADDRESS = Message("an address, not a name")


class InvalidName(ValueError):
    """The text is not a domain name; the message says why, in words for a build report."""


def normalise(text: str) -> str:
    """The canonical form of ``text``: ``Bücher.Example.`` -> ``xn--bcher-kva.example``.

    Underscores are kept, since real names have them. Raises InvalidName for an empty name or label, an overlong one,
    an address, or a character that no host name has.
    """
    name = text.strip().lower()
    name = name.removesuffix(".")
    if _ASCII_NAME.match(name):
        if _ALL_DIGITS.match(name) and _is_address(name):
            raise InvalidName(_ADDRESS)
        return name
    if not name:
        raise InvalidName(Message("empty name"))
    if _is_address(name):
        raise InvalidName(_ADDRESS)
    if name.isascii():
        raise InvalidName(_why_not(name))
    try:
        encoded = idna.encode(name, uts46=True, transitional=False).decode("ascii")
    except idna.IDNAError as error:
        raise InvalidName(Message("not an internationalised name: {why}", why=error)) from None
    if not _ASCII_NAME.match(encoded):
        raise InvalidName(_why_not(encoded))
    return encoded


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _why_not(name: str) -> Message:
    if len(name) > 253:
        return Message("longer than {count} characters", count=253)
    for label in name.split("."):
        if not label:
            return Message("empty label")
        if len(label) > 63:
            return Message("label longer than 63 characters")
        if label.startswith("-") or label.endswith("-"):
            return Message("label starts or ends with a hyphen")
    bad = sorted(set(re.sub(r"[a-z0-9_.-]", "", name)))
    return Message("character not allowed in a name: {character!r}", character=bad[0]) if bad else Message("not a name")


def parents(name: str) -> Iterator[str]:
    """``a.b.c`` -> ``a.b.c``, ``b.c``, ``c``: the name itself first, the root never."""
    while name:
        yield name
        _, _, name = name.partition(".")


def is_within(name: str, ancestor: str) -> bool:
    """Whether ``name`` is ``ancestor`` or below it. Everything is within the root ``""``."""
    return not ancestor or name == ancestor or name.endswith("." + ancestor)

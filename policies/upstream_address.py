"""How the school's file writes an upstream, parsed: scheme, address, port, and for TLS who must answer there.

Accepted, and nothing else::

    9.9.9.9   9.9.9.9:5353   2620:fe::fe   [2620:fe::fe]:53   udp://9.9.9.9     plain DNS, by TCP on truncation
    tcp://9.9.9.9:53                                                            plain DNS by TCP only
    tls://1.1.1.1#cloudflare-dns.com   tls://1.1.1.1:853                        RFC 7858; no name: the certificate has the address
    https://dns.google/dns-query#8.8.8.8                    RFC 8484; the address after '#', since a resolver cannot ask itself

An upstream is an address, never a name: a resolver that has to resolve its own upstream starts in a circle.
"""

import re
from dataclasses import dataclass
from typing import Literal

from filters.name import InvalidName, normalise
from policies.socket_address import join_port, parse_address, split_port

Scheme = Literal["udp", "tcp", "tls", "https"]
DEFAULT_PORTS: dict[Scheme, int] = {"udp": 53, "tcp": 53, "tls": 853, "https": 443}

_PATH = re.compile(r"/[!-~]*\Z")


@dataclass(frozen=True, slots=True)
class UpstreamAddress:
    scheme: Scheme
    host: str
    """the address to connect to, without brackets"""
    port: int
    server_name: str = ""
    """``tls``, ``https``: whom the certificate must name (a name or an address); plain DNS: empty"""
    path: str = ""
    """``https`` only, with its leading slash"""

    def __str__(self) -> str:
        """The shortest form that ``parse`` reads back as the same upstream."""
        if self.scheme == "https":
            bootstrap = "" if self.host == self.server_name else f"#{self.host}"
            return f"https://{_with_port(self.server_name, self.port, 443)}{self.path}{bootstrap}"
        where = _with_port(self.host, self.port, DEFAULT_PORTS[self.scheme])
        if self.scheme == "udp":
            return where
        return f"{self.scheme}://{where}" + (f"#{self.server_name}" if self.server_name not in ("", self.host) else "")


def parse(text: str) -> UpstreamAddress:
    """Raises ValueError, whose message says what is wrong and shows a form that is right."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "udp", text
    if scheme == "https":
        return _parse_https(rest)
    if scheme not in ("udp", "tcp", "tls"):
        raise ValueError(f"unknown scheme {scheme!r}; use an address, udp://, tcp://, tls:// or https://")
    where, mark, name = rest.partition("#")
    host, port = split_port(where)
    address = parse_address(host)
    if scheme == "tls":
        return UpstreamAddress("tls", address, port or 853, _server(name) if mark else address)
    if mark:
        raise ValueError("only tls:// has a server name after '#'")
    return UpstreamAddress("tcp" if scheme == "tcp" else "udp", address, port or 53)


def _parse_https(rest: str) -> UpstreamAddress:
    url, mark, bootstrap = rest.partition("#")
    authority, slash, path = url.partition("/")
    if not slash or not _PATH.match(slash + path):
        raise ValueError("a DoH address has a path, for example https://dns.google/dns-query")
    host, port = split_port(authority)
    name = _server(host)
    if not mark and not _is_address(name):
        raise ValueError(f"its address is missing, since a resolver cannot ask itself: https://{authority}{slash}{path}#8.8.8.8")
    return UpstreamAddress("https", parse_address(bootstrap) if mark else name, port or 443, name, slash + path)


def _is_address(text: str) -> bool:
    try:
        parse_address(text)
    except ValueError:
        return False
    return True


def _server(text: str) -> str:
    """A name, or an address where the certificate names one (RFC 8310 section 8.1)."""
    if _is_address(text):
        return parse_address(text)
    try:
        return normalise(text)
    except InvalidName as error:
        raise ValueError(f"{text!r} is not a server name: {error}") from None


def _with_port(host: str, port: int, default: int) -> str:
    if port == default:
        return f"[{host}]" if ":" in host else host
    return join_port(host, port)

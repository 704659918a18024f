"""``host:port`` as people write it, IPv6 in brackets: the parts, and the address that a server listens on."""

import re
from ipaddress import ip_address

_PORT = re.compile(r"[0-9]{1,5}\Z")


def split_port(text: str) -> tuple[str, int | None]:
    """``1.2.3.4:53`` -> ``("1.2.3.4", 53)``; ``[::1]:53`` -> ``("::1", 53)``; ``::1`` -> ``("::1", None)``. Raises ValueError."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError("an IPv6 address with a port is written [2001:db8::1]:53")
        return host, parse_port(rest[1:]) if rest else None
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host, parse_port(port)
    return text, None


def join_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_port(text: str) -> int:
    if not _PORT.match(text) or not 0 < int(text) < 65536:
        raise ValueError(f"{text!r} is not a port (1-65535)")
    return int(text)


def parse_address(text: str) -> str:
    """The canonical form of an IPv4 or IPv6 address. Raises ValueError."""
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address") from None


def parse_listen(text: str) -> tuple[str, int]:
    """``0.0.0.0:53`` or ``[::]:53`` -> address and port; both are needed. Raises ValueError."""
    host, port = split_port(text)
    if port is None:
        raise ValueError(f"{text!r} has no port; write for example 0.0.0.0:53 or [::]:53")
    return parse_address(host), port


def parse_secondary(text: str) -> tuple[str, int]:
    """``10.0.0.53``, ``10.0.0.53:5353`` or ``[fd00::53]:5353`` -> address and port, 53 unless it is said. Raises ValueError."""
    host, port = split_port(text)
    return parse_address(host), port or 53

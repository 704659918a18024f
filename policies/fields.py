"""The types of single values in the school's file: what is accepted, and in which words a wrong value is refused.

Every validator raises ValueError with a message for a person, who sees it behind ``file:line:col: path:``.
"""

import re
from collections.abc import Callable
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field

from filters.category import CATEGORIES, LOCKED
from filters.message import Message
from filters.name import InvalidName, normalise
from policies import upstream_address
from policies.school_time import parse_clock, parse_dates, parse_range
from policies.socket_address import parse_listen, parse_secondary
from policies.suggest import unknown


def _name(text: str) -> str:
    try:
        return normalise(text)
    except InvalidName as error:
        raise ValueError(str(error)) from None


def _category(text: str) -> str:
    if text not in CATEGORIES:
        raise ValueError(unknown("category", text, CATEGORIES))
    return text


def _liftable(text: str) -> str:
    if _category(text) in LOCKED:
        raise ValueError(f"{text} is locked: nobody in a school can open it")
    return text


def _blockable(text: str) -> str:
    if CATEGORIES[_category(text)].open:
        raise ValueError(f"{text} is never blocked")
    return text


def _mac(text: str) -> str:
    mac = text.lower().replace("-", ":")
    if not re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", mac):
        raise ValueError("not a MAC address such as aa:bb:cc:dd:ee:ff")
    return mac


def _network(value: object) -> IPv4Network | IPv6Network:
    """An IPv4-mapped network is the IPv4 one that it stands for (RFC 4291 section 2.5.5.2), as clients are."""
    try:
        network = ip_network(str(value))
    except ValueError:
        raise ValueError(_why_no_network(str(value))) from None
    if isinstance(network, IPv6Network) and network.prefixlen >= 96 and network.network_address.ipv4_mapped:
        return IPv4Network((network.network_address.ipv4_mapped, network.prefixlen - 96))
    return network


def _why_no_network(text: str) -> str:
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        return f"{text!r} is not a network or an address"
    return f'{text!r} has bits set after its prefix, did you mean "{meant}"?'


def _client(value: object) -> object:
    """A client is a network, an address or a MAC; a MAC is told apart by its form."""
    if isinstance(value, str) and re.fullmatch(r"[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}", value):
        return _mac(value)
    return _network(value)


def _address(value: object) -> IPv4Address | IPv6Address:
    try:
        return ip_address(str(value))
    except ValueError:
        raise ValueError(f"{str(value)!r} is not an IP address") from None


def _identifier(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", text):
        raise ValueError(Message("{text!r} is not an id: lower-case letters a-z, digits and hyphens (a title may be anything)", text=text))
    return text


def _timezone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ValueError(unknown("time zone", text, available_timezones())) from None
    return text


def _instant(value: object) -> object:
    """Unix seconds, or a date and time with its offset, for example ``2027-01-15T17:00+07:00``."""
    if not isinstance(value, str) or not re.match(r"\d{4}-", value):
        return value
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(f"{value!r} has no offset; write for example 2027-01-15T17:00+07:00")
    return moment.timestamp()


def _http_path(text: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9._~/-]{0,100}", text):
        raise ValueError(f"{text!r} is not the path of an address on the web, such as /dns-query")
    return text


def _proxy_url(text: str) -> str:
    parts = web_address(text, ("http", "https"), "a proxy is written http://10.0.0.3:3128")
    if parts.path not in ("", "/"):
        raise ValueError(f"{text!r} has a path; a proxy is written http://10.0.0.3:3128")
    return text.rstrip("/")


def _web_url(text: str) -> str:
    web_address(text, ("https", "http"), "write https://manglanh.example.edu.vn")
    return text.rstrip("/")


def web_address(text: str, schemes: tuple[str, ...], example: str) -> SplitResult:
    """The parts of a web address without query and fragment. Raises ValueError, whose message ends with ``example``."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(f"{text!r} is not an address on the web; {example}") from None
    if parts.scheme not in schemes or port == 0 or not _WEB_ADDRESS.match(text):
        raise ValueError(f"{text!r} is not an address on the web; {example}")
    if (parts.scheme == "file") == bool(parts.hostname):
        raise ValueError(f"{text!r} names no host; {example}" if parts.scheme != "file" else f"{text!r} names a host; {example}")
    if parts.query or parts.fragment:
        raise ValueError(f"{text!r} has a query or a fragment; {example}")
    return parts


def _workers(value: object) -> object:
    if value != "auto" and not re.fullmatch(r"[1-9]|[1-5]\d|6[0-4]", str(value)):
        raise ValueError("auto, or a number from 1 to 64")
    return value


def _not_empty(value: object) -> object:
    """Field(min_length=1) also speaks where items were refused, and so would every wrong item come with a false error."""
    if isinstance(value, list | tuple) and not value:
        raise ValueError(Message("must not be empty"))
    return value


def _checked(parse: Callable[[str], object]) -> Callable[[str], str]:
    """Keep the text, once it is known to parse: the model stays what was written, and whoever needs the parts parses again."""

    def check(text: str) -> str:
        parse(text)
        return text

    return check


_WEB_ADDRESS = re.compile(r"[a-z]+://[!-~]*\Z")

Name = Annotated[str, AfterValidator(_name)]
CategoryId = Annotated[str, AfterValidator(_category)]
Liftable = Annotated[str, AfterValidator(_liftable)]
Blockable = Annotated[str, AfterValidator(_blockable)]
Identifier = Annotated[str, AfterValidator(_identifier)]
Mac = Annotated[str, AfterValidator(_mac)]
Address = Annotated[IPv4Address | IPv6Address, BeforeValidator(_address)]
Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]
Client = Annotated[IPv4Network | IPv6Network | Mac, BeforeValidator(_client)]
NotEmpty = BeforeValidator(_not_empty)
Seconds = Annotated[int, Field(ge=0)]
Instant = Annotated[float, Field(allow_inf_nan=False), BeforeValidator(_instant)]
UpstreamText = Annotated[str, AfterValidator(_checked(upstream_address.parse))]
ListenText = Annotated[str, AfterValidator(_checked(parse_listen))]
HttpPath = Annotated[str, AfterValidator(_http_path)]
SecondaryText = Annotated[str, AfterValidator(_checked(parse_secondary))]
ProxyUrl = Annotated[str, AfterValidator(_proxy_url)]
WebUrl = Annotated[str, AfterValidator(_web_url)]
ClockText = Annotated[str, AfterValidator(_checked(parse_clock))]
RangeText = Annotated[str, AfterValidator(_checked(parse_range))]
DatesText = Annotated[str, AfterValidator(_checked(parse_dates))]
TimeZone = Annotated[str, AfterValidator(_timezone)]
Workers = Annotated[Literal["auto"] | int, BeforeValidator(_workers)]
Decision = Literal["allow", "block"]

"""What one part of the school's file says of another: names that must exist, clients that must not be claimed twice.

Works on the plain values rather than on the model, so that these errors come together with those of types: a value of the
wrong type is simply not looked at here. Yields ``(path, message)``.
"""

from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from filters.category import CATEGORIES
from filters.service import SERVICES
from policies.fields import Client, Name, Network
from policies.identify import GUEST
from policies.model import BlockPage, Dns, Tls, Zone, Zones
from policies.socket_address import parse_listen
from policies.suggest import did_you_mean, unknown
from policies.tiers import MODES, TIERS

Path = tuple[str | int, ...]
Wrong = Iterator[tuple[Path, str]]
Value = TypeVar("Value")

_CLIENT: TypeAdapter[IPv4Network | IPv6Network | str] = TypeAdapter(Client)
_NETWORK: TypeAdapter[IPv4Network | IPv6Network] = TypeAdapter(Network)
_NAME: TypeAdapter[str] = TypeAdapter(Name)
_BOOLEAN: TypeAdapter[bool] = TypeAdapter(bool)


def wrong_references(plain: dict[str, Any]) -> Wrong:
    """Everything in the file that refers to nothing, or contradicts another part."""
    checks = (
        _unknown_names, _own_without_title, _fixed_categories, _same_group_twice, _clients, _page_without_address, _same_listen_twice,
        _zones,
    )  # fmt: skip
    for check in checks:
        yield from check(plain)


def _find(plain: Any, pattern: Iterable[str], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Values at ``groups.*.tier`` and the like; ``*`` is every item of a list and every value of a mapping."""
    steps = tuple(pattern)
    if not steps:
        yield path, plain
    elif isinstance(plain, dict):
        for key in plain if steps[0] == "*" else (steps[0],):
            if key in plain:
                yield from _find(plain[key], steps[1:], (*path, key))
    elif isinstance(plain, list) and steps[0] == "*":
        for at, item in enumerate(plain):
            yield from _find(item, steps[1:], (*path, at))


def _texts(plain: Any, pattern: str) -> Iterator[tuple[Path, str]]:
    return ((path, value) for path, value in _find(plain, pattern.split(".")) if isinstance(value, str))


def _keys(plain: Any, pattern: str) -> set[str]:
    return {key for _, value in _find(plain, pattern.split(".")) if isinstance(value, dict) for key in value}


def _unknown_names(plain: dict[str, Any]) -> Wrong:
    groups = {name for _, name in _texts(plain, "groups.*.name")}
    if plain.get("default_group", GUEST) == GUEST:
        groups.add(GUEST)
    modes = MODES.keys() | _keys(plain, "modes")
    known = (
        ("groups.*.tier", "tier", TIERS.keys() | _keys(plain, "tiers")),
        ("zones.zones.*.tier", "tier", TIERS.keys() | _keys(plain, "tiers")),
        ("tiers.*.based_on", "built-in tier", set(TIERS)),
        ("tiers.*.services.*", "service", set(SERVICES)),
        ("groups.*.services.*", "service", set(SERVICES)),
        ("default_group", "group", groups | {GUEST}),
        ("rules.*.groups.*", "group", groups),
        ("timetable.rules.*.groups.*", "group", groups),
        ("timetable.rules.*.mode", "mode", modes),
        ("timetable.rules.*.lessons.*", "lesson", _keys(plain, "timetable.lessons")),
    )
    for pattern, kind, names in known:
        for path, text in _texts(plain, pattern):
            if text not in names:
                yield path, unknown(kind, text, names)


def _own_without_title(plain: dict[str, Any]) -> Wrong:
    """A tier or mode that is not built in is the school's own, and more likely than not a slip of the pen."""
    for pattern, kind, built_in in (("tiers.*", "tier", TIERS.keys()), ("modes.*", "mode", MODES.keys())):
        for path, value in _find(plain, pattern.split(".")):
            if not isinstance(value, dict):
                continue
            name = str(path[-1])
            if name in built_in:
                if "based_on" in value:
                    yield (*path, "based_on"), f"{name} is built in; only a tier of the school's own is based on another"
            elif "title" not in value and "based_on" not in value:
                yield path, f"a {kind} of the school's own needs a title{did_you_mean(name, built_in)}"


def _fixed_categories(plain: dict[str, Any]) -> Wrong:
    for path, decision in _texts(plain, "tiers.*.categories.*"):
        category = CATEGORIES.get(str(path[-1]))
        if category is not None and category.locked and decision == "allow":
            yield path, f"{category.id} is locked: nobody in a school can open it"
        if category is not None and category.open and decision == "block":
            yield path, f"{category.id} is never blocked"


def _same_group_twice(plain: dict[str, Any]) -> Wrong:
    seen: dict[str, Path] = {}
    for path, name in _texts(plain, "groups.*.name"):
        first = seen.setdefault(name, path)
        if first != path:
            yield path, f'another group has the name "{name}" ({_written(first[:-1])})'


def _clients(plain: dict[str, Any]) -> Wrong:
    """A network or a device belongs to one group, and to one that can get an answer."""
    allowed = _allow_from(plain)
    seen: dict[IPv4Network | IPv6Network | str, Path] = {}
    for path, text in _texts(plain, "groups.*.clients.*"):
        client = _parsed(_CLIENT.validate_python, text)
        if client is None:
            continue
        first = seen.setdefault(client, path)
        if first != path:
            yield path, f"{client} is a client already ({_written(first)})"
        elif not isinstance(client, str) and not any(_overlap(client, network) for network in allowed):
            yield path, f"{client} lies outside dns.allow_from, so nobody there would get an answer"


def _allow_from(plain: dict[str, Any]) -> list[IPv4Network | IPv6Network]:
    if not any(_find(plain, ("dns", "allow_from"))):
        return list(Dns.model_fields["allow_from"].default)
    networks = (_parsed(_NETWORK.validate_python, text) for _, text in _texts(plain, "dns.allow_from.*"))
    return [network for network in networks if network is not None]


def _parsed(parse: Callable[[object], Value], text: object) -> Value | None:
    try:
        return parse(text)
    except ValidationError:
        return None


def _overlap(one: IPv4Network | IPv6Network, other: IPv4Network | IPv6Network) -> bool:
    if isinstance(one, IPv4Network) and isinstance(other, IPv4Network):
        return one.overlaps(other)
    return isinstance(one, IPv6Network) and isinstance(other, IPv6Network) and one.overlaps(other)


def _page_without_address(plain: dict[str, Any]) -> Wrong:
    if any(_find(plain, ("dns", "block_page", "*"))):
        return
    for pattern in ("dns.block_answer", "tiers.*.block_answer"):
        for path, value in _texts(plain, pattern):
            if value == "page":
                yield path, "a block page needs its addresses in dns.block_page"


def _same_listen_twice(plain: dict[str, Any]) -> Wrong:
    """Workers share their ports (SO_REUSEPORT), so the kernel would refuse nothing and give each service a part of the connections."""
    seen: dict[tuple[str, int], Path] = {}
    for path, text in _listens(plain):
        try:
            place = parse_listen(text)
        except ValueError:
            continue
        first = seen.setdefault(place, path)
        if first != path:
            yield path, f"{text} is listened on already ({_written(first)})"


def _listens(plain: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """The addresses for DNS, those that are not written included."""
    servers: tuple[tuple[str, str, type[BaseModel]], ...] = (
        ("dns", "listen", Dns), ("dns.tls", "listen", Tls), ("dns.tls", "https_listen", Tls), ("zones", "listen", Zones),
        ("block_page", "listen", BlockPage), ("block_page", "https_listen", BlockPage),
    )  # fmt: skip
    for section, key, default in servers:
        for path, value in _find(plain, section.split(".")):
            if isinstance(value, dict) and key not in value:
                yield from (((*path, key), text) for text in default.model_fields[key].default)
        yield from _texts(plain, f"{section}.{key}.*")
    yield from _texts(plain, "dashboard.listen")


def _zones(plain: dict[str, Any]) -> Wrong:
    """Zones that nobody could fetch, or that anybody could."""
    section = plain.get("zones")
    zones = list(_find(plain, ("zones", "zones", "*")))
    if not isinstance(section, dict) or not zones:
        return
    if not section.get("listen"):
        yield ("zones",), "without listen nobody can fetch the zones"
    seen: dict[str, Path] = {}
    for path, zone in zones:
        if not isinstance(zone, dict):
            continue
        name = _parsed(_NAME.validate_python, zone.get("name", ""))
        first = seen.setdefault(name, path) if name else path
        if first != path:
            yield (*path, "name"), f'another zone has the name "{name}" ({_written(first)})'
        signed = _parsed(_BOOLEAN.validate_python, zone.get("sign", Zone.model_fields["sign"].default))
        if signed and "key" not in section:
            yield path, "a transfer is signed unless the zone says sign: false, and there is no zones.key to sign with"
        elif signed is False and not zone.get("secondaries"):
            yield path, "a zone that is not signed needs secondaries: who may fetch it?"


def _written(path: Path) -> str:
    return ".".join(map(str, path))

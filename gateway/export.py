"""A tier's rules as a list for other programs: a response policy zone, hosts, dnsmasq, Unbound, Adblock.

What each format can say of a name differs, and what it cannot is left out rather than made into something else: its first lines
say what that is, and its last line how many rules it was. With the lists' licences and attributions they stand in a comment at the
top, since several licences (CC BY-SA) ask for that wherever the names go.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from filters.domain_index import DomainIndex
from gateway.effect import BLOCK, OPEN, Effect, Node
from gateway.zones.records import EXPIRE, NAME_SERVER, REFRESH, RETRY, TTL, records

Step = Callable[[int], None]
"""moves a progress bar by so many names"""
_STRIDE = 10_000
Lines = Iterator[str | None]
"""lines of one rule; None: a rule that the format cannot say"""


@dataclass(frozen=True, slots=True)
class Format:
    id: str
    comment: str
    """what a line of comment begins with"""
    rules: Callable[[Iterator[Node], Effect], Lines]
    limits: tuple[str, ...] = ()
    """what the format cannot say"""
    preamble: tuple[str, ...] = ()


def export(form: Format, effect: Effect, tier: str, now: float, step: Step = lambda _: None) -> Iterator[str]:
    """The lines of the whole list, without their ends. ``now`` is Unix seconds."""
    yield from (f"{form.comment} {line}".rstrip() for line in heading(effect.index, tier, now, form.limits))
    yield from (line.format(serial=int(now) & 0xFFFFFFFF) for line in form.preamble)
    unsaid = 0
    for line in form.rules(_stepping(effect.nodes(), step), effect):
        if line is None:
            unsaid += 1
        else:
            yield line
    if unsaid:
        yield f"{form.comment} {unsaid} rules cannot be said in this format and were left out."


def heading(index: DomainIndex, tier: str, now: float, limits: tuple[str, ...] = ()) -> Iterator[str]:
    """What anyone who meets the list must know of it: what it is, where it comes from, under which licences."""
    yield f"Mạng Lành: what the tier {tier} blocks"
    yield f"bundle {index.identity}, built {_date(index.built_at)}, exported {_date(now)}"
    yield from limits
    if index.conditional:
        yield f"{len(index.conditional)} rules with a regular expression, a query type or a condition are left out."
    yield "Lists, with their licences:"
    for source in index.sources:
        origin = (source.licence, source.authority, source.document, source.url)
        yield "  " + ", ".join((f"{source.name} ({source.category})", *filter(None, map(_one_line, origin))))


def _date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC") if at else "at an unknown time"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _stepping(nodes: Iterator[Node], step: Step) -> Iterator[Node]:
    for number, node in enumerate(nodes, 1):
        if number % _STRIDE == 0:
            step(_STRIDE)
        yield node


def _rpz(nodes: Iterator[Node], effect: Effect) -> Lines:
    for owner, target in records(nodes, effect):
        yield f"{owner} CNAME {target}"


def _hosts(nodes: Iterator[Node], _: Effect) -> Lines:
    """Every blocked name by itself: what covers it above says nothing here."""
    for node in nodes:
        if node.itself == BLOCK:
            yield f"0.0.0.0 {node.name}"
        elif node.itself != OPEN or (node.below == BLOCK and node.matters):
            yield None


def _dnsmasq(nodes: Iterator[Node], _: Effect) -> Lines:
    """``/name/`` covers the name and all below, ``/*.name/`` all below; the more specific one wins (dnsmasq(8), --server)."""
    for node in nodes:
        itself = _without_rewrite(node)
        if node.itself not in {OPEN, BLOCK}:
            yield None
        if not node.name:
            yield "address=/#/"
        elif itself == node.below:
            if itself != node.inherited:
                yield _DNSMASQ[itself].format(node.name)
        else:
            if itself != node.inherited or itself == BLOCK:
                yield _DNSMASQ[itself].format(node.name)
            yield _DNSMASQ[node.below].format(f"*.{node.name}")


_DNSMASQ = {BLOCK: "address=/{}/", OPEN: "server=/{}/#"}


def _unbound(nodes: Iterator[Node], _: Effect) -> Lines:
    """A local zone covers its name and all below; the closest one counts (unbound.conf(5), local-zone)."""
    for node in nodes:
        name = node.name + "."
        if node.itself not in {OPEN, BLOCK}:
            yield f'local-zone: "{name}" redirect'
            yield f'local-data: "{name} {TTL} CNAME {node.itself}."'
        elif not node.matters:
            continue
        elif node.itself == node.below or not node.name:
            yield f'local-zone: "{name}" {"always_nxdomain" if node.below == BLOCK else "always_transparent"}'
        elif node.itself == BLOCK:
            yield f'local-zone: "{name}" transparent'
            yield f'local-data: "{name} {TTL} A 0.0.0.0"'
            yield f'local-data: "{name} {TTL} AAAA ::"'
        else:
            yield None


def _adblock(nodes: Iterator[Node], effect: Effect) -> Lines:
    """An exception outweighs every block around it, and only ``$important`` outweighs an exception (AdGuard, DNS filtering syntax)."""
    for node in nodes:
        itself = _without_rewrite(node)
        if node.itself not in {OPEN, BLOCK}:
            yield None
        parts = ((f"||{node.name}^", itself),) if itself == node.below else ((f"|{node.name}^", itself), (f"||*.{node.name}^", node.below))
        if not node.name:
            parts = (("/./", BLOCK),)
        for pattern, action in parts:
            if action != node.inherited:
                yield _adblock_rule(pattern, action, effect.turns(node.name))


def _adblock_rule(pattern: str, action: str, turns: int) -> str | None:
    """Block, exception, important block, important exception: each outweighs those before it, and there is no fifth."""
    if turns > 3:
        return None
    return ("" if action == BLOCK else "@@") + pattern + ("$important" if turns > 1 else "")


def _without_rewrite(node: Node) -> str:
    return OPEN if node.itself != BLOCK else BLOCK


_NO_REWRITE = "Safe search of search engines and YouTube's restricted mode cannot be said in this format: see the formats rpz and unbound."

FORMATS = {
    form.id: form
    for form in (
        Format(
            "rpz",
            ";",
            _rpz,
            preamble=(
                f"$TTL {TTL}",
                f"@ SOA {NAME_SERVER} {NAME_SERVER} {{serial}} {REFRESH} {RETRY} {EXPIRE} {TTL}",
                f"@ NS {NAME_SERVER}",
            ),
        ),
        Format(
            "hosts", "#", _hosts, ("A hosts file covers no name below the listed ones: this list blocks less than the others.", _NO_REWRITE)
        ),
        Format("dnsmasq", "#", _dnsmasq, (_NO_REWRITE,)),
        Format("unbound", "#", _unbound, ("Where only what is below a name is blocked, that is left out.",), ("server:",)),
        Format("adblock", "!", _adblock, (_NO_REWRITE,)),
    )
}

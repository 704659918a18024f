"""`manglanh explain`: what becomes of a name for one client, and why."""

import time
from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated

import typer

from dashboard.catalogue import Translate
from gateway.cli.options import CLIENT, CONFIG, JSON, RTYPE
from gateway.cli.terminal import BAD_USE, CommandError, print_json, terminal

if TYPE_CHECKING:
    from gateway.cli.school import School


def explain(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name, for example fun88.com.")],
    *,
    client: CLIENT,
    rtype: RTYPE = "A",
    at: Annotated[str, typer.Option("--at", help="When: 10:30, or 2027-01-31 10:30. Default: now.")] = "",
    config: CONFIG = None,
    as_json: JSON = False,
) -> None:
    """Say what becomes of a name for one client, and why: the whole ladder."""
    from dnslib import QTYPE

    from dashboard.insight.explanation import Asked, to_json
    from dashboard.insight.explanation import explain as explained
    from filters.name import InvalidName, normalise
    from gateway.cli.explanation import to_lines
    from gateway.cli.school import find, opened
    from gateway.clock import Clock

    speaker = terminal(context)
    _ = speaker.translate
    number = QTYPE.reverse.get(rtype.upper())
    if number is None:
        raise CommandError(_("{text} is not a query type such as A, AAAA or HTTPS.").format(text=rtype), BAD_USE)
    try:
        canonical = normalise(name)
    except InvalidName as error:
        raise CommandError(_("{text} is not a name: {why}").format(text=name, why=error), BAD_USE) from None
    with opened(find(config, _), _) as school:
        moment = _moment(at, school.file.school.timezone, _)
        policy = school.policy(_group(school, client, _), moment, trusted=bool(at) or Clock().trusted)
        found = explained(Asked(canonical, number, rtype.upper(), client, moment), policy, school.index, school.file.school.timezone)
    if as_json:
        print_json(to_json(found, speaker.language))
    else:
        typer.echo("\n".join(to_lines(found, speaker.language, _)))


def _moment(at: str, timezone: str, _: Translate) -> float:
    from gateway.cli.durations import parse_moment

    if not at:
        return time.time()
    try:
        return parse_moment(at, time.time(), timezone)
    except ValueError:
        raise CommandError(_("{text} is not a time such as 10:30 or 2027-01-31 10:30.").format(text=at), BAD_USE) from None


def _group(school: "School", client: str, _: Translate) -> str:
    """The group behind an address; the device table is asked through the neighbour table where a group names MACs."""
    from gateway.netlink import neighbours

    try:
        mac = neighbours().get(ip_address(client).packed) if school.directory.uses_macs else None
        group = school.directory.group(client, mac)
    except ValueError:
        raise CommandError(_("{text} is not an address.").format(text=client), BAD_USE) from None
    if group is None:
        raise CommandError(_("{client} is not in dns.allow_from: it gets no answer at all.").format(client=client))
    return group

"""`manglanh check`: is the school file right, and can its lists be used?"""

from typing import TYPE_CHECKING, Any

import typer

from dashboard.catalogue import Translate
from gateway.cli.options import CONFIG, JSON
from gateway.cli.terminal import NO, print_json, terminal

if TYPE_CHECKING:
    from gateway.cli.school import School


def check(context: typer.Context, config: CONFIG = None, as_json: JSON = False) -> None:
    """Check the school file and its lists. Every error is named as file:line:col."""
    from gateway.cli.school import find, opened

    speaker = terminal(context)
    _ = speaker.translate
    with opened(find(config, _), _) as school:
        found = summary(school)
    if as_json:
        print_json(found)
    else:
        typer.echo("\n".join(lines(found, _)))
    raise typer.Exit(NO if found["lists"]["trouble"] else 0)


def summary(school: "School") -> dict[str, Any]:
    """What the file and the lists come to, as JSON shows it."""
    return {
        "file": str(school.path),
        "school": school.file.school.name,
        "groups": [
            {"name": group.name, "title": group.title, "tier": group.tier, "clients": [str(client) for client in group.clients]}
            for group in school.snapshot.groups.values()
        ],
        "lists": {
            "names": school.index.names,
            "starter": school.starter,
            "identity": school.index.identity,
            "trouble": school.trouble,
        },
        "state": list(school.snapshot.problems),
    }


def lines(found: dict[str, Any], _: Translate) -> list[str]:
    lists = found["lists"]
    text = [_("{file}: no errors. {school}").format(file=found["file"], school=found["school"])]
    for group in found["groups"]:
        clients = ", ".join(group["clients"]) or _("everybody else")
        text.append(f"  {group['name']:<16} {group['tier']:<10} {clients}")
    if lists["starter"]:
        text.append(_("Lists: the starter lists, {names} names; no bundle yet.").format(names=lists["names"]))
    else:
        text.append(_("Lists: {names} names, bundle {identity}.").format(names=lists["names"], identity=lists["identity"][:12]))
    if lists["trouble"]:
        text.append(_("The newest lists are refused: {why}").format(why=lists["trouble"]))
    return text + [_("The state names something unknown: {what}").format(what=problem) for problem in found["state"]]

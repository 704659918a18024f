"""`manglanh check`: is the school file right, and the files that it names, and can its lists be used?"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dashboard.catalogue import Translate
from filters.message import said
from gateway.cli.options import CONFIG, JSON
from gateway.cli.terminal import BAD_USE, NO, CommandError, print_json, terminal

if TYPE_CHECKING:
    from gateway.cli.school import School
    from policies.model import SchoolFile
    from policies.province import Province


def check(context: typer.Context, config: CONFIG = None, as_json: JSON = False) -> None:
    """Check the school file and its lists. Every error is named as file:line:col."""
    from gateway.cli.school import find, opened

    speaker = terminal(context)
    _ = speaker.translate
    with opened(find(config, _), _) as school:
        province, wrong = named_files(school.file, school.path, _)
        if wrong:
            raise CommandError("\n".join(wrong), BAD_USE)
        found = summary(school, province)
    if as_json:
        print_json(found)
    else:
        typer.echo("\n".join(lines(found, _)))
    raise typer.Exit(NO if found["lists"]["trouble"] else 0)


def named_files(file: "SchoolFile", path: Path, _: Translate) -> tuple["Province | None", list[str]]:
    """The province's file, and what is wrong with it, with its trusted root, and with the secret of the zones."""
    from policies.load import ConfigError
    from policies.province import load_province, province_path

    province, wrong = None, []
    if file.school.province is not None:
        try:
            province = load_province(province_path(path, file.school.province))
        except ConfigError as error:
            wrong.append(said(error, _))
    if province is not None and province.publisher is not None:
        wrong += _root_faults(province.publisher.root, _)
    if file.zones.key is not None:
        wrong += _secret_faults(path.parent / file.zones.key.secret_file, _)
    return province, wrong


def _root_faults(path: Path, _: Translate) -> Iterator[str]:
    """Is this the root that a trusted publisher's keys start from (TUF specification 1.0, section 5.1)?"""
    from tuf.api.exceptions import RepositoryError
    from tuf.api.metadata import Metadata, Root

    try:
        found = Metadata[Root].from_bytes(path.read_bytes())
        is_root = isinstance(found.signed, Root)
        if is_root:
            found.signed.verify_delegate(Root.type, found.signed_bytes, found.signatures)
    except OSError as error:
        yield _("{path} cannot be read: {why}").format(path=path, why=error.strerror)
        return
    except RepositoryError:
        is_root = False
    if not is_root:
        yield _("{path}: not the trusted root of a publisher (publisher.root); ask the province for its root.json").format(path=path)


def _secret_faults(path: Path, _: Translate) -> Iterator[str]:
    from policies.transfer_secret import BadSecret, parse_secret

    try:
        parse_secret(path.read_bytes())
        mode = path.stat().st_mode
    except OSError as error:
        yield _("{path} cannot be read: {why}").format(path=path, why=error.strerror)
    except BadSecret as error:
        yield _("{path}: {why} (zones.key.secret_file)").format(path=path, why=error)
    else:
        if mode & 0o007:
            yield _("{path}: everybody on this machine can read the secret; close it with: chmod o= {path}").format(path=path)


def summary(school: "School", province: "Province | None" = None) -> dict[str, Any]:
    """What the files and the lists come to, as JSON shows it."""
    return {
        "file": str(school.path),
        "school": school.file.school.name,
        "province": None
        if province is None
        else {"name": province.name, "publisher": list(province.publisher.urls) if province.publisher else []},
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
    lists, province = found["lists"], found["province"]
    text = [_("{file}: no errors. {school}").format(file=found["file"], school=found["school"])]
    if province:
        text.append(_("Province: {name}").format(name=province["name"]))
        text += [_("Signed lists come from {url}").format(url=url) for url in province["publisher"]]
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

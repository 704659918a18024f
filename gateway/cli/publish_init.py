"""`manglanh publish init`: a province's repository, from the public keys that its authorities sent, or as a trial on one computer."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Annotated

import typer

from dashboard.catalogue import Translate
from gateway.cli.passphrases import PASSPHRASE_FILE, Passphrases
from gateway.cli.publish_lists import refusals
from gateway.cli.terminal import BAD_USE, CommandError, terminal

if TYPE_CHECKING:
    from securesystemslib.signer import Key, Signer

    from blocklists.publisher.workspace import Workspace

TRIAL = {
    "root": ["authority-1", "authority-2", "list-team"],
    "mandatory": ["authority-1", "authority-2"],
    "categories": ["list-team"],
    "learning": ["list-team"],
    "province": ["list-team"],
}
MACHINE = "online"
"""the key of the machine that publishes, if it is not given"""
TWO = ("root", "mandatory")
"""the roles that need two signatures where there are two keys"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Role -> its keys, each a path of a public key or the name of one that is to be made here; and how many must sign."""

    keys: dict[str, list[str]]
    thresholds: dict[str, int]


def init(
    context: typer.Context,
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="The publisher's folder.")] = Path(),
    *,
    name: Annotated[str, typer.Option("--name", help="The province, for example: Tỉnh Lào Cai.")] = "",
    root_key: Annotated[
        list[str] | None,
        typer.Option(
            "--root-key", metavar="KEY", help="Who holds the root: NAME.pub.json, or a name, and the key is made here. Repeat it."
        ),
    ] = None,
    root_threshold: Annotated[
        int | None, typer.Option("--root-threshold", min=1, help="How many of them must sign a change of keys. Default: 2.")
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key", metavar="ROLE=KEY", help="Who signs a list, for example categories=team.pub.json. Default: mandatory as the root."
        ),
    ] = None,
    threshold: Annotated[
        list[str] | None, typer.Option("--threshold", metavar="ROLE=N", help="How many must sign it. Default: mandatory 2, others 1.")
    ] = None,
    trial: Annotated[bool, typer.Option("--trial", help="Make all keys here, to try it out.")] = False,
    passphrase_file: PASSPHRASE_FILE = None,
) -> None:
    """Make a publisher's folder: who may sign what. Keys that are made here sign at once."""
    _ = terminal(context).translate
    province = name or typer.prompt(_("The province's name"))
    held = list(root_key or ()) or ([] if trial else _ask_keys(_))
    wanted = _wanted(held, root_threshold, key or [], threshold or [], _)
    secrets = Passphrases(passphrase_file, _)
    with refusals(_("Nothing was made:"), _):
        _check(directory, wanted, _)
        phrases = {text: secrets.new(text) for text in _new_names(wanted)}
        workspace, signers = _make(directory, province, wanted, phrases)
    _report(workspace, signers, wanted, _)


def _ask_keys(_: Translate) -> list[str]:
    """The files that the authorities sent; none: a trial."""
    if not sys.stdin.isatty():
        raise CommandError(_("Say who holds the root (--root-key NAME.pub.json, repeated), or --trial."), BAD_USE)
    answer: str = typer.prompt(
        _("The authorities' public keys (NAME.pub.json, spaces between them; empty: a trial with all keys here)"),
        default="",
        show_default=False,
    )
    return answer.split()


def _wanted(root: list[str], root_threshold: int | None, keys: list[str], thresholds: list[str], _: Translate) -> Wanted:
    from blocklists.channels import CHANNELS
    from blocklists.publisher.roles import ONLINE, ROOT

    roles = (ROOT, ONLINE, *CHANNELS)
    chosen = {role: list(held) for role, held in TRIAL.items()} if not root else {ROOT: root}
    given: dict[str, list[str]] = {}
    for role, text in _pairs(keys, roles, _):
        given.setdefault(role, []).append(text)
    chosen |= given
    chosen.setdefault("mandatory", chosen[ROOT])
    chosen.setdefault(ONLINE, [MACHINE])
    counts = {role: min(2, len(held)) if role in TWO else 1 for role, held in chosen.items()}
    for role, text in _pairs(thresholds, roles, _):
        if not text.isdigit() or not int(text):
            raise CommandError(_("{text} is not a number of signatures").format(text=text), BAD_USE)
        counts[role] = int(text)
    return Wanted(chosen, counts | ({ROOT: root_threshold} if root_threshold else {}))


def _pairs(texts: list[str], roles: tuple[str, ...], _: Translate) -> Iterable[tuple[str, str]]:
    for text in texts:
        role, _sign, value = text.partition("=")
        if role not in roles or not value:
            raise CommandError(_("{text}: write ROLE=..., with one of: {known}").format(text=text, known=", ".join(roles)), BAD_USE)
        yield role, value


def _is_file(text: str) -> bool:
    return text.endswith(".json") or Path(text).exists()


def _new_names(wanted: Wanted) -> list[str]:
    return list(dict.fromkeys(text for texts in wanted.keys.values() for text in texts if not _is_file(text)))


def _check(directory: Path, wanted: Wanted, _: Translate) -> None:
    """What can be wrong, before a passphrase is asked or a file is written. Raises CommandError, PublishError."""
    from blocklists.publisher.keys import check_name, read_public_key
    from blocklists.publisher.workspace import SETTINGS

    if (directory / SETTINGS).exists():
        raise CommandError(_("{folder} is a publisher's folder already; nothing was changed").format(folder=directory))
    for role, texts in wanted.keys.items():
        if len(set(texts)) < wanted.thresholds.get(role, 1):
            raise CommandError(
                _("{role}: {threshold} signatures of {count} keys are not possible").format(
                    role=role, threshold=wanted.thresholds[role], count=len(set(texts))
                ),
                BAD_USE,
            )
        for text in texts:
            if _is_file(text):
                read_public_key(Path(text))
            else:
                check_name(text)


def _make(directory: Path, province: str, wanted: Wanted, phrases: dict[str, str]) -> "tuple[Workspace, dict[str, Signer]]":
    """The folder, with root and targets staged and signed by the people's keys that were made here."""
    from blocklists.channels import CHANNELS
    from blocklists.publisher.ceremony import stage_first
    from blocklists.publisher.first_lists import write_first_lists
    from blocklists.publisher.keys import new_key, read_public_key
    from blocklists.publisher.roles import ONLINE, ROOT, RoleKeys
    from blocklists.publisher.settings import Settings
    from blocklists.publisher.signing import sign
    from blocklists.publisher.workspace import create_workspace

    files = {text: read_public_key(Path(text)) for texts in wanted.keys.values() for text in texts if _is_file(text)}
    workspace = create_workspace(directory, Settings(name=province))
    write_first_lists(workspace, [role for role in CHANNELS if role in wanted.keys])
    made: dict[str, Signer] = {text: new_key(workspace.keys, text, phrase) for text, phrase in phrases.items()}
    public: dict[str, Key] = files | {text: signer.public_key for text, signer in made.items()}
    held = {
        role: RoleKeys(tuple(public[text] for text in dict.fromkeys(texts)), wanted.thresholds[role]) for role, texts in wanted.keys.items()
    }
    now = time()
    stage_first(workspace, held[ROOT], held[ONLINE], {role: held[role] for role in CHANNELS if role in held}, now)
    for signer in made.values():
        sign(workspace, signer, None, now)
    return workspace, made


def _report(workspace: "Workspace", signers: "dict[str, Signer]", wanted: Wanted, _: Translate) -> None:
    from blocklists.channels import CHANNELS
    from blocklists.publisher.state import load_state
    from gateway.cli.publish_words import change_lines, standing_line

    state = load_state(workspace)
    for role in ("root", "targets"):
        typer.echo("\n".join(change_lines(workspace, state, role, _)))
    if signers:
        typer.echo(
            _("Keys made here: {names}. Keep {folder} and the passphrases safe.").format(names=", ".join(signers), folder=workspace.keys)
        )
    bare = [role for role in CHANNELS if role not in wanted.keys]
    if bare:
        typer.echo(
            _("Nobody may sign these yet: {roles}. Later: manglanh publish key add ROLE NAME.pub.json").format(roles=", ".join(bare))
        )
    for role in ("root", "targets"):
        typer.echo(standing_line(state, role, _))
    if all(state.standing(role).complete for role in ("root", "targets")):
        typer.echo(_("Next: manglanh publish add NAME, stage, sign, release"))
    else:
        typer.echo(
            _(
                "Next: each of them signs in a copy of this folder (manglanh publish sign --key NAME.pem); then: manglanh publish collect COPY"
            )
        )

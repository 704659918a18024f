"""`manglanh publish ...`: a province's publisher. Trust is here and in publish_keys.py, content in publish_lists.py."""

from dataclasses import asdict
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Annotated

import typer

from dashboard.catalogue import Translate
from gateway.cli import publish_init, publish_keys, publish_lists
from gateway.cli.options import FOLDER, JSON
from gateway.cli.passphrases import PASSPHRASE_FILE, Passphrases
from gateway.cli.publish_lists import HERE, refusals
from gateway.cli.terminal import BAD_USE, NO, CommandError, print_json, terminal

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

    from blocklists.publisher.state import State
    from blocklists.publisher.workspace import Workspace

ROLES = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ROLE]...", help="root, targets, mandatory, categories, learning or province. Default: all that wait."),
]
YES = Annotated[bool, typer.Option("--yes", help="Do not ask; for scripts.")]

app = typer.Typer(no_args_is_help=True, help="Publish a province's lists: edit, stage, sign, release.")
app.command("init")(publish_init.init)
app.add_typer(publish_keys.app, name="key")
for _name in ("add", "remove", "fetch", "stage", "diff"):
    app.command(_name)(getattr(publish_lists, _name))


@app.command("sign")
def sign_command(
    context: typer.Context,
    roles: ROLES = None,
    *,
    keys: Annotated[
        list[str] | None,
        typer.Option(
            "--key", metavar="KEY", help="NAME.pem or NAME.uri, or a name in keys/; may be repeated. Default: all that are in keys/."
        ),
    ] = None,
    yes: YES = False,
    passphrase_file: PASSPHRASE_FILE = None,
    folder: FOLDER = HERE,
) -> None:
    """Show what waits, and sign it with a key of this computer."""
    from blocklists.publisher.keys import open_signer
    from blocklists.publisher.signing import sign, waiting_bytes
    from blocklists.publisher.state import load_state
    from gateway.cli.publish_words import change_lines, standing_line

    _ = terminal(context).translate
    with refusals(_("Not signed:"), _):
        workspace = _workspace(folder)
        state = load_state(workspace)
        wanted = _to_sign(workspace, state, keys or [], roles or [], _)
        shown = waiting_bytes(state)
        roles = list(dict.fromkeys(role for found in wanted.values() for role in found))
        changes = [line for role in roles for line in change_lines(workspace, state, role, _)]
    typer.echo("\n".join(changes))
    if not yes and not typer.confirm(_("Sign this?"), err=True):
        raise CommandError(_("Not signed."))
    with refusals(_("Not signed:"), _):
        secrets = Passphrases(passphrase_file, _)
        signers = {key: open_signer(key, secrets.of) for key in wanted}  # all of them first: a wrong passphrase signs nothing
        signed = {key: sign(workspace, signers[key], found, time(), shown) for key, found in wanted.items()}
        state = load_state(workspace)
    for key, found in signed.items():
        typer.echo(_("Signed with {name}: {roles}").format(name=key.stem, roles=", ".join(found)))
    for role in roles:
        typer.echo(standing_line(state, role, _))


def _to_sign(workspace: "Workspace", state: "State", keys: list[str], roles: list[str], _: Translate) -> dict[Path, list[str]]:
    """Private file -> the roles that it is to sign."""
    from blocklists.publisher.keys import ELSEWHERE, PRIVATE, PUBLIC, private_keys, read_public_key
    from blocklists.publisher.signing import to_sign

    if not keys:
        found = {path: to_sign(state, keyid) for keyid, path in private_keys(workspace.keys).items()}
        wanted = {path: [role for role in may if not roles or role in roles] for path, may in found.items()}
    else:
        named = [_private(workspace, text, (PRIVATE, ELSEWHERE), _) for text in keys]
        ids = {path: read_public_key(path.with_name(path.stem + PUBLIC)).keyid for path in named}
        wanted = {path: roles or to_sign(state, keyid) for path, keyid in ids.items()}
    wanted = {path: found for path, found in wanted.items() if found}
    if not wanted:
        text = _(
            "There is nothing to sign with the keys of this computer; see: manglanh publish status. A key that is elsewhere: --key FILE"
        )
        raise CommandError(text)
    return wanted


def _private(workspace: "Workspace", text: str, endings: tuple[str, ...], _: Translate) -> Path:
    """The private file that a person means by its path, or by a name in keys/."""
    candidates = [Path(text), *(workspace.keys / f"{text}{ending}" for ending in endings)]
    for path in candidates:
        if path.suffix in endings and path.is_file():
            return path
    raise CommandError(_("{key}: there is no such private key; give the path of its .pem file").format(key=text), BAD_USE)


@app.command("copy")
def copy_command(
    context: typer.Context,
    to: Annotated[Path, typer.Argument(metavar="DIR", help="Where to, for example on a USB stick; made, and must not hold anything yet.")],
    *,
    folder: FOLDER = HERE,
) -> None:
    """Copy what somebody needs to look at what waits and sign it on another computer. Private keys stay here."""
    from blocklists.publisher.copying import copy

    _ = terminal(context).translate
    with refusals(_("Nothing was copied:"), _):
        size = copy(_workspace(folder), to)
    typer.echo(_("Copied: {folder}, {size} bytes, no private key.").format(folder=to, size=size))
    typer.echo(
        _("There: manglanh publish sign --folder {folder} --key NAME.pem. Back here: manglanh publish collect {folder}").format(folder=to)
    )


@app.command("collect")
def collect_command(
    context: typer.Context,
    other: Annotated[Path, typer.Argument(metavar="DIR", help="A copy of the publisher's folder that came back from somebody who signed.")],
    *,
    folder: FOLDER = HERE,
) -> None:
    """Take over the signatures that were given in a copy of this folder."""
    from blocklists.publisher.lists import follow_taken
    from blocklists.publisher.signing import collect
    from gateway.cli.publish_words import collected_line

    _ = terminal(context).translate
    with refusals(_("Nothing was taken over:"), _):
        workspace = _workspace(folder)
        found = collect(workspace, other)
        behind = [table for one in found if one.outcome == "taken" and (table := follow_taken(workspace, one.role))]
    for one in found:
        typer.echo(collected_line(one, _))
    for table in behind:
        text = _(
            "{file} here has changes of its own and was not touched: put into it what was taken over, or `publish stage` will undo it."
        )
        typer.echo(text.format(file=table), err=True)
    if not found:
        typer.echo(_("Nothing waits in {folder}.").format(folder=other))
    if not any(one.outcome in {"merged", "taken", "same"} for one in found):
        raise typer.Exit(NO)


@app.command("status")
def status_command(context: typer.Context, *, folder: FOLDER = HERE, as_json: JSON = False) -> None:
    """Say who has signed what, what is missing, and what expires when."""
    from blocklists.publisher.status import status
    from gateway.cli.publish_words import concern_line, status_lines

    _ = terminal(context).translate
    with refusals(_("The folder cannot be read:"), _):
        found = status(_workspace(folder), time())
    if as_json:
        print_json(asdict(found))
        return
    typer.echo("\n".join(status_lines(found, _)))
    for concern in found.concerns:
        typer.echo(concern_line(concern, _), err=True)


@app.command("release")
def release_command(
    context: typer.Context,
    *,
    urgent: Annotated[bool, typer.Option("--urgent", help="Only lists; changes of keys wait for the next release.")] = False,
    passphrase_file: PASSPHRASE_FILE = None,
    folder: FOLDER = HERE,
    as_json: JSON = False,
) -> None:
    """Release everything that is completely signed; then the web server has it, and schools take it within a minute."""
    from blocklists.publisher.releasing import release
    from gateway.cli.publish_words import released_lines, standing_line

    _ = terminal(context).translate
    with refusals(_("Nothing was released:"), _):
        workspace = _workspace(folder)
        state = _state(workspace)
        complete = any(state.standing(role).complete for role in _waiting(state))
        for role in [] if complete or as_json else _waiting(state):
            typer.echo(standing_line(state, role, _), err=True)
        signers = _online(workspace, state, Passphrases(passphrase_file, _)) if complete or not _waiting(state) else []
        released = release(workspace, signers, time(), urgent=urgent)
    if as_json:
        print_json(asdict(released))
    else:
        typer.echo("\n".join(released_lines(released, _)))
        if "root" in released.roles:
            text = _("Serve {folder} with any web server. New schools need {root}.")
            typer.echo(text.format(folder=workspace.metadata.parent, root=workspace.root_file))


@app.command("refresh")
def refresh_command(
    context: typer.Context, *, passphrase_file: PASSPHRASE_FILE = None, folder: FOLDER = HERE, as_json: JSON = False
) -> None:
    """Sign the release's timestamp again before it expires; for cron, once an hour or a day. Warns of what people must sign soon."""
    from blocklists.publisher.releasing import refresh
    from blocklists.publisher.status import status
    from gateway.cli.publish_words import concern_line

    _ = terminal(context).translate
    with refusals(_("Not refreshed:"), _):
        workspace = _workspace(folder)
        now = time()
        done = refresh(workspace, _online(workspace, _state(workspace), Passphrases(passphrase_file, _)), now)
        # What is only missing a spare key would be said every hour, and hide what must be done now.
        concerns = [concern for concern in status(workspace, now).concerns if concern.kind != "no-spare"]
    if as_json:
        print_json({"refreshed": done is not None, "concerns": [asdict(concern) for concern in concerns]})
    elif done is not None:
        typer.echo(_("Refreshed: release {version}.").format(version=done.version))
    else:
        typer.echo(_("Not needed yet."))
    for concern in [] if as_json else concerns:
        typer.echo(concern_line(concern, _), err=True)
    if any(concern.kind == "expired" for concern in concerns):
        raise typer.Exit(NO)


@app.command("renew")
def renew_command(
    context: typer.Context,
    roles: Annotated[list[str], typer.Argument(metavar="ROLE...", help="root, targets, mandatory, categories, learning or province.")],
    *,
    folder: FOLDER = HERE,
) -> None:
    """Stage what is released once more, with a new date, because it expires soon. It must be signed and released."""
    from blocklists.publisher.staging import renew

    _ = terminal(context).translate
    with refusals(_("Nothing was renewed:"), _):
        workspace = _workspace(folder)
        for role in roles:
            renew(workspace, role, time())
    typer.echo(_("Waiting for signatures: {roles}. Next: manglanh publish sign").format(roles=", ".join(roles)))


@app.command("discard")
def discard_command(
    context: typer.Context,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="root, targets, mandatory, categories, learning or province.")],
    *,
    yes: YES = False,
    folder: FOLDER = HERE,
) -> None:
    """Throw away what waits for a role, with its signatures. What is released stays."""
    from blocklists.publisher.staging import discard

    _ = terminal(context).translate
    with refusals(_("Nothing was thrown away:"), _):
        workspace = _workspace(folder)
    if not yes and not typer.confirm(_("Throw away what waits for {role}?").format(role=role), err=True):
        raise CommandError(_("Nothing was thrown away."))
    with refusals(_("Nothing was thrown away:"), _):
        discard(workspace, role)
    typer.echo(_("{role}: thrown away.").format(role=role))


def _waiting(state: "State") -> list[str]:
    from blocklists.publisher.roles import PEOPLES

    return [role for role in PEOPLES if state.waiting(role) is not None]


def _online(workspace: "Workspace", state: "State", secrets: Passphrases) -> "list[Signer]":
    """The keys of snapshot and timestamp that are on this computer; while they change, the old ones and the new ones."""
    from blocklists.publisher.keys import open_signer, private_keys
    from blocklists.publisher.roles import SNAPSHOT, TIMESTAMP, keys_of

    roots = [root.signed for root in (state.root, state.staged_root) if root is not None]
    wanted = {key.keyid for root in roots for role in (SNAPSHOT, TIMESTAMP) for key in keys_of(root, role).keys}
    return [open_signer(path, secrets.of) for keyid, path in private_keys(workspace.keys).items() if keyid in wanted]


def _state(workspace: "Workspace") -> "State":
    from blocklists.publisher.state import load_state

    return load_state(workspace)


def _workspace(folder: Path) -> "Workspace":
    from blocklists.publisher.workspace import open_workspace

    return open_workspace(folder)

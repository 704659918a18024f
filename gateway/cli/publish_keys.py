"""`manglanh publish key new|add|rotate|revoke|show`: whose signature counts for what."""

from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Annotated

import typer

from dashboard.catalogue import Translate
from gateway.cli.options import FOLDER, JSON
from gateway.cli.passphrases import PASSPHRASE_FILE, Passphrases
from gateway.cli.publish_lists import HERE, refusals
from gateway.cli.terminal import BAD_USE, CommandError, print_json, terminal

if TYPE_CHECKING:
    from securesystemslib.signer import Key

    from blocklists.publisher.roles import KeyChange
    from blocklists.publisher.workspace import Workspace

ROLE = Annotated[
    str, typer.Argument(metavar="ROLE", help="root, online (snapshot and timestamp), mandatory, categories, learning or province.")
]
THRESHOLD = Annotated[
    int | None, typer.Option("--threshold", min=1, help="How many signatures the role needs from then on. Default: as many as now.")
]

app = typer.Typer(no_args_is_help=True, help="Keys: make one, and say whose signature counts for what.")


@app.command("new")
def new_command(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is: so-gddt, cong-an-tinh, ...")],
    *,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIR", help="Where to. Default: keys/ of the publisher's folder here, or the current one."),
    ] = None,
    uri: Annotated[
        str, typer.Option("--uri", help="The key is kept elsewhere: hsm:..., gcpkms:..., awskms:..., azurekms:... Needs --public-key.")
    ] = "",
    public_key: Annotated[Path | None, typer.Option("--public-key", metavar="FILE", help="With --uri: the public key, a PEM file.")] = None,
    passphrase_file: PASSPHRASE_FILE = None,
) -> None:
    """Make a key on this computer. The private half and its passphrase stay here; NAME.pub.json goes to the organiser."""
    from blocklists.publisher.keys import PUBLIC, check_name, fingerprint, new_key, new_remote_key
    from blocklists.publisher.workspace import SETTINGS

    _ = terminal(context).translate
    folder = to or (Path("keys") if Path(SETTINGS).exists() else HERE)
    if bool(uri) != bool(public_key):
        raise CommandError(_("--uri and --public-key belong together."), BAD_USE)
    with refusals(_("No key was made:"), _):
        check_name(name)
        if public_key is not None:
            key: Key = new_remote_key(folder, name, uri, public_key)
        else:
            key = new_key(folder, name, Passphrases(passphrase_file, _).new(name)).public_key
    typer.echo(_("Made: {file}").format(file=folder / f"{name}{PUBLIC}"))
    typer.echo(_("Fingerprint: {fingerprint}").format(fingerprint=fingerprint(key)))
    typer.echo(
        _(
            "Send this file to the organiser, and read the fingerprint to each other on the telephone. Keep the private file and its passphrase."
        )
    )


@app.command("add")
def add_command(
    context: typer.Context,
    role: ROLE,
    key: Annotated[str, typer.Argument(metavar="KEY", help="NAME.pub.json, or the name of one in keys/.")],
    *,
    threshold: THRESHOLD = None,
    folder: FOLDER = HERE,
) -> None:
    """Let one more key sign a role. It holds when the change itself is signed and released."""
    from blocklists.publisher.roles import KeyChange

    _ = terminal(context).translate
    with refusals(_("Nothing was changed:"), _):
        workspace = _workspace(folder)
        staged = _staged(workspace, role, KeyChange(add=public_key(workspace, key), threshold=threshold))
    _report(workspace, staged, _)


@app.command("rotate")
def rotate_command(
    context: typer.Context,
    role: ROLE,
    old: Annotated[str, typer.Argument(metavar="OLD", help="The key that goes: its name, or the beginning of its fingerprint.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="NAME.pub.json, or the name of one in keys/.")],
    *,
    folder: FOLDER = HERE,
) -> None:
    """Put a new key in the place of an old one. It holds when the change itself is signed and released."""
    from blocklists.publisher.roles import KeyChange

    _ = terminal(context).translate
    with refusals(_("Nothing was changed:"), _):
        workspace = _workspace(folder)
        keyid = _keyid(workspace, role, old)
        staged = _staged(workspace, role, KeyChange(add=public_key(workspace, new), remove=keyid))
    _report(workspace, staged, _)


@app.command("revoke")
def revoke_command(
    context: typer.Context,
    role: ROLE,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key that goes: its name, or the beginning of its fingerprint.")],
    *,
    threshold: THRESHOLD = None,
    folder: FOLDER = HERE,
) -> None:
    """Take a key away, because it was lost or stolen. It holds when the change itself is signed and released."""
    from blocklists.publisher.roles import KeyChange

    _ = terminal(context).translate
    with refusals(_("Nothing was changed:"), _):
        workspace = _workspace(folder)
        staged = _staged(workspace, role, KeyChange(remove=_keyid(workspace, role, key), threshold=threshold))
    _report(workspace, staged, _)


@app.command("show")
def show_command(context: typer.Context, *, folder: FOLDER = HERE, as_json: JSON = False) -> None:
    """Show every key: whose it is, its fingerprint, what it signs, and whether its private half is on this computer."""
    from blocklists.publisher.keys import fingerprint, key_name, private_keys
    from blocklists.publisher.roles import PEOPLES, SNAPSHOT, TIMESTAMP, keys_of
    from blocklists.publisher.state import load_state

    _ = terminal(context).translate
    with refusals(_("The keys cannot be shown:"), _):
        workspace = _workspace(folder)
        state, here = load_state(workspace), private_keys(workspace.keys)
    roles: dict[str, list[str]] = {}
    known: dict[str, Key] = {}
    for role in (*PEOPLES, SNAPSHOT, TIMESTAMP):
        for key in keys_of(state.delegator(role), role).keys:
            known[key.keyid] = key
            roles.setdefault(key.keyid, []).append(role)
    rows = [
        {"name": key_name(key), "fingerprint": fingerprint(key), "id": keyid, "roles": roles[keyid], "here": keyid in here}
        for keyid, key in known.items()
    ]
    if as_json:
        print_json(rows)
    for keyid, key in [] if as_json else known.items():
        where = _("private half here") if keyid in here else ""
        typer.echo(f"{key_name(key):20}  {fingerprint(key)}  {', '.join(roles[keyid])}  {where}".rstrip())


def public_key(workspace: "Workspace", text: str) -> "Key":
    """The key that a person means by a file, or by a name in keys/. Raises PublishError."""
    from blocklists.publisher.keys import PUBLIC, read_public_key

    path = Path(text)
    return read_public_key(path if path.suffix == ".json" or path.exists() else workspace.keys / f"{text}{PUBLIC}")


def _keyid(workspace: "Workspace", role: str, text: str) -> str:
    from blocklists.publisher.roles import IN_ROOT, find_key
    from blocklists.publisher.state import load_state

    return find_key(load_state(workspace).keys(IN_ROOT.get(role, (role,))[0]).keys, text).keyid


def _staged(workspace: "Workspace", role: str, change: "KeyChange") -> tuple[str, ...]:
    from blocklists.publisher.ceremony import change_keys

    return change_keys(workspace, role, change, time())


def _report(workspace: "Workspace", staged: tuple[str, ...], _: Translate) -> None:
    """Say who must sign what."""
    from blocklists.publisher.state import load_state
    from gateway.cli.publish_words import change_lines, standing_line

    state = load_state(workspace)
    for name in staged:
        typer.echo("\n".join(change_lines(workspace, state, name, _)))
    typer.echo(_("Waiting for signatures: {roles}. Next: manglanh publish sign").format(roles=", ".join(staged)))
    for name in staged:
        typer.echo(standing_line(state, name, _))


def _workspace(folder: Path) -> "Workspace":
    from blocklists.publisher.workspace import open_workspace

    return open_workspace(folder)

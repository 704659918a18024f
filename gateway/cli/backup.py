"""`manglanh backup` and `manglanh restore`: everything that people have set and that the store knows, in one file."""

import os
import sys
import time
from collections.abc import Coroutine, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from dashboard.catalogue import Translate
from gateway.cli.options import CONFIG
from gateway.cli.terminal import BAD_USE, CommandError, terminal

if TYPE_CHECKING:
    from dashboard.backups.backup import Source
    from dashboard.backups.restoring import Restored

Result = TypeVar("Result")

PASSPHRASE_FILE = Annotated[
    Path | None,
    typer.Option("--passphrase-file", metavar="FILE", help="Read the passphrase from this file's first line instead of asking."),
]


def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write the backup; must not be there yet.")],
    *,
    passphrase_file: PASSPHRASE_FILE = None,
    plain: Annotated[bool, typer.Option("--plain", help="Without a passphrase: whoever has the file can read it.")] = False,
    config: CONFIG = None,
) -> None:
    """Write everything that people have set and that is kept here into one file, sealed with a passphrase."""
    from gateway.cli.school import find

    _ = terminal(context).translate
    source = _source(find(config, _), _)
    passphrase = "" if plain else _passphrase(passphrase_file, _, new=True)
    _run(_write(source, file, passphrase), _)
    typer.echo(_("The backup is in {file}.").format(file=file))


def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file of a backup.")],
    *,
    passphrase_file: PASSPHRASE_FILE = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether everything is to be replaced.")] = False,
    config: CONFIG = None,
) -> None:
    """Replace everything by what is in a backup. It is examined first; if anything is wrong with it, nothing is changed."""
    from dashboard.backups.sealing import MAGIC
    from gateway.cli.school import find

    _ = terminal(context).translate
    path = find(config, _)
    try:
        with file.open("rb") as content:
            is_sealed = content.read(len(MAGIC)) == MAGIC
    except OSError as error:
        raise CommandError(_("{path} cannot be read: {why}").format(path=file, why=error.strerror), BAD_USE) from None
    passphrase = _passphrase(passphrase_file, _, new=False) if is_sealed else ""
    if not yes and not typer.confirm(_("Everything in {place} is replaced. Go on?").format(place=path.parent)):
        raise CommandError(_("Nothing was changed."))
    source = _source(path, _)
    restored = _run(_put_back(source, file, passphrase), _)
    typer.echo(_("The backup of {school} is restored; everybody has to sign in anew.").format(school=restored.manifest.school))
    if restored.kept is not None:
        typer.echo(_("What was here before is in {file}.").format(file=restored.kept))


def _source(config: Path, _: Translate) -> "Source":
    """The store that the school's file names; where there is no such file yet, or it is damaged, the usual one beside it."""
    from dashboard.backups.backup import Source
    from dashboard.store.engine import Store, StoreTrouble
    from filters.message import said
    from policies.load import ConfigError, load

    try:
        file = load(config)
        url = file.dashboard.store or f"sqlite:///{(file.state.parent / 'store.db').absolute()}"
    except ConfigError:
        url = f"sqlite:///{(config.parent / 'store.db').absolute()}"
    try:
        return Source(Store(url), config, version("manglanh"))
    except StoreTrouble as error:
        raise CommandError(said(error, _), BAD_USE) from None


def _passphrase(file: Path | None, _: Translate, *, new: bool) -> str:
    from dashboard.backups.backing_up import PASSPHRASE

    if file is not None:
        try:
            with file.open(encoding="utf-8") as content:
                passphrase = content.readline().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(_("{path} cannot be read: {why}").format(path=file, why=error), BAD_USE) from None
    elif sys.stdin.isatty():
        passphrase = typer.prompt(_("Passphrase"), hide_input=True, confirmation_prompt=_("The same once more") if new else False)
    else:
        raise CommandError(_("There is nobody to ask for a passphrase: name a file with --passphrase-file."), BAD_USE)
    if new and len(passphrase) < PASSPHRASE:
        raise CommandError(_("The passphrase is too short: at least {count} characters.").format(count=PASSPHRASE), BAD_USE)
    return str(passphrase)


def _run(work: Coroutine[Any, Any, Result], _: Translate) -> Result:
    """What came of it, or in words why nothing did."""
    import asyncio

    from dashboard.backups.backup import BadBackup
    from dashboard.store.engine import StoreTrouble
    from filters.message import said
    from policies.load import ConfigError

    try:
        return asyncio.run(work)
    except (BadBackup, StoreTrouble) as error:
        raise CommandError(said(error, _)) from None
    except ConfigError as error:
        raise CommandError(said(error, _), BAD_USE) from None
    except OSError as error:
        raise CommandError(_("{path} cannot be written: {why}").format(path=error.filename or "", why=error.strerror or error)) from None


async def _write(source: "Source", file: Path, passphrase: str) -> None:
    """Whole or not at all."""
    import asyncio
    import tempfile

    from dashboard.backups.backup import make, sealed
    from dashboard.store.migrating import bring_up_to_date

    try:
        await bring_up_to_date(source.store)
        with tempfile.TemporaryFile(dir=source.folder) as content:
            await make(source, time.time(), content)
            await asyncio.to_thread(_save, file, sealed(content, passphrase))
    finally:
        await source.store.close()


def _save(file: Path, parts: Iterator[bytes]) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as target:
            for part in parts:
                target.write(part)
            target.flush()
            os.fsync(target.fileno())
    except BaseException:
        file.unlink()
        raise


async def _put_back(source: "Source", file: Path, passphrase: str) -> "Restored":
    from dashboard.backups import restoring
    from dashboard.store.migrating import bring_up_to_date
    from gateway.cli.switch import login

    try:
        await bring_up_to_date(source.store)
        with file.open("rb") as content:
            return await restoring.restore(source, content, passphrase, login(), time.time())
    finally:
        await source.store.close()

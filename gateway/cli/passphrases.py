"""Passphrases for private keys: typed on the terminal without being shown, or read from a file where nobody sits.

Never an argument, nor a plain environment variable: both are in the process list. A file that everybody may read is refused.
"""

import getpass
import os
import stat
import warnings
from pathlib import Path
from typing import Annotated

import typer

from dashboard.catalogue import Translate
from gateway.cli.terminal import BAD_USE, CommandError

VARIABLE = "MANGLANH_PASSPHRASE_FILE"
PASSPHRASE_FILE = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="A file whose first line is the passphrase, for a machine that works alone. Default: $MANGLANH_PASSPHRASE_FILE; else it is asked.",
    ),
]


class Passphrases:
    """Asks for each key's passphrase once."""

    def __init__(self, file: Path | None, _: Translate) -> None:
        given = os.environ.get(VARIABLE)
        self._file = file or (Path(given) if given else None)
        self._translate = _
        self._known: dict[str, str] = {}

    def of(self, name: str) -> str:
        """The passphrase of a key that there is."""
        _ = self._translate
        if name not in self._known:
            question = _("Passphrase of {name}: ").format(name=name)
            self._known[name] = self._read() if self._file else self._ask(question)
        return self._known[name]

    def new(self, name: str) -> str:
        """A passphrase for a key that is about to be made: typed twice."""
        _ = self._translate
        if self._file:
            return self._read()
        first = self._ask(_("A new passphrase for {name}: ").format(name=name))
        if self._ask(_("The same again: ")) != first:
            raise CommandError(_("The two passphrases differ; nothing was made."))
        return first

    def _ask(self, question: str) -> str:
        _ = self._translate
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            try:
                return getpass.getpass(question)
            except (getpass.GetPassWarning, EOFError, OSError):
                raise CommandError(_("There is no terminal to ask for a passphrase; give --passphrase-file."), BAD_USE) from None

    def _read(self) -> str:
        _ = self._translate
        path = self._file or Path()
        try:
            if path.stat().st_mode & stat.S_IRWXO:
                raise CommandError(_("{path} can be read by everybody on this machine; first: chmod 600 {path}").format(path=path), BAD_USE)
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(_("{path} cannot be read: {why}").format(path=path, why=error), BAD_USE) from None
        return lines[0] if lines else ""

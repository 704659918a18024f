"""The school as commands see it: its file found and read, the state and the lists opened, a policy resolved.

The school file is looked for in this order: ``--config``, ``$MANGLANH_CONFIG``, ``./school.yaml``, a running demo's,
``/etc/manglanh/school.yaml``.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from blocklists.compile import compile_starter
from dashboard.catalogue import Translate
from filters.domain_index import BadBundle, DomainIndex
from filters.message import said
from gateway.cli.demo_place import running_demo
from gateway.cli.terminal import BAD_USE, CommandError
from gateway.live import open_lists
from policies.decide import Policy
from policies.identify import Directory
from policies.load import ConfigError, load
from policies.model import SchoolFile, State
from policies.snapshot import Snapshot
from policies.state import StateError, read_state

SYSTEM = Path("/etc/manglanh/school.yaml")


@dataclass(frozen=True, slots=True)
class School:
    """Everything that decides, at one moment."""

    path: Path
    file: SchoolFile
    state: State
    index: DomainIndex
    starter: bool
    """whether the starter lists serve, for want of a bundle"""
    trouble: str
    """why the newest bundle is refused; empty: it is not"""
    snapshot: Snapshot
    directory: Directory

    def policy(self, group: str, now: float, *, trusted: bool = True) -> Policy:
        """What holds for ``group`` at ``now``; with an untrusted clock the timetable is left out (policies/snapshot.py)."""
        return self.snapshot.policy(group, now, trusted)


def find(given: Path | None, _: Translate, environ: Mapping[str, str] = os.environ) -> Path:
    """The school file. Raises CommandError where there is none."""
    path = search(given, environ)
    if path is None:
        raise CommandError(_("No school file found. Name one with --config, or write a first one: manglanh init"), BAD_USE)
    return path


def search(given: Path | None, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The school file in the order of this module's first lines, or None."""
    if given is not None:
        return given
    if environ.get("MANGLANH_CONFIG"):
        return Path(environ["MANGLANH_CONFIG"])
    return next((path for path in (Path("school.yaml"), running_demo(environ), SYSTEM) if path is not None and _is_file(path)), None)


def _is_file(path: Path) -> bool:
    """False, where Path.is_file raises, for what may not be looked at: ``sudo -u manglanh`` keeps the private home in which it was typed."""
    return os.path.isfile(path)  # noqa: PTH113 - see above


def load_file(path: Path, _: Translate) -> SchoolFile:
    """The school's file, checked. Raises CommandError with every problem in it as file:line:col."""
    try:
        return load(path)
    except ConfigError as error:
        raise CommandError(said(error, _), BAD_USE) from None
    except OSError as error:
        raise CommandError(_("{path} cannot be read: {why}").format(path=path, why=error.strerror), BAD_USE) from None


@contextmanager
def opened(path: Path, _: Translate) -> Iterator[School]:
    """The school of this file, its lists mapped while this lasts. Raises CommandError."""
    file = load_file(path, _)
    try:
        state = read_state(file.state)
    except StateError as error:
        raise CommandError(str(error)) from None
    with tempfile.TemporaryDirectory(prefix="manglanh-") as aside:
        try:
            index, starter, trouble = open_lists(file.lists.directory, compile_starter(Path(aside) / "starter"))
        except BadBundle as error:
            raise CommandError(_("The lists cannot be used: {why}").format(why=error)) from None
        try:
            snapshot = Snapshot(file, state, index)
            yield School(path, file, state, index, starter, trouble, snapshot, Directory(file, state.devices))
        finally:
            index.close()

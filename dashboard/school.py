"""The school as it is now: its file, the live state, the lists and the province's contacts, taken up whenever one of them changes.  [shell]

Pages read a ``View``, which never changes. A file that is damaged keeps the old view, and ``troubles`` says so.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from filters.bundle import BadBundle
from filters.domain_index import DomainIndex
from policies.identify import Directory
from policies.load import ConfigError, contents, load
from policies.model import SchoolFile, State
from policies.province import Province, load_province, merged, parse_contacts, province_path
from policies.snapshot import Snapshot
from policies.state import StateError, read_state

log = logging.getLogger("manglanh.dashboard")

SERVED_CONTACTS = "province.yaml"
"""what the province publishes, within the lists' directory"""

Signature = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class View:
    file: SchoolFile
    state: State
    index: DomainIndex
    snapshot: Snapshot
    directory: Directory
    province: Province | None
    troubles: Mapping[str, str] = field(default_factory=dict)
    """``config``, ``state``, ``lists``, ``province`` -> why the newer one is refused"""


class School:
    """``open_lists`` gives the lists that serve, or the ones it is given where they are the same (dashboard/box.py)."""

    def __init__(self, config: Path, open_lists: Callable[[DomainIndex | None], DomainIndex]) -> None:
        """Raises ConfigError, StateError, BadBundle: there is nothing to show without them."""
        self.config = config
        self._open_lists = open_lists
        self._lock = asyncio.Lock()
        file = load(config)
        self._config_seen = _signature(config)
        self._state_seen = _signature(file.state)
        state = read_state(file.state)
        index = open_lists(None)
        self._view = View(file, state, index, Snapshot(file, state, index), Directory(file, state.devices), None)
        self._province_seen: tuple[object, ...] = ()
        self._take_province()

    @property
    def view(self) -> View:
        """As it was at the last look."""
        return self._view

    async def now(self) -> View:
        """The view, with whatever has changed since the last look."""
        if self._lock.locked() or self._changed():  # what is being taken up counts as seen before it is there
            async with self._lock:
                if self._changed():
                    await asyncio.to_thread(self._take)
        return self._view

    def _changed(self) -> bool:
        view = self._view
        return (
            _signature(self.config) != self._config_seen
            or _signature(view.file.state) != self._state_seen
            or self._province_signature() != self._province_seen
            or self._open_lists(view.index) is not view.index
        )

    def _take(self) -> None:
        """Take up what has changed, one file at a time; a bad one keeps the old."""
        config, view = _signature(self.config), self._view
        file, state, index, troubles = view.file, view.state, view.index, dict(view.troubles)
        if config != self._config_seen:
            try:
                file = load(self.config)
                troubles.pop("config", None)
            except ConfigError as error:
                troubles["config"] = str(error)
            self._config_seen = config
        seen = _signature(file.state)
        if seen != self._state_seen or file.state != view.file.state:
            try:
                state = read_state(file.state)
                troubles.pop("state", None)
            except StateError as error:
                troubles["state"] = str(error)
            self._state_seen = seen
        try:
            index = self._open_lists(index)
            troubles.pop("lists", None)
        except BadBundle as error:
            troubles["lists"] = str(error)
        directory = view.directory if file is view.file and state.devices == view.state.devices else Directory(file, state.devices)
        self._view = View(file, state, index, Snapshot(file, state, index), directory, view.province, troubles)
        self._take_province()

    def _take_province(self) -> None:
        seen = self._province_signature()
        if seen == self._province_seen:
            return
        self._province_seen = seen
        file, troubles = self._view.file, dict(self._view.troubles)
        try:
            local = None if file.school.province is None else load_province(province_path(self.config, file.school.province))
            served_path = file.lists.directory / SERVED_CONTACTS
            served = parse_contacts(contents(served_path), str(served_path)) if served_path.is_file() else None
            troubles.pop("province", None)
            self._view = replace(self._view, province=merged(local, served), troubles=troubles)
        except ConfigError as error:
            self._view = replace(self._view, troubles=troubles | {"province": str(error)})

    def _province_signature(self) -> tuple[object, ...]:
        file = self._view.file
        local = None if file.school.province is None else _signature(province_path(self.config, file.school.province))
        return file.school.province, local, _signature(file.lists.directory / SERVED_CONTACTS)


def _signature(path: Path) -> Signature:
    """What changes when a file is replaced or written; None where there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - at every page, and pathlib's costs three times as much
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size

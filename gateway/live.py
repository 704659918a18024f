"""What is in force now: the school's file, the bundle and the state, watched, resolved, and swapped as one reference.  [shell]

The three are files, so a test can write them. A newer file that cannot be read changes nothing: the last good one serves, and
``troubles`` says so to the log, the metrics and whoever asks. Reading the bundle and the school file happens in a thread; the
loop that answers queries only ever sees finished objects.
"""

import asyncio
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from filters.bundle import read_manifest
from filters.domain_index import BadBundle, DomainIndex
from gateway.clock import Clock
from gateway.hot import Entry, View
from policies.decide import Policy
from policies.identify import Directory
from policies.load import ConfigError, load
from policies.model import State
from policies.snapshot import Snapshot
from policies.state import StateError, read_state

log = logging.getLogger("manglanh.live")

CURRENT = "current"
_IDENTITY = re.compile(r"[0-9a-f]{64}")
"""the name of a bundle's folder; the others in the lists' directory are the updater's"""


class OnChange(Protocol):
    def __call__(self, *, identities: bool) -> None: ...


class _Pool(NamedTuple):
    """Ready-made answers for every group with this policy until this change."""

    policy: Policy
    answers: dict[bytes, Entry]


def open_lists(directory: Path, starter: Path) -> tuple[DomainIndex, bool, str]:
    """The bundle to begin with: ``current``, else the newest other one that is whole, else a mere base, else the starter lists.

    -> (index, whether the starter lists serve, what was wrong with the current one or "").
    """
    trouble = ""
    for candidate in _candidates(directory):
        try:
            return DomainIndex.open(candidate), False, trouble
        except BadBundle as error:
            trouble = trouble or str(error)
            log.error("bundle refused: %s", error)
    return DomainIndex.open(starter), True, trouble


def _candidates(directory: Path) -> list[Path]:
    """``current``, then the other bundles, the newest first; bases last: they lack what their overlays add."""
    current = directory / CURRENT
    try:
        others = [path for path in directory.iterdir() if _IDENTITY.fullmatch(path.name)]
        others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    except OSError:
        return []
    first = [current.resolve()] if current.is_dir() else []
    bases = {_base(path) for path in (*first, *others)}
    others.sort(key=lambda path: path.name in bases)
    return first + [path for path in others if path not in first]


def _base(bundle: Path) -> str:
    """The identity of the base of an overlay; empty: it has none, or cannot be read."""
    try:
        return read_manifest(bundle).base
    except BadBundle:
        return ""


class Live:
    """``on_change(identities=...)`` is called after every change; with ``identities`` clients must be looked up anew."""

    def __init__(self, config: Path, starter: Path, clock: Clock, monotonic: Callable[[], float], on_change: OnChange) -> None:
        """Raises ConfigError or BadBundle (of the starter lists): with neither there is nothing to serve."""
        self.config = config
        self.clock = clock
        self.monotonic = monotonic
        self.on_change = on_change
        self.troubles: dict[str, str] = {}
        """``config``, ``lists``, ``state`` -> why the newer one is refused"""
        self.file = load(config)
        self._config_seen = _signature(config)
        self._state_seen = _signature(self.file.state)
        self._lists_seen = _target(self.file.lists.directory)
        self._starter = starter
        self.index, self.starter_serves, trouble = open_lists(self.file.lists.directory, starter)
        self._note("lists", trouble)
        self.state = State()
        self._read_state()
        self.views: dict[str, View] = {}
        self._pools: dict[tuple[str, str, float], list[_Pool]] = {}
        self._started = False
        self._build()
        self._started = True

    def view(self, address: bytes, mac: str | None) -> View | None:
        """The view of the group behind ``address`` (packed), or None for an address that may not ask."""
        group = self.directory.group(address, mac)
        if group is None:
            return None
        view = self.views.get(group)
        if view is None:
            policy = self.snapshot.policy(group, self.clock.now(), self.clock.trusted)
            view = self.views[group] = View(policy, self._until(policy), self._pool(policy))
        return view

    def tick(self, now: float) -> None:
        """Resolve again whatever has run out by ``now`` (monotonic seconds)."""
        if any(view.until <= now for view in self.views.values()):
            self._resolve_all()

    async def watch(self) -> None:
        """Follow the files for ever: the state 20 times a second, the rest once a second."""
        rounds = 0
        while True:
            await asyncio.sleep(0.05)
            rounds += 1
            self.tick(self.monotonic())
            self.follow_state()
            if rounds % 20 == 0:
                if self.clock.check():
                    log.warning("the clock was set; it is %s", "trusted" if self.clock.trusted else "not trusted: timetables are off")
                    self._resolve_all()
                await self.follow_config()
                await self.follow_lists()

    def follow_state(self) -> None:
        """Take up a changed state.json."""
        seen = _signature(self.file.state)
        if seen != self._state_seen:
            self._state_seen = seen
            devices = self.state.devices
            if self._read_state():
                self._build(identities=self.state.devices != devices, keep=True)

    async def follow_config(self, *, force: bool = False) -> None:
        """Take up a changed school file; a bad one keeps the old."""
        seen = _signature(self.config)
        if seen == self._config_seen and not force:
            return
        self._config_seen = seen
        try:
            file = await asyncio.to_thread(load, self.config)
        except ConfigError as error:
            self._note("config", str(error))
            log.error("school file refused, the old one stays:\n%s", error)
            return
        self._note("config", "")
        self.file = file
        self._state_seen = _signature(file.state)
        self._read_state()
        self._build()
        log.info("school file taken up")

    async def follow_lists(self) -> None:
        """Take up a new bundle; a damaged one keeps the old."""
        seen = _target(self.file.lists.directory)
        if seen is None or seen == self._lists_seen:
            return
        self._lists_seen = seen
        try:
            index = await asyncio.to_thread(DomainIndex.open, Path(seen), self.index)  # upon the same base, only the overlay is read
        except BadBundle as error:
            self._note("lists", str(error))
            log.error("bundle refused, the old one stays: %s", error)
            return
        self._note("lists", "")
        self.index, self.starter_serves = index, False
        self._build(identities=False)
        log.info("bundle %s with %d names taken up", index.identity[:12], index.names)

    def _read_state(self) -> bool:
        try:
            self.state = read_state(self.file.state)
        except (StateError, OSError) as error:
            self._note("state", str(error))
            log.error("state refused, the old one stays: %s", error)
            return False
        self._note("state", "")
        return True

    def _note(self, what: str, trouble: str) -> None:
        if trouble:
            self.troubles[what] = trouble
        else:
            self.troubles.pop(what, None)

    def _build(self, *, identities: bool = True, keep: bool = False) -> None:
        """``keep``: where a group's policy comes out the same, its ready-made answers still hold."""
        self.snapshot = Snapshot(self.file, self.state, self.index)
        if identities:
            self.directory = Directory(self.file, self.state.devices)
            self.views = {name: view for name, view in self.views.items() if name in self.snapshot.groups}
        self._resolve_all(keep=keep)
        if self._started:
            self.on_change(identities=identities)

    def _resolve_all(self, *, keep: bool = True) -> None:
        """``keep`` False: what is ready was made from other lists or another file, and must be made again."""
        if not keep:
            self._pools.clear()
        for view in self.views.values():
            self._resolve(view, keep=keep)
        used = {id(view.answers) for view in self.views.values()}
        for key in list(self._pools):
            self._pools[key] = [pool for pool in self._pools[key] if id(pool.answers) in used]
            if not self._pools[key]:
                del self._pools[key]

    def _resolve(self, view: View, *, keep: bool) -> None:
        policy = self.snapshot.policy(view.policy.group, self.clock.now(), self.clock.trusted)
        if not keep or policy != view.policy or policy.valid_until != view.policy.valid_until:
            view.answers = self._pool(policy)
        view.policy, view.until = policy, self._until(policy)

    def _pool(self, policy: Policy) -> dict[bytes, Entry]:
        """The answers that are ready under a policy like this one (whatever its group), until the same change."""
        pools = self._pools.setdefault((policy.tier, policy.mode, policy.valid_until), [])
        for pool in pools:
            if pool.policy == policy:
                return pool.answers
        pools.append(_Pool(policy, {}))
        return pools[-1].answers

    def _until(self, policy: Policy) -> float:
        return self.monotonic() + policy.valid_until - self.clock.now()


def _signature(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is replaced or written; None where there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - twenty times a second, and pathlib's costs three times as much
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


def _target(directory: Path) -> str | None:
    """Where ``current`` points to, resolved; None without one."""
    current = directory / CURRENT
    return os.path.realpath(current) if current.is_symlink() else None

"""Finding out how the box is, for dashboard/insight/health.py to judge.  [shell: disk, tasks, clock]

What costs something is asked for at most every ``MEMO`` seconds, however many pages and monitors ask. Nothing raises: what cannot be found out is a finding.
"""

import asyncio
import logging
import os
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509

from dashboard.catalogue import Translate
from dashboard.insight.health import Certificate, Check, Disk, Facts, Level, checks, worst
from dashboard.store.condition import Condition, condition
from dashboard.store.engine import StoreTrouble
from filters.message import Message
from policies.model import SchoolFile

if TYPE_CHECKING:
    from dashboard.site import Site

log = logging.getLogger("manglanh.web")

MEMO = 30.0
LONGEST_CERTIFICATE = 1024 * 1024


@dataclass(slots=True)
class Health:
    """What was found last."""

    level: Level = Level.UNKNOWN
    at: float = float("-inf")
    """by the monotonic clock"""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


async def watch_health(site: "Site") -> None:
    """Keep ``site.health`` fresh, for the mark in the menu."""
    while True:
        await level_now(site)
        await asyncio.sleep(MEMO)


async def level_now(site: "Site") -> Level:
    """The worst level of all checks, at most ``MEMO`` seconds old."""
    health = site.health
    async with health.lock:
        if time.monotonic() - health.at >= MEMO:
            await look(site, str)
    return health.level


async def look(site: "Site", translate: Translate) -> list[Check]:
    """All checks, now; ``translate`` is for what the lists say."""
    found = checks(await facts_of(site, translate))
    site.health.level, site.health.at = worst(found), time.monotonic()
    return found


async def facts_of(site: "Site", translate: Translate) -> Facts:
    view = await site.school.now()
    file = view.file
    now = site.clock()
    facts = Facts(
        now=now,
        workers=site.box.workers(),
        wanted_workers=None if file.dns.workers == "auto" else file.dns.workers,
        generation=view.state.generation,
        written_at=view.state.written_at,
        troubles=view.troubles,
        upstreams=file.dns.upstreams,
        store=site.store.shown,
        version=_version(),
        python=platform.python_version(),
    )
    facts = await asyncio.to_thread(_with_files, site, file, facts, translate)
    try:
        async with site.store.read() as connection:
            found: Condition = await condition(connection, now)
    except StoreTrouble as error:
        return replace(facts, store_trouble=error.args[0])
    return replace(facts, store_version=found.version, store_size=found.size, overdue=found.overdue, waiting=found.waiting)


def _version() -> str:
    try:
        return version("manglanh")
    except PackageNotFoundError:
        return "-"


def _with_files(site: "Site", file: SchoolFile, facts: Facts, translate: Translate) -> Facts:
    store = site.store.url.database if site.store.is_sqlite else None
    folders = dict.fromkeys([file.state.parent, file.lists.directory, *([Path(store).parent] if store else [])])
    try:
        status, said = site.box.lists_status(), site.box.lists_said(translate)
    except OSError as error:
        status, said = {}, [str(error)]
    disks = tuple(_disk(folder) for folder in folders if folder.exists() or folder == file.state.parent)
    return replace(facts, lists=status, lists_said=said, disks=disks, certificates=tuple(_certificates(file)))


def _disk(folder: Path) -> Disk:
    try:
        found = os.statvfs(folder)
    except OSError as error:
        return Disk(str(folder), trouble=error.strerror or str(error))
    return Disk(str(folder), found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize, found.f_files, found.f_favail)


def _certificates(file: SchoolFile) -> Iterator[Certificate]:
    named: Sequence[tuple[Message, Path | None]] = (
        (Message("encrypted DNS"), file.dns.tls.certificate if file.dns.tls else None),
        (Message("these pages"), file.dashboard.tls.certificate if file.dashboard.tls else None),
        (Message("the block page's authority"), file.block_page.ca),
    )
    return (certificate(what, path) for what, path in named if path is not None)


def certificate(what: Message, path: Path) -> Certificate:
    """The first certificate of a PEM file, which is the one that is shown to others; of a chain the first to end counts."""
    try:
        with path.open("rb") as file:
            found = x509.load_pem_x509_certificates(file.read(LONGEST_CERTIFICATE))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Certificate(what, str(path), trouble=why)
    return Certificate(what, str(path), ends=min(each.not_valid_after_utc.timestamp() for each in found))

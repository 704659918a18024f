"""A backup made for somebody, and one restored by somebody: what the page and the API have in common.  [shell: disk]"""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO, cast
from zoneinfo import ZoneInfo

from dashboard.access import Person
from dashboard.backups.backup import BadBackup, Source, make, sealed
from dashboard.backups.restoring import Restored, restore
from dashboard.refusal import Refused
from dashboard.site import Site
from dashboard.store import audit
from filters.message import Message
from policies.load import ConfigError

PASSPHRASE = 12
"""characters at least: whoever finds the file can try as long as they like"""
LONGEST = 1000


def source_of(site: Site) -> Source:
    return Source(site.store, site.config, version("manglanh"))


def checked_passphrase(passphrase: str) -> str:
    """Empty, or long enough. Raises Refused (422)."""
    if passphrase and len(passphrase) < PASSPHRASE:
        raise Refused(
            Message("Please take at least {count} characters, or leave it empty.", count=PASSPHRASE), status=422, field="passphrase"
        )
    return passphrase


async def give(site: Site, person: Person, passphrase: str) -> tuple[AsyncIterator[bytes], str]:
    """The backup part by part, and a name for its file. It is complete before the first part is given. Raises Refused, StoreTrouble."""
    now = site.clock()
    source = source_of(site)
    try:
        file = await asyncio.to_thread(_aside, source.folder)
        try:
            manifest = await make(source, now, file)
            async with site.store.write() as connection:
                await audit.add(
                    connection, now, person, [audit.Entry("backup.made", what=manifest.school, detail={"sealed": bool(passphrase)})]
                )
        except BaseException:
            file.close()
            raise
    except (ConfigError, OSError) as error:
        raise _in_words(error) from None
    day = datetime.fromtimestamp(now, ZoneInfo((await site.school.now()).file.school.timezone))
    return _parts(file, passphrase), f"manglanh-{day:%Y-%m-%d}.{'sealed' if passphrase else 'zip'}"


def _aside(folder: Path) -> BinaryIO:
    """A file without a name."""
    return cast("BinaryIO", tempfile.TemporaryFile(dir=folder))


async def _parts(file: BinaryIO, passphrase: str) -> AsyncIterator[bytes]:
    with file:
        parts = sealed(file, passphrase)
        while part := await asyncio.to_thread(next, parts, b""):
            yield part


async def put_back(site: Site, person: Person, upload: BinaryIO, passphrase: str) -> Restored:
    """Raises Refused, StoreTrouble; then nothing has changed."""
    try:
        # A browser that goes away does not leave it half made.
        return await asyncio.shield(asyncio.ensure_future(restore(source_of(site), upload, passphrase, person.shown, site.clock())))
    except (BadBackup, ConfigError, OSError) as error:
        raise _in_words(error) from None


def _in_words(error: BadBackup | ConfigError | OSError) -> Refused:
    if isinstance(error, BadBackup):
        return Refused(error.args[0], status=422, field="file")
    if isinstance(error, ConfigError):
        return Refused(
            Message("The school's file has mistakes; put them right first. ({why})", why=error.problems[0].sentence()), status=409
        )
    return Refused(
        Message("The disk does not let this be done; nothing was changed. ({why})", why=error.strerror or str(error)), status=503
    )

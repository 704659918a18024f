"""What goes on beside the pages: statistics are folded, what is old is forgotten. (Reports are forwarded by dashboard/reporting/outbox.py.)  [shell: tasks, clock]"""

import asyncio
import logging
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from sqlalchemy import select

from dashboard.insight.statistics import Cell
from dashboard.insight.statistics_folder import Folder, Save
from dashboard.site import Site
from dashboard.store import statistics
from dashboard.store.engine import StoreTrouble
from dashboard.store.retention import forget_old
from dashboard.store.tables import folded_files

log = logging.getLogger("manglanh.web")

READ_EVERY = 10.0
STORE_EVERY = 900.0
"""seconds; what is not stored yet waits in the runtime directory, and the SD card is spared"""
FORGET_EVERY = 3600.0


async def fold_statistics(site: Site) -> None:
    """Read the workers' minutes as they come, and bring them into the store now and then; at the end what is left."""
    folder = await _folder(site)

    async def save(cells: Sequence[Cell], files: Sequence[str]) -> None:
        async with site.store.write() as connection:
            await statistics.fold_in(connection, cells, files, site.clock())

    stored_at = site.clock()
    try:
        while True:
            runtime = site.box.runtime()
            if runtime is not None:
                await folder.read(runtime, site.clock())
            if abs(site.clock() - stored_at) >= STORE_EVERY:
                stored_at = site.clock()
                await _try_to_store(folder, save)
            await asyncio.sleep(READ_EVERY)
    except asyncio.CancelledError:
        await _try_to_store(folder, save)
        raise


async def _folder(site: Site) -> Folder:
    """A folder that knows what is stored already."""
    async with site.store.read() as connection:
        return Folder(site.fold, (await connection.execute(select(folded_files.c.name))).scalars().all())


async def _try_to_store(folder: Folder, save: Save) -> None:
    try:
        await folder.store(save)
    except StoreTrouble as error:
        log.warning("statistics are stored later: %s", error)


async def forget(site: Site) -> None:
    """Once an hour: what has been kept for long enough goes, and days that are over are put together."""
    while True:
        await asyncio.sleep(FORGET_EVERY)
        try:
            await forget_old(site.store, site.clock(), ZoneInfo(site.school.view.file.school.timezone))
        except StoreTrouble as error:
            log.warning("nothing was forgotten this time: %s", error)

"""The store's tables brought up to what this program knows, by Alembic's revisions (migrations/).  [shell: disk]

Promises: all of it or nothing; of two processes that start at once one does it and the other waits; a store that is up to date costs one query and no
import of Alembic. Before an SQLite store that has data is changed, a copy stands beside it. A store of a newer program is refused and left as it is.
"""

import asyncio
import logging
import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from dashboard.store.engine import Store, StoreTrouble
from dashboard.store.migrations import HEAD, REVISIONS
from filters.message import Message

log = logging.getLogger("manglanh.store")

WAIT = 30
"""seconds for another process that is doing the same"""
VERSION_TABLE = "alembic_version"
_LOCK = 0x4D4C_5354  # "MLST": PostgreSQL's advisory locks are numbers
_PLACE = Path(__file__).resolve().parent / "migrations"


async def bring_up_to_date(store: Store, to: str = HEAD) -> None:
    """Raises StoreTrouble, also for a store that a newer program has made; then nothing has changed."""
    if store.is_sqlite:
        await asyncio.to_thread(_make_file, store)
    if await revision(store) == to:
        return
    if store.is_sqlite:
        await _in_sqlite(store, to)
    else:
        async with store.write() as connection:
            await connection.execute(text(f"SET LOCAL lock_timeout = '{WAIT}s'"))
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            await connection.run_sync(_upgrade, to)


async def revision(store: Store) -> str | None:
    """The revision that the store has; None: no tables yet. Raises StoreTrouble, also where a newer program has made it."""
    async with store.read() as connection:
        return await connection.run_sync(_revision)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one_or_none()  # noqa: S608 - a constant
    if found is not None and found not in REVISIONS:
        raise StoreTrouble(
            Message(
                "The store was made by a newer version of this program (its form is {found}, known here is {known}); nothing was changed. "
                "Install the newer version, or restore a backup into a new store.",
                found=found,
                known=HEAD,
            )
        )
    return None if found is None else str(found)


def _make_file(store: Store) -> None:
    """The store holds secrets of second factors: nobody else reads it. What root makes belongs to whom the directory belongs to."""
    path = _path(store)
    if path is None or path.exists():
        return
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        if os.geteuid() == 0:
            owner = path.parent.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        os.close(descriptor)
    except OSError as error:
        raise StoreTrouble(Message("The store {path} cannot be made: {why}", path=path, why=error.strerror)) from None


def _path(store: Store) -> Path | None:
    name = store.url.database
    return None if not name or name == ":memory:" or name.startswith("file:") else Path(name)


async def _in_sqlite(store: Store, to: str) -> None:
    """Changing a table is copying and dropping it there, and a drop would take the rows that refer to it along: foreign keys are checked at the end."""
    async with store.write_alone(WAIT) as connection:
        found = await connection.run_sync(_revision)
        if found == to:
            return
        path = _path(store)
        if found is not None and path is not None:
            await asyncio.to_thread(_copy, path, path.with_name(f"{path.name}.before-{to}"))
        await connection.run_sync(_upgrade, to)
        await _check_references(connection)


async def _check_references(connection: AsyncConnection) -> None:
    wrong = (await connection.exec_driver_sql("PRAGMA foreign_key_check")).all()
    if wrong:
        raise StoreTrouble(Message("The store's tables do not fit together ({why}); nothing was changed.", why=wrong[0]))


def _copy(path: Path, to: Path) -> None:
    """By SQLite's own means, so that what is still in the write-ahead log is in the copy."""
    aside = to.with_name(f".{to.name}.new")
    try:
        aside.unlink(missing_ok=True)
        os.close(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, path.stat().st_mode & 0o600))
        source, target = sqlite3.connect(path), sqlite3.connect(aside)
        try:
            source.backup(target)
        finally:
            source.close()
            target.close()
        if os.geteuid() == 0:
            owner = path.stat()
            os.chown(aside, owner.st_uid, owner.st_gid)
        aside.replace(to)
    except (OSError, sqlite3.Error) as error:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise StoreTrouble(
            Message("No copy of the store could be made before changing it ({why}); nothing was changed.", why=error)
        ) from None
    log.warning("the store gets a new form; a copy of the old one is %s", to)


def _upgrade(connection: Connection, to: str) -> None:
    """In the transaction of ``connection``."""
    if _revision(connection) == to:  # another process was quicker
        return
    from alembic import command  # noqa: PLC0415 - 11 MB, for a moment that comes with a new version
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_PLACE))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, to)

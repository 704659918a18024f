"""The store's connection: opened by URL, brought up to date, read and written in transactions.  [shell]

``sqlite:////var/lib/manglanh/store.db`` by default, ``postgresql://user@host/name`` for a school that has a server (extra ``postgres``). Promises:
a transaction is whole or not at all; what cannot be written now raises ``StoreTrouble`` with a message for a person, never a driver's own.
"""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from sqlalchemy import Connection, Table, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from filters.message import Message

log = logging.getLogger("manglanh.store")
for _talkative in ("aiosqlite", "sqlalchemy.engine"):  # at DEBUG they would write out what people have written
    logging.getLogger(_talkative).setLevel(logging.WARNING)

BUSY = 2.0
"""seconds to wait for another process that writes (a backup, for example)"""
CONNECTIONS = 3
POOL_WAIT = 5.0
CONNECT_WAIT = 5.0
ANSWER_WAIT = 60.0
"""seconds for one statement of a PostgreSQL server, which may have gone without a word"""
_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
_WRITES = "manglanh_writes"


class StoreTrouble(Exception):
    """The store cannot do this now; nothing was changed. Its only argument is a ``Message``."""


class Store:
    def __init__(self, url: str) -> None:
        """Raises StoreTrouble for a URL that is none, or whose driver is not installed. Nothing is opened yet."""
        try:
            self.url = _driver_url(url)
            waits = {"timeout": BUSY} if self.is_sqlite else {"timeout": CONNECT_WAIT, "command_timeout": ANSWER_WAIT}
            # An error's text must not repeat the row that could not be written: errors are logged.
            options: dict[str, Any] = {"connect_args": waits, "pool_pre_ping": not self.is_sqlite, "hide_parameters": True}
            self.engine: AsyncEngine = create_async_engine(
                self.url, pool_size=CONNECTIONS, max_overflow=0, pool_timeout=POOL_WAIT, pool_use_lifo=True, **options
            )
            self._connecting_fails: tuple[type[Exception], ...] = (OSError,) if self.is_sqlite else (OSError, *_asyncpg_errors())
        except (ModuleNotFoundError, ArgumentError, NoSuchModuleError, ValueError) as error:
            raise StoreTrouble(Message("The store cannot be used: {why}", why=str(error))) from None
        if self.is_sqlite:
            event.listen(self.engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(self.engine.sync_engine, "begin", _begin_sqlite)

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @property
    def shown(self) -> str:
        """The URL without its password."""
        return self.url.render_as_string(hide_password=True)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection that sees one moment of the store. Raises StoreTrouble."""
        async with self._connection() as connection:
            if not self.is_sqlite:
                await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with _troubles():
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: committed at the end, rolled back where anything is raised. Raises StoreTrouble.

        In SQLite it takes the write lock at its beginning, so that what it reads is still so when it writes.
        """
        async with self._connection() as connection:
            await connection.execution_options(**{_WRITES: True})
            with _troubles():
                async with connection.begin():
                    yield connection

    @asynccontextmanager
    async def write_alone(self, wait: int) -> AsyncIterator[AsyncConnection]:
        """SQLite only: ``write`` for changing tables, on a connection that waits longer and does not follow foreign keys. Raises StoreTrouble."""
        async with self._connection() as connection:
            with _troubles():
                driver = (await connection.get_raw_connection()).driver_connection
                assert driver is not None
                await driver.execute("PRAGMA foreign_keys=OFF")  # has no effect once the transaction has begun
                await driver.execute(f"PRAGMA busy_timeout={wait * 1000}")
                try:
                    await connection.execution_options(**{_WRITES: True})
                    async with connection.begin():
                        yield connection
                finally:
                    await connection.invalidate()  # what was set stays with this connection only

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        connection = self.engine.connect()
        with _troubles():
            try:
                await connection.start()
            except self._connecting_fails as error:  # asyncpg's own errors come through unchanged while it connects
                log.error("store: %s", error)
                raise StoreTrouble(_in_words(str(error))) from None
        try:
            yield connection
        finally:
            with _troubles():
                await connection.close()

    async def close(self) -> None:
        await self.engine.dispose()


def _driver_url(text: str) -> URL:
    url = make_url(text)
    backend = url.get_backend_name()
    if backend not in _DRIVERS:
        raise ValueError(f"{backend} is not supported; write sqlite:////path/store.db or postgresql://user@host/name")
    return url.set(drivername=_DRIVERS[backend])


def _asyncpg_errors() -> tuple[type[Exception], ...]:
    import asyncpg  # noqa: PLC0415 - only where the store is PostgreSQL (extra ``postgres``)

    return asyncpg.PostgresError, asyncpg.InterfaceError


def upsert(connection: AsyncConnection, table: Table) -> Any:
    """``INSERT`` that goes on with ``.on_conflict_do_update(...)`` or ``.on_conflict_do_nothing()``, in the dialect of the connection."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert  # noqa: PLC0415 - the other dialect is not loaded for nothing
    else:
        from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]  # noqa: PLC0415
    return insert(table)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    """WAL, so that pages are read while something is written; every commit is synced, so that what was said to be saved is."""
    connection.isolation_level = None  # transactions are begun below, not by the driver in the middle of them
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "wal_autocheckpoint=1000", "cache_size=-500"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(_WRITES) else "BEGIN")


@contextmanager
def _troubles() -> Iterator[None]:
    """A driver's error as a StoreTrouble. An IntegrityError says that two changes contradict, which whoever writes knows how to name."""
    try:
        yield
    except PoolTimeout:
        raise StoreTrouble(Message("The store is busy; please try again in a moment. Nothing was changed.")) from None
    except DBAPIError as error:
        if type(error).__name__ == "IntegrityError":
            raise
        log.error("store: %s", error.orig)
        raise StoreTrouble(_in_words(str(error.orig))) from None
    except (ConnectionError, TimeoutError) as error:
        log.error("store: %s", error)
        raise StoreTrouble(Message("The store does not answer; nothing was changed. ({why})", why=str(error))) from None


def _in_words(why: str) -> Message:
    if "locked" in why or "busy" in why:
        return Message("The store is busy; please try again in a moment. Nothing was changed.")
    if "full" in why or "disk I/O" in why or "No space" in why:
        return Message("The disk is full or damaged; nothing was changed. Filtering goes on.")
    if "readonly" in why or "unable to open" in why:
        return Message("The store cannot be written; nothing was changed. Filtering goes on.")
    return Message("The store does not answer; nothing was changed. ({why})", why=why)

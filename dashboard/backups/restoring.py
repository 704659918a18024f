"""A backup put back in place of everything that is here.  [shell: disk]

Promises: everything is validated before anything is changed, the rows by inserting them into a store of their own; then the store changes in one
transaction, and the files just before it is committed; a failure puts the old files back. What was here is kept beside the state file, itself a backup
(``before-restore-...``). Nothing is restored that leaves no administrator. Sessions end, since they may be of people who are no longer there.

This machine's places stay as they are: where the state, the lists and the store lie. So a backup of a school with SQLite can be restored into PostgreSQL.
"""

import asyncio
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Connection, MetaData, Table, delete, func, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dashboard.backups.backup import PROVINCE, ROOT, ROWS, SCHOOL, STATE, TABLES, BadBackup, Manifest, Opened, Source, make, opened
from dashboard.settings.school_text import Text, Unwritable, find, remove_in, set_in
from dashboard.store import people
from dashboard.store.engine import Store
from dashboard.store.migrating import bring_up_to_date
from dashboard.store.migrations import HEAD, REVISIONS
from dashboard.store.tables import audit, metadata, sessions
from filters.message import Message
from policies.load import ConfigError, contents, parse
from policies.model import SchoolFile, State
from policies.province import parse_province, province_path
from policies.state import StateError, read_state, update_state, write_state

KEPT = "before-restore"
PLACES = (("state",), ("lists", "directory"), ("dashboard", "store"))
"""in the school's file: what belongs to a machine, not to a school"""


@dataclass(frozen=True, slots=True)
class Restored:
    manifest: Manifest
    rows: int
    kept: Path | None
    """what was here before"""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What will be written where."""

    file: SchoolFile
    files: dict[Path, bytes]
    state: State


async def restore(source: Source, upload: BinaryIO, passphrase: str, by: str, now: float) -> Restored:
    """``source``: what is replaced; its school file need not be there yet. ``by``: whom the audit log names. Raises BadBackup, StoreTrouble, OSError."""
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=await asyncio.to_thread(lambda: source.folder)) as scratch_folder:
        place = Path(scratch_folder)
        with _opened(upload, passphrase, place) as backup:
            plan = await asyncio.to_thread(_plan, backup, source.config)
            scratch = Store(f"sqlite:///{place}/store.db")
            try:
                await _fill(scratch, backup)
                async with scratch.read() as connection:
                    if not await people.count_admins(connection):
                        raise BadBackup(
                            Message("After this backup nobody could administer the school: it has no active administrator with a password.")
                        )
                kept = await _keep(source, plan.file.state.parent, now)
                rows = await _replace(source, scratch, plan, backup.manifest, by, now)
            finally:
                await scratch.close()
            return Restored(backup.manifest, rows, kept)


@contextmanager
def _opened(upload: BinaryIO, passphrase: str, place: Path) -> Iterator[Opened]:
    with opened(upload, passphrase, place) as backup:
        if backup.manifest.revision not in REVISIONS:
            raise BadBackup(
                Message("This backup was made by a newer version of this program ({version}).", version=backup.manifest.program[:40])
            )
        yield backup


def _plan(backup: Opened, config: Path) -> _Plan:
    """The files, all understood. Raises BadBackup."""
    written = backup.file(SCHOOL)
    state = backup.file(STATE)
    assert written is not None
    assert state is not None
    try:
        parse(written, SCHOOL)
        data = _with_own_places(written, config)
        file = parse(data, SCHOOL)
    except ConfigError as error:
        raise BadBackup(Message("The school's file in this backup has mistakes: {why}", why=error.problems[0].sentence())) from None
    files = {config: data}
    province = backup.file(PROVINCE)
    if province is not None and file.school.province is not None:
        path = _within(config, province_path(config, file.school.province))
        try:
            publisher = parse_province(province, PROVINCE).publisher
        except ConfigError as error:
            raise BadBackup(Message("The province's file in this backup has mistakes: {why}", why=error.problems[0].sentence())) from None
        files[path] = province
        root = backup.file(ROOT)
        if root is not None and publisher is not None:
            files[_within(config, path.parent / publisher.root)] = root
    try:
        return _Plan(file, files, State.model_validate_json(state))
    except ValueError:
        raise BadBackup(Message("This backup is damaged: {name} is not as it was written.", name=STATE)) from None


def _with_own_places(data: bytes, config: Path) -> bytes:
    """The school's file of the backup with this machine's places, where there is a file already that says them."""
    try:
        parse(contents(config), config.name)
    except ConfigError:
        return data
    try:
        here, there = Text(config.read_bytes()).document, Text(data)
        for place in PLACES:
            value = find(here, place)
            if value is None:
                remove_in(there.document, place)
            else:
                set_in(there.document, place, value)
        return there.changed()
    except (Unwritable, ValueError) as error:
        raise BadBackup(Message("The school's file in this backup has mistakes: {why}", why=str(error))) from None


def _within(config: Path, path: Path) -> Path:
    """No file is written outside the folder of the school's file, whatever a backup says."""
    folder = config.parent.resolve()
    if not path.resolve().is_relative_to(folder):
        raise BadBackup(Message("This backup wants to write {path}, which is outside {folder}.", path=path, folder=folder))
    return path


async def _fill(scratch: Store, backup: Opened) -> None:
    """The rows in a store of their own, at the revision that they were made with, and then brought up to this program's."""
    await bring_up_to_date(scratch, backup.manifest.revision)
    known = MetaData()
    if backup.manifest.revision == HEAD:
        known = metadata
    else:
        async with scratch.read() as connection:
            await connection.run_sync(known.reflect)
    try:
        async with scratch.write() as connection:
            for table in known.sorted_tables:
                if f"tables/{table.name}.jsonl" in backup.manifest.members:
                    await _insert(connection, table, backup.rows(table))
    except IntegrityError:
        raise BadBackup(Message("This backup is damaged: its rows contradict each other.")) from None
    await bring_up_to_date(scratch)


async def _insert(connection: AsyncConnection, table: Table, parts: Iterable[list[dict[str, Any]]]) -> int:
    count = 0
    iterator = iter(parts)
    while rows := await asyncio.to_thread(next, iterator, None):
        await connection.execute(insert(table), rows)
        count += len(rows)
    return count


async def _keep(source: Source, folder: Path, now: float) -> Path | None:
    """What is here now, as a backup beside the state file. None: nothing is here."""
    if not await asyncio.to_thread(source.config.is_file):
        return None
    path = folder / f"{KEPT}-{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}.zip"
    file = await asyncio.to_thread(_private, path)
    try:
        await make(source, now, file, damaged=True)
        await asyncio.to_thread(_synced, file)
    finally:
        file.close()
    return path


def _private(path: Path) -> BinaryIO:
    """A new file that only the owner of its folder may read."""
    descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return os.fdopen(descriptor, "w+b")


def _synced(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


async def _replace(source: Source, scratch: Store, plan: _Plan, manifest: Manifest, by: str, now: float) -> int:
    count = 0
    before: dict[Path, bytes | None] = {}
    state_before = _state(plan.file.state)
    try:
        async with source.store.write() as connection:
            await connection.execute(delete(sessions))
            for table in reversed(TABLES):
                await connection.execute(delete(table))
            async with scratch.read() as reading:
                for table in TABLES:
                    result = await reading.stream(select(table))
                    async for rows in result.partitions(ROWS):
                        await connection.execute(insert(table), [dict(row) for row in map(_mapping, rows)])
                        count += len(rows)
            await connection.run_sync(_count_on)
            detail = {"made_at": manifest.made_at, "program": manifest.program, "rows": count}
            entry = {"at": now, "by": by, "action": "backup.restored", "object": manifest.school[:300], "detail": detail}
            await connection.execute(insert(audit).values(**entry))
            await asyncio.to_thread(_write_files, plan, before, now)
    except BaseException:
        await asyncio.to_thread(_put_back, before, plan.file.state, state_before)
        raise
    return count


def _mapping(row: Any) -> Any:
    return row._mapping  # noqa: SLF001 - SQLAlchemy's public name for a row by columns


def _count_on(connection: Connection) -> None:
    """PostgreSQL counts ids in sequences, which know nothing of rows that brought their own."""
    if connection.dialect.name != "postgresql":
        return
    for table in TABLES:
        if "id" in table.columns:
            largest = select(func.coalesce(func.max(table.c.id), 0) + 1).scalar_subquery()
            connection.execute(
                select(func.setval(func.pg_get_serial_sequence(text(f"'{table.name}'"), text("'id'")), largest, text("false")))
            )


def _state(path: Path) -> State | None:
    """None: there is none, or it is damaged."""
    try:
        return read_state(path) if path.exists() else None
    except StateError:
        return None


def _write_files(plan: _Plan, before: dict[Path, bytes | None], now: float) -> None:
    for path, data in plan.files.items():
        before[path] = path.read_bytes() if path.is_file() else None
        _write(path, data)
    path = plan.file.state
    try:
        update_state(path, lambda old: plan.state.model_copy(update={"generation": old.generation}), now)
    except StateError:  # what is here is damaged: a good reason to restore
        write_state(path, plan.state.model_copy(update={"generation": plan.state.generation + 1, "written_at": now}))


def _put_back(before: dict[Path, bytes | None], state: Path, state_before: State | None) -> None:
    """What was written is undone; workers follow generations, so that the old state comes as a new one."""
    for path, data in before.items():
        with suppress(OSError):
            if data is None:
                path.unlink(missing_ok=True)
            else:
                _write(path, data)
    if before and state_before is not None:
        with suppress(OSError, StateError):
            update_state(state, lambda old: state_before.model_copy(update={"generation": old.generation}), state_before.written_at)


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, with the mode of what was there. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.new")
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o640
    try:
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            if os.geteuid() == 0:
                owner = (path if path.exists() else path.parent).stat()
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        with suppress(OSError):
            aside.unlink()
        raise

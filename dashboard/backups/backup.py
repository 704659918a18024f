"""A backup: everything that people have set and that the store knows, in one file.  [shell: disk]

A ZIP file, sealed where there is a passphrase (dashboard/backups/sealing.py), with these members and no others: ``school.yaml``, ``province.yaml`` and
``publisher-root.json`` where the school has them, ``state.json``, ``tables/NAME.jsonl`` for each table (its columns, then its rows, in JSON), ``manifest.json``.
Not in it: sessions; keys, certificates and secrets that lie in files of their own; the lists, which come again.

Promises: the store is read at one moment; memory does not grow with the store; whatever file is opened, ``BadBackup`` says what is wrong with it, and
no more than ``MAX_CONTENT`` octets are ever unpacked, none of them to a path that the file names.
"""

import asyncio
import base64
import json
import math
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Integer, LargeBinary, String, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dashboard.backups.sealing import MAGIC, BadSeal, seal, unseal
from dashboard.store.engine import Store
from dashboard.store.migrating import revision
from dashboard.store.migrations import HEAD
from dashboard.store.tables import metadata, sessions
from filters.message import Message
from policies.load import ConfigError, load
from policies.province import load_province, province_path

FORMAT = 1
TABLES = tuple(table for table in metadata.sorted_tables if table is not sessions)
"""in the order in which their rows can be inserted"""
SCHOOL, PROVINCE, ROOT, STATE, MANIFEST = "school.yaml", "province.yaml", "publisher-root.json", "state.json", "manifest.json"
LIMITS = {SCHOOL: 512 * 1024, PROVINCE: 512 * 1024, ROOT: 512 * 1024, STATE: 16 * 1024 * 1024, MANIFEST: 256 * 1024}
MAX_FILE = 64 * 1024 * 1024
"""octets of an upload; a year of a hundred classes takes 15 MB"""
MAX_CONTENT = 512 * 1024 * 1024
MAX_MEMBERS = 100
_END_SEARCH = 22 + 65535 + 20
"""octets at the end of a ZIP file that its end record may lie in"""
MAX_LINE = 8 * 1024 * 1024
"""octets of one row; a forwarded report is the largest"""
ROWS = 1000
"""rows that are read, packed or inserted at a time"""


class BadBackup(Exception):
    """It cannot be restored; nothing was changed. Its only argument is a ``Message``."""


class Member(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    sha256: str
    size: int


class Manifest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    format: Literal[1]
    program: str
    """the version that has made it"""
    revision: str
    """of the store's tables (dashboard/store/migrations)"""
    made_at: float
    school: str
    members: dict[str, Member]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a backup comes from."""

    store: Store
    config: Path
    """the school's file"""
    program: str
    """the version of this program"""

    @property
    def folder(self) -> Path:
        """Where there is room for files that are large for a while: beside the state, which is not in memory as /tmp may be."""
        try:
            return load(self.config).state.parent
        except ConfigError:
            return self.config.parent


async def make(source: Source, now: float, target: BinaryIO, *, damaged: bool = False) -> Manifest:
    """Write the backup, not sealed, into ``target``, which can be sought in. Raises StoreTrouble, OSError, ConfigError for a damaged school file;
    with ``damaged`` such a file is taken as it is, without the others that it would lead to.
    """
    try:
        files, school = await asyncio.to_thread(_files, source.config)
    except ConfigError:
        if not damaged:
            raise
        files, school = {SCHOOL: await asyncio.to_thread(source.config.read_bytes), STATE: b"{}"}, ""
    members: dict[str, Member] = {}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, data in files.items():
            archive.writestr(_info(name), data)
            members[name] = Member(sha256=sha256(data).hexdigest(), size=len(data))
        async with source.store.read() as connection:
            for table in TABLES:
                members[_member(table)] = await _write_table(connection, table, archive)
        found = await revision(source.store)
        manifest = Manifest(format=FORMAT, program=source.program, revision=found or HEAD, made_at=now, school=school, members=members)
        archive.writestr(_info(MANIFEST), manifest.model_dump_json(indent=1))
    return manifest


def sealed(source: BinaryIO, passphrase: str) -> Iterator[bytes]:
    """What to send: the backup as it is where there is no passphrase."""
    source.seek(0)
    if passphrase:
        yield from seal(source, passphrase)
        return
    while part := source.read(64 * 1024):
        yield part


def _files(config: Path) -> tuple[dict[str, bytes], str]:
    """The files of the school, and its name."""
    file = load(config)
    files = {SCHOOL: config.read_bytes()}
    if file.school.province is not None:
        path = province_path(config, file.school.province)
        if path.is_file():
            files[PROVINCE] = path.read_bytes()
            try:
                publisher = load_province(path).publisher
            except ConfigError:
                publisher = None
            if publisher is not None and publisher.root.is_file():
                files[ROOT] = publisher.root.read_bytes()
    files[STATE] = file.state.read_bytes() if file.state.exists() else b"{}"
    return files, file.school.name


def _member(table: Table) -> str:
    return f"tables/{table.name}.jsonl"


def _info(name: str) -> zipfile.ZipInfo:
    """The owner alone reads what is unpacked by hand."""
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    return info


async def _write_table(connection: AsyncConnection, table: Table, archive: zipfile.ZipFile) -> Member:
    digest, size = sha256(), 0

    def write(rows: Sequence[Any]) -> int:
        data = b"".join(_line([_plain(column, value) for column, value in zip(table.columns, row, strict=True)]) for row in rows)
        digest.update(data)
        member.write(data)
        return len(data)

    with archive.open(_info(_member(table)), "w", force_zip64=True) as member:
        head = _line([column.name for column in table.columns])
        digest.update(head)
        member.write(head)
        size += len(head)
        result = await connection.stream(select(table).order_by(*(table.primary_key.columns or table.columns)))
        async for rows in result.partitions(ROWS):
            size += await asyncio.to_thread(write, rows)
    return Member(sha256=digest.hexdigest(), size=size)


def _line(values: list[Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _plain(column: Column[Any], value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(column.type, LargeBinary) and value is not None else value


class Opened:
    """A backup that was opened: its manifest was read and every member compared with it."""

    def __init__(self, archive: zipfile.ZipFile, manifest: Manifest) -> None:
        self.manifest = manifest
        self._archive = archive

    def file(self, name: str) -> bytes | None:
        return self._archive.read(name) if name in self.manifest.members else None

    def columns(self, table: Table) -> list[str]:
        """The columns that the table had. Raises BadBackup."""
        with self._archive.open(_member(table)) as member:
            return [str(name) for name in _parsed(member.readline(MAX_LINE), table.name, 1)]

    def rows(self, table: Table) -> Iterator[list[dict[str, Any]]]:
        """Rows as they are inserted, checked against the columns of ``table``, some at a time. Raises BadBackup."""
        with self._archive.open(_member(table)) as member:
            names = [str(name) for name in _parsed(member.readline(MAX_LINE), table.name, 1)]
            if sorted(names) != sorted(table.columns.keys()):
                raise _bad(table.name, 1)
            columns = [table.columns[name] for name in names]
            rows: list[dict[str, Any]] = []
            number = 1
            while line := member.readline(MAX_LINE):
                number += 1
                values = _parsed(line, table.name, number)
                if len(values) != len(names):
                    raise _bad(table.name, number)
                rows.append({column.name: _value(column, value, number) for column, value in zip(columns, values, strict=True)})
                if len(rows) == ROWS:
                    yield rows
                    rows = []
            if rows:
                yield rows


@contextmanager
def opened(upload: BinaryIO, passphrase: str, folder: Path | None) -> Iterator[Opened]:
    """Open a backup; ``folder`` is for what is unsealed meanwhile, in a file without a name. Raises BadBackup, OSError."""
    upload.seek(0)
    is_sealed = upload.read(len(MAGIC)) == MAGIC
    upload.seek(0)
    with tempfile.TemporaryFile(dir=folder) as aside:
        if is_sealed:
            if not passphrase:
                raise BadBackup(Message("This backup is sealed; please give its passphrase."))
            _unseal(upload, passphrase, aside)
        content = aside if is_sealed else upload
        try:
            _look_at_directory(content)
            with zipfile.ZipFile(content) as archive:
                yield Opened(archive, _checked(archive))
        except (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, EOFError) as error:
            raise BadBackup(Message("This is not a backup of this program, or it is damaged. ({why})", why=str(error))) from None


def _look_at_directory(file: IO[bytes]) -> None:
    """Refuse an archive whose directory alone would fill the memory, before zipfile reads it. Raises BadZipFile."""
    length = file.seek(0, os.SEEK_END)
    file.seek(max(0, length - _END_SEARCH))
    tail = file.read()
    file.seek(0)
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        raise zipfile.BadZipFile("no directory")
    entries, size = struct.unpack_from("<HI", tail, end + 10)
    if entries > MAX_MEMBERS or size > MAX_MEMBERS * 512 or tail[max(0, end - 20) : end].startswith(b"PK\x06\x07"):
        raise zipfile.BadZipFile("too many parts")


def _unseal(upload: BinaryIO, passphrase: str, to: IO[bytes]) -> None:
    try:
        for part in unseal(upload, passphrase):
            to.write(part)
    except BadSeal as error:
        raise BadBackup(error.args[0]) from None
    to.seek(0)


def _checked(archive: zipfile.ZipFile) -> Manifest:
    """The manifest, once every member is what it says. Nothing is unpacked that is larger than was told beforehand."""
    infos = archive.infolist()
    names = [info.filename for info in infos]
    if any(info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for info in infos):
        raise BadBackup(Message("This is not a backup of this program: its parts are packed in another way."))
    known = {*LIMITS, *(_member(table) for table in TABLES)}
    if len(names) != len(set(names)):
        raise BadBackup(Message("This backup has a part twice; it was not made by this program."))
    if MANIFEST not in names:
        raise BadBackup(Message("This is not a backup of this program: it has no manifest."))
    manifest = _manifest(archive)
    foreign = sorted(set(names) - known)
    if foreign:
        raise BadBackup(Message("This backup has a part that is not known here: {name}.", name=foreign[0][:100]))
    if set(names) - {MANIFEST} != manifest.members.keys():
        raise BadBackup(Message("This backup is incomplete: its parts are not those that its manifest names."))
    missing = sorted(name for name in (SCHOOL, STATE, "tables/people.jsonl") if name not in manifest.members)
    if missing:
        raise BadBackup(Message("This backup is incomplete: {name} is missing.", name=missing[0]))
    if sum(info.file_size for info in infos) > MAX_CONTENT or any(
        info.file_size > LIMITS.get(info.filename, MAX_CONTENT) for info in infos
    ):
        raise BadBackup(Message("This backup is larger unpacked than any school's; it is not restored."))
    for name, member in manifest.members.items():
        if _digest(archive, name) != (member.size, member.sha256):
            raise BadBackup(Message("This backup is damaged: {name} is not as it was written.", name=name))
    return manifest


def _digest(archive: zipfile.ZipFile, name: str) -> tuple[int, str]:
    """Of a member comes no more than the size that it was said to have."""
    digest, size = sha256(), 0
    with archive.open(name) as member:
        while part := member.read(64 * 1024):
            digest.update(part)
            size += len(part)
    return size, digest.hexdigest()


def _manifest(archive: zipfile.ZipFile) -> Manifest:
    if archive.getinfo(MANIFEST).file_size > LIMITS[MANIFEST]:
        raise BadBackup(Message("This is not a backup of this program: its manifest is too large."))
    try:
        told = json.loads(archive.read(MANIFEST))
        newer = isinstance(told, dict) and isinstance(told.get("format"), int) and told["format"] > FORMAT
        if newer:
            raise BadBackup(
                Message("This backup was made by a newer version of this program ({version}).", version=str(told.get("program"))[:40])
            )
        return Manifest.model_validate(told)
    except (ValueError, RecursionError, ValidationError):
        raise BadBackup(Message("This is not a backup of this program: its manifest is damaged.")) from None


def _parsed(line: bytes, table: str, number: int) -> list[Any]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        raise _bad(table, number) from None
    if not isinstance(values, list):
        raise _bad(table, number)
    return values


def _bad(table: str, number: int) -> BadBackup:
    return BadBackup(Message("This backup is damaged: table {table}, line {line}.", table=table, line=number))


def _value(column: Column[Any], value: Any, number: int) -> Any:
    """What the column may have: SQLite would take anything, and PostgreSQL refuse it in the middle. Raises BadBackup."""
    kind = column.type
    if value is None and column.nullable:
        return None
    if isinstance(kind, JSON) and not _has_nul(value):
        return value
    if isinstance(kind, LargeBinary) and isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except ValueError:
            raise _bad(str(column.table), number) from None
    if isinstance(kind, Boolean) and isinstance(value, bool):
        return value
    if isinstance(kind, Integer) and type(value) is int and abs(value) < (1 << 63 if isinstance(kind, BigInteger) else 1 << 31):
        return value
    if isinstance(kind, Float) and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if (
        isinstance(kind, String)
        and isinstance(value, str)
        and "\0" not in value
        and len(value) <= (kind.length or MAX_LINE)
        and _is_text(value)
    ):
        return value
    raise _bad(str(column.table), number)


def _has_nul(value: Any) -> bool:
    """PostgreSQL's texts have none, and no half characters."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return "\\u0000" in text or not _is_text(text)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True

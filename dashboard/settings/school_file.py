"""school.yaml, edited from the browser.  [shell: disk, locks]

Promises: the new text is accepted by policies/load.py before it is written; a reader sees the old file or the new one, never a half; nobody's edit is
lost, since an edit says which text it was made on (``seen``) and is refused where the file is another by now; the audit log has the change before it is
made; the last ``KEPT`` texts stay in ``history/`` beside the file. Refused is Refused: then nothing has changed. dashboard/settings/school_text.py keeps comments.

A page that shows a form takes ``opened(site)`` first and puts the digest into the form (``seen``); its POST calls ``edit``::

    seen, view = await school_file.opened(visit.site)
    ...
    await school_file.edit(visit.site, visit.person, Entry("group.changed", what="6a1"), visit.text("seen"), lambda document: set_in(document, ...))
"""

import asyncio
import difflib
import fcntl
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from dashboard.access import Person
from dashboard.refusal import Refused
from dashboard.school import View
from dashboard.settings.school_text import Text, Unwritable, set_in
from dashboard.site import Site
from dashboard.store import audit
from dashboard.store.engine import StoreTrouble
from filters.message import Message, joined
from policies.load import ConfigError, contents, parse
from policies.model import SchoolFile
from policies.province import parse_province, province_path

log = logging.getLogger("manglanh.school-file")

HISTORY = "history"
KEPT = 20
SHOWN_PROBLEMS = 50
PROVINCE = "province.yaml"
"""what a province's file is called that is uploaded where there was none"""
_VERSION = re.compile(r"(\d{8}T\d{6}\.\d{6}Z)-([0-9a-f]{12})-(.+)")
_STAMP = "%Y%m%dT%H%M%S.%fZ"

Change = Callable[[CommentedMap], None]
"""changes the document in place; may raise Refused"""


class Version(NamedTuple):
    """An earlier text of the file."""

    id: str
    """its file's name in ``history/``"""
    at: float
    """when it was replaced by the next, Unix seconds"""
    digest: str
    """the first characters of it"""
    size: int


def digest(path: Path) -> str:
    """SHA-256 of the file's bytes, hexadecimal; of no bytes, where it cannot be read."""
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError:
        return sha256(b"").hexdigest()


async def opened(site: Site) -> tuple[str, View]:
    """(digest, view) for a form. In this order: should the file change in between, the edit is refused rather than made on what nobody saw."""
    seen = await asyncio.to_thread(digest, site.config)
    return seen, await site.school.now()


async def matched(site: Site, if_match: str | None) -> str:
    """``seen`` from an If-Match header (RFC 9110 section 13.1.1); empty without one, and for ``*``. Raises Refused (412) where the file is another."""
    if if_match is None or if_match.strip() == "*":
        return ""
    now = await asyncio.to_thread(digest, site.config)
    if now not in [each.strip().strip('"') for each in if_match.split(",")]:
        refused = _changed_meanwhile()
        refused.status = 412
        raise refused
    return now


async def edit(site: Site, person: Person | None, entry: audit.Entry, seen: str, change: Change) -> str:
    """Carry ``change`` out on the file whose digest is ``seen`` (empty: whatever it is now); the new digest. Raises Refused, StoreTrouble.

    A change that changes nothing writes nothing, the audit log included.
    """
    old, new = await asyncio.to_thread(_prepared, site.config, seen, change)
    if old != new:
        await _carry_out(site, person, entry, old, new)
    return sha256(new).hexdigest()


async def replace(site: Site, person: Person | None, text: str | bytes, seen: str, entry: audit.Entry | None = None) -> str:
    """The whole file anew, as it was uploaded. Raises Refused, StoreTrouble."""
    old, new = await asyncio.to_thread(_prepared_whole, site.config, seen, text)
    if old != new:
        lines = diff(old, new)
        counts = {sign: sum(line.startswith(sign) for line in lines) for sign in "+-"}
        detail = {"lines_added": counts["+"], "lines_removed": counts["-"]}
        await _carry_out(site, person, entry or audit.Entry("school.imported", what=site.config.name, detail=detail), old, new)
    return sha256(new).hexdigest()


def checked(path: Path, text: str | bytes) -> SchoolFile:
    """What ``text`` would make of the school. Raises Refused with everything that is wrong with it."""
    data = _encoded(text)
    try:
        return parse(data, path.name)
    except ConfigError as error:
        raise Refused(_problems(error), status=422, field="text") from None


def diff(old: bytes, new: bytes) -> list[str]:
    """The lines that differ, with three around them, each behind ``+``, ``-`` or a blank; ``@`` between two places."""
    texts = [data.decode("utf-8-sig", "replace").splitlines() for data in (old, new)]
    lines = list(difflib.unified_diff(texts[0], texts[1], n=3, lineterm=""))[2:]
    return [line if not line.startswith("@@") else "@" for line in lines]


def read(path: Path) -> bytes:
    """The file as it is. Raises Refused."""
    try:
        return contents(path)
    except ConfigError as error:
        raise Refused(Message("The school's file cannot be read. ({why})", why=error.problems[0].message), status=503) from None


def history(path: Path) -> tuple[Version, ...]:
    """Earlier texts, the newest first."""
    path, versions = path.resolve(), []
    with suppress(OSError):
        for entry in os.scandir(path.parent / HISTORY):
            found = _VERSION.fullmatch(entry.name)
            if found and found[3] == path.name and entry.is_file(follow_symlinks=False):
                at = datetime.strptime(found[1], _STAMP).replace(tzinfo=UTC).timestamp()
                versions.append(Version(entry.name, at, found[2], entry.stat().st_size))
    return tuple(sorted(versions, reverse=True))


def earlier(path: Path, version: str) -> bytes:
    """The text of a version. Raises Refused where there is none of this id."""
    if version not in {known.id for known in history(path)}:
        raise Refused(Message("This earlier version is not there, or no longer."), status=404)
    return read(path.resolve().parent / HISTORY / version)


async def restore(site: Site, person: Person | None, version: str, seen: str) -> str:
    """Back to an earlier text, whole; what stands now becomes an earlier one itself. Raises Refused, StoreTrouble."""
    data = await asyncio.to_thread(earlier, site.config, version)
    return await replace(site, person, data, seen, audit.Entry("school.imported", what=site.config.name, detail={"version": version}))


def province_file(site: Site, province: Path | None) -> Path:
    """Where the province's file is, or will be. Raises Refused for one that does not lie beside the school's: a browser writes nowhere else."""
    path = province_path(site.config, province or Path(PROVINCE))
    if path.resolve().parent != site.config.resolve().parent:
        raise Refused(
            Message("The province's file {path} does not lie beside the school's; it can only be replaced there by hand.", path=str(path))
        )
    return path


async def replace_province(site: Site, person: Person | None, text: bytes, seen: str, seen_province: str) -> None:
    """The province's file anew, as it was uploaded; the school's file names it from then on. Raises Refused, StoreTrouble."""
    named = (await site.school.now()).file.school.province
    path = province_file(site, named)
    try:
        province = parse_province(text, path.name)
    except ConfigError as error:
        raise Refused(_problems(error), status=422, field="province") from None
    old = await asyncio.to_thread(lambda: read(path) if path.exists() else None)
    if seen_province and sha256(old or b"").hexdigest() != seen_province:
        raise _changed_meanwhile()
    entry = audit.Entry("province.changed", what=province.name)
    if old != text:
        await asyncio.shield(asyncio.ensure_future(_audited(site, person, entry, path, old, text)))
    if named is None:
        await edit(site, person, entry, seen, lambda document: set_in(document, ["school", "province"], PROVINCE))


async def _carry_out(site: Site, person: Person | None, entry: audit.Entry, old: bytes, new: bytes) -> None:
    """Audit, write, audit. A browser that goes away does not leave a change half made."""
    await asyncio.shield(asyncio.ensure_future(_audited(site, person, entry, site.config, old, new)))


async def _audited(site: Site, person: Person | None, entry: audit.Entry, path: Path, old: bytes | None, new: bytes) -> None:
    now = site.clock()
    async with site.store.write() as connection:
        ids = await audit.add(connection, now, person, [entry], outcome="begun")
    try:
        await asyncio.to_thread(_written, path, old, new, now, site.config)
    except BaseException:
        await _settle(site, ids, "failed")
        raise
    await _settle(site, ids, "done")


async def _settle(site: Site, ids: list[int], outcome: str) -> None:
    """The file is written or not; that its row cannot be completed is no reason to say otherwise."""
    try:
        async with site.store.write() as connection:
            await audit.settle(connection, ids, outcome)
    except StoreTrouble as error:
        log.error("audit rows stay at 'begun', though they are %s: %s: %s", outcome, ids, error)


def _prepared(path: Path, seen: str, change: Change) -> tuple[bytes, bytes]:
    """(old bytes, new bytes), the new ones accepted."""
    old = _seen(path, seen)
    try:
        parse(old, path.name)
        text = Text(old)
    except (ConfigError, YAMLError, ValueError, RecursionError) as error:
        why = _problems(error) if isinstance(error, ConfigError) else str(error)
        what = Message(
            "The school's file has mistakes; put them right there first, or upload a whole file. Nothing was changed.\n{why}", why=why
        )
        raise Refused(what) from None
    change(text.document)
    try:
        new = text.changed()
    except UnicodeEncodeError:
        raise Refused(Message("A text has characters that no file can hold."), status=422) from None
    except Unwritable:
        raise Refused(
            Message("This cannot be written into the school's file as it stands; please write it there by hand."), status=422
        ) from None
    checked(path, new)
    return old, new


def _prepared_whole(path: Path, seen: str, text: str | bytes) -> tuple[bytes, bytes]:
    new = _encoded(text)
    checked(path, new)
    return _seen(path, seen), new


def _encoded(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")


def _seen(path: Path, seen: str) -> bytes:
    data = read(path)
    if seen and sha256(data).hexdigest() != seen:
        raise _changed_meanwhile()
    return data


def _changed_meanwhile() -> Refused:
    return Refused(
        Message(
            "Somebody else has changed the school's file since you opened this page; nothing was changed. Please look again and repeat it."
        )
    )


def _problems(error: ConfigError) -> Message:
    return joined(problem.sentence() for problem in error.problems[:SHOWN_PROBLEMS])


def _written(path: Path, old: bytes | None, new: bytes, now: float, config: Path) -> None:
    """Replace the file, if it still is ``old`` (None: there is none, and the new one is like ``config``). Raises Refused."""
    path = path.resolve()
    try:
        with _locked(path.with_name(f".{path.name}.lock")):
            if (path.read_bytes() if path.exists() else None) != old:
                raise _changed_meanwhile()
            _replace(path, old, new, now, (config if old is None else path).stat())
    except OSError as error:
        log.error("%s could not be replaced: %s", path, error)
        why = Message("The file {name} could not be saved; nothing was changed. ({why})", name=path.name, why=error.strerror or str(error))
        raise Refused(why, status=503) from None


def _replace(path: Path, old: bytes | None, new: bytes, now: float, like: os.stat_result) -> None:
    if not like.st_mode & 0o222:
        raise Refused(Message("The school's file is marked as read-only; nothing was changed."), status=503)
    folder = path.parent / HISTORY
    if not folder.is_dir():
        folder.mkdir(0o750)
        _own(folder, path.parent.stat())
    stamp = datetime.fromtimestamp(now, UTC).strftime(_STAMP)
    kept = folder / f"{stamp}-{sha256(old or b'').hexdigest()[:12]}-{path.name}"
    aside = path.with_name(f".{path.name}.new")
    try:
        if old is not None:
            _write(kept, old, like)
        _write(aside, new, like)
        aside.replace(path)
    except BaseException:
        for half in (kept, aside):
            with suppress(OSError):
                half.unlink()
        raise
    _sync(folder)
    _sync(path.parent)
    _prune(path)


def _write(path: Path, data: bytes, like: os.stat_result) -> None:
    """A new file with the owner and the mode of the one that it is a copy of, forced to the disk. Never readable by more than that one, at no time."""
    with suppress(FileNotFoundError):
        path.unlink()
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - a mode from the first moment on
        file.write(data)
        file.flush()
        _own(path, like)
        os.fchmod(file.fileno(), like.st_mode & 0o7777)
        os.fsync(file.fileno())


def _own(path: Path, like: os.stat_result) -> None:
    """Only root may give a file away; a service that owns the folder has its own name on the file, and the group where it may."""
    for user, group in ((like.st_uid, like.st_gid), (-1, like.st_gid)):
        try:
            os.chown(path, user, group)
        except PermissionError:
            continue
        return


def _prune(path: Path) -> None:
    for version in history(path)[KEPT:]:
        with suppress(OSError):
            (path.parent / HISTORY / version.id).unlink()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """The lock file stays: removing it would let two holders each lock a file of that name."""
    with path.open("ab") as file:
        if os.geteuid() == 0:
            _own(path, path.parent.stat())
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _sync(folder: Path) -> None:
    """The rename has happened; that a file system cannot sync a folder is no reason to say otherwise."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

"""A list's bytes from its URL, conditionally, with the last good copy as the fallback. [shell: network, disk, clock]

Promises: bounded in size and time, all attempts together; a fault that may pass (no connection, an overloaded server, a body
cut short) is tried again, with pauses that double; what is no list (an error page, an archive without the known members) never
replaces a good copy; a copy is whole or absent (written aside and renamed), and beside it stands when it was last found fresh
and why it is not now. ``https``, ``http`` and ``file`` only, and an ``https`` URL is never followed to ``http``. From an
archive only ``domains``, ``urls`` and ``expressions`` are taken, by name.
"""

import hashlib
import io
import json
import re
import tarfile
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

import httpx

from blocklists.parse.lines import refuse_what_is_no_list
from blocklists.parse.ut1 import FILES
from blocklists.rule import ListRefused
from filters.message import Message


@dataclass(frozen=True, slots=True)
class Limits:
    download: int = 96 * 1024 * 1024
    """bytes of one list as it travels"""
    unpacked: int = 256 * 1024 * 1024
    """bytes of an archive's members together"""
    seconds: float = 300.0
    """for one list as a whole, all attempts and the pauses between them"""
    connect: float = 15.0
    """seconds for connecting, and of silence"""
    redirects: int = 5
    attempts: int = 3
    pause: float = 1.0
    """seconds before the second attempt, then twice as long each time; a server may ask for more (Retry-After)"""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The way to a list's files, the moment of its last change (Unix seconds; 0: unknown), and what a person should know."""

    read: Callable[[], Mapping[str, bytes]]
    """reads the copy on disk each time it is called. Raises ListRefused"""
    changed_at: float = 0.0
    notes: tuple[str, ...] = ()
    refreshed_at: float = 0.0
    """Unix seconds when the copy was last fetched or found unchanged"""


Progress = Callable[[str, int, int], None]
"""hears a URL, the bytes of it that have come, and how many there will be (0: not known)"""


class Unavailable(Exception):
    """Neither a fresh copy nor a kept one; ``why`` without the list's address, which the message has too."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(Message("{url}: {why}", url=url, why=why))
        self.why = why


_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""answers that another attempt may better (RFC 9110 section 15)"""


def _unheard(_url: str, _received: int, _total: int) -> None:
    pass


class Fetcher:
    """Fetches lists through one HTTP client into one cache folder (made if absent). Several threads may fetch different URLs."""

    def __init__(
        self,
        cache: Path,
        client: httpx.Client | None = None,
        limits: Limits = Limits(),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._cache = cache
        self._limits = limits
        self._sleep = sleep
        timeout = httpx.Timeout(limits.connect)
        self._client = client or httpx.Client(
            follow_redirects=True, max_redirects=limits.redirects, timeout=timeout, headers={"User-Agent": "manglanh"}
        )

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fetch(self, url: str, progress: Progress = _unheard) -> Fetched:
        """The list at ``url``; a kept copy, with a note, when it cannot be had. Raises Unavailable."""
        if urlsplit(url).scheme == "file":
            return self._file(url)
        kept = _Kept(self._cache, url)
        try:
            self._refresh(url, kept, progress)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ListRefused) as error:
            reason = _reason(error)
            if not kept.exists():
                raise Unavailable(url, reason) from None
            kept.failed(reason)
            return kept.fetched(self._limits, reason)
        return kept.fetched(self._limits)

    def kept(self, url: str) -> Fetched:
        """The last good copy, without asking the network. Raises Unavailable."""
        if urlsplit(url).scheme == "file":
            return self._file(url)
        kept = _Kept(self._cache, url)
        if not kept.exists():
            raise Unavailable(url, Message("not fetched yet"))
        return kept.fetched(self._limits)

    def _file(self, url: str) -> Fetched:
        path = Path(unquote(urlsplit(url).path))
        try:
            return Fetched(partial(_read, path, url, self._limits), path.stat().st_mtime, refreshed_at=time.time())
        except OSError as error:
            raise Unavailable(url, error.strerror or type(error).__name__) from None

    def _refresh(self, url: str, kept: "_Kept", progress: Progress) -> None:
        """One attempt, and more while the fault may pass and the time limit allows."""
        deadline = time.monotonic() + self._limits.seconds
        pause = self._limits.pause
        for left in reversed(range(self._limits.attempts)):
            try:
                self._attempt(url, kept, deadline, progress)
            except httpx.HTTPError as error:
                wait = max(pause, _asked_to_wait(error))
                if not left or not _may_pass(error) or time.monotonic() + wait > deadline:
                    raise
                self._sleep(wait)
                pause *= 2
            else:
                return

    def _attempt(self, url: str, kept: "_Kept", deadline: float, progress: Progress) -> None:
        with self._client.stream("GET", url, headers=kept.conditions()) as response:
            if urlsplit(url).scheme == "https" and any(step.url.scheme != "https" for step in (*response.history, response)):
                raise ListRefused(Message("led from https to http"))
            if response.status_code == httpx.codes.NOT_MODIFIED and kept.exists():
                kept.unchanged()
                return
            response.raise_for_status()
            data = self._body(url, response, deadline, progress)
        for file in unpack(url, data, self._limits).values():
            refuse_what_is_no_list(file)
        if not data.strip():
            raise ListRefused(Message("an empty answer"))
        kept.keep(data, response.headers)

    def _body(self, url: str, response: httpx.Response, deadline: float, progress: Progress) -> bytes:
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isascii() and length.isdigit() else 0
        body = io.BytesIO()
        for chunk in response.iter_bytes():
            body.write(chunk)
            if body.tell() > self._limits.download:
                raise ListRefused(Message("larger than {count} bytes", count=self._limits.download))
            if time.monotonic() > deadline:
                raise ListRefused(Message("not finished after {seconds:.0f} seconds", seconds=self._limits.seconds))
            progress(url, response.num_bytes_downloaded, total)
        return body.getvalue()


def _reason(error: Exception) -> str:
    """In one line."""
    if isinstance(error, ListRefused):
        return Message("{why}", why=error)
    return " ".join(str(error).split()) or type(error).__name__


def _may_pass(error: httpx.HTTPError) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in _PASSING
    return isinstance(error, httpx.TransportError) and not isinstance(error, httpx.UnsupportedProtocol)


def _asked_to_wait(error: httpx.HTTPError) -> float:
    """Seconds of a ``Retry-After`` in seconds (RFC 9110 section 10.2.3); 0 for none, and for a date."""
    given = error.response.headers.get("Retry-After", "") if isinstance(error, httpx.HTTPStatusError) else ""
    return float(given) if given.isascii() and given.isdigit() else 0.0


class _Kept:
    """The last good copy of one URL: its bytes, and beside them the validators of RFC 9110 section 8.8."""

    def __init__(self, cache: Path, url: str) -> None:
        stem = hashlib.sha256(url.encode()).hexdigest()[:32]
        self._data = cache / f"{stem}.data"
        self._meta = cache / f"{stem}.json"
        self._url = url

    def exists(self) -> bool:
        return self._data.is_file()

    def _known(self) -> Mapping[str, str]:
        """What was noted with the copy; nothing if the note is not about these very bytes."""
        try:
            noted = json.loads(self._meta.read_bytes())
            if noted["sha256"] == self._hash() and noted["url"] == self._url:
                return {str(key): str(value) for key, value in noted.items()}
        except (OSError, ValueError, KeyError, TypeError):
            pass  # no note: the list is fetched whole, which is always right
        return {}

    def conditions(self) -> dict[str, str]:
        known = self._known()
        headers = {"If-None-Match": known.get("etag", ""), "If-Modified-Since": known.get("last-modified", "")}
        return {name: value for name, value in headers.items() if value}

    def keep(self, data: bytes, headers: httpx.Headers) -> None:
        """Keep ``data`` as the copy. A list without Last-Modified is dated by the first answer that had these very bytes."""
        before, sha256 = self._known(), hashlib.sha256(data).hexdigest()
        noted = {name: headers[name] for name in ("etag", "last-modified", "date") if name in headers}
        if before.get("sha256") == sha256 and "date" in before:
            noted["date"] = before["date"]
        self._data.parent.mkdir(parents=True, exist_ok=True)
        _write(self._data, data)
        self._note({**noted, "url": self._url, "sha256": sha256, "refreshed": f"{time.time():.0f}"})

    def unchanged(self) -> None:
        known = self._known()
        if known:
            self._note({key: value for key, value in known.items() if key != "failed"} | {"refreshed": f"{time.time():.0f}"})

    def failed(self, reason: str) -> None:
        known = self._known()
        with suppress(OSError):  # a full disk: what was noted before stays, and the copy serves
            self._note({**known, "url": self._url, "sha256": known.get("sha256") or self._hash(), "failed": reason})

    def _note(self, noted: Mapping[str, str]) -> None:
        _write(self._meta, json.dumps(noted, sort_keys=True).encode())

    def _hash(self) -> str:
        with self._data.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def fetched(self, limits: Limits, failed: str = "") -> Fetched:
        """The copy, with a note if the last attempt ``failed`` (this one, or the one that was noted)."""
        known = self._known()
        reason = failed or known.get("failed", "")
        notes = (Message("not refreshed ({why}); the last good copy is used", why=reason),) if reason else ()
        changed_at = _moment(known.get("last-modified", "")) or _moment(known.get("date", ""))
        refreshed_at = _seconds(known.get("refreshed", "")) or self._data.stat().st_mtime
        return Fetched(partial(_read, self._data, self._url, limits), changed_at, notes, refreshed_at)


def _read(path: Path, url: str, limits: Limits) -> Mapping[str, bytes]:
    try:
        return unpack(url, path.read_bytes(), limits)
    except OSError as error:
        raise ListRefused(Message("the copy on disk cannot be read: {why}", why=error.strerror)) from None


def _write(path: Path, data: bytes) -> None:
    aside = path.with_suffix(f"{path.suffix}.new")
    aside.write_bytes(data)
    aside.replace(path)


def _seconds(text: str) -> float:
    """Unix seconds as they were noted; 0 for what is no number."""
    return float(text) if re.fullmatch(r"\d{1,12}(\.\d+)?", text) else 0.0


def _moment(text: str) -> float:
    """Unix seconds of an HTTP date; 0 for none."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError):
        return 0.0


def unpack(url: str, data: bytes, limits: Limits = Limits()) -> Mapping[str, bytes]:
    """The list's files: the data itself as ``""``, or the known members of a ``.tar.gz``. Raises ListRefused."""
    if not url.endswith(".tar.gz"):
        return {"": data}
    files: dict[str, bytes] = {}
    total = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r|gz") as archive:
            for member in archive:
                total += member.size
                if total > limits.unpacked:
                    raise ListRefused(Message("an archive that unpacks to more than {count} bytes", count=limits.unpacked))
                name = member.name.rpartition("/")[2]
                content = archive.extractfile(member) if member.isreg() and name in FILES and name not in files else None
                if content is not None:
                    files[name] = content.read()
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise ListRefused(Message("not a .tar.gz archive: {why}", why=error)) from None
    if not files:
        raise ListRefused(Message("an archive without {files}", files=", ".join(FILES)))
    return files

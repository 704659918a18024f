"""A list's bytes from its URL, conditionally, with the last good copy as the fallback. [shell: network, disk, clock]

Promises: bounded in size and time; what is no list (an error page, an archive without the known members) never replaces
a good copy; a copy is whole or absent (written aside and renamed). ``https``, ``http`` and ``file`` only, and an ``https``
URL is never followed to ``http``. From an archive only ``domains``, ``urls`` and ``expressions`` are taken, by name.
"""

import hashlib
import io
import json
import tarfile
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx

from blocklists.parse.lines import refuse_what_is_no_list
from blocklists.parse.ut1 import FILES
from blocklists.rule import ListRefused


@dataclass(frozen=True, slots=True)
class Limits:
    download: int = 96 * 1024 * 1024
    """bytes of one list as it travels"""
    unpacked: int = 256 * 1024 * 1024
    """bytes of an archive's members together"""
    seconds: float = 300.0
    """for one list as a whole"""
    connect: float = 15.0
    """seconds for connecting, and of silence"""
    redirects: int = 5


@dataclass(frozen=True, slots=True)
class Fetched:
    """The way to a list's files, the moment of its last change (Unix seconds; 0: unknown), and what a person should know."""

    read: Callable[[], Mapping[str, bytes]]
    """reads the copy on disk each time it is called. Raises ListRefused"""
    changed_at: float = 0.0
    notes: tuple[str, ...] = ()


class Unavailable(Exception):
    """Neither a fresh copy nor a kept one; the message says why."""


class Fetcher:
    """Fetches lists through one HTTP client into one cache folder (made if absent)."""

    def __init__(self, cache: Path, client: httpx.Client | None = None, limits: Limits = Limits()) -> None:
        self._cache = cache
        self._limits = limits
        timeout = httpx.Timeout(limits.connect)
        self._client = client or httpx.Client(
            follow_redirects=True, max_redirects=limits.redirects, timeout=timeout, headers={"User-Agent": "manglanh"}
        )

    def close(self) -> None:
        self._client.close()

    def fetch(self, url: str) -> Fetched:
        """The list at ``url``; a kept copy, with a note, when it cannot be had. Raises Unavailable."""
        if urlsplit(url).scheme == "file":
            return self._file(url)
        kept = _Kept(self._cache, url)
        try:
            self._refresh(url, kept)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ListRefused) as error:
            reason = str(error) or type(error).__name__
            if not kept.exists():
                raise Unavailable(f"{url}: {reason}") from None
            return kept.fetched(self._limits, f"not refreshed ({reason}); the last good copy is used")
        return kept.fetched(self._limits)

    def _file(self, url: str) -> Fetched:
        path = Path(unquote(urlsplit(url).path))
        try:
            return Fetched(partial(_read, path, url, self._limits), path.stat().st_mtime)
        except OSError as error:
            raise Unavailable(f"{url}: {error.strerror}") from None

    def _refresh(self, url: str, kept: "_Kept") -> None:
        deadline = time.monotonic() + self._limits.seconds
        with self._client.stream("GET", url, headers=kept.conditions()) as response:
            if urlsplit(url).scheme == "https" and any(step.url.scheme != "https" for step in (*response.history, response)):
                raise ListRefused("led from https to http")
            if response.status_code == httpx.codes.NOT_MODIFIED and kept.exists():
                return
            response.raise_for_status()
            body = io.BytesIO()
            for chunk in response.iter_bytes():
                body.write(chunk)
                if body.tell() > self._limits.download:
                    raise ListRefused(f"larger than {self._limits.download} bytes")
                if time.monotonic() > deadline:
                    raise ListRefused(f"not finished after {self._limits.seconds:.0f} seconds")
        data = body.getvalue()
        for file in unpack(url, data, self._limits).values():
            refuse_what_is_no_list(file)
        if not data.strip():
            raise ListRefused("an empty answer")
        kept.keep(data, response.headers)


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
            if noted["sha256"] == hashlib.sha256(self._data.read_bytes()).hexdigest() and noted["url"] == self._url:
                return {str(key): str(value) for key, value in noted.items()}
        except (OSError, ValueError, KeyError, TypeError):
            pass  # no note: the list is fetched whole, which is always right
        return {}

    def conditions(self) -> dict[str, str]:
        known = self._known()
        headers = {"If-None-Match": known.get("etag", ""), "If-Modified-Since": known.get("last-modified", "")}
        return {name: value for name, value in headers.items() if value}

    def keep(self, data: bytes, headers: httpx.Headers) -> None:
        self._data.parent.mkdir(parents=True, exist_ok=True)
        _write(self._data, data)
        noted = {"url": self._url, "sha256": hashlib.sha256(data).hexdigest()}
        noted |= {name: headers[name] for name in ("etag", "last-modified") if name in headers}
        _write(self._meta, json.dumps(noted, sort_keys=True).encode())

    def fetched(self, limits: Limits, *notes: str) -> Fetched:
        return Fetched(partial(_read, self._data, self._url, limits), _moment(self._known().get("last-modified", "")), notes)


def _read(path: Path, url: str, limits: Limits) -> Mapping[str, bytes]:
    try:
        return unpack(url, path.read_bytes(), limits)
    except OSError as error:
        raise ListRefused(f"the copy on disk cannot be read: {error.strerror}") from None


def _write(path: Path, data: bytes) -> None:
    aside = path.with_suffix(f"{path.suffix}.new")
    aside.write_bytes(data)
    aside.replace(path)


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
                    raise ListRefused(f"an archive that unpacks to more than {limits.unpacked} bytes")
                name = member.name.rpartition("/")[2]
                content = archive.extractfile(member) if member.isreg() and name in FILES and name not in files else None
                if content is not None:
                    files[name] = content.read()
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise ListRefused(f"not a .tar.gz archive: {error}") from None
    if not files:
        raise ListRefused(f"an archive without {', '.join(FILES)}")
    return files

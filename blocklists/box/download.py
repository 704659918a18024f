"""Bytes from a publisher's web server, object store, CDN or USB stick, for the TUF client. [shell: network, files, clock]

Promises: nothing waits for ever and nothing is endless (``Limits``); what a slow link has brought of a large file is kept and gone on
with (RFC 9110 section 14); what was asked once and has not changed costs a few hundred bytes (section 13); a ``https`` address is never
followed to ``http``. All that goes wrong is one of python-tuf's ``DownloadError``.
Refuses to judge: whether bytes are the right ones is for the TUF metadata to say, so a mirror may answer what it likes.

What is counted (``Traffic``): request and response heads and bodies as HTTP/1.1 would write them. Not counted: TCP, TLS, lost packets.
"""

import os
import socket
import stat
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from itertools import islice
from pathlib import Path
from ssl import create_default_context
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import unquote, urlsplit

import httpx
from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError, SlowRetrievalError
from tuf.ngclient import FetcherInterface

PIECE = 64 * 1024
"""bytes that are in memory at once"""
NO_COMPRESSION = {"Accept-Encoding": "identity"}
COMPRESSION = {"Accept-Encoding": "gzip"}


@dataclass(frozen=True, slots=True)
class Limits:
    silence: float = 30.0
    """seconds for connecting, and without a byte"""
    small_seconds: float = 60.0
    """for a metadata file or another small one as a whole"""
    pace: float = 1000.0
    """bytes a second that a large file must bring; 64 kbit/s are 8,000"""
    pace_over: float = 30.0
    """seconds over which that is measured, again and again, so that a quick start buys no slow end"""
    redirects: int = 3


@dataclass(slots=True)
class Traffic:
    received: int = 0
    sent: int = 0
    requests: int = 0


class TryLater(DownloadHTTPError):
    """The server is overloaded (429, 503) and may have said for how long (RFC 9110 section 10.2.3)."""

    def __init__(self, message: str, status_code: int, seconds: float) -> None:
        super().__init__(message, status_code)
        self.seconds = seconds


class Validators(NamedTuple):
    """What tells a server which version is here (RFC 9110 section 8.8)."""

    etag: str = ""
    modified: str = ""

    def conditions(self) -> dict[str, str]:
        return {name: value for name, value in (("If-None-Match", self.etag), ("If-Modified-Since", self.modified)) if value}


class Pace:
    """Whether a transfer is fast enough; times are seconds of any clock that does not jump."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._since = now
        self._received = 0

    def add(self, received: int, now: float) -> None:
        """Raises SlowRetrievalError (TUF specification 1.0, section 1.5.2: slow retrieval attacks)."""
        self._received += received
        seconds = now - self._since
        if seconds < self._limits.pace_over:
            return
        if self._received < self._limits.pace * seconds:
            raise SlowRetrievalError(f"{self._received} bytes in {seconds:.0f} seconds")
        self._since, self._received = now, 0


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]


class Downloader:
    """One HTTP client for everything that a box fetches from its publisher."""

    def __init__(
        self,
        ca: Path | None = None,
        proxy: str | None = None,
        limits: Limits = Limits(),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``ca``: the only certificates that are believed (PEM); None: the well-known ones. ``proxy``: None: as the environment says
        (``HTTPS_PROXY``, ``NO_PROXY``, ...). Raises OSError where ``ca`` cannot be read, ssl.SSLError where it is none.
        """
        self._limits = limits
        self._monotonic = monotonic
        self.traffic = Traffic()
        self._sockets: list[socket.socket] = []
        self._client = httpx.Client(
            verify=True if ca is None else create_default_context(cafile=ca),
            proxy=proxy,
            timeout=limits.silence,
            limits=httpx.Limits(
                max_connections=4, max_keepalive_connections=2, keepalive_expiry=70.0
            ),  # one handshake for many polls; nginx keeps 75
            headers={"User-Agent": "manglanh"},
        )

    def close(self) -> None:
        self._client.close()

    def changed(self, url: str, known: Validators, most: int) -> tuple[bytes, Validators] | None:
        """The small file at ``url`` and what to know it by next time; None if the server says that it is the known one. Raises DownloadError."""
        with self._get(url, COMPRESSION | known.conditions()) as answer:
            if answer.status == httpx.codes.NOT_MODIFIED and known != Validators():
                return None
            data = _at_most(most, self._small(url, answer))
            return data, Validators(answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", ""))

    def small(self, url: str, most: int) -> bytes:
        """The small file at ``url``, of at most so many bytes. Raises DownloadError."""
        return _at_most(most, self.pieces(url))

    def pieces(self, url: str) -> Iterator[bytes]:
        """The same piece by piece, for a reader that counts. Raises DownloadError."""
        with self._get(url, COMPRESSION) as answer:
            yield from self._small(url, answer)

    def resume(self, url: str, partial: Path, length: int, progress: Callable[[int], None] = lambda _: None) -> None:
        """Bring ``partial`` to ``length`` bytes; what it has already is not fetched again. ``progress`` hears how many bytes are there.

        Nothing says that what was there and what came belong together: the caller compares hashes. Raises DownloadError, OSError;
        what has come until then stays in ``partial``.
        """
        have = partial.stat().st_size if partial.exists() else 0
        if have == length:
            return
        if have > length:
            partial.unlink()
            have = 0
        with self._get(url, NO_COMPRESSION | ({"Range": f"bytes={have}-"} if have else {})) as answer:
            if answer.status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                partial.unlink()  # the file there is shorter than what is here, so they are two files
            start = _start(url, answer, have)
            with partial.open("r+b" if start else "wb") as file:
                file.seek(start)
                pace = Pace(self._limits, self._monotonic())
                for chunk in answer.chunks:
                    start += len(chunk)
                    if start > length:
                        raise DownloadLengthMismatchError(f"{url}: more than the {length} bytes that were announced")
                    file.write(chunk)
                    progress(start)
                    pace.add(len(chunk), self._monotonic())
        if start < length:
            raise DownloadError(f"{url}: ended after {start} of {length} bytes")

    def _small(self, url: str, answer: _Answer) -> Iterator[bytes]:
        _expect(url, answer, httpx.codes.OK)
        deadline = self._monotonic() + self._limits.small_seconds
        for piece in _decoded(url, answer):
            if self._monotonic() > deadline:
                raise SlowRetrievalError(f"{url}: not finished after {self._limits.small_seconds:.0f} seconds")
            yield piece

    @contextmanager
    def _get(self, url: str, headers: Mapping[str, str]) -> Iterator[_Answer]:
        try:
            if urlsplit(url).scheme == "file":
                self.traffic.requests += 1
                with _file(url, headers) as answer:
                    yield answer
                return
            response = self._ask(url, headers)
            chunks = response.iter_raw()  # as they come: the clock looks at each
            try:
                yield _Answer(response.status_code, response.headers, chunks)
            finally:
                if response.status_code not in {httpx.codes.OK, httpx.codes.PARTIAL_CONTENT}:
                    _read_away(chunks)
                response.close()
                self._count(response)
        except httpx.TimeoutException:
            raise DownloadError(f"{url}: nothing came for {self._limits.silence:.0f} seconds") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise DownloadError(f"{url}: {str(error) or type(error).__name__}") from None

    def _ask(self, url: str, headers: Mapping[str, str]) -> httpx.Response:
        """The head of the answer, after redirections. httpx would read a redirection's body to its end, and it may have none."""
        request = self._client.build_request("GET", url, headers=headers, extensions={"trace": self._remember_socket})
        for _ in range(self._limits.redirects + 1):
            response = self._head(url, request)
            following = response.next_request
            if following is None:
                return response
            response.close()
            self._count(response)
            if urlsplit(url).scheme == "https" and following.url.scheme != "https":
                raise DownloadError(f"{url}: led from https to http")
            following.extensions = request.extensions
            request = following
        raise DownloadError(f"{url}: led on more than {self._limits.redirects} times")

    def _head(self, url: str, request: httpx.Request) -> httpx.Response:
        """Httpx times each read by itself, so a head of one byte every 29 seconds would take for ever: here it is cut off."""
        late = threading.Event()

        def cut() -> None:
            late.set()
            for connection in self._sockets:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(self._limits.small_seconds, cut)
        timer.daemon = True
        timer.start()
        try:
            return self._client.send(request, stream=True)
        except httpx.TransportError:
            if late.is_set():
                raise SlowRetrievalError(f"{url}: no answer within {self._limits.small_seconds:.0f} seconds") from None
            raise
        finally:
            timer.cancel()

    def _remember_socket(self, event: str, info: Mapping[str, Any]) -> None:
        if event in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            self._sockets = [known for known in self._sockets if known.fileno() >= 0]
            self._sockets.append(info["return_value"].get_extra_info("socket"))

    def _count(self, response: httpx.Response) -> None:
        line = len(response.request.method) + len(response.request.url.raw_path) + len("  HTTP/1.1\r\n\r\n")
        self.traffic.sent += line + _head_size(response.request.headers)
        self.traffic.received += len(f"HTTP/1.1 000 {response.reason_phrase}\r\n\r\n") + _head_size(response.headers)
        self.traffic.received += response.num_bytes_downloaded
        self.traffic.requests += 1


class MetadataFetcher(FetcherInterface):
    """python-tuf's network; ``ready`` holds a file that was fetched a moment ago, so that it is not asked for twice."""

    def __init__(self, downloader: Downloader) -> None:
        self._downloader = downloader
        self.ready: dict[str, bytes] = {}

    def _fetch(self, url: str) -> Iterator[bytes]:
        if url in self.ready:
            return iter((self.ready.pop(url),))
        return self._downloader.pieces(url)


def _read_away(chunks: Iterator[bytes]) -> None:
    """The few bytes of a 304 or a 404, at most: with anything unread httpx gives up the connection, and each poll would cost a TLS handshake."""
    with suppress(httpx.HTTPError, httpx.StreamError):
        for _ in islice(chunks, 3):
            pass


def _head_size(headers: httpx.Headers) -> int:
    return sum(len(name) + len(value) + len(": \r\n") for name, value in headers.raw)


def _at_most(most: int, pieces: Iterator[bytes]) -> bytes:
    data = bytearray()
    for piece in pieces:
        data += piece
        if len(data) > most:
            raise DownloadLengthMismatchError(f"more than {most} bytes")
    return bytes(data)


def _expect(url: str, answer: _Answer, *statuses: int) -> None:
    """Raises TryLater, DownloadHTTPError."""
    if answer.status in statuses:
        return
    message = f"{url}: HTTP status {answer.status}"
    if answer.status in {httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE}:
        raise TryLater(message, answer.status, _retry_after(answer.headers))
    raise DownloadHTTPError(message, answer.status)


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds; 0 where the server does not say. A date is measured against the server's own clock: the box's may be wrong."""
    given = headers.get("Retry-After", "").strip()
    if given.isascii() and given.isdigit():
        return float(given)
    try:
        return max(0.0, (parsedate_to_datetime(given) - parsedate_to_datetime(headers.get("Date", ""))).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _start(url: str, answer: _Answer, have: int) -> int:
    """Where in the file the answer's first byte belongs. Raises DownloadError; what is there is of no use then."""
    _expect(url, answer, httpx.codes.OK, httpx.codes.PARTIAL_CONTENT)
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise DownloadError(f"{url}: compressed, although that was not asked for")
    if answer.status == httpx.codes.OK:
        return 0  # a server that does not know ranges sends everything (RFC 9110 section 14.2)
    if not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        raise DownloadError(f"{url}: another part than was asked for")
    return have


def _decoded(url: str, answer: _Answer) -> Iterator[bytes]:
    """What was compressed, in pieces of bounded size: a kilobyte of gzip can hold a megabyte."""
    encoding = answer.headers.get("Content-Encoding", "identity")
    if encoding == "identity":
        yield from answer.chunks
        return
    if encoding != "gzip":
        raise DownloadError(f"{url}: in an encoding that was not asked for ({encoding})")
    unzip = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        for chunk in answer.chunks:
            piece = unzip.decompress(chunk, PIECE)
            while piece:
                yield piece
                piece = unzip.decompress(unzip.unconsumed_tail, PIECE)
    except zlib.error as error:
        raise DownloadError(f"{url}: {error}") from None
    if not unzip.eof:
        raise DownloadError(f"{url}: cut short")


@contextmanager
def _file(url: str, headers: Mapping[str, str]) -> Iterator[_Answer]:
    """A file of this machine as a server would answer it."""
    path = Path(unquote(urlsplit(url).path))
    with _opened(path) as file:
        start = int(headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        file.seek(start)
        status = httpx.codes.PARTIAL_CONTENT if start else httpx.codes.OK
        yield _Answer(status, {"Content-Range": f"bytes {start}-"}, _chunks(path, file))


def _opened(path: Path) -> BinaryIO:
    """Raises DownloadError, of an absent file as a server would say it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO would wait for a writer
    except (FileNotFoundError, NotADirectoryError):
        raise DownloadHTTPError(f"{path}: there is no such file", httpx.codes.NOT_FOUND) from None
    except OSError as error:
        raise DownloadError(f"{path}: {error.strerror}") from None
    file = os.fdopen(descriptor, "rb") if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    if file is None:
        os.close(descriptor)
        raise DownloadError(f"{path}: not a file")
    return file


def _chunks(path: Path, file: BinaryIO) -> Iterator[bytes]:
    """Raises DownloadError for a stick that was pulled out."""
    while True:
        try:
            chunk = file.read(PIECE)
        except OSError as error:
            raise DownloadError(f"{path}: {error.strerror}") from None
        if not chunk:
            return
        yield chunk

"""A small web server on loopback that serves a folder as nginx would (ETag, ranges, keep-alive), and misbehaves where a test says so."""

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from zlib import crc32


class Web(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.asked: list[tuple[str, dict[str, str]]] = []
        """path and headers (names in lower case) of every request"""
        self.misbehave: list[Callable[[_Handler, str], bool]] = []
        """asked in turn with each request; True: it has answered"""
        self.connections = 0
        self.ranges = True
        self.compress = False
        self.stopped = threading.Event()
        """for a handler that would go on for ever"""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what many tests are about."""

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes: 40 ms for each answer otherwise
    server: Web

    def setup(self) -> None:
        self.server.connections += 1
        super().setup()

    def do_GET(self) -> None:
        self.server.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        if any(misbehave(self, self.path) for misbehave in self.server.misbehave):
            return
        place = self.server.folder / self.path.lstrip("/")
        if not place.is_file():
            self.answer(404, b"no such file")
            return
        data = place.read_bytes()
        tag = f'"{crc32(data):x}"'
        if self.headers.get("If-None-Match") == tag:
            self.answer(304, b"", {"ETag": tag})
        elif "Range" in self.headers and self.server.ranges:
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            self.answer(206, data[start:], {"ETag": tag, "Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"})
        elif self.server.compress and "gzip" in self.headers.get("Accept-Encoding", ""):
            self.answer(200, gzip.compress(data), {"ETag": tag, "Content-Encoding": "gzip"})
        else:
            self.answer(200, data, {"ETag": tag})

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None, promised: int | None = None) -> None:
        """``promised``: a Content-Length that is not the body's; the connection ends after what there is."""
        self.send_response_only(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body) if promised is None else promised))
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(body)
        if promised is not None:
            self.close_connection = True

    def drip(self, piece: bytes, pause: float, head: bytes = b"HTTP/1.1 200 OK\r\n\r\n") -> None:
        """``piece`` again and again until the other side has had enough."""
        self.close_connection = True
        with suppress(OSError):
            self.wfile.write(head)
            while not self.server.stopped.wait(pause):
                self.wfile.write(piece)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[Web]:
    server = Web(folder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()

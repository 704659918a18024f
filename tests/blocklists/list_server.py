"""A real small web server on loopback that serves lists, conditionally, and badly where a test asks for it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Page:
    body: bytes = b"x.example\n"
    status: int = 200
    headers: dict = field(default_factory=dict)
    trickle: bool = False
    """one byte at a time until the other side hangs up"""


class Server(ThreadingHTTPServer):
    """Serves ``pages`` by path, answers If-None-Match by their ETag, and remembers what was asked."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, Page] = {}
        self.once: list[Page] = []
        """what is answered first, whatever the path"""
        self.asked: list[tuple[str, str]] = []
        self.stopped = threading.Event()

    def url(self, path):
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        page = self.server.once.pop(0) if self.server.once else self.server.pages.get(self.path, Page(b"<html>no such page", 404))
        seen = self.headers.get("If-None-Match") or self.headers.get("If-Modified-Since") or ""
        self.server.asked.append((self.path, seen))
        status = 304 if seen and seen in page.headers.values() else page.status
        self.send_response_only(status)
        for name, value in page.headers.items():
            self.send_header(name, value)
        body = b"" if status == 304 else page.body
        self.send_header("Content-Length", page.headers.get("Content-Length", str(len(body))))
        self.end_headers()
        if page.trickle:
            self.close_connection = True
            with suppress(OSError):
                while not self.server.stopped.wait(0.02):
                    self.wfile.write(b"a")
            return
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def serving() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.stopped.set()
        running.shutdown()
        thread.join()

"""Debian's nginx as a publisher's web server: a process, a port and a folder of its own, and what its log says of each request.

Configured as Debian ships it (sendfile, gzip for HTML only, connections kept for 75 s) but for one worker, room for connections
and the log; the system's own nginx is never touched.
"""

import getpass
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.bench import processes

LOG_FORMAT = "$msec $connection_requests $status $request_length $bytes_sent $request_uri"
CONFIGURATION = """
daemon off;
user {user};
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  sendfile on;
  tcp_nopush on;
  types_hash_max_size 2048;
  gzip on;
  log_format bench '{log_format}';
  access_log {folder}/access.log bench;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    root {root};
  }}
}}
"""
GIVE_UP = 10.0


@dataclass(frozen=True)
class Request:
    """One line of the log. Bytes are those of HTTP, heads and bodies; TCP's and TLS's come on top."""

    at: float
    """Unix seconds when it was answered"""
    on_connection: int
    """1: the first one on its connection, 2: the second, ..."""
    status: int
    received: int
    """bytes of the request"""
    sent: int
    """bytes of the response"""
    path: str

    @property
    def bytes(self) -> int:
        return self.received + self.sent


@dataclass(frozen=True)
class WebServer:
    url: str
    log: Path
    running: processes.Running

    def requests(self, since: float = 0.0, until: float = float("inf")) -> list[Request]:
        """What was answered from ``since`` on, before ``until`` (Unix seconds)."""
        return [request for request in read_log(self.log.read_text()) if since <= request.at < until]


def version() -> str:
    """'' where it is not installed."""
    return processes.version(["nginx", "-v"])


def read_log(text: str) -> list[Request]:
    return [_request(line) for line in text.splitlines()]


def _request(line: str) -> Request:
    at, on_connection, status, received, sent, path = line.split(" ", 5)
    return Request(float(at), int(on_connection), int(status), int(received), int(sent), path)


def new_connections(requests: Sequence[Request]) -> int:
    return sum(request.on_connection == 1 for request in requests)


def total(requests: Sequence[Request]) -> int:
    return sum(request.bytes for request in requests)


@contextmanager
def serving(root: Path, folder: Path, core: int | None = None) -> Iterator[WebServer]:
    """An nginx that serves the folder ``root`` until the block ends; its own files are in ``folder``. Raises processes.NotRunning."""
    folder.mkdir(parents=True, exist_ok=True)
    port = processes.free_port()
    values = {"user": getpass.getuser(), "folder": folder, "port": port, "root": root, "log_format": LOG_FORMAT}
    configuration = folder / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(**values))
    program = shutil.which("nginx") or "nginx"
    command: list[str | Path] = [program, "-p", folder, "-e", folder / "error.log", "-c", configuration]
    with processes.running(command, port=port, log=folder / "output.log", core=core) as running:
        _await_answer(running, f"http://127.0.0.1:{port}/")
        yield WebServer(f"http://127.0.0.1:{port}", folder / "access.log", running)


def _await_answer(running: processes.Running, url: str) -> None:
    deadline = time.monotonic() + GIVE_UP
    while time.monotonic() < deadline and running.process.poll() is None:
        try:
            httpx.get(url, timeout=1)
        except httpx.TransportError:
            time.sleep(0.01)
        else:
            return
    raise processes.NotRunning(f"nginx does not answer: {processes.tail(running.log)}")

"""Fetching against a real small web server on loopback: conditional, bounded, and never worse off than before."""

import gzip
import io
import tarfile
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from blocklists.fetch import Fetcher, Limits, Unavailable, unpack
from blocklists.rule import ListRefused


@dataclass
class Page:
    body: bytes = b"x.example\n"
    status: int = 200
    headers: dict = field(default_factory=dict)


class Server(ThreadingHTTPServer):
    """Serves ``pages`` by path, answers If-None-Match by their ETag, and remembers what was asked."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, Page] = {}
        self.asked: list[tuple[str, str]] = []

    def url(self, path):
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        page = self.server.pages.get(self.path, Page(b"<html>no such page", 404))
        seen = self.headers.get("If-None-Match") or self.headers.get("If-Modified-Since") or ""
        self.server.asked.append((self.path, seen))
        status = 304 if seen and seen in page.headers.values() else page.status
        self.send_response(status)
        for name, value in page.headers.items():
            self.send_header(name, value)
        body = b"" if status == 304 else page.body
        self.send_header("Content-Length", page.headers.get("Content-Length", str(len(body))))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def fetcher(tmp_path):
    fetching = Fetcher(tmp_path / "cache", limits=Limits(download=10_000, unpacked=50_000, seconds=5, connect=2))
    yield fetching
    fetching.close()


def archive(**members: bytes) -> bytes:
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name.replace("__", "/"))
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return body.getvalue()


def test_a_list_is_fetched_and_kept(server, fetcher):
    server.pages["/l"] = Page(headers={"Last-Modified": "Wed, 01 Jul 2026 00:00:00 GMT"})
    fetched = fetcher.fetch(server.url("/l"))
    assert fetched.read() == {"": b"x.example\n"}
    assert (fetched.changed_at, fetched.notes) == (1782864000.0, ())


@pytest.mark.parametrize("header", [{"ETag": '"v1"'}, {"Last-Modified": "Wed, 01 Jul 2026 00:00:00 GMT"}])
def test_an_unchanged_list_is_not_sent_again(server, fetcher, header):
    server.pages["/l"] = Page(headers=header)
    fetcher.fetch(server.url("/l"))
    assert fetcher.fetch(server.url("/l")).read() == {"": b"x.example\n"}
    assert server.asked == [("/l", ""), ("/l", next(iter(header.values())))]


def test_a_changed_list_replaces_the_copy(server, fetcher):
    server.pages["/l"] = Page(headers={"ETag": '"v1"'})
    fetcher.fetch(server.url("/l"))
    server.pages["/l"] = Page(b"y.example\n", headers={"ETag": '"v2"'})
    assert fetcher.fetch(server.url("/l")).read() == {"": b"y.example\n"}


BAD = {
    "an error status": Page(b"x", 500),
    "not found": Page(b"x", 404),
    "an error page with status 200": Page(b"<!DOCTYPE html><title>Too many requests"),
    "nothing": Page(b" \n"),
    "binary data": Page(b"\x89PNG\0\0"),
    "too much": Page(b"a" * 10_001),
    "cut short": Page(b"x.exa", headers={"Content-Length": "500"}),
    "a loop": Page(b"", 302, {"Location": "/l"}),
    "to a file": Page(b"", 302, {"Location": "file:///etc/passwd"}),
    "to nowhere": Page(b"", 302, {"Location": "http://[bad"}),
}


@pytest.mark.parametrize("page", BAD.values(), ids=BAD)
def test_what_goes_wrong_leaves_the_last_good_copy_and_says_so(server, fetcher, page):
    server.pages["/l"] = Page()
    fetcher.fetch(server.url("/l"))
    server.pages["/l"] = page
    fetched = fetcher.fetch(server.url("/l"))
    assert fetched.read() == {"": b"x.example\n"}
    (note,) = fetched.notes
    assert "the last good copy is used" in note


@pytest.mark.parametrize("page", BAD.values(), ids=BAD)
def test_what_goes_wrong_without_a_copy_is_unavailable(server, fetcher, page, tmp_path):
    server.pages["/l"] = page
    with pytest.raises(Unavailable, match="127.0.0.1"):
        fetcher.fetch(server.url("/l"))
    assert not list(tmp_path.glob("cache/*.data"))


def test_a_server_that_is_gone(server, fetcher):
    server.pages["/l"] = Page()
    url = server.url("/l")
    fetcher.fetch(url)
    server.shutdown()
    server.server_close()
    assert "the last good copy" in fetcher.fetch(url).notes[0]


def test_a_damaged_copy_is_fetched_whole(server, fetcher, tmp_path):
    server.pages["/l"] = Page(headers={"ETag": '"v1"'})
    fetcher.fetch(server.url("/l"))
    (data,) = tmp_path.glob("cache/*.data")
    data.write_bytes(b"x.exa")
    assert fetcher.fetch(server.url("/l")).read() == {"": b"x.example\n"}


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b'{"sha256": 1}', b"\xff"])
def test_a_damaged_note_is_fetched_whole(server, fetcher, tmp_path, note):
    server.pages["/l"] = Page(headers={"ETag": '"v1"'})
    fetcher.fetch(server.url("/l"))
    (meta,) = tmp_path.glob("cache/*.json")
    meta.write_bytes(note)
    assert fetcher.fetch(server.url("/l")).read() == {"": b"x.example\n"}
    assert server.asked[-1] == ("/l", "")


def test_compressed_in_transit_is_bounded_unpacked(server, fetcher):
    server.pages["/l"] = Page(gzip.compress(b"a" * 1_000_000), headers={"Content-Encoding": "gzip"})
    with pytest.raises(Unavailable, match="larger than 10000 bytes"):
        fetcher.fetch(server.url("/l"))


def test_a_ut1_archive_gives_its_known_members(server, fetcher):
    server.pages["/adult.tar.gz"] = Page(archive(adult__domains=b"x.example\n", adult__urls=b"y.example/p\n", adult__usage=b"black"))
    assert fetcher.fetch(server.url("/adult.tar.gz")).read() == {"domains": b"x.example\n", "urls": b"y.example/p\n"}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"not an archive", "not a .tar.gz"),
        (archive(adult__domains=b"x" * 1000)[:-40], "not a .tar.gz"),
        (archive(adult__other=b"x"), "without domains, urls, expressions"),
        (archive(big=b"\0" * 60_000, adult__domains=b"x"), "unpacks to more than"),
    ],
)
def test_a_bad_archive_is_refused(data, why):
    with pytest.raises(ListRefused, match=why):
        unpack("https://x/a.tar.gz", data, Limits(unpacked=50_000))


def test_a_link_in_an_archive_is_not_followed():
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as tar:
        member = tarfile.TarInfo("adult/domains")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(ListRefused, match="without domains"):
        unpack("https://x/a.tar.gz", body.getvalue())


def test_a_file_url(fetcher, tmp_path):
    (tmp_path / "a list").write_bytes(b"x.example\n")
    fetched = fetcher.fetch(f"file://{tmp_path}/a%20list")
    assert fetched.read() == {"": b"x.example\n"}
    assert fetched.changed_at > 0
    with pytest.raises(Unavailable, match="No such file"):
        fetcher.fetch(f"file://{tmp_path}/none")


def test_https_is_not_led_to_http(tmp_path):
    import httpx

    def answer(request):
        return (
            httpx.Response(200, text="x.example")
            if request.url.scheme == "http"
            else httpx.Response(302, headers={"Location": "http://x.example/l"})
        )

    with (
        httpx.Client(transport=httpx.MockTransport(answer), follow_redirects=True) as client,
        pytest.raises(Unavailable, match="from https to http"),
    ):
        Fetcher(tmp_path, client).fetch("https://x.example/l")

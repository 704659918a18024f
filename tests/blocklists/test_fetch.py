"""Fetching against a real small web server on loopback: conditional, bounded, and never worse off than before."""

import gzip
import io
import os
import tarfile

import pytest

from blocklists.fetch import Fetcher, Limits, Unavailable, unpack
from blocklists.rule import ListRefused
from tests.blocklists.list_server import Page, serving


@pytest.fixture
def server():
    with serving() as running:
        yield running


@pytest.fixture
def pauses() -> list[float]:
    """the pauses between attempts, which nobody waits for"""
    return []


@pytest.fixture
def fetcher(tmp_path, pauses):
    limits = Limits(download=10_000, unpacked=50_000, seconds=60, connect=2)
    fetching = Fetcher(tmp_path / "cache", limits=limits, sleep=pauses.append)
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


@pytest.mark.parametrize(
    ("faults", "waited"),
    [
        ([Page(b"", 500)], [1.0]),
        ([Page(b"", 503, {"Retry-After": "7"}), Page(b"", 429)], [7.0, 2.0]),
        ([Page(b"x.exa", headers={"Content-Length": "500"})], [1.0]),
        ([Page(b"", 502, {"Retry-After": "Wed, 01 Jul 2026 00:00:00 GMT"})], [1.0]),
    ],
)
def test_a_fault_that_passes_is_overcome(server, fetcher, pauses, faults, waited):
    server.pages["/l"] = Page()
    server.once = list(faults)
    fetched = fetcher.fetch(server.url("/l"))
    assert (fetched.read(), fetched.notes, pauses) == ({"": b"x.example\n"}, (), waited)


@pytest.mark.parametrize(
    "page", [Page(b"", 404), Page(b"", 403), Page(b"<html>"), Page(b""), Page(b"a" * 10_001), Page(b"", 302, {"Location": "/l"})]
)
def test_a_fault_that_does_not_pass_is_not_tried_again(server, fetcher, pauses, page):
    server.pages["/l"] = page
    with pytest.raises(Unavailable):
        fetcher.fetch(server.url("/l"))
    assert pauses == []


def test_attempts_and_the_wait_for_them_are_bounded(server, fetcher, pauses):
    server.pages["/l"] = Page(b"", 500)
    with pytest.raises(Unavailable, match="500"):
        fetcher.fetch(server.url("/l"))
    assert pauses == [1.0, 2.0]
    server.pages["/l"] = Page(b"", 503, {"Retry-After": "3600"})
    with pytest.raises(Unavailable, match="503"):
        fetcher.fetch(server.url("/l"))
    assert pauses == [1.0, 2.0], "an hour is longer than the time for a list"


def test_a_list_that_trickles_ends_with_the_time_for_it(server, tmp_path):
    server.pages["/l"] = Page(headers={"Content-Length": "5000"}, trickle=True)
    with Fetcher(tmp_path, limits=Limits(seconds=0.2)) as fetcher, pytest.raises(Unavailable, match="not finished after"):
        fetcher.fetch(server.url("/l"))


def test_an_endless_list_ends_at_its_limit(server, tmp_path):
    server.pages["/l"] = Page(headers={"Content-Length": str(10**12)}, trickle=True)
    with Fetcher(tmp_path, limits=Limits(download=5)) as fetcher, pytest.raises(Unavailable, match="larger than 5 bytes"):
        fetcher.fetch(server.url("/l"))


def test_progress_is_heard_in_bytes(server, fetcher):
    server.pages["/l"] = Page(b"x.example\n" * 500)
    heard = []
    fetcher.fetch(server.url("/l"), lambda *what: heard.append(what))
    assert heard[-1] == (server.url("/l"), 5000, 5000)


class TestKept:
    def test_needs_no_network(self, server, fetcher):
        server.pages["/l"] = Page()
        fetcher.fetch(server.url("/l"))
        asked = len(server.asked)
        assert fetcher.kept(server.url("/l")).read() == {"": b"x.example\n"}
        assert len(server.asked) == asked
        with pytest.raises(Unavailable, match="not fetched yet"):
            fetcher.kept(server.url("/other"))

    def test_remembers_that_it_could_not_be_refreshed_until_it_could(self, server, fetcher):
        url = server.url("/l")
        server.pages["/l"] = Page(headers={"ETag": '"v1"'})
        fetcher.fetch(url)
        server.pages["/l"] = Page(b"", 404)
        fetcher.fetch(url)
        (note,) = fetcher.kept(url).notes
        assert "404" in note
        server.pages["/l"] = Page(headers={"ETag": '"v1"'})
        fetcher.fetch(url)
        assert server.asked[-1] == ("/l", '"v1"')
        assert fetcher.kept(url).notes == ()

    def test_knows_when_it_was_last_found_fresh(self, server, fetcher, monkeypatch):
        url = server.url("/l")
        server.pages["/l"] = Page(headers={"ETag": '"v1"'})
        for now, page in ((1000.0, Page(headers={"ETag": '"v1"'})), (2000.0, None), (3000.0, Page(b"", 404))):
            monkeypatch.setattr("blocklists.fetch.time.time", lambda now=now: now)
            server.pages["/l"] = page or server.pages["/l"]
            fetcher.fetch(url)
        assert fetcher.kept(url).refreshed_at == 2000.0

    def test_is_as_old_as_its_file_where_nothing_was_noted(self, server, fetcher, tmp_path):
        server.pages["/l"] = Page()
        fetcher.fetch(server.url("/l"))
        (note,), (data,) = tmp_path.glob("cache/*.json"), tmp_path.glob("cache/*.data")
        note.unlink()
        os.utime(data, (5000, 5000))
        assert fetcher.kept(server.url("/l")).refreshed_at == 5000.0

    def test_has_the_date_of_the_first_answer_with_these_bytes(self, server, fetcher):
        url = server.url("/l")
        for day, body, expected in ((1, b"x.example", 1), (2, b"x.example", 1), (3, b"y.example", 3)):
            server.pages["/l"] = Page(body, headers={"Date": f"Wed, 0{day} Jul 2026 00:00:00 GMT"})
            fetcher.fetch(url)
            assert fetcher.kept(url).changed_at == 1782864000.0 + 86400 * (expected - 1)

"""The box's network against a real small server on loopback: resumed, bounded, conditional, and never fooled into joining two files."""

import errno
import gzip
import os
import socket
import threading
from contextlib import closing

import pytest
import trustme
from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError, RepositoryError, SlowRetrievalError
from tuf.api.metadata import TargetFile

from blocklists.box import download, kept_targets
from blocklists.box.download import Downloader, Limits, MetadataFetcher, Pace, TryLater, Validators
from blocklists.box.kept_targets import bring
from tests.web import serving

QUICK = Limits(silence=0.2, small_seconds=0.4, pace=1000.0, pace_over=0.3)
LARGE = os.urandom(400_000)


@pytest.fixture
def web(tmp_path):
    folder = tmp_path / "repository"
    (folder / "targets" / "categories").mkdir(parents=True)
    with serving(folder) as server:
        yield server


@pytest.fixture
def downloader():
    with closing(Downloader(limits=QUICK)) as made:
        yield made


def offered(web, data=LARGE, path="categories/base.tar.xz") -> TargetFile:
    target = TargetFile.from_data(path, data, ["sha256"])
    (web.folder / "targets" / "categories" / f"{target.hashes['sha256']}.base.tar.xz").write_bytes(data)
    return target


def brought(tmp_path, target, web, downloader, *more_urls) -> bytes:
    kept = bring(tmp_path / "lists", target, [web.url, *more_urls], downloader, lambda *_: None)
    return kept_targets.path_of(tmp_path / "lists", kept).read_bytes()


def cut_after(count):
    """Answers the first request for a target with so many bytes, and hangs up."""
    left = [1]

    def misbehave(handler, path):
        if "/targets/" not in path or not left:
            return False
        left.pop()
        data = (handler.server.folder / path.lstrip("/")).read_bytes()
        handler.answer(200, data[:count], promised=len(data))
        return True

    return misbehave


# ---- large files ----


def test_a_cut_download_goes_on_where_it_stopped(web, downloader, tmp_path):
    web.misbehave.append(cut_after(150_000))
    assert brought(tmp_path, offered(web), web, downloader) == LARGE
    first, second = (headers.get("range") for _, headers in web.asked)
    assert (first, second) == (None, "bytes=150000-")
    assert all(headers["accept-encoding"] == "identity" for _, headers in web.asked)
    assert downloader.traffic.received < len(LARGE) + 2000, "no byte was fetched twice"


def test_progress_outlives_the_process(web, tmp_path):
    target = offered(web)
    web.misbehave += [cut_after(150_000), lambda handler, _: handler.answer(503) or True]
    with closing(Downloader(limits=QUICK)) as first, pytest.raises(TryLater):
        brought(tmp_path, target, web, first)
    web.misbehave.clear()
    with closing(Downloader(limits=QUICK)) as second:
        assert brought(tmp_path, target, web, second) == LARGE
        assert second.traffic.received < 251_000
    assert web.asked[-1][1]["range"] == "bytes=150000-"


def test_a_server_that_knows_no_ranges_sends_everything_again(web, downloader, tmp_path):
    web.ranges = False
    web.misbehave.append(cut_after(150_000))
    assert brought(tmp_path, offered(web), web, downloader) == LARGE


def test_two_files_are_never_joined_unnoticed(web, downloader, tmp_path):
    """The first half came from another file: the hash of the whole says so, all is thrown away, and the file is fetched from its start."""
    target = offered(web)
    partial = tmp_path / "lists" / kept_targets.FOLDER / f"{target.hashes['sha256']}.partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"x" * 150_000)
    assert brought(tmp_path, target, web, downloader) == LARGE
    assert [headers.get("range") for _, headers in web.asked] == ["bytes=150000-", None]


@pytest.mark.parametrize("size", [len(LARGE) + 1, len(LARGE)])
def test_a_partial_file_that_is_no_part_is_thrown_away(web, downloader, tmp_path, size):
    target = offered(web)
    partial = tmp_path / "lists" / kept_targets.FOLDER / f"{target.hashes['sha256']}.partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(bytes(size))
    assert brought(tmp_path, target, web, downloader) == LARGE


def test_a_wrong_file_is_refused_and_the_next_mirror_asked(web, downloader, tmp_path):
    target = offered(web)
    other = tmp_path / "other"
    (other / "targets" / "categories").mkdir(parents=True)
    name = f"targets/categories/{target.hashes['sha256']}.base.tar.xz"
    (other / name).write_bytes(LARGE)
    (web.folder / name).write_bytes(bytes(len(LARGE)))
    assert brought(tmp_path, target, web, downloader, other.as_uri()) == LARGE
    with pytest.raises(RepositoryError):
        brought(tmp_path / "fresh", target, web, downloader)
    assert not [*(tmp_path / "fresh" / "lists" / kept_targets.FOLDER).iterdir()], "nothing of it is kept"


@pytest.mark.parametrize("with_length", [True, False])
def test_endless_data_ends_at_the_length_that_was_signed(web, downloader, tmp_path, with_length):
    target = offered(web)
    endless = b"x" * 65536

    def misbehave(handler, path):
        head = b"HTTP/1.1 200 OK\r\n" + (b"Content-Length: 99999999999\r\n" if with_length else b"") + b"\r\n"
        handler.drip(endless, 0.0, head)
        return True

    web.misbehave.append(misbehave)
    with pytest.raises(DownloadLengthMismatchError):
        brought(tmp_path, target, web, downloader)
    files = [*(tmp_path / "lists" / kept_targets.FOLDER).iterdir()]
    assert sum(file.stat().st_size for file in files) <= len(LARGE)


def test_a_trickle_is_cut_off(web, downloader, tmp_path):
    web.misbehave.append(lambda handler, _: handler.drip(b"x", 0.01) or True)
    with pytest.raises(SlowRetrievalError):
        brought(tmp_path, offered(web), web, downloader)


def test_silence_is_cut_off(web, downloader, tmp_path):
    web.misbehave.append(lambda handler, _: handler.drip(b"", 60.0) or True)
    with pytest.raises(DownloadError, match="nothing came"):
        brought(tmp_path, offered(web), web, downloader)


def test_a_head_that_trickles_is_cut_off(web, downloader):
    """Each byte comes in time; httpx by itself would read such a head for ever."""
    web.misbehave.append(lambda handler, _: handler.drip(b"X", 0.05, b"HTTP/1.1 200 OK\r\nX-A: ") or True)
    with pytest.raises(SlowRetrievalError):
        downloader.small(f"{web.url}/metadata/timestamp.json", 1000)


def test_pace_is_measured_again_and_again():
    pace = Pace(Limits(pace=1000, pace_over=30), 0.0)
    pace.add(10_000_000, 31.0)  # a quick start ...
    pace.add(1, 60.0)
    with pytest.raises(SlowRetrievalError):
        pace.add(1, 62.0)  # ... buys no slow end
    slow = Pace(Limits(pace=1000, pace_over=30), 0.0)
    for second in range(1, 1000):
        slow.add(8000, float(second))  # 64 kbit/s


def test_a_server_that_compresses_what_it_should_not_is_refused(web, downloader, tmp_path):
    web.misbehave.append(lambda handler, _: handler.answer(200, LARGE, {"Content-Encoding": "gzip"}) or True)
    with pytest.raises(DownloadError, match="compressed"):
        brought(tmp_path, offered(web), web, downloader)


def test_another_part_than_was_asked_for_is_not_written_anywhere(web, downloader, tmp_path):
    target = offered(web)
    web.misbehave.append(cut_after(1000))
    web.misbehave.append(
        lambda handler, _: (
            "Range" in handler.headers and (handler.answer(206, LARGE[5:], {"Content-Range": "bytes 5-399999/400000"}) or True)
        )
    )
    with pytest.raises(DownloadError, match="another part"):
        brought(tmp_path, target, web, downloader)
    (partial,) = (tmp_path / "lists" / kept_targets.FOLDER).glob("*.partial")
    assert partial.read_bytes() == LARGE[:1000]


def test_a_server_whose_file_is_shorter_than_what_is_here(web, downloader, tmp_path):
    target = offered(web)
    web.misbehave.append(cut_after(1000))
    web.misbehave.append(lambda handler, _: "Range" in handler.headers and (handler.answer(416) or True))
    with pytest.raises(DownloadError):
        brought(tmp_path, target, web, downloader)
    assert not [*(tmp_path / "lists" / kept_targets.FOLDER).glob("*.partial")]


def test_a_file_that_does_not_fit_on_the_disk_is_not_begun(web, downloader, tmp_path, monkeypatch):
    monkeypatch.setattr(kept_targets, "RESERVE", 1 << 60)
    with pytest.raises(OSError, match="No space") as refused:
        brought(tmp_path, offered(web), web, downloader)
    assert refused.value.errno == errno.ENOSPC
    assert web.asked == []


def test_what_is_there_is_not_fetched_again_and_what_the_disk_damaged_is(web, downloader, tmp_path):
    target = offered(web)
    brought(tmp_path, target, web, downloader)
    brought(tmp_path, target, web, downloader)
    assert len(web.asked) == 1
    (tmp_path / "lists" / kept_targets.FOLDER / target.hashes["sha256"]).write_bytes(b"damaged")
    assert brought(tmp_path, target, web, downloader) == LARGE


# ---- small files ----


def test_small_files_come_compressed_and_at_once(web, downloader, tmp_path):
    web.compress = True
    data = b"name,category\n" * 5000
    assert brought(tmp_path, offered(web, data), web, downloader) == data
    assert downloader.traffic.received < len(data) / 10


def test_a_bomb_is_cut_off(web, downloader):
    """Little that unpacks to much: no more of it is unpacked at once than a piece."""
    bomb = gzip.compress(bytes(20_000_000))
    web.misbehave.append(lambda handler, _: handler.answer(200, bomb, {"Content-Encoding": "gzip"}) or True)
    with pytest.raises(DownloadLengthMismatchError):
        downloader.small(f"{web.url}/bomb", 1000)
    sizes = [len(piece) for piece in downloader.pieces(f"{web.url}/bomb")]
    assert sum(sizes) == 20_000_000
    assert max(sizes) <= download.PIECE


@pytest.mark.parametrize(
    ("headers", "body"),
    [({"Content-Encoding": "gzip"}, b"no gzip"), ({"Content-Encoding": "gzip"}, b"\x1f\x8b\x08"), ({"Content-Encoding": "br"}, b"x")],
    ids=["not what it says", "cut short", "not asked for"],
)
def test_bad_compression_is_a_download_error(web, downloader, headers, body):
    web.misbehave.append(lambda handler, _: handler.answer(200, body, headers) or True)
    with pytest.raises(DownloadError):
        downloader.small(f"{web.url}/x", 1000)


def test_unchanged_costs_a_few_hundred_bytes(web, downloader):
    url = f"{web.url}/metadata/timestamp.json"
    (web.folder / "metadata").mkdir()
    (web.folder / "metadata" / "timestamp.json").write_bytes(b"{}" * 300)
    data, validators = downloader.changed(url, Validators(), 1000)
    assert data == b"{}" * 300
    before = downloader.traffic.received + downloader.traffic.sent
    assert downloader.changed(url, validators, 1000) is None
    assert downloader.traffic.received + downloader.traffic.sent - before < 400
    assert downloader.traffic.requests == 2


def test_one_connection_serves_many_polls(web, downloader):
    """Each 304 and each 404 closed its connection, so that every poll paid a TLS handshake."""
    (web.folder / "timestamp.json").write_bytes(b"{}")
    url = f"{web.url}/timestamp.json"
    _, known = downloader.changed(url, Validators(), 100)
    for _ in range(3):
        assert downloader.changed(url, known, 100) is None
        with pytest.raises(DownloadHTTPError):
            downloader.small(f"{web.url}/2.root.json", 100)
    assert web.connections == 1


def test_unchanged_is_not_believed_of_a_server_that_was_told_nothing(web, downloader):
    web.misbehave.append(lambda handler, _: handler.answer(304) or True)
    with pytest.raises(DownloadError):
        downloader.changed(f"{web.url}/x", Validators(), 1000)


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"Retry-After": "120"}, 120.0),
        (503, {"Retry-After": "Sun, 22 Nov 2026 08:02:00 GMT", "Date": "Sun, 22 Nov 2026 08:00:00 GMT"}, 120.0),
        (503, {"Retry-After": "soon"}, 0.0),
        (429, {}, 0.0),
    ],
)
def test_an_overloaded_server_says_for_how_long(web, downloader, status, headers, seconds):
    web.misbehave.append(lambda handler, _: handler.answer(status, b"", headers) or True)
    with pytest.raises(TryLater) as refused:
        downloader.small(f"{web.url}/x", 1000)
    assert (refused.value.status_code, refused.value.seconds) == (status, seconds)


def test_no_such_file_is_said_as_python_tuf_expects_it(web, downloader, tmp_path):
    for url in (f"{web.url}/none", (tmp_path / "none").as_uri(), (tmp_path / "repository" / "none" / "x").as_uri()):
        with pytest.raises(DownloadHTTPError) as refused:
            downloader.small(url, 1000)
        assert refused.value.status_code == 404


def test_nobody_there_is_a_download_error(downloader):
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(DownloadError):
        downloader.small(f"http://127.0.0.1:{port}/x", 1000)


def test_redirections_are_followed_and_their_bodies_left_alone(web, downloader):
    (web.folder / "there").write_bytes(b"here it is")

    def misbehave(handler, path):
        if path != "/here":
            return False
        handler.drip(b"x" * 65536, 0.0, b"HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n")
        return True

    web.misbehave.append(misbehave)
    assert downloader.small(f"{web.url}/here", 1000) == b"here it is"


def test_redirections_end(web, downloader):
    web.misbehave.append(lambda handler, _: handler.answer(302, b"", {"Location": "/again"}) or True)
    with pytest.raises(DownloadError, match="led on"):
        downloader.small(f"{web.url}/x", 1000)


def test_own_certificates_and_no_way_down_to_http(web, tmp_path, monkeypatch):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with serving(web.folder) as secure:
        secure.socket = context.wrap_socket(secure.socket, server_side=True)
        (web.folder / "x").write_bytes(b"secret")
        url = secure.url.replace("http:", "https:")
        with closing(Downloader(limits=Limits(silence=5.0))) as stranger, pytest.raises(DownloadError):
            stranger.small(f"{url}/x", 1000)
        with closing(Downloader(tmp_path / "ca.pem", limits=Limits(silence=5.0))) as school:
            assert school.small(f"{url}/x", 1000) == b"secret"
            secure.misbehave.append(lambda handler, _: handler.answer(302, b"", {"Location": f"{web.url}/x"}) or True)
            with pytest.raises(DownloadError, match="https to http"):
                school.small(f"{url}/x", 1000)
    assert web.asked == []


def test_a_proxy_is_asked_for_everything(web, tmp_path):
    (web.folder / "x").write_bytes(b"through the proxy")

    def proxy(handler, path):
        if path == "http://lists.example/x":
            handler.answer(200, b"through the proxy")
        return path.startswith("http://lists.example/")

    web.misbehave.append(proxy)
    with closing(Downloader(proxy=web.url, limits=QUICK)) as behind:
        assert behind.small("http://lists.example/x", 1000) == b"through the proxy"


# ---- sticks ----


def test_a_stick_is_read_like_a_server(web, downloader, tmp_path):
    target = offered(web)
    partial = tmp_path / "lists" / kept_targets.FOLDER / f"{target.hashes['sha256']}.partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(LARGE[:1000])
    kept = bring(tmp_path / "lists", target, [web.folder.as_uri()], downloader, lambda *_: None)
    assert kept_targets.path_of(tmp_path / "lists", kept).read_bytes() == LARGE
    assert web.asked == []


@pytest.mark.parametrize("make", ["fifo", "folder"])
def test_a_stick_with_something_else_in_place_of_a_file(tmp_path, downloader, make):
    place = tmp_path / "timestamp.json"
    os.mkfifo(place) if make == "fifo" else place.mkdir()
    with pytest.raises(DownloadError):
        downloader.small(place.as_uri(), 1000)


def test_a_stick_that_is_pulled_out(tmp_path, downloader, monkeypatch):
    class Gone:
        def read(self, _):
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(DownloadError, match="Input/output"):
        [*download._chunks(tmp_path, Gone())]


# ---- for python-tuf ----


def test_a_timestamp_that_was_fetched_is_not_fetched_twice(web, downloader):
    fetcher = MetadataFetcher(downloader)
    url = f"{web.url}/metadata/timestamp.json"
    fetcher.ready[url] = b"fetched"
    assert fetcher.download_bytes(url, 100) == b"fetched"
    with pytest.raises(DownloadHTTPError):
        fetcher.download_bytes(url, 100)
    assert len(web.asked) == 1


def test_the_watch_over_a_head_ends_with_the_head(web):
    (web.folder / "x").write_bytes(b"x")
    with closing(Downloader()) as patient:
        patient.small(f"{web.url}/x", 10)
    for watch in [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]:
        watch.join(10)
        assert not watch.is_alive()

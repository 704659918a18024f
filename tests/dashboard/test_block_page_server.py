"""The block page on real sockets: plain and TLS, with the slow, the many and the malformed."""

import asyncio
import contextlib
import logging
import socket
import ssl

import pytest

from dashboard.block_page import server
from dashboard.block_page.certificates import server_context
from dashboard.block_page.server import BoundedProtocol, listening, serve, serve_on
from policies.model import BlockPage
from tests.dashboard.test_block_page_certificates import make_ca, trusting

DEADLINE = 10.0


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    make_ca(path)
    return path


@pytest.fixture
def school_directory(school_directory):
    config = school_directory / "school.yaml"
    config.write_text(
        config.read_text("utf-8").replace("clients: [10.0.12.0/24]", "clients: [10.0.12.0/24, 127.0.0.0/8]"), encoding="utf-8"
    )
    return school_directory


def while_serving(web, function, ca=None):
    """``await function(plain address, TLS address)`` while the page is served on loopback, in the application's loop."""

    async def carry_out():
        plain, secure = free(), free()
        tls = None if ca is None else server_context(ca, "manglanh.home.arpa")
        places = plain.getsockname(), secure.getsockname()
        serving = asyncio.create_task(serve_on(web.site, [plain], [secure] if tls else [], tls))
        try:
            async with asyncio.timeout(DEADLINE * 2):
                await function(*places)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            plain.close()
            secure.close()
        with pytest.raises(OSError):
            await asyncio.open_connection(*places[0])

    web.run(carry_out)


def free() -> socket.socket:
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    return made


async def connect(place, **options):
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                return await asyncio.open_connection(*place, **options)
            except ConnectionRefusedError:
                await asyncio.sleep(0.01)


async def ask(place, host: str, more: str = "Accept: text/html\r\n", **options) -> str:
    reader, writer = await connect(place, **options)
    writer.write(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n".encode("utf-8", "surrogateescape"))
    answer = (await reader.read()).decode()
    writer.close()
    return answer


def test_plain_http(web):
    async def look(plain, _secure):
        answer = await ask(plain, "gambling.manglanh.test")
        assert answer.startswith("HTTP/1.1 403")
        assert "tel:111" in answer
        assert "\r\nserver:" not in answer.lower()
        assert "strict-transport" not in answer.lower()

    while_serving(web, look)


@pytest.mark.parametrize("name", ["gambling.manglanh.test", "www.gambling.manglanh.test", "manglanh.home.arpa"])
def test_https_with_the_certificate_of_whatever_was_wanted(web, ca, name):
    async def look(_plain, secure):
        answer = await ask(secure, name, ssl=trusting(ca), server_hostname=name)
        assert "tel:111" in answer

    while_serving(web, look, ca)


def test_https_to_a_device_without_the_ca_ends_in_its_own_error(web, ca):
    async def look(plain, secure):
        with pytest.raises(ssl.SSLCertVerificationError):
            await ask(secure, "gambling.manglanh.test", ssl=ssl.create_default_context(), server_hostname="gambling.manglanh.test")
        assert "tel:111" in await ask(plain, "gambling.manglanh.test")

    while_serving(web, look, ca)


@pytest.mark.parametrize(
    "sent", [b"", b"\x16\x03\x01\x00\x05hello", b"GET", b"GET / HTTP/1.1\r\n", b"\x00" * 100, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx"],
)  # fmt: skip
def test_whoever_sends_little_or_nonsense_is_let_go(web, monkeypatch, sent, caplog):
    monkeypatch.setattr(server, "LIFETIME", 0.3)

    async def look(plain, _secure):
        reader, writer = await connect(plain)
        writer.write(sent)
        async with asyncio.timeout(DEADLINE):
            with contextlib.suppress(ConnectionResetError):
                await reader.read()  # until the server ends it
        writer.close()
        assert "tel:111" in await ask(plain, "gambling.manglanh.test")

    with caplog.at_level(logging.INFO):
        while_serving(web, look)
    assert "127.0.0.1" not in caplog.text


def test_a_handshake_that_does_not_come_is_ended(web, ca, monkeypatch):
    monkeypatch.setattr(server, "HANDSHAKE", 0.2)

    async def look(_plain, secure):
        reader, writer = await connect(secure)
        async with asyncio.timeout(DEADLINE):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()

    while_serving(web, look, ca)


def test_one_address_does_not_take_all_the_connections(web, monkeypatch):
    monkeypatch.setattr(server, "PER_ADDRESS", 3)

    async def look(plain, _secure):
        held = [await connect(plain) for _ in range(8)]
        async with asyncio.timeout(DEADLINE):
            ended = 0
            for reader, _ in held[3:]:
                try:
                    ended += await reader.read() == b""
                except ConnectionResetError:
                    ended += 1
            assert ended == 5
        other = await ask(plain, "gambling.manglanh.test", local_addr=("127.0.0.2", 0))
        assert "tel:111" in other
        for _, writer in held:
            writer.close()

    while_serving(web, look)


def test_a_connection_s_end_is_not_waited_for(web):
    """Its timer goes with it: nothing of a visitor is held for the rest of the half minute."""

    async def look(plain, _secure):
        await ask(plain, "gambling.manglanh.test")
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(DEADLINE):
            while any(not timer.cancelled() and timer.when() - loop.time() > 25 for timer in loop._scheduled if "abort" in repr(timer)):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    while_serving(web, look)


def test_nothing_of_a_request_is_logged(web, caplog):
    async def look(plain, _secure):
        await ask(plain, "gambling.manglanh.test")
        await ask(plain, "bi-mat.example.vn", "Accept: text/html\r\nReferer: http://bi-mat.example.vn/\r\n")

    with caplog.at_level(logging.DEBUG):
        while_serving(web, look)
    ours = [record for record in caplog.records if record.name.startswith(("manglanh", "uvicorn"))]
    assert not [record for record in ours if "127.0.0.1" in record.getMessage() or "manglanh.test" in record.getMessage()]


def test_a_ca_that_cannot_be_used_costs_https_only(web, tmp_path, caplog):
    (tmp_path / "ca.pem").write_bytes(b"nothing")

    async def carry_out():
        with free() as reserved:
            place = reserved.getsockname()
        settings = BlockPage(listen=(f"127.0.0.1:{place[1]}",), https_listen=("127.0.0.1:44399",), ca=tmp_path / "ca.pem")
        serving = asyncio.create_task(serve(web.site, settings))
        try:
            assert "tel:111" in await ask(place, "gambling.manglanh.test")
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    with caplog.at_level(logging.ERROR):
        web.run(carry_out)
    assert "served without HTTPS" in caplog.text


def test_only_https_and_no_ca_waits_and_does_not_end_the_dashboard(web):
    async def carry_out():
        serving = asyncio.create_task(serve(web.site, BlockPage(https_listen=("127.0.0.1:44398",))))
        done, _ = await asyncio.wait([serving], timeout=0.05)
        assert not done
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    web.run(carry_out)


def test_an_address_in_use_is_named(web):
    with free() as taken:
        taken.listen()
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OSError, match=place):
            listening(place)


def test_the_protocol_is_uvicorn_s_with_bounds():
    assert issubclass(BoundedProtocol, server.H11Protocol)

"""HTTPS upstreams (RFC 8484) over real connections on loopback, by HTTP/1.1 and HTTP/2."""

import asyncio
import ssl
import threading
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import h2.config
import h2.connection
import h2.events
import pytest
from dnslib import QTYPE, RR, A, DNSRecord

from tests.gateway.asking import Authority, addresses_of, ask, asking, reason_of

NAME = "dns.example"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def run(test):
    asyncio.run(test())


def doh(port, *, bootstrap=True):
    return f"https://{NAME if bootstrap else '127.0.0.1'}:{port}/dns-query" + ("#127.0.0.1" if bootstrap else "")


def answered(query):
    message = DNSRecord.parse(query).reply()
    message.add_answer(RR(message.q.qname, QTYPE.A, rdata=A("192.0.2.1"), ttl=60))
    return bytes(message.pack())


class Handler(BaseHTTPRequestHandler):
    """One POST, answered as ``server.respond`` says: status, content type and body."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append((self.client_address[1], self.path, self.headers, body))
        status, content_type, answer = self.server.respond(body)
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(answer)))
        if status == 302:
            self.send_header("location", "/elsewhere")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class Quiet(ThreadingHTTPServer):
    def handle_error(self, *_):
        """Clients that refuse the certificate, or go in the middle, are what the tests are about."""


@contextmanager
def web_server(context, respond=lambda query: (200, "application/dns-message", answered(query))):
    server = Quiet(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.respond, server.requests = respond, []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_question_is_posted_with_id_0_and_the_connection_kept(authority):
    async def test():
        async with asking(doh(server.server_port), cafile=authority.file) as upstreams:
            for number in range(5):
                assert addresses_of(await ask(upstreams, f"n{number}.example.vn")) == ["192.0.2.1"]
            (one,) = upstreams.statistics()
            assert (one.answers, one.address) == (5, doh(server.server_port))

    with web_server(authority.serving(NAME)) as server:
        run(test)
    assert len({client for client, *_ in server.requests}) == 1
    for _, path, headers, body in server.requests:
        assert (path, headers["host"], headers["content-type"]) == ("/dns-query", f"{NAME}:{server.server_port}", "application/dns-message")
        assert (body[:2], len(body) % 128) == (b"\0\0", 0)


def test_questions_at_the_same_time_do_not_mix(authority):
    async def test():
        async with asking(doh(server.server_port), cafile=authority.file) as upstreams:
            results = await asyncio.gather(*[ask(upstreams, f"n{number}.example.vn") for number in range(30)])
            assert [result.qname for result in results] == [f"n{number}.example.vn" for number in range(30)]

    with web_server(authority.serving(NAME)) as server:
        run(test)
    assert len({client for client, *_ in server.requests}) <= 8


def test_without_a_bootstrap_address_the_url_says_it_all(authority):
    async def test():
        async with asking(doh(server.server_port, bootstrap=False), cafile=authority.file) as upstreams:
            assert addresses_of(await ask(upstreams)) == ["192.0.2.1"]

    with web_server(authority.serving("127.0.0.1")) as server:
        run(test)


@pytest.mark.parametrize(
    ("identity", "trusted", "trouble"),
    [
        ("other.example", True, "certificate: Hostname mismatch, certificate is not valid for 'dns.example'"),
        ("127.0.0.1", True, "certificate: Hostname mismatch, certificate is not valid for 'dns.example'"),
        (NAME, False, "certificate: unable to get local issuer certificate"),
    ],
)
def test_a_certificate_that_does_not_verify_is_never_worked_around(authority, identity, trusted, trouble):
    async def test():
        async with asking(doh(server.server_port), cafile=authority.file if trusted else None) as upstreams:
            assert trouble in reason_of(await ask(upstreams))
            (one,) = upstreams.statistics()
            assert (one.healthy, one.trouble, one.failures) == (False, trouble, {"certificate": 1})

    with web_server(authority.serving(identity)) as server:
        run(test)
    assert server.requests == []


@pytest.mark.parametrize(
    ("response", "trouble"),
    [
        ((500, "application/dns-message", b""), "HTTP status 500"),
        ((302, "application/dns-message", b""), "HTTP status 302"),
        ((200, "text/html", b"<h1>Log in to the network</h1>"), "not a DNS message"),
        ((200, "application/dns-message", bytes(65536)), "longer than a DNS message"),
        ((200, "application/dns-message", b""), "answer to another question"),
        ((200, "application/dns-message", bytes(40)), "answer to another question"),
    ],
)
def test_what_is_no_answer_is_a_failure(authority, response, trouble):
    async def test():
        async with asking(doh(server.server_port), cafile=authority.file) as upstreams:
            assert trouble in reason_of(await ask(upstreams))
            assert upstreams.statistics()[0].failures == {"malformed": 1}

    with web_server(authority.serving(NAME), lambda _: response) as server:
        run(test)
    assert len(server.requests) == 1


def test_a_closed_port_is_a_failure():
    async def test():
        async with asking("https://dns.example:1/dns-query#127.0.0.1") as upstreams:
            reason_of(await ask(upstreams))
            assert upstreams.statistics()[0].failures == {"network": 1}

    run(test)


def test_closing_in_the_middle_of_a_request_leaves_nothing_behind(authority):
    asked = threading.Event()
    finish = threading.Event()

    def hold(query):
        asked.set()
        finish.wait(10)
        return 200, "application/dns-message", answered(query)

    async def test():
        async with asking(doh(server.server_port), cafile=authority.file) as upstreams:
            future = ask(upstreams)
            assert await asyncio.to_thread(asked.wait, 10)
        assert reason_of(await future) == "shutting down"
        finish.set()

    with web_server(authority.serving(NAME), hold) as server:
        run(test)


class Http2(asyncio.Protocol):
    """Just enough of an HTTP/2 server: every request with a body is answered."""

    def __init__(self, requests):
        self._requests = requests
        self._bodies = {}
        self._connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))

    def connection_made(self, transport):
        self._transport = transport
        self._connection.initiate_connection()
        transport.write(self._connection.data_to_send())

    def data_received(self, data):
        for event in self._connection.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                self._bodies[event.stream_id] = (dict(event.headers), bytearray())
            elif isinstance(event, h2.events.DataReceived):
                self._bodies[event.stream_id][1].extend(event.data)
                self._connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                headers, body = self._bodies.pop(event.stream_id)
                self._requests.append((self, headers, bytes(body)))
                self._connection.send_headers(event.stream_id, [(":status", "200"), ("content-type", "application/dns-message")])
                self._connection.send_data(event.stream_id, answered(bytes(body)), end_stream=True)
        self._transport.write(self._connection.data_to_send())


@asynccontextmanager
async def http2_server(context: ssl.SSLContext):
    context.set_alpn_protocols(["h2"])
    requests = []
    server = await asyncio.get_running_loop().create_server(lambda: Http2(requests), "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1], requests


def test_http2_carries_many_questions_on_one_connection(authority):
    async def test():
        async with http2_server(authority.serving(NAME)) as (port, requests), asking(doh(port), cafile=authority.file) as upstreams:
            await ask(upstreams)
            await asyncio.gather(*[ask(upstreams, f"n{number}.example.vn") for number in range(30)])
            assert len(requests) == 31
            assert len({connection for connection, *_ in requests}) == 1
            assert {headers[":authority"] for _, headers, _ in requests} == {f"{NAME}:{port}"}

    run(test)

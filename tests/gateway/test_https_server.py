"""DNS over HTTPS with real clients (RFC 8484): GET and POST, HTTP/2 and HTTP/1.1, every refusal, and what ends a connection."""

import ssl
import subprocess
from base64 import urlsafe_b64encode
from contextlib import contextmanager
from functools import partial
from time import monotonic

import dnslib
import h2.config
import h2.connection
import h2.events
import httpx
import pytest

from gateway.http_speech import STREAMS
from gateway.https_server import ALPN, UNFINISHED, HttpsConnection
from gateway.stream import IDLE, MAX_MESSAGE
from tests.gateway.asking import Authority
from tests.gateway.serving import ADDRESS, NAME, certified, is_ended, secure, serving
from tests.gateway.test_server import DEADLINE, Running, question
from tests.nameserver import Nameserver

PATH = "/dns-query"
MESSAGE = {"content-type": "application/dns-message"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


class Upstream(Nameserver):
    def respond(self, query):
        if query.qname == "long.example":
            return query.reply(*[f"192.0.2.{n}" for n in range(1, 60)], ttl=30) if query.transport == "tcp" else query.reply(truncated=True)
        return query.reply("192.0.2.1", ttl=40)


@pytest.fixture
def box(tmp_path):
    with Upstream() as upstream, Running(tmp_path, upstream.port) as running:
        yield running


@contextmanager
def doh(box, authority, idle=IDLE):
    handle = partial(box.resolver.handle_stream, transport="doh")
    with serving(box, partial(HttpsConnection, box.connections, handle, certified(authority, *ALPN), PATH, idle)) as port:
        yield port


@contextmanager
def browser(port, authority, version="HTTP/2", source=None):
    verify = ssl.create_default_context(cafile=authority.file)
    transport = httpx.HTTPTransport(verify=verify, http1=True, http2=version == "HTTP/2", local_address=source)
    with httpx.Client(transport=transport, base_url=f"https://{ADDRESS}:{port}", timeout=DEADLINE) as client:
        yield client


def coded(message):
    return urlsafe_b64encode(message).rstrip(b"=").decode()


def rcode(response):
    assert response.status_code == 200
    return dnslib.DNSRecord.parse(response.content).header.rcode


versions = pytest.mark.parametrize("version", ["HTTP/2", "HTTP/1.1"])


@versions
def test_get_and_post_are_answered_by_the_clients_policy_and_counted(box, authority, version):
    with doh(box, authority) as port, browser(port, authority, version) as client:
        posted = client.post(PATH, content=question("casino.example", ident=0), headers=MESSAGE)
        assert (posted.http_version, rcode(posted)) == (version, 3)
        got = client.get(PATH, params={"dns": coded(question("www.example.com", ident=0))})
        assert str(dnslib.DNSRecord.parse(got.content).rr[0].rdata) == "192.0.2.1"
        assert got.content[:2] == b"\0\0"
    counts = box.counts()
    assert counts.queries == {"doh": 2}
    assert sum(counts.answers.values()) == 2


@versions
def test_no_header_says_more_than_it_must(box, authority, version):
    with doh(box, authority) as port, browser(port, authority, version) as client:
        response = client.post(PATH, content=question("www.example.com"), headers=MESSAGE)
        assert dict(response.headers) == {
            "content-type": "application/dns-message",
            "content-length": str(len(response.content)),
            "cache-control": "max-age=40",
        }
        blocked = client.post(PATH, content=question("casino.example"), headers=MESSAGE)
        assert blocked.headers["cache-control"] == "max-age=0"
        assert dict(client.get("/").headers) == {"content-length": "0"}


REFUSED = [
    ("GET", "/", {}, b"", 404),
    ("GET", "/dns-query/", {}, b"", 404),
    ("POST", "/dns-query2", MESSAGE, question("casino.example"), 404),
    ("GET", PATH, {}, b"", 400),
    ("GET", f"{PATH}?name=casino.example", {}, b"", 400),
    ("GET", f"{PATH}?dns=", {}, b"", 400),
    ("GET", f"{PATH}?dns=AAAA====", {}, b"", 400),
    ("GET", f"{PATH}?dns=AAAAA", {}, b"", 400),
    ("GET", f"{PATH}?dns=AA+A", {}, b"", 400),
    ("GET", f"{PATH}?dns={coded(question('casino.example')[:11])}", {}, b"", 400),
    ("GET", f"{PATH}?dns={'A' * (MAX_MESSAGE * 4 // 3 + 100)}", {}, b"", 414),
    ("POST", PATH, MESSAGE, b"", 400),
    ("POST", PATH, MESSAGE, question("casino.example")[:2] + b"\x81" + question("casino.example")[3:], 400),
    ("POST", PATH, {}, question("casino.example"), 415),
    ("POST", PATH, {"content-type": "application/json"}, b"{}", 415),
    ("POST", PATH, MESSAGE, bytes(MAX_MESSAGE + 1), 413),
    ("PUT", PATH, MESSAGE, question("casino.example"), 405),
    ("DELETE", PATH, {}, b"", 405),
    ("HEAD", PATH, {}, b"", 405),
    ("OPTIONS", PATH, {}, b"", 405),
]


@versions
@pytest.mark.parametrize(
    ("method", "target", "headers", "body", "status"), REFUSED, ids=[f"{row[4]}-{at}" for at, row in enumerate(REFUSED)]
)
def test_what_is_no_query_is_refused_and_the_next_request_answered(box, authority, version, method, target, headers, body, status):
    with doh(box, authority) as port, browser(port, authority, version) as client:
        response = client.request(method, target, headers=headers, content=body)
        assert (response.status_code, response.content) == (status, b"")
        assert response.headers.get("allow") == ("GET, POST" if status == 405 else None)
        assert rcode(client.post(PATH, content=question("casino.example"), headers=MESSAGE)) == 3


def test_a_query_that_is_malformed_inside_is_an_answer_not_a_refusal(box, authority):
    """RFC 8484 section 4.2.1: HTTP speaks of HTTP, the DNS message of DNS."""
    with doh(box, authority) as port, browser(port, authority) as client:
        assert rcode(client.post(PATH, content=question("casino.example") + b"\0", headers=MESSAGE)) == 1


@versions
def test_a_client_that_may_not_ask_is_told_so(box, authority, version):
    with doh(box, authority) as port, browser(port, authority, version, source="127.1.0.1") as client:
        assert client.post(PATH, content=question("casino.example"), headers=MESSAGE).status_code == 403
    assert box.counts().dropped == {"not-allowed": 1}


@versions
def test_long_answers_are_never_truncated(box, authority, version):
    with doh(box, authority) as port, browser(port, authority, version) as client:
        response = client.post(PATH, content=question("long.example"), headers=MESSAGE)
        answer = dnslib.DNSRecord.parse(response.content)
        assert (len(answer.rr), answer.header.tc) == (59, 0)
        assert response.headers["cache-control"] == "max-age=30"


class Http2Client:
    """One connection on which everything is sent before anything is read."""

    def __init__(self, sock):
        self.sock = sock
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="ascii"))
        self.connection.initiate_connection()
        self.bodies = {}
        self.statuses = {}
        self.is_over = False

    def ask(self, stream, message, end=True):
        target = [(":method", "POST"), (":scheme", "https"), (":authority", NAME), (":path", PATH)]
        self.connection.send_headers(stream, [*target, *MESSAGE.items()])
        self.connection.send_data(stream, message, end_stream=end)

    def flush(self):
        self.sock.sendall(self.connection.data_to_send())

    def read_until(self, condition):
        deadline = monotonic() + DEADLINE
        while not condition():
            assert monotonic() < deadline
            data = self.sock.recv(65536)
            if not data:
                raise EOFError
            for event in self.connection.receive_data(data):
                self._take(event)
            self.flush()

    def _take(self, event):
        if isinstance(event, h2.events.ResponseReceived):
            self.statuses[event.stream_id] = dict(event.headers)[":status"]
        elif isinstance(event, h2.events.DataReceived):
            self.bodies[event.stream_id] = self.bodies.get(event.stream_id, b"") + event.data
            self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.is_over = True


def test_as_many_streams_as_a_client_may_open_before_it_knows_the_limit(box, authority):
    with doh(box, authority) as port, secure(port, authority, "h2") as sock:
        client = Http2Client(sock)
        names = {number * 2 + 1: f"n{number}.example.com" for number in range(STREAMS)}
        for stream, name in names.items():
            client.ask(stream, question(name, stream))
        client.flush()
        client.read_until(lambda: len(client.bodies) == len(names))
        answers = {stream: dnslib.DNSRecord.parse(body) for stream, body in client.bodies.items()}
        assert {stream: str(answer.q.qname).rstrip(".") for stream, answer in answers.items()} == names
        assert {stream: answer.header.id for stream, answer in answers.items()} == {stream: stream for stream in names}


def test_pipelined_requests_are_answered_in_their_order(box, authority):
    with doh(box, authority) as port, secure(port, authority, "http/1.1") as sock:
        requests = [f"GET {PATH}?dns={coded(question(f'n{n}.example.com', n))} HTTP/1.1\r\nhost: x\r\n\r\n" for n in range(1, 40)]
        sock.sendall("".join(requests).encode() + b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        data = b""
        while part := sock.recv(65536):
            data += part
    heads = [piece for piece in data.split(b"HTTP/1.1 ")[1:] if piece.startswith(b"200")]
    assert [int.from_bytes(piece.partition(b"\r\n\r\n")[2][:2], "big") for piece in heads] == list(range(1, 40))
    assert data.count(b"HTTP/1.1 404 ") == 1


HALF = [b"", b"POST /dns-query HTTP/1.1\r\nhost: x\r\n", b"POST /dns-query HTTP/1.1\r\nhost: x\r\ncontent-length: 40\r\n\r\nhalf"]


@pytest.mark.parametrize("sent", HALF, ids=["nothing", "half a head", "half a body"])
def test_half_a_request_ends_with_the_idle_time(box, authority, sent):
    with doh(box, authority, idle=0.2) as port, secure(port, authority, "http/1.1") as client:
        client.sendall(sent)
        assert is_ended(client)


def test_half_a_request_over_http2_ends_with_the_idle_time_and_a_goodbye(box, authority):
    with doh(box, authority, idle=0.2) as port, secure(port, authority, "h2") as sock:
        client = Http2Client(sock)
        client.ask(1, b"half", end=False)
        client.flush()
        with pytest.raises(EOFError):
            client.read_until(lambda: False)
        assert client.is_over
        assert client.statuses == {}


@pytest.mark.parametrize(
    ("protocol", "junk"),
    [("h2", b"GET / HTTP/1.1\r\n\r\n"), ("http/1.1", b"\0\1\2\r\n\r\n"), ("http/1.1", b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 4000)],
    ids=["HTTP/1.1 where HTTP/2 was agreed on", "no HTTP", "endless headers"],
)
def test_what_is_not_the_agreed_protocol_ends_the_connection(box, authority, protocol, junk):
    with doh(box, authority) as port, secure(port, authority, protocol) as client:
        client.sendall(junk)
        while not is_ended(client):
            pass


def test_octets_that_never_become_a_request_end_the_connection(box, authority):
    """PING frames (RFC 9113, section 6.7) are valid, and answered, without end."""
    with doh(box, authority) as port, secure(port, authority, "h2") as sock:
        client = Http2Client(sock)
        client.flush()
        ping = b"\0\0\x08\x06\0\0\0\0\0" + bytes(8)
        with pytest.raises((EOFError, ConnectionError)):
            for _ in range(2 * UNFINISHED // (1000 * len(ping))):
                sock.sendall(ping * 1000)
                client.read_until(lambda: True)
            client.read_until(lambda: False)


def test_connections_share_the_limits_of_all_streams(box, authority):
    with doh(box, authority) as port, box.stream(), box.stream():
        with secure_or_ended(port, authority) as client:
            assert client is None
        with browser(port, authority, source="127.0.0.2") as other:
            assert rcode(other.post(PATH, content=question("casino.example"), headers=MESSAGE)) == 3


@contextmanager
def secure_or_ended(port, authority):
    try:
        client = secure(port, authority, "h2")
    except OSError:
        yield None
        return
    with client:
        yield client


@pytest.mark.parametrize("method", ["+https", "+https-get"])
def test_kdig_is_answered_with_the_certificate_checked(box, authority, method):
    with doh(box, authority) as port:
        command = ["kdig", f"@{ADDRESS}", "-p", str(port), method, f"+tls-ca={authority.file}", f"+tls-host={NAME}", "+time=5"]
        shown = subprocess.run([*command, "www.example.com"], capture_output=True, text=True, check=True, timeout=30)
    assert "192.0.2.1" in shown.stdout
    assert "HTTP" in shown.stdout


def test_curl_is_answered(box, authority):
    with doh(box, authority) as port:
        url = f"https://{ADDRESS}:{port}{PATH}?dns={coded(question('casino.example'))}"
        shown = subprocess.run(["curl", "--silent", "--cacert", authority.file, url], capture_output=True, check=True, timeout=30)
    assert shown.stdout[3] & 15 == 3

"""Both sorts of HTTP without a socket: flow control, streams that are reset, and whatever octets a client may send."""

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http_speech import STREAMS, Http1, Http2, speech
from gateway.https_message import Response, Status, refusal
from gateway.stream import MAX_MESSAGE

TARGET = [(":method", "POST"), (":scheme", "https"), (":authority", "x"), (":path", "/dns-query")]
POST = b"POST /dns-query HTTP/1.1\r\nhost: x\r\ncontent-type: application/dns-message\r\ncontent-length: 4\r\n\r\nabcd"


class Pair:
    """A client and our side of a connection, with no network between them."""

    def __init__(self, **settings):
        self.client = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="ascii"))
        for name, value in settings.items():
            self.client.local_settings[getattr(h2.settings.SettingCodes, name)] = value
        self.client.initiate_connection()
        self.client.update_settings({getattr(h2.settings.SettingCodes, name): value for name, value in settings.items()})
        self.server = Http2()
        self.events = []
        self.exchange()

    def exchange(self):
        """Both sides hear what the other has to say."""
        for _ in range(3):
            self.server.receive(self.client.data_to_send())
            self.events += self.client.receive_data(self.server.data_to_send())

    def ask(self, stream, body=b"query", end=True):
        self.client.send_headers(stream, TARGET)
        self.client.send_data(stream, body, end_stream=end)

    def requests(self):
        return list(iter(self.server.next_request, None))

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


def test_an_answer_comes_as_the_clients_window_lets_it():
    pair = Pair(INITIAL_WINDOW_SIZE=100)
    pair.ask(1)
    pair.exchange()
    body = bytes(range(250))
    pair.server.respond(1, Response(Status.OK, (), body))
    pair.exchange()
    assert b"".join(event.data for event in pair.of(h2.events.DataReceived)) == body[:100]
    for _ in range(2):
        pair.client.increment_flow_control_window(100, 1)
        pair.exchange()
    assert b"".join(event.data for event in pair.of(h2.events.DataReceived)) == body
    assert len(pair.of(h2.events.StreamEnded)) == 1


def test_an_answer_longer_than_a_frame_comes_whole():
    pair = Pair()
    pair.ask(1)
    pair.exchange()
    body = bytes(60000)
    pair.server.respond(1, Response(Status.OK, (), body))
    pair.exchange()
    assert b"".join(event.data for event in pair.of(h2.events.DataReceived)) == body


def test_resetting_streams_buys_no_more_queries_under_way():
    """CVE-2023-44487: a stream that is reset is closed to HTTP/2, while its query is still being answered."""
    pair = Pair()
    for number in range(3 * STREAMS):
        pair.ask(2 * number + 1)
        pair.client.reset_stream(2 * number + 1)
        pair.exchange()
    asked = pair.requests()
    assert len(asked) == STREAMS
    for number, _ in asked:
        pair.server.respond(number, refusal(Status.FORBIDDEN))
    pair.ask(6 * STREAMS + 1)
    pair.exchange()
    assert len(pair.requests()) == 1
    assert not pair.server.is_over


def test_an_answer_for_a_stream_that_was_reset_goes_nowhere():
    pair = Pair()
    pair.ask(1)
    pair.ask(3)
    pair.exchange()
    pair.client.reset_stream(1)
    pair.exchange()
    for number, _ in pair.requests():
        pair.server.respond(number, Response(Status.OK, (), b"answer"))
    pair.exchange()
    assert [event.stream_id for event in pair.of(h2.events.DataReceived)] == [3]


def test_an_answer_under_way_when_its_stream_is_reset_is_forgotten():
    pair = Pair(INITIAL_WINDOW_SIZE=10)
    pair.ask(1)
    pair.exchange()
    pair.server.respond(1, Response(Status.OK, (), bytes(100)))
    pair.exchange()
    pair.client.reset_stream(1)
    pair.exchange()
    assert pair.server._unsent == {}
    assert not pair.server.is_over


def test_a_body_too_long_is_refused_before_it_ends_and_never_kept():
    pair = Pair()
    pair.ask(1, bytes(MAX_MESSAGE + 1), end=False)
    pair.exchange()
    (response,) = pair.of(h2.events.ResponseReceived)
    assert dict(response.headers)[":status"] == "413"
    assert (pair.requests(), pair.server._incoming) == ([], {})


def test_what_a_client_must_know_is_in_the_settings():
    pair = Pair()
    (changed,) = pair.of(h2.events.RemoteSettingsChanged)
    assert changed.changed_settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS].new_value == STREAMS


def test_a_goodbye_says_which_requests_were_read():
    pair = Pair()
    pair.ask(1)
    pair.exchange()
    pair.server.say_goodbye()
    pair.server.say_goodbye()
    (goodbye,) = pair.client.receive_data(pair.server.data_to_send())
    assert (goodbye.last_stream_id, goodbye.error_code) == (1, 0)
    pair.server.respond(1, refusal(Status.FORBIDDEN))
    assert pair.server.data_to_send() == b""


def test_http1_keeps_a_pipelined_request_until_the_one_before_is_answered():
    server = Http1()
    server.receive(POST + POST)
    (number, request) = server.next_request()
    assert (request.method, request.target, request.content_type, request.body) == (
        b"POST",
        b"/dns-query",
        b"application/dns-message",
        b"abcd",
    )
    assert server.is_full()
    assert server.next_request() is None
    server.respond(number, Response(Status.OK, (), b"answer"))
    assert server.data_to_send().endswith(b"content-length: 6\r\n\r\nanswer")
    assert not server.is_full()
    assert server.next_request()[0] == number + 1


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5000\r\n\r\n" + bytes(MAX_MESSAGE + 1), b"413"),
        (b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2000\r\n" + bytes(0x2000), b"413"),
        (b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"y" * 20000, b"431"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /\r\n\r\n", b"400"),
    ],
    ids=["long body", "long chunk", "long header", "no host", "HTTP/0.9"],
)
def test_http1_refuses_in_the_middle_of_a_request_once_and_closes(sent, status):
    server = Http1()
    server.receive(sent)
    assert server.next_request() is None
    answer = server.data_to_send()
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"connection: close" in answer.lower()
    assert server.is_over
    server.receive(POST)
    assert (server.next_request(), server.data_to_send()) == (None, b"")


@pytest.mark.parametrize("head", [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"])
def test_http1_closes_when_the_client_wants_it(head):
    server = Http1()
    server.receive(head)
    server.respond(server.next_request()[0], refusal(Status.NOT_FOUND))
    assert server.data_to_send().startswith(b"HTTP/1.1 404 ")
    assert server.is_over


def test_http1_lets_a_client_go_on_that_asks_first():
    server = Http1()
    server.receive(POST.replace(b"host: x", b"host: x\r\nexpect: 100-continue")[:-4])
    assert server.next_request() is None
    assert server.data_to_send().startswith(b"HTTP/1.1 100 ")
    server.receive(b"abcd")
    assert server.next_request()[1].body == b"abcd"


def good_http2():
    client = h2.connection.H2Connection()
    client.initiate_connection()
    for stream in (1, 3, 5):
        client.send_headers(stream, TARGET)
        client.send_data(stream, bytes(50), end_stream=stream != 5)
    client.reset_stream(5)
    return client.data_to_send()


@pytest.mark.parametrize(("protocol", "good"), [("h2", good_http2()), ("http/1.1", POST * 3), (None, POST)])
@given(data=st.data())
def test_no_octets_make_it_fail(protocol, good, data):
    """Good octets with a few of them changed, in pieces, with the answers coming whenever they like."""
    mangled = bytearray(good)
    for at, octet in data.draw(st.lists(st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)), max_size=6)):
        mangled[at] = octet
    mangled += data.draw(st.binary(max_size=40))
    server, asked = speech(protocol), []
    while mangled:
        size = data.draw(st.integers(1, len(mangled)))
        server.receive(bytes(mangled[:size]))
        del mangled[:size]
        asked += iter(server.next_request, None)
        if asked and data.draw(st.booleans()):
            server.respond(asked.pop(0)[0], Response(Status.OK, (), b"answer"))
        server.data_to_send()
    server.say_goodbye()

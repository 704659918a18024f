"""The server's side of HTTP/1.1 and HTTP/2 on one connection: octets -> requests, responses -> octets. Pure (sans-io: h11, h2).

Promises: ``receive`` is total, whatever a client sends; what is kept for a client is bounded: one request (HTTP/1.1) or
``STREAMS`` requests (HTTP/2) under way, each with a body of 4096 octets and 16 KiB of headers. A stream that the client has reset
counts until its query is answered, so that resetting streams buys nothing (CVE-2023-44487).

Imported only where a school serves DNS over HTTPS, since the two libraries cost memory.
"""

from collections import deque
from typing import Protocol

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import h11

from gateway.https_message import Request, Response, Status, refusal
from gateway.stream import MAX_MESSAGE

STREAMS = 100
"""at once; clients may open so many before they have read how many they may (RFC 9113, section 6.5.2)"""
MAX_HEADERS = 16384
ALPN = ("h2", "http/1.1")


class Speech(Protocol):
    """What a connection is spoken with. Requests are numbered; a number is answered once, and in any order."""

    is_over: bool
    """True: what is to be sent is sent, and then the connection ends"""

    def receive(self, data: bytes) -> None: ...

    def next_request(self) -> tuple[int, Request] | None: ...

    def respond(self, number: int, response: Response) -> None: ...

    def is_full(self) -> bool: ...

    def say_goodbye(self) -> None: ...

    def data_to_send(self) -> bytes: ...


class Http1:
    """One request after the other; a pipelined one waits for the answer to the one before it."""

    def __init__(self) -> None:
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEADERS)
        self._head: h11.Request | None = None
        self._body = b""
        self._sent: list[bytes] = []
        self._number = 0
        self._is_asked = False
        self.is_over = False

    def receive(self, data: bytes) -> None:
        if not self.is_over:
            self._connection.receive_data(data)

    def next_request(self) -> tuple[int, Request] | None:
        while not self.is_over and not self._is_asked:
            try:
                event = self._connection.next_event()
            except h11.RemoteProtocolError as problem:
                too_long = problem.error_status_hint == Status.HEADERS_TOO_LARGE
                self._refuse(Status.HEADERS_TOO_LARGE if too_long else Status.BAD_REQUEST)
                return None
            if isinstance(event, h11.Request):
                self._begin(event)
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > MAX_MESSAGE:
                    self._refuse(Status.TOO_LARGE)
            elif isinstance(event, h11.EndOfMessage):
                return self._whole()
            elif isinstance(event, h11.ConnectionClosed):
                self.is_over = True
            else:  # NEED_DATA, or PAUSED until the last request is answered
                return None
        return None

    def _begin(self, head: h11.Request) -> None:
        self._head, self._body = head, b""
        if self._connection.they_are_waiting_for_100_continue:
            self._send(h11.InformationalResponse(status_code=100, headers=[], reason=b""))

    def _whole(self) -> tuple[int, Request]:
        assert self._head is not None
        self._is_asked = True
        content_type = dict(self._head.headers).get(b"content-type", b"")
        return self._number, Request(self._head.method, self._head.target, content_type, self._body)

    def _refuse(self, status: Status) -> None:
        """An answer in the middle of a request: what comes behind it cannot be told from its rest, so it is the last one."""
        if self._connection.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            self._write(refusal(status), ((b"connection", b"close"),))
        self.is_over = True

    def respond(self, number: int, response: Response) -> None:
        if number != self._number or self.is_over:
            return
        self._number += 1
        self._is_asked = False
        self._write(response)
        if self._connection.our_state is h11.DONE:
            self._connection.start_next_cycle()
        else:  # HTTP/1.0, or the client said that it closes
            self.is_over = True

    def _write(self, response: Response, more: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        length = (b"content-length", str(len(response.body)).encode())
        self._send(h11.Response(status_code=response.status, headers=[*response.headers, length, *more], reason=b""))
        self._send(h11.Data(data=response.body))
        self._send(h11.EndOfMessage())

    def _send(self, event: h11.Event) -> None:
        self._sent.append(self._connection.send(event) or b"")

    def is_full(self) -> bool:
        """Behind a request that is not answered nothing is read."""
        return self._is_asked

    def say_goodbye(self) -> None:
        """HTTP/1.1 has no word for it."""

    def data_to_send(self) -> bytes:
        data, self._sent = b"".join(self._sent), []
        return data


class _Bounded(h2.connection.H2Connection):
    DEFAULT_MAX_HEADER_LIST_SIZE = MAX_HEADERS
    MAX_CLOSED_STREAMS = 4 * STREAMS


class _Incoming:
    """A request whose body is not yet whole."""

    __slots__ = ("body", "headers")

    def __init__(self, headers: dict[bytes, bytes]) -> None:
        self.headers = headers
        self.body = b""


class Http2:
    """Requests beside each other, each on a stream of its own. A request's number is its stream's."""

    def __init__(self) -> None:
        self._connection = _Bounded(h2.config.H2Configuration(client_side=False))
        codes = h2.settings.SettingCodes
        limits = {codes.MAX_CONCURRENT_STREAMS: STREAMS, codes.MAX_HEADER_LIST_SIZE: MAX_HEADERS}
        self._connection.local_settings = h2.settings.Settings(client=False, initial_values=limits)
        self._connection.initiate_connection()
        self._incoming: dict[int, _Incoming] = {}
        self._whole: deque[tuple[int, Request]] = deque()
        self._asked: set[int] = set()
        self._unsent: dict[int, bytes] = {}
        self.is_over = False

    def receive(self, data: bytes) -> None:
        if self.is_over:
            return
        try:
            for event in self._connection.receive_data(data):
                self._take(event)
            self._send_on()
        except h2.exceptions.ProtocolError:
            self.is_over = True

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self._begin(event)
        elif isinstance(event, h2.events.DataReceived):
            self._continue(event)
        elif isinstance(event, h2.events.StreamEnded):
            self._finish(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            self._incoming.pop(event.stream_id, None)
            self._unsent.pop(event.stream_id, None)

    def _begin(self, event: h2.events.RequestReceived) -> None:
        if len(self._incoming) + len(self._asked) >= STREAMS:
            self._reset(event.stream_id, h2.errors.ErrorCodes.REFUSED_STREAM)
            return
        self._incoming[event.stream_id] = _Incoming({bytes(name): bytes(value) for name, value in event.headers})

    def _continue(self, event: h2.events.DataReceived) -> None:
        self._connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        incoming = self._incoming.get(event.stream_id)
        if incoming is None:
            return
        incoming.body += event.data
        if len(incoming.body) > MAX_MESSAGE:
            del self._incoming[event.stream_id]
            self._write(event.stream_id, refusal(Status.TOO_LARGE))
            self._reset(event.stream_id, h2.errors.ErrorCodes.NO_ERROR)  # RFC 9113, section 8.1: the rest need not come

    def _finish(self, stream: int) -> None:
        incoming = self._incoming.pop(stream, None)
        if incoming is None:
            return
        self._asked.add(stream)
        headers = incoming.headers
        request = Request(headers.get(b":method", b""), headers.get(b":path", b""), headers.get(b"content-type", b""), incoming.body)
        self._whole.append((stream, request))

    def _reset(self, stream: int, error: h2.errors.ErrorCodes) -> None:
        try:
            self._connection.reset_stream(stream, error)
        except h2.exceptions.StreamClosedError:
            return

    def next_request(self) -> tuple[int, Request] | None:
        return self._whole.popleft() if self._whole else None

    def respond(self, number: int, response: Response) -> None:
        self._asked.discard(number)
        if not self.is_over:
            self._write(number, response)
            self._send_on()

    def _write(self, stream: int, response: Response) -> None:
        """The headers at once, the body as the client lets it come (RFC 9113, section 5.2)."""
        length = (b"content-length", str(len(response.body)).encode())
        headers = [(b":status", str(response.status.value).encode()), *response.headers, length]
        try:
            self._connection.send_headers(stream, headers, end_stream=not response.body)
        except h2.exceptions.ProtocolError:
            return  # the client has reset the stream
        if response.body:
            self._unsent[stream] = response.body

    def _send_on(self) -> None:
        for stream in list(self._unsent):
            rest = self._unsent.pop(stream)
            while rest and (room := self._connection.local_flow_control_window(stream)) > 0:
                size = min(room, self._connection.max_outbound_frame_size, len(rest))
                self._connection.send_data(stream, rest[:size], end_stream=size == len(rest))
                rest = rest[size:]
            if rest:
                self._unsent[stream] = rest

    def is_full(self) -> bool:
        """Never: a client that asks for too much is told so, stream by stream."""
        return False

    def say_goodbye(self) -> None:
        if not self.is_over:
            self._connection.close_connection()
            self.is_over = True

    def data_to_send(self) -> bytes:
        return self._connection.data_to_send()


def speech(protocol: str | None) -> Speech:
    """For the protocol that was agreed on in the TLS handshake (RFC 7301); a client that did not ask speaks HTTP/1.1."""
    return Http2() if protocol == "h2" else Http1()

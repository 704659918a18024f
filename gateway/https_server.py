"""DNS over HTTPS for clients (RFC 8484), over HTTP/2 and HTTP/1.1, on a transport that asyncio hands over.

A connection has the limits of every other one (gateway/stream.py), and its queries take the path of those over TCP. A request
that is not whole when the idle time is over ends with its connection. Imported only where a school serves HTTPS.
"""

import asyncio
import ssl
from functools import partial

from gateway.http_speech import ALPN, Speech, speech
from gateway.https_message import Request, Status, query_in, refusal, response_with
from gateway.stream import IDLE, Connections, Handle, Stream

__all__ = ["ALPN", "HttpsConnection"]

UNFINISHED = 512 * 1024
"""octets without a whole request: more than ``STREAMS`` bodies begun at once, less than what would hurt"""


class HttpsConnection(Stream):
    def __init__(self, connections: Connections, handle: Handle, tls: ssl.SSLContext, path: str, idle: float = IDLE) -> None:
        super().__init__(connections, tls, idle)
        self._handle = handle
        self._path = path
        self._speech: Speech | None = None
        self._unfinished = 0
        self._is_serving = False

    def opened(self, transport: asyncio.Transport) -> None:
        agreed = transport.get_extra_info("ssl_object")
        self._speech = speech(agreed.selected_alpn_protocol())
        self._flush(self._speech)

    def received(self, data: bytes) -> None:
        assert self._speech is not None
        self._unfinished += len(data)
        self._speech.receive(data)
        self._serve(self._speech)
        if self._unfinished > UNFINISHED:
            self.end()

    def is_full(self) -> bool:
        return self._speech is not None and self._speech.is_full()

    def _serve(self, spoken: Speech) -> None:
        """Hand over every whole request. An answer that is there at once comes back in the middle of this, hence ``_is_serving``."""
        self._is_serving = True
        while self._transport is not None and (numbered := spoken.next_request()) is not None:
            self._unfinished = 0
            self.rest()
            self._ask(spoken, *numbered)
        self._is_serving = False
        self._flush(spoken)

    def _ask(self, spoken: Speech, number: int, request: Request) -> None:
        query = query_in(request, self._path)
        if isinstance(query, Status):
            spoken.respond(number, refusal(query))
            return
        self._pending += 1
        self._handle(query, self._address, partial(self._answered, spoken, number))

    def _answered(self, spoken: Speech, number: int, answer: bytes) -> None:
        self._pending -= 1
        if self._transport is None:
            return
        spoken.respond(number, response_with(answer))
        if not self._is_serving:
            self._serve(spoken)

    def _flush(self, spoken: Speech) -> None:
        if self._transport is None:
            return
        data = spoken.data_to_send()
        if data:
            self._transport.write(data)
        if spoken.is_over:
            self._transport.close()
        self.regulate()

    def end(self) -> None:
        """HTTP/2 clients are told which of their requests were read (GOAWAY), so that they may ask again elsewhere."""
        if self._speech is not None and self._transport is not None and self._is_open:
            self._speech.say_goodbye()
            self._transport.write(self._speech.data_to_send())
        super().end()

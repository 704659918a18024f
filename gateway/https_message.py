"""DNS over HTTPS as RFC 8484 defines it: an HTTP request -> the DNS query in it, or the status of a refusal; and back. Pure.

Promises: ``query_in`` is total, whatever a client sends; a response has no header that says more than it must (no Server, no
Date). Refused on purpose: every method but GET and POST, every path but the configured one, and queries above 4096 octets.
"""

import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from enum import IntEnum

from gateway.stream import MAX_MESSAGE
from gateway.wire import FormatError, decode_message

CONTENT_TYPE = b"application/dns-message"
_BASE64URL = re.compile(rb"[A-Za-z0-9_-]+\Z")
_MOST_BASE64URL = -(-MAX_MESSAGE * 4 // 3)
_HEADER = 12

Header = tuple[bytes, bytes]


class Status(IntEnum):
    OK = 200
    BAD_REQUEST = 400
    FORBIDDEN = 403
    NOT_FOUND = 404
    METHOD_NOT_ALLOWED = 405
    TOO_LARGE = 413
    URI_TOO_LONG = 414
    UNSUPPORTED_MEDIA_TYPE = 415
    HEADERS_TOO_LARGE = 431


@dataclass(frozen=True, slots=True)
class Request:
    method: bytes
    target: bytes
    """path and query, as sent"""
    content_type: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    status: Status
    headers: tuple[Header, ...] = ()
    body: bytes = b""


def query_in(request: Request, path: str) -> bytes | Status:
    """The DNS query that ``request`` carries, or why it carries none (RFC 8484, section 4.1)."""
    target, _, parameters = request.target.partition(b"?")
    if target != path.encode("ascii"):
        return Status.NOT_FOUND
    if request.method == b"GET":
        query = _parameter(parameters)
    elif request.method == b"POST":
        query = _body(request)
    else:
        return Status.METHOD_NOT_ALLOWED
    if isinstance(query, bytes) and not _is_query(query):
        return Status.BAD_REQUEST
    return query


def _parameter(parameters: bytes) -> bytes | Status:
    """``dns=`` in base64url without padding (RFC 4648, section 5)."""
    for parameter in parameters.split(b"&"):
        name, _, value = parameter.partition(b"=")
        if name != b"dns":
            continue
        if len(value) > _MOST_BASE64URL:
            return Status.URI_TOO_LONG
        if not _BASE64URL.match(value) or len(value) % 4 == 1:
            return Status.BAD_REQUEST
        return urlsafe_b64decode(value + b"=" * (-len(value) % 4))
    return Status.BAD_REQUEST


def _body(request: Request) -> bytes | Status:
    if request.content_type.partition(b";")[0].strip().lower() != CONTENT_TYPE:
        return Status.UNSUPPORTED_MEDIA_TYPE
    if len(request.body) > MAX_MESSAGE:
        return Status.TOO_LARGE
    return request.body


def _is_query(message: bytes) -> bool:
    """Whether it is worth an answer at all: a resolver is silent to what is shorter than a header, and to responses."""
    return len(message) >= _HEADER and not message[2] & 0x80


def response_with(answer: bytes) -> Response:
    """The response that carries a DNS answer. ``b""``: there is none, since this client may not ask, or not so often."""
    if not answer:
        return refusal(Status.FORBIDDEN)
    lifetime = f"max-age={freshness(answer)}".encode()
    return Response(Status.OK, ((b"content-type", CONTENT_TYPE), (b"cache-control", lifetime)), answer)


def freshness(answer: bytes) -> int:
    """For how many seconds HTTP may keep ``answer``: its smallest TTL (RFC 8484, section 5.1).

    0 without records in the answer section: how long that holds is in its SOA (RFC 2308), which HTTP does not read.
    """
    try:
        message = decode_message(answer)
    except FormatError:
        return 0
    return message.ttl if message.counts[0] else 0


def refusal(status: Status) -> Response:
    """Nothing but the status, and the methods where the method was wrong (RFC 9110, section 15.5.6)."""
    return Response(status, ((b"allow", b"GET, POST"),) if status == Status.METHOD_NOT_ALLOWED else ())

"""Does an upstream answer? One question each, by whatever it speaks. [shell: sockets]"""

import socket
import ssl
import time

from gateway.cli.question import NoAnswer, build, exchange_stream, read
from gateway.cli.question import ask as ask_plain
from policies.upstream_address import UpstreamAddress

_SECONDS = 5.0


def probe(upstream: UpstreamAddress, name: str = "example.com") -> float:
    """Seconds until ``upstream`` answered. Raises NoAnswer, whose text says what went wrong."""
    began = time.monotonic()
    try:
        rcode = _ask(upstream, name)
    except OSError as error:
        raise NoAnswer(error.strerror or str(error)) from None
    if rcode in {"SERVFAIL", "REFUSED", "NOTIMP", "FORMERR"}:
        raise NoAnswer(rcode)
    return time.monotonic() - began


def _ask(upstream: UpstreamAddress, name: str) -> str:
    if upstream.scheme in ("udp", "tcp"):
        return ask_plain(upstream.host, upstream.port, name, tcp=upstream.scheme == "tcp", seconds=_SECONDS).rcode
    query = build(name, "A")
    if upstream.scheme == "tls":
        return read(_over_tls(upstream, query)).rcode
    return read(_over_https(upstream, query)).rcode


def _over_tls(upstream: UpstreamAddress, query: bytes) -> bytes:
    """RFC 7858, with the certificate checked against the configured name."""
    with (
        socket.create_connection((upstream.host, upstream.port), _SECONDS) as plain,
        ssl.create_default_context().wrap_socket(plain, server_hostname=upstream.server_name) as stream,
    ):
        return exchange_stream(stream, query)


def _over_https(upstream: UpstreamAddress, query: bytes) -> bytes:
    """RFC 8484. The bootstrap address replaces the name in the URL; certificate and Host still name the server."""
    import httpx

    host = f"[{upstream.host}]" if ":" in upstream.host else upstream.host
    try:
        with httpx.Client(timeout=_SECONDS, trust_env=False) as client:
            response = client.post(
                f"https://{host}:{upstream.port}{upstream.path}",
                content=query,
                headers={"Content-Type": "application/dns-message", "Accept": "application/dns-message", "Host": upstream.server_name},
                extensions={"sni_hostname": upstream.server_name},
            )
        response.raise_for_status()
    except httpx.HTTPError as error:
        raise NoAnswer(str(error)) from None
    return response.content

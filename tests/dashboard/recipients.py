"""Who takes reports, for tests: a webhook and a mail server on loopback, both real, with certificates of a test's own authority."""

import base64
import json
import socket
import ssl
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

WITHIN = 10.0


def until(condition, what="what was waited for"):
    """The first true value of ``condition()``, within a deadline."""
    deadline = time.monotonic() + WITHIN
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.005)
    raise AssertionError(f"{what} did not come about in {WITHIN} s")


def unpacked(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def verified(jws: str, jwk: dict) -> dict:
    """The document, after its signature was checked as a province would, with nothing of ours (RFC 7515 section 5.2, RFC 8037 section 3.1)."""
    header, payload, signature = jws.split(".")
    told = json.loads(unpacked(header))
    assert told["alg"] == "EdDSA"
    assert told["kid"] == thumbprint(jwk)
    Ed25519PublicKey.from_public_bytes(unpacked(jwk["x"])).verify(unpacked(signature), f"{header}.{payload}".encode())
    return json.loads(unpacked(payload))


def thumbprint(jwk: dict) -> str:
    """RFC 7638, RFC 8037 section 2."""
    canonical = json.dumps({"crv": jwk["crv"], "kty": jwk["kty"], "x": jwk["x"]}, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(sha256(canonical).digest()).decode().rstrip("=")


@dataclass
class Webhook:
    """Answers with ``answers`` in order, and with the last one from then on."""

    port: int
    answers: list = field(default_factory=lambda: [204])
    got: list = field(default_factory=list)
    """(path, headers, body) of every request"""
    headers: dict = field(default_factory=dict)
    """of every answer"""
    hold: threading.Event = field(default_factory=threading.Event)
    """set: answers come; a test clears it to keep a request waiting"""

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/bao-cao"


@contextmanager
def webhook(authority: trustme.CA, port: int = 0, **options):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            told.got.append((self.path, self.headers, body))
            told.hold.wait(WITHIN)
            answer = told.answers.pop(0) if len(told.answers) > 1 else told.answers[0]
            self.send_response(answer)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *arguments):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        allow_reuse_address = True

        def get_request(self):
            plain, address = self.socket.accept()
            plain.settimeout(WITHIN)
            return context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), address

        def handle_error(self, request, client_address):
            pass  # a client that does not trust us hangs up

    server = Server(("127.0.0.1", port), Handler)
    told = Webhook(server.server_port, **options)
    told.hold.set()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield told
    finally:
        told.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@dataclass
class MailServer:
    port: int
    got: list = field(default_factory=list)
    """(sender, recipients, message, over TLS) of every mail that was taken"""
    refuse: str = ""
    """what it says instead of taking a recipient"""
    signed_in: list = field(default_factory=list)


@contextmanager
def mail_server(authority: trustme.CA | None, *, login: tuple[bytes, bytes] | None = None, implicit: bool = False, port: int = 0):
    """With STARTTLS, or with TLS from the beginning (``implicit``); without an authority: plain."""

    class Handler:
        async def handle_RCPT(self, server, session, envelope, address, options):
            if told.refuse:
                return told.refuse
            envelope.rcpt_tos.append(address)
            return "250 OK"

        async def handle_DATA(self, server, session, envelope):
            mail = message_from_bytes(envelope.content, policy=default)
            told.got.append((envelope.mail_from, envelope.rcpt_tos, mail, session.ssl is not None or implicit))
            return "250 taken"

    def authenticate(server, session, envelope, mechanism, data):
        told.signed_in.append((data.login, data.password))
        return AuthResult(success=(data.login, data.password) == login, handled=False)

    options = {}
    if authority is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        options = {"ssl_context": context} if implicit else {"tls_context": context, "require_starttls": True}
    if login is not None:
        options |= {"authenticator": authenticate, "auth_required": True}
    told = MailServer(port or free_port())
    controller = Controller(Handler(), hostname="127.0.0.1", port=told.port, **options)
    controller.start()
    try:
        yield told
    finally:
        controller.stop()

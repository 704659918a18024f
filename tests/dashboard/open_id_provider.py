"""An OpenID Connect provider on loopback, as Google or Microsoft are one: a real HTTP server, real keys, signed tokens.

A test changes one thing before a sign-in: ``claims`` (what the token says besides what it must), ``sign`` (how it is signed), ``answers`` (a path that answers
otherwise). ``visit`` plays the person's browser at the provider and gives the address to which it is sent back.
"""

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "manglanh-of-our-school", "a secret: with % and +"


def new_key(kid: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig", "alg": "RS256"}, private=True, auto_kid=False)


@dataclass
class Provider:
    clock: Callable[[], float]
    key: RSAKey
    issuer: str = ""
    claims: dict = field(default_factory=dict)
    sign: Callable[[dict], str] | None = None
    answers: dict = field(default_factory=dict)
    """path -> (status, headers, body), or (method, path)"""
    asked: list = field(default_factory=list)
    """(method, path) of everything that was asked"""
    codes: dict = field(default_factory=dict)
    methods: tuple = ("client_secret_basic", "client_secret_post")

    def visit(self, address: str, email: str = "lan@truong.edu.vn", **answer: str) -> str:
        """The person signs in at the provider, who sends the browser back; ``answer`` replaces what it brings along."""
        parts = urlsplit(address)
        given = {name: values[0] for name, values in parse_qs(parts.query, strict_parsing=True).items()}
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{self.issuer}/authorize"
        assert given["client_id"] == CLIENT
        assert given["response_type"] == "code"
        assert given["scope"].split()[0] == "openid"
        assert given["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = given | {"email": email}
        back = {"code": code, "state": given["state"], "iss": self.issuer} | answer
        return f"{given['redirect_uri']}?{urlencode({name: value for name, value in back.items() if value is not None})}"

    def description(self) -> dict:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "token_endpoint_auth_methods_supported": list(self.methods),
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def keys(self) -> dict:
        return {"keys": [self.key.as_dict(private=False), new_key_once("of-yesterday").as_dict(private=False)]}

    def token(self, headers, form: dict) -> tuple[int, dict]:
        basic = headers.get("authorization", "").removeprefix("Basic ")
        shown = base64.b64decode(basic).decode() if basic else f"{form.get('client_id')}:{form.get('client_secret')}"
        given = self.codes.pop(form.get("code", ""), None)
        if shown != f"{CLIENT}:{SECRET}":
            return 401, {"error": "invalid_client"}
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=").decode()
        if form.get("grant_type") != "authorization_code" or given is None or given["code_challenge"] != challenge:
            return 400, {"error": "invalid_grant"}
        if given["redirect_uri"] != form.get("redirect_uri"):
            return 400, {"error": "invalid_grant"}
        return 200, {"access_token": secrets.token_urlsafe(), "token_type": "Bearer", "id_token": self.id_token(given)}

    def id_token(self, given: dict) -> str:
        now = int(self.clock())
        claims = {
            "iss": self.issuer, "sub": "1075", "aud": CLIENT, "iat": now, "exp": now + 3600, "nonce": given["nonce"],
            "email": given["email"], "email_verified": True,
        }  # fmt: skip
        claims = {name: value for name, value in (claims | self.claims).items() if value is not None}
        return self.sign(claims) if self.sign else jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)


_KEYS: dict[str, RSAKey] = {}


def new_key_once(kid: str) -> RSAKey:
    """Making one takes a while; a kid's stays the same in a run."""
    if kid not in _KEYS:
        _KEYS[kid] = new_key(kid)
    return _KEYS[kid]


@contextmanager
def running(clock: Callable[[], float]):
    provider = Provider(clock, new_key_once("of-today"))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = {"/.well-known/openid-configuration": provider.description, "/keys": provider.keys}
            path = urlsplit(self.path).path
            self._send(*((200, known[path]()) if path in known else (404, {})))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self._send(*(provider.token(self.headers, form) if self.path == "/token" else (404, {})))

        def _send(self, status: int, told: dict) -> None:
            path = urlsplit(self.path).path
            provider.asked.append((self.command, path))
            headers, body = {"content-type": "application/json"}, json.dumps(told).encode()
            status, headers, body = provider.answers.get(path, (status, headers, body))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

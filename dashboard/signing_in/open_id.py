"""Signing in with the school's Google Workspace or Microsoft 365: OpenID Connect 1.0, authorization code with PKCE.  [shell: network, disk]

Accounts are made by IT staff; whoever the provider vouches for is let in only as an account that has that e-mail address. Refuses an id_token that is not
signed with one of the provider's published keys, is for somebody else, has expired, or answers another sign-in than this visitor's (nonce, state; each
is good once); an address that the provider has not confirmed itself; a domain that the school's file does not name. A second step is the provider's affair.

Authlib's and joserfc's parts, httpx as the transport: no redirect is followed, nothing is waited for longer than a person waits. Both are loaded at
the first use, since most schools have none.
"""

import asyncio
import hmac
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from dashboard.refusal import Refused
from dashboard.signing_in.entry import address, attempt, note_failure
from dashboard.signing_in.throttle import ADDRESS, neighbourhood
from dashboard.store import accounts
from dashboard.store.accounts import Account
from dashboard.web import Visit
from filters.message import Message
from policies.model import SignIn

log = logging.getLogger("manglanh.sign-in")

LASTS = 600.0
"""seconds that somebody may take at the provider's"""
TIMEOUT = 8.0
LARGEST = 256 * 1024
LEEWAY = 120
"""seconds by which the provider's clock and the box's may differ"""
ALGORITHMS = ("RS256", "PS256", "ES256", "RS384", "PS384", "ES384", "RS512", "PS512", "ES512")
"""signatures with a key pair only: never ``none``, never one that our own secret could make"""


@dataclass(frozen=True, slots=True)
class Begun:
    visitor: str
    nonce: str
    verifier: str
    redirect: str
    to: str


class _Trouble(Exception):
    """Why the provider's answer is of no use; for the log."""


def title(settings: SignIn | None) -> str:
    """How the provider is called on the pages."""
    return "" if settings is None else settings.title or urlsplit(settings.issuer).hostname or ""


async def begin(visit: Visit, to: str) -> str:
    """The address at the provider's to which the visitor goes. Raises Refused."""
    from authlib.oauth2.client import OAuth2Client  # type: ignore[import-untyped]  # noqa: PLC0415 - lazily

    settings = _settings(visit)
    # Every sign-in asks the provider something, so nobody may begin them without end.
    await attempt(visit.site, ((("provider", neighbourhood(address(visit.request))), ADDRESS),), visit.now)
    provider = await _ask(_discover(settings), settings)
    begun = Begun(visit.secret, secrets.token_urlsafe(24), secrets.token_urlsafe(48), _redirect(visit), to)
    state = secrets.token_urlsafe(24)
    client = OAuth2Client(None, settings.client_id, redirect_uri=begun.redirect, scope="openid email profile", code_challenge_method="S256")
    url, _ = client.create_authorization_url(
        provider["authorization_endpoint"], state=state, code_verifier=begun.verifier, nonce=begun.nonce
    )
    visit.site.pending.keep("open-id", state, begun, visit.now + LASTS)
    return str(url)


async def finish(visit: Visit) -> tuple[Account, str]:
    """Who has come back from the provider, and where they wanted to go. Raises Refused."""
    settings, given = _settings(visit), visit.request.query_params
    begun = visit.site.pending.take("open-id", given.get("state", ""), visit.now)
    if begun is None or not hmac.compare_digest(begun.visitor.encode(), visit.secret.encode()):
        raise Refused(Message("This sign-in took too long, or was used already. Please begin again."), status=403)
    if given.get("error"):
        log.warning("%s refused a sign-in: %.200r %.200r", settings.issuer, given["error"], given.get("error_description", ""))
        raise Refused(Message("{title} did not sign you in. Please try again, or ask IT staff.", title=title(settings)), status=403)
    if given.get("iss", settings.issuer).rstrip("/") != settings.issuer:  # RFC 9207
        raise _untrusted(settings, "the answer is another issuer's")
    claims = await _ask(_claims(settings, begun, given.get("code", ""), visit.now), settings)
    return await _account(visit, settings, claims), begun.to


def _settings(visit: Visit) -> SignIn:
    settings = visit.view.file.dashboard.sign_in
    if settings is None:
        raise Refused(Message("This school has not set up signing in with Google or Microsoft."), status=404)
    return settings


def _redirect(visit: Visit) -> str:
    base = visit.view.file.dashboard.url or f"{visit.request.url.scheme}://{visit.request.url.netloc}"
    return f"{base}/sign-in/school/back"


async def _ask(answer: Any, settings: SignIn) -> dict[str, Any]:
    """What the provider says, or the trouble in words."""
    import httpx  # noqa: PLC0415 - lazily

    try:
        told: dict[str, Any] = await answer
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        log.warning("%s cannot be asked: %s %s", settings.issuer, type(error).__name__, error)
        words = Message("{title} does not answer now. Please try again in a moment, or sign in with a password.", title=title(settings))
        raise Refused(words, status=502) from None
    except _Trouble as error:
        raise _untrusted(settings, str(error)) from None
    return told


def _untrusted(settings: SignIn, why: str) -> Refused:
    log.warning("%s: nobody was signed in: %s", settings.issuer, why)
    words = Message(
        "What {title} has sent cannot be trusted, so nobody was signed in. IT staff find the reason in the log.", title=title(settings)
    )
    return Refused(words, status=502)


async def _discover(settings: SignIn) -> dict[str, Any]:
    """The provider's own description (OpenID Connect Discovery 1.0, section 4)."""
    from authlib.common.security import is_secure_transport  # type: ignore[import-untyped]  # noqa: PLC0415

    if not is_secure_transport(settings.issuer):
        raise _Trouble("the issuer is not https")
    provider = await _json("GET", f"{settings.issuer}/.well-known/openid-configuration")
    if str(provider.get("issuer", "")).rstrip("/") != settings.issuer:
        raise _Trouble(f"its description is of the issuer {provider.get('issuer')!r}")
    for endpoint in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        if not isinstance(provider.get(endpoint), str) or not is_secure_transport(provider[endpoint]):
            raise _Trouble(f"its {endpoint} is missing or not https")
    return provider


async def _json(method: str, url: str, **options: Any) -> dict[str, Any]:
    import httpx  # noqa: PLC0415

    async with (
        httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False) as client,
        asyncio.timeout(2 * TIMEOUT),
        client.stream(method, url, **options) as response,
    ):
        data = b""
        async for chunk in response.aiter_bytes():
            data += chunk
            if len(data) > LARGEST:
                raise _Trouble(f"{url} answers with more than {LARGEST} bytes")
    if response.status_code != 200:
        raise _Trouble(f"{url} answers {response.status_code}: {data[:200]!r}")
    try:
        told = httpx.Response(200, content=data).json()
    except ValueError:
        raise _Trouble(f"{url} answers with no JSON") from None
    if not isinstance(told, dict):
        raise _Trouble(f"{url} answers with no JSON object")
    return told


async def _claims(settings: SignIn, begun: Begun, code: str, now: float) -> dict[str, Any]:
    """The code exchanged for an id_token (RFC 6749 section 4.1.3), and that checked."""
    provider = await _discover(settings)
    token = await _exchange(settings, provider, begun, code)
    keys = await _json("GET", provider["jwks_uri"])
    return checked(token.get("id_token"), keys, provider["issuer"], settings.client_id, begun.nonce, now)


async def _exchange(settings: SignIn, provider: Mapping[str, Any], begun: Begun, code: str) -> dict[str, Any]:
    from authlib.oauth2.auth import ClientAuth  # type: ignore[import-untyped]  # noqa: PLC0415
    from authlib.oauth2.rfc6749.parameters import prepare_token_request  # type: ignore[import-untyped]  # noqa: PLC0415

    secret = await asyncio.to_thread(_secret, settings)
    methods = provider.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    method = "client_secret_basic" if "client_secret_basic" in methods else "client_secret_post"
    body = prepare_token_request("authorization_code", code=code, redirect_uri=begun.redirect, code_verifier=begun.verifier)
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    url, headers, body = ClientAuth(settings.client_id, secret, method).prepare("POST", provider["token_endpoint"], headers, body)
    headers.pop("Content-Length", None)
    return await _json("POST", url, headers=headers, content=body)


def _secret(settings: SignIn) -> str:
    try:
        return settings.client_secret_file.read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        log.error("%s: the client's secret cannot be read: %s", settings.issuer, error)
        words = Message(
            "Signing in with {title} is not set up right: its secret cannot be read. Please ask IT staff.", title=title(settings)
        )
        raise Refused(words, status=503) from None


def checked(token: object, keys: Mapping[str, Any], issuer: str, client_id: str, nonce: str, now: float) -> dict[str, Any]:
    """The claims of an id_token (OpenID Connect Core 1.0, section 3.1.3.7). Raises _Trouble."""
    from joserfc import jwt  # noqa: PLC0415
    from joserfc.errors import JoseError  # noqa: PLC0415
    from joserfc.jwk import KeySet  # noqa: PLC0415

    if not isinstance(token, str):
        raise _Trouble("there is no id_token")
    published = keys.get("keys")
    pairs = [
        key
        for key in (published if isinstance(published, list) else ())
        if isinstance(key, dict) and key.get("kty") in ("RSA", "EC") and key.get("use") != "enc"
    ]
    try:
        claims = jwt.decode(token, KeySet.import_key_set({"keys": pairs}), algorithms=list(ALGORITHMS)).claims
        jwt.JWTClaimsRegistry(
            now=int(now),
            leeway=LEEWAY,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": client_id},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            nonce={"essential": True, "value": nonce},
        ).validate(claims)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise _Trouble(f"its id_token: {type(error).__name__} {error}") from None
    if claims.get("azp", client_id) != client_id or (isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and "azp" not in claims):
        raise _Trouble("its id_token was made for another client (azp)")
    return claims


def confirmed(claims: Mapping[str, Any]) -> bool:
    """Whether the provider has made sure whose address it is. Microsoft says so of a tenant's own domains with ``xms_edov``."""
    return claims.get("email_verified") is True or claims.get("xms_edov") in (True, 1, "1", "true")


async def _account(visit: Visit, settings: SignIn, claims: Mapping[str, Any]) -> Account:
    email = claims.get("email")
    if not isinstance(email, str) or email.count("@") != 1 or len(email) > 254 or not email.isprintable():
        raise _untrusted(settings, "its id_token has no e-mail address (scope email)")
    if not confirmed(claims):
        await note_failure(visit, None, "e-mail not confirmed")
        raise Refused(Message("{title} has not confirmed that {email} is yours.", title=title(settings), email=email), status=403)
    domain = email.rpartition("@")[2].lower()
    if settings.domains and domain not in {each.lower() for each in settings.domains}:
        await note_failure(visit, None, "domain")
        raise Refused(Message("Addresses at {domain} are not let in here. Please take your school address.", domain=domain), status=403)
    async with visit.site.store.read() as connection:
        account = await accounts.by_email(connection, email)
    if account is None or not account.active:
        await note_failure(visit, account, "closed" if account else "login")
        raise Refused(Message("There is no account here for {email}. Please ask IT staff.", email=email), status=403)
    return account

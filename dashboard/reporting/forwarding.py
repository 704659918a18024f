"""A report as the province gets it: the document, this box's signature under it, and the webhook that takes it.  [shell: network, disk]

docs/reports-format.md describes what is sent. A document is frozen when a report is handed on; it is signed when it is sent, as a JWS in compact form (RFC 7515,
EdDSA with Ed25519, RFC 8037), which gives the same bytes each time. The key is made at first use, beside the state file, and never leaves the box; the province
registers its public half, which the reports page shows. joserfc and httpx are loaded at first use, since most boxes have no recipient.
"""

import asyncio
import json
import os
import secrets
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, tzinfo
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from dashboard.school import View
from dashboard.store.reports import Report, Step
from filters.domain_index import DomainIndex
from filters.name import InvalidName, normalise

if TYPE_CHECKING:
    from joserfc.jwk import OKPKey

FORMAT = "manglanh-report/1"
KEY_FILE = "report-key.pem"
TYPE = "manglanh-report+json"
TIMEOUT = 15.0
DEADLINE = 45.0
"""seconds: for one step, and for the whole"""
LONGEST_WAIT = 6 * 3600.0
"""a recipient may ask for patience (Retry-After), but not for more than this"""


class NotTaken(Exception):
    """The recipient does not have it, or has not said so. ``what`` is a word of dashboard/reporting/outbox.py, ``detail`` a fact for an administrator."""

    def __init__(self, what: str, detail: str = "", wait: float = 0.0) -> None:
        super().__init__(f"{what}: {detail}")
        self.what = what
        self.detail = detail[:300]
        self.wait = wait
        """seconds for which the recipient asked"""


# ---- what is sent ----


def site_of(target: str) -> str:
    """The canonical name of the site that a report is about; empty where its target names none."""
    text = target.strip()
    try:
        return normalise(urlsplit(text if "//" in text else f"//{text}").hostname or "")
    except (InvalidName, ValueError):
        return ""


def categories(index: DomainIndex, target: str) -> list[str]:
    """The categories in which the lists have the site of a report, the most specific first."""
    name = site_of(target)
    return list(dict.fromkeys(match.source.category for match in index.lookup(name))) if name else []


def document(view: View, report: Report, steps: Sequence[Step]) -> bytes:
    """What the province is told of a report, as UTF-8 JSON. Nothing is known of the sender but what the sender wrote."""
    zone = ZoneInfo(view.file.school.timezone)
    recipient = view.province.recipient if view.province is not None else None
    content = {
        "format": FORMAT,
        "number": report.number,
        "at": _instant(report.at, zone),
        "kind": report.kind,
        "target": report.target,
        "note": report.note,
        "signed": report.signed or None,
        "categories": categories(view.index, report.target),
        "school": {"name": view.file.school.name},
        "to": recipient.to if recipient is not None else None,
        "state": report.status,
        "states": [{"state": step.state, "at": _instant(step.at, zone)} for step in steps],
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _instant(at: float, zone: tzinfo) -> str:
    """RFC 3339."""
    return datetime.fromtimestamp(int(at), zone).isoformat()


# ---- the signature ----


class BadKey(Exception):
    """The key file is there and cannot be used. It is left as it is: another key would be a stranger's to the province."""


@dataclass(frozen=True, slots=True)
class ReportKey:
    key: "OKPKey"
    public: Mapping[str, str]
    """as a JWK (RFC 8037 section 2), with its thumbprint (RFC 7638) as ``kid``"""

    @property
    def kid(self) -> str:
        return self.public["kid"]

    def sign(self, payload: bytes) -> str:
        """JWS in compact form."""
        from joserfc.jws import serialize_compact  # noqa: PLC0415 - see above

        return serialize_compact({"alg": "EdDSA", "kid": self.kid, "typ": TYPE}, payload, self.key, registry=_ed25519())


def _ed25519() -> Any:
    """What joserfc must know to sign: RFC 9864 would rather have ``Ed25519`` as the algorithm's name, which few verifiers know yet, and it warns at every use."""
    from joserfc.jws import JWSRegistry  # noqa: PLC0415

    class Registry(JWSRegistry):
        def get_alg(self, name: str) -> Any:
            return self.algorithms[name]

    return Registry(algorithms=["EdDSA"])


def key_path(view: View) -> Path:
    return view.file.state.parent / KEY_FILE


def read_key(path: Path) -> ReportKey | None:
    """None: there is none yet. Raises BadKey."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadKey(f"{path}: {error.strerror}") from None
    from joserfc.jwk import OKPKey  # noqa: PLC0415

    try:
        key = OKPKey.import_key(data)
    except Exception as error:  # noqa: BLE001 - whatever a damaged file makes of three libraries
        raise BadKey(f"{path}: {type(error).__name__}") from None
    if key.curve_name != "Ed25519" or not key.is_private:
        raise BadKey(f"{path}: not the private half of an Ed25519 key")
    return ReportKey(key, {"kty": "OKP", "crv": "Ed25519", "x": str(key["x"]), "kid": key.thumbprint(), "alg": "EdDSA", "use": "sig"})


async def known_key(view: View) -> tuple[ReportKey | None, str]:
    """The key for whoever looks, who makes none: it (None: there is none yet), and what is wrong with it."""
    try:
        return await asyncio.to_thread(read_key, key_path(view)), ""
    except BadKey as error:
        return None, str(error)


def have_key(path: Path) -> ReportKey:
    """The key, made now if there is none. Raises BadKey."""
    known = read_key(path)
    if known is None:
        try:
            _make_key(path)
        except OSError as error:
            raise BadKey(f"{path}: {error.strerror}") from None
        known = read_key(path)
    if known is None:
        raise BadKey(f"{path}: it is gone again")
    return known


def _make_key(path: Path) -> None:
    """Whole or not at all, for its owner's eyes only, and never in place of another. Raises OSError."""
    from joserfc.jwk import OKPKey  # noqa: PLC0415

    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(OKPKey.generate_key("Ed25519").as_pem(private=True))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(aside, path)
    finally:
        aside.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


# ---- the webhook ----


class Webhook(NamedTuple):
    url: str
    tls: ssl.SSLContext
    """which certificates are believed"""
    proxy: str | None
    """None: as the environment says"""


async def post(webhook: Webhook, jws: str, key: str) -> None:
    """Hand a signed report to the webhook; it has it if it answers 2xx. Raises NotTaken.

    ``key``: the Idempotency-Key (draft-ietf-httpapi-idempotency-key-header), the same for every attempt. No redirect is followed: a report goes where the
    province's file says and nowhere else. Nothing of the answer is read but its head.
    """
    import httpx  # noqa: PLC0415

    headers = {"Content-Type": "application/jose", "Idempotency-Key": f'"{key}"', "User-Agent": "manglanh"}
    try:
        async with (
            asyncio.timeout(DEADLINE),
            httpx.AsyncClient(verify=webhook.tls, proxy=webhook.proxy, timeout=TIMEOUT, follow_redirects=False) as client,
            client.stream("POST", webhook.url, content=jws.encode(), headers=headers) as response,
        ):
            status, patience = response.status_code, response.headers.get("retry-after", "")
    except TimeoutError:
        raise NotTaken("slow") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise NotTaken("unreachable", f"{type(error).__name__} {error}".strip()) from None
    if not 200 <= status < 300:
        wait = min(float(patience), LONGEST_WAIT) if patience.isascii() and patience.isdecimal() else 0.0
        raise NotTaken("status", f"{status} {_phrase(status)}".strip(), wait)


def _phrase(status: int) -> str:
    """In our words: what the other side writes there is not repeated."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""

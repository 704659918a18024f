"""The web application: every page, the API, the static files. The lists below are the whole of what can be asked for."""

import importlib
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as AsgiScope

from dashboard.api.problem import EVERY, Problem
from dashboard.backups.backup import MAX_FILE
from dashboard.catalogue import translator
from dashboard.refusal import Refused
from dashboard.site import Site
from dashboard.store.engine import StoreTrouble
from dashboard.web import HEADERS, Page, no_page, routes
from filters.message import Message as Text
from filters.message import said

PAGES = (
    "home", "setup", "sign_in", "account", "classes", "requests", "site_sets", "statistics", "reports", "why", "rules", "groups", "devices",
    "tiers", "services", "timetable", "people", "school", "health", "live", "audit", "backup", "help",
)  # fmt: skip
"""modules of dashboard/pages, each with PAGES"""
API = (
    "classes", "requests", "site_sets", "statistics", "reports", "why", "rules", "groups", "devices", "tiers", "services", "timetable", "people",
    "school", "health", "audit", "backup",
)  # fmt: skip
"""modules of dashboard/api, each with ``router``"""
STATIC = Path(__file__).resolve().parent / "static"
YEAR = 365 * 86400
LARGEST = 8 * 1024 * 1024
"""bytes that a call of the API may send, unless its operation says otherwise; read before anybody knows who calls"""
LIMITS = {"/api/v1/backup/restore": MAX_FILE}
DESCRIPTION = f"""
**Who.** `Authorization: Bearer ...` with a token that a person has made on the account page. It may what that person may now, within its scopes. Without one, or
with one that has ended: 401. Not this person's to do, or not within the scopes: 403.

**Errors** are `application/problem+json` (RFC 9457); `detail` is for people, in Vietnamese or English by `Accept-Language`; `field` names what is wrong. A call that
was refused has changed nothing.

**Long lists** come in parts, and every one says its limits as the limits of its parameters: `limit` and `offset` where the order hardly changes (`/requests`,
`/reports`, `/rules`), `page` with `pages` and `total` in the answer (`/people`, `/devices`), and `before`, the mark that an answer gave for the part after it,
where something is added all the time (`/audit`). All other lists come whole.

**Limits.** A body has at most {LARGEST // 1024 // 1024} MB, a backup {MAX_FILE // 1024 // 1024} MB, a school's file 512 kB (413). Fields that are not documented are refused, and so are
values of another type (422).

**Changes of the school's file** answer with an `ETag`. Sent back as `If-Match`, a change is refused (412) where somebody else has changed the file since.

**Times** are Unix seconds; days are days of the school's time zone.
"""


class Static(StaticFiles):
    """The address of a file changes with its content, so that a browser may keep it for good."""

    async def get_response(self, path: str, scope: AsgiScope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = f"public, max-age={YEAR}, immutable"
        return response


def _(message: str) -> str:
    """Marks a message for the catalogue."""
    return message


class Application(FastAPI):
    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = super().openapi()
            schemas = self.openapi_schema["components"]["schemas"]
            schemas["Problem"] = Problem.model_json_schema()
            for unused in ("HTTPValidationError", "ValidationError"):  # FastAPI's own, which we do not answer
                schemas.pop(unused, None)
        return self.openapi_schema


def build(site: Site, lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None) -> FastAPI:
    """The application. ``lifespan`` runs what goes on beside requests (dashboard/background.py)."""
    app = Application(
        title="Mạng Lành",
        version="1",
        summary="What the dashboard's pages do, for programs.",
        description=DESCRIPTION,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # its page would load scripts from the internet
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # nobody collects it, and every request would pay for it
        redirect_slashes=False,  # an address that is not ours is not there
        lifespan=lifespan or _nothing,
    )
    app.state.site = site
    app.router.routes.extend(routes(pages()))
    app.include_router(api())
    app.mount("/static", Static(directory=STATIC), name="static")
    app.add_middleware(Bounded)
    app.add_middleware(WrittenOut, methods=_written_out(app.routes))
    app.add_middleware(Headed)
    app.add_exception_handler(HTTPException, _no_route)
    app.add_exception_handler(Exception, _failed)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(StoreTrouble, _store_trouble)
    app.add_exception_handler(RequestValidationError, _invalid)
    return app


class Headed:
    """Every answer has the headers that keep a browser careful and private things uncached, whoever gives it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        async def send_headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_headed)


class Bounded:
    """What says of itself that it is too large for the API is not read at all; what does not say it is cut off while it is read (``max_body_size``)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        answer: ASGIApp = self.app
        if scope["type"] == "http" and scope["path"].startswith("/api/"):
            length = Headers(scope=scope).get("content-length", "0")
            if not length.isdecimal() or len(length) > 12 or int(length) > LIMITS.get(scope["path"], LARGEST):
                answer = await _no_route(Request(scope, receive), HTTPException(413))
        await answer(scope, receive, send)


class WrittenOut:
    """An address that is written out is no parameter: ``PUT /api/v1/rules/export`` does not mean a rule of this name."""

    def __init__(self, app: ASGIApp, methods: Mapping[str, frozenset[str]]) -> None:
        self.app = app
        self.methods = methods

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        answer: ASGIApp = self.app
        if scope["type"] == "http" and scope["method"] not in self.methods.get(scope["path"], (scope["method"],)):
            answer = await _no_route(Request(scope, receive), HTTPException(405))
        await answer(scope, receive, send)


def _written_out(found: Sequence[BaseRoute]) -> dict[str, frozenset[str]]:
    """The methods of every path without parameters."""
    methods: dict[str, frozenset[str]] = {}
    for each in iter_route_contexts(found):
        if each.path is not None and "{" not in each.path and each.methods:
            methods[each.path] = methods.get(each.path, frozenset()) | each.methods
    return methods


@asynccontextmanager
async def _nothing(_: FastAPI) -> AsyncIterator[None]:
    yield


def pages() -> list[Page]:
    """Every page of every module, in order."""
    return [page for name in PAGES for page in importlib.import_module(f"dashboard.pages.{name}").PAGES]


def api() -> APIRouter:
    router = APIRouter(prefix="/api/v1", responses=EVERY)
    for name in API:
        router.include_router(importlib.import_module(f"dashboard.api.{name}").router, tags=[name], max_body_size=LARGEST)
    return router


def problem(status: int, detail: str, field: str = "") -> JSONResponse:
    """RFC 9457."""
    content = {"type": "about:blank", "status": status, "detail": detail} | ({"field": field} if field else {})
    headers = {**HEADERS, **({"WWW-Authenticate": "Bearer"} if status == 401 else {})}
    return JSONResponse(content, status, headers, media_type="application/problem+json")


def _language(request: Request) -> str:
    return "vi" if request.headers.get("accept-language", "").lower().startswith("vi") else "en"


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return problem(error.status, said(error.message, translator(_language(request))), error.field)


async def _no_route(request: Request, error: Exception) -> Response:
    """No such address, or one that does not take this method; of the API also a body that cannot be read."""
    assert isinstance(error, HTTPException)
    messages = {
        413: _("This is too large."),
        404: _("There is nothing at this address."),
        405: _("This address does not take this method."),
    }
    message = messages.get(error.status_code, _("This cannot be read."))
    if _is_api(request):
        response: Response = problem(error.status_code, translator(_language(request))(message))
    else:
        response = await no_page(request, Text(message), error.status_code)
    if error.status_code == 405:
        response.headers["Allow"] = ", ".join(sorted(_methods(request.app.routes, request.scope["path"])))
    return response


def _methods(found: Sequence[BaseRoute], path: str) -> frozenset[str]:
    """What the path takes: Starlette names the methods of its first route only."""
    written_out = _written_out(found).get(path)
    if written_out is not None:
        return written_out
    matching = [each for each in iter_route_contexts(found) if getattr(each, "path_regex", re.compile("$^")).match(path)]
    return frozenset[str]().union(*(each.methods or {"GET", "HEAD"} for each in matching))


async def _failed(request: Request, _error: Exception) -> Response:
    """A mistake of ours, which the server logs. In both languages: nothing is sure now, not even whose page it is."""
    if _is_api(request):
        return problem(500, "Something went wrong here; nothing was changed. The log has the details.")
    text = "Có lỗi ở đây; chưa có gì thay đổi. Chi tiết ở trong nhật ký. / Something went wrong here; nothing was changed. The log has the details."
    page = f'<!doctype html><html lang="vi"><meta charset="utf-8"><title>500</title><p>{text}</p><p><a href="/">/</a></p></html>'
    return HTMLResponse(page, 500, HEADERS)


def _is_api(request: Request) -> bool:
    return str(request.scope["path"]).startswith("/api/")


async def _store_trouble(request: Request, error: Exception) -> Response:
    return problem(503, said(error, translator(_language(request))))


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return problem(422, f"{'.'.join(map(str, first['loc']))}: {first['msg']}", str(first["loc"][-1]))

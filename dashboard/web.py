"""From a request to a page: who asks, may they, did they mean it, what is said when it goes wrong.  [shell: clock]

Every page is a ``Page`` in a module's ``PAGES``; dashboard/app.py puts them together. Here, in this order and for every one of them: the body's size, the session, the
language, the rule (dashboard/access.py), the form's own token (CSRF) and where the request comes from, the same form sent twice, the handler; then the
headers. Handlers raise ``Refused`` for what cannot be done and never check a role themselves.
"""

import asyncio
import hmac
import logging
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from dashboard.access import Access, Person, Role, may
from dashboard.catalogue import LANGUAGES, Translate, translator
from dashboard.insight.health import Level
from dashboard.refusal import Refused
from dashboard.rendering import render
from dashboard.school import View
from dashboard.site import Site
from dashboard.store import people
from dashboard.store.engine import StoreTrouble
from filters.message import Message, said

log = logging.getLogger("manglanh.web")

BODY = 256 * 1024
"""bytes of a form, unless its page says otherwise"""
IDLE = {Role.ADMIN: 2 * 3600.0, Role.TEACHER: 12 * 3600.0, Role.VIEWER: 12 * 3600.0}
"""seconds after which an unused session ends"""
LONGEST = {Role.ADMIN: 12 * 3600.0, Role.TEACHER: 7 * 86400.0, Role.VIEWER: 7 * 86400.0}
"""seconds after which a session ends, however much it is used"""
REMEMBERED_FORMS = 4096
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Page:
    """One route. ``access`` has no default on purpose."""

    method: str
    path: str
    handler: "Callable[[Visit], Awaitable[Response]]"
    access: Access
    body: int = BODY
    """bytes that a form may have here"""


@dataclass(slots=True)
class Visit:
    """One request, in our words."""

    request: Request
    site: Site
    view: View
    now: float
    language: str
    secret: str
    """of the session, or of a visitor without one: what the form's token is made from"""
    signed_in: Person | None
    form: FormData = field(default_factory=FormData)

    @property
    def person(self) -> Person:
        """Whoever is signed in; only for pages whose access says that somebody is."""
        assert self.signed_in is not None
        return self.signed_in

    @property
    def translate(self) -> Translate:
        return translator(self.language)

    @property
    def group(self) -> str:
        """The path's class."""
        return str(self.request.path_params["group"])

    def text(self, name: str, limit: int = 500) -> str:
        """A form's field without the blanks around it; empty where it is missing, or a file. Raises Refused for one that is too long."""
        value = self.form.get(name, "")
        value = value.strip() if isinstance(value, str) else ""
        if len(value) > limit or "\0" in value:
            raise Refused(Message("This is too long: at most {limit} characters.", limit=limit), status=422, field=name)
        return value

    def texts(self, name: str) -> list[str]:
        """All values of a field that may stand several times (checkboxes)."""
        return [value for value in self.form.getlist(name) if isinstance(value, str)]

    def page(self, template: str, status: int = 200, **values: object) -> HTMLResponse:
        """The template with what every page needs."""
        return HTMLResponse(render(template, self.language, **self.common(), **values), status)

    def fragment(self, template: str, **values: object) -> str:
        """A part of a page, for live updating."""
        return render(template, self.language, **self.common(), **values)

    def common(self) -> dict[str, Any]:
        return {
            "csrf": form_token(self.secret),
            "once": secrets.token_urlsafe(12),
            "person": self.signed_in,
            "path": self.request.url.path,
            "query": self.request.url.query,
            "school": self.view.file.school,
            "province": self.view.province,
            "zone": self.view.file.school.timezone,
            "now": self.now,
            "flashes": self.site.flashes.pop(self.secret, ()) if self.secret else (),
            "nav": navigation(self.signed_in, self.request.url.path, self.translate),
            "alarm": self.site.health.level is Level.BAD,
        }

    def back(self, to: str, done: str = "", *, wrong: str = "") -> RedirectResponse:
        """See other (303): to a page of ours, which says what was done or what went wrong. ``to`` begins with one slash."""
        assert is_ours(to), to
        if done or wrong:
            self.site.flash(self.secret, "wrong" if wrong else "done", wrong or done)
        return RedirectResponse(to, 303)


def is_ours(to: str) -> bool:
    """Whether a redirect stays here: a path, which no browser reads as another host."""
    return to.startswith("/") and not to.startswith(("//", "/\\")) and not any(ord(character) < 33 for character in to)


def form_token(secret: str) -> str:
    """What a form must bring along: known only to whoever has read a page of this session."""
    return hmac.new(secret.encode(), b"form", sha256).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class _Entry:
    path: str
    title: str
    roles: frozenset[Role]
    more: tuple[str, ...] = ()
    """other pages that belong to it"""

    def leads_to(self, path: str) -> bool:
        return any(path == each or path.startswith(each + "/") for each in (self.path, *self.more))


def _(message: str) -> str:
    """Marks a message for the catalogue."""
    return message


_ALL = frozenset(Role)
_SCHOOL = frozenset((Role.ADMIN, Role.VIEWER))
_IT = frozenset((Role.ADMIN,))
NAVIGATION = (
    _Entry("/classes", _("Classes"), _ALL, ("/exam-sets",)),
    _Entry("/requests", _("Requests"), _ALL),
    _Entry("/statistics", _("Statistics"), _ALL),
    _Entry("/reports", _("Reports"), _SCHOOL),
    _Entry("/why", _("Why?"), _IT),
    _Entry("/rules", _("Rules"), _IT),
    _Entry("/groups", _("Groups and devices"), _IT, ("/devices",)),
    _Entry("/tiers", _("Tiers"), _IT, ("/modes",)),
    _Entry("/services", _("Services"), _IT),
    _Entry("/timetable", _("Timetable"), _IT),
    _Entry("/people", _("People"), _IT),
    _Entry("/school", _("School"), _IT),
    _Entry("/health", _("Health"), _SCHOOL),
    _Entry("/live", _("Live view"), _IT),
    _Entry("/audit", _("Audit log"), _SCHOOL),
    _Entry("/backup", _("Backup"), _IT),
)


def navigation(person: Person | None, path: str, translate: Translate) -> list[tuple[str, str, bool]]:
    """(path, title, whether it is the page now) for this person's role."""
    if person is None:
        return []
    return [(entry.path, translate(entry.title), entry.leads_to(path)) for entry in NAVIGATION if person.role in entry.roles]


def route(page: Page) -> Route:
    """The page as Starlette serves it, with everything around it."""

    async def endpoint(request: Request) -> Response:
        return await _answer(page, request)

    return Route(page.path, endpoint, methods=[page.method], name=f"{page.method} {page.path}")


async def no_page(request: Request, message: Message, status: int) -> Response:
    """What is said where no page of ours answers: no such address, or not by this method."""

    async def refuse(_: Visit) -> Response:
        raise Refused(message, status=status)

    return await _answer(Page("GET", "", refuse, Access.ANYBODY), request)


async def _answer(page: Page, request: Request) -> Response:
    site: Site = request.app.state.site
    visit = Visit(request, site, await site.school.now(), site.clock(), "vi", "", None)
    fresh = _visitor(request)
    try:
        await _identify(visit, fresh)
        if not await _is_set_up(site) and not page.path.startswith(("/setup", "/language", "/help", "/healthz")):
            return RedirectResponse("/setup", 303)
        refusal = _refusal(page, visit)
        if refusal is not None:
            return refusal
        response = await _carry_out(page, visit)
    except Refused as error:
        response = _sorry(visit, said(error, visit.translate), error.status)
    except StoreTrouble as error:
        response = _sorry(visit, said(error, visit.translate), 503)
    except HTTPException as error:  # the form's parser
        response = _sorry(visit, visit.translate("This form cannot be read; please try again."), error.status_code)
    except ClientDisconnect:
        response = Response(status_code=400)  # nobody reads it
    except Exception:
        log.exception("%s %s failed", page.method, page.path)
        response = _sorry(visit, visit.translate("Something went wrong here; nothing was changed. The log has the details."), 500)
    if visit.signed_in is None and fresh:
        set_cookie(response, request, VISITOR, fresh)
    return response


SESSION = "manglanh"
VISITOR = "manglanh-visitor"
LANGUAGE = "manglanh-language"


def cookie_name(request: Request, name: str) -> str:
    """Over HTTPS no other host or plain page can set it (RFC 6265bis, ``__Host-``)."""
    return f"__Host-{name}" if request.url.scheme == "https" else name


def set_cookie(response: Response, request: Request, name: str, value: str, max_age: int | None = None) -> None:
    secure = request.url.scheme == "https"
    response.set_cookie(cookie_name(request, name), value, max_age=max_age, path="/", secure=secure, httponly=True, samesite="lax")


def _visitor(request: Request) -> str:
    """A new secret for a visitor who has none; empty for one who has."""
    return "" if request.cookies.get(cookie_name(request, VISITOR)) else secrets.token_urlsafe(24)


async def _is_set_up(site: Site) -> bool:
    """Whether there is an administrator. Asked until it is so, then remembered."""
    if not site.is_set_up:
        async with site.store.read() as connection:
            site.is_set_up = await people.count_admins(connection) > 0
    return site.is_set_up


async def _identify(visit: Visit, fresh: str) -> None:
    """Session, secret and language of the visit."""
    request, site = visit.request, visit.site
    token = request.cookies.get(cookie_name(request, SESSION), "")
    visit.secret = request.cookies.get(cookie_name(request, VISITOR), "") or fresh
    visit.language = _language(request, visit.view.file.school.language)
    if not token:
        return
    async with site.store.read() as connection:
        person = await people.by_session(connection, token, visit.now)
    if person is None:
        return
    visit.signed_in, visit.secret, visit.language = person, token, person.language
    await _note_seen(site, person, visit.now)


async def _note_seen(site: Site, person: Person, now: float) -> None:
    """A session lives on with its use. That this cannot be saved now is no reason to show nothing."""
    if abs(now - site.seen.get(person.session, 0.0)) < people.SEEN_EVERY:  # a clock may be set back, too
        return
    site.seen[person.session] = now
    try:
        async with site.store.write() as connection:
            await people.note_seen(connection, person.session, now, now + IDLE[person.role], LONGEST[person.role])
    except StoreTrouble as error:
        log.warning("session not noted as seen: %s", error)


def _language(request: Request, school: str) -> str:
    """As this browser chose, else as it prefers, else the school's."""
    chosen = request.cookies.get(cookie_name(request, LANGUAGE), "")
    if chosen in LANGUAGES:
        return chosen
    preferred = [part.partition(";")[0].strip()[:2].lower() for part in request.headers.get("accept-language", "").split(",")]
    return next((language for language in preferred if language in LANGUAGES), school)


def _refusal(page: Page, visit: Visit) -> Response | None:
    """The rule of the page, applied: None where the person may."""
    group = visit.request.path_params.get("group")
    if may(page.access, visit.signed_in, group):
        return None
    if visit.signed_in is None:
        to = visit.request.url.path if page.method == "GET" else "/"
        return RedirectResponse("/sign-in" if to == "/" else f"/sign-in?to={to}", 303)
    return _sorry(visit, visit.translate("This page is not yours to open."), 403)


async def _carry_out(page: Page, visit: Visit) -> Response:
    if page.method == "GET":
        return await page.handler(visit)
    try:
        await _read_form(page, visit)
        return await _handle_once(page, visit)
    finally:
        await visit.form.close()


async def _handle_once(page: Page, visit: Visit) -> Response:
    once = str(visit.form.get("once", ""))
    if not once:
        return await page.handler(visit)
    # Within one page several forms share a token, and whoever goes back may choose otherwise: only the same content is the same form.
    content = sha256(repr([item for item in visit.form.multi_items() if isinstance(item[1], str)]).encode()).hexdigest()
    return await visit.site.once.answer(f"{visit.secret}:{visit.request.url.path}:{content}", lambda: page.handler(visit))


async def _read_form(page: Page, visit: Visit) -> None:
    """The form, if it was sent from a page of ours. Raises Refused."""
    request = visit.request
    if not _is_same_origin(request):
        raise Refused(Message("This form was sent from another site; nothing was changed."), status=403)
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or len(length) > 12 or int(length) > page.body:
        raise Refused(Message("This is too large: at most {limit} bytes.", limit=page.body), status=413)
    visit.form = await request.form(max_part_size=page.body, max_files=4, max_fields=5000)
    if any(not _is_text(each) for item in visit.form.multi_items() for each in item):
        raise Refused(Message("There are characters in this form that are no text; nothing was changed."), status=422)
    given = visit.form.get("csrf", "")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), form_token(visit.secret).encode()):
        raise Refused(Message("This page was open for too long; please go back, reload it and try again. Nothing was changed."), status=403)


def _is_text(value: object) -> bool:
    """Whether this can be written at all: no half of a character, which some charsets that a form may name can say."""
    return not isinstance(value, str) or not any("\ud800" <= character <= "\udfff" for character in value)


def _is_same_origin(request: Request) -> bool:
    """Fetch metadata where the browser sends it, else the Origin; a client that sends neither is no browser, and has no cookie to abuse."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    try:
        return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")
    except ValueError:
        return False


def _sorry(visit: Visit, why: str, status: int) -> Response:
    return visit.page("error.html", status, message=why, code=status)


class _Answer(NamedTuple):
    status: int
    to: str
    cookies: tuple[str, ...]
    """a browser takes only the second answer's, so a set-up that was tapped twice must hand out its session twice"""

    def response(self) -> RedirectResponse:
        response = RedirectResponse(self.to, self.status)
        for cookie in self.cookies:
            response.headers.append("set-cookie", cookie)
        return response


class Once:
    """A form that is sent twice (a double tap, a reload) is carried out once, and answered alike both times."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, asyncio.Future[_Answer | None]] = OrderedDict()

    async def answer(self, key: str, handle: Callable[[], Awaitable[Response]]) -> Response:
        while (known := self._answers.get(key)) is not None:
            answer = await asyncio.shield(known)
            if answer is not None:
                return answer.response()
            # The first came to nothing. A browser shows only the answer to the second, which must say why.
        future: asyncio.Future[_Answer | None] = asyncio.get_running_loop().create_future()
        self._answers[key] = future
        while len(self._answers) > REMEMBERED_FORMS:
            self._answers.popitem(last=False)
        try:
            response = await handle()
        except BaseException:
            self._forget(key, future)
            raise
        if isinstance(response, RedirectResponse):
            future.set_result(_Answer(response.status_code, response.headers["location"], tuple(response.headers.getlist("set-cookie"))))
        else:  # a form that comes back with its errors is to be sent again
            self._forget(key, future)
        return response

    def _forget(self, key: str, future: "asyncio.Future[_Answer | None]") -> None:
        if self._answers.get(key) is future:
            del self._answers[key]
        future.set_result(None)


def routes(pages: Sequence[Page]) -> list[Route]:
    return [route(page) for page in pages]

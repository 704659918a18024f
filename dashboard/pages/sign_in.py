"""Signing in and out, and the language of the pages."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match

from dashboard.access import Access
from dashboard.catalogue import LANGUAGES
from dashboard.refusal import Refused
from dashboard.signing_in import entry as sign_in
from dashboard.signing_in import open_id
from dashboard.store import accounts, audit, people
from dashboard.web import LANGUAGE, SESSION, VISITOR, Page, Visit, cookie_name, is_ours, set_cookie
from filters.message import said

LANGUAGE_LASTS = 365 * 86400


async def show(visit: Visit) -> Response:
    to = sign_in.ours(visit.request.query_params.get("to"))
    return visit.back(to) if visit.signed_in else _form(visit, to)


async def enter(visit: Visit) -> Response:
    to = sign_in.ours(visit.form.get("to"))
    if visit.signed_in:
        return visit.back(to)
    login = sign_in.typed(visit, "login")[:200]
    try:
        account, device = await sign_in.by_password(visit, login, sign_in.typed(visit, "password"))
    except Refused as error:
        return _held_up(error, _form(visit, to, login, said(error.message, visit.translate), error.status))
    if account.totp_secret is not None:
        return sign_in.ask_for_code(visit, account, device, to)
    return await sign_in.let_in(visit, account, "password", to)


def _form(visit: Visit, to: str, login: str = "", wrong: str = "", status: int = 200) -> Response:
    settings = visit.view.file.dashboard.sign_in
    school = open_id.title(settings) if settings else ""
    return visit.page("sign_in/sign_in.html", status, to=to, login=login, wrong=wrong, provider=school)


def _held_up(error: Refused, response: Response) -> Response:
    if isinstance(error, sign_in.TooMany):
        response.headers["Retry-After"] = str(error.wait)
    return response


async def show_code(visit: Visit) -> Response:
    if visit.site.pending.look("second-step", visit.secret, visit.now) is None:
        return visit.back("/sign-in")
    return visit.page("sign_in/code.html", wrong="")


async def enter_code(visit: Visit) -> Response:
    _ = visit.translate
    code = visit.text("code", 40)
    try:
        account, step, left = await sign_in.by_code(visit, code)
    except Refused as error:
        if error.status == 410:
            return visit.back("/sign-in", wrong=said(error.message, _))
        return _held_up(error, visit.page("sign_in/code.html", error.status, wrong=said(error.message, _)))
    if left is None:
        return await sign_in.let_in(visit, account, "password, code", step.to)
    done = _("You have used a recovery code; {count} are left. You can make new ones on this page.").format(count=left)
    return await sign_in.let_in(visit, account, "password, recovery code", "/account#second-step", done)


async def to_provider(visit: Visit) -> Response:
    """Changes nothing here: what was begun is remembered for as long as a person needs to sign in there."""
    to = sign_in.ours(visit.request.query_params.get("to"))
    if visit.signed_in:
        return visit.back(to)
    try:
        return RedirectResponse(await open_id.begin(visit, to), 303)
    except Refused as error:
        return visit.back("/sign-in", wrong=said(error.message, visit.translate))


async def from_provider(visit: Visit) -> Response:
    """A GET that signs in, as OpenID Connect has it: the state is the visitor's own and good once."""
    try:
        account, to = await open_id.finish(visit)
    except Refused as error:
        return visit.back("/sign-in", wrong=said(error.message, visit.translate))
    return await sign_in.let_in(visit, account, open_id.title(visit.view.file.dashboard.sign_in), to)


async def leave(visit: Visit) -> Response:
    person, request = visit.person, visit.request
    async with visit.site.store.write() as connection:
        await people.end_session(connection, person.session)
        await audit.add(connection, visit.now, person, [audit.Entry("signed-out", what=person.login)])
    visitor = request.cookies.get(cookie_name(request, VISITOR), "")
    if visitor:
        visit.site.flash(visitor, "done", visit.translate("You have signed out."))
    response = RedirectResponse("/sign-in", 303)
    set_cookie(response, request, SESSION, "", 0)
    return response


async def switch_language(visit: Visit) -> Response:
    language = visit.text("language", 2)
    to = visit.form.get("to")
    response = visit.back(_page(visit.request, to) if isinstance(to, str) and is_ours(to) else "/")
    if language not in LANGUAGES:
        return response
    if visit.signed_in:
        async with visit.site.store.write() as connection:
            await accounts.set_profile(connection, visit.person.id, visit.person.name, language)
    set_cookie(response, visit.request, LANGUAGE, language, LANGUAGE_LASTS)
    return response


def _page(request: Request, to: str) -> str:
    """``to`` itself where it can be read; of a form that came back with its errors, the page that the form is on."""
    path = to.partition("?")[0]
    while path != "/":
        scope = {"type": "http", "method": "GET", "path": path}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes):
            return to if path == to.partition("?")[0] else path
        path = path.rstrip("/").rpartition("/")[0] or "/"
    return "/"


PAGES: tuple[Page, ...] = (
    Page("GET", "/sign-in", show, Access.ANYBODY),
    Page("POST", "/sign-in", enter, Access.ANYBODY),
    Page("GET", "/sign-in/code", show_code, Access.ANYBODY),
    Page("POST", "/sign-in/code", enter_code, Access.ANYBODY),
    Page("GET", "/sign-in/school", to_provider, Access.ANYBODY),
    Page("GET", "/sign-in/school/back", from_provider, Access.ANYBODY),
    Page("POST", "/sign-out", leave, Access.SIGNED_IN),
    Page("POST", "/language", switch_language, Access.ANYBODY),
)

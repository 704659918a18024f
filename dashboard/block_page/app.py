"""The block page's application: any host, any path, no cookie, no script, no redirect, one request for a whole page.

Blocked names lead to this address, so whoever asks here means another site. A navigation gets the page; whatever else a foreign page
loads (pictures, scripts, calls) gets a bare 403. Everything that comes in is hostile until shown otherwise: the host is a canonical name or is
not shown, the path is only ever linked back to, forms carry a signed token (dashboard/block_page/forms.py). An address serves to find the group and to
count forms; it is neither stored nor logged.
"""

import asyncio
import logging
import secrets
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from markupsafe import Markup
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from dashboard.block_page import forms
from dashboard.block_page.words import Age, Words, age_of, words
from dashboard.catalogue import LANGUAGES, Translate, translator
from dashboard.lessons import requests
from dashboard.lessons.classes import name_of, title_of, trusted
from dashboard.lessons.switching import in_language
from dashboard.refusal import Refused
from dashboard.rendering import duration, render
from dashboard.reporting import reports
from dashboard.reporting.words import KINDS, kind_title
from dashboard.school import View
from dashboard.signing_in.throttle import Key, Limit, Throttle
from dashboard.site import Site
from dashboard.store import requests as request_store
from dashboard.store.engine import StoreTrouble
from filters.message import Message, said
from filters.name import InvalidName, is_within, normalise
from policies.decide import Allow, Block, Policy, Reason, decide

log = logging.getLogger("manglanh.block-page")

PLACE = "/.well-known/manglanh/"
ASK, REPORT = PLACE + "ask", PLACE + "report"
STYLE = files("dashboard").joinpath("static", "block.css").read_text("utf-8")
_STYLE_HASH = b64encode(sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer a browser would send "Origin: null" with the forms
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
FRAMED = {**HEADERS, "Content-Security-Policy": HEADERS["Content-Security-Policy"].replace("frame-ancestors 'none'", "frame-ancestors *")}
"""within another page only a sentence is shown, without anything to click but the telephone number"""

BY_ADDRESS, BY_GROUP, BY_ALL = Limit(5, 120.0), Limit(40, 15.0), Limit(200, 3.0)
"""forms of each kind: five at once and five in ten minutes from one address"""
NOTE, TARGET, CONTACT = 1000, 500, 200
"""characters of a report"""
LINKS = 6
_PATH_CHARACTERS = "/-._~!$&'()*+,;=:@"
"""RFC 3986 section 3.3"""

LEARNING: Mapping[Age, Sequence[tuple[str, str]]] = {
    Age.KINDERGARTEN: (("monkey.edu.vn", "Monkey"), ("kynaforkids.vn", "Kyna for Kids"), ("hanhtrangso.nxbgd.vn", "Hành trang số")),
    Age.PRIMARY: (
        ("olm.vn", "OLM"), ("hoc10.vn", "Hoc10"), ("vioedu.vn", "VioEdu"), ("trangnguyen.edu.vn", "Trạng Nguyên"),
        ("hanhtrangso.nxbgd.vn", "Hành trang số"), ("code.org", "Code.org"), ("vi.wikipedia.org", "Wikipedia"),
    ),
    Age.PUPIL: (
        ("igiaoduc.vn", "iGiáo dục"), ("hoc10.vn", "Hoc10"), ("olm.vn", "OLM"), ("hocmai.vn", "HOCMAI"), ("vi.wikipedia.org", "Wikipedia"),
        ("geogebra.org", "GeoGebra"), ("desmos.com", "Desmos"), ("code.org", "Code.org"), ("duolingo.com", "Duolingo"),
    ),
    Age.PLAIN: (("igiaoduc.vn", "iGiáo dục"), ("taphuan.nxbgd.vn", "Tập huấn NXBGD"), ("vi.wikipedia.org", "Wikipedia"), ("moet.gov.vn", "moet.gov.vn")),
}  # fmt: skip
"""of blocklists/starter/learning.txt, for whom they are; shown are those that are open"""


def _(message: str) -> str:
    """Marks a message for the catalogue."""
    return message


@dataclass(frozen=True, slots=True)
class Meeting:
    """Somebody who was led here: who (a group), where to (a name), and what is decided of it now."""

    view: View
    now: float
    address: str
    group: str
    policy: Policy
    host: str
    """the canonical name that was wanted; empty: none, or the box itself"""
    authority: str
    """the Host header, as far as the host is one: with its port"""
    scheme: str
    path: str
    language: str
    reason: Reason | None
    """why it is blocked; None: it is not"""

    @property
    def translate(self) -> Translate:
        return translator(self.language)

    @property
    def words(self) -> Words | None:
        if self.reason is None:
            return None
        return words(self.reason, self.policy, self.view.snapshot, self.view.province, self.translate, self.language)

    @property
    def link(self) -> str:
        """Back to where the page stands: our own address, whatever the path looks like."""
        path = "/" if self.path.startswith(PLACE) or not self.path.startswith("/") else self.path
        return f"{self.scheme}://{self.authority}{quote(path[:2000], safe=_PATH_CHARACTERS)}" if self.host else "/"


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a form: what is said, in the catalogue's words."""

    kind: str
    """``asked`` or ``reported``"""
    to_teacher: bool = False
    wait: float | None = None
    number: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """A form that comes back: what was typed, and what is wrong with it."""

    name: str = ""
    typed: Mapping[str, str] | None = None
    errors: Mapping[str, str] | None = None
    wrong: str = ""


def build_block_page(site: Site) -> Starlette:
    """The application that stands on ``block_page.listen`` and ``https_listen``."""
    app = Starlette()
    app.router.redirect_slashes = False
    app.router.default = _BlockPage(site)  # a route's path would not match every path: "/%0A"
    return app


class _BlockPage:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._secret = secrets.token_bytes(32)
        self._throttle = Throttle()
        self._outcomes: forms.Outcomes[Done] = forms.Outcomes()
        self._one_at_a_time = asyncio.Lock()

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ClientDisconnect:
            return
        except Exception:
            log.exception("the block page failed")  # the trace names no address and no host
            response = _last_resort()
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        wanted = _wanted(request)
        if not wanted or request.method not in ("GET", "HEAD", "POST"):
            return _bare()
        meeting = await self._meet(request)
        if meeting is None:
            return _bare()
        if wanted == "json":
            return _json(meeting)
        if wanted == "frame":
            return _framed(meeting)
        if request.method == "POST" and request.url.path in (ASK, REPORT):
            return await self._sent(request, meeting)
        return await self._page(meeting)

    async def _meet(self, request: Request) -> Meeting | None:
        """None: not of this school, which gets no answer from the resolver either."""
        view, now = await self._site.school.now(), self._site.clock()
        address = request.client.host.partition("%")[0] if request.client is not None else ""
        try:
            group = view.directory.group(address, self._mac(view, address))
        except ValueError:
            return None
        if group is None:
            return None
        policy = view.snapshot.policy(group, now, trusted(self._site.box.workers()))
        host, authority = _host(request.headers.get("host", ""))
        if is_within(host, view.file.dns.hostname):
            host = ""
        verdict = decide(host, 1, policy, view.index) if host else None
        return Meeting(
            view=view,
            now=now,
            address=address,
            group=group,
            policy=policy,
            host=host,
            authority=authority,
            scheme="https" if request.url.scheme == "https" else "http",
            path=request.url.path,
            language=_language(request, view.file.school.language),
            reason=verdict.reason if isinstance(verdict, Block) else None,
        )

    def _mac(self, view: View, address: str) -> str | None:
        if not view.directory.uses_macs:
            return None
        return next((neighbour.mac for neighbour in self._site.box.neighbours() if neighbour.address == address), None)

    async def _page(self, meeting: Meeting, form: Form | None = None, done: Done | None = None, status: int | None = None) -> Response:
        known = meeting.words
        values = {
            "words": known,
            "form": form or Form(),
            "done": done,
            "answer": "" if done else await self._answer_to(meeting),
            "token": forms.token(self._secret, meeting.address, meeting.host, meeting.now, secrets.token_urlsafe(18)),
            "asking": known is not None and not known.unasked,
            "kinds": [(kind, kind_title(kind, meeting.translate)) for kind in KINDS],
            "wait": "" if done is None or done.wait is None else duration(max(60.0, done.wait), meeting.translate),
        }
        if status is None:
            status = 403 if known else 503 if meeting.host else 200
        headers = HEADERS | ({"Retry-After": "30"} if status == 503 else {})
        return HTMLResponse(_render("block_page/page.html", meeting, **values), status, headers)

    async def _answer_to(self, meeting: Meeting) -> str:
        """What came of this class's question for this site, if one was answered in the last day. The page stands without the store."""
        if not meeting.host or (meeting.words and meeting.words.is_gentle):
            return ""
        try:
            async with self._site.store.read() as connection:
                since = meeting.now - requests.SHOWN_FOR
                found = await request_store.last_answer(connection, meeting.group, requests.site_of(meeting.host), since)
        except StoreTrouble:
            return ""
        return "" if found is None else _answered(found, meeting)

    async def _sent(self, request: Request, meeting: Meeting) -> Response:
        """A form: carried out once, or shown again with what is wrong."""
        _ = meeting.translate
        name = "ask" if request.url.path == ASK else "report"
        if not _is_same_origin(request):
            return await self._page(meeting, Form(name, wrong=_("This form was sent from another site; nothing was changed.")), status=403)
        body = await _body(request)
        typed = None if body is None else forms.fields(body)
        if typed is None:
            return await self._page(meeting, Form(name, wrong=_("This form cannot be read; please try again.")), status=413)
        typed = {key: forms.clean(value) for key, value in typed.items()}
        random = forms.checked(self._secret, typed.get("token", ""), meeting.address, meeting.host, meeting.now)
        if random is None:
            return await self._page(
                meeting, Form(name, typed, wrong=_("This page was open for a while; please send it once more.")), status=403
            )
        try:
            async with self._one_at_a_time:
                done = self._outcomes.known(random)
                if done is None:
                    done = await (self._ask if name == "ask" else self._report)(meeting, typed)
                    self._outcomes.remember(random, done)
        except Refused as error:
            wrong = said(error.message, _)
            field = "contact" if error.field == "signed" else error.field
            errors = {field: wrong} if field in ("note", "name", "target", "contact", "kind") else {}
            return await self._page(meeting, Form(name, typed, errors, "" if errors else wrong), status=error.status)
        except StoreTrouble as error:
            return await self._page(meeting, Form(name, typed, wrong=said(error, _)), status=503)
        return await self._page(meeting, done=done, status=200)

    async def _ask(self, meeting: Meeting, typed: Mapping[str, str]) -> Done:
        note = _within(typed, "note", requests.NOTE)
        signed = _within(typed, "name", requests.SIGNED)
        known = meeting.words
        if meeting.reason is None or known is None:
            raise Refused(Message("This site is open now: please reload it."))
        if known.unasked:
            raise Refused(Message("This cannot be asked for here. {why}", why=known.unasked), status=403)
        self._count("ask", meeting)
        site, reason = requests.site_of(meeting.host), meeting.reason
        async with self._site.store.write() as connection:
            taken = await request_store.ask(connection, meeting.now, meeting.group, site, note, signed, reason.category, reason.rung.value)
            if taken is None:
                raise Refused(Message("Very many questions of your class are waiting already. Please talk to your teacher."), status=429)
            to_teacher = await request_store.has_teacher(connection, meeting.group, meeting.now)
            wait = await requests.usual_wait(connection)
        return Done("asked", to_teacher=to_teacher, wait=wait)

    async def _report(self, meeting: Meeting, typed: Mapping[str, str]) -> Done:
        note, contact = _within(typed, "note", NOTE), _within(typed, "contact", CONTACT)
        target = " ".join(_within(typed, "target", TARGET).split()) or meeting.host
        kind = typed.get("kind", "")
        if kind not in KINDS:
            raise Refused(Message("Please choose what it is."), status=422, field="kind")
        if not target:
            raise Refused(Message("Please write which page it is."), status=422, field="target")
        self._count("report", meeting)
        number = await reports.take(self._site, kind, target, note, contact, meeting.group, meeting.now)
        return Done("reported", number=str(number))

    def _count(self, kind: str, meeting: Meeting) -> None:
        limits: list[tuple[Key, Limit]] = [
            ((kind, "address", meeting.address), BY_ADDRESS), ((kind, "group", meeting.group), BY_GROUP), ((kind,), BY_ALL),
        ]  # fmt: skip
        if self._throttle.attempt(limits, meeting.now):
            raise Refused(
                Message("That was a lot in a short time. Please wait a few minutes, or talk to your teacher. In need, call 111."),
                status=429,
            )


def _render(template: str, meeting: Meeting, **values: Any) -> str:
    file, province = meeting.view.file, meeting.view.province
    known = meeting.words
    return render(
        template,
        meeting.language,
        style=Markup(STYLE),  # noqa: S704 - this package's own
        school=file.school,
        notice=in_language(file.school.notice, meeting.language) if file.school.notice else "",
        hotlines=province.hotlines if province is not None else (),
        authorities=province.authorities if province is not None else (),
        age=age_of(file, meeting.policy.tier),
        class_title=title_of(meeting.view.snapshot.groups[meeting.group]),
        sites=() if known is not None and known.is_gentle else _open_sites(meeting),
        in_exam=meeting.policy.only == "sites",
        host=meeting.host,
        link=meeting.link,
        now=meeting.now,
        zone=file.school.timezone,
        **values,
    )


def _open_sites(meeting: Meeting) -> list[tuple[str, str]]:
    """Where to go instead: the exam's own sites, else what is for learning at this age; only what is open."""
    policy = meeting.policy
    if policy.only == "sites":
        candidates: Sequence[tuple[str, str]] = [(name, name) for name in sorted(policy.sites)]
    else:
        candidates = LEARNING[age_of(meeting.view.file, policy.tier)]
    return [site for site in candidates if _is_open(site[0], meeting)][:LINKS]


def _is_open(name: str, meeting: Meeting) -> bool:
    return name != meeting.host and isinstance(decide(name, 1, meeting.policy, meeting.view.index), Allow)


def _answered(found: request_store.Request, meeting: Meeting) -> str:
    """The answer in words that a pupil reads."""
    _ = meeting.translate
    who = name_of(found.answered_by)
    if found.state == request_store.OPEN:
        return _("Your class has asked for this site. There is no answer yet.")
    if found.state == request_store.GRANTED:
        unblock = meeting.policy.unblocks.get(found.name)
        if meeting.reason is not None:
            return _("{who} had opened this site; that has ended.").format(who=who)
        if unblock is None:
            return _("{who} has opened this site.").format(who=who)
        until = meeting.view.snapshot.timetables.calendar.local(unblock.until)
        return _("{who} has opened this site until {time}.").format(who=who, time=f"{until:%H:%M}")
    if found.answer:
        return _("{who} has answered: not now. “{answer}”").format(who=who, answer=found.answer)
    return _("{who} has answered: not now.").format(who=who)


def _wanted(request: Request) -> str:
    """``page``, ``frame``, ``json``, or nothing: a picture, a script, a call. Over plain HTTP only Accept tells."""
    accept = request.headers.get("accept", "").lower()
    destination = request.headers.get("sec-fetch-dest", "").lower()
    if "text/html" in accept:
        return "page" if destination in ("", "document") else "frame" if destination in ("iframe", "frame", "object", "embed") else ""
    return "json" if "application/json" in accept and destination in ("", "empty", "document") else ""


def _host(header: str) -> tuple[str, str]:
    """The canonical name in a Host header, and that with its port; nothing for an address or what is no name."""
    if len(header) > 300:
        return "", ""
    name, colon, port = header.partition(":")
    if colon and not (port.isascii() and port.isdecimal() and len(port) <= 5):
        return "", ""
    try:
        host = normalise(name)
    except InvalidName:
        return "", ""
    return host, f"{host}:{port}" if colon else host


def _language(request: Request, school: str) -> str:
    """As the link says, else the school's: a pupil's telephone may speak English, which its owner does not read."""
    chosen = request.query_params.get("lang", "")
    return chosen if chosen in LANGUAGES else school


def _is_same_origin(request: Request) -> bool:
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None and site != "same-origin":
        return False
    return origin is None or origin == f"{request.url.scheme}://{request.headers.get('host', '')}"


async def _body(request: Request) -> bytes | None:
    """None: no form, or too long for one."""
    length = request.headers.get("content-length", "")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != forms.FORM or not (length.isascii() and length.isdecimal() and len(length) < 8) or int(length) > forms.BODY:
        return None
    return await request.body()


def _within(typed: Mapping[str, str], field: str, limit: int) -> str:
    text = typed.get(field, "")
    if len(text) > limit:
        raise Refused(Message("This is too long: at most {limit} characters.", limit=limit), status=422, field=field)
    return text


def _bare() -> Response:
    return Response(status_code=403, headers=HEADERS)


def _framed(meeting: Meeting) -> Response:
    return HTMLResponse(_render("block_page/frame.html", meeting, words=meeting.words), 403, FRAMED)


def _json(meeting: Meeting) -> Response:
    known = meeting.words
    if known is None or meeting.reason is None:
        title = meeting.translate(_("This site is open now"))
        return JSONResponse({"name": meeting.host, "blocked": False, "title": title, "help": _help(meeting)}, 503, HEADERS)
    content = {
        "name": meeting.host,
        "blocked": True,
        "rung": meeting.reason.rung.value,
        "cause": known.cause.value,
        "category": "" if known.is_gentle else meeting.reason.category,
        "title": known.title,
        "text": known.lead,
        "until": known.until,
        "help": _help(meeting),
    }
    return JSONResponse(content, 403, HEADERS)


def _help(meeting: Meeting) -> list[dict[str, str]]:
    hotlines = meeting.view.province.hotlines if meeting.view.province is not None else ()
    child_protection = {"name": meeting.translate(_("National hotline for the protection of children")), "number": "111"}
    return [child_protection, *({"name": hotline.name, "number": hotline.number} for hotline in hotlines)]


def _last_resort() -> Response:
    """What is shown when everything else fails: the number that must never be missing."""
    text = "Trang này chưa mở được ở đây. Cần giúp đỡ: gọi 111 (miễn phí, 24/7). / This page cannot be shown. Need help? Call 111."
    page = f'<!doctype html><html lang="vi"><meta charset="utf-8"><title>111</title><p>{text}</p><p><a href="tel:111">111</a></p></html>'
    return HTMLResponse(page, 503, HEADERS)

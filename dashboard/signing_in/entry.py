"""Who somebody is: a password, perhaps a code, then a session. Shared by the pages that sign in (pages/sign_in.py, setup.py, invitations).

Promises: a wrong password, a login that there is not and an account that is closed are answered alike and as late; every session has a token of its own,
made after the last check; a visitor who has shown a password and owes a code has a new secret, so nobody who gave it its old one can go on from there;
each outcome is in the audit log, without what was typed.

A browser in which a person has signed in is remembered by a cookie (OWASP, "device cookies") that names no one: random, and signed with a key that comes from
that person's kept password, so a new password makes all of them strangers. It opens nothing; it only is not held up by what strangers do.
"""

import hmac
import re
import secrets
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dashboard.access import Person
from dashboard.refusal import Refused
from dashboard.signing_in import passwords, totp
from dashboard.signing_in.throttle import Key, Limit, code_limits, password_limits
from dashboard.site import Site
from dashboard.store import accounts, audit, people
from dashboard.store.accounts import Account
from dashboard.web import IDLE, LONGEST, SESSION, VISITOR, Visit, cookie_name, is_ours, set_cookie
from filters.message import Message

DEVICE = "manglanh-device"
DEVICE_LASTS = 180 * 86400
DEVICES_KEPT = 8
"""people who have signed in on one device: a computer in the staff room"""
SECOND_STEP_LASTS = 300.0
LOGIN_LONGEST = 64
WRONG = Message("This login and this password do not belong together.")
WRONG_CODE = Message("This code is not right, or it was used already. Please wait for the next one.")


class TooMany(Refused):
    """Tried too often; ``wait`` is in seconds."""

    def __init__(self, wait: int) -> None:
        if wait <= 90:
            words = Message("That was tried too often. Please wait {count} seconds and try again.", count=wait)
        else:
            words = Message("That was tried too often. Please wait {count} minutes and try again.", count=-(-wait // 60))
        super().__init__(words, status=429)
        self.wait = wait


@dataclass(frozen=True, slots=True)
class SecondStep:
    """A password was right; a code is owed. ``password``: as it was kept then, so that a new one makes this void."""

    account: int
    password: str | None
    device: str
    to: str


def address(request: Request) -> str:
    return request.client.host if request.client else ""


def ours(to: object) -> str:
    """Where a sign-in leads: a page of ours that is not one of signing in, else the start page."""
    if isinstance(to, str) and len(to) <= 500 and is_ours(to) and not to.startswith(("/sign-", "/language", "/setup")):
        return to
    return "/"


def typed(visit: Visit, name: str) -> str:
    """A form's password as it was typed, blanks included."""
    value = visit.form.get(name, "")
    return value if isinstance(value, str) else ""


async def by_password(visit: Visit, login: str, password: str) -> tuple[Account, str]:
    """Whose password this is, and the device if it is known. Raises TooMany; Refused(WRONG)."""
    site, now, login = visit.site, visit.now, accounts.login_form(login)
    account = await _find(site, login)
    device = known_device(visit.request, account, now)
    limits = password_limits(login[:LOGIN_LONGEST], address(visit.request), device)
    await attempt(site, limits, now)
    right = await passwords.verify(account.password if account else None, password)
    if account is None or not right or not account.active:
        why = "login" if account is None else "password" if not right else "closed"
        await note_failure(visit, account, why)
        raise Refused(WRONG, status=422)
    site.throttle.give_back(limits, now)
    return await _kept_anew(site, account, password), device


async def prove_again(visit: Visit, password: str, field: str = "password") -> Account:
    """The account of whoever is signed in, if it is their password: before the account itself is changed. Raises TooMany, Refused."""
    site, now, person = visit.site, visit.now, visit.person
    async with site.store.read() as connection:
        account = await accounts.by_id(connection, person.id)
    # By session: whoever found it open may not guess for long, and holds nobody up who signs in elsewhere.
    limits = password_limits(person.login, "", f"session {person.session}")
    await attempt(site, limits, now)
    if account is None or not await passwords.verify(account.password, password):
        await note_failure(visit, account, "password")
        raise Refused(Message("This is not your password."), status=422, field=field)
    site.throttle.give_back(limits, now)
    return account


async def attempt(site: Site, limits: tuple[tuple[Key, Limit], ...], now: float) -> None:
    """Raises TooMany."""
    wait = site.throttle.attempt(limits, now)
    if wait:
        raise TooMany(wait)


async def _find(site: Site, login: str) -> Account | None:
    if not login or len(login) > LOGIN_LONGEST or not login.isprintable():
        login = ""  # looked up all the same: it takes as long
    async with site.store.read() as connection:
        return await accounts.by_login(connection, login)


async def _kept_anew(site: Site, account: Account, password: str) -> Account:
    """After an update asked for other parameters."""
    if account.password is None or not passwords.needs_rehash(account.password):
        return account
    kept = await passwords.hash_password(password)
    async with site.store.write() as connection:
        await accounts.keep_anew(connection, account.id, account.password, kept)
        return await accounts.by_id(connection, account.id) or account


async def note_failure(visit: Visit, account: Account | None, why: str) -> None:
    """In the audit log. A login that there is not might be a password in the wrong field, so it is not there."""
    detail = {"why": why, "address": address(visit.request), "device": device_words(visit.request)}
    entry = audit.Entry("sign-in.failed", what=account.login if account else "", detail=detail)
    async with visit.site.store.write() as connection:
        await audit.add(connection, visit.now, None, [entry])


def ask_for_code(visit: Visit, account: Account, device: str, to: str) -> Response:
    """On to the second step, with a new secret for the visitor."""
    secret = secrets.token_urlsafe(24)
    step = SecondStep(account.id, account.password, device, to)
    visit.site.pending.keep("second-step", secret, step, visit.now + SECOND_STEP_LASTS)
    response = RedirectResponse("/sign-in/code", 303)
    set_cookie(response, visit.request, VISITOR, secret)
    return response


async def by_code(visit: Visit, code: str) -> tuple[Account, SecondStep, int | None]:
    """The account whose second step this is; and, if it was a recovery code, how many are left. Raises TooMany; Refused (410: begin again)."""
    site, now = visit.site, visit.now
    step = site.pending.look("second-step", visit.secret, now)
    over = Refused(Message("That took too long. Please sign in again."), status=410)
    if step is None:
        raise over
    async with site.store.read() as connection:
        account = await accounts.by_id(connection, step.account)
    if account is None or not account.active or account.password != step.password or account.totp_secret is None:
        raise over
    limits = code_limits(account.login, step.device)
    await attempt(site, limits, now)
    left = None
    async with site.store.write() as connection:
        right = await use_code(connection, account, code, now)
        if right and totp.is_recovery_code(code):
            left = await accounts.count_recovery_codes(connection, account.id)
    if not right:
        await note_failure(visit, account, "code")
        raise Refused(WRONG_CODE, status=422, field="code")
    if site.pending.take("second-step", visit.secret, now) is None:
        raise over
    site.throttle.give_back(limits, now)
    return account, step, left


async def use_code(connection: AsyncConnection, account: Account, code: str, now: float) -> bool:
    """Use up a code of the app or of the recovery list."""
    if totp.is_recovery_code(code):
        return await accounts.use_recovery_code(connection, account.id, totp.digest(code))
    step = totp.matching_step(account.totp_secret or "", code, now, account.totp_step)
    return step is not None and await accounts.use_step(connection, account.id, step)


async def let_in(visit: Visit, account: Account, by: str, to: str, done: str = "") -> Response:
    """Begin a session, and lead to ``to``, which says ``done``. ``by``: how it was proved, for the audit log."""
    now, request = visit.now, visit.request
    token = secrets.token_urlsafe(32)
    device, place = device_words(request), address(request)
    expires_at = now + min(IDLE[account.role], LONGEST[account.role])
    entry = audit.Entry("signed-in", what=account.login, detail={"by": by, "address": place, "device": device})
    async with visit.site.store.write() as connection:
        await accounts.forget_sessions(connection, now)
        await people.begin_session(connection, account.id, token, now, expires_at, device, place)
        await audit.add(connection, now, as_person(account), [entry])
    response = visit.back(to)
    set_cookie(response, request, SESSION, token)
    remember_device(response, request, account, now)
    if done:
        visit.site.flash(token, "done", done)
    return response


def as_person(account: Account) -> Person:
    """For the audit log."""
    return Person(account.id, account.login, account.name, account.role, account.language, frozenset())


def known_device(request: Request, account: Account | None, now: float) -> str:
    """The device's random name, where this account has signed in from it; else empty."""
    return next((entry.split(".")[1] for entry in _entries(request) if _fits(entry, account, now)), "")


def remember_device(response: Response, request: Request, account: Account, now: float) -> None:
    if account.password is None:
        return  # the provider's sign-in counts for itself
    nonce = known_device(request, account, now) or secrets.token_urlsafe(16)
    issued = str(int(now))
    others = [entry for entry in _entries(request) if not _fits(entry, account, now)]
    kept = [f"{issued}.{nonce}.{_signature(account.password, account.id, issued, nonce)}", *others][:DEVICES_KEPT]
    set_cookie(response, request, DEVICE, "~".join(kept), DEVICE_LASTS)


def _entries(request: Request) -> list[str]:
    entries = request.cookies.get(cookie_name(request, DEVICE), "")[:2000].split("~")
    return [entry for entry in entries if re.fullmatch(r"[0-9]{1,12}\.[\w-]{1,40}\.[0-9a-f]{32}", entry, re.ASCII)][:DEVICES_KEPT]


def _fits(entry: str, account: Account | None, now: float) -> bool:
    issued, nonce, signature = entry.split(".")
    if account is None or account.password is None:
        return False
    right = hmac.compare_digest(signature, _signature(account.password, account.id, issued, nonce))
    return right and now < int(issued) + DEVICE_LASTS


def _signature(password: str, person_id: int, issued: str, nonce: str) -> str:
    return hmac.new(password.encode(), f"device {person_id} {issued} {nonce}".encode(), sha256).hexdigest()[:32]


_BROWSERS = (
    ("Edg", "Edge"), ("OPR/", "Opera"), ("coc_coc", "Cốc Cốc"), ("SamsungBrowser", "Samsung Internet"), ("Firefox", "Firefox"), ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"), ("Chrome", "Chrome"), ("Safari", "Safari"),
)  # fmt: skip
_SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("CrOS", "ChromeOS"), ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)  # fmt: skip


def device_words(request: Request) -> str:
    """``Chrome, Android``: what the browser says it is, in short."""
    agent = request.headers.get("user-agent", "")
    found = [next((name for mark, name in known if mark in agent), "") for known in (_BROWSERS, _SYSTEMS)]
    return ", ".join(name for name in found if name) or re.sub(r"[^\w./ -]", "", agent)[:40]

"""One's own account: name, language, password, second step, sessions, tokens for programs. The password is asked for again before it or the second step
changes; a token may no more than the session in which it is made, and the audit log names it.
"""

import secrets
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from dashboard.access import Access, Role, Scope
from dashboard.catalogue import LANGUAGES
from dashboard.refusal import Refused
from dashboard.signing_in import entry as sign_in
from dashboard.signing_in import passwords, totp
from dashboard.store import accounts, audit
from dashboard.tables.one_line import one_line
from dashboard.web import Page, Visit
from filters.message import Message, said

NAME_LONGEST = 200
ENROLMENT_LASTS = 900.0
TOKEN_DAYS = (30, 90, 365)
TOKENS = 20
"""for each person"""
DAY = 86400.0


def _(message: str) -> str:
    """Marks a message for the catalogue."""
    return message


SCOPE_TITLES: Mapping[Scope, str] = {
    Scope.CLASSES_READ: _("See classes and their modes"),
    Scope.CLASSES_WRITE: _("Switch classes"),
    Scope.REQUESTS_READ: _("See pupils' requests"),
    Scope.REQUESTS_WRITE: _("Answer pupils' requests"),
    Scope.REPORTS_READ: _("See reports of harmful content"),
    Scope.REPORTS_WRITE: _("Work on reports of harmful content"),
    Scope.RULES_READ: _("See rules"),
    Scope.RULES_WRITE: _("Change rules"),
    Scope.SCHOOL_READ: _("See groups, tiers, devices and the timetable"),
    Scope.SCHOOL_WRITE: _("Change groups, tiers, devices and the timetable"),
    Scope.PEOPLE_READ: _("See people"),
    Scope.PEOPLE_WRITE: _("Change people"),
    Scope.STATISTICS_READ: _("See statistics"),
    Scope.HEALTH_READ: _("See the box's health"),
    Scope.AUDIT_READ: _("See the audit log"),
    Scope.BACKUP: _("Make and restore backups"),
}
OF_TEACHERS = (Scope.CLASSES_READ, Scope.CLASSES_WRITE, Scope.REQUESTS_READ, Scope.REQUESTS_WRITE, Scope.STATISTICS_READ)
OF_VIEWERS = (Scope.CLASSES_READ, Scope.REQUESTS_READ, Scope.REPORTS_READ, Scope.STATISTICS_READ, Scope.HEALTH_READ, Scope.AUDIT_READ)
SCOPES: Mapping[Role, tuple[Scope, ...]] = {Role.ADMIN: tuple(Scope), Role.TEACHER: OF_TEACHERS, Role.VIEWER: OF_VIEWERS}
"""what a program of somebody of this role can be good for at all"""


async def show(visit: Visit) -> Response:
    return await _page(visit)


async def _page(
    visit: Visit, error: Refused | None = None, values: Mapping[str, object] | None = None, token: str = "", codes: tuple[str, ...] = ()
) -> Response:
    """``error`` stands beside its field, ``values`` in the form that came back; ``token`` and ``codes`` are shown this once."""
    person = visit.person
    async with visit.site.store.read() as connection:
        account = await accounts.by_id(connection, person.id)
        sessions = await accounts.sessions_of(connection, person.id, visit.now)
        tokens = await accounts.tokens_of(connection, person.id)
        left = await accounts.count_recovery_codes(connection, person.id)
    assert account is not None
    wrong = said(error.message, visit.translate) if error else ""
    response = visit.page(
        "account/account.html",
        error.status if error else 200,
        account=account,
        sessions=sessions,
        tokens=tokens,
        codes_left=left,
        scopes=[(scope.value, visit.translate(SCOPE_TITLES[scope])) for scope in SCOPES[person.role]],
        scope_titles={scope.value: visit.translate(title) for scope, title in SCOPE_TITLES.items()},
        token_days=TOKEN_DAYS,
        shortest=passwords.SHORTEST,
        wrong=wrong,
        errors=defaultdict(str, {error.field: wrong} if error else {}),
        values={"name": account.name, "language": account.language, "token_name": "", "scopes": [], "days": 90, **(values or {})},
        token=token,
        codes=codes,
    )
    if isinstance(error, sign_in.TooMany):
        response.headers["Retry-After"] = str(error.wait)
    return response


def _check(good: bool, why: Message | None, field: str) -> None:
    """Raises Refused for a form's field that is not good."""
    if not good and why:
        raise Refused(why, status=422, field=field)


async def change_profile(visit: Visit) -> Response:
    name, language = sign_in.typed(visit, "name")[:1000], visit.text("language", 2)
    try:
        name = one_line(name, "name", NAME_LONGEST)
        _check(language in LANGUAGES, Message("This must not be empty."), "language")
    except Refused as error:
        return await _page(visit, error, {"name": name, "language": language})
    old = visit.person
    if (name, language) != (old.name, old.language):
        changed = {"name": name} if name != old.name else {}
        detail = changed | ({"language": language} if language != old.language else {})
        async with visit.site.store.write() as connection:
            await accounts.set_profile(connection, old.id, name, language)
            await audit.add(connection, visit.now, old, [audit.Entry("person.changed", what=old.login, detail=detail)])
    return visit.back("/account", visit.translate("Saved."))


async def change_password(visit: Visit) -> Response:
    person, new = visit.person, sign_in.typed(visit, "new")
    try:
        why = passwords.wrong(new, person.login, visit.view.file.school.name)
        _check(why is None, why, "new")
        same = passwords.normalised(new) == passwords.normalised(sign_in.typed(visit, "again"))
        _check(same, Message("The two passwords are not the same."), "again")
        account = await sign_in.prove_again(visit, sign_in.typed(visit, "old"), "old")
    except Refused as error:
        return await _page(visit, _at(error, "old"))
    kept = await passwords.hash_password(new)
    async with visit.site.store.write() as connection:
        await accounts.set_password(connection, account.id, kept, visit.now)
        ended = await accounts.end_other_sessions(connection, account.id, person.session)
        entry = audit.Entry("password.changed", what=account.login, detail={"sessions_ended": ended})
        await audit.add(connection, visit.now, person, [entry])
        renewed = await accounts.by_id(connection, account.id)
    response = visit.back("/account", visit.translate("Your password is changed. All your other sessions have ended."))
    if renewed is not None:
        sign_in.remember_device(response, visit.request, renewed, visit.now)
    return response


def _at(error: Refused, field: str) -> Refused:
    """An error without a field of its own (too many attempts) beside the password that was asked for."""
    error.field = error.field or field
    return error


async def begin_second_step(visit: Visit) -> Response:
    """The secret is made and kept aside; it counts once a code has shown that the app has it."""
    try:
        await sign_in.prove_again(visit, sign_in.typed(visit, "password"), "totp_password")
    except Refused as error:
        return await _page(visit, _at(error, "totp_password"))
    visit.site.pending.keep("enrolment", visit.secret, totp.new_secret(), visit.now + ENROLMENT_LASTS)
    return visit.back("/account/second-step")


async def show_second_step(visit: Visit) -> Response:
    secret = visit.site.pending.look("enrolment", visit.secret, visit.now)
    return visit.back("/account#second-step") if secret is None else _enrolment(visit, secret)


def _enrolment(visit: Visit, secret: str, wrong: str = "", status: int = 200) -> Response:
    uri = totp.address(secret, visit.person.login)
    return visit.page("account/second_step.html", status, picture=totp.picture(uri), uri=uri, secret=totp.grouped(secret), wrong=wrong)


async def confirm_second_step(visit: Visit) -> Response:
    translate, person = visit.translate, visit.person
    secret = visit.site.pending.look("enrolment", visit.secret, visit.now)
    if secret is None:
        return visit.back("/account#second-step", wrong=translate("That took too long. Please begin again."))
    step = totp.matching_step(secret, visit.text("code", 40), visit.now)
    if step is None:
        return _enrolment(
            visit,
            secret,
            translate("This code does not fit. Is the clock of your phone right? Please type the code that it shows now."),
            422,
        )
    codes = totp.recovery_codes()
    async with visit.site.store.write() as connection:
        await accounts.set_totp(connection, person.id, secret, step, [totp.digest(code) for code in codes])
        await audit.add(connection, visit.now, person, [audit.Entry("totp.on", what=person.login)])
    visit.site.pending.take("enrolment", visit.secret, visit.now)
    return await _page(visit, codes=tuple(codes))


async def end_second_step(visit: Visit) -> Response:
    person = visit.person
    try:
        await sign_in.prove_again(visit, sign_in.typed(visit, "password"), "totp_password")
    except Refused as error:
        return await _page(visit, _at(error, "totp_password"))
    async with visit.site.store.write() as connection:
        await accounts.end_totp(connection, person.id)
        await audit.add(connection, visit.now, person, [audit.Entry("totp.off", what=person.login)])
    return visit.back("/account#second-step", visit.translate("The second step is off. Only your password protects your account now."))


async def renew_codes(visit: Visit) -> Response:
    person = visit.person
    try:
        account = await sign_in.prove_again(visit, sign_in.typed(visit, "password"), "codes_password")
        _check(account.totp_secret is not None, Message("The second step is off."), "totp_password")
    except Refused as error:
        return await _page(visit, _at(error, "codes_password"))
    codes = totp.recovery_codes()
    async with visit.site.store.write() as connection:
        await accounts.set_recovery_codes(connection, person.id, [totp.digest(code) for code in codes])
        await audit.add(connection, visit.now, person, [audit.Entry("totp.on", what=person.login, detail={"recovery_codes": "renewed"})])
    return await _page(visit, codes=tuple(codes))


async def end_session(visit: Visit) -> Response:
    person = visit.person
    async with visit.site.store.write() as connection:
        device = await accounts.end_session(connection, person.id, _number(visit, "session"))
        if device is not None:
            await audit.add(connection, visit.now, person, [audit.Entry("session.ended", what=person.login, detail={"device": device})])
    if device is None:
        raise Refused(Message("This session is not there, or no longer."), status=404)
    return visit.back("/account#sessions", visit.translate("The session has ended."))


async def end_other_sessions(visit: Visit) -> Response:
    person = visit.person
    async with visit.site.store.write() as connection:
        ended = await accounts.end_other_sessions(connection, person.id, person.session)
        await audit.add(connection, visit.now, person, [audit.Entry("session.ended", what=person.login, detail={"sessions_ended": ended})])
    return visit.back("/account#sessions", visit.translate("All your other sessions have ended."))


async def make_token(visit: Visit) -> Response:
    person = visit.person
    name, chosen, days = sign_in.typed(visit, "token_name")[:1000], visit.texts("scopes"), visit.text("days", 4)
    secret = f"ml_{secrets.token_urlsafe(32)}"
    try:
        name = one_line(name, "token_name", 100)
        scopes = [scope for scope in SCOPES[person.role] if scope.value in chosen]
        something = bool(scopes) and len(scopes) == len(set(chosen))
        _check(something, Message("Please choose at least one thing that the program may do."), "scopes")
        _check(days in map(str, TOKEN_DAYS), Message("Please choose how long it lasts."), "days")
        expires_at = visit.now + int(days) * DAY
        async with visit.site.store.write() as connection:
            few = len(await accounts.tokens_of(connection, person.id)) < TOKENS
            _check(few, Message("You have {count} tokens already; please end one first.", count=TOKENS), "token_name")
            await accounts.add_token(connection, person.id, secret, name, scopes, visit.now, expires_at)
            detail: dict[str, Any] = {"scopes": [scope.value for scope in scopes], "expires_at": expires_at}
            await audit.add(connection, visit.now, person, [audit.Entry("token.made", what=name, detail=detail)])
    except Refused as error:
        return await _page(visit, error, {"token_name": name, "scopes": chosen, "days": days})
    return await _page(visit, token=secret)


async def end_token(visit: Visit) -> Response:
    person = visit.person
    async with visit.site.store.write() as connection:
        name = await accounts.end_token(connection, person.id, _number(visit, "token"))
        if name is not None:
            await audit.add(connection, visit.now, person, [audit.Entry("token.ended", what=name)])
    if name is None:
        raise Refused(Message("This token is not there, or no longer."), status=404)
    return visit.back("/account#tokens", visit.translate("The token has ended; no program can use it any more."))


def _number(visit: Visit, name: str) -> int:
    """An id of the path, small enough for any store."""
    number = int(visit.request.path_params[name])
    return number if number < 2**31 else 0


PAGES: tuple[Page, ...] = (
    Page("GET", "/account", show, Access.SIGNED_IN),
    Page("POST", "/account/profile", change_profile, Access.SIGNED_IN),
    Page("POST", "/account/password", change_password, Access.SIGNED_IN),
    Page("POST", "/account/second-step/begin", begin_second_step, Access.SIGNED_IN),
    Page("GET", "/account/second-step", show_second_step, Access.SIGNED_IN),
    Page("POST", "/account/second-step", confirm_second_step, Access.SIGNED_IN),
    Page("POST", "/account/second-step/end", end_second_step, Access.SIGNED_IN),
    Page("POST", "/account/recovery-codes", renew_codes, Access.SIGNED_IN),
    Page("POST", "/account/sessions/end-others", end_other_sessions, Access.SIGNED_IN),
    Page("POST", "/account/sessions/{session:int}/end", end_session, Access.SIGNED_IN),
    Page("POST", "/account/tokens", make_token, Access.SIGNED_IN),
    Page("POST", "/account/tokens/{token:int}/end", end_token, Access.SIGNED_IN),
)

"""The classes: how each is now, switching one, opening a site for one. A tap changes something only by POST, and says whether it is in force."""

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any, NamedTuple
from urllib.parse import urlencode

from sqlalchemy import Row
from starlette.responses import Response, StreamingResponse

from dashboard.access import Access, Role
from dashboard.catalogue import Translate
from dashboard.insight.statistics import VISIBLE_FROM, visible
from dashboard.lessons import switching
from dashboard.lessons.classes import (
    Shown,
    chosen_end,
    class_now,
    classes_of,
    group_of,
    lesson_end,
    lesson_start,
    matching,
    name_of,
    shown_to,
    title_of,
    trusted,
)
from dashboard.lessons.live import Live, modes_of
from dashboard.lessons.site_sets import TEXT, parse_site, parse_sites
from dashboard.lessons.switching import NOTE, Caller, in_language
from dashboard.refusal import Refused
from dashboard.store import classes as store
from dashboard.store import site_sets
from dashboard.store.requests import open_counts
from dashboard.web import Page, Visit
from filters.message import said
from policies.model import Group

CARDS = 12
"""more classes than these are shown as rows: nobody taps down forty cards, and the page stays small"""
ROWS = 50
SHOWN_CHANGES = 8
SHOWN_REQUESTS = 5
SHOWN_BLOCKED = 8


async def index(visit: Visit) -> Response:
    """GET /classes: cards, or rows where there are many."""
    everything = classes_of(visit.view, visit.person)
    q = visit.request.query_params.get("q", "").strip()[:100]
    found = matching(everything, q) if q else everything
    cards = len(found) <= CARDS and visit.person.role is not Role.VIEWER
    pages = 1 if cards else max(1, ceil(len(found) / ROWS))
    at = min(max(_whole(visit.request.query_params.get("page", "")), 1), pages)
    page = found if cards else found[(at - 1) * ROWS : at * ROWS]
    search = f"{urlencode({'q': q})}&" if q else ""
    return visit.page(
        "classes/index.html",
        classes=[(shown, _lesson_end(visit, shown.now.group) if cards else None) for shown in await _shown(visit, page)],
        cards=cards,
        live=f"/live/classes?{urlencode({'rows': at, 'q': q})}",
        searchable=len(everything) > CARDS,
        q=q,
        at=at,
        pages=pages,
        link=f"/classes?{search}page=",
        **_common(visit),
    )


async def detail(visit: Visit) -> Response:
    """GET /classes/{group}."""
    return await _detail(visit)


async def _detail(visit: Visit, status: int = 200, errors: Mapping[str, str] | None = None) -> Response:
    group = group_of(visit.view, visit.group)
    (shown,) = await _shown(visit, [group])
    since = lesson_start(visit.view, group.name, visit.now, trusted(visit.site.box.workers()))
    async with visit.site.store.read() as connection:
        requests = await store.latest_requests(connection, group.name, SHOWN_REQUESTS)
        changes = await store.last_changes(connection, group.name, SHOWN_CHANGES)
    return visit.page(
        "classes/detail.html",
        status,
        shown=shown,
        lesson_ends=_lesson_end(visit, group.name),
        live=f"/live/classes?{urlencode({'group': group.name})}",
        blocked=most_blocked(visit, group.name, since),
        blocked_since=since,
        threshold=VISIBLE_FROM,
        requests=requests,
        changes=[_told(row, visit) for row in changes],
        name_of=name_of,
        errors=errors or {},
        values={name: visit.text(key, 16384)[:300] for name, key in _UNBLOCK_FIELDS.items()} if errors else _suggested(visit),
        **_common(visit),
    )


def _suggested(visit: Visit) -> dict[str, str]:
    """A site that a link from *Why?* brings along."""
    return {"name": visit.request.query_params.get("site", "")[:300]}


_UNBLOCK_FIELDS = {"name": "name", "length": "length", "until": "length_until", "reason": "reason"}


def most_blocked(visit: Visit, group: str, since: float) -> list[tuple[str, int]]:
    """(what, count), the most frequent first; never a cell of few devices."""
    seen = visible(visit.site.fold.blocked_since(group, since))
    _ = visit.translate
    rows = [(row.domain or _("other sites"), row.count) for row in seen.rows[:SHOWN_BLOCKED]]
    return [*rows, (_("other sites"), seen.rest.count)] if seen.rest else rows


async def _shown(visit: Visit, groups: Sequence[Group]) -> list[Shown]:
    names = [group.name for group in groups]
    async with visit.site.store.read() as connection:
        requests = await open_counts(connection, names)
    recent, workers = visit.site.classes, visit.site.box.workers()
    states = [class_now(visit.view, recent, group, visit.now, workers, requests) for group in groups]
    return [shown_to(visit.person, state, recent, visit.now) for state in states]


def _common(visit: Visit) -> dict[str, Any]:
    workers = visit.site.box.workers()
    return {"modes": modes_of(visit.view, visit.language), "trusted": trusted(workers), "workers": len(workers)}


def _lesson_end(visit: Visit, group: str) -> float | None:
    return lesson_end(visit.view, group, visit.now, trusted(visit.site.box.workers()))


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 6 else 0


class _Told(NamedTuple):
    at: float
    text: str
    reason: str


def _told(row: Row[Any], visit: Visit) -> _Told:
    """A row of the audit log in a sentence."""
    _ = visit.translate
    detail = row.detail if isinstance(row.detail, dict) else {}
    modes = visit.view.snapshot.modes
    mode = detail.get("mode", "")
    title = in_language(modes[mode].title, visit.language) if mode in modes else mode
    sentences: dict[str, str] = {
        "class.mode": _("{who} switched to {mode}"),
        "class.end": _("{who} ended the switch"),
        "class.extend": _("{who} made it 15 minutes longer"),
        "class.undo": _("{who} took the last change back"),
        "class.unblock": _("{who} opened {name}"),
        "class.unblock-end": _("{who} closed {name}"),
    }
    return _Told(row.at, sentences[row.action].format(who=name_of(row.by), mode=title, name=detail.get("name", "")), row.reason)


def _caller(visit: Visit) -> Caller:
    group_of(visit.view, visit.group)
    return Caller(visit.site, visit.view, visit.person, visit.group, visit.now, visit.text("seen", 100) or None)


def _where(visit: Visit) -> str:
    """The page from which the form was sent."""
    return "/classes" if visit.form.get("list") else f"/classes/{visit.group}"


async def _done(visit: Visit, generation: int, done: str) -> Response:
    """Back, with what was done and whether it is in force."""
    force = await visit.site.changes.in_force(generation)
    visit.site.flash(visit.secret, *switching.outcome(done, force, visit.translate))
    return visit.back(_where(visit))


def _sorry(visit: Visit, error: Refused) -> Response:
    """Back to the class as it is now, with the reason why nothing was changed."""
    if error.status in (403, 404):
        raise error
    return visit.back(_where(visit), wrong=said(error, visit.translate))


async def switch(visit: Visit) -> Response:
    """POST /classes/{group}/mode. A mode that leaves only chosen sites open asks for them first."""
    caller, mode = _caller(visit), visit.text("mode", 64)
    known = visit.view.snapshot.modes.get(mode)
    asks = known is not None and known.only == "sites"
    if asks and not visit.form.get("asked"):
        chosen = {"mode": mode, "length": visit.text("length", 8), "until": visit.text("length_until", 8), "list": visit.text("list", 1)}
        return visit.back(f"/classes/{visit.group}/exam?{urlencode({name: value for name, value in chosen.items() if value})}")
    try:
        until = _chosen_end(visit)
        sites = await _chosen_sites(visit) if asks else ()
        generation = await switching.switch(caller, mode, until, visit.text("reason", NOTE), sites)
    except Refused as error:
        if asks and error.status == 422:
            return await _exam(visit, 422, {error.field: said(error, visit.translate)})
        return _sorry(visit, error)
    _ = visit.translate
    done = _("{title}: {mode} until {time}.").format(title=_title(visit), mode=caller.title(mode), time=caller.clock(until))
    if asks:
        done += " " + _("{count} sites are open.").format(count=len(sites)) if sites else " " + _("No site is open.")
    return await _done(visit, generation, done)


def _chosen_end(visit: Visit) -> float:
    workers = visit.site.box.workers()
    return chosen_end(visit.text("length", 8), visit.text("length_until", 8), visit.view, visit.group, visit.now, trusted(workers))


async def _chosen_sites(visit: Visit) -> tuple[str, ...]:
    typed = parse_sites(visit.text("sites", TEXT))
    async with visit.site.store.read() as connection:
        return await site_sets.sites_of(connection, visit.person, [_whole(text) for text in visit.texts("set_ids")], typed)


def _title(visit: Visit) -> str:
    return title_of(group_of(visit.view, visit.group))


async def exam(visit: Visit) -> Response:
    """GET /classes/{group}/exam: which sites stay open."""
    return await _exam(visit)


async def _exam(visit: Visit, status: int = 200, errors: Mapping[str, str] | None = None) -> Response:
    group = group_of(visit.view, visit.group)
    (shown,) = await _shown(visit, [group])
    async with visit.site.store.read() as connection:
        sets = await site_sets.usable(connection, visit.person)
    given = visit.form if errors is not None else visit.request.query_params
    modes = visit.view.snapshot.modes
    asking = [name for name, mode in modes.items() if mode.only == "sites"]
    mode = str(given.get("mode", ""))
    if mode not in asking:
        if not asking:
            raise Refused(switching.NO_MODE, status=404)
        mode = asking[0]
    override = shown.now.override
    going_on = override if errors is None and override and override.mode == mode else None
    return visit.page(
        "classes/exam.html",
        status,
        group=group.name,
        title=title_of(group),
        mode=mode,
        mode_title=in_language(modes[mode].title, visit.language),
        seen=shown.now.seen,
        sets=sets,
        chosen={_whole(text) for text in visit.texts("set_ids")},
        sites="\n".join(going_on.sites) if going_on else str(given.get("sites", "")) if errors else "",
        lesson_ends=_lesson_end(visit, group.name),
        length=_offered(str(given.get("length", "")), _lesson_end(visit, group.name)),
        until=str(given.get("length_until" if errors else "until", ""))[:8],
        reason=str(given.get("reason", ""))[:NOTE] if errors else "",
        list=bool(given.get("list")),
        errors=errors or {},
    )


def _offered(length: str, lesson_ends: float | None) -> str:
    """A choice that the page has; else its own first one."""
    return length if length in ("15", "30", "45", "90", "until") or (length == "lesson" and lesson_ends) else ""


async def extend(visit: Visit) -> Response:
    """POST /classes/{group}/extend."""
    return await _one_tap(visit, switching.extend, _longer)


async def end(visit: Visit) -> Response:
    """POST /classes/{group}/end."""
    return await _one_tap(visit, switching.end, lambda _: _("{title}: the switch is ended; the timetable counts again."))


async def undo(visit: Visit) -> Response:
    """POST /classes/{group}/undo."""
    return await _one_tap(visit, switching.undo, lambda _: _("{title} is as it was before."))


def _longer(_: Translate) -> str:
    return _("{title}: 15 minutes longer.")


async def _one_tap(visit: Visit, carry_out: Callable[[Caller], Any], sentence: Callable[[Translate], str]) -> Response:
    try:
        generation = await carry_out(_caller(visit))
    except Refused as error:
        return _sorry(visit, error)
    return await _done(visit, generation, sentence(visit.translate).format(title=_title(visit)))


async def unblock(visit: Visit) -> Response:
    """POST /classes/{group}/unblocks."""
    caller = _caller(visit)
    try:
        name = parse_site(visit.text("name", 300))
        until = _chosen_end(visit)
        generation = await switching.unblock(caller, name, until, visit.text("reason", NOTE))
    except Refused as error:
        return await _detail(visit, error.status, {error.field or "name": said(error, visit.translate)})
    _ = visit.translate
    done = _("{name} is open for {title} until {time}.").format(name=name, title=_title(visit), time=caller.clock(until))
    return await _done(visit, generation, done)


async def end_unblock(visit: Visit) -> Response:
    """POST /classes/{group}/unblocks/end."""
    name = visit.text("name", 300)
    try:
        generation = await switching.close(_caller(visit), name)
    except Refused as error:
        return visit.back(_where(visit), wrong=said(error, visit.translate))
    _ = visit.translate
    return await _done(visit, generation, _("{name} is closed again for {title}.").format(name=name, title=_title(visit)))


async def live(visit: Visit) -> Response:
    """GET /live/classes: the cards that have changed, as they change. ``group``: one class; ``rows``: the page of a long list."""
    recent = visit.site.classes
    if recent.live is None:
        recent.live = Live(visit.site)
    query = visit.request.query_params
    rows = _whole(query.get("rows", ""))
    groups = frozenset({query["group"]}) if "group" in query else None
    if rows:
        found = matching(classes_of(visit.view, visit.person), query.get("q", "").strip()[:100])
        groups = frozenset(group.name for group in found[(rows - 1) * ROWS : rows * ROWS])
    listener = recent.live.listen(visit.person, rows=rows > 0, groups=groups)
    return StreamingResponse(recent.live.stream(listener), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


PAGES: tuple[Page, ...] = (
    Page("GET", "/classes", index, Access.SIGNED_IN),
    Page("GET", "/live/classes", live, Access.SIGNED_IN),
    Page("GET", "/classes/{group}", detail, Access.SEES_CLASS),
    Page("GET", "/classes/{group}/exam", exam, Access.OWN_CLASS),
    Page("POST", "/classes/{group}/mode", switch, Access.OWN_CLASS),
    Page("POST", "/classes/{group}/extend", extend, Access.OWN_CLASS),
    Page("POST", "/classes/{group}/end", end, Access.OWN_CLASS),
    Page("POST", "/classes/{group}/undo", undo, Access.OWN_CLASS),
    Page("POST", "/classes/{group}/unblocks", unblock, Access.OWN_CLASS),
    Page("POST", "/classes/{group}/unblocks/end", end_unblock, Access.OWN_CLASS),
)

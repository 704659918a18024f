"""Tiers as a matrix of categories, one tier's other settings, and modes: what differs from the built-in ones is written to school.yaml."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from ruamel.yaml.comments import CommentedMap
from starlette.responses import Response

from dashboard.access import Access
from dashboard.catalogue import Translate
from dashboard.refusal import Refused
from dashboard.settings import school_file
from dashboard.settings.tiers import (
    BLOCKABLE,
    LIFTABLE,
    add_mode,
    add_tier,
    answer_titles,
    base_mode,
    base_of,
    differences,
    mode_differences,
    mode_summary,
    no_such_mode,
    no_such_tier,
    only_titles,
    put_mode,
    put_tier,
    remove_mode,
    remove_tier,
    reset_mode,
    reset_tier,
    title,
    users_of_mode,
    users_of_tier,
    youtube_titles,
)
from dashboard.store.audit import Entry
from dashboard.web import Page, Visit
from filters.category import CATEGORIES, LOCKED
from filters.message import Message, said
from policies.model import Mode, Tier, Titles, YouTube
from policies.tiers import DISTRACTION, HARM, MODES, TIERS, resolve_modes, resolve_tiers

Change = Callable[[CommentedMap], None]
SAID = 6
"""sentences of what changed that one message has"""
OPEN = tuple(category.id for category in CATEGORIES.values() if category.open)
LONGEST_TTL = 86400


async def index(visit: Visit) -> Response:
    """GET /tiers."""
    return await _index(visit)


async def _index(visit: Visit, status: int = 200, error: Refused | None = None) -> Response:
    seen, view = await school_file.opened(visit.site)
    _ = visit.translate
    tiers = resolve_tiers(view.file.tiers)
    rest = [category for category in BLOCKABLE if category not in (*HARM, *DISTRACTION)]
    return visit.page(
        "tiers/index.html",
        status,
        seen=seen,
        tabs=_tabs(visit, "/tiers"),
        tiers=[_tier_card(view.file.groups, name, tier, visit) for name, tier in tiers.items()],
        sections=[
            (_("Harmful to children"), [each for each in BLOCKABLE if each in HARM]),
            (_("Distracting"), [each for each in BLOCKABLE if each in DISTRACTION]),
            (_("Other"), rest),
        ],
        blocked={name: {each for each, decision in tier.categories.items() if decision == "block"} for name, tier in tiers.items()},
        locked=sorted(LOCKED),
        open_categories=OPEN,
        bases=[
            ("", _("nothing: everything is open at first")),
            *((name, title(tier.title, visit.language)) for name, tier in TIERS.items()),
        ],
        values={name: visit.text(name) for name in ("id", "title_vi", "title_en", "based_on")} if error else {"based_on": "thcs"},
        errors={error.field: said(error.message, _)} if error else {},
    )


def _tier_card(groups: Any, name: str, tier: Tier, visit: Visit) -> dict[str, object]:
    _ = visit.translate
    members = [group.title or group.name for group in groups if group.tier == name]
    words = [_("safe search") if tier.safe_search else _("no safe search")]
    words.append(_("YouTube: {level}").format(level=dict(youtube_titles(_))[tier.youtube]))
    if tier.default == "block":
        words.append(_("only listed sites are open"))
    if tier.services:
        words.append(_("{count} services blocked").format(count=len(tier.services)))
    return {
        "id": name,
        "title": title(tier.title, visit.language),
        "own": name not in TIERS,
        "changed": name in visit.view.file.tiers and name in TIERS,
        "groups": members[:8],
        "more": max(0, len(members) - 8),
        "words": words,
    }


def _tabs(visit: Visit, here: str) -> list[tuple[str, str, bool]]:
    _ = visit.translate
    return [("/tiers", _("Tiers"), here == "/tiers"), ("/modes", _("Modes"), here == "/modes")]


async def save_matrix(visit: Visit) -> Response:
    """POST /tiers: what is ticked is blocked. Only ticks that differ from what holds are a change."""
    file = visit.view.file
    tiers = resolve_tiers(file.tiers)
    ticked = set(visit.texts("blocked"))
    shown = [name for name in visit.text("tiers", 5000).split(",") if name in tiers]
    changes: dict[str, dict[str, str]] = {}
    for name in shown:
        for category in BLOCKABLE:
            is_now = f"{category}:{name}" in ticked
            if is_now != (tiers[name].categories.get(category) == "block"):
                changes.setdefault(name, {})[category] = "block" if is_now else "allow"

    def change(document: CommentedMap) -> None:
        for name, categories in changes.items():
            put_tier(document, name, base_of(file, name), {"categories": categories})

    entry = Entry("tier.changed", what=", ".join(changes), detail={"categories": changes})
    return await _saved(visit, "/tiers", entry, change)


async def _saved(visit: Visit, to: str, entry: Entry, change: Change) -> Response:
    """Carry a change of tiers or modes out, and say what it means."""
    before = visit.view.file
    await school_file.edit(visit.site, visit.person, entry, visit.text("seen"), change)
    after = (await visit.site.school.now()).file
    _, language = visit.translate, visit.language
    sentences = differences(resolve_tiers(before.tiers), resolve_tiers(after.tiers), language, _)
    sentences += mode_differences(resolve_modes(before.modes), resolve_modes(after.modes), language, _)
    return visit.back(to, _in_words(sentences, _))


def _in_words(sentences: list[str], _: Translate) -> str:
    if not sentences:
        return _("Nothing was different; nothing was changed.")
    more = [_("and {count} more").format(count=len(sentences) - SAID)] if len(sentences) > SAID else []
    return _("Saved, in force within a second: {changes}.").format(changes="; ".join(sentences[:SAID] + more))


async def one(visit: Visit) -> Response:
    """GET /tiers/{tier}."""
    return await _one(visit)


async def _one(visit: Visit, status: int = 200, error: Refused | None = None) -> Response:
    seen, view = await school_file.opened(visit.site)
    name = str(visit.request.path_params["tier"])
    tiers = resolve_tiers(view.file.tiers)
    if name not in tiers:
        raise no_such_tier(name)
    tier, base, _ = tiers[name], base_of(view.file, name), visit.translate
    based_on = view.file.tiers[name].based_on if name in view.file.tiers else None
    return visit.page(
        "tiers/tier.html",
        status,
        seen=seen,
        id=name,
        tier=tier,
        base=base,
        shown=title(tier.title, visit.language),
        own=name not in TIERS,
        based_on=title(tiers[based_on].title, visit.language) if based_on else "",
        changed=_is_changed(view.file.tiers.get(name), own=name not in TIERS),
        users=users_of_tier(view.file, name),
        values=_tier_form(visit) if error else _tier_values(tier),
        errors={error.field: said(error.message, _)} if error else {},
        youtube=youtube_titles(_),
        answers=[("", _("as the school says")), *answer_titles(_)],
        defaults=[
            ("allow", _("Open"), _("a site is open unless a blocked category or a rule has it")),
            ("block", _("Closed"), _("only sites of opened categories and the school's own list are open")),
        ],
        liftable=_liftable(tier.liftable),
    )


def _liftable(held: Collection[str]) -> list[str]:
    """Categories to tick: what is always open need not be lifted, but a school may have written it."""
    return [category for category in LIFTABLE if category in BLOCKABLE or category in held]


def _is_changed(change: Any, *, own: bool) -> bool:
    fixed = {"title", "based_on"} if own else set()
    return change is not None and bool(change.model_fields_set - fixed)


def _tier_values(tier: Tier) -> dict[str, Any]:
    return {
        "title_vi": tier.title.vi,
        "title_en": tier.title.en,
        "default": tier.default,
        "safe_search": tier.safe_search,
        "youtube": tier.youtube,
        "strip_ech": tier.strip_ech,
        "ttl_limit": str(tier.ttl_limit),
        "block_answer": tier.block_answer or "",
        "liftable": set(tier.liftable),
    }


def _tier_form(visit: Visit) -> dict[str, Any]:
    texts = {name: visit.text(name, 100) for name in ("title_vi", "title_en", "default", "youtube", "ttl_limit", "block_answer")}
    ticks = {name: bool(visit.form.get(name)) for name in ("safe_search", "strip_ech")}
    return {**texts, **ticks, "liftable": set(visit.texts("liftable"))}


async def save_one(visit: Visit) -> Response:
    """POST /tiers/{tier}."""
    name = str(visit.request.path_params["tier"])
    try:
        base = base_of(visit.view.file, name)
        form = _tier_form(visit)
        wanted = {
            "title": _titles(form),
            "default": _chosen(form, "default", ("allow", "block")),
            "safe_search": form["safe_search"],
            "youtube": YouTube(_chosen(form, "youtube", tuple(YouTube))),
            "strip_ech": form["strip_ech"],
            "ttl_limit": _seconds(form["ttl_limit"]),
            "block_answer": form["block_answer"] or None,
            "liftable": [category for category in LIFTABLE if category in form["liftable"]],
        }

        def change(document: CommentedMap) -> None:
            put_tier(document, name, base, wanted)

        return await _saved(visit, f"/tiers/{name}", Entry("tier.changed", what=name), change)
    except Refused as error:
        if error.status != 422:
            raise
        return await _one(visit, 422, error)


def _titles(form: Mapping[str, Any]) -> Titles:
    """One title serves both languages. Raises Refused where there is none."""
    vi, en = form["title_vi"] or form["title_en"], form["title_en"] or form["title_vi"]
    if not vi:
        raise Refused(Message("A title is needed here."), status=422, field="title_vi")
    return Titles(vi=vi, en=en)


def _seconds(text: str) -> int:
    if not text.isdecimal() or int(text) > LONGEST_TTL:
        raise Refused(Message("A number from 0 to {most} is needed here.", most=LONGEST_TTL), status=422, field="ttl_limit")
    return int(text)


def _chosen(form: Mapping[str, Any], name: str, known: tuple[str, ...]) -> str:
    if form[name] not in known:
        raise Refused(Message("Please choose one of these."), status=422, field=name)
    return str(form[name])


async def add(visit: Visit) -> Response:
    """POST /new-tier."""
    try:
        titles = _titles({name: visit.text(name, 100) for name in ("title_vi", "title_en")})
        name, based_on = visit.text("id", 63), visit.text("based_on") or None
        entry = Entry("tier.changed", what=name, detail={"added": True, "based_on": based_on})
        return await _saved(visit, f"/tiers/{name}", entry, lambda document: add_tier(document, visit.view.file, name, titles, based_on))
    except Refused as error:
        if error.status == 409 and not error.field:
            raise
        return await _index(visit, 422, _at_id(error))


def _at_id(error: Refused) -> Refused:
    """What the check of the whole file says of a new tier's or mode's id stands at its field."""
    return error if error.field and error.field != "text" else Refused(error.message, status=422, field="id")


async def remove(visit: Visit) -> Response:
    """POST /tiers/{tier}/remove."""
    name = str(visit.request.path_params["tier"])
    entry = Entry("tier.changed", what=name, detail={"removed": True})
    return await _saved(visit, "/tiers", entry, lambda document: remove_tier(document, visit.view.file, name))


async def reset(visit: Visit) -> Response:
    """POST /tiers/{tier}/reset."""
    name = str(visit.request.path_params["tier"])
    base_of(visit.view.file, name)
    return await _saved(
        visit, f"/tiers/{name}", Entry("tier.changed", what=name, detail={"reset": True}), lambda document: reset_tier(document, name)
    )


# ---- modes ----------------------------------------------------------------------------------------------------------


async def modes(visit: Visit) -> Response:
    """GET /modes."""
    return await _modes(visit)


async def _modes(visit: Visit, status: int = 200, error: Refused | None = None) -> Response:
    seen, view = await school_file.opened(visit.site)
    _ = visit.translate
    return visit.page(
        "tiers/modes.html",
        status,
        seen=seen,
        tabs=_tabs(visit, "/modes"),
        modes=[
            {
                "id": name,
                "title": title(mode.title, visit.language),
                "summary": mode_summary(mode, visit.language, _),
                "own": name not in MODES,
                "changed": name in MODES and name in view.file.modes,
                "sites": len(mode.sites),
            }
            for name, mode in resolve_modes(view.file.modes).items()
        ],
        values={name: visit.text(name) for name in ("id", "title_vi", "title_en")} if error else {},
        errors={error.field: said(error.message, _)} if error else {},
    )


async def mode(visit: Visit) -> Response:
    """GET /modes/{mode}."""
    return await _mode(visit)


async def _mode(visit: Visit, status: int = 200, error: Refused | None = None) -> Response:
    seen, view = await school_file.opened(visit.site)
    name = str(visit.request.path_params["mode"])
    known = resolve_modes(view.file.modes)
    if name not in known:
        raise no_such_mode(name)
    _ = visit.translate
    return visit.page(
        "tiers/mode.html",
        status,
        seen=seen,
        id=name,
        shown=title(known[name].title, visit.language),
        own=name not in MODES,
        changed=_is_changed(view.file.modes.get(name), own=name not in MODES),
        users=[said(user, _) for user in users_of_mode(view.file, view.state, name, visit.now)],
        only=only_titles(_),
        blockable=BLOCKABLE,
        liftable=_liftable(known[name].allows),
        values=_mode_form(visit) if error else _mode_values(known[name]),
        errors={error.field: said(error.message, _)} if error else {},
    )


def _mode_values(mode: Mode) -> dict[str, Any]:
    return {
        "title_vi": mode.title.vi,
        "title_en": mode.title.en,
        "only": mode.only,
        "sites": "\n".join(mode.sites),
        "blocks": set(mode.blocks),
        "allows": set(mode.allows),
    }


def _mode_form(visit: Visit) -> dict[str, Any]:
    texts = {name: visit.text(name, 100) for name in ("title_vi", "title_en", "only")}
    return {**texts, "sites": visit.text("sites", 20_000), "blocks": set(visit.texts("blocks")), "allows": set(visit.texts("allows"))}


async def save_mode(visit: Visit) -> Response:
    """POST /modes/{mode}."""
    name = str(visit.request.path_params["mode"])
    try:
        base, form = base_mode(visit.view.file, name), _mode_form(visit)
        wanted = {
            "title": _titles(form),
            "only": _chosen(form, "only", ("everything", "sites", "nothing")),
            "sites": form["sites"].split(),
            "blocks": [category for category in BLOCKABLE if category in form["blocks"]],
            "allows": [category for category in LIFTABLE if category in form["allows"]],
        }
        entry = Entry("tier.changed", what=name, detail={"mode": name})
        return await _saved(visit, f"/modes/{name}", entry, lambda document: put_mode(document, name, base, wanted))
    except Refused as error:
        if error.status != 422:
            raise
        return await _mode(visit, 422, error)


async def new_mode(visit: Visit) -> Response:
    """POST /new-mode."""
    try:
        titles = _titles({name: visit.text(name, 100) for name in ("title_vi", "title_en")})
        name = visit.text("id", 63)
        entry = Entry("tier.changed", what=name, detail={"mode": name, "added": True})
        return await _saved(visit, f"/modes/{name}", entry, lambda document: add_mode(document, visit.view.file, name, titles))
    except Refused as error:
        if error.status == 409 and not error.field:
            raise
        return await _modes(visit, 422, _at_id(error))


async def drop_mode(visit: Visit) -> Response:
    """POST /modes/{mode}/remove."""
    name, view = str(visit.request.path_params["mode"]), visit.view
    entry = Entry("tier.changed", what=name, detail={"mode": name, "removed": True})
    return await _saved(visit, "/modes", entry, lambda document: remove_mode(document, view.file, view.state, name, visit.now))


async def rebuild_mode(visit: Visit) -> Response:
    """POST /modes/{mode}/reset."""
    name = str(visit.request.path_params["mode"])
    base_mode(visit.view.file, name)
    entry = Entry("tier.changed", what=name, detail={"mode": name, "reset": True})
    return await _saved(visit, f"/modes/{name}", entry, lambda document: reset_mode(document, name))


PAGES = (
    Page("GET", "/tiers", index, Access.ADMIN),
    Page("POST", "/tiers", save_matrix, Access.ADMIN),
    Page("POST", "/new-tier", add, Access.ADMIN),
    Page("GET", "/tiers/{tier}", one, Access.ADMIN),
    Page("POST", "/tiers/{tier}", save_one, Access.ADMIN),
    Page("POST", "/tiers/{tier}/remove", remove, Access.ADMIN),
    Page("POST", "/tiers/{tier}/reset", reset, Access.ADMIN),
    Page("GET", "/modes", modes, Access.ADMIN),
    Page("POST", "/new-mode", new_mode, Access.ADMIN),
    Page("GET", "/modes/{mode}", mode, Access.ADMIN),
    Page("POST", "/modes/{mode}", save_mode, Access.ADMIN),
    Page("POST", "/modes/{mode}/remove", drop_mode, Access.ADMIN),
    Page("POST", "/modes/{mode}/reset", rebuild_mode, Access.ADMIN),
)

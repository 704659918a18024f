"""How the box is, the worst first: what is the case, what it means, what to do."""

from starlette.responses import PlainTextResponse, Response

from dashboard.access import Access
from dashboard.catalogue import Translate
from dashboard.insight.health import Level, worst
from dashboard.insight.looking import level_now, look
from dashboard.web import Page, Visit
from filters.message import said

ICONS = {
    "resolver": "wifi",
    "upstreams": "link",
    "changes": "refresh",
    "files": "school",
    "lists": "list",
    "store": "disk",
    "disk": "disk",
    "clock": "clock",
    "certificates": "lock",
    "reports": "flag",
    "requests": "message",
    "versions": "info",
}
TONES = {Level.BAD: "bad", Level.WARN: "warn", Level.UNKNOWN: "idle", Level.OK: "ok"}
LINKS = {"reports": "/reports", "requests": "/requests", "files": "/school", "upstreams": "/school"}
"""where something can be done about it"""


def subject(check: str, _: Translate) -> str:
    """What a check is about."""
    return {
        "resolver": _("The resolver"),
        "upstreams": _("The way to the internet"),
        "changes": _("Changes"),
        "files": _("Files"),
        "lists": _("Lists"),
        "store": _("The store"),
        "disk": _("The disk"),
        "clock": _("The clock"),
        "certificates": _("Certificates"),
        "reports": _("Reports to the province"),
        "requests": _("Pupils' requests"),
        "versions": _("Versions"),
    }[check]


def level_title(level: Level, _: Translate) -> str:
    return {
        Level.BAD: _("needs you now"),
        Level.WARN: _("needs a look"),
        Level.UNKNOWN: _("not known"),
        Level.OK: _("in order"),
    }[level]


async def index(visit: Visit) -> Response:
    """GET /health."""
    _ = visit.translate
    found = await look(visit.site, _)
    return visit.page(
        "health/index.html",
        level=worst(found).value,
        bad=sum(check.level is Level.BAD for check in found),
        warn=sum(check.level is Level.WARN for check in found),
        checks=[
            {
                "id": check.id,
                "subject": subject(check.id, _),
                "icon": ICONS[check.id],
                "tone": TONES[check.level],
                "level": level_title(check.level, _),
                "fine": check.level in (Level.OK, Level.UNKNOWN),
                "title": said(check.title, _),
                "means": said(check.means, _),
                "todo": said(check.todo, _) if check.todo else "",
                "details": [said(line, _) for line in check.details if line],
                "link": LINKS.get(check.id, ""),
            }
            for check in found
        ],
    )


async def bare(visit: Visit) -> Response:
    """GET /healthz, for monitors: 200 where nothing needs anybody now, else 503; nothing more, since anybody may ask."""
    bad = await level_now(visit.site) is Level.BAD
    return PlainTextResponse("trouble\n" if bad else "ok\n", 503 if bad else 200)


PAGES = (Page("GET", "/health", index, Access.SEES_SCHOOL), Page("GET", "/healthz", bare, Access.ANYBODY))

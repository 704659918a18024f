"""Services as switches: first whose (a tier or a group), then all of them by category."""

from urllib.parse import quote

from starlette.responses import Response

from dashboard.access import Access
from dashboard.settings import school_file
from dashboard.settings.services import Target, blocked, found, inherited, parse_target, put
from dashboard.settings.tiers import title
from dashboard.store.audit import Entry
from dashboard.web import Page, Visit
from filters.category import CATEGORIES
from filters.service import CATALOGUE, SERVICES
from policies.tiers import resolve_tiers

SAID = 6


async def index(visit: Visit) -> Response:
    """GET /services?for=tier:thcs&q=zalo."""
    wanted = visit.request.query_params.get("for", "")
    query = visit.request.query_params.get("q", "")[:100].strip()
    return await (_switches(visit, parse_target(wanted), query) if wanted else _choose(visit))


async def _choose(visit: Visit) -> Response:
    file = visit.view.file
    return visit.page(
        "services/index.html",
        count=len(CATALOGUE),
        names=sum(len(service.names) for service in CATALOGUE),
        tiers=[(name, title(tier.title, visit.language), len(tier.services)) for name, tier in resolve_tiers(file.tiers).items()],
        groups=[(group.name, group.title or group.name, len(group.services)) for group in file.groups],
    )


async def _switches(visit: Visit, target: Target, query: str) -> Response:
    seen, view = await school_file.opened(visit.site)
    own, by_tier = blocked(view.file, target), inherited(view.file, target)
    shown = found(query)
    tiers = resolve_tiers(view.file.tiers)
    group = next((group for group in view.file.groups if target.kind == "group" and group.name == target.id), None)
    tier = tiers[group.tier if group else target.id]
    language = visit.language
    sections = []
    for category in CATEGORIES:
        services = [service for service in shown if service.category == category]
        if services:
            rows = [
                (each.id, each.vi if language == "vi" else each.en, each.names, each.id in own, each.id in by_tier) for each in services
            ]
            sections.append((category, tier.categories.get(category) == "block", sorted(rows, key=lambda row: row[1].casefold())))
    return visit.page(
        "services/switches.html",
        seen=seen,
        target=target,
        back=f"/services?for={quote(str(target))}",
        shown_title=(group.title or group.name) if group else title(tier.title, language),
        tier_title=title(tier.title, language) if group else "",
        wanted=query,
        sections=sections,
        shown=",".join(service.id for service in shown),
        total=len(CATALOGUE),
        count=len(shown),
    )


async def save(visit: Visit) -> Response:
    """POST /services: of the services that were shown, those that are ticked are blocked; the others stay as they are."""
    target, file = parse_target(visit.text("for")), visit.view.file
    before = blocked(file, target)
    shown = frozenset(visit.text("shown", 10_000).split(",")) & SERVICES.keys()
    after = (before - shown) | (frozenset(visit.texts("blocked")) & shown)
    changes = {"blocked": sorted(after - before), "opened": sorted(before - after)}
    entry = Entry("service.changed", what=str(target), detail=changes)
    await school_file.edit(visit.site, visit.person, entry, visit.text("seen"), lambda document: put(document, file, target, after))
    return visit.back(f"/services?for={quote(str(target))}", _in_words(visit, changes))


def _in_words(visit: Visit, changes: dict[str, list[str]]) -> str:
    _ = visit.translate
    templates = (("blocked", _("{what} is blocked now")), ("opened", _("{what} is no longer blocked as a service")))
    sentences = []
    for kind, template in templates:
        titles = [SERVICES[each].vi if visit.language == "vi" else SERVICES[each].en for each in changes[kind]]
        if titles:
            more = [_("and {count} more").format(count=len(titles) - SAID)] if len(titles) > SAID else []
            sentences.append(template.format(what=", ".join(titles[:SAID] + more)))
    if not sentences:
        return _("Nothing was different; nothing was changed.")
    return _("Saved, in force within a second: {changes}.").format(changes="; ".join(sentences))


PAGES = (
    Page("GET", "/services", index, Access.ADMIN),
    Page("POST", "/services", save, Access.ADMIN),
)

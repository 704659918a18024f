"""Figures of one's classes; of the whole school for those who see the school."""

from starlette.responses import Response

from dashboard.access import Access, Role
from dashboard.insight.figures import DAYS, figures
from dashboard.insight.statistics import VISIBLE_FROM
from dashboard.refusal import Refused
from dashboard.web import Page, Visit
from filters.message import Message


async def choose(visit: Visit) -> Response:
    """A teacher's classes to choose from; with one class only, or for those who see the school, the figures at once."""
    if visit.person.role is not Role.TEACHER:
        return await _show(visit, None)
    own = [group for name, group in visit.view.snapshot.groups.items() if name in visit.person.classes]
    if len(own) == 1:
        return await _show(visit, own[0].name)
    return visit.page("statistics/choose.html", groups=own)


async def of_class(visit: Visit) -> Response:
    if visit.group not in visit.view.snapshot.groups:
        raise Refused(Message("There is no group {group!r}.", group=visit.group), status=404)
    return await _show(visit, visit.group)


async def _show(visit: Visit, group: str | None) -> Response:
    asked = visit.request.query_params.get("days", "7")
    days = int(asked) if asked in map(str, DAYS) else DAYS[1]
    async with visit.site.store.read() as connection:
        found = await figures(connection, group, days, visit.now, visit.view.file.school.timezone)
    groups = visit.view.snapshot.groups
    title = "" if group is None else groups[group].title or group
    mine = [each for name, each in groups.items() if visit.person.role is not Role.TEACHER or name in visit.person.classes]
    return visit.page(
        "statistics/figures.html", figures=found, group=group, group_title=title, days=days, spans=DAYS, groups=mine, threshold=VISIBLE_FROM
    )


PAGES = (
    Page("GET", "/statistics", choose, Access.SIGNED_IN),
    Page("GET", "/statistics/{group}", of_class, Access.SEES_CLASS),
)

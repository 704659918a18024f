"""The live view of decisions."""

from collections.abc import Mapping

from starlette.responses import Response, StreamingResponse

from dashboard.access import Access
from dashboard.insight.decisions import LENGTH, Watch, stream
from dashboard.refusal import Refused
from dashboard.store import audit
from dashboard.web import Page, Visit
from filters.message import Message


async def show(visit: Visit) -> Response:
    watch = visit.site.watches.get(visit.person.session)
    groups = [(name, group.title or name) for name, group in visit.view.snapshot.groups.items()]
    return visit.page("live/live.html", groups=groups, watch=watch if watch is not None and watch.until > visit.now else None, rows=[])


async def begin(visit: Visit) -> Response:
    """Begin to watch, for ten minutes."""
    group, reason = visit.text("group", 64), visit.text("reason")
    if group and group not in visit.view.snapshot.groups:
        raise Refused(Message("There is no group {group!r}.", group=group), status=422, field="group")
    addresses = visit.text("addresses") == "1"
    if addresses and not reason:
        raise Refused(Message("Watching with addresses needs a reason: it shows what single devices do."), status=422, field="reason")
    watch = Watch(visit.now + LENGTH, group, addresses, visit.text("blocked_only") == "1")
    detail = {"addresses": addresses, "minutes": LENGTH / 60}
    async with visit.site.store.write() as connection:
        await audit.add(connection, visit.now, visit.person, [audit.Entry("live.watched", group, detail, reason)])
    visit.site.watches = {key: each for key, each in visit.site.watches.items() if each.until > visit.now}
    visit.site.watches[visit.person.session] = watch
    return visit.back("/live")


async def end(visit: Visit) -> Response:
    visit.site.watches.pop(visit.person.session, None)
    return visit.back("/live")


async def decisions(visit: Visit) -> Response:
    """The events of a watch that was begun."""
    watch = visit.site.watches.get(visit.person.session)
    if watch is None or watch.until <= visit.now:
        raise Refused(Message("Begin to watch first."), status=409)

    def fragments(rows: list[Mapping[str, object]]) -> dict[str, str]:
        return {"decisions": visit.fragment("live/rows.html", rows=rows, watch=watch)}

    def clock() -> float:
        """A watch that was ended by its button ends its stream too."""
        return visit.site.clock() if visit.site.watches.get(visit.person.session) is watch else watch.until

    return StreamingResponse(stream(visit.site.box, watch, clock, fragments), media_type="text/event-stream")


PAGES = (
    Page("GET", "/live", show, Access.ADMIN),
    Page("POST", "/live", begin, Access.ADMIN),
    Page("POST", "/live/end", end, Access.ADMIN),
    Page("GET", "/live/decisions", decisions, Access.ADMIN),
)

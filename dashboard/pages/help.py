"""Help: what teachers do most, in a few words each, and where IT staff read on."""

from starlette.responses import Response

from dashboard.access import Access, Role
from dashboard.settings.tiers import title
from dashboard.web import Page, Visit
from policies.tiers import resolve_modes


async def index(visit: Visit) -> Response:
    """GET /help: for whoever is signed in, and for whoever is not yet."""
    person = visit.signed_in
    file = visit.view.file.school
    return visit.page(
        "help/index.html",
        base="public.html" if person is None else "base.html",
        is_it=person is not None and person.role is Role.ADMIN,
        modes={name: title(mode.title, visit.language) for name, mode in resolve_modes(visit.view.file.modes).items()},
        contact=file.contact,
        counsellor=file.counsellor,
    )


PAGES = (Page("GET", "/help", index, Access.ANYBODY),)

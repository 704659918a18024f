"""The front door."""

from starlette.responses import RedirectResponse, Response

from dashboard.access import Access
from dashboard.web import Page, Visit


async def home(visit: Visit) -> Response:
    return RedirectResponse("/sign-in" if visit.signed_in is None else "/classes", 303)


PAGES: tuple[Page, ...] = (Page("GET", "/", home, Access.ANYBODY),)

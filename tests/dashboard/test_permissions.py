"""Every route, with every role, for an own class and another's. What is right is said here a second time, beside what the routes say themselves: a new
route that this table does not have fails, and so does one whose rule is not this one.
"""

import re
import secrets
from typing import NamedTuple

import pytest
from starlette.testclient import TestClient

from dashboard.access import Access, Role, Scope, may
from dashboard.api.allowed import Allowed
from dashboard.app import build, pages
from dashboard.store import people
from dashboard.store.tables import people as people_table
from dashboard.web import form_token

ANYBODY = """
GET / | GET /setup | POST /setup | GET /sign-in | POST /sign-in | GET /sign-in/code | POST /sign-in/code | GET /sign-in/school | GET /sign-in/school/back
POST /language | GET /invitation/{token} | POST /invitation/{token} | GET /healthz | GET /help
"""
SIGNED_IN = """
POST /sign-out | GET /account | POST /account/profile | POST /account/password | POST /account/second-step/begin | GET /account/second-step
POST /account/second-step | POST /account/second-step/end | POST /account/recovery-codes | POST /account/sessions/end-others
POST /account/sessions/{session:int}/end | POST /account/tokens | POST /account/tokens/{token:int}/end
GET /classes | GET /live/classes | GET /requests | GET /exam-sets | POST /exam-sets | GET /exam-sets/{id} | POST /exam-sets/{id} | POST /exam-sets/{id}/remove
GET /statistics | GET /reports/new | POST /reports/new
"""
SEES_CLASS = "GET /classes/{group} | GET /statistics/{group}"
OWN_CLASS = """
GET /classes/{group}/exam | POST /classes/{group}/mode | POST /classes/{group}/extend | POST /classes/{group}/end | POST /classes/{group}/undo
POST /classes/{group}/unblocks | POST /classes/{group}/unblocks/end
POST /classes/{group}/requests/{id:int}/grant | POST /classes/{group}/requests/{id:int}/refuse
"""
SEES_SCHOOL = "GET /reports | POST /reports/export | GET /reports/{id:int} | GET /health | GET /audit | POST /audit/export"
ADMIN = re.compile(
    r"(GET|POST) /(setup/done|why|rules|groups|devices|tiers|new-tier|modes|new-mode|services|timetable|people|school|live|backup)(/.*)?"
    r"|POST /reports/\{id:int\}/(step|forward|close)"
)
"""IT staff's own pages"""

API_SIGNED_IN = """
GET /classes | GET /requests | GET /site-sets | POST /site-sets | GET /site-sets/{set_id} | PUT /site-sets/{set_id} | DELETE /site-sets/{set_id} | POST /reports
"""
API_SEES_CLASS = "GET /classes/{group} | GET /classes/{group}/unblocks | GET /classes/{group}/most-blocked | GET /statistics/{group}"
API_OWN_CLASS = """
POST /classes/{group}/mode | DELETE /classes/{group}/mode | POST /classes/{group}/mode/extend | POST /classes/{group}/mode/undo
POST /classes/{group}/unblocks | DELETE /classes/{group}/unblocks/{name}
POST /classes/{group}/requests/{id}/grant | POST /classes/{group}/requests/{id}/refuse
"""
API_SEES_SCHOOL = """
GET /statistics | GET /reports | GET /reports/{id} | GET /tiers | GET /tiers/{tier} | GET /modes | GET /modes/{mode} | GET /services | GET /services/{kind}/{id}
GET /timetable | GET /timetable/week | GET /school | GET /school/province | GET /health | GET /audit
"""
API_ADMIN = re.compile(
    r"GET /(why|rules|groups|devices|people|school/file)(/.*)?"
    r"|(POST|PUT|PATCH|DELETE) /(rules|groups|devices|tiers|modes|services|timetable|people|school|backup)(/.*)?"
    r"|POST /reports/\{id\}/(steps|forward)"
)
WRITES = ("POST", "PUT", "PATCH", "DELETE")
STREAMS = {"GET /live/classes"}
"""they go on for ever for those who may"""
OWN, OTHER = "6a1", "6a2"
ONE_GROUP = {"/groups/{group}", "/groups/{group}/remove"}
"""where ``{group}`` is not a class of one's own, but what IT staff change"""


def listed(text: str) -> set[str]:
    return {part.strip() for line in text.strip().splitlines() for part in line.split("|") if part.strip()}


def rules(tables: dict[Access, set[str]], admin: re.Pattern[str], routes: list[str]) -> dict[str, Access]:
    """route -> what it has to ask; a route that no table has is left out."""
    found = {route: access for access, table in tables.items() for route in table}
    return found | {route: Access.ADMIN for route in routes if route not in found and admin.fullmatch(route)}


class ApiRoute(NamedTuple):
    route: str
    access: Access
    scope: Scope


def api_routes(routes) -> list[ApiRoute]:
    found = []
    for each in routes:
        if hasattr(each, "dependant"):
            (rule,) = [dependency.call for dependency in each.dependant.dependencies if isinstance(dependency.call, Allowed)]
            found += [ApiRoute(f"{method} {each.path}", rule.access, rule.scope) for method in each.methods]
        else:
            found += api_routes(getattr(getattr(each, "original_router", None), "routes", ()))
    return found


PAGES = [f"{page.method} {page.path}" for page in pages()]
PAGE_RULES = rules(
    {
        Access.ANYBODY: listed(ANYBODY),
        Access.SIGNED_IN: listed(SIGNED_IN),
        Access.SEES_CLASS: listed(SEES_CLASS),
        Access.OWN_CLASS: listed(OWN_CLASS),
        Access.SEES_SCHOOL: listed(SEES_SCHOOL),
    },
    ADMIN,
    PAGES,
)
API = api_routes(build(None).routes)
API_RULES = rules(
    {
        Access.SIGNED_IN: listed(API_SIGNED_IN),
        Access.SEES_CLASS: listed(API_SEES_CLASS),
        Access.OWN_CLASS: listed(API_OWN_CLASS),
        Access.SEES_SCHOOL: listed(API_SEES_SCHOOL),
    },
    API_ADMIN,
    [each.route for each in API],
)


def test_every_page_is_in_the_table_and_asks_what_it_says():
    assert {f"{page.method} {page.path}": page.access for page in pages()} == PAGE_RULES


def test_every_operation_is_in_the_table_and_asks_what_it_says():
    assert {each.route: each.access for each in API} == API_RULES


def test_the_documentation_has_every_operation():
    documented = build(None).openapi()["paths"]
    assert {f"{method.upper()} {path}" for path, methods in documented.items() for method in methods} == {
        f"{method} /api/v1{path}" for method, path in (each.route.split() for each in API)
    }


@pytest.mark.parametrize("each", API, ids=lambda each: each.route)
def test_what_changes_something_needs_a_scope_for_writing(each):
    writing = each.scope is Scope.BACKUP or each.scope.value.endswith(":write")
    assert writing == (each.route.split()[0] in WRITES)


PERSONS = ("visitor", "quan-tri", "hieu-truong", "co-lan")
ROLES = {"quan-tri": Role.ADMIN, "hieu-truong": Role.VIEWER, "co-lan": Role.TEACHER}


def expected(access: Access, person: str, group: str) -> bool:
    """Written out, and not asked of ``may``."""
    role = ROLES.get(person)
    if access is Access.ANYBODY:
        return True
    if role is None:
        return False
    return {
        Access.SIGNED_IN: True,
        Access.SEES_CLASS: role is not Role.TEACHER or group == OWN,
        Access.OWN_CLASS: role is Role.ADMIN or (role is Role.TEACHER and group == OWN),
        Access.SEES_SCHOOL: role is not Role.TEACHER,
        Access.ADMIN: role is Role.ADMIN,
    }[access]


def filled(path: str, group: str) -> str:
    """The path with something plausible in place of its parameters."""
    path = path.replace("{group}", group).replace("{name}", "tiktok.com").replace("{kind}", "tier").replace("{mac}", "02:00:00:00:00:01")
    return re.sub(r"\{[a-z_]+(:int)?\}", "1", path)


class Calls:
    """One browser for each person, signed in anew for every call: some calls end sessions."""

    def __init__(self, web) -> None:
        self.web = web
        self.ids = {row.login: row.id for row in web.rows(people_table.select())}
        self.client = TestClient(web.client.app, base_url="http://testserver", follow_redirects=False)
        self.client.portal = web.client.portal

    def page(self, person: str, route: str, group: str):
        method, path = route.split()
        secret = secrets.token_urlsafe(16)
        self.client.cookies.clear()
        if person == "visitor":
            self.client.cookies.set("manglanh-visitor", secret)
        else:
            self.web.run(self._begin, person, secret)
            self.client.cookies.set("manglanh", secret)
        form = {"csrf": form_token(secret)}
        return self.client.get(filled(path, group)) if method == "GET" else self.client.post(filled(path, group), data=form)

    async def _begin(self, person: str, secret: str) -> None:
        now = self.web.clock()
        async with self.web.site.store.write() as connection:
            await people.begin_session(connection, self.ids[person], secret, now, now + 3600, "test", "")

    def api(self, route: str, group: str, headers: dict[str, str]):
        method, path = route.split()
        return self.client.request(method, f"/api/v1{filled(path, group)}", headers=headers)


NOT_YOURS = "This page is not yours to open."


@pytest.mark.parametrize("group", [OWN, OTHER])
@pytest.mark.parametrize("person", PERSONS)
def test_pages_open_for_those_who_may_and_for_nobody_else(web, person, group):
    calls = Calls(web)
    wrong = []
    for page in sorted(pages(), key=lambda page: (page.path.startswith(("/setup", "/backup", "/people")), page.path)):
        route = f"{page.method} {page.path}"
        allowed = expected(page.access, person, group)
        if (allowed and route in STREAMS) or route == "POST /backup":
            continue
        answer = calls.page(person, route, group)
        denied = answer.status_code == 403 and NOT_YOURS in answer.text
        sent_away = answer.status_code == 303 and answer.headers["location"].startswith("/sign-in") and page.access is not Access.ANYBODY
        if route == "POST /sign-out" and person != "visitor":
            sent_away = False  # that is where signing out leads
        if answer.status_code >= 500 or (denied or sent_away) == allowed:
            wrong.append((route, allowed, answer.status_code, answer.headers.get("location", "")))
    assert wrong == []


@pytest.mark.parametrize("group", [OWN, OTHER])
@pytest.mark.parametrize("person", [person for person in PERSONS if person != "visitor"])
def test_operations_are_carried_out_for_those_who_may_and_for_nobody_else(web, person, group):
    calls = Calls(web)
    headers = web.token(person)
    wrong = []
    for each in sorted(API, key=lambda each: (each.scope is Scope.BACKUP, each.route)):
        if each.route == "POST /backup":
            continue
        answer = calls.api(each.route, group, headers)
        denied = answer.status_code == 403
        if answer.status_code in (401, 500) or denied == expected(each.access, person, group):
            wrong.append((each.route, answer.status_code, answer.text[:200]))
    assert wrong == []


def test_without_a_token_there_is_nothing_and_a_token_is_good_for_its_scope_only(web):
    calls = Calls(web)
    for each in API:
        assert calls.api(each.route, OWN, {}).status_code == 401, each
        assert calls.api(each.route, OWN, {"Authorization": "Bearer nobody-knows-this"}).status_code == 401, each
        others = [scope for scope in Scope if scope is not each.scope]
        assert calls.api(each.route, OWN, web.token("quan-tri", *others)).status_code == 403, each


def test_a_session_does_not_open_the_api(web):
    answer = web.as_person("quan-tri").get("/api/v1/people")
    assert answer.status_code == 401


@pytest.mark.parametrize("access", Access)
def test_may_says_what_the_table_says(access):
    from dashboard.access import Person

    for person, role in ROLES.items():
        for group in (OWN, OTHER):
            somebody = Person(1, person, person, role, "en", frozenset({OWN}) if role is Role.TEACHER else frozenset())
            assert may(access, somebody, group) == expected(access, person, group)
    assert may(access, None, OWN) == (access is Access.ANYBODY)

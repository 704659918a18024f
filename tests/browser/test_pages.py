"""Every page that a role can open: nothing that axe finds serious, small, complete without the internet, and silent on the console."""

import re
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe

from dashboard.access import Role
from dashboard.app import pages
from tests.browser.box import HOA, LAN, MINH, running
from tests.browser.content import TEACHERS, TIMETABLE, settle
from tests.browser.driving import SIZES, somebody
from tests.end_to_end.browser import keep

HEAVIEST = 100_000
"""bytes of a page with its style, script and pictures, when nothing of them is there yet"""
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
OPTIONS = {"resultTypes": ["violations"], "runOnly": {"type": "tag", "values": [*WCAG, "best-practice"]}}
WEIGHT = """[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .map(each => each.encodedBodySize).reduce((sum, size) => sum + size, 0)"""
"""also of what was in the browser's cache already"""
NO_PAGES = {"/live/classes", "/live/decisions", "/healthz", "/school/file", "/", "/sign-in/school", "/sign-in/school/back"}
"""streams, downloads and addresses that only lead on"""
ELSEWHERE = {"/setup", "/setup/done", "/sign-in", "/sign-in/code", "/invitation/{token}"}
"""pages of those who are not signed in: test_visitors, test_setting_up.py and test_it_staff.py open them"""
MAIN = (
    "/classes",
    "/classes/6a1",
    "/requests",
    "/statistics/6a1",
    "/why?name=tiktok.com&group=6a1",
    "/tiers",
    "/timetable",
    "/health",
    "/help",
)
"""seen in dark colours too"""


@pytest.fixture(scope="module")
def box(has_chromium, tmp_path_factory):
    with running(tmp_path_factory.mktemp("school"), changes=TIMETABLE) as here:
        yield here


@pytest.fixture(scope="module")
def settled(box, browser):
    settle(box, browser)


class Visitor:
    """Opens pages one by one, and keeps what is wrong with them."""

    def __init__(self, person, name):
        self.person = person
        self.name = name
        self.axe = Axe()
        self.wrong = []

    def open(self, path):
        """The addresses that the page leads to."""
        page = self.person.page
        answer = page.goto(self.person.box.url + path)
        if answer.status != 200:
            self.wrong.append(f"{path}: {answer.status}")
        self.look(path)
        return page.locator("a[href^='/'], a[href^='?']").evaluate_all("links => links.map(link => link.getAttribute('href'))")

    def look(self, path):
        """At the page that is open."""
        page = self.person.page
        weight = page.evaluate(WEIGHT)
        if not 10_000 < weight < HEAVIEST:
            self.wrong.append(f"{path}: {weight} bytes")
        for violation in self.axe.run(page, options=OPTIONS).response["violations"]:
            if violation["impact"] in ("serious", "critical"):
                self.wrong += [f"{path}: {violation['id']}: {node['html'][:160]}" for node in violation["nodes"]]
        overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if overflow > 0:
            self.wrong.append(f"{path}: {overflow} pixels wider than the window")
        name = re.sub(r"[^a-z0-9]+", "-", path.lower()).strip("-")
        keep(page, f"page-{self.name}-{name}")


def templates():
    """GET routes with their patterns."""
    return {page.path: re.compile(re.sub(r"\{[^}]+\}", "[^/?#]+", page.path)) for page in pages() if page.method == "GET"}


def walk(visitor, first):
    """Every page that links lead to from these, one for each route; the routes that were opened."""
    opened, waiting, routes = set(), list(first), templates()
    while waiting:
        path = waiting.pop(0)
        bare = urlsplit(path).path
        route = bare if bare in routes else next((each for each, pattern in routes.items() if pattern.fullmatch(bare)), None)
        if route is None or route in opened or route in NO_PAGES or route.endswith(".csv"):
            continue
        opened.add(route)
        waiting += visitor.open(path)
    return opened


WHO = {Role.ADMIN: MINH, Role.TEACHER: LAN, Role.VIEWER: HOA}


def begin_what_takes_two_steps(minh):
    """Pages that stand only after a form: links of invitations, a table's preview, the key of a second step."""
    minh.goto("/people/import")
    minh.main.locator("input[type=file]").set_input_files({"name": "giao-vien.csv", "mimeType": "text/csv", "buffer": TEACHERS.encode()})
    minh.button("Show what would change").click()
    minh.reads("Thầy Bình")
    minh.goto("/people/new")
    login = f"giao-vien-{len(minh.page.url)}-{minh.page.viewport_size['width']}"
    minh.type("Login", login)
    minh.type("Full name", "Cô Thu")
    minh.button("Make the account").click()
    minh.page.wait_for_url("**/people/links*")
    minh.goto("/account")
    minh.type("Your password", MINH.password, minh.main.locator("#second-step"))
    minh.button("Turn the second step on").click()
    minh.page.wait_for_url("**/account/second-step")


@pytest.mark.parametrize(
    ("role", "size"), [(Role.ADMIN, "phone"), (Role.ADMIN, "desktop"), (Role.TEACHER, "phone"), (Role.VIEWER, "desktop")]
)
def test_every_page_of_a_role(box, browser, settled, role, size):
    with somebody(browser, box, size, bypass_csp=True) as person:
        person.sign_in(WHO[role])
        first = ["/classes", "/classes/6a1/exam"] if role is not Role.VIEWER else ["/classes"]
        if role is Role.ADMIN:
            begin_what_takes_two_steps(person)
            first += [
                "/people/links",
                "/people/import/preview",
                "/account/second-step",
                "/why?name=tiktok.com&group=6a1",
                "/services?for=tier:thcs",
            ]
        visitor = Visitor(person, f"{role}-{size}")
        opened = walk(visitor, first)
        assert not visitor.wrong, "\n".join(visitor.wrong)
        if role is Role.ADMIN:
            previews = {"/rules/import/preview", "/devices/import/preview"}  # the same template as that of people
            assert {route for route in templates() if not route.endswith(".csv")} - NO_PAGES - ELSEWHERE - previews == opened


def test_main_pages_in_the_dark(box, browser, settled):
    with somebody(browser, box, "phone", bypass_csp=True, color_scheme="dark") as person:
        person.sign_in(MINH)
        visitor = Visitor(person, "dark-phone")
        for path in MAIN:
            visitor.open(path)
        assert not visitor.wrong, "\n".join(visitor.wrong)


@pytest.mark.parametrize("size", SIZES)
def test_pages_of_visitors(box, browser, size):
    with somebody(browser, box, size, bypass_csp=True) as person:
        visitor = Visitor(person, f"visitor-{size}")
        visitor.open("/sign-in")
        visitor.open("/help")
        for name in ("tiktok.com", "fun88.com"):
            person.page.goto(f"http://www.{name}/")
            visitor.look(name)
        assert not visitor.wrong, "\n".join(visitor.wrong)


@pytest.mark.parametrize("role", Role)
def test_the_content_security_policy_lets_every_page_work(box, browser, settled, role):
    """The walks above put it aside for axe; here it holds, and nothing on any page is refused by it."""
    with somebody(browser, box) as person:
        person.sign_in(WHO[role])
        hrefs = person.page.locator("nav.links a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
        for href in [*hrefs, "/account", "/classes/6a1", "/help"]:
            person.goto(href)

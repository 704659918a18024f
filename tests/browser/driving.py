"""A person at a browser: what is typed and tapped, counted; and what the browser complains of, kept."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request, expect

from dashboard.catalogue import translator
from gateway.cli.demo_school import SignIn
from tests.browser.box import Box
from tests.end_to_end.browser import DESKTOP, PHONE

ANSWERED = re.compile(r"^Failed to load resource: the server responded with a status of (403|409|422|503) ")
"""Chromium's own line for a page that says no (503: the block page of a site that was just opened); what a page needs and does not get is 404"""
SIZES = {"phone": PHONE, "desktop": DESKTOP}
expect.set_options(timeout=10_000)


@dataclass
class Person:
    """One page of one context."""

    box: Box
    context: BrowserContext
    page: Page
    language: str = "vi"
    taps: int = 0
    complaints: list[str] = field(default_factory=list)
    """errors on the console (refusals by the content security policy are among them), and requests to other hosts"""

    def goto(self, path: str) -> None:
        answer = self.page.goto(self.box.url + path)
        assert answer is not None
        assert answer.status < 400, f"{path}: {answer.status}"

    def tap(self, what: Locator) -> None:
        self.taps += 1
        what.click()

    def words(self, message: str, **fields: object) -> str:
        """An English text as this person's pages say it."""
        return translator(self.language)(message).format(**fields)

    def field(self, label: str, within: Locator | None = None) -> Locator:
        """``label``: in English; that the field is optional may stand behind it."""
        return (within or self.main).get_by_label(re.compile(f"^{re.escape(self.words(label))}( \\(.*\\))?$"))

    def type(self, label: str, text: str, within: Locator | None = None) -> None:
        """Tap on a field, and type."""
        self.taps += 1
        self.field(label, within).fill(text)

    def button(self, name: str, within: Locator | None = None) -> Locator:
        """``name``: in English; what is heard after it ("Remove tiktok.com") may follow."""
        return (within or self.main).get_by_role("button", name=self.words(name))

    def link(self, name: str, within: Locator | None = None) -> Locator:
        return (within or self.main).get_by_role("link", name=self.words(name))

    def card(self, title: str) -> Locator:
        """The card with this heading, given as it is shown."""
        return self.main.locator("section.card").filter(has=self.page.get_by_role("heading", name=title, exact=True))

    @property
    def main(self) -> Locator:
        return self.page.locator("main")

    def reads(self, text: str) -> None:
        """The page says so, in its main part."""
        expect(self.main).to_contain_text(text)

    def sign_in(self, person: SignIn) -> None:
        if not self.page.url.startswith(self.box.url + "/sign-in"):
            self.goto("/sign-in")
        self.type("Login or e-mail address", person.login)
        self.type("Password", person.password)
        self.tap(self.button("Sign in"))
        expect(self.field("Password")).to_have_count(0)


@contextmanager
def somebody(browser: Browser, box: Box, size: str = "phone", language: str = "vi", **options: Any) -> Iterator[Person]:
    """Somebody with a browser of their own. ``options``: of a Playwright context."""
    locale = {"vi": "vi-VN", "en": "en-GB"}[language]
    context = browser.new_context(viewport=SIZES[size], locale=locale, timezone_id="Asia/Ho_Chi_Minh", **options)
    context.set_default_timeout(10_000)
    person = Person(box, context, context.new_page(), language)

    def complain(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not ANSWERED.search(message.text):
            person.complaints.append(f"{person.page.url}: {message.text}")

    def asked(request: Request) -> None:
        """Whoever types an address or taps on a link may go elsewhere; a page by itself may not."""
        elsewhere = urlsplit(request.url).scheme != "data" and not request.url.startswith(box.url)
        if elsewhere and not request.is_navigation_request():
            person.complaints.append(f"{person.page.url} asked for {request.url}")

    person.page.on("console", complain)
    person.page.on("pageerror", lambda error: person.complaints.append(f"{person.page.url}: {error}"))
    person.page.on("request", asked)
    try:
        yield person
        assert not person.complaints, "\n".join(person.complaints)
    finally:
        context.close()

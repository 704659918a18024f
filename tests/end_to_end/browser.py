"""A real Chromium, driven by Playwright: in this network, or inside a namespace with a resolver of its own."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.end_to_end.namespaces import Namespace

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or "chromium"
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update")
SCREENSHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"
"""kept by CI"""
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 800}


@contextmanager
def chromium(space: Namespace | None = None, directory: Path | None = None, *arguments: str) -> Iterator[Browser]:
    """``space``: the namespace that it runs in; ``directory``: where the script goes that takes it there."""
    program = CHROMIUM
    if space is not None:
        assert directory is not None
        script = directory / "chromium-inside"
        script.write_text(f'#!/bin/sh\nexec {" ".join(space.prefix)} {CHROMIUM} "$@"\n')
        script.chmod(0o755)
        program = str(script)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*ARGUMENTS, *arguments])
        try:
            yield browser
        finally:
            browser.close()


def keep(page: Page, name: str) -> None:
    """A screenshot for people to look at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

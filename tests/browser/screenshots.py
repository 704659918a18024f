"""The pictures of the README, from a pretend school in use: ``python -m tests.browser.screenshots docs/images``."""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.browser.box import LAN, MINH, Box, running
from tests.browser.content import TIMETABLE, settle
from tests.browser.driving import Person, somebody
from tests.end_to_end.browser import chromium

LARGEST = 120_000


def take(page: Page, folder: Path, name: str) -> None:
    """The window as PNG. Raises AssertionError for a picture that is too large for a README."""
    path = folder / f"{name}.png"
    page.screenshot(path=path, animations="disabled", scale="css")
    assert path.stat().st_size < LARGEST, f"{path}: {path.stat().st_size} bytes"


def switch(lan: Person, title: str, mode: str) -> None:
    lan.card(title).locator(f"button[value={mode}]").click()


def pictures(box: Box, browser: Browser, folder: Path) -> None:
    with somebody(browser, box) as lan:
        lan.sign_in(LAN)
        switch(lan, "10A2", "study")
        lan.reads("10A2")
        switch(lan, "6A1", "exam")
        lan.main.get_by_label("Toán, giữa học kỳ").check()
        take(lan.page, folder, "exam-phone")
        lan.button("Start").click()
        lan.reads(lan.words("In force on all {total} workers.", total=2))
        lan.goto("/classes")
        take(lan.page, folder, "classes-phone")
    with somebody(browser, box, "desktop") as lan:
        lan.sign_in(LAN)
        take(lan.page, folder, "classes-desktop")
        switch(lan, "6A1", "normal")
        lan.reads("6A1")
    with somebody(browser, box) as pupil:
        pupil.page.goto("http://www.tiktok.com/")
        take(pupil.page, folder, "block-page-phone")
    with somebody(browser, box, "desktop") as minh:
        minh.sign_in(MINH)
        minh.goto("/why?name=game-hay.vn&group=6a1")
        take(minh.page, folder, "why-desktop")
        minh.page.set_viewport_size({"width": 1120, "height": 640})
        minh.goto("/tiers")
        take(minh.page, folder, "tiers-desktop")


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory, running(Path(directory), changes=TIMETABLE) as box:
        rule = f"--host-resolver-rules=MAP *.com:80 127.0.0.1:{box.ports.block_page}"
        with chromium(None, None, rule) as browser:
            settle(box, browser)
            pictures(box, browser, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

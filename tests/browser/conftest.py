"""For each module: one box, and one Chromium that finds the block page behind every name of `.com` and `.example`, as a pupil's would."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.box import Box, running
from tests.end_to_end.browser import CHROMIUM, chromium


@pytest.fixture(scope="session", autouse=True)
def has_chromium() -> None:
    if shutil.which(CHROMIUM) is None:
        pytest.skip("there is no Chromium here: sudo apt install chromium")


@pytest.fixture(scope="module")
def box(has_chromium, tmp_path_factory) -> Iterator[Box]:
    with running(tmp_path_factory.mktemp("school")) as here:
        yield here


@pytest.fixture(scope="module")
def browser(box) -> Iterator[Browser]:
    """After the box: Playwright's loop would be in the way of the loop that makes the people."""
    with chromium(None, None, f"--host-resolver-rules=MAP *.com:80 127.0.0.1:{box.ports.block_page}") as here:
        yield here

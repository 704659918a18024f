"""A fresh box: the code on its console, one page, and it looks after a school."""

import pytest
from playwright.sync_api import expect

from tests.browser.box import PASSWORD, running
from tests.browser.driving import SIZES, somebody
from tests.browser.test_pages import Visitor
from tests.end_to_end.browser import chromium, keep


@pytest.fixture(params=SIZES)
def size(request):
    return request.param


@pytest.fixture
def box(has_chromium, tmp_path):
    with running(tmp_path, people=()) as here:
        yield here


def test_a_box_is_set_up_with_the_code_that_it_prints(box, size):
    with chromium() as browser, somebody(browser, box, size, bypass_csp=True) as minh:
        minh.goto("/")
        minh.page.wait_for_url("**/setup")
        visitor = Visitor(minh, f"setup-{size}")
        visitor.look("/setup")
        minh.type("One-time code", "WRNG-CODE")
        minh.type("Your full name", "Nguyễn Văn Minh")
        minh.type("Login", "quan-tri")
        minh.type("Password", PASSWORD)
        minh.type("Password once more", PASSWORD)
        minh.type("Name of the school", "Trường THCS Hoa Sen")
        free = minh.main.get_by_role("group").filter(has=minh.page.locator("input[name=group_title][value='']")).first
        minh.type("Title", "7A2", free)
        minh.type("Networks or addresses", "127.0.72.0/24", free)
        minh.tap(minh.page.get_by_role("button", name=minh.words("Finish the set-up")))
        expect(minh.field("One-time code")).to_have_attribute("aria-invalid", "true")
        expect(minh.field("Name of the school")).to_have_value("Trường THCS Hoa Sen")
        keep(minh.page, f"setup-refused-{size}")
        minh.type("One-time code", box.setup_code().lower())
        minh.tap(minh.page.get_by_role("button", name=minh.words("Finish the set-up")))
        minh.reads(minh.words("The box is set up"))
        visitor.look("/setup/done")
        assert not visitor.wrong, "\n".join(visitor.wrong)
        assert box.file()["school"]["name"] == "Trường THCS Hoa Sen"
        assert box.file()["groups"][-1] == {"name": "7a2", "title": "7A2", "tier": "thcs", "clients": ["127.0.72.0/24"]}
        minh.goto("/classes")
        minh.reads("7A2")
        assert minh.page.request.get(f"{box.url}/setup").url == f"{box.url}/classes"

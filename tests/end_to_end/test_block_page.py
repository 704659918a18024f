"""A pupil's Chromium asks this resolver for a casino and a social network: it ends on the block page, and what is asked for there reaches the teacher."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
import yaml
from cryptography.hazmat.primitives import serialization
from playwright.sync_api import Browser, expect

from gateway.cli.demo_people import move_in
from gateway.cli.demo_school import SignIn
from tests.end_to_end.browser import DESKTOP, PHONE, chromium, keep
from tests.end_to_end.namespaces import Namespace, cable
from tests.end_to_end.school import COMMAND
from tests.end_to_end.waiting import eventually

BOX, PUPIL = "10.0.12.1", "10.0.12.5"
PASSWORD = "mua-thu-la-bay-2027"
TEACHER = SignIn("co-lan", "Cô Lan", "teacher", ("6a1",), PASSWORD, "")
ADMIN = SignIn("quan-tri", "Thầy Minh", "admin", (), PASSWORD, "")


@dataclass
class Place:
    """The box and a pupil's machine, with a cable between them."""

    directory: Path
    box: Namespace
    pupil: Namespace

    @property
    def config(self) -> Path:
        return self.directory / "school.yaml"

    def dig(self, name: str) -> str:
        return self.pupil.run("dig", "+short", "+time=2", "+tries=1", f"@{BOX}", name, check=False).strip()


def school(directory: Path) -> dict[str, object]:
    return {
        "school": {"name": "Trường THCS Thử Nghiệm", "contact": "0905 000 111", "counsellor": "Cô Hương, phòng 105"},
        "dns": {
            "listen": [f"{BOX}:53"],
            "workers": 1,
            "upstreams": ["127.0.0.1:9"],
            "block_answer": "page",
            "block_page": [BOX],
        },
        "lists": {"directory": str(directory / "lists")},
        "state": str(directory / "state.json"),
        "groups": [{"name": "6a1", "title": "Lớp 6A1", "tier": "thcs", "clients": ["10.0.12.0/24"]}],
        "dashboard": {"listen": f"{BOX}:8080"},
        "block_page": {"listen": [f"{BOX}:80"], "https_listen": [f"{BOX}:443"], "ca": str(directory / "school-ca.pem")},
    }


def make_authority(directory: Path) -> None:
    """The school's own authority, key and certificate in one file, as mitmproxy makes it."""
    authority = trustme.CA(organization_name="Trường Thử Nghiệm")
    key = authority._private_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (directory / "school-ca.pem").write_bytes(key + authority.cert_pem.bytes())


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Iterator[Place]:
    directory = tmp_path_factory.mktemp("school")
    make_authority(directory)
    (directory / "school.yaml").write_text(yaml.safe_dump(school(directory), allow_unicode=True))
    move_in(directory / "school.yaml", (TEACHER, ADMIN), "vi")
    with Namespace("--net", "--mount") as box, Namespace("--net", "--mount", within=box) as pupil:
        for space in (box, pupil):
            space.run("ip", "link", "set", "lo", "up")
        cable(box, pupil, ours=f"{BOX}/24", theirs=f"{PUPIL}/24", name="pupil0", mac="02:00:00:00:12:05")
        resolv = directory / "resolv.conf"
        resolv.write_text(f"nameserver {BOX}\n")
        pupil.run("mount", "--bind", str(resolv), "/etc/resolv.conf")
        here = Place(directory, box, pupil)
        with (directory / "box.log").open("wb") as log:
            command = [*box.prefix, *COMMAND, "run", "--config", str(here.config), "--metrics", ""]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            eventually(lambda: here.dig("fun88.com") == BOX, "the resolver answers with the page's address", 30)
            eventually(lambda: here.pupil.run("curl", "-s", f"http://{BOX}:8080/sign-in", check=False), "the dashboard answers", 30)
            eventually(
                lambda: here.pupil.run("curl", "-s", "-H", "Accept: text/html", "http://fun88.com/", check=False),
                "the block page answers",
                30,
            )
            yield here
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="module")
def browser(place) -> Iterator[Browser]:
    with chromium(place.pupil, place.directory) as running:
        yield running


def test_a_blocked_name_ends_on_the_block_page(place, browser):
    page = browser.new_context(viewport=PHONE, locale="vi-VN").new_page()
    answer = page.goto("http://fun88.com/khuyen-mai?x=1")
    assert answer is not None
    assert answer.status == 403
    expect(page.locator("body")).to_contain_text("111")
    expect(page.locator("body")).to_contain_text("Cô Hương")
    assert page.locator("a[href='tel:111']").count() >= 1
    assert page.context.cookies() == []
    keep(page, "block-page-phone")


def test_https_with_the_school_s_authority_shows_the_page_and_without_it_the_browser_s_own_error(place, browser):
    trusting = browser.new_context(ignore_https_errors=True, locale="vi-VN").new_page()
    trusting.goto("https://www.tiktok.com/")
    expect(trusting.locator("body")).to_contain_text("111")
    with pytest.raises(Exception, match="ERR_CERT_AUTHORITY_INVALID"):
        browser.new_context().new_page().goto("https://www.tiktok.com/")


def test_what_a_pupil_asks_for_reaches_the_teacher_who_opens_it(place, browser):
    pupil = browser.new_context(viewport=PHONE, locale="vi-VN").new_page()
    pupil.goto("http://www.tiktok.com/")
    pupil.locator("summary", has_text="Xin mở trang này").click()
    pupil.locator("textarea").first.fill("Em cần xem bài làm mẫu <b>của nhóm</b>")
    keep(pupil, "block-page-ask-phone")
    pupil.get_by_role("button", name="Gửi").first.click()
    expect(pupil.locator("body")).to_contain_text("111")
    teacher = browser.new_context(viewport=DESKTOP, locale="vi-VN").new_page()
    sign_in(teacher, TEACHER)
    teacher.goto(f"http://{BOX}:8080/requests")
    expect(teacher.locator("main")).to_contain_text("tiktok.com")
    expect(teacher.locator("main")).to_contain_text("<b>của nhóm</b>")
    assert PUPIL not in teacher.content()
    keep(teacher, "requests-desktop")
    teacher.get_by_role("button", name="Mở").first.click()
    expect(teacher.locator("main")).to_contain_text("tiktok.com")
    eventually(lambda: place.dig("www.tiktok.com") != BOX, "the class gets another answer than the block page")


def sign_in(page, person: SignIn) -> None:
    page.goto(f"http://{BOX}:8080/sign-in")
    page.fill("input[name=login]", person.login)
    page.fill("input[name=password]", person.password)
    page.get_by_role("button", name="Đăng nhập").first.click()
    page.wait_for_url("**/classes*")


def test_a_certificate_is_made_for_a_day_that_a_slow_clock_has_not_reached(place):
    """A tablet whose clock is a few hours behind must still take the page's certificate."""
    said = place.pupil.run(
        "sh", "-c", "echo | openssl s_client -connect fun88.com:443 -servername fun88.com 2>/dev/null | openssl x509 -noout -startdate"
    )
    begins = datetime.strptime(said.partition("=")[2].strip(), "%b %d %H:%M:%S %Y %Z").replace(tzinfo=UTC)
    assert begins < datetime.now(UTC) - timedelta(hours=20)

"""What a teacher does in front of a class: sign in, switch, open a site, answer a pupil. What counts is what the resolver answers in the end."""

import time
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

from gateway.cli.demo_school import EXAM_SITE
from tests.browser.box import HOA, LAN, NAM
from tests.browser.content import ask
from tests.browser.driving import SIZES, somebody
from tests.end_to_end.browser import DESKTOP, keep

EXAM_SET = "Trang kiểm tra của trường"
TAPS = 6
"""from the sign-in page to an exam: two fields, a button; the class's button, the set of sites, start"""
SECONDS = 20.0


@contextmanager
def teacher(browser, box, size="phone", who=LAN, **options):
    """A teacher who is signed in, on the page of the classes."""
    with somebody(browser, box, size, **options) as person:
        person.sign_in(who)
        yield person


def mode(person, name, title="6A1"):
    return person.card(title).locator(f"button[value={name}]")


def end_switch(person, title="6A1"):
    person.tap(person.button("End now", person.card(title)))
    expect(person.button("End now", person.card(title))).to_have_count(0)


@pytest.mark.parametrize("scripts", [True, False], ids=["javascript", "no-javascript"])
@pytest.mark.parametrize("size", SIZES)
def test_from_the_sign_in_page_to_an_exam_that_is_in_force_and_back(box, browser, size, scripts):
    with somebody(browser, box, size, java_script_enabled=scripts) as lan:
        assert not box.blocks("vnexpress.net", "6a1")
        lan.goto("/sign-in")
        began = time.monotonic()
        lan.sign_in(LAN)
        lan.tap(mode(lan, "exam"))
        lan.tap(lan.main.get_by_label(EXAM_SET))
        keep(lan.page, f"exam-{size}")
        lan.tap(lan.button("Start"))
        lan.reads(lan.words("In force on all {total} workers.", total=2))
        seconds = time.monotonic() - began
        assert box.blocks("vnexpress.net", "6a1"), "the page says that it is in force"
        assert not box.blocks(EXAM_SITE, "6a1")
        assert not box.blocks("vnexpress.net", "10a2")
        assert lan.taps <= TAPS
        assert seconds < SECONDS
        print(f"{lan.taps} taps, {seconds:.1f} s")
        expect(mode(lan, "exam")).to_have_attribute("aria-current", "true")
        keep(lan.page, f"classes-in-exam-{size}")
        lan.tap(lan.button("Undo", lan.card("6A1")))
        lan.reads(lan.words("{title} is as it was before.", title="6A1"))
        assert not box.blocks("vnexpress.net", "6a1")


@pytest.mark.parametrize("size", SIZES)
def test_study_for_15_minutes_is_extended_and_ended_while_a_colleague_looks_on(box, browser, size):
    with teacher(browser, box, size) as lan, teacher(browser, box, size, NAM) as nam:
        his = nam.card("6A1")
        length = lan.card("6A1").locator("details")
        lan.tap(length.locator("summary"))
        lan.tap(length.locator("label.segment", has_text="15"))
        lan.tap(mode(lan, "study"))
        lan.reads(lan.words("In force on all {total} workers.", total=2))
        assert box.blocks("vimeo.com", "6a1")
        expect(his.locator(".chip.mode-study")).to_be_visible()
        expect(his).to_contain_text(LAN.name)
        countdown = his.locator("time[data-until]")
        until = float(countdown.get_attribute("data-until"))
        assert until - time.time() <= 15 * 60
        lan.tap(lan.button("15 minutes", lan.card("6A1")))
        lan.reads(lan.words("{title}: 15 minutes longer.", title="6A1"))
        expect(countdown).to_have_attribute("data-until", str(until + 15 * 60))
        end_switch(lan)
        expect(his.locator(".chip.mode-normal")).to_be_visible()
        assert not box.blocks("vimeo.com", "6a1")


@pytest.mark.parametrize("size", SIZES)
def test_a_site_is_opened_for_the_class_and_closed_and_what_may_not_be_says_which_rung(box, browser, size):
    with teacher(browser, box, size) as lan:
        lan.tap(lan.page.get_by_role("link", name="6A1", exact=True))
        assert box.blocks("www.tiktok.com", "6a1")
        lan.type("Site", "https://www.TikTok.com/@manglanh")
        lan.tap(lan.button("Open this site"))
        lan.reads(lan.words("In force on all {total} workers.", total=2))
        assert not box.blocks("www.tiktok.com", "6a1")
        keep(lan.page, f"site-opened-{size}")
        lan.tap(lan.button("Close", lan.card(lan.words("Open a site"))))
        lan.reads(lan.words("In force on all {total} workers.", total=2))
        assert box.blocks("www.tiktok.com", "6a1")
        locked = "unlawful.manglanh.test"
        lan.type("Site", locked)
        lan.button("Open this site").click()
        rung = "{name} stays blocked: it is on the authorities' list, which nobody in the school can lift (rung 1)."
        lan.reads(lan.words(rung, name=locked))
        expect(lan.field("Site")).to_have_value(locked)
        lan.type("Site", "fun88.com")
        lan.button("Open this site").click()
        lan.reads("fun88.com")
        assert box.blocks("fun88.com", "6a1")
        keep(lan.page, f"site-refused-{size}")


@pytest.mark.parametrize("size", SIZES)
def test_what_a_pupil_asks_for_is_answered(box, browser, size):
    opened, refused = {"phone": ("tiktok.com", "friv.com"), "desktop": ("miniclip.com", "steampowered.com")}[size]
    with somebody(browser, box, size) as pupil, teacher(browser, box, size) as lan:
        ask(pupil, opened, "Em cần cho bài thuyết trình")
        keep(pupil.page, f"asked-{size}")
        lan.goto("/requests")
        card = lan.card(opened)
        expect(card).to_contain_text("Em cần cho bài thuyết trình")
        assert "127.0.0.1" not in lan.main.inner_text()
        keep(lan.page, f"requests-{size}")
        lan.tap(lan.button("Open", card))
        lan.reads(lan.words("opened"))
        box.await_blocked(opened, "6a1", blocked=False)
        pupil.page.goto(f"http://www.{opened}/")
        pupil.reads(pupil.words("This site is open now"))
        ask(pupil, refused, "")
        lan.goto("/requests")
        card = lan.card(refused)
        lan.tap(card.locator("summary"))
        lan.type("A short answer for the pupil", "Giờ ra chơi nhé", card)
        lan.tap(lan.button("Answer", card))
        expect(card).to_have_count(0)
        pupil.page.goto(f"http://www.{refused}/")
        pupil.reads("Giờ ra chơi nhé")
        assert box.blocks(refused, "6a1")


@pytest.mark.parametrize("size", SIZES)
def test_the_principal_sees_and_changes_nothing(box, browser, size):
    with teacher(browser, box, size, HOA) as hoa:
        hoa.reads("10A2")
        for path in ("/classes", "/classes/6a1", "/requests", "/statistics/6a1", "/reports", "/health", "/audit"):
            hoa.goto(path)
            assert hoa.main.locator("form[method=post]:not([action$='/export'])").count() == 0, path
        for path in ("/rules", "/tiers", "/people", "/why", "/live", "/backup", "/school", "/classes/6a1/exam"):
            assert hoa.page.request.get(box.url + path).status == 403, path
        hoa.goto("/account")
        csrf = hoa.page.locator("input[name=csrf]").first.input_value()
        answer = hoa.page.request.post(f"{box.url}/classes/6a1/mode", form={"csrf": csrf, "mode": "offline", "length": "15"})
        assert answer.status == 403
        assert not box.blocks("vnexpress.net", "6a1")


@pytest.mark.parametrize("size", SIZES)
def test_a_lesson_in_english(box, browser, size):
    """The sign-in page speaks as the browser does, the rest as the person chose; a tap changes it for good."""
    with somebody(browser, box, size, "en") as lan:
        lan.goto("/sign-in")
        expect(lan.page.locator("html")).to_have_attribute("lang", "en")
        lan.sign_in(LAN)
        expect(lan.page.locator("html")).to_have_attribute("lang", "vi")
        open_menu(lan)
        lan.page.get_by_role("button", name="English").click()
        expect(lan.page.locator("html")).to_have_attribute("lang", "en")
        lan.tap(mode(lan, "study"))
        lan.reads("In force on all 2 workers.")
        lan.reads("Switched by you")
        keep(lan.page, f"classes-english-{size}")
        end_switch(lan)
        open_menu(lan)
        lan.page.get_by_role("button", name="Tiếng Việt").click()
        lan.reads("Lớp của tôi")


def open_menu(person):
    if person.page.viewport_size != DESKTOP:
        person.page.locator(".menu-button").click()


FOCUS = """() => {
  const at = document.activeElement, style = getComputedStyle(at), box = at.getBoundingClientRect();
  const seen = at.closest("label")?.matches(".segment") ? getComputedStyle(at) : style;
  return {
    order: [...document.querySelectorAll("*")].indexOf(at), tag: at.tagName, value: at.value ?? "", shown: box.width > 0 && box.height > 0,
    outline: seen.outlineStyle !== "none" && parseFloat(seen.outlineWidth) >= 2, inside: box.bottom > 0 && box.top < innerHeight,
  };
}"""


def tab_to(person, wanted):
    """Tab until the button is reached: what has the focus on the way is seen, marked, and in the order of the page."""
    before = -1
    for _ in range(60):
        person.page.keyboard.press("Tab")
        focus = person.page.evaluate(FOCUS)
        assert focus["shown"], focus
        assert focus["inside"], focus
        assert focus["outline"], focus
        assert focus["order"] > before, focus
        before = focus["order"]
        if focus["value"] == wanted:
            return
    raise AssertionError(f"{wanted} cannot be reached by Tab")


@pytest.mark.parametrize("size", SIZES)
def test_with_the_keyboard_alone(box, browser, size):
    with somebody(browser, box, size) as lan:
        lan.goto("/sign-in")
        keys = lan.page.keyboard
        expect(lan.field("Login or e-mail address")).to_be_focused()
        keys.type(LAN.login)
        keys.press("Tab")
        keys.type(LAN.password)
        keys.press("Enter")
        lan.reads(lan.words("My classes"))
        keys.press("Tab")
        expect(lan.page.locator("a.skip")).to_be_focused()
        expect(lan.page.locator("a.skip")).to_be_in_viewport()
        keys.press("Enter")
        expect(lan.page.locator("main")).to_be_focused()
        tab_to(lan, "study")
        keys.press("Space")
        lan.reads(lan.words("In force on all {total} workers.", total=2))
        assert box.blocks("vimeo.com", "6a1")
        tab_to(lan, "normal")
        keys.press("Enter")
        expect(lan.card("6A1").locator(".chip.mode-normal")).to_be_visible()
        lan.reads(lan.words("In force on all {total} workers.", total=2))
        assert not box.blocks("vimeo.com", "6a1")
        end_switch(lan)

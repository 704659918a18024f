"""A school that has been in use for a while: made in the browser, on the pages themselves."""

from playwright.sync_api import Browser

from tests.browser.box import LAN, MINH, Box
from tests.browser.driving import Person, somebody

TEACHERS = "tên đăng nhập;họ tên;email;vai trò;lớp\nthay-binh;Thầy Bình;;giáo viên;6A1\nco-mai;Cô Mai;;giáo viên;3b, 10a2\n"
LESSONS = {
    "1": "07:00-07:45", "2": "07:50-08:35", "3": "08:55-09:40", "4": "09:45-10:30", "5": "10:35-11:20",
    "6": "13:00-13:45", "7": "13:50-14:35", "8": "14:55-15:40", "9": "15:45-16:30",
}  # fmt: skip
TIMETABLE = {
    "timetable": {
        "lessons": LESSONS,
        "holidays": ["2027-01-01", "2027-02-03..2027-02-14"],
        "rules": [
            {"mode": "study", "groups": ["6a1", "10a2"], "lessons": ["1", "2", "3"], "days": ["mon", "tue", "wed", "thu", "fri"]},
            {"mode": "break", "groups": ["6a1"], "at": ["08:35-08:55"]},
        ],
    }
}


def settle(box: Box, browser: Browser) -> None:
    """Rules, devices, people, sites for exams, a notice, reports and what pupils ask for."""
    with somebody(browser, box, "desktop") as minh:
        minh.sign_in(MINH)
        rule(minh, "game-hay.vn", "Học sinh chơi trong giờ học")
        device(minh, "b8:27:eb:12:34:56", "6a1", "Máy tính bảng số 1")
        minh.goto("/school")
        minh.type("Notice on the block page, Vietnamese", "Phòng tin học mở cửa giờ ra chơi.")
        minh.button("Save").first.click()
        minh.reads(minh.words("Name"))
        report(minh, "lua-dao-hoc-bong.vn", "Trang giả làm học bổng, hỏi số tài khoản.")
    with somebody(browser, box) as lan:
        lan.sign_in(LAN)
        lan.goto("/exam-sets")
        lan.type("Name", "Toán, giữa học kỳ")
        lan.type("Sites", "azota.vn\nolm.vn")
        lan.button("Save").click()
        lan.reads("azota.vn")
    with somebody(browser, box) as pupil:
        ask(pupil, "tiktok.com", "Em cần xem bài làm mẫu của nhóm.")


def rule(minh: Person, name: str, reason: str) -> None:
    minh.goto("/rules")
    minh.type("Site", name)
    minh.type("Reason", reason)
    minh.button("Add the rule").click()
    minh.reads(name)


def device(minh: Person, mac: str, group: str, label: str) -> None:
    minh.goto("/devices/known")
    form = minh.main.locator("form[action='/devices']")
    minh.type("Hardware address (MAC)", mac, form)
    minh.field("Group", form).select_option(group)
    minh.type("Label", label, form)
    minh.button("Add", form).click()
    minh.reads(mac)


def report(person: Person, site: str, note: str) -> None:
    person.goto("/reports/new")
    person.main.locator("input[type=radio]").nth(1).check()
    person.type("Which page?", site)
    person.type("What happened?", note)
    person.button("Send the report").click()
    person.reads(person.words("Reports"))


def ask(pupil: Person, name: str, note: str) -> None:
    """As a pupil, on the page that stands in the place of a blocked site."""
    answer = pupil.page.goto(f"http://www.{name}/")
    assert answer is not None
    assert answer.status == 403
    pupil.tap(pupil.main.locator("summary", has_text=pupil.words("Ask for this site")))
    pupil.main.locator("#note").fill(note)
    pupil.tap(pupil.button("Ask"))
    pupil.reads(pupil.words("Thank you"))

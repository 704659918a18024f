"""The timetable in the browser: the week as the resolver sees it, and edits of school.yaml that keep everything else."""

import itertools
import re
from datetime import date

import pytest
from sqlalchemy import select, update

from dashboard.access import Scope
from dashboard.catalogue import translator
from dashboard.settings.school_text import Text, plain
from dashboard.settings.timetable import (
    DAY,
    PRESETS,
    LessonRow,
    Wrong,
    lesson_rows,
    move_rule,
    preset_rows,
    put_lessons,
    put_rule,
    read_holidays,
    remove_rule,
    rule_id,
    week_of,
)
from dashboard.store.tables import audit, people
from policies.load import load
from policies.model import Timetable, TimetableRule
from policies.school_time import parse_range
from policies.timetable import Timetables
from tests.dashboard.conftest import NOW, SCHOOL

RULES = """    - {mode: study, groups: [6a1], lessons: ["1"]}  # tiết đầu
    - mode: exam  # thi giữa kỳ
      groups: [6a2]
      at: [08:00-09:00]
      sites: [azota.vn]
    - {mode: offline, at: ["21:00-05:30"], holidays: true}
"""


def text(directory="/x", rules=RULES) -> str:
    return SCHOOL.format(directory=directory).replace('    - {mode: study, groups: [6a1], lessons: ["1"]}\n', rules)


def changed(change, rules=RULES) -> tuple[str, dict]:
    document = Text(text(rules=rules).encode())
    change(document.document)
    after = document.changed().decode()
    return after, plain(Text(after.encode()).document)["timetable"]


# ---- the week ---------------------------------------------------------------------------------------------------


def timetables(zone="Asia/Ho_Chi_Minh", **values) -> Timetables:
    return Timetables(Timetable(**values), zone)


def shown(day, zone="Asia/Ho_Chi_Minh"):
    return [(round((span.start - day.start) / 60), round((span.end - day.start) / 60), span.mode) for span in day.spans if span.mode]


def test_a_week_is_what_the_timetable_says():
    week = week_of(
        timetables(
            lessons={"1": "07:00-07:45", "2": "07:45-08:30"},
            rules=(
                {"mode": "exam", "days": ("tue",), "lessons": ("2",), "sites": ("azota.vn",)},
                {"mode": "study", "groups": ("6a1",), "lessons": ("1", "2")},
            ),
            holidays=("2027-01-13",),
        ),
        "6a1",
        date(2027, 1, 11),
    )
    assert [day.date.day for day in week] == list(range(11, 18))
    assert shown(week[0]) == [(420, 510, "study")], "two lessons of one mode are one span"
    assert shown(week[1]) == [(420, 465, "study"), (465, 510, "exam")], "the rule that stands first wins"
    assert [day.holiday for day in week] == [False, False, True, False, False, False, False]
    assert shown(week[2]) == []
    assert shown(week[6]) == [], "not on a Sunday"


def test_the_spans_of_a_day_are_all_of_it():
    week = week_of(timetables(rules=({"mode": "offline", "at": ("21:00-05:30",)},)), "x", date(2027, 1, 11))
    for day in week:
        assert day.spans[0].start == day.start
        assert day.spans[-1].end == day.start + DAY
        assert all(one.end == other.start for one, other in zip(day.spans, day.spans[1:], strict=False))
    assert shown(week[1]) == [(0, 330, "offline"), (1260, 1440, "offline")]
    assert shown(week[6]) == [(0, 330, "offline")], "Saturday's night ends on Sunday"


def test_a_day_on_which_the_clock_is_put_forward_is_shorter():
    week = week_of(
        timetables("Europe/Berlin", rules=({"mode": "study", "days": ("sun",), "at": ("00:00-24:00",)},)), "x", date(2027, 3, 22)
    )
    assert shown(week[6]) == [(0, 23 * 60, "study")]


def test_the_spans_agree_with_the_resolver_at_every_quarter_of_an_hour():
    compiled = timetables(
        lessons={"1": "07:00-07:45"},
        rules=({"mode": "study", "lessons": ("1",)}, {"mode": "break", "at": ("07:30-09:15", "23:00-01:00")}),
        holidays=("2027-01-14",),
    )
    for day in week_of(compiled, "6a1", date(2027, 1, 11)):
        for span in day.spans:
            at = span.start
            while at < span.end:
                assert compiled.of("6a1").at(at).mode == span.mode
                at += 900


# ---- rules ------------------------------------------------------------------------------------------------------


def test_a_rule_is_added_after_the_others_and_comments_stay():
    after, timetable = changed(
        lambda document: put_rule(document, None, {"mode": "break", "groups": [], "days": ["mon"], "at": ["10:00-10:15"]})
    )
    assert timetable["rules"][-1] == {"mode": "break", "days": ["mon"], "at": ["10:00-10:15"]}
    assert "# tiết đầu" in after
    assert "# Ghi chú này phải còn nguyên." in after


def test_what_a_rule_says_anyway_is_not_written():
    _, timetable = changed(
        lambda document: put_rule(
            document,
            None,
            {
                "mode": "break",
                "groups": [],
                "days": ["mon", "tue", "wed", "thu", "fri", "sat"],
                "lessons": ["1"],
                "at": [],
                "holidays": False,
            },
        )
    )
    assert timetable["rules"][-1] == {"mode": "break", "lessons": ["1"]}


def test_a_changed_rule_keeps_its_place_and_its_comment():
    after, timetable = changed(
        lambda document: put_rule(
            document,
            1,
            {
                "mode": "exam",
                "groups": ["6a1"],
                "days": ["fri"],
                "lessons": [],
                "at": ["08:00-09:00"],
                "sites": ["olm.vn"],
                "holidays": False,
            },
        )
    )
    assert timetable["rules"][1] == {"mode": "exam", "groups": ["6a1"], "at": ["08:00-09:00"], "sites": ["olm.vn"], "days": ["fri"]}
    assert "mode: exam  # thi giữa kỳ" in after


@pytest.mark.parametrize(
    ("wanted", "field", "said"),
    [
        ({"mode": "stuyd", "lessons": ["1"]}, "mode", 'unknown mode "stuyd", did you mean "study"?'),
        ({"mode": "study", "at": ["8h"]}, "at", "'8h' is not a range of times such as 07:00-07:45"),
        ({"mode": "study", "at": ["08:00-08:00"]}, "at", "starts and ends at the same time"),
        ({"mode": "study", "groups": ["6z"], "lessons": ["1"]}, "groups", 'unknown group "6z"'),
        ({"mode": "study", "lessons": ["99"]}, "lessons", 'unknown lesson "99"'),
        ({"mode": "exam", "lessons": ["1"], "sites": ["azota..vn"]}, "sites", "empty label"),
        ({"mode": "study", "groups": ["6a1"], "lessons": ["1"]}, "mode", "There is a rule that says just this."),
    ],
)
def test_what_is_wrong_stands_at_its_field(wanted, field, said):
    with pytest.raises(Wrong) as caught:
        changed(lambda document: put_rule(document, None, wanted))
    assert list(caught.value.errors) == [field]
    assert said in str(caught.value.errors[field])


@pytest.mark.parametrize(
    ("at", "by", "modes"), [(0, 1, "exam study offline"), (2, -1, "study offline exam"), (0, -1, "study exam offline")]
)
def test_a_rule_moves_with_its_comment(at, by, modes):
    after, timetable = changed(lambda document: move_rule(document, at, by))
    assert [rule["mode"] for rule in timetable["rules"]] == modes.split()
    assert re.search(r"mode: study.*# tiết đầu", after)
    assert re.search(r"mode: exam +# thi giữa kỳ", after)


def test_the_last_rule_goes_with_its_list():
    _, timetable = changed(lambda document: [remove_rule(document, 0) for _ in range(3)])
    assert "rules" not in timetable
    assert timetable["lessons"]


def test_the_id_of_a_rule_is_its_content():
    one = TimetableRule(mode="study", lessons=("1",))
    assert rule_id(one) == rule_id(TimetableRule(mode="study", lessons=("1",), groups=()))
    assert rule_id(one) != rule_id(TimetableRule(mode="study", lessons=("2",)))


# ---- lessons ----------------------------------------------------------------------------------------------------


def rows(**changes) -> list[LessonRow]:
    found = lesson_rows({"1": "07:00-07:45", "7": "14:40-15:25", "8": "15:30-16:15"})
    return [changes.get(f"l{row.was}", row) for row in found] + changes.get("more", [])


def test_lessons_stand_as_the_day_goes():
    assert [row.name for row in lesson_rows({"b": "14:00-14:45", "a": "7:00-7:45"})] == ["a", "b"]
    assert lesson_rows({"a": "7:00-7:45"})[0] == LessonRow("a", "a", "07:00", "07:45")


def test_a_lesson_with_a_new_name_keeps_its_rules():
    _, timetable = changed(lambda document: put_lessons(document, rows(l1=LessonRow("1", "Sáng 1", "07:00", "07:45"))))
    assert timetable["lessons"] == {"Sáng 1": "07:00-07:45", "7": "14:40-15:25", "8": "15:30-16:15"}
    assert timetable["rules"][0]["lessons"] == ["Sáng 1"]


def test_two_lessons_change_their_names_with_each_other():
    _, timetable = changed(
        lambda document: put_lessons(document, rows(l1=LessonRow("1", "7", "07:00", "07:45"), l7=LessonRow("7", "1", "14:40", "15:25")))
    )
    assert timetable["lessons"] == {"7": "07:00-07:45", "1": "14:40-15:25", "8": "15:30-16:15"}
    assert timetable["rules"][0]["lessons"] == ["7"], "the rule means the same hour as before"


def test_lessons_are_added_changed_and_removed_together():
    more = [LessonRow("", "9", "16:20", "17:05"), LessonRow("", "", "", "")]
    gone = LessonRow("8", "8", "15:30", "16:15", remove=True)
    _, timetable = changed(lambda document: put_lessons(document, rows(l7=LessonRow("7", "7", "14:45", "15:30"), l8=gone, more=more)))
    assert timetable["lessons"] == {"1": "07:00-07:45", "7": "14:45-15:30", "9": "16:20-17:05"}


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        (
            {"l1": LessonRow("1", "1", "07:00", "07:45", remove=True)},
            {"name-0": "A rule speaks of this lesson; change or remove that rule first."},
        ),
        ({"more": [LessonRow("", "", "09:00", "09:45")]}, {"name-3": "A name is needed here."}),
        ({"more": [LessonRow("", "7", "09:00", "09:45")]}, {"name-3": "Another lesson has this name."}),
        ({"more": [LessonRow("", "9", "", "09:45")]}, {"start-3": "Two times such as 07:00 and 07:45 are needed here."}),
        ({"more": [LessonRow("", "9", "10:00", "09:45")]}, {"end-3": "This lesson ends before it begins."}),
    ],
)
def test_what_is_wrong_with_a_lesson_stands_in_its_row(changes, errors):
    with pytest.raises(Wrong) as caught:
        changed(lambda document: put_lessons(document, rows(**changes)))
    assert {field: str(why) for field, why in caught.value.errors.items()} == errors


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_a_day_without_overlaps(preset):
    ranges = [parse_range(f"{row.start}-{row.end}") for row in preset_rows(preset, {}, translator("vi"))]
    assert {each.end - each.start for each in ranges} == {PRESETS[preset][0] * 60}
    assert all(one.end <= other.start for one, other in itertools.pairwise(ranges))


def test_both_presets_stand_beside_each_other():
    _ = translator("vi")
    first = {row.name: f"{row.start}-{row.end}" for row in preset_rows("primary", {}, _)}
    second = preset_rows("secondary", first, _)
    assert "Sáng 1" in first
    assert second[0].name == "Sáng 1 (45 phút)"
    assert not {row.name for row in second} & first.keys()
    assert preset_rows("primary", first, _) == [], "what is there already is not offered again"


# ---- holidays ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "dates"),
    [
        ("2027-04-30", ["2027-04-30"]),
        ("30/4/2027", ["2027-04-30"]),
        ("30.04.2027 Ngày Giải phóng miền Nam", ["2027-04-30"]),
        ("Tết: 05/02/2027 - 12/02/2027", ["2027-02-05..2027-02-12"]),
        ("từ 5-2-2027 đến hết 12-2-2027", ["2027-02-05..2027-02-12"]),
        ("2027-02-05..2027-02-12", ["2027-02-05..2027-02-12"]),
        ("01/05/2027..01/05/2027", ["2027-05-01"]),
        ("\n \n02/09/2027\r\n02/09/2027\n", ["2027-09-02"]),
        ("", []),
    ],
)
def test_dates_as_people_write_them(line, dates):
    assert read_holidays(line, "lines") == dates


def test_every_line_without_a_date_is_said():
    with pytest.raises(Wrong) as caught:
        read_holidays("30/04/2027\nTết\n31/02/2027\n12/02/2027 - 05/02/2027", "lines")
    said = str(caught.value.errors["lines"])
    assert [number for number in "1234" if f"Line {number}:" in said] == ["2", "3", "4"]


# ---- the pages --------------------------------------------------------------------------------------------------


@pytest.fixture
def admin(web):
    return web.as_person("quan-tri")


def seen(page) -> str:
    return re.search(r'name="seen" value="([0-9a-f]{64})"', page.text)[1]


def lessons_form(page) -> dict[str, str]:
    fields = re.findall(r'name="((?:name|was|start|end)-\d+)" value="([^"]*)"', page.text)
    return {"seen": seen(page), "count": re.search(r'name="count" value="(\d+)"', page.text)[1]} | dict(fields)


RULE = {"mode": "study", "groups": ["6a2"], "days": ["mon", "fri"], "lessons": ["7"], "at": "11:30–13:00"}


def test_the_week_has_today_and_the_holidays(admin):
    page = admin.get("/timetable?group=6a1")
    assert page.status_code == 200
    assert "15/01/2027" in page.text or "2027-01-15" in page.text
    assert page.text.count("today") == 1
    assert page.text.count("mode-study") == 6
    assert "holiday</span>" not in page.text
    assert admin.get("/timetable?group=6a1&day=2027-02-08").text.count("holiday</span>") == 5


@pytest.mark.parametrize("query", ["group=none", "day=9999-99-99", "day=0001-01-01", "day=%00"])
def test_a_week_that_there_is_not_is_the_first_class_now(admin, query):
    page = admin.get(f"/timetable?{query}")
    assert page.status_code == 200
    assert page.text.count("today") == 1


def test_only_administrators_edit(web):
    for visitor in (web.as_person("hieu-truong"), web.as_person("co-lan")):
        for path in ("/timetable", "/timetable/rules", "/timetable/rule", "/timetable/lessons", "/timetable/holidays"):
            assert visitor.get(path).status_code == 403, path


def test_a_new_rule_is_in_the_file_and_in_the_log(web, admin):
    page = admin.get("/timetable/rule")
    answer = admin.post("/timetable/rule", RULE | {"seen": seen(page)}, seen="/timetable/rule")
    assert (answer.status_code, answer.headers["location"]) == (303, "/timetable/rules")
    rule = load(web.site.config).timetable.rules[-1]
    assert rule == TimetableRule(mode="study", groups=("6a2",), days=("mon", "fri"), lessons=("7",), at=("11:30-13:00",))
    (row,) = web.rows(select(audit).where(audit.c.action == "timetable.changed"))
    assert (row.outcome, row.object, row.detail["rule"]["groups"]) == ("done", "rules", ["6a2"])
    assert "11:30–13:00" in admin.get("/timetable/rules").text


def test_nothing_typed_is_lost_when_something_is_wrong(web, admin):
    form = RULE | {"seen": seen(admin.get("/timetable/rule")), "at": "nửa buổi", "sites": "azota.vn", "holidays": "1"}
    answer = admin.post("/timetable/rule", form, seen="/timetable/rule")
    assert answer.status_code == 422
    assert "&#39;nửabuổi&#39; is not a range" in answer.text
    for kept in (
        "nửa buổi</textarea>",
        "azota.vn</textarea>",
        'value="6a2" checked',
        'value="7" checked',
        'name="holidays" value="1" checked',
    ):
        assert kept in answer.text, kept
    assert 'value="sat" checked' not in answer.text
    assert len(load(web.site.config).timetable.rules) == 1


def test_the_loaders_words_are_said_in_vietnamese(web, admin):
    web.write(update(people).values(language="vi"))
    form = RULE | {"seen": seen(admin.get("/timetable/rule")), "at": "8h"}
    assert "không phải khoảng giờ" in admin.post("/timetable/rule", form, seen="/timetable/rule").text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lessons": [], "at": ""}, "When does it hold?"),
        ({"days": []}, "Tick at least one day."),
        ({"sites": "azota.vn http://"}, "“http://” is not the name of a site"),
    ],
)
def test_a_rule_needs_a_time_and_a_day(admin, change, said):
    answer = admin.post("/timetable/rule", RULE | {"seen": seen(admin.get("/timetable/rule"))} | change, seen="/timetable/rule")
    assert answer.status_code == 422
    assert said in answer.text


def test_a_form_of_an_older_file_is_refused_and_kept(web, admin):
    old = seen(admin.get("/timetable/rule"))
    web.site.config.write_text(web.site.config.read_text() + "# khác\n")
    answer = admin.post("/timetable/rule", RULE | {"seen": old}, seen="/timetable/rule")
    assert answer.status_code == 409
    assert 'value="6a2" checked' in answer.text
    assert admin.post("/timetable/rule", RULE | {"seen": seen(answer)}, seen="/timetable/rule").status_code == 303


def test_a_rule_is_changed_moved_and_removed(web, admin):
    admin.post("/timetable/rule", RULE | {"seen": seen(admin.get("/timetable/rule"))}, seen="/timetable/rule")
    first, second = load(web.site.config).timetable.rules
    path = f"/timetable/rules/{rule_id(second)}"
    page = admin.get("/timetable/rules")
    assert admin.post(f"{path}/move", {"by": "up", "seen": seen(page)}, seen="/timetable/rules").status_code == 303
    assert load(web.site.config).timetable.rules == (second, first)
    page = admin.get(path)
    assert 'value="6a2" checked' in page.text
    assert admin.post(path, RULE | {"mode": "break", "seen": seen(page)}, seen=path).status_code == 303
    changed = load(web.site.config).timetable.rules[0]
    assert changed == second.model_copy(update={"mode": "break"})
    path = f"/timetable/rules/{rule_id(changed)}"
    assert admin.post(f"{path}/remove", {"seen": seen(admin.get(path))}, seen=path).status_code == 303
    assert load(web.site.config).timetable.rules == (first,)
    assert "# Ghi chú này phải còn nguyên." in web.site.config.read_text()


def test_a_rule_that_there_is_not(admin):
    assert admin.get("/timetable/rules/000000000000").status_code == 404
    for action in ("", "/move", "/remove"):
        assert admin.post(f"/timetable/rules/000000000000{action}", RULE, seen="/timetable/rule").status_code == 404


def test_a_preset_changes_nothing_until_it_is_saved(web, admin):
    before = web.site.config.read_bytes()
    page = admin.get("/timetable/lessons?preset=secondary")
    assert web.site.config.read_bytes() == before
    answer = admin.post("/timetable/lessons", lessons_form(page), seen="/timetable/lessons")
    assert answer.status_code == 303
    lessons = load(web.site.config).timetable.lessons
    assert lessons["Sáng 1"] == "07:00-07:45"
    assert lessons["Chiều 5"] == "16:35-17:20"
    assert len(lessons) == 13


def test_a_wrong_row_comes_back_where_it_was(web, admin):
    form = lessons_form(admin.get("/timetable/lessons")) | {"name-4": "9", "start-4": "10:00", "end-4": "09:00"}
    answer = admin.post("/timetable/lessons", form, seen="/timetable/lessons")
    assert answer.status_code == 422
    assert re.search(r'name="end-3" value="09:00"[^>]*aria-invalid="true"', answer.text), "row 3 was empty and is not shown again"
    assert "9" not in load(web.site.config).timetable.lessons


def test_a_lesson_is_removed(web, admin):
    form = lessons_form(admin.get("/timetable/lessons")) | {"remove-1": "1"}
    assert admin.post("/timetable/lessons", form, seen="/timetable/lessons").status_code == 303
    assert list(load(web.site.config).timetable.lessons) == ["1", "8"]


def test_holidays_are_added_removed_and_rewritten(web, admin):
    def send(**fields):
        return admin.post("/timetable/holidays", fields | {"seen": seen(admin.get("/timetable/holidays"))}, seen="/timetable/holidays")

    def holidays():
        return load(web.site.config).timetable.holidays

    assert send(lines="Giải phóng: 30/04/2027 - 01/05/2027\n02/09/2027").status_code == 303
    assert holidays() == ("2027-02-05..2027-02-12", "2027-04-30..2027-05-01", "2027-09-02")
    assert send(remove="2027-09-02").status_code == 303
    assert holidays() == ("2027-02-05..2027-02-12", "2027-04-30..2027-05-01")
    assert send(whole="2027-02-04..2027-02-12").status_code == 303
    assert holidays() == ("2027-02-04..2027-02-12",)
    wrong = send(lines="hôm nào đó")
    assert wrong.status_code == 422
    assert "hôm nào đó</textarea>" in wrong.text
    assert send(whole="").status_code == 303
    assert holidays() == ()


# ---- the API ----------------------------------------------------------------------------------------------------


def test_the_whole_timetable_is_replaced(web):
    headers = web.token("quan-tri")
    first = web.client.get("/api/v1/timetable", headers=headers)
    assert first.json()["rules"][0]["lessons"] == ["1"]
    wanted = {"lessons": {"1": "07:10-07:55"}, "rules": [{"mode": "study", "lessons": ["1"]}], "holidays": ["2027-04-30"]}
    put = web.client.put("/api/v1/timetable", json=wanted, headers=headers | {"If-Match": first.headers["etag"]})
    assert put.status_code == 200, put.text
    assert put.json()["lessons"] == {"1": "07:10-07:55"}
    assert put.json()["rules"][0]["days"] == ["mon", "tue", "wed", "thu", "fri", "sat"]
    again = web.client.put("/api/v1/timetable", json=wanted, headers=headers | {"If-Match": first.headers["etag"]})
    assert again.status_code == 412
    assert web.client.put("/api/v1/timetable", json=wanted, headers=headers).status_code == 422, "without If-Match"
    same = web.client.put("/api/v1/timetable", json=wanted, headers=headers | {"If-Match": put.headers["etag"]})
    assert same.headers["etag"] == put.headers["etag"], "the same again changes nothing"


@pytest.mark.parametrize(
    "wanted",
    [
        {"lessons": {"1": "x"}},
        {"rules": [{"mode": "nope", "at": ["07:00-08:00"]}]},
        {"rules": [{"mode": "study"}]},
        {"rules": [{"mode": "study", "lessons": ["1"]}]},
        {"holidays": ["30/04/2027"]},
        {"holidays": [" "]},
        {"more": 1},
    ],
)
def test_a_timetable_that_says_nonsense_is_refused(web, wanted):
    headers = web.token("quan-tri") | {"If-Match": "*"}
    before = web.site.config.read_bytes()
    assert web.client.put("/api/v1/timetable", json=wanted, headers=headers).status_code == 422
    assert web.site.config.read_bytes() == before


def test_an_empty_timetable_is_one(web):
    answer = web.client.put("/api/v1/timetable", json={}, headers=web.token("quan-tri") | {"If-Match": "*"})
    assert answer.json() == {"lessons": {}, "rules": [], "holidays": []}


def test_a_week_for_a_program(web):
    headers = web.token("hieu-truong", Scope.SCHOOL_READ)
    week = web.client.get("/api/v1/timetable/week?group=6a1", headers=headers).json()
    assert week["days"][0]["date"] == "2027-01-11"
    (study,) = [span for span in week["days"][4]["spans"] if span["mode"]]
    assert (study["mode"], study["end"] - study["start"]) == ("study", 45 * 60)
    assert study["start"] < NOW
    assert web.client.get("/api/v1/timetable/week?group=none", headers=headers).status_code == 404
    assert web.client.get("/api/v1/timetable/week?group=6a1&day=0001-01-01", headers=headers).status_code == 422
    assert web.client.put("/api/v1/timetable", json={}, headers=headers | {"If-Match": "*"}).status_code == 403

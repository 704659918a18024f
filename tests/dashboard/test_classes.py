"""What a teacher does with a class, by the pages: cards, a tap, undo, a colleague who was quicker, opening a site."""

import asyncio
import json
import re
import time

import pytest
from sqlalchemy import delete, insert, select

from dashboard.access import Role
from dashboard.store.tables import assignments, audit, requests, sessions, site_sets
from dashboard.store.tables import people as people_table
from policies.changes import switch_mode
from policies.model import Override
from policies.state import read_state, update_state
from tests.dashboard.conftest import NOW

LESSON_ENDS = NOW + 300
"""15:25: the bell of lesson 7"""


def state(web):
    return read_state(web.box.state)


def override(web, group="6a1"):
    return next((each for each in state(web).overrides if each.group == group), None)


def seen(page: str, group: str = "6a1") -> str:
    """What the page says that it showed of the class."""
    form = page[page.index(f'action="/classes/{group}/mode"') :]
    return re.search(r'name="seen" value="([^"]+)"', form)[1]


def tap(visitor, group="6a1", mode="study", length="lesson", path="/classes", page=None, **fields):
    """One tap on a card, from the page as it is, or as it was."""
    page = page or visitor.get(path).text
    data = {"mode": mode, "length": length, "list": "1", "seen": seen(page, group), **fields}
    return visitor.post(f"/classes/{group}/mode", data, seen=path)


def flash(visitor, path="/classes") -> str:
    notices = re.findall(r'<div class="notice (\w+)"[^>]*>.*?<p>(.*?)</p>', visitor.get(path).text, re.DOTALL)
    return " / ".join(f"{kind}: {text}" for kind, text in notices)


class TestTheList:
    def test_the_front_door_leads_to_the_classes_or_to_signing_in(self, web):
        assert web.visitor().get("/").headers["location"] == "/sign-in"
        assert web.as_person("co-lan").get("/").headers["location"] == "/classes"

    def test_a_teacher_sees_own_classes_and_no_others(self, web):
        page = web.as_person("co-lan").get("/classes").text
        assert "Lớp 6A1" in page
        assert "Lớp 6A2" not in page
        assert "Giáo viên" not in page

    def test_an_administrator_sees_every_class_and_may_switch_it(self, web):
        page = web.as_person("quan-tri").get("/classes").text
        assert all(title in page for title in ("Lớp 6A1", "Lớp 6A2", "Lớp 3B", "Giáo viên"))
        assert 'action="/classes/3b/mode"' in page

    def test_a_viewer_sees_every_class_and_has_no_button(self, web):
        visitor = web.as_person("hieu-truong")
        page = visitor.get("/classes").text
        assert "Lớp 6A1" in page
        assert "Lớp 3B" in page
        assert "/mode" not in page
        detail = visitor.get("/classes/6a1")
        assert detail.status_code == 200
        assert "/mode" not in detail.text
        assert "/unblocks" not in detail.text

    def test_a_class_of_a_substitute_is_there_for_its_day_only(self, web):
        (lan,) = web.rows(select(people_table.c.id).where(people_table.c.login == "co-lan"))[0]
        web.write(insert(assignments).values(person_id=lan, group_name="3b", since=NOW - 10, until=NOW + 10))
        visitor = web.as_person("co-lan")
        assert "Lớp 3B" in visitor.get("/classes").text
        web.clock.now += 11
        assert "Lớp 3B" not in visitor.get("/classes").text
        assert visitor.get("/classes/3b").status_code == 403

    def test_another_teachers_class_is_not_shown_and_not_switched(self, web):
        visitor = web.as_person("co-lan")
        assert visitor.get("/classes/6a2").status_code == 403
        for path in ("mode", "extend", "end", "undo", "unblocks", "unblocks/end"):
            assert visitor.post(f"/classes/6a2/{path}", {"mode": "offline"}, seen="/classes").status_code == 403
        assert state(web).overrides == ()

    def test_a_teacher_without_a_class_is_told_what_to_do(self, web):
        web.add_person("co-moi", Role.TEACHER)
        assert "You have no class yet" in web.as_person("co-moi").get("/classes").text

    def test_a_class_that_the_school_does_not_have(self, web):
        visitor = web.as_person("quan-tri")
        assert visitor.get("/classes/9z9").status_code == 404
        assert visitor.post("/classes/9z9/mode", {"mode": "study"}, seen="/classes").status_code == 404

    def test_open_requests_are_counted(self, web):
        for name in ("a.vn", "b.vn"):
            web.write(insert(requests).values(at=NOW, group_name="6a1", name=name))
        web.write(insert(requests).values(at=NOW, group_name="6a1", name="c.vn", state="granted"))
        web.write(insert(requests).values(at=NOW, group_name="6a2", name="d.vn"))
        assert "2 requests" in web.as_person("co-lan").get("/classes").text


class TestManyClasses:
    @pytest.fixture
    def school_directory(self, school_directory):
        path = school_directory / "school.yaml"
        more = "".join(f"  - {{name: x{n}, title: Lớp X{n}, tier: thcs, clients: [10.1.{n}.0/24]}}\n" for n in range(100))
        path.write_text(path.read_text(encoding="utf-8").replace("timetable:\n", more + "timetable:\n", 1), encoding="utf-8")
        return school_directory

    def test_a_hundred_classes_are_rows_on_pages_that_stay_small_and_quick(self, web):
        visitor = web.as_person("quan-tri")
        pages = [visitor.get(f"/classes?page={n}") for n in (1, 2, 3)]
        found = {name for page in pages for name in re.findall(r'id="class-(\w[\w-]*)"', page.text)}
        assert len(found) == 105
        assert all(len(page.content) < 100_000 for page in pages)
        took = []
        for _ in range(20):
            began = time.perf_counter()
            visitor.get("/classes")
            took.append(time.perf_counter() - began)
        assert sorted(took)[10] < 0.05

    @pytest.mark.parametrize("page", ["0", "-1", "99999", "x", "1e9", "٣"])
    def test_a_page_that_there_is_not_is_the_nearest(self, web, page):
        assert web.as_person("quan-tri").get("/classes", params={"page": page}).status_code == 200

    def test_search_finds_a_class_and_then_shows_it_as_a_card(self, web):
        page = web.as_person("quan-tri").get("/classes", params={"q": "lớp x42"}).text
        assert 'action="/classes/x42/mode"' in page
        assert "Lớp X41" not in page

    def test_what_is_searched_for_is_text(self, web):
        page = web.as_person("quan-tri").get("/classes", params={"q": "<script>alert(1)</script>"}).text
        assert "<script>alert" not in page
        assert "No class is called that" in page

    def test_twelve_cards_are_below_the_limit(self, web):
        web.add_person("co-nhieu", Role.TEACHER, tuple(f"x{n}" for n in range(12)))
        page = web.as_person("co-nhieu").get("/classes")
        assert page.text.count("/mode") == 12
        assert len(page.content) < 100_000


class TestSwitching:
    def test_one_tap_holds_until_the_bell_and_says_that_it_is_in_force(self, web):
        visitor = web.as_person("co-lan")
        assert "For this lesson, until 15:25" in visitor.get("/classes").text
        answer = tap(visitor)
        assert (answer.status_code, answer.headers["location"]) == (303, "/classes")
        made = override(web)
        assert (made.mode, made.since, made.until, made.by) == ("study", NOW, LESSON_ENDS, "Co-Lan (co-lan)")
        page = visitor.get("/classes").text
        assert "Lớp 6A1: Study until 15:25. In force on all 2 workers." in page
        assert "Switched by you at 15:20." in page
        assert "5 min left" in page
        row = web.rows(select(audit).where(audit.c.action == "class.mode"))[0]
        assert (row.by, row.object, row.outcome, row.detail["mode"]) == ("Co-Lan (co-lan)", "6a1", "done", "study")

    @pytest.mark.parametrize("mode", ["normal", "study", "break", "offline"])
    def test_every_mode_is_one_tap(self, web, mode):
        visitor = web.as_person("co-lan")
        tap(visitor, mode=mode)
        assert override(web).mode == mode
        assert re.search(rf'value="{mode}" aria-current="true"', visitor.get("/classes").text)

    @pytest.mark.parametrize("minutes", [15, 30, 45, 90])
    def test_for_some_minutes(self, web, minutes):
        tap(web.as_person("co-lan"), length=str(minutes))
        assert override(web).until == NOW + minutes * 60

    @pytest.mark.parametrize(("clock", "seconds"), [("16:00", 2400), ("15:21", 60), ("15:20", 86400), ("07:05", 15 * 3600 + 45 * 60)])
    def test_until_a_time_which_is_its_next(self, web, clock, seconds):
        tap(web.as_person("co-lan"), length="until", length_until=clock)
        assert override(web).until == NOW + seconds

    @pytest.mark.parametrize(
        ("length", "until"),
        [("until", ""), ("until", "25:00"), ("until", "<b>"), ("x", ""), ("0", ""), ("1441", ""), ("-5", ""), ("9" * 8, ""), ("٤٥", "")],
    )
    def test_a_length_that_is_none_changes_nothing(self, web, length, until):
        visitor = web.as_person("co-lan")
        tap(visitor, length=length, length_until=until)
        assert state(web).overrides == ()
        assert flash(visitor).startswith("bad: ")

    def test_where_no_lesson_is_on_the_label_says_45_minutes(self, web):
        web.clock.now = NOW + 3 * 3600
        visitor = web.as_person("co-lan")
        assert "No lesson is on: for 45 minutes, until 19:05" in visitor.get("/classes").text
        tap(visitor)
        assert override(web).until == web.clock.now + 45 * 60

    def test_it_ends_at_the_bell_by_itself_and_is_not_shown_any_more(self, web):
        visitor = web.as_person("co-lan")
        tap(visitor, mode="offline")
        web.clock.now = LESSON_ENDS - 1
        assert 'value="offline" aria-current' in visitor.get("/classes").text
        web.clock.now = LESSON_ENDS
        page = visitor.get("/classes").text
        assert 'value="normal" aria-current' in page
        assert "Nobody has switched it." in page
        assert "End now" not in page

    def test_the_timetable_is_named_where_it_rules(self, web):
        web.clock.now = NOW - (15 * 3600 + 20 * 60) + 7 * 3600 + 600  # 07:10: lesson 1 is study for 6a1
        page = web.as_person("co-lan").get("/classes").text
        assert "By the timetable." in page
        assert "until 07:45" in page
        assert 'value="study" aria-current' in page

    def test_a_mode_that_there_is_not(self, web):
        visitor = web.as_person("co-lan")
        tap(visitor, mode="<script>")
        assert flash(visitor) == "bad: There is no such mode."
        assert state(web).overrides == ()

    def test_a_reason_is_kept_and_escaped(self, web):
        visitor = web.as_person("co-lan")
        tap(visitor, reason="<script>alert(1)</script>")
        assert override(web).reason == "<script>alert(1)</script>"
        for path in ("/classes", "/classes/6a1"):
            page = visitor.get(path).text
            assert "<script>alert" not in page
            assert "&lt;script&gt;alert(1)" in page

    def test_a_reason_that_is_too_long_is_refused(self, web):
        visitor = web.as_person("co-lan")
        tap(visitor, reason="x" * 201)
        assert "too long" in flash(visitor)
        assert state(web).overrides == ()

    def test_the_same_form_twice_is_one_change(self, web):
        visitor = web.as_person("co-lan")
        page = visitor.get("/classes").text
        data = {"mode": "study", "length": "15", "seen": seen(page), "once": re.search(r'name="once" value="([^"]+)"', page)[1]}
        first, second = (visitor.post("/classes/6a1/mode", data, seen="/classes") for _ in range(2))
        assert (first.status_code, second.status_code) == (303, 303)
        assert state(web).generation == 1

    def test_whoever_goes_back_and_chooses_otherwise_is_heard(self, web):
        visitor = web.as_person("co-lan")
        page = visitor.get("/classes").text
        common = {"length": "15", "seen": seen(page), "once": re.search(r'name="once" value="([^"]+)"', page)[1]}
        assert "/exam" in visitor.post("/classes/6a1/mode", {"mode": "exam", **common}, seen="/classes").headers["location"]
        visitor.post("/classes/6a1/mode", {"mode": "study", **common}, seen="/classes")
        assert override(web).mode == "study"

    def test_a_worker_that_lags_is_told(self, web):
        web.box.lag = 1
        web.site.changes.in_force = _at_once(web)
        visitor = web.as_person("co-lan")
        tap(visitor)
        page = visitor.get("/classes").text
        assert "Saved, but only 0 of 2 workers have taken it up." in page
        assert "taking effect: 0 of 2" in page

    def test_a_lag_that_another_class_causes_is_not_this_classs(self, web):
        visitor = web.as_person("co-lan")
        tap(visitor)
        web.box.lag = 1
        web.site.changes.in_force = _at_once(web)
        tap(web.as_person("thay-minh"), "6a2")
        assert "taking effect" not in visitor.get("/classes").text

    def test_without_a_resolver_nothing_is_said_to_be_in_force(self, web):
        web.box.running = 0
        visitor = web.as_person("co-lan")
        tap(visitor)
        page = visitor.get("/classes").text
        assert "Saved. No resolver runs here now" in page
        assert "no resolver runs" in page
        assert "In force" not in page

    def test_a_clock_in_doubt_turns_the_timetables_off_and_says_so(self, web):
        reports = web.box.workers
        web.box.workers = lambda: [report._replace(clock_trusted=False) for report in reports()]
        web.clock.now = NOW - (15 * 3600 + 20 * 60) + 7 * 3600 + 600
        visitor = web.as_person("co-lan")
        page = visitor.get("/classes").text
        assert "the timetables are off" in page
        assert 'value="normal" aria-current' in page
        assert "No lesson is on" in page
        tap(visitor)
        assert override(web).until == web.clock.now + 45 * 60

    def test_a_full_disk_changes_nothing_and_says_so(self, web, monkeypatch):
        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("policies.state.write_state", full)
        visitor = web.as_person("co-lan")
        tap(visitor)
        assert "No space left on device" in flash(visitor)
        assert state(web).overrides == ()
        assert web.rows(select(audit.c.outcome).where(audit.c.action == "class.mode"))[0].outcome == "failed"


def _at_once(web):
    """``in_force`` that does not wait for workers that will not come."""
    wait = type(web.site.changes).in_force
    return lambda generation: wait(web.site.changes, generation, within=0.0)


class TestGoingOn:
    def test_extending_by_a_quarter_of_an_hour(self, web):
        visitor = web.as_person("co-lan")
        tap(visitor)
        visitor.post("/classes/6a1/extend", {"list": "1", "seen": seen(visitor.get("/classes").text)}, seen="/classes")
        assert override(web).until == LESSON_ENDS + 900
        assert "15 minutes longer" in flash(visitor)

    def test_never_beyond_a_day(self, web):
        visitor = web.as_person("co-lan")
        tap(visitor, length="until", length_until="15:15")
        visitor.post("/classes/6a1/extend", {}, seen="/classes")
        assert override(web).until == NOW + 86400
        visitor.post("/classes/6a1/extend", {"list": "1"}, seen="/classes")
        assert override(web).until == NOW + 86400
        assert "bad: A switch lasts a day at most." in flash(visitor)

    def test_nothing_to_extend_and_nothing_to_end(self, web):
        visitor = web.as_person("co-lan")
        for path in ("extend", "end"):
            visitor.post(f"/classes/6a1/{path}", {"list": "1"}, seen="/classes")
            assert flash(visitor).startswith("bad: No switch is on")
        assert state(web).generation == 2  # refused: the state says the same as before
        assert state(web).overrides == ()

    def test_ending_lets_the_timetable_speak(self, web):
        web.clock.now = NOW - (15 * 3600 + 20 * 60) + 7 * 3600 + 600
        visitor = web.as_person("co-lan")
        tap(visitor, mode="break")
        visitor.post("/classes/6a1/end", {"list": "1", "seen": seen(visitor.get("/classes").text)}, seen="/classes")
        page = visitor.get("/classes").text
        assert "the timetable counts again" in page
        assert 'value="study" aria-current' in page


class TestUndo:
    def test_undo_puts_back_exactly_what_held_before(self, web):
        visitor = web.as_person("co-lan")
        tap(visitor, mode="study", length="90", reason="ôn tập")
        before = override(web)
        web.clock.now += 60
        tap(visitor, mode="offline", length="15")
        page = visitor.get("/classes").text
        assert "/classes/6a1/undo" in page
        visitor.post("/classes/6a1/undo", {"list": "1", "seen": seen(page)}, seen="/classes")
        assert override(web) == before
        assert "Lớp 6A1 is as it was before." in flash(visitor)
        assert web.rows(select(audit).where(audit.c.action == "class.undo"))[0].outcome == "done"

    def test_undo_of_the_first_switch_leaves_none(self, web):
        visitor = web.as_person("co-lan")
        tap(visitor)
        visitor.post("/classes/6a1/undo", {}, seen="/classes")
        assert override(web) is None

    def test_undo_of_an_end_puts_the_switch_back(self, web):
        visitor = web.as_person("co-lan")
        tap(visitor)
        before = override(web)
        visitor.post("/classes/6a1/end", {}, seen="/classes")
        visitor.post("/classes/6a1/undo", {}, seen="/classes")
        assert override(web) == before

    def test_what_would_have_ended_by_now_does_not_come_back(self, web):
        visitor = web.as_person("co-lan")
        tap(visitor, mode="study", length="15")
        tap(visitor, mode="offline", length="90")
        web.clock.now += 901
        visitor.post("/classes/6a1/undo", {}, seen="/classes")
        assert override(web) is None

    def test_an_undo_is_not_undone(self, web):
        visitor = web.as_person("co-lan")
        tap(visitor)
        visitor.post("/classes/6a1/undo", {}, seen="/classes")
        assert "/undo" not in visitor.get("/classes").text
        visitor.post("/classes/6a1/undo", {"list": "1"}, seen="/classes")
        assert flash(visitor) == "bad: There is nothing to undo."

    def test_a_colleagues_later_change_is_not_undone(self, web):
        visitor, colleague = web.as_person("co-lan"), web.as_person("quan-tri")
        tap(visitor)
        tap(colleague, mode="break")
        assert "/undo" not in visitor.get("/classes").text
        visitor.post("/classes/6a1/undo", {"list": "1"}, seen="/classes")
        assert flash(visitor) == "bad: Quan-Tri has changed this class since; only the latest change can be undone."
        assert override(web).mode == "break"

    def test_a_change_from_the_command_line_is_not_undone(self, web):
        visitor = web.as_person("co-lan")
        tap(visitor)
        typed = Override(group="6a1", mode="offline", since=NOW + 1, until=NOW + 600, by="root")
        update_state(web.box.state, lambda old: switch_mode(old, typed), NOW)
        web.clock.now += 2
        visitor.post("/classes/6a1/undo", {"list": "1"}, seen="/classes")
        assert "root has changed this class since" in flash(visitor)
        assert override(web) == typed

    def test_what_has_ended_by_itself_is_not_undone(self, web):
        visitor = web.as_person("co-lan")
        tap(visitor)
        web.clock.now = LESSON_ENDS + 1
        assert "/undo" not in visitor.get("/classes").text
        visitor.post("/classes/6a1/undo", {"list": "1"}, seen="/classes")
        assert "ended by itself" in flash(visitor)

    def test_it_is_offered_for_ten_minutes(self, web):
        visitor = web.as_person("co-lan")
        tap(visitor, length="90")
        assert "/undo" in visitor.get("/classes").text
        web.clock.now += 601
        assert "/undo" not in visitor.get("/classes").text


class TestColleagues:
    def test_whoever_was_quicker_is_named_and_not_overwritten(self, web):
        visitor, colleague = web.as_person("co-lan"), web.as_person("quan-tri")
        stale = visitor.get("/classes").text
        tap(colleague, mode="break")
        tap(visitor, mode="offline", page=stale)
        assert override(web).mode == "break"
        page = visitor.get("/classes").text
        assert "Quan-Tri switched this class to “Break” at 15:20; please look again. Nothing was changed." in page
        assert "Switched by Quan-Tri at 15:20." in page
        tap(visitor, mode="offline", page=page)
        assert override(web).mode == "offline"

    def test_a_colleague_who_ended_it_is_named(self, web):
        visitor, colleague = web.as_person("co-lan"), web.as_person("quan-tri")
        tap(visitor)
        stale = visitor.get("/classes").text
        colleague.post("/classes/6a1/end", {}, seen="/classes")
        visitor.post("/classes/6a1/extend", {"list": "1", "seen": seen(stale)}, seen="/classes")
        assert flash(visitor) == "bad: Quan-Tri ended the switch of this class; please look again. Nothing was changed."

    def test_what_ended_by_itself_is_no_conflict(self, web):
        visitor, colleague = web.as_person("co-lan"), web.as_person("quan-tri")
        tap(colleague, mode="break")
        stale = visitor.get("/classes").text
        web.clock.now = LESSON_ENDS + 1
        tap(visitor, mode="offline", page=stale)
        assert override(web).mode == "offline"

    def test_ones_own_change_on_another_device_is_no_conflict(self, web):
        visitor = web.as_person("co-lan")
        stale = visitor.get("/classes").text
        tap(visitor)
        tap(visitor, mode="offline", page=stale)
        assert override(web).mode == "offline"

    def test_an_extension_by_a_colleague_is_seen(self, web):
        visitor, colleague = web.as_person("co-lan"), web.as_person("quan-tri")
        tap(colleague, mode="break")
        stale = visitor.get("/classes").text
        colleague.post("/classes/6a1/extend", {}, seen="/classes")
        tap(visitor, mode="offline", page=stale)
        assert override(web).mode == "break"

    @pytest.mark.parametrize("mark", ["", "nan~x", "inf~x", "1~x", "<script>", "~", "9" * 90])
    def test_a_mark_that_is_none(self, web, mark):
        tap(web.as_person("quan-tri"), mode="break")
        visitor = web.as_person("co-lan")
        answer = visitor.post("/classes/6a1/mode", {"mode": "offline", "length": "15", "seen": mark, "list": "1"}, seen="/classes")
        assert answer.status_code == 303
        assert override(web).mode == ("break" if mark else "offline")  # without a mark nothing was said to have been seen

    def test_two_at_once_one_is_told_of_the_other(self, web):
        """Both from the same page: one switch is made, whoever it is, and the other person is told."""
        visitors = {"break": web.as_person("co-lan"), "offline": web.as_person("quan-tri")}
        stale = {mode: visitor.get("/classes").text for mode, visitor in visitors.items()}
        _together(
            web, [(visitors[mode], "6a1", {"mode": mode, "length": "15", "list": "1", "seen": seen(stale[mode])}) for mode in visitors]
        )
        made = override(web).mode
        told = {mode: flash(visitor) for mode, visitor in visitors.items()}
        assert "In force on all 2 workers" in told.pop(made)
        assert "please look again" in next(iter(told.values()))


class TestForty:
    @pytest.fixture
    def school_directory(self, school_directory):
        path = school_directory / "school.yaml"
        more = "".join(f"  - {{name: x{n}, tier: thcs, clients: [10.1.{n}.0/24]}}\n" for n in range(40))
        path.write_text(path.read_text(encoding="utf-8").replace("timetable:\n", more + "timetable:\n", 1), encoding="utf-8")
        return school_directory

    def test_forty_at_the_bell_are_few_generations_and_each_is_answered(self, web):
        visitors = []
        for n in range(40):
            web.add_person(f"gv{n}", Role.TEACHER, (f"x{n}",))
            visitors.append(web.as_person(f"gv{n}"))
        sent = [(visitor, f"x{n}", {"mode": "study", "length": "lesson", "list": "1", "seen": "-"}) for n, visitor in enumerate(visitors)]
        answers = _together(web, sent)
        assert answers == [303] * 40
        now = state(web)
        assert {each.group for each in now.overrides} == {f"x{n}" for n in range(40)}
        assert now.generation <= 5
        assert all("In force on all 2 workers" in flash(visitor) for visitor in visitors)


def _together(web, sent) -> list[int]:
    """Send forms at the same time, in the application's own loop; the statuses."""
    ready = []
    for visitor, group, data in sent:
        token = re.search(r'name="csrf" value="([^"]+)"', visitor.get("/classes").text)[1]
        ready.append((f"/classes/{group}/mode", visitor.client.cookies["manglanh"], {"csrf": token, **data}))

    async def all_of_them():
        return await asyncio.gather(*(_post(web.client.app, *each) for each in ready))

    return web.run(all_of_them)


async def _post(app, path: str, session: str, data: dict) -> int:
    from urllib.parse import urlencode

    body = urlencode(data).encode()
    headers = [(b"host", b"testserver"), (b"cookie", f"manglanh={session}".encode()), (b"content-length", str(len(body)).encode())]
    headers.append((b"content-type", b"application/x-www-form-urlencoded"))
    statuses = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(_scope("POST", path, headers), receive, send)
    return statuses[0]


def _scope(method: str, path: str, headers, query: bytes = b"") -> dict:
    path_values = {"path": path, "raw_path": path.encode(), "root_path": "", "query_string": query}
    hosts = {"client": ("127.0.0.1", 1), "server": ("testserver", 80), "scheme": "http", "http_version": "1.1"}
    return {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "method": method, "headers": headers, **path_values, **hosts}


class TestExam:
    def add_set(self, web, name="Trang trắc nghiệm", sites=("quiz.vn", "olm.vn"), owner=None) -> int:
        values = {"name": name, "sites": list(sites), "owner_id": owner}
        return web.write(insert(site_sets).values(**values).returning(site_sets.c.id))[0].scalar_one()

    def test_exam_asks_which_sites_first(self, web):
        set_id = self.add_set(web)
        visitor = web.as_person("co-lan")
        answer = tap(visitor, mode="exam", length="30")
        assert state(web).overrides == ()
        page = visitor.get(answer.headers["location"]).text
        assert f'name="set_ids" value="{set_id}"' in page
        assert re.search(r'value="30" checked', page)
        data = {"mode": "exam", "asked": "1", "set_ids": str(set_id), "length": "30", "seen": seen(page), "list": "1"}
        visitor.post("/classes/6a1/mode", data, seen=answer.headers["location"])
        made = override(web)
        assert (made.mode, made.sites, made.until) == ("exam", ("quiz.vn", "olm.vn"), NOW + 1800)
        assert "2 sites are open." in flash(visitor)

    def start(self, web, sites="", **fields):
        visitor = web.as_person("co-lan")
        return visitor, visitor.post(
            "/classes/6a1/mode", {"mode": "exam", "asked": "1", "length": "15", "sites": sites, **fields}, seen="/classes/6a1/exam"
        )

    def test_free_text_takes_addresses_as_the_browser_shows_them(self, web):
        self.start(web, "https://Quiz.VN/lop6?a=1\n olm.vn,  OLM.vn.; *.azota.vn:443/")
        assert override(web).sites == ("quiz.vn", "olm.vn", "azota.vn")

    def test_sets_and_free_text_together_each_once(self, web):
        self.start(web, "quiz.vn toan.vn", set_ids=str(self.add_set(web)))
        assert override(web).sites == ("quiz.vn", "olm.vn", "toan.vn")

    @pytest.mark.parametrize(
        "bad", ["<script>alert(1)</script>", "khong phai ten!", "10.0.0.1", "vn", "a..b", "-x.vn", "https://[", "x" * 300 + ".vn"]
    )
    def test_a_bad_name_is_refused_in_words_and_nothing_is_lost(self, web, bad):
        _, answer = self.start(web, f"quiz.vn\n{bad}", reason="kiểm tra 15 phút")
        assert answer.status_code == 422
        assert "is not the name of a site" in answer.text
        assert "quiz.vn\n" in answer.text
        assert "kiểm tra 15 phút" in answer.text
        assert "<script>alert" not in answer.text
        assert state(web).overrides == ()

    def test_too_many_sites(self, web):
        _, answer = self.start(web, "\n".join(f"s{n}.vn" for n in range(101)))
        assert answer.status_code == 422
        assert "101 sites" in answer.text

    def test_an_exam_without_sites_says_so(self, web):
        visitor, _ = self.start(web)
        assert override(web).sites == ()
        assert "No site is open." in flash(visitor)

    def test_another_teachers_set_is_as_if_it_were_not_there(self, web):
        minh = web.rows(select(people_table.c.id).where(people_table.c.login == "thay-minh"))[0].id
        set_id = self.add_set(web, "Bộ của thầy Minh", owner=minh)
        visitor, answer = self.start(web, set_ids=str(set_id))
        assert answer.status_code == 422
        assert "There is no such set of sites." in answer.text
        assert "Bộ của thầy Minh" not in visitor.get("/classes/6a1/exam").text

    def test_the_sites_of_an_exam_that_runs_can_be_changed(self, web):
        visitor, _ = self.start(web, "quiz.vn")
        page = visitor.get("/classes/6a1/exam").text
        assert ">\nquiz.vn</textarea>" in page


class TestOpeningASite:
    def open(self, web, name, login="co-lan", group="6a1", visitor=None, **fields):
        visitor = visitor or web.as_person(login)
        return visitor, visitor.post(f"/classes/{group}/unblocks", {"name": name, "length": "lesson", **fields}, seen=f"/classes/{group}")

    def test_a_site_is_open_until_the_bell_and_then_by_itself_no_more(self, web):
        visitor, answer = self.open(web, "https://www.Facebook.com/nhom-lop", reason="bài tập nhóm")
        assert answer.status_code == 303
        (made,) = state(web).unblocks
        assert (made.name, made.until, made.by) == ("www.facebook.com", LESSON_ENDS, "Co-Lan (co-lan)")
        page = visitor.get("/classes/6a1").text
        assert "www.facebook.com is open for Lớp 6A1 until 15:25. In force on all 2 workers." in page
        assert "unblocks/end" in page
        web.clock.now = LESSON_ENDS
        assert "unblocks/end" not in visitor.get("/classes/6a1").text

    def test_it_is_closed_again(self, web):
        visitor, _ = self.open(web, "facebook.com")
        visitor.post("/classes/6a1/unblocks/end", {"name": "facebook.com"}, seen="/classes/6a1")
        assert state(web).unblocks == ()
        visitor.post("/classes/6a1/unblocks/end", {"name": "facebook.com"}, seen="/classes/6a1")
        assert "facebook.com is not opened for this class." in flash(visitor, "/classes/6a1")

    def test_another_classs_site_is_not_closed_from_here(self, web):
        self.open(web, "facebook.com", "thay-minh", "6a2")
        web.as_person("co-lan").post("/classes/6a1/unblocks/end", {"name": "facebook.com"}, seen="/classes/6a1")
        assert [each.group for each in state(web).unblocks] == ["6a2"]

    def test_what_is_open_already(self, web):
        _, answer = self.open(web, "wikipedia.org")
        assert answer.status_code == 409
        assert "wikipedia.org is open for this class already." in answer.text
        assert state(web).unblocks == ()

    def test_the_same_site_again_sets_a_new_time(self, web):
        visitor, _ = self.open(web, "facebook.com")
        _, answer = self.open(web, "facebook.com", visitor=visitor, length="90")
        assert answer.status_code == 303
        assert [each.until for each in state(web).unblocks] == [NOW + 5400]

    def test_a_category_that_the_tier_lets_no_teacher_lift(self, web, blocked_names):
        _, answer = self.open(web, blocked_names["gambling"])
        assert answer.status_code == 409
        assert "a teacher may not open this category (Gambling" in answer.text
        assert state(web).unblocks == ()

    def test_the_authorities_list_is_named(self, web, blocked_names):
        _, answer = self.open(web, blocked_names["locked"])
        assert answer.status_code == 409
        assert "nobody in the school can lift (rung 1)" in answer.text

    def test_a_mode_above_is_named(self, web):
        visitor = web.as_person("co-lan")
        tap(visitor, mode="offline")
        _, answer = self.open(web, "facebook.com", visitor=visitor)
        assert answer.status_code == 409
        assert "the class is in the mode “Offline”" in answer.text

    @pytest.mark.parametrize("bad", ["", "<script>alert(1)</script>", "com", "1.2.3.4"])
    def test_a_bad_name_comes_back_with_the_form(self, web, bad):
        _, answer = self.open(web, bad, reason="để lại lý do")
        assert answer.status_code == 422
        assert "aria-invalid" in answer.text
        assert "để lại lý do" in answer.text
        assert "<script>alert" not in answer.text


@pytest.fixture
def blocked_names(web) -> dict[str, str]:
    """Test names that the starter lists block: of gambling, and of a locked category."""
    from filters.category import CATEGORIES

    return {"gambling": CATEGORIES["gambling"].test_name, "locked": CATEGORIES["unlawful"].test_name}


class TestTheClassPage:
    def test_what_was_blocked_in_the_lesson_without_small_cells(self, web):
        from dashboard.insight.statistics import Blocked, Minute

        rows = (
            Blocked("6a1", "social", "category", "www.facebook.com", 40, 0b111111),
            Blocked("6a1", "games", "category", "roblox.com", 7, 0b1111),
            Blocked("6a2", "chat", "category", "discord.com", 90, 0b1111111),
        )
        web.site.fold.add(Minute(int(NOW) - 600, "salt", rows, (), ()), NOW)
        before = (Blocked("6a1", "chat", "category", "zalo.me", 50, 0b11111111),)
        web.site.fold.add(Minute(int(NOW) - 3600, "salt", before, (), ()), NOW)
        page = web.as_person("co-lan").get("/classes/6a1").text
        assert "facebook.com" in page
        assert "Since 14:40" in page
        assert all(name not in page for name in ("roblox", "discord", "zalo"))

    def test_requests_and_last_changes(self, web):
        web.write(insert(requests).values(at=NOW - 60, group_name="6a1", name="a.vn", note="<script>alert(1)</script>"))
        web.write(insert(requests).values(at=NOW - 60, group_name="6a2", name="cua-lop-khac.vn"))
        visitor = web.as_person("co-lan")
        tap(visitor, mode="study", reason="ôn tập")
        tap(web.as_person("thay-minh"), "6a2", mode="offline")
        page = visitor.get("/classes/6a1").text
        assert "a.vn" in page
        assert "cua-lop-khac" not in page
        assert "Co-Lan switched to Study" in page
        assert "Thay-Minh" not in page
        assert "<script>alert" not in page

    def test_it_stays_small(self, web):
        assert len(web.as_person("co-lan").get("/classes/6a1").content) < 100_000


class Listening:
    """A page that is kept up to date: what it was sent, until it goes away."""

    def __init__(self, web, login: str, query: bytes = b"") -> None:
        self.web, self.login, self.query = web, login, query
        self.status, self.headers, self.sent = 0, {}, []
        self.ended = False

    async def __aenter__(self):
        self.gone = asyncio.Event()
        headers = [(b"host", b"testserver"), (b"cookie", f"manglanh=session-of-{self.login}".encode())]
        self.task = asyncio.create_task(self.web.client.app(_scope("GET", "/live/classes", headers, self.query), self.receive, self.send))
        return self

    async def __aexit__(self, *_):
        self.gone.set()
        await asyncio.wait_for(self.task, 5)

    async def receive(self):
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
            return
        self.ended = not message.get("more_body")
        for line in message["body"].decode().splitlines():
            if line.startswith("data: "):
                self.sent.append(json.loads(line[6:]))

    async def until(self, condition):
        async with asyncio.timeout(10):
            while not condition(self):  # noqa: ASYNC110 - what is waited for may be anything
                await asyncio.sleep(0.005)


class TestLive:
    @pytest.fixture(autouse=True)
    def quick(self, web):
        from dashboard.lessons.live import Live, Pace

        web.site.classes.live = Live(web.site, Pace(look=0.01, requests=0.01, sessions=0.01))

    def test_a_page_is_told_of_what_changes_and_of_nothing_else(self, web):
        lan, minh = web.as_person("co-lan"), web.as_person("thay-minh")
        assert lan
        token = re.search(r'name="csrf" value="([^"]+)"', minh.get("/classes").text)[1]

        async def scenario():
            async with Listening(web, "co-lan") as page:
                await page.until(lambda page: page.sent)
                assert page.status == 200
                assert page.headers[b"content-type"].startswith(b"text/event-stream")
                assert page.headers[b"cache-control"] == b"no-store"
                assert set(page.sent[0]) == {"class-6a1", "modes-6a1"}
                known = len(page.sent)
                data = {"csrf": token, "mode": "study", "length": "15"}
                assert await _post(web.client.app, "/classes/6a2/mode", "session-of-thay-minh", data) == 303
                update_state(web.box.state, lambda old: switch_mode(old, _offline()), NOW)
                await page.until(lambda page: len(page.sent) > known)
                assert all(set(event) == {"class-6a1", "modes-6a1"} for event in page.sent)
                assert "Offline" in page.sent[-1]["class-6a1"]
                assert "Switched by root" in page.sent[-1]["class-6a1"]
                assert 'value="offline" aria-current' in page.sent[-1]["modes-6a1"]
                assert "csrf" not in page.sent[-1]["class-6a1"]

        web.run(scenario)

    def test_expiry_lag_and_requests_are_told(self, web):
        web.as_person("co-lan")
        update_state(web.box.state, lambda old: switch_mode(old, _offline()), NOW)

        async def scenario():
            async with Listening(web, "co-lan", b"group=6a1") as page:
                await page.until(lambda page: page.sent and "Offline" in page.sent[-1]["class-6a1"])
                web.box.lag = 1
                await page.until(lambda page: "taking effect: 0 of 2" in page.sent[-1]["class-6a1"])
                web.box.lag = 0
                async with web.site.store.write() as connection:
                    await connection.execute(insert(requests).values(at=NOW, group_name="6a1", name="a.vn"))
                await page.until(lambda page: "1 requests" in page.sent[-1]["class-6a1"])
                web.clock.now += 601
                await page.until(lambda page: "Nobody has switched it" in page.sent[-1]["class-6a1"])

        web.run(scenario)

    def test_it_ends_with_the_session_and_with_the_rights(self, web):
        for login in ("co-lan", "thay-minh"):
            web.as_person(login)

        async def scenario():
            async with Listening(web, "co-lan") as lan, Listening(web, "thay-minh") as minh:
                await lan.until(lambda page: page.sent)
                await minh.until(lambda page: page.sent)
                async with web.site.store.write() as connection:
                    lan_id = (await connection.execute(select(people_table.c.id).where(people_table.c.login == "co-lan"))).scalar_one()
                    await connection.execute(delete(sessions).where(sessions.c.person_id == lan_id))
                await lan.until(lambda page: page.ended)
                assert not minh.ended
                async with web.site.store.write() as connection:
                    await connection.execute(delete(assignments).where(assignments.c.group_name == "6a2"))
                await minh.until(lambda page: page.ended)

        web.run(scenario)

    def test_streams_end_when_the_process_stops(self, web):
        web.as_person("co-lan")

        async def scenario():
            async with Listening(web, "co-lan") as page:
                await page.until(lambda page: page.sent)
                web.site.classes.live.close()
                await page.until(lambda page: page.ended)

        web.run(scenario)

    def test_nobody_listens_without_a_session(self, web):
        assert web.visitor().get("/live/classes").status_code == 303

    def test_one_person_does_not_take_every_place(self, web):
        from contextlib import AsyncExitStack

        from dashboard.lessons.live import PER_SESSION

        web.as_person("co-lan")
        visitor = web.as_person("thay-minh")
        assert visitor

        async def scenario():
            async with AsyncExitStack() as stack:
                pages = [await stack.enter_async_context(Listening(web, "co-lan")) for _ in range(PER_SESSION)]
                for page in pages:
                    await page.until(lambda page: page.sent)
                one_more = await stack.enter_async_context(Listening(web, "co-lan"))
                await one_more.until(lambda page: page.status)
                other = await stack.enter_async_context(Listening(web, "thay-minh"))
                await other.until(lambda page: page.sent)
                return one_more.status, other.status

        assert web.run(scenario) == (503, 200)

    def test_there_is_an_end_to_how_many_listen(self, web, monkeypatch):
        monkeypatch.setattr("dashboard.lessons.live.LISTENERS", 0)
        assert web.as_person("co-lan").get("/live/classes").status_code == 503

    def test_the_look_round_stops_with_the_last_listener_and_starts_again(self, web):
        web.as_person("co-lan")

        async def scenario():
            for _ in range(2):
                async with Listening(web, "co-lan") as page:
                    await page.until(lambda page: page.sent)
                task = web.site.classes.live._task
                await asyncio.wait_for(asyncio.shield(task), 5)
                assert task.done()

        web.run(scenario)

    def test_rows_of_a_long_list(self, web):
        web.as_person("quan-tri")

        async def scenario():
            async with Listening(web, "quan-tri", b"rows=1&q=6a") as page:
                await page.until(lambda page: page.sent)
                return set(page.sent[0])

        assert web.run(scenario) == {"class-6a1", "class-6a2"}


def _offline() -> Override:
    return Override(group="6a1", mode="offline", since=NOW, until=NOW + 600, by="root")

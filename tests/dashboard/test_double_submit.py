"""The same thing twice at once, two people at the same thing, a clock that jumps, a store that is away: done once or not at all, and said so."""

import re
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import func, insert, select

from dashboard.access import Role
from dashboard.block_page.app import ASK, REPORT, build_block_page
from dashboard.store import audit as audit_store
from dashboard.store import engine
from dashboard.store.engine import StoreTrouble
from dashboard.store.tables import audit, invitations, people, sessions
from dashboard.store.tables import reports as reports_table
from dashboard.store.tables import requests as requests_table
from filters.message import Message
from policies.load import load
from policies.model import LocalRule
from policies.state import read_state, update_state
from tests.dashboard.conftest import NOW, PASSWORD
from tests.dashboard.test_block_page import Pupil
from tests.dashboard.test_privacy import signed_in
from tests.dashboard.test_store_troubles import locked
from tests.dashboard.test_tiers import form_of


def hidden(page: str, name: str) -> str:
    return re.search(rf'name="{name}" value="([^"]*)"', page)[1]


def browsers(web, login: str, count: int = 2):
    """The same browser several times: one session, connections of their own."""
    return [signed_in(web, login) for _ in range(count)]


def at_once(*calls):
    """All begin at the same moment, each in a thread of its own."""
    barrier = Barrier(len(calls))

    def wait_and(call):
        barrier.wait(10)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(wait_and, calls))


def tapped_twice(web, login, seen, path, form):
    first, second = browsers(web, login)
    page = first.get(seen).text
    data = (
        {"csrf": hidden(page, "csrf"), "once": hidden(page, "once")}
        | ({"seen": hidden(page, "seen")} if 'name="seen"' in page else {})
        | form
    )
    return at_once(lambda: first.client.post(path, data=data), lambda: second.client.post(path, data=data))


def count(web, table, *where) -> int:
    return web.rows(select(func.count()).select_from(table).where(*where))[0][0]


def state(web):
    return read_state(web.site.school.view.file.state)


@pytest.fixture
def asked(web):
    values = {"at": NOW - 60, "group_name": "6a1", "name": "facebook.com", "category": "social", "rung": 7}
    web.write(insert(requests_table).values(**values))
    return web


NEW_GROUP = {"title": "Lớp 9C", "tier": "thcs", "clients": "10.0.22.0/24"}
PERSON = {"login": "moi", "name": "Mới", "email": "", "role": "teacher"}
RULE = {"action": "block", "name": "tro-choi.example", "reason": "Trong giờ học", "until": ""}
TWICE = {
    "person": ("quan-tri", "/people/new", "/people", PERSON, lambda web: count(web, people, people.c.login == "moi")),
    "invitation": ("quan-tri", "/people/3", "/people/3/invitation", {}, lambda web: count(web, invitations)),
    "request": (
        "co-lan",
        "/requests",
        "/classes/6a1/requests/1/refuse",
        {"answer": "không"},
        lambda web: count(web, audit, audit.c.action == "request.refused"),
    ),
    "report": (
        "co-lan",
        "/reports/new",
        "/reports/new",
        {"kind": "harmful", "target": "x.example", "note": "một"},
        lambda web: count(web, reports_table),
    ),
    "rule": ("quan-tri", "/rules", "/rules", RULE, lambda web: len(state(web).rules)),
    "group": ("quan-tri", "/groups/new", "/groups", NEW_GROUP, lambda web: len(load(web.site.config).groups) - 4),
    "mode": (
        "co-lan",
        "/classes",
        "/classes/6a1/mode",
        {"mode": "study", "length": "45"},
        lambda web: count(web, audit, audit.c.action == "class.mode"),
    ),
}


@pytest.mark.parametrize("what", TWICE)
def test_a_form_that_was_tapped_twice_is_carried_out_once_and_answered_alike(asked, what):
    login, seen, path, form, done = TWICE[what]
    answers = tapped_twice(asked, login, seen, path, form)
    assert [answer.status_code for answer in answers] == [303, 303], [re.sub("<[^>]+>", "", answer.text)[-600:] for answer in answers]
    assert answers[0].headers["location"] == answers[1].headers["location"]
    assert done(asked) == 1


def test_a_form_that_was_refused_says_why_to_both(web):
    """A browser shows only the second answer."""
    answers = tapped_twice(web, "quan-tri", "/people/new", "/people", PERSON | {"login": "co-lan"})
    assert [answer.status_code for answer in answers] == [answers[0].status_code] * 2
    assert answers[0].status_code in (409, 422)
    assert all('class="error"' in answer.text for answer in answers)


def test_a_backup_that_was_tapped_twice_is_given_twice(web):
    answers = tapped_twice(web, "quan-tri", "/backup", "/backup", {})
    assert [answer.status_code for answer in answers] == [200, 200]
    assert all(len(answer.content) > 100 for answer in answers)


@pytest.mark.parametrize(
    ("path", "form", "table"), [(ASK, {"note": "cho bài Sử"}, requests_table), (REPORT, {"kind": "harmful", "note": "x"}, reports_table)]
)
def test_a_pupils_form_that_was_tapped_twice_is_there_once(web, path, form, table):
    host = "tro-choi.example"
    rule = LocalRule(action="block", name=host, by="x", reason="x")
    update_state(web.site.school.view.file.state, lambda old: old.model_copy(update={"rules": (rule,)}), NOW)
    app = build_block_page(web.site)
    first, second = Pupil(web, app, "10.0.12.5"), Pupil(web, app, "10.0.12.5")
    token = hidden(first.open(host).text, "token")
    answers = at_once(lambda: first.send(host, path, form, token), lambda: second.send(host, path, form, token))
    assert answers[0].status_code == answers[1].status_code
    assert count(web, table) == (1 if answers[0].status_code == 200 else 0)
    if path == REPORT:
        number = web.rows(select(reports_table.c.number))[0].number
        assert all(number in answer.text for answer in answers)


# ---- two people at the same thing -----------------------------------------------------------------------------------


def two_people(web, seen, path, *forms):
    """Two administrators, each with a page of their own, at the same moment."""
    web.add_person("quan-tri-hai", Role.ADMIN)
    calls = []
    for login, form in zip(("quan-tri", "quan-tri-hai"), forms, strict=True):
        visitor = signed_in(web, login)
        page = visitor.get(seen).text
        data = (
            {"csrf": hidden(page, "csrf"), "once": hidden(page, "once")}
            | ({"seen": hidden(page, "seen")} if 'name="seen"' in page else {})
            | form
        )
        calls.append(lambda visitor=visitor, data=data: visitor.client.post(path, data=data))
    return sorted(at_once(*calls), key=lambda answer: answer.status_code)


def test_two_who_add_the_same_login(web):
    first, second = two_people(web, "/people/new", "/people", PERSON, PERSON | {"name": "Người khác"})
    assert (first.status_code, second.status_code in (409, 422)) == (303, True)
    assert count(web, people, people.c.login == "moi") == 1
    assert "Traceback" not in second.text


def test_two_who_change_the_schools_file_from_the_same_page(web):
    first, second = two_people(web, "/groups/new", "/groups", NEW_GROUP, NEW_GROUP | {"title": "Lớp 9D", "clients": "10.0.23.0/24"})
    assert (first.status_code, second.status_code) == (303, 409)
    assert len(load(web.site.config).groups) == 5


def test_two_who_change_the_same_tier_from_the_same_page(web):
    form = form_of(web.as_person("quan-tri").get("/tiers/thcs").text, "/tiers/thcs")
    form = {name: value for name, value in form.items() if name not in ("csrf", "once", "seen")}
    first, second = two_people(web, "/tiers/thcs", "/tiers/thcs", *(form | {"youtube": each} for each in ("strict", "off")))
    assert (first.status_code, second.status_code) == (303, 409)


def test_two_who_answer_the_same_request(asked):
    lan = asked.as_person("co-lan")
    admin = asked.as_person("quan-tri")
    calls = []
    for visitor, action, form in ((lan, "grant", {"length": "45"}), (admin, "refuse", {"answer": "không"})):
        data = {"csrf": hidden(visitor.get("/requests").text, "csrf")} | form
        calls.append(lambda visitor=visitor, action=action, data=data: visitor.client.post(f"/classes/6a1/requests/1/{action}", data=data))
    at_once(*calls)
    row = asked.rows(select(requests_table))[0]
    assert row.state in ("granted", "refused")
    assert bool(state(asked).unblocks) == (row.state == "granted")


def test_an_invitation_opened_twice_at_once_is_good_once(web):
    admin = web.as_person("quan-tri")
    admin.post("/people", PERSON, seen="/people/new")
    token = re.search(r"/invitation/([\w-]+)", admin.get("/people/links").text)[1]

    def taking(word):
        visitor = web.visitor()
        data = {"csrf": hidden(visitor.get(f"/invitation/{token}").text, "csrf"), "password": word, "again": word}
        return lambda: visitor.client.post(f"/invitation/{token}", data=data)

    answers = at_once(taking("con mèo trèo cây cau"), taking("con chuột chạy qua cầu"))
    assert sorted(answer.status_code for answer in answers) in ([303, 404], [303, 409], [303, 410])
    assert count(web, invitations, invitations.c.used_at.is_not(None)) == 1


# ---- a clock that jumps ---------------------------------------------------------------------------------------------

HOUR, DAY = 3600, 86400


@pytest.mark.parametrize("jump", [-HOUR, DAY, -400 * DAY, 400 * DAY])
def test_no_page_breaks_when_the_clock_jumps(asked, jump):
    lan = asked.as_person("co-lan")
    lan.post("/classes/6a1/mode", {"mode": "study", "length": "45"}, seen="/classes")
    asked.clock.now += jump
    for path in ("/classes", "/classes/6a1", "/requests", "/statistics", "/account", "/sign-in"):
        assert lan.get(path).status_code in (200, 303), path
    asked.clock.now -= jump
    assert lan.get("/classes").status_code == 200, "looking at a page at a wrong hour ends no session"


def test_a_session_ends_at_last_however_the_clock_goes(web):
    """Set back, it lives no longer than it may in all; set forward, it is over at once."""
    lan = web.as_person("co-lan")
    ends = web.rows(select(sessions.c.expires_at))[0].expires_at
    web.clock.now -= HOUR
    assert lan.get("/classes").status_code == 200
    assert web.rows(select(sessions.c.expires_at))[0].expires_at <= ends
    web.clock.now = ends + 1
    assert lan.get("/classes").headers["location"].startswith("/sign-in")


def test_a_session_that_began_while_the_clock_ran_years_ahead_does_not_live_for_years(web):
    web.clock.now += 5 * 365 * DAY
    lan = web.as_person("co-lan")
    assert lan.get("/classes").status_code == 200
    web.clock.now = NOW
    assert lan.get("/classes").headers["location"].startswith("/sign-in")


def test_a_switch_ends_by_itself_when_the_clock_has_jumped(web):
    lan = web.as_person("co-lan")
    lan.post("/classes/6a1/mode", {"mode": "offline", "length": "45"}, seen="/classes")
    headers = web.token("co-lan")

    def switch():
        return web.client.get("/api/v1/classes/6a1", headers=headers).json()["switch"]

    assert switch() is not None
    web.clock.now += DAY
    assert switch() is None
    web.clock.now -= DAY + HOUR
    assert switch() is None or switch()["until"] <= NOW + DAY, "nothing is longer than it was"


def test_an_invitation_does_not_outlive_its_days_and_the_throttle_does_not_lock_for_ever(web):
    admin = web.as_person("quan-tri")
    admin.post("/people", PERSON, seen="/people/new")
    token = re.search(r"/invitation/([\w-]+)", admin.get("/people/links").text)[1]
    visitor = web.visitor()
    tried = [visitor.post("/sign-in", {"login": "co-lan", "password": f"falsch-{number}"}).status_code for number in range(30)]
    assert 429 in tried
    web.clock.now -= HOUR
    assert web.visitor().get(f"/invitation/{token}").status_code == 200
    web.clock.now += HOUR + DAY
    assert visitor.post("/sign-in", {"login": "co-lan", "password": PASSWORD}).status_code == 303
    web.clock.now += 30 * DAY
    assert web.visitor().get(f"/invitation/{token}").status_code == 404


def test_a_throttle_that_was_filled_before_the_clock_was_set_back_empties_again(web):
    visitor = web.visitor()
    while visitor.post("/sign-in", {"login": "co-lan", "password": "falsch"}).status_code != 429:
        pass
    web.clock.now -= 400 * DAY
    answer = visitor.post("/sign-in", {"login": "co-lan", "password": PASSWORD})
    web.clock.now += HOUR
    again = visitor.post("/sign-in", {"login": "co-lan", "password": PASSWORD})
    assert 303 in (answer.status_code, again.status_code), "a clock that was wrong for a moment keeps nobody out for a year"


# ---- a store that is away -------------------------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(engine, "BUSY", 0.1)


def test_signing_in_while_the_store_is_locked_says_so_and_counts_as_no_attempt(impatient, web, school_directory):
    visitor = web.visitor()
    with locked(school_directory / "store.db"):
        for _ in range(12):
            answer = visitor.post("/sign-in", {"login": "co-lan", "password": PASSWORD})
            assert answer.status_code == 503
            assert "manglanh=" not in answer.headers.get("set-cookie", "")
    assert visitor.post("/sign-in", {"login": "co-lan", "password": PASSWORD}).status_code == 303


def test_no_switch_holds_whose_row_in_the_audit_log_could_not_be_written(web):
    lan, before = web.as_person("co-lan"), state(web)
    headers, token = web.token("co-lan"), hidden(lan.get("/classes").text, "csrf")

    async def rename(old, new):
        async with web.site.store.write() as connection:
            await connection.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")

    web.run(rename, "audit", "away")
    forms = (
        ("/classes/6a1/mode", {"mode": "offline", "length": "45"}),
        ("/classes/6a1/unblocks", {"name": "facebook.com", "length": "45"}),
    )
    for path, form in forms:
        answer = lan.client.post(path, data={"csrf": token} | form)
        assert answer.status_code == 503, path
        assert "nothing was changed" in answer.text
    answer = web.client.post("/api/v1/classes/6a1/mode", json={"mode": "offline", "minutes": 5}, headers=headers)
    assert answer.status_code == 503
    assert state(web) == before
    web.run(rename, "away", "audit")
    assert lan.client.post("/classes/6a1/mode", data={"csrf": token} | forms[0][1]).status_code == 303


def test_a_switch_that_was_made_holds_although_its_row_could_not_be_completed(web, monkeypatch, caplog):
    async def gone(*_):
        raise StoreTrouble(Message("The store cannot be written; nothing was changed. Filtering goes on."))

    monkeypatch.setattr(audit_store, "settle", gone)
    assert web.as_person("co-lan").post("/classes/6a1/mode", {"mode": "offline", "length": "45"}, seen="/classes").status_code == 303
    assert state(web).overrides[0].mode == "offline"
    assert web.rows(select(audit.c.outcome).where(audit.c.action == "class.mode"))[0].outcome == "begun"
    assert "stay at 'begun'" in caplog.text


@pytest.mark.parametrize(
    ("path", "form"),
    [(ASK, {"note": "cho bài Sử hôm nay", "name": "An"}), (REPORT, {"kind": "harmful", "note": "điều rất buồn", "contact": "An 6A1"})],
)
def test_a_pupil_whose_words_cannot_be_kept_now_is_told_and_keeps_them_in_the_page(impatient, web, school_directory, path, form):
    host = "tro-choi.example"
    rule = LocalRule(action="block", name=host, by="x", reason="x")
    update_state(web.site.school.view.file.state, lambda old: old.model_copy(update={"rules": (rule,)}), NOW)
    pupil = Pupil(web, build_block_page(web.site), "10.0.12.5")
    token = hidden(pupil.open(host).text, "token")
    with locked(school_directory / "store.db"):
        answer = pupil.send(host, path, form, token)
    assert answer.status_code == 503
    assert "111" in answer.text
    assert all(value in answer.text for key, value in form.items() if key != "kind")
    again = {name: hidden(answer.text, name) for name in ("token",)}
    assert pupil.send(host, path, form, again["token"]).status_code == 200
    assert count(web, requests_table if path == ASK else reports_table) == 1

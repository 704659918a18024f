"""Requests: who sees them, who answers them, what an answer opens, and what happens when two answer at once."""

import asyncio
import re

import pytest
from sqlalchemy import insert, select

from dashboard.access import Scope
from dashboard.lessons import requests
from dashboard.store import requests as store
from dashboard.store.tables import audit
from dashboard.store.tables import requests as table
from policies.model import LocalRule, Override
from policies.state import read_state, update_state

NAME = "games.manglanh.test"


def add(web, group: str = "6a1", name: str = NAME, **values) -> int:
    row = {"at": web.clock() - 300, "group_name": group, "name": name, "category": "games", "rung": 7} | values
    return web.write(insert(table).values(**row).returning(table.c.id))[0].scalar_one()


def row(web, request_id: int):
    return web.rows(select(table).where(table.c.id == request_id))[0]


def actions(web) -> list[tuple[str, str]]:
    return [(each.action, each.outcome) for each in web.rows(select(audit).order_by(audit.c.id))]


def browser(web, login: str):
    """The browser in which this person is signed in, the same one each time."""
    known = web.__dict__.setdefault("browsers", {})
    if login not in known:
        known[login] = web.as_person(login)
    return known[login]


def answer(web, login: str, request_id: int, what: str, data: dict, group: str = "6a1"):
    return browser(web, login).post(f"/classes/{group}/requests/{request_id}/{what}", data, seen="/requests")


def state(web):
    return read_state(web.box.state)


def test_a_teacher_sees_own_classes_and_others_see_all(web):
    add(web, "6a1", "mot.vn", note="em cần làm bài", signed="An", count=3)
    add(web, "6a2", "hai.vn")
    add(web, "3b", "ba.vn", state="refused", answered_at=web.clock() - 10, answered_by="Cô Hoa (co-hoa)", answer="để sau")
    lan = browser(web, "co-lan").get("/requests").text
    assert "mot.vn" in lan
    assert "em cần làm bài" in lan
    assert "hai.vn" not in lan
    assert "ba.vn" not in lan
    for login in ("quan-tri", "hieu-truong"):
        everything = browser(web, login).get("/requests").text
        assert all(name in everything for name in ("mot.vn", "hai.vn", "ba.vn", "để sau", "Cô Hoa"))
        assert "co-hoa" not in everything
    assert "/grant" in lan
    assert "/grant" not in browser(web, "hieu-truong").get("/requests").text
    assert "always" not in lan


def test_very_many_requests_are_a_page_of_bounded_size(web):
    for number in range(60):
        add(web, name=f"{number}.example.vn", note="x" * 300, signed="y" * 60)
        add(web, name=f"{number}.example.com", state="refused", answered_at=web.clock(), answered_by="Cô Lan (co-lan)", answer="z" * 200)
    page = browser(web, "quan-tri").get("/requests")
    assert "40 more wait after these." in page.text
    assert len(page.content) < 90_000


def test_an_empty_page_says_so(web):
    assert "No request is waiting" in browser(web, "co-lan").get("/requests").text


@pytest.mark.parametrize(("length", "seconds"), [("lesson", 300), ("45", 2700), ("today", 31_200)])
def test_a_grant_opens_the_site_for_the_class(web, length, seconds):
    request_id = add(web)
    response = answer(web, "co-lan", request_id, "grant", {"length": length})
    assert response.status_code == 303
    [unblock] = state(web).unblocks
    assert (unblock.group, unblock.name, unblock.until - web.clock()) == ("6a1", NAME, seconds)
    assert (row(web, request_id).state, row(web, request_id).answered_by) == ("granted", "Co-Lan (co-lan)")
    assert actions(web) == [("request.granted", "done"), ("class.unblock", "done")]


def test_a_refusal_keeps_its_reason(web):
    request_id = add(web)
    assert answer(web, "co-lan", request_id, "refuse", {"answer": "  để  giờ ra chơi "}).status_code == 303
    assert (row(web, request_id).state, row(web, request_id).answer) == ("refused", "để giờ ra chơi")
    assert state(web).unblocks == ()
    assert actions(web) == [("request.refused", "done")]


def test_whoever_is_second_is_told_who_was_quicker(web):
    request_id = add(web)
    web.add_person("co-hoa", "teacher", ("6a1",))
    lan, hoa = browser(web, "co-lan"), browser(web, "co-hoa")
    tokens = [re.search(r'name="csrf" value="([^"]+)"', person.get("/requests").text)[1] for person in (lan, hoa)]
    assert lan.client.post(f"/classes/6a1/requests/{request_id}/refuse", data={"csrf": tokens[0]}).status_code == 303
    second = hoa.client.post(f"/classes/6a1/requests/{request_id}/grant", data={"csrf": tokens[1], "length": "45"})
    assert second.status_code == 409
    assert "Co-Lan has answered this already" in second.text
    assert state(web).unblocks == ()
    assert row(web, request_id).state == "refused"


def test_of_two_at_the_same_moment_one_answers(web):
    request_id = add(web)
    headers = [web.token("co-lan"), web.token("quan-tri")]

    async def both():
        from dashboard.refusal import Refused
        from dashboard.store import people

        async with web.site.store.read() as connection:
            persons = [await people.by_token(connection, each["Authorization"].removeprefix("Bearer "), web.clock()) for each in headers]
        view = await web.site.school.now()

        async def one(person):
            try:
                return await requests.grant(requests.Answering(web.site, view, person, "6a1", request_id, web.clock()), "45")
            except Refused as error:
                return error

        return await asyncio.gather(*map(one, persons))

    results = web.run(both)
    assert sorted(isinstance(result, Exception) for result in results) == [False, True]
    assert len(state(web).unblocks) == 1


@pytest.mark.parametrize(("name", "said"), [("unlawful.manglanh.test", "authorities"), ("gambling.manglanh.test", "IT staff can")])
def test_what_a_higher_rung_forbids_stays_open_and_is_explained(web, name, said):
    request_id = add(web, name=name)
    response = answer(web, "co-lan", request_id, "grant", {"length": "45"})
    assert response.status_code == 409
    assert said in response.text
    assert row(web, request_id).state == "open"
    assert row(web, request_id).answered_at is None
    assert state(web).unblocks == ()
    assert actions(web) == [("request.granted", "failed")]


def test_during_an_exam_the_mode_is_named(web):
    override = Override(group="6a1", mode="exam", since=web.clock() - 1, until=web.clock() + 900, by="Cô Lan (co-lan)")
    update_state(web.box.state, lambda old: old.model_copy(update={"overrides": (override,)}), web.clock())
    request_id = add(web)
    response = answer(web, "co-lan", request_id, "grant", {"length": "45"})
    assert response.status_code == 409
    assert row(web, request_id).state == "open"


def test_a_store_that_cannot_write_loses_nothing(web, monkeypatch):
    from dashboard.store.engine import StoreTrouble
    from filters.message import Message

    request_id = add(web)

    async def broken(*_):
        raise StoreTrouble(Message("The store is busy; please try again in a moment. Nothing was changed."))

    monkeypatch.setattr(web.site.changes, "make", broken)
    response = answer(web, "co-lan", request_id, "grant", {"length": "45"})
    assert response.status_code == 503
    assert row(web, request_id).state == "open"


def test_a_site_that_is_open_already_is_granted_without_an_unblock(web):
    request_id = add(web, name="vi.wikipedia.org")
    assert answer(web, "co-lan", request_id, "grant", {"length": "45"}).status_code == 303
    assert row(web, request_id).state == "granted"
    assert state(web).unblocks == ()


def test_no_lesson_is_no_until_the_bell(web):
    web.clock.now += 3 * 3600
    request_id = add(web)
    response = answer(web, "co-lan", request_id, "grant", {"length": "lesson"})
    assert response.status_code == 409
    assert "No lesson is on now" in response.text
    assert 'value="lesson"' not in browser(web, "co-lan").get("/requests").text
    assert row(web, request_id).state == "open"


@pytest.mark.parametrize("length", ["", "forever", "99999", "always"])
def test_a_length_that_is_not_a_teacher_s_to_choose(web, length):
    request_id = add(web)
    assert answer(web, "co-lan", request_id, "grant", {"length": length}).status_code in (403, 422)
    assert row(web, request_id).state == "open"
    assert state(web).rules == ()


@pytest.mark.parametrize(("everybody", "groups"), [("", ("6a1",)), ("1", ())])
def test_it_staff_open_for_good(web, everybody, groups):
    request_id = add(web, name="gambling.manglanh.test")
    response = answer(web, "quan-tri", request_id, "grant", {"length": "always", "everybody": everybody})
    assert response.status_code == 303
    [rule] = state(web).rules
    assert (rule.action, rule.name, rule.groups, rule.until) == ("allow", "gambling.manglanh.test", groups, None)
    assert actions(web) == [("request.granted", "done"), ("rule.added", "done")]


def test_for_good_does_not_beat_the_authorities_nor_the_school_s_own_block(web):
    block = LocalRule(action="block", name="bao.example.vn", by="x")
    update_state(web.box.state, lambda old: old.model_copy(update={"rules": (block,)}), web.clock())
    for name, said in (("unlawful.manglanh.test", "authorities"), ("bao.example.vn", "a rule of the school")):
        request_id = add(web, name=name)
        response = answer(web, "quan-tri", request_id, "grant", {"length": "always"})
        assert response.status_code == 409
        assert said in response.text
        assert row(web, request_id).state == "open"
    assert state(web).rules == (block,)


@pytest.mark.parametrize("what", ["grant", "refuse"])
def test_a_request_of_another_class_is_not_found(web, what):
    other = add(web, "6a2")
    web.add_person("co-hai", "teacher", ("6a1", "6a2"))
    assert answer(web, "co-lan", other, what, {"length": "45"}).status_code == 404
    assert answer(web, "co-hai", other, what, {"length": "45"}, group="6a1").status_code == 404
    assert answer(web, "co-lan", other, what, {"length": "45"}, group="6a2").status_code == 403
    assert answer(web, "hieu-truong", other, what, {"length": "45"}, group="6a2").status_code == 403
    assert row(web, other).state == "open"


@pytest.mark.parametrize("request_id", [0, 10**6, 2**63, 10**30])
def test_a_request_that_is_not_there(web, request_id):
    assert answer(web, "quan-tri", request_id, "grant", {"length": "45"}).status_code == 404


def test_an_answer_is_one_visible_line(web):
    request_id = add(web)
    assert answer(web, "co-lan", request_id, "refuse", {"answer": "x" * 201}).status_code == 422
    assert answer(web, "co-lan", request_id, "refuse", {"answer": "a\u202eb"}).status_code == 422
    assert row(web, request_id).state == "open"


def test_www_is_not_part_of_a_site():
    assert [requests.site_of(name) for name in ("www.olm.vn", "olm.vn", "www.vn", "wwwx.olm.vn")] == [
        "olm.vn",
        "olm.vn",
        "www.vn",
        "wwwx.olm.vn",
    ]


def test_counts_and_times(web):
    for number, seconds in enumerate((60, 600, 6000)):
        at = web.clock() - 10_000
        add(web, name=f"{number}.vn", at=at, state="granted", answered_at=at + seconds)
    add(web), add(web, name="b.vn"), add(web, "3b")
    add(web, "6a2")

    async def look():
        async with web.site.store.read() as connection:
            counts = await store.open_counts(connection, None)
            some = await store.open_counts(connection, ("3b", "giao-vien"))
            wait = await requests.usual_wait(connection)
        return counts, some, wait

    assert web.run(look) == ({"6a1": 2, "3b": 1, "6a2": 1}, {"3b": 1}, 600.0)


def test_two_answers_say_nothing_of_how_long_it_takes(web):
    add(web, state="granted", answered_at=web.clock())

    async def look():
        async with web.site.store.read() as connection:
            return await requests.usual_wait(connection)

    assert web.run(look) is None


def test_a_class_has_no_more_than_so_many_open_ones(web, monkeypatch):
    monkeypatch.setattr(store, "MOST_OPEN", 2)

    async def ask(name):
        async with web.site.store.write() as connection:
            return await store.ask(connection, web.clock(), "6a1", name, "", "", "games", 7)

    first = web.run(ask, "a.vn")
    web.run(ask, "b.vn")
    assert web.run(ask, "c.vn") is None
    assert web.run(ask, "a.vn") == first
    assert row(web, first).count == 2


# ---- the API


def call(web, login: str, method: str, path: str, *scopes, **options):
    return web.client.request(method, f"/api/v1{path}", headers=web.token(login, *scopes), **options)


def test_the_api_lists_what_is_the_caller_s(web):
    add(web, "6a1", "mot.vn", note="x", signed="An")
    add(web, "6a2", "hai.vn")
    add(web, "6a1", "ba.vn", state="granted", answered_at=web.clock(), answered_by="Cô Lan (co-lan)")

    def names(login, query=""):
        return [each["name"] for each in call(web, login, "GET", f"/requests{query}").json()["requests"]]

    assert sorted(names("co-lan")) == ["ba.vn", "mot.vn"]
    assert names("co-lan", "?state=open") == ["mot.vn"]
    assert names("co-lan", "?group=6a2") == []
    assert names("hieu-truong", "?group=6a2") == ["hai.vn"]
    assert len(names("quan-tri")) == 3
    assert names("quan-tri", "?limit=1&offset=3") == []
    [granted] = call(web, "co-lan", "GET", "/requests?state=granted").json()["requests"]
    assert granted["answered_by"] == "Cô Lan"
    assert "address" not in str(granted)


def test_the_api_answers(web):
    request_id, other = add(web), add(web, name="chat.manglanh.test")
    granted = call(web, "co-lan", "POST", f"/classes/6a1/requests/{request_id}/grant", json={"length": "45"})
    assert (granted.status_code, granted.json()["state"]) == (200, "granted")
    refused = call(web, "co-lan", "POST", f"/classes/6a1/requests/{other}/refuse", json={"answer": "để sau"})
    assert (refused.status_code, refused.json()["answer"]) == (200, "để sau")
    again = call(web, "co-lan", "POST", f"/classes/6a1/requests/{other}/grant", json={"length": "45"})
    assert again.status_code == 409


@pytest.mark.parametrize(
    ("login", "path", "body", "scopes", "status"),
    [
        ("co-lan", "/classes/6a2/requests/1/grant", {"length": "45"}, (), 403),
        ("hieu-truong", "/classes/6a1/requests/1/refuse", {}, (), 403),
        ("co-lan", "/classes/6a1/requests/1/grant", {"length": "45"}, (Scope.REQUESTS_READ,), 403),
        ("co-lan", "/classes/6a1/requests/1/grant", {"length": "always"}, (), 403),
        ("co-lan", "/classes/6a1/requests/1/grant", {"length": "year"}, (), 422),
        ("co-lan", "/classes/6a1/requests/1/grant", {"length": "45", "more": 1}, (), 422),
        ("co-lan", "/classes/6a1/requests/1/refuse", {"answer": "x" * 201}, (), 422),
        ("co-lan", "/classes/6a1/requests/0/refuse", {}, (), 422),
        ("co-lan", "/classes/6a1/requests/77/refuse", {}, (), 404),
        ("quan-tri", "/classes/9z9/requests/1/refuse", {}, (), 404),
    ],
)
def test_the_api_refuses(web, login, path, body, scopes, status):
    add(web)
    response = call(web, login, "POST", path, *scopes, json=body)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert state(web).unblocks == ()

"""Invitation links: once, for seven days, and nothing else than setting a password."""

import asyncio
import re

import pytest
from sqlalchemy import select

from dashboard.access import Role
from dashboard.store.people import fingerprint
from dashboard.store.tables import audit, invitations, people, sessions

GOOD = {"password": "con mèo trèo cây cau", "again": "con mèo trèo cây cau"}


@pytest.fixture
def it(web):
    return web.as_person("quan-tri")


def link_for(web, it, login):
    row = web.rows(select(people).where(people.c.login == login))[0]
    assert it.post(f"/people/{row.id}/invitation", seen=f"/people/{row.id}").status_code == 303
    return re.search(r"/invitation/[\w-]+", it.get("/people/links").text)[0]


def test_a_link_sets_the_password_and_signs_in(web, it):
    web.add_person("moi", Role.TEACHER, ("6a1",), password=None)
    link = link_for(web, it, "moi")
    assert [row.token for row in web.rows(select(invitations))] == [fingerprint(link.rpartition("/")[2])]
    visitor = web.visitor()
    for _again in range(3):  # looking uses nothing up
        page = visitor.get(link)
        assert page.status_code == 200
        assert page.headers["referrer-policy"] == "strict-origin"
        assert page.headers["cache-control"] == "no-store"
    answer = visitor.post(link, GOOD, seen=link)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert visitor.get("/classes").status_code == 200
    assert web.rows(select(people).where(people.c.login == "moi"))[0].password.startswith("$argon2id$")
    assert {"person.invited", "password.changed", "signed-in"} <= {row.action for row in web.rows(select(audit))}
    over = web.visitor().get(link)
    assert over.status_code == 404
    assert "/sign-in" in over.text


@pytest.mark.parametrize(
    "form",
    [
        {"password": "ngan", "again": "ngan"},
        {"password": "con mèo trèo cây", "again": "khác hẳn nhau nhé"},
        {"password": "co-lan12345", "again": "co-lan12345"},
        {},
    ],
)
def test_a_password_that_will_not_do_leaves_the_link_good(web, it, form):
    link = link_for(web, it, "co-lan")
    visitor = web.visitor()
    answer = visitor.post(link, form, seen=link)
    assert answer.status_code == 422
    assert 'class="error"' in answer.text
    assert visitor.post(link, GOOD, seen=link).status_code == 303


def test_a_new_link_makes_the_earlier_one_void_and_seven_days_are_seven_days(web, it):
    first, second = link_for(web, it, "co-lan"), link_for(web, it, "co-lan")
    visitor = web.visitor()
    assert visitor.get(first).status_code == 404
    web.clock.now += 7 * 86400 - 1
    assert visitor.get(second).status_code == 200
    web.clock.now += 2
    assert visitor.get(second).status_code == 404
    assert visitor.post(second, GOOD).status_code == 404


def test_a_closed_account_and_an_unknown_link(web, it):
    link = link_for(web, it, "co-lan")
    web.write(people.update().where(people.c.login == "co-lan").values(active=False))
    assert web.visitor().get(link).status_code == 404
    for odd in ("/invitation/x", "/invitation/" + "a" * 3000, "/invitation/%00", "/invitation/%ff", "/invitation/ế"):
        assert web.visitor().get(odd).status_code == 404
    row = web.rows(select(people).where(people.c.login == "co-lan"))[0]
    assert it.post(f"/people/{row.id}/invitation", seen=f"/people/{row.id}").status_code == 409


def test_old_sessions_end_and_a_second_factor_is_still_asked_for(web, it):
    web.add_person("hai-buoc", Role.TEACHER, totp_secret="A" * 32)
    old = web.as_person("hai-buoc")
    link = link_for(web, it, "hai-buoc")
    visitor = web.visitor()
    answer = visitor.post(link, GOOD, seen=link)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert visitor.get("/account").status_code == 303
    assert old.get("/account").status_code == 303
    person_id = web.rows(select(people).where(people.c.login == "hai-buoc"))[0].id
    assert not web.rows(select(sessions).where(sessions.c.person_id == person_id))


def test_of_two_who_take_one_link_up_at_once_one_gets_in(web, it):
    from dashboard.staff import inviting

    token = link_for(web, it, "co-lan").rpartition("/")[2]

    async def both():
        view = await web.site.school.now()
        taken = [inviting.accept(web.site, view, token, word, word, web.clock.now) for word in ("con mèo trèo cây", "con chuột chạy qua")]
        return await asyncio.gather(*taken)

    assert sorted(account is None for account in web.run(both)) == [False, True]


def test_a_form_of_another_site_sets_no_password(web, it):
    link = link_for(web, it, "co-lan")
    answer = web.visitor().post(link, GOOD, seen=link, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert web.visitor().get(link).status_code == 200

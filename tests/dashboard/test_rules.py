"""The school's own rules: read as people write, judged by the ladder, changed one by one or as a table."""

import re

import pytest
from sqlalchemy import select

from dashboard.access import Scope
from dashboard.refusal import Refused
from dashboard.settings import rules
from dashboard.store.tables import audit, sessions
from filters.name import normalise
from policies.decide import Block, decide
from policies.model import LocalRule
from policies.state import read_state

FORM = {"action": "block", "name": "tro-choi.example", "reason": "Trong giờ học", "until": ""}


def state(web):
    return read_state(web.box.state)


def text(answer):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))


@pytest.fixture
def it(web):
    return web.as_person("quan-tri")


def add(it, **form):
    return it.post("/rules", FORM | form, seen="/rules")


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("TikTok.com", "tiktok.com"),
        ("https://www.TikTok.com:443/@ai?x=1#y", "tiktok.com"),
        ("http://user:pass@example.com/", "example.com"),
        ("//example.com/a", "example.com"),
        ("*.example.com", "example.com"),
        ("||ads.example.com^$third-party", "ads.example.com"),
        ("bücher.example.", "xn--bcher-kva.example"),
        ("trò-chơi.vn", normalise("trò-chơi.vn")),
        ("www.com.vn", "www.com.vn"),
        ("  a.b.example.com  ", "a.b.example.com"),
    ],
)
def test_what_people_type_is_read_as_a_name(typed, name):
    read = rules.understood(typed)
    assert read.name == name
    if typed.startswith("https://"):
        assert "left out" in str(read.notes)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "10.0.0.1",
        "http://",
        "a b.com",
        "<script>alert(1)</script>",
        "a\u202eb.com",
        "x" * 3000,
        "http://[::1",
        "-.com",
        "a..b",
        "nul\0.com",
    ],
)
def test_what_is_no_name_is_refused(typed):
    with pytest.raises(Refused) as refused:
        rules.understood(typed)
    assert refused.value.status == 422


def test_a_rule_is_in_force_and_in_the_audit_log(web, it):
    answer = add(it, name="https://WWW.tro-choi.example/x")
    assert answer.headers["location"] == "/rules"
    page = it.get("/rules")
    assert "In force on all 2 workers" in page.text
    assert state(web).rules == (LocalRule(action="block", name="tro-choi.example", by="Quan-Tri (quan-tri)", reason="Trong giờ học"),)
    row = web.rows(select(audit))[-1]
    assert (row.action, row.object, row.reason, row.outcome) == ("rule.added", "block tro-choi.example", "Trong giờ học", "done")


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"name": "com.vn"}, "com.vn is a public suffix"),
        ({"name": "vn"}, "public suffix"),
        ({"name": "tongdai111.vn"}, "help for children"),
        ({"name": "pool.ntp.org"}, "needed by the box"),
        ({"name": "manglanh.home.arpa"}, "special name"),
        ({"name": "child-abuse.manglanh.test", "action": "allow"}, "Rung 1 blocks child-abuse.manglanh.test anyway"),
        ({"name": "child-abuse.manglanh.test"}, "Rung 1"),
        ({"reason": ""}, "must not be empty"),
        ({"reason": "x" * 301}, "too long"),
        ({"reason": "a\u202eb"}, "nobody can see"),
        ({"until": "2027-01-14"}, "This day is over"),
        ({"until": "31/02/2027"}, "This is no date"),
        ({"groups": ["9z"]}, "unknown group"),
        ({"action": "drop"}, "unknown value"),
    ],
)
def test_what_is_refused_is_said_and_changes_nothing(web, it, form, said):
    answer = add(it, **form)
    assert answer.status_code in (409, 422)
    assert said in text(answer)
    assert state(web).generation == 0


@pytest.mark.parametrize("form", [{"name": "google.com"}, {"name": "github.io"}])
def test_what_breaks_more_than_it_says_is_done_only_once_it_was_read(web, it, form):
    answer = add(it, **form)
    assert answer.status_code == 409
    assert "Please read this first" in answer.text
    assert state(web).generation == 0
    sure = re.search(r'name="sure" value="(\w+)"', answer.text)[1]
    assert add(it, **form, sure="0" * 16).status_code == 409
    assert add(it, **form, sure=sure).status_code == 303
    assert state(web).rules[0].name == form["name"]


def test_an_allow_that_an_own_block_overrules_is_refused_and_one_for_some_groups_warns(web, it):
    add(it, name="example.com", groups=["6a1"])
    answer = add(it, action="allow", name="www.bai-tap.example.com", groups=["6a1"])
    assert answer.status_code == 409
    assert "A rule of your own blocks example.com" in text(answer)
    answer = add(it, action="allow", name="bai-tap.example.com")
    assert answer.status_code == 409
    assert "So it is for: 6a1" in text(answer)


def test_what_is_said_of_a_rule_is_what_the_resolver_does(web, it):
    add(it, action="allow", name="gambling.manglanh.test", groups=["6a1"])
    view = web.run(web.site.school.now)
    blocked = {
        group: isinstance(decide("gambling.manglanh.test", 1, view.snapshot.policy(group, web.clock.now), view.index), Block)
        for group in ("6a1", "6a2")
    }
    assert blocked == {"6a1": False, "6a2": True}


def test_a_rule_with_a_last_day_ends_with_it(web, it):
    add(it, until="2027-01-15")
    until = state(web).rules[0].until
    assert until == web.clock.now + (24 - 15) * 3600 - 20 * 60  # 15:20 in Vietnam
    web.write(sessions.update().values(expires_at=until + 3600))
    web.clock.now = until + 1
    assert "has ended" in it.get("/rules").text
    assert add(it).status_code == 303  # the same again, which has ended
    assert [rule.until for rule in state(web).rules] == [None]


def test_change_and_remove(web, it):
    add(it)
    id_ = rules.rule_id(state(web).rules[0])
    answer = it.post(f"/rules/{id_}", FORM | {"action": "allow", "reason": "Doch", "groups": ["3b"]}, seen=f"/rules/{id_}")
    assert answer.status_code == 303
    changed = state(web).rules[0]
    assert (changed.action, changed.groups, changed.reason) == ("allow", ("3b",), "Doch")
    assert it.get(f"/rules/{id_}").status_code == 404
    new = rules.rule_id(changed)
    assert it.post(f"/rules/{new}/remove", seen=f"/rules/{new}").status_code == 303
    assert it.post(f"/rules/{new}/remove", seen="/rules").status_code == 404
    assert state(web).rules == ()
    assert [row.action for row in web.rows(select(audit).order_by(audit.c.id))] == ["rule.added", "rule.changed", "rule.removed"]


def test_the_same_rule_twice(it):
    add(it)
    answer = add(it, reason="andere")
    assert answer.status_code == 409
    assert "There is this rule already" in answer.text


def test_what_is_shown_is_escaped_and_what_stands_in_the_file_is_not_changed_here(web, it):
    config = web.site.config
    config.write_text(config.read_text() + "rules:\n  - {action: block, name: trong-tep.example, reason: <b>tệp</b>}\n", encoding="utf-8")
    add(it, reason="<script>alert(1)</script>")
    page = it.get("/rules").text
    assert "trong-tep.example" in page
    assert "<script>alert" not in page
    assert "<b>tệp" not in page
    assert it.get(f"/rules/{rules.rule_id(LocalRule(action='block', name='trong-tep.example'))}").status_code == 404


def test_a_prefilled_form_and_a_search(it):
    add(it)
    page = it.get("/rules?action=allow&name=abc.example&group=6a1").text
    assert 'value="abc.example"' in page
    assert "tro-choi" in it.get("/rules?q=giờ").text
    assert "No rules" in it.get("/rules?q=khongco").text


TABLE = "hành động;trang web;lý do;nhóm;đến hết ngày\nChặn;https://www.Game.example/x;trò chơi;6a1, Lớp 3B;31/12/2027\ncho phep;hoc.example;học;;\n"


def test_a_table_of_rules(web, it):
    it.post("/rules/import", files={"csv": ("a.csv", TABLE.encode())}, seen="/rules/import")
    page = it.get("/rules/import/preview").text
    assert "block game.example" in page
    seen = re.search(r'name="seen" value="(\w+)"', page)[1]
    assert it.post("/rules/import/confirm", {"seen": seen}, seen="/rules").headers["location"] == "/rules"
    assert [(rule.action, rule.name, rule.groups) for rule in state(web).rules] == [
        ("block", "game.example", ("3b", "6a1")),
        ("allow", "hoc.example", ()),
    ]
    assert web.rows(select(audit))[-1].action == "rule.imported"
    again = web.client.post(
        "/api/v1/rules/import/preview", json={"csv": it.get("/rules/export.csv").text.lstrip("\ufeff")}, headers=web.token("quan-tri")
    ).json()
    assert again["counts"] == {"wrong": 0, "new": 0, "changed": 0, "unchanged": 2}


def test_a_table_with_a_wrong_row_changes_nothing(web):
    headers = web.token("quan-tri")
    table = TABLE + "chặn;com.vn;x;;\nchặn;ok.example;;;\nxoá;a.example;x;;\nchặn;b.example;x;9z;\ncho phép;hoc.example;hai;;\n"
    plan = web.client.post("/api/v1/rules/import/preview", json={"csv": table}, headers=headers).json()
    assert plan["counts"] == {"wrong": 5, "new": 2, "changed": 0, "unchanged": 0}
    notes = " ".join(note for row in plan["rows"] for note in row["notes"])
    for said in (
        "Column “site”: com.vn is a public suffix",
        "Column “reason”: This must not be empty",
        "“xoá” is neither",
        "Column “groups”",
        "Line 3 says the same",
    ):
        assert said in notes
    assert web.client.post("/api/v1/rules/import", json={"csv": table, "seen": plan["digest"]}, headers=headers).status_code == 422
    assert state(web).generation == 0


def test_a_table_made_on_what_has_changed_since_is_refused(web, it):
    headers = web.token("quan-tri")
    seen = web.client.post("/api/v1/rules/import/preview", json={"csv": TABLE}, headers=headers).json()["digest"]
    add(it, name="game.example", groups=["6a1", "3b"], reason="khác")
    answer = web.client.post("/api/v1/rules/import", json={"csv": TABLE, "seen": seen}, headers=headers)
    assert answer.status_code == 409
    assert len(state(web).rules) == 1


def test_two_thousand_rules_in_a_table(web):
    table = "action,site,reason\n" + "".join(f"block,s{number}.example,x\n" for number in range(2000))
    headers = web.token("quan-tri")
    plan = web.client.post("/api/v1/rules/import/preview", json={"csv": table}, headers=headers).json()
    made = web.client.post("/api/v1/rules/import", json={"csv": table, "seen": plan["digest"]}, headers=headers)
    assert made.json()["new"] == 2000
    assert len(state(web).rules) == 2000


def test_the_api_warns_and_is_told_that_it_is_meant_so(web):
    headers = web.token("quan-tri", Scope.RULES_READ, Scope.RULES_WRITE)
    new = {"action": "block", "name": "google.com", "reason": "thử"}
    warned = web.client.post("/api/v1/rules", json=new, headers=headers)
    assert warned.status_code == 409
    assert warned.json()["warnings"]
    made = web.client.post("/api/v1/rules", json=new | {"sure": warned.json()["sure"]}, headers=headers)
    assert made.status_code == 201
    path = f"/api/v1/rules/{made.json()['rule']['id']}"
    assert web.client.get(path, headers=headers).json()["name"] == "google.com"
    changed = web.client.put(path, json=new | {"name": "khac.example"}, headers=headers)
    assert changed.status_code == 200
    assert web.client.delete(path, headers=headers).status_code == 404
    assert web.client.delete(f"/api/v1/rules/{changed.json()['rule']['id']}", headers=headers).status_code == 200
    assert web.client.get("/api/v1/rules", headers=headers).json() == {"rules": [], "total": 0}
    assert web.client.get("/api/v1/rules", headers=web.token("co-lan")).status_code == 403

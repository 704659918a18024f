"""The store on both databases: what is written is read, whole or not at all, by several at once."""

import asyncio

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from dashboard.access import Person, Role, Scope
from dashboard.store import audit
from dashboard.store import people as persons
from dashboard.store.engine import Store, StoreTrouble, upsert
from dashboard.store.tables import assignments, device_labels, outbox, people, reports, requests, sessions, site_sets, tokens
from dashboard.store.tables import audit as audit_table
from tests.dashboard.stores import *  # noqa: F403

NOW = 1_800_001_200.0
LAN = {"login": "co-lan", "name": "Cô Lan", "role": Role.TEACHER, "created_at": NOW}


async def add(store, table, **values):
    async with store.write() as connection:
        return (await connection.execute(insert(table).values(**values).returning(*table.primary_key.columns))).scalar()


async def rows(store, query):
    async with store.read() as connection:
        return (await connection.execute(query)).all()


async def with_read(store, function, *arguments):
    async with store.read() as connection:
        return await function(connection, *arguments)


async def with_write(store, function, *arguments):
    async with store.write() as connection:
        return await function(connection, *arguments)


def test_who_has_a_session_is_known_by_it_until_it_ends(store, loop):
    lan = loop(add(store, people, **LAN))
    for group, since, until in (("6a1", None, None), ("6a2", NOW - 5, NOW + 5), ("6a3", None, NOW - 1), ("6a4", NOW + 1, None)):
        loop(add(store, assignments, person_id=lan, group_name=group, since=since, until=until))
    loop(with_write(store, persons.begin_session, lan, "token", NOW, NOW + 60, "Firefox", "10.0.0.5"))
    person = loop(with_read(store, persons.by_session, "token", NOW))
    assert (person.login, person.role, person.classes) == ("co-lan", Role.TEACHER, {"6a1", "6a2"})
    assert loop(with_read(store, persons.by_session, "token", NOW + 60)) is None
    assert loop(with_read(store, persons.by_session, "Token", NOW)) is None
    loop(with_write(store, persons.note_seen, person.session, NOW + 50, NOW + 200, 86400.0))
    assert loop(with_read(store, persons.by_session, "token", NOW + 60)) is not None
    loop(with_write(store, persons.end_session, person.session))
    assert loop(rows(store, select(sessions))) == []


def test_a_token_has_its_scopes_and_none_that_is_unknown(store, loop):
    lan = loop(add(store, people, **LAN))
    values = {"person_id": lan, "name": "n", "created_at": NOW}
    loop(add(store, tokens, token=persons.fingerprint("t"), scopes=["classes:read", "moon:write"], **values))
    assert loop(with_read(store, persons.by_token, "t", NOW)).scopes == {Scope.CLASSES_READ}
    loop(with_write(store, lambda connection: connection.execute(update(people).values(active=False))))
    assert loop(with_read(store, persons.by_token, "t", NOW)) is None


def test_a_person_who_goes_takes_what_is_theirs_along_but_not_the_audit_log(store, loop):
    lan = loop(add(store, people, **LAN))
    loop(add(store, assignments, person_id=lan, group_name="6a1"))
    loop(add(store, site_sets, name="Thi", sites=["azota.vn"], owner_id=lan))
    person = Person(lan, "co-lan", "Cô Lan", Role.TEACHER, "vi", frozenset())
    loop(with_write(store, audit.add, NOW, person, [audit.Entry("class.mode", "6a1", {"mode": "exam"}, "kiểm tra")]))
    loop(with_write(store, lambda connection: connection.execute(people.delete())))
    assert loop(rows(store, select(assignments))) == loop(rows(store, select(site_sets))) == []
    left = loop(rows(store, select(audit_table)))[0]
    assert (left.by, left.person_id, left.detail, left.reason) == ("Cô Lan (co-lan)", None, {"mode": "exam"}, "kiểm tra")


def test_audit_rows_come_in_order_and_are_settled(store, loop):
    ids = loop(with_write(store, audit.add, NOW, None, [audit.Entry("class.mode", str(number)) for number in range(40)], "begun"))
    loop(with_write(store, audit.settle, ids[:10], "failed"))
    loop(with_write(store, audit.settle, [], "done"))
    found = loop(rows(store, select(audit_table).order_by(audit_table.c.id)))
    assert [row.object for row in found] == [str(number) for number in range(40)]
    assert [row.id for row in found] == ids
    assert [row.outcome for row in found] == ["failed"] * 10 + ["begun"] * 30


def test_json_and_bytes_and_long_texts_come_back_as_they_went(store, loop):
    detail = {"a": [1, 2.5, None, True, "tiếng Việt 😀"], "b": {"c": {}}}
    loop(add(store, audit_table, at=0.1 + 0.2, by="", action="set-up", detail=detail))
    report = loop(add(store, reports, number="1", at=NOW, kind="fake", target="x", note="ă" * 20_000))
    loop(add(store, outbox, report_id=report, kind="mail", target="x", body=bytes(range(256)), created_at=NOW, next_at=NOW))
    found = loop(rows(store, select(audit_table)))[0]
    assert (found.detail, found.at) == (detail, 0.1 + 0.2)
    assert loop(rows(store, select(outbox)))[0].body == bytes(range(256))
    assert loop(rows(store, select(reports)))[0].note == "ă" * 20_000


def test_an_upsert_adds_or_changes(store, loop):
    async def label(mac, text_):
        async with store.write() as connection:
            statement = upsert(connection, device_labels).values(mac=mac, label=text_)
            await connection.execute(
                statement.on_conflict_do_update(index_elements=[device_labels.c.mac], set_={"label": statement.excluded.label})
            )

    for each in ("cũ", "mới"):
        loop(label("aa:bb:cc:dd:ee:ff", each))
    assert [row.label for row in loop(rows(store, select(device_labels)))] == ["mới"]


def test_a_transaction_is_whole_or_not_at_all(store, loop):
    async def half():
        async with store.write() as connection:
            await connection.execute(insert(people).values(**LAN))
            raise RuntimeError("power")

    with pytest.raises(RuntimeError):
        loop(half())
    assert loop(rows(store, select(people))) == []


def test_two_of_the_same_contradict(store, loop):
    loop(add(store, people, **LAN))
    with pytest.raises(IntegrityError):
        loop(add(store, people, **LAN))
    assert len(loop(rows(store, select(people)))) == 1


def test_forty_who_write_at_once_lose_nothing(store, loop):
    """Each reads and then writes what it has read, plus one."""
    lan = loop(add(store, requests, at=NOW, group_name="6a1", name="x.vn", count=0))

    async def once_more():
        async with store.write() as connection:
            query = select(requests.c.count).where(requests.c.id == lan).with_for_update()
            count = (await connection.execute(query)).scalar()
            await connection.execute(update(requests).where(requests.c.id == lan).values(count=count + 1))

    async def all_at_once():
        await asyncio.gather(*(once_more() for _ in range(40)))

    loop(all_at_once())
    assert loop(rows(store, select(requests.c.count)))[0][0] == 40


def test_a_reader_sees_one_moment(store, loop):
    async def look_twice():
        async with store.read() as reading:
            before = (await reading.execute(select(people.c.login))).all()
            async with store.write() as connection:
                await connection.execute(insert(people).values(**LAN))
            return before, (await reading.execute(select(people.c.login))).all()

    assert loop(look_twice()) == ([], [])
    assert len(loop(rows(store, select(people)))) == 1


@pytest.mark.parametrize("url", ["", "mysql://x/y", "nonsense", "sqlite+pysqlite://[", "oracle://x"])
def test_a_url_that_is_none_is_refused_in_words(url):
    with pytest.raises(StoreTrouble, match="The store cannot be used"):
        Store(url)


def test_a_password_is_not_shown():
    assert "geheim" not in Store("postgresql://school:geheim@localhost/x").shown

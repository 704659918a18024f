"""The revisions build what tables.py says, on both databases, together, and only where they may."""

import asyncio
import multiprocessing
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Column, String, insert, select, text

from dashboard.store import migrating
from dashboard.store.engine import Store, StoreTrouble
from dashboard.store.migrating import bring_up_to_date, revision
from dashboard.store.migrations import HEAD, REVISIONS
from dashboard.store.tables import metadata, people
from tests.dashboard.stores import *  # noqa: F403

PERSON = {"login": "co-lan", "name": "Cô Lan", "role": "teacher", "created_at": 1.0}


def differences(connection):
    return compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)


async def execute(store, statement):
    async with store.write() as connection:
        return await connection.execute(statement)


async def fetch(store, query):
    async with store.read() as connection:
        return (await connection.execute(query)).all()


def test_the_revisions_build_the_tables(store, loop):
    async def compare():
        async with store.write() as connection:
            return await connection.run_sync(differences)

    assert loop(compare()) == []
    assert loop(revision(store)) == HEAD


def test_the_revisions_make_the_same_kinds_of_sqlite_tables(tmp_path, loop):
    """Alembic does not compare what only SQLite knows, WITHOUT ROWID."""
    plain, migrated = Store(f"sqlite:///{tmp_path}/plain.db"), Store(f"sqlite:///{tmp_path}/migrated.db")

    async def kinds(store):
        return dict(await fetch(store, text("SELECT name, wr FROM pragma_table_list WHERE type = 'table'")))

    async def both():
        async with plain.write() as connection:
            await connection.run_sync(metadata.create_all)
        await bring_up_to_date(migrated)
        found = await kinds(plain), await kinds(migrated)
        await plain.close()
        await migrated.close()
        return found

    expected, found = loop(both())
    assert expected == {name: kind for name, kind in found.items() if name != migrating.VERSION_TABLE}


def test_the_program_knows_every_revision():
    script = ScriptDirectory(migrating._PLACE)
    assert tuple(reversed([each.revision for each in script.walk_revisions()])) == REVISIONS


def test_an_up_to_date_store_is_left_alone_and_keeps_its_data(store, loop):
    loop(execute(store, insert(people).values(**PERSON)))
    loop(bring_up_to_date(store))
    assert [row.login for row in loop(fetch(store, select(people)))] == ["co-lan"]


def test_an_up_to_date_store_imports_no_alembic(tmp_path, loop):
    url = f"sqlite:///{tmp_path}/store.db"
    store = Store(url)
    loop(bring_up_to_date(store))
    loop(store.close())
    code = (
        "import asyncio, sys\nfrom dashboard.store.engine import Store\nfrom dashboard.store.migrating import bring_up_to_date\n"
        f"asyncio.run(bring_up_to_date(Store({url!r})))\nprint(sorted(sys.modules.keys() & {{'alembic', 'mako'}}))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_a_store_of_a_newer_program_is_refused_and_left_as_it_is(store, loop):
    loop(execute(store, text(f"UPDATE {migrating.VERSION_TABLE} SET version_num = '9999'")))
    with pytest.raises(StoreTrouble, match="newer version of this program"):
        loop(bring_up_to_date(store))
    assert loop(fetch(store, text(f"SELECT version_num FROM {migrating.VERSION_TABLE}")))[0][0] == "9999"


def _bring_up(url, barrier, results):
    async def run():
        store = Store(url)
        await bring_up_to_date(store)
        found = await revision(store)
        await store.close()
        return found

    barrier.wait(30)
    try:
        results.put(asyncio.run(run()))
    except Exception as error:
        results.put(repr(error))


def test_three_processes_at_once_make_one_set_of_tables(store_url):
    spawn = multiprocessing.get_context("spawn")
    barrier, results = spawn.Barrier(3), spawn.Queue()
    processes = [spawn.Process(target=_bring_up, args=(store_url, barrier, results)) for _ in range(3)]
    for process in processes:
        process.start()
    assert [results.get(timeout=60) for _ in processes] == [HEAD] * 3
    for process in processes:
        process.join(30)


@pytest.fixture
def next_revision(monkeypatch):
    """A program that knows one revision more, which copies the table of people (as SQLite must) and adds to it."""

    real = migrating._upgrade

    def upgrade(connection, to):
        if to != "next":
            real(connection, to)
            return
        operations = Operations(MigrationContext.configure(connection))
        with operations.batch_alter_table("people", recreate="always" if connection.dialect.name == "sqlite" else "never") as batch:
            batch.add_column(Column("room", String(20)))
        connection.execute(text(f"UPDATE {migrating.VERSION_TABLE} SET version_num = '{to}'"))

    monkeypatch.setattr(migrating, "REVISIONS", (*REVISIONS, "next"))
    monkeypatch.setattr(migrating, "_upgrade", upgrade)
    return "next"


def test_a_new_revision_keeps_the_data_and_what_refers_to_it(store, loop, next_revision):
    loop(execute(store, insert(people).values(**PERSON)))
    loop(execute(store, text("INSERT INTO assignments (person_id, group_name, given_by) SELECT id, '6a1', '' FROM people")))
    loop(bring_up_to_date(store, next_revision))
    rows = loop(
        fetch(store, text("SELECT people.login, people.room, assignments.group_name FROM people JOIN assignments ON person_id = people.id"))
    )
    assert [tuple(row) for row in rows] == [("co-lan", None, "6a1")]
    with pytest.raises(Exception, match=r"(?i)foreign key"):  # still followed afterwards
        loop(execute(store, text("INSERT INTO assignments (person_id, group_name, given_by) VALUES (999, '6a1', '')")))


def test_a_copy_of_an_sqlite_store_stands_beside_it_before_it_changes(tmp_path, loop, next_revision):
    store = Store(f"sqlite:///{tmp_path}/store.db")
    loop(bring_up_to_date(store))
    loop(execute(store, insert(people).values(**PERSON)))
    assert not list(tmp_path.glob("*.before-*"))
    loop(bring_up_to_date(store, next_revision))
    loop(store.close())
    copy = tmp_path / "store.db.before-next"
    with sqlite3.connect(copy) as connection:
        assert connection.execute("SELECT login FROM people").fetchall() == [("co-lan",)]
        assert connection.execute(f"SELECT version_num FROM {migrating.VERSION_TABLE}").fetchall() == [(HEAD,)]
    connection.close()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_a_revision_that_fails_changes_nothing(store, loop, next_revision, monkeypatch):
    real = migrating._upgrade

    def fails(connection, to):
        real(connection, to)
        raise RuntimeError("a bug in a revision")

    loop(execute(store, insert(people).values(**PERSON)))
    monkeypatch.setattr(migrating, "_upgrade", fails)
    with pytest.raises(RuntimeError):
        loop(bring_up_to_date(store, next_revision))
    assert loop(revision(store)) == HEAD
    assert "room" not in loop(fetch(store, text("SELECT * FROM people")))[0]._fields


def test_no_copy_no_change(tmp_path, loop, next_revision, monkeypatch):
    store = Store(f"sqlite:///{tmp_path}/store.db")
    loop(bring_up_to_date(store))
    (tmp_path / ".store.db.before-next.new").mkdir()
    with pytest.raises(StoreTrouble, match="No copy"):
        loop(bring_up_to_date(store, next_revision))
    assert loop(revision(store)) == HEAD
    loop(store.close())


def test_the_store_is_its_owners_alone(tmp_path, loop):
    store = Store(f"sqlite:///{tmp_path}/store.db")
    loop(bring_up_to_date(store))
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("store.db*")} == {0o600}
    loop(store.close())


def test_a_directory_that_is_not_there_is_said_in_words(tmp_path, loop):
    store = Store(f"sqlite:///{tmp_path}/gone/store.db")
    with pytest.raises(StoreTrouble, match="cannot be made"):
        loop(bring_up_to_date(store))
    assert not Path(tmp_path / "gone").exists()

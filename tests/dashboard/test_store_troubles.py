"""A store that is locked, full, read-only, gone or stopped: said in words, nothing half-written, and well again without a restart."""

import os
import sqlite3
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from dashboard.store import engine
from dashboard.store.engine import Store, StoreTrouble
from dashboard.store.migrating import bring_up_to_date
from dashboard.store.tables import device_labels, requests
from policies.state import read_state
from tests.dashboard.stores import *  # noqa: F403
from tests.postgres import NotInstalled, cluster

ROW = {"at": 1.0, "group_name": "6a1", "name": "x.vn", "note": "x" * 5000}


async def add(store, **values):
    async with store.write() as connection:
        await connection.execute(insert(requests).values(**(ROW | values)))
        await connection.execute(insert(requests).values(**(ROW | values)))


async def count(store):
    async with store.read() as connection:
        return len((await connection.execute(select(requests.c.id))).all())


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(engine, "BUSY", 0.1)


@pytest.fixture
def place():
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def here(place, loop):
    """An SQLite store with two rows."""
    store = Store(f"sqlite:///{place}/store.db")
    loop(bring_up_to_date(store))
    loop(add(store))
    yield store
    loop(store.close())


@contextmanager
def locked(path):
    """Another process that writes, in the middle of its transaction."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def test_a_locked_store_is_read_and_says_that_it_is_busy(here, place, loop):
    with locked(place / "store.db"):
        with pytest.raises(StoreTrouble, match="busy"):
            loop(add(here))
        assert loop(count(here)) == 2
    loop(add(here))
    assert loop(count(here)) == 4


def test_a_full_disk_changes_nothing(here, loop):
    async def fill(pages):
        async with here.write() as connection:
            used = (await connection.exec_driver_sql("PRAGMA page_count")).scalar()
            await connection.exec_driver_sql(f"PRAGMA max_page_count = {used + pages}")

    async def much():
        async with here.write() as connection:
            for _ in range(50):
                await connection.execute(insert(requests).values(**ROW))

    loop(fill(3))
    with pytest.raises(StoreTrouble, match="disk is full"):
        loop(much())
    assert loop(count(here)) == 2
    loop(fill(1_000_000))
    loop(much())
    assert loop(count(here)) == 52


@contextmanager
def small_disk(folder):
    """A file system of 2 MB of our own, where we may mount one."""
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_that_really_is_full_and_then_has_room_again(place, loop):
    with small_disk(place):
        store = Store(f"sqlite:///{place}/store.db")
        loop(bring_up_to_date(store))
        loop(add(store))
        with (place / "ballast").open("wb") as ballast, pytest.raises(OSError, match="No space"):
            while True:
                ballast.write(bytes(65536))
                ballast.flush()
        with pytest.raises(StoreTrouble, match="disk is full"):
            loop(add(store, note="y" * 200_000))
        assert loop(count(store)) == 2
        (place / "ballast").unlink()
        loop(add(store))
        assert loop(count(store)) == 4
        loop(store.close())


def test_a_disk_that_became_read_only_is_read(place, loop):
    """As an SD card does when it fails."""
    with small_disk(place):
        store = Store(f"sqlite:///{place}/store.db")
        loop(bring_up_to_date(store))
        loop(add(store))
        loop(store.close())
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        with pytest.raises(StoreTrouble, match=r"cannot be written|disk is full or damaged"):
            loop(add(store))
        subprocess.run(["mount", "-o", "remount,rw", str(place)], check=True)
        loop(add(store))
        assert loop(count(store)) == 4
        loop(store.close())


def test_a_directory_that_is_gone_and_comes_back(here, place, loop):
    loop(here.close())
    aside = place.with_name(place.name + ".aside")
    place.rename(aside)
    for broken in (add(here), count(here)):
        with pytest.raises(StoreTrouble, match="cannot be written"):
            loop(broken)
    aside.rename(place)
    assert loop(count(here)) == 2


def test_a_file_that_is_no_store_is_said_in_words(place, loop):
    (place / "store.db").write_bytes(b"not a database, and long enough to be looked at" * 50)
    store = Store(f"sqlite:///{place}/store.db")
    with pytest.raises(StoreTrouble, match="not a database"):
        loop(bring_up_to_date(store))
    loop(store.close())


def test_more_readers_than_connections_wait_and_are_told(place, loop, monkeypatch):
    monkeypatch.setattr(engine, "POOL_WAIT", 0.1)
    monkeypatch.setattr(engine, "CONNECTIONS", 1)
    store = Store(f"sqlite:///{place}/store.db")
    loop(bring_up_to_date(store))

    async def two():
        async with store.read():
            return await count(store)

    with pytest.raises(StoreTrouble, match="busy"):
        loop(two())
    assert loop(count(store)) == 0
    loop(store.close())


# ---- PostgreSQL ------------------------------------------------------------------------------------------------------


@pytest.fixture
def server():
    """One of the test's own, since it is stopped."""
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        try:
            with cluster(Path(folder)) as made:
                yield made
        except NotInstalled as error:
            pytest.skip(str(error))


def test_a_server_that_stops_in_the_middle_and_comes_back(server, loop):
    store = Store(server.url())
    loop(bring_up_to_date(store))
    loop(add(store))

    async def interrupted():
        async with store.write() as connection:
            await connection.execute(insert(requests).values(**ROW))
            server.stop()
            await connection.execute(insert(requests).values(**ROW))

    with pytest.raises(StoreTrouble, match="does not answer"):
        loop(interrupted())
    for broken in (add(store), count(store)):
        with pytest.raises(StoreTrouble, match="does not answer"):
            loop(broken)
    server.start()
    assert loop(count(store)) == 2
    loop(add(store))
    assert loop(count(store)) == 4
    loop(store.close())


@pytest.mark.parametrize("url", ["postgresql://school@/nothere", "postgresql://nobody-of-this-name@/postgres"])
def test_a_server_that_does_not_let_us_in_is_said_in_words(postgres, loop, url):
    store = Store(f"{url}?host={postgres.folder}")
    with pytest.raises(StoreTrouble, match="does not exist"):
        loop(count(store))
    loop(store.close())


def test_a_text_that_no_column_takes_is_said_in_words(store, loop):
    async def nul():
        async with store.write() as connection:
            await connection.execute(insert(device_labels).values(mac="a", label="\0" if not store.is_sqlite else object()))

    with pytest.raises(StoreTrouble):
        loop(nul())


# ---- pages -----------------------------------------------------------------------------------------------------------


def test_a_page_is_shown_and_a_change_refused_while_the_store_is_locked(web, school_directory):
    lan = web.as_person("co-lan")
    assert lan.get("/classes").status_code == 200
    headers, generation = web.token("quan-tri"), read_state(school_directory / "state.json").generation
    with locked(school_directory / "store.db"):
        assert lan.get("/classes").status_code == 200
        answer = lan.post("/classes/6a1/mode", {"mode": "study", "length": "45"}, seen="/classes")
        assert answer.status_code == 503
        assert "busy" in answer.text
        api = web.client.post("/api/v1/backup", json={}, headers=headers)
        assert api.status_code == 503
        assert "busy" in api.json()["detail"]
    assert read_state(school_directory / "state.json").generation == generation
    assert lan.post("/classes/6a1/mode", {"mode": "study", "length": "45"}, seen="/classes").status_code == 303
    assert read_state(school_directory / "state.json").generation == generation + 1


def test_no_space_for_a_backup_is_said_in_words(web, monkeypatch):
    def full(folder):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("dashboard.backups.backing_up._aside", full)
    answer = web.as_person("quan-tri").post("/backup", {}, seen="/backup")
    assert answer.status_code == 503
    assert "No space left" in answer.text

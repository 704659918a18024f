"""Stores for tests, on both databases: ``from tests.dashboard.stores import *`` gives the fixtures ``postgres``, ``store_url`` and ``store``."""

import asyncio
import tempfile
from pathlib import Path

import pytest

from dashboard.store.engine import Store
from dashboard.store.migrating import bring_up_to_date
from tests.postgres import NotInstalled, cluster

__all__ = ["Loop", "loop", "postgres", "store", "store_url"]


class Loop:
    """One event loop for a whole test: connections belong to the loop that has opened them."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner

    def __call__(self, coroutine):
        return self._runner.run(coroutine)


@pytest.fixture
def loop():
    with asyncio.Runner() as runner:
        yield Loop(runner)


@pytest.fixture(scope="session")
def postgres():
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        try:
            with cluster(Path(folder)) as server:
                yield server
        except NotInstalled as error:
            pytest.skip(str(error))


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request, tmp_path):
    """The URL of an empty store."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/store.db"
        return
    server = request.getfixturevalue("postgres")
    name = server.make()
    yield server.url(name)
    server.drop(name)


@pytest.fixture
def store(store_url, loop):
    """A store with its tables."""
    made = Store(store_url)
    loop(bring_up_to_date(made))
    yield made
    loop(made.close())

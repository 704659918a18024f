"""Schools and running boxes. A test that changes a box's files or kills something makes its own; others share one a module."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.bench.processes import free_port
from tests.end_to_end.box import Box
from tests.end_to_end.internet import Internet
from tests.end_to_end.school import School
from tests.end_to_end.wall_clock import WallClock, build


@pytest.fixture
def internet() -> Iterator[Internet]:
    with Internet() as server:
        yield server


@pytest.fixture
def school(tmp_path: Path, internet: Internet) -> School:
    """Its file is written and its lists are compiled; nothing runs."""
    school = School(tmp_path, free_port())
    school.write([f"127.0.0.1:{internet.port}"])
    school.compile_lists()
    return school


@pytest.fixture
def box(school: School) -> Iterator[Box]:
    """A box of the test's own."""
    with Box(school) as running:
        yield running


@pytest.fixture(scope="module")
def shared_internet() -> Iterator[Internet]:
    with Internet() as server:
        yield server


@pytest.fixture(scope="module")
def shared_box(tmp_path_factory: pytest.TempPathFactory, shared_internet: Internet) -> Iterator[Box]:
    """One box for tests that only ask; it listens on IPv6 too and has two workers."""
    school = School(tmp_path_factory.mktemp("school"), free_port())
    listen = [f"127.0.0.1:{school.port}", f"[::1]:{school.port}"]
    school.write(
        [f"127.0.0.1:{shared_internet.port}"], {"dns": {"listen": listen, "workers": 2, "allow_from": ["127.0.0.0/16", "::1/128"]}}
    )
    school.compile_lists()
    with Box(school) as running:
        yield running


@pytest.fixture
def start(internet: Internet) -> Iterator[Callable[..., Box]]:
    """Starts boxes whose school the test has written; they end with the test."""
    with ExitStack() as stack:
        yield lambda school, **options: stack.enter_context(Box(school, **options))


@pytest.fixture(scope="session")
def wall_clock_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("clock"))


@pytest.fixture
def clock(wall_clock_library: Path, tmp_path: Path) -> WallClock:
    """The time of processes that are started with its environment."""
    return WallClock(wall_clock_library, tmp_path / "wall-clock")

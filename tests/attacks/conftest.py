"""A province with something in every channel, a web server that serves it, a school that trusts it and has asked once."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.attacks.school import School
from tests.province import NOW, Province, good
from tests.web import Web, serving


@pytest.fixture
def province(tmp_path: Path) -> Province:
    return good(tmp_path / "province")


@pytest.fixture
def web(province: Province) -> Iterator[Web]:
    with serving(province.repository) as server:
        yield server


@pytest.fixture
def open_school(tmp_path: Path, province: Province) -> Iterator[Callable[..., School]]:
    """Makes schools that trust ``province``; they have asked nobody yet."""
    with ExitStack() as stack:

        def made(*urls: str, **options) -> School:
            school = School(tmp_path / f"school-{next(numbers)}", province.root, *urls, **options)
            stack.callback(school.close)
            return school

        numbers = iter(range(100))
        yield made


@pytest.fixture
def school(open_school: Callable[..., School], web: Web) -> School:
    """It has the first release."""
    made = open_school(web.url)
    assert made.poll(NOW).well
    return made

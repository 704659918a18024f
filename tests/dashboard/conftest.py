"""A school with its web application, without a network: the real store, state file and school file; a box whose workers take everything up at once."""

import asyncio
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from publicsuffixlist import PublicSuffixList
from sqlalchemy import create_engine, insert

from blocklists.compile import compile_starter
from dashboard.access import Role, Scope
from dashboard.app import build
from dashboard.box import WorkerReport
from dashboard.changes import Changes
from dashboard.insight.statistics import Fold
from dashboard.school import School
from dashboard.site import Site
from dashboard.store import people
from dashboard.store.engine import Store
from dashboard.store.tables import assignments, metadata
from dashboard.store.tables import people as people_table
from dashboard.store.tables import tokens as tokens_table
from dashboard.web import Once
from filters.domain_index import DomainIndex
from policies.load import load
from policies.state import read_state

with warnings.catch_warnings():  # it would rather have httpx2, which we do not use
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

NOW = 1_800_001_200.0
"""Friday 2027-01-15, 15:20 in Vietnam: in the fourth lesson of the afternoon"""
PASSWORD = "mot-cau-mat-khau-dai"
HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)

SCHOOL = """\
# Ghi chú này phải còn nguyên.
school:
  name: Trường THCS Thử Nghiệm
  language: vi
  contact: 0905 000 111
  province: province.yaml
dns:
  listen: ["127.0.0.1:5399"]
  upstreams: [127.0.0.1:5398]
  block_answer: page
  block_page: [127.0.0.1]
lists: {{directory: "{directory}/lists"}}
state: "{directory}/state.json"
groups:
  - {{name: 6a1, title: Lớp 6A1, tier: thcs, clients: [10.0.12.0/24]}}  # phòng 12
  - {{name: 6a2, title: Lớp 6A2, tier: thcs, clients: [10.0.13.0/24]}}
  - {{name: 3b, title: Lớp 3B, tier: tieu-hoc, clients: [10.0.3.0/24]}}
  - {{name: giao-vien, title: Giáo viên, tier: staff, clients: [10.0.2.0/24]}}
timetable:
  lessons: {{"1": 07:00-07:45, "7": 14:40-15:25, "8": 15:30-16:15}}
  rules:
    - {{mode: study, groups: [6a1], lessons: ["1"]}}
  holidays: [2027-02-05..2027-02-12]
"""
PROVINCE = """\
name: Sở Giáo dục và Đào tạo tỉnh Thử
hotlines:
  - {name: Tổng đài của tỉnh, number: 0255 3 812 345}
authorities:
  - {id: so, name: Sở Giáo dục và Đào tạo, contact: "mailto:so@example.gov.vn"}
"""


@cache
def _index(starter: Path) -> DomainIndex:
    return DomainIndex.open(starter)


@dataclass
class FakeBox:
    """Two workers that have taken up whatever stands in the state file, unless ``lag`` says how many generations they are behind."""

    state: Path
    starter: Path
    lag: int = 0
    running: int = 2
    neighbours_now: list = field(default_factory=list)
    leases_now: dict = field(default_factory=dict)
    status: dict = field(default_factory=dict)

    def workers(self):
        generation = read_state(self.state).generation - self.lag
        return [WorkerReport(number, generation, NOW, "0" * 64, 1000, True, True, {}) for number in range(self.running)]

    def open_lists(self, previous):
        return _index(self.starter)

    def lists_status(self):
        return self.status

    def lists_said(self, translate):
        return [translate("nothing new")]

    async def decisions(self):
        for decision in ():
            yield decision

    def neighbours(self):
        return self.neighbours_now

    def leases(self):
        return self.leases_now

    def runtime(self):
        return None


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass
class Web:
    """The application, a client for each person, and the store behind it."""

    site: Site
    client: TestClient
    clock: Clock
    box: FakeBox

    def run(self, function, *arguments):
        """``await function(*arguments)`` in the application's own loop."""
        return self.client.portal.call(function, *arguments)

    def write(self, *statements):
        async def carry_out():
            async with self.site.store.write() as connection:
                return [await connection.execute(statement) for statement in statements]

        return self.run(carry_out)

    def rows(self, query) -> list:
        async def fetch():
            async with self.site.store.read() as connection:
                return (await connection.execute(query)).all()

        return self.run(fetch)

    def add_person(self, login: str, role: Role, classes: tuple[str, ...] = (), **values) -> int:
        row = {"login": login, "name": login.title(), "role": role, "password": HASH, "created_at": NOW, "language": "en"} | values
        person_id = self.write(insert(people_table).values(**row).returning(people_table.c.id))[0].scalar_one()
        for group in classes:
            self.write(insert(assignments).values(person_id=person_id, group_name=group))
        return person_id

    def visitor(self) -> "Visitor":
        """A browser without a session."""
        return Visitor(self, TestClient(self.client.app, base_url="http://testserver", follow_redirects=False))

    def as_person(self, login: str) -> "Visitor":
        """A browser in which this person is signed in (the session is made in the store; tests of signing in do it by the page)."""
        token = f"session-of-{login}"

        async def begin():
            async with self.site.store.write() as connection:
                person_id = (await connection.execute(people_table.select().where(people_table.c.login == login))).one().id
                await people.begin_session(connection, person_id, token, self.clock(), self.clock() + 86400, "test", "")

        self.run(begin)
        visitor = self.visitor()
        visitor.client.cookies.set("manglanh", token)
        return visitor

    def token(self, login: str, *scopes: Scope) -> dict[str, str]:
        """Headers with which a program of this person calls the API; without scopes: all of them."""
        secret = f"token-of-{login}-{'-'.join(scopes)}"
        person_id = self.rows(people_table.select().where(people_table.c.login == login))[0].id
        names = [str(scope) for scope in scopes or tuple(Scope)]
        values = {"token": people.fingerprint(secret), "person_id": person_id, "name": "test", "scopes": names, "created_at": NOW}
        if not self.rows(tokens_table.select().where(tokens_table.c.token == values["token"])):
            self.write(insert(tokens_table).values(**values))
        return {"Authorization": f"Bearer {secret}"}


@dataclass
class Visitor:
    web: Web
    client: TestClient

    def __post_init__(self) -> None:
        # One loop for all clients: the store's connections belong to it.
        self.client.portal = self.web.client.portal

    def get(self, path: str, **options):
        return self.client.get(path, **options)

    def post(self, path: str, data: dict | None = None, *, seen: str | None = None, **options):
        """Send a form as a browser would: with the token of a page that was read before (``seen``: which page; None: the sign-in page or home)."""
        page = self.client.get(seen or "/sign-in", follow_redirects=True)
        token = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert token, f"{seen or '/sign-in'} has no form: {page.status_code}"
        return self.client.post(path, data={"csrf": token[1]} | (data or {}), **options)


@pytest.fixture(scope="session")
def starter(tmp_path_factory) -> Path:
    return compile_starter(tmp_path_factory.mktemp("starter"))


def write_school(directory: Path) -> Path:
    (directory / "school.yaml").write_text(SCHOOL.format(directory=directory), encoding="utf-8")
    (directory / "province.yaml").write_text(PROVINCE, encoding="utf-8")
    return directory


@cache
def suffixes() -> PublicSuffixList:
    return PublicSuffixList()


_APPLICATIONS: list[FastAPI] = []
"""those that no test uses now: building one takes as long as ten tests"""


@cache
def empty_store() -> bytes:
    """A store with its tables, as a file."""
    with TemporaryDirectory() as directory:
        engine = create_engine(f"sqlite:///{directory}/store.db")
        metadata.create_all(engine)
        engine.dispose()
        return Path(directory, "store.db").read_bytes()


@contextmanager
def opened(directory: Path, starter: Path) -> Iterator[Web]:
    """The application of the school in this directory, without people."""
    config = directory / "school.yaml"
    file = load(config)
    box = FakeBox(file.state, starter)
    clock = Clock(NOW)
    (directory / "store.db").write_bytes(empty_store())
    store = Store(f"sqlite:///{directory}/store.db")

    async def make() -> Site:
        return Site(
            config=config,
            store=store,
            school=School(config, box.open_lists),
            changes=Changes(store, lambda: file.state, box, clock),
            box=box,
            clock=clock,
            once=Once(),
            fold=Fold(suffixes),
        )

    app = _APPLICATIONS.pop() if _APPLICATIONS else build(None)
    routes = list(app.router.routes)
    app.state.site = site = asyncio.run(make())
    with TestClient(app, base_url="http://testserver", follow_redirects=False) as client:
        yield Web(site, client, clock, box)
        client.portal.call(store.close)
    app.router.routes[:] = routes  # some tests add one
    _APPLICATIONS.append(app)


def with_people(web: Web) -> Web:
    """An administrator, a viewer, and two teachers with a class each."""
    web.add_person("quan-tri", Role.ADMIN)
    web.add_person("hieu-truong", Role.VIEWER)
    web.add_person("co-lan", Role.TEACHER, ("6a1",))
    web.add_person("thay-minh", Role.TEACHER, ("6a2",))
    return web


@pytest.fixture
def school_directory(tmp_path) -> Path:
    return write_school(tmp_path)


@pytest.fixture
def empty_web(school_directory, starter) -> Iterator[Web]:
    """The application of a school without people."""
    with opened(school_directory, starter) as web:
        yield web


@pytest.fixture
def web(empty_web) -> Web:
    """The same with people."""
    return with_people(empty_web)

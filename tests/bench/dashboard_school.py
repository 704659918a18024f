"""A large school for the dashboard's measures: its file, 5,000 devices, 200 teachers with their sessions, and a year of statistics in the store.

The same every time, but for the clock. Everything has the shape that the dashboard itself gives it (names of an hour and of a day are bounded, every
cell is counted for the school as well), written in bulk, since folding a year minute by minute would take a day.
"""

import asyncio
import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from dashboard.store.engine import Store
from dashboard.store.migrating import bring_up_to_date
from dashboard.store.people import fingerprint
from dashboard.store.statistics import DAY, HOURS_KEPT, NAMES_OF_DAY, NAMES_OF_HOUR, day_of

TEACHERS = 200
DEVICES = 5000
ZONE = "Asia/Ho_Chi_Minh"
LESSON_HOURS = (7, 8, 9, 10, 13, 14, 15, 16)
WEEKS_OFF = (5, 6, 25, 26, 27, 28, 29, 30, 31, 32)
"""of a year, counted back from today"""
AUDIT_ROWS, OPEN_REQUESTS, ANSWERED_REQUESTS, REPORTS, RULES = 2000, 200, 300, 50, 150
HOUR = 3600
BLOCKED_KINDS = (("gambling", "category"), ("social", "category"), ("games", "category"), ("adult", "category"), ("video", "class-mode"))
ALLOWED_KINDS = (
    ("", "default", "allow"), ("learning", "default", "allow"), ("help", "locked-allow", "allow"), ("video", "category", "rewrite"),
    ("", "school-allow", "allow"), ("", "lesson-unblock", "allow"),
)  # fmt: skip
CELL = "INSERT INTO {table} (group_name, {time}, category, rung, verdict, domain, count, devices) VALUES (?,?,?,?,?,?,?,?)"
Cell = tuple[str, int, str, str, str, str, int, int]


@dataclass(frozen=True)
class Person:
    login: str
    role: str
    classes: tuple[str, ...] = ()

    @property
    def token(self) -> str:
        """Of the session that the person has."""
        return f"session-of-{self.login}"


@dataclass(frozen=True)
class Ports:
    dns: int
    pages: int
    block_page: int
    upstream: int


@dataclass(frozen=True)
class School:
    directory: Path
    ports: Ports

    @property
    def config(self) -> Path:
        return self.directory / "school.yaml"

    @property
    def state(self) -> Path:
        return self.directory / "state.json"

    @property
    def store(self) -> Path:
        return self.directory / "store.db"


# ---- who there is: pure ----


def classes() -> list[tuple[str, str]]:
    """(name, tier) of 40 primary, 40 lower secondary and 20 upper secondary classes."""
    primary = [(f"{grade}a{number}", "tieu-hoc") for grade in range(1, 6) for number in range(1, 9)]
    lower = [(f"{grade}a{number}", "thcs") for grade in range(6, 10) for number in range(1, 11)]
    upper = [(f"{grade}a{number}", "thpt") for grade, count in ((10, 7), (11, 7), (12, 6)) for number in range(1, count + 1)]
    return primary + lower + upper


def address(index: int) -> str:
    """The address of a device in the class of this number. Load (127.1.0.1 and following) comes from devices of the first classes."""
    return f"127.0.{index + 1}.7"


def people() -> list[Person]:
    """An administrator, a viewer, and teachers with two to eight classes each; the first has four. Each of the first hundred also has the class of its number."""
    names = [name for name, _ in classes()]
    found = [Person("quan-tri", "admin"), Person("hieu-truong", "viewer")]
    for number in range(TEACHERS):
        count = 4 if number == 0 else 2 + number * 5 % 7
        own = dict.fromkeys(names[(number + step * 13) % len(names)] for step in range(count))
        found.append(Person(f"giao-vien-{number + 1}", "teacher", tuple(own)))
    return found


def school_file(school: School, lists: Path) -> dict[str, Any]:
    """The school's file as a document."""
    found = classes()
    groups = [
        {"name": name, "title": f"Lớp {name.upper()}", "tier": tier, "clients": [f"127.0.{index + 1}.0/24", f"127.1.0.{index + 1}/32"]}
        for index, (name, tier) in enumerate(found)
    ]
    groups.append({"name": "giao-vien", "title": "Giáo viên", "tier": "staff", "clients": ["127.2.0.0/16"]})
    starts = [7 * 60 + 50 * lesson for lesson in range(5)] + [13 * 60 + 50 * lesson for lesson in range(5)]
    lessons = {str(number): f"{at // 60:02}:{at % 60:02}-{(at + 45) // 60:02}:{(at + 45) % 60:02}" for number, at in enumerate(starts, 1)}
    rules = [
        {"mode": "study", "groups": [name for name, _ in found[part::10]], "days": [day], "lessons": [str(1 + (part + number) % 10)]}
        for part in range(10)
        for number, day in enumerate(("mon", "tue", "wed", "thu", "fri", "sat"))
    ]
    night = (datetime.now(ZoneInfo(ZONE)) + timedelta(hours=12)).strftime("%H:%M")
    return {
        "school": {"name": "Trường đo tốc độ", "timezone": ZONE, "contact": "0905 000 111", "counsellor": "Cô Hạnh, phòng 12"},
        "dns": {
            "listen": [f"127.0.0.1:{school.ports.dns}"],
            "upstreams": [f"127.0.0.1:{school.ports.upstream}"],
            "allow_from": ["127.0.0.0/8"],
            "limits": {"queries_per_second": 10_000_000, "burst": 10_000_000},
        },
        "lists": {"directory": str(lists), "compile_at": night},  # not while it is measured
        "state": str(school.state),
        "groups": groups,
        "timetable": {"lessons": lessons, "rules": rules, "holidays": ["2027-02-05..2027-02-12"]},
        "dashboard": {"listen": f"127.0.0.1:{school.ports.pages}"},
        "block_page": {"listen": [f"127.0.0.1:{school.ports.block_page}"]},
    }


def live_state(now: float) -> dict[str, Any]:
    """5,000 mapped devices, rules of the IT staff, and what teachers have done this lesson."""
    names = [name for name, _ in classes()]
    macs = {f"02:4d:4c:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}": names[number % 100] for number in range(DEVICES)}
    rules: list[dict[str, Any]] = [
        {
            "name": f"trang-{number}.bench.example",
            "action": "allow" if number % 3 else "block",
            "groups": names[number % 100 : number % 100 + 1] if number % 4 == 0 else [],
            "by": "Quản trị (quan-tri)",
            "reason": "Theo đề nghị của tổ bộ môn",
            "until": now + DAY * (number + 1) if number % 5 == 0 else None,
        }
        for number in range(RULES)
    ]
    by = "Giáo viên 1 (giao-vien-1)"
    unblocks = [
        {"group": names[number * 2], "name": f"bai-hoc-{number}.example", "since": now - 60, "until": now + HOUR, "by": by}
        for number in range(30)
    ]
    overrides = [
        {"group": names[99 - number], "mode": "study", "since": now - 60, "until": now + 2 * HOUR, "by": by} for number in range(20)
    ]
    return {"generation": 1, "written_at": now, "overrides": overrides, "unblocks": unblocks, "rules": rules, "devices": macs}


def cells(at: int, groups: Sequence[str], names: int) -> Iterator[Cell]:
    """One hour or day of each group, and of the school: what was blocked by name, and what was answered by kind."""
    for index, group in enumerate(("", *groups)):
        many = 90 if not group else 1
        for number in range(names):
            category, rung = BLOCKED_KINDS[number % len(BLOCKED_KINDS)]
            spread = (at // HOUR * 31 + index * 17 + number * 7) % 40
            yield (
                group,
                at,
                category,
                rung,
                "block",
                f"trang{(number * 3 + spread) % 500}-{number}.example",
                many * (3 + spread),
                1 + spread,
            )
        for number, (category, rung, verdict) in enumerate(ALLOWED_KINDS):
            yield group, at, category, rung, verdict, "", many * (900 + number * 13 + index), 0


def school_days(now: float) -> list[int]:
    """The days of a year that are over and had lessons, as they began."""
    zone = ZoneInfo(ZONE)
    found = []
    for back in range(1, 366):
        day = day_of(now - back * DAY, zone)
        if datetime.fromtimestamp(day, zone).weekday() < 6 and back // 7 not in WEEKS_OFF:
            found.append(day)
    return found


def lesson_hours(now: float) -> list[int]:
    """The hours of lessons that are still kept one by one, those of today included."""
    first = int(now - HOURS_KEPT)
    days = [day for day in school_days(now) if day >= first] + [day_of(now, ZoneInfo(ZONE))]
    return [day + hour * HOUR for day in days for hour in LESSON_HOURS if day + hour * HOUR <= now]


# ---- on the disk ----


def move_in(directory: Path, ports: Ports, lists: Path) -> School:
    """Write everything; nothing runs yet."""
    school = School(directory, ports)
    directory.mkdir(parents=True)
    now = time.time()
    school.config.write_text(yaml.safe_dump(school_file(school, lists), allow_unicode=True, sort_keys=False))
    school.state.write_text(json.dumps(live_state(now), indent=1))
    asyncio.run(_make_store(school.store))
    with closing(sqlite3.connect(school.store)) as store, store:
        _fill_people(store, now)
        _fill_inboxes(store, now)
        _fill_audit(store, now)
        _fill_statistics(store, now)
    with closing(sqlite3.connect(school.store)) as store:
        store.execute("ANALYZE")
        store.commit()
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return school


async def _make_store(path: Path) -> None:
    store = Store(f"sqlite:///{path}")
    try:
        await bring_up_to_date(store)
    finally:
        await store.close()


def _insert(store: sqlite3.Connection, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    columns = list(rows[0])
    store.executemany(
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
        [tuple(row[name] for name in columns) for row in rows],
    )


def _fill_people(store: sqlite3.Connection, now: float) -> None:
    found = people()
    base = {"email": "", "language": "en", "active": 1, "password": "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$none", "password_at": now}
    _insert(
        store,
        "people",
        [
            base | {"id": number, "login": each.login, "name": f"Người {number}", "role": each.role, "totp_step": 0, "created_at": now}
            for number, each in enumerate(found, 1)
        ],
    )
    held = [(number, group) for number, each in enumerate(found, 1) for group in each.classes]
    _insert(store, "assignments", [{"person_id": number, "group_name": group, "given_by": ""} for number, group in held])
    times = {"created_at": now, "seen_at": now, "expires_at": now + DAY, "device": "bench", "address": "127.0.0.1"}
    _insert(store, "sessions", [{"token": fingerprint(each.token), "person_id": number, **times} for number, each in enumerate(found, 1)])
    sites = json.dumps([f"quiz{number}.example" for number in range(5)])
    _insert(
        store, "site_sets", [{"name": f"Bộ trang {number}", "sites": sites, "owner_id": None if number < 5 else 3} for number in range(20)]
    )


def _fill_inboxes(store: sqlite3.Connection, now: float) -> None:
    names = [name for name, _ in classes()]
    rows = []
    for number in range(OPEN_REQUESTS + ANSWERED_REQUESTS):
        is_open = number < OPEN_REQUESTS
        rows.append(
            {
                "at": now - number * 600,
                "group_name": names[number % 100],
                "name": f"trang-xin-{number}.example",
                "note": "Em cần trang này để làm bài tập môn Tin học ạ.",
                "signed": f"Học sinh {number}",
                "category": "games",
                "rung": 7,
                "count": 1 + number % 3,
                "state": "open" if is_open else ("granted", "refused")[number % 2],
                "answered_at": None if is_open else now - number * 300,
                "answered_by": "" if is_open else "Giáo viên 1 (giao-vien-1)",
                "answer": "" if is_open else "Cô mở cho cả lớp trong tiết này.",
            }
        )
    _insert(store, "requests", rows)
    kinds, states = ("harmful", "fake", "abuse", "mistake"), ("received", "collecting", "verifying", "coordinating")
    reports = [
        {
            "id": number + 1,
            "number": f"BC-{number:04}",
            "at": now - number * 7200,
            "kind": kinds[number % 4],
            "target": f"https://xau-{number}.example/trang",
            "note": "Trang này có nội dung không phù hợp.",
            "signed": "",
            "group_name": names[number % 100],
            "state": states[number % 4],
            "closed_at": now if number % 5 == 0 else None,
        }
        for number in range(REPORTS)
    ]
    _insert(store, "reports", reports)
    steps = [
        {"report_id": number + 1, "at": now - 3600 + step, "by": "Quản trị (quan-tri)", "state": states[step], "note": "Đã xem."}
        for number in range(REPORTS)
        for step in range(number % 4 + 1)
    ]
    _insert(store, "report_steps", steps)


def _fill_audit(store: sqlite3.Connection, now: float) -> None:
    names = [name for name, _ in classes()]
    rows = [
        {
            "at": now - (AUDIT_ROWS - number) * 300,
            "by": f"Người {number % 200 + 3} (giao-vien-{number % 200 + 1})",
            "person_id": number % 200 + 3,
            "action": "class.mode",
            "object": names[number % 100],
            "detail": json.dumps({"mode": "study", "until": now}),
            "reason": "Kiểm tra 15 phút",
            "outcome": "done",
        }
        for number in range(AUDIT_ROWS)
    ]
    _insert(store, "audit", rows)


def _fill_statistics(store: sqlite3.Connection, now: float) -> None:
    """Days of a year, the hours of two weeks beside them, and from when on days are not yet put together."""
    groups = [name for name, _ in classes()]
    for table, unit, moments, names in (
        ("statistics_days", "day", school_days(now), NAMES_OF_DAY),
        ("statistics", "hour", lesson_hours(now), NAMES_OF_HOUR),
    ):
        statement = CELL.format(table=table, time=unit)
        for moment in sorted(moments):
            store.executemany(statement, sorted(cells(moment, groups, names)))
    store.execute(CELL.format(table="statistics_days", time="day"), ("*", 0, "", "", "", "", day_of(now, ZoneInfo(ZONE)), 0))

"""A backup and back: the same tables on either database, nothing changed by a bad file, nobody locked out, every page and command."""

import asyncio
import base64
import io
import json
import re
import struct
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import JSON, Boolean, Float, Integer, LargeBinary, func, insert, select, text, update

from dashboard.access import Role, Scope
from dashboard.backups import backup, restoring
from dashboard.backups.backup import BadBackup, Source, make, sealed
from dashboard.backups.restoring import restore
from dashboard.backups.sealing import PART, BadSeal, seal, unseal
from dashboard.store.engine import Store, StoreTrouble
from dashboard.store.migrating import bring_up_to_date
from dashboard.store.tables import audit, metadata, people, sessions
from policies.changes import add_unblock
from policies.model import Unblock
from policies.state import read_state, update_state
from tests.dashboard.conftest import HASH, NOW, PROVINCE, SCHOOL
from tests.dashboard.stores import *  # noqa: F403

PASSPHRASE = "một câu mật khẩu dài"


def school(folder: Path, name="Trường THCS Thử Nghiệm") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "school.yaml").write_text(SCHOOL.format(directory=folder).replace("Trường THCS Thử Nghiệm", name), encoding="utf-8")
    (folder / "province.yaml").write_text(PROVINCE, encoding="utf-8")
    update_state(
        folder / "state.json",
        lambda state: add_unblock(state, Unblock(group="6a1", name="vnexpress.net", since=NOW, until=NOW + 600, by=name)),
        NOW,
    )
    return folder / "school.yaml"


def texts(length):
    return st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=min(length or 20, 20))


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts(9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts(5), inner, max_size=2),
    max_leaves=4,
)


def values(column):
    kind = column.type
    if isinstance(kind, JSON):
        return JSONS
    if isinstance(kind, Boolean):
        return st.booleans()
    if isinstance(kind, Integer):
        return st.integers(0, 2**31 - 1)
    if isinstance(kind, Float):
        return st.floats(0, 1e10, allow_nan=False)
    if isinstance(kind, LargeBinary):
        return st.binary(max_size=30)
    return texts(kind.length)


@st.composite
def contents(draw):
    """Rows for every table that fit together: references go to rows that are there."""
    made = {}
    for table in metadata.sorted_tables:
        rows = []
        for number in range(1, draw(st.integers(0, 3)) + 1):
            row = {}
            for column in table.columns:
                if column.foreign_keys:
                    target = next(iter(column.foreign_keys)).column.table.name
                    ids = [each["id"] for each in made[target]]
                    row[column.name] = draw(st.sampled_from(ids)) if ids else None
                elif column.name == "id":
                    row["id"] = number * draw(st.integers(1, 3)) + 100 * number
                elif column.primary_key or column.unique or column.name == "code":
                    row[column.name] = (
                        f"{number}-{draw(texts(5))}"[: getattr(column.type, "length", 99)]
                        if not isinstance(column.type, Integer)
                        else number
                    )
                elif column.nullable and draw(st.booleans()):
                    row[column.name] = None
                else:
                    row[column.name] = draw(values(column))
            if all(row[column.name] is not None or column.nullable for column in table.columns):
                rows.append(row)
        made[table.name] = rows
    admin = {
        "id": 9999,
        "login": "quan-tri",
        "name": "Quản trị",
        "email": "",
        "role": Role.ADMIN,
        "language": "vi",
        "active": True,
        "password": HASH,
    }
    made["people"].append(admin | {"password_at": 0.0, "totp_secret": None, "totp_step": 0, "created_at": NOW})
    return made


async def put(store, made):
    async with store.write() as connection:
        for table in metadata.sorted_tables:
            for row in made.get(table.name, ()):
                await connection.execute(insert(table).values(**row))


async def everything(store):
    async with store.read() as connection:
        return {
            table.name: sorted((tuple(row) for row in await connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
        }


async def a_backup(source, passphrase=""):
    content = io.BytesIO()
    await make(source, NOW, content)
    return io.BytesIO(b"".join(sealed(content, passphrase)))


def same(before, after):
    """All but sessions, which end, and the line that says what was done."""
    before, after = dict(before), dict(after)
    assert after.pop("sessions") == []
    before.pop("sessions")
    after["audit"] = [row for row in after["audit"] if row[4] != "backup.restored"]
    assert len(after["audit"]) == len(before["audit"])
    return before == after


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(made=contents())
def test_what_is_backed_up_is_restored_into_an_empty_store(tmp_path_factory, loop, made):
    folder = tmp_path_factory.mktemp("backup")
    one, other = (Source(Store(f"sqlite:///{folder}/{name}.db"), school(folder / name), "1") for name in ("one", "other"))

    async def there_and_back():
        for source in (one, other):
            await bring_up_to_date(source.store)
        await put(one.store, made)
        await restore(other, await a_backup(one, PASSPHRASE), PASSPHRASE, "root", NOW)
        found = await everything(one.store), await everything(other.store)
        for source in (one, other):
            await source.store.close()
        return found

    assert same(*loop(there_and_back()))


ADMIN = {"login": "quan-tri", "name": "Quản trị", "role": Role.ADMIN, "password": HASH, "created_at": NOW}


@pytest.fixture
def source(store, tmp_path, loop):
    """A school with an administrator, on either database."""
    made = Source(store, school(tmp_path / "here"), "1")
    loop(put(store, {"people": [ADMIN], "audit": [{"at": 1.0, "by": "x", "action": "set-up", "detail": {"a": [1, "ă"]}}]}))
    return made


def test_from_one_database_into_the_other_and_ids_go_on(source, tmp_path, loop):
    other = Store(f"sqlite:///{tmp_path}/other.db")

    async def both_ways():
        await bring_up_to_date(other)
        elsewhere = Source(other, school(tmp_path / "there", "Trường khác"), "1")
        await put(
            other, {"people": [ADMIN | {"id": 7}, {"id": 40, "login": "co-lan", "name": "Cô Lan", "role": "teacher", "created_at": 1.0}]}
        )
        await restore(source, await a_backup(elsewhere), "", "root", NOW)
        async with source.store.write() as connection:
            made = (
                await connection.execute(insert(people).values(login="new", name="", role="viewer", created_at=1.0).returning(people.c.id))
            ).scalar()
        before = await everything(source.store)
        await restore(elsewhere, await a_backup(source), "", "root", NOW + 1)
        after = await everything(other)
        await other.close()
        return made, before, after

    made, before, after = loop(both_ways())
    assert made == 41
    assert [row[1] for row in after["people"]] == [row[1] for row in before["people"]]
    here = source.config.read_text(encoding="utf-8")
    assert "name: Trường khác" in here
    assert "# Ghi chú này phải còn nguyên." in here
    assert f'state: "{tmp_path}/here/state.json"' in here or f"state: {tmp_path}/here/state.json" in here
    assert [each.by for each in read_state(tmp_path / "here" / "state.json").unblocks] == ["Trường khác"]


def test_the_state_goes_on_counting_and_what_was_here_is_kept(source, tmp_path, loop):
    old = loop(a_backup(source))
    update_state(tmp_path / "here" / "state.json", lambda state: state.model_copy(update={"unblocks": ()}), NOW)
    generation = read_state(tmp_path / "here" / "state.json").generation
    loop(put(source.store, {"people": [{"login": "later", "name": "Later", "role": "viewer", "created_at": 2.0}]}))
    restored = loop(restore(source, old, "", "root", NOW))
    state = read_state(tmp_path / "here" / "state.json")
    assert state.generation == generation + 1
    assert [each.name for each in state.unblocks] == ["vnexpress.net"]
    assert restored.kept.stat().st_mode & 0o777 == 0o600
    with restored.kept.open("rb") as kept:
        loop(restore(source, kept, "", "root", NOW + 1))
    assert "later" in {row[1] for row in loop(everything(source.store))["people"]}
    assert not list((tmp_path / "here").glob(".restore-*"))


def packed(members, *, manifest=None, extra=()):
    """A ZIP file with a manifest that fits, unless it is given."""
    told = {"format": 1, "program": "1", "revision": backup.HEAD, "made_at": NOW, "school": "x"} | (manifest or {})
    told.setdefault("members", {name: {"sha256": sha256(data).hexdigest(), "size": len(data)} for name, data in members.items()})
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (*members.items(), *extra):
            archive.writestr(name, data)
        archive.writestr("manifest.json", json.dumps(told))
    content.seek(0)
    return content


def members_of(content):
    with zipfile.ZipFile(content) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name != "manifest.json"}


def changed(name, old, new):
    def change(members):
        assert old in members[name]
        return packed(members | {name: members[name].replace(old, new)})

    return change


def doubled(content):
    with pytest.warns(UserWarning, match="Duplicate"):
        return packed(content, extra=[("state.json", b"{}")])


def without_manifest(members):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return content


BAD = {
    "not a zip": (lambda members: io.BytesIO(b"hello" * 100), "not a backup"),
    "empty": (lambda members: io.BytesIO(b""), "not a backup"),
    "cut off": (lambda members: io.BytesIO(packed(members).getvalue()[:-40]), "not a backup"),
    "no manifest": (without_manifest, "no manifest"),
    "newer format": (lambda members: packed(members, manifest={"format": 2, "program": "9.0"}), r"newer version of this program \(9.0\)"),
    "newer tables": (lambda members: packed(members, manifest={"revision": "9999"}), "newer version"),
    "a changed part": (
        lambda members: packed(
            members, manifest={"members": {name: {"sha256": "0" * 64, "size": len(data)} for name, data in members.items()}}
        ),
        "damaged",
    ),
    "a part that leads outside": (lambda members: packed(members | {"../../etc/cron.d/x": b"boo"}), "not known here"),
    "an absolute part": (lambda members: packed(members | {"/etc/passwd": b"boo"}), "not known here"),
    "a part twice": (doubled, "twice"),
    "a part missing": (
        lambda members: packed({name: data for name, data in members.items() if name != "state.json"}),
        "state.json is missing",
    ),
    "school file with mistakes": (changed("school.yaml", b"groups:", b"grups:"), "school's file in this backup has mistakes"),
    "province outside": (changed("school.yaml", b"province: province.yaml", b"province: ../../x.yaml"), "outside"),
    "province with mistakes": (changed("province.yaml", b"hotlines:", b"hotlnes:"), "province's file"),
    "state damaged": (lambda members: packed(members | {"state.json": b'{"generation": "x"'}), "state.json"),
    "a wrong column": (changed("tables/people.jsonl", b'"login"', b'"logon"'), "table people, line 1"),
    "not JSON": (changed("tables/people.jsonl", b'"admin"', b"admin"), "table people, line 2"),
    "too long for its column": (changed("tables/people.jsonl", b'"quan-tri"', b'"' + b"q" * 65 + b'"'), "table people, line 2"),
    "a wrong type": (changed("tables/people.jsonl", b'"quan-tri"', b"5"), "table people, line 2"),
    "NUL": (changed("tables/people.jsonl", b'"quan-tri"', b'"\\u0000"'), "table people, line 2"),
    "half a character": (changed("tables/people.jsonl", b'"quan-tri"', b'"\\ud800"'), "table people, line 2"),
    "a row that refers to nobody": (
        lambda members: packed(
            members | {"tables/assignments.jsonl": members["tables/assignments.jsonl"] + b'[1,99,"6a1",null,null,""]\n'}
        ),
        "contradict",
    ),
    "nobody left to administer": (changed("tables/people.jsonl", b'"admin"', b'"viewer"'), "no active administrator"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_backup_is_refused_and_changes_nothing(source, tmp_path, loop, what):
    make_bad, words = BAD[what]
    before = loop(everything(source.store)), {path.name: path.read_bytes() for path in (tmp_path / "here").iterdir()}
    bad = make_bad(members_of(loop(a_backup(source))))
    with pytest.raises(BadBackup, match=words):
        loop(restore(source, bad, "", "root", NOW))
    assert (loop(everything(source.store)), {path.name: path.read_bytes() for path in (tmp_path / "here").iterdir()}) == before


def bomb_of_parts():
    """A directory with more entries than any backup has."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for number in range(500):
            archive.writestr(f"{number}", b"")
    return content


def bomb_of_zeros(told):
    """A part that unpacks to much more than ``told``."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b" " * 20_000_000)
    data = bytearray(content.getvalue())
    at = data.rfind(b"PK\x01\x02")
    struct.pack_into("<I", data, at + 24, told)
    return io.BytesIO(bytes(data))


@pytest.mark.parametrize("bomb", [bomb_of_parts, lambda: bomb_of_zeros(20_000_000), lambda: bomb_of_zeros(1000)])
def test_a_bomb_is_not_unpacked(tmp_path, bomb):
    with pytest.raises(BadBackup), backup.opened(bomb(), "", tmp_path):
        pass


def test_more_than_any_school_has_is_not_unpacked(tmp_path, monkeypatch, loop):
    monkeypatch.setattr(backup, "MAX_CONTENT", 1000)
    members = {"school.yaml": b"", "state.json": b"", "tables/people.jsonl": b" " * 2000}
    with pytest.raises(BadBackup, match="larger unpacked"), backup.opened(packed(members), "", tmp_path):
        pass


@settings(max_examples=30, deadline=None)
@given(data=st.binary(max_size=300))
def test_any_bytes_are_refused_in_words(data):
    for start in (b"", b"manglanh sealed 1\n", b"PK\x03\x04"):
        with pytest.raises(BadBackup), backup.opened(io.BytesIO(start + data), "x", None):
            pass


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 3 * PART])
def test_what_is_sealed_opens_with_its_passphrase_only(size):
    data = bytes(range(256)) * (size // 256 + 1)
    content = b"".join(seal(io.BytesIO(data[:size]), PASSPHRASE))
    assert b"".join(unseal(io.BytesIO(content), PASSPHRASE)) == data[:size]
    with pytest.raises(BadSeal, match="passphrase is wrong"):
        list(unseal(io.BytesIO(content), PASSPHRASE + " "))


def test_no_part_of_a_sealed_file_can_be_missing_swapped_cut_off_or_changed():
    content = b"".join(seal(io.BytesIO(b"x" * (3 * PART)), PASSPHRASE))
    head, part = len(content) - 3 * (PART + 16), PART + 16
    parts = [content[head + n * part : head + (n + 1) * part] for n in range(3)]
    start = content[:head]
    flipped = bytearray(content)
    flipped[-1] ^= 1
    for bad in (
        start + parts[0] + parts[2],
        start + parts[0] + parts[1],
        start + parts[1] + parts[0] + parts[2],
        content + b"x",
        content[:-1],
        start,
        content[:20],
        bytes(flipped),
        bytes([*content[:30], content[30] ^ 1, *content[31:]]),
    ):
        with pytest.raises(BadSeal):
            list(unseal(io.BytesIO(bad), PASSPHRASE))


def test_a_sealed_backup_asks_for_its_passphrase(source, loop):
    content = loop(a_backup(source, PASSPHRASE))
    assert b"quan-tri" not in content.getvalue()
    for wrong, words in (("", "give its passphrase"), ("another one", "passphrase is wrong")):
        with pytest.raises(BadBackup, match=words):
            loop(restore(source, content, wrong, "root", NOW))


@pytest.mark.parametrize("fails", ["_write_files", "_count_on"])
def test_what_fails_in_the_middle_puts_everything_back(source, tmp_path, loop, monkeypatch, fails):
    old = loop(a_backup(source))
    (tmp_path / "here" / "province.yaml").unlink()
    source.config.write_text(
        source.config.read_text(encoding="utf-8").replace("Thử Nghiệm", "Hôm Nay").replace("  province: province.yaml\n", ""),
        encoding="utf-8",
    )
    state = read_state(tmp_path / "here" / "state.json")
    loop(put(source.store, {"people": [{"login": "later", "name": "Later", "role": "viewer", "created_at": 2.0}]}))
    before = loop(everything(source.store)), source.config.read_bytes()
    real = getattr(restoring, fails)

    def full(*arguments):
        real(*arguments)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(restoring, fails, full)
    with pytest.raises(OSError, match="No space"):
        loop(restore(source, old, "", "root", NOW))
    assert (loop(everything(source.store)), source.config.read_bytes()) == before
    assert not (tmp_path / "here" / "province.yaml").exists()
    assert read_state(tmp_path / "here" / "state.json").unblocks == state.unblocks


def test_a_damaged_school_file_is_no_reason_not_to_restore(source, tmp_path, loop):
    old = loop(a_backup(source))
    source.config.write_text("school: [", encoding="utf-8")
    (tmp_path / "here" / "state.json").write_text("{", encoding="utf-8")
    restored = loop(restore(source, old, "", "root", NOW))
    assert "Thử Nghiệm" in source.config.read_text(encoding="utf-8")
    assert read_state(tmp_path / "here" / "state.json").unblocks
    with zipfile.ZipFile(restored.kept) as archive:
        assert archive.read("school.yaml") == b"school: ["


def test_a_backup_of_older_tables_is_brought_up_to_date(tmp_path, loop, monkeypatch):
    """A program that knows one revision more, which adds a column that must not be empty."""
    from dashboard.store import migrating

    store = Store(f"sqlite:///{tmp_path}/store.db")
    loop(bring_up_to_date(store))
    loop(put(store, {"people": [ADMIN]}))
    source = Source(store, school(tmp_path / "here"), "1")
    old = loop(a_backup(source))
    real = migrating._upgrade

    def upgrade(connection, to):
        if to == "next":
            if migrating._revision(connection) is None:
                real(connection, backup.HEAD)
            connection.execute(text("UPDATE people SET name = name || ' (mới)'"))
            connection.execute(text(f"UPDATE {migrating.VERSION_TABLE} SET version_num = 'next'"))
        else:
            real(connection, to)

    monkeypatch.setattr(migrating, "_upgrade", upgrade)
    monkeypatch.setattr(migrating.bring_up_to_date, "__defaults__", ("next",))
    for module in (migrating, restoring):
        monkeypatch.setattr(module, "REVISIONS", (backup.HEAD, "next"))
    monkeypatch.setattr(restoring, "HEAD", "next")
    loop(restore(source, old, "", "root", NOW))
    assert [row[2] for row in loop(everything(store))["people"]] == ["Quản trị (mới)"]
    loop(store.close())


# ---- pages and API ---------------------------------------------------------------------------------------------------


def test_the_page_gives_a_sealed_file_and_takes_it_back(web):
    admin = web.as_person("quan-tri")
    answer = admin.post("/backup", {"passphrase": PASSPHRASE, "again": PASSPHRASE}, seen="/backup")
    assert answer.status_code == 200
    assert re.fullmatch(r'attachment; filename="manglanh-2027-01-15\.sealed"', answer.headers["content-disposition"])
    assert web.rows(select(audit.c.by).where(audit.c.action == "backup.made"))[0].by == "Quan-Tri (quan-tri)"
    web.write(update(people).where(people.c.login == "co-lan").values(name="Somebody else"))
    wrong = admin.post("/backup/restore", {"sure": "1", "restore_passphrase": "no"}, seen="/backup", files={"file": ("b", answer.content)})
    assert wrong.status_code == 422
    assert "passphrase is wrong" in wrong.text
    done = admin.post(
        "/backup/restore", {"sure": "1", "restore_passphrase": PASSPHRASE}, seen="/backup", files={"file": ("b", answer.content)}
    )
    assert done.status_code == 200, done.text
    assert "Everybody has to sign in anew" in done.text
    assert web.rows(select(people.c.name).where(people.c.login == "co-lan"))[0].name == "Co-Lan"
    assert web.rows(select(func.count()).select_from(sessions))[0][0] == 0
    assert web.rows(select(audit.c.by).where(audit.c.action == "backup.restored"))[0].by == "Quan-Tri (quan-tri)"
    assert admin.get("/backup").status_code == 303


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"passphrase": "short", "again": "short"}, "at least 12 characters"), ({"passphrase": PASSPHRASE, "again": ""}, "not the same")],
)
def test_a_weak_or_mistyped_passphrase_is_not_taken(web, fields, words):
    answer = web.as_person("quan-tri").post("/backup", fields, seen="/backup")
    assert answer.status_code == 422
    assert words in answer.text
    assert not web.rows(select(audit).where(audit.c.action == "backup.made"))


def test_nothing_is_restored_without_a_file_and_a_yes(web):
    admin = web.as_person("quan-tri")
    assert "Please choose the file" in admin.post("/backup/restore", {"sure": "1"}, seen="/backup").text
    answer = admin.post("/backup/restore", {}, seen="/backup", files={"file": ("b.zip", b"x")})
    assert answer.status_code == 422
    assert "Please confirm" in answer.text


def test_the_api_gives_and_takes_back(web):
    headers = web.token("quan-tri", Scope.BACKUP)
    answer = web.client.post("/api/v1/backup", json={"passphrase": PASSPHRASE}, headers=headers)
    assert answer.status_code == 200
    told = {"Manglanh-Passphrase": base64.b64encode(PASSPHRASE.encode()).decode()}
    web.write(update(people).where(people.c.login == "co-lan").values(name="Somebody else"))
    done = web.client.post("/api/v1/backup/restore", content=answer.content, headers=headers | told)
    assert done.status_code == 200, done.text
    assert done.json()["rows"] > 4
    assert web.rows(select(people.c.name).where(people.c.login == "co-lan"))[0].name == "Co-Lan"
    bad = web.client.post("/api/v1/backup/restore", content=b"hello", headers=headers)
    assert (bad.status_code, bad.json()["field"]) == (422, "file")
    assert web.client.post("/api/v1/backup/restore", content=b"", headers=headers | {"Manglanh-Passphrase": "%"}).status_code == 422


def test_the_api_takes_no_more_than_a_backup_can_have(web, monkeypatch):
    monkeypatch.setattr("dashboard.api.backup.MAX_FILE", 1000)
    answer = web.client.post("/api/v1/backup/restore", content=b"x" * 1001, headers=web.token("quan-tri", Scope.BACKUP))
    assert answer.status_code == 413


# ---- commands --------------------------------------------------------------------------------------------------------


@pytest.fixture
def box(tmp_path):
    """A school on disk with an administrator."""
    config = school(tmp_path / "here")

    async def make_store():
        store = Store(f"sqlite:///{tmp_path}/here/store.db")
        await bring_up_to_date(store)
        await put(store, {"people": [ADMIN]})
        await store.close()

    asyncio.run(make_store())
    (tmp_path / "passphrase").write_text(PASSPHRASE + "\n", encoding="utf-8")
    return config


def test_the_commands_make_and_restore(box, tmp_path, capsys):
    from gateway.cli import main

    options = ["--config", str(box), "--passphrase-file", str(tmp_path / "passphrase"), "--language", "en"]
    file = tmp_path / "school.backup"
    assert main(["backup", str(file), *options]) == 0, capsys.readouterr()
    assert file.stat().st_mode & 0o777 == 0o600
    assert main(["backup", str(file), *options]) == 1
    elsewhere = tmp_path / "elsewhere" / "school.yaml"
    elsewhere.parent.mkdir()
    box.rename(elsewhere)
    assert main(["restore", str(file), "--yes", "--config", str(elsewhere), *options[2:]]) == 0, capsys.readouterr()
    assert "is restored" in capsys.readouterr().out
    (tmp_path / "passphrase").write_text("another one entirely\n", encoding="utf-8")
    assert main(["restore", str(file), "--yes", "--config", str(elsewhere), *options[2:]]) == 1
    assert "passphrase is wrong" in capsys.readouterr().err


def test_the_command_restores_onto_an_empty_machine(box, tmp_path, capsys):
    from gateway.cli import main

    file = tmp_path / "school.backup"
    assert main(["backup", str(file), "--plain", "--config", str(box)]) == 0, capsys.readouterr()
    for path in box.parent.iterdir():
        path.unlink()
    assert main(["restore", str(file), "--yes", "--config", str(box)]) == 0, capsys.readouterr()
    assert {"school.yaml", "province.yaml", "state.json", "store.db"} <= {path.name for path in box.parent.iterdir()}


def test_a_command_without_anybody_to_ask_says_how(box, tmp_path, capsys):
    from gateway.cli import main

    assert main(["backup", str(tmp_path / "x"), "--config", str(box), "--language", "en"]) == 2
    assert "--passphrase-file" in capsys.readouterr().err


def test_a_store_that_fails_gives_no_half_backup(source, loop, monkeypatch):
    async def broken(*arguments):
        raise StoreTrouble("gone")

    monkeypatch.setattr(backup, "_write_table", broken)
    with pytest.raises(StoreTrouble):
        loop(a_backup(source))

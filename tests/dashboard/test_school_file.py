import asyncio
import errno
import os
import stat

import pytest
from sqlalchemy import select

from dashboard.access import Person, Role
from dashboard.refusal import Refused
from dashboard.settings import school_file
from dashboard.settings.school_text import remove_in, set_in
from dashboard.store.audit import Entry
from dashboard.store.engine import StoreTrouble
from dashboard.store.tables import audit
from policies.load import load

ENTRY = Entry("school.changed", what="school.name")
ADMIN = Person(1, "quan-tri", "Quản Trị", Role.ADMIN, "vi", frozenset())


def rename(title: str):
    return lambda document: set_in(document, ["school", "name"], title)


def edit(web, change, seen=None):
    path = web.site.config
    return web.run(school_file.edit, web.site, ADMIN, ENTRY, school_file.digest(path) if seen is None else seen, change)


def outcomes(web) -> list[tuple[str, str]]:
    return [(row.action, row.outcome) for row in web.rows(select(audit).order_by(audit.c.id))]


def leftovers(web) -> list[str]:
    return sorted(entry.name for entry in web.site.config.parent.iterdir() if entry.name.endswith(".new"))


def test_an_edit_is_in_the_file_the_history_and_the_audit_log(web) -> None:
    path = web.site.config
    before = path.read_bytes()
    path.chmod(0o640)
    owner = (12345, 12346) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(path, *owner)
    result = edit(web, rename("Trường Mới"))
    assert path.read_bytes() == before.replace("Trường THCS Thử Nghiệm".encode(), "Trường Mới".encode())
    assert result == school_file.digest(path)
    status = path.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o640, *owner)
    version = school_file.history(path)[0]
    assert school_file.earlier(path, version.id) == before
    assert version.at == web.clock.now
    kept = path.parent / "history" / version.id
    assert stat.S_IMODE(kept.stat().st_mode) == 0o640
    assert outcomes(web) == [("school.changed", "done")]
    assert web.run(web.site.school.now).file.school.name == "Trường Mới"
    assert leftovers(web) == []


def test_an_edit_that_changes_nothing_writes_nothing(web) -> None:
    status = web.site.config.stat()
    edit(web, lambda document: set_in(document, ["school", "language"], "vi"))
    assert web.site.config.stat() == status
    assert school_file.history(web.site.config) == ()
    assert outcomes(web) == []


def test_an_edit_made_on_an_older_text_is_refused(web) -> None:
    seen = school_file.digest(web.site.config)
    edit(web, rename("A"), seen)
    with pytest.raises(Refused, match="Somebody else") as refused:
        edit(web, rename("B"), seen)
    assert refused.value.status == 409
    assert load(web.site.config).school.name == "A"
    assert outcomes(web) == [("school.changed", "done")]


def test_of_two_edits_at_the_same_moment_one_is_refused_and_none_is_lost(web) -> None:
    """Both have read the file before either writes."""
    seen = school_file.digest(web.site.config)

    async def both():
        edits = [school_file.edit(web.site, ADMIN, ENTRY, seen, rename(title)) for title in ("A", "B")]
        return await asyncio.gather(*edits, return_exceptions=True)

    results = web.run(both)
    refused = [result for result in results if isinstance(result, Refused)]
    assert [error.status for error in refused] == [409]
    assert load(web.site.config).school.name == ("B" if isinstance(results[0], Refused) else "A")
    assert len(school_file.history(web.site.config)) == 1


def test_a_text_that_the_school_cannot_have_is_refused_with_every_reason(web) -> None:
    before = web.site.config.read_bytes()

    def change(document) -> None:
        set_in(document, ["school", "language"], "fr")
        set_in(document, ["groups", 0, "tier"], "thsc")

    with pytest.raises(Refused) as refused:
        edit(web, change)
    assert refused.value.status == 422
    assert "groups.0.tier" in refused.value.message
    assert "school.language" in refused.value.message
    assert web.site.config.read_bytes() == before
    assert outcomes(web) == []


def test_what_makes_the_file_empty_is_refused(web) -> None:
    with pytest.raises(Refused) as refused:
        edit(web, lambda document: [remove_in(document, [key]) for key in list(document)])
    assert refused.value.status == 422


def test_a_change_that_refuses_itself_changes_nothing(web) -> None:
    def change(document) -> None:
        set_in(document, ["school", "name"], "X")
        raise Refused(school_file.Message("no"), status=404)

    with pytest.raises(Refused, match="no"):
        edit(web, change)
    assert load(web.site.config).school.name == "Trường THCS Thử Nghiệm"


def test_a_file_that_was_broken_by_hand_is_not_edited_but_can_be_replaced(web) -> None:
    good = web.site.config.read_text(encoding="utf-8")
    web.site.config.write_text(good + "tiers: [\n", encoding="utf-8")
    with pytest.raises(Refused, match="has mistakes") as refused:
        edit(web, rename("X"))
    assert refused.value.status == 409
    web.run(school_file.replace, web.site, ADMIN, good.replace("Thử Nghiệm", "Lành"), school_file.digest(web.site.config))
    assert load(web.site.config).school.name == "Trường THCS Lành"


@pytest.mark.parametrize("broken", ["write", "replace", "fsync"])
def test_a_full_disk_or_a_read_only_folder_is_told_in_words_and_leaves_everything_as_it_was(web, broken, monkeypatch) -> None:
    before = web.site.config.read_bytes()
    code = errno.EROFS if broken == "replace" else errno.ENOSPC

    def fail(*arguments, **options):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        if broken == "write":
            patched.setattr(school_file, "_write", fail)
        elif broken == "replace":
            patched.setattr("pathlib.Path.replace", fail)
        else:
            patched.setattr("dashboard.settings.school_file.os.fsync", fail)
        with pytest.raises(Refused, match=os.strerror(code)) as refused:
            edit(web, rename("X"))
    assert refused.value.status == 503
    assert web.site.config.read_bytes() == before
    assert school_file.history(web.site.config) == ()
    assert leftovers(web) == []
    assert outcomes(web) == [("school.changed", "failed")]
    edit(web, rename("X"))
    assert outcomes(web)[1:] == [("school.changed", "done")]


def test_a_folder_where_nothing_can_be_locked_is_told_in_words(web) -> None:
    (web.site.config.parent / ".school.yaml.lock").mkdir()
    with pytest.raises(Refused, match="could not be saved"):
        edit(web, rename("X"))


def test_a_file_marked_as_read_only_stays(web) -> None:
    web.site.config.chmod(0o444)
    with pytest.raises(Refused, match="read-only"):
        edit(web, rename("X"))
    assert load(web.site.config).school.name == "Trường THCS Thử Nghiệm"


def test_a_file_that_is_gone_is_told_in_words(web) -> None:
    web.site.config.unlink()
    with pytest.raises(Refused) as refused:
        edit(web, rename("X"), "")
    assert refused.value.status == 503


def test_without_the_store_there_is_no_change(web, monkeypatch) -> None:
    """The audit log comes first."""

    def fail():
        raise StoreTrouble(school_file.Message("full"))

    with monkeypatch.context() as patched:
        patched.setattr(web.site.store, "write", fail)
        with pytest.raises(StoreTrouble):
            edit(web, rename("X"))
    assert load(web.site.config).school.name == "Trường THCS Thử Nghiệm"
    assert school_file.history(web.site.config) == ()


def test_a_link_stays_a_link(web) -> None:
    real = web.site.config.with_name("elsewhere.yaml")
    web.site.config.rename(real)
    web.site.config.symlink_to(real)
    edit(web, rename("X"))
    assert web.site.config.is_symlink()
    assert load(real).school.name == "X"


def test_the_last_twenty_texts_are_kept_and_one_can_be_had_back(web) -> None:
    for number in range(25):
        web.clock.now += 60
        edit(web, rename(f"Trường {number}"))
    versions = school_file.history(web.site.config)
    assert len(versions) == school_file.KEPT
    assert [version.at for version in versions] == [web.clock.now - 60 * back for back in range(20)]
    web.run(school_file.restore, web.site, ADMIN, versions[3].id, school_file.digest(web.site.config))
    assert load(web.site.config).school.name == "Trường 20"
    assert outcomes(web)[-1] == ("school.imported", "done")


@pytest.mark.parametrize("version", ["", "..", "../school.yaml", "/etc/passwd", "20270115T082000.000000Z-0123456789ab-school.yaml"])
def test_a_version_that_is_none_is_not_found(web, version) -> None:
    edit(web, rename("X"))
    with pytest.raises(Refused) as refused:
        school_file.earlier(web.site.config, version)
    assert refused.value.status == 404


def test_foreign_files_in_the_history_are_left_alone(web) -> None:
    folder = web.site.config.parent / "history"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    edit(web, rename("X"))
    assert len(school_file.history(web.site.config)) == 1
    assert (folder / "notes.txt").is_file()


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (BOMB.encode(), "values, aliases followed"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"school:\n  name: \xe1\n", "UTF-8"),
        (b"[" * 5000, "nested"),
        (b"a" * 600_000, "larger"),
        (b"", "empty"),
        (b"school: {name: x}\n---\nschool: {name: y}\n", "second document"),
        (b"school: !!python/object/apply:os.system [id]\n", "school"),
        (b"a: \x00", "character"),
        ("school: {name: \ud800}", "UTF-8"),
    ],
)
def test_a_hostile_upload_is_refused_in_words(web, data, why) -> None:
    before = web.site.config.read_bytes()
    with pytest.raises(Refused, match=why) as refused:
        web.run(school_file.replace, web.site, ADMIN, data, school_file.digest(web.site.config))
    assert refused.value.status == 422
    assert web.site.config.read_bytes() == before


def test_a_difference_is_shown_line_by_line() -> None:
    old = "".join(f"{number}\n" for number in range(20)).encode()
    new = old.replace(b"3\n", b"three\n", 1)
    assert school_file.diff(old, new) == ["@", " 0", " 1", " 2", "-3", "+three", " 4", " 5", " 6"]

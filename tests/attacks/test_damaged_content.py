"""Signed by those who may, and not to be used: the channel's last good content stays, and the others go on."""

from functools import partial
from lzma import compress
from pathlib import Path

import pytest

from blocklists.box import contents
from blocklists.channels import BASE, CONTACTS, OVERLAY
from blocklists.pack import unpack
from tests.attacks.attacker import UNTOUCHED
from tests.attacks.school import School
from tests.province import NOW, Province, entry

HEADER = b"name,category,authority,document,reason,added,expires\n"
TABLES = {
    "a web page": b"<!DOCTYPE html><html><body>Not Found</body></html>",
    "nothing": b"",
    "binary": bytes(range(256)),
    "half a row": HEADER + b"bad.example,unl",
    "no such category": HEADER + b"bad.example,unlawfull,A,1,,2026-11-20,\n",
    "no authority": HEADER + b"bad.example,unlawful,,1,,2026-11-20,\n",
    "no document": HEADER + b"bad.example,unlawful,A,,,2026-11-20,\n",
    "no name": HEADER + b"..,unlawful,A,1,,2026-11-20,\n",
    "a name twice": HEADER + 2 * b"bad.example,unlawful,A,1,,2026-11-20,\n",
    "another encoding": HEADER.decode().encode("utf-16"),
}
ARCHIVES = {
    "nothing": b"",
    "a web page": b"<!DOCTYPE html><html><body>Not Found</body></html>",
    "compressed, and no archive": compress(b"hello"),
    "an archive that ends too early": compress(b"manifest.json".ljust(512, b"\0")),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_list_that_is_none_changes_nothing_and_the_others_go_on(province: Province, school: School, table: bytes):
    province.put("mandatory/list.csv", table).say("learning", entry("new.example", "learning")).publish()
    school.poll(NOW)
    assert school.serves() == {name: listed for name, listed in UNTOUCHED.items() if name != "hoc.example"} | {"new.example": "learning"}
    assert school.troubles == {("content", "mandatory")}


@pytest.mark.parametrize("table", [b"<html>", b"op,name\n+,x.example\n", b""], ids=["a web page", "other columns", "nothing"])
def test_changes_that_are_none_change_nothing(province: Province, school: School, table: bytes):
    province.put("mandatory/changes.csv", table).publish()
    school.poll(NOW)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("content", "mandatory")}


@pytest.mark.parametrize("path", [BASE, OVERLAY])
@pytest.mark.parametrize("archive", ARCHIVES.values(), ids=ARCHIVES)
def test_a_bundle_that_is_none_changes_nothing_and_a_mandatory_block_gets_through(
    province: Province, school: School, path: str, archive: bytes
):
    province.put(path, archive).say("mandatory", entry("bad.example"), entry("newer.example")).publish()
    school.poll(NOW)
    assert school.serves() == UNTOUCHED | {"newer.example": "unlawful"}
    assert school.troubles == {("content", "categories")}


def test_a_bundle_that_is_damaged_within_changes_nothing(province: Province, school: School, tmp_path: Path, monkeypatch):
    """The archive is whole and its names are not what its manifest says."""
    from blocklists.pack import pack

    folder = tmp_path / "bundle"
    unpack(_packed(tmp_path, province.contents["categories"][BASE]), folder)
    names = bytearray((folder / "names.marisa").read_bytes())
    names[len(names) // 2] ^= 0xFF
    (folder / "names.marisa").write_bytes(names)
    pack(folder, tmp_path / "damaged.tar.xz")
    province.put(BASE, (tmp_path / "damaged.tar.xz").read_bytes()).publish()
    school.poll(NOW)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("content", "categories")}


def test_a_bundle_that_would_fill_the_disk_changes_nothing(province: Province, school: School, monkeypatch: pytest.MonkeyPatch):
    """A few hundred kilobytes that unpack to more than a bundle may have; the bound is a smaller one here than in earnest."""
    bound = 1_000_000
    monkeypatch.setattr(contents, "unpack", partial(unpack, limit=bound))
    archive = bytearray(_ustar("names.marisa", 100 * bound))
    province.put(BASE, compress(bytes(archive) + b"\0" * (100 * bound), preset=0)).publish()
    school.poll(NOW)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("content", "categories")}
    assert sum(path.stat().st_size for path in school.place.directory.rglob("*") if path.is_file()) < 2 * bound


def test_an_overlay_over_another_base_changes_nothing(province: Province, school: School):
    province.base({"gambling": ["other.example"]}, overlay={"gambling": ["other.example", "more.example"]})
    overlay = province.contents["categories"][OVERLAY]
    province.base({"gambling": ["casino.example"], "adult": ["adult.example"]}).put(OVERLAY, overlay).publish()
    school.poll(NOW)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("content", "categories")}


@pytest.mark.parametrize("text", ["", "name: [", "name: Tỉnh Thử\npublisher: {urls: ['https://evil.example'], root: root.json}\n"])
def test_contacts_that_cannot_be_read_keep_the_old_ones(province: Province, school: School, text: str):
    before = (school.place.directory / "province.yaml").read_bytes()
    province.put(CONTACTS, text.encode()).publish()
    school.poll(NOW)
    assert (school.place.directory / "province.yaml").read_bytes() == before
    assert school.troubles == {("content", "province")}


def test_every_channel_damaged_at_once_leaves_everything_as_it_was(province: Province, school: School):
    for path in ("mandatory/list.csv", "learning/list.csv", BASE, CONTACTS):
        province.put(path, b"\0")
    province.publish()
    school.poll(NOW)
    assert school.serves() == UNTOUCHED
    assert school.troubles == {("content", channel) for channel in ("mandatory", "learning", "categories", "province")}


def test_when_the_damage_is_mended_the_channel_goes_on(province: Province, school: School):
    province.put("mandatory/list.csv", b"\0").publish()
    school.poll(NOW)
    province.say("mandatory", entry("mended.example")).publish()
    school.poll(NOW)
    assert school.serves() == {name: listed for name, listed in UNTOUCHED.items() if name != "bad.example"} | {"mended.example": "unlawful"}
    assert school.status.troubles == ()


def test_a_new_school_that_meets_a_damaged_channel_gets_the_others(province: Province, open_school, web):
    province.put("mandatory/list.csv", b"\0").publish()
    stranger = open_school(web.url)
    stranger.poll(NOW)
    assert stranger.serves() == {name: listed for name, listed in UNTOUCHED.items() if name != "bad.example"}
    assert stranger.troubles == {("content", "mandatory")}


def _packed(folder: Path, data: bytes) -> Path:
    path = folder / "archive.tar.xz"
    path.write_bytes(data)
    return path


def _ustar(name: str, size: int) -> bytes:
    from tarfile import USTAR_FORMAT, TarInfo

    member = TarInfo(name)
    member.size = size
    return member.tobuf(USTAR_FORMAT)

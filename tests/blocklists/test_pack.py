"""A bundle on the wire: packed and unpacked it is the same, and no archive gets in that ``pack`` would not have written."""

import io
import lzma
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blocklists import pack as packing
from blocklists.overlay import compose
from blocklists.pack import pack, unpack
from filters.bundle import LABELS, MANIFEST, NAMES, RULES, SUBTREE, Source, write
from filters.domain_index import BadBundle, DomainIndex

FILES = (MANIFEST, LABELS, NAMES, RULES)
CONTENT = dict.fromkeys(FILES, b"x" * 700)


@pytest.fixture
def bundle(tmp_path):
    write(tmp_path / "bundle", [(f"n{number}.example", 0, SUBTREE) for number in range(5000)], [Source("a", "adult")])
    return tmp_path / "bundle"


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def archive_of(path: Path, members, tar_format=tarfile.USTAR_FORMAT) -> Path:
    """An archive made by hand: ``members`` are pairs of TarInfo or name, and content."""
    with lzma.open(path, "wb") as packed, tarfile.open(fileobj=packed, mode="w|", format=tar_format) as tar:
        for member, content in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def refused(tmp_path: Path, archive: Path, why: str, **options) -> None:
    with pytest.raises(BadBundle, match=why):
        unpack(archive, tmp_path / "into", **options)


class TestWhole:
    @pytest.mark.parametrize("report", [False, True])
    def test_there_and_back(self, tmp_path, bundle, report):
        if report:
            (bundle / "report.json").write_text('{"names": 5000}\n')
        pack(bundle, tmp_path / "base.tar.xz")
        unpack(tmp_path / "base.tar.xz", tmp_path / "new" / "into")
        assert files(tmp_path / "new" / "into") == files(bundle)
        assert DomainIndex.open(tmp_path / "new" / "into").names == 5000

    def test_whatever_else_lies_there_stays(self, tmp_path, bundle):
        (bundle / "notes.txt").write_text("own")
        pack(bundle, tmp_path / "base.tar.xz")
        unpack(tmp_path / "base.tar.xz", tmp_path / "into")
        assert set(files(tmp_path / "into")) == set(FILES)

    def test_the_same_bundle_gives_the_same_bytes_whenever_and_wherever(self, tmp_path, bundle):
        import os

        pack(bundle, tmp_path / "one")
        for path in bundle.iterdir():
            path.chmod(0o600)
            os.utime(path, (1, 1))
        pack(bundle, tmp_path / "two")
        assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()

    def test_an_overlay_too(self, tmp_path, bundle):
        base = DomainIndex.open(bundle)
        bundle.rename(tmp_path / base.identity)
        compose(tmp_path / "over", base, [("x.example", Source("mandatory", "unlawful"))], ["n1.example"])
        pack(tmp_path / "over", tmp_path / "overlay.tar.xz")
        unpack(tmp_path / "overlay.tar.xz", tmp_path / "into")
        assert files(tmp_path / "into") == files(tmp_path / "over")
        assert DomainIndex.open(tmp_path / "into").names == 5001

    def test_files_of_just_the_limit(self, tmp_path):
        archive = archive_of(tmp_path / "a", CONTENT.items())
        unpack(archive, tmp_path / "into", limit=4 * 700)
        assert files(tmp_path / "into") == CONTENT


class TestHostile:
    @pytest.mark.parametrize(
        "name",
        ["../bundle.json", "/etc/passwd", "./bundle.json", "sub/bundle.json", "extra.json", "BUNDLE.JSON", "bundle.json ", "a" * 120],
    )
    def test_another_name(self, tmp_path, name):
        tar_format = tarfile.GNU_FORMAT if len(name) > 100 else tarfile.USTAR_FORMAT
        refused(tmp_path, archive_of(tmp_path / "a", [*CONTENT.items(), (name, b"evil")], tar_format), "no place in a packed bundle")
        assert {path.name for path in tmp_path.rglob("*")} <= {*FILES, "a", "into"}

    @pytest.mark.parametrize(
        "kind",
        [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE],
    )
    def test_what_is_no_file(self, tmp_path, kind):
        refused(tmp_path, archive_of(tmp_path / "a", [(special(MANIFEST, kind, "/etc/passwd"), b"")]), "no place in a packed bundle")
        assert files(tmp_path / "into") == {}

    def test_a_long_name_by_extension_header(self, tmp_path):
        info = tarfile.TarInfo(MANIFEST)
        info.pax_headers = {"path": "../../evil", "comment": "x" * 10_000}
        refused(tmp_path, archive_of(tmp_path / "a", [(info, b"x")], tarfile.PAX_FORMAT), "no place in a packed bundle")

    @pytest.mark.parametrize("file", FILES)
    def test_a_file_twice(self, tmp_path, file):
        refused(tmp_path, archive_of(tmp_path / "a", [*CONTENT.items(), (file, b"again")]), "no place in a packed bundle")
        assert files(tmp_path / "into")[file] == CONTENT[file]

    @pytest.mark.parametrize("file", FILES)
    def test_a_missing_file(self, tmp_path, file):
        members = [item for item in CONTENT.items() if item[0] != file]
        refused(tmp_path, archive_of(tmp_path / "a", members), f"{file} is missing")

    def test_nothing_in_it(self, tmp_path):
        refused(tmp_path, archive_of(tmp_path / "a", []), "is missing")

    def test_a_bomb(self, tmp_path):
        """Ten kilobytes that unpack to sixty megabytes: no more of it is written than the limit allows."""
        archive = archive_of(tmp_path / "a", [(NAMES, bytes(60_000_000))])
        assert archive.stat().st_size < 20_000
        refused(tmp_path, archive, "more than 100000 bytes", limit=100_000)
        assert (tmp_path / "into" / NAMES).stat().st_size <= 200_000

    def test_many_files_that_are_too_much_together(self, tmp_path):
        refused(tmp_path, archive_of(tmp_path / "a", [(file, bytes(40_000)) for file in FILES]), "more than 100000 bytes", limit=100_000)

    def test_a_member_that_is_shorter_than_it_says(self, tmp_path):
        info = tarfile.TarInfo(MANIFEST)
        info.size = 2**40
        (tmp_path / "a").write_bytes(lzma.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(2000)))
        refused(tmp_path, tmp_path / "a", "cut off")

    def test_a_negative_size(self, tmp_path):
        info = tarfile.TarInfo(MANIFEST)
        info.size = -512
        (tmp_path / "a").write_bytes(lzma.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(2000)))
        refused(tmp_path, tmp_path / "a", "no place")

    def test_a_dictionary_that_would_take_too_much_memory(self, tmp_path):
        filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 256 * 1024 * 1024}]
        whole = lzma.decompress(archive_of(tmp_path / "a", CONTENT.items()).read_bytes())
        (tmp_path / "a").write_bytes(lzma.compress(whole, filters=filters))
        refused(tmp_path, tmp_path / "a", "[Mm]emory")


class TestDamaged:
    @pytest.fixture
    def whole(self, tmp_path):
        return archive_of(tmp_path / "a", CONTENT.items()).read_bytes()

    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def test_cut_anywhere(self, tmp_path_factory, data):
        folder = tmp_path_factory.mktemp("cut")
        whole = archive_of(folder / "a", CONTENT.items()).read_bytes()
        (folder / "a").write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
        refused(folder, folder / "a", "not a packed bundle")

    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def test_any_byte_changed_is_refused_or_changes_nothing(self, tmp_path_factory, data):
        folder = tmp_path_factory.mktemp("changed")
        damaged = bytearray(archive_of(folder / "a", CONTENT.items()).read_bytes())
        damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
        (folder / "a").write_bytes(damaged)
        with pytest.raises(BadBundle):
            unpack(folder / "a", folder / "into")

    @pytest.mark.parametrize("more", [b"\0", b"more", lzma.compress(b"another stream"), bytes(4)])
    def test_more_after_the_end(self, tmp_path, whole, more):
        (tmp_path / "a").write_bytes(whole + more)
        refused(tmp_path, tmp_path / "a", "the stream ends elsewhere")

    def test_more_after_the_end_within_the_stream(self, tmp_path, whole):
        (tmp_path / "a").write_bytes(lzma.compress(lzma.decompress(whole) + b"\0" * 600 + b"hidden"))
        refused(tmp_path, tmp_path / "a", "more after the end")

    def test_zeros_without_end(self, tmp_path, whole):
        (tmp_path / "a").write_bytes(lzma.compress(lzma.decompress(whole) + bytes(10_000_000)))
        refused(tmp_path, tmp_path / "a", "more than 100000 bytes", limit=100_000)

    @pytest.mark.parametrize("content", [b"", b"<html>404</html>", bytes(2000), lzma.compress(b"no tar" * 200), lzma.compress(b"")])
    def test_what_is_no_archive(self, tmp_path, content):
        (tmp_path / "a").write_bytes(content)
        refused(tmp_path, tmp_path / "a", "not a packed bundle")

    def test_no_file(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            unpack(tmp_path / "nothing", tmp_path / "into")


def test_it_takes_the_same_memory_whatever_the_size(tmp_path, monkeypatch):
    """What is read at once is bounded, not only the sum."""
    archive = archive_of(tmp_path / "a", [(file, bytes(3_000_000)) for file in FILES])
    largest = 0
    more = packing._Unpacked._more

    def watched(self, size):
        nonlocal largest
        found = more(self, size)
        largest = max(largest, len(found), len(self._ready))
        return found

    monkeypatch.setattr(packing._Unpacked, "_more", watched)
    unpack(archive, tmp_path / "into")
    assert 0 < largest <= 64 * 1024

"""`manglanh export`: the right tier of the right school, whole or not at all."""

import pytest

from blocklists.install import install
from filters.bundle import SUBTREE, write
from filters.domain_index import Source


@pytest.fixture
def lists(tmp_path):
    names = [("casino.example", 0, SUBTREE), ("mang-xa-hoi.example", 1, SUBTREE)]
    install(tmp_path / "lists", lambda folder: write(folder, names, [Source("cờ bạc", "gambling", "MIT"), Source("s", "social")]))
    return tmp_path / "lists"


def test_a_tier_of_the_school_with_its_rules(type_in, school, lists):
    result = type_in("export", "--format", "hosts", "--tier", "thcs")
    said = result.out.splitlines()
    assert result.code == 0
    assert {"0.0.0.0 casino.example", "0.0.0.0 mang-xa-hoi.example", "0.0.0.0 school-blocked.example"} <= set(said)
    assert "#   cờ bạc (gambling), MIT" in said


def test_another_tier_blocks_something_else(type_in, school, lists):
    said = type_in("export", "--format", "hosts", "--tier", "staff").out.splitlines()
    assert "0.0.0.0 casino.example" in said
    assert "0.0.0.0 mang-xa-hoi.example" not in said


def test_a_tier_of_the_schools_own(type_in, school, lists):
    school.write_text(
        school.read_text(encoding="utf-8") + "tiers: {lop-9: {based_on: thcs, categories: {social: allow}}}\n", encoding="utf-8"
    )
    said = type_in("export", "--format", "hosts", "--tier", "lop-9").out.splitlines()
    assert "0.0.0.0 mang-xa-hoi.example" not in said


def test_without_a_school_file_the_tier_is_the_programs_own(type_in, lists, monkeypatch, tmp_path):
    monkeypatch.setattr("gateway.cli.school.SYSTEM", tmp_path / "none")
    said = type_in("export", "--format", "hosts", "--tier", "thcs", "--directory", lists).out.splitlines()
    assert "0.0.0.0 casino.example" in said
    assert "0.0.0.0 school-blocked.example" not in said


def test_a_file_is_replaced_whole(type_in, school, lists, tmp_path):
    out = tmp_path / "list.conf"
    out.write_text("old")
    result = type_in("export", "--format", "dnsmasq", "--tier", "thcs", "--out", out)
    assert (result.code, result.out) == (0, "")
    assert "address=/casino.example/" in out.read_text().splitlines()
    assert not list(tmp_path.glob(".*.new"))


def test_what_cannot_be_written_leaves_the_old_file(type_in, school, lists, tmp_path, monkeypatch):
    out = tmp_path / "list.conf"
    out.write_text("old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    result = type_in("export", "--format", "rpz", "--tier", "thcs", "--out", out)
    assert result.code == 1
    assert "No space left on device" in result.err
    assert out.read_text() == "old"
    assert not list(tmp_path.glob(".*.new"))


def test_the_same_lists_give_the_same_lines(type_in, school, lists):
    def rules() -> list[str]:
        said = type_in("export", "--format", "unbound", "--tier", "thcs").out.splitlines()
        return [line for line in said if "exported" not in line]

    assert rules() == rules()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "rpx", "--tier", "thcs"], 'did you mean "rpz"?'),
        (["--format", "rpz", "--tier", "thsc"], 'did you mean "thcs"?'),
    ],
)
def test_what_is_not_known_is_named(type_in, school, lists, words, said):
    result = type_in("export", *words)
    assert result.code == 2
    assert said in result.err


def test_without_lists_there_is_nothing_to_export(type_in, school):
    result = type_in("export", "--format", "rpz", "--tier", "thcs")
    assert result.code == 1
    assert "no usable bundle" in result.err

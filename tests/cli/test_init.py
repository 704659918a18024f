"""`manglanh init`: a first school file that the box accepts."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.first_school import Answers, FirstGroup, parse_group, render
from policies.load import load, parse


def plain(message: str) -> str:
    return message


def test_with_flags_nothing_is_asked(type_in, tmp_path):
    result = type_in(
        "init", "--school", "Trường A", "--group", "6a1:thcs:10.0.12.0/24:Lớp 6A1", "--group", "gv:staff:10.0.2.0/24,aa:bb:cc:dd:ee:ff"
    )
    assert result.code == 0
    file = load(tmp_path / "school.yaml")
    assert (file.school.name, [group.name for group in file.groups]) == ("Trường A", ["6a1", "gv"])
    assert file.groups[0].title == "Lớp 6A1"
    assert len(file.groups[1].clients) == 2
    assert type_in("check").code == 0


@pytest.mark.parametrize(("typed", "written"), [("province.yaml", "province.yaml"), ("../elsewhere/province.yaml", None)])
def test_the_province_s_file(type_in, tmp_path, typed, written):
    """As it is seen from the school's file, wherever that is."""
    place = (tmp_path / "truong" / typed).resolve()
    for folder in (place.parent, tmp_path / "truong"):
        folder.mkdir(exist_ok=True)
    place.write_text("name: Tỉnh Thử\n")
    typed_from_here = place.relative_to(tmp_path)
    made = ("init", "truong/school.yaml", "--school", "A", "--group", "6a1:thcs:10.0.12.0/24", "--province", typed_from_here)
    assert type_in(*made).code == 0
    file = load(tmp_path / "truong" / "school.yaml")
    assert str(file.school.province) == (written or str(place))


@pytest.mark.parametrize("content", [None, "nam: Tỉnh Thử\n"])
def test_a_province_s_file_that_cannot_be_used(type_in, tmp_path, content):
    if content is not None:
        (tmp_path / "province.yaml").write_text(content)
    refused = type_in("init", "--school", "A", "--group", "6a1:thcs:10.0.12.0/24", "--province", "province.yaml")
    assert (refused.code, "province.yaml:1:1:" in refused.err) == (2, True)
    assert not (tmp_path / "school.yaml").exists()


def test_asking(type_in, tmp_path, monkeypatch):
    answers = io.StringIO("Trường B\n9.9.9.9 tls://1.1.1.1#cloudflare-dns.com\nnonsense\n6a1:thcs:10.0.12.0/24\n\n")
    monkeypatch.setattr("sys.stdin", answers)
    assert type_in("init", "b.yaml").code == 0
    file = load(tmp_path / "b.yaml")
    assert file.school.name == "Trường B"
    assert len(file.dns.upstreams) == 2


def test_nothing_is_written_over(type_in, tmp_path):
    (tmp_path / "school.yaml").write_text("mine")
    result = type_in("init", "--school", "A", "--group", "6a1:thcs:10.0.12.0/24")
    assert result.code == 1
    assert (tmp_path / "school.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--school", "A"], 2),
        (["--school", "A", "--group", "6a1"], 2),
        (["--school", "A", "--group", "6a1:thsc:10.0.12.0/24"], 2),
        (["--school", "A", "--group", "6a1:thcs:10.0.12.0/24", "--upstream", "dns.example"], 2),
    ],
)
def test_what_the_box_would_refuse_is_not_written(arguments, code, type_in, tmp_path):
    result = type_in("init", *arguments)
    assert result.code == code
    assert result.err
    assert not (tmp_path / "school.yaml").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("6a1:thcs:10.0.12.0/24", FirstGroup("6a1", "", "thcs", ("10.0.12.0/24",))),
        ("6a1:thcs:10.0.12.0/24, 10.0.13.7:Lớp 6A1", FirstGroup("6a1", "Lớp 6A1", "thcs", ("10.0.12.0/24", "10.0.13.7"))),
        ("6a1:thcs:2001:db8::/64", FirstGroup("6a1", "", "thcs", ("2001:db8::/64",))),
        ("6a1:thcs:2001:db8::/64:Lớp 6A1", FirstGroup("6a1", "Lớp 6A1", "thcs", ("2001:db8::/64",))),
        ("6a1:thcs:aa:bb:cc:dd:ee:ff", FirstGroup("6a1", "", "thcs", ("aa:bb:cc:dd:ee:ff",))),
    ],
)
def test_groups(text, expected):
    assert parse_group(text) == expected


@given(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30),
    st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30),
)
def test_no_name_breaks_the_file(school, title):
    answers = Answers(school, "vi", ("9.9.9.9",), (FirstGroup("6a1", title, "thcs", ("10.0.12.0/24",)),))
    file = parse(render(answers, plain), "school.yaml")
    assert (file.school.name, file.groups[0].title) == (school, title)

"""`manglanh explain` against the starter lists: the verdict, who is behind it, and every rung."""

import json

import pytest

from blocklists.install import install, place
from blocklists.overlay import compose
from filters.bundle import SUBTREE, Source, write
from filters.domain_index import DomainIndex

PUPIL, TEACHER = "10.0.12.7", "10.0.2.7"


@pytest.fixture
def explained(type_in, school):
    def run(name: str, client: str = PUPIL, *more: str) -> dict:
        result = type_in("explain", name, "--client", client, "--json", *more)
        assert result.code == 0, result.err
        return json.loads(result.out)

    return run


def test_a_casino_is_blocked_by_its_category(explained):
    found = explained("www.fun88.com")
    assert (found["verdict"], found["rung"], found["rung_name"], found["category"]) == ("block", 7, "category", "gambling")
    assert (found["rule"], found["list"], found["group"], found["tier"]) == ("fun88.com", "starter-gambling", "6a1", "thcs")
    assert found["enforcement"]["block_answer"] == "nxdomain"


def test_every_rung_is_there_in_order_and_one_decides(explained):
    ladder = explained("fun88.com")["ladder"]
    assert [step["rung"] for step in ladder] == list(range(1, 9))
    assert [step["rung"] for step in ladder if step["decides"]] == [7]
    assert [step["verdict"] for step in ladder] == ["silent"] * 6 + ["block", "allow"]


def test_safe_search_is_told_with_its_target(explained):
    found = explained("www.google.com.vn")
    assert (found["verdict"], found["safe_search"]["target"]) == ("rewrite", "forcesafesearch.google.com")
    assert explained("www.google.com.vn", TEACHER)["safe_search"] is None


def test_a_locked_category_is_blocked_for_staff(explained):
    assert explained("unlawful.manglanh.test", TEACHER)["rung_name"] == "locked_block"


def test_the_schools_own_rule_names_its_author(explained):
    found = explained("a.school-blocked.example")
    assert (found["rung_name"], found["by"], found["note"]) == ("school_block", "Tùng", "thử")


def test_a_name_that_the_box_answers_itself_says_so(explained):
    assert "Firefox" in explained("use-application-dns.net")["special"]["why"]


def test_a_unicode_name_is_its_canonical_form(explained):
    assert explained("Bücher.Example.")["name"] == "xn--bcher-kva.example"


def test_the_text_says_the_same(type_in, school):
    result = type_in("explain", "fun88.com", "--client", PUPIL)
    lines = result.out.splitlines()
    assert lines[0] == "fun88.com A, asked by 10.0.12.7: group 6a1, tier thcs, mode normal"
    assert lines[1] == "BLOCKED on rung 7, categories of mode and tier"
    assert "  Category: Gambling (gambling)" in lines
    assert [line[:3] for line in lines[-8:]] == ["  1", "  2", "  3", "  4", "  5", "  6", "> 7", "  8"]


def test_the_text_comes_in_vietnamese(type_in, school):
    result = type_in("explain", "fun88.com", "--client", PUPIL, "--language", "vi")
    assert "BỊ CHẶN ở bậc 7" in result.out
    assert "Danh mục: Cờ bạc, cá độ (gambling)" in result.out


@pytest.fixture
def ordered(tmp_path, school):
    """A name that an authority ordered to block, until 28/4/2099, over the lists of a base."""
    base = place(tmp_path / "lists", lambda fresh: write(fresh, [("casino.example", 0, SUBTREE)], [Source("l", "gambling")]))
    order = Source("mandatory", "unlawful", authority="Công an tỉnh", document="12/QĐ-CAT", reason="lừa đảo", expires=4080992400.0)
    install(tmp_path / "lists", lambda fresh: compose(fresh, DomainIndex.open(base), [("lua-dao.example", order)]))


def test_an_order_is_told_with_its_authority_document_reason_and_end(explained, ordered):
    found = explained("www.lua-dao.example", TEACHER)
    assert (found["rung_name"], found["list"], found["category"]) == ("locked_block", "mandatory", "unlawful")
    assert (found["by"], found["document"], found["note"], found["until"]) == ("Công an tỉnh", "12/QĐ-CAT", "lừa đảo", 4080992400.0)
    assert explained("casino.example")["document"] == ""


@pytest.mark.parametrize(
    ("language", "lines"),
    [
        ("en", ["Behind it: Công an tỉnh", "Document: 12/QĐ-CAT", "Reason given: lừa đảo", "Until: 2099-04-28 00:00"]),
        ("vi", ["Người hoặc cơ quan quyết định: Công an tỉnh", "Văn bản: 12/QĐ-CAT", "Đến: 2099-04-28 00:00"]),
    ],
)
def test_the_text_of_an_order(type_in, ordered, language, lines):
    out = type_in("explain", "lua-dao.example", "--client", PUPIL, "--language", language).out
    said = [line.strip() for line in out.splitlines()]
    assert [line for line in lines if line not in said] == []
    (step,) = (line for line in said if line.startswith("> 1"))
    assert "12/QĐ-CAT" in step


def test_an_allowed_name_says_how_it_is_enforced(type_in, school):
    text = type_in("explain", "vnexpress.net", "--client", PUPIL).out
    assert "ALLOWED on rung 8, default" in text
    assert "Encrypted Client Hello" in text
    assert "60 s at most" in text


def test_a_time_can_be_named(type_in, school):
    school.write_text(
        school.read_text(encoding="utf-8")
        + "timetable: {rules: [{mode: offline, groups: [6a1], at: ['08:00-09:00'], days: [mon, tue, wed, thu, fri, sat, sun]}]}\n",
        encoding="utf-8",
    )
    at_lesson = type_in("explain", "vnexpress.net", "--client", PUPIL, "--at", "2027-01-28 08:30").out
    assert "mode offline (by the timetable, until 2027-01-28 09:00)" in at_lesson
    assert "ALLOWED" in type_in("explain", "vnexpress.net", "--client", PUPIL, "--at", "2027-01-28 09:30").out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["a b", "--client", PUPIL], 2),
        (["a.vn", "--client", "not-an-address"], 2),
        (["a.vn", "--client", PUPIL, "--type", "NOPE"], 2),
        (["a.vn", "--client", PUPIL, "--at", "noon"], 2),
        (["a.vn", "--client", "203.0.113.1"], 1),
    ],
)
def test_what_cannot_be_explained(arguments, code, type_in, school):
    result = type_in("explain", *arguments)
    assert result.code == code
    assert result.err

"""A table that people keep in a spreadsheet: what is no table is refused as what it is, and a header is checked whole."""

import pytest

from blocklists.entry_table import MAX_BYTES, MAX_FIELD, BadEntries, EntryProblem, read_table, write_table

COLUMNS = ("name", "category", "authority", "document", "reason", "added", "expires")
HEADER = ",".join(COLUMNS) + "\n"


def refused(data: str | bytes) -> list[str]:
    """Why no row of the table can be read, without the file's name."""
    with pytest.raises(BadEntries) as error:
        read_table(data if isinstance(data, bytes) else data.encode(), "list.csv", COLUMNS)
    return [line.removeprefix("list.csv:") for line in str(error.value).splitlines()]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", ["1: empty; a list without entries still has its first line, which names the columns"]),
        (b"\xef\xbb\xbf \r\n", ["1: empty; a list without entries still has its first line, which names the columns"]),
        (b"<!DOCTYPE html><html><body>502 Bad Gateway", ["1: a web page (HTML), not a table"]),
        (b"PK\x03\x04\x14\0", ['1: a workbook of a spreadsheet, not a table of text; save it as "CSV UTF-8"']),
        ("tên".encode("utf-16"), ['1: UTF-16 text; save the table as "CSV UTF-8"']),
        (b"name\0", ["1: binary data, not a table of text"]),
        (HEADER.encode() + b"cam.example,unlawful,S\xf2", ['2: not UTF-8 text; save the table as "CSV UTF-8"']),
        (b"a" * (MAX_BYTES + 1), ["1: larger than 20 MB"]),
        (b"cam.example\nhai.example\n", ["1: the first line must name the columns: name,category,authority,document,reason,added,expires"]),
        (b'"name\n', ["1: the first line must name the columns: name,category,authority,document,reason,added,expires"]),
    ],
)
def test_what_is_no_table_is_refused_as_what_it_is(data, expected):
    assert refused(data) == expected


def test_the_header_is_checked_whole():
    assert refused("name,categry,authority,document,added,expires,expires\n") == [
        "1: category: the column is missing",
        '1: categry: unknown column, did you mean "category"?',
        "1: expires: the column stands here twice",
        "1: reason: the column is missing",
    ]


def test_a_header_cannot_write_to_the_terminal():
    assert any(line.startswith("1: [2jcat: unknown column") for line in refused("name,\x1b[2Jcat\u202e\n"))


def test_of_very_many_problems_the_first_are_spelt_out():
    error = BadEntries("f", [EntryProblem(line, "name", "empty name") for line in range(300, 0, -1)])
    assert [problem.line for problem in error.problems] == list(range(1, 301))
    assert str(error).splitlines()[99:] == ["f:100: name: empty name", "f: and at least 200 more problems"]


def test_rows_that_cannot_be_read_do_not_hide_the_others():
    rows, problems = read_table(b'a,b\n1,2\n"x\n3,\x07\n5\n', "f", ("a", "b"), ("c",))
    assert [(row.line, row.fields) for row in rows] == [(2, {"a": "1", "b": "2", "c": ""}), (5, {"a": "5", "b": "", "c": ""})]
    assert [(problem.line, problem.column) for problem in problems] == [(3, ""), (4, "b")]


def test_what_is_written_has_quotes_only_where_they_are_needed():
    assert write_table(("a", "b"), [("1;2", 'x"y'), ("1,2", "")]) == b'a,b\n1;2,"x""y"\n"1,2",\n'


def test_a_field_may_be_as_long_as_the_bound():
    rows, problems = read_table(b"a\n" + b"x" * MAX_FIELD + b"\n" + b"x" * (MAX_FIELD + 1), "f", ("a",))
    assert len(rows) == len(problems) == 1

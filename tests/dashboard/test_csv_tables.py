"""Tables in, tables out: whatever a spreadsheet writes is read, whatever is wrong is said with its place, and nothing that goes out is a formula."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.refusal import Refused
from dashboard.tables import csv_tables
from dashboard.tables.csv_tables import Column

COLUMNS = (Column("login", ("tên đăng nhập",), required=True), Column("name", ("họ tên",)), Column("classes", ("lớp",)))
ROW = {"login": "co-lan", "name": "Nguyễn Thị Lan", "classes": "6a1, 6a2"}


@pytest.mark.parametrize(
    "data",
    [
        'login,name,classes\nco-lan,Nguyễn Thị Lan,"6a1, 6a2"\n'.encode(),
        "login;name;classes\r\nco-lan;Nguyễn Thị Lan;6a1, 6a2\r\n".encode(),
        "\ufefflogin\tname\tclasses\rco-lan\tNguyễn Thị Lan\t6a1, 6a2".encode(),
        "Tên đăng nhập;Họ_tên;LỚP\nco-lan;Nguyễn Thị Lan;6a1, 6a2\n".encode(),
        "ten dang nhap;ho ten;lop\nco-lan;Nguyễn Thị Lan;6a1, 6a2\n".encode(),
        "lớp;login;họ tên\n6a1, 6a2;co-lan;Nguyễn Thị Lan\n".encode(),
        "sep=;\nlogin;name;classes\nco-lan;Nguyễn Thị Lan;6a1, 6a2\n".encode(),
        "login\tname\tclasses\nco-lan\tNguyễn Thị Lan\t6a1, 6a2\n".encode("utf-16"),
        "\n\nlogin,name,classes,,\n\nco-lan,Nguyễn Thị Lan,'6a1,,".replace("'6a1", '"6a1, 6a2"').encode(),
    ],
)
def test_every_way_to_write_the_same_table(data):
    rows = csv_tables.read(data, COLUMNS)
    assert [dict(row.cells) for row in rows] == [ROW]
    assert rows[0].surplus == 0


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        (b"login,name\n", "header and no rows"),
        (b"login,nmae\na,b\n", 'Line 1, column 2: “nmae” is no column of this table, did you mean "name"?'),
        (b"login,login\na,b\n", "column 2: the column “login” stands here twice"),
        (b"name\nb\n", "lacks the column “login”"),
        (b'login,name\na,b\nc,"d\ne,f\n', "Line 3: a quotation mark is opened and never closed"),
        (b'login,name\na,"b"c\n', "Line 2: a quotation mark"),
        (b"login,name\na,\xff\xfe\xfd\n", "Line 2: this is not text in UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "not text in UTF-8"),
        (b"PK\x03\x04\0\0login,name\na,b\n", "not a table in CSV"),
        (b"\xff\xfel\0o\0g", "not text in UTF-8"),
        (b"login\n" + b"a\n" * 2001, "more than 2000 rows"),
        (b"login\n" + b"a" * csv_tables.MAX_BYTES, "too large"),
        (b"login,name\na," + b"b" * 200_000 + b"\n", "Line 2"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(data, said):
    with pytest.raises(Refused) as refused:
        csv_tables.read(data, COLUMNS)
    assert said in str(refused.value)
    assert refused.value.status == 422


def test_a_row_knows_its_line_behind_a_cell_of_several_lines_and_its_surplus():
    rows = csv_tables.read(b'login,name\na,"b\nc"\nd,e,f,g\nh\n', COLUMNS)
    assert [(row.line, row.surplus) for row in rows] == [(2, 0), (4, 2), (5, 0)]
    assert rows[2].cells == {"login": "h", "name": ""}


@pytest.mark.parametrize("cell", ["=1+1", "+84", "-1", "@x", "\tx", "'=x", "''+x", "'quoted", "x=1", "", "a\nb", '"', "Lan; Minh"])
def test_nothing_that_goes_out_is_a_formula_and_all_of_it_comes_back(cell):
    data = csv_tables.write(("login", "name"), [("a", cell)])
    assert data.startswith(b"\xef\xbb\xbf")
    if cell.startswith(("=", "+", "-", "@", "\t")):
        assert b"'" + cell.encode() in data
    assert csv_tables.read(data, COLUMNS)[0].cells["name"] == cell.strip()


@given(st.binary(max_size=300))
def test_any_bytes_are_a_table_or_refused(data):
    with suppress(Refused):  # and nothing else
        assert csv_tables.read(data, COLUMNS)


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)), max_size=60))
def test_any_text_comes_back(text):
    data = csv_tables.write(("login", "name"), [("a", text)])
    assert csv_tables.read(data, COLUMNS)[0].cells["name"] == text.strip(" \u00a0").strip()

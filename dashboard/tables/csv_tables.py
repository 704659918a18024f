"""Tables as spreadsheets write and read them: CSV in, CSV out. Pure.

What comes in may be separated by commas, semicolons (Excel in Vietnam) or tabs, be UTF-8 with or without a mark, or UTF-16 ("Unicode text"), and have its
columns in any order under their English or Vietnamese names. Whatever it is, ``read`` gives a table or raises Refused with words that say what is wrong and where.

What goes out is never a formula: a cell that a spreadsheet would reckon gets an apostrophe before it, which ``read`` takes away again.
"""

import csv
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import NamedTuple

from dashboard.refusal import Refused
from filters.message import Message
from policies.suggest import did_you_mean

MAX_ROWS = 2000
MAX_BYTES = 1_000_000
_SEPARATORS = ",;\t"
_RECKONED = ("=", "+", "-", "@", "\t", "\r")
"""with these a cell begins that a spreadsheet takes for a formula (OWASP, CSV injection)"""


@dataclass(frozen=True, slots=True)
class Column:
    id: str
    names: tuple[str, ...]
    """as a header may have it, besides the id; blanks, capitals and diacritics do not matter"""
    required: bool = False


class Row(NamedTuple):
    line: int
    """where it begins in the file, from 1"""
    cells: Mapping[str, str]
    """by column id; a column that the table does not have is missing"""
    surplus: int = 0
    """cells beyond the last column"""


def read(data: bytes, columns: Sequence[Column], max_rows: int = MAX_ROWS) -> list[Row]:
    """The rows that say anything. Raises Refused (422)."""
    text = _decoded(data)
    first, _, _ = text.partition("\n")
    separator = ""
    skipped = 0
    if first.strip().lower() in {f"sep={each}" for each in ",;"}:  # Excel's own hint to itself
        separator, text, skipped = first.strip()[-1], text.partition("\n")[2], 1
    known = {plain(name): column.id for column in columns for name in (column.id, *column.names)}
    first = next((line for line in text.split("\n") if line.strip()), "")
    separator = separator or max(_SEPARATORS, key=lambda each: _recognised(first, each, known))
    lines = _parsed(text, separator, skipped)
    heads = next(lines, None)
    if heads is None:
        raise _wrong(Message("The table is empty."))
    ids = _columns(heads[0], heads[1], columns, known)
    rows: list[Row] = []
    for line, cells in lines:
        if len(rows) >= max_rows:
            raise _wrong(Message("The table has more than {limit} rows; please divide it.", limit=max_rows))
        named = {id_: _unguarded(cell) for id_, cell in zip(ids, cells, strict=False)} | dict.fromkeys(ids[len(cells) :], "")
        rows.append(Row(line, named, sum(bool(cell.strip()) for cell in cells[len(ids) :])))
    if not rows:
        raise _wrong(Message("The table has a header and no rows."))
    return rows


def write(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """UTF-8 with the mark by which Excel knows it (RFC 4180 line ends)."""
    out = StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(heads)
    writer.writerows([guarded(cell) for cell in row] for row in rows)
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def guarded(cell: str) -> str:
    """``=1+1`` -> ``'=1+1``; one that begins with apostrophes before such a character gets one more, so that reading gives back what was written."""
    return f"'{cell}" if cell.lstrip("'").startswith(_RECKONED) else cell


def _unguarded(cell: str) -> str:
    cell = cell.strip(" \u00a0")
    if cell.startswith("'") and cell.lstrip("'").startswith(_RECKONED):
        cell = cell[1:]
    return cell.strip()


def _decoded(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise _wrong(Message("The file is too large: at most {limit} bytes.", limit=MAX_BYTES))
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _wrong(Message("Line {line}: this is not text in UTF-8. In Excel, save as “CSV UTF-8”.", line=line)) from None
    if "\0" in text:
        raise _wrong(Message("This is not a table in CSV. In Excel, save as “CSV UTF-8”."))
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _recognised(header: str, separator: str, known: Mapping[str, str]) -> tuple[int, int]:
    """How well a separator explains the header: columns that are known, then columns at all."""
    cells = next(csv.reader([header], delimiter=separator), [])
    return sum(plain(cell) in known for cell in cells), len(cells)


def _parsed(text: str, separator: str, skipped: int) -> Iterator[tuple[int, list[str]]]:
    """Line and cells of every row that has any. Raises Refused for quotes that never close."""
    reader = csv.reader(StringIO(text, newline=""), delimiter=separator, strict=True)
    begin = 0
    while True:
        begin = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise _wrong(
                Message("Line {line}: a quotation mark is opened and never closed, or stands inside a cell.", line=begin + skipped)
            ) from None
        if any(cell.strip() for cell in cells):
            yield begin + skipped, cells


def _columns(line: int, heads: Sequence[str], columns: Sequence[Column], known: Mapping[str, str]) -> list[str]:
    while heads and not heads[-1].strip():
        heads = heads[:-1]
    ids: list[str] = []
    for at, head in enumerate(heads, 1):
        id_ = known.get(plain(head))
        if id_ is None:
            hint = did_you_mean(plain(head), [plain(name) for column in columns for name in (column.id, *column.names)])
            shown = head.strip()[:40]
            raise _wrong(
                Message(
                    "Line {line}, column {column}: “{head}” is no column of this table{hint}",
                    line=line,
                    column=at,
                    head=shown,
                    hint=hint or ".",
                )
            )
        if id_ in ids:
            raise _wrong(
                Message("Line {line}, column {column}: the column “{head}” stands here twice.", line=line, column=at, head=head.strip())
            )
        ids.append(id_)
    missing = [column.id for column in columns if column.required and column.id not in ids]
    if missing:
        raise _wrong(Message("The table lacks the column “{column}”.", column=Message(missing[0])))
    return ids


def plain(text: str) -> str:
    """``Họ_Tên `` -> ``ho ten``: without capitals, diacritics, strokes and blanks that are too many."""
    letters = unicodedata.normalize("NFD", text.casefold().replace("đ", "d"))
    return " ".join(
        "".join(character for character in letters if not unicodedata.combining(character)).replace("_", " ").replace("-", " ").split()
    )


def _wrong(why: Message) -> Refused:
    return Refused(why, status=422, field="csv")

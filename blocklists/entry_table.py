"""A table that people keep in a spreadsheet: bytes -> rows of named fields, each with its line. Pure.

Accepted: UTF-8 with or without its mark, comma, semicolon or tab between fields, CRLF, the columns in any order, empty rows.
Refused, every problem at once and in words for the person who saved the file: what is no table at all (a web page, a
workbook, UTF-16, nothing), a column that nobody knows or that is missing, a field that runs over a line or holds what cannot
be read on paper. What authorities sign is this text, so nothing in it may look other than it is.
"""

import csv
import unicodedata
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from filters.message import Message, joined

MAX_BYTES = 20 * 1024 * 1024
MAX_ROWS = 200_000
MAX_FIELD = 500
"""characters of one field"""
MAX_LINE = 20 * MAX_FIELD
_SHOWN = 100
"""problems that the message of BadEntries spells out"""


class EntryProblem(NamedTuple):
    line: int
    """counted from 1"""
    column: str
    """the column's name; empty: the row or the file as a whole"""
    message: str


class BadEntries(Exception):
    """The table is refused; ``problems`` has every reason, the message one per line as ``file:line: column: what``."""

    def __init__(self, file: str, problems: Sequence[EntryProblem]) -> None:
        self.file = file
        self.problems = sorted(problems)
        lines = [_placed(file, problem) for problem in self.problems[:_SHOWN]]
        more = len(self.problems) - _SHOWN
        if more > 0:
            lines.append(Message("{file}: and at least {count} more problems", file=file, count=more))
        super().__init__(joined(lines))


def _placed(file: str, problem: EntryProblem) -> Message:
    line, column, what = problem
    if column:
        return Message("{file}:{line}: {column}: {what}", file=file, line=line, column=column, what=what)
    return Message("{file}:{line}: {what}", file=file, line=line, what=what)


class Row(NamedTuple):
    line: int
    fields: dict[str, str]
    """column -> text without spaces around it, in Unicode's composed form (NFC); a column that may be absent: empty"""


def read_table(data: bytes, file: str, columns: Sequence[str], optional: Sequence[str] = ()) -> tuple[list[Row], list[EntryProblem]]:
    """The rows, and what is wrong with some of them. Raises BadEntries where no row can be read at all."""
    lines = _text(data, file).split("\n")
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    separator = max(",;\t", key=lines[first].count)
    header = _header(lines[first], separator, EntryProblem(first + 1, "", ""), file, (*columns, *optional), columns)
    rows: list[Row] = []
    problems: list[EntryProblem] = []
    for number, line in enumerate(lines[first + 1 :], first + 2):
        if not line.strip(separator + ' "'):
            continue
        if len(rows) == MAX_ROWS:
            raise BadEntries(file, [*problems, EntryProblem(number, "", Message("more than {count} entries", count=MAX_ROWS))])
        fields = _fields(line, separator)
        if isinstance(fields, Message):
            problems.append(EntryProblem(number, "", fields))
        elif len(fields) > len(header) and any(field.strip() for field in fields[len(header) :]):
            problems.append(EntryProblem(number, "", _surplus(len(fields), len(header), separator)))
        else:
            row = dict.fromkeys(optional, "") | dict.fromkeys(columns, "") | dict(zip(header, map(_tidy, fields), strict=False))
            flaws = [EntryProblem(number, column, why) for column, text in row.items() if (why := _unreadable(text))]
            problems += flaws
            if not flaws:
                rows.append(Row(number, row))
    return rows, problems


def write_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """The canonical bytes: commas, bare line feeds, quotes only where they are needed, the header first."""
    lines = [",".join(columns), *(",".join(map(_quoted, row)) for row in rows)]
    return ("\n".join(lines) + "\n").encode()


def did_you_mean(text: str, known: Sequence[str]) -> Message:
    near = get_close_matches(text.lower(), known, n=1)
    return Message(', did you mean "{near}"?', near=near[0]) if near else Message("; there are: {known}", known=", ".join(known))


def _quoted(field: str) -> str:
    return '"' + field.replace('"', '""') + '"' if "," in field or '"' in field else field


def _text(data: bytes, file: str) -> str:
    """Raises BadEntries for what somebody saved in another form, or what a web server sent instead."""
    why = _no_table(data)
    if why:
        raise BadEntries(file, [EntryProblem(1, "", why)])
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadEntries(file, [EntryProblem(line, "", Message('not UTF-8 text; save the table as "CSV UTF-8"'))]) from None


def _no_table(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        return Message("larger than {megabytes} MB", megabytes=MAX_BYTES // 1024 // 1024)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Message('UTF-16 text; save the table as "CSV UTF-8"')
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        return Message('a workbook of a spreadsheet, not a table of text; save it as "CSV UTF-8"')
    if b"\0" in data:
        return Message("binary data, not a table of text")
    start = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start:
        return Message("empty; a list without entries still has its first line, which names the columns")
    return Message("a web page (HTML), not a table") if start.startswith(b"<") else ""


def _header(line: str, separator: str, at: EntryProblem, file: str, known: Sequence[str], needed: Sequence[str]) -> list[str]:
    fields = _fields(line, separator)
    header = [] if isinstance(fields, Message) else ["".join(filter(str.isprintable, field)).strip().lower() for field in fields]
    while header and not header[-1]:
        header.pop()
    if not set(header) & set(known):
        raise BadEntries(file, [at._replace(message=Message("the first line must name the columns: {columns}", columns=",".join(needed)))])
    problems = [
        at._replace(column=column[:MAX_FIELD], message=Message("unknown column{hint}", hint=did_you_mean(column, known)))
        for column in header
        if column not in known
    ]
    problems += [
        at._replace(column=column, message=Message("the column stands here twice")) for column in known if header.count(column) > 1
    ]
    problems += [at._replace(column=column, message=Message("the column is missing")) for column in needed if column not in header]
    if problems:
        raise BadEntries(file, problems)
    return header


def _fields(line: str, separator: str) -> list[str] | Message:
    """The fields of one line, or what is wrong with it. A line at a time, so that one stray quote does not swallow all that follows."""
    if len(line) > MAX_LINE:
        return Message("longer than {count} characters", count=MAX_LINE)
    try:
        return next(csv.reader([line], delimiter=separator, strict=True))
    except csv.Error:
        return Message("quotes do not match on this line; a field cannot run over several lines, and a quote in a field is written twice")


def _surplus(fields: int, columns: int, separator: str) -> Message:
    return Message(
        "{fields} fields under {columns} columns; a field with {separator!r} in it needs quotes",
        fields=fields,
        columns=columns,
        separator=separator,
    )


def _tidy(field: str) -> str:
    """Spaces as people mean them; letters with marks as one character, however the keyboard made them."""
    if field.isascii() and "  " not in field:
        return field.strip(" ")
    return " ".join(part for part in unicodedata.normalize("NFC", field).replace("\u00a0", " ").split(" ") if part)


def _unreadable(field: str) -> str:
    if len(field) > MAX_FIELD:
        return Message("longer than {count} characters", count=MAX_FIELD)
    if field.isprintable():
        return ""
    bad = next(character for character in field if not character.isprintable())
    return Message("a character that cannot be seen (U+{code:04X})", code=ord(bad))

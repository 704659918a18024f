"""What became of every line: the build report, as data, as JSON and as a table. Pure."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

LISTED = 100
"""rejected lines that a source's report repeats; all are counted"""


@dataclass(frozen=True, slots=True)
class RejectedLine:
    line: int
    """from 1"""
    reason: str
    text: str
    file: str = ""
    """the file within a UT1 folder"""


@dataclass(slots=True)
class SourceReport:
    """One list's counts. ``read`` is the sum of the seven below it: nothing gets lost between the lines."""

    name: str
    category: str
    format: str = ""
    read: int = 0
    accepted: int = 0
    duplicates: int = 0
    subsumed: int = 0
    """covered by another entry of the same list that says the same"""
    lifted: int = 0
    """without effect: an exception of the same list beats it (or an important block beats the exception)"""
    exceptions: int = 0
    for_proxy: int = 0
    """URLs and URL expressions, which are true of pages and not of hosts"""
    rejected: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    """kind of reason -> rejected lines"""
    lines: list[RejectedLine] = field(default_factory=list)
    """the first LISTED of them"""
    notes: list[str] = field(default_factory=list)
    """what a person must know: a stale copy was used, a guard was overruled"""
    licence: str = ""
    attribution: str = ""
    url: str = ""

    def reject(self, line: int, reason: str, text: str, file: str = "") -> None:
        self.rejected += 1
        kind = reason.partition(":")[0]
        self.reasons[kind] = self.reasons.get(kind, 0) + 1
        if len(self.lines) < LISTED:
            self.lines.append(RejectedLine(line, reason, text, file))


@dataclass(frozen=True, slots=True)
class BuildReport:
    identity: str
    names: int
    """distinct names in the bundle"""
    sources: tuple[SourceReport, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, indent=1, sort_keys=True) + "\n"


_COLUMNS = ("read", "accepted", "duplicates", "subsumed", "lifted", "exceptions", "for_proxy", "rejected")


def table(sources: Sequence[SourceReport]) -> str:
    """The counts as aligned text, a list a line, a total below, and beneath them why lines were rejected."""
    rows = [("list", "category", *(column.replace("_", " ") for column in _COLUMNS))]
    rows += [(source.name, source.category, *(str(getattr(source, column)) for column in _COLUMNS)) for source in sources]
    rows.append(("total", "", *(str(sum(getattr(source, column) for source in sources)) for column in _COLUMNS)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(_cell(text, widths[column], left=column < 2) for column, text in enumerate(row)).rstrip() for row in rows]
    return "\n".join([*lines, *_remarks(sources)]) + "\n"


def _cell(text: str, width: int, *, left: bool) -> str:
    return text.ljust(width) if left else text.rjust(width)


def _remarks(sources: Iterable[SourceReport]) -> Iterable[str]:
    for source in sources:
        for note in source.notes:
            yield f"{source.name}: {note}"
        for reason, count in sorted(source.reasons.items(), key=lambda pair: (-pair[1], pair[0])):
            yield f"{source.name}: {count} x {reason}"

"""The timetable as people see and change it: lessons, rules and holidays in school.yaml, and what mode holds when in a week. Pure.

The week is walked with the compiled timetable that the resolver uses (policies/timetable.py), never worked out a second time. What is wrong with a change is what
policies/load.py says of the whole file, brought to the field where it was typed. A rule is known by its content (``rule_id``), so that an address never
means another rule because somebody moved one.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from hashlib import sha256
from typing import Any, NamedTuple

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from dashboard.catalogue import Translate
from dashboard.refusal import Refused
from dashboard.settings.school_text import add_item, find, plain, remove_in, set_in
from filters.message import Message, joined
from policies.load import ConfigError, parse
from policies.model import TimetableRule
from policies.school_time import DAY, parse_dates, parse_range
from policies.timetable import Timetables

WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SCHOOL_DAYS = TimetableRule.model_fields["days"].default
MOST_LESSONS = 60
MOST_RULES = 200
MOST_HOLIDAYS = 200
LESSON_NAME = 40
PRESETS: Mapping[str, tuple[int, tuple[str, ...], tuple[str, ...]]] = {
    "primary": (35, ("07:30", "08:10", "09:10", "09:50"), ("14:00", "14:40", "15:35")),
    "secondary": (45, ("07:00", "07:50", "08:55", "09:45", "10:35"), ("13:00", "13:50", "14:55", "15:45", "16:35")),
}
"""minutes of a lesson, when those of the morning begin, when those of the afternoon do: common hours, which every school adjusts"""
_DATE = re.compile(r"(?<!\d)(?:(\d{4})-(\d{1,2})-(\d{1,2})|(\d{1,2})[/.-](\d{1,2})[/.-](\d{4}))(?!\d)", re.ASCII)


class Wrong(Refused):
    """A change that is not made, with what is wrong at each field."""

    def __init__(self, errors: Mapping[str, Message]) -> None:
        super().__init__(joined(errors.values()), status=422, field=next(iter(errors)))
        self.errors = errors


# ---- the week -------------------------------------------------------------------------------------------------------


class Span(NamedTuple):
    """A mode, and when it holds (Unix seconds)."""

    start: float
    end: float
    mode: str | None
    """None: what the tier says"""
    sites: tuple[str, ...]


class Day(NamedTuple):
    date: date
    start: float
    """its midnight, Unix seconds"""
    holiday: bool
    spans: tuple[Span, ...]
    """one after the other, all of the day"""


def monday_of(day: date) -> date:
    return day - timedelta(days=day.weekday())


def week_of(timetables: Timetables, group: str, monday: date) -> tuple[Day, ...]:
    """What the timetable does with a group on seven days."""
    calendar = timetables.calendar
    days = [monday + timedelta(days=count) for count in range(7)]
    return tuple(
        Day(
            day,
            calendar.instant(day, 0),
            calendar.is_holiday(day),
            _spans(timetables, group, calendar.instant(day, 0), calendar.instant(day, DAY)),
        )
        for day in days
    )


def _spans(timetables: Timetables, group: str, start: float, end: float) -> tuple[Span, ...]:
    timetable = timetables.of(group)
    spans: list[Span] = []
    at = start
    while at < end:
        moment = timetable.at(at)
        until = min(moment.until, end)
        if spans and spans[-1][2:] == (moment.mode, moment.sites):
            spans[-1] = spans[-1]._replace(end=until)
        else:
            spans.append(Span(at, until, moment.mode, moment.sites))
        at = until
    return tuple(spans)


# ---- what is wrong --------------------------------------------------------------------------------------------------


def problems_of(document: CommentedMap) -> dict[str, Message]:
    """What the loader says of the timetable in ``document``: ``rules.3.at.0`` -> why. Other parts of the file are not looked at here."""
    try:
        parse(json.dumps(plain(document)), "school.yaml")
    except ConfigError as error:
        return {
            problem.path.removeprefix("timetable").removeprefix("."): Message("{why}", why=problem.message)
            for problem in error.problems
            if problem.path == "timetable" or problem.path.startswith("timetable.")
        }
    return {}


def check(document: CommentedMap, fields: Mapping[str, str], otherwise: str) -> None:
    """Raises Wrong where the loader finds something. ``fields``: path -> the form's field; the longest path that fits counts, else ``otherwise``."""
    errors: dict[str, list[Message]] = {}
    for path, why in problems_of(document).items():
        fitting = [known for known in fields if path == known or path.startswith(known + ".")]
        errors.setdefault(fields[max(fitting, key=len)] if fitting else otherwise, []).append(why)
    if errors:
        raise Wrong({field: joined(dict.fromkeys(texts)) for field, texts in errors.items()})


# ---- rules ----------------------------------------------------------------------------------------------------------


def rule_id(rule: TimetableRule) -> str:
    """The same for rules that say the same."""
    return sha256(json.dumps(rule.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()[:12]


def place_of(rules: Sequence[TimetableRule], wanted: str) -> int:
    """Raises Refused where there is no such rule, or no longer."""
    for at, rule in enumerate(rules):
        if rule_id(rule) == wanted:
            return at
    raise Refused(Message("This rule is not there, or was changed meanwhile."), status=404)


def rules_in(document: CommentedMap) -> list[TimetableRule]:
    """The rules of a document that the loader has accepted."""
    return [TimetableRule.model_validate(plain(rule)) for rule in find(document, ["timetable", "rules"]) or ()]


def put_rule(document: CommentedMap, at: int | None, wanted: Mapping[str, Any]) -> None:
    """Write one rule: at its place, or (None) after the others. Raises Wrong."""
    rules = find(document, ["timetable", "rules"]) or ()
    if at is None:
        at = len(rules)
        add_item(document, ["timetable", "rules"], _said(wanted))
    else:
        for key, value in wanted.items():
            if key in rules[at] or not _is_default(key, value):
                set_in(document, ["timetable", "rules", at, key], value if value or key in ("mode", "holidays", "days") else None)
    said = [plain(rule) for rule in find(document, ["timetable", "rules"])]
    if said.count(said[at]) > 1:
        raise Wrong({"mode": Message("There is a rule that says just this.")})
    if len(said) > MOST_RULES:
        raise Wrong({"mode": Message("This is too much: at most {limit}.", limit=MOST_RULES)})
    prefix = f"rules.{at}"
    check(document, {f"{prefix}.{key}": key for key in wanted}, "lessons")


def _said(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Only what differs from what holds anyway."""
    return {key: value for key, value in wanted.items() if key == "mode" or not _is_default(key, value)}


def _is_default(key: str, value: object) -> bool:
    default = TimetableRule.model_fields[key].default
    return value == default or (isinstance(default, tuple) and isinstance(value, list | tuple) and tuple(value) == default)


def remove_rule(document: CommentedMap, at: int) -> None:
    rules = document["timetable"]["rules"]
    del rules[at]
    if not rules:
        remove_in(document, ["timetable", "rules"])


def move_rule(document: CommentedMap, at: int, by: int) -> None:
    """One place up (-1) or down (1), with the comments that stand at it; at the end of the list nothing happens."""
    rules: CommentedSeq = document["timetable"]["rules"]
    to = at + by
    if not 0 <= to < len(rules):
        return
    comments = rules.ca.items
    held = {place: comments.pop(place, None) for place in (at, to)}
    one, other = rules[at], rules[to]
    list.__setitem__(rules, at, other)
    list.__setitem__(rules, to, one)
    for place, comment in ((to, held[at]), (at, held[to])):
        if comment is not None:
            comments[place] = comment


# ---- lessons --------------------------------------------------------------------------------------------------------


class LessonRow(NamedTuple):
    """A row of the form."""

    was: str
    """its name in the file; empty: a new one"""
    name: str
    start: str
    end: str
    remove: bool = False

    @property
    def is_empty(self) -> bool:
        return not (self.was or self.name or self.start or self.end)


def lesson_rows(lessons: Mapping[str, str]) -> list[LessonRow]:
    """As the day goes."""
    rows = []
    for name, text in sorted(lessons.items(), key=lambda item: (parse_range(item[1]).start, parse_range(item[1]).end)):
        start, _, end = text.partition("-")
        rows.append(LessonRow(name, name, _padded(start), _padded(end)))
    return rows


def _padded(clock: str) -> str:
    """As a browser's field for a time wants it."""
    return clock.strip().rjust(5, "0")


def preset_rows(preset: str, lessons: Mapping[str, str], _: Translate) -> list[LessonRow]:
    """The lessons of a preset that the school does not have yet, as rows to look over. ``_`` is of the school's own language, in which they will be named."""
    minutes, morning, afternoon = PRESETS[preset]
    rows = []
    for template, starts in ((_("Morning {number}"), morning), (_("Afternoon {number}"), afternoon)):
        for number, start in enumerate(starts, 1):
            end = f"{(_minutes(start) + minutes) // 60:02}:{(_minutes(start) + minutes) % 60:02}"
            name = template.format(number=number)
            if name in lessons:
                if lessons[name] == f"{start}-{end}":
                    continue
                name = _("{lesson} ({minutes} minutes)").format(lesson=name, minutes=minutes)
            if name not in lessons:
                rows.append(LessonRow("", name, start, end))
    return rows


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])


def put_lessons(document: CommentedMap, rows: Sequence[LessonRow]) -> None:
    """The lessons as the form has them; rules follow a lesson that has a new name. Raises Wrong, with fields ``name-3``, ``start-3``."""
    kept = [(number, row) for number, row in enumerate(rows) if not row.is_empty and not row.remove]
    errors = dict(_wrong_rows(document, rows, kept))
    if errors:
        raise Wrong(errors)
    wanted = {row.name: f"{row.start}-{row.end}" for _, row in kept}
    renamed = {row.was: row.name for _, row in kept if row.was and row.was != row.name}
    put_lesson_map(document, wanted, renamed)
    for rule in find(document, ["timetable", "rules"]) or ():
        lessons: Any = rule.get("lessons") or []
        for at, name in enumerate(lessons):
            if str(name) in renamed:
                lessons[at] = renamed[str(name)]
    check(document, {f"lessons.{row.name}": f"start-{number}" for number, row in kept}, "form")


def _wrong_rows(document: CommentedMap, rows: Sequence[LessonRow], kept: Sequence[tuple[int, LessonRow]]) -> Iterator[tuple[str, Message]]:
    if len(kept) > MOST_LESSONS:
        yield "form", Message("This is too much: at most {limit}.", limit=MOST_LESSONS)
    names: set[str] = set()
    for number, row in kept:
        if not row.name:
            yield f"name-{number}", Message("A name is needed here.")
        elif row.name in names:
            yield f"name-{number}", Message("Another lesson has this name.")
        names.add(row.name)
        try:
            if parse_range(f"{row.start}-{row.end}").end > DAY:
                yield f"end-{number}", Message("This lesson ends before it begins.")
        except ValueError:
            yield f"start-{number}", Message("Two times such as 07:00 and 07:45 are needed here.")
    used = lessons_in_use(plain(find(document, ["timetable", "rules"]) or []))
    for number, row in enumerate(rows):
        if row.remove and row.was in used and row.was not in names:
            yield f"name-{number}", Message("A rule speaks of this lesson; change or remove that rule first.")


def lessons_in_use(rules: Iterable[Mapping[str, Any]]) -> set[str]:
    return {str(name) for rule in rules for name in rule.get("lessons") or ()}


def put_lesson_map(document: CommentedMap, wanted: Mapping[str, str], renamed: Mapping[str, str] | None = None) -> None:
    """Lesson by lesson, so that those that stay keep their place and their comments."""
    there = find(document, ["timetable", "lessons"])
    if isinstance(there, CommentedMap):
        _rename(there, renamed or {})
        for name in [name for name in there if str(name) not in wanted]:
            del there[name]
    for name, times in wanted.items():
        if there is None or name not in there or not _same_times(str(there[name]), times):
            set_in(document, ["timetable", "lessons", name], times)
    if not wanted:
        remove_in(document, ["timetable", "lessons"])


def _rename(lessons: CommentedMap, renamed: Mapping[str, str]) -> None:
    """Names may change places with each other, so all go before any comes."""
    if not renamed:
        return
    items = [(renamed.get(str(name), name), value, lessons.ca.items.get(name)) for name, value in lessons.items()]
    for name in list(lessons):
        del lessons[name]
    for name, value, comment in items:
        lessons[name] = value
        if comment is not None:
            lessons.ca.items[name] = comment


def _same_times(one: str, other: str) -> bool:
    try:
        return parse_range(one) == parse_range(other)
    except ValueError:
        return False


# ---- holidays -------------------------------------------------------------------------------------------------------


def read_holidays(text: str, field: str) -> list[str]:
    """Dates from lines as people write them: ``30/4/2027``, ``15/02/2027 - 21/02/2027 Tết``, ``2027-02-15..2027-02-21``. Words are passed over.

    Raises Wrong with every line that has no date, or one that no calendar has.
    """
    found: list[str] = []
    wrong: list[Message] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found.append(_dates_of(line))
        except ValueError:
            wrong.append(
                Message("Line {number}: “{line}” has no date such as 30/04/2027, or two of them.", number=number, line=line.strip()[:60])
            )
    if len(found) > MOST_HOLIDAYS:
        wrong.append(Message("This is too much: at most {limit}.", limit=MOST_HOLIDAYS))
    if wrong:
        raise Wrong({field: joined(wrong)})
    return list(dict.fromkeys(found))


def _dates_of(line: str) -> str:
    """Raises ValueError."""
    days = [
        date(int(year or other_year), int(month or other_month), int(day or other_day))
        for year, month, day, other_day, other_month, other_year in _DATE.findall(line)
    ]
    if len(days) not in (1, 2) or days[-1] < days[0]:
        raise ValueError(line)
    return days[0].isoformat() if days[0] == days[-1] else f"{days[0]}..{days[-1]}"


def sorted_holidays(holidays: Iterable[str]) -> list[tuple[str, date, date]]:
    """(as it is written, first day, last day), as the year goes."""
    return sorted(((text, *parse_dates(text)) for text in holidays), key=lambda item: item[1:])


def put_holidays(document: CommentedMap, wanted: Sequence[str], field: str) -> None:
    """Raises Wrong."""
    set_in(document, ["timetable", "holidays"], list(wanted) or None)
    if len(wanted) > MOST_HOLIDAYS:
        raise Wrong({field: Message("This is too much: at most {limit}.", limit=MOST_HOLIDAYS)})
    check(document, {}, field)


# ---- the whole ------------------------------------------------------------------------------------------------------


def put_timetable(document: CommentedMap, lessons: Mapping[str, str], rules: Sequence[Mapping[str, Any]], holidays: Sequence[str]) -> None:
    """The whole timetable anew. Raises Wrong, with the loader's paths as fields."""
    put_lesson_map(document, lessons)
    set_in(document, ["timetable", "rules"], [_said(rule) for rule in rules] or None)
    set_in(document, ["timetable", "holidays"], list(holidays) or None)
    problems = problems_of(document)
    if problems:
        raise Wrong(problems)

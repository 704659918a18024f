"""The timetable: a week of one group as the resolver sees it, and the rules, lessons and holidays that make it (school.yaml)."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from ruamel.yaml.comments import CommentedMap
from starlette.responses import Response

from dashboard.access import Access
from dashboard.catalogue import Translate, translator
from dashboard.lessons.site_sets import parse_sites
from dashboard.refusal import Refused
from dashboard.school import View
from dashboard.settings import school_file
from dashboard.settings.tiers import title
from dashboard.settings.timetable import (
    LESSON_NAME,
    MOST_LESSONS,
    PRESETS,
    SCHOOL_DAYS,
    WEEK,
    Day,
    LessonRow,
    Wrong,
    lesson_rows,
    monday_of,
    move_rule,
    place_of,
    preset_rows,
    put_holidays,
    put_lessons,
    put_rule,
    read_holidays,
    remove_rule,
    rule_id,
    rules_in,
    sorted_holidays,
    week_of,
)
from dashboard.store.audit import Entry
from dashboard.web import BODY, Page, Visit
from filters.message import Message, said
from policies.model import TimetableRule
from policies.tiers import resolve_modes

Change = Callable[[CommentedMap], None]
NEW_ROWS = 3
DASH = "\N{EN DASH}"
FIRST_YEAR, LAST_YEAR = 2000, 2200


async def index(visit: Visit) -> Response:
    """GET /timetable?group=6a1&day=2027-01-15: the week of that day."""
    view, _ = visit.view, visit.translate
    groups = view.file.groups
    asked = visit.request.query_params
    group = next((each for each in groups if each.name == asked.get("group")), groups[0])
    timetables = view.snapshot.timetables
    today = timetables.calendar.local(visit.now).date()
    day = _day(asked.get("day", ""), today)
    monday = monday_of(day)
    days = week_of(timetables, group.name, monday)
    modes = _modes(view, visit.language)
    return visit.page(
        "timetable/week.html",
        tabs=_tabs("/timetable", _),
        groups=[(each.name, each.title or each.name) for each in groups],
        group=group.name,
        group_title=group.title or group.name,
        days=[_shown_day(each, today, modes, visit) for each in days],
        monday=monday.isoformat(),
        before=monday - timedelta(days=7),
        after=monday + timedelta(days=7),
        this_week=monday == monday_of(today),
        clock_trusted=all(report.clock_trusted for report in visit.site.box.workers()),
        is_empty=not view.file.timetable.rules,
    )


def _day(text: str, otherwise: date) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return otherwise
    return day if FIRST_YEAR <= day.year <= LAST_YEAR else otherwise


def _shown_day(day: Day, today: date, modes: Mapping[str, str], visit: Visit) -> dict[str, object]:
    return {
        "title": _weekdays(visit.translate)[day.date.weekday()],
        "start": day.start,
        "today": day.date == today,
        "holiday": day.holiday,
        "spans": [
            {
                "start": span.start,
                "end": span.end,
                "mode": span.mode,
                "title": modes.get(span.mode, span.mode),
                "sites": span.sites,
                "now": span.start <= visit.now < span.end,
                "whole_day": (span.start, span.end) == (day.spans[0].start, day.spans[-1].end),
            }
            for span in day.spans
            if span.mode is not None
        ],
    }


def _tabs(here: str, _: Translate) -> list[tuple[str, str, bool]]:
    return [
        (path, name, path == here)
        for path, name in (
            ("/timetable", _("Week")),
            ("/timetable/rules", _("Rules")),
            ("/timetable/lessons", _("Lessons")),
            ("/timetable/holidays", _("Holidays")),
        )
    ]


def _weekdays(_: Translate) -> tuple[str, ...]:
    return _("Monday"), _("Tuesday"), _("Wednesday"), _("Thursday"), _("Friday"), _("Saturday"), _("Sunday")


def _modes(view: View, language: str) -> dict[str, str]:
    return {name: title(mode.title, language) for name, mode in resolve_modes(view.file.modes).items()}


async def _edit(visit: Visit, part: str, change: Change, done: str, to: str, **detail: object) -> Response:
    """Carry a change of the file out and say so."""
    entry = Entry("timetable.changed", what=part, detail=detail)
    await school_file.edit(visit.site, visit.person, entry, visit.text("seen"), change)
    return visit.back(to, done)


def _said(error: Refused, _: Translate, fields: Sequence[str] = ()) -> dict[str, str]:
    """Field -> what is wrong, in words; ``form`` where it is no field of this form. Raises the error itself where no form can put it right."""
    if error.status not in (409, 422):
        raise error
    found = error.errors if isinstance(error, Wrong) else {error.field: error.message}
    errors: dict[str, str] = {}
    for field, why in found.items():
        at = field if field in fields or not fields else "form"
        errors[at] = f"{errors[at]}\n{said(why, _)}" if at in errors else said(why, _)
    return errors


# ---- rules ----------------------------------------------------------------------------------------------------------


async def rules(visit: Visit) -> Response:
    """GET /timetable/rules."""
    seen, view = await school_file.opened(visit.site)
    _, modes = visit.translate, _modes(view, visit.language)
    titles = {group.name: group.title or group.name for group in view.file.groups}
    return visit.page(
        "timetable/rules.html",
        seen=seen,
        tabs=_tabs("/timetable/rules", _),
        rules=[
            {
                "id": rule_id(rule),
                "mode": rule.mode,
                "title": modes.get(rule.mode, rule.mode),
                "groups": [titles.get(group, group) for group in rule.groups],
                "days": _days_said(rule.days, _),
                "lessons": rule.lessons,
                "at": [text.replace("-", DASH) for text in rule.at],
                "sites": rule.sites,
                "holidays": rule.holidays,
            }
            for rule in view.file.timetable.rules
        ],
    )


def _days_said(days: Sequence[str], _: Translate) -> str:
    """``Thứ Hai đến thứ Bảy``; days that do not follow each other, one by one."""
    numbers = sorted({WEEK.index(day) for day in days})
    names = _weekdays(_)
    if len(numbers) == len(WEEK):
        return _("Every day")
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return _("{first} to {last}").format(first=names[numbers[0]], last=names[numbers[-1]])
    return ", ".join(names[number] for number in numbers)


RULE_FIELDS = ("mode", "groups", "days", "lessons", "at", "sites", "holidays")


async def rule(visit: Visit) -> Response:
    """GET /timetable/rule (a new one), GET /timetable/rules/{rule}."""
    return await _rule(visit)


async def _rule(visit: Visit, status: int = 200, errors: Mapping[str, str] | None = None) -> Response:
    seen, view = await school_file.opened(visit.site)
    timetable, wanted = view.file.timetable, str(visit.request.path_params.get("rule", ""))
    if errors is not None:
        values = _rule_form(visit)
    elif wanted:
        values = _rule_values(timetable.rules[place_of(timetable.rules, wanted)])
    else:
        values = {"mode": "study", "groups": set(), "days": set(SCHOOL_DAYS), "lessons": set(), "at": "", "sites": "", "holidays": False}
    return visit.page(
        "timetable/rule.html",
        status,
        seen=seen,
        id=wanted,
        values=values,
        errors={field: (errors or {}).get(field, "") for field in (*RULE_FIELDS, "form")},
        modes=list(_modes(view, visit.language).items()),
        groups=[(group.name, group.title or group.name) for group in view.file.groups],
        days=list(zip(WEEK, _weekdays(visit.translate), strict=True)),
        lessons=[(row.name, f"{row.start}{DASH}{row.end}") for row in lesson_rows(timetable.lessons)],
    )


def _rule_values(rule: TimetableRule) -> dict[str, Any]:
    return {
        "mode": rule.mode,
        "groups": set(rule.groups),
        "days": set(rule.days),
        "lessons": set(rule.lessons),
        "at": "\n".join(rule.at),
        "sites": "\n".join(rule.sites),
        "holidays": rule.holidays,
    }


def _rule_form(visit: Visit) -> dict[str, Any]:
    return {
        "mode": visit.text("mode", 63),
        **{name: set(visit.texts(name)) for name in ("groups", "days", "lessons")},
        "at": visit.text("at", 2000),
        "sites": visit.text("sites", 20_000),
        "holidays": bool(visit.form.get("holidays")),
    }


def _wanted_rule(form: Mapping[str, Any], view: View) -> dict[str, Any]:
    """As it is written to the file. Raises Wrong for what a form lacks; the loader says what else is wrong."""
    at = [
        part.replace(" ", "")
        for line in form["at"].replace(DASH, "-").replace("\N{EM DASH}", "-").splitlines()
        for part in line.split(",")
        if part.strip()
    ]
    errors: dict[str, Message] = {}
    if not form["lessons"] and not at:
        errors["lessons"] = Message("When does it hold? Tick a lesson, or write a time below.")
    if not form["days"]:
        errors["days"] = Message("Tick at least one day.")
    sites: tuple[str, ...] = ()
    try:
        sites = parse_sites(form["sites"])
    except Refused as error:
        errors["sites"] = error.message
    if errors:
        raise Wrong(errors)
    return {
        "mode": form["mode"],
        "groups": _in_order(form["groups"], [group.name for group in view.file.groups]),
        "days": _in_order(form["days"], WEEK),
        "lessons": _in_order(form["lessons"], list(view.file.timetable.lessons)),
        "at": at,
        "sites": list(sites),
        "holidays": form["holidays"],
    }


def _in_order(chosen: set[str], known: Sequence[str]) -> list[str]:
    """What is not known stays, for the loader to refuse it."""
    return [each for each in known if each in chosen] + sorted(chosen.difference(known))


async def save_rule(visit: Visit) -> Response:
    """POST /timetable/rule, POST /timetable/rules/{rule}."""
    known, _ = str(visit.request.path_params.get("rule", "")), visit.translate

    def change(document: CommentedMap) -> None:
        put_rule(document, place_of(rules_in(document), known) if known else None, wanted)

    try:
        wanted = _wanted_rule(_rule_form(visit), visit.view)
        done = _("Saved. It holds within a second.")
        return await _edit(visit, "rules", change, done, "/timetable/rules", rule=wanted, added=not known)
    except Refused as error:
        return await _rule(visit, error.status, _said(error, _, RULE_FIELDS))


async def remove(visit: Visit) -> Response:
    """POST /timetable/rules/{rule}/remove."""
    known, rules, _ = str(visit.request.path_params["rule"]), visit.view.file.timetable.rules, visit.translate
    detail = rules[place_of(rules, known)].model_dump(mode="json", exclude_defaults=True)

    def change(document: CommentedMap) -> None:
        remove_rule(document, place_of(rules_in(document), known))

    return await _edit(visit, "rules", change, _("The rule is removed."), "/timetable/rules", rule=detail, removed=True)


async def move(visit: Visit) -> Response:
    """POST /timetable/rules/{rule}/move with ``by`` up or down."""
    known, rules, _ = str(visit.request.path_params["rule"]), visit.view.file.timetable.rules, visit.translate
    at, by = place_of(rules, known), -1 if visit.text("by") == "up" else 1

    def change(document: CommentedMap) -> None:
        move_rule(document, place_of(rules_in(document), known), by)

    done = _("The rule is moved. It holds within a second.")
    return await _edit(visit, "rules", change, done, "/timetable/rules", moved=[at + 1, at + 1 + by])


# ---- lessons --------------------------------------------------------------------------------------------------------


async def lessons(visit: Visit) -> Response:
    """GET /timetable/lessons?preset=primary: a preset only fills the form in; nothing changes before it is saved."""
    view = visit.view
    rows = lesson_rows(view.file.timetable.lessons)
    preset = visit.request.query_params.get("preset", "")
    if preset in PRESETS:
        rows += preset_rows(preset, view.file.timetable.lessons, translator(view.file.school.language))
    return await _lessons(visit, rows, preset=preset in PRESETS)


async def _lessons(
    visit: Visit, rows: Sequence[LessonRow], status: int = 200, errors: Mapping[str, str] | None = None, *, preset: bool = False
) -> Response:
    seen, view = await school_file.opened(visit.site)
    _ = visit.translate
    blank = [LessonRow("", "", "", "")] * min(NEW_ROWS, MOST_LESSONS - len(rows))
    return visit.page(
        "timetable/lessons.html",
        status,
        seen=seen,
        tabs=_tabs("/timetable/lessons", _),
        rows=[*rows, *blank],
        errors=errors or {},
        is_preset=preset,
        used={name for rule in view.file.timetable.rules for name in rule.lessons},
        most=LESSON_NAME,
    )


async def save_lessons(visit: Visit) -> Response:
    """POST /timetable/lessons."""
    _, rows = visit.translate, list[LessonRow]()
    try:
        rows = [_row(visit, number) for number in range(_count(visit))]
        done = _("The lessons are saved.")
        kept = {row.name: f"{row.start}-{row.end}" for row in rows if row.name and not row.remove}
        return await _edit(visit, "lessons", lambda document: put_lessons(document, rows), done, "/timetable/lessons", lessons=kept)
    except Refused as error:
        fields = [f"{name}-{number}" for number in range(len(rows)) for name in ("name", "start", "end")]
        return await _lessons(visit, [row for row in rows if not row.is_empty], error.status, _moved(_said(error, _, fields), rows))


def _count(visit: Visit) -> int:
    text = visit.text("count", 4)
    return min(int(text), MOST_LESSONS + NEW_ROWS) if text.isdecimal() else 0


def _row(visit: Visit, number: int) -> LessonRow:
    name, was, start, end = (visit.text(f"{field}-{number}", BODY) for field in ("name", "was", "start", "end"))
    return LessonRow(was, name, start[:5], end[:5], remove=bool(visit.form.get(f"remove-{number}")))


def _moved(errors: Mapping[str, str], rows: Sequence[LessonRow]) -> dict[str, str]:
    """Empty rows are not shown again, so those after them move up."""
    places = {number: place for place, number in enumerate(number for number, row in enumerate(rows) if not row.is_empty)}
    moved = {}
    for field, why in errors.items():
        name, _, number = field.rpartition("-")
        moved[f"{name}-{places[int(number)]}" if number.isdecimal() and int(number) in places else field] = why
    return moved


# ---- holidays -------------------------------------------------------------------------------------------------------


async def holidays(visit: Visit) -> Response:
    """GET /timetable/holidays."""
    return await _holidays(visit)


async def _holidays(visit: Visit, status: int = 200, errors: Mapping[str, str] | None = None) -> Response:
    seen, view = await school_file.opened(visit.site)
    _ = visit.translate
    calendar = view.snapshot.timetables.calendar
    today = calendar.local(visit.now).date()
    found = sorted_holidays(view.file.timetable.holidays)
    names = _weekdays(_)
    return visit.page(
        "timetable/holidays.html",
        status,
        seen=seen,
        tabs=_tabs("/timetable/holidays", _),
        holidays=[
            {
                "text": text,
                "first": calendar.instant(first, 0),
                "last": calendar.instant(last, 0),
                "weekdays": names[first.weekday()] if first == last else f"{names[first.weekday()]} {DASH} {names[last.weekday()]}",
                "days": (last - first).days + 1,
                "past": last < today,
                "now": first <= today <= last,
            }
            for text, first, last in found
        ],
        lines=visit.text("lines", 20_000) if errors else "",
        whole=visit.text("whole", 20_000) if errors and "whole" in visit.form else "\n".join(text for text, _first, _last in found),
        errors={name: (errors or {}).get(name, "") for name in ("lines", "whole", "form")},
    )


async def save_holidays(visit: Visit) -> Response:
    """POST /timetable/holidays with ``lines`` (to add), ``whole`` (all of them) or ``remove`` (one)."""
    old, _ = list(visit.view.file.timetable.holidays), visit.translate
    field = "whole" if "whole" in visit.form else "lines"
    try:
        if "remove" in visit.form:
            wanted = [text for text in old if text != visit.text("remove")]
        elif field == "whole":
            wanted = read_holidays(visit.text("whole", 20_000), field)
        else:
            wanted = list(dict.fromkeys((*old, *read_holidays(visit.text("lines", 20_000), field))))
        done = _("Saved: {count} holidays. On these days only rules hold that say so.").format(count=len(wanted))
        detail = {"added": [each for each in wanted if each not in old], "removed": [each for each in old if each not in wanted]}
        return await _edit(visit, "holidays", lambda document: put_holidays(document, wanted, field), done, "/timetable/holidays", **detail)
    except Refused as error:
        return await _holidays(visit, error.status, _said(error, _, ("lines", "whole")))


PAGES = (
    Page("GET", "/timetable", index, Access.ADMIN),
    Page("GET", "/timetable/rules", rules, Access.ADMIN),
    Page("GET", "/timetable/rule", rule, Access.ADMIN),
    Page("POST", "/timetable/rule", save_rule, Access.ADMIN),
    Page("GET", "/timetable/rules/{rule}", rule, Access.ADMIN),
    Page("POST", "/timetable/rules/{rule}", save_rule, Access.ADMIN),
    Page("POST", "/timetable/rules/{rule}/remove", remove, Access.ADMIN),
    Page("POST", "/timetable/rules/{rule}/move", move, Access.ADMIN),
    Page("GET", "/timetable/lessons", lessons, Access.ADMIN),
    Page("POST", "/timetable/lessons", save_lessons, Access.ADMIN),
    Page("GET", "/timetable/holidays", holidays, Access.ADMIN),
    Page("POST", "/timetable/holidays", save_holidays, Access.ADMIN),
)

"""Pages from templates, in Vietnamese or English. Pure, but for reading this package's own templates and static files.

A value that a template asks for and was not given is an error, never an empty place; whatever is given is escaped. In every template:

- ``_`` translates and ``language`` is ``vi`` or ``en``;
- ``static_url("site.css")`` is the address of a file in static/, with the file's hash, so that browsers may keep it for ever;
- filters say Unix seconds and numbers as people write them: ``clock``, ``moment``, ``day``, ``ago``, ``left``, ``duration``,
  ``number``, ``iso``, and ``category`` for an id's title. Those that need the time or its zone find ``now`` (Unix seconds) and ``zone`` (``Asia/Ho_Chi_Minh``) among the page's values.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from math import ceil
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

from dashboard.catalogue import LANGUAGES, Translate, category_title, translator

STATIC_PREFIX = "/static/"
MINUTE, HOUR, DAY = 60, 3600, 86400

STATIC_HASHES: Mapping[str, str] = MappingProxyType(
    {
        file.name: sha256(files("dashboard").joinpath("static", file.name).read_bytes()).hexdigest()[:12]
        for file in files("dashboard").joinpath("static").iterdir()
        if file.is_file()
    }
)


def render(template: str, language: str, **values: Any) -> str:
    """The page. Raises jinja2.UndefinedError for a value that the template wants and ``values`` lacks."""
    return environment(language).get_template(template).render(values)


def static_url(name: str) -> str:
    """``site.css`` -> ``/static/site.css?v=...``. Raises KeyError if there is no such file."""
    return f"{STATIC_PREFIX}{name}?v={STATIC_HASHES[name]}"


@lru_cache(maxsize=len(LANGUAGES))
def environment(language: str) -> Environment:
    """The templates with the filters and globals of one language. Raises ValueError for a language that there is not."""
    if language not in LANGUAGES:
        raise ValueError(f"no such language: {language}")
    _ = translator(language)
    made = Environment(
        loader=PackageLoader("dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals.update(_=_, language=language, static_url=static_url, time_words=time_words(_))
    made.filters.update(
        clock=_clock,
        moment=_moment,
        day=_day,
        ago=_ago,
        left=_left,
        iso=_iso,
        duration=lambda seconds: duration(seconds, _),
        number=lambda value: number(value, language),
        category=lambda category: category_title(category, language),
    )
    return made


def duration(seconds: float, _: Translate) -> str:
    """``3900`` -> ``1 giờ 5 phút``: two units at most, and what is left of the smaller one is dropped."""
    whole = max(0, int(seconds))
    if whole < MINUTE:
        return _("{seconds} s").format(seconds=whole)
    if whole < HOUR:
        return _("{minutes} min").format(minutes=whole // MINUTE)
    hours, minutes = whole // HOUR, whole % HOUR // MINUTE
    if whole < DAY:
        return (_("{hours} h {minutes} min") if minutes else _("{hours} h")).format(hours=hours, minutes=minutes)
    days, hours = whole // DAY, whole % DAY // HOUR
    return (_("{days} d {hours} h") if hours else _("{days} d")).format(days=days, hours=hours)


def left(seconds: float, words: Mapping[str, str]) -> str:
    """``899`` -> ``còn 15 phút``: a started minute counts, so that 15 minutes read 15 when they begin. static/live.js does the same."""
    if seconds <= 0:
        return words["over"]
    if seconds < MINUTE:
        return words["soon"]
    hours, minutes = divmod(ceil(seconds / MINUTE), 60)
    return words["hours" if hours else "minutes"].format(hours=hours, minutes=minutes)


def time_words(_: Translate) -> dict[str, str]:
    """The words of a countdown, which static/live.js reads from the page."""
    return {
        "hours": _("{hours} h {minutes} min left"),
        "minutes": _("{minutes} min left"),
        "soon": _("less than a minute left"),
        "over": _("time is up"),
    }


def number(value: float, language: str) -> str:
    """``1234.5`` -> ``1.234,5`` in Vietnamese, ``1,234.5`` in English."""
    english = f"{value:,}"
    return english.translate(str.maketrans(",.", ".,")) if language == "vi" else english


def _local(context: Context, at: float) -> datetime:
    return datetime.fromtimestamp(at, ZoneInfo(context["zone"]))


@pass_context
def _clock(context: Context, at: float) -> str:
    return f"{_local(context, at):%H:%M}"


@pass_context
def _day(context: Context, at: float) -> str:
    """``22/11/2026``, in English ``2026-11-22``."""
    return f"{_local(context, at):{'%d/%m/%Y' if context['language'] == 'vi' else '%Y-%m-%d'}}"


@pass_context
def _moment(context: Context, at: float) -> str:
    """The day is left out if it is today: ``10:35``, ``10:35 22/11/2026``."""
    clock, today = _clock(context, at), _day(context, context["now"])
    day = _day(context, at)
    return clock if day == today else f"{clock} {day}"


@pass_context
def _ago(context: Context, at: float) -> str:
    """A moment that has been, as seen from now."""
    seconds = context["now"] - at
    _ = context["_"]
    return str(_("just now") if seconds < MINUTE else _("{duration} ago").format(duration=duration(seconds, _)))


@pass_context
def _iso(context: Context, at: float) -> str:
    """For the ``datetime`` of a ``time`` element."""
    return _local(context, at).isoformat(timespec="seconds")


@pass_context
def _left(context: Context, until: float) -> str:
    return left(until - context["now"], context["time_words"])

"""The school's own settings as people type them: lists one item a line, forwarding as ``name = upstream, upstream``. Pure.

Only what differs from what holds is written; what is given up goes back to its default by removing the key. Whether a value is one is not said
here but by policies/load.py, when the whole file is checked.
"""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, NamedTuple

from ruamel.yaml.comments import CommentedMap

from dashboard.catalogue import Translate
from dashboard.refusal import Refused
from dashboard.settings.school_text import plain, remove_in, set_in
from filters.message import Message
from policies.model import Dns, School, SchoolFile
from policies.province import Province, Report, deadlines


class Setting(NamedTuple):
    path: tuple[str, str]
    default: object
    """what holds where nothing is written; None: there is no default"""


def _default(model: type[School] | type[Dns], name: str) -> object:
    return model.model_fields[name].default


SETTINGS: Mapping[str, Setting] = {
    "name": Setting(("school", "name"), None),
    **{name: Setting(("school", name), _default(School, name)) for name in ("language", "timezone", "contact", "counsellor", "notice")},
    "upstreams": Setting(("dns", "upstreams"), None),
    **{name: Setting(("dns", name), _default(Dns, name)) for name in ("forward", "allow_from", "block_answer", "block_page")},
}


def value(file: SchoolFile, name: str) -> Any:
    """What holds now."""
    section, key = SETTINGS[name].path
    return getattr(getattr(file, section), key)


def put(document: CommentedMap, file: SchoolFile, wanted: Mapping[str, Any]) -> None:
    """Write those of ``wanted`` that differ from what holds; None goes back to the default."""
    for name, new in wanted.items():
        setting = SETTINGS[name]
        if new is not None and plain(new) == plain(_plain(value(file, name))):
            continue
        if new is None or (setting.default is not None and plain(new) == plain(_plain(setting.default))) or new in ("", [], {}):
            if setting.default is None and setting.path[1] in ("name", "upstreams"):
                raise Refused(Message("This cannot be empty."), status=422, field=name)
            remove_in(document, setting.path)
        else:
            set_in(document, setting.path, new)


def _plain(what: object) -> object:
    return what.model_dump() if isinstance(what, School | Dns) or hasattr(what, "model_dump") else what


def lines(text: str) -> list[str]:
    """One item a line, without blank ones."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def parse_forward(text: str) -> dict[str, list[str]]:
    """``truong.local = 10.0.0.2, 10.0.0.3`` a line. Raises Refused."""
    forward = {}
    for number, line in enumerate(lines(text), 1):
        name, equals, upstreams = line.partition("=")
        targets = upstreams.replace(",", " ").split()
        if not equals or not name.strip() or not targets:
            why = Message("Line {number}: write a name, an equals sign and its servers, for example truong.local = 10.0.0.2", number=number)
            raise Refused(why, status=422, field="forward")
        forward[name.strip()] = targets
    return forward


def forward_text(forward: Mapping[str, tuple[str, ...]]) -> str:
    return "\n".join(f"{name} = {', '.join(upstreams)}" for name, upstreams in forward.items())


def effects(old: SchoolFile, new: SchoolFile, _: Translate) -> list[str]:
    """When a change of the file is felt, one sentence each."""
    sentences = []
    if any(getattr(old.dns, name) != getattr(new.dns, name) for name in ("listen", "workers", "tls", "limits", "cache")):
        sentences.append(_("The resolver's workers are replaced one by one within seconds; nobody notices."))
    if (old.dashboard, old.state, old.lists, old.zones, old.block_page) != (new.dashboard, new.state, new.lists, new.zones, new.block_page):
        sentences.append(
            _("Addresses, certificates and folders of this web application, the lists, the zones and the block page hold after a restart.")
        )
    return sentences or [_("In force within a second.")]


EFFECTS: tuple[tuple[str, Callable[[Translate], str]], ...] = (
    ("school, groups, tiers, modes, rules, timetable, dns.upstreams, dns.forward, dns.allow_from, dns.local, dns.block_answer, dns.block_page",
     lambda _: _("within a second, nothing is interrupted")),
    ("dns.listen, dns.workers, dns.tls, dns.limits, dns.cache", lambda _: _("within seconds: the resolver's workers are replaced one by one")),
    ("dashboard, block_page, lists, zones, state", lambda _: _("within seconds: the dashboard and the block page start again; a new place of the lists or the state needs a restart of the box")),
)  # fmt: skip
"""settings, and when a change of them is felt"""


def next_deadline(report: Report, today: date) -> date:
    return next(day for year in (today.year, today.year + 1) for day in deadlines(report, year) if day >= today)


def reports(province: Province, today: date) -> list[tuple[str, str, date]]:
    """(authority's name, period, next deadline) of every report that the province wants, the next one first."""
    due = []
    for report in province.reports:
        authority = province.authority(report.to)
        due.append((authority.name if authority else report.to, report.period, next_deadline(report, today)))
    return sorted(due, key=lambda each: each[2])


def period_titles(_: Translate) -> dict[str, str]:
    return {"yearly": _("once a year"), "half-yearly": _("twice a year"), "quarterly": _("every three months"), "monthly": _("every month")}

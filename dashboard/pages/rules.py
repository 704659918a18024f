"""Rules: what the school itself blocks and allows, and what the ladder makes of it."""

from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from dashboard.access import Access
from dashboard.lessons.switching import outcome
from dashboard.refusal import Refused
from dashboard.settings import rules
from dashboard.settings.rules import Findings, Unsure
from dashboard.staff.people import today
from dashboard.tables import import_pages
from dashboard.tables.form_errors import form_errors, no_errors
from dashboard.tables.import_pages import Import
from dashboard.tables.importing import Plan, Status
from dashboard.web import Page, Visit
from filters.message import said
from policies.model import LocalRule

SHOWN = 50


def _(message: str) -> str:
    """Marks a message for the catalogue."""
    return message


async def index(visit: Visit) -> Response:
    asked = visit.request.query_params
    form = _blank() | {
        "action": asked.get("action", "block") if asked.get("action") in rules.ACTIONS else "block",
        "name": asked.get("name", "")[:253].replace("\0", ""),
        "groups": [group for group in asked.getlist("group") if group in visit.view.snapshot.groups],
    }
    return _list(visit, form=form)


def _list(visit: Visit, status: int = 200, **over: Any) -> Response:
    asked = visit.request.query_params
    q, action = asked.get("q", "")[:100].replace("\0", ""), asked.get("only", "")
    words = q.lower().split()
    own = [each for each in rules.current(visit.view.state, visit.now) if _fits(each, words, action)]
    own.sort(key=lambda each: (each.name.split(".")[::-1], each.action))
    number, count = import_pages.page_of(visit, len(own), SHOWN)
    values: dict[str, Any] = {
        "rules": [(each, rules.rule_id(each)) for each in own[(number - 1) * SHOWN : number * SHOWN]],
        "total": len(own),
        "page": number,
        "pages": count,
        "link": "/rules?" + urlencode({"q": q, "only": action, "page": ""}),
        "q": q,
        "only": action,
        "fixed": [each for each in visit.view.file.rules if _fits(each, words, action)],
        "form": _blank(),
        "errors": no_errors(),
        "findings": Findings(),
        "understood": (),
    }
    return visit.page("rules/index.html", status, **(values | _choices(visit) | over))


def _fits(each: LocalRule, words: list[str], action: str) -> bool:
    text = f"{each.name} {each.reason} {each.by} {' '.join(each.groups)}".lower()
    return (action not in rules.ACTIONS or each.action == action) and all(word in text for word in words)


async def add(visit: Visit) -> Response:
    return await _save(visit, None)


async def show(visit: Visit) -> Response:
    return _rule_page(visit)


def _rule_page(visit: Visit, status: int = 200, **over: Any) -> Response:
    id_ = visit.request.path_params["rule"]
    each = rules.find(visit.view.state, id_)
    until = "" if each.until is None else today(each.until - 1, visit.view.file.school.timezone).isoformat()
    form = {"action": each.action, "name": each.name, "groups": list(each.groups), "reason": each.reason, "until": until}
    values: dict[str, Any] = {"rule": each, "id": id_, "form": form, "errors": no_errors(), "findings": Findings(), "understood": ()}
    return visit.page("rules/rule.html", status, **(values | _choices(visit) | over))


async def change(visit: Visit) -> Response:
    return await _save(visit, visit.request.path_params["rule"])


async def _save(visit: Visit, id_: str | None) -> Response:
    site, view, now = visit.site, visit.view, visit.now
    over: dict[str, Any] = {"form": _form(visit)}
    again = _list if id_ is None else _rule_page
    try:
        new, notes = rules.rule(
            visit.text("action", 10),
            visit.text("name", 2000),
            visit.texts("groups"),
            visit.text("reason", 1000),
            visit.text("until", 10),
            view,
            visit.person,
            now,
        )
        over["understood"] = (
            (visit.translate("Understood as {name}.").format(name=new.name), *(said(note, visit.translate) for note in notes))
            if notes
            else ()
        )
        if id_ is None:
            generation, findings = await rules.add(site, visit.person, view, new, visit.text("sure", 16), now)
        else:
            generation, findings = await rules.edit(site, visit.person, view, id_, new, visit.text("sure", 16), now)
    except Unsure as error:
        return again(visit, 409, findings=error.findings, **over)
    except Refused as error:
        return again(visit, error.status, errors=form_errors(error, visit.translate, "name"), **over)
    done = [visit.translate("The rule for {name} is saved.").format(name=new.name), *over["understood"][1:]]
    done += [said(note, visit.translate) for note in findings.notes]
    return await _told(visit, " ".join(done), generation)


async def remove(visit: Visit) -> Response:
    generation, old = await rules.remove(visit.site, visit.person, visit.view, visit.request.path_params["rule"])
    return await _told(visit, visit.translate("The rule for {name} is removed.").format(name=old.name), generation)


async def _told(visit: Visit, done: str, generation: int, to: str = "/rules") -> Response:
    """Saved is not yet in force: say which it is."""
    kind, text = outcome(done, await visit.site.changes.in_force(generation), visit.translate)
    visit.site.flash(visit.secret, kind, text)
    return visit.back(to)


def _blank() -> dict[str, Any]:
    return {"action": "block", "name": "", "groups": [], "reason": "", "until": ""}


def _form(visit: Visit) -> dict[str, Any]:
    """What was typed, for showing the form again."""
    fields = {name: visit.form.get(name, "") for name in ("action", "name", "reason", "until")}
    typed = {name: value[:2000].replace("\0", "") if isinstance(value, str) else "" for name, value in fields.items()}
    return typed | {"groups": visit.texts("groups")}


def _choices(visit: Visit) -> dict[str, Any]:
    titles = {group.name: group.title or group.name for group in visit.view.snapshot.groups.values()}
    return {
        "say": lambda message: said(message, visit.translate),
        "actions": [(action, visit.translate(rules.TITLES[action])) for action in rules.ACTIONS],
        "groups": list(titles.items()),
        "today": today(visit.now, visit.view.file.school.timezone).isoformat(),
    }


async def _plan(visit: Visit, data: bytes) -> Plan:
    return rules.plan(data, visit.view, visit.person, visit.now)[0]


async def _import(visit: Visit, data: bytes, seen: str) -> Response:
    plan, generation = await rules.carry_out(visit.site, visit.view, visit.person, data, seen, visit.now)
    counts = plan.counts
    done = visit.translate("{new} new, {changed} changed.").format(new=counts[Status.NEW], changed=counts[Status.CHANGED])
    return await _told(visit, done, generation)


async def _export(visit: Visit) -> bytes:
    return rules.export(visit.view, visit.language, visit.now, visit.translate)


IMPORT = Import(
    path="/rules",
    title=_("Import rules from a table"),
    lead=_("One row for each rule. Rules that are not in the table stay as they are."),
    columns=(
        (_("action"), _("block or allow.")),
        (_("site"), _("The site, as people write it; everything below it is meant too.")),
        (_("reason"), _("Why. Pupils and colleagues read it.")),
        (_("groups"), _("Ids or titles of groups with commas between them. Empty: everybody.")),
        (_("until"), _("The last day, 2027-01-15 or 15/01/2027. Empty: no end.")),
        (_("by"), _("Left out when reading: the rule is yours.")),
    ),
    plan=_plan,
    carry_out=_import,
    template=lambda visit: rules.template(visit.language),
    export=_export,
    filename="rules",
)

PAGES = (
    Page("GET", "/rules", index, Access.ADMIN),
    Page("POST", "/rules", add, Access.ADMIN),
    *import_pages.pages(IMPORT),
    Page("GET", "/rules/{rule}", show, Access.ADMIN),
    Page("POST", "/rules/{rule}", change, Access.ADMIN),
    Page("POST", "/rules/{rule}/remove", remove, Access.ADMIN),
)

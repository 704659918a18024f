"""The school's own rules: block or allow a name and everything below it (rungs 5 and 6), for some groups or for all. Shared by pages, API and import.

Promises: what a person types - an address as the browser shows it, in capitals, with Vietnamese letters - is read as a name, and what was understood is said;
the ladder itself says what a rule would do, so a rule that a higher rung overrules everywhere is refused with that rung, and one that breaks more than it
says is carried out only after its warning was read. Rules in the school's file are shown and not changed here. Every change is in the audit log first.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import islice
from typing import Literal
from urllib.parse import urlsplit

from publicsuffixlist import PublicSuffixList

from dashboard.access import Person
from dashboard.insight.statistics import public_suffixes
from dashboard.refusal import Refused
from dashboard.school import View
from dashboard.site import Site
from dashboard.staff.people import day_of, span, today
from dashboard.staff.people_table import classes_in_words
from dashboard.store.audit import Entry
from dashboard.tables import csv_tables
from dashboard.tables.csv_tables import Column
from dashboard.tables.importing import Plan, Planned, Status, change_note, wrong_row
from dashboard.tables.one_line import one_line
from filters.bundle import key_of, name_of
from filters.category import LOCKED
from filters.critical import CRITICAL
from filters.message import Message, joined
from filters.name import InvalidName, normalise, parents
from filters.special_names import NTP_NAMES, special
from policies.decide import Block, Policy, Rung, Verdict, decide
from policies.model import LocalRule, State
from policies.snapshot import Snapshot
from policies.suggest import did_you_mean, unknown

MOST = 5000
"""rules of one school; more belong into a list of the province"""
REASON = 300
KEEP = 86400.0
"""seconds for which a rule that has ended is still shown"""
_LOOKED_AT = 400
"""listed names below a rule's name that are looked at for a warning"""
_SHOWN = 3

Action = Literal["block", "allow"]
ACTIONS: tuple[Action, ...] = ("block", "allow")


def _(message: str) -> str:
    """Marks a message for the catalogue."""
    return message


TITLES: Mapping[str, str] = {"block": _("Block"), "allow": _("Allow")}


@dataclass(frozen=True, slots=True)
class Understood:
    """What was typed, as a name."""

    name: str
    notes: tuple[Message, ...] = ()
    """what was left out or read otherwise"""


@dataclass(frozen=True, slots=True)
class Findings:
    """What the ladder makes of a rule that could be added."""

    warnings: tuple[Message, ...] = ()
    """it does more, or less, than it says: to be read before it is carried out"""
    notes: tuple[Message, ...] = ()

    @property
    def digest(self) -> str:
        return sha256("\n".join(self.warnings).encode()).hexdigest()[:16] if self.warnings else ""


def rule_id(rule: LocalRule) -> str:
    """By what the rule does; its reason, owner and end may change."""
    return sha256("|".join((rule.action, rule.name, *sorted(rule.groups))).encode()).hexdigest()[:16]


# ---- reading ---------------------------------------------------------------------------------------------------------


def understood(text: str) -> Understood:
    """``HTTPS://www.TikTok.com/@ai`` -> ``tiktok.com``, and what was left out. Raises Refused (422) for what is no name."""
    typed = one_line(text, "name", 2000)
    host, path = _host(typed)
    notes = []
    try:
        name = normalise(host)
    except InvalidName as error:
        raise Refused(Message("“{text}” is not the name of a site: {why}.", text=typed[:60], why=error), status=422, field="name") from None
    if path not in ("", "/"):
        notes.append(Message("A rule speaks of whole sites: “{path}” is left out.", path=path[:60]))
    bare = name.removeprefix("www.")
    if bare != name and "." in bare and not is_public_suffix(bare):
        notes.append(Message("www.{name} is below {name}, so it is covered.", name=bare))
        name = bare
    if host.strip().lower().rstrip(".") not in (name, f"www.{name}"):
        notes.append(Message("“{text}” is written {name} in the network.", text=host[:80], name=name))
    return Understood(name, tuple(notes))


def _host(typed: str) -> tuple[str, str]:
    """(host, path) of an address, a name, or a line as filter lists have it."""
    listed = re.fullmatch(r"(?:@@)?\|\|([^/^$|]+)\^?(?:\$\S*)?", typed)
    if listed:
        return listed[1].removeprefix("*."), ""
    try:
        parts = urlsplit(typed if "://" in typed or typed.startswith("//") else f"//{typed}")
        host, path = parts.netloc.rpartition("@")[2], parts.path
    except ValueError:
        raise Refused(Message("“{text}” is not the name of a site.", text=typed[:60]), status=422, field="name") from None
    return re.sub(r":[0-9]*\Z", "", host).removeprefix("*."), path


def is_public_suffix(name: str) -> bool:
    """Whether anybody may register names below it: ``vn``, ``com.vn``, ``github.io``."""
    return str(public_suffixes().publicsuffix(name)) == name


def _is_registry(name: str) -> bool:
    """A suffix of the name system itself, not of a company that hosts sites."""
    return str(PublicSuffixList(only_icann=True).publicsuffix(name)) == name


def rule(
    action: str, name: str, groups: Iterable[str], reason: str, until: str, view: View, by: Person, now: float
) -> tuple[LocalRule, tuple[Message, ...]]:
    """The rule that a form describes, and what was understood. ``until``: a day (its end), or empty. Raises Refused (422) naming the field."""
    if action not in ACTIONS:
        raise Refused(Message("{why}.", why=unknown(Message("value"), action, ACTIONS)), status=422, field="action")
    read = understood(name)
    return _rule(action, read.name, groups_of(groups, view), reason, until, view, by.shown, now), read.notes


def _rule(action: str, name: str, groups: Iterable[str], reason: str, until: str, view: View, by: str, now: float) -> LocalRule:
    end = None
    if until:
        day = day_of(until, "until")
        _since, end = span(day, day, view.file.school.timezone)
        if day < today(now, view.file.school.timezone):
            raise Refused(Message("This day is over."), status=422, field="until")
    said = one_line(reason, "reason", REASON)
    return LocalRule(
        action="allow" if action == "allow" else "block", name=name, groups=tuple(sorted(set(groups))), by=by, reason=said, until=end
    )


def groups_of(names: Iterable[str], view: View) -> tuple[str, ...]:
    """Raises Refused for one that the school does not have."""
    wanted = tuple(sorted(set(names)))
    for name in wanted:
        if name not in view.snapshot.groups:
            raise Refused(Message("{why}.", why=unknown(Message("group"), name, view.snapshot.groups)), status=422, field="groups")
    return wanted


# ---- what the ladder makes of it -------------------------------------------------------------------------------------


class Judge:
    """Says of rules what they would do, as the ladder decides before and after them; built once for a whole table."""

    def __init__(self, view: View, now: float, before: Iterable[LocalRule], after: Iterable[LocalRule]) -> None:
        """``before``, ``after``: the school's rules in the state without and with the new ones."""
        self._view = view
        self._now = now
        self._index = view.index
        self._before = self._policies(before)
        self._after = self._policies(after)

    def findings(self, new: LocalRule) -> Findings:
        """Raises Refused where the rule could do nothing, or must not be."""
        self._refuse(new)
        warnings = [*self._covers(new)]
        notes = []
        groups = new.groups or tuple(self._view.snapshot.groups)
        blocked_before, blocked_after = self._decided(new.name, groups, self._before), self._decided(new.name, groups, self._after)
        overruled = {
            group: verdict.reason for group, verdict in blocked_after.items() if isinstance(verdict, Block) != (new.action == "block")
        }
        same = sum(isinstance(blocked_before[group], Block) == isinstance(blocked_after[group], Block) for group in groups)
        if overruled:
            reason = next(iter(overruled.values()))
            why = _overruled(new, reason.rung, reason.rule)
            if len(overruled) == len(groups):
                raise Refused(why, field="name")
            warnings.append(Message("{why} So it is for: {groups}.", why=why, groups=", ".join(sorted(overruled)[:10])))
        elif same == len(groups):
            kept = Message("{name} is blocked for these groups already; the rule keeps it so.", name=new.name)
            opened = Message("{name} is open for these groups already; the rule keeps it so.", name=new.name)
            notes.append(kept if new.action == "block" else opened)
        return Findings(tuple(warnings), tuple(notes))

    def _policies(self, rules: Iterable[LocalRule]) -> dict[str, Policy]:
        """Group -> what holds without modes and lesson unblocks: a rule is for longer than a lesson. Groups with equal policies share one."""
        snapshot = Snapshot(self._view.file, State(rules=tuple(rules)), self._index)
        shared: dict[tuple[str, tuple[bytes, ...]], Policy] = {}
        policies = {}
        for group in snapshot.groups:
            policy = replace(snapshot.policy(group, self._now, trusted=False), only="everything")
            policies[group] = shared.setdefault((policy.tier, tuple(table.digest for table in policy.rules)), policy)
        return policies

    def _decided(self, name: str, groups: Iterable[str], policies: Mapping[str, Policy]) -> dict[str, Verdict]:
        known: dict[int, Verdict] = {}
        verdicts = {}
        for group in groups:
            policy = policies[group]
            if id(policy) not in known:
                known[id(policy)] = decide(name, 1, policy, self._index)
            verdicts[group] = known[id(policy)]
        return verdicts

    def _refuse(self, new: LocalRule) -> None:
        name = new.name
        locked = next((match for match in self._index.lookup(name) if match.source.category in LOCKED), None)
        if locked is not None:
            who = locked.source.authority or locked.source.name
            raise Refused(Message("Rung 1 blocks {name} anyway ({who}): nobody in a school can lift it.", name=name, who=who), field="name")
        if "." not in name or (is_public_suffix(name) and _is_registry(name)):
            raise Refused(
                Message("{name} is a public suffix: everybody's sites are below it. Name one site.", name=name), status=422, field="name"
            )
        if special(name) is not None:
            raise Refused(
                Message("{name} is a special name, which the box answers itself; a rule changes nothing.", name=name),
                status=422,
                field="name",
            )
        if new.action == "block":
            self._refuse_block(name)

    def _refuse_block(self, name: str) -> None:
        help_ = next((match for match in self._index.lookup(name) if match.source.category == "help"), None)
        if help_ is not None:
            raise Refused(Message("{name} is help for children (rung 2): nobody can block it.", name=name), field="name")
        needed = next((each for each in parents(name) if each in self._box_names()), None)
        if needed is not None:
            raise Refused(Message("{name} is needed by the box or by its clock (rung 2): nobody can block it.", name=name), field="name")

    def _box_names(self) -> frozenset[str]:
        return NTP_NAMES | {self._view.file.dns.hostname}

    def _covers(self, new: LocalRule) -> Iterator[Message]:
        """What else hangs on the name, or stays as it is below it."""
        if is_public_suffix(new.name):
            yield Message("{name} has the sites of many different people below it; all of them are meant.", name=new.name)
        below = self._below(new.name)
        if new.action == "allow":
            locked = [name for name in below if any(match.source.category in LOCKED for match in self._index.lookup(name))]
            if locked:
                yield Message("These stay blocked (rung 1): {names}.", names=_some(locked))
            return
        if new.name in CRITICAL and not CRITICAL[new.name].subject_of:  # TikTok and the like are what such rules are for
            yield Message("Much hangs on {name}: {why}.", name=new.name, why=CRITICAL[new.name].reason)
        held = sorted(name for name, guarded in CRITICAL.items() if not guarded.subject_of and name.endswith(f".{new.name}"))
        if held:
            yield Message("These are below {name} and are meant too: {names}.", name=new.name, names=_some(held))
        stays = [name for name in below if any(match.source.category == "help" for match in self._index.lookup(name))]
        stays += [name for name in self._box_names() if name.endswith(f".{new.name}")]
        if stays:
            yield Message("These stay open (rung 2): {names}.", names=_some(sorted(stays)))

    def _below(self, name: str) -> list[str]:
        return [name_of(key) for key in islice(self._index.table.below(key_of(name)), _LOOKED_AT)]


def _overruled(new: LocalRule, rung: Rung, by: str) -> Message:
    if rung is Rung.SCHOOL_BLOCK:
        return Message("A rule of your own blocks {by}, and a block goes before an allow (rung 5); remove or change that one first.", by=by)
    if rung is Rung.SCHOOL_ALLOW:
        return Message("A rule of your own allows {by}, for a group of its own.", by=by)
    return Message("{name} stays as it is: rung {rung} speaks before the school's own rules.", name=new.name, rung=rung.value)


def _some(names: Sequence[str]) -> Message:
    shown = ", ".join(names[:_SHOWN])
    return (
        Message("{names} and {count} more", names=shown, count=len(names) - _SHOWN)
        if len(names) > _SHOWN
        else Message("{names}", names=shown)
    )


# ---- changing --------------------------------------------------------------------------------------------------------


def current(state: State, now: float) -> tuple[LocalRule, ...]:
    """The rules that hold, and those that ended within a day."""
    return tuple(each for each in state.rules if each.until is None or each.until > now - KEEP)


def find(state: State, id_: str) -> LocalRule:
    """Raises Refused (404)."""
    found = next((each for each in state.rules if rule_id(each) == id_), None)
    if found is None:
        raise Refused(Message("This rule is not there, or no longer; somebody may have changed it."), status=404)
    return found


async def add(site: Site, by: Person, view: View, new: LocalRule, sure: str, now: float) -> tuple[int, Findings]:
    """Carry it out, if it has no warnings or they were read (``sure``: their digest); the generation. Raises Refused, Unsure."""
    rules = current(view.state, now)
    findings = Judge(view, now, rules, [*rules, new]).findings(new)
    _be_sure(findings, sure)

    def change(state: State) -> State:
        kept = current(state, now)
        if any(rule_id(each) == rule_id(new) for each in kept if each.until is None or each.until > now):
            raise Refused(Message("There is this rule already; change that one."), field="name")
        return _with(state, [*(each for each in kept if rule_id(each) != rule_id(new)), new])

    return await site.changes.make(by, Entry("rule.added", _what(new), _detail(new), new.reason), change), findings


async def edit(site: Site, by: Person, view: View, id_: str, new: LocalRule, sure: str, now: float) -> tuple[int, Findings]:
    """Put ``new`` in the place of a rule. Raises Refused, Unsure."""
    old = find(view.state, id_)
    others = [each for each in current(view.state, now) if rule_id(each) != id_]
    findings = Judge(view, now, others, [*others, new]).findings(new)
    _be_sure(findings, sure)

    def change(state: State) -> State:
        find(state, id_)
        if rule_id(new) != id_ and any(rule_id(each) == rule_id(new) for each in state.rules):
            raise Refused(Message("There is this rule already; change that one."), field="name")
        return _with(state, [new if rule_id(each) == id_ else each for each in state.rules])

    detail = _detail(new) | {"before": _detail(old) | {"reason": old.reason, "by": old.by}}
    return await site.changes.make(by, Entry("rule.changed", _what(new), detail, new.reason), change), findings


async def remove(site: Site, by: Person, view: View, id_: str) -> tuple[int, LocalRule]:
    """Raises Refused."""
    old = find(view.state, id_)

    def change(state: State) -> State:
        find(state, id_)
        return _with(state, [each for each in state.rules if rule_id(each) != id_])

    entry = Entry("rule.removed", _what(old), _detail(old) | {"by": old.by, "reason": old.reason})
    return await site.changes.make(by, entry, change), old


class Unsure(Refused):
    """There are warnings that nobody has read yet."""

    def __init__(self, findings: Findings) -> None:
        super().__init__(joined(findings.warnings, " "), status=409, field="sure")
        self.findings = findings


def _be_sure(findings: Findings, sure: str) -> None:
    if findings.warnings and sure != findings.digest:
        raise Unsure(findings)


def _with(state: State, rules: Sequence[LocalRule]) -> State:
    if len(rules) > MOST:
        raise Refused(Message("A school has {limit} rules of its own at most; more belong into a list.", limit=MOST), field="name")
    return state.model_copy(update={"rules": tuple(rules)})


def _what(each: LocalRule) -> str:
    return f"{each.action} {each.name}"


def _detail(each: LocalRule) -> dict[str, object]:
    return {"action": each.action, "name": each.name, "groups": list(each.groups), "until": each.until}


# ---- tables ----------------------------------------------------------------------------------------------------------

COLUMNS = (
    Column("action", ("hành động", "làm gì"), required=True),
    Column("name", ("tên miền", "trang", "trang web", "domain", "site"), required=True),
    Column("reason", ("lý do",), required=True),
    Column("groups", ("nhóm", "lớp", "group")),
    Column("until", ("đến hết ngày", "đến ngày", "expiry")),
    Column("by", ("người đặt", "owner")),
)
HEADS = {
    "vi": ("hành động", "trang web", "lý do", "nhóm", "đến hết ngày", "người đặt"),
    "en": ("action", "site", "reason", "groups", "until", "by"),
}
_ACTION_OF: Mapping[str, Action] = {
    "block": "block", "chan": "block", "cam": "block", "allow": "allow", "cho phep": "allow", "mo": "allow", "cho": "allow",
}  # fmt: skip


def plan(data: bytes, view: View, by: Person, now: float) -> tuple[Plan, list[LocalRule]]:
    """What the table would do, and the rules as they would be. Rules that it lacks stay. Raises Refused for a table that cannot be read."""
    return _plan(csv_tables.read(data, COLUMNS), view, current(view.state, now), by, now)


def _plan(rows: Sequence[csv_tables.Row], view: View, rules: Sequence[LocalRule], by: Person, now: float) -> tuple[Plan, list[LocalRule]]:
    read: dict[int, tuple[LocalRule, tuple[Message, ...]]] = {}
    wrong: dict[int, Planned] = {}
    lines: dict[str, int] = {}
    for row in rows:
        try:
            read[row.line] = _row(row, view, by, now)
            first = lines.setdefault(rule_id(read[row.line][0]), row.line)
            if first != row.line:
                wrong[row.line] = _wrong(row, Refused(Message("Line {line} says the same.", line=first), field="name"))
        except Refused as error:
            wrong[row.line] = _wrong(row, error)
    old = {rule_id(each): each for each in rules}
    new = old | {rule_id(each): each for line, (each, _notes) in read.items() if line not in wrong}
    judge = Judge(view, now, rules, new.values())
    planned = [wrong.get(row.line) or _planned(row, *read[row.line], old.get(rule_id(read[row.line][0])), judge, view) for row in rows]
    return Plan(tuple(planned)), list(new.values())


def _planned(row: csv_tables.Row, new: LocalRule, notes: tuple[Message, ...], old: LocalRule | None, judge: Judge, view: View) -> Planned:
    if old is not None:
        changes = tuple(_changes(old, new, view))
        return Planned(row.line, Status.CHANGED if changes else Status.UNCHANGED, _what(new), (*notes, *changes))
    try:
        findings = judge.findings(new)
    except Refused as error:
        return _wrong(row, error)
    also = [Message("{text}", text=", ".join(new.groups))] if new.groups else []
    also += [Message("until {day}", day=_last_day(new, view))] if new.until else []
    return Planned(
        row.line, Status.NEW, _what(new), (Message("{text}", text=new.reason), *also, *notes, *findings.warnings, *findings.notes)
    )


def _wrong(row: csv_tables.Row, error: Refused) -> Planned:
    where = Message(error.field if error.field in {column.id for column in COLUMNS} - {"name"} else "site")
    return wrong_row(row.line, row.cells.get("name", ""), [Message("Column “{column}”: {why}", column=where, why=error.message)])


def _row(row: csv_tables.Row, view: View, by: Person, now: float) -> tuple[LocalRule, tuple[Message, ...]]:
    if row.surplus:
        raise Refused(Message("There are more cells than columns."), field="reason")
    word = csv_tables.plain(row.cells["action"])
    action = _ACTION_OF.get(word)
    if action is None:
        hint = did_you_mean(word, ACTIONS) or "."
        raise Refused(Message("“{text}” is neither block nor allow{hint}", text=row.cells["action"][:40], hint=hint), field="action")
    read = understood(row.cells["name"])
    try:
        groups = classes_in_words(row.cells.get("groups", ""), tuple(view.snapshot.groups.values()))
    except Refused as error:
        raise Refused(error.message, field="groups") from None
    return _rule(action, read.name, groups, row.cells["reason"], row.cells.get("until", ""), view, by.shown, now), read.notes


def _changes(old: LocalRule, new: LocalRule, view: View) -> Iterator[Message]:
    if old.reason != new.reason:
        yield change_note("reason", old.reason, new.reason)
    if old.until != new.until:
        yield change_note("until", _last_day(old, view), _last_day(new, view))


def _last_day(each: LocalRule, view: View) -> str:
    return "" if each.until is None else today(each.until - 1, view.file.school.timezone).isoformat()


async def carry_out(site: Site, view: View, by: Person, data: bytes, seen: str, now: float) -> tuple[Plan, int]:
    """The whole table as one change of the state, if it does what was seen; the generation. Raises Refused: then nothing was changed."""
    rows = csv_tables.read(data, COLUMNS)
    made, _rules = _plan(rows, view, current(view.state, now), by, now)
    made.confirm(seen)
    before = {rule_id(each): each for each in current(view.state, now)}

    def change(state: State) -> State:
        if {rule_id(each): each for each in current(state, now)} != before:
            raise Refused(Message("Something has changed since the preview; nothing was done. Please look at it again."))
        return _with(state, _rules)

    detail: dict[str, object] = {status.value: count for status, count in made.counts.items()}
    detail["rules"] = [row.title for row in made.rows if row.status in (Status.NEW, Status.CHANGED)]
    return made, await site.changes.make(by, Entry("rule.imported", "", detail), change)


def export(view: View, language: str, now: float, words: Callable[[str], str]) -> bytes:
    """The school's own rules as ``plan`` reads them."""
    rows = [
        (words(TITLES[each.action]).lower(), each.name, each.reason, ", ".join(each.groups), _last_day(each, view), each.by)
        for each in current(view.state, now)
    ]
    return csv_tables.write(HEADS[language], rows)


def template(language: str) -> bytes:
    words = {
        "vi": ("chặn", "vi-du.com", "Trò chơi trong giờ học", "", "", ""),
        "en": ("block", "example.com", "Games during lessons", "", "", ""),
    }
    return csv_tables.write(HEADS[language], [words[language]])

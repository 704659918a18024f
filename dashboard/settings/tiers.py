"""Age tiers and class modes as people change them: what is written into school.yaml, and what that means in words. Pure.

Only what differs from the built-in tier or mode is written; going back to it removes the key. What a school may not change is refused by
policies/load.py when the file is checked (a locked category, ``help`` and ``learning``); what would leave a group without its tier, here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ruamel.yaml.comments import CommentedMap

from dashboard.catalogue import Translate, category_title
from dashboard.refusal import Refused
from dashboard.settings.school_text import find, remove_in, set_in
from filters.category import CATEGORIES
from filters.message import Message
from filters.service import SERVICES
from policies.model import BlockAnswer, Mode, SchoolFile, State, Tier, Titles, YouTube
from policies.tiers import MODES, TIERS, resolve_modes, resolve_tiers

BLOCKABLE = tuple(category.id for category in CATEGORIES.values() if not category.locked and not category.open)
"""categories about which a school decides"""
LIFTABLE = tuple(category.id for category in CATEGORIES.values() if not category.locked)
_ORDER = {name: at for at, name in enumerate((*CATEGORIES, *SERVICES))}


def title(titles: Titles, language: str) -> str:
    return titles.vi if language == "vi" else titles.en


def base_of(file: SchoolFile, tier: str) -> Tier:
    """What holds where ``tiers.<tier>`` says nothing. Raises Refused for a tier that there is not."""
    if tier in TIERS:
        return TIERS[tier]
    if tier not in file.tiers:
        raise no_such_tier(tier)
    based_on = file.tiers[tier].based_on
    return Tier(title=Titles(vi=tier, en=tier)) if based_on is None else resolve_tiers(file.tiers)[based_on]


def base_mode(file: SchoolFile, mode: str) -> Mode:
    if mode in MODES:
        return MODES[mode]
    if mode not in file.modes:
        raise no_such_mode(mode)
    return Mode(title=Titles(vi=mode, en=mode))


def no_such_tier(tier: str) -> Refused:
    return Refused(Message("There is no tier with the id {tier}.", tier=tier), status=404)


def no_such_mode(mode: str) -> Refused:
    return Refused(Message("There is no mode with the id {mode}.", mode=mode), status=404)


def put_tier(document: CommentedMap, tier: str, base: Tier, wanted: Mapping[str, Any]) -> None:
    """Write the fields of ``wanted`` (as Tier has them; None: as ``base``). ``categories`` is merged key by key, a None there goes back too."""
    _put(document, ["tiers", tier], base, {name: value for name, value in wanted.items() if name != "categories"}, own=tier not in TIERS)
    default = str(find(document, ["tiers", tier, "default"]) or base.default)
    for category, decision in (wanted.get("categories") or {}).items():
        silent = "allow" if default == "allow" and category in BLOCKABLE else None  # what it means not to be named
        same = decision is None or decision == base.categories.get(category, silent)
        set_in(document, ["tiers", tier, "categories", category], None if same else decision)


def put_mode(document: CommentedMap, mode: str, base: Mode, wanted: Mapping[str, Any]) -> None:
    """The same for a mode."""
    _put(document, ["modes", mode], base, wanted, own=mode not in MODES)


def _put(document: CommentedMap, path: list[str], base: Tier | Mode, wanted: Mapping[str, Any], *, own: bool) -> None:
    for name, value in wanted.items():
        before = getattr(base, name)
        same = value is None or (set(value) == set(before) if isinstance(before, tuple) else value == before)
        if own and name == "title":
            same = False
        set_in(document, [*path, name], None if same else _written(value))


def _written(value: Any) -> Any:
    if isinstance(value, Titles):
        return value.vi if value.vi == value.en else {"vi": value.vi, "en": value.en}
    return _ordered(value) if isinstance(value, list | tuple | set | frozenset) else value


def _ordered(values: Iterable[str]) -> list[str]:
    """Ids as the vocabulary and the catalogue have them, so that a file does not depend on who ticked first; sites as they were typed."""
    distinct = list(dict.fromkeys(values))
    return sorted(distinct, key=lambda value: _ORDER.get(value, -1)) if set(distinct) <= _ORDER.keys() else distinct


def add_tier(document: CommentedMap, file: SchoolFile, tier: str, titles: Titles, based_on: str | None) -> None:
    """A tier of the school's own. Raises Refused."""
    if tier in resolve_tiers(file.tiers):
        raise Refused(Message("There is a tier with the id {tier} already.", tier=tier), field="id")
    if based_on is not None and based_on not in TIERS:
        raise Refused(Message("A tier can only be based on a built-in one."), status=422, field="based_on")
    set_in(document, ["tiers", tier, "title"], _written(titles))
    set_in(document, ["tiers", tier, "based_on"], based_on)


def remove_tier(document: CommentedMap, file: SchoolFile, tier: str) -> None:
    """Raises Refused for a built-in one, and for one that is in use."""
    if tier in TIERS:
        raise Refused(Message("A built-in tier cannot be removed; it can go back to how it was built in."))
    if tier not in file.tiers:
        raise no_such_tier(tier)
    users = users_of_tier(file, tier)
    if users:
        raise Refused(Message("This tier is in use: {users}.", users=", ".join(users)))
    remove_in(document, ["tiers", tier])


def users_of_tier(file: SchoolFile, tier: str) -> list[str]:
    """Titles of its groups, and names of zones that serve it."""
    groups = [group.title or group.name for group in file.groups if group.tier == tier]
    return groups + [zone.name for zone in file.zones.zones if zone.tier == tier]


def reset_tier(document: CommentedMap, tier: str) -> None:
    """As it was built in; for a tier of the school's own: as the one that it is based on."""
    _reset(document, ["tiers", tier])


def reset_mode(document: CommentedMap, mode: str) -> None:
    _reset(document, ["modes", mode])


def _reset(document: CommentedMap, path: list[str]) -> None:
    keep = ("title", "based_on") if path[1] not in (*TIERS, *MODES) else ()
    for name in [str(name) for name in find(document, path) or ()]:
        if name not in keep:
            remove_in(document, [*path, name])


def add_mode(document: CommentedMap, file: SchoolFile, mode: str, titles: Titles) -> None:
    if mode in resolve_modes(file.modes):
        raise Refused(Message("There is a mode with the id {mode} already.", mode=mode), field="id")
    set_in(document, ["modes", mode, "title"], _written(titles))


def remove_mode(document: CommentedMap, file: SchoolFile, state: State, mode: str, now: float) -> None:
    """Raises Refused for a built-in one, and for one that the timetable has or a class is in."""
    if mode in MODES:
        raise Refused(Message("A built-in mode cannot be removed; it can go back to how it was built in."))
    if mode not in file.modes:
        raise no_such_mode(mode)
    users = users_of_mode(file, state, mode, now)
    if users:
        raise Refused(Message("This mode is in use: {users}.", users=joined_messages(users)))
    remove_in(document, ["modes", mode])


def users_of_mode(file: SchoolFile, state: State, mode: str, now: float) -> list[str]:
    titles = {group.name: group.title or group.name for group in file.groups}
    users: list[str] = [
        titles.get(override.group, override.group) for override in state.overrides if override.mode == mode and override.until > now
    ]
    if any(rule.mode == mode for rule in file.timetable.rules):
        users.append(Message("the timetable"))
    return users


def joined_messages(texts: Sequence[str]) -> Message:
    facts: dict[str, object] = {f"text{number}": text for number, text in enumerate(texts)}
    return Message(", ".join(f"{{{name}}}" for name in facts), **facts)


# ---- in words -------------------------------------------------------------------------------------------------------


def youtube_titles(_: Translate) -> list[tuple[str, str]]:
    return [(YouTube.OFF, _("as YouTube is")), (YouTube.MODERATE, _("moderate")), (YouTube.STRICT, _("strict"))]


def answer_titles(_: Translate) -> list[tuple[str, str]]:
    return [
        (BlockAnswer.PAGE, _("the block page, which says why")),
        (BlockAnswer.NXDOMAIN, _("there is no such name (NXDOMAIN)")),
        (BlockAnswer.NODATA, _("the name has no address (NODATA)")),
        (BlockAnswer.NULL, _("an address that leads nowhere (0.0.0.0)")),
        (BlockAnswer.REFUSED, _("refused (REFUSED)")),
    ]


def only_titles(_: Translate) -> list[tuple[str, str, str]]:
    return [
        ("everything", _("What the tier opens"), _("apart from the categories that are blocked below")),
        ("sites", _("Only listed sites"), _("those below, and those that the teacher names when switching")),
        ("nothing", _("Nothing"), _("only help for children stays open")),
    ]


def differences(before: Mapping[str, Tier], after: Mapping[str, Tier], language: str, _: Translate) -> list[str]:
    """What a change means, one sentence each: ``THCS: Games is open now``."""
    sentences = []
    for name, tier in after.items():
        shown = title(tier.title, language)
        if name not in before:
            sentences.append(_("{tier}: new").format(tier=shown))
            continue
        sentences += [f"{shown}: {what}" for what in _tier_differences(before[name], tier, language, _)]
    sentences += [_("{tier}: removed").format(tier=title(tier.title, language)) for name, tier in before.items() if name not in after]
    return sentences


def _tier_differences(old: Tier, new: Tier, language: str, _: Translate) -> Iterator[str]:
    for category in BLOCKABLE:
        was, is_now = (tier.categories.get(category) == "block" for tier in (old, new))
        if was != is_now:
            yield (_("{what} is blocked now") if is_now else _("{what} is open now")).format(what=category_title(category, language))
    for service in SERVICES.values():
        was, is_now = (service.id in tier.services for tier in (old, new))
        if was != is_now:
            name = service.vi if language == "vi" else service.en
            yield (_("{what} is blocked now") if is_now else _("{what} is no longer blocked as a service")).format(what=name)
    if old.default != new.default:
        yield _("only listed sites are open now") if new.default == "block" else _("sites that no list has are open now")
    if old.safe_search != new.safe_search:
        yield _("safe search is on now") if new.safe_search else _("safe search is off now")
    if old.youtube != new.youtube:
        yield _("YouTube is restricted now: {level}").format(level=dict(youtube_titles(_))[new.youtube])
    if old.strip_ech != new.strip_ech:
        yield _("hidden site names (ECH) are removed now") if new.strip_ech else _("hidden site names (ECH) are passed on now")
    if old.ttl_limit != new.ttl_limit:
        yield _("devices remember answers for at most {seconds} s now").format(seconds=new.ttl_limit)
    if old.block_answer != new.block_answer:
        answer = _("as the school says") if new.block_answer is None else dict(answer_titles(_))[new.block_answer]
        yield _("a blocked name answers now: {answer}").format(answer=answer)
    if set(old.liftable) != set(new.liftable):
        names = [category_title(category, language) for category in LIFTABLE if category in new.liftable]
        yield _("teachers may open for a lesson now: {categories}").format(categories=", ".join(names) or _("nothing"))
    if old.title != new.title:
        yield _("is called “{title}” now").format(title=title(new.title, language))


def mode_differences(before: Mapping[str, Mode], after: Mapping[str, Mode], language: str, _: Translate) -> list[str]:
    sentences = []
    for name, mode in after.items():
        shown = title(mode.title, language)
        if name not in before:
            sentences.append(_("{tier}: new").format(tier=shown))
        elif before[name] != mode:
            sentences.append(_("{mode}: {summary}").format(mode=shown, summary=mode_summary(mode, language, _)))
    sentences += [_("{tier}: removed").format(tier=title(mode.title, language)) for name, mode in before.items() if name not in after]
    return sentences


def mode_summary(mode: Mode, language: str, _: Translate) -> str:
    """``blocks games, chat; opens video``."""
    parts = []
    if mode.only == "nothing":
        parts.append(_("only help for children stays open"))
    if mode.only == "sites":
        parts.append(_("only listed sites are open"))
    for template, categories in ((_("blocks {categories}"), mode.blocks), (_("opens {categories}"), mode.allows)):
        if categories:
            parts.append(template.format(categories=", ".join(category_title(category, language) for category in categories)))
    return "; ".join(parts) or _("what the tier says")

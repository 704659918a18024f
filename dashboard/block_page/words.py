"""What is said to whom where a name is not open: the cause in the ladder's terms, and the words for an age. Pure.

A pupil is never scolded. Where a name has to do with hurting oneself or being hurt (``GENTLE``), nothing is said of rules at all: help comes
first. What staff wrote as reasons for each other (a rule's, a switch's) is not shown here, nor is anybody's login.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from dashboard.catalogue import Translate, category_title
from dashboard.lessons.classes import name_of
from dashboard.lessons.switching import in_language
from filters.category import LOCKED
from filters.service import SERVICES
from policies.decide import Policy, Reason, Rung
from policies.model import SchoolFile
from policies.province import Province
from policies.snapshot import Snapshot
from policies.tiers import TIERS

GENTLE = frozenset(("self-harm", "child-abuse"))
NEVER_ASKED = GENTLE | LOCKED | {"adult", "gambling"}
"""categories that no pupil's question opens"""
_DANGER = frozenset(("scam", "phishing", "malware", "cryptojacking"))
_UNNAMED = frozenset(("adult", "gambling", "drugs", "violence", "hate", "dating", "piracy"))
"""categories whose titles are not put before young children"""


class Age(StrEnum):
    KINDERGARTEN = "kindergarten"
    """the adult beside reads"""
    PRIMARY = "primary"
    PUPIL = "pupil"
    PLAIN = "plain"
    """staff and guests"""


class Cause(StrEnum):
    OFFLINE = "offline"
    EXAM = "exam"
    MODE = "mode"
    """a category that the mode closes and the tier does not"""
    AUTHORITY = "authority"
    SCHOOL = "school"
    SERVICE = "service"
    DANGER = "danger"
    BYPASS = "bypass"
    CATEGORY = "category"
    DEFAULT = "default"
    HARMED = "harmed"
    """child abuse: whoever comes here may be its victim"""
    SELF_HARM = "self-harm"


_AGES = {"mam-non": Age.KINDERGARTEN, "tieu-hoc": Age.PRIMARY, "thcs": Age.PUPIL, "thpt": Age.PUPIL, "staff": Age.PLAIN, "guest": Age.PLAIN}


@dataclass(frozen=True, slots=True)
class Words:
    cause: Cause
    title: str
    lead: str
    facts: tuple[tuple[str, str], ...]
    """what exactly, for whoever wants to know: (term, value)"""
    until: float | None
    """Unix seconds at which a mode or a rule ends"""
    unasked: str
    """why it cannot be asked for here, and whom to talk to instead; empty: it can"""

    @property
    def is_gentle(self) -> bool:
        return self.cause in (Cause.HARMED, Cause.SELF_HARM)


def _(message: str) -> str:
    """Marks a message for the catalogue."""
    return message


_TITLES: Mapping[Age, str] = {
    Age.KINDERGARTEN: _("Let's find something else to play!"),
    Age.PRIMARY: _("This page is closed for now"),
    Age.PUPIL: _("This site is not open here now"),
    Age.PLAIN: _("This site is not open on this network"),
}
_GENTLE_TITLE = _("You are not alone")
_GENTLE_TITLE_PLAIN = _("Nobody has to bear this alone")

_PRIMARY: Mapping[Cause, str] = {
    Cause.OFFLINE: _("Your class is resting from the internet. Listen to your teacher!"),
    Cause.EXAM: _("Your class is doing a test. Only the pages for the test are open."),
    Cause.MODE: _("It is time to learn now. This page can wait: {category}."),
    Cause.AUTHORITY: _("This page is closed for everybody, grown-ups too."),
    Cause.SCHOOL: _("Your school keeps this page closed."),
    Cause.SERVICE: _("{service} stays closed for your class at school."),
    Cause.DANGER: _("This page may trick you or make the computer ill. It is good that you are here and not there!"),
    Cause.BYPASS: _("This page would switch off what protects you here."),
    Cause.CATEGORY: _("Your school keeps this page closed for your class: {category}."),
    Cause.DEFAULT: _("Only pages that were chosen for children are open here."),
}
_PRIMARY_UNNAMED = _("This page is not made for children.")
_PUPIL: Mapping[Cause, str] = {
    Cause.OFFLINE: _("Your class is working without the internet at the moment."),
    Cause.EXAM: _("Your class is in a test: only the sites that belong to it are open, for everybody alike."),
    Cause.MODE: _("Your class is in the mode “{mode}”. This kind of site opens again afterwards: {category}."),
    Cause.AUTHORITY: _("An authority has ordered that this site be closed. That holds for everybody here, staff too."),
    Cause.SCHOOL: _("Your school has decided to keep this site closed."),
    Cause.SERVICE: _("The school network does not open {service} to your class."),
    Cause.DANGER: _("This site is known for cheating or harming those who visit it ({category}). You are safe: nothing of it was loaded."),
    Cause.BYPASS: _("This site leads around what protects everybody on the school network, so it stays closed."),
    Cause.CATEGORY: _("The school network does not open this kind of site to your class: {category}."),
    Cause.DEFAULT: _("Only sites that were chosen for your class are open here."),
}
_PLAIN: Mapping[Cause, str] = {
    Cause.OFFLINE: _("This group is offline at the moment."),
    Cause.EXAM: _("A test is on: only the sites that belong to it are open to this group."),
    Cause.MODE: _("This group is in the mode “{mode}”, which closes this kind of site: {category}."),
    Cause.AUTHORITY: _("An authority has ordered that this site be closed for everybody. Nobody in the school can open it."),
    Cause.SCHOOL: _("The school has decided to keep this site closed."),
    Cause.SERVICE: _("The school network does not open {service} to this group."),
    Cause.DANGER: _("This site is known for fraud or harmful software ({category}). Nothing of it was loaded."),
    Cause.BYPASS: _("This site leads around the school network's protection."),
    Cause.CATEGORY: _("The school network does not open this kind of site to this group: {category}."),
    Cause.DEFAULT: _("Only sites that were chosen for this group are open."),
}
_LEADS: Mapping[Age, Mapping[Cause, str]] = {Age.KINDERGARTEN: _PLAIN, Age.PRIMARY: _PRIMARY, Age.PUPIL: _PUPIL, Age.PLAIN: _PLAIN}

_GENTLE: Mapping[Cause, Mapping[Age, str]] = {
    Cause.SELF_HARM: {
        Age.KINDERGARTEN: _(
            "If a child beside you is sad or hurts itself, or if it is you who cannot go on: somebody listens, at any hour."
        ),
        Age.PRIMARY: _(
            "Are you very sad, or does something hurt inside? Tell a grown-up whom you trust. Or call 111: kind people listen to you there."
        ),
        Age.PUPIL: _(
            "Some days are too heavy to carry by oneself, and nobody has to. There are people who listen to you right now, whatever it is."
        ),
        Age.PLAIN: _("If you, or a young person whom you know, cannot go on: somebody listens, at any hour."),
    },
    Cause.HARMED: {
        Age.KINDERGARTEN: _("If you worry about a child, or if somebody has hurt one: somebody listens and knows what to do, at any hour."),
        Age.PRIMARY: _(
            "Did somebody hurt you, or show you something bad? It is not your fault. Tell a grown-up whom you trust, or call 111."
        ),
        Age.PUPIL: _(
            "If somebody has hurt you, or shown you or asked you for things that feel wrong: it is not your fault, and you can tell it."
        ),
        Age.PLAIN: _("If somebody has hurt a child, or you are afraid for one: somebody listens and knows what to do, at any hour."),
    },
}

_UNASKED: Mapping[Cause, str] = {
    Cause.OFFLINE: _("Your teacher is in the room: please ask there, since it is the whole class that is offline."),
    Cause.EXAM: _("During a test please ask the teacher in the room."),
    Cause.AUTHORITY: _("Nobody in the school can open it. If you think that it is a mistake, report it below: the school passes that on."),
}
_UNASKED_EVER = _(
    "This kind of site is not opened here. If it was taken for something that it is not, report the mistake below, or talk to a teacher."
)


def age_of(file: SchoolFile, tier: str) -> Age:
    """Of a tier of the school's own: that of the built-in tier it is based on."""
    if tier not in TIERS:
        change = file.tiers.get(tier)
        tier = (change.based_on if change is not None else None) or ""
    return _AGES.get(tier, Age.PUPIL)


def cause_of(reason: Reason, policy: Policy, snapshot: Snapshot) -> Cause:
    """Why, in the terms of this page."""
    if reason.category == "child-abuse":
        return Cause.HARMED
    if reason.category == "self-harm":
        return Cause.SELF_HARM
    if reason.rung is Rung.LOCKED_BLOCK:
        return Cause.AUTHORITY
    if reason.rung is Rung.CLASS_MODE:
        return Cause.OFFLINE if policy.only == "nothing" else Cause.EXAM
    if reason.rung is Rung.SCHOOL_BLOCK:
        return Cause.SCHOOL
    if reason.rung is not Rung.CATEGORY:
        return Cause.DEFAULT
    if reason.list.startswith("service:"):
        return Cause.SERVICE
    if _is_of_mode(reason, policy, snapshot):
        return Cause.MODE
    return Cause.DANGER if reason.category in _DANGER else Cause.BYPASS if reason.category == "bypass" else Cause.CATEGORY


def _is_of_mode(reason: Reason, policy: Policy, snapshot: Snapshot) -> bool:
    by_tier = snapshot.tiers[policy.tier].categories.get(reason.category) == "block"
    return not by_tier and reason.category in snapshot.modes[policy.mode].blocks


def unasked_of(cause: Cause, reason: Reason) -> str:
    """Why a pupil's question is not taken, as a message of the catalogue; empty: it is."""
    if cause in (Cause.HARMED, Cause.SELF_HARM):
        return _UNASKED_EVER
    return _UNASKED.get(cause) or (_UNASKED_EVER if reason.category in NEVER_ASKED else "")


def words(reason: Reason, policy: Policy, snapshot: Snapshot, province: Province | None, translate: Translate, language: str) -> Words:
    """What the page says of a block."""
    age = age_of(snapshot.file, policy.tier)
    cause = cause_of(reason, policy, snapshot)
    if cause in _GENTLE:
        title = _GENTLE_TITLE if age in (Age.PRIMARY, Age.PUPIL) else _GENTLE_TITLE_PLAIN
        return Words(cause, translate(title), translate(_GENTLE[cause][age]), (), None, translate(unasked_of(cause, reason)))
    mode = in_language(snapshot.modes[policy.mode].title, language)
    named = {"category": category_title(reason.category, language), "mode": mode, "service": _service(reason, language)}
    unnamed = age is Age.PRIMARY and cause is Cause.CATEGORY and reason.category in _UNNAMED
    lead = translate(_PRIMARY_UNNAMED if unnamed else _LEADS[age][cause]).format(**named)
    until = reason.until
    if cause in (Cause.OFFLINE, Cause.EXAM, Cause.MODE):
        until = policy.mode_until
    facts = () if unnamed else tuple(_facts(cause, reason, policy, province, translate, named))
    refusal = unasked_of(cause, reason)
    return Words(cause, translate(_TITLES[age]), lead, facts, until, translate(refusal) if refusal else "")


def _facts(
    cause: Cause, reason: Reason, policy: Policy, province: Province | None, translate: Translate, named: Mapping[str, str]
) -> list[tuple[str, str]]:
    facts = []
    if cause in (Cause.OFFLINE, Cause.EXAM, Cause.MODE):
        facts.append((translate(_("Mode")), named["mode"]))
        if policy.mode_by:
            facts.append((translate(_("Switched by")), name_of(policy.mode_by)))
        elif policy.mode_reason == "timetable":
            facts.append((translate(_("Switched by")), translate(_("the timetable"))))
    if cause is Cause.SERVICE:
        facts.append((translate(_("Service")), named["service"]))
    if reason.category and cause is not Cause.AUTHORITY:
        facts.append((translate(_("Kind of site")), named["category"]))
    if cause is Cause.SCHOOL:
        facts.append((translate(_("Decided by")), translate(_("the school"))))
    if cause in (Cause.AUTHORITY, Cause.CATEGORY, Cause.DANGER) and reason.by:
        known = province.authority(reason.by) if province is not None else None
        facts.append((translate(_("Ordered by")), known.name if known is not None else reason.by))
    if reason.document:
        facts.append((translate(_("Document")), reason.document))
    return facts


def _service(reason: Reason, language: str) -> str:
    known = SERVICES.get(reason.list.removeprefix("service:"))
    return "" if known is None else known.vi if language == "vi" else known.en

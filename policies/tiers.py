"""The built-in age tiers and class modes, and how a school's changes are laid over them.

The defaults are what a careful Vietnamese school would choose before anybody has configured anything:

- What harms (``HARM``) is blocked for every pupil and can never be lifted by a teacher for a lesson.
- Ways around the filter, dating, pirated content, advertising and tracking are blocked for every pupil: the first two for
  safety, the others because a child's behaviour online is sensitive personal data (Law 91/2025/QH15).
- Entertainment opens with age. Most social networks, chat and generative AI services want users of 13 or older, which falls
  in the middle of THCS, so they open in THPT; a THCS teacher may lift them for a lesson.
- Primary pupils have video blocked, and a teacher may lift it for a lesson; YouTube is strict even then.
- Staff are adults with their own judgement: only what harms the school's network or breaks the law is blocked.
- A guest may be anybody's child, so a guest is treated as in THCS, without a teacher who could lift anything.
"""

from collections.abc import Iterable, Mapping

from policies.model import Mode, ModeChange, Tier, TierChange, Titles, YouTube

HARM = ("adult", "gambling", "drugs", "violence", "self-harm", "hate", "scam", "phishing", "malware", "cryptojacking")
_PUPILS = (*HARM, "bypass", "dating", "piracy", "ads", "tracking")
_YOUNGER = (*_PUPILS, "social", "games", "chat", "shopping", "ai")


def _block(categories: Iterable[str]) -> dict[str, str]:
    return dict.fromkeys(categories, "block")


def _tier(vi: str, en: str, categories: Mapping[str, str], **settings: object) -> Tier:
    return Tier.model_validate({"title": Titles(vi=vi, en=en), "categories": categories, **settings})


TIERS: Mapping[str, Tier] = {
    "mam-non": _tier("Mầm non", "Kindergarten", _block((*_YOUNGER, "video")) | {"learning": "allow", "help": "allow"}, default="block"),
    "tieu-hoc": _tier("Tiểu học (lớp 1-5)", "Primary school (years 1-5)", _block((*_YOUNGER, "video")), liftable=("video", "games")),
    "thcs": _tier(
        "Trung học cơ sở (lớp 6-9)",
        "Lower secondary school (years 6-9)",
        _block(_YOUNGER),
        liftable=("social", "games", "chat", "shopping", "ai", "ads", "tracking"),
        youtube=YouTube.MODERATE,
    ),
    "thpt": _tier(
        "Trung học phổ thông (lớp 10-12)",
        "Upper secondary school (years 10-12)",
        _block((*_PUPILS, "games")),
        liftable=("social", "video", "games", "chat", "shopping", "ai", "ads", "tracking"),
        youtube=YouTube.MODERATE,
    ),
    "staff": _tier(
        "Giáo viên, nhân viên",
        "Staff",
        _block(("adult", "gambling", "drugs", "scam", "phishing", "malware", "cryptojacking")),
        safe_search=False,
        youtube=YouTube.OFF,
        strip_ech=False,
        ttl_limit=300,
    ),
    "guest": _tier("Khách", "Guests", _block(_YOUNGER), youtube=YouTube.MODERATE),
}

DISTRACTION = ("social", "video", "games", "chat", "shopping")

NORMAL = "normal"
BREAK = "break"
MODES: Mapping[str, Mode] = {
    NORMAL: Mode(title=Titles(vi="Bình thường", en="Normal")),
    "study": Mode(title=Titles(vi="Học tập", en="Study"), blocks=DISTRACTION),
    "exam": Mode(title=Titles(vi="Kiểm tra, thi", en="Exam"), only="sites"),
    BREAK: Mode(title=Titles(vi="Ra chơi", en="Break")),
    "offline": Mode(title=Titles(vi="Ngắt mạng", en="Offline"), only="nothing"),
}


def resolve_tiers(changes: Mapping[str, TierChange]) -> dict[str, Tier]:
    """Every tier of a school: the built-in ones as changed, then its own.

    A tier of its own starts from ``based_on`` (as the school changed it) or from a Tier without settings. Raises
    ValueError for an unknown ``based_on`` or a missing title, which policies/load.py has refused before.
    """
    tiers = {name: _changed_tier(tier, changes.get(name, TierChange())) for name, tier in TIERS.items()}
    built_in = dict(tiers)
    for name, change in changes.items():
        if name in TIERS:
            continue
        base = _blank_tier(name, change) if change.based_on is None else built_in.get(change.based_on)
        if base is None:
            raise ValueError(f"tiers.{name}: based on an unknown tier {change.based_on}")
        tiers[name] = _changed_tier(base, change)
    return tiers


def resolve_modes(changes: Mapping[str, ModeChange]) -> dict[str, Mode]:
    """Every mode of a school: the built-in ones as changed, then its own. Raises ValueError for a missing title."""
    modes = {name: _changed_mode(mode, changes.get(name, ModeChange())) for name, mode in MODES.items()}
    for name, change in changes.items():
        if name in MODES:
            continue
        if change.title is None:
            raise ValueError(f"modes.{name}: no title")
        modes[name] = _changed_mode(Mode(title=change.title), change)
    return modes


def _blank_tier(name: str, change: TierChange) -> Tier:
    if change.title is None:
        raise ValueError(f"tiers.{name}: no title and no based_on")
    return Tier(title=change.title)


def _changed_tier(tier: Tier, change: TierChange) -> Tier:
    said = {field: getattr(change, field) for field in change.model_fields_set - {"based_on", "categories"}}
    return tier.model_copy(update={**said, "categories": {**tier.categories, **change.categories}})


def _changed_mode(mode: Mode, change: ModeChange) -> Mode:
    return mode.model_copy(update={field: getattr(change, field) for field in change.model_fields_set})

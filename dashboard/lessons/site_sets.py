"""Sites that an exam leaves open, as teachers write them: read into canonical names, or refused in words. Pure."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from dashboard.access import Person, Role
from dashboard.refusal import Refused
from filters.message import Message, joined
from filters.name import InvalidName, normalise

MOST = 100
"""sites in a set, and in an exam"""
SETS = 200
"""sets of one person, or of the school"""
NAME = 80
TEXT = 16_384
"""characters of a list as it is typed"""
_SHOWN = 60
_SEPARATORS = re.compile(r"[\s,;]+")


@dataclass(frozen=True, slots=True)
class SiteSet:
    id: int
    name: str
    sites: tuple[str, ...]
    owner_id: int | None
    """None: the school's, for everybody"""


def may_edit(person: Person, owner_id: int | None) -> bool:
    """One's own; the school's are the administrators'."""
    return person.role is Role.ADMIN if owner_id is None else person.id == owner_id


def site_name(text: str) -> str:
    """The canonical name of a site, also from an address as the browser shows it: ``https://Quiz.vn/lop6`` -> ``quiz.vn``.

    Raises InvalidName, also for ``vn`` or ``com``: that is not one site.
    """
    text = text.strip()
    if "://" in text:
        try:
            text = urlsplit(text).hostname or ""
        except ValueError:
            raise InvalidName(Message("not a name")) from None
    else:
        text = re.split(r"[/?#]", text, maxsplit=1)[0]
        text = re.sub(r":[0-9]{1,5}\Z", "", text)
    name = normalise(text.removeprefix("*."))
    if "." not in name:
        raise InvalidName(Message("not a whole name, such as quiz.vn"))
    return name


def parse_sites(text: str, field: str = "sites") -> tuple[str, ...]:
    """Names on lines of their own, or with commas or blanks between them. Raises Refused with everything that is wrong."""
    names: dict[str, None] = {}
    wrong: list[Message] = []
    for part in _SEPARATORS.split(text.strip()):
        if not part:
            continue
        try:
            names[site_name(part)] = None
        except InvalidName as error:
            shown = part if len(part) <= _SHOWN else part[:_SHOWN] + "…"
            wrong.append(Message("“{text}” is not the name of a site: {why}.", text=shown, why=error))
    if wrong:
        rest = [Message("{count} more are wrong.", count=len(wrong) - 5)] if len(wrong) > 5 else []
        raise Refused(joined([*wrong[:5], *rest], " "), status=422, field=field)
    refuse_too_many(names, field)
    return tuple(names)


def parse_site(text: str, field: str = "name") -> str:
    """One name. Raises Refused."""
    if not text.strip():
        raise Refused(Message("Write the name of the site, such as quiz.vn."), status=422, field=field)
    try:
        return site_name(text)
    except InvalidName as error:
        raise Refused(
            Message("“{text}” is not the name of a site: {why}.", text=text.strip()[:_SHOWN], why=error), status=422, field=field
        ) from None


def refuse_too_many(names: "dict[str, None] | tuple[str, ...]", field: str = "sites") -> None:
    if len(names) > MOST:
        raise Refused(
            Message("These are {count} sites; an exam can leave {limit} open.", count=len(names), limit=MOST), status=422, field=field
        )


def checked_name(text: str) -> str:
    """The name of a set. Raises Refused."""
    name = " ".join(text.split())
    if not name:
        raise Refused(Message("Give the set a name."), status=422, field="name")
    if len(name) > NAME:
        raise Refused(Message("This is too long: at most {limit} characters.", limit=NAME), status=422, field="name")
    return name

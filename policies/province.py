"""The province's file: whom to call, whom to report to and until when, who takes reports of harmful content, and whose lists a school trusts.

Authorities are merged and renamed, so every name, number and deadline is here and none in code. A school has the file on
its disk (``school.province``); the province may also publish one, without ``publisher``, whose contacts then go before the
school's own copy. Whom to trust is only ever read from the disk: a served file that names a publisher is refused.
"""

import re
from calendar import monthrange
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, model_validator

from filters.message import Message
from policies.fields import Identifier, NotEmpty, web_address
from policies.load import ConfigError, Problem, contents, parse_as
from policies.model import Frozen
from policies.suggest import unknown

MONTHS = {"yearly": 12, "half-yearly": 6, "quarterly": 3, "monthly": 1}
"""period of a report -> months from one deadline to the next"""


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError(Message("must not be empty"))
    return text.strip()


def _number(text: str) -> str:
    if not re.fullmatch(r"\+?[0-9][0-9 .-]{1,18}[0-9]", text):
        raise ValueError(Message("{text!r} is not a telephone number such as 111 or 0255 3 812 345", text=text))
    return text


def _contact(text: str) -> str:
    """As gateway/explanation.py hands a contact on: a URI that a device can open."""
    if not re.fullmatch(r"tel:\+?[0-9-]{3,20}|mailto:[^@\s]+@[^@\s]+|https://\S+", text):
        raise ValueError(
            Message("{text!r} is no contact; write tel:02553812345, mailto:so@example.gov.vn or https://so.example.gov.vn", text=text)
        )
    return text


def _month_day(text: str) -> str:
    try:
        date.fromisoformat(f"2000-{text}")  # a leap year, so that 02-29 is a day
    except ValueError:
        raise ValueError(Message("{text!r} is not a month and a day such as 11-30", text=text)) from None
    return text


def _mirror(text: str) -> str:
    web_address(text, ("https", "http", "file"), "a publisher is at https://lists.example.gov.vn/manglanh")
    return text.rstrip("/")


def _webhook(text: str) -> str:
    parts = web_address(text, ("https",), "reports go to https://bao-cao.example.gov.vn/manglanh")
    if "@" in parts.netloc:
        raise ValueError(Message("{text!r} has a user name in it; reports are known by their signature", text=text))
    return text


def _mail_address(text: str) -> str:
    """Plain ASCII, so that every mail server takes it, and nothing that a header or a command could be made of (RFC 5321 section 4.1.2)."""
    if not re.fullmatch(
        r"[A-Za-z0-9_+][A-Za-z0-9._+-]{0,63}@[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+", text
    ):
        raise ValueError(Message("{text!r} is not a mail address such as so@example.gov.vn", text=text))
    return text


Said = Annotated[str, AfterValidator(_said)]


class Hotline(Frozen):
    name: Said
    number: Annotated[str, AfterValidator(_number)]


class Authority(Frozen):
    id: Identifier
    """what ``reports.to`` names"""
    name: Said
    contact: Annotated[str, AfterValidator(_contact)]


class Report(Frozen):
    to: str
    """an authority's id"""
    period: Literal["yearly", "half-yearly", "quarterly", "monthly"] = "yearly"
    deadline: Annotated[str, AfterValidator(_month_day)]
    """month and day, for example ``11-30``, of one deadline in a year; the others are whole periods away from it"""


class Recipient(Frozen):
    """Who takes a school's reports of harmful content, and how: by webhook, by mail or both (docs/reports-format.md)."""

    to: str
    """an authority's id"""
    webhook: Annotated[str, AfterValidator(_webhook)] | None = None
    """where a signed report is posted; https only"""
    mail: Annotated[str, AfterValidator(_mail_address)] | None = None
    """where it is mailed, from schools whose file says how to send mail (``dashboard.mail``)"""
    automatic: bool = False
    """True: reports of what is harmful, fake or abuse go at once; False: when somebody at the school has read them and says so"""

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        if self.webhook is None and self.mail is None:
            raise ValueError(Message("says neither webhook nor mail: where do reports go?"))
        return self


class Publisher(Frozen):
    """Whose lists a school takes: where they are, and the trusted root that their signatures start from."""

    urls: Annotated[tuple[Annotated[str, AfterValidator(_mirror)], ...], NotEmpty]
    """mirrors of one repository, tried in this order; without a slash at the end"""
    root: Path
    """the root's metadata; ``load_province`` makes it a path beside the province's file"""


class Province(Frozen):
    name: Said
    hotlines: tuple[Hotline, ...] = ()
    authorities: tuple[Authority, ...] = ()
    reports: tuple[Report, ...] = ()
    recipient: Recipient | None = None
    """of reports of harmful content; None: a school keeps them to itself"""
    publisher: Publisher | None = None

    def authority(self, identifier: str) -> Authority | None:
        return next((authority for authority in self.authorities if authority.id == identifier), None)


def province_path(school_file: Path, province: Path) -> Path:
    """Where ``school.province`` leads: a relative path starts at the school's file."""
    return school_file.parent / province


def load_province(path: Path) -> Province:
    """The file on the school's disk. Raises ConfigError."""
    province = parse_province(contents(path), str(path))
    if province.publisher is None:
        return province
    publisher = province.publisher.model_copy(update={"root": path.parent / province.publisher.root})
    return province.model_copy(update={"publisher": publisher})


def parse_province(data: bytes | str, filename: str) -> Province:
    """``filename`` is for messages. Raises ConfigError."""
    return parse_as(Province, data, filename, _wrong_references)


def parse_contacts(data: bytes | str, filename: str = "contacts.yaml") -> Province:
    """What the province publishes: the same, but nobody is told over the network whom to trust. Raises ConfigError."""
    province = parse_province(data, filename)
    if province.publisher is not None:
        why = Message("contacts that are published name no publisher: trust starts on the school's disk")
        raise ConfigError([Problem(filename, 1, 1, "publisher", why)])
    return province


def merged(local: Province | None, served: Province | None) -> Province | None:
    """What holds where both may be there: each part that is served goes before the local one, the publisher never.

    Authorities go one by one, since a local report may name one that is not served.
    """
    if local is None or served is None:
        return local or served
    ids = {authority.id for authority in served.authorities}
    return Province(
        name=served.name,
        hotlines=served.hotlines or local.hotlines,
        authorities=(*served.authorities, *(authority for authority in local.authorities if authority.id not in ids)),
        reports=served.reports or local.reports,
        recipient=served.recipient or local.recipient,
        publisher=local.publisher,
    )


def deadlines(report: Report, year: int) -> tuple[date, ...]:
    """The days of ``year`` on which the report is due; where a month is too short, its last day."""
    month, day = map(int, report.deadline.split("-"))
    months = sorted((month - 1 + step) % 12 + 1 for step in range(0, 12, MONTHS[report.period]))
    return tuple(date(year, due, min(day, monthrange(year, due)[1])) for due in months)


def _wrong_references(plain: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    seen: set[str] = set()
    for path, identifier in _texts(plain, "authorities", "id"):
        if identifier in seen:
            yield path, Message('another authority has the id "{identifier}"', identifier=identifier)
        seen.add(identifier)
    for path, identifier in _texts(plain, "reports", "to"):
        if identifier not in seen:
            yield path, unknown(Message("authority"), identifier, seen)
    recipient = plain.get("recipient")
    if isinstance(recipient, dict) and isinstance(recipient.get("to"), str) and recipient["to"] not in seen:
        yield ("recipient", "to"), unknown(Message("authority"), recipient["to"], seen)


def _texts(plain: dict[str, Any], part: str, key: str) -> Iterator[tuple[tuple[str | int, ...], str]]:
    items = plain.get(part)
    for at, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, dict) and isinstance(item.get(key), str):
            yield (part, at, key), item[key]

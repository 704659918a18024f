"""The first set-up in the browser: the school's file filled in, and the first administrator.  [shell: disk]

Promises: only whoever has the code that the box printed on its console gets through, and only once: of two at the same time one wins; either
everything is there afterwards, the file and the account, or the form comes back with every error beside its field and nothing lost.
"""

import asyncio
import hmac
import json
import os
import re
import unicodedata
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from ruamel.yaml.comments import CommentedMap

from dashboard.catalogue import LANGUAGES
from dashboard.refusal import Refused
from dashboard.school import View
from dashboard.settings import school_file
from dashboard.settings.school_text import add_item, find, item, remove_item, set_in
from dashboard.signing_in import passwords
from dashboard.signing_in.entry import as_person
from dashboard.signing_in.throttle import SET_UP
from dashboard.site import Site
from dashboard.staff.people import login_of
from dashboard.store import accounts, audit, people
from dashboard.store.accounts import Account
from dashboard.tables.one_line import one_line
from filters.message import Message, joined
from policies.fields import Client, TimeZone, UpstreamText
from policies.load import ConfigError
from policies.province import Province, parse_province
from policies.tiers import resolve_tiers

PROVINCE_FILE = "province.yaml"
LIMIT = ((("set-up",), SET_UP),)


@dataclass(frozen=True, slots=True)
class Row:
    """A group as the form has it."""

    name: str = ""
    """its id, where the file has it already"""
    title: str = ""
    tier: str = "thcs"
    networks: str = ""

    @property
    def is_empty(self) -> bool:
        return not self.title.strip() and not self.networks.strip()


@dataclass(frozen=True, slots=True)
class Upload:
    """The province's file, and the root of trust that it may name."""

    data: bytes
    name: str
    """of the province"""
    root: bytes = b""


@dataclass(slots=True)
class Form:
    """What was typed, as it was typed; and what is wrong with it."""

    code: str = ""
    name: str = ""
    login: str = ""
    school: str = ""
    language: str = "vi"
    timezone: str = "Asia/Ho_Chi_Minh"
    contact: str = ""
    upstreams: str = ""
    rows: list[Row] = field(default_factory=list)
    password: str = ""
    again: str = ""
    kept_password: str | None = None
    """as it will be kept, from a form that came back before"""
    upload: Upload | None = None
    seen: str = ""
    """the file's digest"""
    errors: dict[str, Message] = field(default_factory=dict)


def prefilled(view: View, seen: str) -> Form:
    """From the file that there is."""
    file = view.file
    return Form(
        school=file.school.name,
        language=file.school.language,
        timezone=str(file.school.timezone),
        contact=file.school.contact,
        upstreams="\n".join(file.dns.upstreams),
        rows=[Row(group.name, group.title or group.name, group.tier, "\n".join(map(str, group.clients))) for group in file.groups],
        seen=seen,
    )


def check_code(site: Site, typed: str, now: float) -> Message | None:
    """What is wrong with the code; only wrong ones are counted."""
    wait = site.throttle.attempt(LIMIT, now)
    if wait:
        return Message("That was tried too often. Please wait {count} minutes and try again.", count=-(-wait // 60))
    if not site.setup_code:
        return Message("There is no code to set up with. If nobody else is setting up this box right now, restart it: it prints a new one.")
    if hmac.compare_digest(_code(typed), _code(site.setup_code)):
        site.throttle.give_back(LIMIT, now)
        return None
    return Message("This is not the code. The box prints it on its console when it starts; a restart prints a new one.")


def _code(text: str) -> bytes:
    return re.sub(r"[^A-Z0-9]", "", text.upper()).encode()


def check(form: Form, view: View) -> None:
    """Everything that is wrong, into ``form.errors``."""
    errors = form.errors
    for name, limit, required in (("name", 100, True), ("school", 200, True), ("contact", 200, False)):
        with _into(errors):
            setattr(form, name, one_line(getattr(form, name), name, limit, required=required))
    with _into(errors):
        form.login = login_of(form.login)
    if form.kept_password is None or form.password or form.again:
        _check_password(form)
    if form.language not in LANGUAGES:
        errors["language"] = Message("This must not be empty.")
    if not _is(TimeZone, form.timezone.strip()):
        errors["timezone"] = Message("{text} is no time zone; one is Asia/Ho_Chi_Minh.", text=form.timezone.strip() or "?")
    bad = [each for each in form.upstreams.split() if not _is(UpstreamText, each)]
    if bad:
        words = [Message("{text} is no upstream resolver; one is 9.9.9.9, or tls://1.1.1.1#cloudflare-dns.com.", text=each) for each in bad]
        errors["upstreams"] = joined(words)
    if not form.upstreams.split():
        errors["upstreams"] = Message("This must not be empty.")
    _check_groups(form, set(resolve_tiers(view.file.tiers)))


class _into:  # noqa: N801 - reads as a statement
    """Keep what is refused within, under its field."""

    def __init__(self, errors: dict[str, Message]) -> None:
        self.errors = errors

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if isinstance(error, Refused):
            self.errors[error.field] = error.message
        return isinstance(error, Refused)


def _check_password(form: Form) -> None:
    why = passwords.wrong(form.password, form.login, form.school)
    if why:
        form.errors["password"] = why
    elif passwords.normalised(form.password) != passwords.normalised(form.again):
        form.errors["again"] = Message("The two passwords are not the same.")


def _is(kind: Any, value: str) -> bool:
    """Whether the school's file takes this value."""
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True


def _wrong_network(text: str) -> Message | None:
    if _is(Client, text):
        return None
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        return Message("{text} is no network and no address; one is 10.0.12.0/24.", text=text)
    return Message("{text} is no network; did you mean {meant}?", text=text, meant=str(meant))


def _check_groups(form: Form, tiers: Iterable[str]) -> None:
    titles: set[str] = set()
    networks: set[str] = set()
    for number, row in enumerate(form.rows):
        if row.is_empty:
            continue
        with _into(form.errors):
            title = one_line(row.title, f"title-{number}", 100)
            if title.casefold() in titles:
                form.errors[f"title-{number}"] = Message("Another group has this title.")
            titles.add(title.casefold())
        if row.tier not in tiers:
            form.errors[f"tier-{number}"] = Message("This must not be empty.")
        given = split(row.networks)
        wrong = [why for why in map(_wrong_network, given) if why]
        twice = [Message("{network} stands in another group too.", network=each) for each in given if each.lower() in networks]
        networks.update(each.lower() for each in given)
        if not given:
            wrong = [Message("Please give a network such as 10.0.12.0/24, or addresses of devices.")]
        if wrong or twice:
            form.errors[f"networks-{number}"] = joined([*wrong, *twice])
    if all(row.is_empty for row in form.rows):
        form.errors["title-0"] = Message("A school has at least one group, for example its staff.")


def split(networks: str) -> list[str]:
    """What stands in the field for networks, however it is separated."""
    return [each for each in re.split(r"[\s,;]+", networks) if each]


def identifier(title: str, taken: Iterable[str]) -> str:
    """``Lớp 6A1`` -> ``lop-6a1``; with a number behind it where that is taken."""
    letters = unicodedata.normalize("NFD", title.lower().replace("đ", "d"))
    base = (
        re.sub(r"[^a-z0-9]+", "-", "".join(each for each in letters if not unicodedata.combining(each))).strip("-")[:56].strip("-")
        or "group"
    )
    taken = set(taken)
    return next(name for name in (base, *(f"{base}-{number}" for number in range(2, len(taken) + 3))) if name not in taken)


def named(rows: Iterable[Row]) -> list[Row]:
    """The rows that are filled in, each with its id."""
    rows = [row for row in rows if not row.is_empty]
    taken = {row.name for row in rows if row.name}
    made = []
    for row in rows:
        name = row.name or identifier(row.title, taken)
        taken.add(name)
        made.append(replace(row, name=name, title=" ".join(row.title.split())))
    return made


async def read_upload(data: bytes, root: bytes, folder: Path) -> Upload:
    """The province's file as it was uploaded. Raises Refused for one that cannot be used."""
    try:
        province = parse_province(data, PROVINCE_FILE)
    except ConfigError as error:
        raise Refused(joined(problem.sentence() for problem in error.problems[:20]), status=422, field="province") from None
    if province.publisher is not None:
        await asyncio.to_thread(_check_root, province, root, folder)
    return Upload(data, province.name, root if province.publisher else b"")


def _check_root(province: Province, root: bytes, folder: Path) -> None:
    assert province.publisher is not None
    path = province.publisher.root
    if root:
        if path.name != str(path):
            raise Refused(
                Message("The file names its root of trust in another folder; please ask the province for one that names it beside itself."),
                status=422,
                field="province",
            )
        if not _is_root(root):
            raise Refused(Message("This is not a root of trust (root.json, TUF)."), status=422, field="root")
    elif not (folder / path).is_file():
        raise Refused(
            Message("This file names lists that are signed; please upload their root of trust ({root}) as well.", root=path),
            status=422,
            field="root",
        )


def _is_root(data: bytes) -> bool:
    try:
        return bool(json.loads(data)["signed"]["_type"] == "root")
    except (ValueError, KeyError, TypeError):
        return False


async def carry_out(site: Site, form: Form, now: float) -> Account:
    """Save what ``check`` has found good; the administrator. Raises Refused, StoreTrouble: then nothing has changed, and the code is still good."""
    # Taking the code is what makes one of two win: nothing is awaited in between.
    code, site.setup_code = site.setup_code, ""
    if not code:
        raise Refused(Message("Somebody else is setting up this box right now."))
    try:
        kept = form.kept_password or await passwords.hash_password(form.password)
        undo = await asyncio.to_thread(_save_province, site.config, form.upload)
        try:
            await school_file.edit(
                site, None, audit.Entry("school.changed", what=site.config.name), form.seen, lambda document: _fill(document, form)
            )
            account = await _add_admin(site, form, kept, now)
        except BaseException:
            await asyncio.to_thread(undo)
            raise
    except BaseException:
        site.setup_code = code
        raise
    site.is_set_up = True
    return account


async def _add_admin(site: Site, form: Form, kept: str, now: float) -> Account:
    async with site.store.write() as connection:
        if await people.count_admins(connection):
            raise Refused(Message("This box is set up already."))
        if await accounts.by_login(connection, form.login) is not None:
            raise Refused(Message("There is an account with this login already."), field="login")
        added = await accounts.add_first_admin(connection, form.login, form.name, form.language, kept, now)
        account = await accounts.by_id(connection, added)
        assert account is not None
        entry = audit.Entry("set-up", what=form.school, detail={"groups": [row.name for row in named(form.rows)]})
        await audit.add(connection, now, as_person(account), [entry])
    return account


def _fill(document: CommentedMap, form: Form) -> None:
    """The form into the school's file; whatever the form does not ask stays."""
    for key, value in (
        ("name", form.school),
        ("language", form.language),
        ("timezone", form.timezone.strip()),
        ("contact", form.contact or None),
    ):
        if key != "timezone" or value != "Asia/Ho_Chi_Minh" or find(document, ["school", key]):
            set_in(document, ["school", key], value)
    if form.upload is not None:
        set_in(document, ["school", "province"], PROVINCE_FILE)
    set_in(document, ["dns", "upstreams"], form.upstreams.split())
    rows = named(form.rows)
    for node in list(find(document, ["groups"]) or ()):
        if str(node.get("name")) not in {row.name for row in rows}:
            remove_item(document, ["groups"], node)
    for row in rows:
        node = item(document, ["groups"], "name", row.name)
        if node is None:
            add_item(document, ["groups"], {"name": row.name, "title": row.title, "tier": row.tier, "clients": split(row.networks)})
            continue
        set_in(node, ["title"], row.title if row.title != row.name else None)
        set_in(node, ["tier"], row.tier)
        set_in(node, ["clients"], split(row.networks))
    default = find(document, ["default_group"])
    if default is not None and str(default) != "guest" and str(default) not in {row.name for row in rows}:
        set_in(document, ["default_group"], None)


def _save_province(config: Path, upload: Upload | None) -> Callable[[], None]:
    """Write the province's file and its root beside the school's; what undoes that. Raises Refused."""
    if upload is None:
        return lambda: None
    province = parse_province(upload.data, PROVINCE_FILE)
    folder = config.resolve().parent
    files = {folder / PROVINCE_FILE: upload.data}
    if province.publisher is not None and upload.root:
        files[folder / province.publisher.root.name] = upload.root
    before = {path: path.read_bytes() if path.is_file() else None for path in files}
    try:
        for path, data in files.items():
            _write(path, data)
    except OSError as error:
        _restore(before)
        why = Message("The province's file could not be saved; nothing was changed. ({why})", why=error.strerror or str(error))
        raise Refused(why, status=503, field="province") from None
    return lambda: _restore(before)


def _restore(before: dict[Path, bytes | None]) -> None:
    for path, data in before.items():
        with suppress(OSError):
            if data is None:
                path.unlink(missing_ok=True)
            else:
                _write(path, data)


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    aside = path.with_name(f".{path.name}.new")
    with aside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)

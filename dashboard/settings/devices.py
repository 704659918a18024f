"""Devices: those that fell to the default group and are still to be mapped, and those that have a group. Shared by pages, API and import.

A device is known by its MAC; which group it has is in the live state, so that a new one holds within a moment. Devices that the school's file names are shown
and not changed here. Addresses are for administrators alone: nobody else reaches this.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from dashboard.access import Person
from dashboard.refusal import Refused
from dashboard.school import View
from dashboard.settings.vendors import is_random, vendors_of
from dashboard.site import Site
from dashboard.staff.people_table import classes_in_words
from dashboard.store import audit
from dashboard.store import devices as store
from dashboard.store.audit import Entry
from dashboard.store.engine import StoreTrouble
from dashboard.tables import csv_tables
from dashboard.tables.csv_tables import Column
from dashboard.tables.importing import Plan, Planned, Status, change_note, wrong_row
from dashboard.tables.one_line import one_line
from filters.message import Message
from policies.model import Group, State
from policies.suggest import unknown

MOST = 20_000
"""devices of one school"""
LABEL = 200
MAX_ROWS = 5000
PAGE = 50


class Stranger(NamedTuple):
    """A device, or an address alone, that asked within a day and that no group names."""

    mac: str
    """empty: the box does not see the device itself, only what stands before it"""
    addresses: tuple[str, ...]
    seen: float
    name: str
    """what the device called itself when it asked for an address"""
    random: bool


class Device(NamedTuple):
    mac: str
    group: str
    label: str
    name: str
    addresses: tuple[str, ...]
    vendor: str
    random: bool


def mac_of(text: str) -> str:
    """``AA-BB-CC-DD-EE-FF``, ``aabb.ccdd.eeff``, ``aabbccddeeff`` -> ``aa:bb:cc:dd:ee:ff``. Raises Refused (422)."""
    digits = re.sub(r"[:. -]", "", text.strip().lower()) if len(text) <= 40 else ""
    if not re.fullmatch(r"[0-9a-f]{12}", digits):
        raise Refused(Message("This is no hardware address (MAC); one is written aa:bb:cc:dd:ee:ff."), status=422, field="mac")
    if int(digits[:2], 16) & 1:
        raise Refused(
            Message("{mac} is the address of a group of devices (multicast), not of one.", mac=text.strip()), status=422, field="mac"
        )
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def strangers(site: Site, view: View, now: float) -> list[Stranger]:
    """The latest first; those that the box knows by MAC before those that it does not."""
    macs = {each.address: each.mac for each in site.box.neighbours()}
    names = site.box.leases()
    found: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for address, seen in site.fold.strangers(now).items():
        mac = macs.get(address, "")
        if not view.directory.is_named(address, mac or None):  # else it was mapped since then
            found.setdefault((mac, "" if mac else address), []).append((seen, address))
    made = [
        Stranger(mac, tuple(sorted(address for _seen, address in asked)), max(asked)[0], names.get(mac, ""), bool(mac) and is_random(mac))
        for (mac, _address), asked in found.items()
    ]
    return sorted(made, key=lambda each: (not each.mac, -each.seen, each.addresses))


def in_file(view: View) -> dict[str, str]:
    """MAC -> group, of the devices that the school's file names."""
    return {client: group.name for group in view.file.groups for client in group.clients if isinstance(client, str)}


async def search(site: Site, view: View, q: str, group: str, page: int) -> tuple[list[Device], int, int, int]:
    """(devices of a page, how many there are, the page, how many pages). ``q``: part of a MAC or a label."""
    text = q.lower().strip()
    bare = re.sub(r"[-.]", ":", text)
    async with site.store.read() as connection:
        labelled = await store.labelled(connection, text) if text else frozenset()
        fits = [
            mac for mac, held in view.state.devices.items() if (not group or held == group) and (not text or bare in mac or mac in labelled)
        ]
        fits.sort(key=lambda mac: (view.state.devices[mac], mac))
        pages = max(1, -(-len(fits) // PAGE))
        page = min(max(1, page), pages)
        shown = fits[(page - 1) * PAGE : page * PAGE]
        labels = await store.labels(connection, shown)
    return _described(site, {mac: view.state.devices[mac] for mac in shown}, labels), len(fits), page, pages


async def one(site: Site, view: View, mac: str) -> Device:
    """Raises Refused (404)."""
    if mac not in view.state.devices:
        raise Refused(Message("This device has no group here, or no longer."), status=404)
    async with site.store.read() as connection:
        labels = await store.labels(connection, [mac])
    return _described(site, {mac: view.state.devices[mac]}, labels)[0]


def _described(site: Site, held: Mapping[str, str], labels: Mapping[str, str]) -> list[Device]:
    addresses: dict[str, list[str]] = {}
    for each in site.box.neighbours():
        addresses.setdefault(each.mac, []).append(each.address)
    names, vendors = site.box.leases(), vendors_of(held)
    return [
        Device(
            mac, group, labels.get(mac, ""), names.get(mac, ""), tuple(sorted(addresses.get(mac, ()))), vendors.get(mac, ""), is_random(mac)
        )
        for mac, group in held.items()
    ]


async def put(site: Site, by: Person, view: View, macs: Iterable[str], group: str, labels: Mapping[str, str] | None = None) -> int:
    """Give devices a group, and labels where any are said; the generation. Raises Refused."""
    wanted = list(dict.fromkeys(mac_of(mac) for mac in macs))
    if not wanted:
        raise Refused(Message("No device was chosen."), status=422, field="mac")
    _refuse_group(group, view)
    fixed = in_file(view)
    for mac in wanted:
        if mac in fixed:
            raise Refused(
                Message("{mac} stands in the school's file, in the group {group}; it is changed there.", mac=mac, group=fixed[mac]),
                field="mac",
            )

    def change(state: State) -> State:
        return _with(state, dict(state.devices) | dict.fromkeys(wanted, group))

    detail: dict[str, object] = {
        "group": group,
        "macs": wanted,
        "before": sorted({view.state.devices[mac] for mac in wanted if mac in view.state.devices}),
    }
    what = wanted[0] if len(wanted) == 1 else f"MAC: {len(wanted)}"
    generation = await site.changes.make(by, Entry("device.mapped", what, detail), change)
    if labels:
        await _label(site, by, {mac: one_line(labels[mac], "label", LABEL, required=False) for mac in wanted if mac in labels})
    return generation


async def remove(site: Site, by: Person, mac: str) -> int:
    """The device falls to the group of its network, or to the default group; the generation. Raises Refused."""

    def change(state: State) -> State:
        if mac not in state.devices:
            raise Refused(Message("This device has no group here, or no longer."), status=404)
        return _with(state, {each: group for each, group in state.devices.items() if each != mac})

    generation = await site.changes.make(by, Entry("device.unmapped", mac), change)
    await _label(site, by, {mac: ""}, quiet=True)
    return generation


async def _label(site: Site, by: Person, new: Mapping[str, str], *, quiet: bool = False) -> None:
    """Raises Refused, in words that do not deny what has been done before."""
    try:
        async with site.store.write() as connection:
            old = await store.labels(connection, new)
            changed = {mac: label for mac, label in new.items() if old.get(mac, "") != label}
            if not changed:
                return
            await store.set_labels(connection, changed)
            if not quiet:
                entries = [Entry("device.labelled", mac, {"label": label}) for mac, label in changed.items()]
                await audit.add(connection, site.clock(), by, entries)
    except StoreTrouble as error:
        raise Refused(Message("The devices have their group, but the labels could not be saved. ({why})", why=error), status=503) from None


def _with(state: State, devices: Mapping[str, str]) -> State:
    if len(devices) > MOST:
        raise Refused(Message("A school has {limit} devices of its own at most; give networks a group instead.", limit=MOST), field="mac")
    return state.model_copy(update={"devices": dict(devices)})


def _refuse_group(group: str, view: View) -> None:
    if group not in view.snapshot.groups:
        raise Refused(Message("{why}.", why=unknown(Message("group"), group, view.snapshot.groups)), status=422, field="group")


# ---- tables ----------------------------------------------------------------------------------------------------------

COLUMNS = (
    Column("mac", ("địa chỉ mac", "địa chỉ phần cứng", "hardware address"), required=True),
    Column("group", ("nhóm", "lớp"), required=True),
    Column("label", ("tên", "ghi chú", "nhãn", "name")),
)
HEADS = {"vi": ("mac", "nhóm", "nhãn"), "en": ("mac", "group", "label")}


class _Wanted(NamedTuple):
    mac: str
    group: str
    label: str | None
    """None: the table has no such column"""


def plan(data: bytes, view: View, labels: Mapping[str, str]) -> tuple[Plan, list[_Wanted]]:
    """What the table would do; devices that it lacks stay. Raises Refused for a table that cannot be read."""
    fixed = in_file(view)
    lines: dict[str, int] = {}
    planned: list[Planned] = []
    wanted: list[_Wanted] = []
    groups = tuple(view.snapshot.groups.values())
    for row in csv_tables.read(data, COLUMNS, MAX_ROWS):
        try:
            each = _row(row, groups, fixed)
            first = lines.setdefault(each.mac, row.line)
            if first != row.line:
                raise Refused(Message("Line {line} says the same.", line=first), field="mac")  # noqa: TRY301
        except Refused as error:
            problem = Message("Column “{column}”: {why}", column=Message(error.field), why=error.message)
            planned.append(wrong_row(row.line, row.cells["mac"], [problem]))
            continue
        planned.append(_planned(row.line, each, view.state.devices.get(each.mac), labels.get(each.mac, "")))
        wanted.append(each)
    return Plan(tuple(planned)), wanted


def _row(row: csv_tables.Row, groups: Sequence[Group], fixed: Mapping[str, str]) -> _Wanted:
    if row.surplus:
        raise Refused(Message("There are more cells than columns."), field="mac")
    mac = mac_of(row.cells["mac"])
    if mac in fixed:
        raise Refused(
            Message("{mac} stands in the school's file, in the group {group}; it is changed there.", mac=mac, group=fixed[mac]), field="mac"
        )
    try:
        named = classes_in_words(row.cells["group"], groups)
    except Refused as error:
        raise Refused(error.message, field="group") from None
    if len(named) != 1:
        raise Refused(Message("A device has one group."), field="group")
    label = one_line(row.cells["label"], "label", LABEL, required=False) if "label" in row.cells else None
    return _Wanted(mac, next(iter(named)), label)


def _planned(line: int, each: _Wanted, group: str | None, label: str) -> Planned:
    title = f"{each.mac} {each.label or label}".strip()
    if group is None:
        return Planned(line, Status.NEW, title, (Message("{text}", text=each.group),))
    notes = [change_note("group", group, each.group)] if group != each.group else []
    notes += [change_note("label", label, each.label)] if each.label is not None and label != each.label else []
    return Planned(line, Status.CHANGED if notes else Status.UNCHANGED, title, tuple(notes))


async def preview(site: Site, view: View, data: bytes) -> Plan:
    async with site.store.read() as connection:
        return plan(data, view, await store.labels(connection))[0]


async def carry_out(site: Site, view: View, by: Person, data: bytes, seen: str) -> tuple[Plan, int]:
    """The whole table as one change, if it does what was seen; the generation. Raises Refused."""
    async with site.store.read() as connection:
        made, wanted = plan(data, view, await store.labels(connection))
    made.confirm(seen)
    before = dict(view.state.devices)

    def change(state: State) -> State:
        if dict(state.devices) != before:
            raise Refused(Message("Something has changed since the preview; nothing was done. Please look at it again."))
        return _with(state, before | {each.mac: each.group for each in wanted})

    detail: dict[str, object] = {"table": {status.value: count for status, count in made.counts.items()}}
    detail["devices"] = {each.mac: each.group for each in wanted if before.get(each.mac) != each.group}
    generation = await site.changes.make(by, Entry("device.mapped", f"MAC: {len(wanted)}", detail), change)
    await _label(site, by, {each.mac: each.label for each in wanted if each.label is not None})
    return made, generation


async def export(site: Site, view: View, language: str) -> bytes:
    async with site.store.read() as connection:
        labels = await store.labels(connection)
    rows = [(mac, group, labels.get(mac, "")) for mac, group in sorted(view.state.devices.items(), key=lambda each: (each[1], each[0]))]
    return csv_tables.write(HEADS[language], rows)


def template(view: View, language: str) -> bytes:
    words = {"vi": "Máy chiếu phòng 12", "en": "Projector, room 12"}
    return csv_tables.write(HEADS[language], [("aa:bb:cc:dd:ee:ff", view.file.groups[0].name, words[language])])

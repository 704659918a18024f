"""Devices over the API: the unknown ones, and those that have a group of their own."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from dashboard.access import Access, Scope
from dashboard.api.allowed import Call, allowed
from dashboard.api.body import Input
from dashboard.api.imports import CsvIn, Preview, preview_of
from dashboard.api.problem import problems
from dashboard.settings import devices
from dashboard.settings.vendors import vendors_of
from dashboard.tables.importing import Status

router = APIRouter()
Mac = Annotated[str, Path(max_length=40, description="aa:bb:cc:dd:ee:ff")]


class StrangerOut(BaseModel):
    """A device that asked within a day and that no group names."""

    mac: str = Field(description="empty: it is behind a router, so only its address is known")
    addresses: list[str]
    seen: float = Field(description="Unix seconds")
    name: str = Field(description="what the device called itself (DHCP)")
    vendor: str
    random: bool = Field(description="the hardware address was drawn by lot and may change")


class DeviceOut(BaseModel):
    mac: str
    group: str
    label: str
    name: str
    vendor: str
    random: bool
    addresses: list[str] = Field(description="those of now")


class DevicesOut(BaseModel):
    devices: list[DeviceOut]
    total: int
    page: int
    pages: int


class MappingIn(Input):
    """Devices that are to have a group."""

    macs: list[Annotated[str, Field(max_length=40)]] = Field(min_length=1, max_length=5000)
    group: str = Field(max_length=63)


class DeviceIn(Input):
    group: str = Field(max_length=63)
    label: str | None = Field(None, max_length=devices.LABEL, description="null: as it is")


class Done(BaseModel):
    generation: int = Field(description="of the live state that has it")


class ImportOut(BaseModel):
    new: int
    changed: int
    generation: int


@router.get("/devices", summary="Devices that have a group of their own")
async def list_devices(
    q: Annotated[str, Query(max_length=100, description="part of a MAC or of a label")] = "",
    group: Annotated[str, Query(max_length=63)] = "",
    page: Annotated[int, Query(ge=1, le=10**6)] = 1,
    call: Call = allowed(Access.ADMIN, Scope.SCHOOL_READ),
) -> DevicesOut:
    """By their label and hardware address, a page at a time."""
    found, total, page, pages = await devices.search(call.site, call.view, q.replace("\0", ""), group, page)
    return DevicesOut(devices=[_out(each) for each in found], total=total, page=page, pages=pages)


@router.get("/devices/unknown", summary="Devices that asked within a day and have no group")
async def list_unknown(call: Call = allowed(Access.ADMIN, Scope.SCHOOL_READ)) -> list[StrangerOut]:
    """Whatever asked the resolver and is in no group, the latest first."""
    found = devices.strangers(call.site, call.view, call.now)
    vendors = vendors_of(each.mac for each in found if each.mac)
    return [
        StrangerOut(
            mac=each.mac,
            addresses=list(each.addresses),
            seen=each.seen,
            name=each.name,
            vendor=vendors.get(each.mac, ""),
            random=each.random,
        )
        for each in found
    ]


@router.post("/devices", summary="Give devices a group", responses=problems(409))
async def map_devices(new: MappingIn, call: Call = allowed(Access.ADMIN, Scope.SCHOOL_WRITE)) -> Done:
    """In place of any group that they had by themselves. What their network says counts for them no longer."""
    return Done(generation=await devices.put(call.site, call.person, call.view, new.macs, new.group))


@router.get(
    "/devices/export",
    summary="Devices as a table (CSV)",
    responses={200: {"content": {"text/csv": {}}}},
    response_class=Response,
)
async def export_devices(language: Literal["vi", "en"] = "en", call: Call = allowed(Access.ADMIN, Scope.SCHOOL_READ)) -> Response:
    """With the headings that importing understands."""
    return Response(await devices.export(call.site, call.view, language), media_type="text/csv; charset=utf-8")


@router.post("/devices/import/preview", summary="What a table would change")
async def preview_devices(table: CsvIn, call: Call = allowed(Access.ADMIN, Scope.SCHOOL_WRITE)) -> Preview:
    """Nothing is changed. ``digest`` is what carrying it out needs."""
    return preview_of(await devices.preview(call.site, call.view, table.data()))


@router.post("/devices/import", summary="Carry a table out, whole or not at all", responses=problems(409))
async def import_devices(table: CsvIn, call: Call = allowed(Access.ADMIN, Scope.SCHOOL_WRITE)) -> ImportOut:
    """Refused (409) where anything is another than in the preview whose digest is in ``seen``."""
    plan, generation = await devices.carry_out(call.site, call.view, call.person, table.data(), table.seen)
    return ImportOut(new=plan.counts[Status.NEW], changed=plan.counts[Status.CHANGED], generation=generation)


@router.get("/devices/{mac}", summary="One device", responses=problems(404))
async def get_device(mac: Mac, call: Call = allowed(Access.ADMIN, Scope.SCHOOL_READ)) -> DeviceOut:
    """A device that has a group of its own."""
    return _out(await devices.one(call.site, call.view, devices.mac_of(mac)))


@router.put("/devices/{mac}", summary="Give a device a group and a label", responses=problems(409))
async def put_device(mac: Mac, new: DeviceIn, call: Call = allowed(Access.ADMIN, Scope.SCHOOL_WRITE)) -> Done:
    """A new one, or in place of what it had."""
    known = devices.mac_of(mac)
    labels = None if new.label is None else {known: new.label}
    return Done(generation=await devices.put(call.site, call.person, call.view, [known], new.group, labels))


@router.delete("/devices/{mac}", summary="The device has no group of its own any more", responses=problems(404))
async def remove_device(mac: Mac, call: Call = allowed(Access.ADMIN, Scope.SCHOOL_WRITE)) -> Done:
    """What its network says counts again."""
    return Done(generation=await devices.remove(call.site, call.person, devices.mac_of(mac)))


def _out(each: devices.Device) -> DeviceOut:
    return DeviceOut(**each._asdict() | {"addresses": list(each.addresses)})

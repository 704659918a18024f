"""Which services are blocked for a tier or for one group besides its tier: read from the school's file, and written into it. Pure."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ruamel.yaml.comments import CommentedMap

from dashboard.refusal import Refused
from dashboard.settings.school_text import item, set_in
from dashboard.settings.tiers import base_of, no_such_tier, put_tier
from filters.message import Message
from filters.service import CATALOGUE, SERVICES, Service
from policies.model import SchoolFile
from policies.tiers import resolve_tiers


class Target(NamedTuple):
    """Whose switches they are."""

    kind: str
    """``tier`` or ``group``"""
    id: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


def parse_target(text: str) -> Target:
    """``tier:thcs`` or ``group:6a1``. Raises Refused."""
    kind, _, identifier = text.partition(":")
    if kind not in ("tier", "group") or not identifier:
        raise Refused(Message("Please choose a tier or a group."), status=404)
    return Target(kind, identifier)


def blocked(file: SchoolFile, target: Target) -> frozenset[str]:
    """The services that are switched off for the target itself. Raises Refused where there is no such tier or group."""
    if target.kind == "tier":
        tiers = resolve_tiers(file.tiers)
        if target.id not in tiers:
            raise no_such_tier(target.id)
        return frozenset(tiers[target.id].services)
    group = next((group for group in file.groups if group.name == target.id), None)
    if group is None:
        raise Refused(Message("There is no group {group} in the school's file.", group=target.id), status=404)
    return frozenset(group.services)


def inherited(file: SchoolFile, target: Target) -> frozenset[str]:
    """What a group's tier blocks already."""
    if target.kind == "tier":
        return frozenset()
    tier = next(group.tier for group in file.groups if group.name == target.id)
    return frozenset(resolve_tiers(file.tiers)[tier].services)


def put(document: CommentedMap, file: SchoolFile, target: Target, services: Iterable[str]) -> None:
    """Exactly these are switched off for the target. Raises Refused."""
    blocked(file, target)
    wanted = frozenset(services)
    unknown = sorted(wanted - SERVICES.keys())
    if unknown:
        raise Refused(Message("There is no service {service}.", service=unknown[0]), status=422, field="services")
    ids = [service.id for service in CATALOGUE if service.id in wanted]
    if target.kind == "tier":
        put_tier(document, target.id, base_of(file, target.id), {"services": ids})
        return
    group = item(document, ["groups"], "name", target.id)
    assert group is not None, target
    set_in(group, ["services"], ids or None)


def found(text: str) -> list[Service]:
    """Services whose title, id or one of whose names has the text in it; all of them for none."""
    wanted = text.casefold()
    return [service for service in CATALOGUE if not wanted or any(wanted in each for each in _texts(service))]


def _texts(service: Service) -> Iterator[str]:
    yield from (service.id, service.vi.casefold(), service.en.casefold(), *service.names)

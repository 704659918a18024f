"""How much a release may change before a person is asked, and when content is folded: ``lists`` in publisher.yaml. Pure."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from blocklists.sources import did_you_mean
from filters.critical import CRITICAL
from filters.message import Message


def _guarded(names: frozenset[str]) -> frozenset[str]:
    for name in sorted(names - CRITICAL.keys()):
        raise ValueError(Message("{name} is not guarded{hint}", name=name, hint=did_you_mean(name, tuple(CRITICAL))))
    return names


Share = Annotated[float, Field(ge=0.0, le=1.0)]


class ListLimits(BaseModel):
    """The section, with its defaults. What is wrong in itself (no list at all, google.com in it) knows no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    new_base_share: Share = 0.10
    """a new base is cut when the overlay would change more than this part of the base's names"""
    max_changed_share: Share = 0.20
    """part of all names that a release may add, remove or move before it must be confirmed"""
    max_lost_share: Share = 0.50
    """part of a channel's own entries that may go at once; more needs --force"""
    max_popular: Annotated[int, Field(ge=0)] = 5
    """popular names that a release may newly block before it must be confirmed"""
    popular: Path | None = None
    """a file of popular names, one a line; relative to the publisher's folder"""
    may_name: Annotated[frozenset[str], AfterValidator(_guarded)] = frozenset()
    """critical names (filters/critical.py) that the channels' own entries mean"""
    fold_rows: Annotated[int, Field(ge=0)] = 100
    """rows that changes.csv may have before they are folded into list.csv"""
    fold_share: Share = 0.20
    """the same as a part of the list's rows"""
    stale_days: Annotated[int, Field(ge=1)] = 7
    """days after which a source that cannot be refreshed is named loudly"""

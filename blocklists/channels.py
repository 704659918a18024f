"""What a province publishes: one channel per authority, the categories that it may speak of, the paths of its content.

A channel is a delegated role of the province's TUF repository (TUF specification 1.0, section 4.5): whoever holds the
role's keys signs what lies under ``<channel id>/`` and nothing else. What a channel *may say* is a second wall behind the
signatures: an entry whose category is not the channel's is refused by whoever reads it, box and publisher alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from filters.category import CATEGORIES, LOCKED


class Title(NamedTuple):
    vi: str
    en: str


@dataclass(frozen=True, slots=True)
class Channel:
    id: str
    """the role's name, and the folder of its targets"""
    title: Title
    categories: frozenset[str] = frozenset()
    """what its entries may be listed as"""
    may_unlist: bool = False
    """whether an entry may also take a name out of the lists"""
    text: bool = True
    """whether it carries entries as text (blocklists/entries.py)"""
    needs_document: bool = False
    """whether an entry needs the order's number; an authority is needed in every channel"""


CHANNELS: Mapping[str, Channel] = MappingProxyType(
    {
        channel.id: channel
        for channel in (
            Channel("mandatory", Title("Danh sách bắt buộc", "Mandatory list"), LOCKED, needs_document=True),
            Channel("categories", Title("Danh sách theo danh mục", "Category lists"), frozenset(CATEGORIES) - LOCKED, may_unlist=True),
            Channel("learning", Title("Trang học tập và trợ giúp", "Sites for learning and help"), frozenset({"learning", "help"})),
            Channel("province", Title("Liên hệ và thời hạn báo cáo", "Contacts and report deadlines"), text=False),
        )
    }
)

BASE = "categories/base.tar.xz"
OVERLAY = "categories/overlay.tar.xz"
CONTACTS = "province/contacts.yaml"


def list_path(channel: Channel) -> str:
    """The target with the channel's entries as they were when the list was last written whole."""
    return f"{channel.id}/list.csv"


def changes_path(channel: Channel) -> str:
    """The target with what was added and removed since."""
    return f"{channel.id}/changes.csv"


def target_paths(channel: Channel) -> tuple[str, ...]:
    """Every target that the channel may have; each of them may be absent from a release."""
    text = (list_path(channel), changes_path(channel)) if channel.text else ()
    return {"categories": (BASE, OVERLAY), "province": (CONTACTS,)}.get(channel.id, ()) + text

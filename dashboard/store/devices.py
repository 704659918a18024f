"""Labels of devices: what IT staff calls them. Which group a device has is in the live state, not here."""

from collections.abc import Iterable, Mapping

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dashboard.store.tables import device_labels

_AT_ONCE = 500


async def labels(connection: AsyncConnection, macs: Iterable[str] | None = None) -> dict[str, str]:
    """MAC -> label, of all or of ``macs``."""
    if macs is None:
        return {row.mac: row.label for row in await connection.execute(select(device_labels))}
    wanted, found = list(macs), {}
    for at in range(0, len(wanted), _AT_ONCE):
        query = select(device_labels).where(device_labels.c.mac.in_(wanted[at : at + _AT_ONCE]))
        found.update({row.mac: row.label for row in await connection.execute(query)})
    return found


async def labelled(connection: AsyncConnection, text: str) -> frozenset[str]:
    """MACs whose label has ``text`` (lower case) in it."""
    pattern = f"%{text.replace('!', '!!').replace('%', '!%').replace('_', '!_')}%"
    query = select(device_labels.c.mac).where(func.lower(device_labels.c.label).like(pattern, escape="!"))
    return frozenset((await connection.execute(query)).scalars())


async def set_labels(connection: AsyncConnection, new: Mapping[str, str]) -> None:
    """An empty label is none."""
    macs = list(new)
    for at in range(0, len(macs), _AT_ONCE):
        await connection.execute(delete(device_labels).where(device_labels.c.mac.in_(macs[at : at + _AT_ONCE])))
    rows = [{"mac": mac, "label": label} for mac, label in new.items() if label]
    if rows:
        await connection.execute(insert(device_labels), rows)

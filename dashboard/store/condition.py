"""How the store itself is, and what waits in it for too long."""

from typing import NamedTuple

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from dashboard.insight.health import WAITS
from dashboard.store.outbox import count_overdue
from dashboard.store.requests import OPEN
from dashboard.store.tables import requests


class Condition(NamedTuple):
    version: str
    """``SQLite 3.46.1``, ``PostgreSQL 17.2``"""
    size: int
    """bytes"""
    overdue: int
    """reports that have not reached the province in time"""
    waiting: int
    """requests that nobody has answered for a day"""


async def condition(connection: AsyncConnection, now: float) -> Condition:
    """Raises StoreTrouble, as every use of the store."""
    if connection.dialect.name == "sqlite":
        name, version, size = (
            "SQLite",
            "select sqlite_version()",
            "select page_count * page_size from pragma_page_count(), pragma_page_size()",
        )
    else:
        name, version, size = "PostgreSQL", "show server_version", "select pg_database_size(current_database())"
    number = (await connection.execute(text(version))).scalar_one()
    waiting = select(func.count()).where(requests.c.state == OPEN, requests.c.at <= now - WAITS)
    return Condition(
        version=f"{name} {number}",
        size=int((await connection.execute(text(size))).scalar_one()),
        overdue=await count_overdue(connection, now),
        waiting=int((await connection.execute(waiting)).scalar_one()),
    )

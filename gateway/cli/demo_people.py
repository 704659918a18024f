"""The people of the pretend school, in a store of their own, before its dashboard starts. Passwords are made anew each time. [shell]"""

import asyncio
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import insert

from dashboard.serving import store_url
from dashboard.signing_in.passwords import hash_password
from dashboard.store.engine import Store
from dashboard.store.migrating import bring_up_to_date
from dashboard.store.tables import assignments, people, site_sets
from gateway.cli.demo_school import EXAM_SITE, SignIn
from policies.load import load

_WORDS = ["trang", "sao", "bien", "nui", "hoa", "chim", "gio", "may", "nang", "mua", "song", "cau", "vuon", "dong", "lua", "trau"]


def passwords(count: int) -> list[str]:
    """``chim-lua-4711``: enough for a demo that only this machine can reach."""
    return [f"{secrets.choice(_WORDS)}-{secrets.choice(_WORDS)}-{secrets.randbelow(9000) + 1000}" for _ in range(count)]


def move_in(config: Path, signing_in: Sequence[SignIn], language: str) -> None:
    """Make their accounts, and one set of exam sites for the whole school. Raises StoreTrouble."""
    asyncio.run(_move_in(store_url(load(config)), signing_in, language))


async def _move_in(url: str, signing_in: Sequence[SignIn], language: str) -> None:
    store = Store(url)
    try:
        await bring_up_to_date(store)
        async with store.write() as connection:
            now = time.time()
            for person in signing_in:
                values = {"login": person.login, "name": person.name, "role": person.role, "language": language, "created_at": now}
                row = insert(people).values(**values, password=await hash_password(person.password), password_at=now).returning(people.c.id)
                person_id = (await connection.execute(row)).scalar_one()
                for group in person.classes:
                    await connection.execute(insert(assignments).values(person_id=person_id, group_name=group))
            await connection.execute(insert(site_sets).values(name="Trang kiểm tra của trường", sites=[EXAM_SITE], owner_id=None))
    finally:
        await store.close()

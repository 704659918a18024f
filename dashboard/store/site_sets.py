"""Saved sets of exam sites: a teacher's own, and the school's for everybody. What is another person's own is as if it were not there."""

from collections.abc import Sequence

from sqlalchemy import Row, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dashboard.access import Person
from dashboard.lessons.site_sets import SETS, SiteSet, may_edit, refuse_too_many
from dashboard.refusal import Refused
from dashboard.store import audit
from dashboard.store.tables import site_sets
from filters.message import Message


async def usable(connection: AsyncConnection, person: Person) -> list[SiteSet]:
    """The school's sets, then this person's own, each by name."""
    query = (
        select(site_sets)
        .where(or_(site_sets.c.owner_id.is_(None), site_sets.c.owner_id == person.id))
        .order_by(site_sets.c.owner_id.is_not(None), site_sets.c.name, site_sets.c.id)
    )
    return [_set(row) for row in await connection.execute(query)]


async def one(connection: AsyncConnection, person: Person, set_id: int) -> SiteSet:
    """Raises Refused for one that there is not, or that is another person's."""
    row = None
    if 0 < set_id < 2**63:
        mine = or_(site_sets.c.owner_id.is_(None), site_sets.c.owner_id == person.id)
        row = (await connection.execute(select(site_sets).where(site_sets.c.id == set_id, mine))).one_or_none()
    if row is None:
        raise Refused(Message("There is no such set of sites."), status=404)
    return _set(row)


async def sites_of(connection: AsyncConnection, person: Person, set_ids: Sequence[int], also: Sequence[str] = ()) -> tuple[str, ...]:
    """The sites of these sets and those besides, each once. Raises Refused for too many, or an unknown set."""
    known = {each.id: each for each in await usable(connection, person)} if set_ids else {}
    if any(set_id not in known for set_id in set_ids):
        raise Refused(Message("There is no such set of sites."), status=422, field="set_ids")
    sites = dict.fromkeys([*(site for set_id in set_ids for site in known[set_id].sites), *also])
    refuse_too_many(sites)
    return tuple(sites)


async def save(
    connection: AsyncConnection,
    now: float,
    person: Person,
    name: str,
    sites: Sequence[str],
    owner_id: int | None,
    set_id: int | None = None,
) -> SiteSet:
    """A new set, or the one with ``set_id`` as it is from now on (whose it is does not change). Raises Refused."""
    if set_id is not None:
        owner_id = (await one(connection, person, set_id)).owner_id
    if not may_edit(person, owner_id):
        raise Refused(Message("The school's sets are kept by IT staff; you can make your own."), status=403)
    if not sites:
        raise Refused(Message("Write at least one site."), status=422, field="sites")
    await _refuse_name(connection, name, owner_id, set_id)
    values = {"name": name, "sites": list(sites), "owner_id": owner_id}
    if set_id is None:
        result = await connection.execute(insert(site_sets).values(**values).returning(site_sets.c.id))
        set_id = int(result.scalar_one())
    else:
        await connection.execute(update(site_sets).where(site_sets.c.id == set_id).values(**values))
    detail = {"sites": list(sites), "school": owner_id is None}
    await audit.add(connection, now, person, [audit.Entry("site-set.saved", name, detail)])
    return SiteSet(set_id, name, tuple(sites), owner_id)


async def remove(connection: AsyncConnection, now: float, person: Person, set_id: int) -> SiteSet:
    """The set, which is gone now. Raises Refused."""
    old = await one(connection, person, set_id)
    if not may_edit(person, old.owner_id):
        raise Refused(Message("The school's sets are kept by IT staff; you can make your own."), status=403)
    await connection.execute(delete(site_sets).where(site_sets.c.id == set_id))
    detail = {"sites": list(old.sites), "school": old.owner_id is None}
    await audit.add(connection, now, person, [audit.Entry("site-set.removed", old.name, detail)])
    return old


async def _refuse_name(connection: AsyncConnection, name: str, owner_id: int | None, set_id: int | None) -> None:
    """Two sets of one name could not be told apart; and nobody keeps hundreds."""
    same_owner = site_sets.c.owner_id.is_(None) if owner_id is None else site_sets.c.owner_id == owner_id
    query = select(site_sets.c.id).where(same_owner, site_sets.c.name == name)
    taken = [taken for taken in (await connection.execute(query)).scalars() if taken != set_id]
    if taken:
        raise Refused(Message("There is a set of this name already."), field="name")
    count = (await connection.execute(select(func.count()).select_from(site_sets).where(same_owner))).scalar_one()
    if set_id is None and count >= SETS:
        raise Refused(Message("There are {limit} sets already; remove some first.", limit=SETS))


def _set(row: Row[tuple[object, ...]]) -> SiteSet:
    return SiteSet(row.id, row.name, tuple(row.sites), row.owner_id)

"""How often somebody may try. Pure: ``now`` is passed in; the state is in memory, bounded, and starts empty with the process.

Promises: a password, a code or a person behind one address can be guessed at only slowly; a school of two hundred behind one address gets in at seven
o'clock; and nobody can be locked out by somebody else, because a device on which a person has signed in before (dashboard/signing_in/entry.py gives it a cookie)
is counted by itself, whatever strangers do. An attempt is counted when it begins and given back if it succeeds, so many at once find no gap.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from math import ceil

REMEMBERED = 20_000
"""limits that are being counted; beyond that the emptiest tenth is forgotten"""

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Limit:
    """``burst`` attempts at once, then one every ``every`` seconds."""

    burst: int
    every: float


PAIR = Limit(6, 60)
"""one login from one address"""
STRANGERS = Limit(40, 120)
"""one login from everywhere, devices aside that have signed in as it"""
ADDRESS = Limit(300, 2)
"""all logins from one address"""
DEVICE = Limit(10, 60)
"""a device that has signed in as this login before: somebody may have stolen it"""
CODE = Limit(6, 300)
"""second steps of one login: six digits, of which three are right at a time"""
SET_UP = Limit(10, 900)
"""codes of the set-up, by everybody together: ten in a quarter of an hour, then one"""


@dataclass(slots=True)
class Throttle:
    remembered: int = REMEMBERED
    _until: dict[Key, float] = field(default_factory=dict)
    """when a limit will be quite empty again (the generic cell rate algorithm's theoretical arrival time)"""

    def attempt(self, limits: Iterable[tuple[Key, Limit]], now: float) -> int:
        """Count an attempt against all of them and return 0, or count nothing and return the seconds to wait."""
        limits = tuple(limits)
        wait = max((self._wait(key, limit, now) for key, limit in limits), default=0.0)
        if wait > 0:
            return ceil(wait)
        for key, limit in limits:
            self._until[key] = max(self._until.get(key, now), now) + limit.every
        if len(self._until) > self.remembered:
            self._forget(now)
        return 0

    def give_back(self, limits: Iterable[tuple[Key, Limit]], now: float) -> None:
        """An attempt that was counted has succeeded."""
        for key, limit in limits:
            until = self._until.get(key, now) - limit.every
            if until > now:
                self._until[key] = until
            else:
                self._until.pop(key, None)

    def _wait(self, key: Key, limit: Limit, now: float) -> float:
        full = now + limit.burst * limit.every
        if self._until.get(key, now) > full:
            self._until[key] = full  # the clock was set back: nobody is kept out for as long as it was wrong
        return max(self._until.get(key, now), now) - now - (limit.burst - 1) * limit.every

    def _forget(self, now: float) -> None:
        """What has emptied itself; if that is nothing, those nearest to it. Whoever tries most is remembered longest."""
        for key in [key for key, until in self._until.items() if until <= now]:
            del self._until[key]
        over = len(self._until) - self.remembered
        if over > 0:
            for key in heapq.nsmallest(over + self.remembered // 10, self._until, key=self._until.__getitem__):
                del self._until[key]


def password_limits(login: str, address: str, device: str) -> tuple[tuple[Key, Limit], ...]:
    """What a password is counted against. ``device``: of a cookie that was given to this login; empty: a stranger's."""
    if device:
        return ((("device", login, device), DEVICE),)
    place = neighbourhood(address)
    return (("pair", login, place), PAIR), (("login", login), STRANGERS), (("address", place), ADDRESS)


def code_limits(login: str, device: str) -> tuple[tuple[Key, Limit], ...]:
    """What a second step is counted against: the password is known already, so the address says little."""
    return ((("code", login, device), CODE),)


def neighbourhood(address: str) -> str:
    """What one customer of a provider has: an IPv4 address, or the /64 of an IPv6 one."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or parsed.packed[:8].hex())

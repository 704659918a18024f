"""Which version of a zone is served: made anew whenever the lists or the school's rules change, with the way from the one before.

A version is the lists' identity and the policy. One that is on the journal as the last needs nothing; else the difference from the
last is worked out, if what it was made of is still at hand: in memory, or after a restart as the bundle that install.py keeps.
"""

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

import dns.name

from filters.domain_index import BadBundle, DomainIndex
from gateway.effect import Effect, tier_policy
from gateway.zones.journal import Journal
from gateway.zones.records import Change, changes, fingerprint
from gateway.zones.transfer import ServedZone
from policies.model import LocalRule, SchoolFile, Zone
from policies.socket_address import parse_secondary

log = logging.getLogger("manglanh.zone")

ZONES = "zones"
"""the folder below ``lists.directory``"""


class ZoneVersions:
    """One zone's. ``take_up`` may take seconds, so it runs in a thread, one call at a time."""

    def __init__(self, name: str, lists: Path) -> None:
        self._origin = dns.name.from_text(name)
        self._lists = lists
        self._journal = Journal(lists / ZONES / name)
        self._effect: Effect | None = None

    def take_up(self, zone: Zone, file: SchoolFile, rules: Iterable[LocalRule], index: DomainIndex, now: float) -> tuple[ServedZone, float]:
        """What is served from now on, and until when (Unix seconds): then a rule of the school ends. ``rules`` are those of the state."""
        effect = Effect(tier_policy(file, rules, zone.tier, now), index)
        policy, last = fingerprint(effect), self._journal.current
        if last is not None and (last.bundle, last.policy) == (index.identity, policy):
            serial = last.serial
        else:
            serial = self._journal.advance(index.identity, policy, self._way_to(effect, policy), now)
            log.info("zone %s is at serial %d: bundle %s", zone.name, serial, index.identity[:12])
        self._effect = effect
        addresses = frozenset(parse_secondary(text)[0] for text in zone.secondaries)
        served = ServedZone(self._origin, serial, effect, addresses, zone.sign, self._journal.since)
        return served, effect.policy.valid_until

    def _way_to(self, effect: Effect, policy: str) -> Iterator[Change] | None:
        before = self._effect or self._before_the_restart(effect, policy)
        return None if before is None else changes(before, effect)

    def _before_the_restart(self, effect: Effect, policy: str) -> Effect | None:
        """What the journal's last version was made of, if only the lists have changed since and those of then are still there."""
        last = self._journal.current
        if last is None or last.policy != policy or not last.bundle:
            return None
        try:
            return Effect(effect.policy, DomainIndex.open(self._lists / last.bundle, effect.index))
        except BadBundle:
            return None

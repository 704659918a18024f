"""What a visitor has begun and not finished: a second step, a sign-in at the school's provider, a set-up whose form came back. Pure.

In memory, short-lived and bounded; keys are secrets of the visitor or random, so nobody finds another's.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

REMEMBERED = 2000


@dataclass(slots=True)
class Pending:
    remembered: int = REMEMBERED
    _kept: OrderedDict[tuple[str, str], tuple[float, Any]] = field(default_factory=OrderedDict)

    def keep(self, kind: str, key: str, value: object, until: float) -> None:
        self._kept.pop((kind, key), None)
        self._kept[kind, key] = until, value
        while len(self._kept) > self.remembered:
            self._kept.popitem(last=False)

    def look(self, kind: str, key: str, now: float) -> Any | None:
        until, value = self._kept.get((kind, key), (0.0, None))
        return value if until > now else None

    def take(self, kind: str, key: str, now: float) -> Any | None:
        """The same, and it is gone: what may happen once."""
        until, value = self._kept.pop((kind, key), (0.0, None))
        return value if until > now else None

"""The public lists of ``lists/sources.yaml`` fetched into ``work/cache``, a few at a time; and how fresh each copy is. Pure but for its fetcher.

A list that cannot be had keeps its last good copy and is named; nothing here decides whether that is good enough.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from blocklists.fetch import Fetcher, Progress, Unavailable
from blocklists.sources import ListSource
from filters.message import joined

PARALLEL = 4
"""lists that are fetched at the same time: enough to keep a line busy, few enough for the servers that give them away"""
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class SourceState:
    """How it went with one list."""

    name: str
    url: str
    has_copy: bool
    refreshed_at: float = 0.0
    """Unix seconds when the copy was last known to be the newest; 0: there is none"""
    problem: str = ""
    """why it could not be refreshed; empty: it was"""

    def days_old(self, now: float) -> int:
        """Whole days since it was last refreshed."""
        return max(0, int((now - self.refreshed_at) // _DAY))

    def is_stale(self, now: float, days: int) -> bool:
        """Whether there is a copy, and refreshing it has failed for more than ``days``."""
        return self.has_copy and bool(self.problem) and now - self.refreshed_at > days * _DAY


def refresh(
    sources: Sequence[ListSource], fetcher: Fetcher, progress: Progress, done: Callable[[str], None] = lambda _: None
) -> tuple[SourceState, ...]:
    """Fetch every list that has a URL, in the order of ``sources``. ``progress`` hears bytes, ``done`` each URL that is through."""
    urls = list(dict.fromkeys(source.url for source in sources if source.url))  # two categories may share a file; it is fetched once

    def one(url: str) -> SourceState:
        state = _state(url, fetcher, progress)
        done(url)
        return state

    executor = ThreadPoolExecutor(PARALLEL)
    try:
        states = dict(zip(urls, executor.map(one, urls), strict=True))
    finally:
        executor.shutdown(cancel_futures=True)  # an interrupted run does not start the rest
    return tuple(replace(states[source.url], name=source.name) for source in sources if source.url)


def _state(url: str, fetcher: Fetcher, progress: Progress) -> SourceState:
    try:
        fetched = fetcher.fetch(url, progress)
    except Unavailable as error:
        return SourceState("", url, has_copy=False, problem=error.why)
    return SourceState("", url, has_copy=True, refreshed_at=fetched.refreshed_at, problem=joined(fetched.notes, " "))

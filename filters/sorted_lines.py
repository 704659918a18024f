"""More lines than fit the memory as strings, sorted. Pure.

Sorted runs, each compressed in small blocks, and merged while they are read: a million names cost some ten megabytes instead
of a hundred and fifty. The same lines in any order come back in the same order. A line has no line break.
"""

import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import islice

_RUN = 100_000
"""lines sorted in one go; as strings they are some 8 MB"""
_BLOCK = 4096
"""lines compressed together; while it is read, each run holds one block as strings"""


class SortedLines:
    """Reads ``lines`` to the end at once; can be iterated any number of times."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._runs: list[list[bytes]] = []
        remaining = iter(lines)
        while run := sorted(islice(remaining, _RUN)):
            self._runs.append([zlib.compress("\n".join(run[at : at + _BLOCK]).encode(), 1) for at in range(0, len(run), _BLOCK)])

    def __iter__(self) -> Iterator[str]:
        runs = [map(_lines, run) for run in self._runs]
        heads: list[list[str]] = [[] for _ in runs]
        while any(heads := [head or next(run, []) for head, run in zip(heads, runs, strict=True)]):
            # What comes before the earliest end of these blocks comes before all that is still packed. Sorting a few sorted pieces
            # costs a third of merging them line by line.
            end = min(head[-1] for head in heads if head)
            ready: list[str] = []
            for head in heads:
                cut = bisect_right(head, end)
                ready += head[:cut]
                del head[:cut]
            yield from sorted(ready)


def _lines(block: bytes) -> list[str]:
    return zlib.decompress(block).decode().split("\n")

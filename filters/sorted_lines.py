"""More lines than fit the memory as strings, sorted. Pure.

Sorted runs, each compressed in small blocks, and merged while they are read: a million names cost some ten megabytes instead
of a hundred and fifty. The same lines in any order come back in the same order. A line has no line break.
"""

import zlib
from collections.abc import Iterable, Iterator
from heapq import merge
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
        return merge(*map(_lines, self._runs))


def _lines(run: Iterable[bytes]) -> Iterator[str]:
    for block in run:
        yield from zlib.decompress(block).decode().split("\n")

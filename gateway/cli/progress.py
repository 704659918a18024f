"""Progress bars on standard error, for what takes more than a second; nothing when nobody looks."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

_MEGABYTE = 1_000_000


class Step(Protocol):
    """Moves a progress bar."""

    def __call__(self, name: str, count: int = 1, /) -> None: ...


@contextmanager
def counting(title: str, total: int) -> Iterator[Step]:
    """A bar that moves with every call and shows the name that it was given."""
    if not sys.stderr.isatty():
        yield lambda _name, _count=1: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total)

        def step(name: str, count: int = 1) -> None:
            bar.update(task, advance=count, description=f"{title}: {name}"[:60])

        yield step


@contextmanager
def downloading(title: str, total: int) -> Iterator[tuple[Callable[[str, int, int], None], Callable[[str], None]]]:
    """A bar over ``total`` downloads: what hears the bytes of each (blocklists/fetch.py), and what hears that one is through."""
    with counting(title, total) as step:
        received: dict[str, int] = {}

        def heard(url: str, count: int, _expected: int) -> None:
            received[url] = count
            step(_megabytes(sum(list(received.values()))), 0)

        yield heard, lambda _url: step(_megabytes(sum(list(received.values()))))


def _megabytes(count: int) -> str:
    return f"{count / _MEGABYTE:.1f} MB"

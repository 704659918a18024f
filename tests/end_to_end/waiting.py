"""Waiting for a condition with a deadline: what end-to-end tests do instead of sleeping."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
DEADLINE = 15.0


def eventually(check: Callable[[], T], what: str, seconds: float = DEADLINE) -> T:
    """The first true value of ``check``. Raises AssertionError naming ``what`` when none comes in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.01)

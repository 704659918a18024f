"""More lines than a run or a block holds come back sorted, each as often as it was given, and any number of times."""

import random

import pytest

from filters import sorted_lines
from filters.sorted_lines import SortedLines


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 20, 100])
def test_lines_across_runs_and_blocks(monkeypatch, count):
    monkeypatch.setattr(sorted_lines, "_RUN", 20)
    monkeypatch.setattr(sorted_lines, "_BLOCK", 7)
    lines = [f"vn.com.n{number % 60}. {number % 3}" for number in range(count)]
    random.Random(1).shuffle(lines)
    kept = SortedLines(iter(lines))
    assert list(kept) == sorted(lines)
    assert list(kept) == sorted(lines)

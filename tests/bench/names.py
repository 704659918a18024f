"""The names and questions of a benchmark: real lists where they lie beside the checkout, made-up names elsewhere.

The same arguments give the same names and the same questions. No listed name covers a popular one and none is a public
suffix, so every server is asked for the same answers.
"""

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from publicsuffixlist import PublicSuffixList

SHARED_LISTS = Path(__file__).resolve().parents[2] / ".." / "shared" / "lists"
SEED = 111
POPULAR = 5_000
"""popular names in the mix"""
WORKING_SET = 5_000
"""blocked names in the mix: what a school's devices keep asking for"""
BLOCKED_SHARE = 0.2
QUESTIONS = 100_000

_HOST = re.compile(r"(?=.{4,200}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_SYLLABLES = ("an", "binh", "chi", "dung", "giang", "hoa", "kim", "lan", "minh", "nga", "phuc", "quang", "son", "thao", "vinh", "xuan")
_ENDINGS = ("com", "net", "vn", "com.vn", "org", "xyz", "top", "info", "edu.vn", "club")


def popular_names() -> list[str]:
    """Names that people ask for; first the most popular one."""
    path = SHARED_LISTS / "opendns" / "top-domains.txt"
    if path.is_file():
        names = (line.strip().lower() for line in path.read_text().splitlines())
        return [name for name in islice(names, POPULAR) if _HOST.fullmatch(name)]
    return [f"www.site{number}.example" for number in range(POPULAR)]


def blocked_names(count: int | None, popular: Sequence[str]) -> list[str]:
    """``count`` names to block (None: as many real ones as there are, or a million made-up ones)."""
    real = _usable(_real_names(), popular)
    if count is None:
        return real or synthetic_names(1_000_000)
    if count <= len(real):
        return sorted(random.Random(SEED).sample(real, count))
    return real + synthetic_names(count - len(real))


def synthetic_names(count: int) -> list[str]:
    dice = random.Random(SEED)
    return [f"{dice.choice(_SYLLABLES)}{dice.choice(_SYLLABLES)}{number}.{dice.choice(_ENDINGS)}" for number in range(count)]


def _real_names() -> Iterator[str]:
    for pattern in ("hostsvn/*/domain.txt", "blocklistproject/*-nl.txt", "ut1/*/domains"):
        for path in sorted(SHARED_LISTS.glob(pattern)):
            for line in path.read_text(errors="replace").splitlines():
                yield line.strip().lower()


def _usable(names: Iterable[str], popular: Sequence[str]) -> list[str]:
    suffixes = PublicSuffixList()
    kept = {parent for name in popular for parent in _parents(name)}
    return sorted(name for name in set(names) - kept if _HOST.fullmatch(name) and not suffixes.is_public(name))


def _parents(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.partition(".")[2]


def mix(popular: Sequence[str], blocked: Sequence[str]) -> list[str]:
    """Questions as a school asks them: a fifth for blocked names, few names often and many seldom (Zipf)."""
    dice = random.Random(SEED)
    working_set = dice.sample(blocked, min(WORKING_SET, len(blocked)))
    blocked_count = int(QUESTIONS * BLOCKED_SHARE)
    questions = _zipf(dice, popular, QUESTIONS - blocked_count) + _zipf(dice, working_set, blocked_count)
    dice.shuffle(questions)
    return [f"{name} A" for name in questions]


def _zipf(dice: random.Random, names: Sequence[str], count: int) -> list[str]:
    return dice.choices(names, weights=[1 / rank for rank in range(1, len(names) + 1)], k=count)


def write_lines(path: Path, lines: Iterable[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path

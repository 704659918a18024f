"""A province's publisher for the benchmarks: its folder and its keys, made and used with the real commands, and the public lists that it compiles.

The public lists lie on a web server, as in life: the publisher fetches them with ``publish fetch``, a standalone box with ``lists compile``.
"""

import os
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from zlib import crc32

import yaml

from blocklists.entries import ListEntry, format_entries
from tests.bench import command, names
from tests.bench.command import Taken
from tests.bench.servers import COMMAND

NAMES = 1_300_000
QUICK_NAMES = 20_000
MANDATORY, LEARNING = 1_000, 50
CHURN = 0.01
SHARES = {"adult": 40, "phishing": 25, "gambling": 15, "malware": 12, "ads": 8}
"""of a hundred names, how many are in which category's list; one in twenty is in the next list too"""
AUTHORITY = "Công an tỉnh"
DAY = date(2026, 11, 20)
PROVINCE = "Tỉnh Đo Tốc Độ"
CONTACTS = {"name": PROVINCE, "hotlines": [{"name": "Tổng đài quốc gia bảo vệ trẻ em", "number": "111"}]}


@dataclass(frozen=True)
class Publisher:
    site: Path
    """what the web server serves: ``lists/``, the public ones, and ``repository/``"""

    @property
    def folder(self) -> Path:
        return self.site.with_name("publisher")

    @property
    def passphrases(self) -> Path:
        return self.site.with_name("passphrase")

    @property
    def sources(self) -> Path:
        return self.folder / "lists" / "sources.yaml"

    def publish(self, *words: str, core: int | None = None) -> Taken:
        """``manglanh publish ...`` in this folder. Raises CommandFailed."""
        secret = ["--passphrase-file", str(self.passphrases)] if words[0] in {"sign", "release", "refresh"} else []
        return command.run([COMMAND, "publish", *words, *secret, "--folder", self.folder], core=core)

    def stage(self, *words: str, core: int | None = None) -> Taken:
        return self.publish("stage", "--yes", *words, core=core)

    def sign(self) -> None:
        """With every key that something waits for: all lie on this computer."""
        self.publish("sign", "--yes")

    def release(self, *words: str) -> Taken:
        return self.publish("release", *words)

    def compile_as_a_box(self, directory: Path, core: int | None = None) -> Taken:
        """What a box does that has no publisher: the same public lists, fetched and compiled into ``directory``."""
        return command.run([COMMAND, "lists", "compile", "--sources", self.sources, "--out", directory], core=core)

    def ready_urgent(self, name: str) -> None:
        """Everything up to ``publish release --urgent``: one more mandatory entry, staged and signed by two authorities."""
        self.publish(*_order(name))
        self.stage("--urgent")
        self.sign()


def _order(name: str) -> list[str]:
    return ["add", name, "--category", "unlawful", "--authority", AUTHORITY, "--document", "0999/QĐ-CAT", "--reason", "lừa đảo phụ huynh"]


def create(site: Path, url: str) -> Publisher:
    """An empty publisher with all its keys, two of which must sign what is mandatory. ``url``: where ``site`` is served."""
    publisher = Publisher(site)
    publisher.passphrases.write_text("a long passphrase for a benchmark\n")
    publisher.passphrases.chmod(0o600)
    (site / "repository").symlink_to(publisher.folder / "repository")
    secret = ["--passphrase-file", str(publisher.passphrases)]
    command.run([COMMAND, "publish", "init", publisher.folder, "--name", PROVINCE, "--trial", *secret])
    for channel, entries in (("mandatory", orders(MANDATORY)), ("learning", lessons(LEARNING))):
        _write(publisher.folder / "lists" / f"{channel}.csv", format_entries(entries).decode())
    _write(publisher.folder / "lists" / "contacts.yaml", yaml.safe_dump(CONTACTS, allow_unicode=True))
    sources = [
        {"name": category, "category": category, "format": "domains", "licence": "made up", "url": f"{url}/lists/{category}.txt"}
        for category in SHARES
    ]
    _write(publisher.sources, yaml.safe_dump({"sources": sources}))
    return publisher


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def orders(count: int) -> list[ListEntry]:
    """Entries as long as real ones."""
    return [
        ListEntry(
            f"don-{number:04}.mandatory.example", "unlawful", AUTHORITY, f"{number:04}/QĐ-CAT", "lừa đảo chiếm đoạt tài sản", DAY, None
        )
        for number in range(count)
    ]


def lessons(count: int) -> list[ListEntry]:
    return [ListEntry(f"bai-{number:02}.hoc.example", "learning", "Sở GD&ĐT", "", "học liệu", DAY, None) for number in range(count)]


def write_public_lists(publisher: Publisher, listed: Sequence[str]) -> None:
    """The lists that the web server offers, newer than those that it offered before."""
    folder = publisher.site / "lists"
    folder.mkdir(parents=True, exist_ok=True)
    lists: dict[str, list[str]] = {category: [] for category in SHARES}
    for name in listed:
        for category in categories_of(name):
            lists[category].append(name)
    for category, found in lists.items():
        path = folder / f"{category}.txt"
        before = path.stat().st_mtime if path.exists() else 0.0
        names.write_lines(path, found)
        if path.stat().st_mtime < before + 1:  # HTTP dates have whole seconds
            os.utime(path, (before + 1, before + 1))


def categories_of(name: str) -> Iterable[str]:
    """Always the same for the same name, whatever else is listed."""
    dice = crc32(name.encode())
    ordered = list(SHARES)
    place, below = dice % 100, 0
    for number, category in enumerate(ordered):
        below += SHARES[category]
        if place < below:
            return {category, ordered[(number + 1) % len(ordered)]} if dice // 100 % 20 == 0 else {category}
    return ()


@dataclass(frozen=True)
class Population:
    """The names of a first release, and names of the same kind that are not in it."""

    listed: tuple[str, ...]
    spare: tuple[str, ...]

    def churned(self, gone: int) -> list[str]:
        """The list with so many names gone and as many new ones come, sorted."""
        dice = random.Random(names.SEED)
        left = set(dice.sample(self.listed, len(self.listed) - gone))
        return sorted(left | set(self.spare[:gone]))


def population(count: int, popular: Sequence[str]) -> Population:
    gone = max(int(count * CHURN), 1)
    found = names.blocked_names(count + gone, popular)
    random.Random(names.SEED).shuffle(found)
    return Population(tuple(sorted(found[gone:])), tuple(found[:gone]))

"""A school's box for the benchmarks: its files, and ``manglanh update --once`` upon them."""

import errno
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.bench import command
from tests.bench.servers import COMMAND


@dataclass(frozen=True)
class Box:
    directory: Path

    @property
    def config(self) -> Path:
        return self.directory / "school.yaml"

    @property
    def lists(self) -> Path:
        return self.directory / "lists"

    def update(self) -> Mapping[str, Any]:
        """One look at the publisher; what ``manglanh update --once --json`` says. Raises CommandFailed."""
        taken = command.run([COMMAND, "update", "--once", "--json", "--config", self.config])
        said: Mapping[str, Any] = json.loads(taken.output)
        return {**said, "seconds": taken.seconds, "peak": taken.peak}


def create(directory: Path, url: str, root: Path, *, port: int = 53, upstream: int = 53, poll: int = 60) -> Box:
    """A box that trusts ``root`` and takes its lists from ``url``; it has none yet."""
    box = Box(directory)
    directory.mkdir(parents=True)
    shutil.copyfile(root, directory / "root.json")
    province = {"name": "Tỉnh Đo Tốc Độ", "publisher": {"urls": [url], "root": "root.json"}}
    (directory / "province.yaml").write_text(yaml.safe_dump(province, allow_unicode=True))
    school = {
        "school": {"name": "Trường đo tốc độ", "province": "province.yaml"},
        "dns": {"listen": [f"127.0.0.1:{port}"], "workers": 1, "upstreams": [f"127.0.0.1:{upstream}"], "allow_from": ["127.0.0.0/8"]},
        "lists": {"directory": str(box.lists), "poll": poll},
        "state": str(directory / "state.json"),
        "tiers": {"bench": {"title": {"vi": "Đo tốc độ", "en": "Benchmark"}, "categories": {"gambling": "block"}}},
        "groups": [{"name": "lop", "tier": "bench", "clients": ["127.0.0.0/8"]}],
    }
    box.config.write_text(yaml.safe_dump(school, allow_unicode=True))
    return box


def like(box: Box, directory: Path, url: str, root: Path, **more: int) -> Box:
    """Another box that has followed the publisher up to where ``box`` is.

    Bundles and kept files, which are only ever replaced by renaming, are links to the same bytes; the rest is its own.
    """
    other = create(directory, url, root, **more)
    shutil.copytree(box.lists, other.lists, symlinks=True, copy_function=_linked)
    return other


def _linked(source: str, target: str) -> str:
    path = Path(source)
    if path.parent.name in {"lists", "tuf", "metadata", "root_history"}:  # locks, records and metadata
        return str(shutil.copy2(source, target))
    try:
        Path(target).hardlink_to(path)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copy2(source, target)
    return target

"""A province for the benchmarks: a publisher, the public lists that it compiles, and Debian's nginx in front of both."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench import box, nginx, publisher
from tests.bench.box import Box
from tests.bench.command import Taken
from tests.bench.nginx import WebServer
from tests.bench.publisher import Population, Publisher
from tests.bench.setting import Result, Setting

PUBLISHER, STANDALONE = "publisher", "box"


@dataclass(frozen=True)
class Province:
    directory: Path
    web: WebServer
    publisher: Publisher
    names: Population

    @property
    def url(self) -> str:
        """Of the repository."""
        return f"{self.web.url}/repository"

    @property
    def root(self) -> Path:
        return self.publisher.folder / "root.json"

    def box(self, name: str) -> Box:
        return box.create(self.directory / name, self.url, self.root)


@contextmanager
def province(setting: Setting) -> Iterator[Province]:
    """With the first public lists on the web server, and nothing released yet."""
    directory = setting.directory / "province"
    site = directory / "site"
    site.mkdir(parents=True)
    with nginx.serving(site, directory / "nginx", setting.load_core) as web:
        names = publisher.population(publisher.QUICK_NAMES if setting.quick else publisher.NAMES, setting.popular)
        made = publisher.create(site, web.url)
        publisher.write_public_lists(made, names.listed)
        yield Province(directory, web, made, names)


def measure_compile(setting: Setting, found: Province) -> None:
    """What a box without a publisher does at night, fetching from loopback included; each round in a new folder."""
    for number in range(1, _rounds(setting) + 1):
        taken = found.publisher.compile_as_a_box(found.directory / f"standalone-{number}", core=setting.server_core)
        _record(setting, STANDALONE, "`lists compile`, fetching included", number, taken, len(found.names.listed))


def first_release(setting: Setting, found: Province, *, measured: bool) -> None:
    """Fetch, stage, sign, release; ``measured``: stage once a round, which is the same work each time as long as nothing is released."""
    found.publisher.publish("fetch")
    for number in range(1, _rounds(setting) + 1 if measured else 2):
        taken = found.publisher.stage(core=setting.server_core)
        if measured:
            _record(setting, PUBLISHER, "`publish stage`, a first base", number, taken, len(found.names.listed))
    found.publisher.sign()
    found.publisher.release()


def churned_release(setting: Setting, found: Province, gone: int, case: str) -> None:
    """The public lists change; what the publisher does each night, up to the release. Staging is recorded."""
    publisher.write_public_lists(found.publisher, found.names.churned(gone))
    found.publisher.publish("fetch")
    taken = found.publisher.stage(core=setting.server_core)
    _record(setting, PUBLISHER, f"`publish stage` upon the released base, {case}", 1, taken, len(found.names.listed))
    found.publisher.sign()
    found.publisher.release()


def _rounds(setting: Setting) -> int:
    return min(setting.rounds, 3)


def _record(setting: Setting, server: str, case: str, number: int, taken: Taken, names: int) -> None:
    detail = {"peak_mb": taken.peak / 1e6, "cpu_s": taken.cpu, "names": names}
    setting.record(Result("lists", server, taken.seconds, "s", number, case, detail))

"""What a box fetches: at first, when lists changed, for one urgent name, and when nothing is new.

Each case is one ``manglanh update --once`` (two look ahead in time, through the same code) against nginx, whose log counts bytes of
requests and responses; what the box itself counted stands beside it.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from blocklists.box.asking import LOOK_AT_ALL, Place
from blocklists.box.download import Downloader
from blocklists.box.mirrors import Mirrors
from blocklists.box.release_record import read_status
from blocklists.box.update import poll
from blocklists.publisher.keys import open_signer, private_keys
from blocklists.publisher.releasing import refresh
from blocklists.publisher.workspace import open_workspace
from tests.bench import box
from tests.bench.box import Box
from tests.bench.nginx import Request, WebServer, new_connections, total
from tests.bench.province import Province, churned_release
from tests.bench.publisher import CHURN, MANDATORY, Publisher
from tests.bench.setting import Result, Setting

FIRST = "a first update"
CHURNED = "1 % churn: half of it gone, half of it new"
MUCH_CHURNED = "1 % gone and 1 % new"
URGENT = f"one urgent name beside {MANDATORY:,}"
NOTHING = "nothing new, a connection of its own"
HOURLY = "the hourly look at everything"
TIMESTAMP = "a new timestamp and nothing else"
LOG_WITHIN = 5.0
LATER = 2 * 86400.0
"""seconds after which a timestamp that stands for three days is signed again"""


@dataclass(frozen=True)
class Exchange:
    requests: Sequence[Request]
    """by nginx's log"""
    counted: int
    """bytes by the box's own count; -1: it says none"""


def measure_transfer(setting: Setting, found: Province) -> Box:
    """Needs the first release; returns a box that has everything released."""
    ours = found.box("box")
    first = exchanged(found.web, lambda: _counted(ours))
    base = total([request for request in first.requests if request.path.endswith("base.tar.xz")])
    _record(setting, FIRST, first, base)
    count = len(found.names.listed)
    for case, share in ((CHURNED, CHURN / 2), (MUCH_CHURNED, CHURN)):
        churned_release(setting, found, max(int(count * share), 1), case)
        _record(setting, case, exchanged(found.web, lambda: _counted(ours)), base)
    found.publisher.ready_urgent("transfer.bench.example")
    found.publisher.release("--urgent")
    _record(setting, URGENT, exchanged(found.web, lambda: _counted(ours)), base)
    _record(setting, NOTHING, exchanged(found.web, lambda: _silent(ours)), base)
    # Their clocks are ahead, so boxes of their own: nothing that comes later meets a record from the future.
    hourly, daily = (box.like(ours, found.directory / name, found.url, found.root) for name in ("hourly", "daily"))
    _record(setting, HOURLY, exchanged(found.web, lambda: _look(hourly, found.url, LOOK_AT_ALL + 60)), base)
    _sign_timestamp(found.publisher)
    _record(setting, TIMESTAMP, exchanged(found.web, lambda: _look(daily, found.url, 0)), base)
    ours.update()
    return ours


def exchanged(web: WebServer, action: Callable[[], tuple[int, int]]) -> Exchange:
    """What ``action`` makes a box exchange with ``web``; ``action`` returns the requests and bytes that the box counted.

    nginx writes its line after the answer, so the log is waited for.
    """
    before = len(web.requests())
    requests, counted = action()
    deadline = time.monotonic() + LOG_WITHIN
    while len(web.requests()) < before + max(requests, 1) and time.monotonic() < deadline:
        time.sleep(0.01)
    return Exchange(web.requests()[before:], counted)


def _counted(ours: Box) -> tuple[int, int]:
    before = read_status(ours.lists)
    said = ours.update()
    counted = said["received"] + said["sent"] - before.received - before.sent
    return said["requests"] - before.requests, counted


def _silent(ours: Box) -> tuple[int, int]:
    """A poll that finds nothing new does not write its count down at once."""
    ours.update()
    return 1, -1


def _look(ours: Box, url: str, ahead: float) -> tuple[int, int]:
    """One poll whose clock is ``ahead`` seconds ahead."""
    downloader = Downloader()
    place = Place(ours.lists, (ours.directory / "root.json").read_bytes(), Mirrors([url], random.random), downloader, time.monotonic)
    before = read_status(ours.lists)
    try:
        status = poll(place, time.time() + ahead).status
    finally:
        downloader.close()
    return status.requests - before.requests, status.received + status.sent - before.received - before.sent


def _sign_timestamp(publisher: Publisher) -> None:
    """As ``publish refresh`` will when the timestamp grows old."""
    workspace = open_workspace(publisher.folder)
    secret = publisher.passphrases.read_text().strip()
    online = [path for path in private_keys(workspace.keys).values() if path.stem == "online"]
    refresh(workspace, [open_signer(path, lambda _: secret) for path in online], time.time() + LATER)


def _record(setting: Setting, case: str, exchange: Exchange, base: int) -> None:
    requests = exchange.requests
    detail = {
        "requests": len(requests),
        "connections": new_connections(requests),
        "sent": sum(request.sent for request in requests),
        "counted": exchange.counted,
        "base": base,
        "statuses": dict(Counter(str(request.status) for request in requests)),
        "paths": [request.path.rpartition("/")[2][-40:] for request in requests],
    }
    setting.record(Result("transfer", "box", total(requests), "bytes", 1, case, detail))

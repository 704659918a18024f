"""The servers under test: ours and its peers, each with the same names, one thread, large caches and no logging.

A ``Kind`` writes its configuration into a directory and says how it is started. What each is tuned with stands in its
own function, so that anyone who knows a peer better can mend it there.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.bench import processes

COMMAND = Path(sys.executable).with_name("manglanh")
CHECKOUT = Path(__file__).resolve().parents[2]
GROUP = "lop"
NO_LIMIT = 10_000_000
NOERROR, NXDOMAIN = 0, 3


@dataclass(frozen=True)
class Place:
    """Where one server lives, and what it is to serve."""

    directory: Path
    port: int
    upstream_port: int
    names: Path
    """the blocked names, one a line"""
    bundle: Path
    """``lists.directory`` of ours, compiled from ``names``"""
    responder: Path
    """the C program that is the upstream, and the limit"""
    workers: int = 1
    groups: Mapping[str, Sequence[str]] = field(default_factory=lambda: {GROUP: ("127.0.0.0/8",)})

    @property
    def state(self) -> Path:
        return self.directory / "state.json"

    def write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(text)
        return path


@dataclass(frozen=True)
class Kind:
    name: str
    title: str
    version: Callable[[], str]
    """'' where it is not installed"""
    prepare: Callable[[Place], list[str]]
    """writes the configuration; returns the command"""
    environment: Mapping[str, str] = field(default_factory=dict)
    reload: Callable[[Place, processes.Running], None] | None = None
    """makes it read its list again while it serves; None: it cannot"""
    ours: bool = False
    blocked_rcode: int = NXDOMAIN
    """what it answers for a blocked name"""
    start_seconds: float = 90.0


@dataclass(frozen=True)
class Server:
    kind: Kind
    place: Place
    running: processes.Running
    ready_after: float
    """seconds from exec to the first right answer of a blocked name"""


@contextmanager
def serving(kind: Kind, place: Place, core: int | None, blocked: str) -> Iterator[Server]:
    """A started server that has answered for ``blocked``, a blocked name, as it should. Raises processes.NotRunning."""
    place.directory.mkdir(parents=True, exist_ok=True)
    command = kind.prepare(place)
    log = place.directory / "log"
    environment = {**kind.environment, "RUNTIME_DIRECTORY": str(place.directory / "run")}
    with processes.running(command, port=place.port, log=log, core=core, environment=environment) as running:
        ready_after = processes.await_rcode(running, blocked, kind.blocked_rcode, kind.start_seconds)
        yield Server(kind, place, running, ready_after)


def _names(place: Place) -> Iterator[str]:
    with place.names.open() as lines:
        for line in lines:
            yield line.rstrip("\n")


# ---- ours ----


def write_school(place: Place) -> Path:
    """One tier that blocks what the bundle lists, with every protection of the defaults on; limits that never bite."""
    school = {
        "school": {"name": "Trường đo tốc độ"},
        "dns": {
            "listen": [f"127.0.0.1:{place.port}"],
            "workers": place.workers,
            "upstreams": [f"127.0.0.1:{place.upstream_port}"],
            "allow_from": ["127.0.0.0/8"],
            "limits": {"queries_per_second": NO_LIMIT, "burst": NO_LIMIT},
        },
        "lists": {"directory": str(place.bundle)},
        "state": str(place.state),
        "tiers": {"bench": {"title": {"vi": "Đo tốc độ", "en": "Benchmark"}, "categories": {"gambling": "block"}}},
        "groups": [{"name": name, "tier": "bench", "clients": list(clients)} for name, clients in place.groups.items()],
    }
    return place.write("school.yaml", yaml.safe_dump(school, allow_unicode=True))


def _prepare_ours(place: Place) -> list[str]:
    metrics = f"127.0.0.1:{processes.free_port()}"
    return [str(COMMAND), "resolver", "--config", str(write_school(place)), "--metrics", metrics]


def _version_ours() -> str:
    if not COMMAND.exists():
        return ""
    done = subprocess.run([COMMAND, "resolver", "--help"], capture_output=True, timeout=60, check=False)
    return f"manglanh, Python {sys.version.split()[0]}" if done.returncode == 0 else ""


def _version_compiled() -> str:
    return _version_ours() if any((CHECKOUT / "gateway").glob("*.so")) else ""


def compile_bundle(names: Path, directory: Path) -> float:
    """``manglanh lists compile`` of one list of names; returns the seconds it took. Raises CalledProcessError."""
    directory.mkdir(parents=True, exist_ok=True)
    source = {"name": "bench", "category": "gambling", "format": "domains", "path": str(names), "licence": "none"}
    sources = directory.parent / f"{directory.name}.sources.yaml"
    sources.write_text(yaml.safe_dump({"sources": [source]}))
    began = time.monotonic()
    command = [str(COMMAND), "lists", "compile", "--sources", str(sources), "--out", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise RuntimeError(f"manglanh lists compile: {done.stderr.strip() or done.stdout.strip()}")
    return time.monotonic() - began


def write_state(place: Place, generation: int, mode: str | None) -> float:
    """Puts the group in ``mode`` (None: its tier) as ``manglanh mode`` does; returns time.monotonic() before the rename."""
    wall = time.time()
    override = {"group": GROUP, "mode": mode, "since": wall - 1, "until": wall + 3600, "by": "bench"}
    state = {"generation": generation, "written_at": wall, "overrides": [override] if mode else []}
    new = place.write("state.json.new", json.dumps(state))
    before = time.monotonic()
    new.replace(place.state)
    return before


def point_current(lists: Path, bundle: str) -> float:
    """Replaces ``current`` in one step; returns time.monotonic() before it."""
    link = lists / "current.new"
    link.unlink(missing_ok=True)
    link.symlink_to(bundle)
    before = time.monotonic()
    link.replace(lists / "current")
    return before


# ---- peers ----

UNBOUND = """
server:
  interface: 127.0.0.1@{port}
  access-control: 127.0.0.0/8 allow
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{directory}"
  pidfile: ""
  use-syslog: no
  verbosity: 0
  num-threads: 1
  module-config: "{modules}"
  do-not-query-localhost: no
  do-ip6: no
  msg-cache-size: 128m
  rrset-cache-size: 256m
  so-rcvbuf: 8m
  so-sndbuf: 8m
  outgoing-range: 8192
  num-queries-per-thread: 4096
  minimal-responses: yes
{extra}
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@{upstream_port}
"""


def _prepare_unbound(place: Place) -> list[str]:
    zones = place.write("blocked.conf", "server:\n" + "".join(f'local-zone: "{name}" always_nxdomain\n' for name in _names(place)))
    return _unbound(place, "iterator", extra=f'include: "{zones}"')


def _prepare_unbound_rpz(place: Place) -> list[str]:
    zone = _write_rpz(place)
    return _unbound(place, "respip iterator", extra=f"rpz:\n  name: rpz.bench\n  zonefile: {zone}\n")


def _unbound(place: Place, modules: str, extra: str) -> list[str]:
    values = {"port": place.port, "directory": place.directory, "upstream_port": place.upstream_port}
    path = place.write("unbound.conf", UNBOUND.format(modules=modules, extra=extra, **values))
    return ["unbound", "-d", "-c", str(path)]


def _write_rpz(place: Place) -> Path:
    """Each name and everything below it: NXDOMAIN."""
    head = "$TTL 3600\n@ SOA localhost. root.localhost. 1 3600 3600 3600 3600\n@ NS localhost.\n"
    return place.write("rpz.zone", head + "".join(f"{name} CNAME .\n*.{name} CNAME .\n" for name in _names(place)))


def _prepare_dnsmasq(place: Place) -> list[str]:
    values = [
        "keep-in-foreground",
        "no-resolv",
        "no-hosts",
        "no-poll",
        "bind-interfaces",
        "listen-address=127.0.0.1",
        "user=root",
        "pid-file=",
    ]
    values += [f"port={place.port}", f"server=127.0.0.1#{place.upstream_port}", "cache-size=100000", "dns-forward-max=10000"]
    lines = [*values, *(f"address=/{name}/" for name in _names(place))]
    path = place.write("dnsmasq.conf", "".join(f"{line}\n" for line in lines))
    return ["dnsmasq", f"--conf-file={path}"]


RECURSOR = """
local-address=127.0.0.1
local-port={port}
allow-from=127.0.0.0/8
forward-zones-recurse=.=127.0.0.1:{upstream_port}
dont-query=
threads=1
pdns-distributes-queries=no
reuseport=no
max-mthreads=8192
max-cache-entries=2000000
max-packetcache-entries=1000000
dnssec=off
qname-minimization=no
lua-config-file={lua}
socket-dir={directory}
security-poll-suffix=
daemon=no
write-pid=no
quiet=yes
loglevel=2
disable-syslog=yes
"""


def _prepare_recursor(place: Place) -> list[str]:
    lua = place.write("recursor.lua", f'rpzFile("{_write_rpz(place)}", {{policyName="bench"}})\n')
    values = {"port": place.port, "upstream_port": place.upstream_port, "lua": lua, "directory": place.directory}
    place.write("recursor.conf", RECURSOR.format(**values))
    return ["pdns_recursor", f"--config-dir={place.directory}"]


def _prepare_limit(place: Place) -> list[str]:
    return [str(place.responder), f"--port={place.port}"]


def _reload_unbound(_: Place, running: processes.Running) -> None:
    running.process.send_signal(signal.SIGHUP)


def _reload_recursor(place: Place, _: processes.Running) -> None:
    command = ["rec_control", f"--config-dir={place.directory}", f"--socket-dir={place.directory}", "reload-lua-config"]
    subprocess.run(command, capture_output=True, timeout=60, check=False, env=os.environ)


def _version_of(*command: str) -> Callable[[], str]:
    return lambda: processes.version(command)


KINDS: tuple[Kind, ...] = (
    Kind("ours", "Mạng Lành, plain Python", _version_ours, _prepare_ours, {"MANGLANH_PURE": "1"}, ours=True, start_seconds=20),
    Kind("ours-compiled", "Mạng Lành, compiled", _version_compiled, _prepare_ours, ours=True, start_seconds=20),
    Kind("unbound", "Unbound, local-zone", _version_of("unbound", "-V"), _prepare_unbound, reload=_reload_unbound),
    Kind("unbound-rpz", "Unbound, RPZ", _version_of("unbound", "-V"), _prepare_unbound_rpz, reload=_reload_unbound),
    Kind("recursor", "PowerDNS Recursor, RPZ", _version_of("pdns_recursor", "--version"), _prepare_recursor, reload=_reload_recursor),
    Kind("limit", "the limit: a C responder that filters nothing", _version_of("cc", "--version"), _prepare_limit, blocked_rcode=NOERROR),
    Kind("dnsmasq", "dnsmasq, address=", _version_of("dnsmasq", "--version"), _prepare_dnsmasq),
)

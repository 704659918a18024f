"""A real PostgreSQL server of the test run's own: a cluster in a temporary folder, reached by a socket in it, stopped by its process.

Where PostgreSQL is not installed ``cluster`` raises NotInstalled, which says why. initdb refuses root, so that root hands it to nobody.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OPTIONS = {
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "",
    "shared_buffers": "16MB",
    "max_connections": "30",
    "autovacuum": "off",
}
START = 60
"""seconds"""


class NotInstalled(Exception):
    pass


class Cluster:
    """One server. ``url`` is that of a database; ``make`` and ``drop`` a database of a test's own."""

    def __init__(self, folder: Path, binaries: Path, user: tuple[str, ...]) -> None:
        self.folder = folder
        self._binaries = binaries
        self._user = user
        self._count = 0
        self._run(
            "initdb", "--pgdata", self.data, "--username", "school", "--auth", "trust", "--encoding", "UTF8", "--no-locale", "--no-sync"
        )
        lines = [f"{name} = '{value}'\n" for name, value in OPTIONS.items()]
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines([*lines, f"unix_socket_directories = '{folder}'\n"])

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://school@/{database}?host={self.folder}"

    def start(self) -> None:
        self._run("pg_ctl", "--pgdata", self.data, "--log", self.folder / "log", "--wait", "--timeout", START, "--silent", "start")

    def stop(self) -> None:
        """At once: what was not committed is lost, and connections are cut."""
        self._run("pg_ctl", "--pgdata", self.data, "--wait", "--mode", "immediate", "--silent", "stop")

    @property
    def pid(self) -> int:
        """0: it does not run."""
        try:
            return int((self.data / "postmaster.pid").read_text(encoding="utf-8").split()[0])
        except FileNotFoundError:
            return 0

    def make(self) -> str:
        """The name of a new empty database."""
        self._count += 1
        name = f"school{self._count}"
        self._run("createdb", "--host", self.folder, "--username", "school", name)
        return name

    def drop(self, name: str) -> None:
        self._run("dropdb", "--host", self.folder, "--username", "school", "--force", name)

    def _run(self, program: str, *arguments: object) -> None:
        command = [*self._user, str(self._binaries / program), *map(str, arguments)]
        # The server keeps what it inherits: with pipes, whoever reads them would wait for its end.
        with (self.folder / "said").open("ab") as said:
            done = subprocess.run(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said, timeout=START * 2)
        assert done.returncode == 0, (command, (self.folder / "said").read_text(encoding="utf-8")[-2000:])


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A running server in ``folder``, whose path must be short (a socket's has 107 characters). Raises NotInstalled."""
    binaries = _binaries()
    user: tuple[str, ...] = ()
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            raise NotInstalled("initdb refuses root, and there is no setpriv (util-linux) to become somebody else")
        user = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
        shutil.chown(folder, "nobody", "nogroup")
    server = Cluster(folder, binaries, user)
    server.start()
    try:
        yield server
    finally:
        pid = server.pid
        if pid:
            try:
                server.stop()
            except AssertionError:
                os.kill(pid, signal.SIGQUIT)


def _binaries() -> Path:
    """Debian keeps them out of PATH; the newest version is taken."""
    places = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: int(place.parent.name) if place.parent.name.isdigit() else 0
    )
    found = shutil.which("initdb")
    for place in [*reversed(places), *([Path(found).resolve().parent] if found else [])]:
        if (place / "initdb").exists():
            return place
    raise NotInstalled("PostgreSQL is not installed (Debian: apt-get install postgresql)")

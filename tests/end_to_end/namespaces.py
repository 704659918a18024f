"""Network and mount namespaces that a test makes for itself: real addresses and full disks that nobody else sees.

Root makes them directly; anyone else makes a user namespace first, which Debian allows.
"""

import os
import subprocess
from pathlib import Path

from tests.end_to_end.waiting import eventually

ROOT = os.geteuid() == 0


class Namespace:
    """Kinds are unshare's options, ``--net`` and ``--mount``. ``prefix`` before a command runs it inside.

    A namespace ``within`` another has that one's user namespace, so that a cable may lead from one to the other.
    """

    def __init__(self, *kinds: str, within: "Namespace | None" = None) -> None:
        own_user = () if ROOT or within else ("--user", "--map-root-user")
        outer = within.prefix if within else ()
        self._holder = subprocess.Popen([*outer, "unshare", *own_user, *kinds, "sleep", "infinity"], stdin=subprocess.DEVNULL)
        user = () if ROOT else ("--user", "--preserve-credentials")
        self.prefix: tuple[str, ...] = ("nsenter", f"--target={self.pid}", *user, *kinds)

    @property
    def pid(self) -> int:
        return self._holder.pid

    def __enter__(self):
        eventually(lambda: Path(f"/proc/{self.pid}/comm").read_text() == "sleep\n", "a namespace of our own")
        return self

    def __exit__(self, *_: object) -> None:
        self._holder.kill()
        self._holder.wait()

    def run(self, *words: str, check: bool = True) -> str:
        done = subprocess.run([*self.prefix, *words], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0 or not check, f"{' '.join(words)}: {done.stderr}"
        return done.stdout


def cable(box: Namespace, client: Namespace, *, ours: str, theirs: str, name: str, mac: str = "") -> None:
    """A cable from ``box`` to ``client``, with an address and prefix length at both ends; ``mac`` is the client's card."""
    box.run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(client.pid))
    box.run("ip", "address", "add", ours, "dev", name)
    box.run("ip", "link", "set", name, "up")
    if mac:
        client.run("ip", "link", "set", "eth0", "address", mac)
    client.run("ip", "address", "add", theirs, "dev", "eth0")
    client.run("ip", "link", "set", "eth0", "up")


def small_disk(space: Namespace, directory: Path, size: str = "256k") -> None:
    """Mounts an empty disk of ``size`` on ``directory``, seen only from inside ``space``."""
    directory.mkdir(exist_ok=True)
    space.run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory))


def make_read_only(space: Namespace, directory: Path) -> None:
    """As a worn SD card does by itself."""
    space.run("mount", "-o", "remount,ro", str(directory))


def fill(space: Namespace, directory: Path) -> None:
    """Leaves not one free block on the disk."""
    space.run("sh", "-c", f"cat /dev/zero > '{directory}/fill'", check=False)
    assert space.run("stat", "--file-system", "--format=%a", str(directory)).strip() == "0"

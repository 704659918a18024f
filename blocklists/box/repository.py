"""A province's TUF repository as a box sees it, through python-tuf's client. [shell: its metadata folder]

Promises: trust starts from the root that the school has on its disk, each time anew (TUF specification 1.0, section 5.2); what a channel's
role does not sign is not that channel's content; ``now`` is the caller's, so that nothing here asks a clock.
Raises python-tuf's RepositoryError (what was sent is not to be trusted), DownloadError (nothing usable was sent), OSError.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Signed, TargetFile, Targets
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from blocklists.box.release_record import Versions
from blocklists.channels import Channel, target_paths
from blocklists.install import sync_tree

METADATA = "tuf/metadata"
TIMESTAMP = "timestamp.json"
CONFIG = UpdaterConfig(max_root_rotations=64, targets_max_length=1_000_000, snapshot_max_length=200_000, root_max_length=200_000)
"""a province has a handful of roles and targets; a month away from the network can mean several new roots"""


class Repository:
    """One look at one mirror: ``refresh`` first, then the channels."""

    def __init__(self, directory: Path, url: str, root: bytes, fetcher: FetcherInterface, now: float) -> None:
        """``directory``: of the lists. ``root``: metadata that the school trusts. Raises RepositoryError for a root that is none, OSError."""
        self._folder = directory / METADATA
        self._folder.mkdir(parents=True, exist_ok=True)
        for leftover in self._folder.glob("tmp*"):  # python-tuf's own, of a process that was killed
            leftover.unlink(missing_ok=True)
        self._updater = Updater(str(self._folder), f"{url}/metadata/", fetcher=fetcher, config=CONFIG, bootstrap=root)
        # There is no other way to tell it the time, and its own would be the wall clock, which a box without a battery has wrong.
        self._updater._trusted_set.reference_time = datetime.fromtimestamp(now, UTC)  # noqa: SLF001

    def refresh(self) -> None:
        """Root, timestamp, snapshot, targets (TUF specification 1.0, sections 5.3 to 5.6)."""
        self._updater.refresh()
        if any(isinstance(signed, Targets) and signed.targets for _, signed in self._signed("targets")):
            raise RepositoryError("targets names files itself, in its channels' place; it may only delegate")

    def targets(self, channel: Channel) -> dict[str, TargetFile]:
        """The channel's files by path, from its own role (section 5.6.7); none while that role has keys and never published anything.

        A role that was once accepted here cannot be left out of a snapshot.
        """
        if not self._published(channel.id):
            return {}
        found = {path: self._updater.get_targetinfo(path) for path in target_paths(channel)}
        return {path: target for path, target in found.items() if target is not None}

    def _published(self, role: str) -> bool:
        file = f"{role}.json"
        return file in self._updater._trusted_set.snapshot.meta or (self._folder / file).is_file()  # noqa: SLF001 - python-tuf would raise

    def keep(self) -> None:
        """Force what was accepted to the disk: it is what protects from a rollback after a power cut."""
        sync_tree(self._folder / "root_history")
        sync_tree(self._folder)

    def versions(self) -> Versions:
        return Versions(**{role: signed.version for role, signed in self._signed("root", "timestamp", "snapshot")})

    def role(self, name: str) -> tuple[int, float]:
        """Version and expiry (Unix seconds) of a role as it was last accepted; zeros where there is none."""
        return next(((signed.version, signed.expires.timestamp()) for _, signed in self._signed(name)), (0, 0.0))

    def _signed(self, *roles: str) -> Iterator[tuple[str, Signed]]:
        """What the client accepted, as it keeps it."""
        for role in roles:
            path = self._folder / f"{role}.json"
            if path.is_file():
                yield role, Metadata.from_bytes(path.read_bytes()).signed


def known_timestamp(directory: Path) -> str:
    """The hash of the timestamp that was last accepted; empty where there is none."""
    try:
        return sha256((directory / METADATA / TIMESTAMP).read_bytes()).hexdigest()
    except OSError:
        return ""


def sha256_of(target: TargetFile) -> str:
    """Raises RepositoryError for a target that is signed without it."""
    signed = target.hashes.get("sha256", "")
    if len(signed) != 64 or not set(signed) <= set("0123456789abcdef"):
        raise RepositoryError(f"{target.path}: signed without a SHA-256")
    return signed

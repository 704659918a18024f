"""A whole signed province in a folder, made in milliseconds with python-tuf's metadata API; each test changes one thing of it.

``Province(folder).publish()`` is a good one: ``repository/`` is what a web server or a USB stick holds, ``root`` what a school has on its disk. Then:
``say`` and ``put`` change contents, ``signers`` and ``thresholds`` who signs, ``lasts`` how long, ``spoil`` bytes after they were signed.
"""

import shutil
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

from blocklists.channels import BASE, CHANNELS, CONTACTS, OVERLAY
from blocklists.entries import ListEntry, format_entries
from blocklists.overlay import write_overlay
from blocklists.pack import pack
from filters.bundle import Source, write
from filters.category import CATEGORIES
from filters.domain_index import DomainIndex

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC).timestamp()
DAY = 86400.0
LASTS = {"root": 730 * DAY, "targets": 365 * DAY, "snapshot": 30 * DAY, "timestamp": 3 * DAY, "categories": 90 * DAY}
CONTACT_TEXT = "name: Tỉnh Thử\nhotlines: [{name: Tổng đài, number: '111'}]\n"


def entry(name: str, category: str = "unlawful", document: str = "123/QĐ-CAT", **more) -> ListEntry:
    values = {"authority": "Công an tỉnh", "reason": "", "added": date(2026, 11, 20), "expires": None, **more}
    return ListEntry(name, category, document=document, **values)


class Province:
    def __init__(self, folder: Path, now: float = NOW) -> None:
        self.folder = folder
        self.now = now
        self.repository = folder / "repository"
        self.metadata = self.repository / "metadata"
        self.signers = {role: [CryptoSigner.generate_ed25519()] for role in ("root", "targets", "snapshot", "timestamp", *CHANNELS)}
        self.signers["mandatory"].append(CryptoSigner.generate_ed25519())
        self.thresholds = {role: len(signers) for role, signers in self.signers.items()}
        self.lasts = {role: LASTS.get(role, 365 * DAY) for role in self.signers}
        self.versions = dict.fromkeys(self.signers, 0)
        self.contents: dict[str, dict[str, bytes]] = {channel: {} for channel in CHANNELS}
        self.left_out: set[str] = set()
        """channels that the snapshot does not name"""
        self._changed = {"root", "targets", *CHANNELS}
        self._root_signers: list[CryptoSigner] = []
        self.root = b""

    # ---- what it says ----

    def say(self, channel: str, *entries: ListEntry) -> "Province":
        """The channel's text entries, whole."""
        return self.put(f"{channel}/list.csv", format_entries(entries))

    def put(self, path: str, data: bytes | None) -> "Province":
        """One target file; None: it is gone."""
        channel = path.partition("/")[0]
        self.contents[channel].pop(path, None)
        if data is not None:
            self.contents[channel][path] = data
        self._changed.add(channel)
        return self

    def base(self, names: Mapping[str, Iterable[str]], overlay: Mapping[str, Iterable[str]] | None = None) -> "Province":
        """The compiled lists, category -> names; ``overlay``: what they are after the overlay."""
        with_base = self._bundle("base", names)
        self.put(BASE, self._packed(with_base))
        if overlay is None:
            return self.put(OVERLAY, None)
        full = self._bundle("full", overlay)
        folder = self.folder / "work" / "overlay"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_overlay(folder, DomainIndex.open(with_base), DomainIndex.open(full))
        return self.put(OVERLAY, self._packed(folder))

    def contacts(self, text: str = CONTACT_TEXT) -> "Province":
        return self.put(CONTACTS, text.encode())

    def _bundle(self, kind: str, names: Mapping[str, Iterable[str]]) -> Path:
        folder = self.folder / "work" / kind
        shutil.rmtree(folder, ignore_errors=True)
        tests = [Source("manglanh-test", category) for category in CATEGORIES]
        sources = [*tests, *(Source(f"list-{category}", category) for category in sorted(names))]
        entries = [(category.test_name, number, 3) for number, category in enumerate(CATEGORIES.values())]
        entries += [(name, len(tests) + number, 3) for number, category in enumerate(sorted(names)) for name in names[category]]
        write(folder, entries, sources, built_at=self.now - DAY)
        return folder

    def _packed(self, bundle: Path) -> bytes:
        archive = self.folder / "work" / "packed.tar.xz"
        pack(bundle, archive)
        return archive.read_bytes()

    # ---- signing and publishing ----

    def publish(self, *roles: str) -> "Province":
        """Sign and write what changed since the last time, and ``roles`` anew; then snapshot and timestamp."""
        changed = self._changed | set(roles)
        self._changed = set()
        self.metadata.mkdir(parents=True, exist_ok=True)
        if "root" in changed:
            self._write("root", self._new_root(), [*self.signers["root"], *self._root_signers])
            self._root_signers = self.signers["root"]
        for channel in CHANNELS:
            if channel in changed:
                self._write(channel, self._new_channel(channel))
        if "targets" in changed:
            self._write("targets", self._new_targets())
        self.publish_snapshot()
        return self

    def publish_snapshot(self) -> None:
        meta = {f"{role}.json": MetaFile(self.versions[role]) for role in ("targets", *CHANNELS) if role not in self.left_out}
        self._write("snapshot", Snapshot(version=self._next("snapshot"), expires=self._expires("snapshot"), meta=meta))
        self.publish_timestamp()

    def publish_timestamp(self) -> None:
        found = MetaFile(self.versions["snapshot"])
        self._write("timestamp", Timestamp(version=self._next("timestamp"), expires=self._expires("timestamp"), snapshot_meta=found))

    def rotate(self, role: str, *signers: CryptoSigner) -> "Province":
        """Other keys for ``role``, made if none are given; published with the next ``publish``."""
        self.signers[role] = list(signers) or [CryptoSigner.generate_ed25519() for _ in self.signers[role]]
        self._changed.add("targets" if role in CHANNELS else "root")
        self._changed.add(role) if role not in {"snapshot", "timestamp"} else None
        return self

    def spoil(self, path: str, data: bytes) -> None:
        """Replace a file of the repository behind the signers' backs: ``metadata/timestamp.json``, ``targets/...``."""
        (self.repository / path).write_bytes(data)

    def target_file(self, path: str) -> str:
        """Where in the repository the target of this path lies now."""
        folder, _, name = path.rpartition("/")
        sha256 = TargetFile.from_data(path, self.contents[folder][path], ["sha256"]).hashes["sha256"]
        return f"targets/{folder}/{sha256}.{name}"

    def copy(self, to: Path) -> Path:
        """The repository as it is now: another mirror, an attacker's store, a stick."""
        return Path(shutil.copytree(self.repository, to, dirs_exist_ok=True))

    def read(self, role: str) -> Metadata:
        name = f"{role}.json" if role == "timestamp" else f"{self.versions[role]}.{role}.json"
        return Metadata.from_bytes((self.metadata / name).read_bytes())

    def _next(self, role: str) -> int:
        self.versions[role] += 1
        return self.versions[role]

    def _expires(self, role: str) -> datetime:
        return datetime.fromtimestamp(self.now + self.lasts[role], UTC).replace(microsecond=0)

    def _new_root(self) -> Root:
        root = Root(version=self._next("root"), expires=self._expires("root"), consistent_snapshot=True)
        for role in root.roles:
            root.roles[role].threshold = self.thresholds[role]
            for signer in self.signers[role]:
                root.add_key(signer.public_key, role)
        return root

    def _new_targets(self) -> Targets:
        roles = {
            channel: DelegatedRole(
                channel,
                [signer.public_key.keyid for signer in self.signers[channel]],
                self.thresholds[channel],
                terminating=True,
                paths=[f"{channel}/*"],
            )
            for channel in CHANNELS
        }
        keys = {signer.public_key.keyid: signer.public_key for channel in CHANNELS for signer in self.signers[channel]}
        return Targets(version=self._next("targets"), expires=self._expires("targets"), delegations=Delegations(keys, roles))

    def _new_channel(self, channel: str) -> Targets:
        role = Targets(version=self._next(channel), expires=self._expires(channel))
        for path, data in self.contents[channel].items():
            role.targets[path] = TargetFile.from_data(path, data, ["sha256"])
            place = self.repository / self.target_file(path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        return role

    def _write(self, role: str, signed: Root | Targets | Snapshot | Timestamp, signers: Iterable[CryptoSigner] | None = None) -> None:
        metadata = Metadata(signed)
        for signer in self.signers[role] if signers is None else signers:
            metadata.sign(signer, append=True)
        data = metadata.to_bytes()
        name = f"{role}.json" if role == "timestamp" else f"{signed.version}.{role}.json"
        (self.metadata / name).write_bytes(data)
        if role == "root" and not self.root:
            self.root = data


def good(folder: Path, now: float = NOW) -> Province:
    """A province with something in every channel, published once."""
    province = Province(folder, now)
    province.say("mandatory", entry("bad.example"))
    province.say("learning", entry("hoc.example", "learning", authority="Sở GD&ĐT", document=""))
    province.base({"gambling": ["casino.example"], "adult": ["adult.example"]})
    province.contacts()
    return province.publish()

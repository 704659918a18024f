"""A province to test with: a publisher's folder, people with keys, and a school that reads what is released with python-tuf's client."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface

from blocklists.publisher.ceremony import stage_first
from blocklists.publisher.keys import OWNER
from blocklists.publisher.releasing import Released, release
from blocklists.publisher.roles import RoleKeys
from blocklists.publisher.settings import Settings
from blocklists.publisher.signing import sign
from blocklists.publisher.staging import stage_targets
from blocklists.publisher.workspace import Workspace, create_workspace

NOW = 1_800_000_000.0
DAY = 86_400.0


def signer(name: str) -> CryptoSigner:
    """The key of ``name``: always the same, so that signatures can be compared."""
    private = Ed25519PrivateKey.from_private_bytes(sha256(name.encode()).digest())
    public = SSlibKey.from_crypto(private.public_key())
    public.unrecognized_fields[OWNER] = name
    return CryptoSigner(private, public)


def held(*names: str, threshold: int = 1) -> RoleKeys:
    return RoleKeys(tuple(signer(name).public_key for name in names), threshold)


@dataclass
class Province:
    """Three authorities hold the root (two must sign); two of them the mandatory list (both must); a team the categories."""

    workspace: Workspace
    now: float = NOW
    online: tuple[str, ...] = ("online",)

    def stage(self, role: str = "mandatory", **files: bytes | None) -> bool:
        """``stage(list=b"...")`` stages mandatory/list.csv."""
        return stage_targets(self.workspace, role, {f"{role}/{name}.csv": data for name, data in files.items()}, self.now)

    def sign(self, *names: str, roles: list[str] | None = None) -> dict[str, list[str]]:
        return {name: sign(self.workspace, signer(name), roles, self.now) for name in names}

    def release(self, *, urgent: bool = False) -> Released:
        return release(self.workspace, [signer(name) for name in self.online], self.now, urgent=urgent)

    def publish(self, content: bytes) -> Released:
        """A mandatory list, signed by both and released."""
        self.stage(list=content)
        self.sign("a", "b", roles=["mandatory"])
        return self.release()


def province(folder: Path) -> Province:
    """Made, and not signed."""
    workspace = create_workspace(folder, Settings(name="Tỉnh Thử"))
    channels = {"mandatory": held("a", "b", threshold=2), "categories": held("team")}
    stage_first(workspace, held("a", "b", "c", threshold=2), held("online"), channels, NOW)
    return Province(workspace)


def released_province(folder: Path) -> Province:
    """With a first release, which has a mandatory list ``first``."""
    made = province(folder)
    made.sign("a", "b", roles=["root", "targets"])
    made.publish(b"first")
    return made


class Folder(FetcherInterface):
    """Fetches from ``repository/`` as a web server would give it."""

    def __init__(self, repository: Path) -> None:
        super().__init__()
        self.repository = repository
        self.fetched: list[str] = []

    def _fetch(self, url: str):
        path = self.repository / url.removeprefix("http://province.test/")
        self.fetched.append(path.name)
        if not path.is_file():
            raise DownloadHTTPError(f"{url} is not there", 404)
        yield path.read_bytes()


@dataclass
class School:
    """A client that keeps its trust between visits, as a box does."""

    folder: Path
    repository: Path
    root: bytes
    fetched: list[str] = field(default_factory=list)

    def visit(self, now: float = NOW) -> Updater:
        """A refreshed client. Raises what python-tuf raises."""
        for name in ("metadata", "targets"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        fetcher = Folder(self.repository)
        self.fetched = fetcher.fetched
        updater = Updater(
            str(self.folder / "metadata"),
            "http://province.test/metadata/",
            str(self.folder / "targets"),
            "http://province.test/targets/",
            fetcher,
            bootstrap=self.root,
        )
        updater._trusted_set.reference_time = datetime.fromtimestamp(now, UTC)
        updater.refresh()
        return updater

    def get(self, path: str = "mandatory/list.csv", now: float = NOW) -> bytes | None:
        """The target's bytes; None: it is not there."""
        updater = self.visit(now)
        info = updater.get_targetinfo(path)
        return None if info is None else Path(updater.download_target(info)).read_bytes()


def school(province: Province, folder: Path) -> School:
    """A school that got the first root with its province file."""
    return School(folder, province.workspace.folder / "repository", (province.workspace.metadata / "1.root.json").read_bytes())

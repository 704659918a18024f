"""A publisher's folder whose content matters more than its keys: one key for every role, and a release whenever one is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from blocklists.channels import CHANNELS
from blocklists.entries import COLUMNS
from blocklists.publisher import lists, releasing, signing
from blocklists.publisher.ceremony import stage_first
from blocklists.publisher.limits import ListLimits
from blocklists.publisher.settings import Settings
from blocklists.publisher.staging import released_target
from blocklists.publisher.state import load_state
from blocklists.publisher.workspace import Workspace, create_workspace
from tests.blocklists.publisher.signed_province import NOW, held, signer

HEADER = ",".join(COLUMNS) + "\n"
OWN = "lists/own.txt"
KEY = "team"


@dataclass
class ListTeam:
    workspace: Workspace
    now: float = NOW

    def write(self, path: str, content: str | bytes) -> None:
        file = self.workspace.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())

    def entries(self, channel: str, *rows: str) -> None:
        """The channel's table with these rows."""
        self.write(f"lists/{channel}.csv", HEADER + "".join(f"{row}\n" for row in rows))

    def names(self, *names: str) -> None:
        """The one compiled list, of category gambling."""
        self.write(OWN, "".join(f"{name}\n" for name in names))
        self.sources("{name: own, category: gambling, format: domains, path: own.txt, licence: own, attribution: the province}")

    def sources(self, *entries: str) -> None:
        self.write("lists/sources.yaml", "sources:\n" + "".join(f"  - {entry}\n" for entry in entries))

    def stage(self, **options: object) -> list[str]:
        """Stage what the folder holds, as somebody does who confirms every question."""
        with lists.prepare(self.workspace, **options) as draft:
            return lists.stage(self.workspace, draft, self.now)

    def release(self, **options: object) -> list[str]:
        staged = self.stage(**options)
        if staged:
            self.sign_and_release()
        return staged

    def sign_and_release(self) -> None:
        signing.sign(self.workspace, signer(KEY), None, self.now)
        releasing.release(self.workspace, [signer(KEY)], self.now)

    def targets(self) -> dict[str, bytes]:
        """Every released target: path -> bytes."""
        roles = load_state(self.workspace).roles
        paths = [path for role in roles.values() for path in role.signed.targets]
        return {path: released_target(self.workspace, path).read_bytes() for path in paths}

    def waiting(self) -> dict[str, Mapping[str, object]]:
        """What is staged: role -> its targets."""
        return {role: metadata.signed.targets for role, metadata in load_state(self.workspace).staged.items()}


def new_list_team(folder: Path, **limits: object) -> ListTeam:
    """With its first release out, which has no content yet. ``limits``: of the section ``lists`` in publisher.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    workspace = create_workspace(folder, Settings(name="Tỉnh Thử", lists=ListLimits(**limits)))
    stage_first(workspace, held(KEY), held(KEY), dict.fromkeys(CHANNELS, held(KEY)), NOW)
    team = ListTeam(workspace)
    team.sign_and_release()
    return team


def order(name: str, category: str = "unlawful", document: str = "12/QĐ-UBND", reason: str = "", expires: str = "") -> str:
    """A row of a table."""
    return f"{name},{category},Công an tỉnh,{document},{reason},2026-11-22,{expires}"

"""From what people edited and what was fetched to what waits for signatures; and what that changes. [shell: disk]

``prepare`` reads, checks, compiles and compares, and changes nothing; ``stage`` hands the outcome to the channels' roles. So a
person sees what a release would change before anything is staged, and what is refused leaves the folder as it was.

Two kinds of refusal. What is wrong in itself raises PublishError whatever a person says: a table that is none, an entry without
its authority, google.com. What is merely beyond a limit is overruled by ``force`` (half of a list gone) or by a person who has
seen it (``Draft.questions``: much changed, popular names hit).
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tuf.api.metadata import Metadata, Targets

from blocklists.channels import BASE, CHANNELS, CONTACTS, OVERLAY, Channel, changes_path, list_path
from blocklists.entries import BadEntries, ListEntry, format_entries
from blocklists.fetch import Fetcher
from blocklists.publisher.bundles import Built, build, open_archives
from blocklists.publisher.difference import Contents, ReleaseDifference, lines, release_difference
from blocklists.publisher.errors import PublishError
from blocklists.publisher.limits import ListLimits
from blocklists.publisher.staging import stage_targets, target_file
from blocklists.publisher.state import load_state
from blocklists.publisher.texts import TEXT_CHANNELS, Carried, carried, excesses, faults, list_file, read_list, split
from blocklists.publisher.workspace import Workspace, write_file
from blocklists.sources import BadSources, ListSource, load
from filters.bundle import BadBundle
from filters.domain_index import DomainIndex
from filters.message import Message, joined

CATEGORIES, PROVINCE = "categories", "province"
SOURCES = "sources.yaml"
CONTACTS_FILE = "contacts.yaml"
REPORT = "report.json"
"""in the folder ``work``: the build report with every rejected line"""
Files = Mapping[str, Path | bytes | None]


@dataclass(frozen=True, slots=True)
class Draft:
    """What is ready to be staged."""

    files: Mapping[str, Files]
    """role -> target path -> its content; None: absent"""
    difference: ReleaseDifference
    """against what is released"""
    questions: tuple[Message, ...]
    """what a person must have seen and accepted, a line each"""
    notes: tuple[str, ...] = ()
    """lists that were left out or are not fresh"""


def cache_folder(workspace: Workspace) -> Path:
    return workspace.work / "cache"


def load_sources(workspace: Workspace) -> tuple[ListSource, ...]:
    """The lists of lists/sources.yaml; none without that file. Raises PublishError."""
    path = workspace.lists / SOURCES
    try:
        return load(path) if path.exists() else ()
    except BadSources as error:
        raise PublishError("{why}", why=error) from None


@contextmanager
def prepare(
    workspace: Workspace,
    *,
    urgent: bool = False,
    force: bool = False,
    check_contacts: Callable[[bytes], None] = lambda _: None,
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[Draft]:
    """The draft for the folder as it is now; its files last as long as the context.

    ``urgent``: the channels' entries only, in seconds; base, overlay and contacts stay as they are released. ``check_contacts``
    raises PublishError for contacts that a box would not take. ``progress`` hears each list's name before it is compiled.
    Raises PublishError, OSError.
    """
    limits = workspace.settings.lists
    released = _Found(workspace, load_state(workspace).roles, {})
    texts = {channel.id: released.text(channel) for channel in TEXT_CHANNELS}
    wanted = _wanted(workspace, texts, force=force)
    files: dict[str, Files] = {
        channel.id: split(channel, wanted[channel.id], texts[channel.id], limits, urgent=urgent) for channel in TEXT_CHANNELS
    }
    with _scratch(workspace) as folder:
        before = Contents({channel: text.entries for channel, text in texts.items()})
        after = Contents(wanted)
        notes: tuple[str, ...] = ()
        left_out: tuple[str, ...] = ()
        if not urgent:
            contacts = _contacts(workspace, released, check_contacts)
            files[PROVINCE] = {CONTACTS: contacts}
            before = replace(before, lists=released.lists(folder), contacts=released.read(CONTACTS) or b"")
            built = _build(workspace, released, before.lists, folder, force=force, progress=progress)
            if built is not None:
                files[CATEGORIES] = {**files[CATEGORIES], BASE: built.base, OVERLAY: built.overlay}
                left_out = built.report.notes
                reports = built.report.sources
                stale = (Message("{list}: {note}", list=source.name, note=note) for source in reports for note in source.notes)
                notes = (*left_out, *stale)
            after = replace(after, lists=built.index if built else None, contacts=contacts or b"")
        found = release_difference(before, after, popular_names(workspace))
        questions = () if force else tuple(_questions(found, limits, len(left_out)))
        yield Draft(_worth_staging(files, texts, wanted, urgent=urgent), found, questions, notes)


def stage(workspace: Workspace, draft: Draft, now: float) -> list[str]:
    """Stage the draft; the roles that wait for signatures now. ``now``: Unix seconds. Raises PublishError, OSError."""
    state = load_state(workspace)
    keyless = [role for role in draft.files if not state.keys(role).keys]
    if keyless:  # before any is staged, so that all are or none is
        raise PublishError("{role} has no keys yet: manglanh publish key add {role} FILE", role=keyless[0])
    return [role for role, files in draft.files.items() if stage_targets(workspace, role, files, now)]


def staged_difference(workspace: Workspace, first: int = 20, roles: Collection[str] = frozenset(CHANNELS)) -> ReleaseDifference:
    """What would be released against what is released; ``first``: changes of each kind that are named. Raises PublishError.

    ``roles``: the channels that are looked at; the compiled lists take seconds.
    """
    state = load_state(workspace)
    released, staged = _Found(workspace, state.roles, {}), _Found(workspace, state.roles, state.staged)
    with _scratch(workspace) as folder:
        return release_difference(released.contents(folder, roles), staged.contents(folder, roles), popular_names(workspace), first)


def describe(workspace: Workspace, role: str) -> list[str]:
    """What the staged content of one role changes, a line each, for whoever is about to sign it. Raises PublishError."""
    return lines(staged_difference(workspace, roles={role}), role) if role in CHANNELS else []


def follow_taken(workspace: Workspace, role: str) -> str:
    """After a change that was staged elsewhere was taken over: let the table that people edit say it too, or the next ``stage``
    would propose to undo it. A table with edits of its own stays. -> the table's name if it stays, or "". Raises PublishError, OSError.
    """
    channel = CHANNELS.get(role)
    if channel is None or not channel.text:
        return ""
    state = load_state(workspace)
    released, staged = _Found(workspace, state.roles, {}).text(channel), _Found(workspace, state.roles, state.staged).text(channel)
    try:
        edited = read_list(workspace.folder, channel) or ()
    except BadEntries:
        return f"lists/{role}.csv"
    if edited not in (released.entries, staged.entries):
        return f"lists/{role}.csv"
    write_file(list_file(workspace.folder, channel), format_entries(staged.entries))
    return ""


def popular_names(workspace: Workspace) -> list[str]:
    """The names of the file that the settings name, the most popular first. Raises PublishError."""
    given = workspace.settings.lists.popular
    if given is None:
        return []
    try:
        found = (workspace.folder / given).read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise PublishError("{file} cannot be read: {why}", file=given, why=error) from None
    return [line.strip().lower() for line in found if line.strip() and not line.startswith("#")]


@contextmanager
def _scratch(workspace: Workspace) -> Iterator[Path]:
    """A folder for bundles: on the publisher's own disk, since the system's temporary one may be in memory."""
    workspace.work.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="lists-", dir=workspace.work) as folder:
        yield Path(folder)


# ---- what is released or staged ----


class _Found:
    """What is released, or what will be when ``staged`` is. Every method raises PublishError for content that is damaged."""

    def __init__(self, workspace: Workspace, released: Mapping[str, Metadata[Targets]], staged: Mapping[str, Metadata[Targets]]) -> None:
        self._workspace = workspace
        self._released = released
        self._staged = staged

    def file(self, path: str) -> Path | None:
        role = path.partition("/")[0]
        if role in self._staged:
            return target_file(self._workspace, self._staged[role], path)
        listed = self._released[role].signed.targets.get(path) if role in self._released else None
        return self._workspace.targets / listed.get_prefixed_paths()[0] if listed is not None else None

    def read(self, path: str) -> bytes | None:
        file = self.file(path)
        try:
            return file.read_bytes() if file is not None else None
        except OSError as error:
            raise PublishError("{file} cannot be read: {why}", file=path, why=error.strerror) from None

    def text(self, channel: Channel) -> Carried:
        try:
            return carried(channel, self.read(list_path(channel)), self.read(changes_path(channel)))
        except BadEntries as error:
            raise PublishError("{why}", why=error) from None

    def lists(self, into: Path) -> DomainIndex | None:
        try:
            return open_archives(self.file(BASE), self.file(OVERLAY), into)
        except (BadBundle, OSError) as error:
            raise PublishError("{base} or {overlay} is damaged: {why}", base=BASE, overlay=OVERLAY, why=error) from None

    def contents(self, into: Path, roles: Collection[str]) -> Contents:
        texts = {channel.id: self.text(channel).entries for channel in TEXT_CHANNELS if channel.id in roles}
        contacts = self.read(CONTACTS) if PROVINCE in roles else None
        return Contents(texts, self.lists(into) if CATEGORIES in roles else None, contacts or b"")


# ---- what people edited ----


def _wanted(workspace: Workspace, released: Mapping[str, Carried], *, force: bool) -> dict[str, tuple[ListEntry, ...]]:
    """The entries of every channel; all that is wrong with any of them is said at once."""
    found: dict[str, tuple[ListEntry, ...]] = {}
    refused: list[Message] = []
    for channel in TEXT_CHANNELS:
        before = released[channel.id]
        try:
            entries = read_list(workspace.folder, channel)
        except BadEntries as error:
            refused.append(Message("{why}", why=error))
            continue
        found[channel.id] = entries or ()
        refused += faults(channel, entries, before, workspace.settings.lists)
        if not force and entries is not None:
            refused += excesses(channel, entries, before, workspace.settings.lists)
    if refused:
        raise PublishError(joined(refused))
    return found


def _contacts(workspace: Workspace, released: _Found, check: Callable[[bytes], None]) -> bytes | None:
    path = workspace.lists / CONTACTS_FILE
    if path.exists():
        data = path.read_bytes()
        check(data)
        return data
    if released.file(CONTACTS) is not None:
        raise PublishError("lists/contacts.yaml: missing, and contacts are published; write them again, or a file with just the name")
    return None


def _build(
    workspace: Workspace,
    released: _Found,
    before: DomainIndex | None,
    folder: Path,
    *,
    force: bool,
    progress: Callable[[str], None],
) -> Built | None:
    sources = load_sources(workspace)
    if not sources:
        if before is not None:
            raise PublishError("lists/sources.yaml: missing or empty, and category lists are published")
        return None
    with Fetcher(cache_folder(workspace)) as fetcher:
        built = build(
            sources,
            fetcher.kept,
            before,
            released.file(BASE),
            folder,
            ours=workspace.folder,
            new_base_share=workspace.settings.lists.new_base_share,
            force=force,
            progress=progress,
        )
    write_file(workspace.work / REPORT, built.report.to_json().encode())
    return built


# ---- whether to stage it ----


def _worth_staging(
    files: Mapping[str, Files], released: Mapping[str, Carried], wanted: Mapping[str, tuple[ListEntry, ...]], *, urgent: bool
) -> dict[str, Files]:
    """Without the roles that say nothing; in an urgent release without category entries that stay, since compiled lists may wait there."""
    return {
        role: targets
        for role, targets in files.items()
        if (any(content is not None for content in targets.values()) or (role in released and released[role].targets))
        and not (urgent and role == CATEGORIES and wanted[role] == released[role].entries)
    }


def _questions(found: ReleaseDifference, limits: ListLimits, left_out: int) -> Iterator[Message]:
    lists = found.lists
    if left_out:
        yield Message("{count} lists have no copy and are left out; manglanh publish fetch gets them", count=left_out)
    if lists is not None and lists.before and lists.share > limits.max_changed_share:
        limit = limits.max_changed_share
        yield Message("{share:.0%} of the names in the category lists change, more than {limit:.0%}", share=lists.share, limit=limit)
    if len(found.popular) > limits.max_popular:
        names = ", ".join(hit.name for hit in found.popular[:10])
        count, most = len(found.popular), limits.max_popular
        yield Message("{count} popular names become listed, more than {limit}: {names}", count=count, limit=most, names=names)

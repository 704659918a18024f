"""What a bundle looks like on disk: the flags of an entry, the manifest, and the one function that writes it.

A bundle is a directory: ``names.marisa`` (a trie over reversed labels with a trailing dot, ``vn.com.example.``),
``labels.bin`` (for each key id a little number: which label set), ``rules.json`` (the label sets, and the few rules that
a trie cannot hold) and ``bundle.json`` (version, size and SHA-256 of the others, the sources). Whatever else lies there
(``report.json``) is for people and is not read.

Promises: the same entries in any order give the same bytes. Refuses, with ``BadBundle``: a manifest that is not, byte
for byte, what ``write`` would have written, and any file whose size or hash is another.
"""

import hashlib
import json
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import marisa_trie
from pydantic import BaseModel, ConfigDict, ValidationError

FORMAT = 1
NAMES, LABELS, RULES, MANIFEST = "names.marisa", "labels.bin", "rules.json", "bundle.json"
MAX_JSON = 16 * 1024 * 1024
"""bytes of a manifest or a rules file; real ones have some ten thousand"""
MAX_PATTERNS = 500
"""regular expressions in one bundle: each costs every uncached question"""
MAX_CONDITIONAL = 5000
"""rules with conditions in one bundle, expressions included: each is a Python object in every worker"""

BLOCK_SELF, BLOCK_BELOW, ALLOW_SELF, ALLOW_BELOW = 1, 2, 4, 8
FIRM_SELF, FIRM_BELOW = 16, 32
"""Adblock's ``$important``: what an exception that the trie cannot hold does not lift"""
CONDITIONAL = 64
"""rules.json has more to say about this name for this source"""
SUBTREE = BLOCK_SELF | BLOCK_BELOW


class BadBundle(Exception):
    """The directory is not a bundle that may be used; the message says which file and why."""


@dataclass(frozen=True, slots=True)
class Source:
    """One list inside a bundle."""

    name: str
    category: str
    licence: str = ""
    url: str = ""
    authority: str = ""
    """who ordered it; empty: nobody did"""
    document: str = ""
    """the order's number and date"""


class Entry(NamedTuple):
    """One listed name of one source. ``source`` is the position in ``sources``, ``flags`` an OR of the flags above."""

    name: str
    source: int
    flags: int = SUBTREE


@dataclass(frozen=True, slots=True)
class Conditional:
    """A rule that a trie cannot hold: a pattern, or a name with ``$denyallow`` or ``$dnstype``."""

    source: int
    name: str = ""
    covers: int = SUBTREE
    """BLOCK_SELF and BLOCK_BELOW, read as *itself* and *below*; only with ``name``"""
    pattern: str = ""
    allow: bool = False
    firm: bool = False
    types: tuple[int, ...] = ()
    """query types that it speaks of; empty: all"""
    other_types: bool = False
    """True: all but ``types``"""
    denyallow: tuple[str, ...] = ()
    """it says nothing of these names and what is below them"""


class _Exact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @classmethod
    def read(cls, raw: bytes, where: str) -> Self:
        """The value that ``raw`` is the canonical form of. Raises BadBundle."""
        if len(raw) > MAX_JSON:
            raise BadBundle(f"{where}: larger than {MAX_JSON} bytes")
        try:
            value = cls.model_validate_json(raw)
        except ValidationError as error:
            raise BadBundle(f"{where}: {error.errors()[0]['msg']}") from None
        if value.canonical() != raw:
            raise BadBundle(f"{where}: not in the form in which it was written")
        return value

    def canonical(self) -> bytes:
        return _canonical(self.model_dump(mode="json"))


class FileEntry(_Exact):
    size: int
    sha256: str


class Manifest(_Exact):
    """``bundle.json``. ``identity`` is the SHA-256 of the manifest without it, so it stands for every byte of the bundle."""

    format: int
    identity: str
    byteorder: str
    built_at: float
    names: int
    label_bytes: int
    sources: tuple[Source, ...]
    counts: tuple[int, ...]
    """names per source, exceptions included"""
    files: dict[str, FileEntry]


class Rules(_Exact):
    """``rules.json``: every label set (pairs of source and flags), and the conditional rules."""

    sets: tuple[tuple[tuple[int, int], ...], ...]
    conditional: tuple[Conditional, ...]


def _canonical(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def key_of(name: str) -> str:
    """``example.com.vn`` -> ``vn.com.example.``: a key is a prefix of another one exactly if its name covers the other."""
    return ".".join(name.split(".")[::-1]) + "."


def name_of(key: str) -> str:
    return ".".join(key[:-1].split(".")[::-1])


class _LabelSets:
    """Names -> number of a label set, adding one (source, flags) at a time; no tuple is built twice."""

    def __init__(self) -> None:
        self.by_key: dict[str, int] = {}
        self.sets: list[tuple[tuple[int, int], ...]] = [()]
        self._numbers: dict[tuple[tuple[int, int], ...], int] = {(): 0}
        self._steps: dict[tuple[int, int, int], int] = {}

    def add(self, key: str, source: int, flags: int) -> None:
        before = self.by_key.get(key, 0)
        step = (before, source, flags)
        after = self._steps.get(step)
        if after is None:
            after = self._steps[step] = self._number(*step)
        self.by_key[key] = after

    def _number(self, before: int, source: int, flags: int) -> int:
        merged = dict(self.sets[before])
        merged[source] = merged.get(source, 0) | flags
        label_set = tuple(sorted(merged.items()))
        number = self._numbers.setdefault(label_set, len(self.sets))
        if number == len(self.sets):
            self.sets.append(label_set)
        return number

    def counts(self, sources: int) -> tuple[int, ...]:
        """Names per source."""
        per_set = [0] * len(self.sets)
        for number in self.by_key.values():
            per_set[number] += 1
        counts = [0] * sources
        for label_set, names in zip(self.sets, per_set, strict=True):
            for source, _ in label_set:
                counts[source] += names
        return tuple(counts)


def write(
    directory: Path,
    entries: Iterable[tuple[str, int, int]],
    sources: Sequence[Source],
    conditional: Iterable[Conditional] = (),
    built_at: float = 0.0,
) -> str:
    """Write a bundle into ``directory`` (made if absent) and return its identity.

    ``entries`` are ``Entry`` or plain tuples of canonical name, position in ``sources`` and flags, in any order.
    Nothing is renamed or synced here; blocklists/install.py does that.
    """
    directory.mkdir(parents=True, exist_ok=True)
    label_sets = _LabelSets()
    for name, source, flags in entries:
        label_sets.add(key_of(name), source, flags)
    rules = sorted(conditional, key=lambda rule: repr((rule.source, rule.name, rule.pattern, rule)))
    for rule in rules:
        if rule.name:
            label_sets.add(key_of(rule.name), rule.source, CONDITIONAL)

    used, label_bytes = _write_names(directory, label_sets)
    (directory / RULES).write_bytes(Rules(sets=tuple(used), conditional=tuple(rules)).canonical())
    manifest = Manifest(
        format=FORMAT,
        identity="",
        byteorder=sys.byteorder,
        built_at=float(built_at),
        names=len(label_sets.by_key),
        label_bytes=label_bytes,
        sources=tuple(sources),
        counts=label_sets.counts(len(sources)),
        files={name: file_entry(directory / name) for name in (NAMES, LABELS, RULES)},
    )
    manifest = manifest.model_copy(update={"identity": _identity(manifest)})
    (directory / MANIFEST).write_bytes(manifest.canonical())
    return manifest.identity


def _write_names(directory: Path, label_sets: _LabelSets) -> tuple[list[tuple[tuple[int, int], ...]], int]:
    """Write the trie and the labels; the label sets in the order of their numbers there, and the bytes of one number."""
    used = sorted({label_sets.sets[number] for number in label_sets.by_key.values()})
    position = {label_set: number for number, label_set in enumerate(used)}
    renumbered = [position.get(label_set, 0) for label_set in label_sets.sets]
    keys = sorted(label_sets.by_key)
    trie = marisa_trie.Trie(keys, num_tries=2)  # a tenth faster to walk than the default of 3, a tenth larger
    label_bytes, code = (2, "H") if len(used) <= 0xFFFF else (4, "I")
    labels = array(code, bytes(label_bytes * len(keys)))
    for key in keys:
        labels[trie.key_id(key)] = renumbered[label_sets.by_key[key]]
    (directory / NAMES).write_bytes(trie.tobytes())  # save() says a full disk as a RuntimeError
    (directory / LABELS).write_bytes(labels.tobytes())
    return used, label_bytes


def file_entry(path: Path) -> FileEntry:
    with path.open("rb") as file:
        return FileEntry(size=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def _identity(manifest: Manifest) -> str:
    return hashlib.sha256(manifest.model_copy(update={"identity": ""}).canonical()).hexdigest()


def read_manifest(directory: Path) -> Manifest:
    """The manifest of the bundle in ``directory``, checked by itself. Raises BadBundle."""
    try:
        with (directory / MANIFEST).open("rb") as file:
            raw = file.read(MAX_JSON + 1)
    except OSError as error:
        raise BadBundle(f"{MANIFEST}: {error.strerror}") from None
    manifest = Manifest.read(raw, MANIFEST)
    if manifest.format != FORMAT:
        raise BadBundle(f"{MANIFEST}: format {manifest.format}, and this program reads format {FORMAT}")
    if manifest.identity != _identity(manifest):
        raise BadBundle(f"{MANIFEST}: its own hash does not match")
    if manifest.byteorder != sys.byteorder:
        raise BadBundle(f"{MANIFEST}: built for a {manifest.byteorder}-endian machine")
    if set(manifest.files) != {NAMES, LABELS, RULES}:
        raise BadBundle(f"{MANIFEST}: lists other files than {NAMES}, {LABELS} and {RULES}")
    if len(manifest.counts) != len(manifest.sources) or manifest.label_bytes not in {2, 4}:
        raise BadBundle(f"{MANIFEST}: contradicts itself")
    return manifest


def verified(directory: Path, name: str, files: Mapping[str, FileEntry]) -> Path:
    """The path of a file of the bundle after its size and hash were found right. Raises BadBundle.

    It is read, not mapped, so that its pages do not count as this process's memory. A bundle's files are replaced by
    renaming a directory, never rewritten, so what was hashed is what will be mapped.
    """
    path, expected = directory / name, files[name]
    try:
        found = file_entry(path)
    except OSError as error:
        raise BadBundle(f"{name}: {error.strerror}") from None
    if found.size != expected.size:
        raise BadBundle(f"{name}: {found.size} bytes instead of {expected.size}")
    if found.sha256 != expected.sha256:
        raise BadBundle(f"{name}: its hash does not match")
    return path

"""What a bundle looks like on disk: the flags of an entry, the manifest, and the one function that writes it.

A bundle is a directory: ``names.marisa`` (a trie over reversed labels with a trailing dot, ``vn.com.example.``),
``labels.bin`` (for each key id a little number: which label set), ``rules.json`` (the label sets, and the few rules that
a trie cannot hold) and ``bundle.json`` (version, size and SHA-256 of the others, the sources). Whatever else lies there
(``report.json``) is for people and is not read. An *overlay* is a bundle of the same form that changes another one, its base: its
trie has the keys that are new or say something else, and its ``rules.json`` which of the base's keys are gone.

Promises: the same entries in any order give the same bytes. Refuses, with ``BadBundle``: a manifest that is not, byte
for byte, what ``write`` would have written, and any file whose size or hash is another.
"""

import hashlib
import json
import re
import sys
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Self

import marisa_trie
from pydantic import BaseModel, ConfigDict, ValidationError

from filters.sorted_lines import SortedLines

FORMAT = 2
"""1, which is still read, had no overlays, and sources without reason and end"""
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

LabelSet = tuple[tuple[int, int], ...]
"""pairs of position in ``sources`` and flags, in the order of the positions"""
_IDENTITY = re.compile(r"[0-9a-f]{64}")


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
    reason: str = ""
    expires: float = 0.0
    """Unix seconds from which on it holds no more; 0: never. For people: whoever composes a bundle leaves out what has expired"""


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
        return _canonical(self._dumped())

    def _dumped(self) -> dict[str, Any]:
        return self.model_dump(mode="json")


class FileEntry(_Exact):
    size: int
    sha256: str


class Manifest(_Exact):
    """``bundle.json``. ``identity`` is the SHA-256 of the manifest without it, so it stands for every byte of the bundle."""

    format: int
    identity: str
    byteorder: str
    built_at: float
    base: str = ""
    """of an overlay: the identity of the bundle that it changes"""
    names: int
    """keys of this bundle alone"""
    listed: int = 0
    """names that base and overlay list together"""
    label_bytes: int
    sources: tuple[Source, ...]
    """an overlay's begin with its base's, in the same order"""
    counts: tuple[int, ...]
    """names per source, exceptions included, of base and overlay together"""
    files: dict[str, FileEntry]

    def _dumped(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude=_NEW_IN_2 if self.format == 1 else None)


_NEW_IN_2: Any = {"base": True, "listed": True, "sources": {"__all__": {"reason", "expires"}}}


class Rules(_Exact):
    """``rules.json``: every label set, the conditional rules, and what an overlay takes out of its base."""

    sets: tuple[LabelSet, ...]
    conditional: tuple[Conditional, ...]
    gone: tuple[int, ...] = ()
    """the numbers in the base of keys that are not listed any more, each less the one before: a byte or two on the wire, where
    the names themselves would double an overlay"""

    def _dumped(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude=None if self.gone else {"gone"})


def _canonical(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def key_of(name: str) -> str:
    """``example.com.vn`` -> ``vn.com.example.``: a key is a prefix of another one exactly if its name covers the other."""
    return ".".join(name.split(".")[::-1]) + "."


def name_of(key: str) -> str:
    return ".".join(key[:-1].split(".")[::-1])


class _Labelled:
    """Every key once, in order, with its label set; can be iterated any number of times.

    ``lines`` have a key and, after a space, pairs of source and flags; the pairs of several lines for one key add up.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = SortedLines(lines)
        self._sets: dict[str, LabelSet] = {"": ()}
        """what the lines of one key say -> label set: few, and parsed once"""

    def __iter__(self) -> Iterator[tuple[str, LabelSet]]:
        key = said = ""
        for line in self._lines:
            following, _, entry = line.partition(" ")
            if following == key:
                said += "," + entry
                continue
            if key:
                yield key, self._label_set(said)
            key, said = following, entry
        if key:
            yield key, self._label_set(said)

    def _label_set(self, said: str) -> LabelSet:
        known = self._sets.get(said)
        if known is None:
            merged: dict[int, int] = {}
            for entry in said.split(","):
                source, flags = entry.split(" ")
                merged[int(source)] = merged.get(int(source), 0) | int(flags)
            known = self._sets[said] = tuple(sorted(merged.items()))
        return known


@dataclass(frozen=True, slots=True)
class Over:
    """What an overlay lies over, and what the two say together."""

    base: str
    """the base's identity"""
    key_id: Callable[[str], int]
    """the number of a key in the base"""
    listed: int
    counts: tuple[int, ...]


def write(
    directory: Path,
    entries: Iterable[tuple[str, int, int]],
    sources: Sequence[Source],
    conditional: Collection[Conditional] = (),
    built_at: float = 0.0,
) -> str:
    """Write a bundle into ``directory`` (made if absent) and return its identity.

    ``entries`` are ``Entry`` or plain tuples of canonical name, position in ``sources`` and flags, in any order. ``conditional``
    is read when they have come to their end. Nothing is renamed or synced here; blocklists/install.py does that.
    """
    return write_keys(directory, ((key_of(name), source, flags) for name, source, flags in entries), sources, conditional, built_at)


def write_keys(
    directory: Path,
    entries: Iterable[tuple[str, int, int]],
    sources: Sequence[Source],
    conditional: Collection[Conditional] = (),
    built_at: float = 0.0,
) -> str:
    """The same of entries that have keys in place of names."""
    named = ((key_of(rule.name), rule.source, CONDITIONAL) for rule in conditional if rule.name)
    lines = (f"{key} {source} {flags}" for key, source, flags in chain(entries, named))
    return _write(directory, _Labelled(lines), sources, conditional, built_at)


def write_changes(
    directory: Path,
    changes: Iterable[tuple[str, LabelSet]],
    sources: Sequence[Source],
    conditional: Collection[Conditional],
    over: Over,
    built_at: float = 0.0,
) -> str:
    """Write an overlay.

    ``changes`` has every key (not name) that it speaks of once, in any order, with its whole label set, CONDITIONAL included; without
    one, it is a key of the base that is not listed any more.
    """
    gone = array("I")
    lines = _lines_and_gone(changes, over.key_id, gone)
    return _write(directory, _Labelled(lines), sources, conditional, built_at, over, gone)


def _lines_and_gone(changes: Iterable[tuple[str, LabelSet]], key_id: Callable[[str], int], gone: "array[int]") -> Iterator[str]:
    for key, label_set in changes:
        if label_set:
            yield f"{key} {','.join(f'{source} {flags}' for source, flags in label_set)}"
        else:
            gone.append(key_id(key))


def _write(
    directory: Path,
    labelled: Iterable[tuple[str, LabelSet]],
    sources: Sequence[Source],
    conditional: Collection[Conditional],
    built_at: float,
    over: Over | None = None,
    gone: Iterable[int] = (),
) -> str:
    directory.mkdir(parents=True, exist_ok=True)
    used, label_bytes = _write_names(directory, labelled)
    rules = sorted(conditional, key=lambda rule: repr((rule.source, rule.name, rule.pattern, rule)))
    (directory / RULES).write_bytes(Rules(sets=tuple(used), conditional=tuple(rules), gone=_gaps(gone)).canonical())
    names = sum(used.values())
    manifest = Manifest(
        format=FORMAT,
        identity="",
        byteorder=sys.byteorder,
        built_at=float(built_at),
        base=over.base if over else "",
        names=names,
        listed=over.listed if over else names,
        label_bytes=label_bytes,
        sources=tuple(replace(source, expires=float(source.expires)) for source in sources),
        counts=over.counts if over else _counted(used, len(sources)),
        files={name: file_entry(directory / name) for name in (NAMES, LABELS, RULES)},
    )
    return write_manifest(directory, manifest)


def write_manifest(directory: Path, manifest: Manifest) -> str:
    """Write it with its identity, which is returned, in place of the one that it says."""
    raw = manifest.model_copy(update={"identity": ""}).canonical()
    identity = hashlib.sha256(raw).hexdigest()
    (directory / MANIFEST).write_bytes(raw.replace(_identified(""), _identified(identity)))
    return identity


def _gaps(numbers: Iterable[int]) -> tuple[int, ...]:
    ordered = sorted(numbers)
    return tuple(number - before for before, number in zip([0, *ordered], ordered, strict=False))


def _write_names(directory: Path, labelled: Iterable[tuple[str, LabelSet]]) -> tuple[dict[LabelSet, int], int]:
    """Write the trie and the labels, reading the sorted keys twice rather than keeping them.

    Returns the label sets in the order of their numbers, each with how many names have it, and the bytes of one number.
    """
    seen: Counter[LabelSet] = Counter()
    trie = marisa_trie.Trie(_counting(labelled, seen), num_tries=2)  # a tenth faster to walk than the default of 3, a tenth larger
    used = dict(sorted(seen.items()))
    position = {label_set: number for number, label_set in enumerate(used)}
    label_bytes, code = (2, "H") if len(used) <= 0xFFFF else (4, "I")
    labels = array(code, bytes(label_bytes * len(trie)))
    key_id = trie.key_id
    for key, label_set in labelled:
        labels[key_id(key)] = position[label_set]
    (directory / NAMES).write_bytes(trie.tobytes())  # save() says a full disk as a RuntimeError
    (directory / LABELS).write_bytes(labels.tobytes())
    return used, label_bytes


def _counting(labelled: Iterable[tuple[str, LabelSet]], seen: Counter[LabelSet]) -> Iterator[str]:
    for key, label_set in labelled:
        seen[label_set] += 1
        yield key


def _counted(used: Mapping[LabelSet, int], sources: int) -> tuple[int, ...]:
    """Names per source, of label sets and how many names have each."""
    counts = [0] * sources
    for label_set, names in used.items():
        for source, _ in label_set:
            counts[source] += names
    return tuple(counts)


def file_entry(path: Path) -> FileEntry:
    with path.open("rb") as file:
        return FileEntry(size=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def _identified(identity: str) -> bytes:
    """Where the manifest says its identity: nowhere else, since quotes within a text have a backslash before them."""
    return f'"identity":"{identity}"'.encode()


def read_manifest(directory: Path) -> Manifest:
    """The manifest of the bundle in ``directory``, checked by itself. Raises BadBundle."""
    try:
        with (directory / MANIFEST).open("rb") as file:
            raw = file.read(MAX_JSON + 1)
    except OSError as error:
        raise BadBundle(f"{MANIFEST}: {error.strerror}") from None
    manifest = Manifest.read(raw, MANIFEST)
    if not 1 <= manifest.format <= FORMAT:
        raise BadBundle(f"{MANIFEST}: format {manifest.format}, and this program reads up to format {FORMAT}")
    if manifest.identity != hashlib.sha256(raw.replace(_identified(manifest.identity), _identified(""))).hexdigest():
        raise BadBundle(f"{MANIFEST}: its own hash does not match")
    if manifest.byteorder != sys.byteorder:
        raise BadBundle(f"{MANIFEST}: built for a {manifest.byteorder}-endian machine")
    if set(manifest.files) != {NAMES, LABELS, RULES}:
        raise BadBundle(f"{MANIFEST}: lists other files than {NAMES}, {LABELS} and {RULES}")
    if manifest.base and not _IDENTITY.fullmatch(manifest.base):
        raise BadBundle(f"{MANIFEST}: its base is no bundle's identity")
    if manifest.format == 1:
        manifest = manifest.model_copy(update={"listed": manifest.names})
    alone = manifest.listed == manifest.names or manifest.base
    if not alone or len(manifest.counts) != len(manifest.sources) or manifest.label_bytes not in {2, 4}:
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

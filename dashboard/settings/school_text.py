"""The text of school.yaml, changed where a person changed something and nowhere else. Pure.

``Text(data)`` gives the document as ruamel.yaml's round-trip tree, in which every value is a string, as policies/document.py reads it; callers
change the tree, and ``changed()`` is the new text. Promises: lines that the change does not touch stay as they were, byte for byte: comments, order,
quotes, blanks, ends of lines; the new text reads back as exactly the tree that was asked for. What is written new is quoted wherever another YAML
reader (1.1 or 1.2) would take it for a number, a date or a truth value.
"""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from enum import Enum
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.resolver import VersionedResolver
from ruamel.yaml.scalarstring import PlainScalarString

from policies.document import read

Path = Sequence[str | int]

BOM = b"\xef\xbb\xbf"
WIDE = 1 << 20
"""columns: a line that a person wrote long stays one line"""
_CORE = re.compile(
    r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
    r"|null|Null|NULL|~|true|True|TRUE|false|False|FALSE|"
)
"""what YAML 1.2's core schema takes for something else than text"""
_COMMENT = re.compile(r"[ \t]*(#|$)")
_TRAILING = re.compile(r"([ \t]+)(#.*)$")
LOOSE = 4
"""blanks before a comment that is no longer set beside what it speaks of, but in a column"""
_LIST = re.compile(r"^( *)[^\s#-][^\n]*:[ \t]*(?:#[^\n]*)?\n(?:[ \t]*(?:#[^\n]*)?\n)*( *)- ", re.MULTILINE)
_MAPPING = re.compile(r"^[^\s#-][^\n]*:[ \t]*(?:#[^\n]*)?\n(?:[ \t]*(?:#[^\n]*)?\n)*( +)[^\s#-]", re.MULTILINE)


class _Resolver(VersionedResolver):
    """Text is text: ``no``, ``0905`` and ``07:00`` are not resolved to anything else."""

    @property
    def versioned_resolver(self) -> dict[str, Any]:
        return {}


class _Bare(PlainScalarString):
    """A text that stands in the file without quotes, and stays so."""

    written: str | None = None


class _Constructor(RoundTripConstructor):
    def construct_scalar(self, node: Any) -> Any:
        value = super().construct_scalar(node)
        return _bare(value) if type(value) is str else value


def _bare(text: str) -> _Bare:
    made: _Bare = _Bare(text)
    made.written = text
    return made


class _Representer(RoundTripRepresenter):
    def represent_text(self, data: str) -> Any:
        """ruamel.yaml makes a new text of the class of the old one, so the class alone does not tell which of them this is."""
        quoted = getattr(data, "written", None) != data and (_is_ambiguous(data) or not _reads_bare(data))
        return self.represent_scalar("tag:yaml.org,2002:str", str(data), style='"' if quoted else None)


for _kind in (str, PlainScalarString, _Bare):
    _Representer.add_representer(_kind, _Representer.represent_text)


def _is_ambiguous(text: str) -> bool:
    """Whether some YAML reader takes the plain text for something else."""
    resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = yaml.SafeLoader.yaml_implicit_resolvers
    return bool(_CORE.fullmatch(text)) or any(pattern.match(text) for _, pattern in resolvers.get(text[:1], ()))


def _reads_bare(text: str) -> bool:
    """Whether PyYAML reads the text without quotes as itself, within brackets too, where it is stricter than ruamel.yaml."""
    try:
        return bool(yaml.load(f"[{text}]", Loader=yaml.BaseLoader) == [text])  # noqa: S506 - BaseLoader makes nothing but strings
    except (yaml.YAMLError, ValueError, RecursionError):
        return False


class Unwritable(Exception):
    """ruamel.yaml would write something else than it was given."""


class Text:
    """One file's text. ``data`` has been accepted by policies/load.py before, which bounds its size, its depth and its aliases."""

    def __init__(self, data: bytes) -> None:
        self._bom = BOM if data.startswith(BOM) else b""
        text = data.decode("utf-8-sig")
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._lines = text.replace("\r\n", "\n").split("\n")
        self._yaml = _yaml("\n".join(self._lines))
        self.document: CommentedMap = self._load()
        """to be changed by the caller"""

    def changed(self) -> bytes:
        """The text that says what ``document`` says now. Raises Unwritable rather than write anything else."""
        wanted = plain(self.document)
        before, after = self._dump(self._load()), self._dump(self.document)
        if before == after:
            return self._bytes(self._lines)
        for lines in (_merged(self._lines, before, after), after):
            data = self._bytes(lines)
            if _reads_as(data, wanted):
                return data
        raise Unwritable("this change cannot be written into the file as it stands")

    def _load(self) -> CommentedMap:
        document = self._yaml.load("\n".join(self._lines))
        _unshare(document, set())
        assert isinstance(document, CommentedMap)
        return document

    def _dump(self, document: CommentedMap) -> list[str]:
        stream = io.StringIO()
        self._yaml.dump(document, stream)
        return stream.getvalue().split("\n")

    def _bytes(self, lines: list[str]) -> bytes:
        return self._bom + self._newline.join(lines).encode()


def _yaml(text: str) -> YAML:
    """Indents as the text does, as far as its first list and its first mapping tell."""
    made = YAML(typ="rt", pure=True)
    made.Resolver, made.Constructor, made.Representer = _Resolver, _Constructor, _Representer
    made.preserve_quotes = True
    made.width = WIDE
    made.allow_unicode = True
    offset = next((len(found[2]) - len(found[1]) for found in _LIST.finditer(text)), 2)
    mapping = next((len(found[1]) for found in _MAPPING.finditer(text)), 2)
    made.indent(mapping=mapping, sequence=offset + 2, offset=offset)
    return made


def _unshare(node: Any, seen: set[int]) -> None:
    """What an alias stands for becomes a value of its own, so that a change here is none there."""
    seen.add(id(node))
    pairs = list(node.items()) if isinstance(node, CommentedMap) else list(enumerate(node)) if isinstance(node, CommentedSeq) else []
    for key, value in pairs:
        if isinstance(value, CommentedMap | CommentedSeq):
            if id(value) in seen:
                value = node[key] = _copied(value)  # noqa: PLW2901
            _unshare(value, seen)


def _copied(value: Any) -> Any:
    """Without anchors."""
    if isinstance(value, CommentedMap):
        return _styled(CommentedMap((key, _copied(each)) for key, each in value.items()), value)
    if isinstance(value, CommentedSeq):
        return _styled(CommentedSeq(_copied(each) for each in value), value)
    return value


def _styled(made: Any, like: Any) -> Any:
    if like.fa.flow_style():
        made.fa.set_flow_style()
    return made


def _reads_as(data: bytes, wanted: Any) -> bool:
    try:
        document = read(data)
    except Exception:  # noqa: BLE001 - whatever is wrong with a text, it is not the one
        return False
    return not document.flaws and bool(document.plain == wanted)


def plain(value: Any) -> Any:
    """Dictionaries, lists and strings, as policies/document.py reads the written value."""
    if isinstance(value, Mapping):
        return {plain(key): plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(each) for each in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value.value if isinstance(value, Enum) else value)


def _merged(original: list[str], before: list[str], after: list[str]) -> list[str]:
    """``after``, but with ``original``'s lines wherever nothing changed from ``before`` (which is ``original`` as ruamel.yaml writes it)."""
    origin = _origins(original, before)
    lines: list[str] = []
    taken = 0
    for tag, start, end, new_start, new_end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        old, new = before[start:end], after[new_start:new_end]
        if tag == "equal":
            for number in range(start, end):
                lines += original[origin[number][0] : origin[number][1]] if origin[number][1] > taken else []
                taken = max(taken, origin[number][1])
            continue
        if end > start:
            if len(old) == len(new):
                new = [_spaced(line, original[origin[number][0]]) for number, line in enumerate(new, start)]
            kept = [line for line in _closing(old) if line not in new]
            taken = max(taken, origin[end - 1][1])
            lines = _inserted(lines, new) + kept
        else:
            lines = _inserted(lines, new)
    return lines


def _spaced(line: str, original: str) -> str:
    """The line with as many blanks before its comment as there were; a later comma may have eaten some."""
    was, is_now = _TRAILING.search(original), _TRAILING.search(line)
    if was is None or is_now is None or was[2] != is_now[2]:
        return line
    return f"{line[: is_now.start()]}{was[1] if len(was[1]) < LOOSE else is_now[1]}{is_now[2]}"


def _origins(original: list[str], before: list[str]) -> list[tuple[int, int]]:
    """Which lines of ``original`` each line of ``before`` came from. Lines of a block that is written differently share it."""
    origins: list[tuple[int, int]] = [(0, 0)] * len(before)
    for tag, start, end, new_start, new_end in SequenceMatcher(None, original, before, autojunk=False).get_opcodes():
        one_by_one = tag == "equal" or end - start == new_end - new_start
        for number in range(new_start, new_end):
            at = start + number - new_start
            origins[number] = (at, at + 1) if one_by_one else (start, end)
        if tag == "delete" and origins:  # blank lines and marks that ruamel.yaml leaves out go with the line after them
            number = min(new_start, len(before) - 1)
            origins[number] = (start, origins[number][1])
    return _with_deleted(origins, len(original))


def _with_deleted(origins: list[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    """Every line of the original belongs to a line: what would belong to none goes with the one after it."""
    whole: list[tuple[int, int]] = []
    reached = 0
    for start, end in origins:
        whole.append((min(start, reached) if end > reached else start, end))
        reached = max(reached, end)
    if whole and reached < count:
        whole[-1] = (whole[-1][0], count)
    return whole


def _closing(lines: Sequence[str]) -> list[str]:
    """Comments and blank lines at the end of what goes: they speak of what comes after it."""
    at = len(lines)
    while at and _COMMENT.match(lines[at - 1]):
        at -= 1
    return list(lines[at:])


def _inserted(lines: list[str], new: list[str]) -> list[str]:
    """New lines come before comments that are further out than they are: those speak of what comes next."""
    first = next((line for line in new if line.strip()), "")
    indent = len(first) - len(first.lstrip())
    at = end = len(lines)
    while at and _COMMENT.match(lines[at - 1]):
        at -= 1
        if lines[at].strip() and len(lines[at]) - len(lines[at].lstrip()) >= indent > 0:
            at = at + 1
            break
    if not first or at == 0 or indent == 0:
        at = end
    return lines[:at] + new + lines[at:]


# ---- what callers do with the tree ----------------------------------------------------------------------------------


def find(document: Any, path: Path) -> Any:
    """The value at ``path``, or None where nothing is written."""
    for step in path:
        there = step < len(document) if isinstance(document, CommentedSeq) and isinstance(step, int) else step in (document or ())
        if not there or isinstance(document, str):
            return None
        document = document[step]
    return document


def set_in(document: CommentedMap, path: Path, value: object) -> None:
    """Write ``value`` (text, number, truth value, enum, address, list, mapping; None: nothing) at ``path``; mappings on the way are made.

    A value that says the same already is left as it is written.
    """
    if value is None:
        remove_in(document, path)
        return
    parent: Any = document
    for step in path[:-1]:
        if isinstance(parent, CommentedMap) and step not in parent:
            parent[step] = CommentedMap()
        parent = parent[step]
    last = path[-1]
    there = isinstance(parent, CommentedSeq) or last in parent
    if there and plain(parent[last]) == plain(value):
        return
    if there and isinstance(parent[last], CommentedSeq) and isinstance(value, Sequence) and not isinstance(value, str):
        _set_items(parent[last], value)
    else:
        parent[last] = _tree(value)


def _set_items(items: CommentedSeq, wanted: Sequence[object]) -> None:
    """Item by item, so that those that stay keep their comments."""
    kept = [plain(each) for each in wanted]
    for at in reversed(range(len(items))):
        if plain(items[at]) not in kept:
            del items[at]
    if [plain(each) for each in items] == kept[: len(items)]:
        for each in wanted[len(items) :]:
            items.append(_tree(each, items))
    else:
        items[:] = [_tree(each) for each in wanted]


def remove_in(document: CommentedMap, path: Path) -> None:
    """Remove what stands at ``path``, and the mappings around it that are empty then. Nothing there: nothing happens."""
    trail = [(document, path[0])]
    for step in path[1:]:
        inner = find(trail[-1][0], trail[-1][1:])
        if inner is None:
            return
        trail.append((inner, step))
    container, last = trail.pop()
    if find(container, [last]) is None:
        return
    del container[last]
    while trail and isinstance(container, CommentedMap) and not container:
        container, last = trail.pop()
        del container[last]


def item(document: CommentedMap, path: Path, key: str, value: str) -> CommentedMap | None:
    """The mapping in the list at ``path`` that has ``key: value``: ``item(document, ["groups"], "name", "6a1")``."""
    return next((each for each in find(document, path) or () if isinstance(each, CommentedMap) and str(each.get(key)) == value), None)


def add_item(document: CommentedMap, path: Path, value: object) -> None:
    """One more at the end of the list at ``path``, written as its other items are."""
    if find(document, path) is None:
        set_in(document, path, [])
    items = find(document, path)
    items.append(_tree(value, items))


def remove_item(document: CommentedMap, path: Path, value: object) -> None:
    """Remove the item (a tree's node, or what it says) from the list at ``path``; a list that is empty then goes with it."""
    items = find(document, path) or CommentedSeq()
    for at in reversed(range(len(items))):
        if items[at] is value or plain(items[at]) == plain(value):
            del items[at]
    if not items:
        remove_in(document, path)


def _tree(value: object, siblings: Iterator[object] | CommentedSeq | None = None) -> Any:
    """As ruamel.yaml wants it: lists of texts on one line, mappings as their siblings are."""
    if isinstance(value, CommentedMap | CommentedSeq):
        return value
    if isinstance(value, Mapping):
        made = CommentedMap((str(key), _tree(each)) for key, each in value.items() if each is not None)
        like = next((each for each in siblings or () if isinstance(each, CommentedMap)), None)
        return _styled(made, like) if like is not None else made
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str):
        items = CommentedSeq(_tree(each) for each in value)
        if not any(isinstance(each, CommentedMap) for each in items):
            items.fa.set_flow_style()
        return items
    if isinstance(value, bool | int | float) and not isinstance(value, Enum):
        return _bare(plain(value))
    return plain(value)

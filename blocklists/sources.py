"""``sources.yaml``: which lists there are. Text -> ``ListSource``, or every error at once as ``file:line:column: what``.

Read with ``yaml.compose``, so each value knows its place and stays the text that was written. Unknown keys, formats and
categories are errors that name the nearest known word; nothing has a silent default but what the fields below show.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from blocklists.parse import FORMATS
from filters.bundle import Source
from filters.category import CATEGORIES
from filters.critical import CRITICAL
from filters.message import Message, joined

PACKAGED = Path(__file__).with_name("sources.yaml")
TEST_SOURCE = "manglanh-test"
"""the built-in list of the categories' test names; no other list may have its name"""
_KEYS = ("name", "category", "format", "path", "url", "licence", "attribution", "authority", "document", "may_name")
_REQUIRED = ("name", "category", "format", "licence")


@dataclass(frozen=True, slots=True)
class ListSource:
    """One entry of sources.yaml. Exactly one of ``path`` and ``url`` is set."""

    name: str
    category: str
    format: str
    licence: str
    path: Path | None = None
    """absolute, or relative to the working directory; what stands in the file is relative to the file"""
    url: str = ""
    attribution: str = ""
    """whom the licence wants named; it travels in the build report"""
    authority: str = ""
    document: str = ""
    may_name: frozenset[str] = frozenset()
    """critical names (filters/critical.py) that this list means"""

    def in_bundle(self) -> Source:
        return Source(self.name, self.category, self.licence, self.url, self.authority, self.document)


@dataclass(frozen=True, slots=True, order=True)
class SourceProblem:
    line: int
    column: int
    message: str


class BadSources(Exception):
    """The file cannot be used; ``problems`` has every reason, and the message one per line as ``file:line:column: what``."""

    def __init__(self, file: str, problems: list[SourceProblem]) -> None:
        self.problems = sorted(problems)
        super().__init__(
            joined(
                Message("{file}:{line}:{column}: {what}", file=file, line=problem.line, column=problem.column, what=problem.message)
                for problem in self.problems
            )
        )


def load(path: Path) -> tuple[ListSource, ...]:
    """Read the file; relative paths in it start at its folder. Raises BadSources."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSources(str(path), [SourceProblem(1, 1, Message("cannot be read: {why}", why=error))]) from None
    return parse_sources(text, str(path), path.parent)


def parse_sources(text: str, file: str, folder: Path) -> tuple[ListSource, ...]:
    """The lists that ``text`` describes, in its order. ``file`` is for messages. Raises BadSources."""
    reader = _Reader(folder)
    sources = tuple(reader.sources(_composed(text, file)))
    if reader.problems:
        raise BadSources(file, reader.problems)
    return sources


def _composed(text: str, file: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise BadSources(file, [SourceProblem(*where, Message("not YAML: {why}", why=error.problem or error.context))]) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise BadSources(file, [SourceProblem(1, 1, Message("not YAML: {why}", why=error))]) from None


class _Reader:
    """Walks the nodes and keeps every problem with its place."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: set[str] = set()
        self.problems: list[SourceProblem] = []

    def _problem(self, node: yaml.Node | None, where: str, what: Message) -> None:
        line, column = (node.start_mark.line + 1, node.start_mark.column + 1) if node else (1, 1)
        self.problems.append(SourceProblem(line, column, Message("{where}: {what}", where=where, what=what)))

    def sources(self, root: yaml.Node | None) -> Iterator[ListSource]:
        top = self._mapping(root, ("sources",), Message("the file"))
        listed = top.get("sources")
        if listed is None:
            if not self.problems:
                self._problem(root, "sources", Message("missing"))
        elif not isinstance(listed, yaml.SequenceNode):
            self._problem(listed, "sources", Message("must be a list"))
        else:
            for number, node in enumerate(listed.value, 1):
                source = self._source(node, f"sources.{number}")
                if source is not None:
                    yield source

    def _mapping(self, node: yaml.Node | None, keys: tuple[str, ...], where: str) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self._problem(node, where, Message("must have keys ({keys})", keys=", ".join(keys)))
            return {}
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.value not in keys:
                self._problem(key, f"{where}.{key.value}", Message("unknown key{hint}", hint=did_you_mean(str(key.value), keys)))
            elif key.value in found:
                self._problem(key, f"{where}.{key.value}", Message("given twice"))
            else:
                found[key.value] = value
        return found

    def _source(self, node: yaml.Node, where: str) -> ListSource | None:
        before = len(self.problems)
        nodes = self._mapping(node, _KEYS, where)
        if not nodes:
            return None
        texts = {key: self._text(value, f"{where}.{key}") for key, value in nodes.items() if key != "may_name"}
        for key in _REQUIRED:
            if key not in nodes:
                self._problem(node, where, Message("{key} is missing", key=key))
        self._check_name(nodes, texts, where)
        self._check_word(nodes, texts, "category", tuple(CATEGORIES), where)
        self._check_word(nodes, texts, "format", FORMATS, where)
        self._check_place(node, nodes, texts, where)
        may_name = self._names_of(nodes.get("may_name"), f"{where}.may_name")
        if len(self.problems) > before:
            return None
        path = self._folder / texts.pop("path") if "path" in texts else None
        return ListSource(**texts, path=path, may_name=may_name)

    def _text(self, node: yaml.Node, where: str) -> str:
        if isinstance(node, yaml.ScalarNode) and node.value.strip():
            return str(node.value).strip()
        self._problem(node, where, Message("must be a text"))
        return ""

    def _check_name(self, nodes: Mapping[str, yaml.Node], texts: Mapping[str, str], where: str) -> None:
        name = texts.get("name", "")
        if name in self._names:
            self._problem(nodes["name"], f"{where}.name", Message("another list has this name: {name}", name=name))
        if name.startswith(TEST_SOURCE):
            self._problem(nodes["name"], f"{where}.name", Message("{name} is built in", name=TEST_SOURCE))
        self._names.add(name)

    def _check_word(self, nodes: Mapping[str, yaml.Node], texts: Mapping[str, str], key: str, known: tuple[str, ...], where: str) -> None:
        word = texts.get(key)
        if word and word not in known:
            what = Message("unknown {key} {word!r}{hint}", key=key, word=word, hint=did_you_mean(word, known))
            self._problem(nodes[key], f"{where}.{key}", what)

    def _check_place(self, node: yaml.Node, nodes: Mapping[str, yaml.Node], texts: Mapping[str, str], where: str) -> None:
        if ("path" in nodes) == ("url" in nodes):
            self._problem(node, where, Message("exactly one of path and url is needed"))
        url = texts.get("url")
        if url and not is_fetchable(url):
            self._problem(nodes["url"], f"{where}.url", Message("must be https://, http:// or file://, with a host or a path"))
        if url and texts.get("format") == "ut1" and not url.endswith(".tar.gz"):
            what = Message("format ut1 by url is an archive (.tar.gz); for a single file use domains")
            self._problem(nodes["url"], f"{where}.url", what)

    def _names_of(self, node: yaml.Node | None, where: str) -> frozenset[str]:
        if node is None:
            return frozenset()
        if not isinstance(node, yaml.SequenceNode):
            self._problem(node, where, Message("must be a list of names"))
            return frozenset()
        names = {self._text(item, where): item for item in node.value}
        for name, item in names.items():
            if name and name not in CRITICAL:
                self._problem(item, where, Message("{name} is not guarded{hint}", name=name, hint=did_you_mean(name, tuple(CRITICAL))))
        return frozenset(names)


def appended(text: str, entry: Mapping[str, str], file: str, folder: Path) -> str:
    """``text`` of a sources.yaml with one more list at its end; every comment stays. Raises BadSources.

    ``entry``: the keys of one list. What comes out is checked like any sources.yaml; an empty ``text`` is a new file.
    """
    root = _composed(text, file)
    listed = root.value[0][1] if isinstance(root, yaml.MappingNode) and root.value else None
    if isinstance(listed, yaml.SequenceNode) and listed.flow_style:
        what = Message("sources: must be written one entry a line (- name: ...)")
        raise BadSources(file, [SourceProblem(listed.start_mark.line + 1, listed.start_mark.column + 1, what)])
    indent = " " * (listed.start_mark.column if isinstance(listed, yaml.SequenceNode) else 2)
    head = text if text.endswith("\n") or not text else text + "\n"
    if root is None or (isinstance(root, yaml.ScalarNode) and not root.value):
        head += "sources:\n"
    lines = [f"{key}: {_scalar(value)}" for key, value in entry.items()]
    result = f"{head}{indent}- " + f"\n{indent}  ".join(lines) + "\n"
    parse_sources(result, file, folder)
    return result


def _scalar(text: str) -> str:
    """``text`` as YAML: plain where nothing in it could be read otherwise, else quoted."""
    return (
        text if re.fullmatch(r"[A-Za-z0-9./][A-Za-z0-9./_+ -]*[A-Za-z0-9._+/-]|[A-Za-z0-9]", text) else json.dumps(text, ensure_ascii=False)
    )


def is_fetchable(url: str) -> bool:
    """Whether ``url`` has a scheme that fetch.py serves, and names something."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return (parts.scheme in {"http", "https"} and bool(parts.hostname)) or (parts.scheme == "file" and bool(parts.path))


def did_you_mean(word: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(word, known, n=1)
    return Message(", did you mean {word!r}?", word=close[0]) if close else ""

"""YAML text as plain strings, lists and dictionaries, and where in the text each of them stands.

Promises: only strings, lists and dictionaries with text keys come out, as ``yaml.BaseLoader`` reads them (``13:30`` and
``no`` stay what was written, tags mean nothing); bounded work, also for hostile text. Refuses what a school's file never
needs: more than MAX_BYTES, nesting deeper than MAX_DEPTH, more than MAX_ALIASES aliases or MAX_VALUES values once they are
followed, a second document, a key that stands twice in one mapping or is no text, a key without a value.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from filters.message import Message

MAX_BYTES = 512 * 1024
MAX_DEPTH = 20
MAX_ALIASES = 100
MAX_VALUES = 50_000
"""a school of 500 groups has 7,000"""

_TOO_DEEP = Message("nested more than {count} deep", count=MAX_DEPTH)
_TOO_MANY = Message("more than {count} values, aliases followed", count=MAX_VALUES)

Path = tuple[str | int, ...]


class Position(NamedTuple):
    """Counted from 1, columns in characters."""

    line: int = 1
    column: int = 1


class Flaw(NamedTuple):
    """Something wrong with the text itself."""

    position: Position
    path: Path
    message: str


class Unreadable(Exception):
    """No tree can be made of the text; ``flaw`` says where that became clear."""

    def __init__(self, position: Position, message: str) -> None:
        super().__init__(message)
        self.flaw = Flaw(position, (), message)


@dataclass(frozen=True, slots=True)
class Scalar:
    position: Position
    text: str
    missing: bool = False
    """nothing is written at all: ``key:``"""


@dataclass(frozen=True, slots=True)
class Items:
    position: Position
    nodes: list["Node"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Entries:
    position: Position
    pairs: list[list["Node"]] = field(default_factory=list)
    """[key, value]; while it is being read the last may have no value yet"""


Node = Scalar | Items | Entries


class Document:
    """The tree of one text. ``plain`` is what a validator reads, ``flaws`` what is wrong already."""

    def __init__(self, root: Node) -> None:
        self.flaws: list[Flaw] = []
        self._places: dict[Path, tuple[Position, Position]] = {}
        """path -> where its key and its value stand; the same for an item of a list"""
        self.plain: Any = self._plain(root, (), root.position)

    def position(self, path: Path) -> Position:
        """Where the value at ``path`` stands; of a path that leads nowhere, the last part that exists."""
        return self._place(path)[1]

    def key_position(self, path: Path) -> Position:
        """Where the key at ``path`` stands."""
        return self._place(path)[0]

    def _place(self, path: Path) -> tuple[Position, Position]:
        while path not in self._places:
            path = path[:-1]
        return self._places[path]

    def _plain(self, node: Node, path: Path, key: Position) -> Any:
        """Follows aliases, which is why values and depth are counted here again."""
        self._places[path] = key, node.position
        if len(self._places) > MAX_VALUES:
            raise Unreadable(node.position, _TOO_MANY)
        if len(path) > MAX_DEPTH:
            raise Unreadable(node.position, _TOO_DEEP)
        if isinstance(node, Scalar):
            return node.text
        if isinstance(node, Items):
            return [self._plain(each, (*path, at), each.position) for at, each in enumerate(node.nodes)]
        return self._mapping(node, path)

    def _mapping(self, node: Entries, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in node.pairs:
            if not isinstance(key, Scalar):
                self.flaws.append(Flaw(key.position, path, Message("a key must be text")))
            elif key.text in values:
                self.flaws.append(Flaw(key.position, (*path, key.text), Message("stands here twice")))
            elif isinstance(value, Scalar) and value.missing:
                self.flaws.append(Flaw(key.position, (*path, key.text), Message("has no value; give one or remove the key")))
            else:
                values[key.text] = self._plain(value, (*path, key.text), key.position)
        return values


def read(data: bytes) -> Document:
    """The document in a file's bytes. Raises Unreadable."""
    if len(data) > MAX_BYTES:
        raise Unreadable(Position(), Message("larger than {count} bytes", count=MAX_BYTES))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", "replace")
        raise Unreadable(_position_after(before), Message("not UTF-8 text; save the file as UTF-8")) from None
    return Document(_compose(_events(text)))


def _position_after(text: str) -> Position:
    return Position(text.count("\n") + 1, len(text) - text.rfind("\n"))


def _events(text: str) -> Iterator[yaml.Event]:
    """PyYAML's parser in Python rather than libyaml's: they differ in what they accept, and a box must not decide that."""
    try:
        yield from yaml.parse(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Unreadable(_of(mark) if mark else Position(), Message("not YAML: {why}", why=_words(error))) from None
    except yaml.reader.ReaderError as error:
        why = Message("a character that YAML does not allow (U+{code:04X})", code=error.character)
        raise Unreadable(_position_after(text[: error.position]), why) from None
    except ValueError as error:  # an escape such as "\Uffffffff" that is no character
        raise Unreadable(Position(), Message("not YAML: {why}", why=error)) from None


def _words(error: yaml.MarkedYAMLError) -> str:
    return ", ".join(part for part in (error.context, error.problem) if part)


def _compose(events: Iterable[yaml.Event]) -> Node:
    """Build the tree with a stack of open nodes. Raises Unreadable for no document, two, or too deep a one."""
    root: Node | None = None
    open_nodes: list[Items | Entries] = []
    anchors: dict[str, Node] = {}
    aliases = 0
    for count, event in enumerate(events):
        if count > 3 * MAX_VALUES:
            raise Unreadable(_of(event.start_mark), _TOO_MANY)
        if isinstance(event, yaml.DocumentStartEvent) and root is not None:
            raise Unreadable(_of(event.start_mark), Message("a second document begins here; a school has one"))
        if isinstance(event, yaml.CollectionEndEvent):
            open_nodes.pop()
        if not isinstance(event, yaml.NodeEvent):
            continue
        if isinstance(event, yaml.AliasEvent):
            aliases += 1
            node = _aliased(event, anchors, aliases)
        else:
            node = _node(event)
            if event.anchor is not None:
                anchors[event.anchor] = node
        if open_nodes:
            _add(open_nodes[-1], node)
        else:
            root = node
        if isinstance(event, yaml.CollectionStartEvent) and not isinstance(node, Scalar):
            open_nodes.append(node)
            if len(open_nodes) > MAX_DEPTH:
                raise Unreadable(node.position, _TOO_DEEP)
    if root is None:
        raise Unreadable(Position(), Message("the file is empty"))
    return root


def _aliased(event: yaml.AliasEvent, anchors: dict[str, Node], aliases: int) -> Node:
    position = _of(event.start_mark)
    if event.anchor not in anchors:
        raise Unreadable(position, Message("the alias *{anchor} has no anchor before it", anchor=event.anchor))
    if aliases > MAX_ALIASES:
        raise Unreadable(position, Message("more than {count} aliases", count=MAX_ALIASES))
    return anchors[event.anchor]


def _node(event: yaml.NodeEvent) -> Node:
    position = _of(event.start_mark)
    if isinstance(event, yaml.ScalarEvent):
        return Scalar(position, event.value, missing=event.value == "" and not event.style)
    return Items(position) if isinstance(event, yaml.SequenceStartEvent) else Entries(position)


def _add(parent: Items | Entries, node: Node) -> None:
    if isinstance(parent, Items):
        parent.nodes.append(node)
    elif parent.pairs and len(parent.pairs[-1]) == 1:
        parent.pairs[-1].append(node)
    else:
        parent.pairs.append([node])


def _of(mark: Any) -> Position:
    return Position(mark.line + 1, mark.column + 1)

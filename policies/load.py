"""A settings file as a frozen model: read, checked, every error at once as ``file:line:column: path: message``.  [shell]

``load`` and ``parse`` are for the school's file; policies/province.py reads the province's with the same machinery.

Promises: what comes out is whole (policies/model.py) and refers to nothing that does not exist; whatever the input, only
``ConfigError`` is raised. Three layers look for errors and none stops the others: the text itself (policies/document.py),
the types of its values (pydantic), and what one part says of another (policies/references.py).
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import GenericAlias, UnionType
from typing import Annotated, Any, NamedTuple, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from filters.message import Message, joined
from policies.document import MAX_BYTES, Document, Position, Unreadable, read
from policies.model import SchoolFile
from policies.references import wrong_references
from policies.suggest import did_you_mean, unknown

Model = TypeVar("Model", bound=BaseModel)
References = Callable[[dict[str, Any]], Iterator[tuple[tuple[str | int, ...], str]]]


class Problem(NamedTuple):
    """One thing that is wrong, and where; lines and columns count from 1."""

    file: str
    line: int
    column: int
    path: str
    """``groups.1.teir``; empty: the file as a whole"""
    message: str

    def __str__(self) -> str:
        return str(self.sentence())

    def sentence(self) -> Message:
        if self.path:
            return Message("{file}:{line}:{column}: {path}: {message}", **self._asdict())
        return Message("{file}:{line}:{column}: {message}", **self._asdict())


class ConfigError(Exception):
    """The file is refused; ``problems`` has everything that is wrong with it, in the order of the lines."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(joined(problem.sentence() for problem in problems))
        self.problems = problems


def load(path: Path) -> SchoolFile:
    """Raises ConfigError, also where there is no such file."""
    return parse(contents(path), str(path))


def parse(data: bytes | str, filename: str) -> SchoolFile:
    """``filename`` is for messages. Raises ConfigError."""
    return parse_as(SchoolFile, data, filename, wrong_references)


def contents(path: Path) -> bytes:
    """The bytes of a settings file, one more than are allowed if there are too many. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigError([Problem(str(path), 1, 1, "", Message("cannot be read: {why}", why=why))]) from None


def parse_as(model: type[Model], data: bytes | str, filename: str, references: References) -> Model:
    """The model that ``data`` describes. ``references`` says what in the plain values refers to nothing. Raises ConfigError."""
    try:
        document = read(data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data)
    except Unreadable as error:
        raise ConfigError([_problem(filename, *error.flaw)]) from None
    if not isinstance(document.plain, dict):
        needed = [f"{name}:" for name, field in model.model_fields.items() if field.is_required()]
        keys = Message("{first} and {last}", first=", ".join(needed[:-1]), last=needed[-1]) if needed[1:] else needed[0]
        what = Message("not a mapping of keys; it needs {keys}", keys=keys)
        raise ConfigError([_problem(filename, Position(), (), what)])
    problems = {_problem(filename, *flaw) for flaw in document.flaws}
    flawed = {problem.path for problem in problems}
    value = None
    try:
        value = model.model_validate(document.plain)
    except ValidationError as error:
        problems.update(problem for problem in _type_problems(model, filename, document, error) if problem.path not in flawed)
    for path, message in references(document.plain):
        problems.add(_problem(filename, document.position(path), path, message))
    if problems or value is None:
        raise ConfigError(sorted(problems))
    return value


def _problem(filename: str, position: Position, path: tuple[str | int, ...], message: str) -> Problem:
    return Problem(filename, position.line, position.column, ".".join(map(str, path)), message)


def _type_problems(model: type[BaseModel], filename: str, document: Document, error: ValidationError) -> Iterator[Problem]:
    """What pydantic found, at its place and in our words."""
    for detail in error.errors(include_url=False):
        path, kind = detail["loc"], detail["type"]
        of_key = path[-1:] == ("[key]",)
        if of_key:
            path = path[:-1]
        if kind == "missing":
            position = document.key_position(path[:-1])
        elif kind == "extra_forbidden" or of_key:
            position = document.key_position(path)
        else:
            position = document.position(path)
        if kind == "extra_forbidden":
            message: str = Message("unknown key{hint}", hint=did_you_mean(str(path[-1]), _keys(model, path[:-1])))
        else:
            message = _words(kind, detail["msg"], detail.get("ctx", {}), detail["input"])
        yield _problem(filename, position, path, message)


_WORDS = {
    "missing": Message("required, but not there"),
    "model_type": Message("a mapping of keys is needed here"),
    "dict_type": Message("a mapping of keys is needed here"),
    "tuple_type": Message("a list is needed here"),
    "string_type": Message("text is needed here"),
    "bool_parsing": Message("true or false (yes or no) is needed here"),
    "int_parsing": Message("a whole number is needed here"),
    "float_parsing": Message("a number is needed here"),
    "greater_than_equal": Message("must be at least {ge}"),
    "less_than_equal": Message("must be at most {le}"),
}


def _words(kind: str, message: str, details: dict[str, Any], value: object) -> str:
    if kind in ("enum", "literal_error"):
        return unknown(Message("value"), str(value), re.findall(r"'([^']*)'", details["expected"]))
    if kind == "value_error":
        return Message("{why}", why=details["error"])
    return Message(_WORDS[kind], **details) if kind in _WORDS else message


def _keys(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """The keys that ``model`` knows at ``path``."""
    kind: Any = model
    for step in path:
        kind = _inner(kind, step)
    return list(kind.model_fields) if _is_model(kind) else []


def _inner(kind: Any, step: str | int) -> Any:
    """The type of what stands at ``step`` in a value of type ``kind``, as far as a key may be unknown there."""
    if _is_model(kind):
        return _bare(kind.model_fields[step].annotation) if step in kind.model_fields else None
    arguments = get_args(kind)
    if isinstance(kind, GenericAlias) and arguments:
        return _bare(arguments[1] if get_origin(kind) is dict else arguments[0])
    return None


def _bare(kind: Any) -> Any:
    """Without Annotated and without ``| None``."""
    while get_origin(kind) in (Annotated, Union, UnionType):
        kind = get_args(kind)[0]
    return kind


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and not isinstance(kind, GenericAlias) and issubclass(kind, BaseModel)

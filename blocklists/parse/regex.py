"""``regex``: a regular expression a line, matched anywhere in the name, as Pi-hole does; and what every expression must keep.

Expressions run in the resolver on names that strangers choose, and Python's engine backtracks. ``checked`` therefore
refuses what could take long on 253 characters: a repetition of something that itself repeats or branches,
back-references, and more than three open-ended repetitions (cubic time, some milliseconds at worst).
"""

import re
import warnings
from collections.abc import Iterable, Iterator

from blocklists.parse.lines import read_lines
from blocklists.rule import Conditions, Item, Refused

MAX_LENGTH = 200
"""characters of one expression"""
MAX_OPEN = 3
"""open-ended repetitions in one expression"""
_MANY = 16
"""a counted repetition of at least so many is treated as open-ended"""

_TOKEN = re.compile(
    r"""(?P<escape>\\.)
      | (?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])
      | (?P<open>\((?:\?(?:[:=!]|<[=!]|P<\w+>))?)
      | (?P<close>\))
      | (?P<counted>\{(?P<least>\d*)(?P<comma>,?)(?P<most>\d*)\})
      | (?P<repeat>[*+?])
      | (?P<branch>\|)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)


def parse(data: bytes) -> Iterator[tuple[int, Item]]:
    return read_lines(data, read)


def read(line: str) -> Iterable[Item]:
    if line.startswith("#"):
        return ()
    if ";querytype=" in line or ";invert" in line or ";reply=" in line:
        raise Refused("an option of Pi-hole after the expression")
    pattern = line[1:-1] if len(line) > 2 and line[0] == line[-1] == "/" else line
    return (Conditions(pattern=checked(pattern)),)


def checked(pattern: str) -> str:
    """The expression as it will run (lower case throughout, as names are). Raises Refused with the reason."""
    if len(pattern) > MAX_LENGTH:
        raise Refused(f"expression longer than {MAX_LENGTH} characters")
    if "(?" in pattern and re.search(r"\(\?[^:=!<P]|\(\?P[=>]", pattern):
        raise Refused("expression with inline flags, a condition or a back-reference")
    if "[[:" in pattern:
        raise Refused("expression with a POSIX class, which Python does not know")
    if re.search(r"\\[1-9]", pattern):
        raise Refused("expression with a back-reference")
    lowered = re.sub(r"\\.|[A-Z]+", lambda part: part[0] if part[0][0] == "\\" else part[0].lower(), pattern)
    compiled = _compiled(lowered)
    _refuse_slow(lowered)
    if compiled.search("") is not None:
        raise Refused("expression that matches every name")
    return lowered


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return re.compile(pattern)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise Refused(f"not a regular expression: {error}") from None


def _refuse_slow(pattern: str) -> None:
    """Raise Refused for nested repetition, and for too many open-ended ones."""
    varied = [False]  # per open group: does it hold a repetition or a branch?
    closed_varied = False  # the same of what stands just before the current token
    total = 0
    for token in _TOKEN.finditer(pattern):
        kind = token.lastgroup
        if kind == "open":
            varied.append(False)
        elif kind == "close":
            closed_varied = varied.pop() if len(varied) > 1 else False
            varied[-1] |= closed_varied
            continue
        elif kind == "branch":
            varied[-1] = True
        elif kind == "repeat" or token["counted"]:
            is_open, repeats = _repetition(token)
            if repeats and closed_varied:
                raise Refused("expression that repeats a repetition or a choice, which can take exponential time")
            total += is_open
            varied[-1] |= is_open or token[0] == "?" or bool(token["comma"])
        closed_varied = False
    if total > MAX_OPEN:
        raise Refused(f"expression with more than {MAX_OPEN} open-ended repetitions")


def _repetition(token: re.Match[str]) -> tuple[bool, bool]:
    """Of a quantifier: is it open-ended (or as good as), and does it repeat at all?"""
    if not token["counted"]:
        return token[0] != "?", token[0] != "?"
    most = int(token["most"] or 0) if token["comma"] else int(token["least"] or 0)
    is_open = bool(token["comma"] and not token["most"]) or most >= _MANY
    return is_open, is_open or most > 1

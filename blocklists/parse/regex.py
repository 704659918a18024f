"""``regex``: a regular expression a line, matched anywhere in the name, as Pi-hole does; and what every expression must keep.

Expressions run in the resolver on names that strangers choose, and Python's engine backtracks. ``checked`` therefore
refuses what could take long on a name of 253 characters: a repetition of something that itself repeats or branches
(exponential), back-references, and an expression whose choices multiply to more than ``MAX_STEPS``.
"""

import re
import warnings
from collections.abc import Iterable, Iterator

from blocklists.parse.lines import read_lines
from blocklists.rule import Conditions, Item, Refused

MAX_LENGTH = 200
"""characters of one expression"""
_NAME = 253
"""characters of the longest name (RFC 1035 section 2.3.4): how often an open-ended repetition can repeat, or a match begin"""
MAX_STEPS = 5_000_000
"""ways to match, at most: the product over repetitions and choices. Real lists keep far below; some 20 ms at the very worst"""

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
    """Raise Refused for nested repetition, and for too many ways to match."""
    varied = [False]  # per open group: does it hold a repetition or a choice?
    closed_varied = False  # the same of the group that ends just before the current token
    finished, ways = 0, 0
    for token in _TOKEN.finditer(pattern):
        ways = ways or (1 if token[0] == "^" else _NAME)
        kind = token.lastgroup
        if kind == "close" and len(varied) > 1:
            closed_varied = varied.pop()
            varied[-1] |= closed_varied
            continue
        if kind == "open":
            varied.append(False)
        elif kind == "branch" and len(varied) == 1:
            finished, ways = finished + ways, 0
        elif kind == "branch":
            varied[-1], ways = True, 2 * ways
        elif kind == "repeat" or token["counted"]:
            least, most = _repetition(token)
            if most > 1 and closed_varied:
                raise Refused("expression that repeats a repetition or a choice, which can take exponential time")
            varied[-1] |= most > least
            ways *= most - least + 1
        closed_varied = False
    if finished + ways > MAX_STEPS:
        raise Refused("expression with so many repetitions and choices that it could take too long")


def _repetition(token: re.Match[str]) -> tuple[int, int]:
    """How often a quantifier repeats: at least, at most."""
    if not token["counted"]:
        return (1 if token[0] == "+" else 0), (1 if token[0] == "?" else _NAME)
    least = min(int(token["least"] or 0), _NAME)
    if not token["comma"]:
        return least, least
    return least, min(int(token["most"] or _NAME), _NAME)

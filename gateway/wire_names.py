r"""Domain names in packets: bytes <-> the text that the rest of the project compares.

Text is lower case, without a trailing dot, the root is ``""``. A byte outside ``[!-~]``, a backslash, or a dot inside a
label is escaped (``\DDD``, ``\.``, RFC 4343 section 2.1), so that it can never look like a listed name, and
``encode_name`` gives the same bytes back.

Reading is bounded: a compression pointer leads to labels that end before the part of the name that holds it (so a loop cannot
be written), at most 32 of them make a name, and a name has at most 255 octets. Nothing but FormatError is raised.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence

from gateway.numbers import Rcode

MAX_NAME = 255
MAX_POINTERS = 32
_HEADER = 12
_DOT = 0x2E
_PLAIN = bytes(byte for byte in range(0x21, 0x7F) if byte != 0x5C)
_ESCAPE = re.compile(r"\\([0-9]{3}|.)", re.DOTALL)


class FormatError(Exception):
    """What arrived is not a message that can be used.

    ``rcode`` is what its sender may be told; None: nothing, drop it silently. ``id``, ``flags`` and ``question`` are as
    received, as far as they could be read: what an answer needs.
    """

    def __init__(self, reason: str, rcode: int | None = Rcode.FORMERR, ident: int = 0, flags: int = 0, question: bytes = b"") -> None:
        super().__init__(reason)
        self.reason = reason
        self.rcode = rcode
        self.id = ident
        self.flags = flags
        self.question = question


def encode_name(name: str) -> bytes:
    r"""``example.com`` -> ``\7example\3com\0``, undoing escapes; the case is kept.

    Raises FormatError for an empty or overlong label, an overlong name or a character outside ASCII.
    """
    if "\\" in name:
        return _joined(_unescaped(name))
    try:
        wire = bytearray(f".{name}.".encode("ascii")) if name else bytearray(b".")
    except UnicodeEncodeError:
        raise FormatError("not a name in ASCII") from None
    if len(wire) > MAX_NAME:
        raise FormatError("the name is too long")
    end = len(wire) - 1
    wire[end] = 0
    while end:
        dot = wire.rfind(b".", 0, end)
        if not 1 < end - dot <= 64:
            raise FormatError("a label is empty or too long")
        wire[dot] = end - dot - 1
        end = dot
    return bytes(wire)


def _joined(labels: list[bytes]) -> bytes:
    if b"" in labels or max(map(len, labels)) > 63:
        raise FormatError("a label is empty or too long")
    wire = b"".join([b"%c%b" % (len(label), label) for label in labels]) + b"\0"
    if len(wire) > MAX_NAME:
        raise FormatError("the name is too long")
    return wire


def _unescaped(name: str) -> list[bytes]:
    try:
        return _unescape(name)
    except (UnicodeEncodeError, ValueError):
        raise FormatError("not a name in ASCII") from None


def _unescape(name: str) -> list[bytes]:
    labels = [b""]
    at = 0
    while at < len(name):
        if name[at] == "\\":
            match = _ESCAPE.match(name, at)
            if match is None:
                raise FormatError("a backslash ends the name")
            what = match.group(1)
            labels[-1] += bytes([int(what)]) if len(what) == 3 else what.encode("ascii")
            at = match.end()
        elif name[at] == ".":
            labels.append(b"")
            at += 1
        else:
            labels[-1] += name[at].encode("ascii")
            at += 1
    return labels


def name_text(labels: list[bytes]) -> str:
    """Labels as received -> text for comparing."""
    name = b".".join(labels).lower()
    if not name.translate(None, _PLAIN) and name.count(b".") + 1 == len(labels):
        return name.decode("ascii")
    return ".".join([_escaped(label.lower()) for label in labels])


def _escaped(label: bytes) -> str:
    return "".join([f"\\{byte:03d}" if not 0x21 <= byte <= 0x7E else f"\\{byte:c}" if byte in b".\\" else chr(byte) for byte in label])


def read_plain_name(data: bytes, at: int) -> tuple[str, int]:
    """The uncompressed name at ``at`` and the offset after it.

    Raises FormatError for a compression pointer or an overlong name, IndexError where the data ends too early.
    """
    start = at
    ends = []
    length = data[at]
    while length:
        if length > 63:
            raise FormatError("compressed where no compression is allowed")
        at += length + 1
        ends.append(at - start - 1)
        length = data[at]
    if at - start >= MAX_NAME:
        raise FormatError("name longer than 255 octets")
    if not ends:
        return "", at + 1
    name = bytearray(data[start + 1 : at].lower())
    ends.pop()
    for end in ends:
        name[end] = _DOT
    if not name.translate(None, _PLAIN) and name.count(b".") == len(ends):
        return name.decode("ascii"), at + 1
    return name_text(_labels(data, start)), at + 1


def _labels(data: bytes, at: int) -> list[bytes]:
    """The labels of the uncompressed name at ``at``, which was read before."""
    labels = []
    while data[at]:
        labels.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    return labels


def read_name(data: bytes, at: int, mutable: Sequence[int] = ()) -> tuple[str, int]:
    """The name at ``at``, following compression pointers, and the offset after it.

    ``mutable``: ascending offsets of fields of four octets (TTLs) that will be changed in place, so that no name may lie there:
    it would be checked as one name and become another. Raises FormatError for that, for a forward pointer, too many pointers or
    an overlong name; IndexError where the data ends.
    """
    segment = at
    before = len(data)
    end = hops = 0
    size = 1
    labels = []
    while True:
        length = data[at]
        at += 1
        if not length:
            break
        if length <= 63:
            labels.append(data[at : at + length])
            at += length
            size += length + 1
            if size > MAX_NAME:
                raise FormatError("name longer than 255 octets")
            continue
        if length < 0xC0:
            raise FormatError("unknown label type")
        target = (length & 0x3F) << 8 | data[at]
        end = end or at + 1
        if hops:
            _check_segment(segment, at + 1, before, mutable)
        hops += 1
        if not _HEADER <= target < segment or hops > MAX_POINTERS:
            raise FormatError("compression pointer forward, into the header, or one too many")
        before = segment
        segment = at = target
    if hops:
        _check_segment(segment, at, before, mutable)
    return name_text(labels), end or at


def _check_segment(start: int, end: int, before: int, mutable: Sequence[int]) -> None:
    """Labels that a pointer led to must be those of an earlier name: all of them in front of what pointed at them."""
    index = bisect_left(mutable, end)
    if end > before or (index and mutable[index - 1] + 4 > start):
        raise FormatError("compression pointer to what is no name")

"""A bundle as one file on the wire: a .tar.xz of its files, the same bytes for the same bundle.  [shell]

``unpack`` trusts nothing: it reads a stream through a bound, a few megabytes of memory at most, and refuses with ``BadBundle``
whatever ``pack`` would not have written: other names, links, folders, extensions of the format, a file twice, more
after the end. What the files say is checked afterwards, when the bundle is opened (filters/domain_index.py).
"""

import lzma
import tarfile
from pathlib import Path
from typing import BinaryIO

from filters.bundle import LABELS, MANIFEST, NAMES, RULES, BadBundle

REPORT = "report.json"
_REQUIRED = (MANIFEST, LABELS, NAMES, RULES)
MEMBERS = (*_REQUIRED, REPORT)
LIMIT = 256 * 1024 * 1024
"""bytes of an unpacked bundle; a million names have some ten million"""
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1024 * 1024, "mf": lzma.MF_HC4, "nice_len": 16}]
"""preset 6 with a quicker search: half its time for one hundredth more bytes, since in a trie what repeats is short and near. The small
dictionary is also all the memory that unpacking takes"""
_MEMORY = 32 * 1024 * 1024
"""bytes that unpacking may take for its dictionary"""
_BLOCK = tarfile.BLOCKSIZE
_PIECE = 64 * 1024


def pack(bundle: Path, archive: Path) -> None:
    """Write the files of ``bundle`` (and its report, if there is one) into ``archive``. Raises OSError."""
    with (
        lzma.open(archive, "wb", filters=_FILTERS) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name in MEMBERS:
            path = bundle / name
            if name == REPORT and not path.is_file():
                continue
            member = tarfile.TarInfo(name)
            member.size = path.stat().st_size
            with path.open("rb") as content:
                tar.addfile(member, content)


def unpack(archive: Path, into: Path, limit: int = LIMIT) -> None:
    """Write the files of ``archive`` into the folder ``into`` (made if absent); ``limit`` bounds them all together, in bytes.

    Raises BadBundle, with ``into`` in an unfinished state, and OSError.
    """
    into.mkdir(parents=True, exist_ok=True)
    written: set[str] = set()
    try:
        with archive.open("rb") as packed:
            stream = _Unpacked(packed, limit)
            while (header := stream.read(_BLOCK)).strip(b"\0"):
                member = tarfile.TarInfo.frombuf(header, "ascii", "strict")
                if member.type != tarfile.REGTYPE or member.size < 0 or member.name not in MEMBERS or member.name in written:
                    raise BadBundle(f"{archive.name}: {member.name!r} has no place in a packed bundle")
                written.add(member.name)
                _extract(stream, member.size, into / member.name)
            stream.expect_padding()
    except (lzma.LZMAError, tarfile.HeaderError, UnicodeDecodeError, EOFError) as error:
        raise BadBundle(f"{archive.name}: not a packed bundle, or cut off ({error})") from None
    missing = [name for name in _REQUIRED if name not in written]
    if missing:
        raise BadBundle(f"{archive.name}: {missing[0]} is missing")


def _extract(stream: "_Unpacked", size: int, path: Path) -> None:
    with path.open("xb") as file:
        for at in range(0, size, _PIECE):
            file.write(stream.read(min(_PIECE, size - at)))
    stream.read(-size % _BLOCK)


class _Unpacked:
    """What one .xz stream unpacks to, piece by piece and never more than ``limit`` bytes (and the frame around the files)."""

    def __init__(self, packed: BinaryIO, limit: int) -> None:
        self._packed = packed
        self._decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)
        self._left = limit + tarfile.RECORDSIZE + (len(MEMBERS) + 1) * 2 * _BLOCK
        self._limit = limit
        self._ready = bytearray()

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes. Raises EOFError where there are fewer, BadBundle beyond the limit, and LZMAError."""
        while len(self._ready) < size:
            more = self._more(size - len(self._ready))
            if not more:
                raise EOFError("it ends too early")
            self._ready += more
        taken = bytes(self._ready[:size])
        del self._ready[:size]
        return taken

    def expect_padding(self) -> None:
        """Nothing but zeros and the end of the file may follow the last member."""
        rest: bytes = bytes(self._ready) or self._more(_PIECE)
        while rest:
            if rest.strip(b"\0"):
                raise BadBundle("more after the end of a packed bundle")
            rest = self._more(_PIECE)
        if not self._decompressor.eof or self._decompressor.unused_data or self._packed.read(1):
            raise EOFError("the stream ends elsewhere than the file")

    def _more(self, size: int) -> bytes:
        """Some bytes, at most ``size``; none at the end of the stream. Raises EOFError where the file ends before it."""
        while not self._decompressor.eof:
            data = b""
            if self._decompressor.needs_input:
                data = self._packed.read(_PIECE)
                if not data:
                    raise EOFError("the file ends too early")
            found = self._decompressor.decompress(data, size)
            self._left -= len(found)
            if self._left < 0:
                raise BadBundle(f"it unpacks to more than {self._limit} bytes")
            if found:
                return found
        return b""

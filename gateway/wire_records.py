"""The records of a response: one pass over all its sections that checks them and gathers what is asked of them later.

Every embedded name that may be compressed is followed to its end, addresses have their size, service bindings are well-formed.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.edns import Edns, read_options
from gateway.numbers import IN
from gateway.private_address import is_private
from gateway.service_binding import ServiceBinding, read_service_binding
from gateway.wire_names import FormatError, read_name

ANSWER, AUTHORITY, ADDITIONAL = 1, 2, 3
RECORD = struct.Struct("!HHIH")
OPT = 41
ADDRESS_SIZE = {1: 4, 28: 16}
_MAX_NAMES = 2048
"""names that are read one by one in a message (pointers to a name that was read before cost nothing)"""
_ALIASES = frozenset((5, 39))
_BINDINGS = frozenset((64, 65))
NAMES_IN_RDATA = {
    2: (0, 1), 3: (0, 1), 4: (0, 1), 5: (0, 1), 6: (0, 2), 7: (0, 1), 8: (0, 1), 9: (0, 1), 12: (0, 1), 14: (0, 2),
    15: (2, 1), 17: (0, 2), 18: (2, 1), 21: (2, 1), 26: (2, 2), 33: (6, 1), 36: (2, 1), 39: (0, 1),
}  # fmt: skip
"""type -> (octets before, number of names): types whose names some sender compresses (RFC 1035, RFC 3597 section 4)"""
_OCTETS_AFTER = {6: 20}
_new_tuple = tuple.__new__  # a NamedTuple without the Python function that it is called through


class Record(NamedTuple):
    """One record of a message; the offsets are into ``Message.data``. The OPT record is not among them."""

    section: int
    """1 answer, 2 authority, 3 additional"""
    name: str
    rtype: int
    rclass: int
    ttl: int
    """seconds; 0 where the sender set the top bit (RFC 2181, section 8)"""
    ttl_at: int
    rdata_at: int
    rdata_end: int


@dataclass
class Found:
    """What one pass over the records gathers."""

    records: list[Record] = field(default_factory=list)
    ttls: list[int] = field(default_factory=list)
    """offsets of their TTLs, for ``read_name``: they change when an answer ages"""
    targets: list[str] = field(default_factory=list)
    bindings: list[tuple[Record, ServiceBinding]] = field(default_factory=list)
    edns: Edns | None = None
    opt_at: int = 0
    opt_end: int = 0
    overlong: list[int] = field(default_factory=list)
    """offsets of TTLs with the top bit set"""
    private: bool = False


def read_records(data: bytes, at: int, counts: Sequence[int], names: dict[int, str], found: Found) -> int:
    """Reads all sections into ``found``; returns the offset behind them. ``names``: offset -> name that starts there."""
    size = len(data)
    append = found.records.append
    ttls = found.ttls
    for section in (ANSWER, AUTHORITY, ADDITIONAL):
        for _ in range(counts[section - 1]):
            start = at
            pointer = (data[at] << 8 | data[at + 1]) & 0x3FFF if data[at] >= 0xC0 else at
            owner = names.get(pointer)
            if owner is None:
                owner, at = read_name(data, at, ttls)
                names[pointer] = owner
                if len(names) > _MAX_NAMES:
                    raise FormatError("too many names")
            else:
                at += 2
            rtype, rclass, ttl, length = RECORD.unpack_from(data, at)
            ttl_at = at + 4
            rdata_at = at + 10
            at = rdata_at + length
            if at > size:
                raise FormatError("record longer than the message")
            if rtype == OPT:
                if section != ADDITIONAL or found.edns is not None or data[start]:
                    raise FormatError("a second OPT record, or one in the wrong place")
                found.edns = read_edns(data, rclass, ttl, rdata_at, at)
                found.opt_at, found.opt_end = start, at
                continue
            if ttl > 0x7FFFFFFF:
                found.overlong.append(ttl_at)
                ttl = 0
            record = _new_tuple(Record, (section, owner, rtype, rclass, ttl, ttl_at, rdata_at, at))
            append(record)
            ttls.append(ttl_at)
            if rtype in ADDRESS_SIZE and rclass == IN:
                if length != ADDRESS_SIZE[rtype]:
                    raise FormatError("address of a wrong size")
                found.private = found.private or is_private(data[rdata_at:at])
            elif rtype in NAMES_IN_RDATA:
                _read_names(data, record, names, found)
            elif rtype in _BINDINGS and rclass == IN:
                binding = read_service_binding(data, rdata_at, at)
                found.bindings.append((record, binding))
                for packed in binding.addresses():
                    found.private = found.private or is_private(packed)
    return at


def _read_names(data: bytes, record: Record, names: dict[int, str], found: Found) -> None:
    """Follows the names in the record's data, and requires that they and what else belongs there fill it exactly."""
    octets_before, count = NAMES_IN_RDATA[record.rtype]
    at = record.rdata_at + octets_before
    for _ in range(count):
        start = at
        name, at = read_name(data, at, found.ttls)
        names[start] = name
    if len(names) > _MAX_NAMES:
        raise FormatError("too many names")
    if at + _OCTETS_AFTER.get(record.rtype, 0) != record.rdata_end:
        raise FormatError("names do not fill the record")
    if record.rtype in _ALIASES and record.section == ANSWER:
        found.targets.append(name)


def read_edns(data: bytes, size: int, ttl: int, start: int, end: int) -> Edns:
    options = read_options(data, start, end) if start != end else ()
    return _new_tuple(Edns, (size, ttl >> 16 & 0xFF, ttl & 0x8000 != 0, options, ttl >> 24))

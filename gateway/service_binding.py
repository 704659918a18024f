"""SVCB and HTTPS record data (RFC 9460): reading it, and writing it again without what a filtering network cannot allow."""

import struct
from collections.abc import Collection, Mapping
from typing import NamedTuple

from gateway.numbers import SvcParam
from gateway.wire_names import FormatError, encode_name, read_plain_name

_PARAM = struct.Struct("!HH")


class ServiceBinding(NamedTuple):
    """``priority`` 0 is the alias form. ``target`` ``""`` stands for the owner itself (or, in the alias form, for nothing)."""

    priority: int
    target: str
    params: Mapping[int, bytes]
    """key number -> value as on the wire, in ascending order"""

    def addresses(self) -> list[bytes]:
        """The address hints, packed: 4 octets each, then 16 each."""
        return [*_split(self.params.get(SvcParam.IPV4HINT, b""), 4), *_split(self.params.get(SvcParam.IPV6HINT, b""), 16)]


def _split(packed: bytes, size: int) -> list[bytes]:
    return [packed[at : at + size] for at in range(0, len(packed), size)]


def read_service_binding(data: bytes, at: int, end: int) -> ServiceBinding:
    """The record data between the two offsets.

    Raises FormatError for a compressed target, keys out of order, lengths that do not add up or hints that are not
    addresses; IndexError or struct.error where the message ends too early.
    """
    priority = data[at] << 8 | data[at + 1]
    target, at = read_plain_name(data, at + 2)
    params: dict[int, bytes] = {}
    last = -1
    while at + 4 <= end:
        key, length = _PARAM.unpack_from(data, at)
        at += 4 + length
        if key <= last or at > end:
            raise FormatError("service parameters out of order or too long")
        params[key] = data[at - length : at]
        last = key
    if at != end or len(params.get(4, b"")) % 4 or len(params.get(6, b"")) % 16 or len(params.get(0, b"")) % 2:
        raise FormatError("service parameters do not add up")
    return ServiceBinding(priority, target, params)


def encoded(binding: ServiceBinding) -> bytes:
    """Record data; the parameters in the order of their keys (RFC 9460, section 2.2)."""
    parts = [binding.priority.to_bytes(2), encode_name(binding.target)]
    for key, value in sorted(binding.params.items()):
        parts.append(_PARAM.pack(key, len(value)) + value)
    return b"".join(parts)


def without(rdata: bytes, keys: Collection[int]) -> bytes:
    """Well-formed record data without these parameters, nor their mention among the mandatory ones; all else as it was."""
    binding = read_service_binding(rdata, 0, len(rdata))
    _, at = read_plain_name(rdata, 2)
    parts = [rdata[:at]]
    for key, value in binding.params.items():
        if key in keys:
            continue
        kept = _without_mandatory(value, keys) if key == SvcParam.MANDATORY else value
        if kept or key != SvcParam.MANDATORY:
            parts.append(_PARAM.pack(key, len(kept)) + kept)
    return b"".join(parts)


def _without_mandatory(value: bytes, keys: Collection[int]) -> bytes:
    return b"".join([pair for pair in _split(value, 2) if int.from_bytes(pair) not in keys])

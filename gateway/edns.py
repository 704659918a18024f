"""EDNS(0): the OPT record and the options that this project reads or writes (RFC 6891, RFC 8914, RFC 7873)."""

import struct
from typing import NamedTuple

from gateway.numbers import Option
from gateway.wire_names import FormatError

SIZE = 1232
"""octets of UDP payload that we advertise and send at most: what fits every path (DNS flag day 2020)"""
MINIMUM_SIZE = 512
_HEADER = struct.Struct("!BHHBBHH")
_OPTION = struct.Struct("!HH")
PLAIN = _HEADER.pack(0, 41, SIZE, 0, 0, 0, 0)
PLAIN_DO = _HEADER.pack(0, 41, SIZE, 0, 0, 0x8000, 0)
"""OPT records that say nothing but our size, without and with DO: what nearly every message has"""


class Edns(NamedTuple):
    """An OPT record. ``size`` is the sender's UDP payload size, ``rcode`` the upper eight bits of the extended rcode."""

    size: int = SIZE
    version: int = 0
    do: bool = False
    options: tuple[tuple[int, bytes], ...] = ()
    rcode: int = 0

    def option(self, code: int) -> bytes | None:
        """The value of the first such option."""
        for number, value in self.options:
            if number == code:
                return value
        return None


def read_options(data: bytes, at: int, end: int) -> tuple[tuple[int, bytes], ...]:
    """The options between the two offsets. Raises FormatError unless their lengths add up exactly."""
    options = []
    while at < end:
        if at + 4 > end:
            raise FormatError("EDNS option cut short")
        code, length = _OPTION.unpack_from(data, at)
        at += 4 + length
        if at > end:
            raise FormatError("EDNS option longer than its record")
        options.append((code, data[at - length : at]))
    return tuple(options)


def opt_record(*, do: bool = False, options: bytes = b"", rcode: int = 0, size: int = SIZE) -> bytes:
    """An OPT record of version 0. ``options`` are encoded options, ``rcode`` the whole extended rcode."""
    if not options and rcode < 16 and size == SIZE:
        return PLAIN_DO if do else PLAIN
    return _HEADER.pack(0, 41, size, rcode >> 4, 0, 0x8000 if do else 0, len(options)) + options


def option(code: int, value: bytes) -> bytes:
    """One encoded option; several are joined with ``+``."""
    return _OPTION.pack(code, len(value)) + value


def ede(code: int, text: str = "") -> bytes:
    """An extended DNS error as an encoded option (RFC 8914); ``text`` is for people or, as JSON, for their software."""
    return option(Option.EDE, code.to_bytes(2) + text.encode())


def encode_options(options: tuple[tuple[int, bytes], ...]) -> bytes:
    return b"".join([option(code, value) for code, value in options])

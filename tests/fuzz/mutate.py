"""Damage to packets: seeded and fast, so that millions are a matter of minutes and any one can be made again."""

import random
from collections.abc import Sequence

_OCTETS = bytes((0x00, 0x01, 0x0C, 0x3F, 0x40, 0x7F, 0x80, 0xC0, 0xC1, 0xFF, 0x29, 0x41, 0x2E, 0x5C, 0x05, 0x06))
_NUMBERS = (0, 1, 2, 3, 4, 5, 6, 12, 16, 28, 33, 39, 41, 46, 63, 64, 65, 251, 252, 255, 256, 512, 1232, 0x7FFF, 0x8000, 0xC00C, 0xFFFF)


class Mutator:
    """One stream of damaged packets. ``packets``: the valid ones; the same seed gives the same stream."""

    def __init__(self, packets: Sequence[bytes], seed: int) -> None:
        self._packets = list(packets)
        self._random = random.Random(seed).random
        self._ways = (
            self._bit,
            self._bit,
            self._octet,
            self._octet,
            self._number,
            self._count,
            self._pointer,
            self._cut,
            self._delete,
            self._repeat,
            self._splice,
        )

    def next(self) -> bytes:
        """A valid packet with one to four damages."""
        draw = self._random
        packet = bytearray(self._packets[int(draw() * len(self._packets))])
        ways = self._ways
        for _ in range(1 + int(draw() * draw() * 4)):
            ways[int(draw() * len(ways))](packet)
            if not packet:
                break
        return bytes(packet)

    def _at(self, packet: bytearray) -> int:
        return int(self._random() * len(packet))

    def _bit(self, packet: bytearray) -> None:
        packet[self._at(packet)] ^= 1 << int(self._random() * 8)

    def _octet(self, packet: bytearray) -> None:
        packet[self._at(packet)] = _OCTETS[int(self._random() * 16)]

    def _number(self, packet: bytearray) -> None:
        """A 16-bit number that means something somewhere: a type, a length, a size, a pointer."""
        at = self._at(packet)
        packet[at : at + 2] = _NUMBERS[int(self._random() * len(_NUMBERS))].to_bytes(2)

    def _count(self, packet: bytearray) -> None:
        """The header: flags and record counts."""
        if len(packet) >= 12:
            packet[2 + int(self._random() * 10)] = int(self._random() * 4)

    def _pointer(self, packet: bytearray) -> None:
        at = self._at(packet)
        packet[at : at + 2] = (0xC000 | self._at(packet)).to_bytes(2)

    def _cut(self, packet: bytearray) -> None:
        del packet[self._at(packet) :]

    def _delete(self, packet: bytearray) -> None:
        at = self._at(packet)
        del packet[at : at + 1 + int(self._random() * 8)]

    def _repeat(self, packet: bytearray) -> None:
        """A piece once more, right behind itself or at the end."""
        at = self._at(packet)
        piece = packet[at : at + 1 + int(self._random() * 40)]
        to = at if self._random() < 0.5 else len(packet)
        packet[to:to] = piece

    def _splice(self, packet: bytearray) -> None:
        """The head of this packet and the tail of another."""
        other = self._packets[int(self._random() * len(self._packets))]
        at = self._at(packet)
        packet[at:] = other[int(self._random() * len(other)) :]

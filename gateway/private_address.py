"""Which addresses mean something only inside a network: what a public name must not lead to. Pure."""


def is_private(packed: bytes) -> bool:
    """RFC 1918, loopback, link-local, shared (RFC 6598), ULA, and mapped ones. ``packed``: 4 or 16 octets.

    ``0.0.0.0`` and ``::`` are not: other filters answer with them, and they lead nowhere.
    """
    if len(packed) == 16:
        if packed[:12] == b"\0\0\0\0\0\0\0\0\0\0\xff\xff":
            return is_private(packed[12:])
        return packed[0] & 0xFE == 0xFC or (packed[0] == 0xFE and packed[1] & 0xC0 == 0x80) or packed == b"\0" * 15 + b"\1"
    first, second = packed[0], packed[1]
    return (
        first in {10, 127}
        or (first == 192 and second == 168)
        or (first == 172 and 16 <= second < 32)
        or (first == 169 and second == 254)
        or (first == 100 and 64 <= second < 128)
    )

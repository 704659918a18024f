"""DNS cookies (RFC 7873, in the format of RFC 9018): a client that repeats our cookie has shown that it receives at its address.

We never require one: every client of a school's resolver is inside ``allow_from``, and one that sends no cookie or a stale one
gets its answer together with a fresh cookie, never BADCOOKIE. The hash is keyed BLAKE2s where RFC 9018 has SipHash-2-4: only
boxes that share a secret need to agree on it, and this is in the standard library.
"""

import hmac
import struct
from hashlib import blake2s

from gateway.edns import option
from gateway.numbers import Option

CLIENT_SIZE = 8
_HEAD = struct.Struct("!BBHI")
_VERSION = 1
_PAST, _FUTURE = 3600, 300
"""seconds around now within which a cookie is taken (RFC 9018, section 4.3)"""


def server_cookie(client_cookie: bytes, address: bytes, secret: bytes, now: float) -> bytes:
    """16 octets. ``address`` is packed, ``secret`` has 16 to 32 octets, ``now`` is Unix seconds."""
    head = _HEAD.pack(_VERSION, 0, 0, int(now) & 0xFFFFFFFF)
    return head + blake2s(client_cookie + head + address, digest_size=8, key=secret).digest()


def cookie_option(received: bytes, address: bytes, secret: bytes, now: float) -> bytes:
    """The encoded option to answer with. ``received`` is the value of the client's option (its length was checked on decoding)."""
    client_cookie = received[:CLIENT_SIZE]
    return option(Option.COOKIE, client_cookie + server_cookie(client_cookie, address, secret, now))


def is_ours(received: bytes, address: bytes, secret: bytes, now: float) -> bool:
    """Whether the client repeats a cookie that we gave to this address within the last hour."""
    if len(received) != CLIENT_SIZE + 16:
        return False
    client_cookie, given = received[:CLIENT_SIZE], received[CLIENT_SIZE:]
    made_at = int.from_bytes(given[4:8])
    age = (int(now) - made_at + 0x80000000) % 0x100000000 - 0x80000000
    if not -_FUTURE <= age <= _PAST:
        return False
    return hmac.compare_digest(given, server_cookie(client_cookie, address, secret, made_at))

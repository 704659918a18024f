"""What the kernel knows of the network: which MAC stands behind which address, and which addresses are our own.  [shell]

Both are asked over rtnetlink (RFC 3549), IPv4 and IPv6 in one dump. A device that is behind another router has no MAC here.
"""

import socket
import struct
from collections.abc import Iterator

RTM_NEWADDR, RTM_GETADDR = 20, 22
RTM_NEWNEIGH, RTM_GETNEIGH = 28, 30
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST_DUMP = 0x301
NDA_DST, NDA_LLADDR = 1, 2
IFA_ADDRESS, IFA_LOCAL = 1, 2
NUD_USELESS = 0x01 | 0x20
"""incomplete or failed: no MAC is known"""
SCOPE_UNIVERSE = 0


def neighbours() -> dict[bytes, str]:
    """Packed IP address -> MAC. Raises OSError when the kernel does not answer."""
    found: dict[bytes, str] = {}
    for payload in _dump(RTM_GETNEIGH, RTM_NEWNEIGH, struct.pack("=BxxxiHBB", socket.AF_UNSPEC, 0, 0, 0, 0)):
        found.update(read_neighbour(payload))
    return found


def own_addresses() -> list[bytes]:
    """The packed addresses of this machine that others can reach: no loopback, no link-local one. Raises OSError."""
    found: list[bytes] = []
    for payload in _dump(RTM_GETADDR, RTM_NEWADDR, struct.pack("=BBBBI", socket.AF_UNSPEC, 0, 0, 0, 0)):
        found += read_own_address(payload)
    return found


def _dump(request: int, wanted: int, payload: bytes) -> Iterator[bytes]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.settimeout(0.5)
        netlink.bind((0, 0))
        netlink.send(struct.pack("=IHHII", 16 + len(payload), request, NLM_F_REQUEST_DUMP, 1, 0) + payload)
        while True:
            payloads, ended = split(netlink.recv(65536), wanted)
            yield from payloads
            if ended:
                return


def split(data: bytes, wanted: int) -> tuple[list[bytes], bool]:
    """The payloads of the messages of kind ``wanted`` in one netlink datagram, and whether it ends the dump."""
    payloads: list[bytes] = []
    at = 0
    while at + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, at)
        if kind in (NLMSG_DONE, NLMSG_ERROR) or length < 16:
            return payloads, True
        if kind == wanted:
            payloads.append(data[at + 16 : at + length])
        at += (length + 3) & ~3
    return payloads, False


def read_neighbour(payload: bytes) -> dict[bytes, str]:
    """One ``ndmsg`` with its attributes -> {address: MAC}, or nothing for one without a usable Ethernet address."""
    if len(payload) < 12 or struct.unpack_from("=H", payload, 8)[0] & NUD_USELESS:
        return {}
    attributes = _attributes(payload[12:])
    address, mac = attributes.get(NDA_DST, b""), attributes.get(NDA_LLADDR, b"")
    return {address: mac.hex(":")} if address and len(mac) == 6 and any(mac) else {}


def read_own_address(payload: bytes) -> list[bytes]:
    """One ``ifaddrmsg`` with its attributes -> its address, if others can reach it."""
    if len(payload) < 8 or payload[3] != SCOPE_UNIVERSE:
        return []
    attributes = _attributes(payload[8:])
    address = attributes.get(IFA_LOCAL) or attributes.get(IFA_ADDRESS)
    return [address] if address else []


def _attributes(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            break
        found[kind] = data[at + 4 : at + length]
        at += (length + 3) & ~3
    return found

"""rtnetlink messages, as bytes; and the real kernel once."""

import struct

from gateway import netlink


def attribute(kind: int, value: bytes) -> bytes:
    padded = value + b"\0" * (-len(value) % 4)
    return struct.pack("=HH", 4 + len(value), kind) + padded


def message(kind: int, payload: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(payload), kind, 2, 1, 0) + payload


def neighbour(state: int, address: bytes, mac: bytes) -> bytes:
    return struct.pack("=BxxxiHBB", 2, 3, state, 0, 1) + attribute(netlink.NDA_DST, address) + attribute(netlink.NDA_LLADDR, mac)


MAC = bytes.fromhex("aabbccddeeff")


def test_a_neighbour_with_a_mac_is_found_and_one_that_failed_is_not():
    reachable, failed = 0x02, 0x20
    assert netlink.read_neighbour(neighbour(reachable, bytes([10, 0, 12, 7]), MAC)) == {bytes([10, 0, 12, 7]): "aa:bb:cc:dd:ee:ff"}
    assert netlink.read_neighbour(neighbour(failed, bytes([10, 0, 12, 7]), MAC)) == {}
    assert netlink.read_neighbour(neighbour(reachable, bytes([10, 0, 12, 7]), bytes(6))) == {}
    assert netlink.read_neighbour(b"short") == {}


def test_only_addresses_that_others_can_reach_are_our_own():
    universe = struct.pack("=BBBBI", 2, 24, 0, 0, 1) + attribute(netlink.IFA_LOCAL, bytes([192, 168, 1, 2]))
    host = struct.pack("=BBBBI", 2, 8, 0, 254, 1) + attribute(netlink.IFA_LOCAL, bytes([127, 0, 0, 1]))
    assert netlink.read_own_address(universe) == [bytes([192, 168, 1, 2])]
    assert netlink.read_own_address(host) == []


def test_a_datagram_is_split_into_the_wanted_messages_until_the_end_of_the_dump():
    data = message(netlink.RTM_NEWNEIGH, b"one!") + message(99, b"no") + b"\0\0" + message(netlink.RTM_NEWNEIGH, b"two!")
    assert netlink.split(data, netlink.RTM_NEWNEIGH) == ([b"one!", b"two!"], False)
    assert netlink.split(message(netlink.NLMSG_DONE, b"\0\0\0\0"), netlink.RTM_NEWNEIGH) == ([], True)
    assert netlink.split(b"\1\0\0\0" * 8, netlink.RTM_NEWNEIGH) == ([], True)


def test_the_kernel_answers_both_questions():
    assert all(len(address) in {4, 16} for address in netlink.neighbours())
    assert all(len(address) in {4, 16} for address in netlink.own_addresses())

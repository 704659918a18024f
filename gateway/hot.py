"""The hot loop: a batch of datagrams in, ready-made answers out, and what is left over for the pipeline.

One system call receives up to 64 queries and one sends their answers. Between them stand two dictionary look-ups for each
query: the client's address -> its ``Client``, whose group has a ``View``, and there the question's bytes (everything behind the id)
-> an ``Entry`` that holds the finished answer. Nothing is parsed, allocated for the answer or copied: the kernel gathers the id from the query and the
rest from the entry.

This file is plain Python, and the very same source is compiled by Cython where a compiler is present (typed by hot.pxd; see
gateway/__init__.py). Both pass one test suite. It promises never to raise for anything that a packet says.
"""

import ctypes
from typing import TYPE_CHECKING

try:
    import cython
except ImportError:  # the compiler's shadow module is a build requirement, not one of a running box

    class cython:  # type: ignore[no-redef]  # noqa: N801
        compiled = False


if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.exchange import Question
    from policies.decide import Policy

BATCH = 64
SLOT = 1536
"""bytes kept of a datagram; a longer one is no query"""
NAME = 28
"""sizeof(struct sockaddr_in6), the longer of the two"""
LABELS = 256
"""kinds of answers that are counted apart: verdict, rung, category, rcode"""
HEADER = 12
"""a datagram without even a DNS header is dropped"""
CONTROL = 64
"""room for one IP_PKTINFO or IPV6_PKTINFO message"""

MSG_DONTWAIT = 0x40
POLLOUT = 4


class iovec(ctypes.Structure):  # noqa: N801
    _fields_ = (("base", ctypes.c_size_t), ("len", ctypes.c_size_t))


class msghdr(ctypes.Structure):  # noqa: N801
    _fields_ = (
        ("name", ctypes.c_size_t),
        ("namelen", ctypes.c_uint32),
        ("iov", ctypes.c_size_t),
        ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_size_t),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class mmsghdr(ctypes.Structure):  # noqa: N801
    _fields_ = (("hdr", msghdr), ("len", ctypes.c_uint32))


class pollfd(ctypes.Structure):  # noqa: N801
    _fields_ = (("fd", ctypes.c_int), ("events", ctypes.c_short), ("revents", ctypes.c_short))


WORD = ctypes.sizeof(ctypes.c_size_t)
MESSAGE_WORDS = ctypes.sizeof(mmsghdr) // WORD
NAME_AT = msghdr.name.offset // WORD
CONTROL_AT = msghdr.control.offset // WORD
STRIDE = ctypes.sizeof(mmsghdr) // 4
LEN_AT = mmsghdr.len.offset // 4

_libc = ctypes.CDLL(None, use_errno=True)
_recvmmsg = _libc.recvmmsg
_recvmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
_sendmmsg = _libc.sendmmsg
_sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
_poll = _libc.poll
_poll.argtypes = (ctypes.c_void_p, ctypes.c_ulong, ctypes.c_int)


class Subject:
    """What a blocked answer refuses, and why. Compared by identity, which is what a look-up by it costs least."""

    __slots__ = ("category", "qname", "rung")

    def __init__(self, category: str, rung: str, qname: str) -> None:
        self.category = category
        self.rung = rung
        self.qname = qname


class Cell:
    """How often one group was refused one name in this minute, and a bit for each device that asked (gateway/statistics.py)."""

    __slots__ = ("bits", "count")

    def __init__(self) -> None:
        self.count = 0
        self.bits = 0


class Entry:
    """A finished answer: ``body`` is the message without its id, kept alive here and sent from its address.

    ``offsets`` are where its TTLs stand; they are aged in place at most once a second. ``hits`` counts since the last
    collection; ``label`` is the number under which the answer is counted in its view's tally, and ``question``
    what its upstream answer is cached under. ``subject`` is what it refuses; None: it refuses nothing, and nobody notes who asked for it.
    """

    __slots__ = ("address", "aged_at", "body", "expires", "fresh_until", "hits", "label", "length", "offsets", "question", "subject")

    def __init__(
        self,
        body: bytes | bytearray,
        offsets: tuple[int, ...],
        now: float,
        expires: float,
        label: int,
        question: "Question | None",
        subject: Subject | None,
    ) -> None:
        self.body = bytearray(body)
        self.length = len(body)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.body))
        self.offsets = offsets
        self.aged_at = now
        self.expires = expires
        self.fresh_until = min(now + 1.0, expires) if offsets else expires
        self.hits = 0
        self.label = label
        self.question = question
        self.subject = subject


def age(entry: Entry, now: float) -> bool:
    """Bring the TTLs of ``entry`` down to ``now``; False when it has expired and must not be sent."""
    if now >= entry.expires:
        return False
    seconds = int(now - entry.aged_at)
    if seconds > 0:
        body = entry.body
        for at in entry.offsets:
            ttl = int.from_bytes(body[at : at + 4], "big") - seconds
            body[at : at + 4] = max(ttl, 0).to_bytes(4, "big")
        entry.aged_at += seconds
    entry.fresh_until = min(entry.aged_at + 1.0, entry.expires)
    return True


class View:
    """One group's policy while it holds, the answers that are ready under it, and how often each kind of answer was sent.

    ``answers`` is shared by groups whose policies are alike. It is replaced with the policy, never emptied: an answer that was begun
    under the old policy finds another dictionary, and is not kept.
    """

    __slots__ = ("answers", "cells", "policy", "tally", "until")

    def __init__(self, policy: "Policy", until: float, answers: "dict[bytes, Entry]") -> None:
        self.policy = policy
        self.until = until
        """monotonic seconds at which time alone changes the policy"""
        self.answers = answers
        self.tally = [0] * LABELS
        """by label (gateway/server.py): answers sent since the last collection"""
        self.cells: dict[Subject, Cell] = {}
        """where ready-made refusals are counted in this minute, as far as they have been met in it"""


class Client:
    """One source address: its group's view, and a token bucket (``rate`` queries/s, at most ``burst``).

    A rate of 0 never fills: that is how an address that may not ask is kept out at the price of one look-up. Its view is never used.
    ``bit`` is the device's in the cells; 0: it has none.
    """

    __slots__ = ("bit", "burst", "rate", "refilled_at", "tokens", "view")

    def __init__(self, view: View | None, rate: float, burst: float, now: float, bit: int) -> None:
        self.view = view
        self.bit = bit
        self.rate = rate
        self.burst = burst
        self.tokens = burst if rate else 0.0
        self.refilled_at = now


def refill(client: Client, now: float) -> bool:
    """Add what ``client`` has earned since the last refill; False when it still has not one token."""
    earned = (now - client.refilled_at) * client.rate
    if earned < 1.0:
        return False
    client.tokens = min(client.tokens + earned, client.burst)
    client.refilled_at = now
    return client.tokens >= 1.0


class Batch:
    """The buffers of one UDP socket. ``family`` is 4 or 6; ``control`` asks for the address that each query was sent to.

    With ``control`` (a socket bound to a wildcard address) an answer leaves from the address that was asked, by the
    packet information that came with the query. ``touch`` hears of an answer's first use since the last collection, ``note`` finds the
    cell of a refusal that the view does not know yet.
    """

    def __init__(
        self, fd: int, family: int, control: bool, touch: "Callable[[Entry], None]", note: "Callable[[View, Subject], Cell]"
    ) -> None:
        self.fd = fd
        self.touch = touch
        self.note = note
        self.first, self.last = (4, 8) if family == 4 else (8, 24)
        self.namelen = 16 if family == 4 else NAME
        self.controllen = 0
        if control:
            self.controllen = _control_space(12 if family == 4 else 20)
        self.runts = 0
        self.limited = 0
        self.unsent = 0
        self.waiting = 0
        self._build()

    def _build(self) -> None:
        self.packet_bytes = (ctypes.c_char * (BATCH * SLOT))()
        self.name_bytes = (ctypes.c_char * (BATCH * NAME))()
        self.control_bytes = (ctypes.c_char * (BATCH * CONTROL))()
        self.receiving = (mmsghdr * BATCH)()
        self.receiving_iov = (iovec * BATCH)()
        self.sending = (mmsghdr * BATCH)()
        self.sending_iov = (iovec * (2 * BATCH))()
        self.queued = (mmsghdr * BATCH)()
        self.queued_iov = (iovec * BATCH)()
        self.queued_bytes: list[object] = [None] * BATCH
        packets = ctypes.addressof(self.packet_bytes)
        for i in range(BATCH):
            self.receiving_iov[i].base = packets + i * SLOT
            self.receiving_iov[i].len = SLOT
            self._prepare(self.receiving[i], i, ctypes.addressof(self.receiving_iov) + i * ctypes.sizeof(iovec), 1)
            self._prepare(self.sending[i], i, ctypes.addressof(self.sending_iov) + 2 * i * ctypes.sizeof(iovec), 2)
            self.sending_iov[2 * i].base = packets + i * SLOT
            self.sending_iov[2 * i].len = 2
            self._prepare(self.queued[i], i, ctypes.addressof(self.queued_iov) + i * ctypes.sizeof(iovec), 1)
        self.slots = list(range(BATCH))
        self.receiving_at = ctypes.addressof(self.receiving)
        self.sending_at = ctypes.addressof(self.sending)
        self.queued_at = ctypes.addressof(self.queued)
        if cython.compiled:
            self.packets = cython.cast(cython.p_char, cython.cast(cython.size_t, packets))
            self.names = cython.cast(cython.p_char, cython.cast(cython.size_t, ctypes.addressof(self.name_bytes)))
            self.lengths = cython.cast(cython.p_uint, cython.cast(cython.size_t, self.receiving_at))
            self.pointers = cython.cast(cython.p_size_t, cython.cast(cython.size_t, ctypes.addressof(self.sending_iov)))
            self.controls = cython.cast(cython.p_char, cython.cast(cython.size_t, ctypes.addressof(self.control_bytes)))
            self.queued_words = cython.cast(cython.p_size_t, cython.cast(cython.size_t, self.queued_at))
            self.queued_pointers = cython.cast(cython.p_size_t, cython.cast(cython.size_t, ctypes.addressof(self.queued_iov)))
        else:
            self.packets = self.packet_bytes
            self.names = self.name_bytes
            self.lengths = (ctypes.c_uint32 * (BATCH * STRIDE)).from_buffer(self.receiving)
            self.pointers = (ctypes.c_size_t * (4 * BATCH)).from_buffer(self.sending_iov)
            self.controls = self.control_bytes
            self.queued_words = (ctypes.c_size_t * (MESSAGE_WORDS * BATCH)).from_buffer(self.queued)
            self.queued_pointers = (ctypes.c_size_t * (2 * BATCH)).from_buffer(self.queued_iov)

    def _prepare(self, message: mmsghdr, slot: int, iov: int, iovlen: int) -> None:
        message.hdr.name = ctypes.addressof(self.name_bytes) + slot * NAME
        message.hdr.namelen = self.namelen
        message.hdr.iov = iov
        message.hdr.iovlen = iovlen
        if self.controllen:
            message.hdr.control = ctypes.addressof(self.control_bytes) + slot * CONTROL
            message.hdr.controllen = self.controllen

    def point(self, place: int, slot: int) -> None:
        """Answer number ``place`` of this batch goes to the sender of the query in ``slot``."""
        self.slots[place] = slot
        self.sending_iov[2 * place].base = ctypes.addressof(self.packet_bytes) + slot * SLOT
        hdr = self.sending[place].hdr
        hdr.name = ctypes.addressof(self.name_bytes) + slot * NAME
        if self.controllen:
            hdr.control = ctypes.addressof(self.control_bytes) + slot * CONTROL

    def receive(self) -> int:
        """The number of datagrams read, 0 if there were none."""
        count: int = _recvmmsg(self.fd, self.receiving_at, BATCH, MSG_DONTWAIT, None)
        return max(count, 0)

    def peer(self, slot: int) -> "tuple[bytes, bytes]":
        """Where an answer to the query in ``slot`` must go: the socket address, and the packet information."""
        name: bytes = self.names[slot * NAME : slot * NAME + self.namelen]
        control: bytes = self.controls[slot * CONTROL : slot * CONTROL + self.controllen]
        return name, control

    def queue(self, reply: bytes, peer: "tuple[bytes, bytes]") -> None:
        """Send ``reply`` with the next ``flush``."""
        if self.waiting == BATCH:
            self.flush()
        at = self.waiting
        self.waiting += 1
        self.queued_bytes[at] = (reply, peer)
        name, control = peer
        words, pointers = self.queued_words, self.queued_pointers
        pointers[2 * at] = _address(reply)
        pointers[2 * at + 1] = len(reply)
        words[MESSAGE_WORDS * at + NAME_AT] = _address(name)
        if control:
            words[MESSAGE_WORDS * at + CONTROL_AT] = _address(control)

    def flush(self) -> None:
        """Send all that was queued."""
        count, self.waiting = self.waiting, 0
        if count:
            self.send(self.queued_at, count)

    def send(self, messages: int, count: int) -> None:
        """Send ``count`` messages. A full socket is waited for (20 ms at most); a message that the kernel refuses is counted and passed over."""
        done = waits = 0
        while done < count:
            sent = _sendmmsg(self.fd, messages + done * ctypes.sizeof(mmsghdr), count - done, MSG_DONTWAIT)
            if sent > 0:
                done += sent
            elif ctypes.get_errno() == 11 and waits < 20:
                waits += 1
                ready = pollfd(self.fd, POLLOUT, 0)
                _poll(ctypes.addressof(ready), 1, 1)
            else:
                self.unsent += 1
                done += 1

    def serve(self, clients: "dict[bytes, Client]", now: float) -> "tuple[int, list[tuple[bytes, tuple[bytes, bytes], Client | None]]]":
        """Answer one batch. -> (datagrams read, those that need the pipeline, each with its sender and its Client if known)."""
        count = self.receive()
        packets, names, lengths, pointers = self.packets, self.names, self.lengths, self.pointers
        first, last, slots = self.first, self.last, self.slots
        misses = []
        sent = 0
        for i in range(count):
            start = i * SLOT
            length = lengths[i * STRIDE + LEN_AT]
            if length < HEADER:
                self.runts += 1
                continue
            client = clients.get(names[i * NAME + first : i * NAME + last])
            if client is not None:
                if client.tokens < 1.0 and not refill(client, now):
                    self.limited += 1
                    continue
                client.tokens -= 1.0
                view: View = client.view  # type: ignore[assignment]  # it has a token, so it has a view
                entry = view.answers.get(packets[start + 2 : start + length])
                if entry is not None and (entry.fresh_until > now or age(entry, now)):
                    if not entry.hits:
                        self.touch(entry)
                    entry.hits += 1
                    view.tally[entry.label] += 1
                    subject = entry.subject
                    if subject is not None:
                        cell = view.cells.get(subject)
                        if cell is None:
                            cell = self.note(view, subject)
                        cell.count += 1
                        cell.bits |= client.bit
                    pointers[4 * sent + 2] = entry.address
                    pointers[4 * sent + 3] = entry.length
                    if slots[sent] != i:
                        self.point(sent, i)
                    sent += 1
                    continue
            misses.append((packets[start : start + length], self.peer(i), client))
        if sent:
            self.send(self.sending_at, sent)
        return count, misses


def _control_space(payload: int) -> int:
    """CMSG_SPACE(payload): the header and the payload, each padded to a word."""
    word = ctypes.sizeof(ctypes.c_size_t)
    header = word + 8
    return (header + word - 1) // word * word + (payload + word - 1) // word * word


_as_pointer = ctypes.pythonapi.PyBytes_AsString
_as_pointer.argtypes = (ctypes.py_object,)
_as_pointer.restype = ctypes.c_size_t


def _address(data: bytes) -> int:
    """Where the bytes of ``data`` stand in memory; the caller keeps them alive until they are sent."""
    address: int = cython.cast(cython.size_t, cython.cast(cython.p_char, data)) if cython.compiled else _as_pointer(data)
    return address

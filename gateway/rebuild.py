"""Answers written anew because something in them has to go or to be added: ``ech`` parameters, a record, a name in front.

Everything is decompressed and written again, so no compression pointer can be left pointing at what has moved. This is the
rare path; an answer that needs no change is passed on as it came (gateway/response.py). Signatures over what was changed are
dropped, and AD with them.
"""

import struct
from collections.abc import Collection, Iterable, Mapping

from gateway.edns import encode_options, opt_record
from gateway.numbers import IN, Rcode, Type
from gateway.service_binding import without
from gateway.wire import (
    AD,
    ADDITIONAL,
    ANSWER,
    NAMES_IN_RDATA,
    QR,
    RA,
    RD,
    FormatError,
    Message,
    Record,
    decode_message,
    encode_question,
)
from gateway.wire_names import encode_name, read_name

_HEADER = struct.Struct("!HHHHHH")
_RECORD = struct.Struct("!HHIH")
_LARGEST = 65535
_POINTER = 0xC000


class Writer:
    """Sections of one message. Owner names that were written before are compressed to a pointer; record data is not."""

    def __init__(self, qname: str, question: bytes) -> None:
        self._data = bytearray(12) + question
        self._offsets = {qname: 12}
        self._counts = [0, 0, 0]

    def record(self, section: int, name: str, rdata: bytes, *, rtype: int, ttl: int, rclass: int = IN) -> None:
        """Sections must come in ascending order."""
        at = self._offsets.get(name)
        if at is not None:
            self._data += (_POINTER | at).to_bytes(2)
        else:
            if len(self._data) < 0x4000:
                self._offsets[name] = len(self._data)
            self._data += encode_name(name)
        self._data += _RECORD.pack(rtype, rclass, ttl, len(rdata)) + rdata
        self._counts[section - 1] += 1
        if len(self._data) > _LARGEST:
            raise FormatError("too large once it is decompressed", Rcode.SERVFAIL)

    def finish(self, ident: int, flags: int, opt: bytes = b"") -> Message:
        answers, authorities, additionals = self._counts
        _HEADER.pack_into(self._data, 0, ident, flags, 1, answers, authorities, additionals + (1 if opt else 0))
        return decode_message(bytes(self._data) + opt)


def rebuilt(message: Message, changes: Mapping[int, bytes | None] | None = None) -> Message:
    """The message with the OPT record last and without what ``changes`` says.

    ``changes``: index in ``message.records`` -> new record data, or None to drop the record. Raises FormatError (SERVFAIL) where
    the result would not fit a message, or where the message repeats no question.
    """
    if not message.question:
        raise FormatError("no question to build on", Rcode.SERVFAIL)
    changes = changes or {}
    writer = Writer(message.qname, message.question)
    for index, record in enumerate(message.records):
        rdata = changes[index] if index in changes else expanded_rdata(message, record)
        if rdata is not None:
            writer.record(record.section, record.name, rdata, rtype=record.rtype, ttl=record.ttl, rclass=record.rclass)
    opt = b""
    if message.edns is not None:
        opt = opt_record(do=message.edns.do, options=encode_options(message.edns.options), rcode=message.rcode, size=message.edns.size)
    return writer.finish(message.id, message.flags & ~AD if changes else message.flags, opt)


def expanded_rdata(message: Message, record: Record) -> bytes:
    """The record's data without compression (so that it can stand anywhere)."""
    layout = NAMES_IN_RDATA.get(record.rtype)
    if layout is None:
        return message.rdata(record)
    octets_before, count = layout
    at = record.rdata_at + octets_before
    parts = [message.data[record.rdata_at : at]]
    for _ in range(count):
        name, at = read_name(message.data, at)
        parts.append(encode_name(name))
    return b"".join([*parts, message.data[at : record.rdata_end]])


def without_parameters(message: Message, keys: Collection[int]) -> Message:
    """The message with its SVCB and HTTPS records stripped of these parameters; the very same where none has them."""
    touched = {record for record, binding in message.bindings if any(key in binding.params for key in keys)}
    if not touched:
        return message
    changes: dict[int, bytes | None] = {}
    for index, record in enumerate(message.records):
        if record in touched:
            changes[index] = without(message.rdata(record), keys)
        elif record.rtype == Type.RRSIG and _covers_binding(message, record):
            changes[index] = None
    return rebuilt(message, changes)


def _covers_binding(message: Message, signature: Record) -> bool:
    return int.from_bytes(message.data[signature.rdata_at : signature.rdata_at + 2]) in {Type.SVCB, Type.HTTPS}


def without_records(message: Message, unwanted: Iterable[Record]) -> Message:
    """The message without these of its records."""
    gone = set(unwanted)
    return rebuilt(message, {index: None for index, record in enumerate(message.records) if record in gone})


def aliased(qname: str, qtype: int, target: str, ttl: int, answer: Message | None) -> Message:
    """``qname`` answered as an alias of ``target``, whose own answer follows: what a rewrite to safe search sends.

    ``answer`` is the upstream's answer for ``target``, of the same type; None: the alias alone. Its rcode, its answer and
    authority sections are kept; AD is not, since nobody signed the alias.
    """
    writer = Writer(qname, encode_question(qname, qtype))
    writer.record(ANSWER, qname, encode_name(target), rtype=Type.CNAME, ttl=ttl)
    flags = QR | RD | RA
    if answer is not None:
        flags |= answer.flags & 15
        for record in answer.records:
            if record.section != ADDITIONAL:
                rdata = expanded_rdata(answer, record)
                writer.record(record.section, record.name, rdata, rtype=record.rtype, ttl=record.ttl, rclass=record.rclass)
    return writer.finish(0, flags)

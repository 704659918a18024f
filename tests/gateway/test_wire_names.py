import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire_names import FormatError, encode_name, read_name, read_plain_name
from tests.gateway.wire_messages import NAMES


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        (b"\0", ""),
        (b"\x03com\0", "com"),
        (b"\x03WwW\x07eXample\x03COM\0", "www.example.com"),
        (b"\x05a.b\\c\x03com\0", r"a\.b\\c.com"),
        (b"\x04a\0b \x03com\0", r"a\000b\032.com"),
        (b"\x03\xff\xc4\xa1\0", r"\255\196\161"),
        (b"\x01.\0", r"\."),
        (b"\x01A\x3f" + b"B" * 63 + b"\0", "a." + "b" * 63),
    ],
)
def test_a_name_reads_as_text_that_only_its_own_octets_give(wire, text):
    assert read_plain_name(wire, 0) == (text, len(wire))
    assert read_name(wire, 0) == (text, len(wire))
    assert encode_name(text) == bytes(octet + 32 if 65 <= octet <= 90 else octet for octet in wire)


def test_a_dot_inside_a_label_never_makes_a_listed_name():
    text, _ = read_plain_name(b"\x0fxxx.example.com\x03net\0"[:5] + b"example.com\x03net\0", 0)
    assert text == r"xxx\.example\.com.net"


def test_letters_are_lowered_in_ascii_only():
    assert read_plain_name(b"\x02\xc0A\0", 0)[0] == r"\192a"


@pytest.mark.parametrize(
    "text", ["a..b", ".", "a.", ".a", "a" * 64, "a." * 127 + "bc", "bücher.example", "\\", "a\\", r"\999", "a" * 300, r"a\30", "\u0130.vn"]
)
def test_what_is_no_name_cannot_be_encoded(text):
    if text == r"a\30":  # an escaped "3" and a "0": odd, but a name
        assert encode_name(text) == b"\x03a30\0"
        return
    with pytest.raises(FormatError):
        encode_name(text)


def test_the_longest_name_has_255_octets():
    text = ".".join(["a" * 63] * 3 + ["b" * 61])
    wire = encode_name(text)
    assert len(wire) == 255
    assert read_plain_name(wire, 0) == (text, 255)
    assert read_name(wire, 0) == (text, 255)
    longer = wire[:192] + b"\x3e" + b"b" * 62 + b"\0"
    for read in (read_plain_name, read_name):
        with pytest.raises(FormatError, match="255"):
            read(longer, 0)


HEADER = bytes(12)


@pytest.mark.parametrize(
    ("data", "at", "why"),
    [
        (HEADER + b"\xc0\x0c", 12, "a pointer to itself"),
        (HEADER + b"\x01a\xc0\x0c", 12, "a loop through a label"),
        (HEADER + b"\xc0\x0e\xc0\x0c", 14, "two pointers at each other"),
        (HEADER + b"\xc0\x0e\x01a\0", 12, "forward"),
        (HEADER + b"\xc0\x02", 12, "into the header"),
        (HEADER + b"\x01a\0" + b"".join(b"\xc0" + bytes([12 if n == 0 else 13 + 2 * n]) for n in range(33)), 15 + 64, "33 pointers"),
        (HEADER + b"\x40a", 12, "label type 01"),
        (HEADER + b"\x80a", 12, "label type 10"),
    ],
)
def test_a_bad_pointer_is_refused(data, at, why):
    with pytest.raises(FormatError):
        read_name(data, at)


def test_32_pointers_in_a_row_are_followed():
    data = HEADER + b"\x01a\0" + b"".join(b"\xc0" + bytes([12 if n == 0 else 13 + 2 * n]) for n in range(32))
    assert read_name(data, len(data) - 2) == ("a", len(data))


def test_pointers_cannot_make_a_name_longer_than_255():
    data = HEADER + b"\x3f" + b"a" * 63 + b"\0"
    at = len(data)
    data += (b"\x3f" + b"b" * 63) * 3 + b"\xc0\x0c"
    with pytest.raises(FormatError, match="255"):
        read_name(data, at)


def test_a_name_cut_short_is_an_index_error_that_the_decoders_translate():
    for data in (b"\x03ab", b"\x03abc", b"", b"\xc0"):
        with pytest.raises(IndexError):
            read_name(HEADER + data, 12)


@given(NAMES)
def test_text_and_octets_of_any_name_agree(name):
    wire = name.to_wire()
    text, end = read_plain_name(wire, 0)
    assert end == len(wire)
    assert encode_name(text) == name.canonicalize().to_wire()
    assert dns.name.from_text(text + "." if text else ".") == name


@given(NAMES, NAMES)
def test_different_names_have_different_texts(one, other):
    texts = read_plain_name(one.to_wire(), 0)[0], read_plain_name(other.to_wire(), 0)[0]
    assert (texts[0] == texts[1]) == (one == other)


@given(st.binary(max_size=80), st.integers(0, 80))
def test_reading_anything_ends(data, at):
    for read in (read_name, read_plain_name):
        try:
            text, end = read(data, at)
        except (FormatError, IndexError):
            continue
        assert at < end <= len(data)
        assert len(encode_name(text)) <= 255

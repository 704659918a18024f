"""The secret of a zone transfer key: both forms that people have, and refusals that do not repeat it."""

from base64 import b64encode
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.transfer_secret import MAX_BYTES, SHORTEST, BadSecret, parse_secret

SECRET = bytes(range(32))
TEXT = b64encode(SECRET)


@pytest.mark.parametrize(
    "data",
    [
        TEXT,
        TEXT + b"\n",
        b'key "truong" {\n\talgorithm hmac-sha256;\n\tsecret "' + TEXT + b'";\n};\n',
    ],
)
def test_a_secret_is_read(data):
    assert parse_secret(data) == SECRET


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "shorter than 16 octets"),
        (b64encode(bytes(SHORTEST - 1)), "shorter than 16 octets"),
        (b"mat khau cua truong", "not Base64"),
        ("mật khẩu".encode(), "not Base64"),
        (b"a" * (MAX_BYTES + 1), "too long"),
    ],
)
def test_what_is_no_secret_is_refused(data, why):
    with pytest.raises(BadSecret, match=why):
        parse_secret(data)


def test_a_refusal_repeats_nothing_of_the_file():
    with pytest.raises(BadSecret) as error:
        parse_secret(b"mat khau cua truong")
    assert "truong" not in str(error.value)


@given(st.binary(max_size=80))
def test_whatever_the_bytes_a_secret_comes_out_or_a_refusal(data):
    with suppress(BadSecret):
        assert len(parse_secret(data)) >= SHORTEST

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cookies import cookie_option, is_ours
from gateway.edns import read_options

SECRET = b"0123456789abcdef"
CLIENT = b"client78"
ADDRESS = b"\x0a\0\0\1"
NOW = 1_770_000_000.5


def given_to(client=CLIENT, address=ADDRESS, secret=SECRET, now=NOW):
    option = cookie_option(client, address, secret, now)
    ((code, value),) = read_options(option, 0, len(option))
    assert code == 10
    return value


def test_the_format_of_rfc_9018():
    value = given_to()
    assert len(value) == 24
    assert value[:8] == CLIENT
    assert value[8:16] == b"\1\0\0\0" + int(NOW).to_bytes(4)


@pytest.mark.parametrize(("later", "taken"), [(0, True), (3600, True), (3602, False), (-299, True), (-302, False), (2**31, False)])
def test_a_cookie_is_taken_for_an_hour(later, taken):
    assert is_ours(given_to(), ADDRESS, SECRET, NOW + later) == taken


def test_a_cookie_is_of_one_client_at_one_address():
    value = given_to()
    assert is_ours(value, ADDRESS, SECRET, NOW)
    assert not is_ours(value, b"\x0a\0\0\2", SECRET, NOW)
    assert not is_ours(value, ADDRESS, b"another secret 16", NOW)
    assert not is_ours(b"CLIENT78" + value[8:], ADDRESS, SECRET, NOW)
    assert not is_ours(value[:-1] + bytes([value[-1] ^ 1]), ADDRESS, SECRET, NOW)


def test_a_known_or_stale_cookie_is_answered_with_a_fresh_one():
    assert given_to(given_to(), now=NOW + 100)[8:16] == b"\1\0\0\0" + int(NOW + 100).to_bytes(4)


def test_the_timestamp_wraps_around():
    """RFC 9018, section 4.3: serial number arithmetic; 32 bits of seconds end in 2106."""
    end = float(2**32 - 10)
    assert is_ours(given_to(now=end), ADDRESS, SECRET, end + 20)


@given(st.binary(min_size=8, max_size=40))
def test_whatever_a_client_sends_is_only_a_question(received):
    assert not is_ours(received, ADDRESS, SECRET, NOW)
    assert len(cookie_option(received, ADDRESS, SECRET, NOW)) == 28

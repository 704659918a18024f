"""Who holds a port, read from a made-up /proc and from the real one."""

import os
import socket
from pathlib import Path

import pytest

from gateway.cli.ports import inodes_at, is_free, programs_at

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
   1: 3500007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 1001 2 0000000000000000 0
   2: 0100007F:14E9 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1002 2 0000000000000000 0
   3: 0100007F:0035 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 1003 2 0000000000000000 0
   4: 00000000:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1004 2 0000000000000000 0
 damaged line
"""


def test_bound_and_listening_sockets_count_and_connections_do_not():
    assert inodes_at(TABLE, 53) == {"1001", "1004"}
    assert inodes_at(TABLE, 5353) == {"1002"}
    assert inodes_at(TABLE, 80) == set()


def made_up(tmp_path: Path, holder: bool) -> Path:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "udp").write_text(TABLE)
    process = tmp_path / "77" / "fd"
    process.mkdir(parents=True)
    (tmp_path / "77" / "comm").write_text("systemd-resolve\n")
    (process / "5").symlink_to("socket:[1001]" if holder else "socket:[9999]")
    return tmp_path


def test_the_holder_is_named(tmp_path):
    assert programs_at(53, made_up(tmp_path, holder=True)) == ("systemd-resolve",)


def test_a_holder_that_may_not_be_looked_at_is_unknown(tmp_path):
    assert programs_at(53, made_up(tmp_path, holder=False)) == ("?",)


def test_a_free_port_has_no_holder(tmp_path):
    assert programs_at(80, made_up(tmp_path, holder=True)) == ()


def test_our_own_socket_is_found_in_the_real_table():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        own = Path(f"/proc/{os.getpid()}/comm").read_text().strip()
        assert own in programs_at(sock.getsockname()[1])


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_a_port_that_somebody_has_is_not_free(kind):
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            sock.listen()
        assert not is_free(sock.getsockname()[1])


def test_some_port_is_free():
    """Any one of them may be taken by a test beside this one."""
    assert any(is_free(port) for port in range(20_000, 20_100))

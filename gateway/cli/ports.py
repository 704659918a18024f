"""Which programs hold a port: read from /proc, as ss does; and whether a port is free. [shell: reads /proc, binds sockets]"""

import socket
from contextlib import ExitStack
from pathlib import Path

PROC = Path("/proc")
_LISTEN = "0A"
"""TCP_LISTEN in /proc/net/tcp; a bound UDP socket shows 07"""
_UNCONNECTED = "07"


def inodes_at(table: str, port: int) -> set[str]:
    """Socket inodes that wait on ``port``, in the text of /proc/net/udp, udp6, tcp or tcp6 (proc(5)): columns 2, 4 and 10."""
    found = set()
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) < 10:
            continue
        local, _, number = columns[1].rpartition(":")
        if local and int(number, 16) == port and columns[3] in {_LISTEN, _UNCONNECTED}:
            found.add(columns[9])
    return found


def programs_at(port: int, proc: Path = PROC) -> tuple[str, ...]:
    """Names of programs that hold ``port``. Only our own are seen without root; an unknown holder is ``?``."""
    wanted: set[str] = set()
    for name in ("udp", "udp6", "tcp", "tcp6"):
        try:
            wanted |= inodes_at((proc / "net" / name).read_text(), port)
        except OSError:
            continue
    if not wanted:
        return ()
    return tuple(sorted({_name(process) for process in _holders(wanted, proc)})) or ("?",)


def _holders(inodes: set[str], proc: Path) -> list[Path]:
    targets = {f"socket:[{inode}]" for inode in inodes}
    return [process for process in proc.glob("[0-9]*") if targets & _open_files(process)]


def _open_files(process: Path) -> set[str]:
    found = set()
    try:
        for link in (process / "fd").iterdir():
            found.add(str(link.readlink()))
    except OSError:  # it ended, or is not ours to look at
        pass
    return found


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "?"


def is_free(port: int, address: str = "127.0.0.1") -> bool:
    """Whether nobody else has ``port`` there, for datagrams or streams. It is bound without SO_REUSEPORT, or another resolver
    of the same user would let us in beside it.
    """
    with ExitStack() as stack:
        datagrams = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        streams = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        streams.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            datagrams.bind((address, port))
            streams.bind((address, port))
            streams.listen(1)
        except OSError:
            return False
    return True

"""Which programs hold a port: read from /proc, as ss does. [shell: reads /proc]"""

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

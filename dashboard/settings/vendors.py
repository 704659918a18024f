"""Who made a network card: the first half of a MAC, looked up in the IEEE's register as the ``netaddr`` package carries it.  [shell: disk]

netaddr's own look-up keeps the whole index in memory (17 MB with the package); this reads it for one page of questions and forgets it, in a few milliseconds.
"""

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

LONGEST = 60
_RANDOM = 0b10
"""in the first byte: locally administered (IEEE 802), which is how phones write addresses that they have drawn by lot"""


def is_random(mac: str) -> bool:
    return bool(int(mac[:2], 16) & _RANDOM)


def vendors_of(macs: Iterable[str]) -> dict[str, str]:
    """MAC (lower case, colons) -> ``Apple, Inc.``; those that the register does not have, and random ones, are missing."""
    wanted = {mac: mac[:8] for mac in macs if not is_random(mac)}
    found = _look_up(set(wanted.values()))
    return {mac: found[prefix] for mac, prefix in wanted.items() if prefix in found}


def _look_up(prefixes: Iterable[str]) -> dict[str, str]:
    spec = find_spec("netaddr")  # not imported: 4 MB
    found: dict[str, str] = {}
    if spec is None or not spec.submodule_search_locations:
        return found
    folder = Path(spec.submodule_search_locations[0]) / "eui"
    try:
        index = b"\n" + (folder / "oui.idx").read_bytes()
        with (folder / "oui.txt").open("rb") as register:
            for prefix in prefixes:
                at = index.find(b"\n%d," % int(prefix.replace(":", ""), 16))
                if at < 0:
                    continue
                _number, offset, size = index[at + 1 : index.find(b"\n", at + 1)].split(b",")
                register.seek(int(offset))
                title = register.read(min(int(size), 400)).split(b"\n", 1)[0].rpartition(b"\t")[2]
                found[prefix] = title.decode("utf-8", "replace").strip()[:LONGEST]
    except (OSError, ValueError):
        return found
    return found

"""The wall clock of processes that a test starts, as the test wants it (wall_clock.c)."""

import subprocess
from pathlib import Path


class WallClock:
    """What the box's processes see as the time: ``set`` it, or start a box with ``environment``."""

    def __init__(self, library: Path, file: Path) -> None:
        self._file = file
        self.environment = {"LD_PRELOAD": str(library), "WALL_CLOCK": str(file)}
        self.set(0, synchronised=True)

    def set(self, seconds: int, *, synchronised: bool = False) -> None:
        """``seconds`` after the real time (negative: before)."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds} {int(synchronised)}\n")
        new.replace(self._file)


def build(folder: Path) -> Path:
    """The library, compiled; what it needs is a C compiler."""
    path = folder / "wall_clock.so"
    source = Path(__file__).with_name("wall_clock.c")
    subprocess.run(["cc", "-O1", "-Wall", "-Wextra", "-shared", "-fPIC", "-o", path, source], check=True)
    return path

"""The box's clock: Unix time for the policy, which never runs backwards by itself, and whether it can be trusted.  [shell]

A small box often has no battery for its clock and starts in the past. Timetables then speak for the wrong hour, so time counts as
*untrusted* until the kernel says that it is synchronised (adjtimex(2)), or until a clock that runs without power is there and shows
no time before the newest file that the box has. A clock that is set back does not bring an expired exception to life: time goes on
from the latest that was seen, until the kernel says that the earlier time is the synchronised one.
"""

import ctypes
import time
from collections.abc import Callable
from pathlib import Path

SET_BACK = 5.0
"""seconds; less is a slew, which is waited out"""
STA_UNSYNC = 0x0040
_STATUS_AT = 4 + 4 * ctypes.sizeof(ctypes.c_long) + ctypes.sizeof(ctypes.c_long) - 4
"""offsetof(struct timex, status): modes (padded to a long), offset, freq, maxerror, esterror"""


class Clock:
    """``now()`` in Unix seconds. ``check()`` is called about once a second and looks at the wall clock."""

    def __init__(
        self,
        floor: float = 0.0,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        synchronised: Callable[[], bool] | None = None,
        keeps_time: Callable[[], bool] | None = None,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._synchronised = synchronised or kernel_synchronised
        self._keeps_time = keeps_time or keeps_time_without_power
        self._floor = floor
        self._offset = wall() - monotonic()
        self.trusted = False
        self.check()

    def set_floor(self, floor: float) -> None:
        """It cannot be earlier than ``floor`` (Unix seconds): a file here was written then."""
        self._floor = floor
        self.check()

    def now(self) -> float:
        """Unix seconds."""
        return self._monotonic() + self._offset

    def check(self) -> bool:
        """Look at the wall clock again; True when ``trusted`` changed or the time jumped: what was worked out from it is void."""
        monotonic, synchronised = self._monotonic(), self._synchronised()
        behind = monotonic + self._offset - self._wall()
        follows = behind <= 0 or synchronised
        if follows:
            self._offset -= behind
        set_back = behind > SET_BACK and not synchronised
        trusted = synchronised or (not set_back and monotonic + self._offset >= self._floor and self._keeps_time())
        changed, self.trusted = trusted != self.trusted, trusted
        return changed or (follows and abs(behind) > SET_BACK)


def kernel_synchronised() -> bool:
    """Whether the kernel's clock is disciplined (adjtimex(2), STA_UNSYNC clear)."""
    timex = ctypes.create_string_buffer(512)
    if ctypes.CDLL(None, use_errno=True).adjtimex(timex) < 0:
        return False
    return not int.from_bytes(timex.raw[_STATUS_AT : _STATUS_AT + 4], "little") & STA_UNSYNC


def keeps_time_without_power() -> bool:
    """Whether something tells this machine the time when it starts: a real-time clock, or the host of a virtual machine."""
    if any(Path("/sys/class/rtc").glob("rtc*")):
        return True
    source = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    try:
        name = source.read_text().strip()
        return name.startswith(("kvm", "hyperv", "xen")) or "hypervisor" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def newest(paths: list[Path]) -> float:
    """The latest modification time among ``paths`` that exist, in Unix seconds: it cannot be earlier than this now."""
    times = [0.0]
    for path in paths:
        try:
            times.append(path.stat().st_mtime)
        except OSError:
            continue
    return max(times)

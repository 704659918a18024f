"""The clock: monotone, and honest about whether it knows the time (DESIGN section 8, "clock wrong")."""

from gateway.clock import Clock, newest


class Hands:
    """A wall clock and a monotonic one that a test moves."""

    def __init__(self, wall: float, *, synchronised: bool = False, keeps_time: bool = True) -> None:
        self.wall, self.mono = wall, 100.0
        self.synchronised, self.keeps_time = synchronised, keeps_time

    def clock(self, floor: float = 0.0) -> Clock:
        return Clock(
            floor,
            wall=lambda: self.wall,
            monotonic=lambda: self.mono,
            synchronised=lambda: self.synchronised,
            keeps_time=lambda: self.keeps_time,
        )

    def run(self, seconds: float) -> None:
        self.wall += seconds
        self.mono += seconds


def test_a_box_with_a_clock_of_its_own_is_trusted_until_it_shows_a_time_before_its_own_files():
    assert Hands(1_800_000_000).clock(floor=1_790_000_000).trusted
    assert not Hands(1_700_000_000).clock(floor=1_790_000_000).trusted


def test_a_box_without_a_battery_is_untrusted_until_the_kernel_is_synchronised():
    hands = Hands(1_800_000_000, keeps_time=False)
    clock = hands.clock()
    assert not clock.trusted
    hands.synchronised = True
    assert clock.check()
    assert clock.trusted


def test_a_clock_set_back_goes_on_from_the_latest_time_and_is_untrusted():
    hands = Hands(1_800_000_000)
    clock = hands.clock()
    hands.run(60)
    clock.check()
    hands.wall -= 3600
    assert clock.check()
    assert not clock.trusted
    assert clock.now() == 1_800_000_060
    hands.run(10)
    assert clock.now() == 1_800_000_070


def test_a_synchronised_kernel_may_take_back_a_time_in_the_future():
    hands = Hands(2_000_000_000)
    clock = hands.clock()
    hands.wall, hands.synchronised = 1_800_000_000, True
    clock.check()
    assert clock.now() == 1_800_000_000
    assert clock.trusted


def test_a_small_slew_back_is_waited_out_and_stays_trusted():
    hands = Hands(1_800_000_000)
    clock = hands.clock()
    hands.wall -= 0.5
    clock.check()
    assert clock.trusted
    assert clock.now() == 1_800_000_000


def test_a_step_forward_is_followed():
    hands = Hands(1_700_000_000)
    clock = hands.clock(floor=1_790_000_000)
    hands.wall = 1_800_000_000
    assert clock.check()
    assert clock.now() == 1_800_000_000


def test_newest_of_no_files_is_the_epoch(tmp_path):
    assert newest([tmp_path / "absent"]) == 0.0
    file = tmp_path / "present"
    file.write_text("")
    assert newest([tmp_path / "absent", file]) == file.stat().st_mtime


def test_a_jump_is_told_so_that_what_ends_at_a_time_is_worked_out_again():
    hands = Hands(1_800_000_000)
    clock = hands.clock()
    hands.run(1)
    assert not clock.check()
    hands.wall += 7200
    assert clock.check()
    assert clock.trusted
    assert not clock.check()

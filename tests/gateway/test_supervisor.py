"""What the supervisor concludes from the workers' reports, and what a worker that leaves must not take with it."""

import asyncio

from gateway.runtime import read_report, write_report
from gateway.supervisor import SILENT, Slot
from gateway.tail import Tail


def test_a_jump_of_the_wall_clock_does_not_make_healthy_workers_look_hung(tmp_path):
    """A box without a battery finds the time after its start; its workers' reports then looked hours old, and all were killed."""
    slot = Slot(0)
    write_report(tmp_path, 0, {"pid": 1, "at": 0.0})
    assert slot.silent_for(read_report(tmp_path, 0), 1000.0) == 0
    assert slot.silent_for(read_report(tmp_path, 0), 1004.0) == 4
    write_report(tmp_path, 0, {"pid": 1, "at": 1_790_000_000.0})
    assert slot.silent_for(read_report(tmp_path, 0), 1005.0) == 0


def test_a_worker_whose_report_stands_still_is_silent(tmp_path):
    slot = Slot(0)
    write_report(tmp_path, 0, {"pid": 1, "at": 5.0})
    slot.silent_for(read_report(tmp_path, 0), 1000.0)
    assert slot.silent_for(read_report(tmp_path, 0), 1000.0 + SILENT + 1) > SILENT


def test_a_worker_that_leaves_keeps_its_hands_off_its_successors_tail(tmp_path):
    """After the workers were replaced one by one, the old one's goodbye removed the new one's socket."""

    async def replaced():
        path = tmp_path / "tail-0.sock"
        old, new = Tail(path), Tail(path)
        await old.start()
        await new.start()
        await old.stop()
        _, writer = await asyncio.open_unix_connection(path)
        writer.close()
        await writer.wait_closed()
        await new.stop()
        return path.exists()

    assert asyncio.run(replaced()) is False

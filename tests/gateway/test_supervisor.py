"""What the supervisor concludes from the workers' reports, and what a worker that leaves must not take with it."""

import asyncio
import os
import signal
import subprocess
import sys

from gateway.runtime import read_report, write_report
from gateway.supervisor import SILENT, Slot, Supervisor
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


SCHOOL = """
school: {name: A}
dns: {workers: 1, upstreams: ["192.0.2.1"]}
groups: [{name: a, tier: thcs}]
"""


class Scripted(Supervisor):
    """Workers that end as the test says, one after the other; the last one reports that it is ready."""

    def start(self, slot):
        ends, report = self.script.pop(0)
        slot.process = subprocess.Popen([sys.executable, "-c", ends])
        slot.process.wait() if not report else write_report(self.runtime, slot.index, {"pid": slot.process.pid})


def supervisor(tmp_path, *script):
    (tmp_path / "school.yaml").write_text(SCHOOL)
    made = Scripted(tmp_path / "school.yaml", tmp_path, {}, tmp_path, with_metrics=False)
    made.script = list(script)
    return made


KILLED = (f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})", False)
REFUSES = ("raise SystemExit(2)", False)
SERVES = ("import time; time.sleep(60)", True)


def test_a_worker_killed_while_it_starts_is_started_again(tmp_path):
    """A worker that was killed before all were ready took the whole box down with it."""
    made = supervisor(tmp_path, KILLED, SERVES)
    made.start_all()
    try:
        assert made.wait_until_ready(made.slots) == 0
        assert made.restarts == 1
    finally:
        os.kill(made.slots[0].process.pid, signal.SIGKILL)
        made.slots[0].process.wait()


def test_a_worker_that_refuses_to_start_ends_the_box_with_its_code(tmp_path):
    made = supervisor(tmp_path, REFUSES)
    made.start_all()
    assert made.wait_until_ready(made.slots) == 2

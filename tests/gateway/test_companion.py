"""The control process beside the workers: back when it falls, and never a reason for the supervisor to fall."""

import os
import sys
import time

import pytest

from gateway import companion
from gateway.companion import Companion
from tests.end_to_end.waiting import eventually

SLEEPS = (sys.executable, "-c", "import time; time.sleep(60)")


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr(companion, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(companion, "LONGEST_PAUSE", 0.02)


def look_until(made: Companion, condition):
    def looked():
        made.look_after()
        return condition()

    return eventually(looked, "the control process is back")


def test_it_is_started_and_started_again_when_it_was_killed(soon):
    made = Companion(SLEEPS)
    made.look_after()
    first = made.process
    first.kill()
    look_until(made, lambda: made.process is not None and made.process.pid != first.pid)
    again = made.process
    made.stop()
    assert again.poll() is not None
    assert made.process is None


def test_what_cannot_be_started_is_no_reason_to_fall(soon, tmp_path):
    made = Companion((str(tmp_path / "none"),))
    made.look_after()
    assert made.process is None
    made.stop()


def test_one_that_falls_at_once_is_started_ever_more_slowly():
    made = Companion((sys.executable, "-c", "raise SystemExit(1)"))
    pauses = []
    for _ in range(4):
        made._start_at = 0.0
        made.look_after()
        made.process.wait()
        before = time.monotonic()
        made.look_after()
        pauses.append(made._start_at - before)
    assert [round(pause) for pause in pauses] == [1, 2, 4, 8]


def test_a_refused_configuration_is_not_tried_again_at_once():
    made = Companion((sys.executable, "-c", f"raise SystemExit({companion.REFUSED})"))
    made.look_after()
    made.process.wait()
    made.look_after()
    assert made.process is None
    assert made._start_at > time.monotonic() + companion.LONGEST_PAUSE - 5


def test_one_that_does_not_leave_is_made_to(monkeypatch):
    monkeypatch.setattr(companion, "STOP_WITHIN", 0.1)
    read, write = os.pipe()
    script = f"import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.write({write}, b'x'); time.sleep(60)"
    made = Companion((sys.executable, "-c", script))
    monkeypatch.setattr(companion.subprocess, "Popen", _passing(companion.subprocess.Popen, write))
    made.look_after()
    assert os.read(read, 1) == b"x"
    process = made.process
    made.stop()
    assert process.poll() is not None
    os.close(read)
    os.close(write)


def _passing(popen, descriptor):
    return lambda *arguments, **more: popen(*arguments, **more, pass_fds=(descriptor,))

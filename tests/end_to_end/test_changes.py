"""What changes while the resolver runs: modes, the school's file, lists; and how it leaves."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.end_to_end.box import ALLOWED, BLOCKED, Box, override
from tests.end_to_end.school import LISTS, PUPIL, TEACHER


def test_a_class_is_switched_and_back(box: Box):
    assert box.rcode(ALLOWED) == "NOERROR"
    done = box.school.manglanh("mode", "6a1", "offline", "--for", "45m", "--reason", "kiểm tra", "--config", str(box.school.file))
    assert done.returncode == 0, done.stderr
    box.await_rcode(ALLOWED, "NXDOMAIN", seconds=1)
    assert box.rcode("tro-giup.example") == "NOERROR"
    assert box.rcode(ALLOWED, source=TEACHER) == "NOERROR"
    done = box.school.manglanh("mode", "6a1", "normal", "--config", str(box.school.file))
    assert done.returncode == 0, done.stderr
    box.await_rcode(ALLOWED, "NOERROR", seconds=1)


def test_an_override_ends_by_itself(box: Box):
    now = time.time()
    box.write_state(overrides=[override("6a1", "offline", since=now - 1, until=now + 1.5)])
    box.await_rcode(ALLOWED, "NXDOMAIN", seconds=1)
    box.await_rcode(ALLOWED, "NOERROR", seconds=4)
    assert time.time() >= now + 1.5


def test_no_answer_outlives_the_next_change(box: Box):
    box.write_state(overrides=[override("6a1", "study", since=time.time() - 1, until=time.time() + 20)])
    box.await_rcode("phim.example", "NXDOMAIN")
    assert box.ask(ALLOWED).answer[0].ttl <= 20


def test_a_damaged_state_file_changes_nothing(box: Box):
    now = time.time()
    box.write_state(overrides=[override("6a1", "offline", since=now - 1, until=now + 600)])
    box.await_rcode(ALLOWED, "NXDOMAIN")
    box.school.state.write_text('{"generation": 2, "overrides": [')
    box.await_log("state")
    assert box.rcode(ALLOWED) == "NXDOMAIN"


def test_sighup_takes_up_a_new_school_file(box: Box, internet):
    assert box.rcode(ALLOWED) == "NOERROR"
    box.school.write([f"127.0.0.1:{internet.port}"], {"rules": [{"action": "block", "name": ALLOWED}]})
    box.reload()
    box.await_rcode(ALLOWED, "NXDOMAIN")


def test_a_bad_school_file_on_reload_keeps_the_old_one(box: Box):
    good = box.school.file.read_text()
    box.school.file.write_text(good.replace("tier: thcs", "teir: thcs"))
    box.reload()
    box.await_metric("manglanh_config_reload_failed", 1)
    assert "did you mean" in box.log
    assert box.rcode(BLOCKED) == "NXDOMAIN"
    box.school.file.write_text(good)
    box.reload()
    box.await_metric("manglanh_config_reload_failed", 0)


def test_a_bad_school_file_at_start_is_fatal_and_names_every_place(school):
    school.file.write_text(school.file.read_text().replace("tier: thcs", "teir: thcs").replace("tier: staff", "tier: giao-vien"))
    done = school.manglanh("resolver", "--config", str(school.file), timeout=20)
    assert done.returncode == 2
    places = [line for line in (done.stdout + done.stderr).splitlines() if "school.yaml:" in line]
    assert len(places) >= 2, done.stdout + done.stderr


def test_a_new_bundle_is_taken_up_and_no_query_is_lost(box: Box):
    assert box.rcode(ALLOWED) == "NOERROR"
    with Asking(box) as asking:
        box.school.compile_lists({**LISTS, "gambling": [*LISTS["gambling"], ALLOWED]})
        box.await_rcode(ALLOWED, "NXDOMAIN")
    assert asking.asked > 0
    assert asking.lost == 0


def test_workers_are_replaced_without_losing_a_query(box: Box, internet):
    """The number of workers is something that only new processes can follow."""
    before = box.workers()
    with Asking(box) as asking:
        box.school.write([f"127.0.0.1:{internet.port}"], {"dns": {"workers": 2}})
        box.reload()
        box.await_metric("manglanh_workers", 2)
        box.wait_until(lambda: len(box.workers()) == 2 and not {*before} & {*box.workers()}, "two new workers")
    assert asking.lost == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_leaves_when_told_and_leaves_nothing_behind(school, number: int):
    box = Box(school)
    with box:
        workers = box.workers()
        os.kill(box.pid, number)
        assert box.wait() == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert "Traceback" not in box.log


class Asking:
    """Asks one name again and again from a thread; counts what is not answered."""

    def __init__(self, box: Box) -> None:
        self.asked = self.lost = 0
        self._box = box
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._ended.wait(0.005):  # well below what one client may ask
            self.asked += 1
            self.lost += not self._box.answers(PUPIL, "hoc.example", timeout=2)

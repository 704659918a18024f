"""What a worker counts in a minute: plain and compiled, over sockets and by itself, bounded, and no more than it says."""

import argparse
import asyncio
import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys
import time

import dnslib
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gateway
from dashboard.insight.statistics import Answered, Blocked, Fold, devices, parse
from filters.bundle import SUBTREE, Source, write
from gateway import netlink, runtime, statistics
from gateway.hot import Subject, View
from gateway.metrics import AnswerKey
from gateway.runtime import salt_of_day, write_minute
from gateway.statistics import Statistics, encode, mark, salt_id
from gateway.worker import Worker
from policies.decide import Rung
from tests.gateway.test_server import DEADLINE, SCHOOL, Running, framed, question, read_framed, sockets_of_one_port

SALT = b"s" * 32
CASINO = Subject("gambling", "category", "casino.example")


class Group:
    """As much of a policy as is looked at."""

    def __init__(self, group):
        self.group = group


def view(group):
    return View(Group(group), float("inf"), {})


def count(cell, bits=1):
    cell.count += 1
    cell.bits |= bits


def cells_of(taken):
    return {(group, *key): (cell.count, cell.bits) for group, cells in taken.cells.items() for key, cell in cells.items()}


def test_the_hot_loops_cell_is_the_slow_paths_cell():
    """A name's A and AAAA, in any spelling, are one name."""
    counted, six, seven = Statistics(), view("6a1"), view("7a1")
    count(counted.note(six, CASINO), 1)
    count(six.cells[CASINO], 2)
    count(counted.note(six, Subject("gambling", "category", "casino.example")), 4)
    count(counted.cell("6a1", CASINO), 8)
    count(counted.note(seven, CASINO), 16)
    assert cells_of(counted.take([])) == {
        ("6a1", "gambling", "category", "casino.example"): (4, 15),
        ("7a1", "gambling", "category", "casino.example"): (1, 16),
    }


def test_a_new_minute_begins_with_nothing_and_leaves_the_old_one_alone():
    counted, six = Statistics(), view("6a1")
    count(counted.note(six, CASINO))
    taken = counted.take([])
    assert six.cells == {}
    count(counted.note(six, CASINO))
    assert [cell for cell, _ in cells_of(taken).values()] == [1]
    assert [cell for cell, _ in cells_of(counted.take([])).values()] == [1]
    assert not counted.take([])


def test_of_what_was_not_blocked_only_the_kind_is_counted():
    counted = Statistics()
    for _ in range(2):
        counted.answered(
            {AnswerKey("6a1", "thcs", "", "default", "allow"): 3, AnswerKey("6a1", "thcs", "gambling", "category", "block"): 5}
        )
    taken = counted.take([])
    assert taken.answers == {("6a1", "", "default", "allow"): 6}
    assert taken.cells == {}


@pytest.mark.parametrize(("bound", "names"), [("GROUP_CELLS", 10), ("CELLS", 11)])
def test_a_flood_of_names_is_counted_without_them_and_spares_other_groups(monkeypatch, bound, names):
    monkeypatch.setattr(statistics, bound, 10 if bound == "GROUP_CELLS" else 11)
    counted, six = Statistics(), view("6a1")
    count(counted.cell("7a1", CASINO))
    for number in range(50):
        subject = Subject("gambling", "category", f"n{number}.example")
        count(counted.note(six, subject), 1 << number)
        count(counted.note(six, subject), 1 << number)
    cells = cells_of(counted.take([]))
    assert sum(number for number, _ in cells.values()) == 101
    assert cells["7a1", "gambling", "category", "casino.example"] == (1, 1)
    assert cells["6a1", "gambling", "category", ""] == (80, sum(1 << number for number in range(10, 50)))
    assert len(cells) == 12


addresses = st.lists(st.binary(min_size=4, max_size=4), max_size=100)


@given(addresses, st.binary(min_size=1, max_size=64))
def test_bits_are_never_more_than_devices(asking, salt):
    bits = 0
    for address in asking:
        bits |= mark(salt, address)
    assert bool(asking) <= bits.bit_count() <= min(len(set(asking)), 64)
    assert 0 <= bits < 1 << 64


def test_bits_spread_and_depend_on_the_salt():
    asking = [bytes([10, 0, 0, number]) for number in range(200)]
    assert len({mark(SALT, address) for address in asking}) > 50
    assert [mark(SALT, address) for address in asking] != [mark(b"t" * 32, address) for address in asking]
    assert salt_id(SALT) != salt_id(b"t" * 32)
    assert SALT.hex() not in salt_id(SALT)


def test_a_minute_is_read_by_the_control_process():
    counted = Statistics()
    count(counted.cell("6a1", CASINO), 1 << 63)
    count(counted.cell("6a1", Subject("", "class-mode", r"a\.b\000.example")), 0)
    counted.answered({AnswerKey("6a1", "thcs", "", "default", "rewrite"): 3})
    taken = counted.take([bytes([10, 0, 0, 9]), bytes(15) + b"\1"])
    minute = parse(encode(taken, 29_833_380, "ab"))
    assert minute == (
        29_833_380 * 60,
        "ab",
        (
            Blocked("6a1", "gambling", "category", "casino.example", 1, 1 << 63),
            Blocked("6a1", "", "class-mode", r"a\.b\000.example", 1, 0),
        ),
        (Answered("6a1", "", "default", "rewrite", 3),),
        ("10.0.0.9", "::1"),
    )


def test_all_rungs_and_strangers_fit_into_a_file():
    """What control refuses as too long would be lost."""
    assert all(len(rung.name) < 63 for rung in Rung)
    taken = Statistics().take([bytes([10, 0, number // 256, number % 256]) for number in range(600)])
    assert len(parse(encode(taken, 1, "ab")).strangers) == statistics.STRANGERS


# Files in the runtime directory.


def files_in(directory):
    return sorted(path.name for path in (directory / runtime.STATISTICS).iterdir())


def test_files_are_whole_private_and_their_own(tmp_path):
    for index in (0, 0, 1):
        write_minute(tmp_path, index, 100, b"{}")
    names = files_in(tmp_path)
    assert [name[:6] for name in names] == ["0-100-", "0-100-", "1-100-"]
    for name in names:
        path = tmp_path / runtime.STATISTICS / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.read_bytes() == b"{}"


def test_what_nobody_fetches_is_bounded_by_number_and_by_size(tmp_path, monkeypatch):
    monkeypatch.setattr(runtime, "MINUTES", 3)
    write_minute(tmp_path, 1, 1, b"another worker's")
    for minute in range(8, 13):
        write_minute(tmp_path, 0, minute, b"x" * 100)
    assert [name.split("-")[1] for name in files_in(tmp_path) if name.startswith("0-")] == ["10", "11", "12"]
    monkeypatch.setattr(runtime, "MINUTES_BYTES", 250)
    write_minute(tmp_path, 0, 13, b"x" * 100)
    assert [name.split("-")[1] for name in files_in(tmp_path)] == ["12", "13", "1"]


def test_what_a_crash_left_half_written_goes(tmp_path):
    write_minute(tmp_path, 0, 10, b"{}")
    left = tmp_path / runtime.STATISTICS / "0-10-abcd.new"
    left.touch()
    write_minute(tmp_path, 0, 11, b"{}")
    assert left.exists()
    write_minute(tmp_path, 0, 12, b"{}")
    assert not left.exists()


def test_a_directory_that_is_gone_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        write_minute(tmp_path / "gone", 0, 1, b"{}")


def test_workers_share_the_salt_of_a_day_and_yesterdays_is_gone(tmp_path):
    first = salt_of_day(tmp_path, "2026-11-22")
    assert salt_of_day(tmp_path, "2026-11-22") == first
    assert len(first) == runtime.SALT_BYTES
    assert stat.S_IMODE((tmp_path / "salt-2026-11-22").stat().st_mode) == 0o600
    assert salt_of_day(tmp_path, "2026-11-23") != first
    assert [path.name for path in tmp_path.iterdir()] == ["salt-2026-11-23"]


def test_of_two_workers_that_make_a_salt_at_once_both_use_one(tmp_path, monkeypatch):
    theirs = b"t" * runtime.SALT_BYTES
    create = runtime._create

    def slower(aside, data):
        create(aside, data)
        (tmp_path / "salt-2026-11-22").write_bytes(theirs)

    monkeypatch.setattr(runtime, "_create", slower)
    assert salt_of_day(tmp_path, "2026-11-22") == theirs
    assert [path.name for path in tmp_path.iterdir()] == ["salt-2026-11-22"]


def test_a_damaged_salt_is_not_used(tmp_path):
    (tmp_path / "salt-2026-11-22").write_bytes(b"")
    with pytest.raises(OSError, match="not a salt"):
        salt_of_day(tmp_path, "2026-11-22")


# A resolver.


def taken_by(box):
    def take():
        box.resolver.collect()
        return box.resolver.end_minute()

    return box.call(take)


def test_every_path_of_a_refusal_is_counted_and_nothing_else_has_a_name(box):
    """First the pipeline, then the hot loop, then a stream; two groups with one policy; allowed names in between."""
    for source in ("127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.6.1"):
        assert box.ask("casino.example", source=source).header.rcode == 3
        assert box.ask("www.example.com", source=source).header.rcode == 0
    box.ask("casino.example", "AAAA", source="127.0.0.3")
    with box.stream("127.0.0.4") as client:
        client.sendall(framed(question("CASINO.example")))
        read_framed(client)
    taken = taken_by(box)
    salt = box.resolver.clients._salt
    bits = {number: mark(salt, bytes([127, 0, 0, number])) for number in range(1, 5)}
    assert cells_of(taken) == {
        ("6a1", "gambling", "category", "casino.example"): (5, bits[1] | bits[2] | bits[3] | bits[4]),
        ("6a2", "gambling", "category", "casino.example"): (1, mark(salt, bytes([127, 0, 6, 1]))),
    }
    assert taken.answers == {("6a1", "", "default", "allow"): 3, ("6a2", "", "default", "allow"): 1}
    assert b"www.example.com" not in encode(taken, 1, "ab")
    box.ask("casino.example")
    assert [number for number, _ in cells_of(taken_by(box)).values()] == [1]


def test_while_somebody_watches_live_refusals_are_counted_too(box):
    box.ask("casino.example")
    with socket.socket(socket.AF_UNIX) as watching:
        watching.connect(str(box.directory / "tail.sock"))
        deadline = time.monotonic() + DEADLINE
        while not box.call(bool, box.tail):
            assert time.monotonic() < deadline
        box.ask("casino.example")
    assert [number for number, _ in cells_of(taken_by(box)).values()] == [2]


def test_strangers_are_those_that_nothing_names_and_that_asked_lately(box):
    for source in ("127.0.0.1", "127.0.9.9", "127.0.9.8", "127.0.9.9"):
        assert box.ask("www.example.com", source=source) is not None
    box.ask_raw(question("www.example.com"), "127.1.0.1", wait=0.05)
    assert set(taken_by(box).strangers) == {bytes([127, 0, 9, 9]), bytes([127, 0, 9, 8])}
    box.ask("casino.example", source="127.0.9.8")
    assert taken_by(box).strangers == [bytes([127, 0, 9, 8])]
    assert taken_by(box).strangers == []


def test_a_new_salt_gives_devices_new_bits(box):
    for _ in range(2):
        box.ask("casino.example")
    box.call(box.resolver.clients.use_salt, SALT)
    taken_by(box)
    for _ in range(2):
        box.ask("casino.example")
    assert list(cells_of(taken_by(box)).values()) == [(2, mark(SALT, bytes([127, 0, 0, 1])))]


def test_a_device_with_many_addresses_is_one_device(tmp_path, upstream, monkeypatch):
    """A phone takes new IPv6 addresses all day: five of one must not pass for five devices."""
    first, second = "02:00:00:00:00:01", "02:00:00:00:00:02"
    four, six = bytes([10, 0, 0, 7]), [b"\xfd" + bytes(14) + bytes([number]) for number in range(9)]
    known = dict.fromkeys(six[:5], first) | {six[5]: second}
    monkeypatch.setattr(netlink, "neighbours", lambda: dict(known))
    with Running(tmp_path, upstream.port) as box:
        clients = box.resolver.clients

        def bits(*addresses):
            return [clients.find(address, time.monotonic()).bit for address in addresses]

        assert box.call(bits, *six) == [0] * 9
        box.call(clients.look_at_neighbours, time.monotonic())
        assert box.call(bits, *six) == [0] * 9
        known[four] = first
        box.call(clients.look_at_neighbours, time.monotonic())
        assert box.call(bits, four, *six) == [mark(clients._salt, four)] * 6 + [0] * 4
        del known[four]
        box.call(clients.look_at_neighbours, time.monotonic())
        assert box.call(bits, *six) == [0] * 9


# A worker as it runs in a school.

FORMS = ["plain", *(["compiled"] if gateway.COMPILED else [])]


@pytest.fixture
def place(tmp_path, upstream):
    """A school's files, and a port that nobody has."""
    config = SCHOOL.format(upstream=upstream.port, directory=tmp_path, rate=100000, burst=100000)
    tcp, udp = sockets_of_one_port()
    port = udp.getsockname()[1]
    tcp.close()
    udp.close()
    (tmp_path / "school.yaml").write_text(config.replace("  allow_from", f'  listen: ["127.0.0.1:{port}"]\n  allow_from'), encoding="utf-8")
    write(tmp_path / "starter", [("casino.example", 0, SUBTREE)], [Source("list", "gambling")])
    (tmp_path / "texts.json").write_text("{}")
    (tmp_path / "run").mkdir()
    return tmp_path, port


def test_each_minute_has_its_file_and_a_full_disk_stops_nobody(place, caplog):
    directory, _ = place
    paths = {name: directory / name for name in ("starter", "texts.json", "run")}
    options = argparse.Namespace(index=3, config=directory / "school.yaml", starter=paths["starter"], texts=paths["texts.json"])
    options.runtime, options.metrics = paths["run"], None

    async def minutes():
        worker = Worker(options)
        now = worker.minute
        for number in (-2, -1, 0):
            if number == 0:
                options.runtime = directory / "gone"
            worker.minute = ended = now + number
            count(worker.resolver.statistics.cell("6a1", CASINO))
            worker._end_minute()
            await asyncio.gather(*worker.tasks)
            assert worker.minute >= now >= ended
        worker._end_minute()
        assert not worker.tasks
        await worker.upstreams.close()

    asyncio.run(minutes())
    names = files_in(directory / "run")
    assert [int(name.split("-")[1]) - int(names[0].split("-")[1]) for name in names] == [0, 1]
    assert "statistics not written" in caplog.text


@pytest.mark.parametrize("form", FORMS)
def test_a_worker_leaves_its_minutes_for_the_control_process(place, form):
    directory, port = place
    command = [sys.executable, "-m", "gateway.worker", "--index", "0", "--config", directory / "school.yaml"]
    command += ["--starter", directory / "starter", "--runtime", directory / "run", "--texts", directory / "texts.json"]
    worker = subprocess.Popen(command, env={**os.environ, "MANGLANH_PURE": "1" if form == "plain" else ""})
    report = directory / "run" / "worker-0.json"
    try:
        deadline = time.monotonic() + 30
        while not report.exists():
            assert worker.poll() is None
            assert time.monotonic() < deadline
            select.select([], [], [], 0.01)
        assert json.loads(report.read_text())["compiled"] == (form == "compiled")
        for _ in range(3):
            for number in range(1, 9):
                assert ask(port, f"127.0.0.{number}", "www.casino.example") == 3
                assert ask(port, f"127.0.0.{number}", "www.example.com") == 0
        assert ask(port, "127.0.7.7", "www.example.com") == 0
    finally:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(DEADLINE) == 0
    fold, strangers = Fold(), set()
    for name in files_in(directory / "run"):
        minute = parse((directory / "run" / runtime.STATISTICS / name).read_bytes())
        assert "www.example.com" not in str(minute)
        assert "127.0.0." not in str(minute)
        strangers |= set(minute.strangers)
        fold.add(minute, time.time())
    [salt] = (directory / "run").glob("salt-*")
    expected = devices({"": bits_of(salt.read_bytes(), [bytes([127, 0, 0, number]) for number in range(1, 9)])})
    [row] = fold.blocked_since("6a1", 0)
    assert row[:4] == ("casino.example", "gambling", 24, expected)
    counts = {}
    for cell in fold.due():
        counts[cell.group, cell.verdict] = counts.get((cell.group, cell.verdict), 0) + cell.count
    assert counts == {("6a1", "block"): 24, ("6a1", "allow"): 24, ("guest", "allow"): 1}
    assert strangers == {"127.0.7.7"}


def bits_of(salt, addresses):
    bits = 0
    for address in addresses:
        bits |= mark(salt, address)
    return bits


def ask(port, source, name):
    """The rcode."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(DEADLINE)
        client.bind((source, 0))
        client.sendto(bytes(dnslib.DNSRecord.question(name).pack()), ("127.0.0.1", port))
        return client.recv(2000)[3] & 15

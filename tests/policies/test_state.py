"""state.json: atomic, never half-written, and no change is lost."""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from policies.model import Override, State
from policies.state import MAX_BYTES, StateError, read_state, update_state, write_state
from tests.policies.schools import NOW, allow, unblock

FULL = State(
    generation=3,
    written_at=NOW,
    overrides=(Override(group="6a1", mode="exam", since=NOW, until=NOW + 60, by="Cô Hoa", reason="kiểm tra", sites=("azota.example",)),),
    unblocks=(unblock("game.example"),),
    rules=(allow("b.example", until=NOW),),
    devices={"aa:bb:cc:dd:ee:ff": "6a1"},
)


def test_a_missing_file_is_an_empty_state(tmp_path):
    assert read_state(tmp_path / "state.json") == State()


def test_what_is_written_is_read(tmp_path):
    write_state(tmp_path / "state.json", FULL)
    assert read_state(tmp_path / "state.json") == FULL
    assert "Cô Hoa" in (tmp_path / "state.json").read_text()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "damaged"),
        (b"{", "damaged"),
        (b"[]", "damaged"),
        (b"\xff", "damaged"),
        (b'{"generation": "x"}', "damaged: generation: "),
        (b'{"unknown": 1}', "damaged: unknown: "),
        (b'{"overrides": [{"group": "a"}]}', "damaged: overrides.0.mode: "),
        (b'{"written_at": NaN}', "damaged: written_at: "),
        (b" " * (MAX_BYTES + 1), "larger than"),
        (b"[" * 100_000, "damaged"),
    ],
)
def test_a_damaged_file_is_refused_and_named(tmp_path, data, message):
    path = tmp_path / "state.json"
    path.write_bytes(data)
    with pytest.raises(StateError) as refused:
        read_state(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert message in str(refused.value)


def test_a_directory_in_its_place_is_refused(tmp_path):
    with pytest.raises(StateError, match="cannot be read"):
        read_state(tmp_path)


def test_an_update_is_one_generation_on_and_knows_when(tmp_path):
    path = tmp_path / "state.json"
    write_state(path, FULL)
    new = update_state(path, lambda state: state.model_copy(update={"overrides": ()}), NOW + 5)
    assert (new.generation, new.written_at, new.overrides, new.rules) == (4, NOW + 5, (), FULL.rules)
    assert read_state(path) == new


def test_an_update_of_a_damaged_file_leaves_it_as_it_is(tmp_path):
    path = tmp_path / "state.json"
    path.write_text("{")
    with pytest.raises(StateError):
        update_state(path, lambda state: state, NOW)
    assert path.read_text() == "{"


def test_a_change_that_fails_changes_nothing_and_frees_the_lock(tmp_path):
    path = tmp_path / "state.json"
    write_state(path, FULL)
    with pytest.raises(ZeroDivisionError):
        update_state(path, lambda _: 1 / 0, NOW)
    assert read_state(path) == FULL
    assert update_state(path, lambda state: state, NOW).generation == 4


def test_of_many_updates_at_once_none_is_lost(tmp_path):
    path = tmp_path / "state.json"

    def add(number: int) -> None:
        update_state(path, lambda state: state.model_copy(update={"devices": {**state.devices, f"00:00:00:00:00:{number:02}": "6a1"}}), NOW)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(24)))
    state = read_state(path)
    assert state.generation == 24
    assert len(state.devices) == 24


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path, monkeypatch):
    path = tmp_path / "state.json"
    write_state(path, FULL)

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_state(path, State())
    assert read_state(path) == FULL
    assert [each.name for each in tmp_path.iterdir()] == ["state.json"]


def test_state_is_plain_json_that_other_tools_can_read(tmp_path):
    write_state(tmp_path / "state.json", FULL)
    plain = json.loads((tmp_path / "state.json").read_text())
    assert plain["overrides"][0]["sites"] == ["azota.example"]


def test_what_root_writes_belongs_to_the_directorys_owner(tmp_path):
    """A `manglanh mode` typed as root locked the service user out of its own state."""
    if os.geteuid() == 0:
        os.chown(tmp_path, 12345, 12346)
    update_state(tmp_path / "state.json", lambda state: state, 1.0)
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in tmp_path.iterdir()}
    assert owners == {(tmp_path.stat().st_uid, tmp_path.stat().st_gid)}

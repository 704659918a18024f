"""Where runtime files go, and where tail looks for them."""

from pathlib import Path

import pytest

from gateway import runtime
from policies.model import SchoolFile


@pytest.fixture
def school(tmp_path):
    return SchoolFile.model_validate(
        {
            "school": {"name": "Trường thử"},
            "dns": {"upstreams": ["9.9.9.9"]},
            "groups": [{"name": "6a1", "tier": "thcs"}],
            "state": str(tmp_path / "state" / "state.json"),
        }
    )


@pytest.fixture(autouse=True)
def system(tmp_path, monkeypatch):
    monkeypatch.setattr(runtime, "SYSTEM", tmp_path / "system")
    return tmp_path / "system"


def test_systemd_names_the_directory(school, tmp_path):
    assert runtime.runtime_directory(school, {"RUNTIME_DIRECTORY": f"{tmp_path / 'a'}:{tmp_path / 'b'}"}) == tmp_path / "a"


def test_without_systemd_it_is_the_system_directory(school, system):
    assert runtime.runtime_directory(school, {}) == system
    assert system.is_dir()


def test_where_nothing_can_be_written_it_is_beside_the_state_file(school, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(runtime, "SYSTEM", tmp_path / "file" / "below")
    assert runtime.runtime_directory(school, {}) == tmp_path / "state" / "run"
    assert (tmp_path / "state" / "run").is_dir()


def test_two_boxes_on_one_machine_do_not_share_a_directory(school, system, tmp_path):
    """They did once: each removed the other's sockets, reports and metric files."""
    assert runtime.runtime_directory(school, {}) == system
    assert runtime.runtime_directory(school, {}) == tmp_path / "state" / "run"
    with pytest.raises(FileExistsError, match="another resolver"):
        runtime.runtime_directory(school, {})


def sockets(directory: Path, *numbers: int) -> tuple[Path, ...]:
    directory.mkdir(parents=True)
    paths = tuple(directory / f"tail-{number}.sock" for number in numbers)
    for path in paths:
        path.touch()
    return paths


def test_tail_finds_the_sockets_of_every_worker(school, system):
    expected = sockets(system, 0, 1)
    assert runtime.tail_sockets(school, {}) == expected


def test_tail_of_a_trial_does_not_find_the_real_box(school, system, tmp_path):
    sockets(system, 0)
    expected = sockets(tmp_path / "state" / "run", 0)
    assert runtime.tail_sockets(school, {}) == expected


def test_tail_finds_nothing_when_nothing_runs(school):
    assert runtime.tail_sockets(school, {}) == ()

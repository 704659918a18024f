"""What commands look for in the working directory, where they may not be allowed to look."""

import os
from pathlib import Path

from gateway.cli import lists as lists_module
from gateway.cli import school as school_module
from tests.cli.conftest import write_school

plain = str


def test_a_command_typed_in_a_private_home_as_the_box_s_user_ended_with_a_trace(tmp_path, monkeypatch):
    """``cd ~; sudo -u manglanh manglanh check``: a home is 0700, so ``./school.yaml`` may not even be looked at."""
    system = write_school(tmp_path)
    look = os.stat

    def private_home(path, *arguments, **options):
        if Path(path) == Path("school.yaml"):
            raise PermissionError(13, "Permission denied", str(path))
        return look(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", private_home)
    monkeypatch.setattr(school_module, "SYSTEM", system)
    monkeypatch.setattr(school_module, "running_demo", lambda _environ: None)
    assert school_module.find(None, plain, {}) == system


def test_asking_the_lists_for_a_name_in_a_private_home_ended_with_a_trace(type_in, tmp_path, monkeypatch):
    """The name might have been a folder, which may not be looked at either."""
    look = os.stat

    def private_home(path, *arguments, **options):
        if str(path) == "fun88.com":
            raise PermissionError(13, "Permission denied", str(path))
        return look(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", private_home)
    monkeypatch.setattr(lists_module, "DIRECTORY", tmp_path / "none")
    result = type_in("lists", "show", "fun88.com")
    assert result.code == 1
    assert "holds no usable bundle" in result.err

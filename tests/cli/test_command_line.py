"""What every command shares: language, help, exit codes, and where the school file is found."""

import subprocess
import sys

import pytest
from typer.main import get_command

from gateway.cli import build, demo_place
from gateway.cli import school as school_module
from gateway.cli.terminal import CommandError, choose_language, without_language

COMMANDS = sorted(get_command(build()).commands)


def plain(message: str) -> str:
    return message


@pytest.mark.parametrize(
    ("arguments", "environ", "expected"),
    [
        ([], {}, "vi"),
        ([], {"LANG": "C.UTF-8"}, "vi"),
        ([], {"LANG": "en_US.UTF-8"}, "en"),
        ([], {"LANG": "vi_VN.UTF-8"}, "vi"),
        ([], {"LANG": "en_US.UTF-8", "LC_ALL": "vi_VN.UTF-8"}, "vi"),
        (["--language", "en", "check"], {"LANG": "vi_VN"}, "en"),
        (["check", "--language=en"], {}, "en"),
        (["--language", "fr"], {"LANG": "en"}, "vi"),
        (["check", "--language"], {"LANG": "en"}, "en"),
    ],
)
def test_language(arguments, environ, expected):
    assert choose_language(arguments, environ) == expected


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        (["--language", "en", "check"], ["check"]),
        (["check", "--language=vi", "--json"], ["check", "--json"]),
        (["check", "--language"], ["check"]),
        (["mode", "6a1"], ["mode", "6a1"]),
    ],
)
def test_the_language_may_stand_anywhere(arguments, left):
    assert without_language(arguments) == left


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, type_in):
    result = type_in(command, "--help")
    assert result.code == 0
    assert f"manglanh {command}" in result.out


def test_there_are_the_commands_that_the_design_names():
    assert {"demo", "run", "resolver", "init", "check", "doctor", "explain", "mode", "unblock", "tail", "lists", "selftest"} <= set(
        COMMANDS
    )


def test_help_comes_in_vietnamese(type_in):
    assert "Kiểm tra tệp của trường" in type_in("--help", "--language", "vi").out
    assert "Check the school file" in type_in("--help", "--language", "en").out


@pytest.mark.parametrize("arguments", [["no-such-command"], ["explain"], ["check", "--no-such-option"], ["tail", "--count", "x"]])
def test_wrong_use_is_exit_code_2(arguments, type_in):
    result = type_in(*arguments)
    assert result.code == 2
    assert result.err.startswith("Error: ")


def test_wrong_use_is_said_in_vietnamese(type_in):
    assert type_in("explain", "a.vn", "--language", "vi").err.startswith("Lỗi: thiếu --client")


def test_version(type_in):
    result = type_in("version")
    assert (result.code, result.out.split()[0]) == (0, "manglanh")


def test_without_a_school_file_the_command_says_what_to_do(type_in):
    result = type_in("check")
    assert result.code == 2
    assert "manglanh init" in result.err


def test_starting_up_imports_nothing_heavy():
    """`manglanh --help` on a Raspberry Pi: what only a command needs is loaded when it runs."""
    script = (
        "import sys, gateway.cli; print([name for name in ('pydantic', 'httpx', 'dnslib', 'yaml', 'marisa_trie') if name in sys.modules])"
    )
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert finished.stdout.strip() == "[]"


def test_the_school_file_is_looked_for_in_this_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    paths = {name: tmp_path / name / "school.yaml" for name in ("flag", "env", "demo", "system")}
    for path in paths.values():
        path.parent.mkdir()
        path.touch()
    monkeypatch.setattr(school_module, "SYSTEM", paths["system"])
    assert school_module.find(None, plain, environ) == paths["system"]
    with demo_place.noted(paths["demo"], environ):
        assert school_module.find(None, plain, environ) == paths["demo"]
        (tmp_path / "school.yaml").touch()
        assert school_module.find(None, plain, environ).resolve() == tmp_path / "school.yaml"
        with_env = environ | {"MANGLANH_CONFIG": str(paths["env"])}
        assert school_module.find(None, plain, with_env) == paths["env"]
        assert school_module.find(paths["flag"], plain, with_env) == paths["flag"]
    (tmp_path / "school.yaml").unlink()
    paths["system"].unlink()
    with pytest.raises(CommandError):
        school_module.find(None, plain, environ)


def test_a_note_in_a_directory_that_others_can_write_to_is_not_believed(tmp_path, school):
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    with demo_place.noted(school, environ):
        assert demo_place.running_demo(environ) == school
        demo_place.place(environ).chmod(0o777)
        assert demo_place.running_demo(environ) is None
        with pytest.raises(PermissionError), demo_place.noted(school, environ):
            pass
    assert demo_place.running_demo(environ) is None


def test_the_note_of_a_demo_that_was_killed_is_not_believed(tmp_path, school):
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    with demo_place.noted(school, environ):
        (demo_place.place(environ) / "demo").write_text(f"999999999\n{school}\n")
        assert demo_place.running_demo(environ) is None

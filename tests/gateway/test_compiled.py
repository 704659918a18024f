"""Compiled or plain, all modules or none, and never a stale one: the choice that gateway/__init__.py makes."""

import os
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

import gateway

SHOW = "import gateway.server, gateway.wire; print(gateway.COMPILED, gateway.server.__file__, gateway.wire.__file__)"


def shown(**environment):
    run = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True, check=True, env={**os.environ, **environment})
    return run.stdout.split()


def test_pure_means_pure():
    compiled, *files = shown(MANGLANH_PURE="1")
    assert compiled == "False"
    assert all(file.endswith(".py") for file in files)


def test_what_is_built_is_used():
    compiled, *files = shown(MANGLANH_PURE="")
    assert {file.endswith(".py") for file in files} == {compiled == "False"}


@pytest.fixture
def package(tmp_path):
    for name in ("one", "two"):
        for suffix in (".py", ".pxd", EXTENSION_SUFFIXES[0]):
            (tmp_path / (name + suffix)).touch()
            os.utime(tmp_path / (name + suffix), (1000, 1000))
    (tmp_path / "plain.py").touch()
    (tmp_path / "twin.pxd").touch()
    return tmp_path


def test_only_modules_with_types_are_compiled(package):
    assert gateway.compiled_modules(package) == {"one", "two"}
    assert gateway.is_built(package)


@pytest.mark.parametrize("suffix", [".py", ".pxd"])
def test_an_edited_module_takes_all_back_to_source(package, suffix):
    os.utime(package / f"two{suffix}", (2000, 2000))
    assert not gateway.is_built(package)


def test_a_missing_module_takes_all_back_to_source(package):
    (package / f"one{EXTENSION_SUFFIXES[0]}").unlink()
    assert not gateway.is_built(package)


@pytest.mark.parametrize("types", sorted(Path(gateway.__file__).parent.glob("*.pxd")), ids=lambda path: path.stem)
def test_every_decorator_in_the_c_types_is_one_that_the_compiler_knows(types):
    """Cython passes over a decorator of a name that was not imported, and says nothing: the hot loop's variables had no types."""
    text = types.read_text()
    decorators = {line.split("(")[0].strip() for line in text.splitlines() if line.strip().startswith("@")}
    assert decorators <= {"@locals"}
    assert not decorators or "from cython cimport locals\n" in text

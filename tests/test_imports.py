"""The house rules that keep the pure parts pure: who may import whom, and which files may touch the world.

Read from the source with ``ast``, so that an import inside a function or for type checking counts as well.
"""

import ast
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from itertools import product
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("filters", "policies", "blocklists", "gateway", "dashboard")
ALLOWED = {
    "filters": {"filters"},
    "policies": {"policies", "filters"},
    "blocklists": {"blocklists", "filters"},
    "gateway": {"gateway", "filters", "policies"},
    "dashboard": {"dashboard", "filters", "policies"},
}
COMPOSITION_ROOT = "gateway/cli/"

WORLD_MODULES = {
    "fcntl",
    "httpx",
    "mmap",
    "multiprocessing",
    "select",
    "selectors",
    "shutil",
    "signal",
    "socket",
    "socketserver",
    "subprocess",
    "tempfile",
}
WORLD_CALLS = {
    "time": {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time", "sleep"},
    "datetime": {"now", "today", "utcnow"},
    "date": {"today"},
    "asyncio": {
        "create_task",
        "create_subprocess_exec",
        "get_running_loop",
        "open_connection",
        "run",
        "sleep",
        "start_server",
        "to_thread",
    },
}
OS_WITHOUT_WORLD = {"PathLike", "fsdecode", "fsencode", "fspath", "linesep", "path", "sep", "strerror"}
DISK_METHODS = {"iterdir", "mkdir", "read_bytes", "read_text", "symlink_to", "unlink", "write_bytes", "write_text"}


def sources() -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def shells() -> list[str]:
    """The patterns that pyproject.toml excuses from TID251, which is where the shells are listed."""
    ignores = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["ruff"]["lint"]["per-file-ignores"]
    patterns = [pattern for pattern, rules in ignores.items() if "TID251" in rules and not pattern.startswith("tests")]
    return [expanded for pattern in patterns for expanded in braces(pattern)]


def braces(pattern: str) -> list[str]:
    """``a/{b,c}.py`` -> ``a/b.py``, ``a/c.py``."""
    parts = [part.split(",") if at % 2 else [part] for at, part in enumerate(pattern.replace("}", "{").split("{"))]
    return ["".join(choice) for choice in product(*parts)]


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def forbidden(path: str, tree: ast.AST) -> list[str]:
    """Modules of this project that the file imports and may not."""
    if path.startswith(COMPOSITION_ROOT):
        return []
    ours = [name for name in imported(tree) if name.split(".")[0] in {*PACKAGES, "tests"}]
    return [name for name in ours if name.split(".")[0] not in ALLOWED[path.partition("/")[0]] or f"{name}.".startswith("gateway.cli.")]


def touches(tree: ast.AST) -> set[str]:
    """How the file touches the network, the clock, a disk or a process; empty: it is pure."""
    found = {name for name in imported(tree) if name.split(".")[0] in WORLD_MODULES}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in WORLD_CALLS:
            found |= {f"{node.module}.{alias.name}" for alias in node.names if alias.name in WORLD_CALLS[node.module]}
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = node.value.id
            if node.attr in WORLD_CALLS.get(owner, ()) or (owner == "os" and node.attr not in OS_WITHOUT_WORLD):
                found.add(f"{owner}.{node.attr}")
        if isinstance(node, ast.Call):
            found |= {name for name in [disk_call(node)] if name}
    return found


def disk_call(call: ast.Call) -> str:
    """``open``, ``path.read_text`` and the like; the package's own data (importlib.resources) is part of the program."""
    if isinstance(call.func, ast.Name):
        return "open" if call.func.id == "open" else ""
    if isinstance(call.func, ast.Attribute) and call.func.attr == "open" and isinstance(call.func.value, ast.Name):
        return ".open" if call.func.value.id.islower() else ""  # DomainIndex.open is not a file
    if isinstance(call.func, ast.Attribute) and call.func.attr in DISK_METHODS and "files(" not in ast.unparse(call.func.value):
        return f".{call.func.attr}"
    return ""


def tree_of(path: str) -> ast.AST:
    return ast.parse((ROOT / path).read_text("utf-8"), path)


@pytest.mark.parametrize("path", sources())
def test_a_package_imports_only_what_it_may(path):
    assert forbidden(path, tree_of(path)) == []


@pytest.mark.parametrize("path", sources())
def test_a_file_that_touches_the_world_is_listed_as_a_shell(path):
    found = touches(tree_of(path))
    listed = any(fnmatch(path, pattern) for pattern in shells())
    assert listed or not found, f"{path} uses {sorted(found)}: pass it in, or list the file in pyproject.toml beside the other shells"


@pytest.mark.parametrize("pattern", shells())
def test_a_listed_shell_is_one(pattern):
    matching = [path for path in sources() if fnmatch(path, pattern)]
    if (ROOT / pattern).parent == ROOT:
        assert (ROOT / pattern).is_file()
    else:
        assert any(touches(tree_of(path)) for path in matching), f"{pattern} lists nothing that touches the world"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import socket", {"socket"}),
        ("def f():\n    from socket import AF_INET", {"socket"}),
        ("import time\ntime.monotonic()", {"time.monotonic"}),
        ("from time import time", {"time.time"}),
        ("from datetime import datetime\ndatetime.now()", {"datetime.now"}),
        ("import os\nos.fork()", {"os.fork"}),
        ("import os\nos.fspath(x)", set()),
        ("open('x')", {"open"}),
        ("path.read_text()", {".read_text"}),
        ("path.open('rb')", {".open"}),
        ("DomainIndex.open(path)", set()),
        ("files('filters').joinpath('a.yaml').read_text()", set()),
        ("import asyncio\nasyncio.create_task(x)", {"asyncio.create_task"}),
        ("from datetime import date\ndate.fromisoformat(x)", set()),
    ],
)
def test_what_counts_as_the_world(source, expected):
    assert touches(ast.parse(source)) == expected


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("filters/a.py", "from policies.model import Tier", ["policies.model"]),
        ("policies/a.py", "import gateway.wire", ["gateway.wire"]),
        ("blocklists/a.py", "def f():\n    from policies import model", ["policies"]),
        ("gateway/a.py", "from blocklists.compile import x", ["blocklists.compile"]),
        ("gateway/a.py", "from gateway.cli.run import x", ["gateway.cli.run"]),
        ("gateway/a.py", "from tests.nameserver import x", ["tests.nameserver"]),
        ("gateway/a.py", "from policies.model import x\nimport json", []),
        ("gateway/cli/a.py", "from blocklists.compile import x", []),
        ("dashboard/a.py", "from filters.category import x", []),
    ],
)
def test_what_counts_as_forbidden(path, source, expected):
    assert forbidden(path, ast.parse(source)) == expected


def test_braces():
    assert braces("a/{b,c_*}.py") == ["a/b.py", "a/c_*.py"]
    assert braces("a/**") == ["a/**"]

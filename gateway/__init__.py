"""The running box: DNS, metrics and the command line. [shell: looks at which of its own files were built]

The modules with a .pxd beside them are compiled where there is a C compiler (setup.py), from the same source that runs without
one. They share C structures, so it is all of them or none: none where one is missing or was edited after it was built, and none
where ``MANGLANH_PURE=1`` asks for plain Python.
"""

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Final

_HERE: Final = Path(__file__).resolve().parent
_SLACK: Final = 60.0
"""seconds by which a source may be newer than what was built from it: an installer writes both, in any order"""


def compiled_modules(package: Path) -> frozenset[str]:
    """The names of the modules that are meant to be compiled."""
    return frozenset(types.stem for types in package.glob("*.pxd") if types.with_suffix(".py").exists())


def is_built(package: Path) -> bool:
    """Whether every one of them is there in a form that this Python loads, and none was edited since."""
    for name in compiled_modules(package):
        built = [path for path in (package / (name + suffix) for suffix in EXTENSION_SUFFIXES) if path.exists()]
        edited = max((package / (name + suffix)).stat().st_mtime for suffix in (".py", ".pxd"))
        if not built or built[0].stat().st_mtime + _SLACK < edited:
            return False
    return True


class _Source(MetaPathFinder):
    """Finds the source of a module although something compiled lies beside it."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        del path, target
        package, _, name = fullname.rpartition(".")
        return spec_from_file_location(fullname, _HERE / f"{name}.py") if package == __name__ and name in _MODULES else None


_MODULES: Final = compiled_modules(_HERE)
COMPILED: Final = not os.environ.get("MANGLANH_PURE") and is_built(_HERE)
if not COMPILED:
    sys.meta_path.insert(0, _Source())

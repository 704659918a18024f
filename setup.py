"""What pyproject.toml cannot say: the message catalogues are compiled whenever the package is built, wheel or editable, and so
is the path of a query where there is a C compiler and Python's header. Without them the same source runs as plain Python.
"""

import os
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from setuptools import Extension, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
MESSAGES = HERE / "dashboard" / "messages"
GATEWAY = HERE / "gateway"


def compile_messages() -> None:
    """Write each ``manglanh.po`` as the ``manglanh.mo`` beside it, which is what gettext reads."""
    for source in sorted(MESSAGES.glob("*/LC_MESSAGES/*.po")):
        with source.open("rb") as file:
            catalogue = read_po(file, locale=source.parts[-3])
        with source.with_suffix(".mo").open("wb") as file:
            write_mo(file, catalogue)


class BuildWithMessages(build_py):
    def run(self) -> None:
        compile_messages()
        super().run()


def compiled_modules() -> list[Extension]:
    """The modules of gateway/ that have their C types beside them (a .pxd), from their own source (Cython's pure-Python mode).

    gateway/__init__.py takes all of them or none.
    """
    if os.environ.get("MANGLANH_PURE"):
        return []
    from Cython.Build import cythonize

    names = sorted(path.stem for path in GATEWAY.glob("*.pxd") if path.with_suffix(".py").exists())
    wanted = [Extension(f"gateway.{name}", [f"gateway/{name}.py"], extra_compile_args=["-g0"]) for name in names]
    extensions: list[Extension] = cythonize(
        wanted, build_dir="build/cython", language_level=3, quiet=True, compiler_directives={"annotation_typing": False}
    )
    for each in extensions:
        each.optional = True
    return extensions


if __name__ == "__main__":
    setup(
        cmdclass={"build_py": BuildWithMessages},
        ext_modules=compiled_modules(),
        options={"build_ext": {"parallel": os.cpu_count() or 1}},
    )

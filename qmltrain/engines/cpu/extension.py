"""Loading of the C++ extension, why it cannot be loaded, and the choice of instruction set.

The extension is built when qmltrain is installed, so it lies in the installation. Python started in a clone imports
the clone's source folder, beside which none was built: then the extension of the installation is taken.
"""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import importlib.util
import json
import os
import shutil
import sys
from importlib.metadata import Distribution
from pathlib import Path
from types import ModuleType
from typing import Any

from qmltrain import __version__
from qmltrain.errors import EngineUnavailableError, InputError

VARIABLE = "QMLTRAIN_SIMD"
INTERFACE = 21  # of the extension that this code was written for; see binding.cpp
NAME = "qmltrain.engines._cpu"
AVX512_INTEL = "avx512_intel"  # the kernels of avx512 in sizes that suit the caches of Intel's processors (setting.py)
PACKAGE = Path(__file__).resolve().parents[2]


def load() -> ModuleType | Any:
    """The extension `qmltrain.engines._cpu`. Raises EngineUnavailableError with what is missing and how to get it."""
    try:
        try:
            import qmltrain.engines._cpu as extension
        except ModuleNotFoundError as error:
            if error.name != NAME:
                raise
            extension = _load_installed()
    except ImportError as error:
        raise EngineUnavailableError(f"the C++ extension does not load ({error}); {_install()} again") from None
    found = getattr(extension, "interface", None)
    if found != INTERFACE:  # the source was updated after it was installed: the two would compute nonsense
        raise EngineUnavailableError(
            f"the C++ extension {extension.__file__} is of another version than {PACKAGE} (interface {found}, not "
            f"{INTERFACE}); {_install()} again"
        )
    return extension


def _load_installed() -> ModuleType:
    """The extension that the installed qmltrain has, for a source folder that has none beside it.

    Raises EngineUnavailableError where there is none for this source, ImportError where it does not load.
    """
    installed = _distribution()
    if installed is None:
        raise EngineUnavailableError(
            f"the C++ extension was not built: qmltrain is not installed in this environment ({sys.prefix}), and "
            f"{PACKAGE} is its source alone; {_install()}"
        )
    suffixes = importlib.machinery.EXTENSION_SUFFIXES
    names = {f"{NAME.replace('.', '/')}{suffix}" for suffix in suffixes}
    files = [Path(str(installed.locate_file(file))) for file in installed.files or () if file.as_posix() in names]
    if not files:
        raise EngineUnavailableError(_not_built())
    path = files[0]
    if installed.version != __version__:
        raise EngineUnavailableError(
            f"the C++ extension {path} is of qmltrain {installed.version}, {PACKAGE} is {__version__}; {_install()} "
            "again, or start Python in another folder"
        )
    spec = importlib.util.spec_from_file_location(NAME, path)
    assert spec is not None and spec.loader is not None
    extension = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(extension)
    sys.modules[NAME] = extension
    return extension


def _distribution() -> Distribution | None:
    try:
        return importlib.metadata.distribution("qmltrain")
    except importlib.metadata.PackageNotFoundError:
        return None


def _not_built() -> str:
    compilers = [os.environ.get("CXX"), "c++", "g++", "clang++"]
    compiler = next((name for name in compilers if name and shutil.which(name)), None)
    if compiler is None:
        return f"the C++ extension was not built; install a C++17 compiler (g++ or clang++), then {_install()} again"
    return f"the C++ extension was not built although {compiler} is here; {_install()} again, with pip's -v to see why"


def _install() -> str:
    """What to do to have qmltrain installed, in the way it was before."""
    if not (PACKAGE.parent / "pyproject.toml").is_file():
        return "install qmltrain"
    installed = _distribution()
    origin = installed.read_text("direct_url.json") if installed else None
    editable = origin is not None and json.loads(origin).get("dir_info", {}).get("editable")
    return f"run `pip install {'-e ' if editable else ''}.` in {PACKAGE.parent}"


def unavailable_reason() -> str | None:
    """None where the CPU engine can run."""
    try:
        load()
    except EngineUnavailableError as error:
        return str(error)
    return None


def instruction_sets(extension: ModuleType | Any) -> list[str]:
    """What this processor can, the best first: the extension's, which has kernels for each, and `AVX512_INTEL` on every
    processor with AVX-512. Results have other last bits with each."""
    sets = list(extension.instruction_sets())
    if "avx512" in sets:
        sets.insert(0 if extension.intel else sets.index("avx512") + 1, AVX512_INTEL)
    return sets


def kernels_of(instruction_set: str) -> str:
    """The extension's name for the kernels of an instruction set."""
    return "avx512" if instruction_set == AVX512_INTEL else instruction_set


def chosen_set(extension: ModuleType | Any) -> str:
    """The best instruction set this processor has, or the one QMLTRAIN_SIMD asks for."""
    sets = instruction_sets(extension)
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return sets[0]
    if wanted not in sets:
        raise InputError(f"{VARIABLE}: {wanted!r} is not available on this processor; choose one of {', '.join(sets)}")
    return wanted


def describe_extension() -> str:
    """One line for `qmltrain info`. Raises EngineUnavailableError with what is missing and how to get it."""
    extension = load()
    sets = ", ".join(instruction_sets(extension))
    return f"C++ extension, {chosen_set(extension)} (this processor can {sets}), {extension.__file__}"

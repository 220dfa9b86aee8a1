"""`qmltrain info`: what is here, what is missing, and how to get it. One line each."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable

from qmltrain import __file__ as package_file
from qmltrain import __version__
from qmltrain.config.schema import CommandContext
from qmltrain.job_limits import available_bytes, cpu_limits, memory_left, usable_cpus
from qmltrain.units import GIB, gib
from qmltrain.wording import one_line

DISTRIBUTIONS = ("numpy", "scipy", "scikit-learn", "h5py", "hydra-core", "omegaconf", "tqdm")
OPTIONAL = {
    "matplotlib": "plot",
    "pandas": "analysis",
    "xarray": "analysis",
    "pyarrow": "parquet",
    "openqasm3": "qasm",
    "mpi4py": "mpi",
}


def run(context: CommandContext, *, warm_up: bool = False) -> None:
    """Print the report; with `warm_up` compile the CUDA kernels after it."""
    print_info()
    if warm_up:
        compile_kernels()


def print_info() -> None:
    """Print the report. A part that cannot be found out says why; nothing here raises."""
    for name, describe in _PARTS.items():
        try:
            text = describe()
        except Exception as error:  # a broken driver or package must not hide the other lines
            text = f"unknown: {type(error).__name__}: {one_line(error)}"
        print(f"{name:<12} {text}")


def compile_kernels() -> None:
    """Compile the CUDA kernels into the cache. Raises EngineUnavailableError where there is no GPU to compile for."""
    from qmltrain.engines.selection import select_engine

    engine = select_engine("cuda").engine
    count = engine.warm_up()  # type: ignore[attr-defined]  # of the CUDA engine alone
    print(f"{'warm-up':<12} {count} kernels compiled and cached")


def _qmltrain() -> str:
    return f"{__version__} in {os.path.dirname(os.path.abspath(package_file))}"


def _python() -> str:
    return f"{platform.python_version()} ({platform.python_implementation()}) {sys.executable}"


def _system() -> str:
    return f"{platform.system()} {platform.release()} {platform.machine()}"


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _packages() -> str:
    return ", ".join(f"{name} {_version(name) or 'MISSING (pip install qmltrain)'}" for name in DISTRIBUTIONS)


def _hdf5() -> str:
    import h5py  # the version of the C library is not in the package's metadata

    return str(h5py.version.hdf5_version)


def _extras() -> str:
    return ", ".join(
        f"{name} {version}" if (version := _version(name)) else f"{name} missing (pip install 'qmltrain[{extra}]')"
        for name, extra in OPTIONAL.items()
    )


def _cores() -> str:
    limits = ", ".join(f"{name} {count}" for name, count in cpu_limits().items())
    return f"{usable_cpus()} usable of {os.cpu_count()} ({limits})"


def _memory() -> str:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = ", ".join(f"{name} leaves {gib(left)}" for name, left in memory_left().items() if left < total)
    text = f"{total / GIB:.1f} GiB, of which runs plan with {available_bytes() / GIB:.1f} GiB"
    return text + (f" ({limits})" if limits else "")


def _cpu_engine() -> str:
    if importlib.util.find_spec("qmltrain.engines.cpu") is None:
        return "not used: this version of qmltrain has no CPU engine"
    cpu = importlib.import_module("qmltrain.engines.cpu")
    reason = cpu.unavailable_reason()
    return str(cpu.describe_extension()) if reason is None else f"missing: {reason}"


def _gpu() -> str:
    if importlib.util.find_spec("qmltrain.engines.cuda") is None:
        return "not used: this version of qmltrain has no CUDA engine"
    cuda = importlib.import_module("qmltrain.engines.cuda")
    reason = cuda.unavailable_reason()
    if reason is not None:
        hint = "" if shutil.which("nvidia-smi") else "; no nvidia-smi here, so perhaps no NVIDIA GPU"
        return f"missing: {reason}{hint}"
    return str(cuda.CudaEngine().describe())


_PARTS: dict[str, Callable[[], str]] = {
    "qmltrain": _qmltrain,
    "python": _python,
    "system": _system,
    "packages": _packages,
    "HDF5": _hdf5,
    "extras": _extras,
    "cores": _cores,
    "memory": _memory,
    "cpu engine": _cpu_engine,
    "gpu": _gpu,
}

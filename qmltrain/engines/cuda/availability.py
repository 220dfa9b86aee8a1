"""Whether a GPU can be used here; if not, one line that says what is missing and how to get it."""

from __future__ import annotations

import importlib.util
import os
from types import ModuleType
from typing import Any

_OLDEST = (7, 5)
PROBE = 'extern "C" __global__ void qmltrain_probe() {}'


def take_gpu(number: int) -> bool:
    """Whether the CUDA engine can run on visible GPU `number`, counted round, which this thread uses from here on. What
    is wrong is said where an engine is asked for."""
    if import_problem() is not None:
        return False
    import cupy

    try:  # before any is asked for memory: a GPU that is another rank's is left alone
        cupy.cuda.Device(number % max(1, cupy.cuda.runtime.getDeviceCount())).use()
    except cupy.cuda.runtime.CUDARuntimeError:
        return False
    return unavailable_reason() is None


def gpu_in_use() -> str:
    """The GPU of this thread by what no other one of its node has: its PCI bus and its UUID, which each instance of MIG
    has, and which CuPy cuts at the first byte that is 0."""
    import cupy

    runtime = cupy.cuda.runtime
    number = runtime.getDevice()
    return f"{runtime.deviceGetPCIBusId(number)} {runtime.getDeviceProperties(number).get('uuid', b'').hex()}"


def unavailable_reason() -> str | None:
    """None where the CUDA engine can run."""
    problem = import_problem()
    if problem is not None:
        return problem
    import cupy

    return device_problem(cupy)


def import_problem() -> str | None:
    """What stands against `import cupy`."""
    if importlib.util.find_spec("cupy") is None:
        return "CuPy is not installed; pip install 'qmltrain[cuda13]' (or cuda12, for drivers before 580)"
    # read once, when CuPy is imported: CUB's reductions along an axis take seconds to compile, and ours are small
    os.environ.setdefault("CUPY_ACCELERATORS", "")
    try:
        importlib.import_module("cupy")
    except Exception as error:  # CuPy raises ImportError and, for broken libraries, others
        return (
            f"CuPy does not import ({first_line(error)}); pip install --force-reinstall 'qmltrain[cuda13]' (or cuda12)"
        )
    return None


def device_problem(cupy: ModuleType | Any) -> str | None:
    """What stands against the current device of `cupy`."""
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return driver_problem(first_line(error))
    if not count:
        return "no GPU is visible; ask SLURM for one (--gpus=1) or look at CUDA_VISIBLE_DEVICES and nvidia-smi"
    try:
        capability = str(cupy.cuda.Device().compute_capability)
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"the GPU cannot be used ({first_line(error)}); nvidia-smi shows who holds it"
    if (int(capability[:-1]), int(capability[-1])) < _OLDEST:
        return f"the GPU has compute capability {capability}; 75 (Turing, 2018) or newer is needed"
    return compiler_problem(cupy)


def compiler_problem(cupy: ModuleType | Any) -> str | None:
    """What stands against compiling kernels: CuPy loads NVRTC, and looks for CUDA's headers, which ours do not need. A
    kernel that does nothing is compiled, a tenth of a second the first time, then from the cache on disk."""
    wheels = "pip install nvidia-cuda-nvrtc nvidia-cuda-runtime (for CUDA 12: with -cu12 behind both)"
    try:
        cupy.cuda.nvrtc.getVersion()
    except Exception as error:  # of the loader's, CuPy's or NVRTC's own kind
        return f"NVRTC, which compiles the kernels, does not load ({first_line(error)}); {wheels}"
    try:
        cupy.RawModule(code=PROBE).get_function("qmltrain_probe")
    except Exception as error:
        return f"CuPy compiles no kernel ({first_line(error)}); where headers are missing {wheels}, or set CUDA_PATH"
    return None


def driver_problem(message: str) -> str:
    """cudaGetDeviceCount failed: no driver, one too old, or no device."""
    if "InsufficientDriver" in message:
        return (
            "no NVIDIA driver, or one too old for this CuPy; nvidia-smi shows it: CUDA 13 needs driver 580 or newer, "
            "older ones pip install 'qmltrain[cuda12]'"
        )
    if "NoDevice" in message:
        return "no GPU is visible; ask SLURM for one (--gpus=1) or look at CUDA_VISIBLE_DEVICES and nvidia-smi"
    return f"the NVIDIA driver does not answer ({message}); nvidia-smi says more"


def first_line(error: BaseException) -> str:
    """The first line of an error's text."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__

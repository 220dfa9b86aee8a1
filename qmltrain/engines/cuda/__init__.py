"""The CUDA engine. Nothing here imports CuPy until a device is asked for, nor the engine until it is taken: most
machines have no GPU, and `engine.name=auto` need only know why.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from qmltrain.engines.cuda.availability import gpu_in_use, take_gpu, unavailable_reason

if TYPE_CHECKING:
    from qmltrain.engines.cuda.engine import CudaEngine

__all__ = ["CudaEngine", "gpu_in_use", "take_gpu", "unavailable_reason"]


def __getattr__(name: str) -> Any:
    if name != "CudaEngine":
        raise AttributeError(f"module 'qmltrain.engines.cuda' has no attribute {name!r}")
    return import_module("qmltrain.engines.cuda.engine").CudaEngine

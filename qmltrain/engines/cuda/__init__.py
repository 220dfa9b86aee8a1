"""The CUDA engine. Nothing here imports CuPy until a device is asked for."""

from __future__ import annotations

from qmltrain.engines.cuda.availability import unavailable_reason
from qmltrain.engines.cuda.engine import CudaEngine

__all__ = ["CudaEngine", "unavailable_reason"]

"""The CPU engine: plans in C++ kernels for AVX-512, AVX2 or any processor. Nothing here loads the extension until it
is asked for.
"""

from __future__ import annotations

from qmltrain.engines.cpu.engine import CpuEngine
from qmltrain.engines.cpu.extension import describe_extension, unavailable_reason

__all__ = ["CpuEngine", "describe_extension", "unavailable_reason"]

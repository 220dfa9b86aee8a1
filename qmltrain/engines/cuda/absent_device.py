"""A GPU that is not here, behind `Device`: plans are made for it, as for one that is, and nothing is executed."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from numpy.typing import DTypeLike, NDArray

from qmltrain.engines.cuda.derived import Gpu
from qmltrain.engines.cuda.device import Buffer, DeviceLimits, View
from qmltrain.engines.cuda.geometry import ARCHITECTURES
from qmltrain.errors import EngineUnavailableError

_SHARE = 0.9  # of the memory: what the GPU is found to have free is taken as far


class _Nowhere:
    """Memory of so many bytes that does not exist; no address is 0."""

    pointer = 1 << 12

    def __init__(self, n_bytes: int) -> None:
        self.n_bytes = n_bytes


class AbsentDevice:
    """`gpu` as its limits are published."""

    has_graphs = True
    arrays: Any = np

    def __init__(self, gpu: Gpu) -> None:
        self.gpu = gpu
        self.limits = DeviceLimits(
            name=gpu.name,
            compute_capability=gpu.compute_capability,
            shared_bytes=ARCHITECTURES[gpu.compute_capability].shared_bytes_per_block,
            memory_bytes=int(_SHARE * gpu.memory_bytes),
            multiprocessors=gpu.multiprocessors,
        )

    def allocate(self, n_bytes: int) -> _Nowhere:
        return _Nowhere(n_bytes)

    def upload(self, array: NDArray[Any]) -> _Nowhere:
        return _Nowhere(array.nbytes)

    def array(self, buffer: Buffer | View, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
        """Zeros, at no cost in memory."""
        return np.broadcast_to(np.zeros((), dtype), shape)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise EngineUnavailableError(f"engine cuda: {self.gpu.name} is not here; plans are all that is made for it")

    read = copy = clear = launch = compile = pinned = send = fetch = record = wait = synchronize = _refuse
    memory_of = queueing = capture = _refuse

"""The engine matrix on a GPU: `pytest -m gpu`."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.engines.cuda import CudaEngine, unavailable_reason
from tests.circuit.strategies import random_inputs
from tests.engines.cases import hea
from tests.engines.comparison import run
from tests.engines.cuda_matrix import EngineMatrix, some_strings

_REASON = unavailable_reason()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(_REASON is not None, reason=f"no GPU: {_REASON}")]


class TestGpu(EngineMatrix):
    def engine(self, tile: tuple[int, int] | None = None) -> CudaEngine:
        return CudaEngine(None, *(tile or (None, None)))


@pytest.mark.parametrize(("n_qubits", "batch", "entangler"), [(4, 4096, "cz"), (12, 64, "cx"), (16, 32, "cz")])
def test_the_same_bits_on_every_run(n_qubits, batch, entangler):
    circuit = hea(n_qubits, 10, entangler)
    theta, x = random_inputs(circuit, batch)
    results = [run(CudaEngine(), circuit, some_strings(n_qubits), theta, x, precision="complex64") for _ in range(3)]
    for other in results[1:]:
        for name in ("expectations_BM", "slots_S", "per_sample_BS", "shared_BS", "initial_BN"):
            np.testing.assert_array_equal(getattr(other, name), getattr(results[0], name), err_msg=name)

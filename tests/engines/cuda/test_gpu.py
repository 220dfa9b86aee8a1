"""The engine matrix on a GPU: `pytest -m gpu`."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.engines.cuda import CudaEngine, unavailable_reason
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.training.gradients import Evaluator
from tests.circuit.strategies import random_inputs
from tests.engines.cases import hea
from tests.engines.comparison import run
from tests.engines.cuda.matrix import EngineMatrix, some_strings
from tests.training.small_models import MODELS, inputs, make

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


@pytest.mark.parametrize(("n_qubits", "layers", "batch"), [(6, 60, 333), (12, 30, 65), (16, 10, 33)])
def test_two_samples_in_a_thread_give_the_bits_of_one(n_qubits, layers, batch):
    circuit = hea(n_qubits, layers)
    theta, x = random_inputs(circuit, batch)
    one, two = (
        run(CudaEngine(None, two_samples=two), circuit, some_strings(n_qubits), theta, x, precision="complex64")
        for two in (False, True)
    )
    for name in ("expectations_BM", "slots_S", "per_sample_BS", "initial_BN"):
        np.testing.assert_array_equal(getattr(two, name), getattr(one, name), err_msg=name)


@pytest.mark.parametrize("name", MODELS)
def test_steps_on_the_device_agree_with_the_reference(name):
    """Heads, losses and sums in CuPy; plain first, then as a graph, with inputs that change."""
    model = make(name)
    strings = model.observables.strings
    run = Evaluator(model, CudaEngine().compile(model.circuit, strings, "complex128"), 64)
    expected = Evaluator(model, ReferenceEngine().compile(model.circuit, strings, "complex128"), 64)
    theta, x, targets = inputs(model, 150)
    for k in range(7):
        arguments = theta + 0.1 * k, np.roll(x, k, axis=0), np.roll(targets, k)
        found, wanted = run.gradient(*arguments), expected.gradient(*arguments)
        np.testing.assert_allclose(found.gradient_P, wanted.gradient_P, rtol=0, atol=1e-10)
        np.testing.assert_allclose(found.losses_B, wanted.losses_B, rtol=0, atol=1e-10)
    again = run.gradient(*arguments)
    np.testing.assert_array_equal(again.gradient_P, found.gradient_P)
    np.testing.assert_array_equal(again.outputs_BC, found.outputs_BC)


def test_chunks_of_a_step_change_no_bit():
    model = make("biases too")
    arguments = inputs(model, 500)
    found = []
    for chunk in (16, 112, 512):
        program = CudaEngine().compile(model.circuit, model.observables.strings, "complex64")
        run = Evaluator(model, program, chunk)
        found += [run.gradient(*arguments) for _ in range(3)]
    for other in found[1:]:
        np.testing.assert_array_equal(other.gradient_P, found[0].gradient_P)
        np.testing.assert_array_equal(other.losses_B, found[0].losses_B)

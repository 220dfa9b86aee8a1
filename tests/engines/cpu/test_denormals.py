"""The engine's threads take denormal numbers for 0; Python does not, nor what the engine calls of Python."""

from __future__ import annotations

import platform

import numpy as np
import pytest

from qmltrain.circuit.observables import PauliString
from qmltrain.engines.cpu import CpuEngine, unavailable_reason
from qmltrain.engines.protocol import EngineOptions
from qmltrain.training.state import TrainingState
from tests.engines.cases import hea
from tests.engines.comparison import begin
from tests.training.step_cases import StepCase, first_parameters, run

pytestmark = [
    pytest.mark.skipif(unavailable_reason() is not None, reason="the C++ extension is not built"),
    pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="x86 alone"),
]

DENORMAL = np.float32(1e-40)


def python_has_denormals() -> bool:
    return bool(DENORMAL * np.float32(0.5) > 0)


def raw_sums(cotangent: float, threads: int) -> np.ndarray:
    circuit = hea(5, 3)
    program = CpuEngine().compile(circuit, (PauliString(0, 1),), options=EngineOptions(threads=threads))
    step, angles = begin(
        program, circuit, np.linspace(0, 3, circuit.n_parameters), np.linspace(0, 2, 320).reshape(64, 5)
    )
    return step.forward(angles).backward(np.full((64, 1), cotangent)).block_sums_GR


@pytest.mark.parametrize("threads", [1, 3])
def test_gradients_of_denormal_cotangents_are_0_in_every_thread(threads):
    assert np.abs(raw_sums(1e-30, threads)).max() > 1e-32
    assert not raw_sums(float(DENORMAL), threads).any()
    assert python_has_denormals()


def test_python_computes_as_ever_while_a_span_runs():
    case = StepCase(n_qubits=8, n_features=8, layers=20, sizes=(64,) * 4000)  # many times 100 ms
    model, asked = case.model(), []

    def stop() -> bool:
        asked.append(python_has_denormals())
        return len(asked) > 2  # the first time before the span, then every 50 ms in it

    steps = case.steps(model, case.program(model, "complex64"), True, stop=stop)
    state = TrainingState(first_parameters(model))
    found = run(steps, state, 4000)
    assert found.stopped and asked == [True] * 3
    assert python_has_denormals()

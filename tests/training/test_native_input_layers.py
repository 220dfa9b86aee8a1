"""Native steps with layers before the circuit against array steps: encodings, activations, sizes, engine paths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qmltrain.engines.cpu import unavailable_reason
from qmltrain.engines.protocol import GradientOptions
from qmltrain.errors import NonFiniteError
from qmltrain.fusion.reductions.planner import ReducedPlanner
from qmltrain.fusion.reductions.setting import Setting
from qmltrain.training.activations import ACTIVATIONS
from qmltrain.training.state import TrainingState
from tests.training.step_cases import LOSS, StepCase, check_equal, encoding_cases, first_parameters, run

pytestmark = pytest.mark.skipif(unavailable_reason() is not None, reason="no C++ extension")

DRESSED = StepCase(n_features=5, dense=(3,), dense_options={"bias": False, "activation": "tanh", "scale": np.pi / 2})
# of encodings that take any number; chebyshev takes those in [-1, 1]
ENCODINGS = [
    replace(case, n_features=4, dense=(case.n_features,), dense_options={"activation": "tanh", "scale": 0.9})
    for case in encoding_cases()
    if case.encoding not in ("amplitude", "basis", "none")
]


@pytest.mark.parametrize("case", ENCODINGS, ids=lambda case: case.encoding)
def test_encodings(case: StepCase) -> None:
    check_equal(case, 5)


@pytest.mark.parametrize("trainable", ["none", "weights", "weights_and_biases"])
def test_trainable_encodings(trainable: str) -> None:
    check_equal(replace(DRESSED, encoding="reuploading", encoding_options={"repeats": 2, "trainable": trainable}), 5)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bias", [False, True])
def test_activations_and_hidden_layers(activation: str, bias: bool) -> None:
    options = {"bias": bias, "activation": activation, "scale": -0.7}
    check_equal(replace(DRESSED, dense=(6, 2, 3), dense_options=options), 5)


@pytest.mark.parametrize("size", [1, 7, 16, 17, 33])
@pytest.mark.parametrize("lane_bits", [None, 2])
def test_odd_sizes(size: int, lane_bits: int | None) -> None:
    case = replace(DRESSED, n_qubits=5, n_features=2, dense=(5,), sizes=(size,))
    check_equal(case, 2, lane_bits=lane_bits, threads=3)


@pytest.mark.parametrize("mode", [GradientOptions("reversible"), GradientOptions("checkpoint", 2)], ids=str)
def test_gradient_modes(mode: GradientOptions) -> None:
    check_equal(replace(DRESSED, layers=5), 3, mode=mode)


@pytest.mark.parametrize("cones", [2, 3])
def test_a_circuit_in_parts(cones: int) -> None:
    check_equal(replace(DRESSED, n_qubits=4, dense=(4,), sizes=(39,)), 3, cones=cones, threads=2)


def test_shared_blocks() -> None:
    """Deep circuits on many samples: the gradient of the angles passes through matrices."""
    case = replace(DRESSED, layers=14, sizes=(260,))
    planner = ReducedPlanner(("real_states", "product_start", "shared_blocks"), Setting(260, "complex128"))
    model = case.model()
    assert case.program(model, planner=planner).plan.shared_blocks
    theta_P = first_parameters(model)
    judge = run(case.steps(model, case.program(model), False), TrainingState(theta_P))
    found = run(case.steps(model, case.program(model, planner=planner), True), TrainingState(theta_P))
    np.testing.assert_allclose(found.gradients_TP, judge.gradients_TP, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.metrics[LOSS], judge.metrics[LOSS], rtol=1e-12)


@pytest.mark.parametrize("frozen", [slice(-15, None), slice(0, 18), slice(-9, -3)])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_frozen_parameters(frozen: slice, optimizer: str) -> None:
    check_equal(replace(DRESSED, frozen=frozen, optimizer=optimizer, clip_norm=0.05), 4)


def test_threads_and_spans_do_not_change_a_bit() -> None:
    case = replace(DRESSED, n_qubits=4, n_features=9, dense=(7, 4), sizes=(50, 33, 1, 17))
    model, found = case.model(), []
    for threads, most in ((1, 1), (2, 4), (4, 2)):
        steps = case.steps(model, case.program(model, threads=threads), True)
        state = TrainingState(first_parameters(model))
        while state.step < 4:
            run(steps, state, most)
        found.append(state.theta_P)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_what_is_not_finite_is_said_by_array_steps() -> None:
    model = DRESSED.model()
    theta_P = first_parameters(model)
    theta_P[-1] = np.nan
    with pytest.raises(NonFiniteError, match="step 1: the input layer gives what is not finite"):
        run(DRESSED.steps(model, DRESSED.program(model), True), TrainingState(theta_P))

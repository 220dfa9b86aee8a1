"""Native steps of amplitude encoding with copies, and behind layers, against array steps and finite differences."""

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
from qmltrain.training.input_layers import InputLayers
from qmltrain.training.native_recipe import why_not_native
from qmltrain.training.optimizers import Adam
from qmltrain.training.state import TrainingState
from tests.pairwise import covering
from tests.training.step_cases import LOSS, StepCase, check_equal, first_parameters, rows_of, run

pytestmark = pytest.mark.skipif(unavailable_reason() is not None, reason="no C++ extension")

LAYERS = {"activation": "tanh", "scale": -0.7}


def amplitudes(n_qubits: int, n_features: int, copies: int = 1, **changes) -> StepCase:
    options = {"copies": copies, **changes.pop("options", {})}
    case = StepCase(n_qubits=n_qubits, encoding="amplitude", encoding_options=options, n_features=n_features)
    return replace(case, observable_options={"qubits": [0, n_qubits - 1][:n_qubits]}, **changes)


def dressed(n_qubits: int, n_amplitudes: int, copies: int = 1, hidden: tuple[int, ...] = (), **changes) -> StepCase:
    """`n_amplitudes` outputs of layers on 5 features."""
    layers = {"dense": (*hidden, n_amplitudes), "dense_options": LAYERS}
    return replace(amplitudes(n_qubits, n_amplitudes, copies, **layers, **changes), n_features=5)


SIZES = [(1, 2, 1), (1, 1, 1), (2, 3, 1), (3, 5, 1), (4, 16, 1), (5, 19, 1), (6, 33, 1), (6, 64, 1)]
COPIES = [(2, 2, 2), (2, 1, 2), (4, 3, 2), (6, 7, 2), (3, 2, 3), (6, 3, 3), (6, 4, 3)]


@pytest.mark.parametrize(
    ("n_qubits", "n_amplitudes", "copies", "batch", "pad_with"),
    covering([pytest.param(*size, id="-".join(map(str, size))) for size in SIZES + COPIES], [1, 19], [0.0, 0.3]),
)
def test_sizes(n_qubits: int, n_amplitudes: int, copies: int, batch: int, pad_with: float) -> None:
    changes = {"sizes": (batch,), "options": {"pad_with": pad_with}}
    check_equal(dressed(n_qubits, n_amplitudes, copies, **changes), 2)
    if copies > 1:
        check_equal(amplitudes(n_qubits, n_amplitudes, copies, **changes), 2)


@pytest.mark.parametrize("copies", [1, 2, 3])
def test_states_that_are_not_normalized(copies: int) -> None:
    check_equal(amplitudes(6, 4, copies, options={"normalize": False}), 2)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("hidden", [(), (6, 3)])
def test_activations_and_hidden_layers(activation: str, bias: bool, hidden: tuple[int, ...]) -> None:
    """Padded, so that relu leaves no state without numbers."""
    options = {"bias": bias, "activation": activation, "scale": 0.7}
    case = replace(dressed(4, 3, 2, hidden, sizes=(17,), options={"pad_with": 0.2}), dense_options=options)
    check_equal(case, 3)


@pytest.mark.parametrize("lane_bits", [None, 1, 3])
@pytest.mark.parametrize(
    "mode", [GradientOptions(), GradientOptions("reversible"), GradientOptions("checkpoint", 2)], ids=str
)
def test_gradient_modes_and_qubits_in_the_lanes(lane_bits: int | None, mode: GradientOptions) -> None:
    check_equal(dressed(6, 7, 2, layers=4), 2, lane_bits=lane_bits, mode=mode, threads=3)


@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize("lane_bits", [None, 2])
def test_real_states(copies: int, lane_bits: int | None) -> None:
    planner = ReducedPlanner(("real_states",), Setting(16, "complex128"))
    case = dressed(4, 4, copies, ansatz="real_amplitudes")
    assert case.program(case.model(), planner=planner).plan.real
    check_equal(case, 2, planner=planner, lane_bits=lane_bits)


@pytest.mark.parametrize("n_qubits", [4, 6])
def test_shared_blocks(n_qubits: int) -> None:
    """The bra passes through the matrix of the whole circuit."""
    planner = ReducedPlanner(("shared_blocks",), Setting(260, "complex128"))
    case = dressed(n_qubits, 3, 2, layers=14, sizes=(260,))
    model = case.model()
    assert case.program(model, planner=planner).plan.shared_blocks
    theta_P = first_parameters(model)
    judge = run(case.steps(model, case.program(model), False), TrainingState(theta_P))
    for threads in (1, 2):
        program = case.program(model, planner=planner, threads=threads)
        found = run(case.steps(model, program, True), TrainingState(theta_P))
        np.testing.assert_allclose(found.gradients_TP, judge.gradients_TP, rtol=0, atol=1e-12)
        np.testing.assert_allclose(found.metrics[LOSS], judge.metrics[LOSS], rtol=1e-12)


def test_copies_as_one_matrix() -> None:
    """Without layers: the circuit is one matrix for all samples, whose initial states are products."""
    case = amplitudes(4, 3, 2, layers=10, sizes=(256,))
    model = case.model()
    assert case.steps(model, case.program(model), True)._steps.as_matrix(256)
    check_equal(case, 2)


@pytest.mark.parametrize("frozen", [slice(-12, None), slice(0, 18), slice(-9, -3)])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_frozen_parameters_and_optimizers(frozen: slice, optimizer: str) -> None:
    check_equal(dressed(4, 3, 2, frozen=frozen, optimizer=optimizer, clip_norm=0.05), 3)


def test_gradients_are_finite_differences_of_the_loss() -> None:
    case = dressed(4, 3, 2, (4,), sizes=(5,), options={"pad_with": 0.4})
    model = case.model()
    program, theta_P = case.program(model), first_parameters(model)

    def loss(at_P: np.ndarray) -> float:
        return float(run(case.steps(model, program, True), TrainingState(at_P.copy())).metrics[LOSS][0])

    found_P = run(case.steps(model, program, True), TrainingState(theta_P.copy())).gradients_TP[0]
    steps_PP = 1e-5 * np.eye(len(theta_P))
    expected_P = [(loss(theta_P + step_P) - loss(theta_P - step_P)) / 2e-5 for step_P in steps_PP]
    np.testing.assert_allclose(found_P, expected_P, rtol=0, atol=1e-9)


@pytest.mark.parametrize("case", [dressed(6, 33), dressed(6, 7, 2, (4,)), amplitudes(6, 3, 3)], ids=str)
def test_single_precision(case: StepCase) -> None:
    model = case.model()
    theta_P = first_parameters(model)
    judge = run(case.steps(model, case.program(model), False), TrainingState(theta_P))
    found = run(case.steps(model, case.program(model, "complex64"), True), TrainingState(theta_P))
    np.testing.assert_allclose(found.gradients_TP, judge.gradients_TP, rtol=0, atol=3e-6)
    np.testing.assert_allclose(found.metrics[LOSS], judge.metrics[LOSS], rtol=1e-6)


@pytest.mark.parametrize("precision", ["complex64", "complex128"])
@pytest.mark.parametrize("case", [dressed(6, 7, 2, (4,)), amplitudes(4, 3, 2)], ids=["layers", "copies"])
def test_threads_and_spans_do_not_change_a_bit(case: StepCase, precision: str) -> None:
    case = replace(case, sizes=(50, 33, 1, 17))
    whole = rows_of(case, [4], precision=precision)
    assert rows_of(case, [1, 2, 1], per_slab=2, precision=precision) == whole
    for lane_bits in (None, 2):
        one = rows_of(case, [4], precision=precision, lane_bits=lane_bits)
        assert rows_of(case, [4], precision=precision, threads=2, lane_bits=lane_bits) == one


@pytest.mark.parametrize(
    ("activation", "weight", "sample", "gives"),
    [
        ("relu", 1.0, 6, "amplitudes that are all 0"),
        ("none", np.inf, 0, "what is not finite"),
        ("tanh", np.nan, 0, "what is not finite"),
    ],
)
def test_what_cannot_be_encoded_is_said_as_array_steps_say_it(
    activation: str, weight: float, sample: int, gives: str
) -> None:
    """One weight of the layer is not 0; what it weighs is negative in samples 6 and 7."""
    case = replace(dressed(4, 3, 2, sizes=(9,)), dense_options={"activation": activation, "bias": False})
    model, data, said = case.model(), case.data(), []
    data.x_NF[:, -1] = np.abs(data.x_NF[:, -1])
    data.x_NF[6:8, -1] = -1.0
    theta_P = first_parameters(model)
    theta_P[-model.input.n_parameters :] = 0.0
    theta_P[-1] = weight
    for native in (False, True):
        state = TrainingState(theta_P.copy())
        with pytest.raises(NonFiniteError) as caught:
            run(case.steps(model, case.program(model), native, data), state)
        assert state.step == 0
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert f"the input layer gives {gives} for sample {sample} of the batch" in said[0]


def test_layers_of_a_derived_class_have_no_native_form() -> None:
    class Mine(InputLayers):
        pass

    model = dressed(4, 3).model()
    adam = Adam(model.n_parameters)
    assert why_not_native(model, adam) is None
    mine = replace(model, input=Mine(model.input.sizes))
    assert why_not_native(mine, adam) == "input layers of class Mine have no native form"

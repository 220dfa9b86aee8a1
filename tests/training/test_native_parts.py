"""Native steps of a circuit that was cut into parts (kernels/cpu/host/joint_engine.hpp), against its array steps."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.engines.cpu import training_steps, unavailable_reason
from qmltrain.engines.protocol import GradientOptions
from qmltrain.training.gradients import StepAbandoned
from qmltrain.training.state import TrainingState
from tests.pairwise import covering
from tests.training.step_cases import StepCase, check_equal, first_parameters, rows_of, run

pytestmark = pytest.mark.skipif(unavailable_reason() is not None, reason="no C++ extension")


def case_name(case: StepCase) -> str:
    return f"{case.encoding}-{case.n_qubits}"


CONES = [
    StepCase(n_qubits=6, n_features=6, sizes=(33,) * 12),
    StepCase(
        n_qubits=5, n_features=5, sizes=(17,) * 12, encoding="reuploading",
        encoding_options={"trainable": "weights_and_biases"},
    ),
    StepCase(
        n_qubits=9, n_features=9, layers=3, sizes=(5,) * 12, observable="ising", head="raw", loss="mean_squared_error",
        n_classes=None,
    ),
    StepCase(n_qubits=4, n_features=4, sizes=(70,) * 12, encoding="zz_feature_map", clip_norm=0.05, frozen=slice(2, 7)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("case", "cones", "mode"),
    covering(
        [pytest.param(case, id=case_name(case)) for case in CONES], [1, 2, 4],
        [GradientOptions(), GradientOptions("reversible"), GradientOptions("checkpoint", 2)],
    ),
)  # fmt: skip
def test_a_circuit_in_parts(case: StepCase, cones: int, mode: GradientOptions) -> None:
    check_equal(case, cones=cones, mode=mode)


@pytest.mark.parametrize("case", CONES, ids=case_name)
@pytest.mark.parametrize("precision", ["complex64", "complex128"])
def test_threads_and_spans_change_no_bit_of_a_circuit_in_parts(case: StepCase, precision: str) -> None:
    one = rows_of(case, [12], precision=precision, cones=3)
    for threads in (2, 3):
        assert rows_of(case, [12], precision=precision, cones=3, threads=threads) == one
    for spans, per_slab in (([1] * 12, 12), ([5, 7], 4)):
        assert rows_of(case, spans, per_slab=per_slab, precision=precision, cones=3) == one


def test_how_many_blocks_go_through_the_parts_together_changes_no_bit(monkeypatch) -> None:
    case = StepCase(n_qubits=6, n_features=6, sizes=(70,) * 4)
    one = rows_of(case, [4], cones=2)
    monkeypatch.setattr(training_steps, "CACHED_BYTES", 1)
    assert rows_of(case, [4], cones=2) == one


def test_a_long_step_is_left_in_the_middle() -> None:
    case = StepCase(n_qubits=12, n_features=12, layers=40, sizes=(512,))
    model = case.model()
    asked = []

    def stop() -> bool:
        asked.append(True)
        return len(asked) > 1

    steps = case.steps(model, case.program(model, cones=2), True, stop=stop)
    theta_P = first_parameters(model)
    state = TrainingState(theta_P.copy())
    with pytest.raises(StepAbandoned):
        run(steps, state)
    np.testing.assert_array_equal(state.theta_P, theta_P)
    assert state.step == 0

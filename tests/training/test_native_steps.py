"""Native steps against array steps: every head, loss, optimiser, encoding and gradient mode; spans, threads, stops."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from qmltrain.engines.cpu import CpuEngine, unavailable_reason
from qmltrain.engines.protocol import GradientOptions
from qmltrain.errors import NonFiniteError
from qmltrain.fusion.reductions.planner import ReducedPlanner
from qmltrain.fusion.reductions.setting import Setting
from qmltrain.training import native_steps
from qmltrain.training.gradients import StepAbandoned
from qmltrain.training.heads import HEADS, Linear
from qmltrain.training.losses import LOSSES, CrossEntropy
from qmltrain.training.native_recipe import (
    NATIVE_HEADS,
    NATIVE_LOSSES,
    NATIVE_OPTIMIZERS,
    feature_columns,
    why_not_native,
)
from qmltrain.training.optimizers import OPTIMIZERS, Adam
from qmltrain.training.state import TrainingState
from tests.pairwise import covering
from tests.training.step_cases import (
    LOSS,
    StepCase,
    check_equal,
    encoding_cases,
    first_parameters,
    head_and_loss_cases,
    rows_of,
    run,
)

pytestmark = pytest.mark.skipif(unavailable_reason() is not None, reason="no C++ extension")

WITHOUT_NATIVE_FORM = {"lbfgs"}


def case_name(case: StepCase) -> str:
    weights = "-weights" if case.class_weights else ""
    options = "".join(f"-{value}" for value in case.head_options.values())
    return f"{case.encoding}-{case.head}{options}-{case.loss}-{case.n_classes}-{case.optimizer}{weights}"


@pytest.mark.parametrize("case", head_and_loss_cases(), ids=case_name)
def test_heads_and_losses(case: StepCase) -> None:
    check_equal(case, 3)


@pytest.mark.parametrize("case", encoding_cases(), ids=case_name)
def test_encodings(case: StepCase) -> None:
    check_equal(case)


@pytest.mark.parametrize("trainable", ["weights", "weights_and_biases"])
def test_trainable_encodings(trainable: str) -> None:
    check_equal(StepCase(encoding="reuploading", encoding_options={"repeats": 2, "trainable": trainable}))


OPTIONS = {
    "sgd": [{}, {"momentum": 0.9}, {"momentum": 0.5, "weight_decay": 0.1}, {"weight_decay": 0.2}],
    "adam": [{}, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}],
    "adamw": [{}, {"weight_decay": 0.3}],
}


NATIVE = [
    pytest.param(name, options, id=f"{name}-{number}")
    for name in OPTIMIZERS
    if name not in WITHOUT_NATIVE_FORM
    for number, options in enumerate(OPTIONS[name])
]


@pytest.mark.parametrize(
    ("name", "options", "clip_norm", "frozen"), covering(NATIVE, [None, 0.05], [None, slice(2, 7), slice(-4, None)])
)
def test_optimizers(name: str, options: dict, clip_norm: float | None, frozen: slice | None) -> None:
    check_equal(StepCase(optimizer=name, optimizer_options=options, clip_norm=clip_norm, frozen=frozen))


@pytest.mark.parametrize(
    "mode",
    [GradientOptions("reversible"), GradientOptions("reversible", 2), GradientOptions("checkpoint", 1),
     GradientOptions("checkpoint", 2), GradientOptions("auto")],
    ids=lambda mode: f"{mode.mode}-{mode.checkpoint_interval}",
)  # fmt: skip
def test_gradient_modes(mode: GradientOptions) -> None:
    check_equal(StepCase(encoding="reuploading", encoding_options={"trainable": "weights"}, layers=5), 4, mode=mode)
    check_equal(StepCase(encoding="amplitude", n_features=7), 4, mode=mode)


@pytest.mark.parametrize(
    ("observable", "options", "head", "loss", "n_classes"),
    [
        ("pauli", {"terms": ["Z0 X1 + 0.5*Y2 + 0.25", "Z2 Y1"]}, "linear", "cross_entropy", 3),
        ("projector", {"states": [0, 5]}, "scaled", "cross_entropy", 2),
        ("ising", {}, "raw", "expectation", None),
        ("heisenberg", {}, "raw", "expectation", None),
        ("projector", {"states": [3]}, "raw", "fidelity", None),
    ],
)
def test_observables(observable: str, options: dict, head: str, loss: str, n_classes: int | None) -> None:
    check_equal(
        StepCase(
            observable=observable, observable_options=options, head=head, loss=loss, n_classes=n_classes, sizes=(19,)
        ),
        4,
    )


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 16, 17, 33])
@pytest.mark.parametrize("lane_bits", [None, 1, 3])
def test_odd_sizes(size: int, lane_bits: int | None) -> None:
    """Also with qubits in the lanes, so that the units of a block are on several threads."""
    check_equal(StepCase(n_qubits=5, n_features=5, sizes=(size,)), 2, lane_bits=lane_bits, threads=3)


MATRIX = {
    "angle": StepCase(n_qubits=4, n_features=4, layers=10, sizes=(250,)),
    "three qubits, short block": StepCase(n_qubits=3, layers=12, sizes=(135,), class_weights=[1.0, 0.0, 2.0]),
    "amplitude": StepCase(
        n_qubits=4, encoding="amplitude", encoding_options={"pad_with": 0.2}, n_features=11, layers=10, sizes=(256,)
    ),
    "two qubits": StepCase(n_qubits=2, n_features=2, layers=9, sizes=(99,), n_classes=2, loss="hinge"),
    "five qubits": StepCase(n_qubits=5, n_features=5, layers=40, sizes=(130,), optimizer="sgd"),
    "strings of X and Y": StepCase(
        layers=10, sizes=(200,), observable="pauli", observable_options={"terms": ["Z0 X1 + 0.5*Y2 + 0.25", "Z2 Y1"]}
    ),
}


@pytest.mark.parametrize("name", MATRIX)
@pytest.mark.parametrize("threads", [1, 3])
def test_the_shared_part_as_one_matrix(name: str, threads: int) -> None:
    case = MATRIX[name]
    model = case.model()
    steps = case.steps(model, case.program(model), True)
    assert steps._steps.as_matrix(case.sizes[0])
    check_equal(case, 3, threads=threads)


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({"sizes": (4,)}, {}),  # too few samples, on vectors of any length
        ({"layers": 1}, {}),  # too few gates
        ({"n_qubits": 6, "n_features": 6}, {}),
        ({"encoding": "reuploading", "encoding_options": {"trainable": None}}, {}),  # features between the layers
        ({"encoding": "reuploading", "encoding_options": {"repeats": 1, "trainable": "weights"}}, {}),
        ({"encoding": "iqp"}, {}),
        ({}, {"mode": GradientOptions("reversible")}),
        ({}, {"lane_bits": 1}),
    ],
)
def test_what_is_not_one_matrix(changes: dict, options: dict) -> None:
    case = dataclasses.replace(StepCase(layers=12, sizes=(256,)), **changes)
    model = case.model()
    steps = case.steps(model, case.program(model, **options), True)
    assert not steps._steps.as_matrix(case.sizes[0])
    check_equal(case, 2, **options)


REAL = [
    StepCase(ansatz="real_amplitudes"),
    StepCase(n_qubits=9, n_features=9, ansatz="real_amplitudes", sizes=(40,) * 3),
    StepCase(n_qubits=5, n_features=20, encoding="amplitude", ansatz="real_amplitudes", sizes=(17,) * 3),
    StepCase(
        ansatz="ttn",
        n_qubits=4,
        n_features=4,
        encoding="reuploading",
        encoding_options={"repeats": 2, "trainable": "weights_and_biases"},
    ),
]


@pytest.mark.parametrize(
    ("case", "lane_bits", "mode"),
    covering(
        [pytest.param(case, id=case_name(case)) for case in REAL], [None, 2],
        [None, GradientOptions("reversible"), GradientOptions("checkpoint", 2)],
    ),
)  # fmt: skip
def test_real_states(case: StepCase, lane_bits: int | None, mode: GradientOptions | None) -> None:
    planner = ReducedPlanner(("real_states",), Setting(16, "complex64"))
    model = case.model()
    assert case.program(model, planner=planner).plan.real
    check_equal(case, 3, lane_bits=lane_bits, mode=mode, planner=planner)
    whole = rows_of(case, [3], precision="complex64", lane_bits=lane_bits, mode=mode, planner=planner)
    for threads in (2, 3):
        options = {"precision": "complex64", "lane_bits": lane_bits, "mode": mode, "planner": planner}
        assert rows_of(case, [3], threads=threads, **options) == whole


def test_the_last_batch_may_be_shorter() -> None:
    check_equal(StepCase(sizes=(32, 32, 5, 32)), 4)


def test_without_data() -> None:
    """One sample without features."""
    case = StepCase(
        encoding="none", n_features=0, observable="ising", head="raw", loss="expectation", n_classes=None, sizes=(1,)
    )
    check_equal(case)


CUT = [
    StepCase(sizes=(33,) * 12),
    StepCase(sizes=(33,) * 12, encoding="reuploading", encoding_options={"trainable": "weights_and_biases"}),
    StepCase(n_qubits=9, n_features=9, sizes=(20,) * 12, optimizer="sgd", optimizer_options={"momentum": 0.9}),
    StepCase(n_qubits=5, n_features=20, encoding="amplitude", sizes=(7,) * 12),
    StepCase(layers=12, sizes=(131,) * 12),  # as one matrix
]


@pytest.mark.parametrize("case", CUT, ids=case_name)
@pytest.mark.parametrize("precision", ["complex64", "complex128"])
def test_where_spans_end_changes_no_bit(case: StepCase, precision: str) -> None:
    whole = rows_of(case, [12], precision=precision)
    for spans, per_slab in (([1] * 12, 12), ([5, 7], 4), ([2, 1, 9], 1), ([12], 5)):
        assert rows_of(case, spans, per_slab=per_slab, precision=precision) == whole


@pytest.mark.parametrize("case", CUT, ids=case_name)
@pytest.mark.parametrize("lane_bits", [None, 2])
def test_threads_change_no_bit(case: StepCase, lane_bits: int | None) -> None:
    one = rows_of(case, [12], lane_bits=lane_bits)
    for threads in (2, 3, 4):
        assert rows_of(case, [12], threads=threads, lane_bits=lane_bits) == one


def test_every_registered_entry_is_native_or_excepted() -> None:
    extension = CpuEngine().extension
    optimizers = {kind.name for kind in NATIVE_OPTIMIZERS}
    for registry, native, known in (
        (HEADS, set(NATIVE_HEADS.values()), extension.native_heads()),
        (LOSSES, set(NATIVE_LOSSES.values()), extension.native_losses()),
        (OPTIMIZERS, optimizers, extension.native_optimizers()),
    ):
        assert native == set(registry) - WITHOUT_NATIVE_FORM == set(known)


def test_a_derived_class_has_no_native_form() -> None:
    class Mine(CrossEntropy):
        name = "mine"

    class MyHead(Linear):
        name = "my_head"

    class MyAdam(Adam):
        name = "my_adam"

    model = StepCase().model()
    adam = Adam(model.n_parameters)
    assert why_not_native(model, adam) is None
    assert why_not_native(model, MyAdam(3)) == "optimizer.name=my_adam has no native form"
    assert why_not_native(dataclasses.replace(model, loss=Mine(3)), adam) == "loss.name=mine has no native form"
    assert why_not_native(dataclasses.replace(model, head=MyHead(3, 3)), adam) == "head.name=my_head has no native form"


def test_a_step_that_is_not_finite_says_so_and_leaves_no_trace() -> None:
    case = StepCase(sizes=(8,) * 6, loss="mean_squared_error", n_classes=None)
    model = case.model()
    data = case.data()
    data.targets_N[27] = np.nan  # in the fourth batch
    steps = case.steps(model, case.program(model), True, data)
    state = TrainingState(first_parameters(model))
    assert run(steps, state, 6).n_steps == 3
    before = state.theta_P.copy()
    with pytest.raises(NonFiniteError, match="step 4"):
        run(steps, state, 3)
    np.testing.assert_array_equal(state.theta_P, before)
    assert state.step == 3 and steps._optimizer.state()["steps"] == 3


@pytest.mark.parametrize("loss", ["hinge", "expectation"])
def test_infinite_parameters_are_not_finite(loss: str) -> None:
    """A hinge is constant, and its derivative 0, where the comparison with NaN fails."""
    n_classes = 2 if loss == "hinge" else None
    case = StepCase(loss=loss, head="raw", n_classes=n_classes, observable_options={"qubits": [0]})
    model = case.model()
    steps = case.steps(model, case.program(model), True)
    theta_P = first_parameters(model)
    theta_P[0] = np.inf
    with pytest.raises(NonFiniteError):
        run(steps, TrainingState(theta_P))


def test_the_step_after_a_refused_one_is_right() -> None:
    """The engine tells steps apart by their angles: those that were refused must not count as prepared."""
    case = StepCase()
    model = case.model()
    program = case.program(model)
    theta_P = first_parameters(model)
    for _ in range(2):  # whichever angles had their turn
        steps = case.steps(model, program, True)
        run(steps, TrainingState(theta_P))
        infinite_P = theta_P.copy()
        infinite_P[0] = np.inf
        with pytest.raises(NonFiniteError):
            run(steps, TrainingState(infinite_P))
        found, expected = (
            run(one, TrainingState(theta_P + 0.7)) for one in (steps, case.steps(model, case.program(model), True))
        )
        assert found.metrics[LOSS] == expected.metrics[LOSS]
        np.testing.assert_array_equal(found.gradients_TP, expected.gradients_TP)


@pytest.mark.parametrize("per_slab", [1 << 30, 5])
def test_columns_that_would_take_much_memory_are_made_for_a_span(monkeypatch, per_slab) -> None:
    case = StepCase(encoding="zz_feature_map", sizes=(13,) * 9)
    expected = rows_of(case, [9])
    monkeypatch.setattr(native_steps, "COLUMN_BYTES", 100)
    largest = []

    def measured(model, x_BF):
        found = feature_columns(model, x_BF)
        largest.append(found.nbytes)
        return found

    monkeypatch.setattr(native_steps, "feature_columns", measured)
    for span_bytes in (1, 13 * 2 * 8 * 6, 1 << 20):  # a step, two steps, all
        monkeypatch.setattr(native_steps, "SPAN_COLUMN_BYTES", span_bytes)
        largest.clear()
        assert rows_of(case, [9], per_slab=per_slab) == expected
        assert max(largest) <= max(span_bytes, 13 * 8 * 6)


@pytest.mark.slow
def test_a_step_that_measures_many_strings_asks_on_the_way() -> None:
    """Some seconds, of which little are gates."""
    n, generator = 20, np.random.default_rng(0)
    terms = " + ".join(
        "0.1 " + " ".join(f"{'XYZ'[generator.integers(3)]}{q}" for q in generator.choice(n, 4, replace=False))
        for _ in range(2000)
    )
    case = StepCase(
        n_qubits=n, encoding="none", n_features=0, observable="pauli", observable_options={"terms": [terms]},
        head="raw", loss="expectation", n_classes=None, sizes=(1,), layers=1,
    )  # fmt: skip
    model = case.model()
    asked = []

    def stop() -> bool:
        asked.append(True)
        return False

    run(case.steps(model, case.program(model, "complex64"), True, stop=stop), TrainingState(first_parameters(model)))
    assert len(asked) >= 8


def test_a_request_to_stop_ends_a_span_between_steps() -> None:
    case = StepCase(n_qubits=10, n_features=10, layers=20, sizes=(64,) * 400)
    model = case.model()
    asked = []

    def stop() -> bool:
        asked.append(True)
        return len(asked) > 2

    steps = case.steps(model, case.program(model), True, stop=stop)
    state = TrainingState(first_parameters(model))
    span = run(steps, state, 400)
    assert span.stopped and 0 < span.n_steps == state.step < 400
    with pytest.raises(StepAbandoned):
        run(steps, state, 5)
    assert state.step == span.n_steps


def test_a_long_step_is_left_in_the_middle() -> None:
    case = StepCase(n_qubits=12, n_features=12, layers=40, sizes=(512,))
    model = case.model()
    asked = []

    def stop() -> bool:
        asked.append(True)
        return len(asked) > 1

    steps = case.steps(model, case.program(model), True, stop=stop)
    theta_P = first_parameters(model)
    state = TrainingState(theta_P.copy())
    with pytest.raises(StepAbandoned):
        run(steps, state)
    np.testing.assert_array_equal(state.theta_P, theta_P)
    assert state.step == 0 and steps._optimizer.state()["steps"] == 0


@pytest.mark.parametrize("shape", [(1, 1), (3, 4), (5, 7), (2, 0)])
def test_samples_are_copied_to_where_a_cache_line_begins(shape: tuple[int, int]) -> None:
    given = np.random.default_rng(0).normal(size=(shape[0] + 1, *shape[1:]))[1:]  # wherever that lies
    copy = native_steps._aligned(given)
    assert copy.flags.c_contiguous and not (np.shares_memory(copy, given) or copy.size * (copy.ctypes.data % 64))
    np.testing.assert_array_equal(copy, given)
